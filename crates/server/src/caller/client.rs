// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Callers with a token of an application: an account that consented, or a service account that the application speaks for.
//!
//! A token is as good as all that it hangs on, and that is looked up each time: its client, its grant, the session or login
//! method of the consent, the member or service account, the tenant. So whatever ends, ends its tokens at once.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use access::{Action, Caller, PlatformRoles, Refused, Resource, Scopes, Service, SignedIn, Via};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, Uri};
use identity::{AccountId, MethodId, SessionId};
use protocol::{Code, Problem};
use store::{ReadTx, StoreError, TenantId};
use tokens::oauth::{
    Asked, ClientId, GrantTerms, LONGEST_ASSERTION_MS, ProofKey, Proven, ProviderError, Subject, Used,
    Verified,
};
use zeroize::Zeroizing;

use super::{Visitor, look, look_in};
use crate::error::ApiError;
use crate::routes::tenants::plain_passwords::is_good;
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

    /// Whether who shows this key may show the token: the one that it is bound to, or none for a token that is bound to none.
    pub(crate) fn is_bound_to(&self, key: Option<ProofKey>) -> bool {
        match (&self.token.claims.cnf, key) {
            (None, _) => true,
            (Some(bound), Some(key)) => key.is_of(bound),
            (Some(_), None) => false,
        }
    }

    /// Whether it speaks for a service account.
    pub(crate) fn is_service(&self) -> bool {
        matches!(self.token.subject, Subject::Service(_))
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

/// A token of an application, as a request shows it.
pub(crate) struct ShownToken {
    token: Zeroizing<String>,
    /// With a proof of the key that it is bound to, as the scheme says (RFC 9449, section 7.1).
    is_bound: bool,
}

impl ShownToken {
    /// The token of an application in these headers; nothing when they show another kind, or none.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        let (token, is_bound) = (token.trim(), scheme.eq_ignore_ascii_case("dpop"));
        let is_one = is_bound || (scheme.eq_ignore_ascii_case("bearer") && is_clients(token));
        is_one.then(|| ShownToken { token: Zeroizing::new(token.to_owned()), is_bound })
    }

    /// Who shows it with the request of this method and address. One that is bound to a key needs the proof of that, which is
    /// good once; as a bearer token it is worth nothing.
    pub(crate) async fn open(
        &self,
        app: &App,
        visitor: &Visitor,
        headers: &HeaderMap,
        method: &str,
        uri: &str,
    ) -> Result<OfClient, ApiError> {
        let found = by_token(app, visitor, &self.token).await?;
        let refuse = |why: &str| Problem::new(Code::InvalidDpopProof).detail(why);
        if !self.is_bound {
            return match found.is_bound_to(None) {
                true => Ok(found),
                false => Err(refuse("the token is bound to a key: show it as DPoP, with a proof").into()),
            };
        }
        let mut proofs = headers.get_all(PROOF_HEADER).iter();
        let proof = match (proofs.next().and_then(|proof| proof.to_str().ok()), proofs.next()) {
            (Some(proof), None) => proof,
            _ => return Err(refuse("one DPoP header goes with the token").into()),
        };
        let asked = Asked { method, uri, token: Some(&self.token) };
        let proven = Proven::by(proof, &asked, app.now()).map_err(ProviderError::from)?;
        if !found.token.claims.cnf.as_ref().is_some_and(|bound| proven.key.is_of(bound)) {
            return Err(refuse("the token is bound to another key, or to none").into());
        }
        match app.proofs.note(app.now(), &proven.used) {
            Noted::First => Ok(found),
            Noted::Again => Err(refuse("the DPoP proof was used before").into()),
            Noted::Full => Err(ApiError::new(Code::Unavailable)),
        }
    }
}

/// The address of a request, as whoever sent it sees it.
pub(crate) fn address_of(app: &App, uri: &Uri) -> String {
    format!("{}{}", app.provider.issuer().trim_end_matches('/'), uri.path())
}

/// The proofs, or the clients' assertions, that were shown here within the last minutes, in this process: each is good once. Where
/// they are shown to get tokens, the database remembers them for all servers.
pub(crate) struct Proofs {
    /// Longer than one can be used.
    generation_ms: i64,
    generations: Mutex<Generations>,
}

/// What was shown lately, and what before: a proof is older than both when it is forgotten.
#[derive(Default)]
struct Generations {
    since: i64,
    newer: HashSet<[u8; 32]>,
    older: HashSet<[u8; 32]>,
}

