// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whom passkeys are made for: a domain, and the origins that speak for it (WebAuthn Level 3, section 13.4.9).

use crate::service::sha256;

/// A relying party: the domain that passkeys are bound to, and from where they may be used.
///
/// Passkeys live and die with the id: under another one, none that was made before works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelyingParty {
    id: String,
    origins: Vec<String>,
}

impl RelyingParty {
    /// A domain such as `example.com`, and origins such as `https://id.example.com`. Each origin is the domain's own or a
    /// subdomain's, over HTTPS; for `localhost` also over HTTP; or that of an Android app
    /// (`android:apk-key-hash:` and SHA-256 of its certificate in base64url).
    ///
    /// # Errors
    /// Says what is wrong with the id or which origin does not fit it.
    pub fn new(id: &str, origins: impl IntoIterator<Item = String>) -> Result<Self, RelyingPartyError> {
        if !is_domain(id) {
            return Err(RelyingPartyError::NoDomain(id.to_owned()));
        }
        let mut accepted = Vec::new();
        for origin in origins {
            let origin = without_default_port(&origin).to_owned();
            if !speaks_for(&origin, id) {
                return Err(RelyingPartyError::Origin { origin, id: id.to_owned() });
            }
            if !accepted.contains(&origin) {
                accepted.push(origin);
            }
        }
        if accepted.is_empty() {
            return Err(RelyingPartyError::NoOrigin);
        }
        Ok(Self { id: id.to_owned(), origins: accepted })
    }

    /// The domain.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The origins, as browsers write them.
    pub fn origins(&self) -> &[String] {
        &self.origins
    }

    /// SHA-256 of the domain, as authenticators sign it.
    pub(crate) fn id_hash(&self) -> [u8; 32] {
        sha256(self.id.as_bytes())
    }

    pub(crate) fn is_origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|known| known == origin)
    }
}

/// Why this is no relying party.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelyingPartyError {
    /// The id is not a domain in lower case; an address of a network is none.
    #[error("{0} is not a domain that passkeys can be bound to, such as example.com")]
    NoDomain(String),
    /// The origin does not belong to the id.
    #[error(
        "{origin} is not an origin of {id}: https:// and {id} or a name that ends with .{id}, without a path"
    )]
    Origin {
        /// The origin.
        origin: String,
        /// The id.
        id: String,
    },
    /// Nobody could use a passkey.
    #[error("at least one origin is needed")]
    NoOrigin,
}

fn is_domain(id: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    // The last label of a domain has a letter; that of an IPv4 address has none.
    let is_named =
        id.rsplit('.').next().is_some_and(|last| last.bytes().any(|byte| byte.is_ascii_lowercase()));
    id.len() <= 253
        && is_named
        && id.split('.').all(is_label)
        // One label alone is a public suffix, which browsers refuse, or this machine.
        && (id == LOCALHOST || id.contains('.'))
}

fn speaks_for(origin: &str, id: &str) -> bool {
    if let Some(hash) = origin.strip_prefix("android:apk-key-hash:") {
        return hash.len() == 43 && data_encoding::BASE64URL_NOPAD.decode(hash.as_bytes()).is_ok();
    }
    let host_and_port = match origin.split_once("://") {
        Some(("https", rest)) => rest,
        Some(("http", rest)) if id == LOCALHOST => rest,
        _ => return false,
    };
    let (host, port) = host_and_port.split_once(':').unwrap_or((host_and_port, "1"));
    let is_port = port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port);
    let is_below = || host.strip_suffix(id).is_some_and(|rest| rest.ends_with('.')) && is_domain(host);
    is_port && (host == id || is_below())
}

/// Browsers leave the default port out of an origin (RFC 6454, section 6.2).
fn without_default_port(origin: &str) -> &str {
    match origin.split_once("://") {
        Some(("https", rest)) if rest.ends_with(":443") => origin.trim_end_matches(":443"),
        Some(("http", rest)) if rest.ends_with(":80") => origin.trim_end_matches(":80"),
        _ => origin,
    }
}

const LOCALHOST: &str = "localhost";

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(id: &str, origin: &str) -> bool {
        RelyingParty::new(id, [origin.to_owned()]).is_err()
    }

    #[test]
    fn a_domain_and_its_subdomains_over_https_are_origins() {
        for (id, origin) in [
            ("example.com", "https://example.com"),
            ("example.com", "https://id.example.com:8443"),
            ("example.com", "https://a.b.example.com"),
            ("xn--bcher-kva.example", "https://xn--bcher-kva.example"),
            ("localhost", "http://localhost:7341"),
            ("localhost", "https://localhost"),
            ("example.com", "android:apk-key-hash:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"),
        ] {
            assert!(!is_refused(id, origin), "{id} {origin}");
        }
    }

    #[test]
    fn what_others_could_speak_from_is_refused() {
        for (id, origin) in [
            ("example.com", "http://example.com"),
            ("example.com", "https://example.com.evil.org"),
            ("example.com", "https://evilexample.com"),
            ("example.com", "https://.example.com"),
            ("example.com", "https://example.com/"),
            ("example.com", "https://example.com/path"),
            ("example.com", "https://user@example.com"),
            ("example.com", "https://EXAMPLE.com"),
            ("example.com", "https://example.com:0443"),
            ("example.com", "https://example.com:"),
            ("example.com", "https://org"),
            ("example.com", "null"),
            ("example.com", "android:apk-key-hash:short"),
            ("com", "https://example.com"),
            ("127.0.0.1", "http://127.0.0.1"),
            ("[::1]", "http://[::1]"),
            ("Example.com", "https://Example.com"),
            ("example.com.", "https://example.com."),
            ("", "https://"),
            ("-a.example", "https://-a.example"),
        ] {
            assert!(is_refused(id, origin), "{id} {origin}");
        }
        assert_eq!(RelyingParty::new("example.com", []), Err(RelyingPartyError::NoOrigin));
    }

    #[test]
    fn default_ports_are_written_as_browsers_do() {
        let party = RelyingParty::new("example.com", ["https://example.com:443".to_owned()]).unwrap();
        assert_eq!(party.origins(), ["https://example.com"]);
        assert!(party.is_origin("https://example.com") && !party.is_origin("https://example.com:443"));
    }
}
