// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collections of a tenant: made, listed, seen, deleted. Their items and the grants of their keys have modules of their own.
//!
//! What may be done is decided by the roles that are held where a collection lies. One that may not be read is like one that is
//! not there.

use access::tenancy::{Change, Collection, NewCollection, OrganisationId as StoredPlace};
use access::{Action, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use keyring::Founding;
use protocol::tenants::collections::{
    EndToEnd, GrantedKey, NewEndToEnd, NewTenantCollection, Protection, ServerSealed, TenantCollection,
    TenantCollections,
};
use protocol::{AccountId, Code, CollectionId, OrganisationId, Problem, TenantId};
use serde::Deserialize;
use serde_json::json;
use store::{ReadTx, TenantId as StoredTenant, WriteTx};
use utoipa::IntoParams;
use uuid::Uuid;

use super::{collection_keys, commit, customer, name};
use crate::caller::Acting;
use crate::error::ApiError;
use crate::gateway::{Json, Path, Query};
use crate::routes::collections::{id as kept, to_former_key};
use crate::state::App;

/// Which page.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct CollectionsQuery {
    /// The collection after which the page begins.
    after: Option<CollectionId>,
    /// At most so many: 100 by default, at most 200.
    limit: Option<u32>,
}

/// Lists the collections that one may read.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/collections", tag = "tenants", operation_id = "list_tenant_collections", params(("tenant" = TenantId, Path), CollectionsQuery), security(("session" = [])),
    responses((status = 200, body = TenantCollections), (status = 404, body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
    Query(query): Query<CollectionsQuery>,
) -> Result<Json<TenantCollections>, ApiError> {
    let (mut tx, visible) = app.access.view_collections(&acting.caller, customer(tenant)?).await?;
    let (after, limit) =
        (query.after.map(|id| id.uuid()), query.limit.unwrap_or(super::PAGE).clamp(1, 200) as usize);
    let (found, more) = app.tenancy.collections(&mut tx, &visible, after, limit).await?;
    let mut collections = Vec::with_capacity(found.len());
    for collection in found {
        collections.push(shown(&app, &mut tx, &acting, collection).await?);
    }
    let next = collections.last().filter(|_| more).map(|last| last.id);
    Ok(Json(TenantCollections { collections, next }))
}

/// Makes a collection. Its protection is chosen now, and never changes.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/collections", tag = "tenants", operation_id = "create_tenant_collection", params(("tenant" = TenantId, Path)), request_body = NewTenantCollection, security(("session" = [])),
    responses((status = 201, body = TenantCollection), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn create(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
    Json(body): Json<NewTenantCollection>,
) -> Result<(StatusCode, Json<TenantCollection>), ApiError> {
    let stored = customer(tenant)?;
    let organisation = body.organisation.map_or(tenant.uuid(), |organisation| organisation.uuid());
    let made = match (body.protection, &body.name, &body.end_to_end) {
        (Protection::ServerSealed, Some(text), None) => {
            let name = name("name", text)?;
            let created_by = acting.caller.actor();
            let founding = Founding {
                tenant: keyring_tenant(stored),
                protection: keyring::Protection::ServerSealed,
                created_by: &created_by,
                salt: Uuid::new_v4().into_bytes(),
                first_key: None,
            };
            let (mut tx, made) = add(&app, &acting, stored, organisation, founding).await?;
            let seal = app.tenancy.new_collection_seal(&mut tx, made.id).await?;
            let by = *acting.id().uuid();
            let sealed = seal.seal_name(&name);
            app.objects.create_tenant_collection(&mut tx, stored_id(made.id), by, &sealed, &[]).await?;
            let after = Some(said(&made, Some(name.as_str())));
            commit(&app, tx, subject(made.id), Change { after, ..Change::default() }).await?;
            made
        }
        (Protection::EndToEnd, None, Some(new)) => {
            create_end_to_end(&app, &acting, stored, organisation, new).await?
        }
        (Protection::ServerSealed, None, _) => return Err(ApiError::field("name", "it is missing")),
        (Protection::ServerSealed, Some(_), Some(_)) => {
            return Err(ApiError::field("end_to_end", "the collection is to be server-sealed"));
        }
        (Protection::EndToEnd, _, None) => return Err(ApiError::field("end_to_end", "it is missing")),
        (Protection::EndToEnd, Some(_), Some(_)) => {
            return Err(ApiError::field("name", "the collection is to be end-to-end: seal its name"));
        }
    };
    let resource = Resource::Collection(made.id);
    let mut tx = acting.view(&app, stored, Action::CollectionRead, resource).await?;
    Ok((StatusCode::CREATED, Json(shown(&app, &mut tx, &acting, made).await?)))
}

async fn create_end_to_end(
    app: &App,
    acting: &Acting,
    tenant: StoredTenant,
    organisation: Uuid,
    new: &NewEndToEnd,
) -> Result<Collection, ApiError> {
    let account = collection_keys::account(acting, Action::CollectionCreate)?;
    let created_by = acting.caller.actor();
    let founding = Founding {
        tenant: keyring_tenant(tenant),
        protection: keyring::Protection::EndToEnd,
        created_by: &created_by,
        salt: exactly("end_to_end.salt", new.salt.to_array())?,
        first_key: Some(exactly("end_to_end.first_key", new.first_key.to_array())?),
    };
    if founding.id().as_bytes() != new.id.as_bytes() {
        return Err(ApiError::field(
            "end_to_end.id",
            "it does not follow from what the collection is made as",
        ));
    }
    if new.grant.account.uuid() != account {
        return Err(ApiError::field("end_to_end.grant", "the first key is for whoever makes the collection"));
    }
    let grants = std::slice::from_ref(&new.grant);
    collection_keys::check(app, acting, account, new.id, 1, grants).await?;
    let (mut tx, made) = add(app, acting, tenant, organisation, founding).await?;
    let grant = collection_keys::to_stored(account, &new.grant)?;
    let sealed = new.sealed_meta.as_slice();
    app.objects.create_tenant_collection(&mut tx, kept(new.id), account, sealed, &[grant]).await?;
    let after = Some(said(&made, None));
    commit(app, tx, new.id, Change { after, ..Change::default() }).await?;
    Ok(made)
}

/// Enters to make a collection in an organisation.
async fn add(
    app: &App,
    acting: &Acting,
    tenant: StoredTenant,
    organisation: Uuid,
    founding: Founding<'_>,
) -> Result<(WriteTx, Collection), ApiError> {
    let place = Resource::Organisation(organisation);
    let mut tx = acting.enter(app, tenant, Action::CollectionCreate, place).await?;
    let new = NewCollection { organisation: StoredPlace::from_uuid(organisation), founding };
    let made = app.tenancy.add_collection(&mut tx, &new).await?;
    Ok((tx, made))
}

/// A collection.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/collections/{tenant_collection}", tag = "tenants", operation_id = "read_tenant_collection",
    params(("tenant" = TenantId, Path), ("tenant_collection" = CollectionId, Path)), security(("session" = [])),
    responses((status = 200, body = TenantCollection), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, collection)): Path<(TenantId, CollectionId)>,
) -> Result<Json<TenantCollection>, ApiError> {
    let resource = Resource::Collection(collection.uuid());
    let (mut tx, found) = view(&app, &acting, tenant, Action::CollectionRead, resource, collection).await?;
    Ok(Json(shown(&app, &mut tx, &acting, found).await?))
}

