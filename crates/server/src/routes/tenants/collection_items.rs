// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Items of a tenant's collections.
//!
//! In a collection that is server-sealed they come and go as they are, and are sealed here under the collection's key, each
//! for its tenant, collection, item and version. In one that is end-to-end they come and go sealed and signed, for whoever holds
//! the collection's key: nobody else gets even the sealed bytes.

use access::tenancy::{Change, Collection, CollectionSeal};
use access::{Action, Resource};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use keyring::{ItemContent, Protection};
use objects::{Expected, ItemError, Written};
use protocol::objects::{Author, ItemVersion};
use protocol::tenants::collections::{PutTenantItem, TenantChanges, TenantItem};
use protocol::{AccountId, Code, CollectionId, ItemId, Problem, TenantId};
use serde::Deserialize;
use serde_json::json;
use store::{ReadTx, WriteTx};
use utoipa::IntoParams;

use super::collections::{enter, keyring_tenant, view};
use super::{collection_keys, commit, customer};
use crate::caller::Acting;
use crate::error::ApiError;
use crate::gateway::{Json, Path, Query};
use crate::routes::collections::id as kept;
use crate::routes::items::{self, expected, tagged};
use crate::state::App;

/// From where on changes are asked for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantChangesQuery {
    /// The sequence of the last change that is known; 0 for all.
    #[serde(default)]
    after: u64,
    /// Whether this goes on with a list that began at 0: deletions that are forgotten since do not matter then.
    #[serde(default)]
    anew: bool,
    /// At most so many items; 200 by default, at most 1,000.
    limit: Option<u32>,
}

/// Lists what changed in a collection since a sequence: delta sync.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/collections/{tenant_collection}/changes", tag = "tenants", operation_id = "list_tenant_changes",
    params(("tenant" = TenantId, Path), ("tenant_collection" = CollectionId, Path), TenantChangesQuery), security(("session" = [])),
    responses((status = 200, body = TenantChanges), (status = 404, body = Problem)))]
pub(crate) async fn changes(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, collection)): Path<(TenantId, CollectionId)>,
    Query(query): Query<TenantChangesQuery>,
) -> Result<Json<TenantChanges>, ApiError> {
    let resource = Resource::Collection(collection.uuid());
    let (mut tx, found) = view(&app, &acting, tenant, Action::ItemRead, resource, collection).await?;
    let seal = readable(&app, &mut tx, &acting, &found).await?;
    let limit = query.limit.unwrap_or(200).clamp(1, 1_000);
    let page = app.objects.changes(&mut tx, kept(collection), query.after, query.anew, limit).await?;
    let items = page.items.into_iter().map(|item| shown(seal.as_ref(), item));
    let items = items.collect::<Result<_, _>>()?;
    Ok(Json(TenantChanges { items, next: page.next, more: page.more }))
}

/// Reads an item.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/collections/{tenant_collection}/items/{tenant_item}", tag = "tenants", operation_id = "read_tenant_item",
    params(("tenant" = TenantId, Path), ("tenant_collection" = CollectionId, Path), ("tenant_item" = ItemId, Path)), security(("session" = [])),
    responses((status = 200, body = TenantItem), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, collection, item)): Path<(TenantId, CollectionId, ItemId)>,
) -> Result<Response, ApiError> {
    let resource = Resource::Item { collection: collection.uuid(), id: item.uuid() };
    let (mut tx, found) = view(&app, &acting, tenant, Action::ItemRead, resource, collection).await?;
    let seal = readable(&app, &mut tx, &acting, &found).await?;
    let item = app.objects.item(&mut tx, kept(collection), items::id(item)).await?;
    Ok(tagged(item.version, Json(shown(seal.as_ref(), item)?)))
}

/// Writes an item's next version. Needs `If-Match` or `If-None-Match: *`; a conflict answers with the current version.
#[utoipa::path(put, path = "/api/v1/tenants/{tenant}/collections/{tenant_collection}/items/{tenant_item}", tag = "tenants", operation_id = "put_tenant_item",
    params(("tenant" = TenantId, Path), ("tenant_collection" = CollectionId, Path), ("tenant_item" = ItemId, Path), ("If-Match" = Option<String>, Header), ("If-None-Match" = Option<String>, Header)),
    request_body = PutTenantItem, security(("session" = [])),
    responses((status = 200, body = ItemVersion), (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem), (status = 507, body = Problem)))]
