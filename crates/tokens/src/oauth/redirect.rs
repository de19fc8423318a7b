// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where a browser is sent back to.
//!
//! A redirect URI is compared letter by letter with those that were registered (OAuth 2.1, section 4.1.1): no prefix, no
//! wildcard, no normalisation. The one difference that is allowed is the port of a loopback address, which a native
//! application gets from its system when it starts (RFC 8252, section 7.3).

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// A redirect URI as it was registered: an absolute URI in its one spelling, without a fragment and without a name or a
/// password in it; `https`, or `http` on this machine, or an application's own scheme.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RedirectUri(String);

/// A text that is no redirect URI.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectUriError {
    /// Not an absolute URI.
    #[error("expected an absolute URI of at most {LONGEST} bytes")]
    Malformed,
    /// There is another spelling of it, which is the one.
    #[error("write it as {0}")]
    Spelling(String),
    /// It has a fragment, or a name or password in it.
    #[error("a redirect URI has no fragment, and no name or password in it")]
    Extra,
    /// Plain HTTP to another machine, or a scheme that is not an application's own.
    #[error(
        "expected https://, or http:// on 127.0.0.1, [::1] or localhost, or an application's own scheme with a dot in it"
    )]
    Scheme,
}

impl RedirectUri {
    /// Takes a text as a redirect URI.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, RedirectUriError> {
        if text.len() > LONGEST {
            return Err(RedirectUriError::Malformed);
        }
        let url = Url::parse(text).map_err(|_| RedirectUriError::Malformed)?;
        if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            return Err(RedirectUriError::Extra);
        }
        let is_allowed = match url.scheme() {
            "https" => true,
            "http" => is_loopback(&url) || url.host() == Some(Host::Domain("localhost")),
            // Private-use schemes are reversed domain names (RFC 8252, section 7.1): `javascript:` and its like have no dot.
            scheme => scheme.contains('.'),
        };
        if !is_allowed {
            return Err(RedirectUriError::Scheme);
        }
        if url.as_str() != text {
            return Err(RedirectUriError::Spelling(url.into()));
        }
        Ok(RedirectUri(text.to_owned()))
    }

    /// The URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is what was registered; of a loopback address, with any port.
    pub fn allows(&self, asked: &str) -> bool {
        if self.0 == asked {
            return true;
        }
        let (Ok(registered), Ok(mut asked_url)) = (Url::parse(&self.0), Url::parse(asked)) else {
            return false;
        };
        if !is_loopback(&registered) || registered.scheme() != "http" || asked_url.as_str() != asked {
            return false;
        }
        asked_url.set_port(registered.port()).is_ok() && asked_url == registered
    }
}

/// A loopback address, not a name that may be resolved to another one.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(_)) | None => false,
    }
}

/// The URI with these parameters added to its query.
pub(crate) fn with_parameters(uri: &str, parameters: &[(&str, &str)]) -> Option<String> {
    let mut url = Url::parse(uri).ok()?;
    url.query_pairs_mut().extend_pairs(parameters);
    Some(url.into())
}

const LONGEST: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> RedirectUri {
        RedirectUri::parse(text).unwrap()
    }

    #[test]
    fn only_the_very_same_uri_is_the_one_that_was_registered() {
        let registered = uri("https://app.example/callback?tenant=1");
        assert!(registered.allows("https://app.example/callback?tenant=1"));
        for other in [
            "https://app.example/callback",
            "https://app.example/callback?tenant=1&x=2",
            "https://app.example/callback?tenant=12",
            "https://app.example/callback/?tenant=1",
            "https://app.example/callback/../callback?tenant=1",
            "https://app.example/Callback?tenant=1",
            "https://APP.example/callback?tenant=1",
            "https://app.example:443/callback?tenant=1",
            "https://app.example:444/callback?tenant=1",
            "https://app.example.evil.example/callback?tenant=1",
            "https://app.example@evil.example/callback?tenant=1",
            "https://user@app.example/callback?tenant=1",
            "https://app.example/callback?tenant=1#f",
            "http://app.example/callback?tenant=1",
            "https://app.example\\@evil.example/callback?tenant=1",
            "//app.example/callback?tenant=1",
            "",
        ] {
            assert!(!registered.allows(other), "{other}");
        }
    }

    #[test]
    fn of_a_loopback_address_any_port_is_the_same_and_nothing_else_is() {
        let registered = uri("http://127.0.0.1/callback");
        for same in
            ["http://127.0.0.1/callback", "http://127.0.0.1:1/callback", "http://127.0.0.1:65535/callback"]
        {
            assert!(registered.allows(same), "{same}");
        }
        for other in [
            "http://127.0.0.2:1/callback",
            "http://localhost:1/callback",
            "http://[::1]:1/callback",
            "http://127.1:1/callback",
            "http://127.0.0.1:1/callback/",
            "http://127.0.0.1:1/callback?x",
            "http://127.0.0.1:1/callback#x",
            "http://a@127.0.0.1:1/callback",
            "http://127.0.0.1:70000/callback",
            "https://127.0.0.1:1/callback",
            "http://127.0.0.1:1@evil.example/callback",
        ] {
            assert!(!registered.allows(other), "{other}");
        }
        assert!(
            !uri("http://localhost:8080/cb").allows("http://localhost:8081/cb"),
            "a name may lead elsewhere"
        );
        assert!(!uri("https://127.0.0.1/cb").allows("https://127.0.0.1:8443/cb"));
        assert!(uri("http://[::1]:9/cb").allows("http://[::1]:10/cb"));
    }

    #[test]
    fn what_could_lead_elsewhere_is_not_registered() {
        for good in ["https://app.example/", "com.example.app:/callback", "http://localhost:3000/cb"] {
            assert!(RedirectUri::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "data:text/html,x",
            "http://app.example/cb",
            "https://app.example/cb#",
            "https://u:p@app.example/cb",
            "https://app.example",
            "https://APP.example/",
            "https://app.example/a/../b",
            "/callback",
            "https://",
            &format!("https://app.example/{}", "a".repeat(LONGEST)),
        ] {
            assert!(RedirectUri::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(
            RedirectUri::parse("https://app.example"),
            Err(RedirectUriError::Spelling("https://app.example/".to_owned()))
        );
    }

    #[test]
    fn parameters_are_added_and_cannot_break_out() {
        let full = with_parameters("https://app.example/cb?a=1", &[("state", "x&code=y#z"), ("code", "c")]);
        assert_eq!(full.as_deref(), Some("https://app.example/cb?a=1&state=x%26code%3Dy%23z&code=c"));
        let own = with_parameters("com.example.app:/cb", &[("code", "c")]);
        assert_eq!(own.as_deref(), Some("com.example.app:/cb?code=c"));
    }
}