/// Deletes a collection with all that is in it, and destroys the server's key of it, if it has one.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/collections/{tenant_collection}", tag = "tenants", operation_id = "delete_tenant_collection",
    params(("tenant" = TenantId, Path), ("tenant_collection" = CollectionId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn delete(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, collection)): Path<(TenantId, CollectionId)>,
) -> Result<StatusCode, ApiError> {
    let resource = Resource::Collection(collection.uuid());
    let (mut tx, found) =
        enter(&app, &acting, tenant, Action::CollectionDelete, resource, collection).await?;
    app.objects.delete_tenant_collection(&mut tx, kept(collection)).await?;
    app.tenancy.remove_collection(&mut tx, collection.uuid()).await?;
    let before = Some(said(&found, None));
    commit(&app, tx, collection, Change { before, ..Change::default() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Looks into a collection, or at something in it.
pub(super) async fn view(
    app: &App,
    acting: &Acting,
    tenant: TenantId,
    action: Action,
    resource: Resource,
    collection: CollectionId,
) -> Result<(ReadTx, Collection), ApiError> {
    let stored = customer(tenant)?;
    let mut tx = match acting.view(app, stored, action, resource).await {
        Err(error) => return Err(unseen(app, acting, stored, collection, error).await),
        Ok(tx) => tx,
    };
    let found = app.tenancy.collection(&mut tx, collection.uuid()).await?;
    Ok((tx, found))
}

/// Enters to change a collection, or something in it.
pub(super) async fn enter(
    app: &App,
    acting: &Acting,
    tenant: TenantId,
    action: Action,
    resource: Resource,
    collection: CollectionId,
) -> Result<(WriteTx, Collection), ApiError> {
    let stored = customer(tenant)?;
    let mut tx = match acting.enter(app, stored, action, resource).await {
        Err(error) => return Err(unseen(app, acting, stored, collection, error).await),
        Ok(tx) => tx,
    };
    let found = app.tenancy.collection(&mut tx, collection.uuid()).await?;
    Ok((tx, found))
}

/// A refusal, as it is said to who may read the collection; to others there is none.
async fn unseen(
    app: &App,
    acting: &Acting,
    tenant: StoredTenant,
    collection: CollectionId,
    error: ApiError,
) -> ApiError {
    if error.code() != Code::Forbidden {
        return error;
    }
    let resource = Resource::Collection(collection.uuid());
    match acting.view(app, tenant, Action::CollectionRead, resource).await {
        Ok(_) => error,
        Err(refused) if refused.code() == Code::Forbidden => ApiError::new(Code::NotFound),
        Err(refused) => refused,
    }
}

/// The collection as the caller sees it.
async fn shown(
    app: &App,
    tx: &mut ReadTx,
    acting: &Acting,
    collection: Collection,
) -> Result<TenantCollection, ApiError> {
    let Collection { id, protection, organisation, created_by, salt, first_key, created_at } = collection;
    let stored = app.objects.collection(tx, stored_id(id)).await?;
    let (mut server_sealed, mut end_to_end) = (None, None);
    let protection = match protection {
        keyring::Protection::ServerSealed => {
            let seal = app.tenancy.collection_seal(tx, id).await?;
            let name = seal.open_name(&stored.sealed_meta)?.as_str().to_owned();
            let names = (*app.tenancy.collection_names(tx, id).await?).into();
            server_sealed = Some(ServerSealed { name, names });
            Protection::ServerSealed
        }
        keyring::Protection::EndToEnd => {
            let own = match acting.caller.signed_in() {
                Some(account) => app.objects.key_grant(tx, stored_id(id), account.account).await?,
                None => None,
            };
            end_to_end = Some(EndToEnd {
                first_key: first_key.unwrap_or_default().into(),
                generation: stored.generation,
                former_keys: stored.former_keys.into_iter().map(to_former_key).collect(),
                sealed_meta: stored.sealed_meta.into(),
                grant: own.map(granted),
            });
            Protection::EndToEnd
        }
    };
    Ok(TenantCollection {
        id: CollectionId::from_uuid(id),
        protection,
        organisation: OrganisationId::from_uuid(*organisation.uuid()),
        created_by,
        salt: salt.into(),
        created_at,
        sequence: stored.sequence,
        server_sealed,
        end_to_end,
    })
}

pub(super) fn granted(grant: objects::KeyGrant) -> GrantedKey {
    GrantedKey {
        key_version: grant.key_version,
        sharer: AccountId::from_uuid(grant.sharer),
        sharer_key_version: grant.sharer_key_version,
        grant: grant.grant.into(),
    }
}

/// What a record says of a collection.
fn said(collection: &Collection, name: Option<&str>) -> serde_json::Value {
    let mut said = json!({
        "protection": collection.protection.name(),
        "organisation": collection.organisation.to_string(),
    });
    if let (Some(name), Some(fields)) = (name, said.as_object_mut()) {
        fields.insert("name".to_owned(), json!(name));
    }
    said
}

fn subject(collection: Uuid) -> CollectionId {
    CollectionId::from_uuid(collection)
}

fn stored_id(collection: Uuid) -> objects::CollectionId {
    objects::CollectionId::from_uuid(collection)
}

pub(super) fn keyring_tenant(tenant: StoredTenant) -> keyring::TenantId {
    keyring::TenantId::from_bytes(tenant.uuid().into_bytes())
}

/// Bytes of the one length that there is.
pub(super) fn exactly<const N: usize>(field: &str, bytes: Option<[u8; N]>) -> Result<[u8; N], ApiError> {
    bytes.ok_or_else(|| ApiError::field(field, format_args!("expected {N} bytes")))
}
