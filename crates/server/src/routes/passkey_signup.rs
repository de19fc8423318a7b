// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing up with a passkey, without a password.

use access::{Action, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use identity::{PasskeyChallenge, Registration, Try};
use protocol::passkeys::{PasskeySignUpFinish, PasskeySignUpStart, PasskeySignUpStarted, PasskeySignedUp};
use protocol::{AccountId, MethodId, Problem, TenantId};
use store::TenantId as Tenant;

use crate::caller::Visitor;
use crate::error::ApiError;
use crate::gateway::Json;
use crate::routes::methods::{label, unlocking};
use crate::routes::passkeys::creation;
use crate::routes::signin::{self, array, key, parsed};
use crate::routes::{arrival, signup};
use crate::state::App;

/// Begins a sign-up with a passkey.
#[utoipa::path(post, path = "/api/v1/signup/passkey/start", tag = "sign-in", operation_id = "sign_up_passkey_start", request_body = PasskeySignUpStart,
    responses((status = 200, body = PasskeySignUpStarted), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn start(
    State(app): State<App>,
    visitor: Visitor,
    Json(body): Json<PasskeySignUpStart>,
) -> Result<Json<PasskeySignUpStarted>, ApiError> {
    let start = identity::PasskeySignupStart {
        email_hash: keyring::EmailHash::from_bytes(array("email_hash", &body.email_hash)?),
        email_key: key("email_key", &body.email_key, keyring::EmailKey::from_bytes)?,
        sealed_email: parsed("sealed_email", keyring::Sealed::parse(body.sealed_email.into_vec()))?,
    };
    let index = app.identity.blind_index(&start.email_hash);
    // Never given back: each may send a mail, and each account takes room.
    let _counts = app.attempts.start(app.now(), Try::SignUp, index.as_bytes(), visitor.address.ip())?;
    let mut tx =
        app.access.view(&visitor.caller, Tenant::PLATFORM, Action::AccountCreate, Resource::Platform).await?;
    let started = app.identity.passkey_signup_start(&mut tx, &start).await?;
    drop(tx);
    app.post.send(started.letter);
    let PasskeyChallenge { state, challenge, relying_party, credentials } = started.challenge;
    // The number is drawn when the account is made; until then it has no name here.
    let name = app.config.service_name.clone();
    let options = creation(&app, relying_party, challenge, &started.user_handle, name, credentials);
    Ok(Json(PasskeySignUpStarted {
        state,
        account: AccountId::from_uuid(*started.account.uuid()),
        home: TenantId::from_uuid(*started.home.uuid()),
        method: MethodId::from_uuid(*started.method.uuid()),
        options,
        code_required: started.needs_code,
    }))
}

/// Finishes it: makes the account, its home and a first session.
#[utoipa::path(post, path = "/api/v1/signup/passkey/finish", tag = "sign-in", operation_id = "sign_up_passkey_finish", request_body = PasskeySignUpFinish,
    responses((status = 201, body = PasskeySignedUp), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn finish(
    State(app): State<App>,
    visitor: Visitor,
    Json(body): Json<PasskeySignUpFinish>,
) -> Result<(StatusCode, Json<PasskeySignedUp>), ApiError> {
    let (state, charge) = signup::opened(&app, &visitor, &body.state)?;
    let (device, _) = signin::device(&body.device)?;
    let finish = identity::PasskeySignupFinish {
        code: body.code.map(zeroize::Zeroizing::new),
        registration: Registration {
            client_data_json: body.credential.client_data_json.into_vec(),
            attestation_object: body.credential.attestation_object.into_vec(),
        },
        label: label(&body.label)?,
        unlocking: unlocking(body.unlocking)?,
        identity_public: parsed(
            "identity",
            keyring::IdentityPublicKeys::from_bytes(body.identity.as_slice()),
        )?,
        email_key: key("email_key", &body.email_key, keyring::EmailKey::from_bytes)?,
        device,
    };
    let proven = app.identity.passkey_signup_verify(state, finish)?;
    app.attempts.returned(app.now(), charge);
    let signed_up = signup::make(&app, &visitor, proven).await?;
    let session = arrival::session(signed_up.account, signed_up.home, signed_up.session);
    let account_number = signed_up.number.to_string();
    Ok((StatusCode::CREATED, Json(PasskeySignedUp { account_number, session })))
}
