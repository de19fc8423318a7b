// SPDX-License-Identifier: Apache-2.0 OR MIT
//! History that somebody with the database in his hands rewrites: `verify` says which record.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use harness::{Database, Engine, Files, Machine, Outcome, Role, World, on_both_engines, unique};
use rusqlite::Connection;
use serde_json::Value;

on_both_engines!(
    a_changed_byte_of_a_record_is_named,
    a_deleted_record_is_named,
    a_cut_off_end_is_noticed_by_who_saw_it,
    a_history_that_is_gone_is_noticed_by_who_saw_it,
    records_cannot_be_changed_or_deleted_as_the_server,
    what_was_done_to_the_platforms_history_is_named,
);

fn a_changed_byte_of_a_record_is_named(world: World) {
    let (laptop, history) = some_history(&world);
    let middle = history.numbers() / 2;
    for (column, kind) in history.columns() {
        let before = history.change(&column, &kind, middle);
        assert_names(laptop.verify(), middle, &column);
        history.restore(&column, middle, &before);
        laptop.verified_records();
    }
}

fn a_deleted_record_is_named(world: World) {
    let (laptop, history) = some_history(&world);
    let middle = history.numbers() / 2;
    history.as_superuser(&format!("DELETE FROM record WHERE {}", history.is_record(middle)));
    assert_names(laptop.verify(), middle, "the whole record");
}

fn a_cut_off_end_is_noticed_by_who_saw_it(mut world: World) {
    let (laptop, history) = some_history(&world);
    laptop.verified_records();
    // With the server stopped, everything that speaks of the newest records goes, checkpoints included.
    let last = history.numbers() - 1;
    world.stop();
    let tenant = history.tenant_clause();
    for statement in [
        format!("DELETE FROM record WHERE {}", history.is_record(last)),
        format!("DELETE FROM leaf WHERE number >= {last} {tenant}"),
        format!("DELETE FROM checkpoint WHERE size > {last} {tenant}"),
        format!("DELETE FROM subtree WHERE level = 0 AND number >= {last} {tenant}"),
    ] {
        history.as_superuser(&statement);
    }
    world.start();
    let outcome = laptop.verify();
    assert_eq!(outcome.status, Some(3), "{outcome}");
}

fn a_history_that_is_gone_is_noticed_by_who_saw_it(mut world: World) {
    let (laptop, history) = some_history(&world);
    world.stop();
    let tenant = history.tenant_clause();
    for table in ["record", "leaf", "checkpoint", "subtree", "unnumbered"] {
        history.as_superuser(&format!("DELETE FROM {table} WHERE true {tenant}"));
    }
    world.start();
    assert_names(laptop.verify(), 0, "everything");
}

fn records_cannot_be_changed_or_deleted_as_the_server(world: World) {
    let (laptop, history) = some_history(&world);
    let is_first = history.is_record(0);
    let mut attempts = vec![
        format!("UPDATE record SET subject = 'somebody else' WHERE {is_first}"),
        format!("DELETE FROM record WHERE {is_first}"),
        "UPDATE leaf SET hash = hash WHERE number = 0".to_owned(),
        "DELETE FROM leaf WHERE number = 0".to_owned(),
        "DELETE FROM checkpoint".to_owned(),
    ];
    match world.engine() {
        Engine::Postgresql => attempts.extend([
            "TRUNCATE record".to_owned(),
            "ALTER TABLE record DISABLE TRIGGER ALL".to_owned(),
            "DROP TABLE record CASCADE".to_owned(),
            "SET session_replication_role = replica".to_owned(),
        ]),
        Engine::Sqlite => {
            attempts.push(format!("INSERT OR REPLACE INTO record SELECT * FROM record WHERE {is_first}"))
        }
    }
    for attempt in attempts {
        let refusal = history.as_server(&attempt).expect_err(&attempt);
        assert!(
            ["append-only", "permission denied", "must be owner"]
                .iter()
                .any(|reason| refusal.contains(reason)),
            "{attempt}: {refusal}"
        );
    }
    laptop.verified_records();
}

fn what_was_done_to_the_platforms_history_is_named(mut world: World) {
    let machine = world.machine();
    let auditor = machine.sign_up();
    world.stop();
    let granted = world.command("admin grant").args([&auditor.account_id, "auditor"]).output().unwrap();
    assert!(granted.status.success(), "{granted:?}");
    world.start();
    let history = History::of_platform(&world);
    let middle = history.numbers() / 2;
    let verify = || machine.run(["verify", "--platform", "--json"]);
    assert_eq!(verify().json()["verified"], Value::Bool(true));
    for (column, kind) in history.columns() {
        let before = history.change(&column, &kind, middle);
        assert_names(verify(), middle, &column);
        history.restore(&column, middle, &before);
    }
    assert_eq!(verify().json()["verified"], Value::Bool(true), "it is what it was");
    history.as_superuser(&format!("DELETE FROM record WHERE {}", history.is_record(middle)));
    assert_names(verify(), middle, "the whole record");
}

