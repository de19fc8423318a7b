// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Secrets of the whole server, made once and sealed in the platform's database.

use store::{ReadTx, WriteTx, params};
use zeroize::Zeroizing;

use crate::key::{Key, fill_random};
use crate::sealed::SealError;
use crate::state::StateSealer;
use crate::{Custody, KeyError, require_platform};

/// Keys the blind index of email addresses.
pub const PEPPER: &str = "pepper";
/// OPAQUE's `ServerSetup`: losing it invalidates every password.
pub const OPAQUE_SETUP: &str = "opaque-setup";
/// Seals the state that goes to a client between two steps.
pub const STATE_KEY: &str = "state-key";
/// The Ed25519 seed that signs the logs' checkpoints.
pub const LOG_SEED: &str = "log-seed";

impl Custody {
    /// A server-wide secret, made by `make` at its first use. In a transaction of the platform.
    ///
    /// Two servers that start at once agree: the second reads what the first stored. Use the value only after the
    /// commit, for what was rolled back was never stored. On PostgreSQL the loser of such a race may get
    /// [`store::StoreError::Conflict`] instead: begin the transaction again.
    ///
    /// # Errors
    /// [`KeyError::NotPlatform`], [`KeyError::WrongRoot`], [`KeyError::Damaged`], or the database's.
    pub async fn server_secret(
        &self,
        tx: &mut WriteTx,
        name: &str,
        make: impl FnOnce() -> Zeroizing<Vec<u8>> + Send,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        if let Some(secret) = self.find_server_secret(tx, name).await? {
            return Ok(secret);
        }
        let version = FIRST_VERSION;
        let keys = self.root.keys();
        let root = keys.current();
        let sealed = root.seal(SERVER_SECRET, &[name.as_bytes(), &version.to_be_bytes()], &make());
        let (root_key_id, created_at) = (root.id().as_str(), tx.now());
        tx.execute(
            "INSERT INTO server_secret (name, version, root_key_id, sealed, created_at)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING",
            params![name, version, root_key_id, &sealed, created_at],
        )
        .await?;
        self.find_server_secret(tx, name).await?.ok_or(KeyError::NoKey)
    }

    /// Puts a server-wide secret in the place of the one before. In a transaction of the platform.
    ///
    /// # Errors
    /// As [`Custody::server_secret`].
    pub async fn replace_server_secret(
        &self,
        tx: &mut WriteTx,
        name: &str,
        value: &[u8],
    ) -> Result<(), KeyError> {
        require_platform(tx)?;
        let (last,): (Option<i64>,) =
            tx.query_one("SELECT max(version) FROM server_secret WHERE name = $1", params![name]).await?;
        let version = last.map_or(FIRST_VERSION, |last| last + 1);
        let keys = self.root.keys();
        let root = keys.current();
        let sealed = root.seal(SERVER_SECRET, &[name.as_bytes(), &version.to_be_bytes()], value);
        let (root_key_id, now) = (root.id().as_str(), tx.now());
        // What was before it is of no use any more.
        tx.execute("DELETE FROM server_secret WHERE name = $1", params![name]).await?;
        tx.execute(
            "INSERT INTO server_secret (name, version, root_key_id, sealed, created_at)
             VALUES ($1, $2, $3, $4, $5)",
            params![name, version, root_key_id, &sealed, now],
        )
        .await?;
        Ok(())
    }

    /// A server-wide secret when it has been made.
    ///
    /// # Errors
    /// As [`Custody::server_secret`].
    pub async fn find_server_secret(
        &self,
        tx: &mut ReadTx,
        name: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
        require_platform(tx)?;
        let row: Option<(i64, String, Vec<u8>)> = tx
            .query_opt(
                "SELECT version, root_key_id, sealed FROM server_secret
                 WHERE name = $1 AND retired_at IS NULL
                 ORDER BY version DESC LIMIT 1",
                params![name],
            )
            .await?;
        let Some((version, root_key_id, sealed)) = row else { return Ok(None) };
        let place: [&[u8]; 2] = [name.as_bytes(), &version.to_be_bytes()];
        self.root.open(&root_key_id, "secret of the server", SERVER_SECRET, &place, &sealed).map(Some)
    }

    /// A server-wide secret of 32 random bytes: a seed or a key.
    ///
    /// # Errors
    /// As [`Custody::server_secret`].
    pub async fn server_seed(&self, tx: &mut WriteTx, name: &str) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let secret = self
            .server_secret(tx, name, || {
                let mut bytes = Zeroizing::new(vec![0; 32]);
                fill_random(&mut bytes);
                bytes
            })
            .await?;
        let mut seed = Zeroizing::new([0; 32]);
        if secret.len() != seed.len() {
            return Err(KeyError::Damaged { what: "secret of the server", source: SealError::Truncated });
        }
        seed.copy_from_slice(&secret);
        Ok(seed)
    }

    /// The pepper: what keys the blind index of email addresses.
    ///
    /// # Errors
    /// As [`Custody::server_secret`].
    pub async fn pepper(&self, tx: &mut WriteTx) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        self.server_seed(tx, PEPPER).await
    }

    /// What seals the state handed to clients between two steps.
    ///
    /// # Errors
    /// As [`Custody::server_secret`].
    pub async fn state_sealer(&self, tx: &mut WriteTx) -> Result<StateSealer, KeyError> {
        let seed = self.server_seed(tx, STATE_KEY).await?;
        let damaged = KeyError::Damaged { what: "secret of the server", source: SealError::Truncated };
        Key::from_slice(seed.as_slice()).map(StateSealer::new).ok_or(damaged)
    }

    /// Refuses a start when a server-wide secret is sealed under a root key that was not given.
    pub(crate) async fn require_server_secrets_open(&self, tx: &mut ReadTx) -> Result<(), KeyError> {
        let used: Vec<(String,)> =
            tx.query("SELECT DISTINCT root_key_id FROM server_secret", params![]).await?;
        self.root.keys().require(used)
    }
}

/// What a server-wide secret is sealed as, with its name and version.
pub(crate) const SERVER_SECRET: &str = "custody/server-secret";
const FIRST_VERSION: i64 = 1;
