// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sign-up, sign-in and step-up. Each takes two requests, as OPAQUE does (RFC 9807); between them the server keeps
//! nothing: its state travels sealed in `state`.

use serde::{Deserialize, Serialize};

use crate::{AccountId, Bytes, DeviceId, MethodId, Secret, SessionId, TenantId};

/// How hard the client works on the password: Argon2id (RFC 9106). Clients refuse values below 19 MiB and 2 passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Kdf {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

/// A device, as it names itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// The token that it got at its first sign-in ([`Session::device_token`]), by which it is known again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// A name, such as the host's. At most 64 characters.
    pub name: String,
    /// The platform, such as `linux x86_64`. At most 64 characters.
    pub platform: String,
}

/// `POST /api/v1/signup/salt`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EmailSaltRequest {
    /// SHA-256 of the normalised email.
    pub email_hash: Bytes<32>,
}

/// The answer to [`EmailSaltRequest`]: the same for an address whether it has an account or not.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EmailSalt {
    /// The salt of the email key.
    pub email_salt: Bytes<16>,
}

/// `POST /api/v1/signup/start`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SignUpStart {
    /// SHA-256 of the normalised email.
    pub email_hash: Bytes<32>,
    /// Argon2id(email, salt), by the salt of [`EmailSalt`]: opens the address in the server's memory, for this request's mail.
    pub email_key: Bytes<32>,
    /// The address, sealed under the email key for no account yet (16 zero bytes as account).
    pub sealed_email: Bytes<1024>,
    /// OPAQUE's registration request.
    pub opaque_request: Bytes<256>,
}

/// The answer to [`SignUpStart`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SignUpStarted {
    /// To be sent back within 15 minutes.
    pub state: String,
    /// The account that will be.
    pub account: AccountId,
    /// Its home.
    pub home: TenantId,
    /// Its first login method: the password.
    pub method: MethodId,
    /// OPAQUE's registration response.
    pub opaque_response: Bytes<256>,
    /// The parameters to use.
    pub kdf: Kdf,
    /// Whether a code was mailed that has to be sent back.
    pub code_required: bool,
}

/// `POST /api/v1/signin/imported/start`: the first sign-in of somebody whose account was carried over from another system,
/// where [`Service::imported_sign_in`](crate::service::Service::imported_sign_in) says that there are such. It is the
/// one request that shows the server a password, once: clients send it only when a person says so. Answered by
/// [`SignUpStarted`], and finished as a sign-up.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ImportedSignInStart {
    /// The password, as it was in that system. At most 1024 bytes.
    pub password: Secret,
    /// SHA-256 of the normalised email.
    pub email_hash: Bytes<32>,
    /// Argon2id(email, salt), by the salt of [`EmailSalt`]: opens the address in the server's memory, for this request's mail.
    pub email_key: Bytes<32>,
    /// The address, sealed under the email key for no account yet (16 zero bytes as account).
    pub sealed_email: Bytes<1024>,
    /// OPAQUE's registration request.
    pub opaque_request: Bytes<256>,
}

/// `POST /api/v1/signup/finish`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SignUpFinish {
    /// From [`SignUpStarted`].
    pub state: String,
    /// The mailed code, when one is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// OPAQUE's registration record.
    pub opaque_upload: Bytes<512>,
    /// The email key again, for this request only.
    pub email_key: Bytes<32>,
    /// The parameters that were used.
    pub kdf: Kdf,
    /// The method's public key (X-Wing).
    pub public_key: Bytes<2048>,
    /// The master key, sealed to it (HPKE).
    pub sealed_master_key: Bytes<4096>,
    /// The method's public key, authenticated under the master key.
    pub method_tag: Bytes<64>,
    /// The account's public identity keys.
    pub identity: Bytes<4096>,
    /// What the server may see of the ten backup codes.
    pub backup_codes: Vec<Bytes<32>>,
    /// The device that signs up.
    pub device: Device,
}

/// The answer to [`SignUpFinish`]: the account, and a first session on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SignedUp {
    /// The account's number: what people read aloud, and what invoices name.
    pub account_number: String,
    /// The TOTP secret, base32 (RFC 4648 section 6), shown once.
    pub totp_secret: Secret,
    /// The same as an `otpauth:` URI, for a QR code.
    pub totp_uri: Secret,
    /// The session.
    pub session: Session,
}

/// A session, as the client gets it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Session {
    /// What is sent as `Authorization: Bearer`.
    pub token: Secret,
    /// Its public id.
    pub id: SessionId,
    /// The account.
    pub account: AccountId,
    /// Its home.
    pub home: TenantId,
    /// The device.
    pub device: DeviceId,
    /// For a device that was not known: what it keeps, and shows at its next sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_token: Option<Secret>,
    /// When it ends at the latest.
    pub expires_at: i64,
    /// Until when its proof counts as fresh.
    pub fresh_until: i64,
    /// The server's half of the key of what the device keeps locally.
    pub server_half: Bytes<32>,
}

