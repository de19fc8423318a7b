// SPDX-License-Identifier: Apache-2.0 OR MIT
//! By what a client's access tokens are signed: by the server's keys, or by a key that it shares with the client (HS256).
//!
//! Whoever has a shared key verifies tokens with it, and can make them as well. So such tokens are for services of the tenant's own
//! alone: nothing here takes one.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use store::{ReadTx, WriteTx};
use zeroize::Zeroizing;

use super::client::Client;
use super::secret::{SHARED_KEY, Shown, shown};
use super::{ClientId, Provider, ProviderError};
use crate::SigningAlgorithm;

/// By what a client wants its access tokens signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenAlgorithm {
    /// By a key of the server's.
    Server(SigningAlgorithm),
    /// HS256, by a key of the client's own, the so-manieth.
    Shared(u32),
}

impl TokenAlgorithm {
    /// Its name in a token.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server(algorithm) => algorithm.name(),
            Self::Shared(_) => HS256,
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        if name == HS256 { Some(Self::Shared(1)) } else { SigningAlgorithm::named(name).map(Self::Server) }
    }

    /// By what the ID tokens are signed that go with it: always by a key of the server's.
    pub fn of_id_tokens(self) -> SigningAlgorithm {
        match self {
            Self::Server(algorithm) => algorithm,
            Self::Shared(_) => SigningAlgorithm::default(),
        }
    }
}

/// What signs a client's access tokens now.
pub enum Signer {
    /// A key of the server's.
    Server(SigningAlgorithm),
    /// The key that it shares with the client.
    Shared(SharedKey),
}

/// A key that the server shares with one client.
pub struct SharedKey(Zeroizing<[u8; 32]>);

impl SharedKey {
    /// The key's text, for the one answer that tells it: base64url behind a prefix.
    pub fn show(&self) -> Shown {
        shown(SHARED_KEY, self.0.as_slice())
    }

    /// The MAC of a token's head and claims.
    pub(super) fn sign(&self, message: &[u8]) -> [u8; 32] {
        mac(self.0.as_slice(), &[message])
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Signer::Server(algorithm) => algorithm.fmt(f),
            Signer::Shared(_) => f.write_str("***REDACTED***"),
        }
    }
}

impl Provider {
    /// What signs the access tokens of a client of this tenant.
    pub async fn signer(&self, tx: &mut ReadTx, client: &Client) -> Result<Signer, ProviderError> {
        match client.terms.algorithm {
            TokenAlgorithm::Server(algorithm) => Ok(Signer::Server(algorithm)),
            TokenAlgorithm::Shared(number) => {
                Ok(Signer::Shared(self.shared_key(tx, client.id, number).await?))
            }
        }
    }

    /// The key that this client shares.
    ///
    /// # Errors
    /// [`ProviderError::Invalid`] for a client that has none.
    pub async fn key_shared_with(
        &self,
        tx: &mut ReadTx,
        client: &Client,
    ) -> Result<SharedKey, ProviderError> {
        match self.signer(tx, client).await? {
            Signer::Shared(key) => Ok(key),
            Signer::Server(_) => Err(ProviderError::invalid("client", "this client shares no key (HS256)")),
        }
    }

    /// Gives a client another key to share; tokens by the one before go on until they expire, wherever that is still known.
    ///
    /// # Errors
    /// As [`key_shared_with`](Self::key_shared_with), and [`ProviderError::NotFound`].
    pub async fn rotate_shared_key(
        &self,
        tx: &mut WriteTx,
        id: ClientId,
    ) -> Result<SharedKey, ProviderError> {
        let mut client = self.client(tx, id).await?;
        if let TokenAlgorithm::Shared(number) = &mut client.terms.algorithm {
            *number = number.saturating_add(1);
        }
        let key = self.key_shared_with(tx, &client).await?;
        self.store_client(tx, &client).await?;
        Ok(key)
    }

    async fn shared_key(
        &self,
        tx: &mut ReadTx,
        client: ClientId,
        number: u32,
    ) -> Result<SharedKey, ProviderError> {
        let key = self.keys(tx).await?.derive(DERIVED);
        Ok(SharedKey(Zeroizing::new(mac(key.as_slice(), &[client.as_bytes(), &number.to_be_bytes()]))))
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    #[allow(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// HMAC with SHA-256 (RFC 7518, section 3.2).
pub(super) const HS256: &str = "HS256";
/// What shared keys are derived as, under the tenant's key.
const DERIVED: &str = "tokens/shared-key";
