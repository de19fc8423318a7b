// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Items and their versions.

use access::{Action, Resource};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use objects::{Expected, Written};
use protocol::objects::{Author, FileInfo, Item, ItemVersion, PutItem};
use protocol::{AccountId, Code, CollectionId, ItemId, Problem, UploadId};
use store::Record;

use crate::caller::Authenticated;
use crate::error::ApiError;
use crate::gateway::{Json, Path};
use crate::party::Party;
use crate::routes::collections;
use crate::state::App;

pub(crate) fn id(id: ItemId) -> objects::ItemId {
    objects::ItemId::from_uuid(id.uuid())
}

pub(crate) fn to_item(item: objects::Item) -> Item {
    let account = AccountId::from_uuid(item.changed_by);
    let author = item.signature.map(|signature| Author {
        account,
        key_version: signature.key_version,
        signature: signature.bytes.into(),
    });
    Item {
        id: ItemId::from_uuid(*item.id.uuid()),
        version: item.version,
        sequence: item.sequence,
        sealed: item.sealed.into(),
        file: item.blob.map(|blob| FileInfo { id: UploadId::from_uuid(*blob.id.uuid()), size: blob.size }),
        changed_at: item.changed_at,
        author,
        deleted: item.deleted_at.is_some(),
    }
}

/// What the caller believes the item to be (RFC 9110, section 13.1): `If-Match: "version"`, or `If-None-Match: *` for none.
pub(crate) fn expected(headers: &HeaderMap) -> Result<Expected, ApiError> {
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

pub(crate) fn tagged(version: u64, body: impl IntoResponse) -> Response {
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

/// The same for a member.
pub(crate) async fn read_for(
    app: &App,
    party: &Party,
    collection: CollectionId,
    item: ItemId,
) -> Result<Response, ApiError> {
    let resource = Resource::Item { collection: collection.uuid(), id: item.uuid() };
    let mut tx = party.view(app, Action::ItemRead, resource).await?;
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
    write(&app, &Party::owner(signed), collection, item, &headers, put, None).await
}

/// Writes an item's next version, for its collection's owner or for a member. `author` are the keys with which a member has to
/// have signed it.
pub(crate) async fn write(
    app: &App,
    party: &Party,
    collection: CollectionId,
    item: ItemId,
    headers: &HeaderMap,
    put: PutItem,
    author: Option<&keyring::IdentityPublicKeys>,
) -> Result<Response, ApiError> {
    let expected = expected(headers)?;
    let signature = put
        .signature
        .map(|by| objects::ItemSignature { key_version: by.key_version, bytes: by.signature.into_vec() });
    let resource = Resource::Item { collection: collection.uuid(), id: item.uuid() };
    let mut tx = party.enter(app, Action::ItemWrite, resource).await?;
    let new = objects::PutItem {
        collection: collections::id(collection),
        item: id(item),
        expected,
        sealed: put.sealed.as_slice(),
        blob: put.upload.map(|upload| objects::BlobId::from_uuid(upload.uuid())),
        generation: put.generation,
        signature: signature.as_ref(),
        by: party.account(),
    };
    let written = app.objects.put_item(&mut tx, new).await?;
    if put.version.is_some_and(|version| version != written.version) {
        return Err(not_next(item, expected, written).unwrap_or_else(|| {
            ApiError::field("version", format_args!("the item's next version is {}", written.version))
        }));
    }
    if let Some(author) = author {
        let place = authorship_place(party, collection, item, written.version);
        let bytes = signature.as_ref().map_or(&[][..], |signature| &signature.bytes);
        let is_of = keyring::Authorship::from_bytes(bytes)
            .is_ok_and(|signature| signature.is_of(author, put.sealed.as_slice(), &place));
        if !is_of {
            return Err(not_signed_for(item, expected, written));
        }
    }
    tx.commit(Record::about(item)).await?;
    Ok(answer(app, party, collection, written))
}

fn authorship_place(
    party: &Party,
    collection: CollectionId,
    item: ItemId,
    version: u64,
) -> keyring::AuthorshipPlace {
    keyring::AuthorshipPlace {
        author: keyring::AccountId::from_bytes(party.account().into_bytes()),
        item: keyring::ItemId::from_bytes(item.uuid().into_bytes()),
        content: keyring::ItemPlace {
            owner: keyring::TenantId::from_bytes(party.home().uuid().into_bytes()).into(),
            collection: keyring::CollectionId::from_bytes(collection.uuid().into_bytes()),
            version,
        },
    }
}

/// Who believed that there was nothing signed the first version. Where a removed item was, they are told its version instead.
pub(crate) fn not_signed_for(item: ItemId, expected: Expected, written: Written) -> ApiError {
    not_next(item, expected, written).unwrap_or_else(|| {
        let text = format!("it is not what this account signs for version {} of the item", written.version);
        ApiError::field("signature", text)
    })
}

/// The conflict of who believed that there was nothing, where a removed item was.
fn not_next(item: ItemId, expected: Expected, written: Written) -> Option<ApiError> {
    if expected != Expected::Absent || written.version == 1 {
        return None;
    }
    let tombstone = Item {
        id: item,
        version: written.version - 1,
        sequence: 0,
        sealed: Vec::new().into(),
        file: None,
        changed_at: 0,
        author: None,
        deleted: true,
    };
    Some(Problem { current: Some(tombstone), ..Problem::new(Code::Conflict) }.into())
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
    remove(&app, &Party::owner(signed), collection, item, &headers).await
}

/// Removes an item, for its collection's owner or for a member.
pub(crate) async fn remove(
    app: &App,
    party: &Party,
    collection: CollectionId,
    item: ItemId,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let expected = expected(headers)?;
    let resource = Resource::Item { collection: collection.uuid(), id: item.uuid() };
    let mut tx = party.enter(app, Action::ItemDelete, resource).await?;
    let by = party.account();
    let written =
        app.objects.delete_item(&mut tx, collections::id(collection), id(item), expected, by).await?;
    tx.commit(Record::about(item)).await?;
    Ok(answer(app, party, collection, written))
}

fn answer(app: &App, party: &Party, collection: CollectionId, written: Written) -> Response {
    app.feed.publish(party.home(), collections::id(collection), written.sequence);
    let version = ItemVersion { version: written.version, sequence: written.sequence };
    tagged(written.version, Json(version))
}
