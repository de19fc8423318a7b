// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Customers' tenants: founded, listed, seen, named. What is in one has a module of its own for each thing.
//!
//! Each route enters the tenant that its path names. Who is not in it, and a tenant that is not there, are answered alike.

pub(crate) mod clients;
pub(crate) mod collection_items;
pub(crate) mod collection_keys;
pub(crate) mod collections;
pub(crate) mod decisions;
pub(crate) mod devices;
pub(crate) mod domains;
pub(crate) mod ending;
pub(crate) mod grants;
pub(crate) mod invitations;
pub(crate) mod members;
pub(crate) mod organisations;
pub(crate) mod plain_passwords;
pub(crate) mod platform;
pub(crate) mod policies;
pub(crate) mod providers;
pub(crate) mod roles;
pub(crate) mod service_accounts;
pub(crate) mod support;
pub(crate) mod teams;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use access::tenancy::{Change, Customer, Name, NewCustomer};
use access::{Action, Caller, PlatformRole, Refused, Resource, TenancyError};
use axum::extract::State;
use axum::http::StatusCode;
use protocol::tenants::{NewTenant, Tenant, TenantChange, Tenants};
use protocol::{Code, Problem, TenantId};
use serde_json::json;
use store::{Record, TenantId as StoredTenant, TenantKind, WriteTx};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::caller::{Acting, Signed};
use crate::error::ApiError;
use crate::gateway::{Json, Path, TurnsOf};
use crate::state::App;

/// Founds a tenant. Whoever asks is its first owner.
#[utoipa::path(post, path = "/api/v1/tenants", tag = "tenants", operation_id = "create_tenant", request_body = NewTenant, security(("session" = [])),
    responses((status = 201, body = Tenant), (status = 409, body = Problem)))]
pub(crate) async fn create(
    State(app): State<App>,
    signed: Signed,
    Json(body): Json<NewTenant>,
) -> Result<(StatusCode, Json<Tenant>), ApiError> {
    let (name, label) = (name("name", &body.name)?, self::name("label", &body.label)?);
    let Some(owner) = signed.caller.signed_in().copied() else {
        return Err(ApiError::new(Code::NotSignedIn));
    };
    let region = body.region.as_deref().unwrap_or(DEFAULT_REGION);
    let new = NewCustomer { name: &name, region, owner, label: &label };
    let (tenant, entry) = (StoredTenant::customer(), own_entry(&signed));
    // One after the other: those that are founded at the same time count too.
    let _turn = FOUNDING.of(owner.account).acquire_owned().await.map_err(ApiError::internal)?;
    drop(app.access.enter(&signed.caller, StoredTenant::PLATFORM, Action::TenantCreate, entry).await?);
    // Before it is counted: who asks again for the last one that they may found gets its answer.
    signed.claim_in_home(&app).await?;
    require_may_found(&app, &signed).await?;
    let mut tx =
        app.access.enter(&signed.caller, StoredTenant::PLATFORM, Action::TenantCreate, entry).await?;
    app.tenancy.announce(&mut tx, tenant, &new).await?;
    tx.commit(Record::about(tenant)).await?;

    let worker = Caller::system("tenants", signed.caller.request());
    let mut tx = app.access.found(&worker, tenant).await?;
    app.tenancy.found(&mut tx, &new).await?;
    let change = Change { after: Some(json!({ "owner": signed.caller.actor() })), ..Change::default() };
    commit(&app, tx, tenant, change).await?;

    let mut tx =
        app.access.enter(&signed.caller, StoredTenant::PLATFORM, Action::TenantCreate, entry).await?;
    app.tenancy.open(&mut tx, tenant, owner.account).await?;
    tx.commit(Record::about(tenant)).await?;
    let mut tx = app.access.view(&signed.caller, tenant, Action::TenantRead, Resource::Customer).await?;
    Ok((StatusCode::CREATED, Json(to_tenant(app.tenancy.customer(&mut tx).await?))))
}

