// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From where an API key is used.
//!
//! Networks that are *approved* stand in the key's own row, so that a use costs one lookup. Where it was refused stands
//! in a table beside it: *pending*, until the owner approves or denies it, or *denied*. Both are refused alike; of a
//! denied one the owner hears no more.
//!
//! A thief with many addresses fills neither the table, nor the history, nor the owner's mailbox: see the bounds at the end.

use std::net::IpAddr;

use store::{ReadTx, TenantId, WriteTx, params};

use crate::account::ChangeError;
use crate::failure::Failure;
use crate::letter::{Letter, Message};
use crate::lookup::MethodLookup;
use crate::network::Network;
use crate::service::{Identity, in_home};
use crate::session::AuthenticatedSession;
use crate::{AccountId, MethodId};

/// A key that was shown from an address where nobody approved it.
#[derive(Clone, Debug)]
pub struct RefusedKey {
    pub(super) method: MethodId,
    pub(super) account: AccountId,
    pub(super) home: TenantId,
    pub(super) network: Network,
    pub(super) lookup: MethodLookup,
    /// Whether it is to be noted: not again within a minute.
    pub(super) is_new: bool,
}

impl RefusedKey {
    /// The key.
    pub fn method(&self) -> MethodId {
        self.method
    }

    /// Where its row is.
    pub fn home(&self) -> TenantId {
        self.home
    }

    /// From where it was shown: what the owner would approve.
    pub fn network(&self) -> Network {
        self.network
    }

    /// Whether it is to be noted ([`Identity::note_refused_key`]): once a minute for each network is often enough.
    pub fn needs_note(&self) -> bool {
        self.is_new
    }

    pub(super) async fn seen_before(
        mut self,
        tx: &mut ReadTx,
        refused_at: Option<i64>,
    ) -> Result<Self, Failure> {
        let seen: Option<(i64,)> = tx
            .query_opt(
                "SELECT last_seen_at FROM api_key_address WHERE method = $1 AND network = $2",
                params![self.method.uuid(), &self.network.to_string()],
            )
            .await?;
        let last = seen.map(|(at,)| at).or(refused_at);
        self.is_new = last.is_none_or(|at| tx.now() - at >= NOTE_EVERY);
        Ok(self)
    }
}

/// A network from which a key was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenNetwork {
    /// The network.
    pub network: Network,
    /// What its owner said to it.
    pub state: AddressState,
    /// When it was seen first, in milliseconds since the Unix epoch.
    pub first_seen_at: i64,
    /// When it was seen last, to the minute.
    pub last_seen_at: i64,
    /// In how many minutes it was seen.
    pub times: u64,
}

/// What the owner said to a network from which a key was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressState {
    /// Nothing yet.
    Pending,
    /// No.
    Denied,
}

impl AddressState {
    /// Its name in rows and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            AddressState::Pending => "pending",
            AddressState::Denied => "denied",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Pending, Self::Denied].into_iter().find(|state| state.as_str() == name)
    }
}

