// SPDX-License-Identifier: Apache-2.0 OR MIT
//! SQLite alone: the same file format, pragmas and table, and one statement for each operation.

use std::path::Path;
use std::sync::Mutex;

use harness::noise;
use rusqlite::{Connection, params};
use tempfile::TempDir;
use uuid::Uuid;

use crate::items::{CONTENT, ITEMS, SPREAD};
use crate::machine::Place;
use crate::turns::{Cost, threads};

/// Files with a table of items, as somebody would have them who needs neither tenants nor records.
pub struct Plain {
    /// One for each home; the first serves whoever uses one.
    files: Vec<File>,
    content: Vec<u8>,
    _folder: TempDir,
}

/// One file: writers share a connection, each reader has one.
struct File {
    writer: Mutex<Connection>,
    readers: Vec<Mutex<Connection>>,
    items: Vec<Uuid>,
}

impl Plain {
    /// Makes the files.
    pub fn new(place: Place) -> Self {
        let folder = place.folder();
        let content = noise(1, CONTENT);
        let files =
            (0..SPREAD).map(|number| File::new(&folder.path().join(format!("{number}.db")), &content));
        Self { files: files.collect(), content, _folder: folder }
    }

    /// The cost of an insert while so many write, all into one file or each into its own.
    pub fn write(&self, workers: usize, spread: bool) -> Cost {
        threads(workers, |worker, _| {
            let file = &self.files[if spread { worker } else { 0 }];
            insert(&file.writer.lock().expect("a connection"), &Uuid::new_v4(), &self.content);
        })
    }

    /// The cost of a read by key.
    pub fn read(&self, workers: usize, spread: bool) -> Cost {
        threads(workers, |worker, number| {
            let file = &self.files[if spread { worker } else { 0 }];
            let reader = file.readers[worker].lock().expect("a connection");
            let item = &file.items[place(worker, number)];
            let mut statement = reader.prepare_cached(SELECT).expect("a statement");
            let sealed: Vec<u8> =
                statement.query_row(params![COLLECTION, item.as_bytes()], |row| row.get(3)).expect("an item");
            assert_eq!(sealed.len(), CONTENT);
        })
    }

    /// The cost of a transaction with all statements that the product's takes, without tenants; with the record's two or
    /// without them.
    pub fn transaction(&self, record: bool) -> Cost {
        threads(1, |_, _| {
            let writer = self.files[0].writer.lock().expect("a connection");
            let execute = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
                let mut statement = writer.prepare_cached(sql).expect("a statement");
                let mut rows = statement.query(values).expect("it runs");
                while rows.next().expect("it runs").is_some() {}
            };
            let item = Uuid::new_v4();
            writer.execute_batch("BEGIN IMMEDIATE").expect("a transaction");
            execute(
                "UPDATE collection_head SET sequence = sequence + 1 WHERE collection = ?1 RETURNING sequence",
                &[&COLLECTION],
            );
            execute(BEFORE, &[&COLLECTION, &item.as_bytes()]);
            insert(&writer, &item, &self.content);
            execute(
                "UPDATE usage SET bytes = bytes + ?1, items = items + 1 WHERE slot = 0 RETURNING bytes, items",
                &[&(CONTENT as i64)],
            );
            if record {
                let id = Uuid::new_v4();
                execute(
                    "INSERT INTO record (id, at, actor, via, action, subject, request, corrects, details)
                     VALUES (?1, 1, ?2, ?3, 'item.write', ?4, ?5, NULL, x'')",
                    &[&id.as_bytes(), &ACTOR, &ACTOR, &ACTOR, &ACTOR],
                );
                execute("INSERT INTO unnumbered (record, leaf) VALUES (?1, ?1)", &[&id.as_bytes()]);
            }
            writer.execute_batch("COMMIT").expect("a commit");
        })
    }
}

