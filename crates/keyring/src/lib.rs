// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Everything a client does with keys; pure, builds natively and for WebAssembly.
//!
//! The command line, the browser, the editor extension and the tests all call this crate, and none of them does
//! cryptography of its own. The server calls it where it takes the other side: OPAQUE ([`password::server`]), finding
//! an address ([`Pepper`]), keeping half of a device's key ([`ServerHalf`]).
//!
//! It has no clock, no files and no network. Randomness is a parameter; programs pass [`SystemRng`].
//!
//! # Words
//!
//! - A **login method** is one way into an account: a password, a passkey, a recovery key, an API key. Its
//!   [`Lookup`], which the server may see, finds the account; the [`MethodKeyPair`] from its [`MethodSecret`] unlocks.
//! - The **master key** ([`MasterKey`]) is the key over everything of an account. It is sealed to the public key of
//!   each login method.
//! - **Sealed** bytes ([`Sealed`]) open only with their key and only in their place: purpose, owner, object, version.
//! - A **place** (such as [`ItemPlace`]) is what the caller says about that, from its own knowledge: never repeat
//!   what the server said beside the bytes.
//! - **Pairing** ([`pairing`]) lets a device in through one that is signed in.
//! - A **collection** is items under one key; a **grant** is that key for another account. When somebody may no longer read,
//!   the collection gets a key of the next **generation** ([`CollectionKeys`]).
//! - A **founding** is what a collection of a tenant was made as; its id is made of that ([`tenant_collection`]).
//! - A key's **version** counts its rotations, from 1.
//!
//! ```text
//! password, passkey, …  ─▶ MethodSecret ─▶ MethodKeyPair ─▶ opens SealedMasterKey
//! recovery key, handle, … ─▶ Lookup      to the server ─▶ AddressSeal ─▶ opens EmailKey
//! MasterKey ─▶ AccountKey ─▶ IdentityKeys ─▶ Grant, IdentityRotation, Fingerprint
//!                        │                     └─▶ Authorship of items in shared collections
//!                        └─▶ CollectionKey ─▶ ItemKey ─▶ Sealed content, files
//!                              └─▶ the CollectionKey before it
//! ```
//!
//! # What it guarantees
//!
//! - Every format starts with a version byte. An unknown version or suite is an error of its own, never a guess.
//!   OPAQUE's messages are RFC 9807's, as they are.
//! - Sealed bytes that were changed, cut, moved to another place or given another key do not open, and no ciphertext
//!   opens under two keys.
//! - Nothing that comes from outside makes it panic. Only a system without randomness stops the program.
//! - Secrets are erased when dropped, compared in constant time, and print as `***REDACTED***`.
//! - A server cannot lower the cost of guessing a password ([`KdfParams::checked`]), add a login method of its own
//!   ([`MasterKey::verify_method`]), or exchange an account's public keys unnoticed ([`identity`]).
//!
//! It cannot keep a server from withholding data or from giving an old version again: callers remember versions.
//!
//! All labels begin with `bailiwick/v1/`. `tests/vectors/` holds a known answer for every construction.
//!
//! # Example
//!
//! Register a password, sign in with it, seal an item, and open it.
//!
//! ```
//! use keyring::password::server::{RegistrationRecord, ServerSetup};
//! use keyring::password::{Login, Registration};
//! use keyring::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let rng = &mut SystemRng;
//! let account = AccountId::from([1; 16]); // the bytes of UUIDs
//! let place = MasterKeyPlace { account, method: MethodId::from([2; 16]), key_version: 1 };
//! let password = Password::new("correct horse battery staple")?;
//!
//! // The server has one setup. The credential identifier is the blind index of the address.
//! let setup = ServerSetup::generate(rng);
//! let pepper = Pepper::generate(rng);
//! let credential = pepper.blind_index(&Email::parse("Alice@example.com")?.hash());
//!
//! // Sign up: the client registers its password, makes the master key, and seals it to the password's key pair.
//! let (registration, request) = Registration::start(&password, rng)?;
//! let response = setup.registration_response(&request, credential.as_bytes())?;
//! let registered = registration.finish(&response, KdfParams::default(), rng)?;
//! let record = RegistrationRecord::from_upload(&registered.upload)?;
//! let public_key = registered.secret.key_pair().public_key();
//! let master = MasterKey::generate(rng);
//! let stored = master.seal_to(&public_key, &place, rng);
//! let tag = master.authenticate_method(&account, &place.method, MethodKind::Password, &public_key);
//!
//! // Sign in: two proofs, then the server hands out the sealed master key, and only the client opens it.
//! let (login, request) = Login::start(&password, rng)?;
//! let (state, response) = setup.login_start(Some(&record), credential.as_bytes(), &request, rng)?;
//! let signed_in = login.finish(&response, KdfParams::default(), rng)?;
//! assert_eq!(state.finish(&signed_in.finalization)?, signed_in.session_key);
//! let master = stored.open(&signed_in.secret.key_pair(), &place)?;
//! master.verify_method(&account, &place.method, MethodKind::Password, &public_key, &tag)?;
//!
//! // A collection, and an item in it, found by its name.
//! let collection = CollectionId::from([3; 16]);
//! let key = CollectionKey::generate(rng);
//! let key_place = CollectionKeyPlace { account, collection, generation: 1, key_version: 1 };
//! let sealed_key = key.seal(&master.account_key(), &key_place, rng);
//! let item = key.item_id_for_name("notes/today.md");
//! let content_place = ItemPlace { owner: account.into(), collection, version: 1 };
//! let sealed = key.item_key(&item).seal(b"buy milk", &content_place, rng);
//!
//! let key = CollectionKey::open(&master.account_key(), &sealed_key, &key_place)?;
//! let content = key.item_key(&item).open(&sealed, &content_place)?;
//! assert_eq!(content.as_slice(), b"buy milk");
//! # Ok(())
//! # }
//! ```

