// SPDX-License-Identifier: Apache-2.0 OR MIT
//! HTTP of a page: the browser's `fetch`, its certificates, and its cookie.
//!
//! The session's token is in a cookie that no script can read. The server puts it there for requests that say so
//! ([`SESSION_IN`]), and leaves it out of its answer.

use protocol::Secret;
use reqwest::{RequestBuilder, Response, Url};

use super::{ConnectError, Options, RequestError};

/// What sends requests. The browser decides whom to trust.
pub(super) fn http(_: bool, _: &Options) -> Result<reqwest::Client, ConnectError> {
    reqwest::Client::builder().build().map_err(|error| ConnectError::Tls(error.to_string()))
}

/// Says that the session belongs into a cookie. The browser sends it back by itself.
pub(super) fn show_session(
    request: RequestBuilder,
    _: Option<Secret>,
) -> Result<RequestBuilder, RequestError> {
    Ok(request.header(SESSION_IN, "cookie").fetch_credentials_same_origin().fetch_cache_no_store())
}

/// What went wrong on the way. Browsers do not say.
pub(super) fn reason(_: &reqwest::Error, _: &Url) -> String {
    "there is no connection to it".to_owned()
}

/// Browsers do not say whether a request that failed arrived.
pub(super) fn may_have_arrived(_: &reqwest::Error) -> bool {
    true
}

/// Reads a body into memory that is there already, in place of what was in it.
pub(crate) async fn read_body_into(
    response: Response,
    most: usize,
    body: &mut Vec<u8>,
) -> Result<(), RequestError> {
    let too_long = || RequestError::Malformed {
        what: "the server's answer",
        error: format!("longer than {most} bytes"),
    };
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(too_long());
    }
    let server = response.url().origin().ascii_serialization();
    let bytes = response.bytes().await.map_err(|_| RequestError::Unreachable {
        server,
        reason: "the connection broke".to_owned(),
        sent: true,
    })?;
    if bytes.len() > most {
        return Err(too_long());
    }
    body.clear();
    body.extend_from_slice(&bytes);
    Ok(())
}

/// Where the session's token goes: the header that a page sends with each request.
const SESSION_IN: &str = "bailiwick-session";
