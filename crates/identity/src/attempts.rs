// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How many tries anybody has.
//!
//! A try is *charged* before it is made, and *returned* when it succeeds; so a thousand guesses sent at once count
//! as a thousand, not as none. Each try is charged to what it is aimed at (an account's blind index, whether there is
//! such an account or not), to the network it comes from (an IPv4 address, an IPv6 /64), to both together, to the wider
//! network around (an IPv4 /24, an IPv6 /48), and to the server as a whole. The first few cost nothing; from then on
//! each one that failed doubles the wait, up to a bound. What was charged is forgiven at a steady pace.
//!
//! Nobody is kept out by strangers. Who shows the token of a device that the account knows, or a live session of it, is
//! counted by that alone ([`start_known`](Attempts::start_known)). Of strangers the network that tries waits long, the
//! account as a whole only for minutes; and one wide network comes to its own limit before it has used up everybody's.
//!
//! With OPAQUE the *first* message is the guess already (the answer tells a client that knows the right password), so it
//! is the [`start`](Attempts::start) of an exchange that has to wait. Its [`finish`](Attempts::finish) guesses at the second
//! factor or the mailed code: it is charged too, never waits (its exchange would be over by then), but an
//! exchange has only a few of them.
//!
//! The counts are this process's, in a table of bounded size: what is gone first is what has waited least.

mod count;
mod limits;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use self::count::{Count, FIRST_WAIT, Key, network, wide};
use self::limits::EXCHANGE;
pub use self::limits::{Limit, Limits};

/// What is tried; each has counts of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Try {
    /// To sign in, or to prove oneself again.
    SignIn,
    /// To sign in with a recovery key, or to prove oneself again with one. Aimed at one key; a lock on passwords locks none.
    RecoveryKey,
    /// To sign in with a passkey, or to prove oneself again with one. A lock on passwords locks none.
    Passkey,
    /// To sign in by another provider, aimed at one exchange: what counts is where it comes from.
    Provider,
    /// To have a tenant's provider tried out, aimed at by the account that asks for it. One that answers costs nothing.
    ProviderTest,
    /// To report an API key, aimed at that key. Nobody is told whether it was one, so none succeeds.
    Report,
    /// To sign up: each may send a mail to somebody.
    SignUp,
    /// To ask for a device to be let in: each is a row for some minutes.
    Pair,
    /// To invite an address into a tenant, aimed at that address: each sends a mail to somebody, so none is given back.
    Invite,
    /// To join a tenant by an invitation, aimed at by the account that shows it.
    Join,
    /// To enter the code that a device shows, aimed at by the account that enters it.
    DeviceCode,
    /// To ask for a device's code, aimed at by the client that asks: each is a row for some minutes.
    DeviceAsk,
    /// To get a token by a plain password, aimed at a name in a tenant.
    PlainPassword,
}

/// The tries of this process.
pub struct Attempts {
    limits: Limits,
    counts: Mutex<HashMap<Key, Count>>,
}

