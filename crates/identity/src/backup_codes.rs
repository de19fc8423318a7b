// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Backup codes: ten, each in place of the authenticator app once. Stored under the pepper, for they are short.

use keyring::Lookup;
use store::{Answer, ReadTx, WriteTx, params};

use crate::account::ChangeError;
use crate::failure::Failure;
use crate::letter::{Letter, Message};
use crate::service::{Identity, in_home};
use crate::session::AuthenticatedSession;

impl Identity {
    /// Replaces all backup codes; the old ones are worth nothing from then on. Send the letter after the commit.
    ///
    /// # Errors
    /// [`ChangeError::StepUpRequired`], [`ChangeError::Field`], [`ChangeError::Gone`].
    pub async fn replace_backup_codes(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        codes: &[Lookup],
    ) -> Result<Letter, ChangeError> {
        in_home(tx, session.home())?;
        let email = self.address_for_change(tx, session).await?;
        let indices = self.backup_code_indices(codes).ok_or(ChangeError::Field("backup_codes"))?;
        tx.execute("DELETE FROM backup_code", params![]).await?;
        store(tx, &indices).await?;
        Ok(Letter::new(email, &self.settings().service_name, tx.now(), Message::BackupCodesReplaced))
    }
}

pub(crate) async fn store(tx: &mut WriteTx, indices: &[[u8; 32]]) -> Result<(), Failure> {
    for index in indices {
        tx.execute("INSERT INTO backup_code (lookup) VALUES ($1)", params![index]).await?;
    }
    Ok(())
}

pub(crate) async fn left(tx: &mut ReadTx) -> Result<u32, Failure> {
    let [answer] = tx.together([(COUNT_LEFT, params![])]).await?;
    counted(answer)
}

/// Says how many are left.
pub(crate) const COUNT_LEFT: &str = "SELECT CAST(count(*) AS BIGINT) FROM backup_code WHERE used_at IS NULL";

/// The answer to [`COUNT_LEFT`].
pub(crate) fn counted(answer: Answer) -> Result<u32, Failure> {
    let left = answer.first::<(i64,)>()?.and_then(|(left,)| u32::try_from(left).ok());
    left.ok_or(Failure::Damaged("backup codes"))
}

/// Uses a code up. Of two that come at once with the same code, the database lets one through.
pub(crate) async fn spend(tx: &mut WriteTx, index: &[u8; 32]) -> Result<bool, Failure> {
    let now = tx.now();
    let spent = tx
        .execute(
            "UPDATE backup_code SET used_at = $1 WHERE lookup = $2 AND used_at IS NULL",
            params![now, index],
        )
        .await?;
    Ok(spent == 1)
}
