// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Asking a provider: where to send a browser, and what its answer is worth.
//!
//! Metadata and keys are remembered for an hour. A token that names an unknown key has the keys read again, at most every half
//! minute of one provider: so a rotation is followed at once, and nobody makes us ask for every token that they make up.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use data_encoding::BASE64;
use serde::Deserialize;
use store::TenantId;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::Instant;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

use crate::fetch::read;
use crate::id_token::{Expected, TokenFault};
use crate::keys::{Checked, KeySet, Published, Signed};
use crate::metadata::{Document, Metadata, address};
use crate::provider::Preset;
use crate::request::challenge;
use crate::{
    ASKING, Asked, Assertion, Back, Began, Federation, FederationError, Provider, Purpose, TURNS_OF_ONE,
    Terms,
};

/// What a provider's answer brings back (RFC 6749, section 4.1.2, and RFC 9207).
#[derive(Clone, Debug)]
pub struct Answer<'a> {
    /// The code.
    pub code: &'a str,
    /// Who answers, where it says so.
    pub issuer: Option<&'a str>,
}

/// A turn; over when it is dropped.
struct Turn<'a>(#[expect(dead_code)] OwnedSemaphorePermit, #[expect(dead_code)] SemaphorePermit<'a>);

/// What was read of providers lately, by address.
#[derive(Default)]
pub(crate) struct Remembered {
    metadata: HashMap<String, Kept<Metadata>>,
    keys: HashMap<String, Kept<KeySet>>,
    /// Which could not be read, since when and why: they are not asked again at once.
    failed: HashMap<String, (i64, String)>,
}

struct Kept<T> {
    read_at: i64,
    /// When it was read because something in it was missing.
    again_at: Option<i64>,
    what: Arc<T>,
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Kept { read_at: self.read_at, again_at: self.again_at, what: Arc::clone(&self.what) }
    }
}

/// What the token endpoint answers (OpenID Connect Core, section 3.1.3.3). The access token is not looked at, nor kept.
#[derive(Deserialize)]
struct Tokens {
    id_token: Zeroizing<String>,
}

/// An error of it (RFC 6749, section 5.2).
#[derive(Deserialize)]
struct Error {
    error: String,
}

impl Federation {
    /// Where a browser goes to sign in at the provider. `callback` is where its answer comes, `challenge` the client's own.
    ///
    /// # Errors
    /// [`FederationError::Unreachable`], [`FederationError::Malformed`]; [`FederationError::Invalid`] for the challenge.
    pub async fn begin(
        &self,
        now_ms: i64,
        provider: &Provider,
        callback: &str,
        challenge: &str,
        purpose: Purpose,
        back: Back,
    ) -> Result<Began, FederationError> {
        let terms = &provider.terms;
        let asked =
            Asked::new(provider.tenant, provider.id, &terms.issuer, challenge, purpose, back, now_ms)?;
        let metadata = self.metadata(now_ms, provider).await?;
        let (state, code_challenge) = (self.seal_state(&asked)?, self::challenge(&asked.verifier));
        let scope = std::iter::once("openid").chain(terms.scopes.iter().map(String::as_str));
        let scope: Vec<&str> = scope.collect();
        let mut url = metadata.authorization_endpoint.clone();
        {
            let mut query = url.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", &terms.client_id)
                .append_pair("redirect_uri", callback)
                .append_pair("scope", &scope.join(" "))
                .append_pair("state", &state)
                .append_pair("nonce", &asked.nonce)
                .append_pair("code_challenge", &code_challenge)
                .append_pair("code_challenge_method", "S256");
        }
        Ok(Began { url: url.into(), state })
    }

