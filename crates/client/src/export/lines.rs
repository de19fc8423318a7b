// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An export's files of JSON, written and read.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ExportError;
use crate::files::disk::{self, NewFile};

/// A file of JSON lines that is being written.
pub(super) struct Lines {
    new: NewFile,
    buffer: Vec<u8>,
    path: PathBuf,
}

impl Lines {
    pub(super) fn create(path: &Path) -> Result<Self, ExportError> {
        let new = NewFile::create(path).map_err(|error| ExportError::Local(path.to_owned(), error))?;
        Ok(Lines { new, buffer: Vec::new(), path: path.to_owned() })
    }

    pub(super) fn create_within(root: &Path, name: &str) -> Result<Self, ExportError> {
        disk::private_folder(root).map_err(|error| ExportError::Local(root.to_owned(), error))?;
        Self::create(&root.join(name))
    }

    pub(super) fn push(&mut self, value: &impl Serialize) -> Result<(), ExportError> {
        serde_json::to_writer(&mut self.buffer, value).map_err(|error| self.failed(error.into()))?;
        self.buffer.push(b'\n');
        if self.buffer.len() > FLUSH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), ExportError> {
        let written = self.new.write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(|error| self.failed(error))
    }

    pub(super) fn finish(mut self) -> Result<(), ExportError> {
        self.flush()?;
        let path = self.path;
        self.new.finish(None, None).map_err(|error| ExportError::Local(path, error))
    }

    fn failed(&self, error: io::Error) -> ExportError {
        ExportError::Local(self.path.clone(), error)
    }
}

pub(super) fn write_lines<T: Serialize>(path: &Path, values: &[T]) -> Result<(), ExportError> {
    let mut lines = Lines::create(path)?;
    for value in values {
        lines.push(value)?;
    }
    lines.finish()
}

pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ExportError> {
    let failed = |error| ExportError::Local(path.to_owned(), error);
    let json = serde_json::to_vec_pretty(value).map_err(|error| failed(error.into()))?;
    disk::write_private(path, &json).map_err(failed)
}

/// Writes a file whose name has folders in it. Tiles name their own places, in digits and a few letters.
pub(super) fn write_within(root: &Path, name: &str, bytes: &[u8]) -> Result<(), ExportError> {
    let path = root.join(name);
    let failed = |error| ExportError::Local(path.clone(), error);
    if let Some(folder) = path.parent() {
        disk::private_folder(folder).map_err(failed)?;
    }
    disk::write_private(&path, bytes).map_err(failed)
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, ExportError> {
    let bytes = fs::read(path).map_err(|error| ExportError::Local(path.to_owned(), error))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| ExportError::NotAnExport(path.to_owned(), error.to_string()))
}

pub(super) fn read_lines<T: DeserializeOwned>(
    path: &Path,
) -> Result<impl Iterator<Item = Result<T, ExportError>> + use<T>, ExportError> {
    let file = File::open(path).map_err(|error| ExportError::Local(path.to_owned(), error))?;
    let path = path.to_owned();
    Ok(BufReader::new(file).lines().map(move |line| {
        let line = line.map_err(|error| ExportError::Local(path.clone(), error))?;
        serde_json::from_str(&line).map_err(|error| ExportError::NotAnExport(path.clone(), error.to_string()))
    }))
}

const FLUSH: usize = 1 << 20;