pub mod address;
pub mod api_key;
pub mod authorship;
mod base62;
pub mod codes;
pub mod collection;
mod crockford;
pub mod email;
pub mod file;
pub mod generations;
pub mod grant;
mod hybrid;
mod id;
pub mod identity;
mod kdf;
pub mod master;
pub mod method;
pub mod pairing;
pub mod passkey;
pub mod password;
mod random;
pub mod recovery;
pub mod sealed;
mod secret;
mod spake2;
pub mod split;
pub mod tenant_collection;

pub use address::AddressSeal;
pub use api_key::{ApiKey, ApiKeyAuth, ApiKeyId, ApiKeyUnlock};
pub use authorship::{Authorship, AuthorshipPlace};
pub use codes::{AccountNumber, BackupCode};
pub use collection::{CollectionKey, CollectionKeyPlace, ItemKey, ItemPlace};
pub use email::{BlindIndex, Email, EmailHash, EmailKey, EmailSalt, Pepper};
pub use generations::{CollectionKeys, CollectionPlace, FormerKey};
pub use grant::{Grant, GrantPlace};
pub use id::{AccountId, CollectionId, DeviceId, FileId, ItemId, MethodId, Owner, TenantId};
pub use identity::{
    AccountKey, Fingerprint, FormerAccountKeyPlace, IdentityKeys, IdentityPublicKeys, IdentityRotation,
    keys_subject,
};
pub use kdf::{KdfError, KdfParams};
pub use master::{MasterKey, MasterKeyPlace, MethodTag, SealedMasterKey};
pub use method::{Lookup, MethodKeyPair, MethodKind, MethodPublicKey, MethodSalt, MethodSecret};
pub use passkey::UserHandle;
pub use password::Password;
pub use rand_core::CryptoRng;
pub use random::SystemRng;
pub use recovery::RecoveryKey;
pub use sealed::{OpenError, Sealed};
pub use split::{LocalHalf, ServerHalf, SplitKey};
pub use tenant_collection::{Founding, ItemContent, Protection};
