// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Root keys: what opens everything else that the server keeps, and is itself kept elsewhere.

mod file;
mod live;
mod location;

use std::fmt;
use std::path::PathBuf;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

pub(crate) use live::LiveRoot;
pub use location::{LocationError, LocationWarning, check_location};

use crate::KeyError;
use crate::key::{Key, derive};
use crate::sealed;

/// The root keys of a server: the first seals, all open. Erased when dropped, never printed.
///
/// As text, a key is one line, `bailiwick-root-v1:<key id>:<base64>`; several lines are the newest key and the older
/// ones that still open.
pub struct RootKeys {
    current: RootKey,
    older: Vec<RootKey>,
    /// Where they were read, when that was a file.
    file: Option<PathBuf>,
}

/// One root key and its id.
#[derive(Clone)]
pub(crate) struct RootKey {
    id: RootKeyId,
    key: Key,
}

/// The public name of a root key: 16 hexadecimal digits derived from it. Stored beside what the key seals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootKeyId(String);

impl RootKeyId {
    /// The id as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RootKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why there are no root keys to start with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootKeyError {
    /// The file is gone, but the database needs its key.
    #[error(
        "the root key is missing: {path} does not exist, but the database was sealed under the root key {needed}; \
         restore it; a new one would not open anything"
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// The id of the key that is needed.
        needed: String,
    },
    /// The database was sealed under another key.
    #[error(
        "wrong root key: the database was sealed under the root key {needed}, which {path} does not hold; \
         restore that one; no other opens what is stored"
    )]
    Wrong {
        /// The file that was read.
        path: PathBuf,
        /// The id of the key that is needed.
        needed: String,
    },
    /// Others than the owner can read the file.
    #[error("the root key file {path} can be read by others (mode {mode:04o}); run: chmod 600 {path}")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is not a root key file, or is damaged.
    #[error("the root key file {path} is damaged at line {line}: {why}; restore it from its copy")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The secret text is no key.
    #[error("the root key secret is not usable at line {line}: {why}")]
    Secret {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The key that is to seal is not in the file.
    #[error("the root key file {path} has no key {id}: `bailiwick root-key add` puts one there")]
    NoSuchKey {
        /// The file.
        path: PathBuf,
        /// The id that was given.
        id: String,
    },
    /// A new key was to be made where one is.
    #[error("the root key file {0} exists already; it is never overwritten")]
    Exists(PathBuf),
    /// The operating system refused.
    #[error("the root key file {path} cannot be used: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The database, which says which key is needed, failed.
    #[error(transparent)]
    Store(#[from] store::StoreError),
}

impl RootKeys {
    /// One new random key, kept nowhere: for tests, and for putting it somewhere oneself.
    pub fn generate() -> Self {
        Self { current: RootKey::new(Key::random()), older: Vec::new(), file: None }
    }

    /// Reads a secret from the environment or a mounted file: 32 bytes in base64 (either alphabet) or hexadecimal, or
    /// the lines of a root key file. The first line seals, further ones only open. Space around is ignored.
    ///
    /// # Errors
    /// [`RootKeyError::Secret`] naming the line.
    pub fn from_secret(text: &str) -> Result<Self, RootKeyError> {
        Self::parse(text, true).map_err(|(line, why)| RootKeyError::Secret { line, why })
    }

    /// The ids of all keys, the sealing one first.
    pub fn ids(&self) -> impl Iterator<Item = &RootKeyId> {
        self.all().map(RootKey::id)
    }

    /// Refuses when a database [needs](Self::NEEDED) a root key that is not among these.
    ///
    /// # Errors
    /// [`KeyError::WrongRoot`].
    pub fn require(&self, needed: Vec<(String,)>) -> Result<(), KeyError> {
        match needed.into_iter().find(|(id,)| !self.opens(id)) {
            Some((needed,)) => Err(KeyError::WrongRoot { needed }),
            None => Ok(()),
        }
    }

    fn opens(&self, id: &str) -> bool {
        self.get(id).is_some()
    }

    /// The key that seals.
    pub(crate) fn current(&self) -> &RootKey {
        &self.current
    }

    /// The key with this id, when it is here.
    pub(crate) fn get(&self, id: &str) -> Option<&RootKey> {
        self.all().find(|key| key.id.0 == id)
    }

    /// Opens what the root key with this id sealed for this place. `what` is for the error.
    pub(crate) fn open(
        &self,
        id: &str,
        what: &'static str,
        purpose: &str,
        place: &[&[u8]],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let root = self.get(id).ok_or_else(|| KeyError::WrongRoot { needed: id.to_owned() })?;
        sealed::open(&root.key, purpose, place, sealed).map_err(|source| KeyError::Damaged { what, source })
    }

    fn all(&self) -> impl Iterator<Item = &RootKey> {
        std::iter::once(&self.current).chain(&self.older)
    }

    /// Reads lines; on failure, which one and why. Bare keys, without prefix and id, only where `allow_bare`.
    fn parse(text: &str, allow_bare: bool) -> Result<Self, (usize, &'static str)> {
        let mut keys = Vec::new();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            keys.push(RootKey::parse(line.trim(), allow_bare).map_err(|why| (number, why))?);
        }
        let mut keys = keys.into_iter();
        let current = keys.next().ok_or((1, "it is empty"))?;
        Ok(Self { current, older: keys.collect(), file: None })
    }

    /// The lines of a root key file.
    fn to_lines(&self) -> Zeroizing<String> {
        let mut lines = Zeroizing::new(String::new());
        for key in self.all() {
            let secret = Zeroizing::new(BASE64.encode(key.key.expose()));
            for piece in [PREFIX, ":", key.id.as_str(), ":", &secret, "\n"] {
                lines.push_str(piece);
            }
        }
        lines
    }
}

