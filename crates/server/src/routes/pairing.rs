// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Letting a device in through one that is signed in: messages are carried, none is understood.

use access::{Action, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use identity::{DeviceInfo, DeviceSecret, PairingError, PairingSide, PairingState, Place, Try};
use keyring::pairing::{PairingForm, PairingGrant, PairingId, PairingRequest};
use protocol::pairing::{
    Paired, PairingAnswer, PairingAsk, PairingAsked, PairingAwaited, PairingDeliver, PairingDevice,
    PairingNamed, PairingOffer, PairingRedeem, PairingTaken,
};
use protocol::{Bytes, Code, Problem};
use store::{ReadTx, Record, TenantId as Tenant, WriteTx};

use super::arrival::{self, session};
use super::signin::{key, parsed};
use crate::caller::{Signed, Visitor};
use crate::error::ApiError;
use crate::gateway::Json;
use crate::state::App;

/// A device asks to be let in, for two minutes.
#[utoipa::path(post, path = "/api/v1/pairings", tag = "pairing", operation_id = "pairing_ask", request_body = PairingAsk,
    responses((status = 200, body = PairingAwaited), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn ask(
    State(app): State<App>,
    visitor: Visitor,
    Json(body): Json<PairingAsk>,
) -> Result<Json<PairingAwaited>, ApiError> {
    let request = request(&body.request)?;
    let form = PairingForm::named(&body.form)
        .ok_or_else(|| ApiError::field("form", "either `device` or `public`"))?;
    let device = parsed("name", DeviceInfo::new(&body.name, &body.platform))?;
    // What no approver could read is refused here, with a reason.
    parsed(
        "key",
        PairingRequest::from_parts(request, form, device.name(), device.platform(), body.key.as_slice()),
    )?;
    let index = app.identity.pairing_index(&request);
    let _counts = app.attempts.start(app.now(), Try::Pair, &index, visitor.address.ip())?;
    let ask = identity::PairingAsk {
        request,
        device_secret: device_secret(&body.device_secret)?,
        form,
        device,
        key: body.key.into_vec(),
        place: Place::of(visitor.address.ip()),
    };
    let mut tx = enter_as_device(&app, &visitor).await?;
    let expires_at = app.identity.pairing_ask(&mut tx, &ask).await?;
    tx.commit(about()).await?;
    Ok(Json(PairingAwaited { expires_at }))
}

/// The device takes the message that waits for it, if there is one. Each is handed over once.
#[utoipa::path(post, path = "/api/v1/pairings/device/take", tag = "pairing", operation_id = "pairing_device_take", request_body = PairingDevice,
    responses((status = 200, body = PairingTaken), (status = 410, body = Problem)))]
pub(crate) async fn device_take(
    State(app): State<App>,
    visitor: Visitor,
    Json(body): Json<PairingDevice>,
) -> Result<Json<PairingTaken>, ApiError> {
    let (request, secret) = (request(&body.request)?, device_secret(&body.device_secret)?);
    let side = PairingSide::Device(&secret);
    let action = Action::PairingAsk;
    let mut view = app.access.view(&visitor.caller, Tenant::PLATFORM, action, Resource::Platform).await?;
    let state = app.identity.pairing_state(&mut view, &request, &side).await?;
    drop(view);
    if state != PairingState::Message {
        return Ok(Json(without_message(state)));
    }
    let mut tx = enter_as_device(&app, &visitor).await?;
    let message = app.identity.pairing_take(&mut tx, &request, &side).await?;
    tx.commit(about()).await?;
    Ok(Json(with_message(message)))
}

/// The device answers an offer.
#[utoipa::path(post, path = "/api/v1/pairings/device/answer", tag = "pairing", operation_id = "pairing_device_answer", request_body = PairingAnswer,
    responses((status = 204), (status = 409, body = Problem), (status = 410, body = Problem)))]
pub(crate) async fn device_answer(
    State(app): State<App>,
    visitor: Visitor,
    Json(body): Json<PairingAnswer>,
) -> Result<StatusCode, ApiError> {
    let (request, secret) = (request(&body.request)?, device_secret(&body.device_secret)?);
    let mut tx = enter_as_device(&app, &visitor).await?;
    app.identity.pairing_answer(&mut tx, &request, &secret, body.message.as_slice()).await?;
    tx.commit(about()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The device gives up.
#[utoipa::path(post, path = "/api/v1/pairings/device/cancel", tag = "pairing", operation_id = "pairing_device_cancel", request_body = PairingDevice,
    responses((status = 204), (status = 410, body = Problem)))]
