// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What of the settings cannot work or is unsafe: all of it, not only the first.

use std::net::IpAddr;
use std::path::Path;

use axum::http::Uri;
use objects::Blobs;

use super::{Config, ConfigError, RequestAudit, Warning};
use crate::relying_party;

/// What came of looking at every setting.
#[derive(Default)]
pub(crate) struct Judged {
    /// What cannot work, or is unsafe in production.
    pub(crate) refusals: Vec<ConfigError>,
    /// What else deserves a word.
    pub(crate) warnings: Vec<Warning>,
}

impl Judged {
    /// Whether something was found wrong with a setting.
    pub(crate) fn has_refused(&self, name: &str) -> bool {
        let is_it =
            |error: &ConfigError| matches!(error, ConfigError::Refused { setting, .. } if *setting == name);
        self.refusals.iter().any(is_it)
    }

    fn refuse(&mut self, setting: &'static str, why: impl Into<String>) {
        self.refusals.push(ConfigError::Refused { setting, why: why.into() });
    }

    fn warn(&mut self, setting: &str, why: impl Into<String>) {
        self.warnings.push(Warning { setting: setting.into(), why: why.into() });
    }

    /// Refuses a file that is named and cannot be read.
    fn readable(&mut self, setting: &'static str, path: &Path) {
        if !path.as_os_str().is_empty()
            && let Err(error) = std::fs::File::open(path)
        {
            self.refuse(setting, format!("{} cannot be read: {error}", path.display()));
        }
    }
}

impl Config {
    /// Judges the settings: what cannot work, or is unsafe in production, is refused, all of it together; the rest that deserves
    /// a word is returned.
    pub fn check(&self) -> Result<Vec<Warning>, ConfigError> {
        let Judged { refusals, warnings } = self.judged();
        ConfigError::of_all(refusals).map_or(Ok(warnings), Err)
    }

    /// The same, with what is refused and what deserves a word side by side.
    pub(crate) fn judged(&self) -> Judged {
        let mut judged = Judged::default();
        self.judge_certificates(&mut judged);
        self.judge_addresses(&mut judged);
        self.judge_root_key(&mut judged);
        if !self.migration_database_url.is_empty() && self.database_url.is_empty() {
            judged.refuse("migration_database_url", "it needs database_url beside it");
        }
        self.judge_blobs(&mut judged);
        self.judge_redis(&mut judged);
        self.judge_mail(&mut judged);
        self.judge_numbers(&mut judged);
        if self.request_audit != RequestAudit::All {
            judged.warn(
                "request_audit",
                "what people read leaves no trace in the history: set request_audit = \"all\"",
            );
        }
        judged
    }

    fn judge_certificates(&self, judged: &mut Judged) {
        let files = !self.tls_certificate.as_os_str().is_empty();
        if files == self.tls_key.as_os_str().is_empty() {
            judged.refuse("tls_certificate", "set both tls_certificate and tls_key, or neither");
        }
        if files && self.has_acme() {
            judged.refuse("acme_domains", "certificates come by files or by ACME, not by both");
        }
        let is_name = |name: &String| {
            let allowed =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
            name.contains('.') && name.len() <= 253 && name.bytes().all(allowed) && !name.starts_with('.')
        };
        if let Some(name) = self.acme_domains.iter().find(|name| !is_name(name)) {
            judged.refuse("acme_domains", format!("{name} is no name of a host, in lower case"));
        }
        if !self.acme_directory.is_empty() && !self.acme_directory.starts_with("https://") {
            judged.refuse("acme_directory", "it must begin with https://");
        }
        if !self.acme_contact.is_empty() && !self.acme_contact.contains('@') {
            judged.refuse("acme_contact", "expected a mail address");
        }
        judged.readable("tls_certificate", &self.tls_certificate);
        judged.readable("tls_key", &self.tls_key);
        judged.readable("acme_ca_file", &self.acme_ca_file);
    }

