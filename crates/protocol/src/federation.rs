// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Other identity providers that people come in by: setting them up, the domains of a tenant, and signing in.

use serde::{Deserialize, Serialize};

use crate::signin::{Device, Session, SignedIn};
use crate::tenants::grants::PlaceId;
use crate::{AccountId, Bytes, MethodId, ProviderId, Secret, TenantId};

/// `GET /api/v1/tenants/{tenant}/providers`, and `GET /api/v1/platform/providers`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Providers {
    /// The providers, the oldest first.
    pub providers: Vec<Provider>,
    /// Since when members come by these only, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_since: Option<i64>,
}

/// A provider, as it is set up. Its secret is never shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Provider {
    /// Its id.
    pub id: ProviderId,
    /// What people see.
    pub name: String,
    /// What is known of it beside the standard: `generic`, `google`, `entra` or `okta`.
    pub preset: String,
    /// Its issuer.
    pub issuer: String,
    /// The name of this server at it.
    pub client_id: String,
    /// Whether this server has a secret at it.
    pub has_secret: bool,
    /// What is registered there as redirect URI.
    pub callback: String,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The claim in which it names groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_claim: Option<String>,
    /// Whether its addresses are right although it does not say that it verified them.
    pub trusts_addresses: bool,
    /// Whether people of the tenant's proved domains become members by coming in.
    pub joins: bool,
    /// Which roles who comes in by it gets.
    pub gives: Vec<GivenRole>,
    /// Whether people may come in by it.
    pub enabled: bool,
    /// Since when, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Who made it.
    pub created_by: String,
}

/// A role that comes with signing in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct GivenRole {
    /// For who is in this group at the provider; for everybody, if it is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The role: a built-in one's name, or `rol_…`. Not `owner`.
    pub role: String,
    /// Where: an organisation, or a device.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub place: PlaceId,
    /// Who said so: nobody gets more than they may give. Not to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<AccountId>,
}

/// `POST /api/v1/tenants/{tenant}/providers`, and `POST /api/v1/platform/providers`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewProvider {
    /// What people see: 1 to 64 characters.
    pub name: String,
    /// `generic`, `google`, `entra` or `okta`; `generic` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// Its issuer, letter by letter as its metadata say it; Google's is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The name of this server at it.
    pub client_id: String,
    /// The secret of this server at it, unless it is a public client there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    /// What is asked for beside `openid`; by the preset when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// The claim in which it names groups; by the preset when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_claim: Option<String>,
    /// Whether its addresses are right although it does not say that it verified them.
    #[serde(default)]
    pub trusts_addresses: bool,
    /// Whether people of the tenant's proved domains become members by coming in.
    #[serde(default)]
    pub joins: bool,
    /// Which roles who comes in by it gets.
    #[serde(default)]
    pub gives: Vec<GivenRole>,
}

/// `PATCH /api/v1/tenants/{tenant}/providers/{provider}`: what is left out stays. The issuer of a provider never changes: who somebody is
/// hangs on it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ProviderChange {
    /// What people see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The name of this server at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The secret of this server at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    /// What is asked for beside `openid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// The claim in which it names groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_claim: Option<String>,
    /// Whether its addresses are right although it does not say that it verified them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusts_addresses: Option<bool>,
    /// Whether people of the tenant's proved domains become members by coming in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joins: Option<bool>,
    /// Which roles who comes in by it gets, in place of those before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gives: Option<Vec<GivenRole>>,
    /// Whether people may come in by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// `PUT /api/v1/tenants/{tenant}/provider-requirement`
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ProviderRequirement {
    /// Whether members come in by the tenant's own providers only. Owners always come in by any way.
    pub required: bool,
}

/// `GET /api/v1/tenants/{tenant}/domains`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Domains {
    /// The domains, by name.
    pub domains: Vec<Domain>,
}

