// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a customer's tenant knows of a caller and of what is acted upon, read in the transaction that the decision opens.
//!
//! So a decision is never older than the transaction: who was suspended or removed, or what was moved, a moment ago on another
//! server is so here. What takes long to read is remembered by three stamps that stand in one row and are read each time:
//! `people`, `places` and `policies`. Whoever changes one of these draws a new stamp at random in the same transaction; a stamp
//! never comes again, so that what was remembered of a transaction that then failed is not mistaken for what came after.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use store::{ReadTx, StoreError, TenantId, WriteTx, params};
use uuid::Uuid;

use crate::caller::{Caller, Principal};
use crate::policies::{CustomRole, Policies};
use crate::resource::Resource;
use crate::scopes::Scopes;
use crate::tenancy::HolderKind;
use crate::vocabulary::BuiltInRole;

/// Where a role is held and where things lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// An organisation with all that is below it. The topmost, which is the whole tenant, has the tenant's own UUID.
    Organisation(Uuid),
    /// A single device.
    Device(Uuid),
}

/// What the tenant knows of a caller.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// Nothing.
    Stranger,
    Member(Arc<Holder>),
    ServiceAccount(Arc<Holder>),
    /// An operator of the platform whom the tenant lets in.
    Supporter {
        grant: Uuid,
        scopes: Scopes,
    },
    /// An account that showed a live invitation.
    Invitee,
    /// A member, who did not come by the tenant's provider, as the tenant wants.
    OtherWay,
}

/// Who holds roles: a member, with those of the teams that they are in, or a service account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) suspended: bool,
    pub(crate) teams: Vec<Uuid>,
    /// By the role's name or `rol_…`.
    pub(crate) roles: BTreeMap<String, Vec<Place>>,
}

impl Holder {
    fn is_owner(&self, tenant: TenantId) -> bool {
        let whole = Place::Organisation(*tenant.uuid());
        self.roles.get(BuiltInRole::Owner.name()).is_some_and(|places| places.contains(&whole))
    }
}

/// What is acted upon, found in its tenant.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) resource: Resource,
    /// The places that it lies in, the nearest first, the whole tenant last.
    pub(crate) path: Vec<Place>,
    pub(crate) tenant_suspended: bool,
}

/// A customer's tenant, as it is in one transaction.
#[derive(Clone)]
pub(crate) struct Known {
    tenant: TenantId,
    suspended: bool,
    /// Whether nothing is done in it because it is to be deleted.
    closing: bool,
    /// Whether members come by the tenant's own provider only.
    provider_required: bool,
    stamps: Stamps,
    pub(crate) tree: Arc<Tree>,
    pub(crate) policies: Arc<Policies>,
    holders: Arc<Holders>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamps {
    people: i64,
    places: i64,
    policies: i64,
}

/// Which stamp a change draws anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// Members, teams, service accounts, and who holds which role.
    People,
    /// Organisations.
    Places,
    /// Roles and policies of the tenant's own.
    Policies,
}

/// The organisations, each with the one above it.
#[derive(Default, Debug, PartialEq, Eq)]
pub(crate) struct Tree(HashMap<Uuid, Uuid>);

/// Members and service accounts that were asked for since the people last changed.
#[derive(Default)]
struct Holders(Mutex<HashMap<Holding, Option<Arc<Holder>>>>);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Holding {
    Member(Uuid),
    ServiceAccount(Uuid),
}

/// What was read of tenants lately.
#[derive(Default)]
pub(crate) struct Remembered {
    known: Mutex<HashMap<TenantId, Known>>,
    /// One reads a tenant's policies, which takes long; the others wait for what comes of it.
    reading: Mutex<HashMap<TenantId, Arc<tokio::sync::Mutex<()>>>>,
}

impl Tree {
    /// The places from this organisation up to the whole tenant; `None` when there is no such organisation.
    pub(crate) fn path(&self, tenant: TenantId, organisation: Uuid) -> Option<Vec<Place>> {
        let root = *tenant.uuid();
        let (mut path, mut at) = (Vec::with_capacity(8), organisation);
        while at != root {
            // More steps than a tree is deep are a circle, which moving refuses; were there one, nothing lies in it.
            if path.len() > MAX_DEPTH {
                return None;
            }
            path.push(Place::Organisation(at));
            at = *self.0.get(&at)?;
        }
        path.push(Place::Organisation(root));
        Some(path)
    }

