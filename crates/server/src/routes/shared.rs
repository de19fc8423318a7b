// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a member does with a collection that somebody shares: read it, and write it where that is allowed. Each route is that of the
//! owner's, entered as a [`Party::Member`].

use std::convert::Infallible;

use access::{Action, Resource};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::response::sse::{Event, Sse};
use futures::Stream;
use protocol::objects::{Changes, Item, ItemVersion, NewUpload, PutItem, Upload};
use protocol::sharing::SharedCollection;
use protocol::{AccountId, CollectionId, ItemId, Problem, TenantId, UploadId};
use store::TenantId as Tenant;

use crate::caller::Signed;
use crate::error::ApiError;
use crate::gateway::{Address, Json, Path, Query};
use crate::party::{Member, Party};
use crate::routes::collections::{self, ChangesQuery};
use crate::routes::sharing::to_permission;
use crate::routes::{files, items};
use crate::state::App;

/// Reads a collection that somebody shares, with the grant of its key.
#[utoipa::path(get, path = "/api/v1/shares/{home}/collections/{collection}", tag = "sharing", operation_id = "read_shared_collection",
    params(("home" = TenantId, Path), ("collection" = CollectionId, Path)), security(("session" = [])),
    responses((status = 200, body = SharedCollection), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(app): State<App>,
    signed: Signed,
    Path((home, collection)): Path<(TenantId, CollectionId)>,
) -> Result<Json<SharedCollection>, ApiError> {
    let party = Member::party(&app, signed, home, collection).await?;
    let resource = Resource::Collection(collection.uuid());
    let mut tx = party.view(&app, Action::CollectionRead, resource).await?;
    let member = app.objects.member(&mut tx, collections::id(collection), party.account()).await?;
    let found = app.objects.collection(&mut tx, collections::id(collection)).await?;
    Ok(Json(SharedCollection {
        id: collection,
        kind: found.kind,
        owner: AccountId::from_uuid(found.owner),
        owner_key_version: member.sharer_key_version,
        key_version: member.key_version,
        permission: to_permission(member.permission),
        generation: found.generation,
        grant: member.grant.into(),
        former_keys: found.former_keys.into_iter().map(collections::to_former_key).collect(),
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
    let party = Member::party(&app, signed, home, collection).await?;
    let mut tx = party.view(&app, Action::ItemRead, Resource::Collection(collection.uuid())).await?;
    Ok(Json(collections::page(&app, &mut tx, collection, &query).await?))
}

/// Follows a collection that somebody shares (`text/event-stream`).
#[utoipa::path(get, path = "/api/v1/shares/{home}/collections/{collection}/events", tag = "sharing", operation_id = "follow_shared_changes",
    params(("home" = TenantId, Path), ("collection" = CollectionId, Path)), security(("session" = [])),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = 404, body = Problem)))]
pub(crate) async fn events(
    State(app): State<App>,
    signed: Signed,
    address: Address,
    Path((home, collection)): Path<(TenantId, CollectionId)>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let party = Member::party(&app, signed, home, collection).await?;
    collections::follow(app, address, party, collection, &headers).await
}

/// Reads an item of a collection that somebody shares.
#[utoipa::path(get, path = "/api/v1/shares/{home}/collections/{collection}/items/{item}", tag = "sharing", operation_id = "read_shared_item",
    params(("home" = TenantId, Path), ("collection" = CollectionId, Path), ("item" = ItemId, Path)), security(("session" = [])),
    responses((status = 200, body = Item), (status = 404, body = Problem)))]
pub(crate) async fn read_item(
    State(app): State<App>,
    signed: Signed,
    Path((home, collection, item)): Path<(TenantId, CollectionId, ItemId)>,
) -> Result<Response, ApiError> {
    let party = Member::party(&app, signed, home, collection).await?;
    items::read_for(&app, &party, collection, item).await
}

/// Writes an item's next version in a collection that somebody shares, recorded in its owner's history. Needs the writer's signature,
/// and `If-Match` or `If-None-Match: *`.
#[utoipa::path(put, path = "/api/v1/shares/{home}/collections/{collection}/items/{item}", tag = "sharing", operation_id = "put_shared_item",
    params(("home" = TenantId, Path), ("collection" = CollectionId, Path), ("item" = ItemId, Path),
           ("If-Match" = Option<String>, Header), ("If-None-Match" = Option<String>, Header)),
    request_body = PutItem, security(("session" = [])),
    responses((status = 200, body = ItemVersion), (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem), (status = 507, body = Problem)))]
pub(crate) async fn put_item(
    State(app): State<App>,
    signed: Signed,
    Path((home, collection, item)): Path<(TenantId, CollectionId, ItemId)>,
    headers: HeaderMap,
    Json(put): Json<PutItem>,
) -> Result<Response, ApiError> {
    let request = signed.caller.request().to_owned();
    let party = Member::party(&app, signed, home, collection).await?;
    party.may_write(Action::ItemWrite)?;
    let signature = put.signature.as_ref();
    let signature =
        signature.ok_or_else(|| ApiError::field("signature", "it is missing: sign what you write"))?;
    let author = author_keys(&app, &request, &party, signature.key_version).await?;
    items::write(&app, &party, collection, item, &headers, put, Some(&author)).await
}

