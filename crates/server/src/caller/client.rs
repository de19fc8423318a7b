// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Callers with a token of an application: an account that consented, or a service account that the application speaks for.
//!
//! A token is as good as all that it hangs on, and that is looked up each time: its client, its grant, the session or login
//! method of the consent, the member or service account, the tenant. So whatever ends, ends its tokens at once.

use access::{Action, Caller, PlatformRoles, Refused, Resource, Scopes, Service, SignedIn, Via};
use identity::{AccountId, MethodId, SessionId};
use protocol::{Code, Problem};
use store::{ReadTx, StoreError, TenantId};
use tokens::oauth::{ClientId, GrantTerms, ProviderError, Subject, Verified};

use super::{Visitor, look, look_in};
use crate::error::ApiError;
use crate::state::App;

/// Whoever shows a live token of an application.
pub(crate) struct OfClient {
    /// Without a ceiling: see [`within`](Self::within).
    pub(crate) caller: Caller,
    pub(crate) token: Verified,
    /// What it hangs on, when it speaks for an account.
    pub(crate) terms: Option<GrantTerms>,
}

impl OfClient {
    /// Who calls, by what stands in the token: at Bailiwick's own routes its scopes are the names of actions. It is never what
    /// gets its bearer another token.
    pub(crate) fn within(&self) -> Caller {
        let scopes: Scopes = self.token.scope.iter().filter_map(|name| name.parse::<Action>().ok()).collect();
        let but: Scopes = Action::ALL.iter().copied().filter(|action| *action != Action::ClientUse).collect();
        self.caller.clone().within(scopes.and(but))
    }

    /// The account, or the service account, by whose id things are kept apart.
    pub(crate) fn id(&self) -> AccountId {
        match self.token.subject {
            Subject::Account(id) | Subject::Service(id) => AccountId::from_uuid(id),
        }
    }
}

/// Whether a token is an application's, by what it says itself.
pub(crate) fn is_clients(token: &str) -> bool {
    tokens::oauth::is_clients(token)
}

/// Who shows this token of an application, whomever it is for.
pub(crate) async fn by_token(app: &App, visitor: &Visitor, token: &str) -> Result<OfClient, ApiError> {
    let token = app.provider.verify(app.now(), token)?;
    let mut tx = match look(&app.access, visitor, token.client.tenant).await {
        Err(error) if error.code() == Code::SessionEnded => return Err(ApiError::new(Code::TokenRevoked)),
        other => other?,
    };
    let (caller, terms) = living(app, &mut tx, visitor, &token).await?;
    // One transaction at a time: who waits for a second connection with one in hand may wait for themselves.
    drop(tx);
    if let Some(terms) = &terms {
        require_consenting(app, visitor.caller.request(), terms).await?;
    }
    Ok(OfClient { caller, token, terms })
}

/// Whether all that a token hangs on in its tenant still lives, in a transaction there. The rest is in the home:
/// [`require_consenting`].
pub(super) async fn living(
    app: &App,
    tx: &mut ReadTx,
    visitor: &Visitor,
    token: &Verified,
) -> Result<(Caller, Option<GrantTerms>), ApiError> {
    let client = app.provider.client(tx, token.client.client).await.map_err(gone)?;
    app.provider.require_not_revoked(tx, &token.claims.jti).await?;
    let (caller, terms) = match token.subject {
        Subject::Account(account) => {
            let grant = token.grant.ok_or_else(|| ApiError::new(Code::TokenMalformed))?;
            let grant = app.provider.live_grant(tx, grant).await?;
            if grant.client != token.client.client || grant.terms.account != account {
                return Err(ApiError::new(Code::TokenUntrusted));
            }
            let caller = consenting(&grant.terms, token.client.tenant, grant.client, visitor);
            (caller, Some(grant.terms))
        }
        Subject::Service(service) => {
            if client.terms.service_account != Some(service) {
                return Err(ApiError::new(Code::TokenRevoked));
            }
            (speaking_for(token.client.tenant, service, client.id, visitor), None)
        }
    };
    app.access.also(tx, &caller, Action::ClientUse, Resource::Customer).await.map_err(no_longer)?;
    Ok((caller, terms))
}

