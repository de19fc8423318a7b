// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who is calling: every protected route takes a [`Signed`], which is only made of a live session, or an
//! [`Authenticated`], which is also made of a live API key.

mod acting;
mod api_key;
pub(crate) mod client;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use access::{Access, Action, Caller, Passage, PlatformRole, PlatformRoles, Resource, Scopes, SignedIn, Via};
use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use identity::{AccountId, AuthenticatedSession, SessionError, SessionId, SessionKind, SessionToken};
use protocol::{Code, Problem};
use store::{Record, StoreError, TenantId};
use tokens::VerifyError;
use uuid::Uuid;

pub(crate) use self::acting::Acting;
pub(crate) use self::api_key::{FOR_API_KEYS, Keyed};
use crate::error::ApiError;
use crate::gateway::{Address, Once, RequestId};
use crate::state::App;
use crate::workers::Used;

/// Somebody who has not signed in, or whose session does not matter here.
pub(crate) struct Visitor {
    pub(crate) caller: Caller,
    pub(crate) address: Address,
}

impl FromRequestParts<App> for Visitor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &App) -> Result<Self, ApiError> {
        let Ok(address) = Address::from_request_parts(parts, state).await;
        let request = parts.extensions.get::<RequestId>().map_or("", |id| &id.0);
        let mut caller = Caller::visitor(request).from_address(address.to_string());
        if let Some(passage) = parts.extensions.get::<Arc<Passage>>() {
            caller = caller.following(passage);
        }
        Ok(Visitor { caller, address })
    }
}

impl Visitor {
    /// The same request, by somebody who may turn out to be known.
    pub(crate) fn as_if(&self, caller: Caller) -> Caller {
        let caller = caller.from_address(self.address.to_string());
        match self.caller.passage() {
            Some(passage) => caller.following(passage),
            None => caller,
        }
    }

    /// The same request, now that it is known who makes it.
    pub(crate) fn known_as(&self, caller: Caller) -> Caller {
        self.as_if(caller).came()
    }
}

/// An account with a live session, shown itself or through an access token made from it. What a route takes unless it is
/// for API keys as well.
pub(crate) struct Signed {
    pub(crate) caller: Caller,
    pub(crate) session: AuthenticatedSession,
    pub(crate) roles: PlatformRoles,
    pub(crate) address: Address,
    /// When the access token ends that was shown, in milliseconds since the Unix epoch.
    ends_at: Option<i64>,
    /// When the request is to happen once.
    once: Option<Once>,
}

impl Signed {
    /// A public computer, and whom a tenant alone vouches for, signs itself out and nobody else.
    pub(crate) fn may_end(&self, session: Option<SessionId>) -> Result<(), ApiError> {
        let is_own = session == Some(self.session.id());
        if matches!(self.session.kind(), SessionKind::Public | SessionKind::Vouched) && !is_own {
            return Err(access::Refused::Forbidden { action: Action::SessionEnd }.into());
        }
        Ok(())
    }

    /// Enters the home to change something, as long as the session still lives: a body may arrive long after the head of
    /// its request, and what ended meanwhile writes nothing any more. Once in a request: it takes the request's
    /// `Idempotency-Key`.
    pub(crate) async fn enter(
        &self,
        app: &App,
        action: Action,
        resource: Resource,
    ) -> Result<store::WriteTx, ApiError> {
        let mut tx = app.access.enter(&self.caller, self.home(), action, resource).await?;
        self.lives(app, &mut tx).await?;
        claim(app, self.once.as_ref(), &mut tx, self.session.account()).await?;
        Ok(tx)
    }

    /// Enters a customer's tenant to change something: as [`enter`](Self::enter) does the home.
    pub(crate) async fn enter_customer(
        &self,
        app: &App,
        tenant: TenantId,
        action: Action,
        resource: Resource,
    ) -> Result<store::WriteTx, ApiError> {
        self.look_again(app).await?;
        let mut tx = app.access.enter(&self.caller, tenant, action, resource).await?;
        app.rates.check_tenant(tenant, &app.metrics).await.map_err(ApiError::limited)?;
        claim(app, self.once.as_ref(), &mut tx, self.session.account()).await?;
        Ok(tx)
    }

