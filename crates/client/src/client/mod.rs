// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Talking to one server: requests, retries, refusals.

pub(crate) mod account;
mod accounts;
pub(crate) mod api_keys;
#[cfg(not(target_family = "wasm"))]
pub(crate) mod events;
pub mod federation;
pub(crate) mod log;
pub(crate) mod methods;
pub(crate) mod oauth;
pub(crate) mod objects;
pub(crate) mod opened;
pub(crate) mod pairing;
pub mod passkey;
mod passkey_signup;
pub(crate) mod service_accounts;
pub(crate) mod sharing;
pub(crate) mod signin;
pub(crate) mod tenants;
#[cfg(not(target_family = "wasm"))]
#[path = "transport/native.rs"]
mod transport;
#[cfg(target_family = "wasm")]
#[path = "transport/fetch.rs"]
mod transport;
pub mod unlocking;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use protocol::{Code, CollectionId, Problem, Secret};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use transport::read_body_into;

/// How to reach a server.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A file of PEM certificates to trust instead of the system's: a private authority.
    pub ca_file: Option<PathBuf>,
    /// Allows plain HTTP to other machines. Whoever is on the way then sees and may change what is sent; passwords and
    /// contents stay sealed, the session does not.
    pub insecure_http: bool,
}

/// A connection to one server, cheap to clone. With a session's token it acts for that session's account.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Arc<Url>,
    token: Arc<RwLock<Option<Secret>>>,
    last_change: Arc<RwLock<Option<String>>>,
    /// The number of the newest change that was made here to each collection.
    sequences: Arc<RwLock<BTreeMap<CollectionId, u64>>>,
    /// Whose collections are read, when they are somebody else's.
    shared_by: Option<protocol::TenantId>,
}

