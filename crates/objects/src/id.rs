// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Ids: a readable prefix and 32 hexadecimal digits.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// A text that is no id of the kind that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid id: expected `{prefix}` and 32 hexadecimal digits")]
pub struct IdError {
    /// How such an id begins.
    pub prefix: &'static str,
}

macro_rules! id {
    ($(#[$about:meta])* $name:ident, $prefix:literal) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// A new random id.
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }

            /// The id with this UUID.
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The id as a UUID, as it is stored.
            pub const fn uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse($prefix, text).map(Self)
            }
        }

        impl<'a> From<&'a $name> for store::Param<'a> {
            fn from(id: &'a $name) -> Self {
                store::Param::Blob(id.0.as_bytes())
            }
        }
    };
}

id!(
    /// A collection, chosen at random by the client that makes it. Written `col_…`.
    CollectionId,
    "col_"
);
id!(
    /// An item within its collection, chosen by the client that makes it. Written `itm_…`.
    ItemId,
    "itm_"
);
id!(
    /// A blob, from the beginning of its upload on. Written `blb_…`.
    BlobId,
    "blb_"
);

fn parse(prefix: &'static str, text: &str) -> Result<Uuid, IdError> {
    // One spelling for each id: digits without separators, in lower case.
    let digits = text.strip_prefix(prefix).filter(|digits| {
        digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    });
    digits.and_then(|digits| Uuid::try_parse(digits).ok()).ok_or(IdError { prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_it_was_written() {
        let id = ItemId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn another_spelling_is_refused() {
        let text = CollectionId::random().to_string();
        let upper = format!("col_{}", text[4..].to_uppercase());
        for wrong in [&text[4..], &text[..35], &text.replace("col_", "itm_"), &format!("{text}0"), ""] {
            assert_eq!(wrong.parse::<CollectionId>(), Err(IdError { prefix: "col_" }), "{wrong}");
        }
        assert!(upper == text || upper.parse::<CollectionId>().is_err());
    }
}
