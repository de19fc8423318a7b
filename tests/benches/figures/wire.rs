// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One connection to the server, driven with as little work as possible on this side.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A connection that is kept open.
pub struct Wire {
    stream: TcpStream,
    host: String,
    received: Vec<u8>,
    used: Instant,
}

/// What the server answered.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The request's id.
    pub request: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body of a success, as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        self.succeeded();
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// Stops unless it was a success.
    #[track_caller]
    pub fn succeeded(&self) {
        let body = String::from_utf8_lossy(&self.body);
        assert!((200..300).contains(&self.status), "status {}: {body}", self.status);
    }
}

impl Wire {
    /// Connects to a server at `http://host:port`.
    pub fn to(url: &str) -> Self {
        let host = url.strip_prefix("http://").expect("plain HTTP").to_owned();
        Self { stream: connect(&host), host, received: Vec::new(), used: Instant::now() }
    }

    /// The bytes of a request, to be sent later.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        more: &str,
        body: Option<&Value>,
    ) -> Vec<u8> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.host);
        if let Some(token) = token {
            text += &format!("authorization: Bearer {token}\r\n");
        }
        if !body.is_empty() {
            text += "content-type: application/json\r\n";
        }
        text += &format!("{more}content-length: {}\r\n\r\n{body}", body.len());
        text.into_bytes()
    }

    /// Sends a request and reads the whole answer.
    pub fn exchange(&mut self, request: &[u8]) -> Answer {
        if self.used.elapsed() > IDLE {
            self.stream = connect(&self.host);
        }
        self.stream.write_all(request).expect("the server reads");
        self.received.clear();
        let mut chunk = [0; 64 * 1024];
        loop {
            let read = self.stream.read(&mut chunk).expect("the server answers");
            assert!(read > 0, "the server closed the connection");
            self.received.extend_from_slice(&chunk[..read]);
            if let Some(answer) = parse(&self.received) {
                self.used = Instant::now();
                return answer;
            }
        }
    }

    /// Gets a document.
    pub fn get(&mut self, path: &str, token: Option<&str>) -> Answer {
        let request = self.request("GET", path, token, "", None);
        self.exchange(&request)
    }

    /// Posts a document.
    pub fn post(&mut self, path: &str, token: Option<&str>, body: &Value) -> Answer {
        let request = self.request("POST", path, token, "", Some(body));
        self.exchange(&request)
    }
}

fn connect(host: &str) -> TcpStream {
    let stream = TcpStream::connect(host).expect("the server accepts");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    stream
}

/// The answer, once it is all there.
fn parse(received: &[u8]) -> Option<Answer> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(received).expect("an HTTP answer") else {
        return None;
    };
    let header = |wanted: &str| {
        let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(wanted));
        found.map(|header| String::from_utf8_lossy(header.value).into_owned())
    };
    let status = head.code.unwrap_or_default();
    let rest = &received[length..];
    let body = match header("content-length") {
        Some(length) => rest.get(..length.parse().expect("a length"))?.to_vec(),
        None if status == 204 => Vec::new(),
        None => chunks(rest)?,
    };
    Some(Answer { status, request: header("x-request-id").unwrap_or_default(), body })
}

fn chunks(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let httparse::Status::Complete((head, length)) = httparse::parse_chunk_size(rest).expect("chunks")
        else {
            return None;
        };
        let length = usize::try_from(length).expect("a short chunk");
        whole.extend_from_slice(rest.get(head..head + length)?);
        rest = rest.get(head + length + 2..)?;
        if length == 0 {
            return Some(whole);
        }
    }
}

/// The server closes connections on which nothing comes for a while.
const IDLE: Duration = Duration::from_secs(5);
