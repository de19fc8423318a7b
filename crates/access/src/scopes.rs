// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a token may be used for.

use std::fmt;
use std::str::FromStr;

use crate::action::{Action, UnknownAction};

/// A ceiling: the actions that a session or token may be used for. It grants nothing; what the
/// policies refuse stays refused.
///
/// As text, scopes are the names of actions with spaces between them, and `*` is all of them.
///
/// ```
/// use access::{Action, Scopes};
///
/// let scopes: Scopes = "item.read collection.read".parse()?;
/// assert!(scopes.contains(Action::ItemRead));
/// assert!(!scopes.contains(Action::ItemWrite));
/// # Ok::<(), access::UnknownAction>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Scopes(u128);

impl Scopes {
    /// Everything: a person's own session.
    pub const ALL: Scopes = Scopes(u128::MAX);
    /// Nothing at all.
    pub const NONE: Scopes = Scopes(0);

    /// Whether the action is below the ceiling.
    pub const fn contains(self, action: Action) -> bool {
        self.0 & (1 << action as u32) != 0
    }

    /// What is below either ceiling.
    #[must_use]
    pub const fn or(self, other: Scopes) -> Scopes {
        Scopes(self.0 | other.0)
    }

    /// What is below both ceilings: a token made from a token never has more than either.
    #[must_use]
    pub const fn and(self, other: Scopes) -> Scopes {
        Scopes(self.0 & other.0)
    }
}

impl FromIterator<Action> for Scopes {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        Scopes(actions.into_iter().fold(0, |bits, action| bits | 1 << action as u32))
    }
}

impl From<Action> for Scopes {
    fn from(action: Action) -> Self {
        Scopes(1 << action as u32)
    }
}

impl FromStr for Scopes {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        if text.trim() == "*" {
            return Ok(Scopes::ALL);
        }
        text.split_ascii_whitespace().map(Action::from_str).collect()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Scopes::ALL {
            return f.write_str("*");
        }
        let mut separator = "";
        for action in Action::ALL.iter().filter(|action| self.contains(**action)) {
            write!(f, "{separator}{action}")?;
            separator = " ";
        }
        Ok(())
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({self})")
    }
}
