// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The routes of OAuth 2.1 and OpenID Connect, in the forms that these prescribe: forms in, JSON or redirects out, errors as in
//! RFC 6749, section 5.2. Whoever asks as a client proves it here ([`Asking`]); what they get, the tenant's policies decide.

pub(crate) mod authorize;
pub(crate) mod consent;
pub(crate) mod consents;
pub(crate) mod device;
pub(crate) mod discovery;
mod error;
mod form;
pub(crate) mod inspect;
pub(crate) mod logout;
mod pending;
pub(crate) mod plain;
pub(crate) mod revocations;
pub(crate) mod token;
pub(crate) mod userinfo;

use access::Who;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use data_encoding::BASE64;
use protocol::Code;
use store::ReadTx;
use tokens::oauth::{Client, ClientAddress, Proof, Used};
use url::form_urlencoded;
use zeroize::Zeroizing;

pub(crate) use self::error::OAuthError;
pub(crate) use self::form::Form;
use crate::caller::client::Noted;
use crate::caller::{Visitor, look};
use crate::error::ApiError;
use crate::state::App;

/// A client that proved that it is the one.
pub(crate) struct Asking {
    pub(crate) address: ClientAddress,
    pub(crate) client: Client,
    /// The assertion that it showed, to be used up.
    pub(crate) used: Option<Used>,
}

impl Asking {
    /// The client that a request comes from: by `client_secret_basic`, `client_secret_post`, `private_key_jwt` or, for public
    /// ones, by its id alone. One way at a time (RFC 6749, section 2.3).
    pub(crate) async fn of(
        app: &App,
        visitor: &Visitor,
        headers: &HeaderMap,
        form: &Form,
    ) -> Result<Self, OAuthError> {
        let basic = basic(headers)?;
        let (named, secret) = (form.one("client_id"), form.one("client_secret"));
        let assertion = form.one("client_assertion");
        if assertion.is_some() && form.one("client_assertion_type") != Some(JWT_BEARER) {
            return Err(OAuthError::invalid_request(
                "client_assertion_type is not the one for JWTs (RFC 7523)",
            ));
        }
        let (id, proof) = match (&basic, secret, assertion) {
            (Some((id, secret)), None, None) => (id.as_str(), Proof::Secret(secret)),
            (None, Some(secret), None) => (named.unwrap_or_default(), Proof::Secret(secret)),
            (None, None, Some(assertion)) => match named {
                Some(id) => (id, Proof::Assertion(assertion)),
                None => return Err(OAuthError::invalid_request("client_id is missing")),
            },
            (None, None, None) => (named.unwrap_or_default(), Proof::None),
            _ => return Err(OAuthError::invalid_request("the client proves itself in more than one way")),
        };
        if named.is_some_and(|named| named != id) {
            return Err(OAuthError::invalid_request(
                "client_id is another one than in the Authorization header",
            ));
        }
        let unknown = || OAuthError::client(basic.is_some());
        let address: ClientAddress = id.parse().map_err(|_| unknown())?;
        let (_, client) = client(app, visitor, address).await?.ok_or_else(unknown)?;
        let used = app.provider.authenticate(&client, &address, proof, app.now()).map_err(|_| unknown())?;
        // Whoever sees one on its way has nothing by it.
        if let Some(used) = &used {
            match app.assertions.note(app.now(), used) {
                Noted::First => {}
                Noted::Again => return Err(unknown()),
                Noted::Full => return Err(ApiError::new(Code::Unavailable).into()),
            }
        }
        // Anybody can say that they are a public client.
        if client.terms.authentication != tokens::oauth::Authentication::Public
            && let Some(passage) = visitor.caller.passage()
        {
            let actor = address.client.to_string();
            passage.came(Who { actor, via: String::new(), own: address.tenant });
        }
        Ok(Asking { address, client, used })
    }

    /// Refuses clients that cannot keep a secret.
    pub(crate) fn confidential(self) -> Result<Self, OAuthError> {
        if self.client.terms.authentication == tokens::oauth::Authentication::Public {
            return Err(OAuthError::new("unauthorized_client", "a public client may not do this"));
        }
        Ok(self)
    }
}

/// The client of this address, with a view of its tenant; nothing when there is none.
pub(crate) async fn client(
    app: &App,
    visitor: &Visitor,
    address: ClientAddress,
) -> Result<Option<(ReadTx, Client)>, OAuthError> {
    let mut tx = match look(&app.access, visitor, address.tenant).await {
        Err(error) if error.code() == Code::SessionEnded => return Ok(None),
        other => other?,
    };
    match app.provider.client(&mut tx, address.client).await {
        Ok(client) => Ok(Some((tx, client))),
        Err(tokens::oauth::ProviderError::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Id and secret of an `Authorization: Basic` header, each encoded as in a form (RFC 6749, section 2.3.1).
fn basic(headers: &HeaderMap) -> Result<Option<(String, Zeroizing<String>)>, OAuthError> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let wrong = || OAuthError::client(true);
    let text = value.to_str().map_err(|_| wrong())?;
    let (scheme, encoded) = text.split_once(' ').ok_or_else(wrong)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(wrong());
    }
    let bytes = Zeroizing::new(BASE64.decode(encoded.trim().as_bytes()).map_err(|_| wrong())?);
    let pair = std::str::from_utf8(&bytes).map_err(|_| wrong())?;
    let (id, secret) = pair.split_once(':').ok_or_else(wrong)?;
    Ok(Some((decoded(id), Zeroizing::new(decoded(secret)))))
}

/// A value as it was before it was encoded for a form: the name of a form's only field.
fn decoded(text: &str) -> String {
    // A separator would make two fields of it; none of ours has one.
    form_urlencoded::parse(text.as_bytes()).next().map_or_else(String::new, |(value, _)| value.into_owned())
}

/// The type of an assertion that is a JWT (RFC 7523, section 2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
