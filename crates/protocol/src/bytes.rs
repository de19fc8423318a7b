// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bytes in JSON.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes, written as base64url without padding (RFC 4648 section 5). `MAX` bounds their number; a longer
/// value is refused.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Bytes<const MAX: usize = 4096>(Vec<u8>);

impl<const MAX: usize> Bytes<MAX> {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, owned.
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }

    /// The bytes when they are exactly `N`.
    pub fn to_array<const N: usize>(&self) -> Option<[u8; N]> {
        self.0.as_slice().try_into().ok()
    }
}

impl<const MAX: usize> From<Vec<u8>> for Bytes<MAX> {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes(bytes)
    }
}

impl<const MAX: usize> From<&[u8]> for Bytes<MAX> {
    fn from(bytes: &[u8]) -> Self {
        Bytes(bytes.to_vec())
    }
}

impl<const MAX: usize, const N: usize> From<[u8; N]> for Bytes<MAX> {
    fn from(bytes: [u8; N]) -> Self {
        Bytes(bytes.to_vec())
    }
}

impl<const MAX: usize> fmt::Debug for Bytes<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl<const MAX: usize> Serialize for Bytes<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Bytes<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = BASE64URL_NOPAD
            .decode(text.as_bytes())
            .map_err(|_| de::Error::custom("not base64url without padding (RFC 4648 section 5)"))?;
        if bytes.len() > MAX {
            return Err(de::Error::custom(format_args!(
                "{} bytes, of which at most {MAX} are accepted",
                bytes.len()
            )));
        }
        Ok(Bytes(bytes))
    }
}

#[cfg(feature = "schema")]
mod schema {
    use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

    impl<const MAX: usize> utoipa::__dev::ComposeSchema for super::Bytes<MAX> {
        fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .description(Some(format!("base64url without padding, at most {MAX} bytes")))
                .max_length(Some(MAX.saturating_mul(4).div_ceil(3)))
                .pattern(Some("^[A-Za-z0-9_-]*$"))
                .into()
        }
    }

    impl<const MAX: usize> utoipa::ToSchema for super::Bytes<MAX> {
        fn name() -> std::borrow::Cow<'static, str> {
            format!("Bytes{MAX}").into()
        }
    }
}
