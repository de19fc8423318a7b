// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The key directory: the public identity keys of every account, each version a record of the platform's log.
//!
//! What the log says of keys is its record's subject ([`keys_subject`]): account, version, and the hash of the keys. So a
//! client that checks the record against a signed checkpoint knows that everybody is shown the same keys; and that they
//! follow each other it knows from the statements ([`keyring::IdentityRotation`]), which the old keys signed.
//!
//! A version is published after the home has it. A crash in between leaves the directory a version behind: nothing is
//! shared with keys that are not there yet, and the next rotation publishes both.

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

impl Identity {
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
        Ok(Some(PublishedAccount {
            id: AccountId::from_uuid(account),
            home: TenantId::from_uuid(home),
            number: *number,
            keys: rows.into_iter().map(read).collect::<Result<_, Failure>>()?,
        }))
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

    /// The number of an account that is In a view of the directory.
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
