// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which domain passkeys are bound to, and from which pages they may be used: what the configuration says of it.
//!
//! Without a word about it, the domain is the host of `public_url`, and the page's origin is that URL's. A server that is
//! reached on this machine alone is `localhost`. One that is reached by the address of a network takes no passkeys:
//! browsers bind them to names.

use std::net::IpAddr;

use axum::http::Uri;
use identity::{RelyingParty, RelyingPartyError};

use crate::config::{Config, ConfigError, Warning};

/// The relying party of this configuration; or why there is none, when the server has no name.
///
/// # Errors
/// Says which setting cannot be used.
pub(crate) fn of(config: &Config) -> Result<Result<RelyingParty, Warning>, ConfigError> {
    let own = place(&config.url());
    let domain = match &own {
        _ if !config.passkey_domain.is_empty() => config.passkey_domain.clone(),
        Some((host, _)) => host.clone(),
        None => {
            let why = "it has no domain that passkeys could be bound to, so nobody can add or use one: \
                       set the URL with the name under which people reach the server";
            return Ok(Err(Warning { setting: "public_url".into(), why: why.into() }));
        }
    };
    let origins = own.into_iter().map(|(_, origin)| origin).chain(config.passkey_origins.iter().cloned());
    RelyingParty::new(&domain, origins).map(Ok).map_err(|error| {
        let setting = match &error {
            RelyingPartyError::NoDomain(_) if config.passkey_domain.is_empty() => "public_url",
            RelyingPartyError::Origin { origin, .. } if config.passkey_origins.contains(origin) => {
                "passkey_origins"
            }
            RelyingPartyError::NoOrigin => "passkey_origins",
            _ => "passkey_domain",
        };
        ConfigError::Refused { setting, why: error.to_string() }
    })
}

/// The host of a URL and its origin, when the host is a name or this machine.
fn place(url: &str) -> Option<(String, String)> {
    let uri: Uri = url.parse().ok()?;
    let host = uri.host()?.to_ascii_lowercase();
    let host = match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(address) if address.is_loopback() => "localhost".to_owned(),
        Ok(_) => return None,
        Err(_) => host,
    };
    let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    let origin = format!("{}://{host}{port}", uri.scheme_str()?);
    Some((host, origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(public_url: &str, domain: &str, origins: &[&str]) -> Result<Option<RelyingParty>, &'static str> {
        let config = Config {
            public_url: public_url.into(),
            passkey_domain: domain.into(),
            passkey_origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
            ..Config::default()
        };
        match of(&config) {
            Ok(found) => Ok(found.ok()),
            Err(ConfigError::Refused { setting, .. }) => Err(setting),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn passkeys_are_bound_to_the_public_name_and_to_localhost_without_one() {
        let party = found("https://id.example.com:8443", "", &[]).unwrap().unwrap();
        assert_eq!(
            (party.id(), party.origins()),
            ("id.example.com", &["https://id.example.com:8443".to_owned()][..])
        );
        let party = found("", "", &[]).unwrap().unwrap();
        assert_eq!((party.id(), party.origins()), ("localhost", &["http://localhost:7341".to_owned()][..]));
        let party = found("http://[::1]:80", "", &[]).unwrap().unwrap();
        assert_eq!((party.id(), party.origins()), ("localhost", &["http://localhost".to_owned()][..]));
    }

    #[test]
    fn a_domain_above_and_other_origins_can_be_named() {
        let party =
            found("https://id.example.com", "example.com", &["https://app.example.com"]).unwrap().unwrap();
        assert_eq!(party.id(), "example.com");
        assert_eq!(party.origins(), ["https://id.example.com", "https://app.example.com"]);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_the_name_of_its_setting() {
        assert_eq!(found("https://203.0.113.7", "", &[]), Ok(None));
        assert_eq!(found("https://intranet", "", &[]), Err("public_url"));
        assert_eq!(found("https://id.example.com", "other.org", &[]), Err("passkey_domain"));
        assert_eq!(found("https://id.example.com", "com", &[]), Err("passkey_domain"));
        assert_eq!(found("https://id.example.com", "", &["https://evil.org"]), Err("passkey_origins"));
        assert_eq!(found("https://id.example.com", "", &["http://id.example.com"]), Err("passkey_origins"));
        assert_eq!(found("https://203.0.113.7", "example.com", &[]), Err("passkey_origins"));
    }
}