    fn judge_addresses(&self, judged: &mut Judged) {
        let tls = self.has_tls();
        if self.redirect_listen.is_some() && !tls {
            let why = "it needs tls_certificate and tls_key, or acme_domains, beside it";
            judged.refuse("redirect_listen", why);
        }
        if !tls && !self.listen.ip().is_loopback() && self.trusted_proxies.is_empty() {
            judged.refuse(
                "listen",
                format!(
                    "{} can be reached by others: set tls_certificate and tls_key, or acme_domains, or name the proxy \
                     that does TLS in trusted_proxies",
                    self.listen
                ),
            );
        }
        if let Some(address) = self.metrics_listen {
            if address.port() != 0 && [Some(self.listen), self.redirect_listen].contains(&Some(address)) {
                judged
                    .refuse("metrics_listen", format!("{address} is listened on for something else already"));
            } else if !address.ip().is_loopback() {
                let why =
                    format!("whoever reaches {address} reads the metrics, without TLS and without a token");
                judged.warn("metrics_listen", why);
            }
        }
        if !self.public_url.is_empty()
            && !self.public_url.starts_with("https://")
            && !is_loopback(&self.public_url)
        {
            judged.refuse("public_url", "it must begin with https://");
        } else if self.public_url.ends_with('/') {
            judged.refuse("public_url", "it must not end with a slash");
        } else if self.public_url.is_empty() && self.production {
            judged.refuse("public_url", "set the https:// URL under which people reach the server");
        }
        if let Some(all) = self.trusted_proxies.iter().find(|proxy| proxy.is_everybody()) {
            judged.refuse(
                "trusted_proxies",
                format!(
                    "{all} is everybody, who could then choose the address that they come from: name the proxies"
                ),
            );
        }
        if !tls && self.public_url.starts_with("https://") && self.trusted_proxies.is_empty() {
            judged.warn(
                "trusted_proxies",
                "public_url is https:// and this server does no TLS, so a proxy does: until it is named here, all whom it \
                 speaks for count as one address, for limits and for API keys",
            );
        }
        if let Some(all) = self.provider_networks.iter().find(|network| network.is_everybody()) {
            judged.refuse(
                "provider_networks",
                format!("{all} is everything that this machine reaches: name the networks of your providers"),
            );
        }
        // Of a URL that is refused, it would be said twice.
        if !judged.has_refused("public_url") {
            match relying_party::of(self) {
                Ok(Ok(_)) => {}
                Ok(Err(warning)) => judged.warnings.push(warning),
                Err(error) => judged.refusals.push(error),
            }
        }
    }

    fn judge_root_key(&self, judged: &mut Judged) {
        if !self.root_key.is_empty() && !self.root_key_file.as_os_str().is_empty() {
            judged.refuse("root_key", "set root_key or root_key_file, not both");
        }
        if !self.root_key.is_empty() {
            return;
        }
        match custody::check_location(&self.root_key_path(), &self.data, self.production) {
            Ok(None) => {}
            Ok(Some(warning)) => judged.warn("root_key_file", warning.to_string()),
            Err(error) => judged.refuse("root_key_file", error.to_string()),
        }
    }

    fn judge_mail(&self, judged: &mut Judged) {
        if !self.smtp_url.is_empty() {
            return;
        }
        let why = "mail goes to the outbox folder, where nobody reads it: set smtp_url";
        if self.production {
            return judged.refuse("smtp_url", why);
        }
        judged.warn("smtp_url", why);
        if self.email_code == Some(true) {
            judged.warn("email_code", "codes go to the outbox folder");
        }
    }

    fn judge_numbers(&self, judged: &mut Judged) {
        for (setting, value, least) in [
            ("database_connections", self.database_connections, 2),
            ("open_files", self.open_files, 8),
            ("concurrent_requests", self.concurrent_requests, 8),
            ("connections", self.connections, 64),
            ("requests_per_second", self.requests_per_second as usize, 1),
            ("request_burst", self.request_burst as usize, 1),
            ("token_request_burst", self.token_request_burst as usize, 1),
            ("tenant_request_burst", self.tenant_request_burst as usize, 1),
        ] {
            if value < least {
                judged.refuse(setting, format!("it must be at least {least}"));
            }
        }
        if !(1..=300).contains(&self.request_audit_seconds) {
            judged.refuse("request_audit_seconds", "it must be 1 to 300");
        }
        if !(1..=1440).contains(&self.access_token_minutes) {
            judged.refuse("access_token_minutes", "it must be 1 to 1440");
        }
        if !(1..=720).contains(&self.deleted_blobs_kept_hours) {
            judged.refuse("deleted_blobs_kept_hours", "it must be 1 to 720");
        }
    }

    fn judge_blobs(&self, judged: &mut Judged) {
        if self.bucket().is_none() {
            if !self.blobs.is_empty()
                && let Err(error) = Blobs::judge(&self.blobs)
            {
                judged.refuse("blobs", error.to_string());
            }
            for (setting, value) in [
                ("s3_endpoint", &self.s3_endpoint),
                ("s3_region", &self.s3_region),
                ("s3_access_key_id", &self.s3_access_key_id),
                ("s3_secret_access_key", &self.s3_secret_access_key),
            ] {
                if !value.is_empty() {
                    judged.refuse(setting, "it needs blobs = \"s3://bucket/prefix\" beside it");
                }
            }
            return;
        }
        if self.s3_access_key_id.is_empty() != self.s3_secret_access_key.is_empty() {
            let why = "set both s3_access_key_id and s3_secret_access_key, or neither";
            judged.refuse("s3_access_key_id", why);
        }
        if self.s3_endpoint.is_empty() || self.s3_endpoint.starts_with("https://") {
            return;
        }
        if !self.s3_endpoint.starts_with("http://") {
            return judged.refuse("s3_endpoint", "it must begin with https://");
        }
        if is_loopback(&self.s3_endpoint) {
            return;
        }
        let why = "what is on its way to the bucket can be seen and changed: use https://";
        if self.production {
            return judged.refuse("s3_endpoint", why);
        }
        judged.warn("s3_endpoint", why);
    }

