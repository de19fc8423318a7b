// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sharing one's collections with other accounts, and the directory of everybody's public keys. What members do with a share is
//! in [`shared`](super::shared).

use access::{Action, Caller, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use objects::NewMember;
use protocol::sharing::{
    AccountKeys, Admitted, Member, Members, NextKey, Permission, PublishedKeys, PutMember, Share, Shares,
};
use protocol::{AccountId, Code, CollectionId, Problem, TenantId};
use store::{ReadTx, Record, TenantId as Tenant, WriteTx, history};

use crate::caller::{Authenticated, Signed};
use crate::error::ApiError;
use crate::gateway::{Json, Path};
use crate::routes::{collections, log};
use crate::state::App;

/// The public identity keys of an account, with their records in the platform's log.
#[utoipa::path(get, path = "/api/v1/accounts/{number}/keys", tag = "sharing", operation_id = "read_account_keys",
    params(("number" = String, Path, description = "the account's number, or its id (`acc_…`)")), security(("session" = [])),
    responses((status = 200, body = AccountKeys), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn keys(
    State(app): State<App>,
    signed: Authenticated,
    Path(number): Path<String>,
) -> Result<Json<AccountKeys>, ApiError> {
    if signed.caller().signed_in().is_some_and(|account| account.suspended) {
        return Err(ApiError::new(Code::Suspended));
    }
    let mut tx = directory(&app, signed.caller()).await?;
    let account = match number.parse::<AccountId>() {
        Ok(id) => published_by_id(&app, &mut tx, id).await?,
        Err(_) => published(&app, &mut tx, &number).await?,
    };
    let mut keys = Vec::with_capacity(account.keys.len());
    for one in account.keys {
        // A moment after a sign-up the log has not got there yet.
        let entry = history::record(&mut tx, one.record).await?.ok_or_else(not_logged_yet)?;
        keys.push(PublishedKeys {
            key_version: one.key_version,
            keys: one.keys.into(),
            statement: one.statement.map(Into::into),
            entry: log::to_entry(entry),
        });
    }
    Ok(Json(AccountKeys {
        account: AccountId::from_uuid(*account.id.uuid()),
        account_number: account.number.to_string(),
        keys,
    }))
}

/// Lets an account have a collection, changes what it may do there, or renews its grant.
#[utoipa::path(put, path = "/api/v1/collections/{collection}/members/{account}", tag = "sharing", operation_id = "put_member",
    params(("collection" = CollectionId, Path), ("account" = AccountId, Path)), request_body = PutMember, security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn put(
    State(app): State<App>,
    signed: Signed,
    Path((collection, account)): Path<(CollectionId, AccountId)>,
    Json(body): Json<PutMember>,
) -> Result<StatusCode, ApiError> {
    may_share(&app, &signed, collection).await?;
    let mut view = directory(&app, &signed.caller).await?;
    let recipient = published(&app, &mut view, &body.account_number).await?;
    drop(view);
    if account.uuid() == *signed.session.account().uuid() {
        return Err(ApiError::field("account", "it is your own"));
    }
    check_grant(&body.grant)?;
    if *recipient.id.uuid() != account.uuid() {
        return Err(ApiError::field("account_number", "it is another account's"));
    }
    if recipient.keys.last().map(|keys| keys.key_version) != Some(body.key_version) {
        return Err(Problem::new(Code::Conflict)
            .field("key_version")
            .detail("the account has other keys now")
            .into());
    }

    let resource = Resource::Collection(collection.uuid());
    let mut tx = signed.enter(&app, Action::CollectionShare, resource).await?;
    let member = NewMember {
        account: account.uuid(),
        key_version: body.key_version,
        sharer_key_version: body.own_key_version,
        permission: permission(body.permission),
        grant: body.grant.as_slice(),
    };
    let id = collections::id(collection);
    let is_new = app.objects.member(&mut tx, id, account.uuid()).await.is_err();
    app.objects.add_member(&mut tx, id, body.generation, member).await?;
    tx.commit(Record::about(format!("{collection}/{account}"))).await?;
    let home = is_new.then_some(recipient.home);
    tell_let_in(&app, &signed, collection, account, member.permission, home).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a collection its next key: who is removed does not get it, at once and for good.
#[utoipa::path(post, path = "/api/v1/collections/{collection}/next-key", tag = "sharing", operation_id = "next_collection_key",
    params(("collection" = CollectionId, Path)), request_body = NextKey, security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn next_key(
    State(app): State<App>,
    signed: Signed,
    Path(collection): Path<CollectionId>,
    Json(body): Json<NextKey>,
) -> Result<StatusCode, ApiError> {
    may_share(&app, &signed, collection).await?;
    let own = *signed.session.account().uuid();
    for admitted in body.keep.iter().chain(&body.add) {
        check_grant(&admitted.grant)?;
        if admitted.account.uuid() == own {
            return Err(ApiError::field("account", "it is your own"));
        }
    }
    let mut view = directory(&app, &signed.caller).await?;
    let mut homes = Vec::with_capacity(body.add.len());
    for admitted in &body.add {
        let id = identity::AccountId::from_uuid(admitted.account.uuid());
        let home = app.identity.home_of(&mut view, id).await?;
        homes.push(home.ok_or_else(|| ApiError::new(Code::NotFound))?);
    }
    drop(view);

    let keep = body.keep.iter().map(|admitted| to_admitted(admitted, false));
    let members: Vec<_> = keep.chain(body.add.iter().map(|admitted| to_admitted(admitted, true))).collect();
    let removed: Vec<_> = body.remove.iter().map(AccountId::uuid).collect();
    let id = collections::id(collection);
    let next = objects::NextKey {
        collection: id,
        from_generation: body.from_generation,
        from_key_version: body.from_key_version,
        last_change: body.last_change,
        sealed_key: body.sealed_key.as_slice(),
        former_key: body.former_key.as_slice(),
        sealed_meta: body.sealed_meta.as_slice(),
        removed: &removed,
        members: &members,
    };
    let resource = Resource::Collection(collection.uuid());
    let mut tx = signed.enter(&app, Action::CollectionShare, resource).await?;
    app.objects.next_key(&mut tx, next).await?;
    tx.commit(Record::about(format!("{collection}/{}", body.from_generation.saturating_add(1)))).await?;

    for account in &body.remove {
        tell_let_out(&app, &signed, collection, *account).await?;
    }
    for (admitted, home) in body.add.iter().zip(homes) {
        let permission = permission(admitted.permission);
        tell_let_in(&app, &signed, collection, admitted.account, permission, Some(home)).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

fn to_admitted(admitted: &Admitted, is_new: bool) -> objects::Admitted<'_> {
    let member = NewMember {
        account: admitted.account.uuid(),
        key_version: admitted.key_version,
        sharer_key_version: admitted.own_key_version,
        permission: permission(admitted.permission),
        grant: admitted.grant.as_slice(),
    };
    objects::Admitted { member, is_new }
}

/// Whoever has the session may share this at all: asked before anything is said of another account.
async fn may_share(app: &App, signed: &Signed, collection: CollectionId) -> Result<(), ApiError> {
    let resource = Resource::Collection(collection.uuid());
    let action = Action::CollectionShare;
    let mut tx = app.access.enter(&signed.caller, signed.home(), action, resource).await?;
    app.objects.collection(&mut tx, collections::id(collection)).await?;
    Ok(())
}

fn check_grant(grant: &protocol::Bytes<4096>) -> Result<(), ApiError> {
    keyring::Grant::from_bytes(grant.as_slice()).map_err(|error| ApiError::field("grant", error)).map(drop)
}

/// Notes in the directory where a member looks, and in a new member's history that something is shared.
async fn tell_let_in(
    app: &App,
    signed: &Signed,
    collection: CollectionId,
    account: AccountId,
    permission: objects::Permission,
    new_in: Option<Tenant>,
) -> Result<(), ApiError> {
    if let Some(home) = new_in {
        note(app, signed, home, collection).await?;
    }
    let own = *signed.session.account().uuid();
    let (home, id) = (signed.home(), collections::id(collection));
    let mut tx = own_entry(app, signed).await?;
    app.objects.put_share(&mut tx, account.uuid(), home, id, own, permission).await?;
    tx.commit(Record::about(format!("{collection}/{account}"))).await?;
    Ok(())
}

/// The end of that.
async fn tell_let_out(
    app: &App,
    signed: &Signed,
    collection: CollectionId,
    account: AccountId,
) -> Result<(), ApiError> {
    let mut tx = own_entry(app, signed).await?;
    app.objects.remove_share(&mut tx, account.uuid(), signed.home(), collections::id(collection)).await?;
    tx.commit(Record::about(format!("{collection}/{account}"))).await?;
    let mut view = directory(app, &signed.caller).await?;
    let home = app.identity.home_of(&mut view, identity::AccountId::from_uuid(account.uuid())).await?;
    drop(view);
    match home {
        Some(home) => note(app, signed, home, collection).await,
        None => Ok(()),
    }
}

/// Forgets in the directory with whom a collection was shared that is gone.
pub(crate) async fn forget(
    app: &App,
    caller: &Caller,
    home: Tenant,
    collection: CollectionId,
) -> Result<(), ApiError> {
    let worker = Caller::system("sharing", caller.request());
    let action = Action::MaintenanceRun;
    let mut tx = app.access.enter(&worker, Tenant::PLATFORM, action, Resource::Platform).await?;
    if app.objects.forget_shares_of(&mut tx, home, collections::id(collection)).await? > 0 {
        tx.commit(Record::about(collection)).await?;
    }
    Ok(())
}

pub(crate) fn to_permission(permission: objects::Permission) -> Permission {
    match permission {
        objects::Permission::Read => Permission::Read,
        objects::Permission::Write => Permission::Write,
    }
}

fn permission(permission: Permission) -> objects::Permission {
    match permission {
        Permission::Read => objects::Permission::Read,
        Permission::Write => objects::Permission::Write,
    }
}

/// Lists who has a collection beside its owner.
#[utoipa::path(get, path = "/api/v1/collections/{collection}/members", tag = "sharing", operation_id = "list_members",
    params(("collection" = CollectionId, Path)), security(("session" = [])),
    responses((status = 200, body = Members), (status = 404, body = Problem)))]
pub(crate) async fn members(
    State(app): State<App>,
    signed: Signed,
    Path(collection): Path<CollectionId>,
) -> Result<Json<Members>, ApiError> {
    let resource = Resource::Collection(collection.uuid());
    let mut tx = app.access.view(&signed.caller, signed.home(), Action::CollectionRead, resource).await?;
    app.objects.collection(&mut tx, collections::id(collection)).await?;
    let found = app.objects.members(&mut tx, collections::id(collection)).await?;
    drop(tx);
    let mut tx = directory(&app, &signed.caller).await?;
    let mut members = Vec::with_capacity(found.len());
    for member in found {
        let account = identity::AccountId::from_uuid(member.account);
        members.push(Member {
            account: AccountId::from_uuid(member.account),
            account_number: app
                .identity
                .account_number(&mut tx, account)
                .await?
                .map(|number| number.to_string()),
            key_version: member.key_version,
            own_key_version: member.sharer_key_version,
            permission: to_permission(member.permission),
            grant: member.grant.into(),
            created_at: member.created_at,
        });
    }
    Ok(Json(Members { members }))
}

/// Lists what others share with one.
#[utoipa::path(get, path = "/api/v1/shares", tag = "sharing", operation_id = "list_shares", security(("session" = [])),
    responses((status = 200, body = Shares)))]
