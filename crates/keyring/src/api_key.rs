// SPDX-License-Identifier: Apache-2.0 OR MIT
//! API keys: one half that authenticates, and is sent; one that unlocks, and never is.
//!
//! ```text
//! bwk_<auth>_<unlock>_<checksum>     what its owner keeps
//! bwk_<auth>_<checksum>              what is sent as a bearer token: ApiKeyAuth. Also the whole of a key that
//!                                    does not unlock
//!
//! auth   = home(16) ‖ secret(32)     66 characters of base 62
//! unlock = 32 bytes                  44 characters
//!
//! unlock ──Argon2id with the method's salt──▶ MethodSecret ──▶ MethodKeyPair
//! ```
//!
//! The home says where to look; anybody may write any home there. The halves are drawn apart: the one says nothing
//! about the other. The checksum lets a scanner recognise a key with certainty, and tells a key that was cut or
//! mistyped from one that was revoked.

use std::fmt;
use std::str::FromStr;

use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::base62;
use crate::crockford;
use crate::id::TenantId;
use crate::kdf::{KdfError, KdfParams};
use crate::method::{Lookup, MethodSalt, MethodSecret};
use crate::secret::{REDACTED, framed, secret};

/// An API key, whole. Made on a client, shown once.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    auth: ApiKeyAuth,
    unlock: Option<ApiKeyUnlock>,
}

impl ApiKey {
    /// Makes a new key for an account whose home this is; with a half that unlocks, or without.
    pub fn generate(home: TenantId, unlocks: bool, rng: &mut impl CryptoRng) -> Self {
        let auth = ApiKeyAuth { home, secret: AuthSecret::random(rng) };
        let unlock = unlocks.then(|| ApiKeyUnlock::random(rng));
        Self { auth, unlock }
    }

    /// The half to send.
    pub fn auth(&self) -> &ApiKeyAuth {
        &self.auth
    }

    /// The half that unlocks, if the key has one. Never send it.
    pub fn unlock(&self) -> Option<&ApiKeyUnlock> {
        self.unlock.as_ref()
    }

    /// The key as shown to its owner.
    pub fn to_text(&self) -> Zeroizing<String> {
        write(&self.auth, self.unlock.as_ref())
    }
}

impl FromStr for ApiKey {
    type Err = ApiKeyError;

    fn from_str(text: &str) -> Result<Self, ApiKeyError> {
        let rest = text.strip_prefix(PREFIX).ok_or(ApiKeyError::Prefix)?;
        let mut fields = rest.split('_');
        let auth = fields.next().ok_or(ApiKeyError::Form)?;
        let (unlock, sum) = match (fields.next(), fields.next(), fields.next()) {
            (Some(sum), None, None) => (None, sum),
            (Some(unlock), Some(sum), None) => (Some(unlock), sum),
            _ => return Err(ApiKeyError::Form),
        };
        let auth = {
            let mut bytes = Zeroizing::new([0; 48]);
            base62::decode(auth, bytes.as_mut_slice()).ok_or(ApiKeyError::Form)?;
            let (home, secret) = bytes.split_first_chunk::<16>().ok_or(ApiKeyError::Form)?;
            let secret = AuthSecret::from_slice(secret).ok_or(ApiKeyError::Form)?;
            ApiKeyAuth { home: TenantId::from_bytes(*home), secret }
        };
        let unlock = match unlock {
            Some(unlock) => {
                let mut bytes = Zeroizing::new([0; 32]);
                base62::decode(unlock, bytes.as_mut_slice()).ok_or(ApiKeyError::Form)?;
                Some(ApiKeyUnlock::from_slice(bytes.as_slice()).ok_or(ApiKeyError::Form)?)
            }
            None => None,
        };
        let sum = base62::decode_checksum(sum).ok_or(ApiKeyError::Form)?;
        if sum == checksum(&auth, unlock.as_ref()) {
            Ok(Self { auth, unlock })
        } else {
            Err(ApiKeyError::Checksum)
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({}, {REDACTED})", self.auth.public_id())
    }
}

/// The half of an API key that authenticates: a bearer token.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeyAuth {
    home: TenantId,
    secret: AuthSecret,
}

impl ApiKeyAuth {
    /// How many characters it has.
    pub const LEN: usize = PREFIX.len() + 66 + 1 + 6;

    /// The home to look in. Anybody may write any home here: it says where to look, and nothing more.
    pub fn home(&self) -> TenantId {
        self.home
    }

    /// The text to send.
    pub fn to_text(&self) -> Zeroizing<String> {
        write(self, None)
    }

