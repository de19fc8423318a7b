// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Members of a tenant: seen, labelled, suspended, taken out; and how one leaves.
//!
//! Whoever suspends somebody, ends that or takes them out takes or gives what they may, and so must have it.

use access::tenancy::{Change, CustomerState, Member, MemberState};
use access::{Action, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use protocol::tenants::members::{MemberChange, TenantMember, TenantMembers};
use protocol::{AccountId, Code, Problem, TenantId};
use serde::Deserialize;
use serde_json::{Map, json};
use store::{Record, TenantId as StoredTenant};
use utoipa::IntoParams;
use uuid::Uuid;

use super::{commit, customer, in_directory, name, reason};
use crate::caller::{Acting, Signed};
use crate::error::ApiError;
use crate::gateway::{Json, Path, Query};
use crate::state::App;

/// Which page.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct MembersQuery {
    /// The account after which the page begins.
    after: Option<AccountId>,
    /// At most so many: 100 by default, at most 200.
    limit: Option<u32>,
}

/// Lists the members of a tenant.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/members", tag = "tenants", operation_id = "list_tenant_members", params(("tenant" = TenantId, Path), MembersQuery), security(("session" = [])),
    responses((status = 200, body = TenantMembers), (status = 404, body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
    Query(query): Query<MembersQuery>,
) -> Result<Json<TenantMembers>, ApiError> {
    let mut tx = acting.view(&app, customer(tenant)?, Action::MemberRead, Resource::Customer).await?;
    let after = query.after.map(|account| account.uuid());
    let (members, more) = app.tenancy.members(&mut tx, after, query.limit.unwrap_or(super::PAGE)).await?;
    let members: Vec<_> = members.into_iter().map(shown).collect();
    let next = members.last().filter(|_| more).map(|member| member.account);
    Ok(Json(TenantMembers { members, next }))
}

/// A member of a tenant.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/members/{account}", tag = "tenants", operation_id = "read_tenant_member",
    params(("tenant" = TenantId, Path), ("account" = AccountId, Path)), security(("session" = [])),
    responses((status = 200, body = TenantMember), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, account)): Path<(TenantId, AccountId)>,
) -> Result<Json<TenantMember>, ApiError> {
    let mut tx = acting.view(&app, customer(tenant)?, Action::MemberRead, Resource::Customer).await?;
    Ok(Json(shown(app.tenancy.member(&mut tx, account.uuid()).await?)))
}

