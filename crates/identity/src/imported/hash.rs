// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Password hashes of other systems: what they cost, and whether a password is theirs.
//!
//! Read are Argon2 in PHC form (`$argon2id$v=19$m=65536,t=3,p=4$salt$hash`, RFC 9106; without `v=` it is version 16) and
//! bcrypt in crypt form (`$2b$12$` and 53 characters; `2a`, `2b` and `2y` name the same function). `2x`, whose function was
//! wrong, is not taken.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::{BASE64_NOPAD, Encoding, Specification};
use zeroize::Zeroizing;

use crate::random;
use crate::service::same;

/// A hash that a password can be held against. Does not print.
pub(crate) struct ImportedHash {
    cost: Cost,
    /// Of Argon2; bcrypt has one.
    version: Version,
    salt: Vec<u8>,
    digest: Zeroizing<Vec<u8>>,
}

impl ImportedHash {
    /// Reads a hash, and refuses what no server should be made to compute.
    pub(crate) fn parse(text: &str) -> Result<Self, HashError> {
        if text.starts_with("$argon2") { Self::argon2(text) } else { Self::bcrypt(text) }
    }

    /// A hash of this cost that belongs to no password.
    pub(crate) fn of_nobody(cost: Cost) -> Self {
        let length = if matches!(cost, Cost::Bcrypt { .. }) { BCRYPT_DIGEST } else { 32 };
        Self {
            cost,
            version: Version::V0x13,
            salt: random::bytes::<16>().to_vec(),
            digest: Zeroizing::new(random::bytes::<32>().into_iter().take(length).collect()),
        }
    }

    pub(crate) fn cost(&self) -> Cost {
        self.cost
    }

    /// Whether the password is the one of this hash. Takes as long as the hash is slow: not on an async thread.
    ///
    /// # Errors
    /// When the machine lacks the memory.
    pub(crate) fn verify(&self, password: &[u8]) -> Result<bool, NoMemory> {
        let computed = match self.cost {
            Cost::Bcrypt { rounds_log2 } => {
                Zeroizing::new(bcrypt_digest(rounds_log2, &self.salt, password).to_vec())
            }
            Cost::Argon2 { algorithm, memory_kib, passes, lanes } => {
                let mut out = Zeroizing::new(vec![0; self.digest.len()]);
                let params = Params::new(memory_kib, passes, lanes, Some(out.len())).map_err(|_| NoMemory)?;
                Argon2::new(algorithm, self.version, params)
                    .hash_password_into(password, &self.salt, &mut out)
                    .map_err(|_| NoMemory)?;
                out
            }
        };
        Ok(same(&computed, &self.digest))
    }

    fn argon2(text: &str) -> Result<Self, HashError> {
        let hash = PasswordHash::new(text).map_err(|_| HashError::Malformed)?;
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(|_| HashError::Unsupported)?;
        let version = match hash.version {
            None => Version::V0x10,
            Some(version) => Version::try_from(version).map_err(|_| HashError::Unsupported)?,
        };
        // A key id or data beside the three means a secret that did not come along.
        if hash.params.iter().any(|(name, _)| !["m", "t", "p"].contains(&name.as_str())) {
            return Err(HashError::Unsupported);
        }
        let number = |name: &str| hash.params.get_decimal(name).ok_or(HashError::Malformed);
        let cost =
            Cost::Argon2 { algorithm, memory_kib: number("m")?, passes: number("t")?, lanes: number("p")? };
        cost.check()?;
        let (Some(salt), Some(digest)) = (hash.salt, hash.hash) else { return Err(HashError::Malformed) };
        if salt.as_ref().len() < argon2::MIN_SALT_LEN {
            return Err(HashError::Malformed);
        }
        let digest = Zeroizing::new(digest.as_bytes().to_vec());
        Ok(Self { cost, version, salt: salt.as_ref().to_vec(), digest })
    }

