// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Clients: applications of a tenant that get tokens.
//!
//! A client's terms are sealed under the tenant's key, its secret's hash among them: who can write the database but has no
//! root key adds no redirect URI, no scope and no secret.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use store::{ReadTx, TenantId, TenantKind, WriteTx, params};
use url::Url;
use uuid::Uuid;

use super::assertion::ClientKeys;
use super::secret::{CLIENT_SECRET, Shown, hash_of, new_secret, same};
use super::{ClientId, Provider, ProviderError, RedirectUri, ScopeSet, TokenAlgorithm};

/// How many clients a tenant has at most.
pub const MAX_CLIENTS: i64 = 1_000;
/// How many redirect URIs, resources or audiences a client has at most.
pub const MAX_URIS: usize = 32;
/// The longest name, in characters.
const MAX_NAME: usize = 200;

/// A client as it is registered.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its id in its tenant.
    pub id: ClientId,
    /// What it may do.
    pub terms: ClientTerms,
    /// Since when, in Unix milliseconds.
    pub created_at: i64,
    /// Who made it, as records name them.
    pub created_by: String,
}

/// What a client is called and what it may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientTerms {
    /// What people see when they are asked for their consent.
    pub name: String,
    /// How it proves that it is the one.
    pub authentication: Authentication,
    /// By which ways it gets tokens.
    pub grants: BTreeSet<GrantType>,
    /// Where browsers are sent back to.
    pub redirect_uris: Vec<RedirectUri>,
    /// Where browsers are sent after signing out.
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    /// Where it is told that somebody is signed out of it (OpenID Connect Back-Channel Logout 1.0).
    #[serde(default)]
    pub backchannel_logout_uri: Option<String>,
    /// The scopes that it may ask for.
    pub scopes: ScopeSet,
    /// The resources that it may ask tokens for (RFC 8707), the first by default; Bailiwick's own routes if there are none.
    pub resources: Vec<String>,
    /// The resources that it is: it may introspect the tokens for these.
    pub serves: Vec<String>,
    /// The service account that it speaks for by itself.
    #[serde(with = "super::as_text::option")]
    pub service_account: Option<Uuid>,
    /// Whether it gets only tokens that are bound to a key of its own (RFC 9449, section 5.2).
    pub bound_to_key: bool,
    /// By what its access tokens are signed.
    pub algorithm: TokenAlgorithm,
}

/// How a client proves that it is the one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authentication {
    /// It cannot keep a secret: a page in a browser, a program on somebody's computer. PKCE alone.
    Public,
    /// By a secret, of which the hash is kept (base64url).
    Secret {
        /// SHA-256 of the secret.
        hash: String,
    },
    /// By a signed assertion (RFC 7523), verified with these keys.
    PrivateKeyJwt {
        /// Its public keys.
        keys: ClientKeys,
    },
}

/// A way to get tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// Somebody consents in a browser or by the command line (OAuth 2.1, section 4.1).
    AuthorizationCode,
    /// Again, by the refresh token (section 4.3).
    RefreshToken,
    /// For itself (section 4.2).
    ClientCredentials,
    /// Somebody consents on another device (RFC 8628).
    DeviceCode,
    /// In place of another token, for less (RFC 8693).
    TokenExchange,
    /// By a member's plain password, where the tenant allows that; at a route of its own, since OAuth 2.1 has no such grant.
    Password,
}

impl GrantType {
    /// Those of the token endpoint.
    pub const OAUTH: [Self; 5] = [
        Self::AuthorizationCode,
        Self::RefreshToken,
        Self::ClientCredentials,
        Self::DeviceCode,
        Self::TokenExchange,
    ];

    /// The value of `grant_type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
            Self::Password => "password",
        }
    }
}

impl FromStr for GrantType {
    type Err = ProviderError;

    fn from_str(name: &str) -> Result<Self, ProviderError> {
        // The long names have short ones for people.
        let short = match name {
            "device_code" => Some(Self::DeviceCode),
            "token_exchange" => Some(Self::TokenExchange),
            "password" => Some(Self::Password),
            _ => None,
        };
        short.or_else(|| Self::OAUTH.into_iter().find(|grant| grant.name() == name)).ok_or_else(|| {
            ProviderError::invalid(
                "grants",
                "expected authorization_code, refresh_token, client_credentials, device_code, token_exchange or password",
            )
        })
    }
}

