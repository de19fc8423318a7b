// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collections, and what changes in them.

use std::convert::Infallible;
use std::time::Duration;

use access::{Action, Resource};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use objects::NewCollection;
use protocol::objects::{
    ChangeEvent, Changes, Collection, Collections, Description, FormerKey,
    NewCollection as NewCollectionRequest, Usage,
};
use protocol::{CollectionId, Problem};
use serde::Deserialize;
use store::{ReadTx, Record};
use utoipa::IntoParams;

use crate::caller::Authenticated;
use crate::error::ApiError;
use crate::gateway::{Address, Json, Path, Query};
use crate::party::Party;
use crate::routes::{items, sharing};
use crate::state::App;

/// The collection of the rooms.
pub(crate) fn id(id: CollectionId) -> objects::CollectionId {
    objects::CollectionId::from_uuid(id.uuid())
}

fn to_collection(collection: objects::Collection) -> Collection {
    Collection {
        id: CollectionId::from_uuid(*collection.id.uuid()),
        kind: collection.kind,
        sealed_key: collection.sealed_key.into(),
        key_version: collection.key_version,
        generation: collection.generation,
        former_keys: collection.former_keys.into_iter().map(to_former_key).collect(),
        sealed_meta: collection.sealed_meta.into(),
        sequence: collection.sequence,
        kept_versions: collection.kept_versions,
        created_at: collection.created_at,
    }
}

pub(crate) fn to_former_key(key: objects::FormerKey) -> FormerKey {
    FormerKey { last_change: key.last_change, sealed_key: key.sealed_key.into() }
}

/// Where a list goes on.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// The last id of the page before.
    after: Option<CollectionId>,
    /// At most so many; 1,000 by default.
    limit: Option<u32>,
}

/// Lists the collections.
#[utoipa::path(get, path = "/api/v1/collections", tag = "objects", operation_id = "list_collections", params(ListQuery), security(("session" = [])),
    responses((status = 200, body = Collections)))]
pub(crate) async fn list(
    State(app): State<App>,
    signed: Authenticated,
    Query(query): Query<ListQuery>,
) -> Result<Json<Collections>, ApiError> {
    let mut tx =
        app.access.view(signed.caller(), signed.home(), Action::CollectionList, Resource::Home).await?;
    let limit = query.limit.unwrap_or(objects::MAX_LIST).min(objects::MAX_LIST);
    let page = app.objects.list_collections(&mut tx, query.after.map(id), limit).await?;
    Ok(Json(Collections {
        collections: page.collections.into_iter().map(to_collection).collect(),
        next: page.next.map(|id| CollectionId::from_uuid(*id.uuid())),
    }))
}

/// Makes a collection.
#[utoipa::path(post, path = "/api/v1/collections", tag = "objects", operation_id = "create_collection", request_body = NewCollectionRequest, security(("session" = [])),
    responses((status = 201, body = Collection), (status = 409, body = Problem), (status = 507, body = Problem)))]
pub(crate) async fn create(
    State(app): State<App>,
    signed: Authenticated,
    Json(new): Json<NewCollectionRequest>,
) -> Result<(StatusCode, Json<Collection>), ApiError> {
    let mut tx = signed.enter(&app, Action::CollectionCreate, Resource::Home).await?;
    let collection = NewCollection {
        id: id(new.id),
        owner: *signed.account().uuid(),
        kind: &new.kind,
        sealed_key: new.sealed_key.as_slice(),
        sealed_meta: new.sealed_meta.as_slice(),
        kept_versions: new.kept_versions,
    };
    let collection = app.objects.create_collection(&mut tx, collection).await?;
    tx.commit(Record::about(new.id)).await?;
    Ok((StatusCode::CREATED, Json(to_collection(collection))))
}

/// Reads a collection.
#[utoipa::path(get, path = "/api/v1/collections/{collection}", tag = "objects", operation_id = "read_collection", params(("collection" = CollectionId, Path)), security(("session" = [])),
    responses((status = 200, body = Collection), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(app): State<App>,
    signed: Authenticated,
    Path(collection): Path<CollectionId>,
) -> Result<Json<Collection>, ApiError> {
    let resource = Resource::Collection(collection.uuid());
    let mut tx = app.access.view(signed.caller(), signed.home(), Action::CollectionRead, resource).await?;
    Ok(Json(to_collection(app.objects.collection(&mut tx, id(collection)).await?)))
}

/// Replaces a collection's description.
#[utoipa::path(put, path = "/api/v1/collections/{collection}/description", tag = "objects", operation_id = "describe_collection", params(("collection" = CollectionId, Path)), request_body = Description, security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn describe(
    State(app): State<App>,
    signed: Authenticated,
    Path(collection): Path<CollectionId>,
    Json(body): Json<Description>,
) -> Result<StatusCode, ApiError> {
    let resource = Resource::Collection(collection.uuid());
    let mut tx = signed.enter(&app, Action::CollectionWrite, resource).await?;
    let sealed = body.sealed_meta.as_slice();
    app.objects.describe_collection(&mut tx, id(collection), body.generation, sealed).await?;
    tx.commit(Record::about(collection)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a collection with all that is in it.
#[utoipa::path(delete, path = "/api/v1/collections/{collection}", tag = "objects", operation_id = "delete_collection", params(("collection" = CollectionId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn delete(
    State(app): State<App>,
    signed: Authenticated,
    Path(collection): Path<CollectionId>,
) -> Result<StatusCode, ApiError> {
    let resource = Resource::Collection(collection.uuid());
    let mut tx = signed.enter(&app, Action::CollectionDelete, resource).await?;
    app.objects.delete_collection(&mut tx, id(collection)).await?;
    tx.commit(Record::about(collection)).await?;
    // Its members' rows are gone: what the directory still says leads nowhere.
    sharing::forget(&app, signed.caller(), signed.home(), collection).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// From where on changes are asked for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangesQuery {
    /// The sequence of the last change that is known; 0 for all.
    #[serde(default)]
    after: u64,
    /// Whether this goes on with a list that began at 0: deletions that are forgotten since do not matter then.
    #[serde(default)]
    anew: bool,
    /// At most so many items; 200 by default, at most 1,000.
    limit: Option<u32>,
}

/// Lists what changed since a sequence: delta sync.
#[utoipa::path(get, path = "/api/v1/collections/{collection}/changes", tag = "objects", operation_id = "list_changes", params(("collection" = CollectionId, Path), ChangesQuery), security(("session" = [])),
    responses((status = 200, body = Changes), (status = 404, body = Problem)))]
