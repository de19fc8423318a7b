// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How many tries are free, and how those beyond them are slowed down.

use super::count::Key;

/// How many tries are free, and how the others are slowed down.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Aimed at one account, from wherever.
    pub account: Limit,
    /// Aimed at one account from one network.
    pub account_from: Limit,
    /// By one device or session that the account knows.
    pub known: Limit,
    /// Through one application, which many people come by.
    pub through: Limit,
    /// From one network.
    pub network: Limit,
    /// From one wide network.
    pub wide: Limit,
    /// At this server altogether.
    pub everyone: Limit,
    /// How many accounts and networks are remembered.
    pub capacity: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            account: Limit { free: 24, forgiven_every_ms: 5 * MINUTE, longest_wait_ms: 5 * MINUTE },
            account_from: Limit { free: 8, forgiven_every_ms: 10 * MINUTE, longest_wait_ms: 15 * MINUTE },
            known: Limit { free: 8, forgiven_every_ms: 10 * MINUTE, longest_wait_ms: 15 * MINUTE },
            through: Limit { free: 200, forgiven_every_ms: 1_000, longest_wait_ms: 30_000 },
            network: Limit { free: 40, forgiven_every_ms: MINUTE / 2, longest_wait_ms: 15 * MINUTE },
            wide: Limit { free: 200, forgiven_every_ms: MINUTE / 10, longest_wait_ms: MINUTE },
            everyone: Limit { free: 2_000, forgiven_every_ms: 20, longest_wait_ms: 1_000 },
            capacity: 100_000,
        }
    }
}

impl Limits {
    pub(super) fn of(&self, key: &Key) -> &Limit {
        match key {
            Key::Account(..) => &self.account,
            Key::AccountFrom(..) => &self.account_from,
            Key::Known(..) => &self.known,
            Key::Through(..) => &self.through,
            Key::Network(..) => &self.network,
            Key::Wide(..) => &self.wide,
            Key::Everyone(..) => &self.everyone,
            Key::Exchange(..) => &EXCHANGE,
        }
    }
}

/// One limit.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Tries before the first wait.
    pub free: u32,
    /// One try is forgiven each time that so many milliseconds have passed.
    pub forgiven_every_ms: i64,
    /// The wait doubles from one second up to this, in milliseconds.
    pub longest_wait_ms: i64,
}

const MINUTE: i64 = 60_000;
/// An exchange has five finishes, for as long as any exchange may take.
pub(super) const EXCHANGE: Limit = Limit { free: 5, forgiven_every_ms: 24 * 60 * MINUTE, longest_wait_ms: 0 };
