// SPDX-License-Identifier: Apache-2.0 OR MIT

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::request::Request;

/// Somebody on the wire: passes bytes on between the command line and a server, and keeps a copy.
pub struct Recorder {
    url: String,
    server: String,
    connections: Arc<Mutex<Vec<Arc<Wire>>>>,
}

/// What one connection carried, each way.
#[derive(Default)]
struct Wire {
    sent: Mutex<Vec<u8>>,
    received: Mutex<Vec<u8>>,
}

/// One request and its response.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The request's method.
    pub method: String,
    /// The request's path and query.
    pub path: String,
    /// The request's headers, names in lower case.
    pub request_headers: Vec<(String, String)>,
    /// The request's body.
    pub request: Vec<u8>,
    /// The response's status.
    pub status: u16,
    /// The response's headers, names in lower case.
    pub response_headers: Vec<(String, String)>,
    /// The response's body.
    pub response: Vec<u8>,
}

impl Recorder {
    /// Stands before a server.
    pub fn before(server: &str) -> Self {
        Self::between(server, None)
    }

    /// Stands before a server and says something else wherever it says this; as long, so that nothing else changes.
    pub fn lying(server: &str, truth: &str, lie: &str) -> Self {
        assert_eq!(truth.len(), lie.len(), "a lie as long as the truth");
        Self::between(server, Some((truth.as_bytes().to_vec(), lie.as_bytes().to_vec())))
    }

    fn between(server: &str, lie: Option<(Vec<u8>, Vec<u8>)>) -> Self {
        let address = server.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let connections = Arc::new(Mutex::new(Vec::new()));
        let this = Self { url, server: address.clone(), connections: Arc::clone(&connections) };
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&address) else { continue };
                let wire = Arc::new(Wire::default());
                connections.lock().expect("no panic").push(Arc::clone(&wire));
                let (client2, server2) =
                    (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
                let (upward, lie) = (Arc::clone(&wire), lie.clone());
                thread::spawn(move || pass(client, server, &upward.sent, None));
                thread::spawn(move || pass(server2, client2, &wire.received, lie.as_ref()));
            }
        });
        this
    }

    /// Where the command line should go to be recorded.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Every byte that went either way.
    pub fn bytes(&self) -> Vec<u8> {
        let connections = self.connections.lock().expect("no panic");
        let mut bytes = Vec::new();
        for wire in connections.iter() {
            bytes.extend_from_slice(&wire.sent.lock().expect("no panic"));
            bytes.extend_from_slice(&wire.received.lock().expect("no panic"));
        }
        bytes
    }

    /// The requests and responses, connection by connection.
    pub fn exchanges(&self) -> Vec<Exchange> {
        let connections = self.connections.lock().expect("no panic");
        connections
            .iter()
            .flat_map(|wire| {
                exchanges(&wire.sent.lock().expect("no panic"), &wire.received.lock().expect("no panic"))
            })
            .collect()
    }

    /// Forgets what was recorded.
    pub fn forget(&self) {
        self.connections.lock().expect("no panic").clear();
    }

    /// The secrets of requests: what follows `Bearer` in the authorization header, and the values of cookies.
    pub fn credentials(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for exchange in self.exchanges() {
            for (name, value) in exchange.request_headers.iter().chain(&exchange.response_headers) {
                match name.as_str() {
                    "authorization" => found.extend(value.split_whitespace().nth(1).map(str::to_owned)),
                    "cookie" | "set-cookie" => found.extend(
                        value
                            .split(';')
                            .next()
                            .and_then(|pair| pair.split_once('='))
                            .map(|(_, value)| value.to_owned()),
                    ),
                    _ => {}
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// Sends a request as it was recorded, perhaps with another body, and gives the response.
    pub fn replay(&self, exchange: &Exchange, body: &[u8]) -> Exchange {
        let mut request = Request::new(&exchange.method, &exchange.path);
        for (name, value) in &exchange.request_headers {
            if !["host", "content-length", "connection", "transfer-encoding", "idempotency-key"]
                .contains(&name.as_str())
            {
                request = request.header(name, value);
            }
        }
        request.body(body.to_vec()).send(&self.server)
    }
}

impl Exchange {
    /// The response's body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.response)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.response)))
    }

    /// The first response header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response_headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, copy: &Mutex<Vec<u8>>, lie: Option<&(Vec<u8>, Vec<u8>)>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        // A small answer comes in one piece.
        if let Some((truth, lie)) = lie {
            let starts = 0..=length.saturating_sub(truth.len());
            for start in starts {
                if buffer[start..].starts_with(truth) {
                    buffer[start..start + lie.len()].copy_from_slice(lie);
                }
            }
        }
        copy.lock().expect("no panic").extend_from_slice(&buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Takes the two directions of a connection apart.
pub(crate) fn exchanges(mut sent: &[u8], mut received: &[u8]) -> Vec<Exchange> {
    let mut found = Vec::new();
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        let Ok(httparse::Status::Complete(head)) = request.parse(sent) else { break };
        let (method, path) =
            (request.method.unwrap_or_default().to_owned(), request.path.unwrap_or_default().to_owned());
        let request_headers = owned(request.headers);
        let Some((body, rest)) = body(&sent[head..], &request_headers, false) else { break };
        sent = rest;

        let (mut status, mut response_headers, mut response) = (0, Vec::new(), Vec::new());
        // Interim responses come before the real one.
        while status < 200 {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut head = httparse::Response::new(&mut headers);
            let Ok(httparse::Status::Complete(length)) = head.parse(received) else { return found };
            status = head.code.unwrap_or_default();
            response_headers = owned(head.headers);
            received = &received[length..];
            if status >= 200 && status != 204 && status != 304 && method != "HEAD" {
                let Some((bytes, rest)) = self::body(received, &response_headers, true) else { return found };
                response = bytes;
                received = rest;
            }
        }
        found.push(Exchange {
            method,
            path,
            request_headers,
            request: body,
            status,
            response_headers,
            response,
        });
    }
    found
}

fn owned(headers: &[httparse::Header<'_>]) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|header| (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned()))
        .collect()
}

/// A message's body and what follows it; none if it is not all there.
fn body<'a>(
    mut bytes: &'a [u8],
    headers: &[(String, String)],
    response: bool,
) -> Option<(Vec<u8>, &'a [u8])> {
    let header =
        |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    if response && header("content-type").is_some_and(|value| value.starts_with("text/event-stream")) {
        // It has no end: what there is of it.
        return Some((bytes.to_vec(), &[]));
    }
    if header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        let mut whole = Vec::new();
        loop {
            let Ok(httparse::Status::Complete((head, length))) = httparse::parse_chunk_size(bytes) else {
                return None;
            };
            let length = usize::try_from(length).ok()?;
            whole.extend_from_slice(bytes.get(head..head + length)?);
            bytes = bytes.get(head + length + 2..)?;
            if length == 0 {
                return Some((whole, bytes));
            }
        }
    }
    match header("content-length") {
        Some(length) => {
            bytes.split_at_checked(length.parse().ok()?).map(|(body, rest)| (body.to_vec(), rest))
        }
        None if response => Some((bytes.to_vec(), &[])),
        None => Some((Vec::new(), bytes)),
    }
}
