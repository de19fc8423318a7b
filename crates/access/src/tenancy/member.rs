// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Members: accounts that are in a tenant.
//!
//! The member's row decides; the membership in the directory only says where to look. So they are written in this order: to
//! join, the member and then the membership; to go, the same. What a crash leaves in between is a member who does not find the
//! tenant listed yet, or a membership that leads nowhere; doing it again mends both.

use std::fmt;
use std::str::FromStr;

use custody::TenantKeys;
use store::{ReadTx, TenantId, WriteTx, params};
use uuid::Uuid;

use crate::standing::Stamp;
use crate::tenancy::role::require_another_owner;
use crate::tenancy::{Name, Tenancy, TenancyError};

/// How many members a tenant has at most.
pub const MAX_MEMBERS: i64 = 100_000;
/// How many members, devices or grants a page has at most.
pub const MAX_PAGE: u32 = 200;

/// How a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberState {
    /// In the tenant.
    Live,
    /// Suspended: may do nothing in it.
    Suspended,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The account.
    pub account: Uuid,
    /// Its home.
    pub home: TenantId,
    /// How the member is.
    pub state: MemberState,
    /// How the tenant's people see them.
    pub label: Name,
    /// Since when, in Unix milliseconds.
    pub joined_at: i64,
}

impl MemberState {
    /// The state as it is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Suspended => "suspended",
        }
    }
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for MemberState {
    type Err = TenancyError;

    fn from_str(name: &str) -> Result<Self, TenancyError> {
        [Self::Live, Self::Suspended]
            .into_iter()
            .find(|state| state.name() == name)
            .ok_or_else(|| TenancyError::Unreadable("a member's state".to_owned()))
    }
}

type Row = (Uuid, TenantId, String, Vec<u8>, i64);

impl Tenancy {
    /// The members after `after`, by account, at most `limit` (1 to [`MAX_PAGE`]), and whether there are more.
    pub async fn members(
        &self,
        tx: &mut ReadTx,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<(Vec<Member>, bool), TenancyError> {
        let keys = self.keys(tx).await?;
        let (after, limit) = (after.unwrap_or(Uuid::nil()), limit.clamp(1, MAX_PAGE));
        let rows: Vec<Row> = tx
            .query(
                "SELECT account, home, state, sealed_label, joined_at FROM member \
                 WHERE account > $1 ORDER BY account LIMIT $2",
                params![&after, i64::from(limit) + 1],
            )
            .await?;
        let more = rows.len() > limit as usize;
        let members = rows.into_iter().take(limit as usize).map(|row| Member::open(&keys, row));
        Ok((members.collect::<Result<_, _>>()?, more))
    }

    /// The accounts of the members after `after`, by id, at most `limit`: what the server's own upkeep compares.
    pub async fn member_accounts(
        &self,
        tx: &mut ReadTx,
        after: Uuid,
        limit: u32,
    ) -> Result<Vec<Uuid>, TenancyError> {
        let rows: Vec<(Uuid,)> = tx
            .query(
                "SELECT account FROM member WHERE account > $1 ORDER BY account LIMIT $2",
                params![&after, i64::from(limit)],
            )
            .await?;
        Ok(rows.into_iter().map(|(account,)| account).collect())
    }

    /// One member.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn member(&self, tx: &mut ReadTx, account: Uuid) -> Result<Member, TenancyError> {
        let keys = self.keys(tx).await?;
        let row: Option<Row> = tx
            .query_opt(
                "SELECT account, home, state, sealed_label, joined_at FROM member WHERE account = $1",
                params![&account],
            )
            .await?;
        Member::open(&keys, row.ok_or(TenancyError::NotFound)?)
    }

    /// Makes an account a member.
    ///
    /// # Errors
    /// [`TenancyError::Exists`] for who is one, [`TenancyError::TooMany`].
    pub async fn add_member(
        &self,
        tx: &mut WriteTx,
        account: Uuid,
        home: TenantId,
        label: &Name,
    ) -> Result<(), TenancyError> {
        Stamp::People.renew(tx).await?;
        let (count,): (i64,) = tx.query_one("SELECT count(*) FROM member", params![]).await?;
        if count >= MAX_MEMBERS {
            return Err(TenancyError::TooMany("a tenant has at most 100,000 members"));
        }
        let keys = self.keys(tx).await?;
        insert_member(tx, &keys, account, home, label).await
    }

