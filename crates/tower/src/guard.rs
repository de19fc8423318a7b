// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The guard: keys, changes, and the question to the issuer.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use data_encoding::BASE64;
use http::HeaderValue;
use serde::Deserialize;
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::changes::{Changes, Judged, Word};
use crate::follow;
use crate::service::TokenLayer;
use crate::token::{self, Keys, Opened, Refused, Taken, Token};

/// How often the key set is fetched at the most because of a key that is not in it.
const KEYS_EVERY: Duration = Duration::from_secs(10);

/// How long the issuer may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Of whom tokens are taken, and as who.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The issuer's URL, as it stands in its tokens.
    pub issuer: String,
    /// Where the issuer is reached, when that is another URL.
    pub reached_at: Option<String>,
    /// The audience: this service.
    pub audience: String,
    /// The client that stands for this service.
    pub client_id: String,
    client_secret: Zeroizing<String>,
    /// A certificate of an authority that the system does not know, as PEM.
    pub authority: Option<Vec<u8>>,
    /// How long nothing may be heard of the issuer before everything is refused. 5 s.
    pub stale_after: Duration,
    /// After how long a token is asked about anew, whatever was heard. 5 min.
    pub recheck_after: Duration,
}

impl Settings {
    /// The usual settings.
    pub fn new(
        issuer: impl Into<String>,
        audience: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
    ) -> Self {
        Settings {
            issuer: issuer.into(),
            reached_at: None,
            audience: audience.into(),
            client_id: client_id.into(),
            client_secret: Zeroizing::new(client_secret.into()),
            authority: None,
            stale_after: Duration::from_secs(5),
            recheck_after: Duration::from_secs(300),
        }
    }
}

/// Why there is no guard.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Tokens must not travel in plain.
    #[error("the issuer must be reached by https://, or on this machine")]
    Plain,
    /// The client's id is none, or it or the secret cannot stand in a header.
    #[error("the client's id is none, or it or the secret cannot be sent")]
    Client,
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made: {0}")]
    Http(#[from] reqwest::Error),
}

/// Verifies tokens. Cheap to clone: the clones are one guard. It follows the issuer as long as one of them is there.
#[derive(Clone)]
pub struct Guard(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) http: reqwest::Client,
    pub(crate) authorization: HeaderValue,
    base: String,
    /// The tenant of the client, whose tokens alone are taken.
    tenant: String,
    keys: RwLock<Keys>,
    /// When the key set was fetched last.
    fetched: tokio::sync::Mutex<Option<Instant>>,
    changes: Mutex<Changes>,
    /// When the issuer was heard last.
    heard: Mutex<Option<Instant>>,
}

impl Guard {
    /// A guard that begins to follow its issuer. In a Tokio runtime.
    ///
    /// # Errors
    /// [`SettingsError`]. That the issuer cannot be reached is none: until it is, everything is refused.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let base = settings.reached_at.clone().unwrap_or_else(|| settings.issuer.clone());
        let base = base.trim_end_matches('/').to_owned();
        if !base.starts_with("https://") && !is_own_machine(&base) {
            return Err(SettingsError::Plain);
        }
        let (_, tenant) = settings.client_id.split_once('.').ok_or(SettingsError::Client)?;
        let tenant = format!("ten_{tenant}");
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair =
            Zeroizing::new(format!("{}:{}", encode(&settings.client_id), encode(&settings.client_secret)));
        let value = Zeroizing::new(format!("Basic {}", BASE64.encode(pair.as_bytes())));
        let mut authorization = HeaderValue::from_str(&value).map_err(|_| SettingsError::Client)?;
        authorization.set_sensitive(true);
        // The service may have chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder()
            .connect_timeout(ANSWERS_WITHIN)
            .read_timeout(settings.stale_after)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(pem) = &settings.authority {
            http = http.tls_certs_only(reqwest::Certificate::from_pem_bundle(pem)?);
        }
        let inner = Arc::new(Inner {
            http: http.build()?,
            authorization,
            base,
            tenant,
            settings,
            keys: RwLock::default(),
            fetched: tokio::sync::Mutex::default(),
            changes: Mutex::default(),
            heard: Mutex::default(),
        });
        tokio::spawn(follow::follow(Arc::downgrade(&inner)));
        Ok(Guard(inner))
    }

    /// A layer that lets through who shows a good token, with its [`Token`] in the request's extensions.
    pub fn layer(&self) -> TokenLayer {
        TokenLayer::new(self.clone())
    }

    /// What a token says, if it is good now.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn verify(&self, token: &str) -> Result<Token, Refused> {
        let inner = &*self.0;
        // First: who is not heard of keeps nobody busy.
        inner.require_heard()?;
        let mut opened = inner.open(token)?;
        if matches!(opened, Opened::UnknownKey) {
            inner.fetch_keys(KEYS_EVERY).await;
            opened = inner.open(token)?;
        }
        let Opened::Signed(claims) = opened else { return Err(Refused::Untrusted) };
        let now = now_ms();
        let Settings { issuer, audience, .. } = &inner.settings;
        let taken = Taken { issuer, audience, tenant: &inner.tenant };
        token::check(&claims, &taken, now.div_euclid(1_000))?;
        let recheck_after = inner.settings.recheck_after;
        let judged = inner.changes().judge(token, &claims, now, recheck_after);
        match judged {
            Judged::Good => Ok((*claims).into()),
            Judged::Ended => Err(Refused::Revoked),
            Judged::Ask(number) => {
                // An issuer that does not answer is one that nothing is known of.
                let is_active = inner.ask(token).await.map_err(|error| {
                    tracing::warn!(%error, "the issuer does not say whether a token holds");
                    Refused::Stale
                })?;
                inner.changes().answered(token, number, is_active);
                if is_active { Ok((*claims).into()) } else { Err(Refused::Revoked) }
            }
        }
    }

    /// Whether the issuer was heard lately enough that tokens are taken.
    pub fn is_current(&self) -> bool {
        self.0.require_heard().is_ok()
    }
}

