// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who runs the platform.

use std::fmt;
use std::str::FromStr;

use store::{Migration, ReadTx, Scope, StoreError, WriteTx, params};
use uuid::Uuid;

use crate::caller::Caller;

pub(crate) const PLATFORM_ROLES: Migration = Migration {
    name: "access/1",
    scope: Scope::Platform,
    sql: "
CREATE TABLE platform_role (
  account BLOB NOT NULL,
  role TEXT NOT NULL,
  granted_at INTEGER NOT NULL,
  granted_by TEXT NOT NULL,
  PRIMARY KEY (account, role)
);
",
};

/// A role in running the platform. None of them opens anyone's home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PlatformRole {
    /// Does whatever can be done to the platform.
    Administrator,
    /// Keeps it running.
    Operator,
    /// Reads its state and its history.
    Auditor,
}

/// A role that somebody holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformGrant {
    /// The account that holds it.
    pub account: Uuid,
    /// The role.
    pub role: PlatformRole,
    /// Since when, in milliseconds since the Unix epoch.
    pub granted_at: i64,
    /// Who gave it, as records name them.
    pub granted_by: String,
}

impl PlatformRole {
    /// Every role.
    pub const ALL: [PlatformRole; 3] = [Self::Administrator, Self::Operator, Self::Auditor];

    /// The role's name, as in the Cedar schema.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
        }
    }

    /// Gives the role to an account. `false` when it held it already. The transaction is one on
    /// the platform's tenant, like that of every operation here.
    pub async fn grant(self, tx: &mut WriteTx, account: Uuid, by: &Caller) -> Result<bool, StoreError> {
        let granted_at = tx.now();
        let inserted = tx
            .execute(
                "INSERT INTO platform_role (account, role, granted_at, granted_by)
                 VALUES ($1, $2, $3, $4)
                 ON CONFLICT DO NOTHING",
                params![&account, self.name(), granted_at, &by.actor()],
            )
            .await?;
        Ok(inserted == 1)
    }

    /// Takes the role from an account. `false` when it did not hold it.
    pub async fn revoke(self, tx: &mut WriteTx, account: Uuid) -> Result<bool, StoreError> {
        let deleted = tx
            .execute(
                "DELETE FROM platform_role WHERE account = $1 AND role = $2",
                params![&account, self.name()],
            )
            .await?;
        Ok(deleted == 1)
    }

    /// Everyone who holds a role, by account.
    pub async fn list(tx: &mut ReadTx) -> Result<Vec<PlatformGrant>, StoreError> {
        let rows: Vec<(Uuid, String, i64, String)> = tx
            .query(
                "SELECT account, role, granted_at, granted_by FROM platform_role ORDER BY account, role",
                params![],
            )
            .await?;
        rows.into_iter()
            .map(|(account, role, granted_at, granted_by)| {
                Ok(PlatformGrant { account, role: stored(&role)?, granted_at, granted_by })
            })
            .collect()
    }
}

impl fmt::Display for PlatformRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no platform role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a platform role is one of: administrator, operator, auditor")]
pub struct UnknownPlatformRole;

impl FromStr for PlatformRole {
    type Err = UnknownPlatformRole;

    fn from_str(name: &str) -> Result<Self, UnknownPlatformRole> {
        Self::ALL.into_iter().find(|role| role.name() == name).ok_or(UnknownPlatformRole)
    }
}

/// The platform roles that one account holds: mostly none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlatformRoles(u8);

impl PlatformRoles {
    /// No role.
    pub const NONE: PlatformRoles = PlatformRoles(0);

    /// The roles of this account.
    pub async fn of(tx: &mut ReadTx, account: Uuid) -> Result<PlatformRoles, StoreError> {
        let rows: Vec<(String,)> =
            tx.query("SELECT role FROM platform_role WHERE account = $1", params![&account]).await?;
        rows.iter().map(|(role,)| stored(role)).collect()
    }

    /// Whether the role is among them.
    pub fn contains(self, role: PlatformRole) -> bool {
        self.0 & (1 << role as u8) != 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = PlatformRole> {
        PlatformRole::ALL.into_iter().filter(move |role| self.contains(*role))
    }
}

impl FromIterator<PlatformRole> for PlatformRoles {
    fn from_iter<I: IntoIterator<Item = PlatformRole>>(roles: I) -> Self {
        PlatformRoles(roles.into_iter().fold(0, |bits, role| bits | 1 << role as u8))
    }
}

fn stored(role: &str) -> Result<PlatformRole, StoreError> {
    role.parse().map_err(|_| StoreError::Shape { column: 0, expected: "a platform role" })
}
