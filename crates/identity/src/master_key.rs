// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Rotating the master key.
//!
//! The client makes a new master key, seals it to the public key of every login method (which needs nobody's password) and
//! states, signed by the old identity keys, which the new ones are. All of it lands in one transaction of the home, or nothing:
//! no method is left behind with a key that no longer opens anything. The asking session lives on, all others end.
//!
//! What others sealed to the old identity keys (grants) is not the account's to seal anew. So the old account key is kept,
//! sealed under the new one: grants go on opening until whoever made them renews them.

use keyring::{IdentityPublicKeys, IdentityRotation, MethodTag, Sealed, SealedMasterKey};
use store::{ReadTx, WriteTx, params};
use uuid::Uuid;

use crate::MethodId;
use crate::account::ChangeError;
use crate::failure::Failure;
use crate::letter::{Letter, Message};
use crate::service::{Identity, in_home};
use crate::session::AuthenticatedSession;

/// A new master key, as far as the server sees it.
pub struct MasterKeyRotation {
    /// The version that is replaced; the new one is the next.
    pub from_version: u32,
    /// For each login method of the account that unlocks, and for no other.
    pub methods: Vec<ResealedMethod>,
    /// The old identity keys' word for the new ones, for the new version.
    pub identity: IdentityRotation,
    /// The account key until now, sealed under the new one.
    pub former_account_key: Sealed,
}

/// An account key that was replaced.
#[derive(Clone, Debug)]
pub struct FormerAccountKey {
    /// The version of the master key that it stands for.
    pub key_version: u32,
    /// The key, sealed under the one after it.
    pub sealed_key: Vec<u8>,
}

/// The new master key for one method.
pub struct ResealedMethod {
    /// The method.
    pub id: MethodId,
    /// The new master key, sealed to the method's public key for the new version.
    pub sealed_master_key: SealedMasterKey,
    /// The new master key's word for that public key.
    pub tag: MethodTag,
}

impl Identity {
    /// Replaces the master key. In the home, together with whatever else was sealed anew. Send the letter after the commit.
    ///
    /// # Errors
    /// [`ChangeError::Conflict`] when the master key or the methods changed meanwhile: read them again.
    /// [`ChangeError::StepUpRequired`], [`ChangeError::Field`], [`ChangeError::Gone`].
    pub async fn rotate_master_key(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        rotation: &MasterKeyRotation,
    ) -> Result<Letter, ChangeError> {
        in_home(tx, session.home())?;
        let email = self.address_for_change(tx, session).await?;
        let version = rotation.from_version.checked_add(1).ok_or(ChangeError::Field("from_version"))?;
        // From here on the account's row is locked: no method is added meanwhile.
        self.at_version(tx, session, rotation.from_version, version).await?;

        let identity = self.verified_identity(tx, session, rotation, version).await?;
        let now = tx.now();
        tx.execute(
            "UPDATE account SET identity_public = $1 WHERE id = $2",
            params![&identity, session.account().uuid()],
        )
        .await?;
        tx.execute(
            "INSERT INTO identity_rotation (key_version, statement, created_at) VALUES ($1, $2, $3)",
            params![i64::from(version), &rotation.identity.to_bytes(), now],
        )
        .await?;
        tx.execute(
            "INSERT INTO former_account_key (key_version, sealed_key, created_at) VALUES ($1, $2, $3)",
            params![i64::from(rotation.from_version), rotation.former_account_key.as_bytes(), now],
        )
        .await?;

        // Methods that do not unlock have nothing to be sealed anew.
        let methods: Vec<(Uuid,)> = tx
            .query("SELECT id FROM login_method WHERE public_key IS NOT NULL ORDER BY id", params![])
            .await?;
        let mut resealed: Vec<_> = rotation.methods.iter().map(|method| (*method.id.uuid(),)).collect();
        resealed.sort_unstable();
        if methods != resealed {
            return Err(ChangeError::Conflict { current: rotation.from_version });
        }
        for method in &rotation.methods {
            tx.execute(
                "UPDATE login_method SET sealed_master_key = $1, tag = $2, master_key_version = $3 WHERE id = $4",
                params![
                    method.sealed_master_key.as_bytes(),
                    method.tag.as_bytes(),
                    i64::from(version),
                    method.id.uuid(),
                ],
            )
            .await?;
        }
        self.end_other_sessions(tx, session).await?;
        Ok(Letter::new(email, &self.settings.service_name, now, Message::MasterKeyRotated))
    }

    /// The account keys before the one in use, the newest first. In the home.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn former_account_keys(&self, tx: &mut ReadTx) -> Result<Vec<FormerAccountKey>, Failure> {
        let rows: Vec<(i64, Vec<u8>)> = tx
            .query(
                "SELECT key_version, sealed_key FROM former_account_key ORDER BY key_version DESC LIMIT $1",
                params![i64::from(MAX_FORMER_KEYS)],
            )
            .await?;
        let read = |(version, sealed_key): (i64, Vec<u8>)| {
            let key_version = u32::try_from(version).map_err(|_| Failure::Damaged("former account keys"))?;
            Ok(FormerAccountKey { key_version, sealed_key })
        };
        rows.into_iter().map(read).collect()
    }

    /// The new identity keys, when the old ones and the new ones signed for this account and version.
    async fn verified_identity(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        rotation: &MasterKeyRotation,
        version: u32,
    ) -> Result<Vec<u8>, ChangeError> {
        let (old,): (Vec<u8>,) = tx
            .query_one("SELECT identity_public FROM account WHERE id = $1", params![session.account().uuid()])
            .await?;
        let old = IdentityPublicKeys::from_bytes(&old).map_err(|_| Failure::Damaged("identity keys"))?;
        match rotation.identity.verify(&session.account().into(), &old) {
            Ok((stated, new)) if stated == version => Ok(new.to_bytes()),
            _ => Err(ChangeError::Field("identity")),
        }
    }
}

/// How far back grants open that nobody renewed: so many rotations.
const MAX_FORMER_KEYS: u32 = 256;
