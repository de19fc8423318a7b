// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The key directory: the public identity keys of every account, each version a record of the platform's log.
//!
//! What the log says of keys is its record's subject ([`keys_subject`]): account, version, and the hash of the keys. So a
//! client that checks the record against a signed checkpoint knows that everybody is shown the same keys; and that they
//! follow each other it knows from the statements ([`keyring::IdentityRotation`]), which the old keys signed.
//!
//! A version is published after the home has it. Before that the directory notes that it is due ([`Identity::expect_keys`]), so
//! that upkeep finds what a crash in between left without visiting every home. Until then nothing is shared with keys
//! that are not there yet.

use keyring::{AccountNumber, IdentityPublicKeys, keys_subject};
use store::{ReadTx, RecordId, TenantId, WriteTx, params};
use uuid::Uuid;

use crate::AccountId;
use crate::failure::Failure;
use crate::service::{Identity, in_directory};

/// An account, as others may know it.
#[derive(Clone, Debug)]
pub struct PublishedAccount {
    /// The account.
    pub id: AccountId,
    /// Its home.
    pub home: TenantId,
    /// Its number.
    pub number: AccountNumber,
    /// Its keys, the first version first.
    pub keys: Vec<PublishedKeys>,
}

/// One version of an account's public keys.
#[derive(Clone, Debug)]
pub struct PublishedKeys {
    /// Counts master keys, from 1.
    pub key_version: u32,
    /// The public identity keys.
    pub keys: Vec<u8>,
    /// What the keys before it signed; none for the first.
    pub statement: Option<Vec<u8>>,
    /// The record in the platform's log.
    pub record: RecordId,
}

/// Keys that an account's home has, or is about to have, and that are not published.
#[derive(Clone, Copy, Debug)]
pub struct DueKeys {
    /// The account.
    pub account: AccountId,
    /// Its home.
    pub home: TenantId,
}

