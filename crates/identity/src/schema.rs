// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The tables of this room.

use store::{Migration, Scope};

/// The directory says where an account lives; its home holds everything else.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        name: "identity/1",
        scope: Scope::Platform,
        sql: include_str!("../migrations/1-directory.sql"),
    },
    Migration {
        name: "identity/key-directory",
        scope: Scope::Platform,
        sql: include_str!("../migrations/key-directory.sql"),
    },
    Migration {
        name: "identity/imported",
        scope: Scope::Platform,
        sql: include_str!("../migrations/imported.sql"),
    },
    Migration { name: "identity/2", scope: Scope::Tenant, sql: include_str!("../migrations/2-home.sql") },
    Migration {
        name: "identity/passkey",
        scope: Scope::Tenant,
        sql: include_str!("../migrations/passkey.sql"),
    },
    Migration {
        name: "identity/passkey-copies",
        scope: Scope::Tenant,
        sql: include_str!("../migrations/passkey-copies.sql"),
    },
    Migration {
        name: "identity/pairing",
        scope: Scope::Platform,
        sql: include_str!("../migrations/pairing.sql"),
    },
    Migration {
        name: "identity/lookup",
        scope: Scope::Platform,
        sql: include_str!("../migrations/lookup.sql"),
    },
    Migration {
        name: "identity/answered",
        scope: Scope::Tenant,
        sql: include_str!("../migrations/answered.sql"),
    },
    Migration {
        name: "identity/api-keys",
        scope: Scope::Tenant,
        sql: include_str!("../migrations/api-keys.sql"),
    },
    Migration {
        name: "identity/former-account-keys",
        scope: Scope::Tenant,
        sql: include_str!("../migrations/former-account-keys.sql"),
    },
    Migration {
        name: "identity/suspension",
        scope: Scope::Tenant,
        sql: include_str!("../migrations/suspension.sql"),
    },
    Migration {
        name: "identity/provided",
        scope: Scope::Tenant,
        sql: include_str!("../migrations/provided.sql"),
    },
    Migration {
        name: "identity/plain-passwords",
        scope: Scope::Customer,
        sql: include_str!("../migrations/plain-passwords.sql"),
    },
    Migration {
        name: "identity/keys-due",
        scope: Scope::Platform,
        sql: include_str!("../migrations/keys-due.sql"),
    },
    Migration {
        name: "identity/suspension-reason",
        scope: Scope::Tenant,
        sql: include_str!("../migrations/suspension-reason.sql"),
    },
];
