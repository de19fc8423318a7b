// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The account, its sessions and devices, and what changes it.

use serde::{Deserialize, Serialize};

use crate::signin::Kdf;
use crate::{AccountId, Bytes, CollectionId, DeviceId, MethodId, Secret, SessionId, TenantId};

/// `GET /api/v1/account`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Account {
    /// The account.
    pub id: AccountId,
    /// Its number, for people.
    pub number: String,
    /// Its home.
    pub home: TenantId,
    /// When it was made.
    pub created_at: i64,
    /// The session that asks.
    pub session: SessionId,
    /// Until when that session's proof counts as fresh, if it has one.
    pub fresh_until: Option<i64>,
    /// The version of the master key.
    pub master_key_version: u32,
    /// The public identity keys.
    pub identity: Bytes<4096>,
    /// How many backup codes are left.
    pub backup_codes_left: u32,
    /// The platform's roles that it has.
    pub platform_roles: Vec<String>,
    /// What it stores, of how much.
    pub usage: crate::objects::Usage,
}

/// `GET /api/v1/sessions`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Sessions {
    /// The live sessions, the most recently used first.
    pub sessions: Vec<SessionInfo>,
}

/// A live session.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SessionInfo {
    /// The session.
    pub id: SessionId,
    /// The device.
    pub device: DeviceId,
    /// The device's name.
    pub device_name: String,
    /// The device's platform.
    pub platform: String,
    /// The network it was last used from, coarsely.
    pub address: String,
    /// When it began.
    pub created_at: i64,
    /// When it was last used, to the minute.
    pub last_used_at: i64,
    /// When it ends at the latest.
    pub expires_at: i64,
    /// Whether it is the session that asks.
    pub current: bool,
}

/// `GET /api/v1/devices`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Devices {
    /// The devices that signed in.
    pub devices: Vec<DeviceInfo>,
}

/// A device that signed in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DeviceInfo {
    /// The device.
    pub id: DeviceId,
    /// Its name.
    pub name: String,
    /// Its platform.
    pub platform: String,
    /// The network it was last seen on, coarsely.
    pub address: String,
    /// When it first signed in.
    pub first_seen_at: i64,
    /// When it was last seen.
    pub last_seen_at: i64,
    /// How many live sessions it has.
    pub sessions: u32,
    /// Whether it is the device that asks.
    pub current: bool,
}

/// `GET /api/v1/session/server-half`: the server's half of the key of what this session's device keeps locally.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ServerHalf {
    /// 32 bytes.
    pub server_half: Bytes<32>,
}

/// `POST /api/v1/account/password/start`, with a fresh proof
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PasswordChangeStart {
    /// OPAQUE's registration request for the new password.
    pub opaque_request: Bytes<256>,
}

/// The answer to [`PasswordChangeStart`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PasswordChangeStarted {
    /// To be sent back within 15 minutes.
    pub state: String,
    /// The new method.
    pub method: MethodId,
    /// OPAQUE's registration response.
    pub opaque_response: Bytes<256>,
    /// The parameters to use.
    pub kdf: Kdf,
}

/// `POST /api/v1/account/password/finish`. Every other session ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PasswordChangeFinish {
    /// From [`PasswordChangeStarted`].
    pub state: String,
    /// OPAQUE's registration record.
    pub opaque_upload: Bytes<512>,
    /// The parameters that were used.
    pub kdf: Kdf,
    /// The new method's public key.
    pub public_key: Bytes<2048>,
    /// The master key, sealed to it.
    pub sealed_master_key: Bytes<4096>,
    /// The new method's public key, authenticated under the master key.
    pub method_tag: Bytes<64>,
    /// The version of the master key that was sealed.
    pub master_key_version: u32,
}

/// `PUT /api/v1/account/backup-codes`, with a fresh proof: ten new ones; the old ones end.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BackupCodes {
    /// What the server may see of each.
    pub backup_codes: Vec<Bytes<32>>,
}

/// The answer to `POST /api/v1/account/totp/start`, with a fresh proof.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TotpStarted {
    /// To be sent back within 15 minutes.
    pub state: String,
    /// The new secret, base32.
    pub totp_secret: Secret,
    /// The same as an `otpauth:` URI.
    pub totp_uri: Secret,
}

/// `POST /api/v1/account/totp/finish`: the new secret takes over once a code of it is right.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TotpFinish {
    /// From [`TotpStarted`].
    pub state: String,
    /// A code of the new secret.
    pub code: Secret,
}

/// `POST /api/v1/account/master-key`, with a fresh proof: everything that stands on the master key, in one go.
/// Every other session ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MasterKeyRotation {
    /// The version that is replaced.
    pub from_version: u32,
    /// The new master key for every method that unlocks.
    pub methods: Vec<RotatedMethod>,
    /// Every collection's key under the new account key.
    pub collections: Vec<RotatedCollection>,
    /// The new public identity keys, signed by the old ones.
    pub identity_rotation: Bytes<8192>,
    /// The account key until now, sealed under the new one: what others sealed to the old identity keys still opens.
    pub former_account_key: Bytes<1024>,
}

/// `GET /api/v1/account/former-keys`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FormerAccountKeys {
    /// The account keys before the one in use, the newest first: each opens with the one after it.
    pub keys: Vec<FormerAccountKey>,
}

/// An account key that was replaced.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FormerAccountKey {
    /// The version of the master key that it stands for.
    pub key_version: u32,
    /// The key, sealed under the one after it.
    pub sealed_key: Bytes<1024>,
}

/// A method in a [`MasterKeyRotation`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RotatedMethod {
    /// The method.
    pub id: MethodId,
    /// The new master key, sealed to its public key.
    pub sealed_master_key: Bytes<4096>,
    /// Its public key, authenticated under the new master key.
    pub tag: Bytes<64>,
}

/// A collection in a [`MasterKeyRotation`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RotatedCollection {
    /// The collection.
    pub id: CollectionId,
    /// The version of its sealed key that is replaced.
    pub from_key_version: u64,
    /// Its key under the new account key.
    pub sealed_key: Bytes<1024>,
}

/// The answer to `POST /api/v1/tokens`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AccessToken {
    /// A JWT (RFC 9068), for `Authorization: Bearer`.
    pub access_token: Secret,
    /// `Bearer`.
    pub token_type: String,
    /// Seconds until it expires.
    pub expires_in: u32,
}