impl Identity {
    /// Notes that this version of an account's keys is to be published, before its home has it. In the directory.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn expect_keys(
        &self,
        tx: &mut WriteTx,
        account: AccountId,
        home: TenantId,
        key_version: u32,
    ) -> Result<(), Failure> {
        in_directory(tx)?;
        let now = tx.now();
        tx.execute("DELETE FROM keys_due WHERE account = $1", params![account.uuid()]).await?;
        tx.execute(
            "INSERT INTO keys_due (account, home, key_version, since) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING",
            params![account.uuid(), home.uuid(), i64::from(key_version), now],
        )
        .await?;
        Ok(())
    }

    /// Keys that are due, the oldest first. In a view of the directory.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn due_keys(&self, tx: &mut ReadTx, limit: u32) -> Result<Vec<DueKeys>, Failure> {
        in_directory(tx)?;
        let rows: Vec<(Uuid, Uuid)> = tx
            .query("SELECT account, home FROM keys_due ORDER BY since LIMIT $1", params![i64::from(limit)])
            .await?;
        let due = |(account, home)| DueKeys {
            account: AccountId::from_uuid(account),
            home: TenantId::from_uuid(home),
        };
        Ok(rows.into_iter().map(due).collect())
    }

    /// Notes that an account's keys are published as far as its home has them: what was due and is there, or never came,
    /// is no longer. In the directory. Whether anything changed.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn settle_keys(&self, tx: &mut WriteTx, account: AccountId) -> Result<bool, Failure> {
        in_directory(tx)?;
        let given_up = tx.now().saturating_sub(NEVER_CAME_MS);
        let settled = tx
            .execute(
                "DELETE FROM keys_due WHERE account = $1 AND (since < $2 OR key_version <=
                 (SELECT coalesce(max(key_version), 0) FROM account_keys WHERE account_keys.account = $1))",
                params![account.uuid(), given_up],
            )
            .await?;
        Ok(settled > 0)
    }

    /// Publishes a version of an account's keys. In the directory; commit with a record about what it returns. `None`
    /// when that version is there already.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn publish_keys(
        &self,
        tx: &mut WriteTx,
        account: AccountId,
        key_version: u32,
        keys: &IdentityPublicKeys,
        statement: Option<&[u8]>,
    ) -> Result<Option<String>, Failure> {
        in_directory(tx)?;
        let record = tx.record_id();
        let inserted = tx
            .execute(
                "INSERT INTO account_keys (account, key_version, public_keys, statement, record)
                 VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT DO NOTHING",
                params![account.uuid(), i64::from(key_version), &keys.to_bytes(), statement, &record],
            )
            .await?;
        Ok((inserted == 1).then(|| keys_subject(&account.into(), key_version, keys)))
    }

    /// What the account's home says of rotations of its keys, for [`publish_keys`](Self::publish_keys). In the home.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn key_rotations(
        &self,
        tx: &mut ReadTx,
        after: u32,
    ) -> Result<Vec<(u32, keyring::IdentityRotation)>, Failure> {
        let rows: Vec<(i64, Vec<u8>)> = tx
            .query(
                "SELECT key_version, statement FROM identity_rotation WHERE key_version > $1 ORDER BY key_version",
                params![i64::from(after)],
            )
            .await?;
        let damaged = || Failure::Damaged("identity rotation");
        let read = |(version, statement): (i64, Vec<u8>)| {
            let version = u32::try_from(version).map_err(|_| damaged())?;
            Ok((version, keyring::IdentityRotation::from_bytes(&statement).map_err(|_| damaged())?))
        };
        rows.into_iter().map(read).collect()
    }

    /// The newest version of an account's keys that is published; 0 when none is. In the directory.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn newest_published(&self, tx: &mut ReadTx, account: AccountId) -> Result<u32, Failure> {
        in_directory(tx)?;
        let (newest,): (i64,) = tx
            .query_one(
                "SELECT coalesce(max(key_version), 0) FROM account_keys WHERE account = $1",
                params![account.uuid()],
            )
            .await?;
        u32::try_from(newest).map_err(|_| Failure::Damaged("published keys"))
    }

    /// The public keys of one version of an account's. In a view of the directory.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn published_keys(
        &self,
        tx: &mut ReadTx,
        account: AccountId,
        key_version: u32,
    ) -> Result<Option<IdentityPublicKeys>, Failure> {
        in_directory(tx)?;
        let row: Option<(Vec<u8>,)> = tx
            .query_opt(
                "SELECT public_keys FROM account_keys WHERE account = $1 AND key_version = $2",
                params![account.uuid(), i64::from(key_version)],
            )
            .await?;
        let read = |(keys,): (Vec<u8>,)| {
            IdentityPublicKeys::from_bytes(&keys).map_err(|_| Failure::Damaged("published keys"))
        };
        row.map(read).transpose()
    }

    /// The live account of this number, with its keys. In a view of the directory.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn published_account(
        &self,
        tx: &mut ReadTx,
        number: &AccountNumber,
    ) -> Result<Option<PublishedAccount>, Failure> {
        in_directory(tx)?;
        let row: Option<(Uuid, Uuid)> = tx
            .query_opt(
                "SELECT account, home FROM account_directory WHERE account_number = $1 AND state = 'live'",
                params![number.as_str()],
            )
            .await?;
        let Some((account, home)) = row else { return Ok(None) };
        self.with_keys(tx, account, home, *number).await.map(Some)
    }

    /// An account with its keys, also one that is gone: what it wrote in other people's collections stays signed. In a view of
    /// the directory.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn published_account_of(
        &self,
        tx: &mut ReadTx,
        account: AccountId,
    ) -> Result<Option<PublishedAccount>, Failure> {
        in_directory(tx)?;
        let row: Option<(Uuid, String)> = tx
            .query_opt(
                "SELECT home, account_number FROM account_directory WHERE account = $1 AND state <> 'founding'",
                params![account.uuid()],
            )
            .await?;
        let Some((home, number)) = row else { return Ok(None) };
        let number = AccountNumber::parse(&number).map_err(|_| Failure::Damaged("account number"))?;
        self.with_keys(tx, *account.uuid(), home, number).await.map(Some)
    }

    async fn with_keys(
        &self,
        tx: &mut ReadTx,
        account: Uuid,
        home: Uuid,
        number: AccountNumber,
    ) -> Result<PublishedAccount, Failure> {
        let rows: Vec<PublishedRow> = tx
            .query(
                "SELECT key_version, public_keys, statement, record FROM account_keys
                 WHERE account = $1 ORDER BY key_version",
                params![&account],
            )
            .await?;
        let read = |(key_version, keys, statement, record)| {
            let key_version = u32::try_from(key_version).map_err(|_| Failure::Damaged("published keys"))?;
            Ok(PublishedKeys { key_version, keys, statement, record })
        };
        Ok(PublishedAccount {
            id: AccountId::from_uuid(account),
            home: TenantId::from_uuid(home),
            number,
            keys: rows.into_iter().map(read).collect::<Result<_, Failure>>()?,
        })
    }

    /// Where a live account has its home. In a view of the directory.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn home_of(&self, tx: &mut ReadTx, account: AccountId) -> Result<Option<TenantId>, Failure> {
        in_directory(tx)?;
        let row: Option<(Uuid,)> = tx
            .query_opt(
                "SELECT home FROM account_directory WHERE account = $1 AND state = 'live'",
                params![account.uuid()],
            )
            .await?;
        Ok(row.map(|(home,)| TenantId::from_uuid(home)))
    }

    /// The number of a live account. In a view of the directory.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn account_number(
        &self,
        tx: &mut ReadTx,
        account: AccountId,
    ) -> Result<Option<AccountNumber>, Failure> {
        in_directory(tx)?;
        let row: Option<(String,)> = tx
            .query_opt(
                "SELECT account_number FROM account_directory WHERE account = $1 AND state = 'live'",
                params![account.uuid()],
            )
            .await?;
        let read = |(number,): (String,)| {
            AccountNumber::parse(&number).map_err(|_| Failure::Damaged("account number"))
        };
        row.map(read).transpose()
    }
}

/// Version, keys, statement of the rotation, and the record in the platform's log.
type PublishedRow = (i64, Vec<u8>, Option<Vec<u8>>, Uuid);

/// A rotation that was announced that long ago, in milliseconds, will not come any more.
const NEVER_CAME_MS: i64 = 15 * 60_000;