    /// Takes the request's `Idempotency-Key`, if it has one, in the home: for a change in several transactions, of which the home has
    /// none. When one of them fails the key stays taken, and who asks again is told to look what there is.
    pub(crate) async fn claim_in_home(&self, app: &App) -> Result<(), ApiError> {
        if self.once.is_none() {
            return Ok(());
        }
        let worker = Caller::system("idempotency", self.caller.request());
        let mut tx = app.access.enter(&worker, self.home(), Action::MaintenanceRun, Resource::Home).await?;
        self.lives(app, &mut tx).await?;
        claim(app, self.once.as_ref(), &mut tx, self.session.account()).await?;
        tx.commit(Record::about("idempotency-key")).await?;
        Ok(())
    }

    /// Whether the session still lives, for what goes on after its request was let in.
    pub(crate) async fn look_again(&self, app: &App) -> Result<(), ApiError> {
        if self.ends_at.is_some_and(|end| app.now() >= end) {
            return Err(ApiError::new(Code::SessionEnded));
        }
        let mut tx = look_in(app, self.caller.request(), self.home()).await?;
        self.lives(app, &mut tx).await
    }

    async fn lives(&self, app: &App, tx: &mut store::ReadTx) -> Result<(), ApiError> {
        let session = app.identity.session_by_id(tx, self.session.id()).await?;
        if session.is_suspended() {
            return Err(ApiError::new(Code::Suspended));
        }
        Ok(())
    }

    /// The account's home.
    pub(crate) fn home(&self) -> TenantId {
        self.session.home()
    }
}

impl FromRequestParts<App> for Signed {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match Authenticated::from_request_parts(parts, app).await? {
            Authenticated::Session(signed) => Ok(signed),
            Authenticated::Key(_) => Err(Problem::new(Code::Forbidden)
                .detail("an API key cannot do this, whatever its scopes: sign in")
                .into()),
        }
    }
}

/// An account with a live session or a live API key: for routes that work on what is kept, and leave alone what lets in.
pub(crate) enum Authenticated {
    Session(Signed),
    Key(Keyed),
}

impl Authenticated {
    pub(crate) fn caller(&self) -> &Caller {
        match self {
            Authenticated::Session(signed) => &signed.caller,
            Authenticated::Key(keyed) => &keyed.caller,
        }
    }

    pub(crate) fn account(&self) -> AccountId {
        match self {
            Authenticated::Session(signed) => signed.session.account(),
            Authenticated::Key(keyed) => keyed.key.account(),
        }
    }

    /// Whether its account is suspended, which lets little through.
    fn is_suspended(&self) -> bool {
        match self {
            Authenticated::Session(signed) => signed.session.is_suspended(),
            Authenticated::Key(keyed) => keyed.key.is_suspended(),
        }
    }

    /// The account's home.
    pub(crate) fn home(&self) -> TenantId {
        match self {
            Authenticated::Session(signed) => signed.home(),
            Authenticated::Key(keyed) => keyed.key.home(),
        }
    }

    /// Enters the home to change something, as long as what was shown still lives: see [`Signed::enter`].
    pub(crate) async fn enter(
        &self,
        app: &App,
        action: Action,
        resource: Resource,
    ) -> Result<store::WriteTx, ApiError> {
        let keyed = match self {
            Authenticated::Session(signed) => return signed.enter(app, action, resource).await,
            Authenticated::Key(keyed) => keyed,
        };
        let mut tx = app.access.enter(&keyed.caller, keyed.key.home(), action, resource).await?;
        keyed.lives(app, &mut tx).await?;
        claim(app, keyed.once.as_ref(), &mut tx, keyed.key.account()).await?;
        Ok(tx)
    }

    /// Whether what was shown still lives, for what goes on after its request was let in.
    pub(crate) async fn look_again(&self, app: &App) -> Result<(), ApiError> {
        let keyed = match self {
            Authenticated::Session(signed) => return signed.look_again(app).await,
            Authenticated::Key(keyed) => keyed,
        };
        let mut tx = look_in(app, keyed.caller.request(), keyed.key.home()).await?;
        keyed.lives(app, &mut tx).await
    }
}

