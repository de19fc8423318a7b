// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a provider says of somebody (OpenID Connect Core 1.0, sections 2 and 3.1.3.7).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::metadata::issuer_of;

/// What a provider said of somebody, verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assertion {
    /// Who says it.
    pub issuer: String,
    /// Of whom: unique and never given again at this issuer. With the issuer it is who somebody is; nothing else is.
    pub subject: String,
    /// The address that it gives.
    pub email: Option<String>,
    /// Whether it says that the address was verified; `None` when it does not say.
    pub email_verified: Option<bool>,
    /// Of which organisation's domain the account is, as Google says it (`hd`).
    pub hosted_domain: Option<String>,
    /// The name that it gives.
    pub name: Option<String>,
    /// The groups that it names.
    pub groups: Vec<String>,
    /// Whether there were too many groups to name, as Entra ID says it (`_claim_names`).
    pub has_more_groups: bool,
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFault {
    /// It cannot be read.
    #[error("its ID token cannot be read")]
    Malformed,
    /// It is signed in a way that is not accepted: not at all, or with a shared secret.
    #[error("its ID token is signed in a way that is not accepted")]
    Algorithm,
    /// No published key of the provider signed it.
    #[error("its ID token is signed by none of its published keys")]
    Signature,
    /// It is of another issuer.
    #[error("its ID token is of another issuer")]
    Issuer,
    /// It is for another client.
    #[error("its ID token is for another client")]
    Audience,
    /// It has expired, or is not of now.
    #[error("its ID token has expired, or is not of now: are the clocks right?")]
    Time,
    /// It is not of this exchange.
    #[error("its ID token is not of this sign-in")]
    Nonce,
    /// It does not say of whom it is.
    #[error("its ID token does not say of whom it is")]
    Subject,
}

/// What a token must say.
pub(crate) struct Expected<'a> {
    /// The issuer, or Entra ID's template of one.
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) nonce: &'a str,
    /// In seconds since the Unix epoch.
    pub(crate) now: i64,
    /// In which claim the groups stand.
    pub(crate) groups_claim: Option<&'a str>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: Seconds,
    iat: Seconds,
    #[serde(default)]
    nbf: Option<Seconds>,
    #[serde(default)]
    azp: Option<String>,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    tid: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    email_verified: Option<Value>,
    #[serde(default)]
    xms_edov: Option<Value>,
    #[serde(default)]
    hd: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Seconds since the Unix epoch: a number, which may have a fraction (RFC 7519, section 2).
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Seconds {
    Whole(i64),
    Fraction(f64),
}

impl Seconds {
    fn whole(self) -> i64 {
        match self {
            Seconds::Whole(seconds) => seconds,
            // Saturates.
            Seconds::Fraction(seconds) => seconds as i64,
        }
    }
}

impl Assertion {
    /// Reads the claims of a token whose signature was checked.
    pub(crate) fn read(payload: &[u8], expected: &Expected<'_>) -> Result<Self, TokenFault> {
        let claims: Claims = serde_json::from_slice(payload).map_err(|_| TokenFault::Malformed)?;
        if issuer_of(expected.issuer, claims.tid.as_deref()).as_ref() != Some(&claims.iss) {
            return Err(TokenFault::Issuer);
        }
        let (is_for_us, is_for_others) = match &claims.aud {
            Audience::One(audience) => (audience == expected.client_id, false),
            Audience::Several(several) => {
                (several.iter().any(|one| one == expected.client_id), several.len() > 1)
            }
        };
        let is_our_party = match &claims.azp {
            Some(party) => party == expected.client_id,
            None => !is_for_others,
        };
        if !is_for_us || !is_our_party {
            return Err(TokenFault::Audience);
        }
        let (now, issued) = (expected.now, claims.iat.whole());
        let is_now = claims.exp.whole() > now.saturating_sub(SKEW)
            && issued <= now.saturating_add(SKEW)
            && issued >= now.saturating_sub(OLDEST)
            && claims.nbf.is_none_or(|from| from.whole() <= now.saturating_add(SKEW));
        if !is_now {
            return Err(TokenFault::Time);
        }
        if claims.nonce.as_deref() != Some(expected.nonce) {
            return Err(TokenFault::Nonce);
        }
        // OpenID Connect Core, section 2: at most 255 ASCII characters.
        if claims.sub.is_empty()
            || claims.sub.len() > 255
            || !claims.sub.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
        {
            return Err(TokenFault::Subject);
        }
        let groups =
            expected.groups_claim.and_then(|name| claims.rest.get(name)).map_or_else(Vec::new, texts);
        let left_out = claims.rest.get("_claim_names").and_then(|names| names.get("groups")).is_some();
        Ok(Assertion {
            issuer: claims.iss,
            subject: claims.sub,
            email: claims.email,
            email_verified: said(claims.email_verified.as_ref()).or(said(claims.xms_edov.as_ref())),
            hosted_domain: claims.hd,
            name: claims.name,
            groups,
            has_more_groups: left_out || claims.rest.contains_key("hasgroups"),
        })
    }
}

