// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Coming in by other identity providers: of tenants, and of the platform.

pub(crate) mod callback;
pub(crate) mod link;
pub(crate) mod platform;
pub(crate) mod setup;
pub(crate) mod sign_in;

use access::tenancy::{Change, Name, Provided, ProvidedRole, Provision, RoleName};
use access::{Action, Caller, Place, Resource};
use federation::{
    Answer, Asked, Assertion, DomainName, FederationError, Provider, ProviderId as StoredId, Purpose,
};
use identity::ProvidedIdentity;
use protocol::federation::{ProviderAnswer, ProviderStart, ProviderStarted};
use protocol::{AccountId, Code, Problem, ProviderId, TenantId};
use serde_json::json;
use store::{ReadTx, Record, TenantId as StoredTenant, TenantKind};
use uuid::Uuid;

use crate::error::ApiError;
use crate::routes::scim;
use crate::routes::tenants::grants::place_id;
use crate::routes::tenants::in_directory;
use crate::state::App;

/// Where a provider's answer comes.
pub(crate) fn callback(app: &App, provider: StoredId) -> String {
    format!("{}/federation/{provider}/callback", app.url)
}

/// Begins at the provider that is named.
async fn begin(
    app: &App,
    request: &str,
    body: &ProviderStart,
    purpose: Purpose,
) -> Result<ProviderStarted, ApiError> {
    let back = federation::Back::parse(body.redirect.as_deref())?;
    let provider = named(app, request, body).await?;
    let (now, callback) = (app.now(), callback(app, provider.id));
    let began = app.federation.begin(now, &provider, &callback, &body.challenge, purpose, back).await?;
    Ok(ProviderStarted { url: began.url.into(), state: began.state.into(), name: provider.terms.name })
}

/// The provider that a client names: of the platform by its id, of a tenant, or of the tenant that a domain is proved of.
async fn named(app: &App, request: &str, body: &ProviderStart) -> Result<Provider, ApiError> {
    let id = body.provider.map(|id| StoredId::from_uuid(id.uuid()));
    let tenant = match (body.tenant, &body.domain) {
        (Some(_), Some(_)) => {
            return Err(ApiError::field("domain", "name a tenant or a domain, not both"));
        }
        (Some(tenant), None) => Some(crate::routes::tenants::customer(tenant)?),
        (None, Some(domain)) => {
            let name: DomainName = domain.parse().map_err(FederationError::from)?;
            let mut tx = look(app, request, StoredTenant::PLATFORM).await?;
            let claim = app.federation.claim_of_domain(&mut tx, &name).await?;
            drop(tx);
            // Whether there is such a domain and whether its tenant has a provider are answered alike.
            let tenant = claim.ok_or_else(nobody)?.owner;
            let mut tx = look(app, request, tenant).await.map_err(|_| nobody())?;
            if !app.federation.has_domain_of(&mut tx, &format!("@{name}")).await? {
                return Err(nobody());
            }
            Some(tenant)
        }
        (None, None) => None,
    };
    let mut tx = match look(app, request, tenant.unwrap_or(StoredTenant::PLATFORM)).await {
        Err(error) if error.code() == Code::NotFound => return Err(nobody()),
        other => other?,
    };
    if let Some(id) = id {
        return usable(app.federation.provider(&mut tx, id).await);
    }
    if tenant.is_none() {
        return Err(ApiError::field("provider", "name a provider, a tenant or a domain"));
    }
    let mut enabled: Vec<Provider> = app.federation.providers(&mut tx).await?;
    enabled.retain(|provider| provider.terms.is_enabled);
    match (enabled.pop(), enabled.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(nobody()),
        (Some(_), false) => Err(ApiError::field("provider", "this tenant has several: name one")),
    }
}

/// There is no provider to come in by.
fn nobody() -> ApiError {
    Problem::new(Code::NotFound).detail("there is no provider to sign in through").into()
}

