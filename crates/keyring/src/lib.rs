// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Everything a client does with keys; pure, builds natively and for WebAssembly.

pub mod codes;
pub mod collection;
mod crockford;
pub mod email;
pub mod file;
pub mod grant;
mod hybrid;
mod id;
pub mod identity;
mod kdf;
pub mod master;
pub mod method;
pub mod password;
mod random;
pub mod sealed;
mod secret;
pub mod split;

pub use codes::{AccountNumber, BackupCode};
pub use collection::{CollectionKey, CollectionKeyPlace, ItemKey, ItemPlace};
pub use email::{BlindIndex, Email, EmailHash, EmailKey, EmailSalt, Pepper};
pub use grant::{Grant, GrantPlace};
pub use id::{AccountId, CollectionId, DeviceId, FileId, ItemId, MethodId, Owner, TenantId};
pub use identity::{AccountKey, Fingerprint, IdentityKeys, IdentityPublicKeys, IdentityRotation};
pub use kdf::{KdfError, KdfParams};
pub use master::{MasterKey, MasterKeyPlace, MethodTag, SealedMasterKey};
pub use method::{Lookup, MethodKeyPair, MethodKind, MethodPublicKey, MethodSecret};
pub use password::Password;
pub use rand_core::CryptoRng;
pub use random::SystemRng;
pub use sealed::{OpenError, Sealed};
pub use split::{LocalHalf, ServerHalf, SplitKey};
