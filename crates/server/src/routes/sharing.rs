// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sharing collections with other accounts, and the directory of their public keys.
//!
//! What a share opens is asked for twice: the directory says that there is one, which the policies decide on; and the member's row
//! in the collection's home, in the very transaction that reads, says that it is still so.

use access::{Action, Caller, Resource, Share as LiveShare};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use objects::NewMember;
use protocol::objects::Changes;
use protocol::sharing::{
    AccountKeys, Member, Members, PublishedKeys, PutMember, Share, SharedCollection, Shares,
};
use protocol::{AccountId, Code, CollectionId, ItemId, Problem, TenantId};
use store::{ReadTx, Record, TenantId as Tenant, WriteTx, history};

use crate::caller::Signed;
use crate::error::ApiError;
use crate::gateway::{Json, Path, Query};
use crate::routes::collections::{self, ChangesQuery};
use crate::routes::{files, log};
use crate::state::App;

/// The public identity keys of an account, with their records in the platform's log.
#[utoipa::path(get, path = "/api/v1/accounts/{number}/keys", tag = "sharing", operation_id = "read_account_keys",
    params(("number" = String, Path, description = "the account's number")), security(("session" = [])),
    responses((status = 200, body = AccountKeys), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn keys(
    State(app): State<App>,
    signed: Signed,
    Path(number): Path<String>,
) -> Result<Json<AccountKeys>, ApiError> {
    let mut tx = directory(&app, &signed).await?;
    let account = published(&app, &mut tx, &number).await?;
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

/// Lets an account read a collection, or renews its grant.
#[utoipa::path(put, path = "/api/v1/collections/{collection}/members/{account}", tag = "sharing", operation_id = "put_member",
    params(("collection" = CollectionId, Path), ("account" = AccountId, Path)), request_body = PutMember, security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn put(
    State(app): State<App>,
    signed: Signed,
    Path((collection, account)): Path<(CollectionId, AccountId)>,
    Json(body): Json<PutMember>,
) -> Result<StatusCode, ApiError> {
    let own = *signed.session.account().uuid();
    // Whoever has the session may do it at all, before anything is said of another account.
    let resource = Resource::Collection(collection.uuid());
    let mut tx = signed.enter(&app, Action::CollectionShare, resource).await?;
    app.objects.collection(&mut tx, collections::id(collection)).await?;
    drop(tx);
    let mut view = directory(&app, &signed).await?;
    let recipient = published(&app, &mut view, &body.account_number).await?;
    drop(view);
    if account.uuid() == own {
        return Err(ApiError::field("account", "it is your own"));
    }
    keyring::Grant::from_bytes(body.grant.as_slice()).map_err(|error| ApiError::field("grant", error))?;
    if *recipient.id.uuid() != account.uuid() {
        return Err(ApiError::field("account_number", "it is another account's"));
    }
    if recipient.keys.last().map(|keys| keys.key_version) != Some(body.key_version) {
        return Err(Problem::new(Code::Conflict)
            .field("key_version")
            .detail("the account has other keys now")
            .into());
    }

    let mut tx = signed.enter(&app, Action::CollectionShare, resource).await?;
    let member = NewMember {
        account: account.uuid(),
        key_version: body.key_version,
        sharer_key_version: body.own_key_version,
        grant: body.grant.as_slice(),
    };
    app.objects.add_member(&mut tx, collections::id(collection), member).await?;
    tx.commit(Record::about(format!("{collection}/{account}"))).await?;
    note(&app, &signed, recipient.home, collection).await?;
    let mut tx = own_entry(&app, &signed).await?;
    app.objects.put_share(&mut tx, account.uuid(), signed.home(), collections::id(collection), own).await?;
    tx.commit(Record::about(format!("{collection}/{account}"))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a collection away from an account, at once.
#[utoipa::path(delete, path = "/api/v1/collections/{collection}/members/{account}", tag = "sharing", operation_id = "delete_member",
    params(("collection" = CollectionId, Path), ("account" = AccountId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn delete(
    State(app): State<App>,
    signed: Signed,
    Path((collection, account)): Path<(CollectionId, AccountId)>,
) -> Result<StatusCode, ApiError> {
    let resource = Resource::Collection(collection.uuid());
    let mut tx = signed.enter(&app, Action::CollectionShare, resource).await?;
    let id = collections::id(collection);
    app.objects.collection(&mut tx, id).await?;
    let was_member = app.objects.remove_member(&mut tx, id, account.uuid()).await?;
    tx.commit(Record::about(format!("{collection}/{account}"))).await?;
    let mut tx = own_entry(&app, &signed).await?;
    app.objects.remove_share(&mut tx, account.uuid(), signed.home(), id).await?;
    tx.commit(Record::about(format!("{collection}/{account}"))).await?;
    if !was_member {
        return Err(ApiError::new(Code::NotFound));
    }
    let mut view = directory(&app, &signed).await?;
    let home = app.identity.home_of(&mut view, identity::AccountId::from_uuid(account.uuid())).await?;
    drop(view);
    if let Some(home) = home {
        note(&app, &signed, home, collection).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Lists who reads a collection.
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
    let mut tx = directory(&app, &signed).await?;
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
            created_at: share.created_at,
        });
    }
    Ok(Json(Shares { shares }))
}

/// Reads a collection that somebody shares, with the grant of its key.
#[utoipa::path(get, path = "/api/v1/shares/{home}/collections/{collection}", tag = "sharing", operation_id = "read_shared_collection",
    params(("home" = TenantId, Path), ("collection" = CollectionId, Path)), security(("session" = [])),
    responses((status = 200, body = SharedCollection), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(app): State<App>,
    signed: Signed,
    Path((home, collection)): Path<(TenantId, CollectionId)>,
) -> Result<Json<SharedCollection>, ApiError> {
    let shared = Shared::find(&app, &signed, home, collection).await?;
    let mut tx = shared.view(&app, Action::CollectionRead).await?;
    let member = shared.still(&app, &mut tx).await?;
    let found = app.objects.collection(&mut tx, collections::id(collection)).await?;
    Ok(Json(SharedCollection {
        id: collection,
        kind: found.kind,
        owner: AccountId::from_uuid(found.owner),
        owner_key_version: member.sharer_key_version,
        key_version: member.key_version,
        grant: member.grant.into(),
        sealed_meta: found.sealed_meta.into(),
        sequence: found.sequence,
    }))
}

/// Lists what changed in a collection that somebody shares.
#[utoipa::path(get, path = "/api/v1/shares/{home}/collections/{collection}/changes", tag = "sharing", operation_id = "list_shared_changes",
    params(("home" = TenantId, Path), ("collection" = CollectionId, Path), ChangesQuery), security(("session" = [])),
    responses((status = 200, body = Changes), (status = 404, body = Problem)))]
pub(crate) async fn changes(
    State(app): State<App>,
    signed: Signed,
    Path((home, collection)): Path<(TenantId, CollectionId)>,
    Query(query): Query<ChangesQuery>,
) -> Result<Json<Changes>, ApiError> {
    let shared = Shared::find(&app, &signed, home, collection).await?;
    let mut tx = shared.view(&app, Action::ItemRead).await?;
    shared.still(&app, &mut tx).await?;
    Ok(Json(collections::page(&app, &mut tx, collection, &query).await?))
}

/// Reads a file of a collection that somebody shares. Recorded in its owner's history.
#[utoipa::path(get, path = "/api/v1/shares/{home}/collections/{collection}/items/{item}/file", tag = "sharing", operation_id = "read_shared_file",
    params(("home" = TenantId, Path), ("collection" = CollectionId, Path), ("item" = ItemId, Path), ("Range" = Option<String>, Header)), security(("session" = [])),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>), (status = 206, content_type = "application/octet-stream", body = Vec<u8>),
              (status = 404, body = Problem), (status = 416, body = Problem)))]
