// SPDX-License-Identifier: Apache-2.0 OR MIT
//! API keys that were found where they should not be.
//!
//! Whoever shows a key's authenticating half could use the key, and may as well end it: it is revoked at once, and its owner
//! is told. Who names only its public id shows nothing; the key is marked, and its owner is told when the key is next
//! used, which is when the address opens. Nobody is answered whether there was such a key.

use keyring::{ApiKeyAuth, ApiKeyId};
use store::{ReadTx, TenantId, WriteTx, params};
use uuid::Uuid;

use super::{home_of, lookup_of};
use crate::failure::Failure;
use crate::letter::{Letter, Message};
use crate::service::{Identity, in_home, sha256};
use crate::{AccountId, MethodId};

/// What somebody reports.
pub enum Reported {
    /// A key, by the half that authenticates.
    Shown(ApiKeyAuth),
    /// A key's public name, and the home that it is of.
    Named(TenantId, ApiKeyId),
}

impl Reported {
    /// The home to look in.
    pub fn home(&self) -> TenantId {
        match self {
            Reported::Shown(auth) => home_of(auth),
            Reported::Named(home, _) => *home,
        }
    }
}

impl Reported {
    /// What the try is charged to ([`crate::Attempts::start`] with [`crate::Try::Report`]): this very key, so that nobody
    /// keeps others from reporting another.
    pub fn charged_to(&self) -> [u8; 32] {
        match self {
            Reported::Shown(auth) => auth.auth_hash(),
            Reported::Named(_, id) => sha256(id.as_str().as_bytes()),
        }
    }
}

/// A key that was reported.
#[derive(Debug)]
pub struct ReportedKey {
    /// The key.
    pub method: MethodId,
    /// The mail to send after the commit.
    pub letter: Option<Letter>,
}

impl Identity {
    /// Whether there is anything to do about a report. In a view of [`Reported::home`].
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn knows_reported(&self, tx: &mut ReadTx, reported: &Reported) -> Result<bool, Failure> {
        Ok(self.reported_key(tx, reported).await?.is_some())
    }

    /// Does what there is to do: ends a key that is shown, marks one that is named. In [`Reported::home`]. Send the letter
    /// after the commit.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn report_key(
        &self,
        tx: &mut WriteTx,
        reported: &Reported,
    ) -> Result<Option<ReportedKey>, Failure> {
        in_home(tx, reported.home())?;
        let Some((account, method)) = self.reported_key(tx, reported).await? else { return Ok(None) };
        let letter = match reported {
            Reported::Shown(auth) => {
                let message = |label| Message::ApiKeyReported { label, key: method, revoked: true };
                let letter = self.letter_to_owner(tx, account, method, &lookup_of(auth), message).await?;
                self.remove_method(tx, method).await?;
                letter
            }
            Reported::Named(..) => {
                let now = tx.now();
                tx.execute(
                    "UPDATE api_key SET reported_at = $1, report_told_at = NULL WHERE method = $2",
                    params![now, method.uuid()],
                )
                .await?;
                None
            }
        };
        Ok(Some(ReportedKey { method, letter }))
    }

    /// The key that is reported; one that is only named, not again within a day.
    async fn reported_key(
        &self,
        tx: &mut ReadTx,
        reported: &Reported,
    ) -> Result<Option<(AccountId, MethodId)>, Failure> {
        let row: Option<(Uuid, Uuid)> = match reported {
            Reported::Shown(auth) => {
                tx.query_opt(
                    "SELECT api_key.account, api_key.method
                     FROM api_key JOIN login_method ON login_method.id = api_key.method
                     WHERE api_key.secret_hash = $1",
                    params![&auth.auth_hash()],
                )
                .await?
            }
            Reported::Named(_, id) => {
                let before = tx.now() - MARK_EVERY;
                tx.query_opt(
                    "SELECT api_key.account, api_key.method
                     FROM api_key JOIN login_method ON login_method.id = api_key.method
                     WHERE api_key.public_id = $1 AND (api_key.reported_at IS NULL OR api_key.reported_at < $2)",
                    params![id.as_str(), before],
                )
                .await?
            }
        };
        Ok(row.map(|(account, method)| (AccountId::from_uuid(account), MethodId::from_uuid(method))))
    }
}

/// Whoever knows a key's public name makes its owner hear of it once a day at the most.
const MARK_EVERY: i64 = 24 * 3_600_000;
