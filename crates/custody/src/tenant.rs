// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A tenant's key and the data keys derived from it.

use std::sync::Arc;

use store::{ReadTx, TenantId, WriteTx, params};
use zeroize::Zeroizing;

use crate::key::Key;
use crate::sealed::{self, SealError};
use crate::{Custody, KeyError};

/// A tenant's opened keys. Cheap to clone; erased when the last clone is dropped.
#[derive(Clone)]
pub struct TenantKeys {
    tenant: TenantId,
    /// The newest first: it seals, all open.
    versions: Arc<[Key]>,
}

impl TenantKeys {
    /// Whose keys these are.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Seals `plaintext` for one purpose and place. The context names the place: row, owner, version; the tenant is
    /// bound by itself.
    pub fn seal(&self, purpose: &'static str, context: &[&[u8]], plaintext: &[u8]) -> Vec<u8> {
        // A tenant without any key is never built; were it, a key that nobody has seals, and nothing leaks.
        let key = self.versions.first().map_or_else(Key::random, |key| self.data_key(key, purpose));
        sealed::seal(&key, purpose, &self.place(context), plaintext)
    }

    /// Opens what was sealed for this purpose and place.
    ///
    /// # Errors
    /// [`SealError::WrongKeyOrContext`] for another tenant's, purpose's or place's bytes, and for changed ones.
    pub fn open(
        &self,
        purpose: &'static str,
        context: &[&[u8]],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let place = self.place(context);
        let mut last = SealError::WrongKeyOrContext;
        for key in self.versions.iter() {
            match sealed::open(&self.data_key(key, purpose), purpose, &place, sealed) {
                Err(error) => last = error,
                opened => return opened,
            }
        }
        Err(last)
    }

    /// A key of 32 bytes for something other than sealing, such as a keyed hash, derived by purpose. It stays the same
    /// as long as the tenant's key does.
    pub fn derive(&self, purpose: &'static str) -> Zeroizing<[u8; 32]> {
        let key = self.versions.last().map_or_else(Key::random, |key| {
            key.derive("custody/derived", &[self.tenant.as_bytes(), purpose.as_bytes()])
        });
        Zeroizing::new(*key.expose())
    }

    /// Keys that open nothing, for tests of where keys are kept.
    #[cfg(test)]
    pub(crate) fn of_nobody(tenant: TenantId) -> Self {
        Self { tenant, versions: Arc::new([]) }
    }

    fn data_key(&self, key: &Key, purpose: &str) -> Key {
        key.derive("custody/data-key", &[self.tenant.as_bytes(), purpose.as_bytes()])
    }

    fn place<'a>(&'a self, context: &[&'a [u8]]) -> Vec<&'a [u8]> {
        let mut place: Vec<&[u8]> = Vec::with_capacity(context.len() + 1);
        place.push(self.tenant.as_bytes());
        place.extend_from_slice(context);
        place
    }
}

impl Custody {
    /// The keys of the transaction's tenant.
    ///
    /// # Errors
    /// [`KeyError::NoKey`] before [`Custody::tenant_or_new`] made one; [`KeyError::Destroyed`] after
    /// [`Custody::shred_tenant`].
    pub async fn tenant(&self, tx: &mut ReadTx) -> Result<TenantKeys, KeyError> {
        if let Some(keys) = self.cache.get(tx.tenant(), tx.now()) {
            return Ok(keys);
        }
        self.read_tenant(tx).await?.ok_or(KeyError::NoKey)
    }

    /// The keys of the transaction's tenant, made now when there are none: at the tenant's creation.
    ///
    /// # Errors
    /// [`KeyError::Destroyed`] when they were destroyed: a tenant does not get new keys after that.
    pub async fn tenant_or_new(&self, tx: &mut WriteTx) -> Result<TenantKeys, KeyError> {
        if let Some(keys) = self.cache.get(tx.tenant(), tx.now()) {
            return Ok(keys);
        }
        if let Some(keys) = self.read_tenant(tx).await? {
            return Ok(keys);
        }
        let (key, keys) = (Key::random(), self.root.keys());
        let root = keys.current();
        let version = FIRST_VERSION;
        let sealed =
            root.seal(TENANT_KEY, &[tx.tenant().as_bytes(), &version.to_be_bytes()], key.expose().as_slice());
        let (root_key_id, created_at) = (root.id().as_str(), tx.now());
        tx.execute(
            "INSERT INTO tenant_key (version, root_key_id, sealed, created_at)
             VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING",
            params![version, root_key_id, &sealed, created_at],
        )
        .await?;
        // Read back: when another server was first, its key is the one.
        self.read_tenant(tx).await?.ok_or(KeyError::NoKey)
    }

    /// Destroys the tenant's keys and its subjects' keys: everything sealed under them is unreadable for good. Other
    /// servers, and this one if the transaction began before, may hold the key for a minute more.
    ///
    /// # Errors
    /// Only those of the database. Destroying twice is no error.
    pub async fn shred_tenant(&self, tx: &mut WriteTx) -> Result<(), KeyError> {
        let now = tx.now();
        tx.execute(
            "UPDATE tenant_key SET sealed = NULL, destroyed_at = $1 WHERE sealed IS NOT NULL",
            params![now],
        )
        .await?;
        tx.execute(
            "UPDATE subject_key SET sealed = NULL, destroyed_at = $1 WHERE sealed IS NOT NULL",
            params![now],
        )
        .await?;
        self.cache.forget(tx.tenant());
        Ok(())
    }

    async fn read_tenant(&self, tx: &mut ReadTx) -> Result<Option<TenantKeys>, KeyError> {
        let rows: Vec<(i64, String, Option<Vec<u8>>, i64)> = tx
            .query(
                "SELECT version, root_key_id, sealed, created_at FROM tenant_key ORDER BY version DESC",
                params![],
            )
            .await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let tenant = tx.tenant();
        // A row with this transaction's time may be this transaction's own, and may yet be rolled back: what is
        // remembered must be committed, or something would be sealed under a key that was never stored.
        let is_settled = rows.iter().all(|(_, _, _, created_at)| *created_at != tx.now());
        let mut versions = Vec::with_capacity(rows.len());
        for (version, root_key_id, sealed, _) in rows {
            let Some(sealed) = sealed else { continue };
            let place: [&[u8]; 2] = [tenant.as_bytes(), &version.to_be_bytes()];
            let key = self.root.open(&root_key_id, "tenant's key", TENANT_KEY, &place, &sealed)?;
            versions.push(
                Key::from_slice(&key)
                    .ok_or(KeyError::Damaged { what: "tenant's key", source: SealError::Truncated })?,
            );
        }
        if versions.is_empty() {
            return Err(KeyError::Destroyed);
        }
        let keys = TenantKeys { tenant, versions: versions.into() };
        if is_settled {
            self.cache.put(keys.clone(), tx.now());
        }
        Ok(Some(keys))
    }
}

/// What a tenant's key is sealed as, with the tenant and the key's version.
pub(crate) const TENANT_KEY: &str = "custody/tenant-key";
const FIRST_VERSION: i64 = 1;
