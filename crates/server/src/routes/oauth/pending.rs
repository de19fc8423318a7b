// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What an application asked for, and waits for an answer to.

use access::{Action, Resource};
use axum::http::HeaderMap;
use identity::Try;
use protocol::Code;
use protocol::oauth::Asked;
use sha2::{Digest as _, Sha256};
use store::TenantId;
use tokens::oauth::{
    Client, ClientAddress, CodeTerms, ConsentRequest, DeviceRequest, GrantTerms, GrantType, ProviderError,
    ScopeSet,
};

use super::authorize::bound;
use crate::caller::Signed;
use crate::error::ApiError;
use crate::state::App;

/// What waits for an answer.
pub(super) enum Pending {
    Browser(Box<ConsentRequest>),
    /// With the code that the person entered.
    Device(Box<DeviceRequest>, String),
}

impl Pending {
    pub(super) async fn of(
        app: &App,
        signed: &Signed,
        headers: &HeaderMap,
        asked: &Asked,
    ) -> Result<Self, ApiError> {
        match (&asked.request, &asked.code) {
            (Some(request), None) => {
                let request = app.provider.open_request(app.now(), request.expose())?;
                bound(app, headers, &request)?;
                Ok(Pending::Browser(Box::new(request)))
            }
            (None, Some(code)) => {
                // A short code can be guessed: tries are counted, and a good one is given back.
                let aimed_at = Sha256::digest(signed.session.account().as_bytes()).into();
                let (from, now) = (signed.address.ip(), app.now());
                let charge = app.attempts.start(now, Try::DeviceCode, &aimed_at, from)?;
                let worker = access::Caller::system("devices", signed.caller.request());
                let platform = TenantId::PLATFORM;
                let mut tx =
                    app.access.view(&worker, platform, Action::MaintenanceRun, Resource::Platform).await?;
                let found = app.provider.device_request(&mut tx, code.expose()).await;
                if !matches!(found, Err(ProviderError::NotFound)) {
                    app.attempts.returned(now, charge);
                }
                Ok(Pending::Device(Box::new(found.map_err(over)?), code.expose().to_owned()))
            }
            _ => Err(ApiError::field("request", "either request or code")),
        }
    }

    pub(super) fn client(&self) -> ClientAddress {
        match self {
            Pending::Browser(request) => request.client(),
            Pending::Device(request, _) => request.client(),
        }
    }

    pub(super) fn scope(&self) -> &ScopeSet {
        match self {
            Pending::Browser(request) => &request.scope,
            Pending::Device(request, _) => &request.scope,
        }
    }

    pub(super) fn resource(&self) -> &str {
        match self {
            Pending::Browser(request) => &request.resource,
            Pending::Device(request, _) => &request.resource,
        }
    }

    pub(super) fn network(&self) -> Option<&str> {
        match self {
            Pending::Browser(_) => None,
            Pending::Device(request, _) => Some(&request.network),
        }
    }

    /// Refuses whose last proof is older than the client wants (`prompt=login`, `max_age`).
    pub(super) fn require_proof(&self, app: &App, signed: &Signed) -> Result<(), ApiError> {
        let Pending::Browser(request) = self else { return Ok(()) };
        let now = app.now();
        let is_old = request.max_age.is_some_and(|age| now.div_euclid(1_000) - proved_at(app, signed) > age);
        if is_old || (request.prove_again && !signed.session.is_fresh(now)) {
            return Err(access::Refused::StepUpRequired { action: Action::ClientUse }.into());
        }
        Ok(())
    }

    pub(super) fn require_registered(&self, app: &App, client: &Client) -> Result<(), ApiError> {
        let (grant, is_registered) = match self {
            Pending::Browser(request) => {
                (GrantType::AuthorizationCode, client.terms.redirects_to(&request.redirect_uri))
            }
            Pending::Device(..) => (GrantType::DeviceCode, true),
        };
        let terms = &client.terms;
        let is_for = terms.is_for(self.resource(), app.provider.issuer());
        if is_registered && is_for && terms.may(grant).is_ok() && self.scope().is_within(&terms.scopes) {
            return Ok(());
        }
        Err(ApiError::new(Code::RequestOver))
    }

    pub(super) fn terms(&self, app: &App, signed: &Signed) -> GrantTerms {
        let (nonce, code) = match self {
            Pending::Browser(request) => {
                let code = CodeTerms {
                    challenge: request.challenge.clone(),
                    redirect_uri: request.redirect_uri.clone(),
                    key: request.key.clone(),
                };
                (request.nonce.clone(), Some(code))
            }
            Pending::Device(..) => (None, None),
        };
        GrantTerms {
            account: *signed.session.account().uuid(),
            home: signed.home(),
            session: *signed.session.id().uuid(),
            method: *signed.session.method().uuid(),
            offline: self.scope().contains(ScopeSet::OFFLINE),
            scope: self.scope().clone(),
            resource: self.resource().to_owned(),
            auth_time: proved_at(app, signed),
            nonce,
            code,
            agent: None,
            came_by: signed.session.came_by().map(|tenant| *tenant.uuid()),
            by_password: None,
        }
    }
}

/// When whoever is signed in last proved who they are, in Unix seconds. A session that another device or a provider began, by no
/// proof of the account's own, is not fresh before the first one.
fn proved_at(app: &App, signed: &Signed) -> i64 {
    let (began, fresh_until) = (signed.session.created_at(), signed.session.fresh_until());
    let fresh_ms = i64::from(app.identity.settings().fresh_minutes) * 60_000;
    let at = if fresh_until > began { fresh_until - fresh_ms } else { began };
    at.div_euclid(1_000)
}

/// What is not there was answered, or its time is over.
pub(super) fn over(error: ProviderError) -> ApiError {
    match error {
        ProviderError::NotFound => ApiError::new(Code::RequestOver),
        error => error.into(),
    }
}
