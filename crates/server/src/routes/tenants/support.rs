// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Support grants: a tenant lets an operator of the platform in, for a time, for a reason. Each is in the tenant's history and in
//! the platform's.

use access::tenancy::{self, Change, NewSupportGrant as Wish, SupportGrantId as GrantId};
use access::{Action, Caller, Resource, Scopes};
use axum::extract::State;
use axum::http::StatusCode;
use keyring::AccountNumber;
use protocol::support::{NewSupportGrant, SupportGrant, SupportGrants};
use protocol::{AccountId, Problem, SupportGrantId, TenantId};
use serde_json::json;
use store::{Record, TenantId as Tenant};

use super::{customer, name};
use crate::caller::{Acting, Signed};
use crate::error::ApiError;
use crate::gateway::{Json, Path};
use crate::routes::signin::parsed;
use crate::state::App;

/// Lists the support grants, the newest first.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/support-grants", tag = "support", operation_id = "list_support_grants",
    params(("tenant" = TenantId, Path)), security(("session" = [])), responses((status = 200, body = SupportGrants), (status = 404, body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
) -> Result<Json<SupportGrants>, ApiError> {
    let mut tx = acting.view(&app, customer(tenant)?, Action::SupportRead, Resource::Customer).await?;
    let now = app.now();
    let grants = app.tenancy.support_grants(&mut tx).await?.into_iter().map(|grant| to_grant(grant, now));
    Ok(Json(SupportGrants { support_grants: grants.collect() }))
}

/// Lets an operator in until a time, to see what the grant says. It opens nothing while the account holds no platform role.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/support-grants", tag = "support", operation_id = "create_support_grant",
    params(("tenant" = TenantId, Path)), request_body = NewSupportGrant, security(("session" = [])),
    responses((status = 201, body = SupportGrant), (status = 404, body = Problem)))]
pub(crate) async fn create(
    State(app): State<App>,
    signed: Signed,
    Path(tenant): Path<TenantId>,
    Json(body): Json<NewSupportGrant>,
) -> Result<(StatusCode, Json<SupportGrant>), ApiError> {
    let reason = name("reason", &body.reason)?;
    let may = app.access.policies().support();
    let actions = match body.actions.as_slice() {
        [] => may,
        named => {
            let actions: Scopes = parsed("actions", named.join(" ").parse())?;
            if actions.and(may) != actions {
                return Err(ApiError::field("actions", "one of them is nothing that support may do"));
            }
            actions
        }
    };
    let tenant = customer(tenant)?;
    // Whoever may not let anybody in learns nothing of account numbers here.
    drop(signed.enter_customer(&app, tenant, Action::SupportGrant, Resource::Customer).await?);
    let operator = operator(&app, &signed, &body.operator_number).await?;
    let mut tx = signed.enter_customer(&app, tenant, Action::SupportGrant, Resource::Customer).await?;
    let wish = Wish { operator, actions, reason: &reason, ends_at: body.ends_at };
    let given = app.tenancy.give_support(&mut tx, wish, &signed.caller.actor()).await?;
    let after = json!({
        "operator": AccountId::from_uuid(operator).to_string(),
        "actions": actions.to_string(),
        "ends_at": given.ends_at,
    });
    let change = Change { after: Some(after), reason: Some(reason.as_str()), ..Change::default() };
    let record = app.tenancy.record(&mut tx, given.id, &change).await?;
    tx.commit(record).await?;
    note(&app, &signed, tenant, given.id).await?;
    Ok((StatusCode::CREATED, Json(to_grant(given, app.now()))))
}

/// Ends a support grant at once.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/support-grants/{support_grant}", tag = "support", operation_id = "end_support_grant",
    params(("tenant" = TenantId, Path), ("support_grant" = SupportGrantId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn end(
    State(app): State<App>,
    signed: Signed,
    Path((tenant, grant)): Path<(TenantId, SupportGrantId)>,
) -> Result<StatusCode, ApiError> {
    let (tenant, grant) = (customer(tenant)?, GrantId::from_uuid(grant.uuid()));
    let mut tx = signed.enter_customer(&app, tenant, Action::SupportGrant, Resource::Customer).await?;
    app.tenancy.end_support(&mut tx, grant).await?;
    let change = Change { after: Some(json!({ "ended": true })), ..Change::default() };
    let record = app.tenancy.record(&mut tx, grant, &change).await?;
    tx.commit(record).await?;
    note(&app, &signed, tenant, grant).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The account of this number.
async fn operator(app: &App, signed: &Signed, number: &str) -> Result<uuid::Uuid, ApiError> {
    let number = AccountNumber::parse(number).map_err(|error| ApiError::field("operator_number", error))?;
    let reader = Caller::system("support", signed.caller.request());
    let mut tx =
        app.access.view(&reader, Tenant::PLATFORM, Action::MaintenanceRun, Resource::Platform).await?;
    let found = app.identity.published_account(&mut tx, &number).await?;
    found
        .map(|account| *account.id.uuid())
        .ok_or_else(|| ApiError::field("operator_number", "there is no such account"))
}

/// The platform's history says too that somebody was let in, or no longer is.
async fn note(app: &App, signed: &Signed, tenant: Tenant, grant: GrantId) -> Result<(), ApiError> {
    let worker = Caller::system("support", signed.caller.request());
    let tx = app.access.enter(&worker, Tenant::PLATFORM, Action::SupportNote, Resource::Platform).await?;
    tx.commit(Record::about(format!("{tenant}/{grant}"))).await?;
    Ok(())
}

fn to_grant(grant: tenancy::SupportGrant, now_ms: i64) -> SupportGrant {
    let status = match grant.ended_at {
        Some(_) => "ended",
        None if grant.is_live(now_ms) => "live",
        None => "expired",
    };
    SupportGrant {
        id: SupportGrantId::from_uuid(*grant.id.uuid()),
        operator: AccountId::from_uuid(grant.operator),
        actions: grant.actions.to_string().split_ascii_whitespace().map(str::to_owned).collect(),
        reason: grant.reason.as_str().to_owned(),
        status: status.to_owned(),
        granted_at: grant.granted_at,
        granted_by: grant.granted_by,
        ends_at: grant.ends_at,
        ended_at: grant.ended_at,
    }
}