/// Lists the tenants that one is in.
#[utoipa::path(get, path = "/api/v1/tenants", tag = "tenants", operation_id = "list_tenants", security(("session" = [])), responses((status = 200, body = Tenants)))]
pub(crate) async fn list(State(app): State<App>, signed: Signed) -> Result<Json<Tenants>, ApiError> {
    let entry = own_entry(&signed);
    let mut tx =
        app.access.view(&signed.caller, StoredTenant::PLATFORM, Action::TenantList, entry).await?.once();
    let memberships = app.tenancy.memberships(&mut tx, *signed.session.account().uuid()).await?;
    let (mut tenants, mut suspended_in) = (Vec::with_capacity(memberships.len()), Vec::new());
    for tenant in memberships {
        // One that was left a moment ago, or is not founded yet, is not one of theirs.
        match app.access.view(&signed.caller, tenant, Action::TenantRead, Resource::Customer).await {
            Ok(mut tx) => tenants.push(to_tenant(app.tenancy.customer(&mut tx).await?)),
            Err(Refused::Suspended) => suspended_in.push(TenantId::from_uuid(*tenant.uuid())),
            Err(Refused::NotFound | Refused::ProviderRequired) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Json(Tenants { tenants, suspended_in }))
}

/// A tenant that one is in.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}", tag = "tenants", operation_id = "read_tenant", params(("tenant" = TenantId, Path)), security(("session" = [])),
    responses((status = 200, body = Tenant), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
) -> Result<Json<Tenant>, ApiError> {
    let mut tx = acting.view(&app, customer(tenant)?, Action::TenantRead, Resource::Customer).await?;
    Ok(Json(to_tenant(app.tenancy.customer(&mut tx).await?)))
}

/// Changes a tenant's name.
#[utoipa::path(patch, path = "/api/v1/tenants/{tenant}", tag = "tenants", operation_id = "change_tenant", params(("tenant" = TenantId, Path)), request_body = TenantChange, security(("session" = [])),
    responses((status = 200, body = Tenant), (status = 404, body = Problem)))]
pub(crate) async fn change(
    State(app): State<App>,
    signed: Signed,
    Path(tenant): Path<TenantId>,
    Json(body): Json<TenantChange>,
) -> Result<Json<Tenant>, ApiError> {
    let Some(new) = body.name else { return Err(ApiError::field("name", "there is nothing to change")) };
    let new = name("name", &new)?;
    let tenant = customer(tenant)?;
    let mut tx = signed.enter_customer(&app, tenant, Action::TenantUpdate, Resource::Customer).await?;
    let before = app.tenancy.customer(&mut tx).await?;
    app.tenancy.rename(&mut tx, &new).await?;
    let change = Change {
        before: Some(json!({ "name": before.name.as_str() })),
        after: Some(json!({ "name": new.as_str() })),
        reason: None,
    };
    commit(&app, tx, tenant, change).await?;
    Ok(Json(to_tenant(Customer { name: new, ..before })))
}

/// The customer's tenant of this id. There is none behind the id of a home.
pub(crate) fn customer(tenant: TenantId) -> Result<StoredTenant, ApiError> {
    let tenant = StoredTenant::from_uuid(tenant.uuid());
    match tenant.kind() {
        TenantKind::Customer => Ok(tenant),
        TenantKind::Home | TenantKind::Platform => Err(ApiError::new(Code::NotFound)),
    }
}

/// A name in this field.
pub(crate) fn name(field: &'static str, text: &str) -> Result<Name, ApiError> {
    Name::new(text).map_err(|error| ApiError::field(field, error))
}

/// A reason, of the length and the form of a name.
pub(crate) fn reason(text: Option<&str>) -> Result<Option<String>, ApiError> {
    text.map(|text| name("reason", text).map(|reason| reason.as_str().to_owned())).transpose()
}

/// Makes a change of a tenant durable, with its record: what was so before and after it, sealed.
pub(crate) async fn commit(
    app: &App,
    mut tx: WriteTx,
    subject: impl ToString,
    change: Change<'_>,
) -> Result<(), ApiError> {
    let record = app.tenancy.record(&mut tx, subject, &change).await?;
    tx.commit(record).await?;
    Ok(())
}