pub(crate) async fn put(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, collection, item)): Path<(TenantId, CollectionId, ItemId)>,
    headers: HeaderMap,
    Json(put): Json<PutTenantItem>,
) -> Result<Response, ApiError> {
    let expected = expected(&headers)?;
    // Public keys: they are looked up before the tenant is entered, whoever asks.
    let author = match (&put.signature, acting.caller.signed_in()) {
        (Some(by), Some(account)) => {
            collection_keys::published(&app, &acting, account.account, by.key_version).await?
        }
        _ => None,
    };
    let resource = Resource::Item { collection: collection.uuid(), id: item.uuid() };
    let (mut tx, found) = enter(&app, &acting, tenant, Action::ItemWrite, resource, collection).await?;
    let place = Place { tenant, collection, item, expected };
    let written = match found.protection {
        Protection::ServerSealed => put_open(&app, &mut tx, &acting, &place, put).await?,
        Protection::EndToEnd => put_sealed(&app, &mut tx, &acting, &place, put, author.as_ref()).await?,
    };
    let after = Some(json!({ "version": written.version }));
    let change = Change { after, ..Change::default() };
    commit(&app, tx, format!("{collection}/{item}"), change).await?;
    Ok(answer(written))
}

/// Removes an item; a tombstone stays for those who sync.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/collections/{tenant_collection}/items/{tenant_item}", tag = "tenants", operation_id = "delete_tenant_item",
    params(("tenant" = TenantId, Path), ("tenant_collection" = CollectionId, Path), ("tenant_item" = ItemId, Path), ("If-Match" = Option<String>, Header)), security(("session" = [])),
    responses((status = 200, body = ItemVersion), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn delete(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, collection, item)): Path<(TenantId, CollectionId, ItemId)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let expected = expected(&headers)?;
    let resource = Resource::Item { collection: collection.uuid(), id: item.uuid() };
    let (mut tx, _) = enter(&app, &acting, tenant, Action::ItemDelete, resource, collection).await?;
    let by = *acting.id().uuid();
    let deleted = app.objects.delete_item(&mut tx, kept(collection), items::id(item), expected, by).await;
    let written = deleted.map_err(without_content)?;
    let before = Some(json!({ "version": written.version.saturating_sub(1) }));
    commit(&app, tx, format!("{collection}/{item}"), Change { before, ..Change::default() }).await?;
    Ok(answer(written))
}

/// Which version of what is written.
struct Place {
    tenant: TenantId,
    collection: CollectionId,
    item: ItemId,
    expected: Expected,
}

/// Seals and stores what came as it is.
async fn put_open(
    app: &App,
    tx: &mut WriteTx,
    acting: &Acting,
    place: &Place,
    put: PutTenantItem,
) -> Result<Written, ApiError> {
    let sealed = put.sealed.is_some().then_some("sealed");
    let other = sealed.or(put.signature.is_some().then_some("signature"));
    if let Some(field) = other.or(put.generation.is_some().then_some("generation")) {
        return Err(ApiError::field(
            field,
            "this collection is server-sealed: it takes `name` and `content`",
        ));
    }
    let name = put.name.ok_or_else(|| ApiError::field("name", "it is missing"))?;
    let content = put.content.ok_or_else(|| ApiError::field("content", "it is missing"))?;
    let content = ItemContent { name, content: content.into_vec().into() };
    let (collection, item) = (kept(place.collection), items::id(place.item));
    // The version is bound into what is sealed: nobody else writes from here on.
    let version = app.objects.next_version(tx, collection, item).await?;
    let seal = app.tenancy.collection_seal(tx, place.collection.uuid()).await?;
    let sealed = seal.seal_item(place.item.uuid(), version, &content)?;
    let new = objects::PutItem {
        collection,
        item,
        expected: place.expected,
        sealed: &sealed,
        blob: None,
        generation: 1,
        signature: None,
        by: *acting.id().uuid(),
    };
    let written = app.objects.put_item(tx, new).await.map_err(without_content)?;
    if written.version != version {
        return Err(ApiError::internal("an item was written with another version than it was sealed for"));
    }
    Ok(written)
}

