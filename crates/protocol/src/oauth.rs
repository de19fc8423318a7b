// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Applications of a tenant that get tokens (OAuth clients), and people's consent to them. What stands in the requests of
//! OAuth and OpenID Connect themselves, their own documents say.

use serde::{Deserialize, Serialize};

use crate::{ClientId, Secret, ServiceAccountId, TenantId};

/// `GET /api/v1/tenants/{tenant}/clients`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Clients {
    /// The clients, the oldest first.
    pub clients: Vec<Client>,
}

/// A client.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Client {
    /// Its id in its tenant.
    pub id: ClientId,
    /// What it shows as `client_id`.
    pub client_id: String,
    /// What people see when they are asked for their consent.
    pub name: String,
    /// How it proves that it is the one: `public`, `secret` or `private_key_jwt`.
    pub authentication: String,
    /// By which ways it gets tokens: values of `grant_type`.
    pub grants: Vec<String>,
    /// Where browsers are sent back to.
    pub redirect_uris: Vec<String>,
    /// Where browsers are sent after signing out.
    pub post_logout_redirect_uris: Vec<String>,
    /// Where it is told that somebody is signed out of it (OpenID Connect Back-Channel Logout 1.0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// The scopes that it may ask for.
    pub scopes: Vec<String>,
    /// The resources that it may ask tokens for, the first by default.
    pub resources: Vec<String>,
    /// The resources that it is, whose tokens it may introspect.
    pub serves: Vec<String>,
    /// The service account that it speaks for by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccountId>,
    /// Whether it gets only tokens that are bound to a key of its own (RFC 9449, section 5.2).
    #[serde(default)]
    pub dpop_bound_access_tokens: bool,
    /// By what its access tokens are signed: `EdDSA`, `ES256` or `HS256`. ID tokens are by the same, or by `EdDSA` for the last.
    pub token_signing_alg: String,
    /// Its public keys (RFC 7517), for `private_key_jwt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<Object>))]
    pub jwks: Option<serde_json::Value>,
    /// Since when, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Who made it: `acc_…` or `sva_…`.
    pub created_by: String,
}

/// `POST /api/v1/tenants/{tenant}/clients`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewClient {
    /// What people see when they are asked for their consent: 1 to 200 characters.
    pub name: String,
    /// How it proves that it is the one: `public`, `secret` or `private_key_jwt`.
    pub authentication: String,
    /// By which ways it gets tokens: values of `grant_type`.
    pub grants: Vec<String>,
    /// Where browsers are sent back to, letter by letter; the port of a loopback address may be another one.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// Where browsers are sent after signing out.
    #[serde(default)]
    pub post_logout_redirect_uris: Vec<String>,
    /// Where it is told that somebody is signed out of it (OpenID Connect Back-Channel Logout 1.0): `https://`, at a public address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// The scopes that it may ask for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The resources that it may ask tokens for (RFC 8707), the first by default; this server's own routes if there are none.
    #[serde(default)]
    pub resources: Vec<String>,
    /// The resources that it is: it may introspect the tokens for these.
    #[serde(default)]
    pub serves: Vec<String>,
    /// The service account that it speaks for by itself, for `client_credentials`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccountId>,
    /// Whether it gets only tokens that are bound to a key of its own (RFC 9449, section 5.2).
    #[serde(default)]
    pub dpop_bound_access_tokens: bool,
    /// By what its access and ID tokens are signed: `EdDSA` (Ed25519) by default, or `ES256` for libraries that do not know that.
    /// With `HS256` its access tokens are signed by a key of its own, and are for its `resources` alone: who has that key verifies
    /// tokens with it, and can make them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_signing_alg: Option<String>,
    /// Its public keys (RFC 7517), for `private_key_jwt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<Object>))]
    pub jwks: Option<serde_json::Value>,
}

/// `PATCH /api/v1/tenants/{tenant}/clients/{client}`: what stands there is replaced, the rest stays. How it proves itself, by which
/// ways it gets tokens, and for which service account, is chosen once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ClientChange {
    /// What people see when they are asked for their consent: 1 to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where browsers are sent back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uris: Option<Vec<String>>,
    /// Where browsers are sent after signing out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_logout_redirect_uris: Option<Vec<String>>,
    /// Where it is told that somebody is signed out of it; nowhere, when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// The scopes that it may ask for. Tokens with others are worth nothing from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// The resources that it may ask tokens for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Vec<String>>,
    /// The resources that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serves: Option<Vec<String>>,
    /// Whether it gets only tokens that are bound to a key of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_bound_access_tokens: Option<bool>,
    /// By what its access tokens are signed: `EdDSA`, `ES256` or `HS256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_signing_alg: Option<String>,
    /// Its public keys, for `private_key_jwt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<Object>))]
    pub jwks: Option<serde_json::Value>,
}

/// A client that was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MadeClient {
    /// What is listed of it.
    #[serde(flatten)]
    pub client: Client,
    /// Its secret, shown this once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    /// The key of its access tokens (`HS256`), shown this once: what follows the prefix is base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_key: Option<Secret>,
}

/// `POST /api/v1/tenants/{tenant}/clients/{client}/token-key`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ClientTokenKey {
    /// The new key, shown this once; tokens by the one before are none of its.
    pub token_key: Secret,
}

/// `POST /api/v1/tenants/{tenant}/clients/{client}/secret`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ClientSecret {
    /// The new secret, shown this once; the one before is worth nothing any more.
    pub client_secret: Secret,
}

/// What to answer: a request by its link, or by the code that a device shows. One of the two.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The request: what stands in the link after `#authorize=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Secret>,
    /// The code that a device shows, `ABCD-EFGH`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Secret>,
}

/// `POST /api/v1/authorize/read`: what a client asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ConsentRequest {
    /// The client.
    pub client: ClientId,
    /// Its name, as its tenant calls it.
    pub client_name: String,
    /// The tenant that it belongs to, and whose tokens it gets.
    pub tenant: TenantId,
    /// The tenant's name.
    pub tenant_name: String,
    /// What it asks for.
    pub scopes: Vec<String>,
    /// What of that was not allowed before; if there is nothing, it need not be asked.
    pub new_scopes: Vec<String>,
    /// Whom the tokens are for.
    pub resource: String,
    /// The host that the browser is sent back to, or the scheme of an application's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_host: Option<String>,
    /// The network that the device asked from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Whether the client wants them to prove again who they are.
    pub prove_again: bool,
}

/// `POST /api/v1/authorize/approve`, `POST /api/v1/authorize/deny`: where to go on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Answered {
    /// Where to send the browser; nothing for a device, which asks by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<Secret>,
}

/// `GET /api/v1/authorizations`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Authorizations {
    /// What the account allows clients, tenant by tenant.
    pub authorizations: Vec<Authorization>,
}

/// What an account allows a client.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Authorization {
    /// The tenant.
    pub tenant: TenantId,
    /// The client.
    pub client: ClientId,
    /// The client's name.
    pub client_name: String,
    /// What it may have.
    pub scopes: Vec<String>,
    /// Since when, in milliseconds since the Unix epoch.
    pub given_at: i64,
}
