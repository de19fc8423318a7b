// SPDX-License-Identifier: Apache-2.0 OR MIT

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::recorder::{Exchange, exchanges};

/// A request that the command line would not make.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    patience: Duration,
}

impl Request {
    /// A request without a body.
    pub fn new(method: &str, path: &str) -> Self {
        let (method, path) = (method.to_uppercase(), path.to_owned());
        Self { method, path, headers: Vec::new(), body: Vec::new(), patience: Duration::from_secs(5) }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Says who asks, with a session's token or an access token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Gives it a body.
    pub fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// Gives it a body of JSON.
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string().into_bytes())
    }

    /// Gives it the body of a form.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let body = encoded(fields).into_bytes();
        self.header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    /// Waits so long for each piece of the answer.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sends it to a server by a connection of its own.
    #[track_caller]
    pub fn send(&self, server: &str) -> Exchange {
        let address = server.trim_start_matches("http://").trim_end_matches('/');
        let mut bytes = format!("{} {} HTTP/1.1\r\nhost: {address}\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        bytes.push_str(&format!("content-length: {}\r\nconnection: close\r\n\r\n", self.body.len()));
        let mut bytes = bytes.into_bytes();
        bytes.extend_from_slice(&self.body);

        let mut socket = TcpStream::connect(address).expect("the server listens");
        // An answer that goes on for ever is read as far as it came.
        socket.set_read_timeout(Some(self.patience)).expect("a socket");
        // The server may answer before it has read everything.
        let _ = socket.write_all(&bytes);
        let mut answer = Vec::new();
        let mut buffer = [0; 16 * 1024];
        while let Ok(length @ 1..) = socket.read(&mut buffer) {
            answer.extend_from_slice(&buffer[..length]);
            if is_event_stream(&answer) {
                break;
            }
        }
        exchanges(&bytes, &answer).pop().unwrap_or_else(|| {
            panic!("{} {}: no response: {}", self.method, self.path, String::from_utf8_lossy(&answer))
        })
    }
}

/// Fields as they stand in a form or a query.
pub fn encoded(fields: &[(&str, &str)]) -> String {
    let fields = fields.iter().map(|(name, value)| format!("{}={}", percent(name), percent(value)));
    fields.collect::<Vec<_>>().join("&")
}

fn percent(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}

/// Whether this is the beginning of a stream that has no end: of that, the head is the answer.
fn is_event_stream(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    text.split_once("\r\n\r\n").is_some_and(|(head, _)| head.contains("text/event-stream"))
}
