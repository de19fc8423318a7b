// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Hearing of changes as they happen (`text/event-stream`).

use std::time::Duration;

use protocol::CollectionId;
use protocol::objects::ChangeEvent;
use reqwest::header::{ACCEPT, HeaderName};
use reqwest::{Method, Response};

use super::{Call, Client, RequestError};

/// The changes of one collection, for as long as one wants to hear of them. A connection that breaks is made again, from the
/// last change that was heard of.
pub struct ChangeEvents {
    client: Client,
    path: String,
    last: u64,
    response: Option<Response>,
    buffer: Vec<u8>,
    failures: u32,
}

impl Client {
    /// Follows the changes of a collection after a sequence.
    pub fn events(&self, collection: CollectionId, after: u64) -> ChangeEvents {
        ChangeEvents {
            client: self.clone(),
            path: format!("{}/events", self.collection_path(collection)),
            last: after,
            response: None,
            buffer: Vec::new(),
            failures: 0,
        }
    }
}

impl ChangeEvents {
    /// The next change.
    ///
    /// # Errors
    /// [`EventsError`] when the server refuses, or stays away for longer than a few minutes.
    pub async fn next(&mut self) -> Result<ChangeEvent, EventsError> {
        loop {
            while let Some(event) = take_event(&mut self.buffer) {
                if let Ok(event) = serde_json::from_str::<ChangeEvent>(&event) {
                    self.last = self.last.max(event.sequence);
                    self.failures = 0;
                    return Ok(event);
                }
            }
            if self.buffer.len() > MAX_EVENT {
                return Err(EventsError::TooLong);
            }
            match self.read().await {
                Ok(true) => {}
                // The connection ended: a server that restarts, or a network that changed.
                Ok(false) => self.pause(None).await?,
                Err(error @ RequestError::Unreachable { .. }) => self.pause(Some(error)).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn read(&mut self) -> Result<bool, RequestError> {
        let response = match &mut self.response {
            Some(response) => response,
            None => {
                let call = Call::new(Method::GET, &self.path)
                    .header(ACCEPT, "text/event-stream")
                    .header(HeaderName::from_static("last-event-id"), &self.last.to_string())
                    .streaming();
                self.response.insert(self.client.send(call).await?)
            }
        };
        match response.chunk().await {
            Ok(Some(chunk)) => {
                self.buffer.extend_from_slice(&chunk);
                Ok(true)
            }
            _ => {
                self.response = None;
                self.buffer.clear();
                Ok(false)
            }
        }
    }

    async fn pause(&mut self, error: Option<RequestError>) -> Result<(), EventsError> {
        self.failures += 1;
        if self.failures > MAX_FAILURES {
            return Err(error.map_or(EventsError::Ended, EventsError::Request));
        }
        tokio::time::sleep(Duration::from_secs(u64::from(self.failures.min(15)))).await;
        Ok(())
    }
}

/// Why no more changes are heard of.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// The server refused, or cannot be reached.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The server keeps ending the connection.
    #[error("the server keeps ending the stream of changes")]
    Ended,
    /// An event without end.
    #[error("the server sends an event that is too long")]
    TooLong,
}

/// Takes the data of the first whole event out of what has arrived. Comments and other fields are dropped.
fn take_event(buffer: &mut Vec<u8>) -> Option<String> {
    loop {
        let end = buffer
            .windows(2)
            .position(|pair| pair == b"\n\n")
            .map(|at| at + 2)
            .or_else(|| buffer.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4))?;
        let event: Vec<u8> = buffer.drain(..end).collect();
        let text = String::from_utf8_lossy(&event);
        let data: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .map(|data| data.strip_prefix(' ').unwrap_or(data))
            .collect();
        if !data.is_empty() {
            return Some(data.join("\n"));
        }
    }
}

const MAX_EVENT: usize = 1 << 20;
const MAX_FAILURES: u32 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_taken_whole_and_comments_are_dropped() {
        let mut buffer = b": hello\n\nid: 4\ndata: {\"sequence\":4}\n\ndata: {\"seq".to_vec();
        assert_eq!(take_event(&mut buffer).unwrap(), "{\"sequence\":4}");
        assert_eq!(take_event(&mut buffer), None);
        buffer.extend_from_slice(b"uence\":5}\r\n\r\n");
        assert_eq!(take_event(&mut buffer).unwrap(), "{\"sequence\":5}");
        assert!(buffer.is_empty());
    }
}
