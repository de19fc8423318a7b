// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who holds the key of a tenant's end-to-end collection.
//!
//! Whose roles let them read the collection is **entitled** to its key, and gets it from somebody who has it: the server cannot
//! give it. Until then they wait. Who is no longer entitled is refused at once, and until the collection has its next key
//! nothing is written: what is written after somebody left is never sealed under a key that they know.

use std::collections::BTreeSet;

use access::tenancy::{Change, Collection};
use access::{Action, Caller, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use keyring::Protection;
use objects::{NewKeyGrant, NextGrantedKey};
use protocol::tenants::collections::{KeyGrant, KeyHolder, KeyHolders, NextTenantKey, PutKeyGrant, Waiting};
use protocol::{AccountId, Code, CollectionId, Problem, TenantId};
use serde_json::json;
use store::{ReadTx, TenantId as StoredTenant};
use uuid::Uuid;

use super::collections::{enter, exactly, granted, view};
use super::commit;
use crate::caller::Acting;
use crate::error::ApiError;
use crate::gateway::{Json, Path};
use crate::routes::collections::id as kept;
use crate::state::App;

/// Lists who has a collection's key, and who waits for it.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/collections/{tenant_collection}/grants", tag = "tenants", operation_id = "list_collection_grants",
    params(("tenant" = TenantId, Path), ("tenant_collection" = CollectionId, Path)), security(("session" = [])),
    responses((status = 200, body = KeyHolders), (status = 404, body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, collection)): Path<(TenantId, CollectionId)>,
) -> Result<Json<KeyHolders>, ApiError> {
    let resource = Resource::Collection(collection.uuid());
    let (mut tx, found) = view(&app, &acting, tenant, Action::CollectionRead, resource, collection).await?;
    if found.protection == Protection::ServerSealed {
        return Ok(Json(KeyHolders { holders: Vec::new(), waiting: Vec::new(), rekey_due: false }));
    }
    let grants = app.objects.key_grants(&mut tx, kept(collection)).await?;
    let holding: BTreeSet<Uuid> = grants.iter().map(|grant| grant.account).collect();
    let candidates = app.access.holders_at(&mut tx, resource, CANDIDATES).await?;
    let asked = holding.union(&candidates).copied();
    let entitled = app.access.entitled(&mut tx, asked, Action::ItemRead, resource).await?;
    drop(tx);

    let mut directory = directory(&app, &acting).await?;
    let mut holders = Vec::with_capacity(grants.len());
    for grant in grants {
        let tag = grant.tag.into();
        let created_at = grant.created_at;
        holders.push(KeyHolder {
            account: AccountId::from_uuid(grant.account),
            account_number: number(&app, &mut directory, grant.account).await?,
            is_entitled: entitled.contains(&grant.account),
            granted: granted(grant),
            tag,
            created_at,
        });
    }
    let mut waiting = Vec::new();
    for account in entitled.difference(&holding).take(WAITING) {
        waiting.push(Waiting {
            account: AccountId::from_uuid(*account),
            account_number: number(&app, &mut directory, *account).await?,
        });
    }
    let rekey_due = holders.iter().any(|holder| !holder.is_entitled);
    Ok(Json(KeyHolders { holders, waiting, rekey_due }))
}

