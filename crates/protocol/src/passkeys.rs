// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Passkeys (W3C Web Authentication, Level 3).
//!
//! Options are written as browsers read them: `PublicKeyCredential.parseCreationOptionsFromJSON` and
//! `parseRequestOptionsFromJSON` take them as they are. Of what the authenticator answers only what the server checks is
//! sent back: never `clientExtensionResults`, which hold the output of the PRF, the secret that unlocks.

use serde::{Deserialize, Serialize};

use crate::methods::NewUnlocking;
use crate::signin::{Device, Session};
use crate::{AccountId, Bytes, MethodId, TenantId};

/// The answer to `POST /api/v1/account/passkeys/start`, with a fresh proof.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PasskeyAddStarted {
    /// To be sent back within two minutes.
    pub state: String,
    /// The method to be, for which the master key is sealed.
    pub method: MethodId,
    /// For `navigator.credentials.create`.
    pub options: CreationOptions,
}

/// `POST /api/v1/account/passkeys/finish`, with a fresh proof.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PasskeyAddFinish {
    /// From [`PasskeyAddStarted`].
    pub state: String,
    /// A name, of at most 64 characters.
    #[serde(default)]
    pub label: String,
    /// What the authenticator made.
    pub credential: CreatedCredential,
    /// How the passkey unlocks, when it has a PRF; without, it authenticates alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlocking: Option<NewUnlocking>,
}

/// The answer to `POST /api/v1/signin/passkey/start` and `POST /api/v1/step-up/passkey/start`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PasskeyStarted {
    /// To be sent back within two minutes.
    pub state: String,
    /// For `navigator.credentials.get`.
    pub options: RequestOptions,
}

/// `POST /api/v1/signin/passkey/finish`. Answered by [`SignedIn`](crate::signin::SignedIn).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PasskeySignIn {
    /// From [`PasskeyStarted`].
    pub state: String,
    /// What the authenticator showed as `response.userHandle`.
    pub user_handle: Bytes<64>,
    /// What it signed.
    pub credential: ShownCredential,
    /// The device that signs in.
    pub device: Device,
}

/// `POST /api/v1/step-up/passkey/finish`. Answered by [`SteppedUp`](crate::signin::SteppedUp).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PasskeyStepUp {
    /// From [`PasskeyStarted`].
    pub state: String,
    /// What the authenticator signed.
    pub credential: ShownCredential,
}

/// `POST /api/v1/signup/passkey/start`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PasskeySignUpStart {
    /// SHA-256 of the normalised email.
    pub email_hash: Bytes<32>,
    /// Argon2id(email, salt), by the salt of [`EmailSalt`](crate::signin::EmailSalt), as for a sign-up with a password.
    pub email_key: Bytes<32>,
    /// The address, sealed under the email key for no account yet (16 zero bytes as account).
    pub sealed_email: Bytes<1024>,
}

/// The answer to [`PasskeySignUpStart`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PasskeySignUpStarted {
    /// To be sent back within 15 minutes.
    pub state: String,
    /// The account that will be.
    pub account: AccountId,
    /// Its home.
    pub home: TenantId,
    /// Its first login method: the passkey.
    pub method: MethodId,
    /// For `navigator.credentials.create`. The names in `user` are the service's: the client writes the address there.
    pub options: CreationOptions,
    /// Whether a code was mailed that has to be sent back.
    pub code_required: bool,
}

/// `POST /api/v1/signup/passkey/finish`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PasskeySignUpFinish {
    /// From [`PasskeySignUpStarted`].
    pub state: String,
    /// The mailed code, when one is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// A name, of at most 64 characters.
    #[serde(default)]
    pub label: String,
    /// What the authenticator made.
    pub credential: CreatedCredential,
    /// How the passkey unlocks: version 1 of the master key. One without a PRF opens no account.
    pub unlocking: NewUnlocking,
    /// The account's public identity keys.
    pub identity: Bytes<4096>,
    /// The email key again, for this request only.
    pub email_key: Bytes<32>,
    /// The device that signs up.
    pub device: Device,
}