fn usable(found: Result<Provider, FederationError>) -> Result<Provider, ApiError> {
    match found {
        Ok(provider) if provider.terms.is_enabled => Ok(provider),
        Ok(_) | Err(FederationError::NotFound) => Err(nobody()),
        Err(error) => Err(error.into()),
    }
}

/// A view by the server itself, before it is known who asks.
async fn look(app: &App, request: &str, tenant: StoredTenant) -> Result<ReadTx, ApiError> {
    let worker = Caller::system("federation", request);
    let resource = match tenant.kind() {
        TenantKind::Platform => Resource::Platform,
        TenantKind::Customer => Resource::Customer,
        TenantKind::Home => return Err(ApiError::new(Code::NotFound)),
    };
    Ok(app.access.view(&worker, tenant, Action::MaintenanceRun, resource).await?)
}

/// What a provider says of whoever brought its answer, for the client that began.
async fn redeem(
    app: &App,
    request: &str,
    answer: &ProviderAnswer,
    is_for: impl Fn(Purpose) -> bool,
) -> Result<(Asked, Provider, Assertion), ApiError> {
    let now = app.now();
    let asked = app.federation.asked(now, answer.state.expose())?;
    asked.require_verifier(answer.verifier.expose())?;
    if !is_for(asked.purpose) {
        return Err(FederationError::Over.into());
    }
    let mut tx = look(app, request, asked.tenant()).await?;
    let provider = usable(app.federation.provider(&mut tx, asked.provider()).await)?;
    // What follows waits for others: with no connection in hand.
    drop(tx);
    let shown = Answer { code: answer.code.expose(), issuer: answer.issuer.as_deref() };
    let callback = callback(app, provider.id);
    let assertion = app.federation.redeem(app.now(), &provider, &asked, &callback, &shown).await?;
    Ok((asked, provider, assertion))
}

fn identity(provider: &Provider, assertion: &Assertion) -> ProvidedIdentity {
    ProvidedIdentity {
        tenant: provider.tenant,
        issuer: assertion.issuer.clone(),
        subject: assertion.subject.clone(),
    }
}

/// The address that a provider gives, when it is believed: a tenant's, in the tenant's own domains only.
async fn believed(
    app: &App,
    tx: &mut ReadTx,
    provider: &Provider,
    assertion: &Assertion,
) -> Result<Option<String>, ApiError> {
    let Some(address) = provider.believed_address(assertion) else { return Ok(None) };
    if provider.tenant != StoredTenant::PLATFORM && !app.federation.has_domain_of(tx, address).await? {
        return Ok(None);
    }
    Ok(Some(address.to_owned()))
}

/// Lets an account into the tenant whose provider vouched for it, as far as that provider does: makes a member of it, gives and
/// takes the roles that come with its groups, and records that it came.
async fn provide(
    app: &App,
    request: &str,
    provider: &Provider,
    assertion: &Assertion,
    account: Uuid,
    home: StoredTenant,
) -> Result<(), ApiError> {
    let tenant = provider.tenant;
    if tenant.kind() != TenantKind::Customer {
        return Ok(());
    }
    let mut tx = look(app, request, tenant).await?;
    let is_member = match app.tenancy.member(&mut tx, account).await {
        Ok(_) => true,
        Err(access::TenancyError::NotFound) => false,
        Err(error) => return Err(error.into()),
    };
    let address = believed(app, &mut tx, provider, assertion).await?;
    // Whom another system told the tenant of comes in, or does not, as it says.
    let told = scim::may_arrive(app, &mut tx, Some(account), address.as_deref()).await?;
    let joins = !is_member && address.is_some() && told.unwrap_or(provider.terms.joins);
    drop(tx);
    if !is_member && !joins {
        return Ok(());
    }
    if joins {
        let mut tx = look(app, request, StoredTenant::PLATFORM).await?;
        app.tenancy.require_room(&mut tx, account).await?;
    }
    let label = joins.then(|| label(assertion));
    let by = provider.id.to_string();
    let roles: Vec<ProvidedRole> = provider.given(&assertion.groups).filter_map(role).collect();
    let provision = Provision { account, home, joins_as: label.as_ref(), roles: &roles, by: &by };

    let worker = Caller::system("federation", request);
    let mut tx = app.access.enter(&worker, tenant, Action::MemberProvision, Resource::Customer).await?;
    let provided = app.tenancy.provide(&mut tx, &app.access, &provision).await?;
    if let Some(address) = &address {
        scim::arrived(app, &mut tx, account, address).await?;
    }
    let change = Change { after: Some(said(provider, assertion, &provided)), ..Change::default() };
    crate::routes::tenants::commit(app, tx, AccountId::from_uuid(account), change).await?;
    if provided.joined {
        let mut tx = in_directory(app, request).await?;
        app.tenancy.note_membership(&mut tx, tenant, account).await?;
        tx.commit(Record::about(tenant)).await?;
    }
    Ok(())
}

