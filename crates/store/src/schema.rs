// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Migrations: one text, two engines.
//!
//! A room writes its tables once, in plain SQL without a word about tenants. What the engines need
//! beyond that is added here:
//!
//! | in the migration | SQLite (a file per tenant) | PostgreSQL (one database) |
//! |---|---|---|
//! | `CREATE TABLE t (…)` | `STRICT` | a `tenant` column by default expression, forced row-level security, rights for the login role |
//! | `PRIMARY KEY (a)`, `UNIQUE (a)`, `CREATE INDEX … (a)` | as it is | `(tenant, a)` |
//! | `INTEGER`, `BLOB` | as it is | `bigint`, `bytea` |
//! | `… ) APPEND ONLY` | triggers against UPDATE and DELETE | the same, TRUNCATE too, and the login role has no right to any of them |
//! | `… ) CLUSTERED` | `WITHOUT ROWID`: rows lie in the key's own tree, one page to write instead of two; for rows of a few hundred bytes | as it is |
//! | `… ) NUMBERED BY n` after `APPEND ONLY` | a trigger: each `n` is the one before plus one | the same |

use std::fmt::Write as _;

use crate::{TenantId, TenantKind};

/// Which databases a migration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The platform's own database only: the directory.
    Platform,
    /// Every tenant's database, not the platform's.
    Tenant,
    /// The databases of customers' tenants only: no home's.
    Customer,
    /// Both.
    Everywhere,
}

/// One step forward of a room's tables. Applied once, in order, never changed after a release.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// The room and the step, such as `objects/1`; unique.
    pub name: &'static str,
    /// Where it belongs.
    pub scope: Scope,
    /// Statements, each ended by `;` at the end of a line, in the text described above.
    pub sql: &'static str,
}

/// How the engine is to see a tenant id in SQL, `NULL` when none is set.
const POSTGRES_TENANT: &str = "nullif(current_setting('bailiwick.tenant', true), '')::uuid";

impl Migration {
    pub(crate) fn applies_to(&self, tenant: TenantId) -> bool {
        match self.scope {
            Scope::Everywhere => true,
            Scope::Platform => tenant.kind() == TenantKind::Platform,
            Scope::Tenant => tenant.kind() != TenantKind::Platform,
            Scope::Customer => tenant.kind() == TenantKind::Customer,
        }
    }

    /// The text for SQLite.
    pub(crate) fn sqlite(&self) -> String {
        let mut out = String::new();
        for statement in statements(self.sql) {
            match Table::parse(statement) {
                Some(table) => table.sqlite(&mut out),
                None => {
                    let _ = writeln!(out, "{statement};");
                }
            }
        }
        out
    }

    /// The rights of the server's login role on this migration's tables.
    pub(crate) fn postgres_rights(&self, role: &str) -> String {
        statements(self.sql).filter_map(Table::parse).map(|table| table.rights(role)).collect()
    }

    /// The text for PostgreSQL; `role` is the server's login role, already quoted.
    pub(crate) fn postgres(&self, role: &str) -> String {
        let mut out = String::new();
        for statement in statements(self.sql) {
            match Table::parse(statement) {
                Some(table) => table.postgres(role, &mut out),
                None => {
                    let _ = writeln!(out, "{};", postgres_types(&lead_index(statement)));
                }
            }
        }
        out
    }
}

/// A `CREATE TABLE` statement of a migration.
struct Table<'a> {
    name: &'a str,
    columns: &'a str,
    clustered: bool,
    append_only: bool,
    numbered_by: Option<&'a str>,
}

impl<'a> Table<'a> {
    fn parse(statement: &'a str) -> Option<Self> {
        let (name, rest) = statement.strip_prefix("CREATE TABLE ")?.split_once(" (")?;
        let (columns, tail) = rest.rsplit_once("\n)")?;
        let numbered_by = tail.split_once("NUMBERED BY ").map(|(_, column)| column.trim());
        let (clustered, append_only) = (tail.contains("CLUSTERED"), tail.contains("APPEND ONLY"));
        Some(Table { name, columns, clustered, append_only, numbered_by })
    }

