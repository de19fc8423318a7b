// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing keys: made, published, used, retired, removed.
//!
//! ```text
//! created_at        active_from              retired_at                      removed_at
//!  | published       | signs                  | only verifies                 | gone
//!  |<-publish ahead->|<------- max age ------>|<- the longest token's life -->|
//! ```

use std::sync::{Arc, PoisonError, RwLock};

use custody::{Custody, TenantKeys};
use ed25519_dalek::SigningKey;
use jsonwebtoken::{DecodingKey, EncodingKey};
use store::{ReadTx, StoreError, TenantId, WriteTx, params};
use zeroize::Zeroizing;

use crate::access::{LONGEST_LEEWAY_SECONDS, Lifetime};
use crate::ed25519::{self, decoding_key, encoding_key};
use crate::es256;
use crate::jwks::{ALGORITHM, Jwk, Jwks, SigningAlgorithm, thumbprint};

/// When signing keys are replaced. Milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationPolicy {
    /// How long a key signs.
    pub max_age_ms: i64,
    /// How long a key is published before it signs. Longer than others cache the key set, and than the time between
    /// two calls of [`SigningKeys::reload`].
    pub publish_ahead_ms: i64,
}

impl Default for RotationPolicy {
    /// A key signs for 90 days and is published one day ahead.
    fn default() -> Self {
        Self { max_age_ms: 90 * DAY_MS, publish_ahead_ms: DAY_MS }
    }
}

/// The signing keys of the server: in the platform's database, sealed, and in memory, as last read.
pub struct SigningKeys {
    custody: Custody,
    policy: RotationPolicy,
    live: RwLock<Arc<[LiveKey]>>,
}

/// A signing key, as those who run the platform see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeyInfo {
    /// The `kid` of its EdDSA half.
    pub ed25519: String,
    /// The `kid` of its ES256 half.
    pub es256: String,
    /// When it signs from, in Unix milliseconds.
    pub active_from: i64,
    /// When another signs in its place.
    pub retired_at: Option<i64>,
    /// Until when it verifies what it signed.
    pub verifies_until: Option<i64>,
    /// Whether it signs now.
    pub is_signing: bool,
}

