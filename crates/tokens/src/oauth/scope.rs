// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a token may be used for, as its client asks for it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A set of scopes (RFC 6749, section 3.3): words without spaces, quotes and backslashes. What a word means, the service
/// says that the token is for; at Bailiwick's own routes they are the names of actions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScopeSet(BTreeSet<String>);

/// A text that is no set of scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected at most {MOST} scopes of at most {LONGEST} bytes each, with spaces between them")]
pub struct ScopeError;

impl ScopeSet {
    /// Asks for an ID token (OpenID Connect Core, section 3.1.2.1).
    pub const OPENID: &'static str = "openid";
    /// Asks for the person's name in the tenant.
    pub const PROFILE: &'static str = "profile";
    /// Asks to go on when the session has ended.
    pub const OFFLINE: &'static str = "offline_access";

    /// Whether the scope is among them.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.contains(scope)
    }

    /// Whether all of these are among the others.
    pub fn is_within(&self, others: &ScopeSet) -> bool {
        self.0.is_subset(&others.0)
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(&self, others: &ScopeSet) -> ScopeSet {
        ScopeSet(self.0.intersection(&others.0).cloned().collect())
    }

    /// Those that are in either.
    #[must_use]
    pub fn or(&self, others: &ScopeSet) -> ScopeSet {
        ScopeSet(self.0.union(&others.0).cloned().collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One by one, in the order of the alphabet.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl FromStr for ScopeSet {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let scopes: BTreeSet<String> =
            text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        let is_word = |word: &String| {
            word.len() <= LONGEST && word.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
        };
        if scopes.len() <= MOST && scopes.iter().all(is_word) {
            Ok(ScopeSet(scopes))
        } else {
            Err(ScopeError)
        }
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for scope in &self.0 {
            write!(f, "{separator}{scope}")?;
            separator = " ";
        }
        Ok(())
    }
}

const MOST: usize = 64;
const LONGEST: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_words_in_one_order_each_once() {
        let scopes: ScopeSet = "write openid  read openid".parse().unwrap();
        assert_eq!(scopes.to_string(), "openid read write");
        assert!(scopes.contains("read") && !scopes.contains("rea"));
        assert!("".parse::<ScopeSet>().unwrap().is_empty());
        for bad in ["a\"b", "a\\b", "a\tb", "é", "a\nb", &"a".repeat(LONGEST + 1)] {
            assert_eq!(bad.parse::<ScopeSet>(), Err(ScopeError), "{bad:?}");
        }
    }
}
