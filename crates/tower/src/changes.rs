// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the issuer said has changed, and what it answered about single tokens since.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use serde::Deserialize;

use crate::token::Claims;

/// Changes that are remembered; beyond that all tokens are asked about anew.
const REMEMBERED: usize = 100_000;

/// Answers that are remembered; beyond that tokens are asked about again.
const ANSWERS: usize = 10_000;

/// How far the clocks of the issuer's servers may differ, in milliseconds: a token that was issued so shortly after a change may have
/// been issued before it.
const SKEW_MS: i64 = 60_000;

/// A word of the stream.
#[derive(Deserialize)]
pub(crate) struct Word {
    /// When, in Unix milliseconds.
    at: i64,
    /// Of which claim; of all tokens, if `None`.
    claim: Option<String>,
    /// Its SHA-256, base64url.
    #[serde(default)]
    sha256: Option<String>,
}

#[derive(Clone, Copy, Default)]
struct Change {
    /// The how-manieth word it was.
    number: u64,
    at: i64,
}

/// An answer about one token.
struct Answer {
    /// The newest word when it was asked for.
    number: u64,
    when: Instant,
    is_active: bool,
}

/// What is known.
#[derive(Default)]
pub(crate) struct Changes {
    number: u64,
    of_all: Change,
    of: HashMap<(String, String), Change>,
    answers: HashMap<[u8; 32], Answer>,
}

/// What that says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    Good,
    Ended,
    /// Ask the issuer, and say with the answer that it was asked for after this word.
    Ask(u64),
}

impl Changes {
    /// Takes a word in; says whether it is about all tokens.
    pub(crate) fn hear(&mut self, word: Word) -> bool {
        self.number += 1;
        let change = Change { number: self.number, at: word.at };
        match (word.claim, word.sha256) {
            (Some(claim), Some(hash)) if self.of.len() < REMEMBERED => {
                self.of.insert((claim, hash), change);
                false
            }
            _ => {
                self.of.clear();
                self.answers.clear();
                self.of_all = change;
                true
            }
        }
    }

    /// What is known of a token that is signed and in its time.
    pub(crate) fn judge(&self, token: &str, claims: &Claims, now_ms: i64, recheck_after: Duration) -> Judged {
        let mut last = self.of_all;
        let named = [
            ("sub", Some(&claims.sub)),
            ("client_id", Some(&claims.client_id)),
            ("grant_id", claims.grant_id.as_ref()),
        ];
        if !self.of.is_empty() {
            for (claim, id) in named {
                let Some(id) = id else { continue };
                let hash = BASE64URL_NOPAD.encode(digest(&SHA256, id.as_bytes()).as_ref());
                if let Some(change) = self.of.get(&(claim.to_owned(), hash)) {
                    last = if change.number > last.number { *change } else { last };
                }
            }
        }
        if let Some(answer) = self.answers.get(&key(token)) {
            return match answer.number >= last.number && answer.when.elapsed() < recheck_after {
                true if answer.is_active => Judged::Good,
                true => Judged::Ended,
                false => Judged::Ask(self.number),
            };
        }
        let issued_ms = claims.iat.saturating_mul(1_000);
        let is_new = issued_ms > last.at.saturating_add(SKEW_MS);
        let age = u64::try_from(now_ms.saturating_sub(issued_ms)).unwrap_or(0);
        if is_new && Duration::from_millis(age) < recheck_after {
            Judged::Good
        } else {
            Judged::Ask(self.number)
        }
    }

    /// Remembers an answer that was asked for after this word.
    pub(crate) fn answered(&mut self, token: &str, number: u64, is_active: bool) {
        if self.answers.len() >= ANSWERS {
            self.answers.clear();
        }
        self.answers.insert(key(token), Answer { number, when: Instant::now(), is_active });
    }
}

fn key(token: &str) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    key
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::token::tests::claims;

    const LATER: Duration = Duration::from_secs(300);

    fn word(word: Value) -> Word {
        serde_json::from_value(word).unwrap()
    }

    fn about(claim: &str, id: &str, at: i64) -> Word {
        let hash = BASE64URL_NOPAD.encode(digest(&SHA256, id.as_bytes()).as_ref());
        word(json!({ "at": at, "claim": claim, "sha256": hash }))
    }

    /// Issued at second 1,000.
    fn judged(changes: &Changes) -> Judged {
        let claims: Claims = serde_json::from_value(claims()).unwrap();
        changes.judge("token", &claims, 1_001_000, LATER)
    }

    #[test]
    fn a_token_is_asked_about_once_for_each_word_about_it() {
        for (claim, id) in [("sub", "acc_1"), ("client_id", "cli_1.2"), ("grant_id", "gnt_3")] {
            let mut changes = Changes::default();
            assert_eq!(judged(&changes), Judged::Good);
            changes.hear(about(claim, "somebody else", 1_000_500));
            assert_eq!(judged(&changes), Judged::Good);
            changes.hear(about(claim, id, 1_000_500));
            assert_eq!(judged(&changes), Judged::Ask(2));
            changes.answered("token", 2, true);
            assert_eq!(judged(&changes), Judged::Good);
            changes.hear(about(claim, id, 1_000_600));
            assert_eq!(judged(&changes), Judged::Ask(3));
            // An answer to a question from before the word says nothing of it.
            changes.answered("token", 2, true);
            assert_eq!(judged(&changes), Judged::Ask(3));
            changes.answered("token", 3, false);
            assert_eq!(judged(&changes), Judged::Ended);
        }
    }

    #[test]
    fn all_are_asked_about_after_a_gap_but_those_that_came_later() {
        let mut changes = Changes::default();
        changes.answered("token", 0, true);
        assert!(changes.hear(word(json!({ "at": 939_000, "claim": null }))));
        assert_eq!(judged(&changes), Judged::Good, "issued more than a minute later");
        assert!(changes.hear(word(json!({ "at": 940_000, "claim": null }))));
        assert_eq!(judged(&changes), Judged::Ask(2));
    }

    #[test]
    fn a_token_is_asked_about_after_a_while_whatever_happens() {
        let changes = Changes::default();
        let claims: Claims = serde_json::from_value(claims()).unwrap();
        assert_eq!(changes.judge("token", &claims, 1_299_000, LATER), Judged::Good);
        assert_eq!(changes.judge("token", &claims, 1_300_000, LATER), Judged::Ask(0));
        let mut changes = Changes::default();
        changes.answered("token", 0, true);
        assert_eq!(changes.judge("token", &claims, 1_001_000, Duration::ZERO), Judged::Ask(0));
    }

    #[test]
    fn too_many_changes_are_one_of_all() {
        let mut changes = Changes::default();
        for number in 0..REMEMBERED {
            assert!(!changes.hear(about("sub", &number.to_string(), 1)));
        }
        assert!(changes.hear(about("sub", "acc_1", 1_000_500)));
        assert!(changes.of.is_empty());
        assert!(matches!(judged(&changes), Judged::Ask(_)));
    }
}