    fn judge_redis(&self, judged: &mut Judged) {
        let url = &self.redis_url;
        let is_tls = url.starts_with("rediss://");
        if !self.redis_ca_file.as_os_str().is_empty() && !is_tls {
            judged.refuse("redis_ca_file", "it needs redis_url = \"rediss://…\" beside it");
        } else {
            judged.readable("redis_ca_file", &self.redis_ca_file);
        }
        if url.is_empty() {
            return;
        }
        if !is_tls && !url.starts_with("redis://") {
            return judged.refuse("redis_url", "it must begin with rediss://");
        }
        // What follows it could turn the check of certificates off.
        if url.contains('#') {
            return judged.refuse("redis_url", "it must have no fragment (#)");
        }
        if is_tls || is_loopback(url) {
            return;
        }
        let why = "what is on its way to Redis can be seen and changed: use rediss://";
        if self.production {
            return judged.refuse("redis_url", why);
        }
        judged.warn("redis_url", why);
    }
}

/// Whether the URL's host is this machine.
fn is_loopback(url: &str) -> bool {
    let uri = url.parse::<Uri>().ok();
    uri.as_ref().and_then(Uri::host).is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        address.map_or(host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use identity::Network;
    use serde::Serialize;

    use super::*;

    fn refused(config: &Config) -> &'static str {
        match config.check() {
            Err(ConfigError::Refused { setting, .. }) => setting,
            other => panic!("not refused: {:?}", other.map_err(|error| error.to_string())),
        }
    }

    fn production() -> Config {
        Config {
            production: true,
            public_url: "https://id.example".into(),
            smtp_url: "smtps://mail.example".into(),
            trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
            ..Config::default()
        }
    }

    #[test]
    fn the_defaults_work_with_a_word_about_mail() {
        let warnings = Config::default().check().unwrap();
        assert_eq!(warnings.iter().map(|warning| &*warning.setting).collect::<Vec<_>>(), ["smtp_url"]);
    }

    #[test]
    fn what_is_unsafe_in_production_is_refused_there() {
        assert!(production().check().is_ok());
        assert_eq!(refused(&Config { smtp_url: String::new(), ..production() }), "smtp_url");
        assert_eq!(refused(&Config { public_url: String::new(), ..production() }), "public_url");
        assert_eq!(refused(&Config { root_key_file: "./data/key".into(), ..production() }), "root_key_file");
        assert_eq!(refused(&Config { public_url: "http://id.example".into(), ..production() }), "public_url");
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let config = Config {
            production: true,
            access_token_minutes: 0,
            deleted_blobs_kept_hours: 0,
            database_connections: 0,
            blobs: "s3//bucket".into(),
            redis_url: "rediss://cache.example".into(),
            redis_ca_file: "/nowhere.pem".into(),
            ..Config::default()
        };
        let Err(ConfigError::Several(refusals)) = config.check() else { panic!("several faults") };
        let said: Vec<_> = refusals.iter().map(ToString::to_string).collect();
        for setting in [
            "public_url",
            "blobs",
            "redis_ca_file",
            "smtp_url",
            "database_connections",
            "access_token_minutes",
            "deleted_blobs_kept_hours",
        ] {
            assert!(said.iter().any(|said| said.starts_with(&format!("{setting}: "))), "{setting}: {said:?}");
        }
        assert_eq!(said.len(), 7, "{said:?}");
    }

    #[test]
    fn who_has_a_proxy_before_it_is_told_to_name_it() {
        let warned = |config: &Config| {
            config.check().unwrap().iter().any(|warning| warning.setting == "trusted_proxies")
        };
        assert!(!warned(&production()));
        assert!(warned(&Config { trusted_proxies: Vec::new(), ..production() }));
        let by_itself = Config { acme_domains: vec!["id.example".into()], ..production() };
        assert!(!warned(&Config { trusted_proxies: Vec::new(), ..by_itself }));
    }

    #[test]
    fn metrics_have_an_address_of_their_own() {
        let with = |address: &str| Config { metrics_listen: address.parse().ok(), ..Config::default() };
        let warned = |config: &Config| {
            config.check().unwrap().iter().any(|warning| warning.setting == "metrics_listen")
        };
        assert!(!warned(&with("127.0.0.1:7342")));
        assert!(warned(&with("0.0.0.0:7342")));
        assert_eq!(refused(&with("127.0.0.1:7341")), "metrics_listen");
    }

    #[test]
    fn plain_http_is_for_loopback_or_behind_a_named_proxy() {
        let open = Config { listen: SocketAddr::from(([0, 0, 0, 0], 80)), ..Config::default() };
        assert_eq!(refused(&open), "listen");
        assert!(Config { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..open }.check().is_ok());
    }

    #[test]
    fn a_bucket_takes_whole_credentials_and_is_reached_safely() {
        let bucket = Config { blobs: "s3://bucket/prefix".into(), ..production() };
        assert!(bucket.check().is_ok(), "credentials may come from the environment");
        let with = |endpoint: &str| Config { s3_endpoint: endpoint.into(), ..bucket.clone() };
        assert!(with("https://s3.example").check().is_ok() && with("http://127.0.0.1:9000").check().is_ok());
        for elsewhere in ["http://s3.example", "http://127.evil.example", "http://localhost.evil.example"] {
            assert_eq!(refused(&with(elsewhere)), "s3_endpoint", "{elsewhere}");
        }
        assert_eq!(refused(&with("s3.example")), "s3_endpoint");
        let open = Config { production: false, ..with("http://s3.example") };
        assert!(open.check().unwrap().iter().any(|warning| warning.setting == "s3_endpoint"));
        let half = Config { s3_access_key_id: "id".into(), ..bucket.clone() };
        assert_eq!(refused(&half), "s3_access_key_id");
        assert!(Config { s3_secret_access_key: "key".into(), ..half.clone() }.check().is_ok());
        assert_eq!(refused(&Config { blobs: String::new(), ..half }), "s3_access_key_id");
    }

    #[test]
    fn plain_http_is_sent_to_tls_where_there_is_tls() {
        let redirecting = Config { redirect_listen: "127.0.0.1:80".parse().ok(), ..production() };
        assert_eq!(refused(&redirecting), "redirect_listen");
    }

    #[test]
    fn certificates_come_by_files_or_by_acme() {
        let acme = Config { acme_domains: vec!["id.example".into()], ..production() };
        let outside =
            Config { listen: "0.0.0.0:443".parse().unwrap(), trusted_proxies: Vec::new(), ..acme.clone() };
        assert!(outside.check().is_ok());
        assert_eq!(Config { public_url: String::new(), ..outside.clone() }.url(), "https://id.example");
        let redirecting = Config { redirect_listen: "0.0.0.0:80".parse().ok(), ..outside };
        assert!(redirecting.check().is_ok());
        for bad in ["ID.example", "id", "*.example", "id.example/", ".example", ""] {
            assert_eq!(
                refused(&Config { acme_domains: vec![bad.into()], ..acme.clone() }),
                "acme_domains",
                "{bad}"
            );
        }
        let plain = Config { acme_directory: "http://ca.example".into(), ..acme.clone() };
        assert_eq!(refused(&plain), "acme_directory");
        assert_eq!(refused(&Config { acme_contact: "nobody".into(), ..acme.clone() }), "acme_contact");
        assert_eq!(refused(&Config { acme_ca_file: "/nowhere".into(), ..acme }), "acme_ca_file");
    }

    #[test]
    fn redis_is_reached_safely() {
        let with = |url: &str| Config { redis_url: url.into(), ..production() };
        for good in ["rediss://:secret@cache.example:6380/1", "redis://127.0.0.1:6379", "redis://[::1]"] {
            assert!(with(good).check().is_ok(), "{good}");
        }
        for bad in [
            "redis://cache.example",
            "redis://127.0.0.1.evil.example",
            "cache.example",
            "https://cache.example",
            "rediss://cache.example/#insecure",
        ] {
            assert_eq!(refused(&with(bad)), "redis_url", "{bad}");
        }
        let open = Config { production: false, ..with("redis://cache.example") };
        assert!(open.check().unwrap().iter().any(|warning| warning.setting == "redis_url"));
        let authority = Config { redis_ca_file: "/ca.pem".into(), ..with("redis://127.0.0.1") };
        assert_eq!(refused(&authority), "redis_ca_file");
    }

    #[test]
    fn proxies_are_named_and_never_everybody() {
        #[derive(Serialize)]
        struct Flags {
            trusted_proxies: &'static str,
        }
        let load = |trusted_proxies| Config::load(None, Flags { trusted_proxies });
        let config = load("10.0.0.0/8, ::ffff:192.0.2.7").unwrap();
        let proxies: Vec<_> = config.trusted_proxies.iter().map(Network::to_string).collect();
        assert_eq!(proxies, ["10.0.0.0/8", "192.0.2.7"]);
        assert!(config.check().is_ok());
        assert_eq!(refused(&load("0.0.0.0/0").unwrap()), "trusted_proxies");
        assert!(load("10.0.0.1/8").err().unwrap().to_string().contains("10.0.0.0/8"));
    }
}
