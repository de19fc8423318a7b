// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whose rows a connection sees.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// A tenant: the wall around somebody's rows. Written `ten_` and 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Uuid);

impl TenantId {
    /// The platform's own rows: the directory, the server's sealed keys and the platform's log.
    pub const PLATFORM: TenantId = TenantId(Uuid::nil());

    /// A new tenant's id.
    pub fn random() -> Self {
        TenantId(Uuid::new_v4())
    }

    /// The tenant with this UUID.
    pub fn from_uuid(id: Uuid) -> Self {
        TenantId(id)
    }

    /// The id as a UUID, as the database's own tools show it.
    pub fn uuid(&self) -> &Uuid {
        &self.0
    }

    /// The id's 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ten_{}", self.0.simple())
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no tenant id.
#[derive(Debug, thiserror::Error)]
#[error("not a tenant id: expected `ten_` and 32 hexadecimal digits")]
pub struct TenantIdError;

impl FromStr for TenantId {
    type Err = TenantIdError;

    fn from_str(text: &str) -> Result<Self, TenantIdError> {
        let digits = text.strip_prefix("ten_").filter(|digits| digits.len() == 32).ok_or(TenantIdError)?;
        Uuid::try_parse(digits).map(TenantId).map_err(|_| TenantIdError)
    }
}

impl<'a> From<&'a TenantId> for crate::Param<'a> {
    fn from(id: &'a TenantId) -> Self {
        crate::Param::Blob(id.0.as_bytes())
    }
}

impl crate::FromValue for TenantId {
    fn from_value(value: crate::Value) -> Result<Self, &'static str> {
        Uuid::from_value(value).map(TenantId)
    }
}