/// Why signing keys could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// A stored key does not open in its place, or is not the key that its row says.
    #[error("the signing key {kid} is damaged or was planted: it does not open under this server's keys")]
    Damaged {
        /// The row's key id.
        kid: String,
    },
    /// There is no such key, or it is removed already.
    #[error("there is no signing key {kid}")]
    Unknown {
        /// What was asked for.
        kid: String,
    },
    /// A transaction of a tenant was given.
    #[error("signing keys are kept in the platform's database")]
    NotPlatform,
    /// The platform's own key is not to be had.
    #[error(transparent)]
    Custody(#[from] custody::KeyError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A key as it is kept in memory.
struct LiveKey {
    ed25519: KeyHalf,
    es256: KeyHalf,
    active_from: i64,
    retired_at: Option<i64>,
}

/// One of the two key pairs that a stored key is.
pub(crate) struct KeyHalf {
    jwk: Jwk,
    pub(crate) encoding: EncodingKey,
    pub(crate) decoding: DecodingKey,
}

impl KeyHalf {
    /// Its id.
    pub(crate) fn kid(&self) -> &str {
        &self.jwk.kid
    }
}

impl SigningKeys {
    /// No keys yet: call [`SigningKeys::rotate_if_due`], then [`SigningKeys::reload`]. A key is published ahead for at
    /// most half of its age.
    pub fn new(custody: Custody, policy: RotationPolicy) -> Self {
        ed25519::install();
        let max_age_ms = policy.max_age_ms.max(1);
        let policy =
            RotationPolicy { max_age_ms, publish_ahead_ms: policy.publish_ahead_ms.clamp(0, max_age_ms / 2) };
        Self { custody, policy, live: RwLock::new(Arc::new([])) }
    }

    /// Makes the first key, or the next one when the newest grows old, and removes those whose last token has
    /// expired. Returns whether anything changed: then commit, and [`SigningKeys::reload`].
    ///
    /// # Errors
    /// Those of the database and of custody.
    pub async fn rotate_if_due(&self, tx: &mut WriteTx) -> Result<bool, KeysError> {
        require_platform(tx)?;
        let (now, number) = (tx.now(), next_number(tx).await?);
        let removed = tx
            .execute(
                "UPDATE signing_key SET removed_at = $1, sealed = NULL
                 WHERE removed_at IS NULL AND retired_at IS NOT NULL AND retired_at <= $2",
                params![now, now.saturating_sub(VERIFIES_AFTER_MS)],
            )
            .await?;
        let newest: Option<(i64,)> = tx
            .query_opt(
                "SELECT active_from FROM signing_key
                 WHERE removed_at IS NULL AND retired_at IS NULL
                 ORDER BY number DESC LIMIT 1",
                params![],
            )
            .await?;
        let due = match newest {
            None => Some(now),
            Some((active_from,)) => {
                let ends = active_from.saturating_add(self.policy.max_age_ms);
                let ahead = now.saturating_add(self.policy.publish_ahead_ms);
                (ends <= ahead).then_some(ahead)
            }
        };
        match due {
            Some(active_from) => self.make(tx, number, active_from).await.map(|made| made || removed > 0),
            None => Ok(removed > 0),
        }
    }

    /// Replaces the signing key now, without publishing the new one ahead: those who verify must read the key set
    /// again when they meet an unknown `kid`. The old key goes on verifying; to end that too, see
    /// [`SigningKeys::remove`].
    ///
    /// # Errors
    /// Those of the database and of custody.
    pub async fn rotate_now(&self, tx: &mut WriteTx) -> Result<(), KeysError> {
        require_platform(tx)?;
        let (now, number) = (tx.now(), next_number(tx).await?);
        self.make(tx, number, now).await.map(|_| ())
    }

    /// Removes a key at once, as when it has leaked: its tokens are refused everywhere from the next reload on. When
    /// it was the one that signs, another is made and signs at once.
    ///
    /// # Errors
    /// [`KeysError::Unknown`] when there is no such key.
    pub async fn remove(&self, tx: &mut WriteTx, kid: &str) -> Result<(), KeysError> {
        self.reload(tx).await?;
        // It goes with both its halves, whichever of them is named.
        let live = self.live();
        let named = live.iter().find(|key| key.es256.kid() == kid);
        let kid = named.map_or(kid, |key| key.ed25519.kid());
        let (now, number) = (tx.now(), next_number(tx).await?);
        let removed = tx
            .execute(
                "UPDATE signing_key SET removed_at = $1, sealed = NULL, retired_at = coalesce(retired_at, $1)
                 WHERE kid = $2 AND removed_at IS NULL",
                params![now, kid],
            )
            .await?;
        if removed == 0 {
            return Err(KeysError::Unknown { kid: kid.to_owned() });
        }
        let signing: Option<(String,)> = tx
            .query_opt(
                "SELECT kid FROM signing_key
                 WHERE removed_at IS NULL AND active_from <= $1 AND (retired_at IS NULL OR retired_at > $1)
                 LIMIT 1",
                params![now],
            )
            .await?;
        if signing.is_none() {
            self.make(tx, number, now).await?;
        }
        Ok(())
    }

    /// Reads the keys from the database: at the start, after a rotation, and every minute or so, because other servers
    /// rotate too. When it fails the keys read before stay in use.
    ///
    /// # Errors
    /// [`KeysError::Damaged`] when a row does not open, as one planted in the database would not.
    pub async fn reload(&self, tx: &mut ReadTx) -> Result<(), KeysError> {
        require_platform(tx)?;
        let rows: Vec<StoredKey> = tx
            .query(
                "SELECT kid, sealed, active_from, retired_at FROM signing_key
                 WHERE removed_at IS NULL AND algorithm = $1
                 ORDER BY number",
                params![ALGORITHM],
            )
            .await?;
        let mut live = Vec::with_capacity(rows.len());
        if !rows.is_empty() {
            let platform = self.custody.tenant(tx).await?;
            for (kid, sealed, active_from, retired_at) in rows {
                let key = LiveKey::open(&platform, &kid, sealed.as_deref(), active_from, retired_at);
                live.push(key.ok_or(KeysError::Damaged { kid })?);
            }
        }
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = live.into();
        Ok(())
    }

    /// The key set to publish at `now` (Unix milliseconds): keys that sign, that will, and that have and still verify.
    pub fn jwks(&self, now: i64) -> Jwks {
        let live = self.live();
        Jwks {
            keys: live
                .iter()
                .filter(|key| key.verifies(now))
                .flat_map(|key| [key.ed25519.jwk.clone(), key.es256.jwk.clone()])
                .collect(),
        }
    }

    /// The keys that are there at `now` (Unix milliseconds) as this server last read them, the oldest first.
    pub fn list(&self, now: i64) -> Vec<SigningKeyInfo> {
        let live = self.live();
        let shown = |key: &LiveKey| SigningKeyInfo {
            ed25519: key.ed25519.kid().to_owned(),
            es256: key.es256.kid().to_owned(),
            active_from: key.active_from,
            retired_at: key.retired_at,
            verifies_until: key.verifies_until(),
            is_signing: key.signs(now),
        };
        live.iter().filter(|key| key.verifies(now)).map(shown).collect()
    }

    /// Does something with the key that signs at `now`.
    pub(crate) fn signing<T>(
        &self,
        now: i64,
        algorithm: SigningAlgorithm,
        with: impl FnOnce(&KeyHalf) -> T,
    ) -> Option<T> {
        self.live().iter().rev().find(|key| key.signs(now)).map(|key| with(key.half(algorithm)))
    }

    /// Does something with the key of this id and algorithm, when it verifies at `now`.
    pub(crate) fn verifying<T>(
        &self,
        kid: &str,
        algorithm: SigningAlgorithm,
        now: i64,
        with: impl FnOnce(&KeyHalf) -> T,
    ) -> Option<T> {
        let live = self.live();
        let mut verifying = live.iter().filter(|key| key.verifies(now)).map(|key| key.half(algorithm));
        verifying.find(|half| half.kid() == kid).map(with)
    }

    fn live(&self) -> Arc<[LiveKey]> {
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Stores a new key that signs from `active_from` on, and retires the others from then on. False when another
    /// server stored the same number first.
    async fn make(&self, tx: &mut WriteTx, number: i64, active_from: i64) -> Result<bool, KeysError> {
        let mut seed = Zeroizing::new([0; 32]);
        #[allow(
            clippy::expect_used,
            reason = "without randomness no key may be made; there is nothing to fall back on"
        )]
        getrandom::fill(seed.as_mut_slice()).expect("the operating system's random generator");
        let public = SigningKey::from_bytes(&seed).verifying_key().to_bytes();
        let kid = thumbprint(&public);
        let platform = self.custody.tenant_or_new(tx).await?;
        let sealed = platform.seal(SIGNING_KEY, &[kid.as_bytes()], seed.as_slice());
        let created_at = tx.now();
        let made = tx
            .execute(
                "INSERT INTO signing_key (kid, number, algorithm, public, sealed, created_at, active_from)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)
                 ON CONFLICT DO NOTHING",
                params![&kid, number, ALGORITHM, &public, &sealed, created_at, active_from],
            )
            .await?;
        if made == 0 {
            return Ok(false);
        }
        tx.execute(
            "UPDATE signing_key SET retired_at = $1 WHERE retired_at IS NULL AND kid <> $2",
            params![active_from, &kid],
        )
        .await?;
        Ok(true)
    }
}

