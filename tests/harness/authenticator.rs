// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A browser with an authenticator in it, in software: makes passkeys and signs with them as W3C Web Authentication,
//! Level 3, and CTAP 2.2 say. It does as it is told, also what no honest one would do: from another page, without a look
//! at who is there, with a counter that went back.

use std::sync::Mutex;

use data_encoding::BASE64URL_NOPAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use ring::{digest, hmac, rand};

/// A browser with an authenticator.
pub struct Authenticator {
    /// The origin of the page that asks.
    pub origin: String,
    /// The domain that the browser says the page belongs to, when it lies.
    pub rp_id: Option<String>,
    /// Whether the authenticator looks who is there.
    pub verifies_user: bool,
    /// Whether it has a PRF (`hmac-secret`).
    pub has_prf: bool,
    /// Whether the PRF answers while a passkey is made, or only at the next use.
    pub evaluates_at_creation: bool,
    /// What the signature counter says next; 0 where nobody counts.
    pub count: Mutex<u32>,
    /// With which algorithm it makes keys.
    pub algorithm: Algorithm,
    /// What it holds.
    pub passkeys: Passkeys,
}

/// The passkeys in an authenticator.
#[derive(Default)]
pub struct Passkeys(Mutex<Vec<Held>>);

/// What a key signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

#[derive(Clone)]
struct Held {
    id: Vec<u8>,
    rp_id: String,
    user_handle: Vec<u8>,
    algorithm: Algorithm,
    pkcs8: Vec<u8>,
    prf_key: Vec<u8>,
}

/// What `navigator.credentials.create` gives.
#[derive(Clone, Debug)]
pub struct Made {
    /// `rawId`.
    pub id: Vec<u8>,
    /// `response.clientDataJSON`.
    pub client_data_json: Vec<u8>,
    /// `response.attestationObject`.
    pub attestation_object: Vec<u8>,
    /// `prf.enabled`.
    pub prf_enabled: bool,
    /// `prf.results.first`.
    pub prf: Option<Vec<u8>>,
}

/// What `navigator.credentials.get` gives.
#[derive(Clone, Debug)]
pub struct Shown {
    /// `rawId`.
    pub id: Vec<u8>,
    /// `response.userHandle`.
    pub user_handle: Vec<u8>,
    /// `response.clientDataJSON`.
    pub client_data_json: Vec<u8>,
    /// `response.authenticatorData`.
    pub authenticator_data: Vec<u8>,
    /// `response.signature`.
    pub signature: Vec<u8>,
    /// `prf.results.first`.
    pub prf: Option<Vec<u8>>,
}

