// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a client may know of the person (OpenID Connect Core, section 5.3). That is little: addresses and what people keep are
//! sealed so that the server cannot read them. The name is the one that the tenant has for its member.

use access::{Action, Resource};
use axum::extract::State;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use protocol::{Code, Problem};
use serde_json::{Value, json};
use tokens::oauth::{ScopeSet, Subject};

use crate::caller::client::{ShownToken, by_token};
use crate::caller::{Visitor, bearer_of};
use crate::error::ApiError;
use crate::gateway::Json;
use crate::state::App;

/// Says who the person is, to a client with a token for `openid`.
#[utoipa::path(get, path = "/oauth/userinfo", tag = "oauth", operation_id = "userinfo", responses((status = 200, content_type = "application/json", body = Object), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn read(
    State(app): State<App>,
    visitor: Visitor,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    told(&app, &visitor, &method, &headers).await
}

/// The same by POST (section 5.3.1).
#[utoipa::path(post, path = "/oauth/userinfo", tag = "oauth", operation_id = "userinfo_by_post", responses((status = 200, content_type = "application/json", body = Object), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn read_by_post(
    State(app): State<App>,
    visitor: Visitor,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    told(&app, &visitor, &method, &headers).await
}

async fn told(
    app: &App,
    visitor: &Visitor,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let uri = format!("{}/oauth/userinfo", app.provider.issuer().trim_end_matches('/'));
    let found = match ShownToken::of(headers) {
        Some(token) => token.open(app, visitor, headers, method.as_str(), &uri).await?,
        // Says what it is that was shown, or that there is nothing.
        None => by_token(app, visitor, bearer_of(headers)?).await?,
    };
    let Subject::Account(account) = found.token.subject else { return Err(too_little()) };
    if !found.token.scope.contains(ScopeSet::OPENID) {
        return Err(too_little());
    }
    let tenant = found.token.client.tenant;
    let mut body = json!({ "sub": found.token.claims.sub, "tenant_id": tenant.to_string() });
    if found.token.scope.contains(ScopeSet::PROFILE) {
        let mut tx = app.access.view(&found.caller, tenant, Action::TenantRead, Resource::Customer).await?;
        let label = app.tenancy.member(&mut tx, account).await?.label;
        if let Value::Object(fields) = &mut body {
            fields.insert("name".to_owned(), json!(label.as_str()));
        }
    }
    Ok(Json(body).into_response())
}

fn too_little() -> ApiError {
    Problem::new(Code::InsufficientScope)
        .detail("this needs a token of a person's with the scope `openid`")
        .into()
}
