// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Items and their versions.

use access::{Action, Resource};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use objects::{Expected, Written};
use protocol::objects::{FileInfo, Item, ItemVersion, PutItem};
use protocol::{Code, CollectionId, ItemId, Problem, UploadId};
use store::Record;

use crate::caller::Authenticated;
use crate::error::ApiError;
use crate::gateway::{Json, Path};
use crate::routes::collections;
use crate::state::App;

pub(crate) fn id(id: ItemId) -> objects::ItemId {
    objects::ItemId::from_uuid(id.uuid())
}

pub(crate) fn to_item(item: objects::Item) -> Item {
    Item {
        id: ItemId::from_uuid(*item.id.uuid()),
        version: item.version,
        sequence: item.sequence,
        sealed: item.sealed.into(),
        file: item.blob.map(|blob| FileInfo { id: UploadId::from_uuid(*blob.id.uuid()), size: blob.size }),
        changed_at: item.changed_at,
        deleted: item.deleted_at.is_some(),
    }
}

/// What the caller believes the item to be (RFC 9110, section 13.1): `If-Match: "version"`, or `If-None-Match: *` for none.
fn expected(headers: &HeaderMap) -> Result<Expected, ApiError> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::trim);
    match (text(header::IF_MATCH), text(header::IF_NONE_MATCH)) {
        (None, Some("*")) => Ok(Expected::Absent),
        (Some("*"), None) => Ok(Expected::Present),
        (Some(tag), None) => tag
            .strip_prefix('"')
            .and_then(|tag| tag.strip_suffix('"'))
            .and_then(|version| version.parse().ok())
            .map(Expected::Version)
            .ok_or_else(|| ApiError::field("If-Match", "expected a version in quotation marks")),
        (None, None) => Err(ApiError::new(Code::PreconditionRequired)),
        _ => Err(ApiError::field("If-None-Match", "expected * alone, without If-Match")),
    }
}

fn tagged(version: u64, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Reads an item.
#[utoipa::path(get, path = "/api/v1/collections/{collection}/items/{item}", tag = "objects", operation_id = "read_item",
    params(("collection" = CollectionId, Path), ("item" = ItemId, Path)), security(("session" = [])),
    responses((status = 200, body = Item), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(app): State<App>,
    signed: Authenticated,
    Path((collection, item)): Path<(CollectionId, ItemId)>,
) -> Result<Response, ApiError> {
    let resource = Resource::Item { collection: collection.uuid(), id: item.uuid() };
    let view = app.access.view(signed.caller(), signed.home(), Action::ItemRead, resource).await?;
    let mut tx = view.once();
    let item = to_item(app.objects.item(&mut tx, collections::id(collection), id(item)).await?);
    Ok(tagged(item.version, Json(item)))
}

/// Writes an item's next version. Needs `If-Match` or `If-None-Match: *`; a conflict answers with the current version.
#[utoipa::path(put, path = "/api/v1/collections/{collection}/items/{item}", tag = "objects", operation_id = "put_item",
    params(("collection" = CollectionId, Path), ("item" = ItemId, Path), ("If-Match" = Option<String>, Header), ("If-None-Match" = Option<String>, Header)),
    request_body = PutItem, security(("session" = [])),
    responses((status = 200, body = ItemVersion), (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem), (status = 507, body = Problem)))]
pub(crate) async fn put(
    State(app): State<App>,
    signed: Authenticated,
    Path((collection, item)): Path<(CollectionId, ItemId)>,
    headers: HeaderMap,
    Json(put): Json<PutItem>,
) -> Result<Response, ApiError> {
    let put = objects::PutItem {
        collection: collections::id(collection),
        item: id(item),
        expected: expected(&headers)?,
        sealed: put.sealed.as_slice(),
        blob: put.upload.map(|upload| objects::BlobId::from_uuid(upload.uuid())),
        by: *signed.account().uuid(),
    };
    let resource = Resource::Item { collection: collection.uuid(), id: item.uuid() };
    let mut tx = signed.enter(&app, Action::ItemWrite, resource).await?;
    let written = app.objects.put_item(&mut tx, put).await?;
    tx.commit(Record::about(item)).await?;
    Ok(answer(&app, &signed, collection, written))
}

/// Removes an item; a tombstone stays for those who sync.
#[utoipa::path(delete, path = "/api/v1/collections/{collection}/items/{item}", tag = "objects", operation_id = "delete_item",
    params(("collection" = CollectionId, Path), ("item" = ItemId, Path), ("If-Match" = Option<String>, Header)), security(("session" = [])),
    responses((status = 200, body = ItemVersion), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn delete(
    State(app): State<App>,
    signed: Authenticated,
    Path((collection, item)): Path<(CollectionId, ItemId)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let expected = expected(&headers)?;
    let resource = Resource::Item { collection: collection.uuid(), id: item.uuid() };
    let mut tx = signed.enter(&app, Action::ItemDelete, resource).await?;
    let by = *signed.account().uuid();
    let written =
        app.objects.delete_item(&mut tx, collections::id(collection), id(item), expected, by).await?;
    tx.commit(Record::about(item)).await?;
    Ok(answer(&app, &signed, collection, written))
}

fn answer(app: &App, signed: &Authenticated, collection: CollectionId, written: Written) -> Response {
    app.feed.publish(signed.home(), collections::id(collection), written.sequence);
    let version = ItemVersion { version: written.version, sequence: written.sequence };
    tagged(written.version, Json(version))
}
