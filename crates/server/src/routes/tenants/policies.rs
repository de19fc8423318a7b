// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A tenant's own policies: read, checked, tried before they take effect, put, and brought back.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use access::tenancy::{self, Change, NewPolicies as Stored};
use access::{Action, Effect, PolicyProblem as Wrong, Resource, Tried};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use protocol::tenants::policies::{
    NewPolicies, PolicyCheck, PolicyEffect, PolicyPlace, PolicyProblem, PolicyText, PolicyTrial,
    PolicyVersion, PolicyVersions, RestorePolicies,
};
use protocol::{Code, Problem, TenantId};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use store::WriteTx;
use utoipa::IntoParams;

use super::grants::{holder_id, place_id};
use super::{LongWork, Turn, commit, customer, name};
use crate::caller::Acting;
use crate::error::ApiError;
use crate::gateway::{Json, Path, Query};
use crate::state::App;

/// The policies that decide now; version 0 while the tenant has none of its own.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/policies", tag = "tenants", operation_id = "read_policies", params(("tenant" = TenantId, Path)), security(("session" = [])),
    responses((status = 200, body = PolicyVersion), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
) -> Result<Response, ApiError> {
    let mut tx = acting.view(&app, customer(tenant)?, Action::PolicyRead, Resource::Customer).await?;
    Ok(tagged(app.tenancy.policies(&mut tx).await?))
}

/// Says everything that is wrong with policies, with line and column. Nothing is kept.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/policies/check", tag = "tenants", operation_id = "check_policies", params(("tenant" = TenantId, Path)), request_body = PolicyText, security(("session" = [])),
    responses((status = 200, body = PolicyCheck), (status = 404, body = Problem)))]
pub(crate) async fn check(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
    Json(body): Json<PolicyText>,
) -> Result<Json<PolicyCheck>, ApiError> {
    let tenant = customer(tenant)?;
    let _turn = turn_to_read(&app, &acting, tenant).await?;
    let mut tx = acting.view(&app, tenant, Action::PolicyRead, Resource::Customer).await?;
    let problems = match app.access.policies_with(&mut tx, &body.text).await? {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(shown_problem).collect(),
    };
    Ok(Json(PolicyCheck { problems }))
}

/// Tells what would change for whom if these policies were put. Nothing is kept. Needs `decision.explain` too, since it tells what
/// others may.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/policies/try", tag = "tenants", operation_id = "try_policies", params(("tenant" = TenantId, Path)), request_body = PolicyText, security(("session" = [])),
    responses((status = 200, body = PolicyTrial), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn try_out(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
    Json(body): Json<PolicyText>,
) -> Result<Json<PolicyTrial>, ApiError> {
    let tenant = customer(tenant)?;
    let reading = turn_to_read(&app, &acting, tenant).await?;
    let mut tx = acting.view(&app, tenant, Action::PolicyRead, Resource::Customer).await?;
    app.access.also(&mut tx, &acting.caller, Action::DecisionExplain, Resource::Customer).await?;
    let policies = app.access.policies_with(&mut tx, &body.text).await?.map_err(|wrong| refused(&wrong))?;
    drop(reading);
    let trial = app.access.trial(&mut tx, policies).await?;
    // It asks for seconds where a tenant is large: not while it holds a view, and not where requests are answered.
    drop(tx);
    let turn = DRY_RUNS.turn(tenant).await?;
    // Gone with this request, answered or not: nobody asks on for who has hung up.
    let waiting = Arc::new(());
    let is_waited_for = Arc::downgrade(&waiting);
    let tried = tokio::task::spawn_blocking(move || {
        // Until the work is done.
        let _turn = turn;
        let until = Instant::now() + DONE_WITHIN;
        trial.run(|| is_waited_for.strong_count() > 0 && Instant::now() < until)
    });
    let tried = tried.await.map_err(ApiError::internal)?;
    drop(waiting);
    Ok(Json(shown_trial(tried)))
}

/// Puts the next version of the policies, which decides from now on. Needs, in the whole tenant, every action that a policy is
/// about that is added, altered or taken away; an owner has them all.
#[utoipa::path(put, path = "/api/v1/tenants/{tenant}/policies", tag = "tenants", operation_id = "put_policies",
    params(("tenant" = TenantId, Path), ("If-Match" = Option<String>, Header)), request_body = NewPolicies, security(("session" = [])),
    responses((status = 200, body = PolicyVersion), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn put(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
    headers: HeaderMap,
    Json(body): Json<NewPolicies>,
) -> Result<Response, ApiError> {
    let tenant = customer(tenant)?;
    let note = note(body.note.as_deref())?;
    let after = version_in(&headers)?;
    let _turn = turn_to_read(&app, &acting, tenant).await?;
    let mut tx = acting.enter(&app, tenant, Action::PolicyWrite, Resource::Customer).await?;
    let author = acting.caller.actor();
    let new = Stored { text: &body.text, author: &author, note: note.as_ref(), restores: None, after };
    let put = put_version(&app, &acting, &mut tx, new).await?;
    finish(&app, tx, put, after).await
}

/// Lists the versions of the policies, the newest first.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/policies/versions", tag = "tenants", operation_id = "list_policy_versions", params(("tenant" = TenantId, Path), VersionsQuery), security(("session" = [])),
    responses((status = 200, body = PolicyVersions), (status = 404, body = Problem)))]