    /// What the provider says of who signed in there. `callback` is as it was when it was begun.
    ///
    /// # Errors
    /// [`FederationError::Over`] for another provider's answer, or when the provider was changed meanwhile;
    /// [`FederationError::Unreachable`], [`FederationError::Malformed`], [`FederationError::Refused`], [`FederationError::Token`].
    pub async fn redeem(
        &self,
        now_ms: i64,
        provider: &Provider,
        asked: &Asked,
        callback: &str,
        answer: &Answer<'_>,
    ) -> Result<Assertion, FederationError> {
        let terms = &provider.terms;
        if asked.provider() != provider.id
            || asked.tenant() != provider.tenant
            || asked.issuer != terms.issuer
        {
            return Err(FederationError::Over);
        }
        let metadata = self.metadata(now_ms, provider).await?;
        // RFC 9207, section 2.4: an answer of another issuer, or of none where this one names itself, is not redeemed anywhere.
        let is_named = match answer.issuer {
            Some(issuer) => is_of(&metadata, issuer),
            None => !metadata.names_issuer,
        };
        if !is_named {
            return Err(TokenFault::Issuer.into());
        }
        let token = self.exchange(provider, &metadata, asked, callback, answer.code).await?;
        let signed = Signed::parse(&token)?;
        self.require_signature(now_ms, provider.tenant, &metadata, &signed).await?;
        let expected = Expected {
            issuer: &metadata.issuer,
            client_id: &terms.client_id,
            nonce: &asked.nonce,
            now: now_ms.div_euclid(1_000),
            groups_claim: terms.groups_claim.as_deref(),
        };
        Ok(Assertion::read(signed.payload(), &expected)?)
    }