/// A person with a little history, and the tables where it stands.
fn some_history(world: &World) -> (Machine, History) {
    let laptop = world.machine();
    laptop.sign_up();
    for _ in 0..6 {
        let note = laptop.scratch("note");
        fs::write(&note, unique("note ")).unwrap();
        laptop.put(&note, &unique("note-")).done();
    }
    let history = History::of(world);
    // Records get their numbers a moment after they are acknowledged.
    for _ in 0..600 {
        laptop.verified_records();
        if history.waiting() == 0 {
            break;
        }
    }
    assert_eq!(history.waiting(), 0, "every record is numbered in the end");
    assert!(history.numbers() > 6, "a record for each file");
    laptop.verified_records();
    (laptop, history)
}

#[track_caller]
fn assert_names(outcome: Outcome, number: i64, what: &str) {
    assert_eq!(outcome.status, Some(3), "{what} of record {number} was changed or removed: {outcome}");
    let documents = [&outcome.stdout, &outcome.stderr]
        .into_iter()
        .filter_map(|text| serde_json::from_str::<Value>(text).ok())
        .collect::<Vec<_>>();
    assert!(
        documents.iter().any(|document| names(document, number)),
        "verify should name record {number}, of which {what} was changed: {outcome}"
    );
}

/// Whether a document has a field about records with this number in it.
fn names(document: &Value, number: i64) -> bool {
    match document {
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            let about_records = name.contains("record") || name == "number" || name == "numbers";
            (about_records && name != "records" && has(value, number)) || names(value, number)
        }),
        Value::Array(values) => values.iter().any(|value| names(value, number)),
        _ => false,
    }
}

fn has(value: &Value, number: i64) -> bool {
    match value {
        Value::Array(values) => values.iter().any(|value| has(value, number)),
        other => other.as_i64() == Some(number),
    }
}

/// A history in the database itself.
enum History {
    /// SQLite: the file of the home.
    File(PathBuf),
    /// PostgreSQL: the database, and the home's tenant id.
    Tenant(Arc<Database>, String),
}

impl History {
    /// The only account's home is the tenant with the most records.
    fn of(world: &World) -> Self {
        match world.engine() {
            Engine::Sqlite => {
                let count = |path: &PathBuf| one_number(&Files::open(path), "SELECT count(*) FROM record");
                let files = Files::under(world.data()).with_table("record");
                Self::File(files.into_iter().max_by_key(count).expect("a file"))
            }
            Engine::Postgresql => {
                let sql = "SELECT tenant FROM record GROUP BY tenant ORDER BY count(*) DESC LIMIT 1";
                let database = world.shared_database();
                let tenant = database.rows(Role::Superuser, sql).remove(0);
                Self::Tenant(database, tenant)
            }
        }
    }

    /// The platform's own.
    fn of_platform(world: &World) -> Self {
        match world.engine() {
            Engine::Sqlite => Self::File(world.data().join("platform.db")),
            Engine::Postgresql => {
                Self::Tenant(world.shared_database(), "00000000-0000-0000-0000-000000000000".to_owned())
            }
        }
    }

    /// How many numbered records there are.
    fn numbers(&self) -> i64 {
        let sql = format!("SELECT count(*) FROM leaf WHERE true {}", self.tenant_clause());
        self.read(&sql).parse().expect("a number")
    }

    /// How many records have no number yet.
    fn waiting(&self) -> i64 {
        let sql = format!("SELECT count(*) FROM unnumbered WHERE true {}", self.tenant_clause());
        self.read(&sql).parse().expect("a number")
    }

    /// The columns of a record that say something: name and type.
    fn columns(&self) -> Vec<(String, String)> {
        match self {
            Self::File(path) => {
                let connection = Files::open(path);
                let sql = "SELECT name, lower(type) FROM pragma_table_info('record') WHERE name <> 'id'";
                let mut statement = connection.prepare(sql).unwrap();
                let columns = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
                columns.map(Result::unwrap).collect()
            }
            Self::Tenant(database, _) => {
                let sql = "SELECT attname || ' ' || format_type(atttypid, NULL) FROM pg_attribute
                    WHERE attrelid = 'record'::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('tenant', 'id')";
                let rows = database.rows(Role::Superuser, sql);
                rows.iter()
                    .map(|row| {
                        row.split_once(' ').map(|(name, kind)| (name.to_owned(), kind.to_owned())).unwrap()
                    })
                    .collect()
            }
        }
    }

