// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Members whom the tenant's own provider vouches for: joining, the roles that come with it, and that there is no other way in.
//!
//! A role that a provider gives names the member who said so, and is asked again whenever somebody comes in: who may no longer give
//! it gives it to nobody. What a provider gave it also takes away, when it no longer does; what somebody gave by hand stays.
//! Nobody becomes an owner by a provider: that takes an owner.

use store::{ReadTx, TenantId, WriteTx, params};
use uuid::Uuid;

use crate::enter::Access;
use crate::standing::{Place, Stamp};
use crate::tenancy::member::insert_member;
use crate::tenancy::role::{insert_grant, require_no_audited_owner, require_place, require_role};
use crate::tenancy::{HolderKind, MAX_GRANTS, MAX_MEMBERS, Name, NewGrant, RoleName, Tenancy, TenancyError};
use crate::vocabulary::BuiltInRole;

/// Somebody whom a provider vouches for.
#[derive(Clone, Debug)]
pub struct Provision<'a> {
    /// The account.
    pub account: Uuid,
    /// Its home.
    pub home: TenantId,
    /// How the tenant's people are to see who joins; `None` when nobody joins by this.
    pub joins_as: Option<&'a Name>,
    /// Which roles come with it.
    pub roles: &'a [ProvidedRole],
    /// Who gives them: the provider, as records name it.
    pub by: &'a str,
}

/// A role that comes with a provider's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvidedRole {
    /// The role.
    pub role: RoleName,
    /// Where.
    pub place: Place,
    /// The member who said so.
    pub author: Uuid,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provided {
    /// Whether the account is a member now.
    pub is_member: bool,
    /// Whether it was none before.
    pub joined: bool,
    /// The roles that it has now and had not.
    pub given: Vec<(RoleName, Place)>,
    /// The roles that it had by this provider and has no more.
    pub taken: Vec<(String, Place)>,
}

impl Tenancy {
    /// Whether a role may come with a provider's word, as it is written down. Who writes it must have all that it allows:
    /// [`Access::covers_all`].
    ///
    /// # Errors
    /// [`TenancyError::Invalid`] for an owner; [`TenancyError::NotFound`] for a role or a place that is not there.
    pub async fn require_providable(
        &self,
        tx: &mut ReadTx,
        role: RoleName,
        place: Place,
    ) -> Result<(), TenancyError> {
        if role == RoleName::BuiltIn(BuiltInRole::Owner) {
            return Err(TenancyError::invalid("gives", "only an owner makes an owner"));
        }
        require_role(tx, role, place).await?;
        require_place(tx, place).await
    }

    /// Makes the account a member if it joins by this, and gives and takes the roles that come with it.
    ///
    /// # Errors
    /// [`TenancyError::TooMany`].
    pub async fn provide(
        &self,
        tx: &mut WriteTx,
        access: &Access,
        provision: &Provision<'_>,
    ) -> Result<Provided, TenancyError> {
        // First: it holds off whoever takes a role away from one of the authors.
        Stamp::People.renew(tx).await?;
        let Provision { account, home, joins_as, roles, by } = *provision;
        let mut provided = Provided::default();
        let member: Option<(String,)> =
            tx.query_opt("SELECT state FROM member WHERE account = $1", params![&account]).await?;
        match (member, joins_as) {
            (Some(_), _) => provided.is_member = true,
            (None, None) => return Ok(provided),
            (None, Some(label)) => {
                let (count,): (i64,) = tx.query_one("SELECT count(*) FROM member", params![]).await?;
                if count >= MAX_MEMBERS {
                    return Err(TenancyError::TooMany("a tenant has at most 100,000 members"));
                }
                let keys = self.keys(tx).await?;
                insert_member(tx, &keys, account, home, label).await?;
                (provided.is_member, provided.joined) = (true, true);
            }
        }
        let due = self.roles_due(tx, access, account, roles).await?;
        let held: Vec<(String, Uuid, i64, String)> = tx
            .query(
                "SELECT role, place, is_device, granted_by FROM role_grant WHERE holder = $1",
                params![&account],
            )
            .await?;
        for (role, place, is_device, granted_by) in &held {
            let place = Place::stored(*place, *is_device);
            let is_due = due.iter().any(|(due, at)| due.to_string() == *role && *at == place);
            if granted_by == by && !is_due {
                tx.execute(
                    "DELETE FROM role_grant WHERE holder = $1 AND role = $2 AND place = $3",
                    params![&account, role, &place.uuid()],
                )
                .await?;
                provided.taken.push((role.clone(), place));
            }
        }
        let mut count = held.len().saturating_sub(provided.taken.len());
        for (role, place) in due {
            if count >= usize::try_from(MAX_GRANTS).unwrap_or(usize::MAX) {
                break;
            }
            if insert_grant(tx, account, HolderKind::Member, &role.to_string(), place, by).await? {
                provided.given.push((role, place));
                count += 1;
            }
        }
        require_no_audited_owner(tx).await?;
        Ok(provided)
    }

