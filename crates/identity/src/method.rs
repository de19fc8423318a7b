// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Login methods: what each account has to sign in and unlock with.

use keyring::{MethodKind, MethodPublicKey, MethodTag, SealedMasterKey};
use store::{ReadTx, params};
use uuid::Uuid;

use crate::MethodId;
use crate::failure::Failure;
use crate::service::{Identity, in_home};
use crate::session::AuthenticatedSession;

/// A login method, with the master key sealed to it. Everything in it is for the account's clients; they check the tag
/// before they seal anything to the public key.
#[derive(Clone, Debug)]
pub struct LoginMethod {
    /// Its id.
    pub id: MethodId,
    /// What it is.
    pub kind: MethodKind,
    /// Its name, given by its owner.
    pub label: String,
    /// Its public key.
    pub public_key: MethodPublicKey,
    /// The master key, sealed to the public key.
    pub sealed_master_key: SealedMasterKey,
    /// The master key's word for the public key.
    pub tag: MethodTag,
    /// Which master key is sealed: counts rotations from 1.
    pub master_key_version: u32,
    /// When it was added, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// When it was last signed in with.
    pub last_used_at: Option<i64>,
}

impl Identity {
    /// The login methods of the session's account, the oldest first.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn login_methods(
        &self,
        tx: &mut ReadTx,
        session: &AuthenticatedSession,
    ) -> Result<Vec<LoginMethod>, Failure> {
        in_home(tx, session.home())?;
        let rows: Vec<Row> = tx
            .query(
                "SELECT id, kind, label, public_key, sealed_master_key, tag, master_key_version, created_at, last_used_at
                 FROM login_method ORDER BY created_at, id",
                params![],
            )
            .await?;
        rows.into_iter().map(read).collect()
    }

    pub(crate) async fn login_method(
        &self,
        tx: &mut ReadTx,
        method: MethodId,
    ) -> Result<Option<LoginMethod>, Failure> {
        let row: Option<Row> = tx
            .query_opt(
                "SELECT id, kind, label, public_key, sealed_master_key, tag, master_key_version, created_at, last_used_at
                 FROM login_method WHERE id = $1",
                params![method.uuid()],
            )
            .await?;
        row.map(read).transpose()
    }
}

type Row = (Uuid, String, String, Vec<u8>, Vec<u8>, [u8; 32], i64, i64, Option<i64>);

fn read(row: Row) -> Result<LoginMethod, Failure> {
    let (id, kind, label, public_key, sealed_master_key, tag, master_key_version, created_at, last_used_at) =
        row;
    let damaged = || Failure::Damaged("login method");
    let known = [MethodKind::Password, MethodKind::Passkey, MethodKind::RecoveryKey, MethodKind::ApiKey];
    Ok(LoginMethod {
        id: MethodId::from_uuid(id),
        kind: known.into_iter().find(|known| known.as_str() == kind).ok_or_else(damaged)?,
        label,
        public_key: MethodPublicKey::from_bytes(&public_key).map_err(|_| damaged())?,
        sealed_master_key: SealedMasterKey::parse(sealed_master_key).map_err(|_| damaged())?,
        tag: MethodTag::from_bytes(tag),
        master_key_version: u32::try_from(master_key_version).map_err(|_| damaged())?,
        created_at,
        last_used_at,
    })
}