    /// What the server stores: SHA-256 of the secret. It has 256 bits, so nobody finds it from the hash.
    pub fn auth_hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret.expose()).into()
    }

    /// What lists and logs call the key. It says nothing about the key, and lets nobody in.
    pub fn public_id(&self) -> ApiKeyId {
        ApiKeyId::of_hash(&self.auth_hash())
    }

    /// What the key of the address is sealed under ([`AddressSeal`](crate::AddressSeal)): only whoever shows the key
    /// has it.
    pub fn lookup(&self) -> Lookup {
        Lookup::derived(self.secret.expose(), &[], "api-key/lookup", &[])
    }
}

impl FromStr for ApiKeyAuth {
    type Err = ApiKeyError;

    /// Reads the half that is sent. A whole key is refused: who sends one gives away what unlocks.
    fn from_str(text: &str) -> Result<Self, ApiKeyError> {
        let key: ApiKey = text.parse()?;
        if key.unlock.is_some() { Err(ApiKeyError::Unlocks) } else { Ok(key.auth) }
    }
}

impl fmt::Debug for ApiKeyAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeyAuth({}, {REDACTED})", self.public_id())
    }
}

secret!(
    /// What the server recognises a key by.
    AuthSecret
);

secret!(
    /// The half of an API key that unlocks. It stays where the key is kept.
    pub ApiKeyUnlock
);

impl ApiKeyUnlock {
    /// What the half unlocks with: `Argon2id(half, salt)`.
    ///
    /// # Errors
    /// When the machine lacks the memory that `params` ask for.
    pub fn method_secret(&self, salt: &MethodSalt, params: KdfParams) -> Result<MethodSecret, KdfError> {
        MethodSecret::slow(self.expose(), salt, params)
    }
}

/// The public name of an API key: 80 bits of a hash, as sixteen characters of Crockford's base 32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiKeyId([u8; Self::LEN]);

impl ApiKeyId {
    /// How many characters it has.
    pub const LEN: usize = 16;

    /// The name of the key whose [`auth_hash`](ApiKeyAuth::auth_hash) is stored.
    pub fn of_hash(auth_hash: &[u8; 32]) -> Self {
        let hash = Sha256::digest(framed("api-key/id", &[auth_hash]));
        let mut id = [b'0'; Self::LEN];
        for (characters, five) in id.chunks_exact_mut(8).zip(hash.chunks_exact(5)) {
            let bits = five.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
            for (to, symbol) in characters.iter_mut().zip(crockford::encode::<8>(bits)) {
                *to = symbol as u8;
            }
        }
        Self(id)
    }

    /// The sixteen characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for ApiKeyId {
    type Err = ApiKeyIdError;

    /// Reads it as typed: in either case, O for 0, I and L for 1.
    fn from_str(typed: &str) -> Result<Self, ApiKeyIdError> {
        let mut id = [b'0'; Self::LEN];
        let mut symbols = typed.chars();
        for to in &mut id {
            let value = symbols.next().and_then(crockford::decode).ok_or(ApiKeyIdError)?;
            let [symbol] = crockford::encode::<1>(value);
            *to = symbol as u8;
        }
        if symbols.next().is_some() { Err(ApiKeyIdError) } else { Ok(Self(id)) }
    }
}

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeyId({self})")
    }
}

/// Why the text is not an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// Something else.
    #[error("an API key starts with bwk_")]
    Prefix,
    /// Cut, or with characters that no key has.
    #[error("this is not an API key: it is cut or has characters that do not occur in one")]
    Form,
    /// Mistyped.
    #[error("the API key has a typing error: its checksum does not fit")]
    Checksum,
    /// The whole key where only its first half belongs.
    #[error(
        "this is the whole API key, with the half that unlocks, which must never be sent: replace the key"
    )]
    Unlocks,
}

/// The text is not the public name of an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of an API key has sixteen letters and digits")]
pub struct ApiKeyIdError;

fn write(auth: &ApiKeyAuth, unlock: Option<&ApiKeyUnlock>) -> Zeroizing<String> {
    // Room for the longest, so that growing leaves no copy behind.
    let mut text = Zeroizing::new(String::with_capacity(ApiKeyAuth::LEN + 1 + 44));
    text.push_str(PREFIX);
    base62::encode(auth.home.as_bytes(), &mut text);
    base62::encode(auth.secret.expose(), &mut text);
    if let Some(unlock) = unlock {
        text.push('_');
        base62::encode(unlock.expose(), &mut text);
    }
    text.push('_');
    base62::encode_checksum(checksum(auth, unlock), &mut text);
    text
}

fn checksum(auth: &ApiKeyAuth, unlock: Option<&ApiKeyUnlock>) -> u32 {
    let unlock = unlock.map(ApiKeyUnlock::expose).map_or(&[][..], <[u8; 32]>::as_slice);
    let covered =
        Zeroizing::new(framed("api-key/checksum", &[auth.home.as_bytes(), auth.secret.expose(), unlock]));
    let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(covered.as_slice()));
    u32::from_be_bytes([a, b, c, d])
}

const PREFIX: &str = "bwk_";
