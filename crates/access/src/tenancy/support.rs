// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Support grants: a tenant lets an operator of the platform in, for a time, for a reason, to see what the grant says.
//!
//! A grant ends by itself: whoever decides asks whether it is live. It opens nothing but what support may do, to nobody but the
//! account that it names, and to that only while it holds a platform role.

use store::{ReadTx, WriteTx, params};
use uuid::Uuid;

use crate::scopes::Scopes;
use crate::tenancy::{Name, SupportGrantId, Tenancy, TenancyError};

/// The longest time that a grant lasts, in milliseconds: 30 days.
pub const MAX_SUPPORT_MS: i64 = 30 * 24 * 60 * 60_000;
/// How many grants of a tenant are live at once at most.
pub const MAX_SUPPORT_GRANTS: i64 = 50;
/// How many grants are listed, the newest first.
const LISTED: i64 = 200;

/// A support grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupportGrant {
    /// Its id.
    pub id: SupportGrantId,
    /// The operator's account.
    pub operator: Uuid,
    /// What it opens at the most.
    pub actions: Scopes,
    /// Why.
    pub reason: Name,
    /// Since when, in Unix milliseconds.
    pub granted_at: i64,
    /// Who gave it, as records name them.
    pub granted_by: String,
    /// Until when, in Unix milliseconds.
    pub ends_at: i64,
    /// When it was ended before that, in Unix milliseconds.
    pub ended_at: Option<i64>,
}

/// A grant to be given.
#[derive(Clone, Copy, Debug)]
pub struct NewSupportGrant<'a> {
    /// The operator's account.
    pub operator: Uuid,
    /// What it is to open at the most.
    pub actions: Scopes,
    /// Why.
    pub reason: &'a Name,
    /// Until when, in Unix milliseconds.
    pub ends_at: i64,
}

impl SupportGrant {
    /// Whether it opens anything at this time.
    pub fn is_live(&self, now_ms: i64) -> bool {
        self.ended_at.is_none() && now_ms < self.ends_at
    }
}

type Row = (Uuid, Uuid, String, Vec<u8>, i64, String, i64, Option<i64>);

impl Tenancy {
    /// The support grants, the newest first.
    pub async fn support_grants(&self, tx: &mut ReadTx) -> Result<Vec<SupportGrant>, TenancyError> {
        let keys = self.keys(tx).await?;
        let rows: Vec<Row> = tx
            .query(
                "SELECT id, operator, actions, sealed_reason, granted_at, granted_by, ends_at, ended_at \
                 FROM support_grant ORDER BY granted_at DESC, id LIMIT $1",
                params![LISTED],
            )
            .await?;
        let mut grants = Vec::with_capacity(rows.len());
        for (id, operator, actions, sealed, granted_at, granted_by, ends_at, ended_at) in rows {
            grants.push(SupportGrant {
                id: SupportGrantId::from_uuid(id),
                operator,
                actions: actions.split_ascii_whitespace().filter_map(|name| name.parse().ok()).collect(),
                reason: Name::open(&keys, id, &sealed)?,
                granted_at,
                granted_by,
                ends_at,
                ended_at,
            });
        }
        Ok(grants)
    }

    /// Lets an operator in.
    ///
    /// # Errors
    /// [`TenancyError::Invalid`] for an end that is past or more than [`MAX_SUPPORT_MS`] away; [`TenancyError::TooMany`].
    pub async fn give_support(
        &self,
        tx: &mut WriteTx,
        new: NewSupportGrant<'_>,
        by: &str,
    ) -> Result<SupportGrant, TenancyError> {
        let now = tx.now();
        if new.ends_at <= now || new.ends_at - now > MAX_SUPPORT_MS {
            return Err(TenancyError::invalid("ends_at", "it is in the future, and at most 30 days away"));
        }
        let (live,): (i64,) = tx
            .query_one(
                "SELECT count(*) FROM support_grant WHERE ends_at > $1 AND ended_at IS NULL",
                params![now],
            )
            .await?;
        if live >= MAX_SUPPORT_GRANTS {
            return Err(TenancyError::TooMany("at most 50 support grants are live at once"));
        }
        let id = SupportGrantId::random();
        let sealed = new.reason.seal(&self.keys(tx).await?, *id.uuid());
        tx.execute(
            "INSERT INTO support_grant \
               (id, operator, actions, sealed_reason, granted_at, granted_by, ends_at, ended_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, NULL)",
            params![&id, &new.operator, &new.actions.to_string(), &sealed, now, by, new.ends_at],
        )
        .await?;
        Ok(SupportGrant {
            id,
            operator: new.operator,
            actions: new.actions,
            reason: new.reason.clone(),
            granted_at: now,
            granted_by: by.to_owned(),
            ends_at: new.ends_at,
            ended_at: None,
        })
    }

    /// Ends a grant at once.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`] for one that is over.
    pub async fn end_support(&self, tx: &mut WriteTx, id: SupportGrantId) -> Result<(), TenancyError> {
        let now = tx.now();
        let changed = tx
            .execute(
                "UPDATE support_grant SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL AND ends_at > $2",
                params![&id, now],
            )
            .await?;
        if changed == 1 { Ok(()) } else { Err(TenancyError::NotFound) }
    }
}
