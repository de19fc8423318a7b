// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Email addresses that the server can find, but not list.
//!
//! The client normalises the address and sends its [`EmailHash`]; the directory stores only the [`BlindIndex`] of
//! that hash, keyed by a [`Pepper`] that is not in the database. The address itself is stored sealed under the
//! [`EmailKey`], which the client derives from the address and sends when it signs in, so that the server can open
//! the address in memory, check it, write to it, and forget it.

use std::fmt;

use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::id::AccountId;
use crate::kdf::{KdfError, KdfParams};
use crate::sealed::{Context, OpenError, Sealed, SealingKey};
use crate::secret::{REDACTED, mac, salt, secret};

/// A normalised email address. Erased when dropped, never printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(Zeroizing<String>);

impl Email {
    /// Trims and lower-cases an address, and refuses what cannot be one.
    ///
    /// The check is for typing mistakes and for bytes that have no business in an address; whether mail arrives
    /// there, only a verification code can tell. Internationalised domains are kept as typed.
    ///
    /// # Errors
    /// Says which rule the address breaks.
    pub fn parse(address: &str) -> Result<Self, EmailError> {
        let address = Zeroizing::new(address.trim().to_lowercase());
        if address.is_empty() {
            return Err(EmailError::Empty);
        }
        if address.len() > MAX_ADDRESS {
            return Err(EmailError::TooLong);
        }
        if address.chars().any(|c| c.is_control() || c.is_whitespace() || is_invisible(c)) {
            return Err(EmailError::Unprintable);
        }
        let (local, domain) = address.split_once('@').ok_or(EmailError::NotOneAt)?;
        if domain.contains('@') {
            return Err(EmailError::NotOneAt);
        }
        if local.is_empty()
            || local.len() > MAX_LOCAL
            || local.contains(['<', '>', '(', ')', ',', ';', ':', '\\', '"'])
        {
            return Err(EmailError::LocalPart);
        }
        let label_is_sound = |label: &str| {
            !label.is_empty()
                && label.len() <= MAX_LABEL
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-' || !c.is_ascii())
        };
        if !domain.split('.').all(label_is_sound) {
            return Err(EmailError::Domain);
        }
        Ok(Self(address))
    }

    /// The normalised address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the normalised address: what the client sends to be found.
    pub fn hash(&self) -> EmailHash {
        EmailHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Email({REDACTED})")
    }
}

/// SHA-256 of a normalised address. It can be guessed, so it is personal data: send it, never store or log it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EmailHash([u8; 32]);

impl EmailHash {
    /// Takes the hash that a client sent.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for EmailHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmailHash({REDACTED})")
    }
}

salt!(
    /// The salt of an [`EmailKey`].
    pub EmailSalt
);

secret!(
    /// The key that seals an address: `Argon2id(address, salt; 19 MiB, 2 passes, 1 lane)`.
    ///
    /// Clients send it when they sign up and sign in; the server uses it for that request only.
    pub EmailKey
);

impl EmailKey {
    /// Derives the key; takes about a tenth of a second.
    ///
    /// # Errors
    /// Only when the machine lacks 19 MiB of memory.
    pub fn derive(email: &Email, salt: &EmailSalt) -> Result<Self, KdfError> {
        let mut key = Box::new(Zeroizing::new([0; 32]));
        KdfParams::FLOOR.hash(email.as_str().as_bytes(), salt.as_bytes(), key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// Seals the address for its account.
    pub fn seal(&self, email: &Email, account: &AccountId, rng: &mut impl CryptoRng) -> Sealed {
        self.sealing_key().seal(email.as_str().as_bytes(), &Self::context(account), rng)
    }

    /// Opens the address of an account.
    ///
    /// # Errors
    /// [`OpenError::WrongKeyOrContext`] also when what was sealed is not an address.
    pub fn open(&self, sealed: &Sealed, account: &AccountId) -> Result<Email, OpenError> {
        let address = self.sealing_key().open(sealed, &Self::context(account))?;
        std::str::from_utf8(&address)
            .ok()
            .and_then(|address| Email::parse(address).ok())
            .ok_or(OpenError::WrongKeyOrContext)
    }

    fn sealing_key(&self) -> SealingKey {
        SealingKey::derived(self.expose(), &[], "email", &[])
    }

    fn context(account: &AccountId) -> Context {
        Context::new("email", *account)
    }
}

secret!(
    /// The server's key over everything that is looked up: without it, a copy of the database cannot even be guessed
    /// at. It lives under the root key.
    pub Pepper
);

impl Pepper {
    /// Makes a new pepper. Losing it makes every account unfindable.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::random(rng)
    }

    /// Under what the directory finds an address: HMAC-SHA256 of its hash.
    pub fn blind_index(&self, email: &EmailHash) -> BlindIndex {
        BlindIndex(mac(self.expose(), "pepper/email", &[&email.0]))
    }

    /// The salt of the address's key: always the same for the same address, so that it tells nothing of an account.
    pub fn email_salt(&self, email: &EmailHash) -> EmailSalt {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] =
            mac(self.expose(), "pepper/email-salt", &[&email.0]);
        EmailSalt::from_bytes([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
    }

    /// Under what a lookup value of a login method or a code is stored.
    pub fn lookup_index(&self, lookup: &crate::method::Lookup) -> [u8; 32] {
        mac(self.expose(), "pepper/lookup", &[lookup.expose()])
    }
}

/// The keyed hash under which the directory finds an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlindIndex([u8; 32]);

impl BlindIndex {
    /// HMAC-SHA256 of an address's hash under the pepper.
    pub fn of(email: &EmailHash, pepper: &Pepper) -> Self {
        pepper.blind_index(email)
    }

    /// The bytes to store and to look up.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Why an address was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Nothing but spaces.
    #[error("the email address is empty")]
    Empty,
    /// More than 254 bytes (RFC 5321).
    #[error("the email address is longer than 254 bytes")]
    TooLong,
    /// Control characters, spaces or invisible characters inside.
    #[error("the email address contains spaces or control characters")]
    Unprintable,
    /// None, or more than one.
    #[error("an email address has exactly one @")]
    NotOneAt,
    /// Before the @: empty, longer than 64 bytes, or with characters that need quoting.
    #[error("the part before the @ is not valid")]
    LocalPart,
    /// After the @: an empty or overlong label, or characters that no domain has.
    #[error("the part after the @ is not a domain name")]
    Domain,
}

/// Characters that look like nothing, or that turn the reading direction.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

const MAX_ADDRESS: usize = 254;
const MAX_LOCAL: usize = 64;
const MAX_LABEL: usize = 63;
