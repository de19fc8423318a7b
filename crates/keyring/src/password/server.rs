// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The server's side of signing in with a password.
//!
//! The server holds one [`ServerSetup`] for all accounts and one [`RegistrationRecord`] per password. A *credential
//! identifier* names the password within the server, never changes, and is known for unknown accounts too: the
//! blind index of the address serves.

use std::fmt;

use opaque_ke::errors::{InternalError, ProtocolError};
use opaque_ke::{
    CredentialFinalization, CredentialRequest, Identifiers, RegistrationRequest, RegistrationUpload,
    ServerLogin, ServerLoginParameters, ServerRegistration,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{CONTEXT, SessionKey, Suite, exactly};
use crate::random::ForOpaque;
use crate::secret::REDACTED;

/// The server's own secrets: its static key pair and the seed of all per-credential keys.
///
/// Losing it invalidates every password; so it is sealed, backed up and versioned.
#[derive(Clone)]
pub struct ServerSetup(opaque_ke::ServerSetup<Suite>);

impl ServerSetup {
    /// Makes a new setup.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(opaque_ke::ServerSetup::new(&mut ForOpaque(rng)))
    }

    /// The secret bytes to seal and store; they start with a version byte.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        versioned(&Zeroizing::new(self.0.serialize().to_vec()))
    }

    /// Reads what [`to_bytes`](Self::to_bytes) gave.
    ///
    /// # Errors
    /// [`ServerError::UnknownVersion`] or [`ServerError::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ServerError> {
        Ok(Self(opaque_ke::ServerSetup::deserialize(exactly(unversioned(bytes)?, 128)?)?))
    }

    /// Answers a client that registers a password.
    ///
    /// # Errors
    /// [`ServerError::Malformed`] when the request is not one.
    pub fn registration_response(
        &self,
        request: &[u8],
        credential_identifier: &[u8],
    ) -> Result<Vec<u8>, ServerError> {
        let request = RegistrationRequest::deserialize(exactly(request, 32)?)?;
        let started = ServerRegistration::<Suite>::start(&self.0, request, credential_identifier)?;
        Ok(started.message.serialize().to_vec())
    }

    /// Answers a client that signs in. Without a record (there is no such account, or it has no password) the answer
    /// is made from a fake one, at the same cost.
    ///
    /// The state waits for the client's proof: keep it for this one attempt, a minute at most, and use it once.
    ///
    /// # Errors
    /// [`ServerError::Malformed`] when the request is not one.
    pub fn login_start(
        &self,
        record: Option<&RegistrationRecord>,
        credential_identifier: &[u8],
        request: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<(ServerLoginState, Vec<u8>), ServerError> {
        let started = ServerLogin::start(
            &mut ForOpaque(rng),
            &self.0,
            record.map(|record| record.0.clone()),
            CredentialRequest::deserialize(exactly(request, 96)?)?,
            credential_identifier,
            parameters(),
        )?;
        Ok((ServerLoginState(started.state), started.message.serialize().to_vec()))
    }
}

impl fmt::Debug for ServerSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerSetup({REDACTED})")
    }
}

/// What the server stores of a password.
#[derive(Clone)]
pub struct RegistrationRecord(ServerRegistration<Suite>);

impl RegistrationRecord {
    /// Takes the record that a registering client uploads.
    ///
    /// # Errors
    /// [`ServerError::Malformed`] when it is not one.
    pub fn from_upload(upload: &[u8]) -> Result<Self, ServerError> {
        Ok(Self(ServerRegistration::finish(RegistrationUpload::deserialize(exactly(upload, 192)?)?)))
    }

    /// The bytes to seal and store; they start with a version byte.
    pub fn to_bytes(&self) -> Vec<u8> {
        versioned(&self.0.serialize()).to_vec()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) gave.
    ///
    /// # Errors
    /// [`ServerError::UnknownVersion`] or [`ServerError::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ServerError> {
        Ok(Self(ServerRegistration::deserialize(exactly(unversioned(bytes)?, 192)?)?))
    }
}

impl fmt::Debug for RegistrationRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegistrationRecord({REDACTED})")
    }
}

/// A sign-in between the server's answer and the client's proof.
pub struct ServerLoginState(ServerLogin<Suite>);

impl ServerLoginState {
    /// The secret bytes to keep where any process of the server finds them; they start with a version byte.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        versioned(&Zeroizing::new(self.0.serialize().to_vec()))
    }

    /// Reads what [`to_bytes`](Self::to_bytes) gave.
    ///
    /// # Errors
    /// [`ServerError::UnknownVersion`] or [`ServerError::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ServerError> {
        Ok(Self(ServerLogin::deserialize(exactly(unversioned(bytes)?, 128)?)?))
    }

    /// Checks the client's proof.
    ///
    /// # Errors
    /// [`ServerError::WrongPassword`] when the proof does not hold, [`ServerError::Malformed`] when it is not one.
    pub fn finish(self, finalization: &[u8]) -> Result<SessionKey, ServerError> {
        let finished =
            self.0.finish(CredentialFinalization::deserialize(exactly(finalization, 64)?)?, parameters())?;
        Ok(super::session_key(&Zeroizing::new(finished.session_key.into())))
    }
}

impl fmt::Debug for ServerLoginState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerLoginState({REDACTED})")
    }
}

/// Why the server's side of a registration or sign-in failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// The message or the stored bytes are not what they should be.
    #[error("a password message is malformed")]
    Malformed,
    /// Stored by a newer Bailiwick.
    #[error("stored password data of the unknown version {0}")]
    UnknownVersion(u8),
    /// The client's proof does not hold: wrong password, or no such account.
    #[error("the email address or the password is wrong")]
    WrongPassword,
    /// The protocol failed in another way.
    #[error("the sign-in protocol failed")]
    Protocol,
}

impl From<ProtocolError> for ServerError {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::InvalidLoginError => ServerError::WrongPassword,
            ProtocolError::SerializationError
            | ProtocolError::SizeError { .. }
            | ProtocolError::ReflectedValueError
            | ProtocolError::LibraryError(InternalError::OprfError(_)) => ServerError::Malformed,
            ProtocolError::LibraryError(_) => ServerError::Protocol,
            ProtocolError::Custom(never) => match never {},
        }
    }
}

fn parameters() -> ServerLoginParameters<'static, 'static> {
    ServerLoginParameters { context: Some(CONTEXT), identifiers: Identifiers::default() }
}

fn versioned(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut versioned = Zeroizing::new(Vec::with_capacity(1 + bytes.len()));
    versioned.push(VERSION);
    versioned.extend_from_slice(bytes);
    versioned
}

fn unversioned(bytes: &[u8]) -> Result<&[u8], ServerError> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => Ok(rest),
        Some((&version, _)) => Err(ServerError::UnknownVersion(version)),
        None => Err(ServerError::Malformed),
    }
}

const VERSION: u8 = 1;
