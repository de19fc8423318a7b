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

use keyring::pairing::{PairingForm, PairingGrant, PairingId, TRIES};
use keyring::sealed::{Context, SealingKey};
use keyring::{AccountNumber, EmailKey, IdentityPublicKeys, Sealed, SystemRng};
use store::{ReadTx, TenantId, WriteTx, params};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::device::{self, DeviceInfo, DeviceToken, Place};
use crate::failure::{Failure, fails};
use crate::letter::{Letter, Message};
use crate::secret::SecretBytes;
use crate::service::{Identity, in_directory, in_home, same, sha256};
use crate::session::{AuthenticatedSession, NewSession, SessionError, SessionKind};
use crate::state::{Packer, Unpacker};
use crate::{AccountId, MethodId, SessionId};

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
pub struct DeviceSecret(SecretBytes<32>);

impl DeviceSecret {
    /// Takes what the device sent.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(SecretBytes::clone_of(&Zeroizing::new(bytes)))
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

/// The approving session, as its home knows it.
pub struct PairingApprover {
    account: AccountId,
    home: TenantId,
    session: SessionId,
    method: MethodId,
    email_key: EmailKey,
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
        let kind = if is_public { SessionKind::Public } else { SessionKind::Paired };
        let mut session = self
            .begin_session_of(tx, kind, approver.account, approver.method, seen, place, &approver.email_key)
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

    /// Whether there are requests that are dead. In a view of the directory.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn has_dead_pairings(&self, tx: &mut ReadTx) -> Result<bool, Failure> {
        in_directory(tx)?;
        let now = tx.now();
        let dead: Option<(i64,)> = tx
            .query_opt("SELECT expires_at FROM pairing WHERE expires_at <= $1 LIMIT 1", params![now])
            .await?;
        Ok(dead.is_some())
    }

    /// Forgets requests that are dead. In the directory.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn sweep_pairings(&self, tx: &mut WriteTx) -> Result<u64, Failure> {
        in_directory(tx)?;
        let now = tx.now();
        Ok(tx.execute("DELETE FROM pairing WHERE expires_at <= $1", params![now]).await?)
    }

    async fn pairing(&self, tx: &mut ReadTx, request: &PairingId) -> Result<Row, PairingError> {
        in_directory(tx)?;
        let now = tx.now();
        type Columns = (
            [u8; 32],
            Vec<u8>,
            String,
            i64,
            Option<[u8; 32]>,
            Option<Vec<u8>>,
            Option<Vec<u8>>,
            Option<[u8; 32]>,
            i64,
            i64,
        );
        let row: Option<Columns> = tx
            .query_opt(
                "SELECT device, said, step, offers, approver, approval, message, grant_hash, created_at, expires_at
                 FROM pairing WHERE request = $1 AND expires_at > $2",
                params![&self.pairing_index(request), now],
            )
            .await?;
        let (device, said, step, offers, approver, approval, message, grant_hash, created_at, expires_at) =
            row.ok_or(PairingError::Over)?;
        Ok(Row {
            device,
            said,
            step,
            offers,
            approver,
            approval,
            message,
            grant_hash,
            created_at,
            expires_at,
        })
    }

    fn check_side(&self, row: &Row, side: &PairingSide<'_>) -> Result<(), PairingError> {
        match side {
            PairingSide::Device(secret) if same(&row.device, &secret.hash()) => Ok(()),
            // Whether there is such a request is not said to who is not the device.
            PairingSide::Device(_) => Err(PairingError::Over),
            PairingSide::Approver(session) => match &row.approver {
                Some(first) if !same(first, &self.approver_hash(session)) => Err(PairingError::Taken),
                _ => Ok(()),
            },
        }
    }

    fn approver_hash(&self, session: &AuthenticatedSession) -> [u8; 32] {
        self.keyed("pairing/approver", &[session.id().as_bytes()])
    }

    fn seal_pairing(&self, request: &PairingId, what: &str, plaintext: &[u8]) -> Vec<u8> {
        self.pairing_key(request).seal(plaintext, &pairing_place(what), &mut SystemRng).into_bytes()
    }

    fn open_pairing(
        &self,
        request: &PairingId,
        what: &str,
        sealed: Vec<u8>,
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let damaged = || Failure::Damaged("pairing request");
        let sealed = Sealed::parse(sealed).map_err(|_| damaged())?;
        self.pairing_key(request).open(&sealed, &pairing_place(what)).map_err(|_| damaged())
    }

    /// Only who has the link can have the row opened.
    fn pairing_key(&self, request: &PairingId) -> SealingKey {
        SealingKey::from_bytes(self.keyed("pairing/seal", &[request.expose()]))
    }
}

struct Row {
    device: [u8; 32],
    said: Vec<u8>,
    step: String,
    offers: i64,
    approver: Option<[u8; 32]>,
    approval: Option<Vec<u8>>,
    message: Option<Vec<u8>>,
    grant_hash: Option<[u8; 32]>,
    created_at: i64,
    expires_at: i64,
}

/// Of two that move a request on, one does.
fn one(moved: u64) -> Result<(), PairingError> {
    if moved == 1 { Ok(()) } else { Err(PairingError::OutOfTurn) }
}

fn read_said(bytes: &[u8]) -> Option<(PairingForm, DeviceInfo, String, Vec<u8>)> {
    let mut fields = Unpacker::new(bytes);
    let form = match fields.take()? {
        [0] => PairingForm::Device,
        [1] => PairingForm::Public,
        _ => return None,
    };
    let (name, platform, place) = (fields.text()?, fields.text()?, fields.text()?);
    Some((form, DeviceInfo::new(&name, &platform).ok()?, place, fields.rest().to_vec()))
}

fn read_approval(bytes: &[u8]) -> Option<PairingApprover> {
    let mut fields = Unpacker::new(bytes);
    Some(PairingApprover {
        account: AccountId::from_uuid(Uuid::from_bytes(fields.take()?)),
        home: TenantId::from_uuid(Uuid::from_bytes(fields.take()?)),
        session: SessionId::from_uuid(Uuid::from_bytes(fields.take()?)),
        method: MethodId::from_uuid(Uuid::from_bytes(fields.take()?)),
        email_key: EmailKey::from_bytes(fields.take()?),
    })
}

fn pairing_place(what: &str) -> Context {
    Context::new("pairing/relay", keyring::TenantId::from_bytes([0; 16])).object(what)
}

/// For how long a device waits to be let in, and once more from the first offer on.
const LIVES_MS: i64 = 120_000;
