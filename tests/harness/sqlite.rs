// SPDX-License-Identifier: Apache-2.0 OR MIT

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

/// The SQLite files under a data folder.
pub struct Files(Vec<PathBuf>);

impl Files {
    /// Finds them by their first bytes, whatever their names.
    pub fn under(folder: &Path) -> Self {
        let mut files = Vec::new();
        crate::files::visit(folder, &mut |path| {
            let mut magic = [0; 16];
            let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
            if read.is_ok() && &magic == b"SQLite format 3\0" {
                files.push(path.to_owned());
            }
        });
        files.sort();
        Self(files)
    }

    /// Every one.
    pub fn all(&self) -> &[PathBuf] {
        &self.0
    }

    /// Those that have such a table.
    pub fn with_table(&self, table: &str) -> Vec<PathBuf> {
        let has = |path: &&PathBuf| {
            Self::open(path)
                .query_row(
                    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1",
                    [table],
                    |row| row.get::<_, i64>(0),
                )
                .is_ok_and(|count| count > 0)
        };
        self.0.iter().filter(has).cloned().collect()
    }

    /// An ordinary connection, such as anybody with the file can make.
    pub fn open(path: &Path) -> Connection {
        Connection::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}
