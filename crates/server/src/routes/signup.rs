// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing up.

use access::{Action, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use identity::{Charge, Place, Signup, SignupError, SignupState, Try};
use protocol::signin::{EmailSalt, EmailSaltRequest, SignUpFinish, SignUpStart, SignUpStarted, SignedUp};
use protocol::{AccountId, Code, MethodId, Problem, TenantId};
use store::{Record, TenantId as Tenant};

use crate::caller::Visitor;
use crate::error::ApiError;
use crate::gateway::Json;
use crate::routes::arrival;
use crate::routes::signin::{self, array, key, parsed};
use crate::state::App;

/// Says with which salt an address's key is made.
#[utoipa::path(post, path = "/api/v1/signup/salt", tag = "sign-in", operation_id = "email_salt", request_body = EmailSaltRequest,
    responses((status = 200, body = EmailSalt), (status = 422, body = Problem)))]
pub(crate) async fn salt(
    State(app): State<App>,
    Json(body): Json<EmailSaltRequest>,
) -> Result<Json<EmailSalt>, ApiError> {
    let email = keyring::EmailHash::from_bytes(array("email_hash", &body.email_hash)?);
    Ok(Json(EmailSalt { email_salt: (*app.identity.email_salt(&email).as_bytes()).into() }))
}

/// Begins a sign-up.
#[utoipa::path(post, path = "/api/v1/signup/start", tag = "sign-in", operation_id = "sign_up_start", request_body = SignUpStart,
    responses((status = 200, body = SignUpStarted), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn start(
    State(app): State<App>,
    visitor: Visitor,
    Json(body): Json<SignUpStart>,
) -> Result<Json<SignUpStarted>, ApiError> {
    let start = identity::SignupStart {
        email_hash: keyring::EmailHash::from_bytes(array("email_hash", &body.email_hash)?),
        email_key: key("email_key", &body.email_key, keyring::EmailKey::from_bytes)?,
        sealed_email: parsed("sealed_email", keyring::Sealed::parse(body.sealed_email.into_vec()))?,
        opaque_request: body.opaque_request.into_vec(),
    };
    let index = app.identity.blind_index(&start.email_hash);
    let ip = visitor.address.ip();
    // Never given back: each may send a mail, and each account takes room.
    let _counts = app.attempts.start(app.now(), Try::SignUp, index.as_bytes(), ip)?;
    let mut tx =
        app.access.view(&visitor.caller, Tenant::PLATFORM, Action::AccountCreate, Resource::Platform).await?;
    let started = app.identity.signup_start(&mut tx, &start).await?;
    drop(tx);
    Ok(Json(to_started(&app, started)))
}

/// Sends what is to be sent, and answers.
pub(crate) fn to_started(app: &App, started: identity::SignupStarted) -> SignUpStarted {
    app.post.send(started.letter);
    SignUpStarted {
        state: started.state,
        account: AccountId::from_uuid(*started.account.uuid()),
        home: TenantId::from_uuid(*started.home.uuid()),
        method: MethodId::from_uuid(*started.method.uuid()),
        opaque_response: started.opaque_response.into(),
        kdf: signin::kdf(started.kdf),
        code_required: started.needs_code,
    }
}

/// Finishes a sign-up: makes the account, its home and a first session.
#[utoipa::path(post, path = "/api/v1/signup/finish", tag = "sign-in", operation_id = "sign_up_finish", request_body = SignUpFinish,
    responses((status = 201, body = SignedUp), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn finish(
    State(app): State<App>,
    visitor: Visitor,
    Json(body): Json<SignUpFinish>,
) -> Result<(StatusCode, Json<SignedUp>), ApiError> {
    let (state, charge) = opened(&app, &visitor, &body.state)?;
    let (device, _) = signin::device(&body.device)?;
    let backup_codes = body
        .backup_codes
        .iter()
        .map(|code| key("backup_codes", code, keyring::Lookup::from_bytes))
        .collect::<Result<_, _>>()?;
    let finish = identity::SignupFinish {
        code: body.code.map(zeroize::Zeroizing::new),
        opaque_record: body.opaque_upload.into_vec(),
        public_key: parsed("public_key", keyring::MethodPublicKey::from_bytes(body.public_key.as_slice()))?,
        sealed_master_key: parsed(
            "sealed_master_key",
            keyring::SealedMasterKey::parse(body.sealed_master_key.into_vec()),
        )?,
        tag: keyring::MethodTag::from_bytes(array("method_tag", &body.method_tag)?),
        backup_codes,
        identity_public: parsed(
            "identity",
            keyring::IdentityPublicKeys::from_bytes(body.identity.as_slice()),
        )?,
        email_key: key("email_key", &body.email_key, keyring::EmailKey::from_bytes)?,
        device,
    };
    let proven = app.identity.signup_verify(state, finish)?;
    app.attempts.returned(app.now(), charge);
    let signed_up = make(&app, &visitor, proven).await?;
    let totp = signed_up.totp.ok_or_else(|| ApiError::internal("a password without a second factor"))?;
    Ok((
        StatusCode::CREATED,
        Json(SignedUp {
            account_number: signed_up.number.to_string(),
            totp_secret: totp.secret.base32().to_string().into(),
            totp_uri: totp.uri.to_string().into(),
            session: arrival::session(signed_up.account, signed_up.home, signed_up.session),
        }),
    ))
}

/// Opens the state of a sign-up, and charges its finish.
pub(crate) fn opened(app: &App, visitor: &Visitor, state: &str) -> Result<(SignupState, Charge), ApiError> {
    let now = app.now();
    let state = app.identity.signup_state(now, state)?;
    let (index, exchange) = (state.email_index(), state.exchange());
    let charge = app.attempts.finish(now, Try::SignUp, index, exchange, visitor.address.ip())?;
    Ok((state, charge))
}

/// Makes the account: its place in the directory, its home, and that it is live; then its letter goes out.
pub(crate) async fn make(
    app: &App,
    visitor: &Visitor,
    signup: Signup,
) -> Result<identity::SignedUp, ApiError> {
    let (caller, account) = (&visitor.caller, signup.account());
    let mut tx =
        app.access.enter(caller, Tenant::PLATFORM, Action::AccountCreate, Resource::Platform).await?;
    let reserved = app.identity.signup_reserve(&mut tx, signup).await?;
    tx.commit(Record::about(account)).await?;

    let mut tx = app.access.found(caller, reserved.home()).await?;
    let place = Place::of(visitor.address.ip());
    let mut signed_up = app.identity.signup_found(&mut tx, &reserved, &place).await?;
    tx.commit(Record::about(account)).await?;

    let mut tx =
        app.access.enter(caller, Tenant::PLATFORM, Action::AccountCreate, Resource::Platform).await?;
    let keys = app.identity.signup_live(&mut tx, &reserved).await?;
    tx.commit(Record::about(keys)).await?;

    app.post.send(signed_up.letter.take());
    Ok(signed_up)
}

impl From<SignupError> for ApiError {
    fn from(error: SignupError) -> Self {
        match error {
            SignupError::Field(field) => ApiError::field(field, "not valid"),
            SignupError::Restart => ApiError::field("state", error),
            SignupError::WrongCode => Problem::new(Code::InvalidCode).field("code").into(),
            SignupError::PasskeysOff => ApiError::new(Code::PasskeysOff),
            SignupError::Ceremony(error) => ApiError::field("credential", error),
            SignupError::AccountExists => ApiError::new(Code::AccountExists),
            SignupError::Failed(failure) => failure.into(),
            other => ApiError::internal(other),
        }
    }
}