impl Inner {
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn heard(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Takes a word in; says whether it is about all tokens.
    pub(crate) fn hear(&self, word: Word) -> bool {
        self.changes().hear(word)
    }

    fn require_heard(&self) -> Result<(), Refused> {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = heard.is_some_and(|heard| heard.elapsed() < self.settings.stale_after);
        if is_current { Ok(()) } else { Err(Refused::Stale) }
    }

    fn open(&self, token: &str) -> Result<Opened, Refused> {
        token::open(token, &self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn changes(&self) -> std::sync::MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches the key set, unless that was done within this time. One at a time.
    pub(crate) async fn fetch_keys(&self, unless_within: Duration) {
        let mut fetched = self.fetched.lock().await;
        if fetched.is_some_and(|at| at.elapsed() < unless_within) {
            return;
        }
        *fetched = Some(Instant::now());
        match self.get_keys().await {
            Ok(keys) => *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys,
            Err(error) => tracing::warn!(%error, "the issuer's key set cannot be read"),
        }
    }

    async fn get_keys(&self) -> Result<Keys, reqwest::Error> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Key>,
        }
        #[derive(Deserialize)]
        struct Key {
            kty: String,
            #[serde(default)]
            crv: String,
            #[serde(default)]
            x: String,
            #[serde(default)]
            y: String,
            #[serde(default)]
            kid: String,
        }
        let answer = self.http.get(self.at("/.well-known/jwks.json")).timeout(ANSWERS_WITHIN).send().await?;
        let set: Set = answer.error_for_status()?.json().await?;
        let keys = set.keys.into_iter();
        Ok(keys
            .filter_map(|key| Some((key.kid, token::Key::of(&key.kty, &key.crv, &key.x, &key.y)?)))
            .collect())
    }

    /// Whether the issuer says that a token is good (RFC 7662).
    async fn ask(&self, token: &str) -> Result<bool, reqwest::Error> {
        #[derive(Deserialize)]
        struct Said {
            active: bool,
        }
        let form: String =
            form_urlencoded::Serializer::new(String::new()).append_pair("token", token).finish();
        let said = self
            .http
            .post(self.at("/oauth/introspect"))
            .timeout(ANSWERS_WITHIN)
            .header(http::header::AUTHORIZATION, self.authorization.clone())
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await?;
        Ok(said.error_for_status()?.json::<Said>().await?.active)
    }
}

/// Whether a URL's host is this machine.
fn is_own_machine(url: &str) -> bool {
    let host = url.parse::<url::Url>().ok();
    host.as_ref().and_then(url::Url::host).is_some_and(|host| match host {
        url::Host::Domain(name) => name == "localhost",
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
    })
}

#[allow(clippy::disallowed_methods, reason = "a service's clock is the system's")]
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
