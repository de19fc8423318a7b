// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The row of a request: who may touch it, how it is sealed, and when it goes.

use keyring::pairing::{PairingForm, PairingId};
use keyring::sealed::{Context, SealingKey};
use keyring::{EmailKey, Sealed, SystemRng};
use store::{ReadTx, TenantId, WriteTx, params};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{PairingApprover, PairingError, PairingSide};
use crate::device::DeviceInfo;
use crate::failure::Failure;
use crate::service::{Identity, in_directory, same};
use crate::session::AuthenticatedSession;
use crate::state::Unpacker;
use crate::{AccountId, MethodId, SessionId};

/// A request, as the directory has it.
pub(super) struct Row {
    pub(super) device: [u8; 32],
    pub(super) said: Vec<u8>,
    pub(super) step: String,
    pub(super) offers: i64,
    pub(super) approver: Option<[u8; 32]>,
    pub(super) approval: Option<Vec<u8>>,
    pub(super) message: Option<Vec<u8>>,
    pub(super) grant_hash: Option<[u8; 32]>,
    pub(super) created_at: i64,
    pub(super) expires_at: i64,
}

impl Identity {
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

    /// The request, unless it is dead.
    pub(super) async fn pairing(&self, tx: &mut ReadTx, request: &PairingId) -> Result<Row, PairingError> {
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

    pub(super) fn check_side(&self, row: &Row, side: &PairingSide<'_>) -> Result<(), PairingError> {
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

    pub(super) fn approver_hash(&self, session: &AuthenticatedSession) -> [u8; 32] {
        self.keyed("pairing/approver", &[session.id().as_bytes()])
    }

    pub(super) fn seal_pairing(&self, request: &PairingId, what: &str, plaintext: &[u8]) -> Vec<u8> {
        self.pairing_key(request).seal(plaintext, &pairing_place(what), &mut SystemRng).into_bytes()
    }

    pub(super) fn open_pairing(
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

pub(super) fn read_said(bytes: &[u8]) -> Option<(PairingForm, DeviceInfo, String, Vec<u8>)> {
    let mut fields = Unpacker::new(bytes);
    let form = match fields.take()? {
        [0] => PairingForm::Device,
        [1] => PairingForm::Public,
        _ => return None,
    };
    let (name, platform, place) = (fields.text()?, fields.text()?, fields.text()?);
    Some((form, DeviceInfo::new(&name, &platform).ok()?, place, fields.rest().to_vec()))
}

pub(super) fn read_approval(bytes: &[u8]) -> Option<PairingApprover> {
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