    /// Whether the provider can be asked now: its metadata are read anew.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub async fn try_out(&self, now_ms: i64, provider: &Provider) -> Result<(), FederationError> {
        {
            let (name, mut remembered) = (kept_as(provider), self.locked());
            remembered.metadata.remove(&name);
            remembered.failed.remove(&name);
        }
        let metadata = self.metadata(now_ms, provider).await?;
        self.fetched_keys(now_ms, provider.tenant, &metadata.jwks_uri, None).await?;
        Ok(())
    }

    /// Whether an address is one that may be asked, as far as that can be told without asking.
    ///
    /// # Errors
    /// [`FederationError::Invalid`] with the field.
    pub fn may_ask(&self, field: &'static str, url: &str) -> Result<(), FederationError> {
        self.fetcher.reach.check(field, url).map(drop)
    }

    /// Posts a form of one field to an address that somebody of a tenant named, and wants no more than to be told that it was taken.
    ///
    /// # Errors
    /// [`FederationError::Invalid`] for an address that may not be asked, [`FederationError::Unreachable`],
    /// [`FederationError::Refused`].
    pub async fn tell(
        &self,
        tenant: TenantId,
        url: &str,
        name: &str,
        value: &str,
    ) -> Result<(), FederationError> {
        let url = self.fetcher.reach.check("url", url)?;
        let form = Serializer::new(String::new()).append_pair(name, value).finish();
        let _turn = self.turn(tenant).await?;
        let (status, _) = self.fetcher.post(&url, None, form).await?;
        match status.as_u16() {
            200 | 204 => Ok(()),
            status @ 400..=499 => Err(FederationError::Refused(format!("status {status}"))),
            status => Err(FederationError::Unreachable(format!("it answers with status {status}"))),
        }
    }

    /// Gives the code for an ID token (RFC 6749, section 4.1.3, with PKCE).
    async fn exchange(
        &self,
        provider: &Provider,
        metadata: &Metadata,
        asked: &Asked,
        callback: &str,
        code: &str,
    ) -> Result<Zeroizing<String>, FederationError> {
        let terms = &provider.terms;
        let (authorization, form) = form(terms, metadata.takes_basic, code, callback, &asked.verifier);
        let authorization = authorization.as_ref().map(|text| text.as_str());
        let _turn = self.turn(provider.tenant).await?;
        let (status, body) = self.fetcher.post(&metadata.token_endpoint, authorization, form).await?;
        if status.is_success() {
            return Ok(read::<Tokens>(&body)?.id_token);
        }
        if status.is_server_error() || status.is_redirection() {
            return Err(FederationError::Unreachable(format!("it answers with status {}", status.as_u16())));
        }
        match read::<Error>(&body) {
            Ok(error) => Err(FederationError::Refused(known(&error.error).to_owned())),
            Err(_) => Err(FederationError::Refused(format!("status {}", status.as_u16()))),
        }
    }

    async fn require_signature(
        &self,
        now_ms: i64,
        tenant: TenantId,
        metadata: &Metadata,
        signed: &Signed<'_>,
    ) -> Result<(), FederationError> {
        let kept = self.keys(now_ms, tenant, &metadata.jwks_uri).await?;
        match kept.what.check(signed) {
            Checked::Good => return Ok(()),
            Checked::Bad => return Err(TokenFault::Signature.into()),
            Checked::UnknownKey => {}
        }
        if kept.again_at.is_some_and(|at| now_ms - at < ASKED_AGAIN_MS) {
            return Err(TokenFault::Signature.into());
        }
        match self.fetched_keys(now_ms, tenant, &metadata.jwks_uri, Some(now_ms)).await?.what.check(signed) {
            Checked::Good => Ok(()),
            Checked::Bad | Checked::UnknownKey => Err(TokenFault::Signature.into()),
        }
    }

    async fn metadata(&self, now_ms: i64, provider: &Provider) -> Result<Arc<Metadata>, FederationError> {
        let name = kept_as(provider);
        {
            let remembered = self.locked();
            if let Some(kept) = remembered.metadata.get(&name)
                && (0..KEPT_MS).contains(&(now_ms - kept.read_at))
            {
                return Ok(Arc::clone(&kept.what));
            }
            if let Some((at, why)) = remembered.failed.get(&name)
                && (0..FAILED_MS).contains(&(now_ms - at))
            {
                return Err(FederationError::Unreachable(why.clone()));
            }
        }
        let (issuer, reach) = (&provider.terms.issuer, &self.fetcher.reach);
        let url = reach.check("issuer", &address(issuer))?;
        let begun = Instant::now();
        let turn = self.turn(provider.tenant).await?;
        let document: Document = match self.fetcher.get(&url).await {
            Err(FederationError::Unreachable(why)) => {
                // From when it failed on: one that never answers fails late.
                let took = i64::try_from(begun.elapsed().as_millis()).unwrap_or(0);
                keep(&mut self.locked().failed, name, (now_ms.saturating_add(took), why.clone()));
                return Err(FederationError::Unreachable(why));
            }
            other => other?,
        };
        drop(turn);
        let what = Arc::new(document.checked(issuer, provider.terms.preset, reach)?);
        let kept = Kept { read_at: now_ms, again_at: None, what: Arc::clone(&what) };
        keep(&mut self.locked().metadata, name, kept);
        Ok(what)
    }

    async fn keys(&self, now_ms: i64, tenant: TenantId, url: &Url) -> Result<Kept<KeySet>, FederationError> {
        let before = self.locked().keys.get(url.as_str()).cloned();
        match before {
            Some(kept) if (0..KEPT_MS).contains(&(now_ms - kept.read_at)) => Ok(kept),
            _ => self.fetched_keys(now_ms, tenant, url, None).await,
        }
    }

    async fn fetched_keys(
        &self,
        now_ms: i64,
        tenant: TenantId,
        url: &Url,
        again_at: Option<i64>,
    ) -> Result<Kept<KeySet>, FederationError> {
        if again_at.is_some()
            && let Some(kept) = self.locked().keys.get_mut(url.as_str())
        {
            // Before it is asked: one that does not answer is not asked for each token either.
            kept.again_at = again_at;
        }
        let turn = self.turn(tenant).await?;
        let published: Published = self.fetcher.get(url).await?;
        drop(turn);
        let kept = Kept { read_at: now_ms, again_at, what: Arc::new(published.usable()) };
        keep(&mut self.locked().keys, url.as_str().to_owned(), kept.clone());
        Ok(kept)
    }

    /// A turn at asking: first among the tenant's own, which nobody else waits for.
    async fn turn(&self, tenant: TenantId) -> Result<Turn<'_>, FederationError> {
        let own = {
            let mut known = self.turns_of.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= ASKING {
                known.retain(|_, turns| Arc::strong_count(turns) > 1);
            }
            Arc::clone(known.entry(tenant).or_insert_with(|| Arc::new(Semaphore::new(TURNS_OF_ONE))))
        };
        let both = async {
            let own = own.acquire_owned().await?;
            Ok::<_, AcquireError>(Turn(own, self.turns.acquire().await?))
        };
        let busy = || FederationError::Unreachable("too many are asked at this moment".to_owned());
        tokio::time::timeout(TURN_WITHIN, both).await.map_err(|_| busy())?.map_err(|_| busy())
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Under what a provider's metadata are remembered: how they were checked is part of it.
fn kept_as(provider: &Provider) -> String {
    let preset = if provider.terms.preset == Preset::Entra { "entra " } else { "" };
    format!("{preset}{}", provider.terms.issuer)
}

