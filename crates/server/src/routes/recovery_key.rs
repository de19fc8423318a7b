// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing in with a recovery key, and proving oneself again with one.

use access::{Action, Resource};
use axum::extract::State;
use identity::{Arrival, MethodLookup, Place, Try};
use keyring::MethodKind;
use protocol::Problem;
use protocol::signin::{RecoverySignIn, RecoveryStepUp, SignedIn, SteppedUp};
use store::TenantId as Tenant;

use crate::caller::{Signed, Visitor};
use crate::error::ApiError;
use crate::gateway::Json;
use crate::routes::arrival;
use crate::routes::signin::{device, key};
use crate::state::App;

/// Signs in with a recovery key, alone. Its owner is told.
#[utoipa::path(post, path = "/api/v1/signin/recovery-key", tag = "sign-in", operation_id = "sign_in_recovery_key", request_body = RecoverySignIn,
    responses((status = 200, body = SignedIn), (status = 401, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn sign_in(
    State(app): State<App>,
    visitor: Visitor,
    Json(body): Json<RecoverySignIn>,
) -> Result<Json<SignedIn>, ApiError> {
    let signed_in = enter(&app, &visitor, &body).await;
    arrival::counted(&app, signed_in)
}

async fn enter(app: &App, visitor: &Visitor, body: &RecoverySignIn) -> Result<SignedIn, ApiError> {
    let lookup = key("lookup", &body.lookup, keyring::Lookup::from_bytes)?;
    let (device, device_token) = device(&body.device)?;
    let by = Arrival { device, device_token, place: Place::of(visitor.address.ip()) };
    let charged_to = app.identity.method_index(&MethodLookup::new(MethodKind::RecoveryKey, lookup.clone()));
    let charge = app.attempts.start(app.now(), Try::RecoveryKey, &charged_to, visitor.address.ip())?;
    let mut tx =
        app.access.view(&visitor.caller, Tenant::PLATFORM, Action::SessionCreate, Resource::Platform).await?;
    let proof = app.identity.recovery_proof(&mut tx, &lookup).await?;
    drop(tx);
    let mut tx = arrival::enter(app, visitor, proof.home()).await?;
    let signed_in = app.identity.recovery_signin(&mut tx, &proof, &lookup, &by).await?;
    arrival::signed_in(app, tx, charge, signed_in).await
}

/// Proves again who is there, with a recovery key: the session's token changes, and for some minutes it may change methods
/// and keys.
#[utoipa::path(post, path = "/api/v1/step-up/recovery-key", tag = "sign-in", operation_id = "step_up_recovery_key", request_body = RecoveryStepUp, security(("session" = [])),
    responses((status = 200, body = SteppedUp), (status = 401, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn step_up(
    State(app): State<App>,
    signed: Signed,
    Json(body): Json<RecoveryStepUp>,
) -> Result<Json<SteppedUp>, ApiError> {
    let lookup = key("lookup", &body.lookup, keyring::Lookup::from_bytes)?;
    // A live session waits for its own tries alone.
    let charge = app.attempts.start_known(app.now(), Try::RecoveryKey, signed.session.id().as_bytes())?;
    let entry = Resource::DirectoryEntry { account: *signed.session.account().uuid() };
    let mut tx = app.access.view(&signed.caller, Tenant::PLATFORM, Action::SessionStepUp, entry).await?;
    let proof = app.identity.recovery_proof(&mut tx, &lookup).await?;
    drop(tx);
    let mut tx = arrival::enter_again(&app, &signed).await?;
    let stepped_up = app.identity.recovery_stepup(&mut tx, &signed.session, &proof, &lookup).await?;
    arrival::stepped_up(&app, &signed, tx, charge, stepped_up).await
}
