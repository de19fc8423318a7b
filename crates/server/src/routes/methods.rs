// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Login methods: listing, naming and revoking them, and recovery keys. Every change asks for a fresh proof and is told by
//! mail.

use access::{Action, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use identity::{MethodLabel, MethodLookup, NewMethod, ReservedLookup, SessionKind};
use keyring::MethodKind;
use protocol::federation::ProvidedIdentity;
use protocol::methods::{Method, MethodKey, MethodRename, Methods, NewRecoveryKey, NewUnlocking};
use protocol::{MethodId, Problem, TenantId};
use store::{Record, TenantId as Tenant, WriteTx};

use crate::caller::Signed;
use crate::error::ApiError;
use crate::gateway::{Json, Path};
use crate::routes::signin::{array, key, parsed};
use crate::state::App;

/// Lists the login methods.
#[utoipa::path(get, path = "/api/v1/account/methods", tag = "methods", operation_id = "list_methods", security(("session" = [])), responses((status = 200, body = Methods)))]
pub(crate) async fn list(State(app): State<App>, signed: Signed) -> Result<Json<Methods>, ApiError> {
    let mut tx = app.access.view(&signed.caller, signed.home(), Action::AccountRead, Resource::Home).await?;
    if signed.session.kind() == SessionKind::Vouched {
        // How else somebody signs in is not the business of the tenant that vouches for them.
        return Err(access::Refused::Forbidden { action: Action::AccountRead }.into());
    }
    let methods = app.identity.login_methods(&mut tx, &signed.session).await?;
    let provided = app.identity.provided_identities(&mut tx, &signed.session).await?;
    let provided = |id| {
        let (_, known) = provided.iter().find(|(method, _)| *method == id)?;
        let tenant = known.tenant;
        Some(ProvidedIdentity {
            tenant: (tenant != Tenant::PLATFORM).then(|| TenantId::from_uuid(*tenant.uuid())),
            issuer: known.issuer.clone(),
            subject: known.subject.clone(),
        })
    };
    let methods = methods.into_iter().map(|method| Method {
        provided: provided(method.id),
        id: MethodId::from_uuid(*method.id.uuid()),
        kind: method.kind.as_str().to_owned(),
        label: method.label,
        created_at: method.created_at,
        last_used_at: method.last_used_at,
        unlocking: method.unlocking.map(|unlocking| MethodKey {
            public_key: unlocking.public_key.into(),
            tag: (*unlocking.tag.as_bytes()).into(),
            master_key_version: unlocking.master_key_version,
        }),
    });
    Ok(Json(Methods { methods: methods.collect() }))
}

/// Gives a login method another name.
#[utoipa::path(patch, path = "/api/v1/account/methods/{method}", tag = "methods", operation_id = "rename_method", params(("method" = MethodId, Path)), request_body = MethodRename, security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn rename(
    State(app): State<App>,
    signed: Signed,
    Path(method): Path<MethodId>,
    Json(body): Json<MethodRename>,
) -> Result<StatusCode, ApiError> {
    let (method, label) = (id(method), label(&body.label)?);
    let mut tx = enter(&app, &signed, Action::MethodRename).await?;
    let letter = app.identity.rename_method(&mut tx, &signed.session, method, &label).await?;
    tx.commit(Record::about(method)).await?;
    app.post.send(Some(letter));
    Ok(StatusCode::NO_CONTENT)
}

/// Revokes a login method: it lets nobody in any more, and the sessions that it opened end.
#[utoipa::path(delete, path = "/api/v1/account/methods/{method}", tag = "methods", operation_id = "revoke_method", params(("method" = MethodId, Path)), security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn revoke(
    State(app): State<App>,
    signed: Signed,
    Path(method): Path<MethodId>,
) -> Result<StatusCode, ApiError> {
    let method = id(method);
    let entry = Resource::DirectoryEntry { account: *signed.session.account().uuid() };
    let mut tx = app.access.view(&signed.caller, Tenant::PLATFORM, Action::AccountRead, entry).await?;
    let password = app.identity.live_password(&mut tx, &signed.session).await?;
    drop(tx);
    let mut tx = enter(&app, &signed, Action::MethodRevoke).await?;
    let revoked = app.identity.revoke_method(&mut tx, &signed.session, method, password).await?;
    tx.commit(Record::about(method)).await?;
    // From here on it lets nobody in. Should the directory fail, upkeep takes its row away.
    let mut tx = directory(&app, &signed, Action::MethodRevoke).await?;
    app.identity.forget_method(&mut tx, &revoked).await?;
    tx.commit(Record::about(method)).await?;
    app.post.send(Some(revoked.letter));
    Ok(StatusCode::NO_CONTENT)
}

