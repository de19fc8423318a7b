// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where a root key may lie: not beside what it opens.

use std::io;
use std::path::{Path, PathBuf};

/// The key lies in the data folder, which is tolerable in development only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocationWarning {
    key: PathBuf,
    data: PathBuf,
}

impl std::fmt::Display for LocationWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (key, data) = (self.key.display(), self.data.display());
        write!(f, "the root key {key} lies in the data folder {data}: whoever copies the folder can open it")
    }
}

/// Why the place of the root key is refused.
#[derive(Debug, thiserror::Error)]
pub enum LocationError {
    /// In production the key must not be copied along with the data.
    #[error(
        "the root key {key} lies in the data folder {data}: whoever copies the folder can open it; \
         keep it elsewhere, such as /etc/bailiwick/root.key, or give it as a secret"
    )]
    InsideData {
        /// The key file.
        key: PathBuf,
        /// The data folder.
        data: PathBuf,
    },
    /// The place cannot be looked up.
    #[error("the place {path} cannot be looked up: {source}")]
    Io {
        /// The place.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Judges where the root key lies: inside the data folder is refused in production and warned of in development.
/// Links are followed; neither needs to exist yet.
///
/// # Errors
/// [`LocationError::InsideData`] in production, [`LocationError::Io`] when a place cannot be looked up.
pub fn check_location(
    key_path: &Path,
    data_dir: &Path,
    production: bool,
) -> Result<Option<LocationWarning>, LocationError> {
    let (key, data) = (resolve(key_path)?, resolve(data_dir)?);
    match (key.starts_with(&data), production) {
        (false, _) => Ok(None),
        (true, true) => Err(LocationError::InsideData { key, data }),
        (true, false) => Ok(Some(LocationWarning { key, data })),
    }
}

/// The path without links, as far as it exists.
fn resolve(path: &Path) -> Result<PathBuf, LocationError> {
    let failed = |source| LocationError::Io { path: path.to_owned(), source };
    let absolute = std::path::absolute(path).map_err(failed)?;
    for ancestor in absolute.ancestors() {
        match ancestor.canonicalize() {
            Ok(real) => return Ok(real.join(absolute.strip_prefix(ancestor).unwrap_or(Path::new("")))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(absolute)
}
