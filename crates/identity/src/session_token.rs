// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The token of a session: `bws_` and base64url of the home's id and 32 secret bytes.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use keyring::sealed::SealingKey;
use store::TenantId;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::secret::SecretBytes;
use crate::service::{mac, sha256};

/// What a client shows to be let in. Does not print.
#[derive(Clone)]
pub struct SessionToken {
    home: TenantId,
    secret: SecretBytes<32>,
}

impl SessionToken {
    pub(crate) fn generate(home: TenantId) -> Self {
        Self { home, secret: SecretBytes::random() }
    }

    /// The home to look in. Anybody may write any home here: it says where to look, and nothing more.
    pub fn home(&self) -> TenantId {
        self.home
    }

    /// The text to give to the client, and to nobody else.
    pub fn expose(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; 48]);
        for (to, from) in bytes.iter_mut().zip(self.home.as_bytes().iter().chain(self.secret.iter())) {
            *to = *from;
        }
        Zeroizing::new(format!("{PREFIX}{}", BASE64URL_NOPAD.encode(bytes.as_slice())))
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        sha256(self.secret.as_slice())
    }

    /// What the session's copy of the address's key is sealed under: only whoever shows the token has it.
    pub(crate) fn address_seal(&self) -> SealingKey {
        SealingKey::from_bytes(mac(&self.secret, "session/email-key", &[]))
    }
}

impl FromStr for SessionToken {
    type Err = SessionTokenError;

    fn from_str(text: &str) -> Result<Self, SessionTokenError> {
        let encoded = text.strip_prefix(PREFIX).filter(|rest| rest.len() == 64).ok_or(SessionTokenError)?;
        let bytes =
            Zeroizing::new(BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| SessionTokenError)?);
        let (home, secret) = bytes.split_first_chunk::<16>().ok_or(SessionTokenError)?;
        let home = TenantId::from_uuid(Uuid::from_bytes(*home));
        if home == TenantId::PLATFORM {
            return Err(SessionTokenError);
        }
        Ok(Self { home, secret: SecretBytes::copied(secret).ok_or(SessionTokenError)? })
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(***REDACTED***)")
    }
}

/// The text is not a session token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a session token")]
pub struct SessionTokenError;

const PREFIX: &str = "bws_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_says_where_to_look_and_does_not_print() {
        let home = TenantId::random();
        let token = SessionToken::generate(home);
        let read: SessionToken = token.expose().parse().unwrap();
        assert_eq!((read.home(), read.hash()), (home, token.hash()));
        assert!(!format!("{token:?}").contains(&token.expose()[4..]));
    }

    #[test]
    fn other_texts_are_no_tokens() {
        let good = SessionToken::generate(TenantId::random()).expose();
        let platform = SessionToken::generate(TenantId::PLATFORM).expose();
        for bad in [
            "",
            "bws_",
            &good[4..],
            &good[..67],
            &format!("{}A", *good),
            &good.replace("bws_", "bwd_"),
            &platform,
        ] {
            assert!(bad.parse::<SessionToken>().is_err(), "{bad}");
        }
    }
}
