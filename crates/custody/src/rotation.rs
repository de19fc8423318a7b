// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Another root key for what is sealed already.
//!
//! 1. Where each server has a file of its own, [`crate::RootKeys::add`] puts a new key into one that opens and does not
//!    seal; bring that file to all of them.
//! 2. [`crate::RootKeys::switch`] puts it first; where all share one file, [`crate::RootKeys::renew`] does both at once.
//! 3. Call [`Custody::rotate_root`] in a transaction of each tenant, the platform among them. Running servers read the
//!    file again when they meet the new key, and at each [`Custody::reload_root`].
//! 4. When [`Custody::root_status`] reports no rows under older keys anywhere, after every server has read the file,
//!    the older lines may leave it.
//!
//! Each call is whole in itself, so an interruption costs nothing: go on with the tenants, in any order.

use store::{ReadTx, TenantId, WriteTx, params};

use crate::server_secret::SERVER_SECRET;
use crate::tenant::TENANT_KEY;
use crate::{Custody, KeyError};

/// How far the change of the root key is, in one tenant's database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RootStatus {
    /// Keys and secrets sealed under the newest root key.
    pub current: u64,
    /// Those still under an older one, or under one that this server does not have.
    pub older: u64,
}

impl Custody {
    /// Seals the keys in this transaction's database anew, under the newest root key: the tenant's and, in the
    /// platform's, the server's secrets. Returns how many changed; none means there is nothing to commit.
    ///
    /// # Errors
    /// [`KeyError::WrongRoot`] when a row needs a root key that was not given; nothing of the transaction should be
    /// committed then.
    pub async fn rotate_root(&self, tx: &mut WriteTx) -> Result<u64, KeyError> {
        let mut changed = self.rotate_tenant_keys(tx).await?;
        if tx.tenant() == TenantId::PLATFORM {
            changed += self.rotate_server_secrets(tx).await?;
        }
        Ok(changed)
    }

    /// How many of the keys in this transaction's database are under the newest root key.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn root_status(&self, tx: &mut ReadTx) -> Result<RootStatus, KeyError> {
        let mut used: Vec<(String,)> =
            tx.query("SELECT root_key_id FROM tenant_key WHERE sealed IS NOT NULL", params![]).await?;
        if tx.tenant() == TenantId::PLATFORM {
            used.extend(tx.query::<(String,)>("SELECT root_key_id FROM server_secret", params![]).await?);
        }
        let mut status = RootStatus::default();
        for (id,) in used {
            if id == self.root_key_id().as_str() { status.current += 1 } else { status.older += 1 }
        }
        Ok(status)
    }

    async fn rotate_tenant_keys(&self, tx: &mut WriteTx) -> Result<u64, KeyError> {
        let keys = self.root.keys();
        let root = keys.current();
        let rows: Vec<(i64, String, Vec<u8>)> = tx
            .query(
                "SELECT version, root_key_id, sealed FROM tenant_key
                 WHERE sealed IS NOT NULL AND root_key_id <> $1",
                params![root.id().as_str()],
            )
            .await?;
        let tenant = tx.tenant();
        let mut changed = 0;
        for (version, old, sealed) in rows {
            let place: [&[u8]; 2] = [tenant.as_bytes(), &version.to_be_bytes()];
            let key = self.root.open(&old, "tenant's key", TENANT_KEY, &place, &sealed)?;
            let sealed = root.seal(TENANT_KEY, &place, &key);
            changed += tx
                .execute(
                    "UPDATE tenant_key SET root_key_id = $1, sealed = $2
                     WHERE version = $3 AND root_key_id = $4 AND sealed IS NOT NULL",
                    params![root.id().as_str(), &sealed, version, &old],
                )
                .await?;
        }
        Ok(changed)
    }

    async fn rotate_server_secrets(&self, tx: &mut WriteTx) -> Result<u64, KeyError> {
        let keys = self.root.keys();
        let root = keys.current();
        let rows: Vec<(String, i64, String, Vec<u8>)> = tx
            .query(
                "SELECT name, version, root_key_id, sealed FROM server_secret WHERE root_key_id <> $1",
                params![root.id().as_str()],
            )
            .await?;
        let mut changed = 0;
        for (name, version, old, sealed) in rows {
            let place: [&[u8]; 2] = [name.as_bytes(), &version.to_be_bytes()];
            let secret = self.root.open(&old, "secret of the server", SERVER_SECRET, &place, &sealed)?;
            let sealed = root.seal(SERVER_SECRET, &place, &secret);
            changed += tx
                .execute(
                    "UPDATE server_secret SET root_key_id = $1, sealed = $2
                     WHERE name = $3 AND version = $4 AND root_key_id = $5",
                    params![root.id().as_str(), &sealed, &name, version, &old],
                )
                .await?;
        }
        Ok(changed)
    }
}
