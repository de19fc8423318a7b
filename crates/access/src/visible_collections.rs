// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which collections of a tenant a caller may read, and which members are entitled to one, without asking for each.
//!
//! As with devices, policies are shown of a collection only where it lies, unless one names it: so they are asked once for each
//! organisation, and for each collection that a policy names.

use std::collections::{BTreeSet, HashSet};

use store::{ReadTx, TenantId, TenantKind, params};
use uuid::Uuid;

use crate::action::Action;
use crate::caller::{Caller, SignedIn, Via};
use crate::enter::{Access, Refused};
use crate::platform_role::PlatformRoles;
use crate::resource::Resource;
use crate::standing::{Place, Standing};

/// The collections that a caller may read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VisibleCollections {
    organisations: HashSet<Uuid>,
    /// Single collections elsewhere.
    named: HashSet<Uuid>,
    /// Single collections that the caller may not, although their organisation is among them.
    refused: HashSet<Uuid>,
}

impl VisibleCollections {
    /// Whether this collection, in this organisation, is among them.
    pub fn contains(&self, collection: Uuid, organisation: Uuid) -> bool {
        self.named.contains(&collection)
            || (self.organisations.contains(&organisation) && !self.refused.contains(&collection))
    }
}

impl Access {
    /// Looks at a tenant's collections wherever the caller may read any: a view, with which those are. Who may nowhere is
    /// refused as at the tenant as a whole.
    pub async fn view_collections(
        &self,
        caller: &Caller,
        tenant: TenantId,
    ) -> Result<(ReadTx, VisibleCollections), Refused> {
        if tenant.kind() != TenantKind::Customer {
            return Err(Refused::NotFound);
        }
        let action = Action::CollectionRead;
        let mut tx = self.door().read(tenant).await?;
        let known = self.known(&mut tx).await?;
        let standing = known.standing(&mut tx, caller).await?;
        let root = *tenant.uuid();
        let mut pace = self.pace(tenant);
        let mut visible = VisibleCollections::default();
        for organisation in known.tree.iter().map(|(organisation, _)| organisation).chain([root]) {
            let Some(path) = known.tree.path(tenant, organisation) else { continue };
            pace.step().await?;
            // A collection that nobody names, in this organisation.
            let found = known.found(Resource::Collection(Uuid::nil()), path);
            if self.may(&known, tenant, caller, &standing, action, &found) {
                visible.organisations.insert(organisation);
            }
        }
        for collection in known.policies.named_collections() {
            pace.step().await?;
            let Some(found) = known.find(&mut tx, Resource::Collection(collection)).await? else { continue };
            let to = if self.may(&known, tenant, caller, &standing, action, &found) {
                &mut visible.named
            } else {
                &mut visible.refused
            };
            to.insert(collection);
        }
        if visible.organisations.is_empty() && visible.named.is_empty() {
            self.also(&mut tx, caller, Action::CollectionList, Resource::Customer).await?;
        }
        Ok((tx, visible))
    }

    /// Which of these accounts may do `action` to `resource`, as members with the roles that they hold now. Asked of people who
    /// are not there.
    pub async fn entitled(
        &self,
        tx: &mut ReadTx,
        accounts: impl IntoIterator<Item = Uuid>,
        action: Action,
        resource: Resource,
    ) -> Result<BTreeSet<Uuid>, Refused> {
        let known = self.known(tx).await?;
        let mut entitled = BTreeSet::new();
        let Some(found) = known.find(tx, resource).await? else { return Ok(entitled) };
        let mut pace = self.pace(tx.tenant());
        for account in accounts {
            pace.step().await?;
            let standing = known.member(tx, account).await?;
            let is_member = matches!(standing, Standing::Member(_));
            if is_member && self.may(&known, tx.tenant(), &absent(account), &standing, action, &found) {
                entitled.insert(account);
            }
        }
        Ok(entitled)
    }

    /// Members who hold a role where the resource lies, by themselves or by a team, at most `limit`.
    pub async fn holders_at(
        &self,
        tx: &mut ReadTx,
        resource: Resource,
        limit: u32,
    ) -> Result<BTreeSet<Uuid>, Refused> {
        let known = self.known(tx).await?;
        let mut holders = BTreeSet::new();
        let Some(found) = known.find(tx, resource).await? else { return Ok(holders) };
        for place in found.path {
            let Place::Organisation(place) = place else { continue };
            let rows: Vec<(Uuid,)> = tx
                .query(
                    "SELECT holder FROM role_grant \
                     WHERE place = $1 AND is_device = 0 AND holder_kind = 'member' \
                     UNION \
                     SELECT m.account FROM role_grant g JOIN team_member m ON m.team = g.holder \
                     WHERE g.place = $1 AND g.is_device = 0 AND g.holder_kind = 'team' \
                     ORDER BY 1 LIMIT $2",
                    params![&place, i64::from(limit)],
                )
                .await?;
            holders.extend(rows.into_iter().map(|(holder,)| holder));
        }
        while holders.len() > limit as usize {
            holders.pop_last();
        }
        Ok(holders)
    }
}

/// Somebody who is not there.
fn absent(account: Uuid) -> Caller {
    let signed_in = SignedIn {
        account,
        home: TenantId::PLATFORM,
        via: Via::Session(Uuid::nil()),
        fresh_until: None,
        suspended: false,
        platform_roles: PlatformRoles::NONE,
    };
    Caller::account(signed_in, "")
}