impl Authenticator {
    /// An honest one with everything, on a page of this origin.
    pub fn on(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            rp_id: None,
            verifies_user: true,
            has_prf: true,
            evaluates_at_creation: true,
            count: Mutex::new(1),
            algorithm: Algorithm::Es256,
            passkeys: Passkeys::default(),
        }
    }

    /// A copy with everything that is in it, as no authenticator lets itself be copied.
    pub fn copied(&self) -> Self {
        Self {
            origin: self.origin.clone(),
            rp_id: self.rp_id.clone(),
            count: Mutex::new(*self.count.lock().unwrap()),
            passkeys: Passkeys(Mutex::new(self.held())),
            ..*self
        }
    }

    /// The credential ids that it holds.
    pub fn ids(&self) -> Vec<Vec<u8>> {
        self.held().into_iter().map(|held| held.id).collect()
    }

    /// Makes a passkey; nothing when it holds one of those to be left out. `prf` is what the PRF is evaluated at.
    pub fn create(
        &self,
        rp_id: &str,
        challenge: &[u8],
        user_handle: &[u8],
        exclude: &[Vec<u8>],
        prf: Option<&[u8]>,
    ) -> Option<Made> {
        let rp_id = self.rp_id.as_deref().unwrap_or(rp_id);
        if self.ids().iter().any(|id| exclude.contains(id)) {
            return None;
        }
        let rng = SystemRandom::new();
        let (pkcs8, cose) = match self.algorithm {
            Algorithm::Es256 => {
                let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &rng).unwrap();
                let key =
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &rng).unwrap();
                let point = key.public_key().as_ref();
                let head = [0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
                let cose = [&head[..], &point[1..33], &[0x22, 0x58, 0x20], &point[33..]].concat();
                (pkcs8.as_ref().to_vec(), cose)
            }
            Algorithm::EdDsa => {
                let pkcs8 = Ed25519KeyPair::generate_pkcs8(&rng).unwrap();
                let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
                let head = [0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20];
                let cose = [&head[..], key.public_key().as_ref()].concat();
                (pkcs8.as_ref().to_vec(), cose)
            }
        };
        let held = Held {
            id: random(32),
            rp_id: rp_id.to_owned(),
            user_handle: user_handle.to_owned(),
            algorithm: self.algorithm,
            pkcs8,
            prf_key: random(32),
        };
        let asked = self.has_prf && prf.is_some();
        let mut data = self.authenticator_data(rp_id, ATTESTED | if asked { EXTENSIONS } else { 0 });
        data.extend([0; 16]);
        data.extend(u16::try_from(held.id.len()).unwrap().to_be_bytes());
        data.extend(&held.id);
        data.extend(&cose);
        if asked {
            data.extend([&[0xa1, 0x6b][..], b"hmac-secret", &[0xf5]].concat());
        }
        let mut object = [&[0xa3, 0x63][..], b"fmt", &[0x64], b"none", &[0x67], b"attStmt", &[0xa0]].concat();
        object.extend([&[0x68][..], b"authData", &[0x58, u8::try_from(data.len()).unwrap()]].concat());
        object.extend(&data);
        let prf = prf.filter(|_| self.has_prf && self.evaluates_at_creation).map(|input| held.prf(input));
        let made = Made {
            id: held.id.clone(),
            client_data_json: self.client_data("webauthn.create", challenge),
            attestation_object: object,
            prf_enabled: asked,
            prf,
        };
        self.passkeys.0.lock().unwrap().push(held);
        Some(made)
    }

    /// Signs with the newest passkey for the domain that may be chosen; nothing when there is none.
    pub fn get(&self, rp_id: &str, challenge: &[u8], allow: &[Vec<u8>], prf: Option<&[u8]>) -> Option<Shown> {
        let held = self
            .held()
            .into_iter()
            .rev()
            .find(|held| held.rp_id == rp_id && (allow.is_empty() || allow.contains(&held.id)))?;
        let asked = self.has_prf && prf.is_some();
        let rp_id = self.rp_id.as_deref().unwrap_or(rp_id);
        let mut data = self.authenticator_data(rp_id, if asked { EXTENSIONS } else { 0 });
        if asked {
            // The authenticator seals the output for the browser.
            data.extend([&[0xa1, 0x6b][..], b"hmac-secret", &[0x58, 0x30], &random(48)].concat());
        }
        let client_data_json = self.client_data("webauthn.get", challenge);
        let signed = [&data[..], digest::digest(&digest::SHA256, &client_data_json).as_ref()].concat();
        Some(Shown {
            id: held.id.clone(),
            user_handle: held.user_handle.clone(),
            client_data_json,
            signature: held.sign(&signed),
            authenticator_data: data,
            prf: prf.filter(|_| self.has_prf).map(|input| held.prf(input)),
        })
    }

    fn held(&self) -> Vec<Held> {
        self.passkeys.0.lock().unwrap().clone()
    }

    fn authenticator_data(&self, rp_id: &str, flags: u8) -> Vec<u8> {
        let flags = flags | USER_PRESENT | if self.verifies_user { USER_VERIFIED } else { 0 };
        let mut count = self.count.lock().unwrap();
        let mut data = digest::digest(&digest::SHA256, rp_id.as_bytes()).as_ref().to_vec();
        data.push(flags);
        data.extend(count.to_be_bytes());
        if *count > 0 {
            *count += 1;
        }
        data
    }

    fn client_data(&self, ceremony: &str, challenge: &[u8]) -> Vec<u8> {
        format!(
            r#"{{"type":"{ceremony}","challenge":"{}","origin":"{}","crossOrigin":false}}"#,
            BASE64URL_NOPAD.encode(challenge),
            self.origin
        )
        .into_bytes()
    }
}

impl Held {
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let rng = SystemRandom::new();
        match self.algorithm {
            Algorithm::Es256 => {
                let key =
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.pkcs8, &rng).unwrap();
                key.sign(&rng, message).unwrap().as_ref().to_vec()
            }
            Algorithm::EdDsa => {
                Ed25519KeyPair::from_pkcs8(&self.pkcs8).unwrap().sign(message).as_ref().to_vec()
            }
        }
    }

    /// The browser hashes the input, the authenticator keys the hash (section 10.1.4, "Client extension processing").
    fn prf(&self, input: &[u8]) -> Vec<u8> {
        let salt = digest::digest(&digest::SHA256, &[b"WebAuthn PRF\0", input].concat());
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.prf_key), salt.as_ref()).as_ref().to_vec()
    }
}

fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rand::SecureRandom::fill(&SystemRandom::new(), &mut bytes).unwrap();
    bytes
}

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const ATTESTED: u8 = 1 << 6;
const EXTENSIONS: u8 = 1 << 7;
