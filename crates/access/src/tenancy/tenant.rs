// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A tenant as a whole: founded, named, suspended, deleted.
//!
//! Founding touches two places in this order: the directory says that a tenant is being founded, the tenant's own rows are
//! made in one transaction, the directory says that it is live and who is in it. What a crash leaves is a row `founding`
//! that the sweep takes away after [`FOUNDED_WITHIN_MS`], with what there is of the tenant; nobody was told of it yet.

use std::fmt;
use std::str::FromStr;

use store::{ReadTx, TenantId, WriteTx, params};
use uuid::Uuid;

use crate::caller::SignedIn;
use crate::standing::{Place, Stamp, stamp};
use crate::tenancy::member::insert_member;
use crate::tenancy::role::insert_grant;
use crate::tenancy::{HolderKind, Name, Tenancy, TenancyError};
use crate::vocabulary::BuiltInRole;

/// How many tenants an account is in at most.
pub const MAX_MEMBERSHIPS: i64 = 200;
/// How long founding may take, in milliseconds; what is not live after that is swept away.
pub const FOUNDED_WITHIN_MS: i64 = 15 * 60_000;
/// How long a deletion can be taken back, in milliseconds: 30 days.
pub const GRACE_MS: i64 = 30 * 24 * 60 * 60_000;

/// How a tenant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CustomerState {
    /// In use.
    Live,
    /// Suspended by the platform: nothing is done in it.
    Suspended,
    /// To be deleted when the time of grace is over; nothing is done in it until then.
    Closing,
    /// Deleted: its keys are destroyed.
    Gone,
}

impl CustomerState {
    /// The state as it is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Suspended => "suspended",
            Self::Closing => "closing",
            Self::Gone => "gone",
        }
    }
}

impl fmt::Display for CustomerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CustomerState {
    type Err = TenancyError;

    fn from_str(name: &str) -> Result<Self, TenancyError> {
        [Self::Live, Self::Suspended, Self::Closing, Self::Gone]
            .into_iter()
            .find(|state| state.name() == name)
            .ok_or_else(|| TenancyError::Unreadable("a tenant's state".to_owned()))
    }
}

/// A tenant to be founded.
#[derive(Clone, Debug)]
pub struct NewCustomer<'a> {
    /// Its name.
    pub name: &'a Name,
    /// Where its data is to lie: 1 to 32 of `a-z 0-9 -`.
    pub region: &'a str,
    /// Its first owner.
    pub owner: SignedIn,
    /// How the tenant's people see the owner.
    pub label: &'a Name,
}

/// A tenant as its members see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: Name,
    /// How it is.
    pub state: CustomerState,
    /// Where its data lies.
    pub region: String,
    /// Since when, in Unix milliseconds.
    pub created_at: i64,
    /// When it will be deleted, in Unix milliseconds, if it will be.
    pub delete_at: Option<i64>,
}

/// A tenant as the directory lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: TenantId,
    /// `founding`, or a [`CustomerState`].
    pub state: String,
    /// Where its data lies.
    pub region: String,
    /// Since when, in Unix milliseconds.
    pub created_at: i64,
}