    /// Every organisation below the topmost, with the one above it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Uuid, Uuid)> {
        self.0.iter().map(|(organisation, parent)| (*organisation, *parent))
    }
}

impl Remembered {
    /// The tenant as it is in this transaction. [`StoreError::NoTenant`] when it was not founded.
    pub(crate) async fn read(&self, tx: &mut ReadTx, built_in: &Arc<Policies>) -> Result<Known, StoreError> {
        let tenant = tx.tenant();
        let state: Option<(String, i64, i64, i64, Option<i64>)> = tx
            .query_opt(
                "SELECT state, people, places, policies, provider_required_since FROM tenant_state",
                params![],
            )
            .await?;
        let (state, people, places, policies, required_since) = state.ok_or(StoreError::NoTenant)?;
        let (suspended, closing) = (state != "live", state == "closing");
        let stamps = Stamps { people, places, policies };
        let provider_required = required_since.is_some();
        let (mut before, mut _reading) = (self.get(tenant), None);
        if before.as_ref().is_none_or(|known| known.stamps.policies != policies) {
            _reading = Some(self.reading_of(tenant).lock_owned().await);
            before = self.get(tenant);
        }
        if let Some(known) = &before
            && known.stamps == stamps
        {
            return Ok(Known { suspended, closing, provider_required, ..known.clone() });
        }
        let tree = match &before {
            Some(known) if known.stamps.places == places => Arc::clone(&known.tree),
            _ => Arc::new(read_tree(tx).await?),
        };
        let policies = match &before {
            Some(known) if known.stamps.policies == policies => Arc::clone(&known.policies),
            _ => read_policies(tx, built_in).await?,
        };
        let holders = match &before {
            Some(known) if known.stamps.people == people => Arc::clone(&known.holders),
            _ => Arc::default(),
        };
        let known = Known { tenant, suspended, closing, provider_required, stamps, tree, policies, holders };
        let mut remembered = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= TENANTS && !remembered.contains_key(&tenant) {
            remembered.clear();
        }
        remembered.insert(tenant, known.clone());
        Ok(known)
    }

    fn get(&self, tenant: TenantId) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&tenant).cloned()
    }

    fn reading_of(&self, tenant: TenantId) -> Arc<tokio::sync::Mutex<()>> {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if reading.len() >= TENANTS {
            // Who reads, or waits, holds it too.
            reading.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        Arc::clone(reading.entry(tenant).or_default())
    }
}

