// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The token endpoint: codes, refresh tokens, device codes, clients themselves, and exchanged tokens.
//!
//! Whoever a token will speak for enters the tenant for it: so what its policies say of `client.use`, and whether the tenant,
//! the member or the service account is suspended, is asked for each token, in the transaction that it comes of.

use access::tenancy::Change;
use access::{Action, Caller, Resource};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use store::{Record, TenantId, WriteTx};
use tokens::oauth::{
    Agent, Answered, Authentication, Grant, GrantId, GrantTerms, GrantType, NewToken, ProofKey, Proven,
    ProviderError, ScopeSet, Subject, Taken, Watched,
};

use super::{Asking, Form, OAuthError};
use crate::caller::Visitor;
use crate::caller::client::{PROOF_HEADER, by_token, consenting, require_consenting, speaking_for};
use crate::caller::look;
use crate::gateway::Json;
use crate::routes::tenants::in_directory;
use crate::state::App;

/// What a client is given (RFC 6749, section 5.1).
#[derive(Serialize)]
pub(crate) struct Tokens {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
}

/// Gives a client tokens.
#[utoipa::path(post, path = "/oauth/token", tag = "oauth", operation_id = "token",
    request_body(content = Object, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, content_type = "application/json", body = Object), (status = 400, content_type = "application/json", body = Object), (status = 401, content_type = "application/json", body = Object)))]
pub(crate) async fn token(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, OAuthError> {
    let grant = form.required("grant_type")?;
    let grant: GrantType = GrantType::OAUTH
        .into_iter()
        .find(|known| known.name() == grant)
        .ok_or_else(|| OAuthError::new("unsupported_grant_type", "there is no such grant type here"))?;
    let request = Request::of(&app, &visitor, &headers, &form, grant, "/oauth/token").await?;
    let tokens = match grant {
        GrantType::AuthorizationCode => request.by_code().await,
        GrantType::RefreshToken => request.by_refresh_token().await,
        GrantType::ClientCredentials => request.for_itself().await,
        GrantType::DeviceCode => request.by_device_code().await,
        GrantType::TokenExchange => request.by_exchange().await,
        // At a route of its own.
        GrantType::Password => Err(OAuthError::new("unsupported_grant_type", "see /api/v1/auth/token")),
    }?;
    Ok(answer(tokens))
}

/// Tokens on their way to a client.
pub(super) fn answer(tokens: Tokens) -> Response {
    ([(header::PRAGMA, "no-cache")], Json(tokens)).into_response()
}

/// A client that asks for tokens, and has proved that it is the one.
pub(super) struct Request<'a> {
    pub(super) app: &'a App,
    pub(super) visitor: &'a Visitor,
    pub(super) form: &'a Form,
    pub(super) asking: Asking,
    /// The key that it showed, which its tokens will be bound to.
    proven: Option<Proven>,
}

impl<'a> Request<'a> {
    /// The request to this path, if its client may get tokens in this way.
    pub(super) async fn of(
        app: &'a App,
        visitor: &'a Visitor,
        headers: &HeaderMap,
        form: &'a Form,
        grant: GrantType,
        path: &str,
    ) -> Result<Self, OAuthError> {
        let asking = Asking::of(app, visitor, headers, form).await?;
        asking.client.terms.may(grant)?;
        let proven = proven(app, headers, path)?;
        if proven.is_none() && asking.client.terms.bound_to_key {
            return Err(OAuthError::new(
                INVALID_PROOF,
                "this client gets bound tokens only: the DPoP header is missing",
            ));
        }
        Ok(Request { app, visitor, form, asking, proven })
    }
}

