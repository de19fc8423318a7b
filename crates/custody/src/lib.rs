// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Custody of the keys that the server itself must hold.
//!
//! What only clients may read is sealed by clients and never comes here. This room is for the rest: seeds of second
//! factors, addresses to write to, signing keys, secrets of the whole server. They are stored sealed, and what opens
//! them is kept elsewhere.
//!
//! ```text
//! root key            a file, the environment or a mounted secret; never in the database
//!  ├─ server secret   one for the whole server: pepper, OPAQUE set-up, seed of the log's signatures
//!  └─ tenant key      32 random bytes, in that tenant's own database
//!      ├─ data key    by purpose, derived and never stored
//!      └─ subject key by person and purpose, random; destroying it erases what was sealed under it
//! ```
//!
//! - [`RootKeys`] come from a file made at the first start, or from a secret text. There is no default key.
//! - [`Custody`] opens the keys below the root. Everything it stores names the root key that sealed it, so that a
//!   missing or a wrong root key is a sentence, not a puzzle.
//! - [`TenantKeys`] and [`SubjectKey`] seal and open. Both bind the purpose, the tenant and the context that the
//!   caller names: bytes copied to another row, owner or tenant do not open.
//! - [`StateSealer`] hands the server's state to a client between two steps, so that nothing is stored meanwhile.
//! - The root is rotated by putting a new key first ([`RootKeys::renew`]) and calling [`Custody::rotate_root`] for
//!   each tenant. Old keys go on opening until [`Custody::root_status`] says that nothing needs them.
//!
//! A start, in the platform's own transaction:
//!
//! ```no_run
//! # async fn start(tx: &mut store::WriteTx) -> Result<(), Box<dyn std::error::Error>> {
//! use custody::{Custody, RootKeys};
//!
//! let root = RootKeys::file("/etc/bailiwick/root.key", tx).await?;
//! let custody = Custody::open(root, tx).await?;
//! let pepper = custody.pepper(tx).await?;
//!
//! let keys = custody.tenant(tx).await?;
//! let sealed = keys.seal("totp-seed", &[b"mth_1"], b"seed");
//! assert_eq!(*keys.open("totp-seed", &[b"mth_1"], &sealed)?, b"seed");
//! # Ok(())
//! # }
//! ```

mod cache;
mod key;
mod root;
mod rotation;
mod schema;
mod sealed;
mod server_secret;
mod state;
mod subject;
mod tenant;

use std::sync::Arc;

use store::{StoreError, WriteTx};

pub use root::{LocationError, LocationWarning, RootKeyError, RootKeyId, RootKeys, check_location};
pub use rotation::RootStatus;
pub use schema::MIGRATIONS;
pub use sealed::{OVERHEAD, SealError};
pub use server_secret::{LOG_SEED, OPAQUE_SETUP, PEPPER, STATE_KEY};
pub use state::{StateError, StateSealer};
pub use subject::SubjectKey;
pub use tenant::TenantKeys;

use cache::TenantCache;
use root::LiveRoot;

/// The server's keys below the root. Cheap to clone: the clones share the root keys and the opened tenant keys.
#[derive(Clone)]
pub struct Custody {
    root: Arc<LiveRoot>,
    cache: Arc<TenantCache>,
}

impl Custody {
    /// Takes over the root keys, in a transaction of the platform.
    ///
    /// At the first start this seals the platform's own key, so that from then on another root key is recognised.
    ///
    /// # Errors
    /// [`KeyError::WrongRoot`] when the platform's keys were sealed under a root key that is not among these.
    pub async fn open(root: RootKeys, tx: &mut WriteTx) -> Result<Self, KeyError> {
        require_platform(tx)?;
        let custody =
            Self { root: Arc::new(LiveRoot::new(root)), cache: Arc::new(TenantCache::new(CACHED_TENANTS)) };
        custody.tenant_or_new(tx).await?;
        custody.require_server_secrets_open(tx).await?;
        Ok(custody)
    }

    /// The id of the root key that seals. Public: it is stored beside what it seals.
    pub fn root_key_id(&self) -> RootKeyId {
        self.root.keys().current().id().clone()
    }

    /// The ids of all root keys that are here, the sealing one first.
    pub fn root_key_ids(&self) -> Vec<RootKeyId> {
        self.root.keys().ids().cloned().collect()
    }

    /// Reads the root keys' file again, if they came from one; says whether another key seals now.
    ///
    /// # Errors
    /// When the file cannot be used. The keys that were read before go on working.
    pub fn reload_root(&self) -> Result<bool, RootKeyError> {
        self.root.reload()
    }
}

/// Why a key below the root is not to be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Sealed under a root key that this server was not given.
    #[error(
        "wrong root key: this database was sealed under the root key {needed}, which is not among those given; \
         restore it, because no other opens what is stored"
    )]
    WrongRoot {
        /// The id of the key that is needed.
        needed: String,
    },
    /// The tenant has no key yet, or the subject has none for this purpose.
    #[error("no key has been made yet")]
    NoKey,
    /// The key was destroyed, on purpose and for good.
    #[error("the key was destroyed: what it sealed cannot be read any more")]
    Destroyed,
    /// The stored key does not open in its place: the row was changed, or copied from elsewhere.
    #[error("the stored {what} does not open: its row was changed or belongs elsewhere ({source})")]
    Damaged {
        /// Which key.
        what: &'static str,
        /// How it failed.
        source: SealError,
    },
    /// A server-wide secret was asked for in a tenant's transaction.
    #[error("secrets of the server are kept in the platform's database")]
    NotPlatform,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Server-wide rows belong to the platform's database, whatever the engine would accept.
fn require_platform(tx: &store::ReadTx) -> Result<(), KeyError> {
    if tx.tenant() == store::TenantId::PLATFORM { Ok(()) } else { Err(KeyError::NotPlatform) }
}

/// How many tenants' keys stay open in memory: about 200 bytes each.
const CACHED_TENANTS: usize = 4096;