pub(crate) enum Noted {
    First,
    Again,
    /// Too many were shown: rather than forget one, none is taken.
    Full,
}

impl Proofs {
    /// Proofs of keys: they can be used from a minute before they say that they were made to a minute after.
    pub(crate) fn of_keys() -> Self {
        Proofs { generation_ms: 150_000, generations: Mutex::default() }
    }

    /// Assertions of clients.
    pub(crate) fn of_clients() -> Self {
        Proofs { generation_ms: LONGEST_ASSERTION_MS, generations: Mutex::default() }
    }

    pub(crate) fn note(&self, now: i64, used: &Used) -> Noted {
        let proofs = &mut *self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if !(0..self.generation_ms).contains(&(now - proofs.since)) {
            proofs.older = std::mem::take(&mut proofs.newer);
            proofs.since = now;
        }
        let id = used.id();
        if proofs.older.contains(id) || proofs.newer.contains(id) {
            return Noted::Again;
        }
        if proofs.newer.len() >= Self::MOST {
            return Noted::Full;
        }
        proofs.newer.insert(*id);
        Noted::First
    }

    /// How many a generation takes: 32 MiB of them.
    const MOST: usize = 500_000;
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
        require_consenting(app, visitor.caller.request(), token.client.tenant, terms).await?;
    }
    Ok(OfClient { caller: caller.came(), token, terms })
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
    let is_for = client.terms.is_for(&token.claims.aud, app.provider.issuer());
    if !token.scope.is_within(&client.terms.scopes) || !is_for {
        return Err(ApiError::new(Code::TokenRevoked));
    }
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
    consenting_in(terms, tenant, client, visitor.caller.request()).from_address(visitor.address.to_string())
}

/// The same in this request, from nowhere.
pub(crate) fn consenting_in(terms: &GrantTerms, tenant: TenantId, client: ClientId, request: &str) -> Caller {
    let account = SignedIn {
        account: terms.account,
        home: terms.home,
        via: Via::Client(*client.uuid()),
        // A token is never a fresh proof, and carries no role on the platform.
        fresh_until: None,
        suspended: false,
        platform_roles: PlatformRoles::NONE,
    };
    let caller = Caller::account(account, request).only_in(tenant);
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
    visitor.as_if(Caller::service(service, visitor.caller.request()))
}

/// Whether what somebody consented with still lives: the session, or the login method that opened it when the consent goes
/// on without the session, or the plain password that was shown to the client of this tenant.
pub(crate) async fn require_consenting(
    app: &App,
    request: &str,
    tenant: TenantId,
    terms: &GrantTerms,
) -> Result<(), ApiError> {
    let revoked = || ApiError::new(Code::TokenRevoked);
    if let Some(set_at) = terms.by_password
        && !has_password(app, request, tenant, terms.account, set_at).await?
    {
        return Err(revoked());
    }
    let mut tx = match look_in(app, request, terms.home).await {
        Err(error) if error.code() == Code::NotFound => return Err(revoked()),
        other => other?,
    };
    if terms.offline || terms.by_password.is_some() {
        if app.identity.suspended_since(&mut tx, AccountId::from_uuid(terms.account)).await?.is_some() {
            return Err(ApiError::new(Code::Suspended));
        }
        if terms.by_password.is_some() {
            return Ok(());
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

/// Whether a member's plain password is still the one that was set then, and good.
async fn has_password(
    app: &App,
    request: &str,
    tenant: TenantId,
    account: uuid::Uuid,
    set_at: i64,
) -> Result<bool, ApiError> {
    let visitor = Caller::visitor(request);
    let mut tx = app.access.view(&visitor, tenant, Action::SessionAuthenticate, Resource::Customer).await?;
    if app.identity.plain_passwords_since(&mut tx).await?.is_none() {
        return Ok(false);
    }
    match app.identity.plain_password(&mut tx, account).await? {
        Some(known) if known.set_at == set_at => is_good(app, &mut tx, &known).await,
        _ => Ok(false),
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
            E::Proof(error) => Problem::new(Code::InvalidDpopProof).detail(error).into(),
            E::Revoked => ApiError::new(Code::TokenRevoked),
            E::Store(error) => error.into(),
            other => ApiError::internal(other),
        }
    }
}

/// Where a request shows the proof of a key (RFC 9449, section 4.1).
pub(crate) const PROOF_HEADER: HeaderName = HeaderName::from_static("dpop");