/// Removes an item of a collection that somebody shares, recorded in its owner's history.
#[utoipa::path(delete, path = "/api/v1/shares/{home}/collections/{collection}/items/{item}", tag = "sharing", operation_id = "delete_shared_item",
    params(("home" = TenantId, Path), ("collection" = CollectionId, Path), ("item" = ItemId, Path), ("If-Match" = Option<String>, Header)), security(("session" = [])),
    responses((status = 200, body = ItemVersion), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn delete_item(
    State(app): State<App>,
    signed: Signed,
    Path((home, collection, item)): Path<(TenantId, CollectionId, ItemId)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let party = Member::party(&app, signed, home, collection).await?;
    items::remove(&app, &party, collection, item, &headers).await
}

/// Begins an upload into a collection that somebody shares. It counts towards its owner's quota.
#[utoipa::path(post, path = "/api/v1/shares/{home}/collections/{collection}/uploads", tag = "sharing", operation_id = "begin_shared_upload",
    params(("home" = TenantId, Path), ("collection" = CollectionId, Path)), request_body = NewUpload, security(("session" = [])),
    responses((status = 201, body = Upload), (status = 404, body = Problem), (status = 413, body = Problem), (status = 507, body = Problem)))]
pub(crate) async fn begin_upload(
    State(app): State<App>,
    signed: Signed,
    Path((home, collection)): Path<(TenantId, CollectionId)>,
    Json(new): Json<NewUpload>,
) -> Result<(StatusCode, Json<Upload>), ApiError> {
    let party = Member::party(&app, signed, home, collection).await?;
    files::begin_for(&app, &party, collection, &new).await
}

/// Says which parts have arrived: where to resume.
#[utoipa::path(get, path = "/api/v1/shares/{home}/collections/{collection}/uploads/{upload}", tag = "sharing", operation_id = "read_shared_upload",
    params(("home" = TenantId, Path), ("collection" = CollectionId, Path), ("upload" = UploadId, Path)), security(("session" = [])),
    responses((status = 200, body = Upload), (status = 404, body = Problem)))]
pub(crate) async fn read_upload(
    State(app): State<App>,
    signed: Signed,
    Path((home, collection, upload)): Path<(TenantId, CollectionId, UploadId)>,
) -> Result<Json<Upload>, ApiError> {
    let party = Member::party(&app, signed, home, collection).await?;
    files::status_for(&app, &party, collection, upload).await
}

/// Gives an upload up.
#[utoipa::path(delete, path = "/api/v1/shares/{home}/collections/{collection}/uploads/{upload}", tag = "sharing", operation_id = "abandon_shared_upload",
    params(("home" = TenantId, Path), ("collection" = CollectionId, Path), ("upload" = UploadId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn abandon_upload(
    State(app): State<App>,
    signed: Signed,
    Path((home, collection, upload)): Path<(TenantId, CollectionId, UploadId)>,
) -> Result<StatusCode, ApiError> {
    let party = Member::party(&app, signed, home, collection).await?;
    files::abandon_for(&app, &party, collection, upload).await
}

/// Stores a part of an upload. May be repeated with the same bytes.
#[utoipa::path(put, path = "/api/v1/shares/{home}/collections/{collection}/uploads/{upload}/parts/{part}", tag = "sharing", operation_id = "put_shared_part",
    params(("home" = TenantId, Path), ("collection" = CollectionId, Path), ("upload" = UploadId, Path), ("part" = u32, Path)),
    request_body(content_type = "application/octet-stream", content = Vec<u8>), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn put_part(
    State(app): State<App>,
    signed: Signed,
    Path((home, collection, upload, part)): Path<(TenantId, CollectionId, UploadId, u32)>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let party = Member::party(&app, signed, home, collection).await?;
    party.may_write(Action::FileWrite)?;
    files::put_part_for(app, party, collection, upload, part, request).await
}

/// Reads a file of a collection that somebody shares. Recorded in its owner's history.
#[utoipa::path(get, path = "/api/v1/shares/{home}/collections/{collection}/items/{item}/file", tag = "sharing", operation_id = "read_shared_file",
    params(("home" = TenantId, Path), ("collection" = CollectionId, Path), ("item" = ItemId, Path), ("Range" = Option<String>, Header)), security(("session" = [])),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>), (status = 206, content_type = "application/octet-stream", body = Vec<u8>),
              (status = 404, body = Problem), (status = 416, body = Problem)))]
pub(crate) async fn download(
    State(app): State<App>,
    signed: Signed,
    address: Address,
    Path((home, collection, item)): Path<(TenantId, CollectionId, ItemId)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let place = app.downloads.place(address, signed.home()).await?;
    let party = Member::party(&app, signed, home, collection).await?;
    let resource = Resource::File { collection: collection.uuid(), id: item.uuid() };
    let mut tx = party.enter(&app, Action::FileRead, resource).await?;
    let item = app.objects.item(&mut tx, collections::id(collection), items::id(item)).await?;
    files::send(app, place, party, tx, collection, &item, &headers).await
}

/// The public keys that a member signs with, as everybody else finds them in the directory.
async fn author_keys(
    app: &App,
    request: &str,
    party: &Party,
    key_version: u32,
) -> Result<keyring::IdentityPublicKeys, ApiError> {
    let reader = access::Caller::system("key-directory", request);
    let action = Action::MaintenanceRun;
    let mut tx = app.access.view(&reader, Tenant::PLATFORM, action, Resource::Platform).await?;
    let account = identity::AccountId::from_uuid(party.account());
    let keys = app.identity.published_keys(&mut tx, account, key_version).await?;
    keys.ok_or_else(|| ApiError::field("signature.key_version", "the directory has no such keys of yours"))
}