impl Client {
    /// Prepares to talk to the server at `url`. Nothing is sent yet.
    ///
    /// # Errors
    /// When the address is not one, asks for plain HTTP to another machine, or the certificates cannot be read.
    pub fn new(url: &str, options: &Options) -> Result<Self, ConnectError> {
        let mut base = Url::parse(url).map_err(|_| ConnectError::Address(url.to_owned()))?;
        let is_plain = match base.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(ConnectError::Address(url.to_owned())),
        };
        if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            return Err(ConnectError::Address(url.to_owned()));
        }
        let is_local = is_loopback(&base);
        if is_plain && !is_local && !options.insecure_http {
            return Err(ConnectError::PlainHttp(url.to_owned()));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let http = transport::http(is_plain, options)?;
        Ok(Client {
            http,
            base: Arc::new(base),
            token: Arc::default(),
            last_change: Arc::default(),
            sequences: Arc::default(),
            shared_by: None,
        })
    }

    /// The server's address, as requests are made to it.
    pub fn server(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Whether the server is this domain's: its own name or one below it, or this machine, which is `localhost`.
    pub(crate) fn belongs_to(&self, domain: &str) -> bool {
        let host = self.base.host_str().unwrap_or_default();
        host == domain
            || (domain.contains('.') && host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')))
            || (domain == "localhost" && is_loopback(&self.base))
    }

    /// The same, for collections that lie in another home and are shared with the account.
    #[must_use]
    pub(crate) fn within(&self, home: protocol::TenantId) -> Client {
        Client { shared_by: Some(home), ..self.clone() }
    }

    /// Acts with this session's token from now on; with none, as a visitor.
    pub fn set_token(&self, token: Option<Secret>) {
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// The token that it acts with.
    pub fn token(&self) -> Option<Secret> {
        self.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The request of the newest change to stored data that the server acknowledged: its record has to turn up in the history.
    pub fn last_change(&self) -> Option<String> {
        self.last_change.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The record of that change turned up: it is awaited no more, unless another change came since.
    pub fn turned_up(&self, request: &str) {
        let mut last = self.last_change.write().unwrap_or_else(PoisonError::into_inner);
        last.take_if(|last| last == request);
    }

    /// The collections that were changed by this connection, with the number of the newest change that the server acknowledged.
    pub fn sequences(&self) -> BTreeMap<CollectionId, u64> {
        self.sequences.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers that a change of this number was acknowledged.
    fn changed(&self, collection: CollectionId, sequence: u64) {
        let mut sequences = self.sequences.write().unwrap_or_else(PoisonError::into_inner);
        let newest = sequences.entry(collection).or_default();
        *newest = sequence.max(*newest);
    }

    /// Remembers that the server acknowledged a change. What is changed in other people's homes is in their history.
    pub(crate) fn acknowledged(&self, response: &Response) {
        if self.shared_by.is_some() {
            return;
        }
        if let Some(request) = response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()) {
            *self.last_change.write().unwrap_or_else(PoisonError::into_inner) = Some(request.to_owned());
        }
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, RequestError> {
        read_json(self.send(Call::new(Method::GET, path)).await?).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, RequestError> {
        read_json(self.send(Call::new(Method::POST, path).json(body)?).await?).await
    }

    /// A request of any kind, and its answer.
    pub(crate) async fn fetch<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, RequestError> {
        read_json(self.send(call).await?).await
    }

    /// A request whose answer says nothing but that it is done.
    pub(crate) async fn done(&self, call: Call<'_>) -> Result<(), RequestError> {
        self.send(call).await.map(drop)
    }

    /// Sends a request, again if that can do no harm and may help. The answer is one of success.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<Response, RequestError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let error = match self.send_once(&call).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            match error.retry_in(attempt, call.repeatable) {
                Some(pause) if attempt < ATTEMPTS => crate::pause::sleep(pause).await,
                _ => return Err(error),
            }
        }
    }

    async fn send_once(&self, call: &Call<'_>) -> Result<Response, RequestError> {
        let url = self.base.join(call.path.trim_start_matches('/')).map_err(|_| RequestError::Malformed {
            what: "the address of a request",
            error: call.path.to_owned(),
        })?;
        let mut request = self.http.request(call.method.clone(), url).headers(call.headers.clone());
        request = transport::show_session(request, self.token())?;
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        if let Some(timeout) = call.timeout {
            request = request.timeout(timeout);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(refused(response).await) }
    }

    fn unreachable(&self, error: &reqwest::Error) -> RequestError {
        RequestError::Unreachable {
            server: self.server().to_owned(),
            reason: transport::reason(error, &self.base),
            sent: transport::may_have_arrived(error),
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.server())
    }
}

/// A request.
pub(crate) struct Call<'a> {
    method: Method,
    path: &'a str,
    headers: HeaderMap,
    body: Option<Bytes>,
    timeout: Option<Duration>,
    repeatable: bool,
}

impl<'a> Call<'a> {
    /// A request without a body. GET, PUT and DELETE may be sent twice, POST may not.
    pub(crate) fn new(method: Method, path: &'a str) -> Self {
        let repeatable = method != Method::POST;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Call { method, path, headers, body: None, timeout: Some(CALL_TIMEOUT), repeatable }
    }

    pub(crate) fn json(mut self, body: &impl Serialize) -> Result<Self, RequestError> {
        let body = serde_json::to_vec(body)
            .map_err(|error| RequestError::Malformed { what: "a request", error: error.to_string() })?;
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body = Some(body.into());
        Ok(self)
    }

    pub(crate) fn bytes(mut self, body: Bytes) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        self.body = Some(body);
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// As long as bytes keep coming, the request may take as long as it takes.
    pub(crate) fn streaming(mut self) -> Self {
        self.timeout = None;
        self
    }
}

/// A successful answer in JSON, of bounded length.
pub(crate) async fn read_json<T: DeserializeOwned>(response: Response) -> Result<T, RequestError> {
    let body = read_body(response, MAX_JSON).await?;
    serde_json::from_slice(&body)
        .map_err(|error| RequestError::Malformed { what: "the server's answer", error: error.to_string() })
}

/// An answer's body, refused when it is longer than `most`.
pub(crate) async fn read_body(response: Response, most: usize) -> Result<Vec<u8>, RequestError> {
    let mut body = Vec::new();
    read_body_into(response, most, &mut body).await?;
    Ok(body)
}

async fn refused(response: Response) -> RequestError {
    let status = response.status();
    let retry_after = retry_after(response.headers());
    let Ok(body) = read_body(response, MAX_PROBLEM).await else {
        return RequestError::Unexpected { status: status.as_u16() };
    };
    match serde_json::from_slice::<Problem>(&body) {
        Ok(mut problem) => {
            problem.retry_after = problem.retry_after.or(retry_after);
            RequestError::Refused(Box::new(problem))
        }
        Err(_) => RequestError::Unexpected { status: status.as_u16() },
    }
}

fn retry_after(headers: &HeaderMap) -> Option<u64> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()
}

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The server refused, and said why.
    #[error("{}", said(.0))]
    Refused(Box<Problem>),
    /// Nothing listens there, or the connection broke.
    #[error("the server {server} cannot be reached: {reason}")]
    Unreachable {
        /// Its address.
        server: String,
        /// What went wrong.
        reason: String,
        /// Whether the request may have arrived.
        sent: bool,
    },
    /// An answer that is not the service's: a proxy's, or another program's.
    #[error("the server answered with status {status} and nothing else: is it a Bailiwick server?")]
    Unexpected {
        /// The HTTP status.
        status: u16,
    },
    /// Something that cannot be read.
    #[error("{what} cannot be read: {error}")]
    Malformed {
        /// What.
        what: &'static str,
        /// Why not.
        error: String,
    },
}