/// Stores what a holder of the key has sealed and signed.
async fn put_sealed(
    app: &App,
    tx: &mut WriteTx,
    acting: &Acting,
    place: &Place,
    put: PutTenantItem,
    author: Option<&keyring::IdentityPublicKeys>,
) -> Result<Written, ApiError> {
    let content = put.content.is_some().then_some("content");
    if let Some(field) = content.or(put.name.is_some().then_some("name")) {
        return Err(ApiError::field(
            field,
            "this collection is end-to-end encrypted: seal it. What came in the clear was not stored",
        ));
    }
    let account = collection_keys::require(app, tx, acting, place.collection).await?;
    collection_keys::require_current(app, tx, place.collection).await?;
    let sealed = put.sealed.ok_or_else(|| ApiError::field("sealed", "it is missing"))?;
    let generation = put.generation.ok_or_else(|| ApiError::field("generation", "it is missing"))?;
    let by =
        put.signature.ok_or_else(|| ApiError::field("signature", "it is missing: sign what you write"))?;
    let author = author
        .ok_or_else(|| ApiError::field("signature.key_version", "the directory has no such keys of yours"))?;
    let signature =
        objects::ItemSignature { key_version: by.key_version, bytes: by.signature.as_slice().to_vec() };
    let new = objects::PutItem {
        collection: kept(place.collection),
        item: items::id(place.item),
        expected: place.expected,
        sealed: sealed.as_slice(),
        blob: None,
        generation,
        signature: Some(&signature),
        by: account,
    };
    let written = app.objects.put_item(tx, new).await?;
    let signed = keyring::AuthorshipPlace {
        author: keyring::AccountId::from_bytes(account.into_bytes()),
        item: keyring::ItemId::from_bytes(place.item.uuid().into_bytes()),
        content: keyring::ItemPlace {
            owner: keyring_tenant(customer(place.tenant)?).into(),
            collection: keyring::CollectionId::from_bytes(place.collection.uuid().into_bytes()),
            version: written.version,
        },
    };
    let is_of = keyring::Authorship::from_bytes(&signature.bytes)
        .is_ok_and(|signature| signature.is_of(author, sealed.as_slice(), &signed));
    if is_of { Ok(written) } else { Err(items::not_signed_for(place.item, place.expected, written)) }
}

/// What opens a collection's items for the caller: the server's key of it, or nothing where the caller holds the key.
async fn readable(
    app: &App,
    tx: &mut ReadTx,
    acting: &Acting,
    collection: &Collection,
) -> Result<Option<CollectionSeal>, ApiError> {
    Ok(match collection.protection {
        Protection::ServerSealed => Some(app.tenancy.collection_seal(tx, collection.id).await?),
        Protection::EndToEnd => {
            let id = CollectionId::from_uuid(collection.id);
            collection_keys::require(app, tx, acting, id).await?;
            None
        }
    })
}

/// The item, opened where the server can.
fn shown(seal: Option<&CollectionSeal>, item: objects::Item) -> Result<TenantItem, ApiError> {
    let deleted = item.deleted_at.is_some();
    let mut shown = TenantItem {
        id: ItemId::from_uuid(*item.id.uuid()),
        version: item.version,
        sequence: item.sequence,
        changed_at: item.changed_at,
        deleted,
        name: None,
        content: None,
        sealed: None,
        author: None,
    };
    match seal {
        _ if deleted => {}
        Some(seal) => {
            let opened = seal.open_item(*item.id.uuid(), item.version, &item.sealed)?;
            shown.name = Some(opened.name);
            shown.content = Some(opened.content.as_slice().into());
        }
        None => {
            shown.author = item.signature.map(|signature| Author {
                account: AccountId::from_uuid(item.changed_by),
                key_version: signature.key_version,
                signature: signature.bytes.into(),
            });
            shown.sealed = Some(item.sealed.into());
        }
    }
    Ok(shown)
}

/// A conflict says which version there is; what the server sealed is nothing to anybody else.
fn without_content(error: ItemError) -> ApiError {
    match error {
        ItemError::Conflict { mut current } => {
            current.sealed = Vec::new();
            ItemError::Conflict { current }.into()
        }
        ItemError::TooLarge { .. } => Problem::new(Code::TooLarge).field("content").into(),
        error => error.into(),
    }
}

fn answer(written: Written) -> Response {
    let version = ItemVersion { version: written.version, sequence: written.sequence };
    tagged(written.version, Json(version))
}