    /// The columns of the primary key.
    fn keys(&self) -> impl Iterator<Item = &'a str> {
        let columns = self.columns.split_once("PRIMARY KEY (").and_then(|(_, rest)| rest.split_once(')'));
        columns.map_or("", |(columns, _)| columns).split(',').map(str::trim)
    }

    fn sqlite(&self, out: &mut String) {
        let Table { name, columns, .. } = self;
        let rows = if self.clustered { ", WITHOUT ROWID" } else { "" };
        let _ = writeln!(out, "CREATE TABLE {name} ({columns}\n) STRICT{rows};");
        if self.append_only {
            for event in ["UPDATE", "DELETE"] {
                let _ = writeln!(
                    out,
                    "CREATE TRIGGER {name}_refuses_{} BEFORE {event} ON {name} BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END;",
                    event.to_lowercase()
                );
            }
            // INSERT OR REPLACE removes a row without asking the trigger above, unless its connection wants it asked.
            let same_key = self.keys().map(|column| format!("{column} = NEW.{column}")).collect::<Vec<_>>();
            let _ = writeln!(
                out,
                "CREATE TRIGGER {name}_refuses_replace BEFORE INSERT ON {name} \
                 WHEN EXISTS (SELECT 1 FROM {name} WHERE {}) \
                 BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END;",
                same_key.join(" AND ")
            );
        }
        if let Some(number) = self.numbered_by {
            let _ = writeln!(
                out,
                "CREATE TRIGGER {name}_is_numbered BEFORE INSERT ON {name} \
                 WHEN NEW.{number} <> (SELECT coalesce(max({number}) + 1, 0) FROM {name}) \
                 BEGIN SELECT RAISE(ABORT, '{name} is append-only: the number is not the next one'); END;"
            );
        }
    }

    fn rights(&self, role: &str) -> String {
        let rights = if self.append_only { "SELECT, INSERT" } else { "SELECT, INSERT, UPDATE, DELETE" };
        format!("GRANT {rights} ON {} TO {role};\n", self.name)
    }

    fn postgres(&self, role: &str, out: &mut String) {
        let Table { name, .. } = self;
        let columns = postgres_types(&lead_keys(self.columns));
        let _ = writeln!(
            out,
            "CREATE TABLE {name} (\n  tenant uuid NOT NULL DEFAULT {POSTGRES_TENANT},{columns}\n);\n\
             ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;\n\
             ALTER TABLE {name} FORCE ROW LEVEL SECURITY;\n\
             CREATE POLICY tenant_rows ON {name} USING (tenant = {POSTGRES_TENANT}) WITH CHECK (tenant = {POSTGRES_TENANT});\n\
             REVOKE ALL ON {name} FROM PUBLIC;"
        );
        out.push_str(&self.rights(role));
        if self.append_only {
            let _ = writeln!(
                out,
                "CREATE TRIGGER {name}_refuses_change BEFORE UPDATE OR DELETE ON {name} FOR EACH ROW EXECUTE FUNCTION refuse_change();\n\
                 CREATE TRIGGER {name}_refuses_truncate BEFORE TRUNCATE ON {name} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();"
            );
        }
        if let Some(number) = self.numbered_by {
            let _ = writeln!(
                out,
                "CREATE FUNCTION {name}_next_number() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN\n\
                   IF NEW.{number} <> (SELECT coalesce(max({number}) + 1, 0) FROM {name} WHERE tenant = NEW.tenant) THEN\n\
                     RAISE EXCEPTION '{name} is append-only: the number is not the next one';\n\
                   END IF;\n\
                   RETURN NEW;\n\
                 END $$;\n\
                 CREATE TRIGGER {name}_is_numbered BEFORE INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION {name}_next_number();"
            );
        }
    }
}

/// What PostgreSQL needs once, before the first table.
pub(crate) const POSTGRES_PREAMBLE: &str = "
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
";

/// The statements of a migration, without the comments before them, trimmed, without their `;`.
fn statements(sql: &str) -> impl Iterator<Item = &str> {
    sql.split(";\n").map(uncommented).filter(|statement| !statement.is_empty())
}

/// A statement without what is said before it: it is known by how it begins.
fn uncommented(statement: &str) -> &str {
    let mut rest = statement.trim();
    while let Some(comment) = rest.strip_prefix("--") {
        rest = comment.split_once('\n').map_or("", |(_, rest)| rest.trim_start());
    }
    rest
}

/// Puts the tenant first in every key of a table's columns.
fn lead_keys(columns: &str) -> String {
    columns.replace("PRIMARY KEY (", "PRIMARY KEY (tenant, ").replace("UNIQUE (", "UNIQUE (tenant, ")
}

/// Puts the tenant first in an index.
fn lead_index(statement: &str) -> String {
    if statement.starts_with("CREATE INDEX ") || statement.starts_with("CREATE UNIQUE INDEX ") {
        statement.replacen(" (", " (tenant, ", 1)
    } else {
        statement.to_owned()
    }
}

fn postgres_types(text: &str) -> String {
    text.replace(" BLOB", " bytea").replace(" INTEGER", " bigint")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_walled_whatever_is_said_before_it() {
        let sql = "-- Notes; of people\n-- and others.\nCREATE TABLE note (\n  id BLOB NOT NULL,\n  PRIMARY KEY (id)\n);\n";
        let all: Vec<&str> = statements(sql).collect();
        assert_eq!(all.len(), 1);
        assert!(all[0].starts_with("CREATE TABLE note") && Table::parse(all[0]).is_some());
        assert_eq!(uncommented("-- nothing"), "");
    }

    const EXAMPLE: Migration = Migration {
        name: "example/1",
        scope: Scope::Tenant,
        sql: "
CREATE TABLE note (
  id BLOB NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX note_by_time ON note (at);
CREATE TABLE line (
  number INTEGER NOT NULL,
  PRIMARY KEY (number)
) APPEND ONLY NUMBERED BY number;
",
    };

    #[test]
    fn sqlite_keeps_the_text_and_adds_the_triggers() {
        let text = EXAMPLE.sqlite();
        assert!(text.contains("PRIMARY KEY (id)\n) STRICT;"), "{text}");
        assert!(text.contains("CREATE INDEX note_by_time ON note (at);"), "{text}");
        assert!(text.contains("line_refuses_update") && text.contains("line_is_numbered"), "{text}");
        assert!(!text.contains("tenant"), "{text}");
    }

    #[test]
    fn postgres_puts_the_tenant_first_in_every_key() {
        let text = EXAMPLE.postgres("\"app\"");
        assert!(text.contains("PRIMARY KEY (tenant, id)"), "{text}");
        assert!(text.contains("CREATE INDEX note_by_time ON note (tenant, at);"), "{text}");
        assert!(text.contains("id bytea NOT NULL") && text.contains("at bigint NOT NULL"), "{text}");
        assert!(text.contains("GRANT SELECT, INSERT ON line TO"), "{text}");
        assert_eq!(text.matches("FORCE ROW LEVEL SECURITY").count(), 2);
    }
}