pub(crate) async fn shares(State(app): State<App>, signed: Signed) -> Result<Json<Shares>, ApiError> {
    let mut tx = own_entry_view(&app, &signed).await?;
    let found = app.objects.shares(&mut tx, *signed.session.account().uuid()).await?;
    let mut shares = Vec::with_capacity(found.len());
    for share in found {
        let owner = identity::AccountId::from_uuid(share.owner);
        shares.push(Share {
            home: TenantId::from_uuid(*share.home.uuid()),
            collection: CollectionId::from_uuid(*share.collection.uuid()),
            owner: AccountId::from_uuid(share.owner),
            owner_number: app.identity.account_number(&mut tx, owner).await?.map(|number| number.to_string()),
            permission: to_permission(share.permission),
            created_at: share.created_at,
        });
    }
    Ok(Json(Shares { shares }))
}

/// A view of what the directory says to everybody who is signed in: numbers and public keys.
async fn directory(app: &App, caller: &Caller) -> Result<ReadTx, ApiError> {
    let reader = Caller::system("key-directory", caller.request());
    Ok(app.access.view(&reader, Tenant::PLATFORM, Action::MaintenanceRun, Resource::Platform).await?)
}

fn entry(signed: &Signed) -> Resource {
    Resource::DirectoryEntry { account: *signed.session.account().uuid() }
}