impl RequestError {
    /// The stable code, when the server gave one.
    pub fn code(&self) -> Option<Code> {
        match self {
            RequestError::Refused(problem) => Some(problem.code),
            _ => None,
        }
    }

    /// Whether the server gave this code.
    pub fn is(&self, code: Code) -> bool {
        self.code() == Some(code)
    }

    /// How long to wait before the same request may succeed; `None` if it should not be repeated.
    fn retry_in(&self, attempt: u32, repeatable: bool) -> Option<Duration> {
        let backoff = FIRST_PAUSE.saturating_mul(1 << attempt.min(6));
        let transient = |status: u16| matches!(status, 429 | 502 | 503 | 504);
        match self {
            RequestError::Unreachable { sent, .. } if repeatable || !sent => Some(backoff),
            RequestError::Unexpected { status } if repeatable && transient(*status) => Some(backoff),
            RequestError::Refused(problem) if repeatable && transient(problem.status) => {
                let asked = Duration::from_secs(problem.retry_after.unwrap_or(0));
                (asked <= LONGEST_PAUSE).then(|| asked.max(backoff))
            }
            _ => None,
        }
    }
}

/// Why a server's address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Not an address.
    #[error("{0:?} is not the address of a server: it looks like https://bailiwick.example")]
    Address(String),
    /// Plain HTTP to another machine.
    #[error("{0} is plain HTTP to another machine: use https://, or allow it with --insecure-http")]
    PlainHttp(String),
    /// The file of certificates cannot be used.
    #[error("the certificates in {} cannot be used: {}", .0.display(), .1)]
    CaFile(PathBuf, String),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// What a problem says to a person.
fn said(problem: &Problem) -> String {
    let field = problem.field.as_deref().filter(|_| problem.code == Code::InvalidField);
    let mut text = match (&problem.detail, field) {
        (Some(detail), Some(field)) if !has_word(detail, field) => format!("{field}: {detail}"),
        (None, Some(field)) => format!("{field} is missing, unknown or not acceptable"),
        (Some(detail), _) => detail.clone(),
        (None, None) => problem.title.clone(),
    };
    if let Some(action) =
        problem.action.as_ref().filter(|_| problem.code == Code::Forbidden && problem.detail.is_none())
    {
        text = format!("{} It needs {action}.", sentence(&text));
    }
    if let Some(seconds) = problem.retry_after.filter(|_| problem.status == 429) {
        let plural = if seconds == 1 { "" } else { "s" };
        text = format!("{} Try again in {seconds} second{plural}.", sentence(&text));
    }
    if let Some(request) = problem.request.as_ref().filter(|_| problem.status >= 500) {
        text = format!("{text} (request {request})");
    }
    text
}

