// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The platform's keys as its people see them: which there are, never what they are.

use serde::{Deserialize, Serialize};

/// `GET /api/v1/platform/keys`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PlatformKeys {
    /// The root key that seals.
    pub root_key: String,
    /// Older root keys that still open.
    pub older_root_keys: Vec<String>,
    /// The keys of access and ID tokens, the oldest first.
    pub signing_keys: Vec<SigningKey>,
}

/// A key of access and ID tokens: a pair for EdDSA and one for ES256.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SigningKey {
    /// `kid` of its EdDSA half in the key set.
    pub kid: String,
    /// `kid` of its ES256 half.
    pub es256_kid: String,
    /// Whether it signs now.
    pub is_signing: bool,
    /// When it signs from, in Unix milliseconds.
    pub active_from: i64,
    /// When another signs in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<i64>,
    /// Until when it verifies what it signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifies_until: Option<i64>,
}