pub(crate) async fn download(
    State(app): State<App>,
    signed: Signed,
    Path((home, collection, item)): Path<(TenantId, CollectionId, ItemId)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let place = app.downloads.place(signed.home()).await?;
    let shared = Shared::find(&app, &signed, home, collection).await?;
    let resource = Resource::File { collection: collection.uuid(), id: item.uuid() };
    let mut tx = app.access.enter(&shared.caller, shared.home, Action::FileRead, resource).await?;
    shared.still(&app, &mut tx).await?;
    let reader = files::Reader::Member(Box::new((signed, shared)));
    files::send(app, place, reader, tx, collection, item, &headers).await
}

/// A share that the directory has.
pub(crate) struct Shared {
    caller: Caller,
    home: Tenant,
    collection: CollectionId,
    account: uuid::Uuid,
}

impl Shared {
    async fn find(
        app: &App,
        signed: &Signed,
        home: TenantId,
        collection: CollectionId,
    ) -> Result<Shared, ApiError> {
        let account = *signed.session.account().uuid();
        let home = Tenant::from_uuid(home.uuid());
        let mut tx = own_entry_view(app, signed).await?;
        app.objects.share(&mut tx, account, home, collections::id(collection)).await?;
        let share = LiveShare { home, collection: collection.uuid() };
        Ok(Shared { caller: signed.caller.clone().sharing(share), home, collection, account })
    }

    async fn view(&self, app: &App, action: Action) -> Result<ReadTx, ApiError> {
        let resource = Resource::Collection(self.collection.uuid());
        Ok(app.access.view(&self.caller, self.home, action, resource).await?)
    }

    /// Whether it is still so, for what goes on after its request was let in.
    pub(crate) async fn look_again(&self, app: &App) -> Result<(), ApiError> {
        let mut tx = self.view(app, Action::ItemRead).await?;
        self.still(app, &mut tx).await.map(drop)
    }

    /// Whether it is still so, in the transaction that reads.
    async fn still(&self, app: &App, tx: &mut ReadTx) -> Result<objects::Member, ApiError> {
        Ok(app.objects.member(tx, collections::id(self.collection), self.account).await?)
    }
}

/// A view of what the directory says to everybody who is signed in: numbers and public keys.
async fn directory(app: &App, signed: &Signed) -> Result<ReadTx, ApiError> {
    let reader = Caller::system("key-directory", signed.caller.request());
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
            E::Grant => ApiError::field("grant", error),
            E::Store(store) => store.into(),
            other => ApiError::internal(other),
        }
    }
}