impl Known {
    /// Whether the tenant is to be deleted.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing
    }

    /// What the tenant knows of the caller.
    pub(crate) async fn standing(&self, tx: &mut ReadTx, caller: &Caller) -> Result<Standing, StoreError> {
        if caller.is_kept_out_of(self.tenant) {
            return Ok(Standing::Stranger);
        }
        match caller.principal() {
            Principal::Account(account) => {
                if let Some(member) = self.holder(tx, Holding::Member(account.account)).await? {
                    // Owners are let in any way: somebody has to mend what a provider cannot do any more.
                    let is_required = self.provider_required && !member.is_owner(self.tenant);
                    if is_required && !caller.came_by_provider_of(self.tenant) {
                        return Ok(Standing::OtherWay);
                    }
                    return Ok(Standing::Member(member));
                }
                if caller.invitation().is_some_and(|invitation| invitation.tenant == self.tenant) {
                    return Ok(Standing::Invitee);
                }
                if account.platform_roles.iter().next().is_some() {
                    return read_support(tx, account.account).await;
                }
                Ok(Standing::Stranger)
            }
            Principal::Service(service) if service.tenant == self.tenant => {
                let holder = self.holder(tx, Holding::ServiceAccount(service.account)).await?;
                Ok(holder.map_or(Standing::Stranger, Standing::ServiceAccount))
            }
            Principal::Service(_) | Principal::Visitor | Principal::System(_) => Ok(Standing::Stranger),
        }
    }

    /// A member, whoever asks.
    pub(crate) async fn member(&self, tx: &mut ReadTx, account: Uuid) -> Result<Standing, StoreError> {
        let holder = self.holder(tx, Holding::Member(account)).await?;
        Ok(holder.map_or(Standing::Stranger, Standing::Member))
    }

    /// A member or a service account, whoever asks.
    pub(crate) async fn who(
        &self,
        tx: &mut ReadTx,
        kind: HolderKind,
        id: Uuid,
    ) -> Result<Standing, StoreError> {
        match kind {
            HolderKind::Member => self.member(tx, id).await,
            HolderKind::ServiceAccount => {
                let holder = self.holder(tx, Holding::ServiceAccount(id)).await?;
                Ok(holder.map_or(Standing::Stranger, Standing::ServiceAccount))
            }
            HolderKind::Team => Ok(Standing::Stranger),
        }
    }

    /// Where the resource lies; `None` when it is not there.
    pub(crate) async fn find(
        &self,
        tx: &mut ReadTx,
        resource: Resource,
    ) -> Result<Option<Found>, StoreError> {
        let root = *self.tenant.uuid();
        let organisation = match resource {
            Resource::Customer | Resource::Log => Some(root),
            Resource::Organisation(id) => Some(id),
            Resource::Device(id) => {
                one(tx, "SELECT organisation FROM tenant_device WHERE id = $1", id).await?
            }
            Resource::Collection(id)
            | Resource::Item { collection: id, .. }
            | Resource::File { collection: id, .. } => {
                one(tx, "SELECT organisation FROM placement WHERE thing = $1", id).await?
            }
            Resource::Home | Resource::Session(_) | Resource::Platform | Resource::DirectoryEntry { .. } => {
                None
            }
        };
        let Some(mut path) = organisation.and_then(|id| self.tree.path(self.tenant, id)) else {
            return Ok(None);
        };
        if let Resource::Device(id) = resource {
            path.insert(0, Place::Device(id));
        }
        Ok(Some(self.found(resource, path)))
    }

    pub(crate) fn found(&self, resource: Resource, path: Vec<Place>) -> Found {
        Found { resource, path, tenant_suspended: self.suspended }
    }

    async fn holder(&self, tx: &mut ReadTx, who: Holding) -> Result<Option<Arc<Holder>>, StoreError> {
        let remembered = self.holders.0.lock().unwrap_or_else(PoisonError::into_inner).get(&who).cloned();
        if let Some(holder) = remembered {
            return Ok(holder);
        }
        let holder = read_holder(tx, who).await?.map(Arc::new);
        let mut holders = self.holders.0.lock().unwrap_or_else(PoisonError::into_inner);
        if holders.len() >= HOLDERS {
            holders.clear();
        }
        holders.insert(who, holder.clone());
        Ok(holder)
    }
}

impl Stamp {
    /// Draws the stamp anew: what was remembered under the old one is read again, on every server.
    pub(crate) async fn renew(self, tx: &mut WriteTx) -> Result<(), StoreError> {
        let statement = match self {
            Stamp::People => "UPDATE tenant_state SET people = $1",
            Stamp::Places => "UPDATE tenant_state SET places = $1",
            Stamp::Policies => "UPDATE tenant_state SET policies = $1",
        };
        match tx.execute(statement, params![stamp()]).await? {
            0 => Err(StoreError::NoTenant),
            _ => Ok(()),
        }
    }
}