impl Attempts {
    /// Nothing tried yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, counts: Mutex::new(HashMap::new()) }
    }

    /// Charges the start of an exchange, or says how long to wait. `now_ms` is the time in milliseconds; `account` is the
    /// blind index that is tried ([`crate::Identity::blind_index`]), known or unknown alike.
    ///
    /// A refused try is not charged: waiting as told is always enough.
    ///
    /// # Errors
    /// [`TooManyTries`] when the account, the network or the server has had too many.
    pub fn start(
        &self,
        now_ms: i64,
        kind: Try,
        account: &[u8; 32],
        from: IpAddr,
    ) -> Result<Charge, TooManyTries> {
        self.begin(now_ms, Charge::of_stranger(kind, account, from))
    }

    /// The same for somebody who is no stranger to the account: `known` is the device whose token was shown
    /// ([`crate::Identity::known_device`]), or the live session that proves itself again.
    ///
    /// # Errors
    /// [`TooManyTries`] when this device or session itself has had too many.
    pub fn start_known(&self, now_ms: i64, kind: Try, known: &[u8; 16]) -> Result<Charge, TooManyTries> {
        self.begin(now_ms, Charge::of_known(kind, known))
    }

    /// The same for somebody who comes through an application that has proved itself: what is counted is what it aims at, from
    /// wherever, and what comes through that application.
    ///
    /// # Errors
    /// [`TooManyTries`] when either has had too many.
    pub fn start_through(
        &self,
        now_ms: i64,
        kind: Try,
        aimed_at: &[u8; 16],
        through: &[u8; 16],
    ) -> Result<Charge, TooManyTries> {
        self.begin(now_ms, Charge::of_through(kind, aimed_at, through))
    }

    fn begin(&self, now_ms: i64, charge: Charge) -> Result<Charge, TooManyTries> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = self.longest_wait(&counts, now_ms, &charge);
        if wait > 0 {
            return Err(TooManyTries { retry_after_ms: wait });
        }
        self.add(&mut counts, now_ms, &charge.keys);
        Ok(charge)
    }

    /// Charges the finish of an exchange (of [`crate::SigninState::exchange`] or [`crate::SignupState::exchange`]).
    ///
    /// # Errors
    /// [`TooManyTries`] when this exchange has had too many: another is to be started, after the wait.
    pub fn finish(
        &self,
        now_ms: i64,
        kind: Try,
        account: &[u8; 32],
        exchange: &[u8; 16],
        from: IpAddr,
    ) -> Result<Charge, TooManyTries> {
        self.end(now_ms, kind, exchange, Charge::of_stranger(kind, account, from))
    }

    /// The same for an exchange that [`start_known`](Self::start_known) began.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn finish_known(
        &self,
        now_ms: i64,
        kind: Try,
        known: &[u8; 16],
        exchange: &[u8; 16],
    ) -> Result<Charge, TooManyTries> {
        self.end(now_ms, kind, exchange, Charge::of_known(kind, known))
    }

    fn end(
        &self,
        now_ms: i64,
        kind: Try,
        exchange: &[u8; 16],
        charge: Charge,
    ) -> Result<Charge, TooManyTries> {
        let key = Key::Exchange(kind, *exchange);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.get(&key).is_some_and(|count| count.left(now_ms, &EXCHANGE) >= EXCHANGE.free) {
            let wait = self.longest_wait(&counts, now_ms, &charge).max(FIRST_WAIT);
            return Err(TooManyTries { retry_after_ms: wait });
        }
        self.add(&mut counts, now_ms, &[key]);
        self.add(&mut counts, now_ms, &charge.keys);
        Ok(charge)
    }

    /// An exchange was finished well. For the account everything is forgiven; for the network and the server, of a
    /// sign-in its start and its finish, of a sign-up its finish: so that nobody buys guesses at others by signing
    /// in as oneself, and many people behind one address do not get into each other's way.
    pub fn succeeded(&self, now_ms: i64, finish: Charge) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for key in finish.keys {
            let given_back = match key {
                Key::Account(..) | Key::AccountFrom(..) | Key::Known(..) => u32::MAX,
                Key::Network(kind, _) | Key::Wide(kind, _) | Key::Everyone(kind) if kind != Try::SignUp => 2,
                _ => 1,
            };
            if let Some(count) = counts.get_mut(&key) {
                count.give_back(now_ms, self.limits.of(&key), given_back);
            }
        }
    }

    /// Returns a try that was no guess, such as a message that could not be read or a database that was away.
    pub fn returned(&self, now_ms: i64, charge: Charge) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for key in charge.keys {
            if let Some(count) = counts.get_mut(&key) {
                count.give_back(now_ms, self.limits.of(&key), 1);
            }
        }
    }

    fn longest_wait(&self, counts: &HashMap<Key, Count>, now_ms: i64, charge: &Charge) -> i64 {
        let wait = |key: &Key| counts.get(key).map(|count| count.wait(now_ms, self.limits.of(key)));
        charge.keys.iter().filter_map(wait).max().unwrap_or(0)
    }

    fn add(&self, counts: &mut HashMap<Key, Count>, now_ms: i64, keys: &[Key]) {
        for key in keys {
            if !counts.contains_key(key) && counts.len() >= self.limits.capacity {
                self.make_room(counts, now_ms);
            }
            counts.entry(*key).or_default().add(now_ms, self.limits.of(key));
        }
    }

    /// Forgets whatever is forgiven; of a sample of the rest, if there still is no room, what has the least to wait for.
    fn make_room(&self, counts: &mut HashMap<Key, Count>, now_ms: i64) {
        counts.retain(|key, count| count.left(now_ms, self.limits.of(key)) > 0);
        while counts.len() >= self.limits.capacity {
            let least =
                counts.iter().take(SAMPLE).min_by_key(|(_, count)| count.charged).map(|(key, _)| *key);
            let Some(least) = least else { return };
            counts.remove(&least);
        }
    }
}