pub(crate) async fn device_cancel(
    State(app): State<App>,
    visitor: Visitor,
    Json(body): Json<PairingDevice>,
) -> Result<StatusCode, ApiError> {
    let (request, secret) = (request(&body.request)?, device_secret(&body.device_secret)?);
    let mut tx = enter_as_device(&app, &visitor).await?;
    app.identity.pairing_end(&mut tx, &request, &PairingSide::Device(&secret)).await?;
    tx.commit(about()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The device gets its session for the grant that came sealed to its key. Once.
#[utoipa::path(post, path = "/api/v1/pairings/device/redeem", tag = "pairing", operation_id = "pairing_device_redeem", request_body = PairingRedeem,
    responses((status = 200, body = Paired), (status = 409, body = Problem), (status = 410, body = Problem)))]
pub(crate) async fn device_redeem(
    State(app): State<App>,
    visitor: Visitor,
    Json(body): Json<PairingRedeem>,
) -> Result<Json<Paired>, ApiError> {
    let (request, secret) = (request(&body.request)?, device_secret(&body.device_secret)?);
    let grant = key("grant", &body.grant, PairingGrant::from_bytes)?;
    let token = body.device_token.as_ref().map(|token| token.expose().parse()).transpose();
    let token = parsed("device_token", token)?;
    let (now, index) = (app.now(), app.identity.pairing_index(&request));
    let charge = app.attempts.finish(now, Try::Pair, &index, request.expose(), visitor.address.ip())?;
    let mut tx = enter_as_device(&app, &visitor).await?;
    let redeemed = app.identity.pairing_redeem(&mut tx, &request, &secret, &grant).await?;
    tx.commit(about()).await?;

    let place = Place::of(visitor.address.ip());
    let mut tx = arrival::enter(&app, &visitor, redeemed.home()).await?;
    let paired = app.identity.pairing_arrive(&mut tx, &redeemed, token.as_ref(), &place).await?;
    tx.commit(Record::about(paired.session.id)).await?;
    app.attempts.succeeded(now, charge);
    app.post.send(Some(paired.letter));
    app.metrics.signin("paired");
    Ok(Json(Paired {
        account_number: paired.number.to_string(),
        identity: paired.identity_public.to_bytes().into(),
        session: session(paired.account, redeemed.home(), paired.session),
    }))
}

/// Says who asks, to whoever was shown the link.
#[utoipa::path(post, path = "/api/v1/pairings/read", tag = "pairing", operation_id = "pairing_read", request_body = PairingNamed, security(("session" = [])),
    responses((status = 200, body = PairingAsked), (status = 409, body = Problem), (status = 410, body = Problem)))]
pub(crate) async fn read(
    State(app): State<App>,
    signed: Signed,
    Json(body): Json<PairingNamed>,
) -> Result<Json<PairingAsked>, ApiError> {
    let request = request(&body.request)?;
    let mut view = view_as_approver(&app, &signed).await?;
    let asked = app.identity.pairing_read(&mut view, &signed.session, &request).await?;
    Ok(Json(PairingAsked {
        form: asked.form.as_str().to_owned(),
        name: asked.name,
        platform: asked.platform,
        key: asked.key.into(),
        address: asked.place,
        created_at: asked.created_at,
        expires_at: asked.expires_at,
    }))
}

/// The approver's offer, for the device. The first one claims the request.
#[utoipa::path(post, path = "/api/v1/pairings/offer", tag = "pairing", operation_id = "pairing_offer", request_body = PairingOffer, security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 409, body = Problem), (status = 410, body = Problem)))]
pub(crate) async fn offer(
    State(app): State<App>,
    signed: Signed,
    Json(body): Json<PairingOffer>,
) -> Result<StatusCode, ApiError> {
    let request = request(&body.request)?;
    let action = Action::PairingApprove;
    let mut home = app.access.enter(&signed.caller, signed.home(), action, Resource::Home).await?;
    let approver = app.identity.pairing_approver(&mut home, &signed.session).await?;
    // The home's record first: the owner's history knows of every offer that went out.
    home.commit(Record::about("pairing")).await?;
    let mut tx = enter_as_approver(&app, &signed, action).await?;
    app.identity
        .pairing_offer(&mut tx, &request, &approver, &signed.session, body.message.as_slice())
        .await?;
    tx.commit(about()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The approver takes the device's answer, if there is one.
#[utoipa::path(post, path = "/api/v1/pairings/take", tag = "pairing", operation_id = "pairing_take", request_body = PairingNamed, security(("session" = [])),
    responses((status = 200, body = PairingTaken), (status = 409, body = Problem), (status = 410, body = Problem)))]
