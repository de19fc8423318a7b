// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Carrying the messages of a pairing between a device and who approves it. What they say to each other is
//! [`keyring::pairing`]; the server understands none of it.
//!
//! ```text
//! device            step       approver
//! ask            ▶  asked      read: who asks
//!                   offered  ◀ offer
//! take           ▶  answering
//! answer         ▶  answered
//!                   judging  ◀ take
//!                   (offered ◀ offer, after a wrong code: three in all)
//!                   delivered◀ deliver, with the grant's hash
//! take           ▶  granted
//! redeem         ▶  gone: the session begins
//! ```
//!
//! A request is a row in the directory for two minutes, and from the first offer on for two more. It holds hashes of
//! the request's id, of the device's secret, of the approving session and of the grant; whatever else it holds is
//! sealed under the id, which only the link names. Each message is handed over once and erased. The device shows its
//! secret, so who merely read the link takes nothing away; the first session that offers is the only one that goes on.
//!
//! The row goes first when the grant is redeemed, then the session begins in the home: a crash in between costs the
//! pairing and gives nobody anything. The session hangs on the login method of the approving session, which must still
//! live, and is not fresh: whoever holds the device proves nothing by that.

mod arrive;
mod row;

use keyring::pairing::{PairingForm, PairingId, TRIES};
use store::{ReadTx, WriteTx, params};
use zeroize::Zeroizing;

pub use self::arrive::{PairedIn, PairingApprover, RedeemedPairing};
use self::row::read_said;
use crate::device::{DeviceInfo, Place};
use crate::failure::{Failure, fails};
use crate::service::{Identity, in_directory, sha256};
use crate::session::AuthenticatedSession;
use crate::state::Packer;

/// What a device asks with.
pub struct PairingAsk {
    /// The request.
    pub request: PairingId,
    /// What the device alone knows.
    pub device_secret: DeviceSecret,
    /// What it wants to be.
    pub form: PairingForm,
    /// How it names itself.
    pub device: DeviceInfo,
    /// Its one-time public key, for the approver.
    pub key: Vec<u8>,
    /// Where it asks from.
    pub place: Place,
}

/// Shows that it is the device that asked. Its hash is stored.
pub struct DeviceSecret(Zeroizing<[u8; 32]>);

impl DeviceSecret {
    /// Takes what the device sent.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    fn hash(&self) -> [u8; 32] {
        sha256(self.0.as_slice())
    }
}

/// Who asks, for whoever opens the link.
#[derive(Debug)]
pub struct PairingAsked {
    /// What the device wants to be.
    pub form: PairingForm,
    /// Its name.
    pub name: String,
    /// What it runs, as it says.
    pub platform: String,
    /// Its key.
    pub key: Vec<u8>,
    /// The network it asks from.
    pub place: String,
    /// When it asked, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// When the request is dead.
    pub expires_at: i64,
}

/// One of the two that talk.
#[derive(Clone, Copy)]
pub enum PairingSide<'a> {
    /// Who asks.
    Device(&'a DeviceSecret),
    /// Who approves.
    Approver(&'a AuthenticatedSession),
}

/// How far a pairing is, for one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairingState {
    /// The other side is to speak.
    Waiting,
    /// A message waits: [`Identity::pairing_take`] it.
    Message,
    /// The approver said no.
    Refused,
    /// Three codes were wrong.
    TriesSpent,
}

/// Why a pairing does not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairingError {
    /// There is no such request: it never was, expired, was refused, cancelled or used.
    #[error("this pairing request is over; start again on the device")]
    Over,
    /// Another session was first.
    #[error(
        "somebody else has opened this link already. If that was not you, do not go on: start again on the device"
    )]
    Taken,
    /// It is the other side's turn, or the message was sent before.
    #[error("it is the other side's turn")]
    OutOfTurn,
    /// Three codes were wrong.
    #[error("the code was wrong three times; start again on the device")]
    TriesSpent,
    /// The approving session has to prove itself anew, by its own token.
    #[error("letting a device in needs a fresh proof")]
    StepUpRequired,
    /// The server's own trouble.
    #[error(transparent)]
    Failed(#[from] Failure),
}

fails!(PairingError);

impl Identity {
    /// What a request's tries are charged to.
    pub fn pairing_index(&self, request: &PairingId) -> [u8; 32] {
        self.keyed("pairing/request", &[request.expose()])
    }

