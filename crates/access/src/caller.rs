// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who is calling.

use std::fmt;
use std::sync::Arc;

use store::{Entry, TenantId, TenantKind};
use uuid::Uuid;

use crate::action::Action;
use crate::passage::{Passage, Who};
use crate::platform_role::PlatformRoles;
use crate::scopes::Scopes;

/// Who is calling, through what, and with which scopes. Made by the server once it knows, and
/// named in every record that follows.
///
/// ```
/// use access::Caller;
///
/// let caller = Caller::visitor("req_1").from_address("203.0.113.0/24");
/// assert_eq!(caller.actor(), "visitor");
/// ```
#[derive(Clone)]
pub struct Caller {
    principal: Principal,
    share: Option<Share>,
    invitation: Option<Invited>,
    scopes: Scopes,
    /// The only tenant that it may enter; any if `None`.
    only_in: Option<TenantId>,
    /// Whose provider vouched for whoever calls, if one did.
    came_by: Option<TenantId>,
    /// The only customer's tenant that it may enter, and what it may elsewhere; any, and everything, if `None`.
    vouched: Option<(TenantId, Scopes)>,
    request: String,
    address_label: Option<String>,
    passage: Option<Arc<Passage>>,
}

/// An account that has shown a live session, token or API key, as the server found it there.
#[derive(Clone, Copy, Debug)]
pub struct SignedIn {
    /// The account.
    pub account: Uuid,
    /// Its home.
    pub home: TenantId,
    /// What it came through.
    pub via: Via,
    /// Until when (milliseconds since the Unix epoch) its last proof of identity counts as fresh.
    pub fresh_until: Option<i64>,
    /// Whether the account is suspended.
    pub suspended: bool,
    /// The platform roles that it holds.
    pub platform_roles: PlatformRoles,
}

/// A collection of somebody else's that is shared with the caller, as the server found it to be at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The home in which the collection lies.
    pub home: TenantId,
    /// The collection.
    pub collection: Uuid,
    /// Whether the caller may write there too.
    pub writes: bool,
}

/// A live invitation into a customer's tenant that the caller has shown, as the server found it to be at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invited {
    /// The tenant.
    pub tenant: TenantId,
    /// The invitation.
    pub invitation: Uuid,
}

/// A service account that has shown a live key, as the server found it in its tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// The tenant that it belongs to.
    pub tenant: TenantId,
    /// The service account.
    pub account: Uuid,
    /// The key that it showed, or the application that speaks for it.
    pub key: Uuid,
    /// Whether it came by an application.
    pub by_client: bool,
}