impl Request<'_> {
    async fn by_code(&self) -> Result<Tokens, OAuthError> {
        let Request { app, form, .. } = self;
        let (code, verifier) = (form.required("code")?, form.required("code_verifier")?);
        let mut tx = look(&app.access, self.visitor, self.tenant()).await?;
        let redirect_uri = form.one("redirect_uri");
        let client = self.asking.client.id;
        let taken =
            app.provider.code_grant(&mut tx, client, code, verifier, redirect_uri, self.key()).await?;
        drop(tx);
        let mut grant = self.good(taken, "code").await?;
        self.watch(grant.id, &grant.terms).await?;
        let mut tx = self.enter(&grant.terms).await?;
        if !app.provider.use_code(&mut tx, grant.id).await? {
            drop(tx);
            return Err(self.stolen(grant.id, "code").await);
        }
        let refresh = self.first_refresh(&mut tx, &mut grant).await?;
        let scope = grant.terms.scope.clone();
        self.answer(tx, &grant, &scope, refresh).await
    }

    async fn by_refresh_token(&self) -> Result<Tokens, OAuthError> {
        let Request { app, form, .. } = self;
        let shown = form.required("refresh_token")?;
        let mut tx = look(&app.access, self.visitor, self.tenant()).await?;
        let taken = app.provider.refresh_grant(&mut tx, self.asking.client.id, shown).await?;
        drop(tx);
        let mut grant = self.good(taken, "refresh token").await?;
        if grant.refresh_key.is_some() && grant.refresh_key != self.key() {
            return Err(OAuthError::invalid_grant(
                "the refresh token is bound to a key, and the proof of that is missing",
            ));
        }
        // Of what was consented to, what the client may still ask for.
        let allowed = grant.terms.scope.and(&self.asking.client.terms.scopes);
        let scope = match form.one("scope") {
            None => allowed,
            Some(asked) => {
                let asked: ScopeSet = asked
                    .parse()
                    .map_err(|_| OAuthError::new("invalid_scope", "the scopes cannot be read"))?;
                if !asked.is_within(&allowed) {
                    return Err(OAuthError::new("invalid_scope", "this is more than was consented to"));
                }
                asked
            }
        };
        let is_for = self.asking.client.terms.is_for(&grant.terms.resource, app.provider.issuer());
        if !is_for || form.one("resource").is_some_and(|resource| resource != grant.terms.resource) {
            return Err(ProviderError::Target.into());
        }
        let mut tx = self.enter(&grant.terms).await?;
        let Some(next) = app.provider.next_refresh(&mut tx, &grant, Some(shown)).await? else {
            drop(tx);
            return Err(self.stolen(grant.id, "refresh token").await);
        };
        // The word was for the first ID token (OpenID Connect Core, section 12.2).
        grant.terms.nonce = None;
        self.answer(tx, &grant, &scope, Some(next.expose().to_owned())).await
    }

    /// The client for itself: for the service account that it speaks for.
    async fn for_itself(&self) -> Result<Tokens, OAuthError> {
        let Request { app, form, .. } = self;
        let terms = &self.asking.client.terms;
        let service = terms.service_account.ok_or_else(|| {
            OAuthError::new("unauthorized_client", "this client speaks for no service account")
        })?;
        let scope = match form.one("scope") {
            Some(_) => terms.scopes_of(form.one("scope"))?,
            None => terms.scopes.clone(),
        };
        if scope.contains(ScopeSet::OPENID) && form.one("scope").is_some() {
            return Err(OAuthError::new("invalid_scope", "openid is about a person, and here is none"));
        }
        let resource = terms.resource_of(form.one("resource"), app.provider.issuer())?;
        let caller = speaking_for(self.tenant(), service, self.asking.client.id, self.visitor);
        let mut tx = self.enter_as(&caller).await?;
        let signer = app.provider.signer(&mut tx, &self.asking.client).await?;
        let issued = app.provider.issue(
            tx.now(),
            &NewToken {
                client: self.asking.address,
                subject: Subject::Service(service),
                grant: None,
                resource: &resource,
                scope: &scope,
                agent: None,
                purpose: None,
                ends_at: None,
                key: self.key(),
                signer: &signer,
                by_password: false,
            },
        )?;
        let expires_in = (issued.expires_at - tx.now()) / 1_000;
        let details = json!({ "token": issued.id, "scopes": scope.to_string(), "resource": resource });
        self.commit(tx, details).await?;
        Ok(Tokens {
            access_token: issued.token,
            token_type: self.token_type(),
            expires_in,
            scope: scope.to_string(),
            refresh_token: None,
            id_token: None,
            issued_token_type: None,
        })
    }

    async fn by_device_code(&self) -> Result<Tokens, OAuthError> {
        let Request { app, form, .. } = self;
        let code = form.required("device_code")?;
        let worker = Caller::system("devices", self.visitor.caller.request());
        let platform = TenantId::PLATFORM;
        let mut tx = app.access.view(&worker, platform, Action::MaintenanceRun, Resource::Platform).await?;
        let answered = app.provider.device_answer(&mut tx, self.asking.address, code).await?;
        drop(tx);
        let terms = match answered {
            Answered::Allowed(terms) => terms,
            Answered::Waiting if app.polls.is_too_early(app.now(), code) => {
                return Err(OAuthError::new("slow_down", "ask less often"));
            }
            Answered::Waiting => {
                return Err(OAuthError::new("authorization_pending", "nobody has answered yet"));
            }
            Answered::Denied => return Err(OAuthError::new("access_denied", "the answer was no")),
            Answered::Over => {
                return Err(OAuthError::new("expired_token", "the device code is over, or is none"));
            }
        };
        // The answer goes, and then the grant begins: a crash in between costs the person another try.
        let mut tx = app.access.enter(&worker, platform, Action::MaintenanceRun, Resource::Platform).await?;
        if !app.provider.take_device(&mut tx, code).await? {
            return Err(OAuthError::invalid_grant("the device code was used"));
        }
        tx.commit(Record::about(self.asking.client.id)).await?;
        let id = GrantId::random();
        self.watch(id, &terms).await?;
        let mut tx = self.enter(&terms).await?;
        app.provider.begin(&mut tx, id, self.asking.client.id, &terms, None).await?;
        let client = self.asking.client.id;
        let mut grant = Grant { id, client, created_at: tx.now(), terms: *terms, refresh_key: None };
        let refresh = self.first_refresh(&mut tx, &mut grant).await?;
        let scope = grant.terms.scope.clone();
        self.answer(tx, &grant, &scope, refresh).await
    }

    /// Another client's token for somebody, for less: this client acts for them from then on, and both are named (RFC 8693).
    async fn by_exchange(&self) -> Result<Tokens, OAuthError> {
        let Request { app, form, .. } = self;
        let token_type = form.required("subject_token_type")?;
        let wanted = form.one("requested_token_type").unwrap_or(ACCESS_TOKEN_TYPE);
        if token_type != ACCESS_TOKEN_TYPE || wanted != ACCESS_TOKEN_TYPE {
            return Err(OAuthError::invalid_request(
                "access tokens alone are exchanged, and for access tokens",
            ));
        }
        if form.one("actor_token").is_some() {
            return Err(OAuthError::invalid_request(
                "who acts is the client that asks: leave actor_token out",
            ));
        }
        let subject = by_token(app, self.visitor, form.required("subject_token")?).await?;
        if !subject.is_bound_to(self.key()) {
            return Err(OAuthError::invalid_grant(
                "the subject_token is bound to a key, and the proof of that is missing",
            ));
        }
        if subject.token.client.tenant != self.tenant() {
            return Err(OAuthError::invalid_grant("the subject_token is another tenant's"));
        }
        let (Some(of), Some(root)) = (&subject.terms, subject.token.grant) else {
            return Err(OAuthError::invalid_grant("the subject_token speaks for nobody but a program"));
        };
        if subject.token.claims.act.is_some() {
            return Err(OAuthError::invalid_grant("the subject_token was exchanged already"));
        }
        let terms = &self.asking.client.terms;
        let scope = terms.scopes_of(form.one("scope"))?;
        if scope.is_empty() || !scope.is_within(&subject.token.scope) {
            return Err(OAuthError::new(
                "invalid_scope",
                "say which of the subject_token's scopes, and no others",
            ));
        }
        if scope.contains(ScopeSet::OFFLINE) || scope.contains(ScopeSet::OPENID) {
            return Err(OAuthError::new("invalid_scope", "openid and offline_access are not exchanged"));
        }
        let asked = form.one("resource").or_else(|| form.one("audience"));
        let resource = terms.resource_of(asked, app.provider.issuer())?;
        // Whom it is for, its client said: only who it was for hands it on to somebody else.
        let aud = &subject.token.claims.aud;
        if resource != *aud && !terms.serves.contains(aud) {
            return Err(OAuthError::new("invalid_target", "the subject_token is for somebody else"));
        }
        let purpose = form.one("purpose");
        if purpose
            .is_some_and(|purpose| purpose.len() > LONGEST_PURPOSE || purpose.contains(char::is_control))
        {
            return Err(OAuthError::invalid_request(
                "purpose has at most 200 bytes, and no control characters",
            ));
        }
        let mut tx = self.enter(of).await?;
        let ends_at = subject.token.claims.exp.saturating_mul(1_000);
        let agent = Agent { purpose: purpose.map(str::to_owned), ends_at };
        let child = GrantTerms {
            scope: scope.clone(),
            resource: resource.clone(),
            nonce: None,
            code: None,
            agent: Some(agent),
            ..of.clone()
        };
        let id = GrantId::random();
        app.provider.begin(&mut tx, id, self.asking.client.id, &child, Some(root)).await?;
        let signer = app.provider.signer(&mut tx, &self.asking.client).await?;
        let issued = app.provider.issue(
            tx.now(),
            &NewToken {
                client: self.asking.address,
                subject: Subject::Account(child.account),
                grant: Some(id),
                resource: &resource,
                scope: &scope,
                agent: Some(self.asking.address),
                purpose,
                ends_at: Some(ends_at),
                key: self.key(),
                signer: &signer,
                by_password: child.by_password.is_some(),
            },
        )?;
        let expires_in = (issued.expires_at - tx.now()) / 1_000;
        let details = json!({
            "token": issued.id, "grant": id.to_string(), "agent": self.asking.client.id.to_string(), "scopes": scope.to_string(),
            "resource": resource, "purpose": purpose,
        });
        self.commit(tx, details).await?;
        Ok(Tokens {
            access_token: issued.token,
            token_type: self.token_type(),
            expires_in,
            scope: scope.to_string(),
            refresh_token: None,
            id_token: None,
            issued_token_type: Some(ACCESS_TOKEN_TYPE),
        })
    }

    /// Notes a grant whose client wants to be told when it ends, before it has any token.
    pub(super) async fn watch(&self, grant: GrantId, terms: &GrantTerms) -> Result<(), OAuthError> {
        let wants = self.asking.client.terms.backchannel_logout_uri.is_some();
        if !wants || !terms.scope.contains(ScopeSet::OPENID) {
            return Ok(());
        }
        let watched = Watched { grant, client: self.asking.address, account: terms.account };
        let mut tx = in_directory(self.app, self.visitor.caller.request()).await?;
        self.app.provider.watch(&mut tx, &watched).await?;
        tx.commit(Record::about(grant)).await?;
        Ok(())
    }

    /// The key that was shown.
    fn key(&self) -> Option<ProofKey> {
        self.proven.map(|proven| proven.key)
    }

    /// What kind of token it gets (RFC 9449, section 5).
    fn token_type(&self) -> &'static str {
        if self.proven.is_some() { DPOP } else { BEARER }
    }

    pub(super) fn tenant(&self) -> TenantId {
        self.asking.address.tenant
    }

    /// A grant whose code or refresh token was good; of one that was shown again, the end.
    async fn good(&self, taken: Taken, what: &'static str) -> Result<Grant, OAuthError> {
        match taken {
            Taken::Good(grant) => Ok(*grant),
            Taken::Again(grant) => Err(self.stolen(grant, what).await),
        }
    }

    /// Ends a grant whose code or refresh token was shown twice, and says no more than that it is not good.
    async fn stolen(&self, grant: GrantId, what: &'static str) -> OAuthError {
        let why = format!("its {what} was shown twice");
        match end_grant(self.app, self.visitor, self.tenant(), grant, &why).await {
            Ok(()) => {
                OAuthError::invalid_grant(format_args!("the {what} is unknown, over, or another client's"))
            }
            Err(error) => error,
        }
    }

    /// Enters the tenant as the account that consented, if what it consented with still lives.
    pub(super) async fn enter(&self, terms: &GrantTerms) -> Result<WriteTx, OAuthError> {
        require_consenting(self.app, self.visitor.caller.request(), self.tenant(), terms).await?;
        self.enter_as(&consenting(terms, self.tenant(), self.asking.client.id, self.visitor)).await
    }

    async fn enter_as(&self, caller: &Caller) -> Result<WriteTx, OAuthError> {
        let mut tx =
            self.app.access.enter(caller, self.tenant(), Action::ClientUse, Resource::Customer).await?;
        self.app.provider.use_up(&mut tx, self.asking.used).await?;
        if let Some(proven) = self.proven {
            let again = || OAuthError::new(INVALID_PROOF, "the DPoP proof was used before");
            self.app.provider.use_up(&mut tx, Some(proven.used)).await.map_err(|error| match error {
                ProviderError::Client => again(),
                error => error.into(),
            })?;
        }
        Ok(tx)
    }

    /// The first refresh token of a grant, if the client gets any. A public client's is bound to the key that it shows; others
    /// prove who they are each time.
    pub(super) async fn first_refresh(
        &self,
        tx: &mut WriteTx,
        grant: &mut Grant,
    ) -> Result<Option<String>, OAuthError> {
        if self.asking.client.terms.may(GrantType::RefreshToken).is_err() {
            return Ok(None);
        }
        if self.asking.client.terms.authentication == Authentication::Public {
            grant.refresh_key = self.key();
        }
        let token = self.app.provider.next_refresh(tx, grant, None).await?;
        Ok(token.map(|token| token.expose().to_owned()))
    }

    /// An access token of a grant, with an ID token if that was asked for.
    pub(super) async fn answer(
        &self,
        mut tx: WriteTx,
        grant: &Grant,
        scope: &ScopeSet,
        refresh_token: Option<String>,
    ) -> Result<Tokens, OAuthError> {
        let (provider, now) = (&self.app.provider, tx.now());
        let signer = provider.signer(&mut tx, &self.asking.client).await?;
        let issued = provider.issue(
            now,
            &NewToken {
                client: self.asking.address,
                subject: Subject::Account(grant.terms.account),
                grant: Some(grant.id),
                resource: &grant.terms.resource,
                scope,
                agent: None,
                purpose: None,
                ends_at: None,
                key: self.key(),
                signer: &signer,
                by_password: grant.terms.by_password.is_some(),
            },
        )?;
        let id_token = if scope.contains(ScopeSet::OPENID) {
            let mut name = None;
            if scope.contains(ScopeSet::PROFILE) {
                let member = self.app.tenancy.member(&mut tx, grant.terms.account).await?;
                name = Some(member.label.as_str().to_owned());
            }
            Some(provider.issue_id_token(
                now,
                self.asking.address,
                self.asking.client.terms.algorithm.of_id_tokens(),
                grant,
                &issued.token,
                name,
            )?)
        } else {
            None
        };
        let mut details =
            json!({ "token": issued.id, "grant": grant.id.to_string(), "scopes": scope.to_string() });
        if grant.terms.by_password.is_some()
            && let Some(fields) = details.as_object_mut()
        {
            fields.insert("by_plain_password".to_owned(), json!(true));
        }
        self.commit(tx, details).await?;
        Ok(Tokens {
            access_token: issued.token,
            token_type: self.token_type(),
            expires_in: (issued.expires_at - now) / 1_000,
            scope: scope.to_string(),
            refresh_token,
            id_token,
            issued_token_type: None,
        })
    }

    async fn commit(&self, mut tx: WriteTx, after: serde_json::Value) -> Result<(), OAuthError> {
        let change = Change { after: Some(after), ..Change::default() };
        let record = self.app.tenancy.record(&mut tx, self.asking.client.id, &change).await?;
        tx.commit(record).await?;
        Ok(())
    }
}