    fn bcrypt(text: &str) -> Result<Self, HashError> {
        let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|start| text.strip_prefix(start));
        let (cost, rest) = rest.ok_or(HashError::Unsupported)?.split_once('$').ok_or(HashError::Malformed)?;
        let is_number = cost.len() == 2 && cost.bytes().all(|digit| digit.is_ascii_digit());
        let rounds_log2 = cost.parse().ok().filter(|_| is_number).ok_or(HashError::Malformed)?;
        let cost = Cost::Bcrypt { rounds_log2 };
        cost.check()?;
        let (salt, digest) = rest.split_at_checked(BCRYPT_SALT_TEXT).ok_or(HashError::Malformed)?;
        let decoded = |text: &str, length: usize| {
            let encoding = BCRYPT_BASE64.as_ref()?;
            encoding.decode(text.as_bytes()).ok().filter(|bytes| bytes.len() == length)
        };
        let salt = decoded(salt, BCRYPT_SALT).ok_or(HashError::Malformed)?;
        let digest = decoded(digest, BCRYPT_DIGEST).ok_or(HashError::Malformed)?;
        Ok(Self { cost, version: Version::default(), salt, digest: Zeroizing::new(digest) })
    }
}

/// How much work a hash is. As text: `bcrypt:12`, `argon2id:65536:3:4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cost {
    Bcrypt { rounds_log2: u32 },
    Argon2 { algorithm: Algorithm, memory_kib: u32, passes: u32, lanes: u32 },
}

impl Cost {
    /// Whether a tenant may have the server do it each time: a quarter of what whoever runs the server may.
    pub(crate) fn is_a_tenants(self) -> bool {
        match self {
            Cost::Bcrypt { rounds_log2 } => rounds_log2 <= MAX_BCRYPT - 3,
            Cost::Argon2 { memory_kib, passes, .. } => {
                memory_kib <= MAX_MEMORY_KIB / 4
                    && u64::from(memory_kib) * u64::from(passes) <= MAX_MEMORY_PASSES_KIB / 4
            }
        }
    }

    /// Refuses work that would let a few sign-ins stop a server.
    fn check(self) -> Result<(), HashError> {
        let is_bearable = match self {
            Cost::Bcrypt { rounds_log2 } => (4..=MAX_BCRYPT).contains(&rounds_log2),
            Cost::Argon2 { memory_kib, passes, lanes, .. } => {
                memory_kib <= MAX_MEMORY_KIB
                    && lanes <= MAX_LANES
                    && u64::from(memory_kib) * u64::from(passes) <= MAX_MEMORY_PASSES_KIB
                    && Params::new(memory_kib, passes, lanes, None).is_ok()
            }
        };
        if is_bearable { Ok(()) } else { Err(HashError::Cost) }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cost::Bcrypt { rounds_log2 } => write!(f, "bcrypt:{rounds_log2}"),
            Cost::Argon2 { algorithm, memory_kib, passes, lanes } => {
                write!(f, "{}:{memory_kib}:{passes}:{lanes}", algorithm.as_str())
            }
        }
    }
}

impl FromStr for Cost {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let mut number = || parts.next().and_then(|part| part.parse().ok()).ok_or(HashError::Malformed);
        let cost = match Algorithm::try_from(name) {
            Ok(algorithm) => {
                Cost::Argon2 { algorithm, memory_kib: number()?, passes: number()?, lanes: number()? }
            }
            Err(_) if name == "bcrypt" => Cost::Bcrypt { rounds_log2: number()? },
            Err(_) => return Err(HashError::Unsupported),
        };
        cost.check()?;
        Ok(cost)
    }
}

/// Why a hash is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// It is another kind of hash.
    #[error("the hash is neither Argon2 in PHC form nor bcrypt ($2a$, $2b$, $2y$)")]
    Unsupported,
    /// It is of a known kind and cannot be read.
    #[error("the hash is cut off or has a part that cannot be read")]
    Malformed,
    /// It asks for more work or memory than a sign-in may take here.
    #[error(
        "the hash's cost is out of bounds: bcrypt 4 to {MAX_BCRYPT}, Argon2 up to {} MiB, {} MiB times passes, {MAX_LANES} lanes",
        MAX_MEMORY_KIB / 1024,
        MAX_MEMORY_PASSES_KIB / 1024
    )]
    Cost,
    /// It asks for more than a tenant may have the server do.
    #[error(
        "the hash's cost is out of bounds: bcrypt 4 to {}, Argon2 up to {} MiB, {} MiB times passes",
        MAX_BCRYPT - 3,
        MAX_MEMORY_KIB / 4 / 1024,
        MAX_MEMORY_PASSES_KIB / 4 / 1024
    )]
    TenantsCost,
}

