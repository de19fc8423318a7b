// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing in by password, and proving oneself again.

use access::{Action, Resource};
use axum::extract::State;
use identity::{Charge, DeviceInfo, DeviceToken, Place, SigninError, SigninState, TooManyTries, Try};
use keyring::KdfParams;
use protocol::signin::{
    Device, Kdf, SecondFactor, SignInFinish, SignInStart, SignInStarted, SignedIn, StepUpFinish, StepUpStart,
    SteppedUp,
};
use protocol::{Bytes, Code, Problem};
use store::TenantId as Tenant;
use zeroize::Zeroizing;

use crate::caller::{Signed, Visitor};
use crate::error::ApiError;
use crate::gateway::{Address, Json};
use crate::routes::arrival;
use crate::state::App;

/// Begins a sign-in by password. Answers alike for known and unknown accounts.
#[utoipa::path(post, path = "/api/v1/signin/password/start", tag = "sign-in", operation_id = "sign_in_start", request_body = SignInStart,
    responses((status = 200, body = SignInStarted), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn start(
    State(app): State<App>,
    visitor: Visitor,
    Json(body): Json<SignInStart>,
) -> Result<Json<SignInStarted>, ApiError> {
    let email = keyring::EmailHash::from_bytes(array("email_hash", &body.email_hash)?);
    let index = app.identity.blind_index(&email);
    let token = body.device_token.as_ref().map(|token| token.expose().parse()).transpose();
    let token: Option<DeviceToken> = token.map_err(|error| ApiError::field("device_token", error))?;
    let known = token.and_then(|token| app.identity.known_device(index.as_bytes(), &token));
    let _counts_until_the_finish = match &known {
        Some(device) => app.attempts.start_known(app.now(), Try::SignIn, device.as_bytes())?,
        None => app.attempts.start(app.now(), Try::SignIn, index.as_bytes(), visitor.address.ip())?,
    };
    let view =
        app.access.view(&visitor.caller, Tenant::PLATFORM, Action::SessionCreate, Resource::Platform).await?;
    let mut tx = view.once();
    let started = app.identity.signin_start(&mut tx, &email, known, body.opaque_request.as_slice()).await?;
    Ok(Json(to_started(started)))
}

/// Finishes a sign-in: checks both proofs, and only then gives out the session and the sealed master key.
#[utoipa::path(post, path = "/api/v1/signin/password/finish", tag = "sign-in", operation_id = "sign_in_finish", request_body = SignInFinish,
    responses((status = 200, body = SignedIn), (status = 401, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn finish(
    State(app): State<App>,
    visitor: Visitor,
    Json(body): Json<SignInFinish>,
) -> Result<Json<SignedIn>, ApiError> {
    let (info, device_token) = device(&body.device)?;
    let finish = identity::SigninFinish {
        factor: factor(&body.second_factor)?,
        email_key: key("email_key", &body.email_key, keyring::EmailKey::from_bytes)?,
        device: info,
        device_token,
    };
    let signed_in = sign_in(&app, &visitor, &body.state, body.opaque_finalization.as_slice(), &finish).await;
    arrival::counted(&app, signed_in)
}

async fn sign_in(
    app: &App,
    visitor: &Visitor,
    state: &str,
    finalization: &[u8],
    finish: &identity::SigninFinish,
) -> Result<SignedIn, ApiError> {
    let now = app.now();
    let state = app.identity.signin_state(now, state)?;
    let charge = charge(app, &state, visitor.address)?;
    let proven = app.identity.signin_verify(now, state, finalization)?;
    let mut tx = arrival::enter(app, visitor, proven.home()).await?;
    let place = Place::of(visitor.address.ip());
    let signed_in = app.identity.signin_finish(&mut tx, &proven, finish, &place).await?;
    arrival::signed_in(app, tx, charge, signed_in).await
}

/// Begins a step-up: the same proofs once more.
#[utoipa::path(post, path = "/api/v1/step-up/start", tag = "sign-in", operation_id = "step_up_start", request_body = StepUpStart, security(("session" = [])),
    responses((status = 200, body = SignInStarted), (status = 401, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn step_up_start(
    State(app): State<App>,
    signed: Signed,
    Json(body): Json<StepUpStart>,
) -> Result<Json<SignInStarted>, ApiError> {
    let resource = Resource::DirectoryEntry { account: *signed.session.account().uuid() };
    let mut tx = app.access.view(&signed.caller, Tenant::PLATFORM, Action::SessionStepUp, resource).await?;
    // In OPAQUE the start is the guess.
    let _counts_until_the_finish =
        app.attempts.start_known(app.now(), Try::SignIn, signed.session.id().as_bytes())?;
    let started = app.identity.stepup_start(&mut tx, &signed.session, body.opaque_request.as_slice()).await?;
    Ok(Json(to_started(started)))
}

/// Finishes a step-up: the session's token changes, and for some minutes it may change methods and keys.
#[utoipa::path(post, path = "/api/v1/step-up/finish", tag = "sign-in", operation_id = "step_up_finish", request_body = StepUpFinish, security(("session" = [])),
    responses((status = 200, body = SteppedUp), (status = 401, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn step_up_finish(
    State(app): State<App>,
    signed: Signed,
    Json(body): Json<StepUpFinish>,
) -> Result<Json<SteppedUp>, ApiError> {
    let now = app.now();
    let state = app.identity.stepup_state(now, &signed.session, &body.state)?;
    let charge = charge(&app, &state, signed.address)?;
    let proven = app.identity.signin_verify(now, state, body.opaque_finalization.as_slice())?;
    let factor = factor(&body.second_factor)?;
    let email_key = key("email_key", &body.email_key, keyring::EmailKey::from_bytes)?;
    let mut tx = arrival::enter_again(&app, &signed).await?;
    let stepped_up =
        app.identity.stepup_finish(&mut tx, &signed.session, &proven, &factor, &email_key).await?;
    arrival::stepped_up(&app, &signed, tx, charge, stepped_up).await
}

fn charge(app: &App, state: &SigninState, from: Address) -> Result<Charge, ApiError> {
    let (now, exchange) = (app.now(), state.exchange());
    Ok(match state.known() {
        Some(known) => app.attempts.finish_known(now, Try::SignIn, known, exchange)?,
        None => app.attempts.finish(now, Try::SignIn, state.email_index(), exchange, from.ip())?,
    })
}

fn to_started(started: identity::SigninStarted) -> SignInStarted {
    SignInStarted {
        state: started.state,
        opaque_response: started.opaque_response.into(),
        kdf: kdf(started.kdf),
        email_salt: (*started.email_salt.as_bytes()).into(),
    }
}

pub(crate) fn kdf(params: KdfParams) -> Kdf {
    Kdf { memory_kib: params.memory_kib(), passes: params.passes(), lanes: params.lanes() }
}

pub(crate) fn device(device: &Device) -> Result<(DeviceInfo, Option<DeviceToken>), ApiError> {
    let info = DeviceInfo::new(&device.name, &device.platform)
        .map_err(|error| ApiError::field("device.name", error))?;
    let token = device.token.as_ref().map(|token| token.expose().parse()).transpose();
    Ok((info, token.map_err(|error| ApiError::field("device.token", error))?))
}

pub(crate) fn factor(factor: &SecondFactor) -> Result<identity::SecondFactor, ApiError> {
    Ok(match factor {
        SecondFactor::Totp(code) => identity::SecondFactor::Totp(Zeroizing::new(code.expose().to_owned())),
        SecondFactor::BackupCode(lookup) => identity::SecondFactor::BackupCode(key(
            "second_factor.backup_code",
            lookup,
            keyring::Lookup::from_bytes,
        )?),
    })
}

/// Exactly `N` bytes.
pub(crate) fn array<const N: usize, const MAX: usize>(
    field: &str,
    bytes: &Bytes<MAX>,
) -> Result<[u8; N], ApiError> {
    bytes.to_array().ok_or_else(|| ApiError::field(field, format_args!("expected {N} bytes")))
}

/// A value of exactly `N` bytes.
pub(crate) fn key<T, const N: usize, const MAX: usize>(
    field: &str,
    bytes: &Bytes<MAX>,
    make: impl FnOnce([u8; N]) -> T,
) -> Result<T, ApiError> {
    array(field, bytes).map(make)
}

/// A value that was parsed, or the field at fault.
pub(crate) fn parsed<T, E: std::fmt::Display>(field: &str, result: Result<T, E>) -> Result<T, ApiError> {
    result.map_err(|error| ApiError::field(field, error))
}

impl From<SigninError> for ApiError {
    fn from(error: SigninError) -> Self {
        match error {
            SigninError::InvalidCredentials | SigninError::Copied(_) => {
                ApiError::new(Code::InvalidCredentials)
            }
            SigninError::Suspended => ApiError::new(Code::Suspended),
            SigninError::Field(field) => ApiError::field(field, "not valid"),
            SigninError::Failed(failure) => failure.into(),
            other => ApiError::internal(other),
        }
    }
}

impl From<TooManyTries> for ApiError {
    fn from(tries: TooManyTries) -> Self {
        ApiError::retry_after(tries.retry_after_seconds())
    }
}