pub(crate) async fn versions(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
    Query(query): Query<VersionsQuery>,
) -> Result<Json<PolicyVersions>, ApiError> {
    let mut tx = acting.view(&app, customer(tenant)?, Action::PolicyRead, Resource::Customer).await?;
    let limit = query.limit.unwrap_or(super::PAGE);
    let (versions, more) = app.tenancy.policy_versions(&mut tx, query.before, limit).await?;
    let next = versions.last().filter(|_| more).map(|last| last.number);
    let versions = versions.into_iter().map(|version| PolicyVersion { text: None, ..shown(version) });
    Ok(Json(PolicyVersions { versions: versions.collect(), next }))
}

/// One version of the policies.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/policies/versions/{version}", tag = "tenants", operation_id = "read_policy_version",
    params(("tenant" = TenantId, Path), ("version" = u64, Path)), security(("session" = [])),
    responses((status = 200, body = PolicyVersion), (status = 404, body = Problem)))]
pub(crate) async fn version(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, version)): Path<(TenantId, u64)>,
) -> Result<Json<PolicyVersion>, ApiError> {
    let mut tx = acting.view(&app, customer(tenant)?, Action::PolicyRead, Resource::Customer).await?;
    Ok(Json(shown(app.tenancy.policy_version(&mut tx, version).await?)))
}

/// Brings a version back: as the next one, which says so. Needs what putting its text would.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/policies/versions/{version}/restore", tag = "tenants", operation_id = "restore_policies",
    params(("tenant" = TenantId, Path), ("version" = u64, Path), ("If-Match" = Option<String>, Header)), request_body = RestorePolicies, security(("session" = [])),
    responses((status = 200, body = PolicyVersion), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn restore(
    State(app): State<App>,
    acting: Acting,
    Path((tenant, version)): Path<(TenantId, u64)>,
    headers: HeaderMap,
    Json(body): Json<RestorePolicies>,
) -> Result<Response, ApiError> {
    let tenant = customer(tenant)?;
    let note = note(body.note.as_deref())?;
    let after = version_in(&headers)?;
    let _turn = turn_to_read(&app, &acting, tenant).await?;
    let mut tx = acting.enter(&app, tenant, Action::PolicyWrite, Resource::Customer).await?;
    let former = app.tenancy.policy_version(&mut tx, version).await?;
    let author = acting.caller.actor();
    let new =
        Stored { text: &former.text, author: &author, note: note.as_ref(), restores: Some(version), after };
    let put = put_version(&app, &acting, &mut tx, new).await?;
    finish(&app, tx, put, after).await
}

/// Which versions.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionsQuery {
    /// Those before this one: what the page before gave as `next`.
    before: Option<u64>,
    /// At most so many: 100 by default, at most 200.
    limit: Option<u32>,
}

async fn put_version(
    app: &App,
    acting: &Acting,
    tx: &mut WriteTx,
    new: Stored<'_>,
) -> Result<tenancy::PolicyVersion, ApiError> {
    let policies = app.access.policies_with(tx, new.text).await?.map_err(|wrong| refused(&wrong))?;
    app.access.may_put_policies(tx, &acting.caller, &policies).await?;
    Ok(app.tenancy.put_policies(tx, new).await?)
}

/// Makes a version durable, with its record: which followed which, what its text hashes to, and the note. The texts themselves
/// stand in the versions, which nobody changes.
async fn finish(
    app: &App,
    mut tx: WriteTx,
    put: tenancy::PolicyVersion,
    after: u64,
) -> Result<Response, ApiError> {
    let before = app.tenancy.policy_version(&mut tx, after).await?;
    let said = |version: &tenancy::PolicyVersion| {
        json!({
            "version": version.number,
            "sha256": sha256(&version.text),
            "restores": version.restores,
        })
    };
    let reason = put.note.as_ref().map(|note| note.as_str().to_owned());
    let change = Change { before: Some(said(&before)), after: Some(said(&put)), reason: reason.as_deref() };
    commit(app, tx, format!("policies/{}", put.number), change).await?;
    Ok(tagged(put))
}