    /// Takes a request in. In the directory. Returns when it is dead.
    ///
    /// # Errors
    /// [`PairingError::OutOfTurn`] when there is one of this id.
    pub async fn pairing_ask(&self, tx: &mut WriteTx, ask: &PairingAsk) -> Result<i64, PairingError> {
        in_directory(tx)?;
        let (now, expires_at) = (tx.now(), tx.now() + LIVES_MS);
        let said = Packer::default()
            .put(&[u8::from(ask.form == PairingForm::Public)])
            .text(ask.device.name())
            .text(ask.device.platform())
            .text(ask.place.as_str())
            .put(&ask.key)
            .finish();
        let inserted = tx
            .execute(
                "INSERT INTO pairing (request, device, said, step, offers, created_at, expires_at)
                 VALUES ($1, $2, $3, 'asked', 0, $4, $5) ON CONFLICT DO NOTHING",
                params![
                    &self.pairing_index(&ask.request),
                    &ask.device_secret.hash(),
                    &self.seal_pairing(&ask.request, "said", &said),
                    now,
                    expires_at,
                ],
            )
            .await?;
        if inserted == 1 { Ok(expires_at) } else { Err(PairingError::OutOfTurn) }
    }

    /// Who asks. In a view of the directory, for a session that was shown the link.
    ///
    /// # Errors
    /// [`PairingError::Over`]; [`PairingError::Taken`] when another session goes on with it.
    pub async fn pairing_read(
        &self,
        tx: &mut ReadTx,
        session: &AuthenticatedSession,
        request: &PairingId,
    ) -> Result<PairingAsked, PairingError> {
        let row = self.pairing(tx, request).await?;
        self.check_side(&row, &PairingSide::Approver(session))?;
        let said = self.open_pairing(request, "said", row.said)?;
        let (form, device, place, key) = read_said(&said).ok_or(Failure::Damaged("pairing request"))?;
        Ok(PairingAsked {
            form,
            name: device.name().to_owned(),
            platform: device.platform().to_owned(),
            key,
            place,
            created_at: row.created_at,
            expires_at: row.expires_at,
        })
    }

    /// Takes an offer to the device. In the directory. The first one claims the request for the session, for two minutes.
    ///
    /// # Errors
    /// [`PairingError::Over`], [`PairingError::Taken`], [`PairingError::OutOfTurn`], [`PairingError::TriesSpent`].
    pub async fn pairing_offer(
        &self,
        tx: &mut WriteTx,
        request: &PairingId,
        approver: &PairingApprover,
        session: &AuthenticatedSession,
        message: &[u8],
    ) -> Result<(), PairingError> {
        let row = self.pairing(tx, request).await?;
        self.check_side(&row, &PairingSide::Approver(session))?;
        if row.offers >= i64::from(TRIES) {
            return Err(PairingError::TriesSpent);
        }
        let (from, expires_at) = match row.step.as_str() {
            "asked" => ("asked", tx.now() + LIVES_MS),
            "judging" => ("judging", row.expires_at),
            _ => return Err(PairingError::OutOfTurn),
        };
        let approval = Packer::default()
            .put(approver.account.as_bytes())
            .put(approver.home.as_bytes())
            .put(approver.session.as_bytes())
            .put(approver.method.as_bytes())
            .put(approver.email_key.expose())
            .finish();
        let moved = tx
            .execute(
                "UPDATE pairing SET step = 'offered', offers = offers + 1, approver = $1, approval = $2,
                                    message = $3, expires_at = $4
                 WHERE request = $5 AND step = $6",
                params![
                    &self.approver_hash(session),
                    &self.seal_pairing(request, "approval", &approval),
                    &self.seal_pairing(request, "message", message),
                    expires_at,
                    &self.pairing_index(request),
                    from,
                ],
            )
            .await?;
        one(moved)
    }

    /// How far a pairing is. In a view of the directory.
    ///
    /// # Errors
    /// [`PairingError::Over`], also for a wrong device secret; [`PairingError::Taken`] for another session.
    pub async fn pairing_state(
        &self,
        tx: &mut ReadTx,
        request: &PairingId,
        side: &PairingSide<'_>,
    ) -> Result<PairingState, PairingError> {
        let row = self.pairing(tx, request).await?;
        self.check_side(&row, side)?;
        Ok(match (side, row.step.as_str()) {
            (_, "refused") if row.offers >= i64::from(TRIES) => PairingState::TriesSpent,
            (_, "refused") => PairingState::Refused,
            (PairingSide::Device(_), "offered" | "delivered") | (PairingSide::Approver(_), "answered") => {
                PairingState::Message
            }
            _ => PairingState::Waiting,
        })
    }