/// Labels a member, suspends them at once, or ends that.
#[utoipa::path(patch, path = "/api/v1/tenants/{tenant}/members/{account}", tag = "tenants", operation_id = "change_tenant_member",
    params(("tenant" = TenantId, Path), ("account" = AccountId, Path)), request_body = MemberChange, security(("session" = [])),
    responses((status = 200, body = TenantMember), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn change(
    State(app): State<App>,
    signed: Signed,
    Path((tenant, account)): Path<(TenantId, AccountId)>,
    Json(body): Json<MemberChange>,
) -> Result<Json<TenantMember>, ApiError> {
    let label = body.label.as_deref().map(|text| name("label", text)).transpose()?;
    let state = match body.state.as_deref() {
        None => None,
        Some("live") => Some(MemberState::Live),
        Some("suspended") => Some(MemberState::Suspended),
        Some(_) => return Err(ApiError::field("state", "`live` or `suspended`")),
    };
    let reason = reason(body.reason.as_deref())?;
    let (first, then) = match (state, &label) {
        (Some(_), label) => (Action::MemberSuspend, label.is_some().then_some(Action::MemberInvite)),
        (None, Some(_)) => (Action::MemberInvite, None),
        (None, None) => return Err(ApiError::field("state", "there is nothing to change")),
    };
    let mut tx = signed.enter_customer(&app, customer(tenant)?, first, Resource::Customer).await?;
    if let Some(action) = then {
        app.access.also(&mut tx, &signed.caller, action, Resource::Customer).await?;
    }
    let before = app.tenancy.member(&mut tx, account.uuid()).await?;
    let (mut was, mut is) = (Map::new(), Map::new());
    if let Some(label) = &label {
        app.tenancy.label_member(&mut tx, account.uuid(), label).await?;
        was.insert("label".to_owned(), json!(before.label.as_str()));
        is.insert("label".to_owned(), json!(label.as_str()));
    }
    if let Some(state) = state {
        let held = app.tenancy.held(&mut tx, app.access.policies(), account.uuid()).await?;
        app.access.covers_all(&mut tx, &signed.caller, &held).await?;
        app.tenancy.set_member_state(&mut tx, account.uuid(), state).await?;
        was.insert("state".to_owned(), json!(before.state.name()));
        is.insert("state".to_owned(), json!(state.name()));
    }
    let after = app.tenancy.member(&mut tx, account.uuid()).await?;
    commit(
        &app,
        tx,
        account,
        Change { before: Some(was.into()), after: Some(is.into()), reason: reason.as_deref() },
    )
    .await?;
    Ok(Json(shown(after)))
}

/// Takes a member out at once, with their roles and their places in teams.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/members/{account}", tag = "tenants", operation_id = "remove_tenant_member",
    params(("tenant" = TenantId, Path), ("account" = AccountId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn remove(
    State(app): State<App>,
    signed: Signed,
    Path((tenant, account)): Path<(TenantId, AccountId)>,
) -> Result<StatusCode, ApiError> {
    let tenant = customer(tenant)?;
    let mut tx = signed.enter_customer(&app, tenant, Action::MemberRemove, Resource::Customer).await?;
    let held = app.tenancy.held(&mut tx, app.access.policies(), account.uuid()).await?;
    app.access.covers_all(&mut tx, &signed.caller, &held).await?;
    take_out(&app, &signed, tx, tenant, account).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Leaves a tenant, with all the roles that one holds in it.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/leave", tag = "tenants", operation_id = "leave_tenant", params(("tenant" = TenantId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn leave(
    State(app): State<App>,
    signed: Signed,
    Path(tenant): Path<TenantId>,
) -> Result<StatusCode, ApiError> {
    let (tenant, account) = (customer(tenant)?, AccountId::from_uuid(*signed.session.account().uuid()));
    let tx = signed.enter_customer(&app, tenant, Action::TenantLeave, Resource::Customer).await?;
    take_out(&app, &signed, tx, tenant, account).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Leaves every tenant that one is in, before one's account goes.
///
/// # Errors
/// [`Code::LastOwner`] while one is the last owner of any, before the first is left. One whose deletion has begun goes without
/// its owner.
pub(crate) async fn leave_all(app: &App, signed: &Signed) -> Result<(), ApiError> {
    let account = AccountId::from_uuid(*signed.session.account().uuid());
    let mut tx = app
        .access
        .view(&signed.caller, StoredTenant::PLATFORM, Action::TenantList, super::own_entry(signed))
        .await?
        .once();
    let memberships = app.tenancy.memberships(&mut tx, account.uuid()).await?;
    let mut to_leave = Vec::with_capacity(memberships.len());
    for tenant in memberships {
        match app.access.view(&signed.caller, tenant, Action::TenantRead, Resource::Customer).await {
            Ok(mut tx) => {
                let (state, _) = app.tenancy.state(&mut tx).await?;
                match (app.tenancy.is_last_owner(&mut tx, account.uuid()).await?, state) {
                    (false, _) => to_leave.push(tenant),
                    (true, CustomerState::Closing) => {}
                    (true, _) => {
                        let detail =
                            format!("you are the last owner of {tenant}: hand it on, or delete it first");
                        return Err(Problem::new(Code::LastOwner).detail(detail).into());
                    }
                }
            }
            // Whoever is suspended there, or in it no more, has nothing to leave.
            Err(access::Refused::NotFound | access::Refused::Suspended) => {}
            Err(error) => return Err(error.into()),
        }
    }
    for tenant in to_leave {
        let tx = app.access.enter(&signed.caller, tenant, Action::TenantLeave, Resource::Customer).await?;
        take_out(app, signed, tx, tenant, account).await?;
    }
    Ok(())
}

/// First out of the tenant, where it counts, then out of the directory.
async fn take_out(
    app: &App,
    signed: &Signed,
    mut tx: store::WriteTx,
    tenant: StoredTenant,
    account: AccountId,
) -> Result<(), ApiError> {
    let before = app.tenancy.member(&mut tx, account.uuid()).await?;
    app.tenancy.remove_member(&mut tx, account.uuid()).await?;
    let was = json!({ "label": before.label.as_str(), "state": before.state.name() });
    commit(app, tx, account, Change { before: Some(was), ..Change::default() }).await?;
    forget(app, signed.caller.request(), tenant, account.uuid()).await
}

/// Forgets in the directory that an account is in a tenant.
async fn forget(app: &App, request: &str, tenant: StoredTenant, account: Uuid) -> Result<(), ApiError> {
    let mut tx = in_directory(app, request).await?;
    app.tenancy.forget_membership(&mut tx, tenant, account).await?;
    tx.commit(Record::about(tenant)).await?;
    Ok(())
}

fn shown(member: Member) -> TenantMember {
    TenantMember {
        account: AccountId::from_uuid(member.account),
        label: member.label.as_str().to_owned(),
        state: member.state.to_string(),
        joined_at: member.joined_at,
    }
}