/// A try that was charged and whose outcome is to be told.
#[must_use = "a try whose outcome nobody tells counts as failed"]
#[derive(Clone, Debug)]
pub struct Charge {
    keys: Vec<Key>,
}

impl Charge {
    fn of_stranger(kind: Try, account: &[u8; 32], from: IpAddr) -> Self {
        let network = network(from);
        let keys = vec![
            Key::Account(kind, *account),
            Key::AccountFrom(kind, *account, network),
            Key::Network(kind, network),
            Key::Wide(kind, wide(from)),
            Key::Everyone(kind),
        ];
        Self { keys }
    }

    fn of_known(kind: Try, known: &[u8; 16]) -> Self {
        Self { keys: vec![Key::Known(kind, *known)] }
    }

    fn of_through(kind: Try, aimed_at: &[u8; 16], through: &[u8; 16]) -> Self {
        Self { keys: vec![Key::Known(kind, *aimed_at), Key::Through(kind, *through), Key::Everyone(kind)] }
    }
}

/// There were too many tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many tries; try again in {} s", self.retry_after_seconds())]
pub struct TooManyTries {
    /// Milliseconds to wait.
    pub retry_after_ms: i64,
}

impl TooManyTries {
    /// Whole seconds to wait, for `Retry-After`.
    pub fn retry_after_seconds(&self) -> u64 {
        u64::try_from(self.retry_after_ms).unwrap_or(0).div_ceil(1000)
    }
}