/// A transaction on the directory, to note there what was done in a tenant. The server's own: the tenant has decided.
pub(crate) async fn in_directory(app: &App, request: &str) -> Result<WriteTx, ApiError> {
    let worker = Caller::system("tenants", request);
    let platform = StoredTenant::PLATFORM;
    Ok(app.access.enter(&worker, platform, Action::MaintenanceRun, Resource::Platform).await?)
}

/// Refuses an account that founded as many tenants as one may: those that are not gone, and that it is still in. The platform's
/// administrators found as many as they like.
async fn require_may_found(app: &App, signed: &Signed) -> Result<(), ApiError> {
    let most = app.config.tenants_per_account as usize;
    if signed.roles.contains(PlatformRole::Administrator) {
        return Ok(());
    }
    if most == 0 {
        let why = "only the platform's administrators found tenants here";
        return Err(Problem::new(Code::Forbidden).detail(why).into());
    }
    let (account, platform) = (*signed.session.account().uuid(), StoredTenant::PLATFORM);
    let worker = Caller::system("tenants", signed.caller.request());
    let mut tx = app.access.view(&worker, platform, Action::MaintenanceRun, Resource::Platform).await?.once();
    let tenants = app.tenancy.memberships(&mut tx, account).await?;
    drop(tx);
    if tenants.len() < most {
        return Ok(());
    }
    let mut founded = 0;
    for tenant in tenants {
        founded += usize::from(is_founder(app, &worker, tenant, account).await?);
        if founded == most {
            let why = format!("an account founds at most {most} tenants (tenants_per_account)");
            return Err(Problem::new(Code::Conflict).detail(why).into());
        }
    }
    Ok(())
}

/// Whether a tenant came to be with this account in it.
async fn is_founder(
    app: &App,
    worker: &Caller,
    tenant: StoredTenant,
    account: Uuid,
) -> Result<bool, ApiError> {
    let view = app.access.view(worker, tenant, Action::MaintenanceRun, Resource::Customer).await;
    let mut tx = match view {
        Err(Refused::NotFound) => return Ok(false),
        other => other?,
    };
    match app.tenancy.member(&mut tx, account).await {
        Ok(member) => Ok(member.joined_at == app.tenancy.customer(&mut tx).await?.created_at),
        // They left a moment ago.
        Err(TenancyError::NotFound) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// One of them; over when it is dropped.
type Turn = (OwnedSemaphorePermit, OwnedSemaphorePermit);

/// Turns at work that takes long: so many of each tenant, so many of all.
struct LongWork {
    of_one: TurnsOf<StoredTenant>,
    of_all: Arc<Semaphore>,
    within: Duration,
}

impl LongWork {
    fn new(of_one: usize, of_all: usize, within: Duration) -> Self {
        LongWork { of_one: TurnsOf::new(of_one), of_all: Arc::new(Semaphore::new(of_all)), within }
    }

    /// Waits for a turn, first among the tenant's own, which nobody else waits for; so long, then 503.
    async fn turn(&self, tenant: StoredTenant) -> Result<Turn, ApiError> {
        let both = async {
            let own = self.of_one.of(tenant).acquire_owned().await?;
            Ok::<_, AcquireError>((own, Arc::clone(&self.of_all).acquire_owned().await?))
        };
        let busy = || ApiError::from(Problem { retry_after: Some(5), ..Problem::new(Code::Unavailable) });
        tokio::time::timeout(self.within, both).await.map_err(|_| busy())?.map_err(|_| busy())
    }
}

fn own_entry(signed: &Signed) -> Resource {
    Resource::DirectoryEntry { account: *signed.session.account().uuid() }
}

fn to_tenant(customer: Customer) -> Tenant {
    Tenant {
        id: TenantId::from_uuid(*customer.id.uuid()),
        name: customer.name.as_str().to_owned(),
        state: customer.state.to_string(),
        region: customer.region,
        created_at: customer.created_at,
        delete_at: customer.delete_at,
    }
}

/// Who founds a tenant at this moment.
static FOUNDING: LazyLock<TurnsOf<Uuid>> = LazyLock::new(|| TurnsOf::new(1));

/// How long a page is when nothing is said.
const PAGE: u32 = 100;

/// Where data lies when nothing else is said.
const DEFAULT_REGION: &str = "default";