fn sha256(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// The version that the caller knows (RFC 9110, section 13.1.1): `If-Match: "version"`.
fn version_in(headers: &HeaderMap) -> Result<u64, ApiError> {
    let tag = headers.get(header::IF_MATCH).ok_or_else(|| ApiError::new(Code::PreconditionRequired))?;
    let tag = tag.to_str().ok().map(str::trim);
    tag.and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok())
        .ok_or_else(|| ApiError::field("If-Match", "expected a version in quotation marks"))
}

fn tagged(version: tenancy::PolicyVersion) -> Response {
    let tag = HeaderValue::from_str(&format!("\"{}\"", version.number));
    let mut response = Json(shown(version)).into_response();
    if let Ok(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn note(text: Option<&str>) -> Result<Option<tenancy::Name>, ApiError> {
    text.map(|text| name("note", text)).transpose()
}

/// Policies that are not taken, with where they are wrong.
fn refused(wrong: &[Wrong]) -> ApiError {
    let one = |wrong: &Wrong| {
        let place = match (wrong.line, wrong.column) {
            (Some(line), Some(column)) => format!("line {line}, column {column}: "),
            _ => String::new(),
        };
        let policy = wrong.policy.as_ref().map_or_else(String::new, |policy| format!("policy {policy}: "));
        format!("{place}{policy}{}", wrong.message)
    };
    let mut said: Vec<String> = wrong.iter().take(MAX_SAID).map(one).collect();
    if wrong.len() > MAX_SAID {
        said.push(format!("and {} more", wrong.len() - MAX_SAID));
    }
    ApiError::field("text", said.join("; "))
}

fn shown_problem(wrong: Wrong) -> PolicyProblem {
    let Wrong { line, column, policy, message } = wrong;
    PolicyProblem { line, column, policy, message }
}

fn shown(version: tenancy::PolicyVersion) -> PolicyVersion {
    PolicyVersion {
        version: version.number,
        text: Some(version.text),
        author: version.author,
        note: version.note.map(|note| note.as_str().to_owned()),
        restores: version.restores,
        created_at: version.created_at,
    }
}

fn shown_trial(tried: Tried) -> PolicyTrial {
    PolicyTrial {
        effects: tried.effects.into_iter().map(shown_effect).collect(),
        total: tried.total as u64,
        people: tried.people as u64,
        organisations: tried.organisations as u64,
        is_complete: tried.is_complete,
    }
}

fn shown_effect(effect: Effect) -> PolicyEffect {
    let place = |(place, of_devices)| PolicyPlace { place: place_id(place), of_devices };
    let actions = Action::ALL.iter().filter(|action| effect.actions.contains(**action));
    PolicyEffect {
        would_be: if effect.would_be_allowed { "allowed" } else { "refused" }.to_owned(),
        who_count: effect.who.len() as u64,
        who: effect.who.into_iter().take(MAX_LISTED).map(|who| holder_id(who.kind, who.id)).collect(),
        actions: actions.map(ToString::to_string).collect(),
        place_count: effect.places.len() as u64,
        places: effect.places.into_iter().take(MAX_LISTED).map(place).collect(),
        hours: effect.hours.filter(|hours| hours.len() < HOURS_OF_A_DAY),
        only_unproved: effect.only_unproved,
    }
}

/// A turn at reading a text, for who may see policies there. Nothing of the database is held while it is waited for.
async fn turn_to_read(app: &App, acting: &Acting, tenant: store::TenantId) -> Result<Turn, ApiError> {
    drop(acting.view(app, tenant, Action::PolicyRead, Resource::Customer).await?);
    READINGS.turn(tenant).await
}

/// A text that is read may take a second: one of a tenant at a time, and two of all.
static READINGS: LazyLock<LongWork> = LazyLock::new(|| LongWork::new(1, 2, Duration::from_secs(10)));

/// Each takes a processor: two at a time do, and one of a tenant.
static DRY_RUNS: LazyLock<LongWork> = LazyLock::new(|| LongWork::new(1, 2, Duration::from_secs(10)));
/// How long one asks; what is left then is not told.
const DONE_WITHIN: Duration = Duration::from_secs(5);
/// How many people and how many places are listed of one effect.
const MAX_LISTED: usize = 100;
/// How many problems are said when policies are refused; `check` tells all.
const MAX_SAID: usize = 20;
const HOURS_OF_A_DAY: usize = 24;
