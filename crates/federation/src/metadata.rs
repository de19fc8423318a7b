// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a provider says of itself (OpenID Connect Discovery 1.0, section 3; RFC 8414).

use serde::Deserialize;
use url::Url;

use crate::FederationError;
use crate::address::Reach;
use crate::provider::Preset;

/// A provider's metadata, as it is published.
#[derive(Deserialize)]
pub(crate) struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// The same, checked.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    /// With `{tenantid}` in it where each of the provider's own tenants has an issuer of its own (Entra ID).
    pub(crate) issuer: String,
    pub(crate) authorization_endpoint: Url,
    pub(crate) token_endpoint: Url,
    pub(crate) jwks_uri: Url,
    /// Whether each answer names its issuer (RFC 9207).
    pub(crate) names_issuer: bool,
    /// Whether the token endpoint takes the secret in the header.
    pub(crate) takes_basic: bool,
}

/// Where it stands.
pub(crate) fn address(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

impl Document {
    /// Checks that it is the issuer's that was asked, and where it leads.
    pub(crate) fn checked(
        self,
        issuer: &str,
        preset: Preset,
        reach: &Reach,
    ) -> Result<Metadata, FederationError> {
        let is_template = preset == Preset::Entra && is_entra_template(issuer, &self.issuer);
        if self.issuer != issuer && !is_template {
            let said: String = self.issuer.chars().filter(|letter| !letter.is_control()).take(200).collect();
            return Err(FederationError::Malformed(format!("its metadata are of another issuer: {said}")));
        }
        let endpoint = |name: &'static str, text: &str| {
            reach.check(name, text).map_err(|error| FederationError::Malformed(error.to_string()))
        };
        // RFC 8414, section 2: without a word it is the header.
        let takes_basic = self
            .token_endpoint_auth_methods_supported
            .is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic"));
        Ok(Metadata {
            authorization_endpoint: endpoint("authorization_endpoint", &self.authorization_endpoint)?,
            token_endpoint: endpoint("token_endpoint", &self.token_endpoint)?,
            jwks_uri: endpoint("jwks_uri", &self.jwks_uri)?,
            issuer: self.issuer,
            names_issuer: self.authorization_response_iss_parameter_supported,
            takes_basic,
        })
    }
}

/// Entra ID's address for several of its tenants (`…/organizations/v2.0`) publishes a template as issuer.
fn is_entra_template(asked: &str, said: &str) -> bool {
    ["common", "organizations", "consumers"].iter().any(|several| {
        asked
            .strip_suffix("/v2.0")
            .and_then(|rest| rest.strip_suffix(several))
            .is_some_and(|host| said.strip_prefix(host).is_some_and(|rest| rest == format!("{TENANT}/v2.0")))
    })
}

/// The issuer of a token whose issuer is a template: `tid` in its place.
pub(crate) fn issuer_of(template: &str, tenant: Option<&str>) -> Option<String> {
    if !template.contains(TENANT) {
        return Some(template.to_owned());
    }
    // A UUID, so that it adds no path of its own.
    let tenant = uuid::Uuid::try_parse(tenant?).ok()?;
    Some(template.replace(TENANT, &tenant.hyphenated().to_string()))
}

const TENANT: &str = "{tenantid}";

#[cfg(test)]
mod tests {
    use super::*;

    fn document(issuer: &str) -> Document {
        Document {
            issuer: issuer.to_owned(),
            authorization_endpoint: "https://id.example/authorize".to_owned(),
            token_endpoint: "https://id.example/token".to_owned(),
            jwks_uri: "https://id.example/jwks".to_owned(),
            authorization_response_iss_parameter_supported: false,
            token_endpoint_auth_methods_supported: None,
        }
    }

    const ENTRA: &str = "https://login.microsoftonline.com/organizations/v2.0";
    const TEMPLATE: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";

    #[test]
    fn metadata_are_the_issuers_that_was_asked() {
        let checked = |said, asked, preset| document(said).checked(asked, preset, &Reach::default()).is_ok();
        assert!(checked("https://id.example", "https://id.example", Preset::Generic));
        for other in ["https://id.example/", "https://evil.example", "https://id.example.evil.example", ""] {
            assert!(!checked(other, "https://id.example", Preset::Generic), "{other}");
        }
        assert!(checked(TEMPLATE, ENTRA, Preset::Entra));
        assert!(!checked(TEMPLATE, ENTRA, Preset::Generic));
        assert!(!checked("https://evil.example/{tenantid}/v2.0", ENTRA, Preset::Entra));
        assert!(!checked(TEMPLATE, "https://id.example/organizations/v2.0", Preset::Entra));
    }

    #[test]
    fn metadata_do_not_lead_inside() {
        for inside in ["https://169.254.169.254/token", "http://id.example/token", "https://10.0.0.1/"] {
            let document = Document { token_endpoint: inside.to_owned(), ..document("https://id.example") };
            assert!(document.checked("https://id.example", Preset::Generic, &Reach::default()).is_err());
            let document = Document { jwks_uri: inside.to_owned(), ..self::document("https://id.example") };
            assert!(document.checked("https://id.example", Preset::Generic, &Reach::default()).is_err());
        }
    }

    #[test]
    fn a_template_takes_nothing_but_a_tenants_id() {
        let tenant = "72f988bf-86f1-41af-91ab-2d7cd011db47";
        assert_eq!(
            issuer_of(TEMPLATE, Some(tenant)).as_deref(),
            Some("https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0")
        );
        assert_eq!(issuer_of("https://id.example", None).as_deref(), Some("https://id.example"));
        for none in [None, Some(""), Some("../evil"), Some("common")] {
            assert_eq!(issuer_of(TEMPLATE, none), None);
        }
    }
}