/// A role as it is written in the terms; what cannot be read any more is none.
fn role(given: &federation::Given) -> Option<ProvidedRole> {
    let role: RoleName = given.role.parse().ok()?;
    let place = setup::place(&given.place)?;
    Some(ProvidedRole { role, place, author: given.by })
}

/// How the tenant's people see who joins: by the name that the provider gives, else by the address.
fn label(assertion: &Assertion) -> Name {
    let clean = |text: &str| {
        let clean: String = text.chars().filter(|letter| !letter.is_control()).take(100).collect();
        Name::new(clean.trim()).ok()
    };
    let given = assertion.name.as_deref().and_then(clean);
    given.or_else(|| assertion.email.as_deref().and_then(clean)).unwrap_or_else(|| {
        // A name of the form of an id is always one.
        let id = AccountId::from_uuid(Uuid::nil()).to_string();
        #[allow(clippy::expect_used, reason = "letters, digits and an underscore")]
        Name::new(id).expect("a name")
    })
}

fn said(provider: &Provider, assertion: &Assertion, provided: &Provided) -> serde_json::Value {
    let one = |role: String, place: &Place| json!({ "role": role, "place": place_id(*place).to_string() });
    let given: Vec<_> = provided.given.iter().map(|(role, place)| one(role.to_string(), place)).collect();
    let taken: Vec<_> = provided.taken.iter().map(|(role, place)| one(role.clone(), place)).collect();
    let mut said = json!({
        "provider": ProviderId::from_uuid(*provider.id.uuid()),
        "groups": provider.known_groups(&assertion.groups),
        "joined": provided.joined,
        "given": given,
        "taken": taken,
    });
    if assertion.has_more_groups
        && let Some(fields) = said.as_object_mut()
    {
        // Entra ID leaves the groups out of a token when there are too many.
        fields.insert("groups_left_out".to_owned(), json!(true));
    }
    said
}

/// The tenant, as it is shown; none for the platform.
fn shown_tenant(tenant: StoredTenant) -> Option<TenantId> {
    (tenant.kind() == TenantKind::Customer).then(|| TenantId::from_uuid(*tenant.uuid()))
}

impl From<FederationError> for ApiError {
    fn from(error: FederationError) -> Self {
        use FederationError as E;
        match error {
            E::NotFound => ApiError::new(Code::NotFound),
            E::Invalid { field, why } => ApiError::field(field, why),
            E::TooMany(_) | E::DomainTaken => Problem::new(Code::Conflict).detail(error).into(),
            E::Over => ApiError::new(Code::SignInOver),
            E::Unreachable(_) | E::Malformed(_) => {
                tracing::warn!("{error}");
                let detail = format!("{error}; other ways to sign in go on");
                Problem::new(Code::ProviderUnavailable).detail(detail).into()
            }
            E::Refused(_) | E::Token(_) => {
                tracing::warn!("{error}");
                Problem::new(Code::ProviderRefused).detail(error).into()
            }
            E::Store(error) => error.into(),
            other => ApiError::internal(other),
        }
    }
}
