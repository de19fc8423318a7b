// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A tenant's own policies, version by version. The newest decides; none is ever changed or taken away, and to go back to one is a
//! new version that says which.
//!
//! Their text stands in plain, as what roles may does: every decision needs it, and no decision opens the tenant's keys. So it
//! names people by their ids. What is noted beside it is people's own words, and sealed.

use custody::TenantKeys;
use store::{ReadTx, WriteTx, params};

use crate::standing::Stamp;
use crate::tenancy::{Name, Tenancy, TenancyError};

/// How many versions a tenant's policies have at most.
pub const MAX_VERSIONS: u64 = 10_000;

/// A version of a tenant's policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyVersion {
    /// Its number, from 1. 0 is what every tenant begins with: no policies of its own.
    pub number: u64,
    /// The policies, in Cedar's language.
    pub text: String,
    /// Who put it, as records name them; `None` for version 0.
    pub author: Option<String>,
    /// What they noted.
    pub note: Option<Name>,
    /// The version that it brought back.
    pub restores: Option<u64>,
    /// Since when, in Unix milliseconds; `None` for version 0.
    pub created_at: Option<i64>,
}

/// A version to be put.
#[derive(Clone, Copy, Debug)]
pub struct NewPolicies<'a> {
    /// The policies. They were found to fit: [`Policies::with_tenant`](crate::Policies::with_tenant).
    pub text: &'a str,
    /// Who puts them, as records name them.
    pub author: &'a str,
    /// What they note.
    pub note: Option<&'a Name>,
    /// The version that this brings back.
    pub restores: Option<u64>,
    /// The version that it follows: what its author knows to be the newest.
    pub after: u64,
}

type Row = (i64, String, String, Vec<u8>, Option<i64>, i64);

impl Tenancy {
    /// The policies that decide now.
    pub async fn policies(&self, tx: &mut ReadTx) -> Result<PolicyVersion, TenancyError> {
        let keys = self.keys(tx).await?;
        let row: Option<Row> = tx
            .query_opt(
                "SELECT number, text, author, sealed_note, restores, created_at FROM policy_version \
                 ORDER BY number DESC LIMIT 1",
                params![],
            )
            .await?;
        row.map_or_else(|| Ok(PolicyVersion::none()), |row| PolicyVersion::open(&keys, row))
    }

    /// One version.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn policy_version(&self, tx: &mut ReadTx, number: u64) -> Result<PolicyVersion, TenancyError> {
        if number == 0 {
            return Ok(PolicyVersion::none());
        }
        let keys = self.keys(tx).await?;
        let row: Option<Row> = tx
            .query_opt(
                "SELECT number, text, author, sealed_note, restores, created_at FROM policy_version WHERE number = $1",
                params![i64::try_from(number).map_err(|_| TenancyError::NotFound)?],
            )
            .await?;
        PolicyVersion::open(&keys, row.ok_or(TenancyError::NotFound)?)
    }

    /// The versions before `before` (all, if `None`), the newest first, at most `limit` (1 to 200); without their texts. And
    /// whether there are more.
    pub async fn policy_versions(
        &self,
        tx: &mut ReadTx,
        before: Option<u64>,
        limit: u32,
    ) -> Result<(Vec<PolicyVersion>, bool), TenancyError> {
        let keys = self.keys(tx).await?;
        let limit = limit.clamp(1, super::MAX_PAGE);
        let before = before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
        let rows: Vec<Row> = tx
            .query(
                "SELECT number, '', author, sealed_note, restores, created_at FROM policy_version \
                 WHERE number < $1 ORDER BY number DESC LIMIT $2",
                params![before, i64::from(limit) + 1],
            )
            .await?;
        let more = rows.len() > limit as usize;
        let versions = rows.into_iter().take(limit as usize).map(|row| PolicyVersion::open(&keys, row));
        Ok((versions.collect::<Result<_, _>>()?, more))
    }

    /// Puts the next version: from this transaction on it decides, on every server.
    ///
    /// # Errors
    /// [`TenancyError::Outdated`] when another version was put meanwhile, [`TenancyError::TooMany`].
    pub async fn put_policies(
        &self,
        tx: &mut WriteTx,
        new: NewPolicies<'_>,
    ) -> Result<PolicyVersion, TenancyError> {
        // First: it holds off whoever else puts one.
        Stamp::Policies.renew(tx).await?;
        let newest = newest(tx).await?;
        if newest != new.after {
            return Err(TenancyError::Outdated { newest });
        }
        if newest >= MAX_VERSIONS {
            return Err(TenancyError::TooMany("a tenant's policies have at most 10,000 versions"));
        }
        let (number, now) = (newest + 1, tx.now());
        let row = i64::try_from(number).unwrap_or(i64::MAX);
        let note = new.note.map_or("", Name::as_str);
        let sealed = self.keys(tx).await?.seal(NOTE, &[number.to_be_bytes().as_slice()], note.as_bytes());
        tx.execute(
            "INSERT INTO policy_version (number, text, author, sealed_note, restores, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            params![
                row,
                new.text,
                new.author,
                &sealed,
                new.restores.and_then(|of| i64::try_from(of).ok()),
                now
            ],
        )
        .await?;
        Ok(PolicyVersion {
            number,
            text: new.text.to_owned(),
            author: Some(new.author.to_owned()),
            note: new.note.cloned(),
            restores: new.restores,
            created_at: Some(now),
        })
    }
}

impl PolicyVersion {
    /// What every tenant begins with.
    fn none() -> Self {
        PolicyVersion {
            number: 0,
            text: String::new(),
            author: None,
            note: None,
            restores: None,
            created_at: None,
        }
    }

    fn open(
        keys: &TenantKeys,
        (number, text, author, sealed, restores, created_at): Row,
    ) -> Result<Self, TenancyError> {
        let unreadable = |error: &dyn std::fmt::Display| TenancyError::Unreadable(error.to_string());
        let count = |number: i64| u64::try_from(number).map_err(|error| unreadable(&error));
        let number = count(number)?;
        let opened = keys
            .open(NOTE, &[number.to_be_bytes().as_slice()], &sealed)
            .map_err(|error| unreadable(&error))?;
        let note = String::from_utf8(opened.to_vec()).map_err(|error| unreadable(&error))?;
        Ok(PolicyVersion {
            number,
            text,
            author: Some(author),
            note: if note.is_empty() { None } else { Some(Name::new(note)?) },
            restores: restores.map(count).transpose()?,
            created_at: Some(created_at),
        })
    }
}

async fn newest(tx: &mut ReadTx) -> Result<u64, TenancyError> {
    let newest: Option<(i64,)> =
        tx.query_opt("SELECT number FROM policy_version ORDER BY number DESC LIMIT 1", params![]).await?;
    Ok(newest.map_or(0, |(number,)| u64::try_from(number).unwrap_or(0)))
}

const NOTE: &str = "access/policy-note";
