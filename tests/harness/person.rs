// SPDX-License-Identifier: Apache-2.0 OR MIT

use std::cell::{Cell, RefCell};
use std::time::{SystemTime, UNIX_EPOCH};

use totp_rs::{Builder, Totp};

/// Somebody with an account: what she remembers, her authenticator, her backup codes.
pub struct Person {
    /// Her address.
    pub email: String,
    /// Her password.
    pub password: RefCell<String>,
    /// The account's public name.
    pub account_id: String,
    /// Her authenticator's secret, in base32, as it was printed once.
    pub totp_secret: String,
    /// The backup codes as they were printed once.
    pub backup_codes: RefCell<Vec<String>>,
    last_step: Cell<u64>,
    spent_codes: Cell<usize>,
}

/// A second factor, as the command line takes it.
#[derive(Clone, Debug)]
pub enum Factor {
    /// Six digits of an authenticator.
    Otp(String),
    /// One of ten.
    BackupCode(String),
}

impl Person {
    /// Somebody with an account, as it was shown when it was made.
    pub fn new(
        email: &str,
        password: &str,
        account_id: &str,
        totp_secret: &str,
        backup_codes: Vec<String>,
    ) -> Self {
        Self {
            email: email.to_owned(),
            password: RefCell::new(password.to_owned()),
            account_id: account_id.to_owned(),
            totp_secret: totp_secret.to_owned(),
            backup_codes: RefCell::new(backup_codes),
            last_step: Cell::new(0),
            spent_codes: Cell::new(0),
        }
    }

    /// Somebody without an account, who tries all the same.
    pub fn nobody(email: &str) -> Self {
        let secret = data_encoding::BASE32_NOPAD.encode(&[7; 20]);
        Self::new(email, "no password", "", &secret, Vec::new())
    }

    /// A second factor that was not used yet, at once. The server takes a time step once and allows one step of drift, so an
    /// authenticator is good for two sign-ins without waiting; then it is the backup codes' turn.
    #[track_caller]
    pub fn factor(&self) -> Factor {
        let now = current_step();
        let step = now.max(self.last_step.get() + 1);
        if step <= now + 1 {
            self.last_step.set(step);
            return Factor::Otp(self.otp_of(step));
        }
        Factor::BackupCode(self.backup_code())
    }

    /// The next backup code that was not used yet.
    #[track_caller]
    pub fn backup_code(&self) -> String {
        let spent = self.spent_codes.get();
        self.spent_codes.set(spent + 1);
        self.backup_codes.borrow().get(spent).cloned().expect("a scenario with at most ten backup codes")
    }

    /// Remembers the codes that replaced the first ones.
    pub fn replace_backup_codes(&self, codes: Vec<String>) {
        self.spent_codes.set(0);
        self.backup_codes.replace(codes);
    }

    /// The six digits that the authenticator shows in a time step of 30 seconds.
    pub fn otp_of(&self, step: u64) -> String {
        authenticator(crate::base32(&self.totp_secret)).generate(step * 30).to_string()
    }

    /// What the authenticator shows now.
    pub fn otp(&self) -> String {
        self.otp_of(current_step())
    }
}

/// RFC 6238 as every authenticator has it: SHA-1, six digits, 30 seconds.
fn authenticator(secret: Vec<u8>) -> Totp {
    Builder::new().with_secret(secret).build().expect("a secret of at least 128 bits")
}

/// The number of the current time step.
pub(crate) fn current_step() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs() / 30
}