    /// Changes one column by one byte (by some, where there was none), and gives what was there as a literal.
    fn change(&self, column: &str, kind: &str, number: i64) -> String {
        let is_record = self.is_record(number);
        let literal = match self {
            Self::File(_) => format!("quote({column})"),
            Self::Tenant(..) => format!("quote_nullable({column}::text)"),
        };
        let before = self.read(&format!("SELECT {literal} FROM record WHERE {is_record}"));
        let all_but_last = format!("substr({column}, 1, length({column}) - 1)");
        let last = format!("substr({column}, length({column}), 1)");
        let changed = match (self, kind) {
            (_, "integer" | "bigint") => format!("{column} + 1"),
            (_, "text") => format!(
                "CASE WHEN coalesce({column}, '') = '' THEN '0'
                      ELSE {all_but_last} || CASE {last} WHEN '0' THEN '1' ELSE '0' END END"
            ),
            (Self::File(_), "blob") => format!(
                "CASE WHEN coalesce(length({column}), 0) = 0 THEN zeroblob(16)
                      ELSE CAST({all_but_last} || CASE {last} WHEN x'00' THEN x'01' ELSE x'00' END AS BLOB) END"
            ),
            (Self::Tenant(..), "bytea") => format!(
                "CASE WHEN coalesce(length({column}), 0) = 0 THEN decode(repeat('00', 16), 'hex')
                      ELSE {all_but_last} || CASE {last} WHEN '\\x00'::bytea THEN '\\x01'::bytea ELSE '\\x00'::bytea END END"
            ),
            (Self::Tenant(..), "uuid") => "gen_random_uuid()".to_owned(),
            (_, other) => panic!("a column of type {other}: say here how to change it"),
        };
        self.as_superuser(&format!("UPDATE record SET {column} = {changed} WHERE {is_record}"));
        before
    }

    fn restore(&self, column: &str, number: i64, before: &str) {
        self.as_superuser(&format!("UPDATE record SET {column} = {before} WHERE {}", self.is_record(number)));
    }

    /// A condition that holds for the record of this number alone.
    fn is_record(&self, number: i64) -> String {
        let tenant = self.tenant_clause();
        format!("id = (SELECT record FROM leaf WHERE number = {number} {tenant}) {tenant}")
    }

    fn tenant_clause(&self) -> String {
        match self {
            Self::File(_) => String::new(),
            Self::Tenant(_, tenant) => format!("AND tenant = '{tenant}'"),
        }
    }

    /// One value, as text.
    fn read(&self, sql: &str) -> String {
        match self {
            Self::File(path) => Files::open(path)
                .query_row(sql, [], |row| {
                    Ok(match row.get_ref(0)? {
                        rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                        rusqlite::types::ValueRef::Null => "NULL".to_owned(),
                        other => String::from_utf8_lossy(other.as_bytes()?).into_owned(),
                    })
                })
                .unwrap_or_else(|error| panic!("{sql}: {error}")),
            Self::Tenant(database, _) => database.rows(Role::Superuser, sql).remove(0),
        }
    }

    /// Runs a statement with every safeguard out of the way: what only the machine's owner can do.
    fn as_superuser(&self, sql: &str) {
        match self {
            Self::File(path) => {
                let connection = patient(path);
                let mut statement =
                    connection.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").unwrap();
                let triggers: Vec<(String, String)> = statement
                    .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
                    .and_then(Iterator::collect)
                    .unwrap();
                drop(statement);
                let dropped: String =
                    triggers.iter().map(|(name, _)| format!("DROP TRIGGER {name};\n")).collect();
                let made: String = triggers.iter().map(|(_, text)| format!("{text};\n")).collect();
                let script = format!("BEGIN IMMEDIATE;\n{dropped}{sql};\n{made}COMMIT;");
                connection.execute_batch(&script).unwrap_or_else(|error| panic!("{script}: {error}"));
            }
            Self::Tenant(database, _) => {
                database.rows(Role::Superuser, &format!("SET session_replication_role = replica; {sql}"));
            }
        }
    }

    /// Runs a statement as the server itself could: as its role, or with an ordinary connection to the file.
    fn as_server(&self, sql: &str) -> Result<(), String> {
        match self {
            Self::File(path) => patient(path).execute_batch(sql).map_err(|error| error.to_string()),
            Self::Tenant(database, tenant) => {
                database.run(Role::App, &format!("SET bailiwick.tenant = '{tenant}'; {sql}")).map(drop)
            }
        }
    }
}

/// A connection that waits for its turn beside the running server.
fn patient(path: &Path) -> Connection {
    let connection = Files::open(path);
    connection.busy_timeout(Duration::from_secs(30)).unwrap();
    connection
}

fn one_number(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
}
