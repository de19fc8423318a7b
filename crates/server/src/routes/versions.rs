// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Earlier versions of items, for the collection's owner: as many as the collection keeps.

use access::{Action, Resource};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use protocol::objects::{EarlierVersion, EarlierVersions, Item, KeptVersions};
use protocol::{AccountId, CollectionId, ItemId, Problem};
use store::Record;

use crate::caller::Authenticated;
use crate::error::ApiError;
use crate::gateway::{Address, Json, Path};
use crate::party::Party;
use crate::routes::{collections, files, items};
use crate::state::App;

/// Says how many versions before the current one a collection keeps of each item. With 0 those that it has are deleted.
#[utoipa::path(put, path = "/api/v1/collections/{collection}/versions", tag = "objects", operation_id = "keep_versions",
    params(("collection" = CollectionId, Path)), request_body = KeptVersions, security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn keep(
    State(app): State<App>,
    signed: Authenticated,
    Path(collection): Path<CollectionId>,
    Json(body): Json<KeptVersions>,
) -> Result<StatusCode, ApiError> {
    let resource = Resource::Collection(collection.uuid());
    let mut tx = signed.enter(&app, Action::CollectionWrite, resource).await?;
    app.objects.keep_versions(&mut tx, collections::id(collection), body.kept_versions).await?;
    tx.commit(Record::about(collection)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the versions of an item that can be read.
#[utoipa::path(get, path = "/api/v1/collections/{collection}/items/{item}/versions", tag = "objects", operation_id = "list_item_versions",
    params(("collection" = CollectionId, Path), ("item" = ItemId, Path)), security(("session" = [])),
    responses((status = 200, body = EarlierVersions), (status = 404, body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    signed: Authenticated,
    Path((collection, item)): Path<(CollectionId, ItemId)>,
) -> Result<Json<EarlierVersions>, ApiError> {
    let resource = Resource::Item { collection: collection.uuid(), id: item.uuid() };
    let mut tx = app.access.view(signed.caller(), signed.home(), Action::ItemRead, resource).await?;
    let found = app.objects.item_versions(&mut tx, collections::id(collection), items::id(item)).await?;
    let versions = found.into_iter().map(|one| EarlierVersion {
        version: one.version,
        sealed_size: one.sealed_size,
        file_size: one.file_size,
        changed_at: one.changed_at,
        changed_by: AccountId::from_uuid(one.changed_by),
    });
    Ok(Json(EarlierVersions { versions: versions.collect() }))
}

/// Reads a version of an item, as it was written.
#[utoipa::path(get, path = "/api/v1/collections/{collection}/items/{item}/versions/{version}", tag = "objects", operation_id = "read_item_version",
    params(("collection" = CollectionId, Path), ("item" = ItemId, Path), ("version" = u64, Path)), security(("session" = [])),
    responses((status = 200, body = Item), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(app): State<App>,
    signed: Authenticated,
    Path((collection, item, version)): Path<(CollectionId, ItemId, u64)>,
) -> Result<Json<Item>, ApiError> {
    let resource = Resource::Item { collection: collection.uuid(), id: item.uuid() };
    let mut tx = app.access.view(signed.caller(), signed.home(), Action::ItemRead, resource).await?;
    let (collection, item) = (collections::id(collection), items::id(item));
    Ok(Json(items::to_item(app.objects.item_version(&mut tx, collection, item, version).await?)))
}

/// Reads the file of a version of an item, whole or a range of it (RFC 9110, section 14). Recorded.
#[utoipa::path(get, path = "/api/v1/collections/{collection}/items/{item}/versions/{version}/file", tag = "objects", operation_id = "read_version_file",
    params(("collection" = CollectionId, Path), ("item" = ItemId, Path), ("version" = u64, Path), ("Range" = Option<String>, Header)), security(("session" = [])),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>), (status = 206, content_type = "application/octet-stream", body = Vec<u8>),
              (status = 404, body = Problem), (status = 416, body = Problem)))]
pub(crate) async fn download(
    State(app): State<App>,
    signed: Authenticated,
    address: Address,
    Path((collection, item, version)): Path<(CollectionId, ItemId, u64)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let place = app.downloads.place(address, signed.home()).await?;
    let resource = Resource::File { collection: collection.uuid(), id: item.uuid() };
    let party = Party::owner(signed);
    let mut tx = party.enter(&app, Action::FileRead, resource).await?;
    let objects = &app.objects;
    let item = objects.item_version(&mut tx, collections::id(collection), items::id(item), version).await?;
    files::send(app, place, party, tx, collection, &item, &headers).await
}