impl File {
    fn new(path: &Path, content: &[u8]) -> Self {
        let writer = connect(path);
        writer.execute_batch(TABLES).expect("tables");
        let items: Vec<_> = (0..ITEMS).map(|_| Uuid::new_v4()).collect();
        writer.execute_batch("BEGIN").expect("a transaction");
        writer
            .execute("INSERT INTO collection_head (collection, sequence) VALUES (?1, 0)", [COLLECTION])
            .expect("a row");
        writer
            .execute("INSERT INTO usage (slot, bytes, items, collections) VALUES (0, 0, 0, 1)", [])
            .expect("a row");
        items.iter().for_each(|item| insert(&writer, item, content));
        writer.execute_batch("COMMIT").expect("a commit");
        let readers = (0..SPREAD).map(|_| Mutex::new(connect(path))).collect();
        Self { writer: Mutex::new(writer), readers, items }
    }
}

/// The settings of the embedded engine.
fn connect(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("a file");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = 1; PRAGMA recursive_triggers = 1;
             PRAGMA secure_delete = 1; PRAGMA trusted_schema = 0; PRAGMA cell_size_check = 1; PRAGMA cache_size = -256;",
        )
        .expect("settings");
    connection
}

fn insert(connection: &Connection, item: &Uuid, content: &[u8]) {
    connection
        .prepare_cached(
            "INSERT INTO item (collection, id, version, sequence, sealed, size, blob, changed_at, changed_by, deleted_at)
             VALUES (?1, ?2, 1, ?3, ?4, ?5, NULL, 1, ?1, NULL)",
        )
        .and_then(|mut statement| {
            statement.execute(params![COLLECTION, item.as_bytes(), sequence(item), content, CONTENT as i64])
        })
        .expect("an insert");
}

/// A number that no other item has.
pub fn sequence(item: &Uuid) -> i64 {
    i64::try_from(item.as_u128() >> 66).expect("62 bits")
}

/// Which of the items is read next.
pub fn place(worker: usize, number: u64) -> usize {
    (worker * 61 + usize::try_from(number).expect("a number") * 7) % ITEMS
}

const COLLECTION: [u8; 16] = [7; 16];
const ACTOR: &str = "acc_0123456789abcdef0123456789abcdef";
const SELECT: &str =
    "SELECT id, version, sequence, sealed, size, blob, changed_at, changed_by, deleted_at FROM item
                      WHERE collection = ?1 AND id = ?2";
const BEFORE: &str = "SELECT version, size, CAST(length(sealed) AS BIGINT), blob, deleted_at FROM item
                      WHERE collection = ?1 AND id = ?2";
const TABLES: &str = "
CREATE TABLE item (
  collection BLOB NOT NULL, id BLOB NOT NULL, version INTEGER NOT NULL, sequence INTEGER NOT NULL, sealed BLOB NOT NULL,
  size INTEGER NOT NULL, blob BLOB, changed_at INTEGER NOT NULL, changed_by BLOB NOT NULL, deleted_at INTEGER,
  PRIMARY KEY (collection, id), UNIQUE (collection, sequence)
) STRICT;
CREATE TABLE collection_head (collection BLOB NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (collection)) STRICT;
CREATE TABLE usage (
  slot INTEGER NOT NULL, bytes INTEGER NOT NULL, items INTEGER NOT NULL, collections INTEGER NOT NULL, PRIMARY KEY (slot)
) STRICT;
CREATE TABLE record (
  id BLOB NOT NULL, at INTEGER NOT NULL, actor TEXT NOT NULL, via TEXT NOT NULL, action TEXT NOT NULL,
  subject TEXT NOT NULL, request TEXT NOT NULL, corrects BLOB, details BLOB NOT NULL, PRIMARY KEY (id)
) STRICT;
CREATE TABLE unnumbered (record BLOB NOT NULL, leaf BLOB NOT NULL, PRIMARY KEY (record)) STRICT;
";
