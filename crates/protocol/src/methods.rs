// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Login methods: listing, naming, revoking them, and adding recovery keys.

use serde::{Deserialize, Serialize};

use crate::signin::SlowHash;
use crate::{Bytes, MethodId};

/// `GET /api/v1/account/methods`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Methods {
    /// The login methods, the oldest first.
    pub methods: Vec<Method>,
}

/// A login method.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Method {
    /// The method.
    pub id: MethodId,
    /// Its kind: `password`, `passkey`, `recovery-key`, `api-key` or `provider`.
    pub kind: String,
    /// Its name; empty when it has none.
    pub label: String,
    /// When it was made.
    pub created_at: i64,
    /// When it was last used.
    pub last_used_at: Option<i64>,
    /// What the master key is sealed to, unless it only authenticates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlocking: Option<MethodKey>,
    /// Whom another provider knows, for `provider`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provided: Option<crate::federation::ProvidedIdentity>,
}

/// The public key of a method that unlocks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MethodKey {
    /// The key (X-Wing). Nothing is sealed to it before its tag was checked.
    pub public_key: Bytes<2048>,
    /// The key, authenticated under the master key.
    pub tag: Bytes<64>,
    /// The version of the master key that is sealed to it.
    pub master_key_version: u32,
}

/// How a method unlocks that is added.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewUnlocking {
    /// Its public key (X-Wing).
    pub public_key: Bytes<2048>,
    /// The master key, sealed to it.
    pub sealed_master_key: Bytes<4096>,
    /// Its public key, authenticated under the master key.
    pub method_tag: Bytes<64>,
    /// The version of the master key that was sealed.
    pub master_key_version: u32,
    /// How its secret is hashed, where it is. Never below 19 MiB and 2 passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_hash: Option<SlowHash>,
}

/// `PATCH /api/v1/account/methods/{method}`, with a fresh proof.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MethodRename {
    /// The new name, of at most 64 characters.
    pub label: String,
}

/// `POST /api/v1/account/recovery-keys`, with a fresh proof; and
/// `POST /api/v1/account/recovery-keys/{method}/replace`, after which the old one is gone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewRecoveryKey {
    /// The new method's id, drawn by the client, for which the master key was sealed.
    pub id: MethodId,
    /// A name, of at most 64 characters.
    #[serde(default)]
    pub label: String,
    /// What the server may see of the key, to find it by.
    pub lookup: Bytes<32>,
    /// How it unlocks.
    pub unlocking: NewUnlocking,
}
