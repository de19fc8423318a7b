// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a token is worth (introspection, RFC 7662), and ending it (revocation, RFC 7009).

use access::tenancy::Change;
use access::{Action, Caller, Resource};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use protocol::Code;
use serde_json::{Value, json};
use tokens::oauth::{ProviderError, Taken};

use super::token::end_grant;
use super::{Asking, Form, OAuthError};
use crate::caller::client::{by_token, is_clients};
use crate::caller::{Visitor, look};
use crate::gateway::Json;
use crate::state::App;

/// Says whether a token is good now, and what it says. To the client that it was issued to, and to the one whose resource it is
/// for; to every other client no token is good.
#[utoipa::path(post, path = "/oauth/introspect", tag = "oauth", operation_id = "introspect",
    request_body(content = Object, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, content_type = "application/json", body = Object), (status = 400, content_type = "application/json", body = Object), (status = 401, content_type = "application/json", body = Object)))]
pub(crate) async fn introspect(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    form: Form,
) -> Result<Json<Value>, OAuthError> {
    let asking = Asking::of(&app, &visitor, &headers, &form).await?.confidential()?;
    let token = form.required("token")?;
    let inactive = Ok(Json(json!({ "active": false })));
    if !is_clients(token) {
        return refresh_token(&app, &visitor, &asking, token).await.map(Json);
    }
    let found = match by_token(&app, &visitor, token).await {
        Ok(found) => found,
        // What went wrong on our side is not an answer.
        Err(error) if [Code::Internal, Code::Unavailable].contains(&error.code()) => return Err(error.into()),
        Err(_) => return inactive,
    };
    let claims = &found.token.claims;
    let is_own = found.token.client == asking.address;
    let is_for_it = found.token.client.tenant == asking.address.tenant
        && asking.client.terms.serves.contains(&claims.aud);
    if !is_own && !is_for_it {
        return inactive;
    }
    let mut said = serde_json::to_value(claims).unwrap_or_else(|_| json!({}));
    if let Value::Object(fields) = &mut said {
        fields.insert("active".to_owned(), json!(true));
        let kind = if claims.cnf.is_some() { "DPoP" } else { "Bearer" };
        fields.insert("token_type".to_owned(), json!(kind));
        if let Some(terms) = &found.terms {
            fields.insert("auth_time".to_owned(), json!(terms.auth_time));
        }
    }
    Ok(Json(said))
}

/// A refresh token says something to its own client alone; looking at it does not use it up.
async fn refresh_token(
    app: &App,
    visitor: &Visitor,
    asking: &Asking,
    token: &str,
) -> Result<Value, OAuthError> {
    let mut tx = look(&app.access, visitor, asking.address.tenant).await?;
    match app.provider.refresh_grant(&mut tx, asking.client.id, token).await {
        Ok(Taken::Good(grant)) => Ok(json!({
            "active": true,
            "client_id": asking.address.to_string(),
            "sub": format!("acc_{}", grant.terms.account.simple()),
            "tenant_id": asking.address.tenant.to_string(),
            "scope": grant.terms.scope.to_string(),
            "token_type": "refresh_token",
        })),
        Ok(Taken::Again(_)) | Err(ProviderError::Grant(_)) => Ok(json!({ "active": false })),
        Err(error) => Err(error.into()),
    }
}

/// Ends a token of the client's own. A refresh token ends with all access tokens of its grant; an access token by itself. What
/// is no token of the client's is answered alike.
#[utoipa::path(post, path = "/oauth/revoke", tag = "oauth", operation_id = "revoke_token",
    request_body(content = Object, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200), (status = 400, content_type = "application/json", body = Object), (status = 401, content_type = "application/json", body = Object)))]
pub(crate) async fn revoke(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, OAuthError> {
    let asking = Asking::of(&app, &visitor, &headers, &form).await?;
    let (token, tenant) = (form.required("token")?, asking.address.tenant);
    let done = StatusCode::OK.into_response();
    if is_clients(token) {
        // One that has expired, or was never ours, has nothing to be revoked.
        if let Ok(found) = app.provider.verify(app.now(), token)
            && found.client == asking.address
        {
            revoke_one(&app, &visitor, &found).await?;
        }
        return Ok(done);
    }
    let mut tx = look(&app.access, &visitor, tenant).await?;
    let found = app.provider.refresh_grant(&mut tx, asking.client.id, token).await;
    drop(tx);
    match found {
        Ok(Taken::Good(grant)) => {
            end_grant(&app, &visitor, tenant, grant.id, "its client revoked it").await?;
        }
        Ok(Taken::Again(grant)) => {
            end_grant(&app, &visitor, tenant, grant, "its client revoked it").await?;
        }
        Err(ProviderError::Grant(_)) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(done)
}

async fn revoke_one(app: &App, visitor: &Visitor, token: &tokens::oauth::Verified) -> Result<(), OAuthError> {
    let worker = Caller::system("oauth", visitor.caller.request());
    let tenant = token.client.tenant;
    let mut tx = app.access.enter(&worker, tenant, Action::ClientRefuse, Resource::Customer).await?;
    app.provider.revoke(&mut tx, token).await?;
    let change = Change {
        after: Some(json!({ "token": token.claims.jti, "ended": true })),
        reason: Some("its client revoked it"),
        ..Change::default()
    };
    let record = app.tenancy.record(&mut tx, token.client.client, &change).await?;
    tx.commit(record).await?;
    Ok(())
}
