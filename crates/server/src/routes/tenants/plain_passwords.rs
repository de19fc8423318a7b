// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Plain passwords of a tenant's members: whether there may be any, whose there are, and one's own.

use access::tenancy::Change;
use access::{Action, Resource, TenancyError};
use axum::extract::State;
use axum::http::StatusCode;
use identity::{MAX_PLAIN_PASSWORD, MIN_PLAIN_PASSWORD, NewPlainPassword as New, PlainHash, PlainName};
use protocol::tenants::plain_passwords::{
    ImportedPlainPassword, NewPlainPassword, PlainPassword, PlainPasswordSetting, PlainPasswords,
};
use protocol::{AccountId, Code, Problem, TenantId};
use serde::Deserialize;
use serde_json::json;
use store::{ReadTx, TenantId as StoredTenant, WriteTx};
use utoipa::IntoParams;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{commit, customer};
use crate::caller::{Acting, Signed};
use crate::error::ApiError;
use crate::gateway::{Json, Path, Query};
use crate::state::App;

/// Which page.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlainPasswordsQuery {
    /// The account after which the page begins.
    after: Option<AccountId>,
    /// At most so many: 100 by default, at most 200.
    limit: Option<u32>,
}

/// Says whether the tenant allows plain passwords, and lists those of its members.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/plain-passwords", tag = "tenants", operation_id = "list_plain_passwords", params(("tenant" = TenantId, Path), PlainPasswordsQuery), security(("session" = [])),
    responses((status = 200, body = PlainPasswords), (status = 404, body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
    Query(query): Query<PlainPasswordsQuery>,
) -> Result<Json<PlainPasswords>, ApiError> {
    let limit = query.limit.unwrap_or(super::PAGE).clamp(1, 200);
    let mut tx = acting.view(&app, customer(tenant)?, Action::MemberRead, Resource::Customer).await?;
    let allowed_since = app.identity.plain_passwords_since(&mut tx).await?;
    let after = query.after.map(|account| account.uuid());
    let mut found = app.identity.plain_passwords(&mut tx, after, limit.saturating_add(1)).await?;
    let page = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_more = found.len() > page;
    found.truncate(page);
    let next = found.last().filter(|_| is_more).map(|last| AccountId::from_uuid(last.account));
    Ok(Json(PlainPasswords { allowed_since, plain_passwords: found.into_iter().map(shown).collect(), next }))
}

/// Says whether the tenant allows plain passwords. It does not, until this says so; when it no longer does, all tokens that came of one end.
#[utoipa::path(put, path = "/api/v1/tenants/{tenant}/plain-passwords", tag = "tenants", operation_id = "allow_plain_passwords", params(("tenant" = TenantId, Path)), request_body = PlainPasswordSetting, security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn allow(
    State(app): State<App>,
    signed: Signed,
    Path(tenant): Path<TenantId>,
    Json(body): Json<PlainPasswordSetting>,
) -> Result<StatusCode, ApiError> {
    let mut tx = write(&app, &signed, customer(tenant)?).await?;
    app.identity.allow_plain_passwords(&mut tx, body.allowed).await?;
    let after = Some(json!({ "plain_passwords": body.allowed }));
    commit(&app, tx, tenant, Change { after, ..Change::default() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Imports the hash of a member's password at another system. It opens no more than who imports it may give.
#[utoipa::path(put, path = "/api/v1/tenants/{tenant}/members/{account}/plain-password", tag = "tenants", operation_id = "import_plain_password", params(("tenant" = TenantId, Path), ("account" = AccountId, Path)), request_body = ImportedPlainPassword, security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn import(
    State(app): State<App>,
    signed: Signed,
    Path((tenant, account)): Path<(TenantId, AccountId)>,
    Json(body): Json<ImportedPlainPassword>,
) -> Result<StatusCode, ApiError> {
    let name = plain_name(&body.name)?;
    if account.uuid() == *signed.session.account().uuid() {
        return Err(ApiError::field("account", "your own password you set yourself"));
    }
    let hash = PlainHash::imported(body.hash.expose()).map_err(|error| ApiError::field("hash", error))?;
    let mut tx = write(&app, &signed, customer(tenant)?).await?;
    let held = app.tenancy.held(&mut tx, app.access.policies(), account.uuid()).await?;
    app.access.covers_all(&mut tx, &signed.caller, &held).await?;
    let own = app.identity.plain_password(&mut tx, account.uuid()).await?;
    if own.is_some_and(|own| own.set_by == account.uuid()) {
        let why = "they have set one themselves: it is taken away before another is imported";
        return Err(Problem::new(Code::Conflict).detail(why).into());
    }
    set(&app, tx, &signed, account.uuid(), &name, hash).await
}

/// Takes a member's plain password away, and with it all tokens that came of it.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/members/{account}/plain-password", tag = "tenants", operation_id = "remove_plain_password", params(("tenant" = TenantId, Path), ("account" = AccountId, Path)), security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn remove(
    State(app): State<App>,
    signed: Signed,
    Path((tenant, account)): Path<(TenantId, AccountId)>,
) -> Result<StatusCode, ApiError> {
    let tx = write(&app, &signed, customer(tenant)?).await?;
    forget(&app, tx, account.uuid()).await
}

/// One's own plain password, without the password.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/plain-password", tag = "tenants", operation_id = "read_own_plain_password", params(("tenant" = TenantId, Path)), security(("session" = [])),
    responses((status = 200, body = PlainPassword), (status = 404, body = Problem)))]
