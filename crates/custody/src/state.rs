// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The server's state in a client's hands, between two steps of one exchange.
//!
//! Nothing is stored between the start and the finish of a sign-up or sign-in, so unfinished ones cost nothing. The
//! client brings the state back unread and unchanged, for the purpose it was made for, and in time. It can bring it
//! back twice: an exchange that must happen once has to see to that where it writes.

use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use crate::key::Key;
use crate::sealed;

/// Seals and opens such state. Cheap to clone.
#[derive(Clone)]
pub struct StateSealer {
    key: Key,
}

/// Why a state was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Its time is over: begin again.
    #[error("this step took too long; start again")]
    Expired,
    /// Not a state of this server for this purpose, or changed.
    #[error("this step does not belong to one that was started here; start again")]
    Invalid,
}

impl StateSealer {
    pub(crate) fn new(key: Key) -> Self {
        Self { key }
    }

    /// Seals `bytes` for one purpose until `expires_at` (Unix milliseconds). The text is base64url without padding.
    pub fn seal(&self, purpose: &'static str, expires_at: i64, bytes: &[u8]) -> String {
        let mut plaintext = Zeroizing::new(Vec::with_capacity(8 + bytes.len()));
        plaintext.extend_from_slice(&expires_at.to_be_bytes());
        plaintext.extend_from_slice(bytes);
        BASE64URL_NOPAD.encode(&sealed::seal(&self.key, STATE, &[purpose.as_bytes()], &plaintext))
    }

    /// Opens a state for its purpose, when `now` (Unix milliseconds) is before its end.
    ///
    /// # Errors
    /// Says whether to begin again because of time, or because the state is none.
    pub fn open(
        &self,
        purpose: &'static str,
        now: i64,
        text: &str,
    ) -> Result<Zeroizing<Vec<u8>>, StateError> {
        if text.len() > LONGEST {
            return Err(StateError::Invalid);
        }
        let sealed = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| StateError::Invalid)?;
        let plaintext = sealed::open(&self.key, STATE, &[purpose.as_bytes()], &sealed)
            .map_err(|_| StateError::Invalid)?;
        let (expires_at, bytes) = plaintext.split_first_chunk().ok_or(StateError::Invalid)?;
        if now >= i64::from_be_bytes(*expires_at) {
            return Err(StateError::Expired);
        }
        Ok(Zeroizing::new(bytes.to_vec()))
    }
}

const STATE: &str = "custody/state";
/// Longer texts are refused before any work is done on them.
const LONGEST: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer() -> StateSealer {
        StateSealer::new(Key::random())
    }

    #[test]
    fn a_state_comes_back_until_its_time_is_over() {
        let sealer = sealer();
        let text = sealer.seal("signin", 1_000, b"state");
        assert_eq!(*sealer.open("signin", 999, &text).unwrap(), b"state");
        assert_eq!(sealer.open("signin", 1_000, &text), Err(StateError::Expired));
    }

    #[test]
    fn a_state_serves_no_other_exchange_and_no_other_server() {
        let sealer = sealer();
        let text = sealer.seal("signin", 1_000, b"state");
        assert_eq!(sealer.open("signup", 0, &text), Err(StateError::Invalid));
        assert_eq!(StateSealer::new(Key::random()).open("signin", 0, &text), Err(StateError::Invalid));
    }

    #[test]
    fn what_is_no_state_is_refused() {
        let sealer = sealer();
        let text = sealer.seal("signin", 1_000, b"state");
        let twice = format!("{text}{text}");
        let long = "A".repeat(LONGEST + 1);
        for other in ["", "A", "=", &text[1..], &text[..text.len() - 1], &twice, &long] {
            assert_eq!(sealer.open("signin", 0, other), Err(StateError::Invalid));
        }
    }
}
