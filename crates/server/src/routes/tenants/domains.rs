// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Domains of a tenant, whose addresses its providers speak for.

use access::tenancy::Change;
use access::{Action, Caller, Refused, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use custody::KeyError;
use federation::{Domain as Stored, DomainClaim, DomainName, FederationError, ProvedBy};
use protocol::federation::{Domain, Domains, NewDomain};
use protocol::{Problem, TenantId};
use serde_json::json;
use store::{Record, TenantId as StoredTenant};

use super::providers::enter;
use super::{commit, customer, in_directory};
use crate::caller::{Acting, Signed};
use crate::error::ApiError;
use crate::gateway::{Json, Path};
use crate::state::App;

/// Lists the domains of a tenant, with what proves each.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/domains", tag = "federation", operation_id = "list_domains", params(("tenant" = TenantId, Path)), security(("session" = [])),
    responses((status = 200, body = Domains), (status = 404, body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
) -> Result<Json<Domains>, ApiError> {
    let mut tx = acting.view(&app, customer(tenant)?, Action::ProviderRead, Resource::Customer).await?;
    let domains = app.federation.domains(&mut tx).await?;
    Ok(Json(Domains { domains: domains.into_iter().map(shown).collect() }))
}

/// Notes a domain, and says what proves that it is the tenant's.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/domains", tag = "federation", operation_id = "add_domain", params(("tenant" = TenantId, Path)), request_body = NewDomain, security(("session" = [])),
    responses((status = 201, body = Domain), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn add(
    State(app): State<App>,
    signed: Signed,
    Path(tenant): Path<TenantId>,
    Json(body): Json<NewDomain>,
) -> Result<(StatusCode, Json<Domain>), ApiError> {
    let name = named(&body.name)?;
    let mut tx = enter(&app, &signed, tenant).await?;
    let domain = app.federation.add_domain(&mut tx, &name).await?;
    let after = Some(json!({ "domain": name.as_str() }));
    commit(&app, tx, tenant, Change { after, ..Change::default() }).await?;
    Ok((StatusCode::CREATED, Json(shown(domain))))
}

/// Looks for the proof in the domain's zone; from then on the domain is the tenant's.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/domains/{domain}/verify", tag = "federation", operation_id = "verify_domain", params(("tenant" = TenantId, Path), ("domain" = String, Path)), security(("session" = [])),
    responses((status = 200, body = Domain), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn verify(
    State(app): State<App>,
    signed: Signed,
    Path((tenant, domain)): Path<(TenantId, String)>,
) -> Result<Json<Domain>, ApiError> {
    let name = named(&domain)?;
    let mut tx = enter(&app, &signed, tenant).await?;
    let domain = app.federation.domain(&mut tx, &name).await?;
    drop(tx);
    let shown_now = app.federation.look_for_proof(&domain).await?;
    let (owner, request) = (customer(tenant)?, signed.caller.request());
    let former = take_from_another(&app, request, owner, &name, ProvedBy::Dns, &shown_now).await?;
    let mut tx = in_directory(&app, request).await?;
    app.federation.claim_domain(&mut tx, owner, &name, ProvedBy::Dns, former.as_ref()).await?;
    tx.commit(Record::about(tenant)).await?;
    let mut tx = enter_again(&app, &signed, tenant).await?;
    let domain = app.federation.set_verified(&mut tx, &name).await?;
    let after = Some(json!({ "domain": name.as_str(), "proved": "by DNS" }));
    commit(&app, tx, tenant, Change { after, ..Change::default() }).await?;
    Ok(Json(shown(domain)))
}

/// Takes a domain away from the tenant: its providers speak for its addresses no more.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/domains/{domain}", tag = "federation", operation_id = "remove_domain", params(("tenant" = TenantId, Path), ("domain" = String, Path)), security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn remove(
    State(app): State<App>,
    signed: Signed,
    Path((tenant, domain)): Path<(TenantId, String)>,
) -> Result<StatusCode, ApiError> {
    let name = named(&domain)?;
    let mut tx = enter(&app, &signed, tenant).await?;
    app.federation.remove_domain(&mut tx, &name).await?;
    let before = Some(json!({ "domain": name.as_str() }));
    commit(&app, tx, tenant, Change { before, ..Change::default() }).await?;
    let mut tx = in_directory(&app, signed.caller.request()).await?;
    app.federation.release_domain(&mut tx, customer(tenant)?, &name).await?;
    tx.commit(Record::about(tenant)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a domain from another tenant that has it, for one that proves it now by the same kind of word: what the other one once
/// showed stands no more among what is shown now. In its own rows and its own history, before the directory hears of it: whatever
/// happens in between, nobody is believed of a domain that they cannot show. Says which claim of another's ends by this.
///
/// # Errors
/// [`FederationError::DomainTaken`] as long as the other one's word holds.
pub(crate) async fn take_from_another(
    app: &App,
    request: &str,
    tenant: StoredTenant,
    name: &DomainName,
    proved_by: ProvedBy,
    shown_now: &[String],
) -> Result<Option<DomainClaim>, ApiError> {
    let (worker, action) = (Caller::system("federation", request), Action::MaintenanceRun);
    let mut view = app.access.view(&worker, StoredTenant::PLATFORM, action, Resource::Platform).await?;
    let claim = app.federation.claim_of_domain(&mut view, name).await?;
    drop(view);
    let Some(claim) = claim.filter(|claim| claim.owner != tenant) else { return Ok(None) };
    if claim.proved_by != proved_by {
        return Err(FederationError::DomainTaken.into());
    }
    let mut tx = match app.access.enter(&worker, claim.owner, action, Resource::Customer).await {
        Err(Refused::NotFound) => return Ok(Some(claim)),
        entered => entered?,
    };
    match app.federation.domain(&mut tx, name).await {
        Ok(domain) if shown_now.contains(&domain.proof) => return Err(FederationError::DomainTaken.into()),
        Ok(_) => {}
        // A crash left the claim behind, or the tenant is gone with its keys: there is nobody to take it from.
        Err(FederationError::NotFound | FederationError::Key(KeyError::Destroyed)) => return Ok(Some(claim)),
        Err(error) => return Err(error.into()),
    }
    if app.federation.set_unverified(&mut tx, name).await? {
        let before = Some(json!({ "domain": name.as_str() }));
        let after = Some(json!({ "domain": name.as_str(), "proved": "by another tenant" }));
        commit(app, tx, claim.owner, Change { before, after, reason: None }).await?;
    }
    Ok(Some(claim))
}

/// The request's `Idempotency-Key` was taken with the first look.
async fn enter_again(app: &App, signed: &Signed, tenant: TenantId) -> Result<store::WriteTx, ApiError> {
    signed.look_again(app).await?;
    let tenant = customer(tenant)?;
    Ok(app.access.enter(&signed.caller, tenant, Action::ProviderWrite, Resource::Customer).await?)
}

fn named(text: &str) -> Result<DomainName, ApiError> {
    Ok(text.parse().map_err(FederationError::from)?)
}

fn shown(domain: Stored) -> Domain {
    Domain {
        name: domain.name.as_str().to_owned(),
        record: domain.record,
        proof: domain.proof,
        verified_at: domain.verified_at,
    }
}
