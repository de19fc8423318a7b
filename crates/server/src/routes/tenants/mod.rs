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

use access::tenancy::{Change, Customer, Name, NewCustomer};
use access::{Action, Caller, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use protocol::tenants::{NewTenant, Tenant, TenantChange, Tenants};
use protocol::{Code, Problem, TenantId};
use serde_json::json;
use store::{Record, TenantId as StoredTenant, TenantKind, WriteTx};

use crate::caller::{Acting, Signed};
use crate::error::ApiError;
use crate::gateway::{Json, Path};
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
    let tenant = StoredTenant::customer();

    let mut tx = app
        .access
        .enter(&signed.caller, StoredTenant::PLATFORM, Action::TenantCreate, own_entry(&signed))
        .await?;
    app.tenancy.announce(&mut tx, tenant, &new).await?;
    tx.commit(Record::about(tenant)).await?;

    let worker = Caller::system("tenants", signed.caller.request());
    let mut tx = app.access.found(&worker, tenant).await?;
    app.tenancy.found(&mut tx, &new).await?;
    let change = Change { after: Some(json!({ "owner": signed.caller.actor() })), ..Change::default() };
    commit(&app, tx, tenant, change).await?;

    let mut tx = app
        .access
        .enter(&signed.caller, StoredTenant::PLATFORM, Action::TenantCreate, own_entry(&signed))
        .await?;
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
    let mut tenants = Vec::with_capacity(memberships.len());
    for tenant in memberships {
        // One that was left a moment ago, or is not founded yet, is not one of theirs.
        match app.access.view(&signed.caller, tenant, Action::TenantRead, Resource::Customer).await {
            Ok(mut tx) => tenants.push(to_tenant(app.tenancy.customer(&mut tx).await?)),
            Err(
                access::Refused::NotFound | access::Refused::Suspended | access::Refused::ProviderRequired,
            ) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Json(Tenants { tenants }))
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

/// How long a page is when nothing is said.
const PAGE: u32 = 100;

/// Where data lies when nothing else is said.
const DEFAULT_REGION: &str = "default";
