// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Somebody who has the server's disk: reads it through, and rewrites what happened.

use std::fs;
use std::path::{Path, PathBuf};

use protocol::{AccountId, TenantId};
use rusqlite::Connection;

use super::DemoError;
use super::stage::failed;

/// A tenant's database file, with what stood beside it before it was touched.
pub(super) struct Stolen {
    file: PathBuf,
    copy: PathBuf,
}

/// The files under a folder in which these bytes stand.
pub(super) fn search(folder: &Path, bytes: &[u8]) -> Result<(usize, Vec<PathBuf>), DemoError> {
    let (mut searched, mut found, mut waiting) = (0, Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| failed(&folder, error))? {
            let path = entry.map_err(|error| failed(&folder, error))?.path();
            if path.is_dir() {
                waiting.push(path);
                continue;
            }
            let content = fs::read(&path).map_err(|error| failed(&path, error))?;
            searched += 1;
            if content.windows(bytes.len()).any(|window| window == bytes) {
                found.push(path);
            }
        }
    }
    Ok((searched, found))
}

impl Stolen {
    /// The file of this tenant, and a copy of it in `beside`. The server must have stopped.
    pub(super) fn take(data: &Path, tenant: TenantId, beside: PathBuf) -> Result<Stolen, DemoError> {
        let name = tenant.uuid().simple().to_string();
        let mut waiting = vec![data.join("tenants")];
        while let Some(folder) = waiting.pop() {
            for entry in fs::read_dir(&folder).map_err(|error| failed(&folder, error))? {
                let path = entry.map_err(|error| failed(&folder, error))?.path();
                let is_its = path.file_name().is_some_and(|file| file.to_string_lossy().contains(&name));
                if path.is_dir() {
                    waiting.push(path);
                } else if is_its && path.extension().is_some_and(|extension| extension == "db") {
                    // What is still in the log beside it goes into the file first.
                    Connection::open(&path)?.pragma_update(None, "wal_checkpoint", "TRUNCATE")?;
                    fs::copy(&path, &beside).map_err(|error| failed(&path, error))?;
                    return Ok(Stolen { file: path, copy: beside });
                }
            }
        }
        Err(DemoError::Wrong(format!("there is no database file of {tenant}")))
    }

    /// The file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Makes it look as if somebody else had done what somebody did, past the database's own guards. Gives the statement that
    /// did it.
    pub(super) fn blame(
        &self,
        action: &str,
        innocent: AccountId,
        culprit: AccountId,
    ) -> Result<String, DemoError> {
        let database = Connection::open(&self.file)?;
        let mut statement = database
            .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'record'")?;
        let guards: Vec<(String, String)> = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, rusqlite::Error>>()?;
        drop(statement);
        for (guard, _) in &guards {
            database.execute_batch(&format!("DROP TRIGGER \"{guard}\""))?;
        }
        let changed = database.execute(
            "UPDATE record SET actor = ?1 WHERE action = ?2 AND actor = ?3",
            [innocent.to_string(), action.to_owned(), culprit.to_string()],
        )?;
        for (_, guard) in &guards {
            database.execute_batch(guard)?;
        }
        if changed == 0 {
            return Err(DemoError::Wrong("there is no record to change".to_owned()));
        }
        Ok(format!(
            "UPDATE record SET actor = '{innocent}' WHERE action = '{action}' AND actor = '{culprit}'"
        ))
    }

    /// Puts the file back as it was.
    pub(super) fn put_back(&self) -> Result<(), DemoError> {
        for beside in ["db-wal", "db-shm"] {
            let path = self.file.with_extension(beside);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(failed(&path, error));
                }
                _ => {}
            }
        }
        fs::copy(&self.copy, &self.file).map(drop).map_err(|error| failed(&self.file, error))
    }
}
