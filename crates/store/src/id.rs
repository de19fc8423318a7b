// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Ids of what is stored: a UUID, written with a prefix that says of what.

use uuid::Uuid;

/// A text that is no id of the kind that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected `{prefix}` and 32 hexadecimal digits")]
pub struct IdError {
    /// How such an id begins.
    pub prefix: &'static str,
}

/// Declares an id: `store::id! { /// A collection. CollectionId = "col_"; }`. It is a UUID in memory and in the database,
/// and the prefix with 32 lower-case hexadecimal digits wherever it is read or written; there is one spelling of each.
#[macro_export]
macro_rules! id {
    ($($(#[$about:meta])* $name:ident = $prefix:literal;)+) => { $(
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name($crate::Uuid);

        impl $name {
            /// A new random id.
            pub fn random() -> Self {
                Self($crate::Uuid::new_v4())
            }

            /// The id with this UUID.
            pub const fn from_uuid(id: $crate::Uuid) -> Self {
                Self(id)
            }

            /// The id as a UUID, as the database's own tools show it.
            pub const fn uuid(&self) -> &$crate::Uuid {
                &self.0
            }

            /// The id's 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::IdError;

            fn from_str(text: &str) -> Result<Self, $crate::IdError> {
                $crate::parse_id($prefix, text).map(Self)
            }
        }

        impl<'a> From<&'a $name> for $crate::Param<'a> {
            fn from(id: &'a $name) -> Self {
                $crate::Param::Blob(id.as_bytes())
            }
        }

        impl $crate::FromValue for $name {
            fn from_value(value: $crate::Value) -> Result<Self, &'static str> {
                $crate::Uuid::from_value(value).map(Self)
            }
        }
    )+ };
}

/// Reads an id with this prefix. For [`id!`].
#[doc(hidden)]
pub fn parse_id(prefix: &'static str, text: &str) -> Result<Uuid, IdError> {
    let digits = text.strip_prefix(prefix).filter(|digits| {
        digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    });
    digits.and_then(|digits| Uuid::try_parse(digits).ok()).ok_or(IdError { prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::id! {
        /// An id for the tests.
        ExampleId = "exa_";
    }

    #[test]
    fn an_id_reads_back_as_it_was_written_and_has_no_other_spelling() {
        let id = ExampleId::random();
        let text = id.to_string();
        assert_eq!(text.parse(), Ok(id));
        let letters = "exa_abcdefabcdefabcdefabcdefabcdefab";
        assert!(letters.parse::<ExampleId>().is_ok());
        for wrong in [
            &text[4..],
            &text[..35],
            &text.replace("exa_", "itm_"),
            &format!("{text}0"),
            &letters.to_uppercase().replace("EXA_", "exa_"),
            &format!("exa_{}", id.uuid().hyphenated()),
            "",
        ] {
            assert_eq!(wrong.parse::<ExampleId>(), Err(IdError { prefix: "exa_" }), "{wrong}");
        }
    }
}
