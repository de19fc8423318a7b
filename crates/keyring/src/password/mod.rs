// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing in with a password that the server never sees.
//!
//! OPAQUE (RFC 9807) with ristretto255, triple Diffie-Hellman over SHA-512, and Argon2id as the slow hash, which
//! runs on the client alone. Two parties, two exchanges:
//!
//! ```text
//! register   client: Registration::start ──request──▶  server: ServerSetup::registration_response
//!            client: Registration::finish ◀─response─
//!                                         ──upload───▶  server: RegistrationRecord::from_upload, stored
//!
//! sign in    client: Login::start         ──request──▶  server: ServerSetup::login_start
//!            client: Login::finish        ◀─response─
//!                                         ──finalization──▶  server: ServerLoginState::finish
//! ```
//!
//! Afterwards both sides hold the same [`SessionKey`], and the client holds the method's [`MethodSecret`], which is
//! the same at every sign-in. Whoever listens learns nothing to guess with; the server learns whether the password
//! was right; a stolen record costs one Argon2id per guess and is worthless without the server's setup. For an
//! unknown account the server answers from a fake record, and the client cannot tell that from a wrong password.
//!
//! Messages are RFC 9807's encodings as they are. What a server stores ([`server`]) starts with a version byte.

pub mod server;

use std::fmt;

use opaque_ke::errors::{InternalError, ProtocolError};
use opaque_ke::generic_array::{ArrayLength, GenericArray};
use opaque_ke::{
    CipherSuite, ClientLogin, ClientLoginFinishParameters, ClientRegistration,
    ClientRegistrationFinishParameters, CredentialResponse, Identifiers, RegistrationResponse, Ristretto255,
    TripleDh,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

pub use crate::kdf::{KdfError, KdfParams};
use crate::method::MethodSecret;
use crate::random::ForOpaque;
use crate::secret::{REDACTED, secret};

/// A password as typed: its bytes in UTF-8, unchanged.
///
/// There is no trimming and no Unicode normalisation, so what a keyboard composes differently is a different
/// password. Erased when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// Accepts 1 to 1024 bytes. How good a password must be is not decided here.
    ///
    /// # Errors
    /// When it is empty or longer.
    pub fn new(typed: &str) -> Result<Self, PasswordError> {
        if typed.is_empty() {
            return Err(PasswordError::Empty);
        }
        if typed.len() > Self::MAX {
            return Err(PasswordError::TooLong);
        }
        Ok(Self(Zeroizing::new(typed.as_bytes().to_vec())))
    }

    /// The longest password, in bytes.
    pub const MAX: usize = 1024;
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Password({REDACTED})")
    }
}

secret!(
    /// What client and server share after a sign-in, and nobody else knows: a channel binding for what follows.
    pub SessionKey
);

/// The client's side of registering a password.
pub struct Registration {
    state: ClientRegistration<Suite>,
    password: Password,
}

impl Registration {
    /// Blinds the password. The second value is the request to send.
    ///
    /// # Errors
    /// [`PasswordError::Protocol`] only if the underlying group operation fails, which no password is known to cause.
    pub fn start(password: &Password, rng: &mut impl CryptoRng) -> Result<(Self, Vec<u8>), PasswordError> {
        let started = ClientRegistration::<Suite>::start(&mut ForOpaque(rng), &password.0)?;
        Ok((Self { state: started.state, password: password.clone() }, started.message.serialize().to_vec()))
    }

    /// Runs the slow hash and makes the record for the server.
    ///
    /// # Errors
    /// [`PasswordError::Malformed`] when the response is not one.
    pub fn finish(
        self,
        response: &[u8],
        params: KdfParams,
        rng: &mut impl CryptoRng,
    ) -> Result<RegistrationFinished, PasswordError> {
        let response = RegistrationResponse::deserialize(exactly(response, 64)?)?;
        let ksf = SlowHash(params);
        let parameters = ClientRegistrationFinishParameters::new(Identifiers::default(), Some(&ksf));
        let finished = self.state.finish(&mut ForOpaque(rng), &self.password.0, response, parameters)?;
        let export_key = Zeroizing::new(<[u8; 64]>::from(finished.export_key));
        Ok(RegistrationFinished {
            upload: finished.message.serialize().to_vec(),
            secret: MethodSecret::of_password(&export_key),
        })
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registration({REDACTED})")
    }
}

/// What registering a password gives.
#[derive(Debug)]
pub struct RegistrationFinished {
    /// The record to send to the server. Only the server may see it.
    pub upload: Vec<u8>,
    /// What the password unlocks with; never sent.
    pub secret: MethodSecret,
}

/// The client's side of signing in with a password.
pub struct Login {
    state: ClientLogin<Suite>,
    password: Password,
}