impl Identity {
    /// Notes that a key was refused for its address. In the key's home; send the letter after the commit.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn note_refused_key(
        &self,
        tx: &mut WriteTx,
        refused: &RefusedKey,
    ) -> Result<Option<Letter>, Failure> {
        in_home(tx, refused.home)?;
        let (now, network) = (tx.now(), refused.network.to_string());
        let again = tx
            .execute(
                "UPDATE api_key_address SET last_seen_at = $1, times = times + 1
                 WHERE method = $2 AND network = $3",
                params![now, refused.method.uuid(), &network],
            )
            .await?;
        if again == 1 {
            return Ok(None);
        }
        let day_ago = now - DAY;
        let (rows, today): (i64, i64) = tx
            .query_one(
                "SELECT CAST(count(*) AS BIGINT),
                        CAST(coalesce(sum(CASE WHEN first_seen_at > $2 THEN 1 ELSE 0 END), 0) AS BIGINT)
                 FROM api_key_address WHERE method = $1",
                params![refused.method.uuid(), day_ago],
            )
            .await?;
        if rows >= MOST_REFUSED {
            tx.execute(
                "UPDATE api_key SET refused_at = $1 WHERE method = $2",
                params![now, refused.method.uuid()],
            )
            .await?;
            return Ok(None);
        }
        let noted = tx
            .execute(
                "INSERT INTO api_key_address (method, network, state, first_seen_at, last_seen_at, times)
                 VALUES ($1, $2, $3, $4, $5, 1) ON CONFLICT DO NOTHING",
                params![refused.method.uuid(), &network, AddressState::Pending.as_str(), now, now],
            )
            .await?;
        if noted != 1 || today >= LETTERS_A_DAY {
            return Ok(None);
        }
        let message = |label| Message::ApiKeyAddress { label, key: refused.method, network: refused.network };
        self.letter_to_owner(tx, refused.account, refused.method, &refused.lookup, message).await
    }

    /// Lets a key be used from a network. In the home. Send the letter after the commit.
    ///
    /// # Errors
    /// [`ChangeError::StepUpRequired`], [`ChangeError::NoSuchMethod`], [`ChangeError::Gone`];
    /// [`ChangeError::Field`] when the key has as many networks as it may.
    pub async fn approve_network(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        key: MethodId,
        network: Network,
    ) -> Result<Letter, ChangeError> {
        let (label, mut networks, email) = self.key_to_change(tx, session, key).await?;
        if !networks.iter().any(|approved| approved.covers(&network)) {
            networks.retain(|approved| !network.covers(approved));
            networks.push(network);
            self.keep_networks(tx, key, &networks).await?;
        }
        for seen in seen_networks(tx, key).await? {
            if network.covers(&seen.network) {
                forget(tx, key, &seen.network).await?;
            }
        }
        let message = Message::ApiKeyApproved { label, key, network };
        Ok(Letter::new(email, &self.settings.service_name, tx.now(), message))
    }

    /// Says no to a network: a key is not, or no longer, used from there, and its owner does not hear of it again. In the
    /// home.
    ///
    /// # Errors
    /// As [`approve_network`](Self::approve_network); [`ChangeError::Field`] also when a broader network is approved.
    pub async fn deny_network(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        key: MethodId,
        network: Network,
    ) -> Result<(), ChangeError> {
        let (_, mut networks, _) = self.key_to_change(tx, session, key).await?;
        networks.retain(|approved| !network.covers(approved));
        if networks.iter().any(|approved| approved.covers(&network)) {
            return Err(ChangeError::Field("network"));
        }
        self.keep_networks(tx, key, &networks).await?;
        let now = tx.now();
        let denied = AddressState::Denied.as_str();
        let mut is_noted = false;
        let seen = seen_networks(tx, key).await?;
        let rows = i64::try_from(seen.len()).unwrap_or(i64::MAX);
        for seen in seen {
            if network.covers(&seen.network) {
                is_noted |= network == seen.network;
                tx.execute(
                    "UPDATE api_key_address SET state = $1 WHERE method = $2 AND network = $3",
                    params![denied, key.uuid(), &seen.network.to_string()],
                )
                .await?;
            }
        }
        // Only a caller's own network is ever looked up; the rest is said by not being approved.
        if !is_noted && network.is_one_callers() && rows < MOST_REFUSED {
            tx.execute(
                "INSERT INTO api_key_address (method, network, state, first_seen_at, last_seen_at, times)
                 VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT DO NOTHING",
                params![key.uuid(), &network.to_string(), denied, now, now],
            )
            .await?;
        }
        Ok(())
    }

    /// A key of the session's account, locked with its account, and the owner's address.
    async fn key_to_change(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        key: MethodId,
    ) -> Result<(String, Vec<Network>, keyring::Email), ChangeError> {
        let email = self.address_for_change(tx, session).await?;
        self.lock_account(tx, session).await?;
        let row: Option<(String, String)> = tx
            .query_opt(
                "SELECT login_method.label, api_key.networks
                 FROM api_key JOIN login_method ON login_method.id = api_key.method
                 WHERE api_key.method = $1",
                params![key.uuid()],
            )
            .await?;
        let (label, networks) = row.ok_or(ChangeError::NoSuchMethod)?;
        Ok((label, read(&networks)?, email))
    }

    async fn keep_networks(
        &self,
        tx: &mut WriteTx,
        key: MethodId,
        networks: &[Network],
    ) -> Result<(), ChangeError> {
        if networks.len() > MOST_NETWORKS {
            return Err(ChangeError::Field("network"));
        }
        tx.execute(
            "UPDATE api_key SET networks = $1 WHERE method = $2",
            params![&write(networks), key.uuid()],
        )
        .await?;
        Ok(())
    }
}

/// Whether one of the networks, as they stand in a key's row, is where the address is.
pub(super) fn allows(networks: &str, from: IpAddr) -> Result<bool, Failure> {
    for network in networks.split_ascii_whitespace() {
        let network: Network = network.parse().map_err(|_| Failure::Damaged("API key's networks"))?;
        if network.contains(from) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn write(networks: &[Network]) -> String {
    let mut text = String::new();
    for network in networks {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&network.to_string());
    }
    text
}

pub(super) fn read(networks: &str) -> Result<Vec<Network>, Failure> {
    let networks = networks.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>();
    networks.map_err(|_| Failure::Damaged("API key's networks"))
}

/// Where a key was refused, the newest first.
pub(super) async fn seen_networks(tx: &mut ReadTx, key: MethodId) -> Result<Vec<SeenNetwork>, Failure> {
    let rows: Vec<(String, String, i64, i64, i64)> = tx
        .query(
            "SELECT network, state, first_seen_at, last_seen_at, times FROM api_key_address
             WHERE method = $1 ORDER BY last_seen_at DESC, network",
            params![key.uuid()],
        )
        .await?;
    let damaged = || Failure::Damaged("API key's address");
    rows.into_iter()
        .map(|(network, state, first_seen_at, last_seen_at, times)| {
            Ok(SeenNetwork {
                network: network.parse().map_err(|_| damaged())?,
                state: AddressState::named(&state).ok_or_else(damaged)?,
                first_seen_at,
                last_seen_at,
                times: u64::try_from(times).map_err(|_| damaged())?,
            })
        })
        .collect()
}

async fn forget(tx: &mut WriteTx, key: MethodId, network: &Network) -> Result<(), Failure> {
    tx.execute(
        "DELETE FROM api_key_address WHERE method = $1 AND network = $2",
        params![key.uuid(), &network.to_string()],
    )
    .await?;
    Ok(())
}

/// Networks that may be approved for one key.
pub(super) const MOST_NETWORKS: usize = 64;
/// Networks that are noted of one key. Beyond that it is refused all the same, and the owner may approve any network.
const MOST_REFUSED: i64 = 100;
/// Letters about new networks of one key within a day.
const LETTERS_A_DAY: i64 = 5;
/// How often a refusal is noted and recorded for each network; for those beyond [`MOST_REFUSED`], for all together.
const NOTE_EVERY: i64 = 60_000;
const DAY: i64 = 24 * 3_600_000;