impl Tenancy {
    /// Notes in the directory that a tenant is being founded.
    ///
    /// # Errors
    /// [`TenancyError::Invalid`] for the region, [`TenancyError::TooMany`].
    pub async fn announce(
        &self,
        tx: &mut WriteTx,
        tenant: TenantId,
        new: &NewCustomer<'_>,
    ) -> Result<(), TenancyError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !(1..=32).contains(&new.region.len()) || !new.region.bytes().all(allowed) {
            return Err(TenancyError::invalid("region", "1 to 32 characters of a-z, 0-9 and `-`"));
        }
        self.require_room(tx, new.owner.account).await?;
        let now = tx.now();
        tx.execute(
            "INSERT INTO customer (id, state, region, created_at, changed_at) VALUES ($1, 'founding', $2, $3, $3)",
            params![&tenant, new.region, now],
        )
        .await?;
        Ok(())
    }

    /// Makes the tenant's own rows: its keys, its state, the topmost organisation and its first owner. In the tenant that
    /// [`Access::found`](crate::Access::found) opened.
    pub async fn found(&self, tx: &mut WriteTx, new: &NewCustomer<'_>) -> Result<(), TenancyError> {
        let (root, now) = (*tx.tenant().uuid(), tx.now());
        let keys = self.custody.tenant_or_new(tx).await?;
        tx.execute(
            "INSERT INTO tenant_state \
               (one, state, region, sealed_name, created_at, changed_at, delete_at, people, places, policies) \
             VALUES (1, 'live', $1, $2, $3, $3, NULL, $4, $5, $6)",
            params![new.region, &new.name.seal(&keys, root), now, stamp(), stamp(), stamp()],
        )
        .await?;
        tx.execute(
            "INSERT INTO organisation (id, parent, sealed_name, created_at) VALUES ($1, NULL, $2, $3)",
            params![&root, &new.name.seal(&keys, root), now],
        )
        .await?;
        insert_member(tx, &keys, new.owner.account, new.owner.home, new.label).await?;
        let owner = BuiltInRole::Owner.name();
        let by = format!("acc_{}", new.owner.account.simple());
        insert_grant(tx, new.owner.account, HolderKind::Member, owner, Place::Organisation(root), &by)
            .await?;
        Ok(())
    }

    /// Notes in the directory that a tenant is live, and that its owner is in it.
    pub async fn open(&self, tx: &mut WriteTx, tenant: TenantId, owner: Uuid) -> Result<(), TenancyError> {
        self.set_listed_state(tx, tenant, CustomerState::Live.name()).await?;
        self.note_membership(tx, tenant, owner).await
    }

    /// Refuses an account that is in as many tenants as it may be. In the directory.
    ///
    /// # Errors
    /// [`TenancyError::TooMany`].
    pub async fn require_room(&self, tx: &mut ReadTx, account: Uuid) -> Result<(), TenancyError> {
        let (count,): (i64,) =
            tx.query_one("SELECT count(*) FROM membership WHERE account = $1", params![&account]).await?;
        if count >= MAX_MEMBERSHIPS {
            return Err(TenancyError::TooMany("an account is in at most 200 tenants"));
        }
        Ok(())
    }

    /// The accounts that are in a tenant as the directory has it, after `after`, by id. In the directory.
    pub async fn listed_members(
        &self,
        tx: &mut ReadTx,
        tenant: TenantId,
        after: Uuid,
        limit: u32,
    ) -> Result<Vec<Uuid>, TenancyError> {
        let rows: Vec<(Uuid,)> = tx
            .query(
                "SELECT account FROM membership WHERE customer = $1 AND account > $2 ORDER BY account LIMIT $3",
                params![&tenant, &after, i64::from(limit)],
            )
            .await?;
        Ok(rows.into_iter().map(|(account,)| account).collect())
    }

    /// Notes in the directory that a tenant is gone, and that nobody is in it.
    pub async fn note_gone(&self, tx: &mut WriteTx, tenant: TenantId) -> Result<(), TenancyError> {
        tx.execute("DELETE FROM membership WHERE customer = $1", params![&tenant]).await?;
        self.set_listed_state(tx, tenant, CustomerState::Gone.name()).await
    }

    /// Notes in the directory that an account is in a tenant.
    pub async fn note_membership(
        &self,
        tx: &mut WriteTx,
        tenant: TenantId,
        account: Uuid,
    ) -> Result<(), TenancyError> {
        let now = tx.now();
        tx.execute(
            "INSERT INTO membership (account, customer, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            params![&account, &tenant, now],
        )
        .await?;
        Ok(())
    }

    /// Forgets in the directory that an account is in a tenant.
    pub async fn forget_membership(
        &self,
        tx: &mut WriteTx,
        tenant: TenantId,
        account: Uuid,
    ) -> Result<(), TenancyError> {
        tx.execute("DELETE FROM membership WHERE account = $1 AND customer = $2", params![&account, &tenant])
            .await?;
        Ok(())
    }

    /// The tenants that an account is in, as the directory has it.
    pub async fn memberships(&self, tx: &mut ReadTx, account: Uuid) -> Result<Vec<TenantId>, TenancyError> {
        let rows: Vec<(TenantId,)> = tx
            .query(
                "SELECT m.customer FROM membership m JOIN customer c ON c.id = m.customer \
                 WHERE m.account = $1 AND c.state <> 'gone' ORDER BY m.created_at, m.customer LIMIT $2",
                params![&account, MAX_MEMBERSHIPS],
            )
            .await?;
        Ok(rows.into_iter().map(|(tenant,)| tenant).collect())
    }

    /// The customers' tenants after `after`, by id, at most `limit`. In the directory.
    pub async fn customers(
        &self,
        tx: &mut ReadTx,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<Listed>, TenancyError> {
        let after = after.unwrap_or(TenantId::PLATFORM);
        let rows: Vec<(TenantId, String, String, i64)> = tx
            .query(
                "SELECT id, state, region, created_at FROM customer WHERE id > $1 ORDER BY id LIMIT $2",
                params![&after, i64::from(limit)],
            )
            .await?;
        let listed = |(id, state, region, created_at)| Listed { id, state, region, created_at };
        Ok(rows.into_iter().map(listed).collect())
    }

    /// Tenants whose founding was begun so long ago that it will not be finished. In the directory.
    pub async fn unfinished(&self, tx: &mut ReadTx) -> Result<Vec<TenantId>, TenancyError> {
        let before = tx.now() - FOUNDED_WITHIN_MS;
        let rows: Vec<(TenantId,)> = tx
            .query(
                "SELECT id FROM customer WHERE state = 'founding' AND changed_at < $1 LIMIT 100",
                params![before],
            )
            .await?;
        Ok(rows.into_iter().map(|(tenant,)| tenant).collect())
    }

    /// Changes what the directory says of a tenant's state.
    pub async fn set_listed_state(
        &self,
        tx: &mut WriteTx,
        tenant: TenantId,
        state: &str,
    ) -> Result<(), TenancyError> {
        let now = tx.now();
        let changed = tx
            .execute(
                "UPDATE customer SET state = $2, changed_at = $3 WHERE id = $1",
                params![&tenant, state, now],
            )
            .await?;
        if changed == 1 { Ok(()) } else { Err(TenancyError::NotFound) }
    }

    /// Forgets a tenant in the directory: one that was never finished.
    pub async fn forget(&self, tx: &mut WriteTx, tenant: TenantId) -> Result<(), TenancyError> {
        tx.execute("DELETE FROM membership WHERE customer = $1", params![&tenant]).await?;
        tx.execute("DELETE FROM customer WHERE id = $1", params![&tenant]).await?;
        Ok(())
    }

    /// The tenant.
    pub async fn customer(&self, tx: &mut ReadTx) -> Result<Customer, TenancyError> {
        let keys = self.keys(tx).await?;
        let (state, region, sealed, created_at, delete_at): (String, String, Vec<u8>, i64, Option<i64>) = tx
            .query_opt(
                "SELECT state, region, sealed_name, created_at, delete_at FROM tenant_state",
                params![],
            )
            .await?
            .ok_or(TenancyError::NotFound)?;
        let id = tx.tenant();
        let name = Name::open(&keys, *id.uuid(), &sealed)?;
        Ok(Customer { id, name, state: state.parse()?, region, created_at, delete_at })
    }

    /// Gives the tenant, and with it the topmost organisation, another name.
    pub async fn rename(&self, tx: &mut WriteTx, name: &Name) -> Result<(), TenancyError> {
        let (keys, root, now) = (self.keys(tx).await?, *tx.tenant().uuid(), tx.now());
        let sealed = name.seal(&keys, root);
        tx.execute("UPDATE tenant_state SET sealed_name = $1, changed_at = $2", params![&sealed, now])
            .await?;
        tx.execute("UPDATE organisation SET sealed_name = $2 WHERE id = $1", params![&root, &sealed]).await?;
        Ok(())
    }

    /// Suspends the tenant at once: nothing is done in it, and a deletion that was begun waits. `false` when it was suspended.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`] for one that is gone.
    pub async fn suspend(&self, tx: &mut WriteTx) -> Result<bool, TenancyError> {
        match self.state(tx).await? {
            (CustomerState::Gone, _) => Err(TenancyError::NotFound),
            (CustomerState::Suspended, _) => Ok(false),
            (CustomerState::Live | CustomerState::Closing, delete_at) => {
                self.set_state(tx, CustomerState::Suspended, delete_at).await?;
                Ok(true)
            }
        }
    }

    /// Ends the suspension. A deletion that was begun before it goes on. Says how the tenant is now.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`] for one that is gone.
    pub async fn resume(&self, tx: &mut WriteTx) -> Result<CustomerState, TenancyError> {
        match self.state(tx).await? {
            (CustomerState::Gone, _) => Err(TenancyError::NotFound),
            (CustomerState::Suspended, delete_at) => {
                let state = if delete_at.is_some() { CustomerState::Closing } else { CustomerState::Live };
                self.set_state(tx, state, delete_at).await?;
                Ok(state)
            }
            (state, _) => Ok(state),
        }
    }

    /// Begins the deletion: nothing is done in the tenant any more, and after [`GRACE_MS`] it is gone. Until then that can be
    /// taken back. Says when.
    ///
    /// # Errors
    /// [`TenancyError::InUse`] while the platform has it suspended.
    pub async fn close(&self, tx: &mut WriteTx) -> Result<i64, TenancyError> {
        match self.state(tx).await? {
            (CustomerState::Gone, _) => Err(TenancyError::NotFound),
            (CustomerState::Suspended, _) => Err(SUSPENDED),
            (CustomerState::Closing, Some(delete_at)) => Ok(delete_at),
            (CustomerState::Live | CustomerState::Closing, _) => {
                let delete_at = tx.now() + GRACE_MS;
                self.set_state(tx, CustomerState::Closing, Some(delete_at)).await?;
                Ok(delete_at)
            }
        }
    }

    /// Takes a deletion back that was begun.
    ///
    /// # Errors
    /// [`TenancyError::InUse`] while the platform has it suspended.
    pub async fn reopen(&self, tx: &mut WriteTx) -> Result<(), TenancyError> {
        match self.state(tx).await? {
            (CustomerState::Gone, _) => Err(TenancyError::NotFound),
            (CustomerState::Suspended, _) => Err(SUSPENDED),
            (CustomerState::Live, _) => Ok(()),
            (CustomerState::Closing, _) => self.set_state(tx, CustomerState::Live, None).await,
        }
    }

    /// How the tenant is, and when it will be deleted. With nothing of it opened: what the server's own upkeep goes by.
    pub async fn state(&self, tx: &mut ReadTx) -> Result<(CustomerState, Option<i64>), TenancyError> {
        let (state, delete_at): (String, Option<i64>) = tx
            .query_opt("SELECT state, delete_at FROM tenant_state", params![])
            .await?
            .ok_or(TenancyError::NotFound)?;
        Ok((state.parse()?, delete_at))
    }

    async fn set_state(
        &self,
        tx: &mut WriteTx,
        state: CustomerState,
        delete_at: Option<i64>,
    ) -> Result<(), TenancyError> {
        let now = tx.now();
        tx.execute(
            "UPDATE tenant_state SET state = $1, changed_at = $2, delete_at = $3",
            params![state.name(), now, delete_at],
        )
        .await?;
        Ok(Stamp::People.renew(tx).await?)
    }

    /// Tenants whose time of grace is over by what the directory says; each itself decides. In the directory.
    pub async fn due(&self, tx: &mut ReadTx) -> Result<Vec<TenantId>, TenancyError> {
        let before = tx.now() - GRACE_MS;
        let rows: Vec<(TenantId,)> = tx
            .query(
                "SELECT id FROM customer WHERE state = 'closing' AND changed_at <= $1 LIMIT 100",
                params![before],
            )
            .await?;
        Ok(rows.into_iter().map(|(tenant,)| tenant).collect())
    }

    /// Destroys the tenant's keys, so that nothing that was sealed under them is ever read again. Its records stay, verify, and
    /// say nothing.
    ///
    /// # Errors
    /// [`TenancyError::InUse`] before the time of grace is over. Shredding twice is no error.
    pub async fn shred(&self, tx: &mut WriteTx) -> Result<(), TenancyError> {
        let (state, delete_at) = self.state(tx).await?;
        if state == CustomerState::Gone {
            return Ok(());
        }
        if state != CustomerState::Closing || delete_at.is_none_or(|at| at > tx.now()) {
            return Err(TenancyError::InUse("the time in which the deletion can be taken back is not over"));
        }
        for statement in [
            "DELETE FROM role_grant WHERE granted_at >= 0",
            "DELETE FROM team_member WHERE added_at >= 0",
            "DELETE FROM member WHERE joined_at >= 0",
            "DELETE FROM invitation_role WHERE is_device >= 0",
            "DELETE FROM invitation_use WHERE joined_at >= 0",
            "DELETE FROM invitation WHERE created_at >= 0",
        ] {
            tx.execute(statement, params![]).await?;
        }
        self.set_state(tx, CustomerState::Gone, None).await?;
        self.custody.shred_tenant(tx).await?;
        Ok(())
    }
}

const SUSPENDED: TenancyError = TenancyError::InUse("the platform has suspended this tenant");