impl LiveKey {
    /// Opens a stored key. Its public half and its id are derived anew: what the row says of them is not believed.
    fn open(
        platform: &TenantKeys,
        kid: &str,
        sealed: Option<&[u8]>,
        active_from: i64,
        retired_at: Option<i64>,
    ) -> Option<Self> {
        let opened = platform.open(SIGNING_KEY, &[kid.as_bytes()], sealed?).ok()?;
        let seed: &[u8; 32] = opened.as_slice().try_into().ok()?;
        let public = SigningKey::from_bytes(seed).verifying_key().to_bytes();
        if thumbprint(&public) != kid {
            return None;
        }
        let ed25519 = KeyHalf {
            jwk: Jwk::ed25519(&public),
            encoding: encoding_key(seed),
            decoding: decoding_key(&public),
        };
        let pair = es256::Pair::derived(seed);
        let (_, coordinates) = pair.public.split_first()?;
        let (x, y) = coordinates.split_at(coordinates.len() / 2);
        let decoding = DecodingKey::from_ec_der(&pair.public);
        let es256 = KeyHalf { jwk: Jwk::p256(x, y), encoding: pair.encoding, decoding };
        Some(Self { ed25519, es256, active_from, retired_at })
    }

    fn half(&self, algorithm: SigningAlgorithm) -> &KeyHalf {
        match algorithm {
            SigningAlgorithm::EdDsa => &self.ed25519,
            SigningAlgorithm::Es256 => &self.es256,
        }
    }

    fn signs(&self, now: i64) -> bool {
        self.active_from <= now && self.retired_at.is_none_or(|retired_at| now < retired_at)
    }

    fn verifies(&self, now: i64) -> bool {
        self.verifies_until().is_none_or(|until| now < until)
    }

    fn verifies_until(&self) -> Option<i64> {
        self.retired_at.map(|retired_at| retired_at.saturating_add(VERIFIES_AFTER_MS))
    }
}

/// The next key's number. Read before anything that decides whether a key is due: of two servers that decide on the
/// same state, the second then finds the number taken.
async fn next_number(tx: &mut ReadTx) -> Result<i64, StoreError> {
    let (number,): (i64,) =
        tx.query_one("SELECT coalesce(max(number), 0) FROM signing_key", params![]).await?;
    Ok(number.saturating_add(1))
}

/// Key id, sealed seed, `active_from`, `retired_at`.
type StoredKey = (String, Option<Vec<u8>>, i64, Option<i64>);

fn require_platform(tx: &ReadTx) -> Result<(), KeysError> {
    if tx.tenant() == TenantId::PLATFORM { Ok(()) } else { Err(KeysError::NotPlatform) }
}

/// What a signing key is sealed as, with its id.
const SIGNING_KEY: &str = "tokens/signing-key";
/// A retired key verifies as long as the longest-lived token that it can have signed, whatever the setting was then.
const VERIFIES_AFTER_MS: i64 = (Lifetime::LONGEST_MINUTES as i64 * 60 + 2 * LONGEST_LEEWAY_SECONDS) * 1000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
