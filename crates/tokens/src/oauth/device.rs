// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Device authorisation (RFC 8628): a program without a browser shows a short code, and somebody signed in enters it elsewhere.
//!
//! The code is short, so nothing says which tenant it leads into: what waits for an answer stands in the platform's own
//! database, under hashes of both codes. The answer is taken once: the row goes, and then the grant begins in the tenant, so that a
//! crash in between costs the person another try and gives nobody anything.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::{ReadTx, TenantId, WriteTx, params};
use uuid::Uuid;

use super::grant::GrantTerms;
use super::secret::{DEVICE_CODE, Shown, hash_of, new_secret, random};
use super::{ClientAddress, ClientId, Provider, ProviderError, ScopeSet};

/// How long somebody may take to enter the code, in milliseconds.
pub const DEVICE_MS: i64 = 10 * 60_000;
/// How many requests wait at the most.
pub const MAX_WAITING: i64 = 100_000;
/// How often a program may ask for the answer, in seconds.
pub const INTERVAL_SECONDS: u32 = 5;

/// A request of a program without a browser.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeviceRequest {
    #[serde(with = "super::as_text")]
    tenant: Uuid,
    #[serde(with = "super::as_text")]
    client: Uuid,
    /// What the client asks for.
    pub scope: ScopeSet,
    /// Whom the tokens are for.
    pub resource: String,
    /// The network that it asked from, for the person to recognise.
    pub network: String,
}

/// What the program is told.
#[derive(Debug)]
pub struct DeviceCodes {
    /// What it asks for the answer with.
    pub device_code: Shown,
    /// What the person enters.
    pub user_code: String,
}

/// An answer as it is kept, with the client that it is for.
#[derive(Serialize, Deserialize)]
struct Kept<T> {
    #[serde(with = "super::as_text")]
    client: Uuid,
    answer: T,
}

/// What became of a request.
#[derive(Debug)]
pub enum Answered {
    /// Nobody has answered yet.
    Waiting,
    /// Somebody said no.
    Denied,
    /// Somebody said yes: under these terms.
    Allowed(Box<GrantTerms>),
    /// There is no such request, or nobody answered in time.
    Over,
}

impl DeviceRequest {
    /// A request of this client.
    pub fn new(client: ClientAddress, scope: ScopeSet, resource: String, network: String) -> Self {
        DeviceRequest {
            tenant: *client.tenant.uuid(),
            client: *client.client.uuid(),
            scope,
            resource,
            network,
        }
    }

    /// The client that asks.
    pub fn client(&self) -> ClientAddress {
        ClientAddress { tenant: TenantId::from_uuid(self.tenant), client: ClientId::from_uuid(self.client) }
    }
}

impl Provider {
    /// Notes a request. In the platform's database.
    ///
    /// # Errors
    /// [`ProviderError::TooMany`].
    pub async fn ask_for_device(
        &self,
        tx: &mut WriteTx,
        request: &DeviceRequest,
    ) -> Result<DeviceCodes, ProviderError> {
        let now = tx.now();
        tx.execute("DELETE FROM oauth_device WHERE expires_at <= $1", params![now]).await?;
        let (waiting,): (i64,) = tx.query_one("SELECT count(*) FROM oauth_device", params![]).await?;
        if waiting >= MAX_WAITING {
            return Err(ProviderError::TooMany("too many devices wait to be let in"));
        }
        let (device_code, device_hash) = new_secret(DEVICE_CODE);
        let user_code = new_user_code();
        let user_hash = self.user_hash(tx, &user_code).await?;
        let sealed = self.seal_device(tx, &device_hash, b"asked", request).await?;
        let noted = tx
            .execute(
                "INSERT INTO oauth_device (device_hash, user_hash, state, sealed, expires_at) \
                 VALUES ($1, $2, 'asked', $3, $4) ON CONFLICT DO NOTHING",
                params![&device_hash, &user_hash, &sealed, now.saturating_add(DEVICE_MS)],
            )
            .await?;
        if noted == 0 {
            return Err(ProviderError::TooMany("this code is taken: try again"));
        }
        Ok(DeviceCodes { device_code, user_code })
    }

    /// The request that waits under this code. In the platform's database.
    ///
    /// # Errors
    /// [`ProviderError::NotFound`].
    pub async fn device_request(&self, tx: &mut ReadTx, code: &str) -> Result<DeviceRequest, ProviderError> {
        let (hash, now) = (self.user_hash(tx, code).await?, tx.now());
        let row: Option<([u8; 32], Vec<u8>)> = tx
            .query_opt(
                "SELECT device_hash, sealed FROM oauth_device \
                 WHERE user_hash = $1 AND state = 'asked' AND expires_at > $2",
                params![&hash, now],
            )
            .await?;
        let (device_hash, sealed) = row.ok_or(ProviderError::NotFound)?;
        self.open_device(tx, &device_hash, b"asked", &sealed).await
    }