/// Grants a collection's key to a member whose roles entitle them to it, or renews a grant.
#[utoipa::path(put, path = "/api/v1/tenants/{tenant}/collections/{tenant_collection}/grants/{account}", tag = "tenants", operation_id = "put_collection_grant",
    params(("tenant" = TenantId, Path), ("tenant_collection" = CollectionId, Path), ("account" = AccountId, Path)), request_body = PutKeyGrant, security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn put(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, collection, account)): Path<(TenantId, CollectionId, AccountId)>,
    Json(body): Json<PutKeyGrant>,
) -> Result<StatusCode, ApiError> {
    let sharer = may_admit(&app, &acting, tenant, collection).await?;
    if body.grant.account != account {
        return Err(ApiError::field("grant.account", "it is another account's"));
    }
    let grants = std::slice::from_ref(&body.grant);
    check(&app, &acting, sharer, collection, body.generation, grants).await?;
    let resource = Resource::Collection(collection.uuid());
    let (mut tx, _) = enter(&app, &acting, tenant, Action::CollectionAdmit, resource, collection).await?;
    require(&app, &mut tx, &acting, collection).await?;
    require_entitled(&app, &mut tx, collection, grants).await?;
    let grant = to_stored(sharer, &body.grant)?;
    app.objects.grant_key(&mut tx, kept(collection), body.generation, grant).await?;
    let after = Some(json!({ "generation": body.generation }));
    commit(&app, tx, format!("{collection}/{account}"), Change { after, ..Change::default() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a collection its next key: who does not get it here opens nothing that is written from now on.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/collections/{tenant_collection}/next-key", tag = "tenants", operation_id = "next_tenant_collection_key",
    params(("tenant" = TenantId, Path), ("tenant_collection" = CollectionId, Path)), request_body = NextTenantKey, security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn next(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, collection)): Path<(TenantId, CollectionId)>,
    Json(body): Json<NextTenantKey>,
) -> Result<StatusCode, ApiError> {
    let sharer = may_admit(&app, &acting, tenant, collection).await?;
    if !body.grants.iter().any(|grant| grant.account.uuid() == sharer) {
        return Err(ApiError::field("grants", "whoever makes the key has it too"));
    }
    let generation = body.from_generation.saturating_add(1);
    check(&app, &acting, sharer, collection, generation, &body.grants).await?;
    let grants =
        body.grants.iter().map(|grant| to_stored(sharer, grant)).collect::<Result<Vec<_>, ApiError>>()?;
    let resource = Resource::Collection(collection.uuid());
    let (mut tx, _) = enter(&app, &acting, tenant, Action::CollectionAdmit, resource, collection).await?;
    require(&app, &mut tx, &acting, collection).await?;
    require_entitled(&app, &mut tx, collection, &body.grants).await?;
    let before = app.objects.key_holders(&mut tx, kept(collection)).await?;
    let next = NextGrantedKey {
        collection: kept(collection),
        from_generation: body.from_generation,
        last_change: body.last_change,
        former_key: body.former_key.as_slice(),
        sealed_meta: body.sealed_meta.as_slice(),
        grants: &grants,
    };
    app.objects.next_granted_key(&mut tx, next).await?;
    let out: Vec<String> = before
        .iter()
        .filter(|account| !grants.iter().any(|grant| grant.account == **account))
        .map(|account| AccountId::from_uuid(*account).to_string())
        .collect();
    let after = Some(json!({ "generation": generation, "without": out }));
    commit(&app, tx, format!("{collection}/{generation}"), Change { after, ..Change::default() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whoever asks may admit people at all: asked before anything is said of another account. The account that asks.
async fn may_admit(
    app: &App,
    acting: &Acting,
    tenant: TenantId,
    collection: CollectionId,
) -> Result<Uuid, ApiError> {
    let resource = Resource::Collection(collection.uuid());
    let (mut tx, found) = view(app, acting, tenant, Action::CollectionRead, resource, collection).await?;
    require_end_to_end(&found)?;
    require(app, &mut tx, acting, collection).await
}

fn require_end_to_end(collection: &Collection) -> Result<(), ApiError> {
    match collection.protection {
        Protection::EndToEnd => Ok(()),
        Protection::ServerSealed => Err(Problem::new(Code::Conflict)
            .detail("this collection is server-sealed: the server has its key, and nobody else")
            .into()),
    }
}

/// The account that acts. A service account has no identity keys.
pub(super) fn account(acting: &Acting, action: Action) -> Result<Uuid, ApiError> {
    acting.caller.signed_in().map(|account| account.account).ok_or_else(|| {
        let detail = "a service account holds no keys: it works on server-sealed collections only";
        Problem { action: Some(action.to_string()), ..Problem::new(Code::Forbidden).detail(detail) }.into()
    })
}

/// Whoever acts holds the collection's key.
pub(super) async fn require(
    app: &App,
    tx: &mut ReadTx,
    acting: &Acting,
    collection: CollectionId,
) -> Result<Uuid, ApiError> {
    let account = account(acting, Action::ItemRead)?;
    match app.objects.key_grant(tx, kept(collection), account).await? {
        Some(_) => Ok(account),
        None => Err(ApiError::new(Code::NotAdmitted)),
    }
}

/// Nobody holds the key in use who is no longer entitled to it.
pub(super) async fn require_current(
    app: &App,
    tx: &mut ReadTx,
    collection: CollectionId,
) -> Result<(), ApiError> {
    let holders = app.objects.key_holders(tx, kept(collection)).await?;
    let resource = Resource::Collection(collection.uuid());
    let entitled = app.access.entitled(tx, holders.iter().copied(), Action::ItemRead, resource).await?;
    if holders.len() == entitled.len() { Ok(()) } else { Err(ApiError::new(Code::RekeyDue)) }
}

/// The roles of all of these let them read the collection.
async fn require_entitled(
    app: &App,
    tx: &mut ReadTx,
    collection: CollectionId,
    grants: &[KeyGrant],
) -> Result<(), ApiError> {
    let accounts: BTreeSet<Uuid> = grants.iter().map(|grant| grant.account.uuid()).collect();
    let resource = Resource::Collection(collection.uuid());
    let entitled = app.access.entitled(tx, accounts.iter().copied(), Action::ItemRead, resource).await?;
    match accounts.difference(&entitled).next() {
        None => Ok(()),
        Some(account) => {
            let account = AccountId::from_uuid(*account);
            Err(ApiError::field("account", format_args!("no role of {account} lets it read this collection")))
        }
    }
}

/// What is granted was signed by who grants it, for keys that the accounts have now.
pub(super) async fn check(
    app: &App,
    acting: &Acting,
    sharer: Uuid,
    collection: CollectionId,
    generation: u32,
    grants: &[KeyGrant],
) -> Result<(), ApiError> {
    if grants.len() > objects::MAX_HOLDERS {
        return Err(objects::ShareError::TooMany.into());
    }
    let mut tx = directory(app, acting).await?;
    for granted in grants {
        let account = identity::AccountId::from_uuid(granted.account.uuid());
        let known = app.identity.published_account_of(&mut tx, account).await?;
        let newest = known.and_then(|known| known.keys.last().map(|keys| keys.key_version));
        if newest != Some(granted.key_version) {
            return Err(Problem::new(Code::Conflict)
                .field("key_version")
                .detail(format_args!("the account {} has other keys now", granted.account))
                .into());
        }
        let recipient = app.identity.published_keys(&mut tx, account, granted.key_version).await?;
        let own = identity::AccountId::from_uuid(sharer);
        let signer = app.identity.published_keys(&mut tx, own, granted.own_key_version).await?;
        let place = keyring::GrantPlace {
            sharer: keyring::AccountId::from_bytes(sharer.into_bytes()),
            recipient: keyring::AccountId::from_bytes(granted.account.uuid().into_bytes()),
            collection: keyring::CollectionId::from_bytes(collection.uuid().into_bytes()),
            key_version: generation,
        };
        let grant = keyring::Grant::from_bytes(granted.grant.as_slice())
            .map_err(|error| ApiError::field("grant", error))?;
        let is_of = match (&signer, &recipient) {
            (Some(signer), Some(recipient)) => grant.is_of(signer, recipient, &place),
            _ => false,
        };
        if !is_of {
            return Err(ApiError::field("grant", "it is not signed by this account for that one"));
        }
    }
    Ok(())
}

pub(super) fn to_stored(sharer: Uuid, grant: &KeyGrant) -> Result<NewKeyGrant<'_>, ApiError> {
    Ok(NewKeyGrant {
        account: grant.account.uuid(),
        key_version: grant.key_version,
        sharer,
        sharer_key_version: grant.own_key_version,
        grant: grant.grant.as_slice(),
        tag: exactly("tag", grant.tag.to_array())?,
    })
}

/// The public keys that an account signs with, as everybody else finds them in the directory.
pub(super) async fn published(
    app: &App,
    acting: &Acting,
    account: Uuid,
    key_version: u32,
) -> Result<Option<keyring::IdentityPublicKeys>, ApiError> {
    let mut tx = directory(app, acting).await?;
    let account = identity::AccountId::from_uuid(account);
    Ok(app.identity.published_keys(&mut tx, account, key_version).await?)
}

/// A view of what the directory says to everybody who is signed in: numbers and public keys.
async fn directory(app: &App, acting: &Acting) -> Result<ReadTx, ApiError> {
    let reader = Caller::system("key-directory", acting.caller.request());
    let platform = StoredTenant::PLATFORM;
    Ok(app.access.view(&reader, platform, Action::MaintenanceRun, Resource::Platform).await?)
}

async fn number(app: &App, tx: &mut ReadTx, account: Uuid) -> Result<Option<String>, ApiError> {
    let number = app.identity.account_number(tx, identity::AccountId::from_uuid(account)).await?;
    Ok(number.map(|number| number.to_string()))
}

/// How many members with roles are looked at for who waits.
const CANDIDATES: u32 = 1_000;
/// How many who wait are listed.
const WAITING: usize = 200;
