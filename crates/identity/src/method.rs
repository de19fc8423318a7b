// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Login methods: what each account has to sign in and unlock with.
//!
//! A method *authenticates*: it proves to the server who is there. It may also *unlock*: the master key is sealed to its public
//! key, and only its secret, which stays with its owner, opens that. A passkey without PRF and an API key without
//! its unlocking half authenticate alone.

use keyring::{KdfParams, MethodKind, MethodPublicKey, MethodSalt, MethodTag, SealedMasterKey};
use store::{Answer, ReadTx, params};
use uuid::Uuid;

use crate::MethodId;
use crate::failure::Failure;
use crate::service::{Identity, in_home};
use crate::session::AuthenticatedSession;

/// A login method. Everything in it is for the account's clients.
#[derive(Clone, Debug)]
pub struct LoginMethod {
    /// Its id.
    pub id: MethodId,
    /// What it is.
    pub kind: MethodKind,
    /// Its name, given by its owner.
    pub label: String,
    /// How it unlocks, if it does. The key was read when it came, which takes long; here it is only handed on.
    pub unlocking: Option<Unlocking<Vec<u8>>>,
    /// When it was added, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// When it was last signed in with.
    pub last_used_at: Option<i64>,
}

/// How a login method unlocks: the master key, sealed to it. Clients check the tag before they seal anything to the public key.
#[derive(Clone, Debug)]
pub struct Unlocking<Key = MethodPublicKey> {
    /// Its public key, or the bytes of it.
    pub public_key: Key,
    /// The master key, sealed to the public key.
    pub sealed_master_key: SealedMasterKey,
    /// The master key's word for the public key.
    pub tag: MethodTag,
    /// Which master key is sealed: counts rotations from 1.
    pub master_key_version: u32,
    /// How its secret is hashed on the client, where it is.
    pub slow_hash: Option<SlowHash>,
}

/// How a client hashes a secret that is not a password (a recovery key, an API key's unlocking half): Argon2id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowHash {
    /// The method's own salt; not secret.
    pub salt: MethodSalt,
    /// How slow.
    pub kdf: KdfParams,
}

impl LoginMethod {
    /// Whether a person signs in with a method of this kind. An API key is a program's: it does not count when it is asked
    /// whether its owner can still get in.
    pub(crate) fn is_interactive(kind: MethodKind) -> bool {
        kind != MethodKind::ApiKey
    }
}

impl Identity {
    /// Whether a login method is still there: what somebody set up by it ends with it. In a view of its home.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn has_method(&self, tx: &mut ReadTx, method: MethodId) -> Result<bool, Failure> {
        let found: Option<(i64,)> =
            tx.query_opt("SELECT 1 FROM login_method WHERE id = $1", params![method.uuid()]).await?;
        Ok(found.is_some())
    }

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
        all(tx).await
    }

    pub(crate) async fn login_method(
        &self,
        tx: &mut ReadTx,
        method: MethodId,
    ) -> Result<Option<LoginMethod>, Failure> {
        let [answer] = tx.together([(FIND, params![method.uuid()])]).await?;
        found(answer)
    }
}

/// Finds a method by its id.
pub(crate) const FIND: &str =
    "SELECT id, kind, label, public_key, sealed_master_key, tag, master_key_version,
                                      salt, kdf_memory, kdf_passes, kdf_lanes, created_at, last_used_at
                               FROM login_method WHERE id = $1";

/// The answer to [`FIND`].
pub(crate) fn found(answer: Answer) -> Result<Option<LoginMethod>, Failure> {
    answer.first::<Row>()?.map(read).transpose()
}

/// The methods of this home's account, the oldest first.
pub(crate) async fn all(tx: &mut ReadTx) -> Result<Vec<LoginMethod>, Failure> {
    let rows: Vec<Row> = tx
        .query(
            "SELECT id, kind, label, public_key, sealed_master_key, tag, master_key_version,
                    salt, kdf_memory, kdf_passes, kdf_lanes, created_at, last_used_at
             FROM login_method ORDER BY created_at, id",
            params![],
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// The kind of this name.
pub(crate) fn kind_named(name: &str) -> Option<MethodKind> {
    [
        MethodKind::Password,
        MethodKind::Passkey,
        MethodKind::RecoveryKey,
        MethodKind::ApiKey,
        MethodKind::Provider,
    ]
    .into_iter()
    .find(|kind| kind.as_str() == name)
}

/// As the two statements above read it.
type Row = (
    Uuid,
    String,
    String,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<[u8; 32]>,
    Option<i64>,
    Option<[u8; 16]>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    i64,
    Option<i64>,
);

fn read(row: Row) -> Result<LoginMethod, Failure> {
    let (
        id,
        kind,
        label,
        public_key,
        sealed,
        tag,
        version,
        salt,
        memory,
        passes,
        lanes,
        created_at,
        last_used_at,
    ) = row;
    let damaged = || Failure::Damaged("login method");
    let number = |n: i64| u32::try_from(n).map_err(|_| damaged());
    let slow_hash = match (salt, memory, passes, lanes) {
        (None, None, None, None) => None,
        (Some(salt), Some(memory), Some(passes), Some(lanes)) => Some(SlowHash {
            salt: MethodSalt::from_bytes(salt),
            kdf: KdfParams::checked(number(memory)?, number(passes)?, number(lanes)?)
                .map_err(|_| damaged())?,
        }),
        _ => return Err(damaged()),
    };
    let unlocking = match (public_key, sealed, tag, version) {
        (None, None, None, None) => None,
        (Some(public_key), Some(sealed), Some(tag), Some(version)) => Some(Unlocking {
            public_key,
            sealed_master_key: SealedMasterKey::parse(sealed).map_err(|_| damaged())?,
            tag: MethodTag::from_bytes(tag),
            master_key_version: number(version)?,
            slow_hash,
        }),
        _ => return Err(damaged()),
    };
    Ok(LoginMethod {
        id: MethodId::from_uuid(id),
        kind: kind_named(&kind).ok_or_else(damaged)?,
        label,
        unlocking,
        created_at,
        last_used_at,
    })
}