/// A domain of a tenant, whose addresses its providers speak for once it is proved.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Domain {
    /// The domain.
    pub name: String,
    /// The TXT record in which the proof is looked for.
    pub record: String,
    /// What it has to say.
    pub proof: String,
    /// Since when it is proved, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<i64>,
}

/// `POST /api/v1/tenants/{tenant}/domains`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewDomain {
    /// The domain, such as `example.org`.
    pub name: String,
}

/// `GET /api/v1/signin/providers`: the platform's providers, which everybody may come in by.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SignInProviders {
    /// The providers.
    pub providers: Vec<SignInProvider>,
}

/// A provider, for whoever wants to sign in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SignInProvider {
    /// Its id.
    pub id: ProviderId,
    /// Its name.
    pub name: String,
    /// What is known of it: `generic`, `google`, `entra` or `okta`.
    pub preset: String,
}

/// `POST /api/v1/signin/provider/start`, and for an account that adds one `POST /api/v1/account/providers/start`. Names a provider of the
/// platform, a tenant (with a provider, if it has several), or a domain whose tenant's provider is meant.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ProviderStart {
    /// The tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// The provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderId>,
    /// The domain of somebody's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// SHA-256 of a verifier that only this client has, base64url: who begins, finishes (RFC 7636).
    pub challenge: String,
    /// Where the browser brings the answer: `http://127.0.0.1:PORT/…` or `http://[::1]:PORT/…` of a program that waits there; the
    /// console when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
}

/// The answer to [`ProviderStart`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ProviderStarted {
    /// Where the browser goes.
    pub url: Secret,
    /// What the answer will bring back, within 15 minutes.
    pub state: Secret,
    /// The provider's name.
    pub name: String,
}

/// What the browser brought back (RFC 6749, section 4.1.2, and RFC 9207), with the client's verifier.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ProviderAnswer {
    /// The state.
    pub state: Secret,
    /// The code.
    pub code: Secret,
    /// Who answers, where it says so: `iss`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The client's verifier.
    pub verifier: Secret,
}

/// `POST /api/v1/signin/provider/finish`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ProviderFinish {
    /// What the browser brought back.
    pub answer: ProviderAnswer,
    /// The device that signs in.
    pub device: Device,
}

/// The answer to [`ProviderFinish`]: somebody is signed in, or has no account yet and can make one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ProviderFinished {
    /// The session. It unlocks nothing: the device, a passkey or another method does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_in: Option<SignedIn>,
    /// Whether it is good in the tenant whose provider it is only, until another method is shown.
    pub confined: bool,
    /// What to make an account of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_up: Option<ProviderSignUpStarted>,
    /// The tenant whose provider it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
}

/// What somebody without an account gets.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ProviderSignUpStarted {
    /// To be sent back within 15 minutes.
    pub ticket: Secret,
    /// The account that will be.
    pub account: AccountId,
    /// Its home.
    pub home: TenantId,
    /// The address that the provider gives.
    pub email: Secret,
    /// The salt of its key.
    pub email_salt: Bytes<16>,
}

/// `POST /api/v1/signup/provider`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ProviderSignUp {
    /// From [`ProviderSignUpStarted`].
    pub ticket: Secret,
    /// Argon2id(email, salt): opens the address in the server's memory.
    pub email_key: Bytes<32>,
    /// The account's public identity keys.
    pub identity: Bytes<4096>,
    /// The device that signs up.
    pub device: Device,
}

/// The answer to [`ProviderSignUp`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ProviderSignedUp {
    /// The account's number.
    pub account_number: String,
    /// The session, which is fresh: add a method that unlocks while it is.
    pub session: Session,
}

/// The answer when a provider was added to an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ProviderLinked {
    /// The login method.
    pub method: MethodId,
}

/// Whom a provider knows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ProvidedIdentity {
    /// The tenant whose provider it is; none for one of the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// The issuer.
    pub issuer: String,
    /// Its name for them.
    pub subject: String,
}