/// What an account acts through, as its records name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// A session, also when what was shown is a token made from it.
    Session(Uuid),
    /// An API key, by the id of the login method that it is.
    ApiKey(Uuid),
    /// An application of a tenant, by the id of the client that it is.
    Client(Uuid),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Principal {
    /// Not signed in.
    Visitor,
    Account(SignedIn),
    Service(Service),
    /// A part of the server itself, by name.
    System(&'static str),
}

impl Caller {
    /// Somebody who has not signed in.
    pub fn visitor(request: impl Into<String>) -> Self {
        Self::new(Principal::Visitor, request.into())
    }

    /// An account, after its session or token was checked; by default with all that its policies
    /// allow ([`within`](Self::within) lowers that).
    pub fn account(account: SignedIn, request: impl Into<String>) -> Self {
        Self::new(Principal::Account(account), request.into())
    }

    /// A service account of a customer's tenant, after its key was checked.
    pub fn service(service: Service, request: impl Into<String>) -> Self {
        Self::new(Principal::Service(service), request.into())
    }

    /// A part of the server that works by itself, such as `sweep`; never on anyone's request.
    pub fn system(worker: &'static str, request: impl Into<String>) -> Self {
        Self::new(Principal::System(worker), request.into())
    }

    /// Lowers the ceiling: what the token may be used for. A ceiling is never raised again.
    #[must_use]
    pub fn within(mut self, scopes: Scopes) -> Self {
        self.scopes = self.scopes.and(scopes);
        self
    }

    /// Confines the caller to one tenant, whatever else they are in: others answer as if they were not there.
    #[must_use]
    pub fn only_in(mut self, tenant: TenantId) -> Self {
        self.only_in = Some(tenant);
        self
    }

    /// Notes whose provider vouched for the caller: a customer's tenant, or the platform.
    #[must_use]
    pub fn came_by(mut self, tenant: TenantId) -> Self {
        self.came_by = Some(tenant);
        self
    }

    /// A caller for whom a customer's tenant alone vouches: other customers' tenants answer as if they were not there, and in
    /// the caller's home and in the directory only `elsewhere` is allowed.
    #[must_use]
    pub fn vouched_by(mut self, tenant: TenantId, elsewhere: Scopes) -> Self {
        self.vouched = Some((tenant, elsewhere));
        self
    }

    /// The same caller with a share that is live now: for the one question that is asked next.
    #[must_use]
    pub fn sharing(mut self, share: Share) -> Self {
        self.share = Some(share);
        self
    }

    /// The same caller with an invitation that is live now: for the one question that is asked next.
    #[must_use]
    pub fn invited(mut self, invitation: Invited) -> Self {
        self.invitation = Some(invitation);
        self
    }

    /// Notes where the call came from, coarsely: a network or a region, not an address.
    #[must_use]
    pub fn from_address(mut self, label: impl Into<String>) -> Self {
        self.address_label = Some(label.into());
        self
    }

    /// The same caller, of whom the door notes which way they went.
    #[must_use]
    pub fn following(mut self, passage: &Arc<Passage>) -> Self {
        self.passage = Some(Arc::clone(passage));
        self
    }

    /// Notes who came, once what they showed was found good.
    #[must_use]
    pub fn came(self) -> Self {
        if let (Some(passage), Some(own)) = (&self.passage, self.own()) {
            passage.came(self.who(own));
        }
        self
    }

    /// Where it is noted which way the caller went, if it is.
    pub fn passage(&self) -> Option<&Arc<Passage>> {
        self.passage.as_ref()
    }

    /// Notes that a tenant knows the caller.
    pub(crate) fn known_in(&self, tenant: TenantId) {
        if let (Some(passage), Some(own)) = (&self.passage, self.own()) {
            passage.known_in(|| self.who(own), tenant);
        }
    }

    fn own(&self) -> Option<TenantId> {
        match &self.principal {
            Principal::Account(account) => Some(self.only_in.unwrap_or(account.home)),
            Principal::Service(service) => Some(service.tenant),
            Principal::Visitor | Principal::System(_) => None,
        }
    }

    fn who(&self, own: TenantId) -> Who {
        Who { actor: self.actor(), via: self.via(), own }
    }

    /// The name in records: `acc_…`, `sva_…`, `visitor`, or `system:` and the worker's name.
    pub fn actor(&self) -> String {
        match self.principal {
            Principal::Visitor => "visitor".to_owned(),
            Principal::Account(account) => format!("acc_{}", account.account.simple()),
            Principal::Service(service) => format!("sva_{}", service.account.simple()),
            Principal::System(worker) => format!("system:{worker}"),
        }
    }

    /// Through what, in records: the id of the session (`ses_…`), of the API key (`mth_…`), of the application (`cli_…`) or of
    /// the service account's key (`svk_…`), or nothing.
    pub fn via(&self) -> String {
        match self.principal {
            Principal::Account(account) => match account.via {
                Via::Session(session) => format!("ses_{}", session.simple()),
                Via::ApiKey(method) => format!("mth_{}", method.simple()),
                Via::Client(client) => format!("cli_{}", client.simple()),
            },
            Principal::Service(service) if service.by_client => format!("cli_{}", service.key.simple()),
            Principal::Service(service) => format!("svk_{}", service.key.simple()),
            Principal::Visitor | Principal::System(_) => String::new(),
        }
    }

    /// The account, for who signed in.
    pub fn signed_in(&self) -> Option<&SignedIn> {
        match &self.principal {
            Principal::Account(account) => Some(account),
            Principal::Visitor | Principal::Service(_) | Principal::System(_) => None,
        }
    }

    /// The request's id.
    pub fn request(&self) -> &str {
        &self.request
    }

    /// Where the call came from, coarsely.
    pub fn address_label(&self) -> Option<&str> {
        self.address_label.as_deref()
    }

    /// What the session or token may be used for.
    pub fn scopes(&self) -> Scopes {
        self.scopes
    }

    /// Whether the caller proved who they are recently enough, at this time.
    pub fn is_fresh(&self, now_ms: i64) -> bool {
        self.signed_in().and_then(|account| account.fresh_until).is_some_and(|until| now_ms < until)
    }

    /// Whether it is a service account of this tenant, by what it shows.
    pub(crate) fn is_service_of(&self, tenant: TenantId) -> bool {
        matches!(&self.principal, Principal::Service(service) if service.tenant == tenant)
    }

    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whether this tenant is closed to the caller whatever they are in it.
    pub(crate) fn is_kept_out_of(&self, tenant: TenantId) -> bool {
        self.only_in.is_some_and(|only| only != tenant)
            || (tenant.kind() == TenantKind::Customer && self.vouched.is_some_and(|(only, _)| only != tenant))
    }

    /// The customer's tenant that alone vouches for the caller; of what they are elsewhere, nobody is told.
    pub fn vouched_in(&self) -> Option<TenantId> {
        self.vouched.map(|(tenant, _)| tenant)
    }

    /// Whether this tenant's own provider vouched for the caller.
    pub(crate) fn came_by_provider_of(&self, tenant: TenantId) -> bool {
        self.came_by == Some(tenant)
    }

    /// What the session or token may be used for outside of customers' tenants.
    pub(crate) fn scopes_elsewhere(&self) -> Scopes {
        self.vouched.map_or(self.scopes, |(_, elsewhere)| self.scopes.and(elsewhere))
    }

    pub(crate) fn share(&self) -> Option<Share> {
        self.share
    }

    pub(crate) fn invitation(&self) -> Option<Invited> {
        self.invitation
    }

    /// How the caller stands in the record of what they are about to do.
    pub(crate) fn entry(&self, action: Action) -> Entry {
        Entry {
            actor: self.actor(),
            via: self.via(),
            action: action.name().to_owned(),
            request: self.request.clone(),
        }
    }

    fn new(principal: Principal, request: String) -> Self {
        Caller {
            principal,
            share: None,
            invitation: None,
            scopes: Scopes::ALL,
            only_in: None,
            came_by: None,
            vouched: None,
            request,
            address_label: None,
            passage: None,
        }
    }
}

/// Who and through which request: never where from.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("actor", &self.actor())
            .field("via", &self.via())
            .field("request", &self.request)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}
