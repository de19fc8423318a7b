// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Keys of one person's data, so that it can be erased where rows must stay.

use store::{ReadTx, TenantId, WriteTx, params};
use zeroize::Zeroizing;

use crate::key::Key;
use crate::sealed::{self, SealError};
use crate::{Custody, KeyError, TenantKeys};

/// The key of one subject for one purpose within one tenant.
pub struct SubjectKey {
    tenant: TenantId,
    subject: Vec<u8>,
    purpose: &'static str,
    key: Key,
}

impl SubjectKey {
    /// Seals `plaintext` for one place; tenant, subject and purpose are bound by themselves.
    pub fn seal(&self, context: &[&[u8]], plaintext: &[u8]) -> Vec<u8> {
        sealed::seal(&self.key, self.purpose, &self.place(context), plaintext)
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// [`SealError::WrongKeyOrContext`] for another subject's or place's bytes, and for changed ones.
    pub fn open(&self, context: &[&[u8]], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        sealed::open(&self.key, self.purpose, &self.place(context), sealed)
    }

    fn place<'a>(&'a self, context: &[&'a [u8]]) -> Vec<&'a [u8]> {
        let mut place: Vec<&[u8]> = vec![self.tenant.as_bytes(), &self.subject];
        place.extend_from_slice(context);
        place
    }
}

impl Custody {
    /// A subject's key for a purpose.
    ///
    /// # Errors
    /// [`KeyError::NoKey`] when none was made, [`KeyError::Destroyed`] after [`Custody::shred`].
    pub async fn subject(
        &self,
        tx: &mut ReadTx,
        subject: &[u8],
        purpose: &'static str,
    ) -> Result<SubjectKey, KeyError> {
        let keys = self.tenant(tx).await?;
        read_subject(&keys, tx, subject, purpose).await?.ok_or(KeyError::NoKey)
    }

    /// A subject's key for a purpose, made now when there is none.
    ///
    /// # Errors
    /// [`KeyError::Destroyed`] after [`Custody::shred`]: an erased subject does not get a new key.
    pub async fn subject_or_new(
        &self,
        tx: &mut WriteTx,
        subject: &[u8],
        purpose: &'static str,
    ) -> Result<SubjectKey, KeyError> {
        let keys = self.tenant(tx).await?;
        if let Some(key) = read_subject(&keys, tx, subject, purpose).await? {
            return Ok(key);
        }
        let key = Key::random();
        let sealed = keys.seal(SUBJECT_KEY, &[subject, purpose.as_bytes()], key.expose().as_slice());
        let created_at = tx.now();
        tx.execute(
            "INSERT INTO subject_key (subject, purpose, sealed, created_at)
             VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING",
            params![subject, purpose, &sealed, created_at],
        )
        .await?;
        read_subject(&keys, tx, subject, purpose).await?.ok_or(KeyError::NoKey)
    }

    /// Erases a subject: destroys its keys, for every purpose. The rows and records that they sealed stay, and say
    /// nothing. Returns how many keys were destroyed.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn shred(&self, tx: &mut WriteTx, subject: &[u8]) -> Result<u64, KeyError> {
        let now = tx.now();
        let destroyed = tx
            .execute(
                "UPDATE subject_key SET sealed = NULL, destroyed_at = $1
                 WHERE subject = $2 AND sealed IS NOT NULL",
                params![now, subject],
            )
            .await?;
        Ok(destroyed)
    }
}

async fn read_subject(
    keys: &TenantKeys,
    tx: &mut ReadTx,
    subject: &[u8],
    purpose: &'static str,
) -> Result<Option<SubjectKey>, KeyError> {
    let row: Option<(Option<Vec<u8>>,)> = tx
        .query_opt(
            "SELECT sealed FROM subject_key WHERE subject = $1 AND purpose = $2",
            params![subject, purpose],
        )
        .await?;
    let Some((sealed,)) = row else { return Ok(None) };
    let sealed = sealed.ok_or(KeyError::Destroyed)?;
    let damaged = |source| KeyError::Damaged { what: "subject's key", source };
    let key = keys.open(SUBJECT_KEY, &[subject, purpose.as_bytes()], &sealed).map_err(damaged)?;
    let key = Key::from_slice(&key).ok_or(damaged(SealError::Truncated))?;
    Ok(Some(SubjectKey { tenant: keys.tenant(), subject: subject.to_vec(), purpose, key }))
}

const SUBJECT_KEY: &str = "custody/subject-key";