impl FromRequestParts<App> for Authenticated {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let visitor = Visitor::from_request_parts(parts, app).await?;
        let token = bearer(parts)?;
        if token.starts_with(api_key::PREFIX) {
            let once = parts.extensions.get().cloned();
            return api_key::by_key(app, visitor, token, once).await.map(Authenticated::Key);
        }
        let (session, scopes, ends_at) = match token.parse::<SessionToken>() {
            Ok(token) => (by_session(app, &visitor, &token).await?, Scopes::ALL, None),
            Err(_) => by_access_token(app, &visitor, token).await?,
        };
        if session.needs_touch(app.now()) {
            app.touches.note(Used::Session(session.clone()));
        }
        let roles = app.roles.of(app, *session.account().uuid()).await?;
        let account = SignedIn {
            account: *session.account().uuid(),
            home: session.home(),
            via: Via::Session(*session.id().uuid()),
            // Both factors were proved for the session. Whoever shows a token of it may be somebody else.
            fresh_until: ends_at.is_none().then(|| session.fresh_until()),
            suspended: session.is_suspended(),
            platform_roles: roles,
        };
        let scopes = match session.kind() {
            SessionKind::Public => scopes.and(PUBLIC_COMPUTER.into_iter().collect()),
            _ => scopes,
        };
        let mut caller = Caller::account(account, visitor.caller.request()).within(scopes);
        if let Some(tenant) = session.came_by() {
            caller = caller.came_by(tenant);
            if session.kind() == SessionKind::Vouched {
                caller = caller.vouched_by(tenant, VOUCHED_ELSEWHERE.into_iter().collect());
            }
        }
        let caller = visitor.known_as(caller);
        let once = parts.extensions.get().cloned();
        Ok(Authenticated::Session(Signed { caller, session, roles, address: visitor.address, ends_at, once }))
    }
}

/// The token that the request shows (RFC 6750, section 2.1).
fn bearer(parts: &Parts) -> Result<&str, ApiError> {
    bearer_of(&parts.headers)
}

/// The token in these headers.
pub(crate) fn bearer_of(headers: &HeaderMap) -> Result<&str, ApiError> {
    headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| ApiError::new(Code::NotSignedIn))
}

/// Takes the request's `Idempotency-Key`, if it has one, in the transaction of its change.
async fn claim(
    app: &App,
    once: Option<&Once>,
    tx: &mut store::WriteTx,
    account: AccountId,
) -> Result<(), ApiError> {
    match once {
        Some(once) => once.claim(app, tx, account).await,
        None => Ok(()),
    }
}

/// A view of a home to see whether what was shown there still lives.
async fn look_in(app: &App, request: &str, home: TenantId) -> Result<store::ReadTx, ApiError> {
    let visitor = Caller::visitor(request);
    Ok(app.access.view(&visitor, home, Action::SessionAuthenticate, Resource::Home).await?)
}

async fn by_session(
    app: &App,
    visitor: &Visitor,
    token: &SessionToken,
) -> Result<AuthenticatedSession, ApiError> {
    let mut tx = look(&app.access, visitor, token.home()).await?.once();
    app.identity.authenticate(&mut tx, token).await.map_err(ApiError::from)
}

/// An access token is as good as the session that it hangs on: that is looked up each time, so that ending the session ends it.
async fn by_access_token(
    app: &App,
    visitor: &Visitor,
    token: &str,
) -> Result<(AuthenticatedSession, Scopes, Option<i64>), ApiError> {
    let claims = app.tokens.verify(app.now(), token)?;
    let session: SessionId = claims.sid.parse().map_err(|_| ApiError::new(Code::TokenMalformed))?;
    let mut tx = look(&app.access, visitor, claims.tenant_id).await?.once();
    let session = app.identity.session_by_id(&mut tx, session).await?;
    if session.account().to_string() != claims.sub {
        return Err(ApiError::new(Code::TokenUntrusted));
    }
    Ok((session, ceiling(&claims.scope), Some(claims.exp.saturating_mul(1_000))))
}

/// What an access token may be used for: what it says, and never what only the session itself may do. One that is
/// stolen ends by itself, opens no device's keys, and gets its bearer no other token.
fn ceiling(scope: &str) -> Scopes {
    const FOR_THE_SESSION_ALONE: &[Action] = &[
        Action::SessionStepUp,
        Action::SessionUnlock,
        Action::SessionEnd,
        Action::TokenIssue,
        Action::ClientUse,
        Action::AccountDelete,
        Action::PasswordChange,
        Action::BackupCodesReplace,
        Action::TotpReplace,
        Action::MethodAdd,
        Action::MethodRename,
        Action::MethodRevoke,
        Action::MasterKeyRotate,
        Action::CollectionShare,
        Action::PlatformAdminister,
        Action::PairingRead,
        Action::PairingApprove,
        Action::ApiKeyCreate,
        Action::ApiKeyApprove,
    ];
    // An action that this release does not know allows nothing.
    let said = match scope.trim() {
        "*" => Scopes::ALL,
        names => names.split_ascii_whitespace().filter_map(|name| name.parse::<Action>().ok()).collect(),
    };
    Action::ALL
        .iter()
        .copied()
        .filter(|action| said.contains(*action) && !FOR_THE_SESSION_ALONE.contains(action))
        .collect()
}

