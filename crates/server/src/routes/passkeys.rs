// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Passkeys: adding one, signing in and proving oneself again with one.

use access::{Action, Caller, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use identity::{
    Arrival, Assertion, CopiedPasskey, MethodLookup, NewMethod, PASSKEY_ALGORITHMS, PasskeyChallenge,
    PasskeyError, Place, Registration, SigninError, Try,
};
use keyring::MethodKind;
use protocol::passkeys::{
    AuthenticatorSelection, CreationOptions, CredentialDescriptor, CredentialParameter, Extensions,
    PasskeyAddFinish, PasskeyAddStarted, PasskeySignIn, PasskeyStarted, PasskeyStepUp, Prf, PrfValues,
    RelyingParty, RequestOptions, ShownCredential, User,
};
use protocol::signin::{SignedIn, SteppedUp};
use protocol::{Code, MethodId, Problem};
use store::{Record, TenantId as Tenant};

use crate::caller::{Signed, Visitor};
use crate::error::ApiError;
use crate::gateway::{Address, Json};
use crate::routes::arrival;
use crate::routes::methods::{label, reserve, unlocking};
use crate::routes::signin::device;
use crate::state::App;

/// Begins the addition of a passkey.
#[utoipa::path(post, path = "/api/v1/account/passkeys/start", tag = "methods", operation_id = "add_passkey_start", security(("session" = [])),
    responses((status = 200, body = PasskeyAddStarted), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn add_start(
    State(app): State<App>,
    signed: Signed,
) -> Result<Json<PasskeyAddStarted>, ApiError> {
    let mut tx = app.access.enter(&signed.caller, signed.home(), Action::MethodAdd, Resource::Home).await?;
    let started = app.identity.passkey_add_start(&mut tx, &signed.session).await?;
    let PasskeyChallenge { state, challenge, relying_party, credentials } = started.challenge;
    let (handle, name) = (&started.user_handle, started.user_name);
    let options = creation(&app, relying_party, challenge, handle, name, credentials);
    Ok(Json(PasskeyAddStarted { state, method: MethodId::from_uuid(*started.method.uuid()), options }))
}

/// What is asked of an authenticator that is to make a passkey.
pub(crate) fn creation(
    app: &App,
    relying_party: &identity::RelyingParty,
    challenge: [u8; 32],
    user_handle: &keyring::UserHandle,
    user_name: String,
    exclude: Vec<Vec<u8>>,
) -> CreationOptions {
    CreationOptions {
        rp: RelyingParty { id: relying_party.id().to_owned(), name: app.config.service_name.clone() },
        user: User { id: (*user_handle.expose()).into(), name: user_name.clone(), display_name: user_name },
        challenge: challenge.into(),
        pub_key_cred_params: PASSKEY_ALGORITHMS
            .iter()
            .map(|&alg| CredentialParameter { r#type: PUBLIC_KEY.into(), alg })
            .collect(),
        timeout: TIMEOUT_MS,
        exclude_credentials: descriptors(exclude),
        authenticator_selection: AuthenticatorSelection {
            resident_key: REQUIRED.into(),
            require_resident_key: true,
            user_verification: REQUIRED.into(),
        },
        attestation: "none".into(),
        extensions: extensions(),
    }
}

/// Finishes it: the passkey signs in from now on.
#[utoipa::path(post, path = "/api/v1/account/passkeys/finish", tag = "methods", operation_id = "add_passkey_finish", request_body = PasskeyAddFinish, security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn add_finish(
    State(app): State<App>,
    signed: Signed,
    Json(body): Json<PasskeyAddFinish>,
) -> Result<StatusCode, ApiError> {
    let label = label(&body.label)?;
    let unlocking = body.unlocking.map(unlocking).transpose()?;
    if unlocking.as_ref().is_some_and(|unlocking| unlocking.slow_hash.is_some()) {
        return Err(ApiError::field("unlocking.slow_hash", "a passkey's secret is not hashed"));
    }
    let registration = Registration {
        client_data_json: body.credential.client_data_json.into_vec(),
        attestation_object: body.credential.attestation_object.into_vec(),
    };
    let passkey = app.identity.passkey_add_verify(app.now(), &signed.session, &body.state, &registration)?;
    let new = NewMethod { id: passkey.method(), label, unlocking };
    let reserved = reserve(&app, &signed, new.id, passkey.lookup()).await?;
    let mut tx = app.access.enter(&signed.caller, signed.home(), Action::MethodAdd, Resource::Home).await?;
    let letter = app.identity.add_passkey(&mut tx, &signed.session, &passkey, &new, &reserved).await?;
    tx.commit(Record::about(new.id)).await?;
    app.post.send(Some(letter));
    Ok(StatusCode::NO_CONTENT)
}

/// Begins a sign-in with a passkey; nobody says whose.
#[utoipa::path(post, path = "/api/v1/signin/passkey/start", tag = "sign-in", operation_id = "sign_in_passkey_start",
    responses((status = 200, body = PasskeyStarted), (status = 409, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn sign_in_start(State(app): State<App>) -> Result<Json<PasskeyStarted>, ApiError> {
    Ok(Json(to_started(app.identity.passkey_signin_start(app.now())?)))
}

/// Finishes it: gives out the session, and the sealed master key when the passkey unlocks. Whatever is wrong, the answer is
/// one.
#[utoipa::path(post, path = "/api/v1/signin/passkey/finish", tag = "sign-in", operation_id = "sign_in_passkey_finish", request_body = PasskeySignIn,
    responses((status = 200, body = SignedIn), (status = 401, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn sign_in_finish(
    State(app): State<App>,
    visitor: Visitor,
    Json(body): Json<PasskeySignIn>,
) -> Result<Json<SignedIn>, ApiError> {
    let signed_in = sign_in(&app, &visitor, body).await;
    arrival::counted(&app, signed_in)
}

async fn sign_in(app: &App, visitor: &Visitor, body: PasskeySignIn) -> Result<SignedIn, ApiError> {
    let (device, device_token) = device(&body.device)?;
    let by = Arrival { device, device_token, place: Place::of(visitor.address.ip()) };
    let now = app.now();
    // A passkey of somebody else's making may show a handle of any length; it is nobody's here.
    let handle = body.user_handle.to_array().ok_or_else(|| ApiError::new(Code::InvalidCredentials))?;
    let handle = keyring::UserHandle::from_bytes(handle);
    let lookup = MethodLookup::new(MethodKind::Passkey, handle.lookup());
    let charged_to = app.identity.method_index(&lookup);
    let charge = app.attempts.start(now, Try::Passkey, &charged_to, visitor.address.ip())?;
    let state = app.identity.passkey_signin_state(now, &body.state)?;
    let mut tx =
        app.access.view(&visitor.caller, Tenant::PLATFORM, Action::SessionCreate, Resource::Platform).await?;
    let proof = app.identity.passkey_proof(&mut tx, state, &lookup).await?;
    drop(tx);
    let mut tx = arrival::enter(app, visitor, proof.home()).await?;
    let assertion = assertion(body.credential);
    let signed_in = app.identity.passkey_signin(&mut tx, &proof, &lookup, &assertion, &by).await;
    let signed_in = match signed_in {
        Err(SigninError::Copied(copied)) => {
            drop(tx);
            return Err(refuse_copy(app, visitor.caller.request(), visitor.address, &copied).await);
        }
        other => other?,
    };
    arrival::signed_in(app, tx, charge, signed_in).await
}

/// Begins a step-up with one of the account's passkeys.
#[utoipa::path(post, path = "/api/v1/step-up/passkey/start", tag = "sign-in", operation_id = "step_up_passkey_start", security(("session" = [])),
    responses((status = 200, body = PasskeyStarted), (status = 401, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn step_up_start(
    State(app): State<App>,
    signed: Signed,
) -> Result<Json<PasskeyStarted>, ApiError> {
    let resource = Resource::Session(*signed.session.id().uuid());
    let mut tx = app.access.view(&signed.caller, signed.home(), Action::SessionStepUp, resource).await?;
    Ok(Json(to_started(app.identity.passkey_stepup_start(&mut tx, &signed.session).await?)))
}

/// Finishes it: the session's token changes, and for some minutes it may change methods and keys.
#[utoipa::path(post, path = "/api/v1/step-up/passkey/finish", tag = "sign-in", operation_id = "step_up_passkey_finish", request_body = PasskeyStepUp, security(("session" = [])),
    responses((status = 200, body = SteppedUp), (status = 401, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn step_up_finish(
    State(app): State<App>,
    signed: Signed,
    Json(body): Json<PasskeyStepUp>,
) -> Result<Json<SteppedUp>, ApiError> {
    let now = app.now();
    let charged_to = app.identity.passkey_stepup_index(&signed.session);
    let charge = app.attempts.start(now, Try::Passkey, &charged_to, signed.address.ip())?;
    let state = app.identity.passkey_stepup_state(now, &signed.session, &body.state)?;
    let mut tx = arrival::enter_again(&app, &signed).await?;
    let assertion = assertion(body.credential);
    let stepped_up = app.identity.passkey_stepup(&mut tx, &signed.session, &state, &assertion).await;
    let stepped_up = match stepped_up {
        Err(SigninError::Copied(copied)) => {
            drop(tx);
            return Err(refuse_copy(&app, signed.caller.request(), signed.address, &copied).await);
        }
        other => other?,
    };
    arrival::stepped_up(&app, &signed, tx, charge, stepped_up).await
}

/// Notes that there may be a copy of a passkey and tells its owner. Whoever shows it hears what all hear who are refused.
async fn refuse_copy(app: &App, request: &str, from: Address, copied: &CopiedPasskey) -> ApiError {
    match note(app, request, from, copied).await {
        Ok(()) => ApiError::new(Code::InvalidCredentials),
        Err(error) => error,
    }
}

async fn note(app: &App, request: &str, from: Address, copied: &CopiedPasskey) -> Result<(), ApiError> {
    let worker = Caller::system("passkeys", request);
    let mut tx = app.access.enter(&worker, copied.home(), Action::PasskeyRefuse, Resource::Home).await?;
    let letter = app.identity.note_copied_passkey(&mut tx, copied, &Place::of(from.ip())).await?;
    if letter.is_some() {
        tx.commit(Record::about(copied.method())).await?;
        app.post.send(letter);
    }
    Ok(())
}

fn to_started(challenge: PasskeyChallenge<'_>) -> PasskeyStarted {
    PasskeyStarted {
        state: challenge.state,
        options: RequestOptions {
            challenge: challenge.challenge.into(),
            timeout: TIMEOUT_MS,
            rp_id: challenge.relying_party.id().to_owned(),
            allow_credentials: descriptors(challenge.credentials),
            user_verification: REQUIRED.into(),
            extensions: extensions(),
        },
    }
}

fn descriptors(ids: Vec<Vec<u8>>) -> Vec<CredentialDescriptor> {
    ids.into_iter().map(|id| CredentialDescriptor { r#type: PUBLIC_KEY.into(), id: id.into() }).collect()
}

fn extensions() -> Extensions {
    Extensions { prf: Prf { eval: PrfValues { first: keyring::passkey::PRF_INPUT.into() } } }
}

fn assertion(shown: ShownCredential) -> Assertion {
    Assertion {
        credential_id: shown.id.into_vec(),
        client_data_json: shown.client_data_json.into_vec(),
        authenticator_data: shown.authenticator_data.into_vec(),
        signature: shown.signature.into_vec(),
    }
}

impl From<PasskeyError> for ApiError {
    fn from(error: PasskeyError) -> Self {
        match error {
            PasskeyError::Off => ApiError::new(Code::PasskeysOff),
            PasskeyError::Ceremony(error) => ApiError::field("credential", error),
            PasskeyError::Change(error) => error.into(),
            other => ApiError::internal(other),
        }
    }
}

const PUBLIC_KEY: &str = "public-key";
const REQUIRED: &str = "required";
/// As long as the state that is sent along.
const TIMEOUT_MS: u32 = 120_000;