    /// Answers the request that waits under this code: with terms, or no. In the platform's database.
    ///
    /// # Errors
    /// [`ProviderError::NotFound`] when it was answered already.
    pub async fn answer_device(
        &self,
        tx: &mut WriteTx,
        code: &str,
        terms: Option<&GrantTerms>,
    ) -> Result<(), ProviderError> {
        let (hash, now) = (self.user_hash(tx, code).await?, tx.now());
        let client = self.device_request(tx, code).await?.client;
        let row: Option<([u8; 32],)> =
            tx.query_opt("SELECT device_hash FROM oauth_device WHERE user_hash = $1", params![&hash]).await?;
        let (device_hash,) = row.ok_or(ProviderError::NotFound)?;
        let state = if terms.is_some() { "allowed" } else { "denied" };
        let sealed =
            self.seal_device(tx, &device_hash, state.as_bytes(), &Kept { client, answer: terms }).await?;
        let answered = tx
            .execute(
                "UPDATE oauth_device SET state = $2, sealed = $3 \
                 WHERE user_hash = $1 AND state = 'asked' AND expires_at > $4",
                params![&hash, state, &sealed, now],
            )
            .await?;
        if answered == 1 { Ok(()) } else { Err(ProviderError::NotFound) }
    }

    /// What became of the request of this device code; of another client's, nothing. In the platform's database.
    pub async fn device_answer(
        &self,
        tx: &mut ReadTx,
        client: ClientAddress,
        device_code: &str,
    ) -> Result<Answered, ProviderError> {
        let Some(hash) = hash_of(DEVICE_CODE, device_code) else { return Ok(Answered::Over) };
        let now = tx.now();
        let row: Option<(String, Vec<u8>)> = tx
            .query_opt(
                "SELECT state, sealed FROM oauth_device WHERE device_hash = $1 AND expires_at > $2",
                params![&hash, now],
            )
            .await?;
        let Some((state, sealed)) = row else { return Ok(Answered::Over) };
        if state == "asked" {
            let asked: DeviceRequest = self.open_device(tx, &hash, b"asked", &sealed).await?;
            return Ok(if asked.client() == client { Answered::Waiting } else { Answered::Over });
        }
        let kept: Kept<Option<GrantTerms>> = self.open_device(tx, &hash, state.as_bytes(), &sealed).await?;
        Ok(match kept.answer {
            _ if kept.client != *client.client.uuid() => Answered::Over,
            Some(terms) => Answered::Allowed(Box::new(terms)),
            None => Answered::Denied,
        })
    }

    /// Takes the answer: the row goes. False when somebody else was faster. In the platform's database.
    pub async fn take_device(&self, tx: &mut WriteTx, device_code: &str) -> Result<bool, ProviderError> {
        let Some(hash) = hash_of(DEVICE_CODE, device_code) else { return Ok(false) };
        let taken = tx.execute("DELETE FROM oauth_device WHERE device_hash = $1", params![&hash]).await?;
        Ok(taken == 1)
    }

    /// Under what a person's code is found. Keyed, since a short code would be found by trying all.
    async fn user_hash(&self, tx: &mut ReadTx, code: &str) -> Result<[u8; 32], ProviderError> {
        let key = self.keys(tx).await?.derive("tokens/user-code");
        Ok(Sha256::new().chain_update(key.as_slice()).chain_update(normal(code)).finalize().into())
    }

    async fn seal_device(
        &self,
        tx: &mut ReadTx,
        device_hash: &[u8; 32],
        state: &[u8],
        what: &impl Serialize,
    ) -> Result<Vec<u8>, ProviderError> {
        let plain = serde_json::to_vec(what).map_err(|_| ProviderError::Unreadable("a device's request"))?;
        Ok(self.keys(tx).await?.seal(DEVICE, &[device_hash, state], &plain))
    }

    async fn open_device<T: serde::de::DeserializeOwned>(
        &self,
        tx: &mut ReadTx,
        device_hash: &[u8; 32],
        state: &[u8],
        sealed: &[u8],
    ) -> Result<T, ProviderError> {
        let unreadable = ProviderError::Unreadable("a device's request");
        let opened = self.keys(tx).await?.open(DEVICE, &[device_hash, state], sealed);
        let Ok(opened) = opened else { return Err(unreadable) };
        serde_json::from_slice(&opened).map_err(|_| unreadable)
    }
}

/// A code for people: eight consonants in two groups, which spell no words (section 6.1). 34 bits.
fn new_user_code() -> String {
    let mut code = String::with_capacity(9);
    // 240 is the largest multiple of 20 in a byte: what is above would favour the first letters.
    while code.len() < 9 {
        for byte in random::<16>().iter().filter(|byte| **byte < 240) {
            if code.len() == 4 {
                code.push('-');
            }
            if code.len() < 9 {
                code.push(char::from(LETTERS.get(usize::from(*byte % 20)).copied().unwrap_or(b'B')));
            }
        }
    }
    code
}

/// A code as it was meant: capital letters alone.
fn normal(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphabetic).map(|letter| letter.to_ascii_uppercase()).collect()
}

const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// What a device's request and its answer are sealed as.
const DEVICE: &str = "tokens/device";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = new_user_code();
        assert_eq!(code.len(), 9, "{code}");
        assert_eq!(normal(&code.to_lowercase().replace('-', " ")), normal(&code));
        assert_eq!(normal(&code).len(), 8);
        assert_ne!(new_user_code(), new_user_code());
    }
}
