// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tokens by a plain password, for backends that cannot run the client: as OAuth 2.0's resource owner password credentials (RFC 6749,
//! section 4.3), which OAuth 2.1 has no more. Only for a client with a secret or keys, in a tenant that allows it, for that tenant alone.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use identity::{MAX_PLAIN_PASSWORD, PlainName, ProvenPlain, Try};
use tokens::oauth::{Grant, GrantId, GrantTerms, GrantType, ScopeSet};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::token::{Request, Tokens, answer};
use super::{Form, OAuthError};
use crate::caller::{Visitor, look};
use crate::error::ApiError;
use crate::routes::tenants::plain_passwords::is_good;
use crate::state::App;

/// Gives a client tokens for the member whose name and plain password it shows.
#[utoipa::path(post, path = "/api/v1/auth/token", tag = "oauth", operation_id = "token_by_plain_password",
    request_body(content = Object, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, content_type = "application/json", body = Object), (status = 400, content_type = "application/json", body = Object), (status = 401, content_type = "application/json", body = Object), (status = 429, content_type = "application/json", body = Object)))]
pub(crate) async fn token(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, OAuthError> {
    let password = GrantType::Password;
    if form.one("grant_type").is_some_and(|named| named != password.name()) {
        let why = "here, tokens are given for a name and a password alone: see /oauth/token";
        return Err(OAuthError::new("unsupported_grant_type", why));
    }
    let request = Request::of(&app, &visitor, &headers, &form, password, "/api/v1/auth/token").await?;
    Ok(answer(request.by_plain_password().await?))
}

impl Request<'_> {
    async fn by_plain_password(&self) -> Result<Tokens, OAuthError> {
        let Request { app, form, .. } = self;
        let (tenant, terms) = (self.tenant(), &self.asking.client.terms);
        let name = PlainName::parse(form.required("username")?).ok_or_else(refused)?;
        let password = Zeroizing::new(form.required("password")?.as_bytes().to_vec());
        if password.len() > MAX_PLAIN_PASSWORD {
            return Err(refused());
        }
        let scope = match form.one("scope") {
            Some(_) => terms.scopes_of(form.one("scope"))?,
            None => terms.scopes.clone(),
        };
        let resource = terms.resource_of(form.one("resource"), app.provider.issuer())?;
        // The client has proved itself, and many people come by its address: what counts is the name, and the client.
        let (now, tries) = (app.now(), app.identity.plain_tries(tenant, &name));
        let client = self.asking.client.id.as_bytes();
        let charge =
            app.attempts.start_through(now, Try::PlainPassword, &tries, client).map_err(ApiError::from)?;
        let proven = self.proven_password(&name, password).await?;
        let Some(proven) = proven else {
            app.metrics.signin("refused");
            return Err(refused());
        };
        app.attempts.returned(now, charge);

        let mut tx = look(&app.access, self.visitor, tenant).await?;
        if !is_good(app, &mut tx, &proven.known).await? {
            return Err(refused());
        }
        let member = app.tenancy.member(&mut tx, proven.known.account).await?;
        drop(tx);
        let terms = GrantTerms {
            account: member.account,
            home: member.home,
            session: Uuid::nil(),
            method: Uuid::nil(),
            offline: scope.contains(ScopeSet::OFFLINE),
            scope,
            resource,
            auth_time: now.div_euclid(1_000),
            nonce: None,
            code: None,
            agent: None,
            came_by: None,
            by_password: Some(proven.known.set_at),
        };
        let id = GrantId::random();
        self.watch(id, &terms).await?;
        let mut tx = self.enter(&terms).await?;
        if !app.identity.use_plain_password(&mut tx, &proven).await.map_err(ApiError::from)? {
            return Err(refused());
        }
        let client = self.asking.client.id;
        app.provider.begin(&mut tx, id, client, &terms, None).await?;
        let mut grant = Grant { id, client, created_at: tx.now(), terms, refresh_key: None };
        let refresh = self.first_refresh(&mut tx, &mut grant).await?;
        let scope = grant.terms.scope.clone();
        let tokens = self.answer(tx, &grant, &scope, refresh).await?;
        app.metrics.signin("accepted");
        Ok(tokens)
    }

    async fn proven_password(
        &self,
        name: &PlainName,
        password: Zeroizing<Vec<u8>>,
    ) -> Result<Option<ProvenPlain>, OAuthError> {
        let app = self.app;
        let mut tx = look(&app.access, self.visitor, self.tenant()).await?;
        if app.identity.plain_passwords_since(&mut tx).await.map_err(ApiError::from)?.is_none() {
            let why = "this tenant does not allow plain passwords";
            return Err(OAuthError::new("unauthorized_client", why));
        }
        let candidate = app.identity.plain_candidate(&mut tx, name).await.map_err(ApiError::from)?;
        drop(tx);
        let proven = app.slowly(self.tenant(), move || candidate.prove(&password)).await?;
        Ok(proven.map_err(ApiError::internal)?)
    }
}

/// Which of the two is wrong, whether the member is suspended or was taken out: one answer.
fn refused() -> OAuthError {
    OAuthError::invalid_grant("the name or the password is wrong, or not good any more")
}
