// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Following the issuer's stream: server-sent events (WHATWG HTML, section 9.2).

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::StreamExt as _;
use http::header;

use crate::changes::Word;
use crate::guard::Inner;

/// Pauses before the stream is opened again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The longest line of the stream, in bytes.
const LONGEST_LINE: usize = 64 * 1024;

/// How old the key set may become.
const KEYS_ANEW: Duration = Duration::from_secs(300);

/// Follows until the guard is gone.
pub(crate) async fn follow(guard: Weak<Inner>) {
    let (mut position, mut pause) = (String::new(), FIRST_PAUSE);
    while let Some(inner) = guard.upgrade() {
        inner.fetch_keys(FIRST_PAUSE).await;
        match open(&inner, &position).await {
            Ok(answer) => {
                pause = FIRST_PAUSE;
                let guard = Arc::downgrade(&inner);
                drop(inner);
                read(&guard, answer, &mut position).await;
            }
            Err(error) => tracing::warn!(%error, "the issuer's revocations cannot be followed"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn open(inner: &Inner, position: &str) -> Result<reqwest::Response, reqwest::Error> {
    let mut request = inner
        .http
        .get(inner.at("/oauth/revocations"))
        .header(header::AUTHORIZATION, inner.authorization.clone())
        .header(header::ACCEPT, "text/event-stream");
    if !position.is_empty() {
        request = request.header("last-event-id", position);
    }
    request.send().await?.error_for_status()
}

/// Reads the stream to its end.
async fn read(guard: &Weak<Inner>, answer: reqwest::Response, position: &mut String) {
    let mut pieces = answer.bytes_stream();
    let (mut line, mut event) = (Vec::new(), Event::default());
    while let Some(Ok(piece)) = pieces.next().await {
        let Some(inner) = guard.upgrade() else { return };
        for byte in piece {
            if byte != b'\n' {
                line.push(byte);
                if line.len() > LONGEST_LINE {
                    return;
                }
                continue;
            }
            let text = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            line.clear();
            if text.is_empty() {
                let over = std::mem::take(&mut event);
                if !take(&inner, over, position).await {
                    return;
                }
            } else {
                event.add(&text);
            }
        }
    }
}

#[derive(Default)]
struct Event {
    kind: String,
    id: Option<String>,
    data: String,
}

impl Event {
    fn add(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.kind),
            "id" => self.id = Some(value.to_owned()),
            "data" => self.data.push_str(value),
            // Comments, and what is of no use here.
            _ => {}
        }
    }
}

/// Takes an event in; false when it cannot be understood, since what it said is not known then.
async fn take(inner: &Inner, event: Event, position: &mut String) -> bool {
    match event.kind.as_str() {
        "changed" => {
            let Ok(word) = serde_json::from_str::<Word>(&event.data) else {
                tracing::error!("the issuer's stream says something that is not understood");
                position.clear();
                return false;
            };
            if inner.hear(word) {
                inner.fetch_keys(Duration::ZERO).await;
            }
            if let Some(id) = event.id {
                *position = id;
            }
            inner.heard();
        }
        "alive" => {
            inner.fetch_keys(KEYS_ANEW).await;
            inner.heard();
        }
        _ => {}
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_by_its_lines() {
        let mut event = Event::default();
        for line in [
            "event: changed",
            "id: 7.1",
            "data: {\"at\":1,",
            "data:\"claim\":null}",
            ": a comment",
            "retry: 5",
        ] {
            event.add(line);
        }
        assert_eq!((event.kind.as_str(), event.id.as_deref()), ("changed", Some("7.1")));
        assert!(serde_json::from_str::<Word>(&event.data).is_ok());
    }
}