/// A stamp that never was before.
pub(crate) fn stamp() -> i64 {
    let [a, b, c, d, e, f, _, g, _, h, ..] = Uuid::new_v4().into_bytes();
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

async fn one(tx: &mut ReadTx, sql: &'static str, id: Uuid) -> Result<Option<Uuid>, StoreError> {
    Ok(tx.query_opt::<(Uuid,)>(sql, params![&id]).await?.map(|(found,)| found))
}

async fn read_tree(tx: &mut ReadTx) -> Result<Tree, StoreError> {
    let rows: Vec<(Uuid, Uuid)> =
        tx.query("SELECT id, parent FROM organisation WHERE parent IS NOT NULL", params![]).await?;
    Ok(Tree(rows.into_iter().collect()))
}

async fn read_policies(tx: &mut ReadTx, built_in: &Arc<Policies>) -> Result<Arc<Policies>, StoreError> {
    let roles = read_roles(tx).await?;
    let text: Option<(String,)> =
        tx.query_opt("SELECT text FROM policy_version ORDER BY number DESC LIMIT 1", params![]).await?;
    let text = text.map_or_else(String::new, |(text,)| text);
    if roles.is_empty() && text.trim().is_empty() {
        return Ok(Arc::clone(built_in));
    }
    match built_in.with_tenant(&roles, &text) {
        Ok(policies) => Ok(Arc::new(policies)),
        // It was accepted once; a release that no longer does must not open more than it did. Whoever writes the tenant's
        // policies can still mend them.
        Err(problems) => {
            let problem = problems.first().map_or_else(String::new, |problem| problem.message.clone());
            tracing::error!(tenant = %tx.tenant(), problem, "this tenant's policies do not fit this release");
            let refuse =
                |_| StoreError::Refused("the policies of a tenant do not fit this release".to_owned());
            built_in.with_tenant(&roles, UNFIT).map(Arc::new).map_err(refuse)
        }
    }
}

/// The roles that the tenant made for itself.
pub(crate) async fn read_roles(tx: &mut ReadTx) -> Result<Vec<CustomRole>, StoreError> {
    let roles: Vec<(Uuid, String)> = tx.query("SELECT id, actions FROM role ORDER BY id", params![]).await?;
    // An action that this release does not know allows nothing.
    let known = |names: &str| names.split_ascii_whitespace().filter_map(|name| name.parse().ok()).collect();
    Ok(roles.into_iter().map(|(id, actions)| CustomRole { id, actions: known(&actions) }).collect())
}

async fn read_holder(tx: &mut ReadTx, who: Holding) -> Result<Option<Holder>, StoreError> {
    let (state, id) = match who {
        Holding::Member(id) => ("SELECT state FROM member WHERE account = $1", id),
        Holding::ServiceAccount(id) => ("SELECT state FROM service_account WHERE id = $1", id),
    };
    let id = params![&id];
    let [state, teams, roles] = tx
        .together([
            (state, id),
            ("SELECT team FROM team_member WHERE account = $1 ORDER BY team", id),
            (
                "SELECT role, place, is_device FROM role_grant \
                 WHERE holder = $1 OR holder IN (SELECT team FROM team_member WHERE account = $1) \
                 ORDER BY role, place",
                id,
            ),
        ])
        .await?;
    let Some((state,)) = state.first::<(String,)>()? else { return Ok(None) };
    let mut holder = Holder {
        suspended: state != "live",
        teams: teams.rows::<(Uuid,)>()?.into_iter().map(|(team,)| team).collect(),
        roles: BTreeMap::new(),
    };
    for (role, place, is_device) in roles.rows::<(String, Uuid, i64)>()? {
        let place = if is_device == 0 { Place::Organisation(place) } else { Place::Device(place) };
        let places = holder.roles.entry(role).or_default();
        if places.last() != Some(&place) {
            places.push(place);
        }
    }
    Ok(Some(holder))
}

/// The live support grant of an operator, if the tenant gave one.
async fn read_support(tx: &mut ReadTx, operator: Uuid) -> Result<Standing, StoreError> {
    let now = tx.now();
    let grant: Option<(Uuid, String)> = tx
        .query_opt(
            "SELECT id, actions FROM support_grant \
             WHERE operator = $1 AND ends_at > $2 AND ended_at IS NULL ORDER BY ends_at DESC LIMIT 1",
            params![&operator, now],
        )
        .await?;
    Ok(match grant {
        Some((grant, actions)) => {
            let known = actions.split_ascii_whitespace().filter_map(|name| name.parse().ok());
            Standing::Supporter { grant, scopes: known.collect() }
        }
        None => Standing::Stranger,
    })
}

/// What stands in for policies that do not fit this release.
const UNFIT: &str = "\
@id(\"unfit\")
@says(\"The tenant's own policies do not fit this release of the server. Until they are mended, nothing else is done.\")
forbid (principal, action, resource);";
/// How deep organisations lie in one another at most, the topmost not counted.
pub const MAX_DEPTH: usize = 16;
/// How many tenants are remembered; at the bound all are forgotten.
const TENANTS: usize = 512;
/// How many members of one tenant are.
const HOLDERS: usize = 4_096;