fn keep<T>(all: &mut HashMap<String, T>, name: String, kept: T) {
    if all.len() >= MOST && !all.contains_key(&name) {
        all.clear();
    }
    all.insert(name, kept);
}

/// Whether an answer's issuer is this provider's; Entra ID names one of its tenants there.
fn is_of(metadata: &Metadata, issuer: &str) -> bool {
    match metadata.issuer.split_once("{tenantid}") {
        None => metadata.issuer == issuer,
        Some((before, after)) => issuer
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after))
            .is_some_and(|tenant| uuid::Uuid::try_parse(tenant).is_ok()),
    }
}

/// What is sent for an ID token: the header, where the secret goes there, and the form.
fn form(
    terms: &Terms,
    takes_basic: bool,
    code: &str,
    callback: &str,
    verifier: &str,
) -> (Option<Zeroizing<String>>, String) {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code")
        .append_pair("code", code)
        .append_pair("redirect_uri", callback)
        .append_pair("code_verifier", verifier);
    let authorization = match &terms.client_secret {
        Some(secret) if takes_basic => Some(basic(&terms.client_id, secret)),
        secret => {
            form.append_pair("client_id", &terms.client_id);
            if let Some(secret) = secret {
                form.append_pair("client_secret", secret);
            }
            None
        }
    };
    (authorization, form.finish())
}

/// A client's name and secret in the header (RFC 6749, section 2.3.1): form-encoded first.
fn basic(client_id: &str, secret: &str) -> Zeroizing<String> {
    let encoded = |text: &str| Zeroizing::new(byte_serialize(text.as_bytes()).collect::<String>());
    let pair = Zeroizing::new(format!("{}:{}", encoded(client_id).as_str(), encoded(secret).as_str()));
    Zeroizing::new(format!("Basic {}", BASE64.encode(pair.as_bytes())))
}

/// An error's name, when it is one of the standard's: nothing else that a provider writes is passed on.
fn known(error: &str) -> &'static str {
    const KNOWN: [&str; 6] = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    ];
    KNOWN.into_iter().find(|known| *known == error).unwrap_or("another error")
}

/// How long a provider that does not answer is not asked again, in milliseconds.
const FAILED_MS: i64 = 10_000;
/// How long metadata and keys are remembered, in milliseconds.
const KEPT_MS: i64 = 60 * 60_000;
/// How often keys are read again because a token names an unknown one, in milliseconds.
const ASKED_AGAIN_MS: i64 = 30_000;
/// How many providers' metadata and keys are remembered.
const MOST: usize = 1_000;
const TURN_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_encoded_before_it_is_encoded() {
        // RFC 6749, section 2.3.1: `:` and `%` in either half do not change where it is cut.
        assert_eq!(basic("a:b", "c%d e").as_str(), format!("Basic {}", BASE64.encode(b"a%3Ab:c%25d+e")));
    }

    #[test]
    fn an_answer_of_another_issuer_is_told() {
        let url: Url = "https://id.example/x".parse().unwrap();
        let metadata = |issuer: &str| Metadata {
            issuer: issuer.to_owned(),
            authorization_endpoint: url.clone(),
            token_endpoint: url.clone(),
            jwks_uri: url.clone(),
            names_issuer: true,
            takes_basic: true,
        };
        assert!(is_of(&metadata("https://id.example"), "https://id.example"));
        assert!(!is_of(&metadata("https://id.example"), "https://id.example/"));
        let entra = metadata("https://login.microsoftonline.com/{tenantid}/v2.0");
        assert!(is_of(&entra, "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0"));
        assert!(!is_of(&entra, "https://login.microsoftonline.com/evil/v2.0"));
        assert!(!is_of(&entra, "https://evil.example/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0"));
    }
}