    /// Suspends a member at once, or ends that.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`], [`TenancyError::LastOwner`].
    pub async fn set_member_state(
        &self,
        tx: &mut WriteTx,
        account: Uuid,
        state: MemberState,
    ) -> Result<(), TenancyError> {
        Stamp::People.renew(tx).await?;
        if state == MemberState::Suspended {
            require_another_owner(tx, account).await?;
        }
        let now = tx.now();
        let changed = tx
            .execute(
                "UPDATE member SET state = $2, changed_at = $3 WHERE account = $1",
                params![&account, state.name(), now],
            )
            .await?;
        if changed == 1 { Ok(()) } else { Err(TenancyError::NotFound) }
    }

    /// Suspends a member at once who is not suspended. `false` for who is, or is no member: whoever suspended them ends that.
    ///
    /// # Errors
    /// [`TenancyError::LastOwner`].
    pub async fn suspend_if_live(&self, tx: &mut WriteTx, account: Uuid) -> Result<bool, TenancyError> {
        Stamp::People.renew(tx).await?;
        require_another_owner(tx, account).await?;
        let now = tx.now();
        let changed = tx
            .execute(
                "UPDATE member SET state = 'suspended', changed_at = $2 WHERE account = $1 AND state = 'live'",
                params![&account, now],
            )
            .await?;
        Ok(changed == 1)
    }

    /// Ends a suspension that began at this time. `false` when there is none: it ended, or somebody has suspended them since.
    pub async fn resume_suspended_at(
        &self,
        tx: &mut WriteTx,
        account: Uuid,
        suspended_at: i64,
    ) -> Result<bool, TenancyError> {
        Stamp::People.renew(tx).await?;
        let now = tx.now();
        let changed = tx
            .execute(
                "UPDATE member SET state = 'live', changed_at = $3 \
                 WHERE account = $1 AND state = 'suspended' AND changed_at = $2",
                params![&account, suspended_at, now],
            )
            .await?;
        Ok(changed == 1)
    }

    /// Changes how the tenant's people see a member. Since when they are as they are stays.
    pub async fn label_member(
        &self,
        tx: &mut WriteTx,
        account: Uuid,
        label: &Name,
    ) -> Result<(), TenancyError> {
        let sealed = label.seal(&self.keys(tx).await?, account);
        let changed = tx
            .execute("UPDATE member SET sealed_label = $2 WHERE account = $1", params![&account, &sealed])
            .await?;
        if changed == 1 { Ok(()) } else { Err(TenancyError::NotFound) }
    }

    /// Takes a member out at once, with their roles and their places in teams.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`], [`TenancyError::LastOwner`].
    pub async fn remove_member(&self, tx: &mut WriteTx, account: Uuid) -> Result<(), TenancyError> {
        Stamp::People.renew(tx).await?;
        require_another_owner(tx, account).await?;
        if tx.execute("DELETE FROM member WHERE account = $1", params![&account]).await? == 0 {
            return Err(TenancyError::NotFound);
        }
        tx.execute("DELETE FROM role_grant WHERE holder = $1", params![&account]).await?;
        tx.execute("DELETE FROM team_member WHERE account = $1", params![&account]).await?;
        Ok(())
    }
}

impl Member {
    fn open(keys: &TenantKeys, (account, home, state, sealed, joined_at): Row) -> Result<Self, TenancyError> {
        let label = Name::open(keys, account, &sealed)?;
        Ok(Member { account, home, state: state.parse()?, label, joined_at })
    }
}

pub(super) async fn insert_member(
    tx: &mut WriteTx,
    keys: &TenantKeys,
    account: Uuid,
    home: TenantId,
    label: &Name,
) -> Result<(), TenancyError> {
    let (sealed, now) = (label.seal(keys, account), tx.now());
    let inserted = tx
        .execute(
            "INSERT INTO member (account, home, state, sealed_label, joined_at, changed_at) \
             VALUES ($1, $2, 'live', $3, $4, $4) ON CONFLICT DO NOTHING",
            params![&account, &home, &sealed, now],
        )
        .await?;
    if inserted == 1 { Ok(()) } else { Err(TenancyError::Exists("this account is a member already")) }
}
