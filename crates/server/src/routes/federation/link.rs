// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Adding another provider to an account, after both sides were proved: the account by a fresh session, the other by signing in there.

use access::{Action, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use federation::Purpose;
use identity::{MethodId as StoredMethod, NewMethod};
use protocol::federation::{ProviderAnswer, ProviderLinked, ProviderStart, ProviderStarted};
use protocol::{MethodId, Problem};
use store::Record;

use super::{begin, identity, provide, redeem};
use crate::caller::Signed;
use crate::error::ApiError;
use crate::gateway::Json;
use crate::routes::methods::reserve;
use crate::state::App;

/// Begins to add a provider to the account: says where the browser goes.
#[utoipa::path(post, path = "/api/v1/account/providers/start", tag = "methods", operation_id = "add_provider_start", request_body = ProviderStart, security(("session" = [])),
    responses((status = 200, body = ProviderStarted), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn start(
    State(app): State<App>,
    signed: Signed,
    Json(body): Json<ProviderStart>,
) -> Result<Json<ProviderStarted>, ApiError> {
    // Whoever may not finish is told before they go there.
    let tx = app.access.enter(&signed.caller, signed.home(), Action::MethodAdd, Resource::Home).await?;
    drop(tx);
    let purpose = Purpose::Link(*signed.session.id().uuid());
    Ok(Json(begin(&app, signed.caller.request(), &body, purpose).await?))
}

/// Adds the provider, with what the browser brought back.
#[utoipa::path(post, path = "/api/v1/account/providers/finish", tag = "methods", operation_id = "add_provider_finish", request_body = ProviderAnswer, security(("session" = [])),
    responses((status = 201, body = ProviderLinked), (status = 401, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem), (status = 410, body = Problem), (status = 422, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn finish(
    State(app): State<App>,
    signed: Signed,
    Json(body): Json<ProviderAnswer>,
) -> Result<(StatusCode, Json<ProviderLinked>), ApiError> {
    let request = signed.caller.request();
    let session = *signed.session.id().uuid();
    let (_, provider, assertion) =
        redeem(&app, request, &body, |purpose| purpose == Purpose::Link(session)).await?;
    let identity = identity(&provider, &assertion);
    let id = StoredMethod::random();
    let new = NewMethod { id, label: super::sign_in::label(&provider), unlocking: None };
    let reserved = reserve(&app, &signed, id, identity.lookup()).await?;
    let mut tx = app.access.enter(&signed.caller, signed.home(), Action::MethodAdd, Resource::Home).await?;
    let letter = app.identity.link_provided(&mut tx, &signed.session, &new, &reserved, &identity).await?;
    tx.commit(Record::about(id)).await?;
    app.post.send(Some(letter));
    let account = *signed.session.account().uuid();
    provide(&app, request, &provider, &assertion, account, signed.home()).await?;
    Ok((StatusCode::CREATED, Json(ProviderLinked { method: MethodId::from_uuid(*id.uuid()) })))
}