pub(crate) async fn approver_take(
    State(app): State<App>,
    signed: Signed,
    Json(body): Json<PairingNamed>,
) -> Result<Json<PairingTaken>, ApiError> {
    let request = request(&body.request)?;
    let side = PairingSide::Approver(&signed.session);
    let mut view = view_as_approver(&app, &signed).await?;
    let state = app.identity.pairing_state(&mut view, &request, &side).await?;
    drop(view);
    if state != PairingState::Message {
        return Ok(Json(without_message(state)));
    }
    let mut tx = enter_as_approver(&app, &signed, Action::PairingRead).await?;
    let message = app.identity.pairing_take(&mut tx, &request, &side).await?;
    tx.commit(about()).await?;
    Ok(Json(with_message(message)))
}

/// The approver lets the device in: the last message, and the hash of the grant in it.
#[utoipa::path(post, path = "/api/v1/pairings/deliver", tag = "pairing", operation_id = "pairing_deliver", request_body = PairingDeliver, security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 409, body = Problem), (status = 410, body = Problem)))]
pub(crate) async fn deliver(
    State(app): State<App>,
    signed: Signed,
    Json(body): Json<PairingDeliver>,
) -> Result<StatusCode, ApiError> {
    let request = request(&body.request)?;
    let grant_hash = key("grant_hash", &body.grant_hash, |hash| hash)?;
    let mut tx = enter_as_approver(&app, &signed, Action::PairingApprove).await?;
    app.identity
        .pairing_deliver(&mut tx, &request, &signed.session, body.message.as_slice(), &grant_hash)
        .await?;
    tx.commit(about()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The approver says no, or three codes were wrong.
#[utoipa::path(post, path = "/api/v1/pairings/refuse", tag = "pairing", operation_id = "pairing_refuse", request_body = PairingNamed, security(("session" = [])),
    responses((status = 204), (status = 409, body = Problem), (status = 410, body = Problem)))]
pub(crate) async fn refuse(
    State(app): State<App>,
    signed: Signed,
    Json(body): Json<PairingNamed>,
) -> Result<StatusCode, ApiError> {
    let request = request(&body.request)?;
    let mut tx = enter_as_approver(&app, &signed, Action::PairingRead).await?;
    app.identity.pairing_end(&mut tx, &request, &PairingSide::Approver(&signed.session)).await?;
    tx.commit(about()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn enter_as_device(app: &App, visitor: &Visitor) -> Result<WriteTx, ApiError> {
    let action = Action::PairingAsk;
    Ok(app.access.enter(&visitor.caller, Tenant::PLATFORM, action, Resource::Platform).await?)
}

async fn enter_as_approver(app: &App, signed: &Signed, action: Action) -> Result<WriteTx, ApiError> {
    Ok(app.access.enter(&signed.caller, Tenant::PLATFORM, action, own_entry(signed)).await?)
}

async fn view_as_approver(app: &App, signed: &Signed) -> Result<ReadTx, ApiError> {
    let action = Action::PairingRead;
    Ok(app.access.view(&signed.caller, Tenant::PLATFORM, action, own_entry(signed)).await?)
}

fn own_entry(signed: &Signed) -> Resource {
    Resource::DirectoryEntry { account: *signed.session.account().uuid() }
}

/// The platform's records name no request: whoever reads them must not find a way to it.
fn about() -> Record {
    Record::about("pairing")
}

fn without_message(state: PairingState) -> PairingTaken {
    let state = match state {
        PairingState::Waiting | PairingState::Message => "waiting",
        PairingState::Refused => "refused",
        PairingState::TriesSpent => "tries_spent",
    };
    PairingTaken { state: state.to_owned(), message: None }
}

fn with_message(message: Vec<u8>) -> PairingTaken {
    PairingTaken { state: "message".to_owned(), message: Some(message.into()) }
}

fn request<const MAX: usize>(bytes: &Bytes<MAX>) -> Result<PairingId, ApiError> {
    key("request", bytes, PairingId::from_bytes)
}

fn device_secret<const MAX: usize>(bytes: &Bytes<MAX>) -> Result<DeviceSecret, ApiError> {
    key("device_secret", bytes, DeviceSecret::from_bytes)
}

impl From<PairingError> for ApiError {
    fn from(error: PairingError) -> Self {
        let code = match &error {
            PairingError::Over => Code::PairingOver,
            PairingError::Taken => Code::PairingTaken,
            PairingError::OutOfTurn => Code::Conflict,
            PairingError::TriesSpent => Code::PairingTriesSpent,
            PairingError::StepUpRequired => Code::StepUpRequired,
            PairingError::Failed(_) => Code::Internal,
            _ => return ApiError::internal(error),
        };
        match error {
            PairingError::Failed(failure) => failure.into(),
            error => Problem::new(code).detail(error).into(),
        }
    }
}
