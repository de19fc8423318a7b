// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing in by password, and proving oneself again.

use access::{Action, Resource};
use axum::extract::State;
use identity::{Charge, DeviceInfo, DeviceToken, Place, SigninError, SigninState, TooManyTries, Try};
use keyring::KdfParams;
use protocol::signin::{
    Device, Kdf, SecondFactor, Session, SignInFinish, SignInStart, SignInStarted, SignedIn, SlowHash,
    StepUpFinish, StepUpStart, SteppedUp, Unlocking,
};
use protocol::{AccountId, Bytes, Code, DeviceId, MethodId, Problem, SessionId, TenantId};
use store::{Record, TenantId as Tenant};
use zeroize::Zeroizing;

use crate::caller::{Signed, Visitor};
use crate::error::ApiError;
use crate::gateway::{Address, Json};
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
    let outcome = match &signed_in {
        Ok(_) => "signed_in",
        Err(error) if error.code() == Code::TooManyRequests => "limited",
        Err(_) => "refused",
    };
    app.metrics.signin(outcome);
    signed_in.map(Json)
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
    let mut tx =
        app.access.enter(&visitor.caller, proven.home(), Action::SessionCreate, Resource::Home).await?;
    let place = Place::of(visitor.address.ip());
    let signed_in = app.identity.signin_finish(&mut tx, &proven, finish, &place).await?;
    tx.commit(Record::about(signed_in.session.id)).await?;
    app.attempts.succeeded(now, charge);
    Ok(to_signed_in(app, signed_in))
}

/// Sends the letter of a sign-in that was committed, and makes the answer.
pub(crate) fn to_signed_in(app: &App, signed_in: identity::SignedIn) -> SignedIn {
    app.post.send(signed_in.letter);
    let method = signed_in.method;
    SignedIn {
        account_number: signed_in.number.to_string(),
        method: MethodId::from_uuid(*method.id.uuid()),
        method_kind: method.kind.as_str().to_owned(),
        unlocking: method.unlocking.map(to_unlocking),
        identity: signed_in.identity_public.into(),
        new_device: signed_in.is_new_device,
        backup_codes_left: signed_in.backup_codes_left,
        address: signed_in.address.map(|(email, salt)| protocol::signin::Address {
            email: email.as_str().to_owned().into(),
            email_salt: (*salt.as_bytes()).into(),
        }),
        session: session(signed_in.account, signed_in.home, signed_in.session),
    }
}

pub(crate) fn to_stepped_up(stepped_up: identity::SteppedUp) -> SteppedUp {
    SteppedUp { token: stepped_up.token.expose().to_string().into(), fresh_until: stepped_up.fresh_until }
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
    let resource = Resource::Session(*signed.session.id().uuid());
    let mut tx = app.access.enter(&signed.caller, signed.home(), Action::SessionStepUp, resource).await?;
    let stepped_up =
        app.identity.stepup_finish(&mut tx, &signed.session, &proven, &factor, &email_key).await?;
    tx.commit(Record::about(signed.session.id())).await?;
    app.attempts.succeeded(now, charge);
    Ok(Json(to_stepped_up(stepped_up)))
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

pub(crate) fn session(account: identity::AccountId, home: Tenant, session: identity::NewSession) -> Session {
    Session {
        token: session.token.expose().to_string().into(),
        id: SessionId::from_uuid(*session.id.uuid()),
        account: AccountId::from_uuid(*account.uuid()),
        home: TenantId::from_uuid(*home.uuid()),
        device: DeviceId::from_uuid(*session.device.uuid()),
        device_token: session.device_token.map(|token| token.expose().to_string().into()),
        expires_at: session.expires_at,
        fresh_until: session.fresh_until,
        server_half: (*session.server_half.expose()).into(),
    }
}

pub(crate) fn to_unlocking(unlocking: identity::Unlocking<Vec<u8>>) -> Unlocking {
    Unlocking {
        master_key_version: unlocking.master_key_version,
        sealed_master_key: unlocking.sealed_master_key.as_bytes().into(),
        public_key: unlocking.public_key.into(),
        method_tag: (*unlocking.tag.as_bytes()).into(),
        slow_hash: unlocking
            .slow_hash
            .map(|hash| SlowHash { salt: (*hash.salt.as_bytes()).into(), kdf: kdf(hash.kdf) }),
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
            SigninError::InvalidCredentials => ApiError::new(Code::InvalidCredentials),
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
