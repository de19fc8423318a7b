// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What an operator may decide about signing in.

use keyring::KdfParams;

use crate::webauthn::RelyingParty;

/// The limits and choices of this room. [`Settings::default`] is what a server without configuration uses.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name in letters and in authenticator apps; no colon.
    pub service_name: String,
    /// Whether a new account must first prove its address by a code.
    pub mail_required: bool,
    /// How slow new passwords are hashed, on the client.
    pub kdf: KdfParams,
    /// Whom passkeys are made for; none when the server is reached by no domain.
    pub relying_party: Option<RelyingParty>,
    /// What [`kdf`](Self::kdf) was in the past. Unknown addresses are answered with one of all of these, so that an
    /// old value does not tell that somebody has an old account.
    pub former_kdf: Vec<KdfParams>,
    /// A session that was not used for this long has ended, in minutes.
    pub session_idle_minutes: u32,
    /// A session ends this long after the sign-in, in minutes.
    pub session_absolute_minutes: u32,
    /// For how long after both proofs a session may change methods and keys, in minutes.
    pub fresh_minutes: u32,
    /// How long a sign-up may take between its two steps (finding the mail included), in minutes.
    pub signup_minutes: u32,
    /// How long a sign-in or a step-up may take between its two steps, in minutes.
    pub signin_minutes: u32,
    /// How long a change may take between its two steps (setting up an app included), in minutes.
    pub change_minutes: u32,
    /// For how long sessions and devices that ended stay in lists and rows, in days.
    pub keep_ended_days: u32,
    /// Whether people who were imported may come in with the password that they had where they come from.
    pub imported_sign_in: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            service_name: "Bailiwick".into(),
            mail_required: false,
            kdf: KdfParams::default(),
            relying_party: None,
            former_kdf: Vec::new(),
            session_idle_minutes: 7 * DAY_MINUTES,
            session_absolute_minutes: 30 * DAY_MINUTES,
            fresh_minutes: 10,
            signup_minutes: 15,
            signin_minutes: 2,
            change_minutes: 15,
            keep_ended_days: 30,
            imported_sign_in: true,
        }
    }
}

impl Settings {
    /// Says what is wrong with the values, if anything is.
    ///
    /// # Errors
    /// Names the setting.
    pub fn check(&self) -> Result<(), SettingsError> {
        let named = (1..=64).contains(&self.service_name.chars().count());
        if !named || self.service_name.chars().any(|c| c == ':' || c.is_control()) {
            return Err(SettingsError("service_name", "1 to 64 characters without a colon"));
        }
        let between = |name, value: u32, least: u32, most: u32, rule| {
            if (least..=most).contains(&value) { Ok(()) } else { Err(SettingsError(name, rule)) }
        };
        between("session_idle_minutes", self.session_idle_minutes, 5, YEAR_MINUTES, "5 minutes to a year")?;
        between(
            "session_absolute_minutes",
            self.session_absolute_minutes,
            5,
            YEAR_MINUTES,
            "5 minutes to a year",
        )?;
        between("fresh_minutes", self.fresh_minutes, 1, 60, "1 to 60")?;
        between("signup_minutes", self.signup_minutes, 1, 60, "1 to 60")?;
        between("signin_minutes", self.signin_minutes, 1, 15, "1 to 15")?;
        between("change_minutes", self.change_minutes, 1, 60, "1 to 60")?;
        between("keep_ended_days", self.keep_ended_days, 1, 366, "1 to 366")
    }

    pub(crate) fn signup_ms(&self) -> i64 {
        minutes(self.signup_minutes)
    }

    pub(crate) fn signin_ms(&self) -> i64 {
        minutes(self.signin_minutes)
    }

    pub(crate) fn change_ms(&self) -> i64 {
        minutes(self.change_minutes)
    }

    pub(crate) fn fresh_ms(&self) -> i64 {
        minutes(self.fresh_minutes)
    }

    pub(crate) fn idle_ms(&self) -> i64 {
        minutes(self.session_idle_minutes)
    }

    pub(crate) fn absolute_ms(&self) -> i64 {
        minutes(self.session_absolute_minutes)
    }

    pub(crate) fn keep_ended_ms(&self) -> i64 {
        minutes(self.keep_ended_days.saturating_mul(DAY_MINUTES))
    }
}

/// A setting that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} must be {1}")]
pub struct SettingsError(&'static str, &'static str);

const DAY_MINUTES: u32 = 24 * 60;
const YEAR_MINUTES: u32 = 366 * DAY_MINUTES;

fn minutes(count: u32) -> i64 {
    i64::from(count) * 60_000
}
