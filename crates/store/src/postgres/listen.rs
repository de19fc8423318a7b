// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Listening to what other processes commit, on a connection of its own.
//!
//! A connection whose other end is gone may stay silent for long, as one without news does; and a pooler that hands connections on
//! between transactions lets nobody listen. So each second a process tells itself something, and gives the connection up when it does
//! not hear that.

use std::time::Duration;

use futures::future::poll_fn;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::AsyncMessage;

use super::{Postgres, tls};
use crate::StoreError;
use crate::news::{Announcer, CHANNEL, Committed, News};

/// How often the connection is tried.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// How long what was told may take to be heard.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// Pause before there is another one.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// News that wait to be told.
const WAITING: usize = 1_024;

impl Postgres {
    /// Tells what is heard, for ever.
    pub(crate) async fn listen(&self, announcer: &Announcer) {
        loop {
            // It ends with an error or not at all.
            if let Err(error) = self.hear(announcer).await {
                if !announcer.is_deaf() {
                    tracing::error!(%error, "what other servers commit is not heard");
                }
                announcer.tell(News::Deaf);
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    async fn hear(&self, announcer: &Announcer) -> Result<(), StoreError> {
        let (client, mut connection) = self.config.connect(tls()).await?;
        let (sender, mut heard) = mpsc::channel(WAITING);
        let driven = tokio::spawn(async move {
            while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
                match message {
                    Ok(AsyncMessage::Notification(news)) => {
                        if sender.send(news.payload().to_owned()).await.is_err() {
                            return;
                        }
                    }
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
        });
        // The connection ends with this future.
        let _driven = AbortOnDrop(driven);
        client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
        let silent = |_| StoreError::Unavailable("the listening connection hears nothing".into());
        let own = format!("{ALIVE}{}", uuid::Uuid::new_v4().simple());
        let question = format!("NOTIFY {CHANNEL}, '{own}'");
        let mut is_first = true;
        loop {
            let asked_at = Instant::now();
            timeout(ANSWERS_WITHIN, client.batch_execute(&question)).await.map_err(silent)??;
            let mut is_answered = false;
            loop {
                let until = asked_at + if is_answered { ASKED_EVERY } else { ANSWERS_WITHIN };
                let payload = match timeout_at(until, heard.recv()).await {
                    Ok(Some(payload)) => payload,
                    Ok(None) => return Err(StoreError::Unavailable("the listening connection ended".into())),
                    Err(_) if is_answered => break,
                    Err(over) => return Err(silent(over)),
                };
                if payload == own {
                    is_answered = true;
                    if std::mem::take(&mut is_first) {
                        announcer.tell(News::Missed);
                    }
                } else if !payload.starts_with(ALIVE) {
                    // What cannot be read was not said by this program: whatever it means, something was missed.
                    announcer.tell(Committed::from_text(&payload).map_or(News::Missed, News::Committed));
                }
            }
        }
    }
}

/// How a question begins; the rest tells the process that asks.
const ALIVE: &str = "alive ";

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