    /// Hands a message over, and erases it. In the directory.
    ///
    /// # Errors
    /// As [`pairing_state`](Self::pairing_state); [`PairingError::OutOfTurn`] when there is none.
    pub async fn pairing_take(
        &self,
        tx: &mut WriteTx,
        request: &PairingId,
        side: &PairingSide<'_>,
    ) -> Result<Vec<u8>, PairingError> {
        let row = self.pairing(tx, request).await?;
        self.check_side(&row, side)?;
        let next = match (side, row.step.as_str()) {
            (PairingSide::Device(_), "offered") => "answering",
            (PairingSide::Device(_), "delivered") => "granted",
            (PairingSide::Approver(_), "answered") => "judging",
            _ => return Err(PairingError::OutOfTurn),
        };
        let message = row.message.ok_or(PairingError::OutOfTurn)?;
        let moved = tx
            .execute(
                "UPDATE pairing SET step = $1, message = NULL WHERE request = $2 AND step = $3",
                params![next, &self.pairing_index(request), row.step.as_str()],
            )
            .await?;
        one(moved)?;
        Ok(self.open_pairing(request, "message", message)?.to_vec())
    }

    /// Takes the device's answer to the approver. In the directory.
    ///
    /// # Errors
    /// [`PairingError::Over`], [`PairingError::OutOfTurn`].
    pub async fn pairing_answer(
        &self,
        tx: &mut WriteTx,
        request: &PairingId,
        device_secret: &DeviceSecret,
        message: &[u8],
    ) -> Result<(), PairingError> {
        let row = self.pairing(tx, request).await?;
        self.check_side(&row, &PairingSide::Device(device_secret))?;
        let moved = tx
            .execute(
                "UPDATE pairing SET step = 'answered', message = $1 WHERE request = $2 AND step = 'answering'",
                params![&self.seal_pairing(request, "message", message), &self.pairing_index(request)],
            )
            .await?;
        one(moved)
    }

    /// Takes the approver's last message, and the hash of the grant that is sealed in it. In the directory.
    ///
    /// # Errors
    /// [`PairingError::Over`], [`PairingError::Taken`], [`PairingError::OutOfTurn`].
    pub async fn pairing_deliver(
        &self,
        tx: &mut WriteTx,
        request: &PairingId,
        session: &AuthenticatedSession,
        message: &[u8],
        grant_hash: &[u8; 32],
    ) -> Result<(), PairingError> {
        let row = self.pairing(tx, request).await?;
        self.check_side(&row, &PairingSide::Approver(session))?;
        let moved = tx
            .execute(
                "UPDATE pairing SET step = 'delivered', message = $1, grant_hash = $2
                 WHERE request = $3 AND step = 'judging'",
                params![
                    &self.seal_pairing(request, "message", message),
                    grant_hash,
                    &self.pairing_index(request)
                ],
            )
            .await?;
        one(moved)
    }

    /// Ends a pairing. In the directory. The device hears that it was refused; what the device gives up is gone.
    ///
    /// # Errors
    /// [`PairingError::Over`], [`PairingError::Taken`].
    pub async fn pairing_end(
        &self,
        tx: &mut WriteTx,
        request: &PairingId,
        side: &PairingSide<'_>,
    ) -> Result<(), PairingError> {
        let row = self.pairing(tx, request).await?;
        self.check_side(&row, side)?;
        let index = self.pairing_index(request);
        match side {
            PairingSide::Device(_) => {
                tx.execute("DELETE FROM pairing WHERE request = $1", params![&index]).await?;
            }
            PairingSide::Approver(session) => {
                let ended = tx
                    .execute(
                        "UPDATE pairing SET step = 'refused', approver = $1, approval = NULL, message = NULL,
                                            grant_hash = NULL
                         WHERE request = $2 AND (approver IS NULL OR approver = $1)",
                        params![&self.approver_hash(session), &index],
                    )
                    .await?;
                if ended == 0 {
                    return Err(PairingError::Taken);
                }
            }
        }
        Ok(())
    }
}

/// Of two that move a request on, one does.
fn one(moved: u64) -> Result<(), PairingError> {
    if moved == 1 { Ok(()) } else { Err(PairingError::OutOfTurn) }
}

/// For how long a device waits to be let in, and once more from the first offer on.
const LIVES_MS: i64 = 120_000;