pub(crate) async fn changes(
    State(app): State<App>,
    signed: Authenticated,
    Path(collection): Path<CollectionId>,
    Query(query): Query<ChangesQuery>,
) -> Result<Json<Changes>, ApiError> {
    let resource = Resource::Collection(collection.uuid());
    let mut tx = app.access.view(signed.caller(), signed.home(), Action::ItemRead, resource).await?;
    Ok(Json(page(&app, &mut tx, collection, &query).await?))
}

/// A page of changes, in a view of the collection's home.
pub(crate) async fn page(
    app: &App,
    tx: &mut ReadTx,
    collection: CollectionId,
    query: &ChangesQuery,
) -> Result<Changes, ApiError> {
    let limit = query.limit.unwrap_or(200).clamp(1, 1_000);
    let changes = app.objects.changes(tx, id(collection), query.after, query.anew, limit).await?;
    Ok(Changes {
        items: changes.items.into_iter().map(items::to_item).collect(),
        next: changes.next,
        more: changes.more,
    })
}

/// Follows a collection (`text/event-stream`): an event for each change, its id the change's sequence.
#[utoipa::path(get, path = "/api/v1/collections/{collection}/events", tag = "objects", operation_id = "follow_changes", params(("collection" = CollectionId, Path)), security(("session" = [])),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = 404, body = Problem)))]
pub(crate) async fn events(
    State(app): State<App>,
    signed: Authenticated,
    address: Address,
    Path(collection): Path<CollectionId>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    follow(app, address, Party::owner(signed), collection, &headers).await
}

/// The same for the collection's owner or for a member.
pub(crate) async fn follow(
    app: App,
    address: Address,
    party: Party,
    collection: CollectionId,
    headers: &HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<>>, ApiError> {
    let resource = Resource::Collection(collection.uuid());
    let origin = [address.network(), address.wide()];
    let follower = app.feed.subscribe(party.home(), id(collection), origin);
    let follower = follower.map_err(|_| ApiError::retry_after(30))?;
    let mut tx = party.view(&app, Action::ChangesFollow, resource).await?;
    let sequence = app.objects.collection(&mut tx, id(collection)).await?.sequence;
    drop(tx);
    let known = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let first = known.filter(|known| *known < sequence).map(|_: u64| sequence);
    let following = Following { app, party, collection, follower, first };
    Ok(Sse::new(futures::stream::unfold(following, Following::next))
        .keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

/// A client that follows a collection. It is let go when its session ends or the server stops.
struct Following {
    app: App,
    party: Party,
    collection: CollectionId,
    follower: objects::Follower,
    first: Option<u64>,
}

/// How often a follower's right is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

impl Following {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        let mut stopping = self.app.stopping.clone();
        loop {
            if let Some(sequence) = self.first.take() {
                return Some((Ok(event(sequence)), self));
            }
            tokio::select! {
                event = self.follower.next() => {
                    let sequence = self.sequence().await?;
                    let _ = event;
                    self.first = Some(sequence);
                }
                () = tokio::time::sleep(LOOK_AGAIN) => { self.sequence().await?; }
                _ = stopping.changed() => return None,
            }
        }
    }

    /// The collection's newest sequence, as long as the caller may know it.
    async fn sequence(&self) -> Option<u64> {
        self.party.look_again(&self.app).await.ok()?;
        let resource = Resource::Collection(self.collection.uuid());
        let mut tx = self.party.view(&self.app, Action::ChangesFollow, resource).await.ok()?;
        Some(self.app.objects.collection(&mut tx, id(self.collection)).await.ok()?.sequence)
    }
}

fn event(sequence: u64) -> Event {
    let data = serde_json::to_string(&ChangeEvent { sequence }).unwrap_or_default();
    Event::default().id(sequence.to_string()).event("change").data(data)
}

/// Says what is stored, of how much.
#[utoipa::path(get, path = "/api/v1/usage", tag = "objects", operation_id = "read_usage", security(("session" = [])), responses((status = 200, body = Usage)))]
pub(crate) async fn usage(State(app): State<App>, signed: Authenticated) -> Result<Json<Usage>, ApiError> {
    let mut tx = app.access.view(signed.caller(), signed.home(), Action::UsageRead, Resource::Home).await?;
    let usage = app.objects.usage(&mut tx).await?;
    Ok(Json(to_usage(&app, usage)))
}

pub(crate) fn to_usage(app: &App, usage: objects::Usage) -> Usage {
    let limits = app.objects.limits();
    Usage {
        bytes: usage.bytes,
        bytes_limit: limits.bytes,
        items: usage.items,
        items_limit: limits.items,
        collections: usage.collections,
        collections_limit: limits.collections,
        largest_file: limits.file,
    }
}