/// Adds a recovery key, which was made on the client.
#[utoipa::path(post, path = "/api/v1/account/recovery-keys", tag = "methods", operation_id = "add_recovery_key", request_body = NewRecoveryKey, security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn add_recovery_key(
    State(app): State<App>,
    signed: Signed,
    Json(body): Json<NewRecoveryKey>,
) -> Result<StatusCode, ApiError> {
    let (new, lookup) = new_recovery_key(body)?;
    let reserved = reserve(&app, &signed, new.id, lookup).await?;
    let mut tx = enter(&app, &signed, Action::MethodAdd).await?;
    let letter = app.identity.add_method(&mut tx, &signed.session, &new, &reserved).await?;
    tx.commit(Record::about(new.id)).await?;
    app.post.send(Some(letter));
    Ok(StatusCode::NO_CONTENT)
}

/// Puts a new recovery key in the place of an old one, which lets nobody in any more.
#[utoipa::path(post, path = "/api/v1/account/recovery-keys/{method}/replace", tag = "methods", operation_id = "replace_recovery_key", params(("method" = MethodId, Path)), request_body = NewRecoveryKey, security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn replace_recovery_key(
    State(app): State<App>,
    signed: Signed,
    Path(old): Path<MethodId>,
    Json(body): Json<NewRecoveryKey>,
) -> Result<StatusCode, ApiError> {
    let (old, (new, lookup)) = (id(old), new_recovery_key(body)?);
    let reserved = reserve(&app, &signed, new.id, lookup).await?;
    let mut tx = enter(&app, &signed, Action::MethodAdd).await?;
    let letter = app.identity.replace_recovery_key(&mut tx, &signed.session, old, &new, &reserved).await?;
    tx.commit(Record::about(new.id)).await?;
    let mut tx = directory(&app, &signed, Action::MethodRevoke).await?;
    app.identity.forget_lookup(&mut tx, signed.session.account(), old).await?;
    tx.commit(Record::about(old)).await?;
    app.post.send(Some(letter));
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a method's place in the directory, before it is added in the home.
pub(crate) async fn reserve(
    app: &App,
    signed: &Signed,
    method: identity::MethodId,
    lookup: MethodLookup,
) -> Result<ReservedLookup, ApiError> {
    let mut tx = directory(app, signed, Action::MethodAdd).await?;
    let reserved = app.identity.reserve_lookup(&mut tx, &signed.session, method, lookup).await?;
    tx.commit(Record::about(method)).await?;
    Ok(reserved)
}

fn new_recovery_key(body: NewRecoveryKey) -> Result<(NewMethod, MethodLookup), ApiError> {
    let lookup = key("lookup", &body.lookup, keyring::Lookup::from_bytes)?;
    let unlocking = unlocking(body.unlocking)?;
    if unlocking.slow_hash.is_none() {
        return Err(ApiError::field("unlocking.slow_hash", "a recovery key is hashed: say how"));
    }
    let new = NewMethod { id: id(body.id), label: label(&body.label)?, unlocking: Some(unlocking) };
    Ok((new, MethodLookup::new(MethodKind::RecoveryKey, lookup)))
}

/// What a client says of how a new method unlocks.
pub(crate) fn unlocking(body: NewUnlocking) -> Result<identity::Unlocking, ApiError> {
    let slow_hash = body.slow_hash.map(|hash| {
        let kdf = keyring::KdfParams::checked(hash.kdf.memory_kib, hash.kdf.passes, hash.kdf.lanes);
        Ok::<_, ApiError>(identity::SlowHash {
            salt: key("unlocking.slow_hash.salt", &hash.salt, keyring::MethodSalt::from_bytes)?,
            kdf: parsed("unlocking.slow_hash.kdf", kdf)?,
        })
    });
    Ok(identity::Unlocking {
        public_key: parsed(
            "unlocking.public_key",
            keyring::MethodPublicKey::from_bytes(body.public_key.as_slice()),
        )?,
        sealed_master_key: parsed(
            "unlocking.sealed_master_key",
            keyring::SealedMasterKey::parse(body.sealed_master_key.into_vec()),
        )?,
        tag: keyring::MethodTag::from_bytes(array("unlocking.method_tag", &body.method_tag)?),
        master_key_version: body.master_key_version,
        slow_hash: slow_hash.transpose()?,
    })
}

pub(crate) fn label(text: &str) -> Result<MethodLabel, ApiError> {
    parsed("label", MethodLabel::new(text))
}

pub(crate) fn id(method: MethodId) -> identity::MethodId {
    identity::MethodId::from_uuid(method.uuid())
}

async fn enter(app: &App, signed: &Signed, action: Action) -> Result<WriteTx, ApiError> {
    Ok(app.access.enter(&signed.caller, signed.home(), action, Resource::Home).await?)
}

/// The account's own entry of the directory.
async fn directory(app: &App, signed: &Signed, action: Action) -> Result<WriteTx, ApiError> {
    let entry = Resource::DirectoryEntry { account: *signed.session.account().uuid() };
    Ok(app.access.enter(&signed.caller, Tenant::PLATFORM, action, entry).await?)
}