const SAMPLE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn account(name: &str) -> [u8; 32] {
        let mut index = [0; 32];
        index[..name.len()].copy_from_slice(name.as_bytes());
        index
    }

    fn small() -> Limits {
        Limits {
            account: Limit { free: 3, forgiven_every_ms: 60_000, longest_wait_ms: 8_000 },
            account_from: Limit { free: 3, forgiven_every_ms: 60_000, longest_wait_ms: 8_000 },
            through: Limits::default().through,
            known: Limit { free: 3, forgiven_every_ms: 60_000, longest_wait_ms: 8_000 },
            network: Limit { free: 10, forgiven_every_ms: 60_000, longest_wait_ms: 8_000 },
            wide: Limit { free: 20, forgiven_every_ms: 60_000, longest_wait_ms: 8_000 },
            everyone: Limit { free: 1_000, forgiven_every_ms: 1, longest_wait_ms: 1_000 },
            capacity: 100,
        }
    }

    fn fail(attempts: &Attempts, now: i64, name: &str) -> Result<(), i64> {
        attempts.start(now, Try::SignIn, &account(name), HERE).map(drop).map_err(|e| e.retry_after_ms)
    }

    #[test]
    fn waits_double_up_to_the_bound_and_waiting_as_told_is_enough() {
        let attempts = Attempts::new(small());
        let mut now = 0;
        for _ in 0..4 {
            fail(&attempts, now, "ada").unwrap();
        }
        let mut waits = Vec::new();
        for _ in 0..5 {
            let wait = fail(&attempts, now, "ada").unwrap_err();
            waits.push(wait);
            assert!(fail(&attempts, now + wait - 1, "ada").is_err());
            now += wait;
            fail(&attempts, now, "ada").unwrap();
        }
        assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 8_000]);
    }

    #[test]
    fn guesses_sent_at_once_are_all_counted_before_any_has_failed() {
        let attempts = Attempts::new(small());
        let charged = (0..50).filter(|_| fail(&attempts, 0, "ada").is_ok()).count();
        assert_eq!(charged, 4);
    }

    #[test]
    fn one_account_under_attack_leaves_the_others_alone() {
        let attempts = Attempts::new(small());
        while fail(&attempts, 0, "ada").is_ok() {}
        assert!(fail(&attempts, 0, "bea").is_ok());
        assert!(attempts.start(0, Try::SignUp, &account("ada"), HERE).is_ok());
    }

    #[test]
    fn who_polls_an_address_keeps_waiting_alone_and_its_owner_signs_in() {
        let attempts = Attempts::new(Limits::default());
        let (mut now, device, own_network) =
            (0, [7; 16], IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1)));
        for _ in 0..3_600 {
            let _ = fail(&attempts, now, "ada");
            now += 1_000;
        }
        assert!(fail(&attempts, now, "ada").is_err());
        let known = attempts.start_known(now, Try::SignIn, &device).unwrap();
        attempts.succeeded(now, known);
        assert!(
            attempts.start(now, Try::SignIn, &account("ada"), own_network).is_ok(),
            "and on a new device, from another network"
        );
    }

    #[test]
    fn many_networks_slow_strangers_down_but_not_the_devices_that_an_account_knows() {
        let attempts = Attempts::new(Limits::default());
        let from = |n: u32| IpAddr::V4(std::net::Ipv4Addr::from_bits(n << 8));
        let charged =
            (1..1_000).filter(|n| attempts.start(0, Try::SignIn, &account("ada"), from(*n)).is_ok()).count();
        assert_eq!(charged, 25);
        let wait = attempts.start(0, Try::SignIn, &account("ada"), from(1_001)).unwrap_err();
        assert!(wait.retry_after_ms <= Limits::default().account.longest_wait_ms);
        assert!(attempts.start_known(0, Try::SignIn, &[7; 16]).is_ok());
    }

    #[test]
    fn a_device_and_a_session_guess_no_more_than_strangers() {
        let attempts = Attempts::new(small());
        let tries = (0..50).filter(|_| attempts.start_known(0, Try::SignIn, &[7; 16]).is_ok()).count();
        assert_eq!(tries, 4);
        assert!(attempts.start_known(0, Try::SignIn, &[8; 16]).is_ok(), "each for itself");
    }

    #[test]
    fn one_wide_network_does_not_use_up_what_is_everybodys() {
        for (attacker, other) in [("203.0.113.", "198.51.100.7"), ("2001:db8:1:", "2001:db8:2::1")] {
            let attempts = Attempts::new(Limits::default());
            let mut charged = 0;
            for host in 0..256 {
                let from = if attacker.contains(':') {
                    format!("{attacker}{host:x}::1")
                } else {
                    format!("{attacker}{host}")
                };
                for n in 0..40 {
                    let who = account(&format!("user{host}-{n}"));
                    charged +=
                        usize::from(attempts.start(0, Try::SignIn, &who, from.parse().unwrap()).is_ok());
                }
            }
            assert_eq!(charged, 201);
            assert!(attempts.start(0, Try::SignIn, &account("zoe"), other.parse().unwrap()).is_ok());
        }
    }

    #[test]
    fn many_accounts_from_one_network_are_slowed_down_too() {
        let attempts = Attempts::new(small());
        let charged = (0..50).filter(|n| fail(&attempts, 0, &format!("user{n}")).is_ok()).count();
        assert_eq!(charged, 11);
        let elsewhere = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));
        assert!(attempts.start(0, Try::SignIn, &account("zoe"), elsewhere).is_ok());
    }

    #[test]
    fn signing_in_as_oneself_buys_no_guesses_at_others() {
        let attempts = Attempts::new(small());
        let mut guesses = 0;
        for n in 0..50u8 {
            if attempts.start(0, Try::SignIn, &account("mallory"), HERE).is_ok() {
                let own = attempts.finish(0, Try::SignIn, &account("mallory"), &[n; 16], HERE).unwrap();
                attempts.succeeded(0, own);
            }
            guesses += usize::from(fail(&attempts, 0, &format!("user{n}")).is_ok());
        }
        assert_eq!(guesses, 11);
    }

    #[test]
    fn success_forgives_the_account() {
        let attempts = Attempts::new(small());
        for _ in 0..3 {
            fail(&attempts, 0, "ada").unwrap();
        }
        let finish = attempts.finish(0, Try::SignIn, &account("ada"), &[1; 16], HERE).unwrap();
        attempts.succeeded(0, finish);
        for _ in 0..4 {
            fail(&attempts, 0, "ada").unwrap();
        }
    }

    #[test]
    fn an_office_that_signs_in_all_day_never_waits() {
        let attempts = Attempts::new(small());
        for n in 0..200u8 {
            let who = account(&format!("user{n}"));
            let _ = attempts.start(0, Try::SignIn, &who, HERE).unwrap();
            let finish = attempts.finish(0, Try::SignIn, &who, &[n; 16], HERE).unwrap();
            attempts.succeeded(0, finish);
        }
    }

    #[test]
    fn whoever_waited_to_start_may_finish_but_not_without_end() {
        let attempts = Attempts::new(small());
        while fail(&attempts, 0, "ada").is_ok() {}
        let wait = fail(&attempts, 0, "ada").unwrap_err();
        fail(&attempts, wait, "ada").unwrap();
        let finish = || attempts.finish(wait, Try::SignIn, &account("ada"), &[1; 16], HERE);
        for _ in 0..5 {
            let _ = finish().unwrap();
        }
        assert!(finish().is_err());
        assert!(attempts.finish(wait, Try::SignIn, &account("ada"), &[2; 16], HERE).is_ok());
        assert_eq!(
            fail(&attempts, wait, "ada").unwrap_err(),
            8_000,
            "finishes that failed count for the next start"
        );
    }

    #[test]
    fn time_forgives() {
        let attempts = Attempts::new(small());
        while fail(&attempts, 0, "ada").is_ok() {}
        for _ in 0..4 {
            fail(&attempts, 4 * 60_000, "ada").unwrap();
        }
        assert!(fail(&attempts, 4 * 60_000, "ada").is_err());
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out() {
        let attempts = Attempts::new(small());
        while fail(&attempts, 1_000_000_000, "ada").is_ok() {}
        assert!(fail(&attempts, 0, "ada").unwrap_err() <= 8_000);
    }

    #[test]
    fn the_table_is_bounded_and_a_flood_of_names_does_not_free_the_one_under_attack() {
        let attempts = Attempts::new(Limits {
            capacity: 60,
            network: Limit { free: u32::MAX, ..small().network },
            wide: Limit { free: u32::MAX, ..small().wide },
            ..small()
        });
        for _ in 0..4 {
            fail(&attempts, 0, "ada").unwrap();
        }
        for n in 0..1_000 {
            let _ = fail(&attempts, 1, &format!("flood{n}"));
        }
        assert!(attempts.counts.lock().unwrap().len() <= 60);
        assert!(fail(&attempts, 1, "ada").is_err());
    }
}
