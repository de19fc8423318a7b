// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The platform's keys, for its people: which there are, and another key for tokens.
//!
//! The root key is changed at the machine (`bailiwick root-key`), since it is a file there or a secret of the deployment.

use access::{Action, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use protocol::platform_keys::{PlatformKeys, SigningKey};
use protocol::{Code, Problem};
use store::{Record, TenantId, WriteTx};
use tokens::{KeysError, SigningKeyInfo};

use crate::caller::Signed;
use crate::error::ApiError;
use crate::gateway::{Json, Path};
use crate::state::App;

/// Says which keys there are.
#[utoipa::path(get, path = "/api/v1/platform/keys", tag = "platform", operation_id = "read_platform_keys", security(("session" = [])),
    responses((status = 200, body = PlatformKeys), (status = 403, body = Problem)))]
pub(crate) async fn read(State(app): State<App>, signed: Signed) -> Result<Json<PlatformKeys>, ApiError> {
    let platform = TenantId::PLATFORM;
    let mut tx = app.access.view(&signed.caller, platform, Action::PlatformRead, Resource::Platform).await?;
    app.tokens.keys().reload(&mut tx).await.map_err(ApiError::internal)?;
    let root_key = app.custody.root_key_id().as_str().to_owned();
    let ids = app.custody.root_key_ids();
    let older = ids.iter().map(|id| id.as_str()).filter(|id| *id != root_key).map(str::to_owned);
    let shown = |key: SigningKeyInfo| SigningKey {
        kid: key.ed25519,
        es256_kid: key.es256,
        is_signing: key.is_signing,
        active_from: key.active_from,
        retired_at: key.retired_at,
        verifies_until: key.verifies_until,
    };
    Ok(Json(PlatformKeys {
        older_root_keys: older.collect(),
        root_key,
        signing_keys: app.tokens.keys().list(app.now()).into_iter().map(shown).collect(),
    }))
}

/// Makes another key for tokens, which signs at once. The key before it verifies until its last token has expired.
#[utoipa::path(post, path = "/api/v1/platform/signing-keys", tag = "platform", operation_id = "rotate_signing_key", security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem)))]
pub(crate) async fn rotate(State(app): State<App>, signed: Signed) -> Result<StatusCode, ApiError> {
    let mut tx = enter(&app, &signed, Action::SigningKeyRotate).await?;
    app.tokens.keys().rotate_now(&mut tx).await.map_err(refused)?;
    tx.commit(Record::about("signing-keys")).await?;
    reload(&app, &signed).await
}

/// Takes a key for tokens away at once, as when it has leaked: what it signed is refused from then on. If it was the one that
/// signs, another takes its place. For administrators.
#[utoipa::path(delete, path = "/api/v1/platform/signing-keys/{kid}", tag = "platform", operation_id = "remove_signing_key", params(("kid" = String, Path)), security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn remove(
    State(app): State<App>,
    signed: Signed,
    Path(kid): Path<String>,
) -> Result<StatusCode, ApiError> {
    let mut tx = enter(&app, &signed, Action::PlatformAdminister).await?;
    app.tokens.keys().remove(&mut tx, &kid).await.map_err(refused)?;
    tx.commit(Record::about(kid)).await?;
    reload(&app, &signed).await
}

async fn enter(app: &App, signed: &Signed, action: Action) -> Result<WriteTx, ApiError> {
    signed.look_again(app).await?;
    Ok(app.access.enter(&signed.caller, TenantId::PLATFORM, action, Resource::Platform).await?)
}

/// Other servers read the keys within a minute, this one at once.
async fn reload(app: &App, signed: &Signed) -> Result<StatusCode, ApiError> {
    let platform = TenantId::PLATFORM;
    let mut tx = app.access.view(&signed.caller, platform, Action::PlatformRead, Resource::Platform).await?;
    app.tokens.keys().reload(&mut tx).await.map_err(ApiError::internal)?;
    Ok(StatusCode::NO_CONTENT)
}

fn refused(error: KeysError) -> ApiError {
    match error {
        KeysError::Unknown { .. } => ApiError::new(Code::NotFound),
        error => ApiError::internal(error),
    }
}
