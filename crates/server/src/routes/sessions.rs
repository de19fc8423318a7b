// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sessions, devices, and the access tokens that hang on a session.

use access::{Action, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use protocol::account::{AccessToken, DeviceInfo, Devices, ServerHalf, SessionInfo, Sessions};
use protocol::{Code, DeviceId, Problem, SessionId};
use store::Record;

use crate::caller::Signed;
use crate::error::ApiError;
use crate::gateway::{Json, Path};
use crate::state::App;

/// Signs out: the session ends everywhere at once, and the server's half of the device's key is gone.
#[utoipa::path(post, path = "/api/v1/signout", tag = "sessions", operation_id = "sign_out", security(("session" = [])), responses((status = 204), (status = 401, body = Problem)))]
pub(crate) async fn sign_out(State(app): State<App>, signed: Signed) -> Result<StatusCode, ApiError> {
    end_one(&app, &signed, signed.session.id()).await
}

/// Ends a session.
#[utoipa::path(delete, path = "/api/v1/sessions/{session}", tag = "sessions", operation_id = "end_session", params(("session" = SessionId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn end(
    State(app): State<App>,
    signed: Signed,
    Path(session): Path<SessionId>,
) -> Result<StatusCode, ApiError> {
    end_one(&app, &signed, identity::SessionId::from_uuid(session.uuid())).await
}

async fn end_one(app: &App, signed: &Signed, session: identity::SessionId) -> Result<StatusCode, ApiError> {
    signed.may_end(Some(session))?;
    let resource = Resource::Session(*session.uuid());
    let mut tx = app.access.enter(&signed.caller, signed.home(), Action::SessionEnd, resource).await?;
    if !app.identity.end_session(&mut tx, &signed.session, session).await? {
        return Err(ApiError::new(Code::NotFound));
    }
    tx.commit(Record::about(session)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the live sessions.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "sessions", operation_id = "list_sessions", security(("session" = [])), responses((status = 200, body = Sessions)))]
pub(crate) async fn list(State(app): State<App>, signed: Signed) -> Result<Json<Sessions>, ApiError> {
    let mut tx = app.access.view(&signed.caller, signed.home(), Action::SessionList, Resource::Home).await?;
    let sessions = app.identity.sessions(&mut tx, &signed.session).await?;
    let sessions = sessions.into_iter().map(|session| SessionInfo {
        id: SessionId::from_uuid(*session.id.uuid()),
        device: DeviceId::from_uuid(*session.device.uuid()),
        device_name: session.device_name,
        platform: session.platform,
        address: session.place,
        created_at: session.created_at,
        last_used_at: session.last_used_at,
        expires_at: session.expires_at,
        current: session.is_current,
    });
    Ok(Json(Sessions { sessions: sessions.collect() }))
}

/// Ends every session but this one.
#[utoipa::path(post, path = "/api/v1/sessions/end-others", tag = "sessions", operation_id = "end_other_sessions", security(("session" = [])), responses((status = 204)))]
pub(crate) async fn end_others(State(app): State<App>, signed: Signed) -> Result<StatusCode, ApiError> {
    signed.may_end(None)?;
    let mut tx = app.access.enter(&signed.caller, signed.home(), Action::SessionEnd, Resource::Home).await?;
    app.identity.end_other_sessions(&mut tx, &signed.session).await?;
    tx.commit(Record::about("others")).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the devices that signed in.
#[utoipa::path(get, path = "/api/v1/devices", tag = "sessions", operation_id = "list_devices", security(("session" = [])), responses((status = 200, body = Devices)))]
pub(crate) async fn devices(State(app): State<App>, signed: Signed) -> Result<Json<Devices>, ApiError> {
    let mut tx = app.access.view(&signed.caller, signed.home(), Action::DeviceList, Resource::Home).await?;
    let devices = app.identity.devices(&mut tx, &signed.session).await?;
    let devices = devices.into_iter().map(|device| DeviceInfo {
        id: DeviceId::from_uuid(*device.id.uuid()),
        name: device.name,
        platform: device.platform,
        address: device.place,
        first_seen_at: device.first_seen_at,
        last_seen_at: device.last_seen_at,
        sessions: device.sessions,
        current: device.is_current,
    });
    Ok(Json(Devices { devices: devices.collect() }))
}

/// Ends a device: all its sessions, and with them what it keeps locally.
#[utoipa::path(delete, path = "/api/v1/devices/{device}", tag = "sessions", operation_id = "end_device", params(("device" = DeviceId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn end_device(
    State(app): State<App>,
    signed: Signed,
    Path(device): Path<DeviceId>,
) -> Result<StatusCode, ApiError> {
    signed.may_end(None)?;
    let mut tx = app.access.enter(&signed.caller, signed.home(), Action::SessionEnd, Resource::Home).await?;
    if !app
        .identity
        .end_device(&mut tx, &signed.session, identity::DeviceId::from_uuid(device.uuid()))
        .await?
    {
        return Err(ApiError::new(Code::NotFound));
    }
    tx.commit(Record::about(device)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives the live session's device the server's half of its split key.
#[utoipa::path(get, path = "/api/v1/session/server-half", tag = "sessions", operation_id = "read_server_half", security(("session" = [])), responses((status = 200, body = ServerHalf)))]
pub(crate) async fn server_half(
    State(app): State<App>,
    signed: Signed,
) -> Result<Json<ServerHalf>, ApiError> {
    let resource = Resource::Session(*signed.session.id().uuid());
    let mut tx = app.access.view(&signed.caller, signed.home(), Action::SessionUnlock, resource).await?;
    let half = app.identity.server_half(&mut tx, &signed.session).await?;
    Ok(Json(ServerHalf { server_half: (*half.expose()).into() }))
}

/// Issues an access token (RFC 9068). It is good as long as its session lives, and for the time that it says.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "sessions", operation_id = "issue_access_token", security(("session" = [])), responses((status = 200, body = AccessToken)))]
pub(crate) async fn access_token(
    State(app): State<App>,
    signed: Signed,
) -> Result<Json<AccessToken>, ApiError> {
    let session = signed.session.id();
    let resource = Resource::Session(*session.uuid());
    let tx = app.access.enter(&signed.caller, signed.home(), Action::TokenIssue, resource).await?;
    let now = app.now();
    // Only a session itself gets here: a token that gets its bearer another one would never end.
    let grant = tokens::Grant {
        account: &signed.session.account().to_string(),
        tenant: signed.home(),
        session: &session.to_string(),
        scope: &signed.caller.scopes().to_string(),
    };
    let issued = app.tokens.issue(now, &grant).map_err(ApiError::internal)?;
    tx.commit(Record::about(format!("tok_{}", issued.id))).await?;
    Ok(Json(AccessToken {
        access_token: issued.token.into(),
        token_type: "Bearer".into(),
        expires_in: u32::try_from((issued.expires_at - now) / 1_000).unwrap_or(0),
    }))
}