async fn own_entry_view(app: &App, signed: &Signed) -> Result<ReadTx, ApiError> {
    Ok(app.access.view(&signed.caller, Tenant::PLATFORM, Action::AccountRead, entry(signed)).await?)
}

async fn own_entry(app: &App, signed: &Signed) -> Result<WriteTx, ApiError> {
    Ok(app.access.enter(&signed.caller, Tenant::PLATFORM, Action::CollectionShare, entry(signed)).await?)
}

async fn published(app: &App, tx: &mut ReadTx, number: &str) -> Result<identity::PublishedAccount, ApiError> {
    let number = keyring::AccountNumber::parse(number).map_err(|_| ApiError::new(Code::NotFound))?;
    let account = app.identity.published_account(tx, &number).await?;
    account.filter(|account| !account.keys.is_empty()).ok_or_else(|| ApiError::new(Code::NotFound))
}

async fn published_by_id(
    app: &App,
    tx: &mut ReadTx,
    account: AccountId,
) -> Result<identity::PublishedAccount, ApiError> {
    let account = identity::AccountId::from_uuid(account.uuid());
    let account = app.identity.published_account_of(tx, account).await?;
    account.filter(|account| !account.keys.is_empty()).ok_or_else(|| ApiError::new(Code::NotFound))
}

