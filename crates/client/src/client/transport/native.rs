// SPDX-License-Identifier: Apache-2.0 OR MIT
//! HTTP of a program on its owner's machine: certificates, time limits, and the session's token in a header.

use std::time::Duration;

use protocol::Secret;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{RequestBuilder, Response};

use super::{ConnectError, Options, RequestError};

#[path = "unreachable.rs"]
mod unreachable;

pub(super) use unreachable::reason;

/// What sends requests. Nothing is sent yet.
pub(super) fn http(is_plain: bool, options: &Options) -> Result<reqwest::Client, ConnectError> {
    // Whichever part of a program installs it first: it is the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut http = reqwest::Client::builder()
        .user_agent(concat!("bailiwick/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .https_only(!is_plain);
    if let Some(path) = &options.ca_file {
        let pem = std::fs::read(path)
            .map_err(|error| ConnectError::CaFile(path.clone(), crate::files::disk::said(&error)))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|error| ConnectError::CaFile(path.clone(), error.to_string()))?;
        if certificates.is_empty() {
            return Err(ConnectError::CaFile(path.clone(), "it holds no certificate".to_owned()));
        }
        http = http.tls_certs_only(certificates);
    } else if is_plain {
        // Plain HTTP needs no certificates: nothing is loaded for it.
        http = http.tls_certs_only([]);
    }
    http.build().map_err(|error| ConnectError::Tls(causes(&error)))
}

/// Shows the session's token, when there is one.
pub(super) fn show_session(
    request: RequestBuilder,
    token: Option<Secret>,
) -> Result<RequestBuilder, RequestError> {
    let Some(token) = token else { return Ok(request) };
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        .map_err(|_| RequestError::Malformed { what: "the session's token", error: String::new() })?;
    value.set_sensitive(true);
    Ok(request.header(AUTHORIZATION, value))
}

/// Whether a request that failed may have arrived.
pub(super) fn may_have_arrived(error: &reqwest::Error) -> bool {
    !error.is_connect()
}

/// Reads a body into memory that is there already, in place of what was in it.
pub(crate) async fn read_body_into(
    mut response: Response,
    most: usize,
    body: &mut Vec<u8>,
) -> Result<(), RequestError> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    body.clear();
    body.reserve(announced.min(most));
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= most => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(()),
            Ok(Some(_)) => {
                let error = format!("longer than {most} bytes");
                return Err(RequestError::Malformed { what: "the server's answer", error });
            }
            Err(error) => {
                return Err(RequestError::Unreachable {
                    server: response.url().origin().ascii_serialization(),
                    reason: causes(&error),
                    sent: true,
                });
            }
        }
    }
}

/// An error and what caused it, in one line.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.downcast_ref().map_or_else(|| last.to_string(), crate::files::disk::said)
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(60);