    /// Which of the roles are there, and may be given by who wrote them down.
    async fn roles_due(
        &self,
        tx: &mut ReadTx,
        access: &Access,
        account: Uuid,
        roles: &[ProvidedRole],
    ) -> Result<Vec<(RoleName, Place)>, TenancyError> {
        let (owns,): (i64,) = tx
            .query_one(
                "SELECT count(*) FROM role_grant WHERE holder = $1 AND role = 'owner'",
                params![&account],
            )
            .await?;
        let mut due = Vec::with_capacity(roles.len());
        for ProvidedRole { role, place, author } in roles {
            // An owner who audits could change nothing any more.
            if owns > 0 && *role == RoleName::BuiltIn(BuiltInRole::Auditor) {
                continue;
            }
            match self.require_providable(tx, *role, *place).await {
                Err(TenancyError::NotFound | TenancyError::Invalid { .. }) => continue,
                other => other?,
            }
            let grant =
                NewGrant { holder_kind: HolderKind::Member, holder: account, role: *role, place: *place };
            let held = self.given(tx, access.policies(), &grant).await?;
            if access.may_invite_to(tx, *author, &held).await? && !due.contains(&(*role, *place)) {
                due.push((*role, *place));
            }
        }
        Ok(due)
    }

    /// Takes away all roles that a provider gave, before it goes.
    pub async fn forget_provided(&self, tx: &mut WriteTx, by: &str) -> Result<(), TenancyError> {
        Stamp::People.renew(tx).await?;
        tx.execute("DELETE FROM role_grant WHERE granted_by = $1", params![by]).await?;
        Ok(())
    }

    /// Whether a member could give now, by an invitation, all that another one may.
    pub async fn could_give(
        &self,
        tx: &mut ReadTx,
        access: &Access,
        author: Uuid,
        account: Uuid,
    ) -> Result<bool, TenancyError> {
        let held = self.held(tx, access.policies(), account).await?;
        Ok(access.may_invite_to(tx, author, &held).await?)
    }

    /// Says whether members come by the tenant's own provider only. Owners always come in by any way.
    pub async fn require_provider(&self, tx: &mut WriteTx, is_required: bool) -> Result<(), TenancyError> {
        Stamp::People.renew(tx).await?;
        let since = is_required.then_some(tx.now());
        tx.execute("UPDATE tenant_state SET provider_required_since = $1", params![since]).await?;
        Ok(())
    }

    /// Since when members come by the tenant's own provider only, in Unix milliseconds.
    pub async fn provider_required_since(&self, tx: &mut ReadTx) -> Result<Option<i64>, TenancyError> {
        let (since,): (Option<i64>,) =
            tx.query_one("SELECT provider_required_since FROM tenant_state", params![]).await?;
        Ok(since)
    }
}
