// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who asks, and the link that says so past the server.

use std::fmt;

use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::PairingError;
use crate::base62;
use crate::hybrid::PublicKey;
use crate::secret::{REDACTED, framed};

/// Names a request to whoever has the link. The server stores it only hashed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PairingId([u8; Self::LEN]);

impl PairingId {
    /// How many bytes it has.
    pub const LEN: usize = 16;

    /// Takes the bytes that a link named.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    pub(super) fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut id = [0; Self::LEN];
        rng.fill_bytes(&mut id);
        Self(id)
    }
}

impl fmt::Debug for PairingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PairingId({REDACTED})")
    }
}

/// What the device wants to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairingForm {
    /// A device of the owner's, which stays signed in.
    Device,
    /// A computer that others use too: it reads for a short while, and keeps nothing.
    Public,
}

impl PairingForm {
    /// Its name in formats, which never changes.
    pub const fn as_str(self) -> &'static str {
        match self {
            PairingForm::Device => "device",
            PairingForm::Public => "public",
        }
    }

    /// The form of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Device, Self::Public].into_iter().find(|form| form.as_str() == name)
    }

    pub(super) const fn byte(self) -> u8 {
        match self {
            PairingForm::Device => 1,
            PairingForm::Public => 2,
        }
    }
}

/// What a device says of itself when it asks to be let in.
#[derive(Clone, PartialEq, Eq)]
pub struct PairingRequest {
    id: PairingId,
    form: PairingForm,
    name: String,
    platform: String,
    key: PublicKey,
}

impl PairingRequest {
    /// How many bytes a key has: a version byte and an X-Wing key.
    pub const KEY_LEN: usize = 1 + PublicKey::LEN;

    /// What a server says that a device said.
    ///
    /// # Errors
    /// [`PairingError::Description`]; otherwise when the key is none.
    pub fn from_parts(
        id: PairingId,
        form: PairingForm,
        name: &str,
        platform: &str,
        key: &[u8],
    ) -> Result<Self, PairingError> {
        let key = match key.split_first() {
            Some((&VERSION, key)) => PublicKey::from_bytes(key)?,
            Some((&version, _)) => return Err(PairingError::UnknownVersion(version)),
            None => return Err(PairingError::Malformed),
        };
        Self::new(id, form, name, platform, key)
    }

    pub(super) fn new(
        id: PairingId,
        form: PairingForm,
        name: &str,
        platform: &str,
        key: PublicKey,
    ) -> Result<Self, PairingError> {
        let (name, platform) = (name.trim(), platform.trim());
        if [name, platform].iter().any(|text| !(1..=MAX_TEXT).contains(&text.chars().count())) {
            return Err(PairingError::Description);
        }
        Ok(Self { id, form, name: name.to_owned(), platform: platform.to_owned(), key })
    }

    /// The request's id.
    pub fn id(&self) -> &PairingId {
        &self.id
    }

    /// What the device wants to be.
    pub fn form(&self) -> PairingForm {
        self.form
    }

    /// How the device names itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it runs, as it says.
    pub fn platform(&self) -> &str {
        &self.platform
    }

    /// Its one-time public key, for the server to relay.
    pub fn key(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.key.to_bytes());
        bytes
    }

    /// SHA-256 of all of it.
    pub fn fingerprint(&self) -> PairingFingerprint {
        let parts: [&[u8]; 5] = [
            &self.id.0,
            &[self.form.byte()],
            self.name.as_bytes(),
            self.platform.as_bytes(),
            &self.key.to_bytes(),
        ];
        PairingFingerprint(Sha256::digest(framed("pairing/fingerprint", &parts)).into())
    }

    pub(super) fn public_key(&self) -> &PublicKey {
        &self.key
    }
}

impl fmt::Debug for PairingRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PairingRequest({}, {:?} on {:?})", self.form.as_str(), self.name, self.platform)
    }
}

/// What the link says of a request.
#[derive(Clone, Copy)]
pub struct PairingFingerprint([u8; 32]);

impl PairingFingerprint {
    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for PairingFingerprint {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for PairingFingerprint {}

impl fmt::Debug for PairingFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PairingFingerprint({REDACTED})")
    }
}

/// What a device shows, as text and as a QR code: `https://HOST/#pair=<request>.<fingerprint>`. What follows `#` is not
/// sent to the server by whoever opens it.
#[derive(Clone, PartialEq, Eq)]
pub struct PairingLink {
    server: String,
    request: PairingId,
    fingerprint: PairingFingerprint,
}

impl PairingLink {
    /// The link of a request, on the server with this address.
    pub fn new(server: &str, request: &PairingRequest) -> Self {
        let server = server.trim_end_matches('/').to_owned();
        Self { server, request: *request.id(), fingerprint: request.fingerprint() }
    }

    /// Reads a link. Whether its server is one to talk to, the caller decides.
    ///
    /// # Errors
    /// [`PairingError::NotALink`].
    pub fn parse(text: &str) -> Result<Self, PairingError> {
        let (server, fragment) = text.trim().split_once(MARK).ok_or(PairingError::NotALink)?;
        let (request, fingerprint) = fragment.split_once('.').ok_or(PairingError::NotALink)?;
        let is_address = |server: &str| {
            let rest = server.strip_prefix("https://").or_else(|| server.strip_prefix("http://"));
            rest.is_some_and(|host| !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic()))
        };
        let server = server.trim_end_matches('/');
        if server.len() > MAX_SERVER || server.contains(['#', '?', '@']) || !is_address(server) {
            return Err(PairingError::NotALink);
        }
        let mut id = [0; PairingId::LEN];
        base62::decode(request, &mut id).ok_or(PairingError::NotALink)?;
        let mut hash = [0; 32];
        base62::decode(fingerprint, &mut hash).ok_or(PairingError::NotALink)?;
        Ok(Self { server: server.to_owned(), request: PairingId(id), fingerprint: PairingFingerprint(hash) })
    }

    /// The link as shown.
    pub fn to_text(&self) -> String {
        let mut text = format!("{}{MARK}", self.server);
        base62::encode(&self.request.0, &mut text);
        text.push('.');
        base62::encode(&self.fingerprint.0, &mut text);
        text
    }

    /// The address of the server that carries the messages.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// What to ask it for.
    pub fn request(&self) -> &PairingId {
        &self.request
    }

    pub(super) fn names(&self, request: &PairingRequest) -> bool {
        self.request == request.id && self.fingerprint == request.fingerprint()
    }
}

impl fmt::Debug for PairingLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PairingLink({}, {REDACTED})", self.server)
    }
}

const VERSION: u8 = 1;
const MARK: &str = "/#pair=";
const MAX_TEXT: usize = 64;
const MAX_SERVER: usize = 512;