/// Ends a grant in its tenant, with the reason. The server's own: the tenant's people are not asked when something was stolen, nor
/// when the client itself ends what it got.
pub(super) async fn end_grant(
    app: &App,
    visitor: &Visitor,
    tenant: TenantId,
    grant: GrantId,
    why: &str,
) -> Result<(), OAuthError> {
    let worker = Caller::system("oauth", visitor.caller.request());
    let mut tx = app.access.enter(&worker, tenant, Action::ClientRefuse, Resource::Customer).await?;
    if !app.provider.end(&mut tx, grant).await? {
        return Ok(());
    }
    let change = Change { after: Some(json!({ "ended": true })), reason: Some(why), ..Change::default() };
    let record = app.tenancy.record(&mut tx, grant, &change).await?;
    tx.commit(record).await?;
    Ok(())
}

/// What a request to this address proves that it has (`DPoP`, RFC 9449, section 5).
pub(super) fn proven(app: &App, headers: &HeaderMap, path: &str) -> Result<Option<Proven>, OAuthError> {
    let mut shown = headers.get_all(PROOF_HEADER).iter();
    let Some(proof) = shown.next() else { return Ok(None) };
    let invalid = |why: &dyn std::fmt::Display| OAuthError::new(INVALID_PROOF, why);
    if shown.next().is_some() {
        return Err(invalid(&"there is more than one DPoP header"));
    }
    let uri = format!("{}{path}", app.provider.issuer().trim_end_matches('/'));
    let asked = tokens::oauth::Asked { method: "POST", uri: &uri, token: None };
    let proof = proof.to_str().map_err(|error| invalid(&error))?;
    Proven::by(proof, &asked, app.now()).map(Some).map_err(|error| invalid(&error))
}

const INVALID_PROOF: &str = "invalid_dpop_proof";
const BEARER: &str = "Bearer";
const DPOP: &str = "DPoP";
const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
const LONGEST_PURPOSE: usize = 200;
