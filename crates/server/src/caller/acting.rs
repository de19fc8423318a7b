// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Callers in a customer's tenant: an account, with a session or an API key, a service account of the tenant with a key of its
//! own, or either of them through an application of the tenant. What they may there, the tenant's policies say.

use std::sync::atomic::{AtomicBool, Ordering};

use access::tenancy::{AuthenticatedService, ServiceToken};
use access::{Action, Caller, Resource};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use identity::{AccountId, Network};
use protocol::{Code, Problem};
use store::{ReadTx, TenantId, TenantKind, WriteTx};

use super::client::{self, OfClient};
use super::{Authenticated, Visitor, bearer, claim, look};
use crate::error::ApiError;
use crate::gateway::Once;
use crate::state::App;
use crate::workers::Used;

/// Whoever acts in a customer's tenant.
pub(crate) struct Acting {
    pub(crate) caller: Caller,
    shown: Shown,
    /// When the request is to happen once.
    once: Option<Once>,
    /// Whether the request was counted in a tenant.
    counted: AtomicBool,
}

enum Shown {
    Account(Box<Authenticated>),
    Service(AuthenticatedService),
    /// With what the request says of itself, for a second look.
    Client(Box<(OfClient, Visitor)>),
}

impl Acting {
    /// The account, or the service account, by whose id things are kept apart.
    pub(crate) fn id(&self) -> AccountId {
        match &self.shown {
            Shown::Account(authenticated) => authenticated.account(),
            Shown::Service(shown) => AccountId::from_uuid(shown.service.account),
            Shown::Client(shown) => shown.0.id(),
        }
    }

    /// Whether it is a service account, by a key of its own or by an application that speaks for it.
    pub(crate) fn is_service(&self) -> bool {
        match &self.shown {
            Shown::Account(_) => false,
            Shown::Service(_) => true,
            Shown::Client(shown) => shown.0.is_service(),
        }
    }

    /// Whether who shows this may do anything at all, wherever: an account or a service account that is suspended may not, nor
    /// who shows what has ended meanwhile.
    pub(crate) async fn stands(&self, app: &App) -> Result<(), ApiError> {
        match &self.shown {
            // Whether it has ended was looked at when it was shown.
            Shown::Account(authenticated) if authenticated.is_suspended() => {
                Err(ApiError::new(Code::Suspended))
            }
            Shown::Service(shown) => self.view_as_service(app, shown, shown.service.tenant).await.map(drop),
            Shown::Account(_) | Shown::Client(..) => Ok(()),
        }
    }

    /// Looks into a tenant as whoever is in it: a member, or a service account of it, whatever their roles and what its key is for.
    pub(crate) async fn view_as_insider(&self, app: &App, tenant: TenantId) -> Result<ReadTx, ApiError> {
        let Shown::Service(shown) = &self.shown else {
            return self.view(app, tenant, Action::TenantRead, Resource::Customer).await;
        };
        let tx = self.view_as_service(app, shown, tenant).await?;
        self.count(app, tenant).await?;
        Ok(tx)
    }

    /// A view of a tenant for a service account that lives there.
    async fn view_as_service(
        &self,
        app: &App,
        shown: &AuthenticatedService,
        tenant: TenantId,
    ) -> Result<ReadTx, ApiError> {
        let (visitor, whole) = (Caller::visitor(self.caller.request()), Resource::Customer);
        let mut tx = app.access.view(&visitor, tenant, Action::SessionAuthenticate, whole).await?;
        // Every service account that lives may do this, whatever its key is for.
        let service = Caller::service(shown.service, self.caller.request());
        app.access.also(&mut tx, &service, Action::ClientUse, whole).await?;
        Ok(tx)
    }

    /// Looks into a tenant without leaving a record.
    pub(crate) async fn view(
        &self,
        app: &App,
        tenant: TenantId,
        action: Action,
        resource: Resource,
    ) -> Result<ReadTx, ApiError> {
        let tx = app.access.view(&self.caller, tenant, action, resource).await?;
        self.count(app, tenant).await?;
        Ok(tx)
    }

    /// Counts the request in the tenant that let it in, once.
    async fn count(&self, app: &App, tenant: TenantId) -> Result<(), ApiError> {
        if tenant.kind() != TenantKind::Customer || self.counted.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        app.rates.check_tenant(tenant, &app.metrics).await.map_err(|limited| {
            app.metrics.limited();
            ApiError::limited(limited)
        })
    }