/// What a public computer does, which others use too: it reads, and signs itself out.
const PUBLIC_COMPUTER: [Action; 9] = [
    Action::AccountRead,
    Action::SessionEnd,
    Action::CollectionList,
    Action::CollectionRead,
    Action::ItemRead,
    Action::FileRead,
    Action::ChangesFollow,
    Action::UsageRead,
    Action::LogRead,
];

/// What somebody does outside of the tenant that alone vouches for them: sees which account it is, proves by a method of its own who
/// they are, and signs out. Not the access token that says to everybody else who they are.
const VOUCHED_ELSEWHERE: [Action; 5] = [
    Action::AccountRead,
    Action::SessionStepUp,
    Action::SessionUnlock,
    Action::SessionEnd,
    Action::TenantList,
];

/// A view of the tenant that a token names. Anyone can write any tenant into a token: one that is not there is a session
/// that is not there.
pub(crate) async fn look(
    access: &Access,
    visitor: &Visitor,
    tenant: TenantId,
) -> Result<store::ReadTx, ApiError> {
    let resource = Resource::whole(tenant);
    match access.view(&visitor.caller, tenant, Action::SessionAuthenticate, resource).await {
        Err(access::Refused::NotFound) => Err(ApiError::new(Code::SessionEnded)),
        other => Ok(other?),
    }
}

/// Who holds which role on the platform, read again when it is older than [`Roles::KEPT`].
#[derive(Default)]
pub(crate) struct Roles(Mutex<(i64, HashMap<Uuid, PlatformRoles>)>);

impl Roles {
    /// How long a list is used, in milliseconds: a role that was taken away is gone after that, also without news of it.
    const KEPT: i64 = 2_000;

    /// Has the list read again when it is asked for next.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = 0;
    }

    async fn of(&self, app: &App, account: Uuid) -> Result<PlatformRoles, ApiError> {
        let now = app.now();
        {
            let (read_at, roles) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if (0..Self::KEPT).contains(&(now - read_at)) {
                return Ok(roles.get(&account).copied().unwrap_or_default());
            }
        }
        let worker = Caller::system("roles", "");
        let mut tx =
            app.access.view(&worker, TenantId::PLATFORM, Action::MaintenanceRun, Resource::Platform).await?;
        let mut roles = HashMap::<Uuid, Vec<PlatformRole>>::new();
        for grant in PlatformRole::list(&mut tx).await? {
            roles.entry(grant.account).or_default().push(grant.role);
        }
        let roles: HashMap<_, PlatformRoles> =
            roles.into_iter().map(|(account, roles)| (account, roles.into_iter().collect())).collect();
        let found = roles.get(&account).copied().unwrap_or_default();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (now, roles);
        Ok(found)
    }
}

impl From<SessionError> for ApiError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Unknown | SessionError::Ended | SessionError::Expired => {
                ApiError::new(Code::SessionEnded)
            }
            SessionError::Failed(failure) => failure.into(),
            other => ApiError::internal(other),
        }
    }
}

impl From<identity::Failure> for ApiError {
    fn from(failure: identity::Failure) -> Self {
        match failure {
            identity::Failure::Store(StoreError::NoTenant) => ApiError::new(Code::NotFound),
            identity::Failure::Store(error) => error.into(),
            other => ApiError::internal(other),
        }
    }
}

impl From<VerifyError> for ApiError {
    fn from(error: VerifyError) -> Self {
        let code = match error {
            VerifyError::Expired => Code::TokenExpired,
            VerifyError::WrongAudience | VerifyError::WrongIssuer => Code::TokenWrongAudience,
            VerifyError::WrongAlgorithm | VerifyError::UnknownKey | VerifyError::Signature => {
                Code::TokenUntrusted
            }
            _ => Code::TokenMalformed,
        };
        protocol::Problem::new(code).detail(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_token_does_what_it_says_and_nothing_that_is_for_the_session() {
        assert!(ceiling("*").contains(Action::ItemRead) && ceiling("*").contains(Action::FileWrite));
        for scope in ["*", "session.unlock token.issue account.delete session.step_up"] {
            for action in [
                Action::SessionUnlock,
                Action::TokenIssue,
                Action::SessionStepUp,
                Action::SessionEnd,
                Action::AccountDelete,
                Action::MasterKeyRotate,
            ] {
                assert!(!ceiling(scope).contains(action), "{action} with {scope}");
            }
        }
        assert_eq!(ceiling("item.read item.later"), [Action::ItemRead].into_iter().collect());
        assert_eq!(ceiling(""), Scopes::NONE);
    }
}
