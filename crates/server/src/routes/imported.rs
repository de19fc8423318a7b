// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The first sign-in of somebody who was imported.

use access::{Action, Resource};
use axum::extract::State;
use identity::Try;
use protocol::signin::{ImportedSignInStart, SignUpStarted};
use protocol::{Code, Problem};
use store::TenantId as Tenant;
use zeroize::Zeroizing;

use crate::caller::Visitor;
use crate::error::ApiError;
use crate::gateway::Json;
use crate::routes::signin::{array, key, parsed};
use crate::routes::signup;
use crate::state::App;

/// Begins the first sign-in with a password of another system, which the server sees this once. Answers alike whoever
/// was not imported, has come in already, or has another password. Goes on with `sign_up_finish`.
#[utoipa::path(post, path = "/api/v1/signin/imported/start", tag = "sign-in", operation_id = "imported_sign_in_start", request_body = ImportedSignInStart,
    responses((status = 200, body = SignUpStarted), (status = 401, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn start(
    State(app): State<App>,
    visitor: Visitor,
    Json(body): Json<ImportedSignInStart>,
) -> Result<Json<SignUpStarted>, ApiError> {
    if !app.identity.imports_are_open() {
        return Err(Problem::new(Code::NotFound)
            .detail("nobody is taken over from another system here")
            .into());
    }
    let password = Zeroizing::new(body.password.expose().as_bytes().to_vec());
    if password.is_empty() || password.len() > keyring::Password::MAX {
        return Err(ApiError::field("password", "expected 1 to 1024 bytes"));
    }
    let start = identity::SignupStart {
        email_hash: keyring::EmailHash::from_bytes(array("email_hash", &body.email_hash)?),
        email_key: key("email_key", &body.email_key, keyring::EmailKey::from_bytes)?,
        sealed_email: parsed("sealed_email", keyring::Sealed::parse(body.sealed_email.into_vec()))?,
        opaque_request: body.opaque_request.into_vec(),
    };
    let index = app.identity.blind_index(&start.email_hash);
    let (now, ip) = (app.now(), visitor.address.ip());
    // The same count as of the other guesses at this address.
    let charge = app.attempts.start(now, Try::SignIn, index.as_bytes(), ip)?;
    let mut tx =
        app.access.view(&visitor.caller, Tenant::PLATFORM, Action::SessionCreate, Resource::Platform).await?;
    let candidate = app.identity.imported_start(&mut tx, &start).await?;
    drop(tx);
    let proven = app
        .slowly(Tenant::PLATFORM, move || candidate.prove(&password))
        .await?
        .map_err(ApiError::internal)?;
    let Some(proven) = proven else {
        app.metrics.signin("refused");
        return Err(ApiError::new(Code::InvalidCredentials));
    };
    app.attempts.returned(now, charge);
    // Never given back: each may send a mail, and each account takes room.
    let _counts = app.attempts.start(now, Try::SignUp, index.as_bytes(), ip)?;
    let started = app.identity.imported_started(app.now(), proven);
    Ok(Json(signup::to_started(&app, started)))
}
