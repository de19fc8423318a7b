// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the platform's administrators do with accounts: suspend one, end that. None of it shows them anything of its home.
//!
//! As with tenants, it is decided and recorded on the platform, under the administrator's name; then the server enters the
//! home, where the suspension takes effect and is recorded with its reason, for the owner to read once it is over. When a
//! crash comes between, the account is not suspended yet, and doing it again mends that.

use access::tenancy::Change;
use access::{Action, Caller, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use identity::{AccountId, Suspension};
use protocol::accounts::{AccountStanding, AccountSuspension};
use protocol::{Code, Problem};
use serde_json::{Value, json};
use store::{TenantId, WriteTx};

use super::tenants::{commit, name};
use crate::caller::Signed;
use crate::error::ApiError;
use crate::gateway::{Json, Path};
use crate::state::App;

/// Says whether an account is suspended, since when and why.
#[utoipa::path(get, path = "/api/v1/platform/accounts/{account}", tag = "platform", operation_id = "read_account_standing", params(("account" = protocol::AccountId, Path)), security(("session" = [])),
    responses((status = 200, body = AccountStanding), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(app): State<App>,
    signed: Signed,
    Path(account): Path<protocol::AccountId>,
) -> Result<Json<AccountStanding>, ApiError> {
    let id = AccountId::from_uuid(account.uuid());
    let platform = TenantId::PLATFORM;
    let mut tx = app.access.view(&signed.caller, platform, Action::PlatformRead, Resource::Platform).await?;
    let home = app.identity.home_of(&mut tx, id).await?.ok_or_else(|| ApiError::new(Code::NotFound))?;
    drop(tx);
    let worker = Caller::system("accounts", signed.caller.request());
    let mut tx = app.access.view(&worker, home, Action::MaintenanceRun, Resource::Home).await?;
    let state = app.identity.suspension(&mut tx, id).await?;
    Ok(Json(match state {
        Some(Suspension { since, reason }) => {
            AccountStanding { account, state: "suspended".to_owned(), suspended_since: Some(since), reason }
        }
        None => AccountStanding { account, state: "live".to_owned(), suspended_since: None, reason: None },
    }))
}

/// Suspends an account at once: its sessions and API keys do nothing, and nobody signs in to it, until that is ended.
#[utoipa::path(put, path = "/api/v1/platform/accounts/{account}/suspension", tag = "platform", operation_id = "suspend_account", params(("account" = protocol::AccountId, Path)), request_body = AccountSuspension, security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn suspend(
    State(app): State<App>,
    signed: Signed,
    Path(account): Path<protocol::AccountId>,
    Json(body): Json<AccountSuspension>,
) -> Result<StatusCode, ApiError> {
    let reason = name("reason", &body.reason)?;
    let reason = reason.as_str();
    let account = AccountId::from_uuid(account.uuid());
    let home = decide(&app, &signed, account, true, Some(reason)).await?;
    let mut tx = enter(&app, &signed, home).await?;
    if app.identity.suspend(&mut tx, account, reason).await? {
        let after = json!({ "suspended": true, "by": signed.caller.actor() });
        commit(&app, tx, account, change(false, after, Some(reason))).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Ends the suspension of an account.
#[utoipa::path(delete, path = "/api/v1/platform/accounts/{account}/suspension", tag = "platform", operation_id = "resume_account", params(("account" = protocol::AccountId, Path)), security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn resume(
    State(app): State<App>,
    signed: Signed,
    Path(account): Path<protocol::AccountId>,
) -> Result<StatusCode, ApiError> {
    let account = AccountId::from_uuid(account.uuid());
    let home = decide(&app, &signed, account, false, None).await?;
    let mut tx = enter(&app, &signed, home).await?;
    if app.identity.resume(&mut tx, account).await? {
        let after = json!({ "suspended": false, "by": signed.caller.actor() });
        commit(&app, tx, account, change(true, after, None)).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the caller may, with a record of it in the platform's history, which says what is to be; and the account's home.
async fn decide(
    app: &App,
    signed: &Signed,
    account: AccountId,
    suspended: bool,
    reason: Option<&str>,
) -> Result<TenantId, ApiError> {
    let mut tx = on_platform(app, signed).await?;
    if account == signed.session.account() {
        return Err(Problem::new(Code::Conflict)
            .detail("nobody suspends themselves: there would be nobody to end it")
            .into());
    }
    let home = app.identity.home_of(&mut tx, account).await?.ok_or_else(|| ApiError::new(Code::NotFound))?;
    // Nothing waits for the home while it holds the platform.
    drop(tx);
    let worker = Caller::system("accounts", signed.caller.request());
    let mut view = app.access.view(&worker, home, Action::MaintenanceRun, Resource::Home).await?;
    let was_suspended = app.identity.suspended_since(&mut view, account).await?.is_some();
    drop(view);
    let tx = on_platform(app, signed).await?;
    commit(app, tx, account, change(was_suspended, json!({ "suspended": suspended }), reason)).await?;
    Ok(home)
}

fn change(was_suspended: bool, after: Value, reason: Option<&str>) -> Change<'_> {
    Change { before: Some(json!({ "suspended": was_suspended })), after: Some(after), reason }
}

async fn on_platform(app: &App, signed: &Signed) -> Result<WriteTx, ApiError> {
    signed.look_again(app).await?;
    let platform = TenantId::PLATFORM;
    Ok(app.access.enter(&signed.caller, platform, Action::AccountSuspend, Resource::Platform).await?)
}

async fn enter(app: &App, signed: &Signed, home: TenantId) -> Result<WriteTx, ApiError> {
    let worker = Caller::system("accounts", signed.caller.request());
    Ok(app.access.enter(&worker, home, Action::AccountSuspend, Resource::Home).await?)
}