/// The answer to [`PasskeySignUpFinish`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PasskeySignedUp {
    /// The account's number, for people.
    pub account_number: String,
    /// The first session.
    pub session: Session,
}

/// What is sent of an `AuthenticatorAttestationResponse`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreatedCredential {
    /// `clientDataJSON`.
    pub client_data_json: Bytes<4096>,
    /// `attestationObject`.
    pub attestation_object: Bytes<16384>,
}

/// What is sent of an `AuthenticatorAssertionResponse`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ShownCredential {
    /// The credential's `rawId`.
    pub id: Bytes<1023>,
    /// `clientDataJSON`.
    pub client_data_json: Bytes<4096>,
    /// `authenticatorData`.
    pub authenticator_data: Bytes<4096>,
    /// `signature`.
    pub signature: Bytes<1024>,
}

/// `PublicKeyCredentialCreationOptionsJSON` (section 5.1.8).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreationOptions {
    /// Who asks.
    pub rp: RelyingParty,
    /// What the authenticator keeps beside the key.
    pub user: User,
    /// What is to be answered.
    pub challenge: Bytes<32>,
    /// The algorithms, the best first.
    pub pub_key_cred_params: Vec<CredentialParameter>,
    /// How long the person may take, in milliseconds.
    pub timeout: u32,
    /// The account's passkeys: an authenticator that has one of them makes no other.
    pub exclude_credentials: Vec<CredentialDescriptor>,
    /// What the authenticator has to be able to do.
    pub authenticator_selection: AuthenticatorSelection,
    /// `none`: it does not matter who made the authenticator.
    pub attestation: String,
    /// What else is asked for.
    pub extensions: Extensions,
}

/// `PublicKeyCredentialRequestOptionsJSON` (section 5.1.9).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RequestOptions {
    /// What is to be answered.
    pub challenge: Bytes<32>,
    /// How long the person may take, in milliseconds.
    pub timeout: u32,
    /// The domain that the passkey is bound to.
    pub rp_id: String,
    /// The passkeys to choose from; any of the domain's when empty.
    pub allow_credentials: Vec<CredentialDescriptor>,
    /// `required`: the authenticator verifies who is there.
    pub user_verification: String,
    /// What else is asked for.
    pub extensions: Extensions,
}

/// The domain that passkeys are bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RelyingParty {
    /// The domain.
    pub id: String,
    /// What the service is called.
    pub name: String,
}

/// Whom an authenticator shows in its list. A client may write the address into the names; the server does not.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The user handle: random for each passkey, and what it is found by.
    pub id: Bytes<64>,
    /// The account's number.
    pub name: String,
    /// The account's number.
    pub display_name: String,
}

/// An algorithm that a passkey may have.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CredentialParameter {
    /// `public-key`.
    pub r#type: String,
    /// Its number (IANA, COSE Algorithms).
    pub alg: i64,
}

/// A passkey by its id.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CredentialDescriptor {
    /// `public-key`.
    pub r#type: String,
    /// The credential id.
    pub id: Bytes<1023>,
}

/// What the authenticator has to be able to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AuthenticatorSelection {
    /// `required`: it finds the passkey by the domain alone.
    pub resident_key: String,
    /// `true`, for browsers that do not know `residentKey`.
    pub require_resident_key: bool,
    /// `required`: it verifies who is there.
    pub user_verification: String,
}

/// The extensions that are asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Extensions {
    /// The pseudo-random function that makes the unlocking secret (section 10.1.4).
    pub prf: Prf,
}

/// What the PRF is evaluated at.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Prf {
    /// The input.
    pub eval: PrfValues,
}

/// Inputs of the PRF.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PrfValues {
    /// Always `bailiwick/v1/passkey-prf`. Clients refuse another.
    pub first: Bytes<64>,
}
