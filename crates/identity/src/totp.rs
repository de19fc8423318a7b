// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Replacing the authenticator app.
//!
//! The new secret waits in the sealed state, and becomes the account's when a code of it is shown; so nobody
//! locks themselves out with an app that was never set up.

use store::{ReadTx, WriteTx, params};
use zeroize::Zeroizing;

use crate::account::ChangeError;
use crate::letter::{Letter, Message};
use crate::random;
use crate::second_factor::{TOTP_SEED, TotpSecret};
use crate::service::{Identity, in_home, same};
use crate::session::AuthenticatedSession;
use crate::signin::spend_exchange;
use crate::state::{ExchangeId, Packer, TOTP, Unpacker};

/// A new authenticator that waits for its first code.
pub struct TotpStarted {
    /// To be sent back with the code.
    pub state: String,
    /// The secret for the app.
    pub secret: TotpSecret,
    /// The same as an `otpauth://` address.
    pub uri: Zeroizing<String>,
}

impl Identity {
    /// Makes a new secret. In a view of the home.
    ///
    /// # Errors
    /// [`ChangeError::StepUpRequired`], [`ChangeError::Gone`].
    pub async fn totp_start(
        &self,
        tx: &mut ReadTx,
        session: &AuthenticatedSession,
    ) -> Result<TotpStarted, ChangeError> {
        let account = self.account(tx, session).await?;
        if !session.is_fresh(tx.now()) {
            return Err(ChangeError::StepUpRequired);
        }
        let secret = TotpSecret::generate();
        let state = Packer::default()
            .put(&random::bytes::<16>())
            .put(session.id().as_bytes())
            .put(secret.expose())
            .finish();
        Ok(TotpStarted {
            state: self.states.seal(TOTP, tx.now() + self.settings.change_ms(), &state),
            uri: secret.uri(&self.settings.service_name, account.number.as_str()),
            secret,
        })
    }

    /// Makes the new secret the account's; the old app is worth nothing from then on. In the home. No try to be charged:
    /// whoever confirms was given the secret. Send the letter after the commit.
    ///
    /// # Errors
    /// [`ChangeError::WrongCode`], [`ChangeError::Restart`], [`ChangeError::StepUpRequired`],
    /// [`ChangeError::Gone`].
    pub async fn totp_confirm(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        state: &str,
        code: &str,
    ) -> Result<Letter, ChangeError> {
        in_home(tx, session.home())?;
        let now = tx.now();
        let bytes = self.states.open(TOTP, now, state).map_err(|_| ChangeError::Restart)?;
        let (exchange, of, secret) = unpack(&bytes).ok_or(ChangeError::Restart)?;
        if !same(&of, session.id().as_bytes()) {
            return Err(ChangeError::Restart);
        }
        let email = self.address_for_change(tx, session).await?;
        let before: Option<(Option<Vec<u8>>,)> = tx
            .query_opt(
                "SELECT totp FROM account WHERE id = $1 AND deleted_at IS NULL",
                params![session.account().uuid()],
            )
            .await?;
        let is_first = before.is_some_and(|(totp,)| totp.is_none());
        let step = secret.step_of(code, now).ok_or(ChangeError::WrongCode)?;
        if !spend_exchange(tx, &exchange, now + self.settings.change_ms()).await? {
            return Err(ChangeError::Restart);
        }
        let keys = self.custody.tenant(tx).await?;
        let sealed = keys.seal(TOTP_SEED, &[session.account().as_bytes()], secret.expose());
        tx.execute(
            "UPDATE account SET totp = $1, totp_last_step = $2, changed_at = $3
             WHERE id = $4 AND deleted_at IS NULL",
            params![&sealed, step, now, session.account().uuid()],
        )
        .await?;
        Ok(Letter::new(email, &self.settings.service_name, now, Message::SecondFactorSet { is_first }))
    }
}

fn unpack(bytes: &[u8]) -> Option<(ExchangeId, [u8; 16], TotpSecret)> {
    let mut fields = Unpacker::new(bytes);
    Some((fields.take()?, fields.take()?, TotpSecret::from_bytes(fields.rest())?))
}