/// The other account's history says too that something began or ended to be shared with it.
async fn note(app: &App, signed: &Signed, home: Tenant, collection: CollectionId) -> Result<(), ApiError> {
    let worker = Caller::system("sharing", signed.caller.request());
    let tx = app.access.enter(&worker, home, Action::ShareReceive, Resource::Home).await?;
    tx.commit(Record::about(format!("{collection}/{}", signed.session.account()))).await?;
    Ok(())
}

fn not_logged_yet() -> ApiError {
    Problem { retry_after: Some(1), ..Problem::new(Code::Unavailable) }
        .detail("the keys are not in the log yet")
        .into()
}

impl From<objects::ShareError> for ApiError {
    fn from(error: objects::ShareError) -> Self {
        use objects::ShareError as E;
        match error {
            E::NotFound => ApiError::new(Code::NotFound),
            E::TooMany => Problem::new(Code::Conflict).detail(error).into(),
            E::KeyOutdated => Problem::new(Code::KeyOutdated).detail(error).into(),
            E::TooOften { retry_after } => Problem {
                retry_after: Some(retry_after),
                ..Problem::new(Code::TooManyRequests).detail(error)
            }
            .into(),
            E::Grant => ApiError::field("grant", error),
            E::Store(store) => store.into(),
            other => ApiError::internal(other),
        }
    }
}

impl From<objects::NextKeyError> for ApiError {
    fn from(error: objects::NextKeyError) -> Self {
        use objects::NextKeyError as E;
        match error {
            E::Changed => Problem::new(Code::Conflict).detail(error).into(),
            E::TooManyKeys => Problem::new(Code::Conflict).detail(error).field("from_generation").into(),
            E::Collection(collection) => collection.into(),
            E::Share(share) => share.into(),
            E::Store(store) => store.into(),
            other => ApiError::internal(other),
        }
    }
}