/// How a client to be made proves that it is the one.
#[derive(Clone, Debug)]
pub enum NewAuthentication {
    /// PKCE alone.
    Public,
    /// By a secret that is made now.
    Secret,
    /// By assertions that these keys verify.
    PrivateKeyJwt(ClientKeys),
}

/// What stands in `client_id`: the client, and the tenant to look it up in. Anybody may write any tenant here: it says where to
/// look, and nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress {
    /// The tenant.
    pub tenant: TenantId,
    /// The client in it.
    pub client: ClientId,
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.client, self.tenant.uuid().simple())
    }
}

impl FromStr for ClientAddress {
    type Err = ProviderError;

    fn from_str(text: &str) -> Result<Self, ProviderError> {
        let (client, tenant) = text.split_once('.').ok_or(ProviderError::Client)?;
        let tenant: TenantId = format!("ten_{tenant}").parse().map_err(|_| ProviderError::Client)?;
        if tenant.kind() != TenantKind::Customer {
            return Err(ProviderError::Client);
        }
        Ok(ClientAddress { tenant, client: client.parse().map_err(|_| ProviderError::Client)? })
    }
}

/// What a request shows of its client.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    /// Its id alone.
    None,
    /// A secret.
    Secret(&'a str),
    /// A signed assertion.
    Assertion(&'a str),
}

impl ClientTerms {
    /// Whether it may get tokens this way.
    pub fn may(&self, grant: GrantType) -> Result<(), ProviderError> {
        if self.grants.contains(&grant) {
            return Ok(());
        }
        Err(ProviderError::Unauthorized("this client may not get tokens in this way"))
    }

    /// The redirect URI that was asked for, when it is one of the client's.
    pub fn redirects_to(&self, asked: &str) -> bool {
        self.redirect_uris.iter().any(|uri| uri.allows(asked))
    }

    /// The scopes that were asked for, all of which it may ask for.
    pub fn scopes_of(&self, asked: Option<&str>) -> Result<ScopeSet, ProviderError> {
        let asked: ScopeSet = asked
            .unwrap_or_default()
            .parse()
            .map_err(|_| ProviderError::Scope("the scopes cannot be read"))?;
        if asked.is_within(&self.scopes) {
            return Ok(asked);
        }
        Err(ProviderError::Scope("this client may not ask for one of these scopes"))
    }

    /// The resource that was asked for, or the one by default.
    pub fn resource_of(&self, asked: Option<&str>, default: &str) -> Result<String, ProviderError> {
        match (asked, self.resources.first()) {
            (None, Some(first)) => Ok(first.clone()),
            (None, None) => Ok(default.to_owned()),
            (Some(asked), Some(_)) if self.resources.iter().any(|resource| resource == asked) => {
                Ok(asked.to_owned())
            }
            (Some(asked), None) if asked == default => Ok(asked.to_owned()),
            (Some(_), _) => Err(ProviderError::Target),
        }
    }

    /// Whether its tokens may be for this resource: it may have been registered for other ones since.
    pub fn is_for(&self, resource: &str, default: &str) -> bool {
        self.resource_of(Some(resource), default).is_ok()
    }

    fn check(&self) -> Result<(), ProviderError> {
        let name = self.name.as_str();
        if !(1..=MAX_NAME).contains(&name.chars().count())
            || name.trim() != name
            || name.chars().any(char::is_control)
        {
            let why = "a name has 1 to 200 characters, no control characters, and no space at either end";
            return Err(ProviderError::invalid("name", why));
        }
        let has = |grant| self.grants.contains(&grant);
        if self.authentication == Authentication::Public
            && (has(GrantType::ClientCredentials)
                || has(GrantType::TokenExchange)
                || has(GrantType::Password)
                || !self.serves.is_empty())
        {
            let why =
                "a public client gets tokens for people who consent: anything else needs a secret or keys";
            return Err(ProviderError::invalid("grants", why));
        }
        if has(GrantType::AuthorizationCode) == self.redirect_uris.is_empty() {
            let why = "authorization_code needs redirect URIs, and redirect URIs need it";
            return Err(ProviderError::invalid("redirect_uris", why));
        }
        let for_people = [GrantType::AuthorizationCode, GrantType::DeviceCode, GrantType::Password];
        if has(GrantType::RefreshToken) && !for_people.into_iter().any(has) {
            let why = "refresh_token goes with authorization_code, device_code or password";
            return Err(ProviderError::invalid("grants", why));
        }
        if has(GrantType::ClientCredentials) != self.service_account.is_some() {
            let why =
                "client_credentials needs the service account that the client speaks for, and only that does";
            return Err(ProviderError::invalid("service_account", why));
        }
        if matches!(self.algorithm, TokenAlgorithm::Shared(_)) {
            let why = "HS256 is for a client with a secret or keys, and for resources of your own: say which";
            if self.authentication == Authentication::Public || self.resources.is_empty() {
                return Err(ProviderError::invalid("token_signing_alg", why));
            }
        }
        if self.grants.is_empty() && self.serves.is_empty() {
            return Err(ProviderError::invalid(
                "grants",
                "it gets no tokens and introspects none: say which",
            ));
        }
        let lists = [
            ("redirect_uris", self.redirect_uris.len()),
            ("post_logout_redirect_uris", self.post_logout_redirect_uris.len()),
            ("resources", self.resources.len()),
            ("serves", self.serves.len()),
        ];
        if let Some((field, _)) = lists.into_iter().find(|(_, length)| *length > MAX_URIS) {
            return Err(ProviderError::invalid(field, "at most 32"));
        }
        for (field, resources) in [("resources", &self.resources), ("serves", &self.serves)] {
            if !resources.iter().all(|resource| is_resource(resource)) {
                return Err(ProviderError::invalid(field, "absolute URIs without a fragment (RFC 8707)"));
            }
        }
        Ok(())
    }
}

fn is_resource(text: &str) -> bool {
    text.len() <= 500
        && Url::parse(text).is_ok_and(|url| url.fragment().is_none())
        && !text.contains(char::is_control)
}

type Row = (Uuid, Vec<u8>, i64, String);

impl Provider {
    /// The clients of the tenant, the oldest first.
    pub async fn clients(&self, tx: &mut ReadTx) -> Result<Vec<Client>, ProviderError> {
        let rows: Vec<Row> = tx
            .query(
                "SELECT id, sealed, created_at, created_by FROM oauth_client ORDER BY created_at, id",
                params![],
            )
            .await?;
        let mut clients = Vec::with_capacity(rows.len());
        for row in rows {
            clients.push(self.open_client(tx, row).await?);
        }
        Ok(clients)
    }

    /// One client.
    ///
    /// # Errors
    /// [`ProviderError::NotFound`].
    pub async fn client(&self, tx: &mut ReadTx, id: ClientId) -> Result<Client, ProviderError> {
        let row: Option<Row> = tx
            .query_opt(
                "SELECT id, sealed, created_at, created_by FROM oauth_client WHERE id = $1",
                params![&id],
            )
            .await?;
        self.open_client(tx, row.ok_or(ProviderError::NotFound)?).await
    }

    /// Makes a client. Its secret, if it has one, is shown this once. The authentication that the terms say is replaced by the
    /// one that is asked for.
    ///
    /// # Errors
    /// [`ProviderError::Invalid`], [`ProviderError::TooMany`].
    pub async fn create_client(
        &self,
        tx: &mut WriteTx,
        mut terms: ClientTerms,
        authentication: NewAuthentication,
        by: &str,
    ) -> Result<(Client, Option<Shown>), ProviderError> {
        let (authentication, secret) = match authentication {
            NewAuthentication::Public => (Authentication::Public, None),
            NewAuthentication::PrivateKeyJwt(keys) => (Authentication::PrivateKeyJwt { keys }, None),
            NewAuthentication::Secret => {
                let (secret, hash) = new_secret(CLIENT_SECRET);
                (Authentication::Secret { hash: BASE64URL_NOPAD.encode(&hash) }, Some(secret))
            }
        };
        terms.authentication = authentication;
        terms.check()?;
        let (count,): (i64,) = tx.query_one("SELECT count(*) FROM oauth_client", params![]).await?;
        if count >= MAX_CLIENTS {
            return Err(ProviderError::TooMany("a tenant has at most 1,000 clients"));
        }
        let (id, now) = (ClientId::random(), tx.now());
        let sealed = self.seal_client(tx, id, &terms).await?;
        tx.execute(
            "INSERT INTO oauth_client (id, sealed, created_at, created_by, changed_at) VALUES ($1, $2, $3, $4, $3)",
            params![&id, &sealed, now, by],
        )
        .await?;
        Ok((Client { id, terms, created_at: now, created_by: by.to_owned() }, secret))
    }

    /// Changes what a client may ask for. How it proves itself changes by other keys alone.
    ///
    /// # Errors
    /// [`ProviderError::NotFound`], [`ProviderError::Invalid`].
    pub async fn change_client(
        &self,
        tx: &mut WriteTx,
        id: ClientId,
        terms: ClientTerms,
    ) -> Result<Client, ProviderError> {
        let client = self.client(tx, id).await?;
        terms.check()?;
        // What somebody allowed was a client that sends them back there, and asks for that: another one asks again.
        let leads_elsewhere = terms.redirect_uris.iter().any(|uri| !client.terms.redirect_uris.contains(uri))
            || terms.resources != client.terms.resources;
        if leads_elsewhere {
            tx.execute("DELETE FROM oauth_consent WHERE client = $1", params![&id]).await?;
        }
        let client = Client { terms, ..client };
        self.store_client(tx, &client).await?;
        Ok(client)
    }

    /// Gives a client another secret; the one before is worth nothing from then on.
    ///
    /// # Errors
    /// [`ProviderError::NotFound`], [`ProviderError::Invalid`] for a client that has none.
    pub async fn rotate_secret(&self, tx: &mut WriteTx, id: ClientId) -> Result<Shown, ProviderError> {
        let mut client = self.client(tx, id).await?;
        if !matches!(client.terms.authentication, Authentication::Secret { .. }) {
            return Err(ProviderError::invalid("client", "this client has no secret"));
        }
        let (secret, hash) = new_secret(CLIENT_SECRET);
        client.terms.authentication = Authentication::Secret { hash: BASE64URL_NOPAD.encode(&hash) };
        self.store_client(tx, &client).await?;
        Ok(secret)
    }

    /// Deletes a client at once, with all that was granted through it and all consents to it.
    ///
    /// # Errors
    /// [`ProviderError::NotFound`].
    pub async fn delete_client(&self, tx: &mut WriteTx, id: ClientId) -> Result<(), ProviderError> {
        if tx.execute("DELETE FROM oauth_client WHERE id = $1", params![&id]).await? == 0 {
            return Err(ProviderError::NotFound);
        }
        tx.execute("DELETE FROM oauth_grant WHERE client = $1", params![&id]).await?;
        tx.execute("DELETE FROM oauth_consent WHERE client = $1", params![&id]).await?;
        Ok(())
    }

    /// Whether the request comes from this client.
    ///
    /// # Errors
    /// [`ProviderError::Client`]: what was shown is not what the client was registered to show.
    pub fn authenticate(
        &self,
        client: &Client,
        address: &ClientAddress,
        proof: Proof<'_>,
        now_ms: i64,
    ) -> Result<Option<super::assertion::Used>, ProviderError> {
        match (&client.terms.authentication, proof) {
            (Authentication::Public, Proof::None) => Ok(None),
            (Authentication::Secret { hash }, Proof::Secret(shown)) => {
                let kept = BASE64URL_NOPAD.decode(hash.as_bytes()).unwrap_or_default();
                match hash_of(CLIENT_SECRET, shown) {
                    Some(found) if same(&found, &kept) => Ok(None),
                    _ => Err(ProviderError::Client),
                }
            }
            (Authentication::PrivateKeyJwt { keys }, Proof::Assertion(assertion)) => {
                let audiences = [self.issuer().to_owned(), format!("{}/oauth/token", self.issuer())];
                keys.verify(assertion, &address.to_string(), &audiences, now_ms).map(Some)
            }
            _ => Err(ProviderError::Client),
        }
    }

    pub(super) async fn store_client(&self, tx: &mut WriteTx, client: &Client) -> Result<(), ProviderError> {
        let sealed = self.seal_client(tx, client.id, &client.terms).await?;
        let now = tx.now();
        tx.execute(
            "UPDATE oauth_client SET sealed = $2, changed_at = $3 WHERE id = $1",
            params![&client.id, &sealed, now],
        )
        .await?;
        Ok(())
    }

    async fn seal_client(
        &self,
        tx: &mut ReadTx,
        id: ClientId,
        terms: &ClientTerms,
    ) -> Result<Vec<u8>, ProviderError> {
        let plain = serde_json::to_vec(terms).map_err(|_| ProviderError::Unreadable("a client"))?;
        Ok(self.keys(tx).await?.seal(CLIENT, &[id.as_bytes()], &plain))
    }

    async fn open_client(
        &self,
        tx: &mut ReadTx,
        (id, sealed, created_at, created_by): Row,
    ) -> Result<Client, ProviderError> {
        let unreadable = ProviderError::Unreadable("a client");
        let opened = self.keys(tx).await?.open(CLIENT, &[id.as_bytes()], &sealed);
        let Ok(terms) = serde_json::from_slice(&opened.map_err(|_| ProviderError::Unreadable("a client"))?)
        else {
            return Err(unreadable);
        };
        Ok(Client { id: ClientId::from_uuid(id), terms, created_at, created_by })
    }
}

/// What a client's terms are sealed as, with its id.
const CLIENT: &str = "tokens/client";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SigningAlgorithm;

    #[test]
    fn an_address_reads_back_and_leads_into_customers_tenants_only() {
        let address = ClientAddress { tenant: TenantId::customer(), client: ClientId::random() };
        assert_eq!(address.to_string().parse::<ClientAddress>().unwrap(), address);
        for tenant in [TenantId::random(), TenantId::PLATFORM] {
            assert!(ClientAddress { tenant, ..address }.to_string().parse::<ClientAddress>().is_err());
        }
        for wrong in ["", "bailiwick", "cli_", &address.to_string().to_uppercase(), &format!("{address}0")] {
            assert!(wrong.parse::<ClientAddress>().is_err(), "{wrong}");
        }
    }

    fn terms(grants: &[GrantType]) -> ClientTerms {
        ClientTerms {
            name: "App".to_owned(),
            authentication: Authentication::Secret { hash: String::new() },
            grants: grants.iter().copied().collect(),
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            backchannel_logout_uri: None,
            scopes: "openid read".parse().unwrap(),
            resources: Vec::new(),
            serves: Vec::new(),
            service_account: None,
            bound_to_key: false,
            algorithm: TokenAlgorithm::Server(SigningAlgorithm::EdDsa),
        }
    }

    #[test]
    fn a_client_that_makes_no_sense_is_not_made() {
        let field = |terms: &ClientTerms| match terms.check() {
            Ok(()) => "",
            Err(ProviderError::Invalid { field, .. }) => field,
            Err(_) => "another error",
        };
        let redirect = RedirectUri::parse("https://app.example/cb").unwrap();
        let code = ClientTerms {
            redirect_uris: vec![redirect],
            ..terms(&[GrantType::AuthorizationCode, GrantType::RefreshToken])
        };
        assert_eq!(field(&code), "");
        assert_eq!(field(&terms(&[GrantType::AuthorizationCode])), "redirect_uris");
        assert_eq!(field(&terms(&[GrantType::RefreshToken])), "grants");
        assert_eq!(field(&terms(&[])), "grants");
        assert_eq!(field(&terms(&[GrantType::ClientCredentials])), "service_account");
        let machine =
            ClientTerms { service_account: Some(Uuid::nil()), ..terms(&[GrantType::ClientCredentials]) };
        assert_eq!(field(&machine), "");
        assert_eq!(field(&ClientTerms { authentication: Authentication::Public, ..machine }), "grants");
        assert_eq!(field(&ClientTerms { name: " App".to_owned(), ..code.clone() }), "name");
        assert_eq!(field(&ClientTerms { resources: vec!["api".to_owned()], ..code }), "resources");
    }

    #[test]
    fn nothing_is_asked_for_beyond_what_was_registered() {
        let terms = ClientTerms { resources: vec!["https://api.example".to_owned()], ..terms(&[]) };
        assert_eq!(terms.scopes_of(Some("read")).unwrap().to_string(), "read");
        assert!(terms.scopes_of(Some("read write")).is_err());
        assert_eq!(terms.resource_of(None, "https://id.example").unwrap(), "https://api.example");
        assert!(terms.resource_of(Some("https://id.example"), "https://id.example").is_err());
        assert!(terms.resource_of(Some("https://api.example/"), "https://id.example").is_err());
    }
}
