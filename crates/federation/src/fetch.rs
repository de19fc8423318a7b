// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Fetching from who is not trusted: no redirects, no proxies, public addresses only, so many bytes and so much time.
//!
//! Which addresses a name has is asked here, and the connection goes to one of those that were looked at: a name that answers
//! otherwise the next time gains nothing.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use url::Url;
use zeroize::Zeroizing;

use crate::FederationError;
use crate::address::Reach;

/// What fetches.
pub(crate) struct Fetcher {
    /// Made when it is first needed: it reads the system's certificates.
    http: OnceLock<Result<reqwest::Client, String>>,
    pub(crate) reach: Reach,
}

impl Fetcher {
    pub(crate) fn new(reach: Reach) -> Self {
        Fetcher { http: OnceLock::new(), reach }
    }

    fn http(&self) -> Result<&reqwest::Client, FederationError> {
        let made = self.http.get_or_init(|| self.made().map_err(|error| causes(&error)));
        made.as_ref().map_err(|error| FederationError::Tls(error.clone()))
    }

    fn made(&self) -> Result<reqwest::Client, reqwest::Error> {
        // Whichever part of the program installs it first: it is the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .user_agent(concat!("bailiwick/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_WITHIN)
            .timeout(DONE_WITHIN)
            .pool_idle_timeout(KEPT_OPEN)
            .pool_max_idle_per_host(2)
            .dns_resolver(Arc::new(Looked(self.reach.clone())))
            .build()
    }

    /// A document that is there for everybody.
    pub(crate) async fn get<T: DeserializeOwned>(&self, url: &Url) -> Result<T, FederationError> {
        let (status, body) = self.answer(self.http()?.get(url.clone())).await?;
        if status != StatusCode::OK {
            return Err(FederationError::Unreachable(format!("it answers with status {}", status.as_u16())));
        }
        read(&body)
    }

    /// What an endpoint answers to a form: the status, and the document.
    pub(crate) async fn post(
        &self,
        url: &Url,
        authorization: Option<&str>,
        form: String,
    ) -> Result<(StatusCode, Zeroizing<Vec<u8>>), FederationError> {
        let mut request = self
            .http()?
            .post(url.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        if let Some(authorization) = authorization {
            let value = HeaderValue::from_str(authorization);
            let mut value = value.map_err(|_| FederationError::Unreadable("a client's secret"))?;
            value.set_sensitive(true);
            request = request.header("authorization", value);
        }
        self.answer(request).await
    }

    async fn answer(
        &self,
        request: RequestBuilder,
    ) -> Result<(StatusCode, Zeroizing<Vec<u8>>), FederationError> {
        let request = request.header(ACCEPT, "application/json");
        let mut response =
            request.send().await.map_err(|error| FederationError::Unreachable(reason(&error)))?;
        let status = response.status();
        let mut body = Zeroizing::new(Vec::new());
        loop {
            match response.chunk().await {
                Ok(None) => return Ok((status, body)),
                Ok(Some(chunk)) if body.len() + chunk.len() <= LARGEST => body.extend_from_slice(&chunk),
                Ok(Some(_)) => {
                    return Err(FederationError::Malformed(format!("longer than {LARGEST} bytes")));
                }
                Err(error) => return Err(FederationError::Unreachable(reason(&error))),
            }
        }
    }
}

/// A document in JSON.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, FederationError> {
    // What serde says names fields, never values that are secrets.
    serde_json::from_slice(body).map_err(|error| {
        let kind = if error.is_data() { "not what it should be" } else { "not JSON" };
        FederationError::Malformed(format!("{kind}, at line {} column {}", error.line(), error.column()))
    })
}

/// Resolves names, and leaves out what must not be reached.
struct Looked(Reach);

impl Resolve for Looked {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| reach.allows(address.ip())).collect();
            if allowed.is_empty() {
                return Err(NotPublic.into());
            }
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("its name has no public address")]
struct NotPublic;

/// What went wrong, without the address, which may hold what is nobody's business.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it does not answer in time".to_owned();
    }
    causes(error)
}

/// The innermost cause of an error.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    match last.downcast_ref::<std::io::Error>() {
        None => last.to_string(),
        // What TLS says stands within; what the system says, without its number.
        Some(error) => error.get_ref().map_or_else(|| error.kind().to_string(), ToString::to_string),
    }
}

/// The largest document, in bytes.
const LARGEST: usize = 512 * 1024;
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const DONE_WITHIN: Duration = Duration::from_secs(10);
const KEPT_OPEN: Duration = Duration::from_secs(30);