/// `POST /api/v1/signin/password/start`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SignInStart {
    /// SHA-256 of the normalised email.
    pub email_hash: Bytes<32>,
    /// The token of this device, when it has one of this account: its tries are then counted apart from strangers'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_token: Option<Secret>,
    /// OPAQUE's first message.
    pub opaque_request: Bytes<256>,
}

/// The answer to [`SignInStart`], alike for known and unknown accounts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SignInStarted {
    /// To be sent back within two minutes.
    pub state: String,
    /// OPAQUE's second message.
    pub opaque_response: Bytes<512>,
    /// The parameters of this password.
    pub kdf: Kdf,
    /// The salt of the email key.
    pub email_salt: Bytes<16>,
}

/// A proof beside the password.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecondFactor {
    /// Six digits of RFC 6238. Each is accepted once.
    Totp(Secret),
    /// What the server may see of a backup code. Each is accepted once.
    BackupCode(Bytes<32>),
}

/// `POST /api/v1/signin/password/finish`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SignInFinish {
    /// From [`SignInStarted`].
    pub state: String,
    /// OPAQUE's third message.
    pub opaque_finalization: Bytes<256>,
    /// Argon2id(email, salt): opens the address in the server's memory, for the notice of a new device.
    pub email_key: Bytes<32>,
    /// The second factor.
    pub second_factor: SecondFactor,
    /// The device that signs in.
    pub device: Device,
}

/// How a client hashes a secret that is not a password: Argon2id, with the method's own salt.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SlowHash {
    /// The salt.
    pub salt: Bytes<16>,
    /// How slow.
    pub kdf: Kdf,
}

/// How the method unlocks that signed in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Unlocking {
    /// The version of the master key.
    pub master_key_version: u32,
    /// The master key, sealed to the method's public key.
    pub sealed_master_key: Bytes<4096>,
    /// The method's public key (X-Wing).
    pub public_key: Bytes<2048>,
    /// That key, authenticated under the master key.
    pub method_tag: Bytes<64>,
    /// How the method's secret is hashed, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_hash: Option<SlowHash>,
}

/// The account's address, for a client to which nobody typed it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Address {
    /// The normalised email.
    pub email: Secret,
    /// The salt of its key.
    pub email_salt: Bytes<16>,
}

/// `POST /api/v1/signin/recovery-key`: one message, answered by [`SignedIn`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RecoverySignIn {
    /// What the server may see of the recovery key.
    pub lookup: Bytes<32>,
    /// The device that signs in.
    pub device: Device,
}

/// `POST /api/v1/step-up/recovery-key`, for a signed-in account. Answered by [`SteppedUp`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RecoveryStepUp {
    /// What the server may see of the recovery key.
    pub lookup: Bytes<32>,
}

/// The answer to every finished sign-in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SignedIn {
    /// The account's number.
    pub account_number: String,
    /// The method that was used.
    pub method: MethodId,
    /// What kind of method that is: `password`, `passkey`, `recovery-key` or `provider`.
    pub method_kind: String,
    /// How it unlocks, unless it only authenticates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlocking: Option<Unlocking>,
    /// The account's public identity keys.
    pub identity: Bytes<4096>,
    /// Whether this device had not signed in before.
    pub new_device: bool,
    /// How many backup codes are left.
    pub backup_codes_left: u32,
    /// The address, where the client was not told it to sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// The session.
    pub session: Session,
}

/// `POST /api/v1/step-up/start`, for a signed-in account: the same proofs once more. Answered by [`SignInStarted`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StepUpStart {
    /// OPAQUE's first message.
    pub opaque_request: Bytes<256>,
}

/// `POST /api/v1/step-up/finish`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StepUpFinish {
    /// From [`SignInStarted`].
    pub state: String,
    /// OPAQUE's third message.
    pub opaque_finalization: Bytes<256>,
    /// The second factor.
    pub second_factor: SecondFactor,
    /// Argon2id(email, salt): what the session changes next is told by mail.
    pub email_key: Bytes<32>,
}

/// The answer to [`StepUpFinish`]: the session's token has changed; the old one has ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SteppedUp {
    /// The session's new token.
    pub token: Secret,
    /// Until when the proof counts as fresh.
    pub fresh_until: i64,
    /// The address, where the client was not told it for this proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// The method that proved it.
    pub method: MethodId,
    /// How it unlocks, unless it only authenticates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlocking: Option<Unlocking>,
}