pub(crate) async fn read_own(
    State(app): State<App>,
    signed: Signed,
    Path(tenant): Path<TenantId>,
) -> Result<Json<PlainPassword>, ApiError> {
    let tenant = customer(tenant)?;
    let mut tx = app.access.view(&signed.caller, tenant, Action::TenantRead, Resource::Customer).await?;
    let own = app.identity.plain_password(&mut tx, *signed.session.account().uuid()).await?;
    Ok(Json(shown(own.ok_or_else(|| ApiError::new(Code::NotFound))?)))
}

/// Sets one's own plain password, in place of the one before, whose tokens end. The server sees it.
#[utoipa::path(put, path = "/api/v1/tenants/{tenant}/plain-password", tag = "tenants", operation_id = "set_own_plain_password", params(("tenant" = TenantId, Path)), request_body = NewPlainPassword, security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn set_own(
    State(app): State<App>,
    signed: Signed,
    Path(tenant): Path<TenantId>,
    Json(body): Json<NewPlainPassword>,
) -> Result<StatusCode, ApiError> {
    let (tenant, name) = (customer(tenant)?, plain_name(&body.name)?);
    let password = Zeroizing::new(body.password.expose().as_bytes().to_vec());
    if !(MIN_PLAIN_PASSWORD..=MAX_PLAIN_PASSWORD).contains(&password.len()) {
        return Err(ApiError::field("password", "expected 12 to 1024 bytes"));
    }
    // Whoever may not set one does not make the server work.
    let mut tx = own(&app, &signed, tenant).await?;
    let before = app.identity.plain_password(&mut tx, *signed.session.account().uuid()).await?;
    drop(tx);
    // Old clients take who shows a name for whoever has it: an address is given by who manages the tenant.
    if body.name.contains('@') && before.is_none_or(|before| before.name != body.name) {
        let why = "a name with `@` is given by who manages the tenant, with the import of a hash";
        return Err(ApiError::field("name", why));
    }
    let hash = app.slowly(tenant, move || PlainHash::of(&password)).await?.map_err(ApiError::internal)?;
    let tx = own(&app, &signed, tenant).await?;
    set(&app, tx, &signed, *signed.session.account().uuid(), &name, hash).await
}

/// Takes one's own plain password away, and with it all tokens that came of it.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/plain-password", tag = "tenants", operation_id = "remove_own_plain_password", params(("tenant" = TenantId, Path)), security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn remove_own(
    State(app): State<App>,
    signed: Signed,
    Path(tenant): Path<TenantId>,
) -> Result<StatusCode, ApiError> {
    let tx = own(&app, &signed, customer(tenant)?).await?;
    forget(&app, tx, *signed.session.account().uuid()).await
}

/// Whether a plain password is good for what its member may: it is of this membership, and who imported it could give that.
pub(crate) async fn is_good(
    app: &App,
    tx: &mut ReadTx,
    known: &identity::PlainPassword,
) -> Result<bool, ApiError> {
    let member = match app.tenancy.member(tx, known.account).await {
        Ok(member) => member,
        Err(TenancyError::NotFound) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    if member.joined_at != known.joined_at {
        return Ok(false);
    }
    Ok(known.set_by == known.account
        || app.tenancy.could_give(tx, &app.access, known.set_by, known.account).await?)
}

async fn write(app: &App, signed: &Signed, tenant: StoredTenant) -> Result<WriteTx, ApiError> {
    signed.enter_customer(app, tenant, Action::PlainPasswordWrite, Resource::Customer).await
}

async fn own(app: &App, signed: &Signed, tenant: StoredTenant) -> Result<WriteTx, ApiError> {
    signed.enter_customer(app, tenant, Action::PlainPasswordSet, Resource::Customer).await
}

async fn set(
    app: &App,
    mut tx: WriteTx,
    signed: &Signed,
    account: Uuid,
    name: &PlainName,
    hash: PlainHash,
) -> Result<StatusCode, ApiError> {
    let member = app.tenancy.member(&mut tx, account).await?;
    let set_by = *signed.session.account().uuid();
    let new = New { account, joined_at: member.joined_at, name, hash, set_by };
    app.identity.set_plain_password(&mut tx, &new).await?;
    let after = Some(json!({ "plain_password": name.as_str(), "imported": set_by != account }));
    commit(app, tx, AccountId::from_uuid(account), Change { after, ..Change::default() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn forget(app: &App, mut tx: WriteTx, account: Uuid) -> Result<StatusCode, ApiError> {
    if !app.identity.forget_plain_password(&mut tx, account).await? {
        return Err(ApiError::new(Code::NotFound));
    }
    let after = Some(json!({ "plain_password": null }));
    commit(app, tx, AccountId::from_uuid(account), Change { after, ..Change::default() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn plain_name(text: &str) -> Result<PlainName, ApiError> {
    PlainName::parse(text).ok_or_else(|| {
        ApiError::field("name", "1 to 254 bytes, without spaces around and control characters")
    })
}

fn shown(known: identity::PlainPassword) -> PlainPassword {
    PlainPassword {
        account: AccountId::from_uuid(known.account),
        name: known.name,
        set_by: AccountId::from_uuid(known.set_by),
        set_at: known.set_at,
        used_at: known.used_at,
        imported: known.is_imported,
    }
}

impl From<identity::PlainPasswordError> for ApiError {
    fn from(error: identity::PlainPasswordError) -> Self {
        use identity::PlainPasswordError as E;
        match error {
            E::NotAllowed | E::NameTaken => Problem::new(Code::Conflict).detail(error).into(),
            E::Failed(failure) => failure.into(),
            other => ApiError::internal(other),
        }
    }
}
