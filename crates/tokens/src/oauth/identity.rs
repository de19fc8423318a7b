// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who a request is, signed for the service behind a proxy.
//!
//! A proxy asks for each request, and signing takes longer than all else about the answer. What says the same is the same: it is
//! signed once in [`PERIOD_SECONDS`], and handed out again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::{Provider, ProviderError};
use crate::SigningAlgorithm;

/// Who a request is, as a service behind a proxy is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// `acc_…` or `sva_…`.
    pub sub: String,
    /// The account, when it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The tenant that was asked for, or that the token is good in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The agent that acts for the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// What it may be used for.
    pub scope: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    #[serde(flatten)]
    identity: &'a Identity,
    iat: i64,
    exp: i64,
}

impl Provider {
    /// Signs who a request is, for the service behind a proxy: good for 55 to 60 seconds, and for this audience. It is none of the
    /// tokens that let anybody in. `now` is in Unix milliseconds.
    ///
    /// # Errors
    /// [`ProviderError::Issue`].
    pub fn issue_identity(
        &self,
        now: i64,
        audience: &str,
        identity: &Identity,
    ) -> Result<String, ProviderError> {
        let seconds = now.div_euclid(1_000);
        let iat = seconds - seconds.rem_euclid(PERIOD_SECONDS);
        let claims = Claims {
            iss: &self.issuer,
            aud: audience,
            identity,
            iat,
            exp: iat.saturating_add(LIFETIME_SECONDS),
        };
        let said = serde_json::to_string(&claims).unwrap_or_default();
        let kid = self.signing.signing(now, SigningAlgorithm::EdDsa, |key| key.kid().to_owned());
        let kid = kid.unwrap_or_default();
        if let Some(token) = self.identities.get(iat, &kid, &said) {
            return Ok(token);
        }
        let token = self.signing.sign_token(now, SigningAlgorithm::EdDsa, TYPE, &claims)?;
        self.identities.put(iat, kid, said, &token);
        Ok(token)
    }
}

/// The type of these tokens.
const TYPE: &str = "bailiwick-identity+jwt";

/// How long one is good from its `iat` on.
const LIFETIME_SECONDS: i64 = 60;

/// How long the same one is handed out.
const PERIOD_SECONDS: i64 = 5;

/// So many are kept at the most, and none that says more than this, in bytes: some 8 MiB.
const KEPT: usize = 4_096;
const LONGEST: usize = 800;

/// What was signed in this period, by what it says.
#[derive(Default)]
pub(super) struct Identities(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    iat: i64,
    kid: String,
    tokens: HashMap<String, String>,
}

impl Identities {
    fn get(&self, iat: i64, kid: &str, said: &str) -> Option<String> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if (kept.iat, kept.kid.as_str()) == (iat, kid) { kept.tokens.get(said).cloned() } else { None }
    }

    fn put(&self, iat: i64, kid: String, said: String, token: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if (kept.iat, &kept.kid) != (iat, &kid) {
            *kept = Kept { iat, kid, tokens: HashMap::new() };
        }
        if kept.tokens.len() < KEPT && said.len() <= LONGEST {
            kept.tokens.insert(said, token.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_of_one_period_and_one_key_and_bounded() {
        let kept = Identities::default();
        kept.put(5, "a".into(), "ada".into(), "1");
        assert_eq!(kept.get(5, "a", "ada").as_deref(), Some("1"));
        for (iat, kid, said) in [(5, "a", "eve"), (10, "a", "ada"), (5, "b", "ada")] {
            assert_eq!(kept.get(iat, kid, said), None, "{iat} {kid} {said}");
        }
        kept.put(10, "a".into(), "ada".into(), "2");
        assert_eq!(kept.get(5, "a", "ada"), None);
        kept.put(10, "a".into(), "x".repeat(LONGEST + 1), "3");
        for n in 0..2 * KEPT {
            kept.put(10, "a".into(), n.to_string(), "4");
        }
        assert_eq!(kept.0.lock().unwrap().tokens.len(), KEPT);
        assert_eq!(kept.get(10, "a", "ada").as_deref(), Some("2"));
    }
}
