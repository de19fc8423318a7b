// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What an access token says.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use store::TenantId;

/// The claims of an access token (RFC 9068, section 2.2). Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The server that issued it.
    pub iss: String,
    /// Whom it is for.
    pub aud: String,
    /// The account that it speaks for.
    pub sub: String,
    /// The client that it was issued to.
    pub client_id: String,
    /// The account again, under the name that applications look for.
    pub user_id: String,
    /// The tenant that it is good in.
    #[serde(with = "tenant_as_text")]
    pub tenant_id: TenantId,
    /// The session that it hangs on: look it up before acting.
    pub sid: String,
    /// What it may do: scopes, separated by spaces.
    pub scope: String,
    /// When it was issued.
    pub iat: i64,
    /// From when it is good.
    pub nbf: i64,
    /// From when it is good no longer.
    pub exp: i64,
    /// Its own id.
    pub jti: String,
}

impl Claims {
    /// The scopes one by one.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scope.split_ascii_whitespace()
    }
}

/// The client of tokens that sessions get for themselves.
pub const CLIENT_ID: &str = "bailiwick";

mod tenant_as_text {
    use super::{Deserialize, Deserializer, Serializer, TenantId};

    pub(super) fn serialize<S: Serializer>(tenant: &TenantId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(tenant)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TenantId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