/// Whether the text names this, so that it need not be said beside it.
fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|one| one == word)
}

/// The text with its full stop, for another sentence to follow.
pub(crate) fn sentence(text: &str) -> String {
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub(crate) fn is_status(error: &RequestError, status: StatusCode) -> bool {
    match error {
        RequestError::Refused(problem) => problem.status == status.as_u16(),
        RequestError::Unexpected { status: found } => *found == status.as_u16(),
        _ => false,
    }
}

const REQUEST_ID: &str = "x-request-id";
/// How often a request is sent at most.
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// A server that asks to wait longer is told to the person instead.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
const CALL_TIMEOUT: Duration = Duration::from_secs(120);
const MAX_JSON: usize = 96 << 20;
const MAX_PROBLEM: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for url in ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:1", "https://example.com"] {
            assert!(Client::new(url, &Options::default()).is_ok() || url.starts_with("https"), "{url}");
        }
        for url in ["http://example.com", "http://127.0.0.1.example.com", "http://10.0.0.1"] {
            assert_eq!(
                Client::new(url, &Options::default()).unwrap_err(),
                ConnectError::PlainHttp(url.to_owned())
            );
            let allowed = Options { insecure_http: true, ..Options::default() };
            assert!(Client::new(url, &allowed).is_ok());
        }
        for url in ["ftp://example.com", "example.com", "https://user:word@example.com", ""] {
            assert!(matches!(Client::new(url, &Options::default()), Err(ConnectError::Address(_))), "{url}");
        }
    }

    #[test]
    fn a_problem_is_told_in_whole_sentences() {
        let refused = |problem: &Problem| RequestError::Refused(Box::new(problem.clone())).to_string();
        let field = |field: &str, detail: &str| Problem::new(Code::InvalidField).field(field).detail(detail);
        assert_eq!(refused(&field("signing_alg", "EdDSA or ES256")), "signing_alg: EdDSA or ES256");
        assert_eq!(
            refused(&field("action", "there is no action of this name")),
            "there is no action of this name"
        );
        assert_eq!(
            refused(&Problem::new(Code::InvalidField).field("label")),
            "label is missing, unknown or not acceptable"
        );
        let outdated = Problem::new(Code::Conflict).field("If-Match").detail("read them again");
        assert_eq!(refused(&outdated), "read them again", "no header's name");

        let mut busy = Problem::new(Code::TooManyRequests).detail("too many tries");
        busy.retry_after = Some(1);
        assert_eq!(refused(&busy), "too many tries. Try again in 1 second.");
        busy.retry_after = Some(2);
        assert_eq!(refused(&busy), "too many tries. Try again in 2 seconds.");
    }

    #[test]
    fn only_what_may_be_repeated_is_repeated() {
        let lost = RequestError::Unreachable { server: String::new(), reason: String::new(), sent: true };
        assert!(lost.retry_in(1, true).is_some());
        assert!(lost.retry_in(1, false).is_none());
        let never_arrived =
            RequestError::Unreachable { server: String::new(), reason: String::new(), sent: false };
        assert!(never_arrived.retry_in(1, false).is_some());
        let mut busy = Problem::new(Code::TooManyRequests);
        busy.retry_after = Some(7);
        assert_eq!(
            RequestError::Refused(Box::new(busy.clone())).retry_in(1, true),
            Some(Duration::from_secs(7))
        );
        busy.retry_after = Some(600);
        assert!(RequestError::Refused(Box::new(busy)).retry_in(1, true).is_none());
        assert!(RequestError::Refused(Box::new(Problem::new(Code::Conflict))).retry_in(1, true).is_none());
    }
}