impl Login {
    /// Blinds the password. The second value is the request to send.
    ///
    /// # Errors
    /// As [`Registration::start`].
    pub fn start(password: &Password, rng: &mut impl CryptoRng) -> Result<(Self, Vec<u8>), PasswordError> {
        let started = ClientLogin::<Suite>::start(&mut ForOpaque(rng), &password.0)?;
        Ok((Self { state: started.state, password: password.clone() }, started.message.serialize().to_vec()))
    }

    /// Runs the slow hash, checks the server's proof and makes the client's.
    ///
    /// # Errors
    /// [`PasswordError::WrongPassword`] for a wrong password, an unknown account, other parameters than at
    /// registration and another server alike; [`PasswordError::Malformed`] when the response is not one.
    pub fn finish(
        self,
        response: &[u8],
        params: KdfParams,
        rng: &mut impl CryptoRng,
    ) -> Result<LoginFinished, PasswordError> {
        let response = CredentialResponse::deserialize(exactly(response, 320)?)?;
        let ksf = SlowHash(params);
        let parameters = ClientLoginFinishParameters::new(Some(CONTEXT), Identifiers::default(), Some(&ksf));
        let finished = self.state.finish(&mut ForOpaque(rng), &self.password.0, response, parameters)?;
        let export_key = Zeroizing::new(<[u8; 64]>::from(finished.export_key));
        Ok(LoginFinished {
            finalization: finished.message.serialize().to_vec(),
            session_key: session_key(&Zeroizing::new(finished.session_key.into())),
            secret: MethodSecret::of_password(&export_key),
        })
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({REDACTED})")
    }
}

/// What signing in with a password gives.
#[derive(Debug)]
pub struct LoginFinished {
    /// The proof to send to the server.
    pub finalization: Vec<u8>,
    /// Shared with the server once it accepted the proof.
    pub session_key: SessionKey,
    /// The same secret as at registration.
    pub secret: MethodSecret,
}

/// Why a password did not register or sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// No password was typed.
    #[error("the password is empty")]
    Empty,
    /// More than 1024 bytes.
    #[error("the password is longer than 1024 bytes")]
    TooLong,
    /// The message is not what the protocol expects next.
    #[error("the server's message is malformed")]
    Malformed,
    /// Wrong password, unknown account, or not the server that the password was registered with.
    #[error("the email address or the password is wrong")]
    WrongPassword,
    /// The slow hash could not run.
    #[error("the password could not be hashed: not enough memory")]
    Hash,
    /// The protocol failed in another way.
    #[error("the sign-in protocol failed")]
    Protocol,
}

impl From<ProtocolError> for PasswordError {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::InvalidLoginError => PasswordError::WrongPassword,
            ProtocolError::SerializationError
            | ProtocolError::SizeError { .. }
            | ProtocolError::ReflectedValueError
            | ProtocolError::LibraryError(InternalError::OprfError(_)) => PasswordError::Malformed,
            ProtocolError::LibraryError(InternalError::KsfError) => PasswordError::Hash,
            ProtocolError::LibraryError(_) => PasswordError::Protocol,
            ProtocolError::Custom(never) => match never {},
        }
    }
}

/// The cipher suite of RFC 9807: ristretto255, 3DH, SHA-512, Argon2id.
pub(crate) struct Suite;

impl CipherSuite for Suite {
    type OprfCs = Ristretto255;
    type KeyExchange = TripleDh<Ristretto255, sha2_010::Sha512>;
    type Ksf = SlowHash;
}

/// Argon2id as OPAQUE's key stretching function. Its salt is constant, as in RFC 9807: the input is already salted
/// by the server's per-credential key.
#[derive(Default)]
pub(crate) struct SlowHash(KdfParams);

impl opaque_ke::ksf::Ksf for SlowHash {
    fn hash<L: ArrayLength<u8>>(
        &self,
        input: GenericArray<u8, L>,
    ) -> Result<GenericArray<u8, L>, InternalError> {
        let mut output = GenericArray::default();
        self.0.hash(&input, &[0; 16], &mut output).map_err(|_| InternalError::KsfError)?;
        Ok(output)
    }
}

/// A message of the one length that it has: `opaque-ke` overlooks what follows some.
fn exactly(message: &[u8], length: usize) -> Result<&[u8], ProtocolError> {
    if message.len() == length { Ok(message) } else { Err(ProtocolError::SerializationError) }
}

/// OPAQUE's session key, shortened to the key that both sides use.
fn session_key(key: &Zeroizing<[u8; 64]>) -> SessionKey {
    SessionKey::derived(key.as_slice(), &[], "password/session", &[])
}

/// What both sides must agree on beyond the messages.
const CONTEXT: &[u8] = b"bailiwick/v1/password";
