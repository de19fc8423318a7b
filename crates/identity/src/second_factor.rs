// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The second factor of a password: a code of an authenticator app, or a backup code in its place.
//!
//! Codes are RFC 6238's with what every app understands: SHA-1, 6 digits, 30 seconds. One step to either side is
//! accepted, and each step once.

use custody::TenantKeys;
use totp_rs::{Algorithm, Builder, Totp};
use zeroize::Zeroizing;

use crate::AccountId;
use crate::failure::Failure;
use crate::secret::SecretBytes;

/// What a person shows beside the password.
pub enum SecondFactor {
    /// Six digits of the authenticator app.
    Totp(Zeroizing<String>),
    /// The lookup value of a backup code; it works once.
    BackupCode(keyring::Lookup),
}

/// The secret that an authenticator app and the server share. Does not print.
#[derive(Clone)]
pub struct TotpSecret(SecretBytes<{ TotpSecret::LEN }>);

impl TotpSecret {
    pub(crate) const LEN: usize = 20;

    pub(crate) fn generate() -> Self {
        Self(SecretBytes::random())
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        SecretBytes::copied(bytes).map(Self)
    }

    pub(crate) fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// In base32, as people type it into an app.
    pub fn base32(&self) -> Zeroizing<String> {
        Zeroizing::new(data_encoding::BASE32_NOPAD.encode(self.0.as_slice()))
    }

    /// As an `otpauth://` address, for a QR code. The account is named by its number: an address of a person is not needed.
    pub fn uri(&self, issuer: &str, account_number: &str) -> Zeroizing<String> {
        let (issuer, account) = (percent(issuer), percent(account_number));
        Zeroizing::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period=30",
            *self.base32()
        ))
    }

    /// The step (RFC 6238, section 4.2) that a code is right for at this time, if it is.
    pub(crate) fn step_of(&self, code: &str, now_ms: i64) -> Option<i64> {
        let seconds = u64::try_from(now_ms).ok()? / 1000;
        self.totp().check(code, seconds).and_then(|step| i64::try_from(step).ok())
    }

    /// The code at this time, for tests and for clients that show it.
    pub fn code_at(&self, now_ms: i64) -> Zeroizing<String> {
        Zeroizing::new(self.totp().generate(u64::try_from(now_ms).unwrap_or(0) / 1000).to_string())
    }

    fn totp(&self) -> Totp {
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(6)
            .with_skew(1)
            .with_step_duration(30)
            .with_secret(*self.0)
            .build_noncompliant()
    }
}

/// Opens the stored secret of an account.
pub(crate) fn open_totp(keys: &TenantKeys, account: AccountId, sealed: &[u8]) -> Result<TotpSecret, Failure> {
    let damaged = || Failure::Damaged("second factor");
    let opened = keys.open(TOTP_SEED, &[account.as_bytes()], sealed).map_err(|_| damaged())?;
    TotpSecret::from_bytes(&opened).ok_or_else(damaged)
}

/// RFC 3986's unreserved characters as they are, all others as bytes in hexadecimal.
fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&data_encoding::HEXUPPER.encode(&[byte]));
        }
        out
    })
}

pub(crate) const TOTP_SEED: &str = "totp-seed";

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, in six digits.
    #[test]
    fn codes_are_those_of_rfc_6238() {
        let secret = TotpSecret::from_bytes(b"12345678901234567890").unwrap();
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(*secret.code_at(seconds * 1000), code);
            assert_eq!(secret.step_of(code, seconds * 1000), Some(seconds / 30));
        }
    }

    #[test]
    fn one_step_to_either_side_is_accepted_and_no_more() {
        let secret = TotpSecret::from_bytes(b"12345678901234567890").unwrap();
        let code = secret.code_at(3_000_000);
        for (now, step) in [(2_970_000, Some(100)), (3_000_000, Some(100)), (3_059_999, Some(100))] {
            assert_eq!(secret.step_of(&code, now), step);
        }
        assert_eq!(secret.step_of(&code, 3_060_000), None);
        assert_eq!(secret.step_of(&code, 2_969_999), None);
    }

    #[test]
    fn what_is_no_code_is_no_code() {
        let secret = TotpSecret::generate();
        for text in ["", "12345", "1234567", "+12345", "12345a", "１２３４５６", " 12345"] {
            assert_eq!(secret.step_of(text, 3_000_000), None, "{text}");
        }
    }

    #[test]
    fn the_uri_carries_what_an_app_needs_and_cannot_be_broken_out_of() {
        let secret = TotpSecret::from_bytes(b"12345678901234567890").unwrap();
        assert_eq!(
            *secret.uri("A&B Ltd", "K7F2QXM"),
            "otpauth://totp/A%26B%20Ltd:K7F2QXM?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=A%26B%20Ltd&algorithm=SHA1&digits=6&period=30"
        );
    }
}