    /// Enters a tenant to change something, as long as what was shown still lives: a body may arrive long after the head of its
    /// request. Once in a request: it takes the request's `Idempotency-Key`.
    pub(crate) async fn enter(
        &self,
        app: &App,
        tenant: TenantId,
        action: Action,
        resource: Resource,
    ) -> Result<WriteTx, ApiError> {
        if let Shown::Account(authenticated) = &self.shown {
            authenticated.look_again(app).await?;
        }
        let of_client = match &self.shown {
            Shown::Client(both) => Some(&**both),
            Shown::Account(_) | Shown::Service(_) => None,
        };
        if let Some((shown, visitor)) = of_client
            && let Some(terms) = &shown.terms
        {
            client::require_consenting(app, visitor.caller.request(), shown.token.client.tenant, terms)
                .await?;
        }
        let mut tx = app.access.enter(&self.caller, tenant, action, resource).await?;
        self.count(app, tenant).await?;
        if let Shown::Service(shown) = &self.shown {
            app.tenancy.service_key_again(&mut tx, &shown.service).await.map_err(unknown)?;
        }
        if let Some((shown, visitor)) = of_client {
            client::living(app, &mut tx, visitor, &shown.token).await?;
        }
        claim(app, self.once.as_ref(), &mut tx, self.id()).await?;
        Ok(tx)
    }
}

impl FromRequestParts<App> for Acting {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let once = parts.extensions.get().cloned();
        if let Some(token) = client::ShownToken::of(&parts.headers) {
            let visitor = Visitor::from_request_parts(parts, app).await?;
            let uri = client::address_of(app, &parts.uri);
            let shown = token.open(app, &visitor, &parts.headers, parts.method.as_str(), &uri).await?;
            if shown.token.claims.aud != app.provider.issuer() {
                return Err(ApiError::new(Code::TokenWrongAudience));
            }
            let caller = shown.within();
            return Ok(Acting {
                caller,
                shown: Shown::Client(Box::new((shown, visitor))),
                once,
                counted: AtomicBool::default(),
            });
        }
        if !bearer(parts)?.starts_with(ServiceToken::PREFIX) {
            let authenticated = Authenticated::from_request_parts(parts, app).await?;
            let caller = authenticated.caller().clone();
            return Ok(Acting {
                caller,
                shown: Shown::Account(Box::new(authenticated)),
                once,
                counted: AtomicBool::default(),
            });
        }
        let visitor = Visitor::from_request_parts(parts, app).await?;
        let shown = by_service_key(app, &visitor, bearer(parts)?).await?;
        if shown.needs_touch(app.now()) {
            app.touches.note(Used::Service(shown.clone()));
        }
        let caller = Caller::service(shown.service, visitor.caller.request()).within(shown.scopes);
        let caller = visitor.known_as(caller);
        Ok(Acting { caller, shown: Shown::Service(shown), once, counted: AtomicBool::default() })
    }
}

/// A key is looked up with each request: one that was revoked is refused at once.
async fn by_service_key(app: &App, visitor: &Visitor, token: &str) -> Result<AuthenticatedService, ApiError> {
    let token: ServiceToken =
        token.parse().map_err(|error| Problem::new(Code::TokenMalformed).detail(error))?;
    let mut tx = match look(&app.access, visitor, token.tenant()).await {
        Err(error) if error.code() == Code::SessionEnded => {
            return Err(ApiError::new(Code::ServiceKeyUnknown));
        }
        other => other?.once(),
    };
    let shown = app.tenancy.authenticate_service(&mut tx, &token).await.map_err(unknown)?;
    let mut networks = shown.networks.split_ascii_whitespace().peekable();
    let is_allowed = networks.peek().is_none()
        || networks.any(|network| {
            network.parse().is_ok_and(|network: Network| network.contains(visitor.address.ip()))
        });
    if !is_allowed {
        return Err(Problem::new(Code::AddressNotApproved)
            .detail("this key of a service account may not be used from here: make one that may")
            .into());
    }
    Ok(shown)
}

fn unknown(error: access::TenancyError) -> ApiError {
    match error {
        access::TenancyError::NotFound => ApiError::new(Code::ServiceKeyUnknown),
        access::TenancyError::Store(store::StoreError::NoTenant) => ApiError::new(Code::ServiceKeyUnknown),
        error => error.into(),
    }
}
