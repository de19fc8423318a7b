// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What clients show that only they can know: secrets, codes, refresh tokens, device codes. Random bytes behind a prefix,
//! kept as a hash.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::GrantId;

/// A secret on its way to whom it is for. It is shown once and does not print.
pub struct Shown(Zeroizing<String>);

impl Shown {
    /// The text, for the one answer that tells it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***REDACTED***")
    }
}

/// A new secret with this prefix, and the hash to keep.
pub(super) fn new_secret(prefix: &str) -> (Shown, [u8; 32]) {
    let secret = random::<32>();
    (shown(prefix, secret.as_slice()), Sha256::digest(secret.as_slice()).into())
}

/// The hash of a secret with this prefix; `None` for what is none.
pub(super) fn hash_of(prefix: &str, text: &str) -> Option<[u8; 32]> {
    let secret = decoded::<32>(prefix, text)?;
    Some(Sha256::digest(secret.as_slice()).into())
}

/// A code: the grant that it is for, and a secret. Returns the hash to keep.
pub(super) fn new_code(grant: GrantId) -> (Shown, [u8; 32]) {
    let secret = random::<32>();
    let bytes: Zeroizing<Vec<u8>> =
        Zeroizing::new(grant.as_bytes().iter().chain(secret.iter()).copied().collect());
    (shown(CODE, &bytes), Sha256::digest(bytes.as_slice()).into())
}

/// The grant that a code is for, and the hash of the code.
pub(super) fn code_parts(text: &str) -> Option<(GrantId, [u8; 32])> {
    let bytes = decoded::<48>(CODE, text)?;
    Some((grant_in(bytes.as_slice())?, Sha256::digest(bytes.as_slice()).into()))
}

/// A refresh token: the grant that it is for, a secret, and a tag under the tenant's key. The tag tells a token of before, which
/// must not turn up again, from a text that somebody made up. Returns the hash to keep.
pub(super) fn new_refresh(key: &[u8; 32], grant: GrantId) -> (Shown, [u8; 32]) {
    let secret = random::<32>();
    let mut bytes: Zeroizing<Vec<u8>> = Zeroizing::new(Vec::with_capacity(64));
    bytes.extend_from_slice(grant.as_bytes());
    bytes.extend_from_slice(secret.as_slice());
    let tag = tag(key, &bytes);
    bytes.extend_from_slice(&tag);
    (shown(REFRESH, &bytes), Sha256::digest(bytes.as_slice()).into())
}

/// The grant that a refresh token says it is for. Not yet believed: see [`refresh_hash`].
pub(super) fn refresh_grant(text: &str) -> Option<GrantId> {
    grant_in(decoded::<64>(REFRESH, text)?.as_slice())
}

/// The hash of a refresh token that this tenant issued once; `None` for what it never did.
pub(super) fn refresh_hash(key: &[u8; 32], text: &str) -> Option<[u8; 32]> {
    let bytes = decoded::<64>(REFRESH, text)?;
    let (body, found) = bytes.split_at_checked(48)?;
    bool::from(tag(key, body).ct_eq(found)).then(|| Sha256::digest(bytes.as_slice()).into())
}

/// Whether two hashes are the same, in constant time.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

fn tag(key: &[u8; 32], body: &[u8]) -> [u8; 16] {
    #[allow(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
    mac.update(body);
    let full: [u8; 32] = mac.finalize().into_bytes().into();
    let mut tag = [0; 16];
    tag.copy_from_slice(full.split_at(16).0);
    tag
}

fn grant_in(bytes: &[u8]) -> Option<GrantId> {
    let (grant, _) = bytes.split_first_chunk::<16>()?;
    Some(GrantId::from_uuid(uuid::Uuid::from_bytes(*grant)))
}

pub(super) fn shown(prefix: &str, bytes: &[u8]) -> Shown {
    Shown(Zeroizing::new(format!("{prefix}{}", BASE64URL_NOPAD.encode(bytes))))
}

fn decoded<const N: usize>(prefix: &str, text: &str) -> Option<Zeroizing<[u8; N]>> {
    let encoded = text.strip_prefix(prefix)?;
    // Nothing longer is looked at.
    if encoded.len() > N.div_ceil(3) * 4 {
        return None;
    }
    let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(encoded.as_bytes()).ok()?);
    Some(Zeroizing::new(bytes.as_slice().try_into().ok()?))
}

pub(super) fn random<const N: usize>() -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    #[allow(
        clippy::expect_used,
        reason = "without randomness no secret may be made; there is nothing to fall back on"
    )]
    getrandom::fill(bytes.as_mut_slice()).expect("the operating system's random generator");
    bytes
}

/// How a client's secret begins.
pub(super) const CLIENT_SECRET: &str = "bcs_";
/// How a key begins that a client shares with the server.
pub(super) const SHARED_KEY: &str = "bck_";
/// How a device code begins.
pub(super) const DEVICE_CODE: &str = "bcd_";
const CODE: &str = "bcc_";
const REFRESH: &str = "bcr_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_issued_is_told_from_what_was_made_up() {
        let (grant, key) = (GrantId::random(), [7; 32]);
        let (token, hash) = new_refresh(&key, grant);
        assert_eq!(refresh_grant(token.expose()), Some(grant));
        assert_eq!(refresh_hash(&key, token.expose()), Some(hash));
        assert_eq!(refresh_hash(&[8; 32], token.expose()), None, "another tenant's");
        let mut bytes = BASE64URL_NOPAD.decode(&token.expose().as_bytes()[4..]).unwrap();
        bytes[20] ^= 1;
        assert_eq!(refresh_hash(&key, &format!("{REFRESH}{}", BASE64URL_NOPAD.encode(&bytes))), None);
        assert!(!format!("{token:?}").contains(token.expose()));
    }

    #[test]
    fn a_secret_of_one_kind_is_none_of_another() {
        let (secret, hash) = new_secret(CLIENT_SECRET);
        assert_eq!(hash_of(CLIENT_SECRET, secret.expose()), Some(hash));
        assert_eq!(hash_of(DEVICE_CODE, secret.expose()), None);
        let (code, hash) = new_code(GrantId::random());
        assert_eq!(code_parts(code.expose()).map(|(_, found)| found), Some(hash));
        assert_eq!(refresh_grant(code.expose()), None);
        assert_eq!(code_parts(&code.expose()[..code.expose().len() - 1]), None);
    }
}