/// The account that consented, acting through the client: in the client's tenant, wherever else it is a member.
pub(crate) fn consenting(
    terms: &GrantTerms,
    tenant: TenantId,
    client: ClientId,
    visitor: &Visitor,
) -> Caller {
    let account = SignedIn {
        account: terms.account,
        home: terms.home,
        via: Via::Client(*client.uuid()),
        // A token is never a fresh proof, and carries no role on the platform.
        fresh_until: None,
        suspended: false,
        platform_roles: PlatformRoles::NONE,
    };
    let caller = Caller::account(account, visitor.caller.request())
        .only_in(tenant)
        .from_address(visitor.address.to_string());
    match terms.came_by {
        Some(by) => caller.came_by(TenantId::from_uuid(by)),
        None => caller,
    }
}

/// The service account that a client speaks for.
pub(crate) fn speaking_for(
    tenant: TenantId,
    account: uuid::Uuid,
    client: ClientId,
    visitor: &Visitor,
) -> Caller {
    let service = Service { tenant, account, key: *client.uuid(), by_client: true };
    Caller::service(service, visitor.caller.request()).from_address(visitor.address.to_string())
}

/// Whether what somebody consented with still lives: the session, or the login method that opened it when the consent goes
/// on without the session.
pub(crate) async fn require_consenting(app: &App, request: &str, terms: &GrantTerms) -> Result<(), ApiError> {
    let revoked = || ApiError::new(Code::TokenRevoked);
    let mut tx = match look_in(app, request, terms.home).await {
        Err(error) if error.code() == Code::NotFound => return Err(revoked()),
        other => other?,
    };
    if terms.offline {
        if app.identity.suspended_since(&mut tx, AccountId::from_uuid(terms.account)).await?.is_some() {
            return Err(ApiError::new(Code::Suspended));
        }
        let method = MethodId::from_uuid(terms.method);
        return if app.identity.has_method(&mut tx, method).await? { Ok(()) } else { Err(revoked()) };
    }
    match app.identity.session_by_id(&mut tx, SessionId::from_uuid(terms.session)).await {
        Ok(session) if session.is_suspended() => Err(ApiError::new(Code::Suspended)),
        Ok(session) if *session.account().uuid() == terms.account => Ok(()),
        Ok(_) => Err(revoked()),
        Err(error) => match ApiError::from(error) {
            error if error.code() == Code::SessionEnded => Err(revoked()),
            error => Err(error),
        },
    }
}

/// A client that is not there is one whose tokens were revoked.
fn gone(error: ProviderError) -> ApiError {
    match error {
        ProviderError::NotFound | ProviderError::Store(StoreError::NoTenant) => {
            ApiError::new(Code::TokenRevoked)
        }
        error => error.into(),
    }
}

/// Who may not use clients any more has no tokens of theirs.
fn no_longer(refused: Refused) -> ApiError {
    match refused {
        Refused::NotFound | Refused::Forbidden { .. } => ApiError::new(Code::TokenRevoked),
        refused => refused.into(),
    }
}

impl From<ProviderError> for ApiError {
    fn from(error: ProviderError) -> Self {
        use ProviderError as E;
        match error {
            E::NotFound => ApiError::new(Code::NotFound),
            E::Invalid { field, why } => ApiError::field(field, why),
            E::TooMany(_) => Problem::new(Code::Conflict).detail(error).into(),
            E::Grant(_) => Problem::new(Code::RequestOver).detail(error).into(),
            E::Scope(_) => ApiError::field("scope", error),
            E::Target => ApiError::field("resource", error),
            E::Client | E::Unauthorized(_) => Problem::new(Code::Forbidden).detail(error).into(),
            E::Token(error) => error.into(),
            E::Revoked => ApiError::new(Code::TokenRevoked),
            E::Store(error) => error.into(),
            other => ApiError::internal(other),
        }
    }
}
