// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Names of things in a tenant: for people to read, sealed where they are kept.

use custody::TenantKeys;
use uuid::Uuid;

use crate::tenancy::TenancyError;

/// The longest name, in characters.
pub const MAX_NAME: usize = 200;

/// A name that people read: 1 to [`MAX_NAME`] characters, no control characters, no space at either end.
#[derive(Clone, PartialEq, Eq)]
pub struct Name(String);

/// A text that is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {MAX_NAME} characters, no control characters, and no space at either end")]
pub struct NameError;

impl Name {
    /// Takes a text as a name.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        let fits = (1..=MAX_NAME).contains(&text.chars().count());
        let is_clean = text.trim() == text && !text.chars().any(char::is_control);
        if fits && is_clean { Ok(Name(text)) } else { Err(NameError) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Seals the name of this thing.
    pub(crate) fn seal(&self, keys: &TenantKeys, of: Uuid) -> Vec<u8> {
        keys.seal(PURPOSE, &[of.as_bytes()], self.0.as_bytes())
    }

    /// Opens the name of this thing.
    pub(crate) fn open(keys: &TenantKeys, of: Uuid, sealed: &[u8]) -> Result<Self, TenancyError> {
        let unreadable = |error: &dyn std::fmt::Display| TenancyError::Unreadable(error.to_string());
        let opened = keys.open(PURPOSE, &[of.as_bytes()], sealed).map_err(|error| unreadable(&error))?;
        String::from_utf8(opened.to_vec()).map(Name).map_err(|error| unreadable(&error))
    }
}

/// Names are people's data: they do not print by accident.
impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Name(…)")
    }
}

const PURPOSE: &str = "access/name";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_readable() {
        for good in ["Ada", "Été & Söhne", "倉庫 2", &"n".repeat(MAX_NAME)] {
            assert_eq!(Name::new(good).unwrap().as_str(), good);
        }
        for bad in ["", " Ada", "Ada ", "a\nb", "a\u{7f}", &"n".repeat(MAX_NAME + 1)] {
            assert_eq!(Name::new(bad), Err(NameError), "{bad:?}");
        }
    }
}