impl RootKey {
    fn new(key: Key) -> Self {
        let mut id = [0; 8];
        derive(key.expose(), &[], "custody/root-key-id", &[], &mut id);
        Self { id: RootKeyId(HEXLOWER.encode(&id)), key }
    }

    pub(crate) fn id(&self) -> &RootKeyId {
        &self.id
    }

    pub(crate) fn seal(&self, purpose: &str, place: &[&[u8]], plaintext: &[u8]) -> Vec<u8> {
        sealed::seal(&self.key, purpose, place, plaintext)
    }

    fn parse(line: &str, allow_bare: bool) -> Result<Self, &'static str> {
        let mut parts = line.split(':');
        let (id, secret) = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(PREFIX), Some(id), Some(secret), None) => (Some(id), secret),
            (Some(secret), None, None, None) if allow_bare => (None, secret),
            (Some(prefix), Some(_), ..) if prefix.starts_with("bailiwick-root-") => {
                return Err("it is of a version that this release does not know");
            }
            _ if allow_bare => return Err("32 bytes in base64 or hexadecimal are expected"),
            _ => return Err("`bailiwick-root-v1:<key id>:<base64>` is expected"),
        };
        let bytes = decode(secret).ok_or("32 bytes in base64 or hexadecimal are expected")?;
        if bytes.windows(2).all(|pair| pair.first() == pair.last()) {
            return Err("it repeats one byte, so it is not random; make one with: openssl rand -base64 32");
        }
        let key = Key::from_slice(&bytes).ok_or("a root key has 32 bytes")?;
        let key = Self::new(key);
        if id.is_some_and(|id| id != key.id.as_str()) {
            return Err("the key does not match its id");
        }
        Ok(key)
    }
}

/// 32 bytes from hexadecimal (64 digits) or base64 (43 or 44 characters).
fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = text.as_bytes();
    let decoded = match text.len() {
        64 => HEXLOWER_PERMISSIVE.decode(text).ok(),
        43 => BASE64_NOPAD.decode(text).or_else(|_| BASE64URL_NOPAD.decode(text)).ok(),
        44 => BASE64.decode(text).or_else(|_| BASE64URL.decode(text)).ok(),
        _ => None,
    };
    decoded.map(Zeroizing::new)
}

const PREFIX: &str = "bailiwick-root-v1";

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes 0 to 31; the id was derived with an independent implementation.
    const LINE: &str = "bailiwick-root-v1:309cb408a3c47b8d:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn why(text: &str) -> (usize, &'static str) {
        match RootKeys::from_secret(text) {
            Err(RootKeyError::Secret { line, why }) => (line, why),
            _ => panic!("{text} was taken"),
        }
    }

    #[test]
    fn a_secret_is_taken_in_each_of_its_forms() {
        let hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let base64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        for text in
            [LINE, hex, &hex.to_uppercase(), base64, &format!("{base64}="), &format!("\n  {base64}=\r\n")]
        {
            let keys = RootKeys::from_secret(text).unwrap();
            assert_eq!(keys.current().id().as_str(), "309cb408a3c47b8d");
            assert_eq!(*keys.to_lines(), format!("{LINE}\n"));
        }
        assert!(RootKeys::from_secret("-_-_AwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8").is_ok(), "base64url");
    }

    #[test]
    fn the_first_line_seals_and_the_others_open() {
        let (new, old) = (RootKeys::generate(), RootKeys::generate());
        let both = RootKeys::from_secret(&format!("{}{}", *new.to_lines(), *old.to_lines())).unwrap();
        assert_eq!(both.current().id(), new.current().id());
        assert!(both.get(old.current().id().as_str()).is_some());
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_line() {
        assert_eq!(why(""), (1, "it is empty"));
        assert_eq!(why("password").0, 1);
        assert_eq!(why(&format!("{LINE}\nAAEC")).0, 2);
        assert_eq!(why(&LINE.replace("309c", "309d")).1, "the key does not match its id");
        assert!(why(&LINE.replace("-v1", "-v2")).1.contains("version"));
    }

    #[test]
    fn a_key_of_one_repeated_byte_is_refused() {
        assert!(why(&"00".repeat(32)).1.contains("not random"));
        assert!(why(&"ff".repeat(32)).1.contains("not random"));
    }
}
