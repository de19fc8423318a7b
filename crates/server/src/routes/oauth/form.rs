// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Parameters as OAuth sends them: in a form, or in a query.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use protocol::Code;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::OAuthError;
use crate::gateway::arrived;

/// The parameters of a request. Each stands there at most once (RFC 6749, section 3.1); one without a value counts as left out.
/// They are secrets in part: gone from memory when dropped, and nothing prints them.
pub(crate) struct Form(BTreeMap<String, Zeroizing<String>>);

impl Form {
    /// Reads parameters.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, OAuthError> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text) {
            let before = parameters.insert(name.into_owned(), Zeroizing::new(value.into_owned()));
            if before.is_some() {
                return Err(OAuthError::invalid_request("a parameter stands there twice"));
            }
        }
        parameters.retain(|_, value| !value.is_empty());
        Ok(Form(parameters))
    }

    /// A parameter, if it is there.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.as_str())
    }

    /// A parameter that must be there.
    pub(crate) fn required(&self, name: &'static str) -> Result<&str, OAuthError> {
        self.one(name).ok_or_else(|| OAuthError::invalid_request(format_args!("{name} is missing")))
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = OAuthError;

    async fn from_request(request: Request, _: &S) -> Result<Self, OAuthError> {
        let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.and_then(|value| value.split(';').next()).map(str::trim);
        if !media_type.is_some_and(|value| value.eq_ignore_ascii_case(FORM)) {
            return Err(OAuthError::invalid_request("send application/x-www-form-urlencoded"));
        }
        let body = arrived(axum::body::to_bytes(request.into_body(), LONGEST)).await.map_err(|error| {
            if error.code() == Code::TooLarge {
                return OAuthError::invalid_request("the form is too long");
            }
            OAuthError::from(error)
        })?;
        Form::parse(&body)
    }
}

/// The parameters of a query.
pub(crate) struct Parameters(pub(crate) Form);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = OAuthError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, OAuthError> {
        let query = parts.uri.query().unwrap_or_default();
        if query.len() > LONGEST {
            return Err(OAuthError::invalid_request("the query is too long"));
        }
        Form::parse(query.as_bytes()).map(Parameters)
    }
}

const FORM: &str = "application/x-www-form-urlencoded";
/// The longest form, in bytes: a sealed request and a signed assertion fit.
const LONGEST: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_stands_there_once_and_is_not_there_without_a_value() {
        let form = Form::parse(b"scope=a+b&state=&code=%26").ok().unwrap();
        assert_eq!((form.one("scope"), form.one("state"), form.one("code")), (Some("a b"), None, Some("&")));
        assert!(Form::parse(b"code=a&code=b").is_err());
        assert!(Form::parse(b"code=a&code=").is_err());
        assert!(form.required("state").is_err());
    }
}