/// Hashes a password with Argon2id, in PHC form. Takes as long as `cost` says.
///
/// # Errors
/// When the machine lacks the memory.
pub(crate) fn argon2id(cost: Cost, password: &[u8]) -> Result<Zeroizing<String>, NoMemory> {
    let Cost::Argon2 { algorithm, memory_kib, passes, lanes } = cost else { return Err(NoMemory) };
    let (salt, mut out) = (random::bytes::<16>(), Zeroizing::new([0; 32]));
    let params = Params::new(memory_kib, passes, lanes, Some(out.len())).map_err(|_| NoMemory)?;
    Argon2::new(algorithm, Version::V0x13, params)
        .hash_password_into(password, salt.as_slice(), out.as_mut_slice())
        .map_err(|_| NoMemory)?;
    let (salt, hash) = (BASE64_NOPAD.encode(salt.as_slice()), BASE64_NOPAD.encode(out.as_slice()));
    let name = algorithm.as_str();
    Ok(Zeroizing::new(format!("${name}$v=19$m={memory_kib},t={passes},p={lanes}${salt}${hash}")))
}

/// There is not enough memory for the hash now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is not enough memory to check the password")]
pub struct NoMemory;

/// bcrypt (Provos and Mazières, 1999) over the password with the zero byte that C strings end with, of which 72 bytes
/// count.
fn bcrypt_digest(rounds_log2: u32, salt: &[u8], password: &[u8]) -> [u8; BCRYPT_DIGEST] {
    let mut key = Zeroizing::new(Vec::with_capacity(password.len() + 1));
    key.extend_from_slice(password);
    key.push(0);
    key.truncate(BCRYPT_KEY);
    let salt: [u8; BCRYPT_SALT] = salt.try_into().unwrap_or_default();
    let [digest @ .., _] = bcrypt::bcrypt(rounds_log2, salt, &key);
    digest
}

/// bcrypt's alphabet. Its last character holds bits that count for nothing, and that some systems do not clear.
static BCRYPT_BASE64: LazyLock<Option<Encoding>> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
    specification.check_trailing_bits = false;
    specification.encoding().ok()
});

const MAX_BCRYPT: u32 = 15;
const MAX_MEMORY_KIB: u32 = 256 * 1024;
const MAX_MEMORY_PASSES_KIB: u64 = 1024 * 1024;
const MAX_LANES: u32 = 16;
const BCRYPT_SALT: usize = 16;
const BCRYPT_SALT_TEXT: usize = 22;
const BCRYPT_DIGEST: usize = 23;
const BCRYPT_KEY: usize = 72;

#[cfg(test)]
mod tests {
    use super::*;

    fn opens(hash: &str, password: &[u8]) -> bool {
        ImportedHash::parse(hash).unwrap_or_else(|error| panic!("{hash}: {error}")).verify(password).unwrap()
    }

    fn refused(hash: &str) -> HashError {
        ImportedHash::parse(hash).err().unwrap()
    }

