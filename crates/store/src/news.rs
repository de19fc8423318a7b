// SPDX-License-Identifier: Apache-2.0 OR MIT
//! News: what was committed elsewhere a moment ago, pushed to every process that has the store open.
//!
//! Which records are news, the server says by their action and subject ([`Store::announce`](crate::Store::announce)). On PostgreSQL
//! the transaction itself notifies (`NOTIFY` is part of it), and each process listens with a connection of its own; on SQLite there
//! is one process. What could not be heard for a while is itself told: [`News::Deaf`], and then [`News::Missed`].

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::broadcast::{self, Receiver, Sender};

use crate::TenantId;

/// How many wait for who hears them; who falls behind is told that something was missed.
const WAITING: usize = 4_096;

/// What is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A record was committed.
    Committed(Committed),
    /// From here on nothing is heard, until [`News::Missed`].
    Deaf,
    /// News are heard again; what was committed since they were heard last is not told.
    Missed,
}

/// A record, as far as it is news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Whose history it is in.
    pub tenant: TenantId,
    /// See [`Entry::actor`](crate::Entry::actor).
    pub actor: String,
    /// See [`Entry::action`](crate::Entry::action).
    pub action: String,
    /// What it is about.
    pub subject: String,
}

/// Whether a record of this action about this subject is news.
pub type IsNews = fn(action: &str, subject: &str) -> bool;

pub(crate) struct Announcer {
    is_news: OnceLock<IsNews>,
    heard: Sender<News>,
    is_deaf: AtomicBool,
}

impl Default for Announcer {
    fn default() -> Self {
        Announcer {
            is_news: OnceLock::new(),
            heard: broadcast::channel(WAITING).0,
            is_deaf: AtomicBool::new(false),
        }
    }
}

impl Announcer {
    pub(crate) fn announce(&self, is_news: IsNews) {
        let _ = self.is_news.set(is_news);
    }

    pub(crate) fn is_news(&self, action: &str, subject: &str) -> bool {
        self.is_news.get().is_some_and(|is_news| is_news(action, subject))
    }

    pub(crate) fn hear(&self) -> Receiver<News> {
        self.heard.subscribe()
    }

    pub(crate) fn is_deaf(&self) -> bool {
        self.is_deaf.load(Ordering::Acquire)
    }

    pub(crate) fn tell(&self, news: News) {
        match &news {
            News::Deaf => self.is_deaf.store(true, Ordering::Release),
            News::Missed => self.is_deaf.store(false, Ordering::Release),
            News::Committed(_) => {}
        }
        // An error means that nobody listens.
        let _ = self.heard.send(news);
    }
}

impl Committed {
    /// As it travels: ids and names, none of which has a line break.
    pub(crate) fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n{}", self.tenant, self.actor, self.action, self.subject)
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let [tenant, actor, action, subject] =
            <[&str; 4]>::try_from(text.split('\n').collect::<Vec<_>>()).ok()?;
        Some(Committed {
            tenant: tenant.parse().ok()?,
            actor: actor.to_owned(),
            action: action.to_owned(),
            subject: subject.to_owned(),
        })
    }
}

/// The channel on which PostgreSQL carries them.
pub(crate) const CHANNEL: &str = "bailiwick_news";

/// In the transaction that the news is of.
pub(crate) const NOTIFY: &str = "SELECT 1::bigint FROM pg_notify('bailiwick_news', $1)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_travel_as_text() {
        let committed = Committed {
            tenant: TenantId::customer(),
            actor: "acc_1".into(),
            action: "session.end".into(),
            subject: "ses_2".into(),
        };
        assert_eq!(Committed::from_text(&committed.to_text()), Some(committed));
        assert_eq!(Committed::from_text("ten_1\nacc"), None);
    }
}
