// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Both ends of a grant: the session that approves, and the session that begins.

use keyring::pairing::{PairingForm, PairingGrant, PairingId};
use keyring::{AccountNumber, EmailKey, IdentityPublicKeys};
use store::{ReadTx, TenantId, WriteTx, params};

use super::row::{read_approval, read_said};
use super::{DeviceSecret, PairingError, PairingSide, one};
use crate::device::{self, DeviceInfo, DeviceToken, Place};
use crate::failure::Failure;
use crate::letter::{Letter, Message};
use crate::service::{Identity, in_home, same};
use crate::session::{AuthenticatedSession, Begin, NewSession, SessionError, SessionKind};
use crate::{AccountId, MethodId, SessionId};

/// The approving session, as its home knows it.
pub struct PairingApprover {
    pub(super) account: AccountId,
    pub(super) home: TenantId,
    pub(super) session: SessionId,
    pub(super) method: MethodId,
    pub(super) email_key: EmailKey,
}

/// A grant that was redeemed: the session may begin.
pub struct RedeemedPairing {
    approver: PairingApprover,
    form: PairingForm,
    device: DeviceInfo,
}

impl RedeemedPairing {
    /// The home to enter.
    pub fn home(&self) -> TenantId {
        self.approver.home
    }
}

/// What a device gets that was let in.
#[derive(Debug)]
pub struct PairedIn {
    /// The account.
    pub account: AccountId,
    /// Its number, for people.
    pub number: AccountNumber,
    /// The session.
    pub session: NewSession,
    /// The account's public identity keys.
    pub identity_public: IdentityPublicKeys,
    /// The mail to send after the commit.
    pub letter: Letter,
}

impl Identity {
    /// The session that approves. In the session's home.
    ///
    /// # Errors
    /// [`PairingError::StepUpRequired`] when it is not fresh, or was not shown by its own token.
    pub async fn pairing_approver(
        &self,
        tx: &mut ReadTx,
        session: &AuthenticatedSession,
    ) -> Result<PairingApprover, PairingError> {
        in_home(tx, session.home())?;
        if !session.is_fresh(tx.now()) {
            return Err(PairingError::StepUpRequired);
        }
        let row: Option<(Option<Vec<u8>>,)> = tx
            .query_opt(
                "SELECT email_key FROM session WHERE id = $1 AND ended_at IS NULL",
                params![session.id().uuid()],
            )
            .await?;
        let email_key = row
            .and_then(|(key,)| key)
            .and_then(|key| session.email_key(key))
            .ok_or(PairingError::StepUpRequired)?;
        Ok(PairingApprover {
            account: session.account(),
            home: session.home(),
            session: session.id(),
            method: session.method(),
            email_key,
        })
    }

    /// Redeems the grant: the request is gone. In the directory; then [`pairing_arrive`](Self::pairing_arrive).
    ///
    /// # Errors
    /// [`PairingError::Over`], also for another grant; [`PairingError::OutOfTurn`].
    pub async fn pairing_redeem(
        &self,
        tx: &mut WriteTx,
        request: &PairingId,
        device_secret: &DeviceSecret,
        grant: &PairingGrant,
    ) -> Result<RedeemedPairing, PairingError> {
        let row = self.pairing(tx, request).await?;
        self.check_side(&row, &PairingSide::Device(device_secret))?;
        let (Some(hash), Some(approval)) = (row.grant_hash, row.approval) else {
            return Err(PairingError::OutOfTurn);
        };
        if row.step != "granted" {
            return Err(PairingError::OutOfTurn);
        }
        if !same(&hash, &grant.hash()) {
            return Err(PairingError::Over);
        }
        let index = self.pairing_index(request);
        let gone = tx
            .execute("DELETE FROM pairing WHERE request = $1 AND step = 'granted'", params![&index])
            .await?;
        one(gone)?;
        let damaged = || Failure::Damaged("pairing request");
        let said = self.open_pairing(request, "said", row.said)?;
        let (form, device, ..) = read_said(&said).ok_or_else(damaged)?;
        let approval = self.open_pairing(request, "approval", approval)?;
        let approver = read_approval(&approval).ok_or_else(damaged)?;
        Ok(RedeemedPairing { approver, form, device })
    }

    /// Begins the session of a device that was let in. In [`RedeemedPairing::home`]. Send the letter after the commit.
    ///
    /// # Errors
    /// [`PairingError::Over`] when the session that approved has ended meanwhile.
    pub async fn pairing_arrive(
        &self,
        tx: &mut WriteTx,
        redeemed: &RedeemedPairing,
        device_token: Option<&DeviceToken>,
        place: &Place,
    ) -> Result<PairedIn, PairingError> {
        let RedeemedPairing { approver, form, device } = redeemed;
        in_home(tx, approver.home)?;
        let approving = self.session_by_id(tx, approver.session).await.map_err(|error| match error {
            SessionError::Failed(failure) => PairingError::Failed(failure),
            _ => PairingError::Over,
        })?;
        if approving.method() != approver.method || approving.account() != approver.account {
            return Err(PairingError::Over);
        }
        type Row = (String, Option<Vec<u8>>, Option<[u8; 32]>, Vec<u8>);
        let row: Option<Row> = tx
            .query_opt(
                "SELECT number, sealed_email, email_index, identity_public FROM account
                 WHERE id = $1 AND deleted_at IS NULL",
                params![approver.account.uuid()],
            )
            .await?;
        let Some((number, Some(sealed_email), Some(index), identity_public)) = row else {
            return Err(PairingError::Over);
        };
        let keys = self.custody.tenant(tx).await?;
        let email = self
            .open_stored_address(&keys, approver.account, &sealed_email, &approver.email_key, &index)?
            .ok_or(Failure::Damaged("address"))?;
        let is_public = *form == PairingForm::Public;
        let device_token = device_token.filter(|_| !is_public);
        let known = device::known(tx, device_token).await?;
        let seen = device::see(self, tx, &index, known, device, place).await?;
        let how = Begin::of(if is_public { SessionKind::Public } else { SessionKind::Paired });
        let mut session = self
            .begin_session_of(tx, how, approver.account, approver.method, seen, place, &approver.email_key)
            .await?;
        // It is not to be known again: the next person on it is somebody else.
        session.device_token = session.device_token.filter(|_| !is_public);
        let message = Message::DevicePaired {
            device: device.label(),
            place: place.as_str().to_owned(),
            session: session.id,
            is_public,
        };
        let damaged = |what| Failure::Damaged(what);
        Ok(PairedIn {
            account: approver.account,
            number: AccountNumber::parse(&number).map_err(|_| damaged("account number"))?,
            identity_public: IdentityPublicKeys::from_bytes(&identity_public)
                .map_err(|_| damaged("identity keys"))?,
            letter: Letter::new(email, &self.settings.service_name, tx.now(), message),
            session,
        })
    }
}
