// SPDX-License-Identifier: Apache-2.0 OR MIT

use std::fmt;

/// What a server keeps its records in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The embedded default: a file for each tenant.
    Sqlite,
    /// One database with row-level security.
    Postgresql,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgresql => "PostgreSQL",
        })
    }
}
