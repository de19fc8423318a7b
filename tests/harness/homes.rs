// SPDX-License-Identifier: Apache-2.0 OR MIT

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::ValueRef;

use crate::engine::Engine;
use crate::postgres::{Database, Role};
use crate::sqlite::Files;
use crate::world::World;

/// One person's home, or the directory, in the database itself, in the hands of somebody who may do everything there.
pub enum Home {
    /// SQLite: the home's file.
    File(PathBuf),
    /// PostgreSQL: the database, and the home's tenant id.
    Tenant(Arc<Database>, String),
}

impl Home {
    /// The homes of a world.
    pub fn all(world: &World) -> Vec<Self> {
        match world.engine() {
            Engine::Sqlite => {
                Files::under(world.data()).with_table("login_method").into_iter().map(Self::File).collect()
            }
            Engine::Postgresql => {
                let database = world.shared_database();
                let tenants = database.rows(Role::Superuser, "SELECT tenant FROM account ORDER BY tenant");
                tenants.into_iter().map(|tenant| Self::Tenant(Arc::clone(&database), tenant)).collect()
            }
        }
    }

    /// The platform's own tenant: the directory of a world.
    pub fn directory(world: &World) -> Self {
        match world.engine() {
            Engine::Sqlite => Self::File(world.data().join("platform.db")),
            Engine::Postgresql => Self::Tenant(world.shared_database(), uuid::Uuid::nil().to_string()),
        }
    }

    /// Columns of the table's rows, as text: blobs in hexadecimal, and nothing for `NULL`.
    #[track_caller]
    pub fn rows<const N: usize>(&self, table: &str, columns: [&str; N]) -> Vec<[String; N]> {
        match self {
            Self::File(path) => {
                let sql = format!("SELECT {} FROM {table}", columns.join(", "));
                let connection = Files::open(path);
                connection.busy_timeout(PATIENCE).expect("a timeout");
                let mut statement = connection.prepare(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
                let rows = statement.query_map([], |row| {
                    let mut texts = [const { String::new() }; N];
                    for (at, text) in texts.iter_mut().enumerate() {
                        *text = match row.get_ref(at)? {
                            ValueRef::Blob(bytes) => data_encoding::HEXLOWER.encode(bytes),
                            ValueRef::Integer(number) => number.to_string(),
                            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                            ValueRef::Null | ValueRef::Real(_) => String::new(),
                        };
                    }
                    Ok(texts)
                });
                rows.and_then(Iterator::collect).unwrap_or_else(|error| panic!("{sql}: {error}"))
            }
            Self::Tenant(database, tenant) => {
                // A bytea prints as `\x` and its hexadecimal.
                let columns = columns.map(|column| format!("coalesce({column}::text, '')")).join(", ");
                let sql = format!("SELECT {columns} FROM {table} WHERE tenant = '{tenant}'");
                let rows = database.rows(Role::Superuser, &sql);
                rows.iter()
                    .map(|row| {
                        let mut values = row.split('|');
                        std::array::from_fn(|_| {
                            values.next().expect("a column").trim_start_matches("\\x").to_owned()
                        })
                    })
                    .collect()
            }
        }
    }

    /// Changes rows of a table, with every safeguard out of the way. Says how many.
    #[track_caller]
    pub fn update(&self, table: &str, set: &str, condition: &str) -> usize {
        match self {
            Self::File(path) => {
                let sql = format!("UPDATE {table} SET {set} WHERE {condition}");
                let connection = Files::open(path);
                connection.busy_timeout(PATIENCE).expect("a timeout");
                connection.execute(&sql, []).unwrap_or_else(|error| panic!("{sql}: {error}"))
            }
            Self::Tenant(database, tenant) => {
                let sql = format!(
                    "SET session_replication_role = replica;
                     UPDATE {table} SET {set} WHERE tenant = '{tenant}' AND ({condition}) RETURNING 1"
                );
                database.rows(Role::Superuser, &sql).len()
            }
        }
    }

    /// Bytes given in hexadecimal, as this engine's SQL writes them.
    pub fn blob(&self, hex: &str) -> String {
        match self {
            Self::File(_) => format!("x'{hex}'"),
            Self::Tenant(..) => format!("'\\x{hex}'"),
        }
    }
}

/// The server writes to the same file.
const PATIENCE: Duration = Duration::from_secs(30);
