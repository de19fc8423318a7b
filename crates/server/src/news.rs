// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What an operator's command commits beside a running server, as far as the server keeps it in memory: who holds a role on the
//! platform, and whether people were imported. It is read again as soon as there is news of it, instead of when its time has come.

use store::News;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use crate::revocations;
use crate::state::App;
use crate::workers::reload_imports;

/// Whether a record is news here.
pub(crate) fn is_news(action: &str, subject: &str) -> bool {
    revocations::is_news(action, subject) || is_kept(action)
}

/// Whether what is kept in memory may be another after this action.
fn is_kept(action: &str) -> bool {
    matches!(action, "platform_role.grant" | "platform_role.revoke" | "users.import")
}

/// Reads again what is kept in memory, on news of it, until the server stops.
pub(crate) async fn follow(app: App, mut news: broadcast::Receiver<News>, mut stop: watch::Receiver<bool>) {
    loop {
        let heard = tokio::select! {
            heard = news.recv() => heard,
            _ = stop.changed() => return,
        };
        let is_another = match heard {
            Ok(News::Committed(committed)) => is_kept(&committed.action),
            Ok(News::Deaf) => false,
            Ok(News::Missed) | Err(RecvError::Lagged(_)) => true,
            Err(RecvError::Closed) => return,
        };
        if !is_another {
            continue;
        }
        app.roles.forget();
        if let Err(error) = reload_imports(&app).await {
            tracing::warn!(code = error.code().as_str(), "what was imported is not known yet; it will be");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_tokens_and_what_is_kept_is_news() {
        assert!(is_news("session.end", "ses_1") && is_news("users.import", "imported-users"));
        assert!(is_news("platform_role.revoke", "acc_1") && !is_news("item.write", "itm_1"));
    }
}