    /// The tests of the reference implementation (phc-winner-argon2, `src/test.c`).
    #[test]
    fn the_published_argon2_vectors_pass() {
        for (password, hash) in [
            ("password", "$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ"),
            (
                "password",
                "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
            ),
            (
                "password",
                "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
            ),
            (
                "password",
                "$argon2i$v=19$m=256,t=2,p=2$c29tZXNhbHQ$T/XOJ2mh1/TIpJHfCdQan76Q5esCFVoT5MAeIM1Oq2E",
            ),
            (
                "differentpassword",
                "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$FK6NoBr+qHAMI1jc73xTWNkCEoK9iGY6RWL1n7dNIu4",
            ),
            (
                "password",
                "$argon2i$v=19$m=65536,t=2,p=1$ZGlmZnNhbHQ$sDV8zPvvkfOGCw26RHsjSMvv7K2vmQq/6cxAcmxSEnE",
            ),
            (
                "password",
                "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            ),
            (
                "password",
                "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            ),
            (
                "password",
                "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
            ),
        ] {
            assert!(opens(hash, password.as_bytes()), "{hash}");
            assert!(!opens(hash, b"passwore"), "{hash}");
        }
    }

    #[test]
    fn argon2d_is_read_too() {
        let text = "$argon2d$v=19$m=32,t=3,p=4$AgICAgICAgICAgICAgICAg$AAAAAAAAAAAAAAAAAAAAAA";
        assert!(!opens(text, b"password"));
        assert_eq!(ImportedHash::parse(text).unwrap().cost().to_string(), "argon2d:32:3:4");
    }

    /// The tests of crypt_blowfish (Openwall, `wrapper.c`) and of jBCrypt.
    #[test]
    fn the_published_bcrypt_vectors_pass() {
        let long = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789chars after 72 are ignored";
        for (password, hash) in [
            (&b"U*U"[..], "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
            (b"U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"),
            (b"U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"),
            (b"", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy"),
            (long, "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui"),
            (b"\xff\xff\xa3", "$2y$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e"),
            (b"\xff\xff\xa3", "$2b$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e"),
            (b"", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s."),
            (b"a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"),
            (b"abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
            (b"abcdefghijklmnopqrstuvwxyz", "$2a$06$.rCVZVOThsIa97pEDOxvGuRRgzG64bvtJ0938xuqzv18d3ZpQhstC"),
            (
                b"~!@#$%^&*()      ~!@#$%^&*()PNBFRD",
                "$2a$06$fPIsBO8qRqkjj273rfaOI.HtSV9jLDpTbZn782DC6/t7qT67P6FfO",
            ),
        ] {
            assert!(opens(hash, password), "{hash}");
            assert!(!opens(hash, b"another"), "{hash}");
        }
    }

    #[test]
    fn other_hashes_are_told_by_what_is_wrong_with_them() {
        use HashError::{Cost, Malformed, Unsupported};
        let bcrypt = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        assert_eq!(refused(""), Unsupported);
        assert_eq!(refused("5f4dcc3b5aa765d61d8327deb882cf99"), Unsupported);
        assert_eq!(refused("$6$rounds=5000$salt$hash"), Unsupported);
        assert_eq!(refused(&bcrypt.replace("2a", "2x")), Unsupported);
        assert_eq!(refused(&bcrypt.replace("$05$", "$5$")), Malformed);
        assert_eq!(refused(&bcrypt.replace("$05$", "$+5$")), Malformed);
        assert_eq!(refused(&bcrypt[..59]), Malformed);
        assert_eq!(refused(&format!("{bcrypt}.")), Malformed);
        assert_eq!(refused(&bcrypt.replace('C', "é")), Malformed);
        assert_eq!(refused(&bcrypt.replace("$05$", "$03$")), Cost);
        assert_eq!(refused(&bcrypt.replace("$05$", "$31$")), Cost);
        let argon2 = |text: &str| refused(&format!("$argon2{text}$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuA"));
        assert_eq!(argon2("xd$v=19$m=64,t=2,p=1"), Unsupported);
        assert_eq!(argon2("id$v=20$m=64,t=2,p=1"), Unsupported);
        assert_eq!(argon2("id$v=19$m=64,t=2,p=1,data=AAAA"), Unsupported);
        assert_eq!(argon2("id$v=19$m=64,t=2"), Malformed);
        assert_eq!(argon2("id$v=19$m=-64,t=2,p=1"), Malformed);
        for absurd in
            ["m=4194304,t=1,p=1", "m=262144,t=5,p=1", "m=65536,t=2,p=99", "m=7,t=1,p=1", "m=64,t=0,p=1"]
        {
            assert_eq!(argon2(&format!("id$v=19${absurd}")), Cost, "{absurd}");
        }
        assert_eq!(refused("$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ"), Malformed);
        assert_eq!(refused("$argon2id$v=19$m=64,t=2,p=1$c28$bQk8UB/VmZZF4Oo79iDXuA"), Malformed);
    }

    #[test]
    fn a_cost_is_read_as_it_was_written_and_a_decoy_of_it_opens_for_nobody() {
        for text in ["bcrypt:4", "argon2id:256:2:1", "argon2i:64:1:2", "argon2d:64:1:1"] {
            let cost: Cost = text.parse().unwrap();
            assert_eq!(cost.to_string(), text);
            let decoy = ImportedHash::of_nobody(cost);
            assert_eq!(decoy.cost(), cost);
            assert!(!decoy.verify(b"password").unwrap());
        }
        assert!("bcrypt:31".parse::<Cost>().is_err());
        assert!("bcrypt".parse::<Cost>().is_err());
        assert!("scrypt:1".parse::<Cost>().is_err());
    }
}