/// Yes or no, as providers write it: `true`, `"true"`, `1`, `"1"`.
fn said(value: Option<&Value>) -> Option<bool> {
    match value? {
        Value::Bool(said) => Some(*said),
        Value::Number(number) => Some(number.as_i64() == Some(1)),
        Value::String(text) => Some(text.eq_ignore_ascii_case("true") || text == "1"),
        _ => None,
    }
}

/// The texts of a claim that is one or many.
fn texts(value: &Value) -> Vec<String> {
    let is_group = |text: &&str| !text.is_empty() && text.len() <= LONGEST_GROUP;
    match value {
        Value::String(text) => Some(text.as_str()).filter(is_group).map(str::to_owned).into_iter().collect(),
        Value::Array(values) => {
            let texts = values.iter().filter_map(Value::as_str).filter(is_group);
            texts.take(MOST_GROUPS).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// What clocks may differ by, in seconds.
const SKEW: i64 = 60;
/// How old a token may be when it arrives, in seconds.
const OLDEST: i64 = 10 * 60;
/// Groups of one person that are looked at.
const MOST_GROUPS: usize = 1_000;
/// The longest name of a group, in bytes.
const LONGEST_GROUP: usize = 256;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn expected() -> Expected<'static> {
        Expected {
            issuer: "https://id.example",
            client_id: "bailiwick",
            nonce: "n-1",
            now: 1_000_000,
            groups_claim: Some("groups"),
        }
    }

    fn claims() -> Value {
        json!({ "iss": "https://id.example", "sub": "ada", "aud": "bailiwick", "nonce": "n-1", "exp": 1_000_300, "iat": 999_999 })
    }

    fn read(changed: Value) -> Result<Assertion, TokenFault> {
        let mut claims = claims();
        for (name, value) in changed.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        Assertion::read(&serde_json::to_vec(&claims).unwrap(), &expected())
    }

    #[test]
    fn a_token_is_for_us_of_now_and_of_this_exchange() {
        assert_eq!(read(json!({})).unwrap().subject, "ada");
        use TokenFault::{Audience, Issuer, Malformed, Nonce, Subject, Time};
        for (changed, fault) in [
            (json!({ "iss": "https://id.example/" }), Issuer),
            (json!({ "iss": "https://evil.example" }), Issuer),
            (json!({ "aud": "another" }), Audience),
            (json!({ "aud": [] }), Audience),
            (json!({ "aud": ["bailiwick", "another"] }), Audience),
            (json!({ "aud": ["bailiwick", "another"], "azp": "another" }), Audience),
            (json!({ "azp": "another" }), Audience),
            (json!({ "exp": 999_940 }), Time),
            (json!({ "exp": -1 }), Time),
            (json!({ "iat": 1_000_061 }), Time),
            (json!({ "iat": 999_000 }), Time),
            (json!({ "nbf": 1_000_100 }), Time),
            (json!({ "nonce": null }), Nonce),
            (json!({ "nonce": "n-2" }), Nonce),
            (json!({ "sub": "" }), Subject),
            (json!({ "sub": "a\nb" }), Subject),
            (json!({ "sub": "x".repeat(256) }), Subject),
            (json!({ "sub": null }), Malformed),
            (json!({ "exp": null }), Malformed),
            (json!({ "exp": "1000300" }), Malformed),
            (json!({ "aud": 7 }), Malformed),
        ] {
            assert_eq!(read(changed.clone()), Err(fault), "{changed}");
        }
        assert!(read(json!({ "aud": ["bailiwick"] })).is_ok());
        assert!(read(json!({ "aud": ["bailiwick", "another"], "azp": "bailiwick" })).is_ok());
        assert!(read(json!({ "exp": 999_941 })).is_ok(), "clocks differ");
        assert!(read(json!({ "exp": 1_000_300.5 })).is_ok());
    }

    #[test]
    fn what_else_it_says_is_taken_as_it_is_written() {
        let read = |changed| read(changed).unwrap();
        let groups = |groups: Value| read(json!({ "groups": groups })).groups;
        assert_eq!(groups(json!(["a", "b", 7, "", null])), ["a", "b"]);
        assert_eq!(groups(json!("a")), ["a"]);
        assert_eq!(groups(json!({ "a": 1 })), [""; 0]);
        assert_eq!(groups(json!(vec!["x"; 5_000])).len(), MOST_GROUPS);
        assert!(read(json!({ "_claim_names": { "groups": "src1" } })).has_more_groups);
        let verified = |value: Value| read(json!({ "email_verified": value })).email_verified;
        assert_eq!(verified(json!(true)), Some(true));
        assert_eq!(verified(json!("true")), Some(true));
        assert_eq!(verified(json!(false)), Some(false));
        assert_eq!(verified(json!("no")), Some(false));
        assert_eq!(verified(Value::Null), None);
        assert_eq!(read(json!({ "xms_edov": "1" })).email_verified, Some(true));
    }
}
