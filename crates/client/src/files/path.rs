// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The names of files in a drive.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The name of a file or folder in a drive: parts between slashes, none of them `.` or `..`. The empty path is the
/// drive itself. As texts are compared byte by byte, what is composed differently is another name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RemotePath(String);

impl RemotePath {
    /// The drive itself.
    pub const ROOT: RemotePath = RemotePath(String::new());

    /// Reads a path as typed: slashes at its ends and doubled ones do not count.
    ///
    /// # Errors
    /// Names the rule that it breaks.
    pub fn parse(typed: &str) -> Result<Self, PathError> {
        let parts: Vec<&str> = typed.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        for part in &parts {
            check_part(part)?;
        }
        let path = parts.join("/");
        if path.len() > MAX_PATH { Err(PathError::TooLong(path.len())) } else { Ok(RemotePath(path)) }
    }

    /// Accepts a path that was stored, which must be written as [`parse`](Self::parse) writes it.
    ///
    /// # Errors
    /// Names the rule that it breaks.
    pub fn stored(text: &str) -> Result<Self, PathError> {
        let path = Self::parse(text)?;
        if path.0 == text && !path.is_root() { Ok(path) } else { Err(PathError::NotCanonical) }
    }

    /// The path of `name` within this one.
    ///
    /// # Errors
    /// Names the rule that it breaks.
    pub fn join(&self, name: &str) -> Result<Self, PathError> {
        if self.is_root() { Self::parse(name) } else { Self::parse(&format!("{}/{name}", self.0)) }
    }

    /// What this path is called within `folder`; `None` if it is not in it. A path is not in itself.
    pub fn within(&self, folder: &RemotePath) -> Option<&str> {
        if folder.is_root() {
            return (!self.is_root()).then_some(&self.0);
        }
        self.0.strip_prefix(&folder.0)?.strip_prefix('/')
    }

    /// The folders that it lies in, from the outermost.
    pub fn folders(&self) -> impl Iterator<Item = RemotePath> + '_ {
        self.0
            .match_indices('/')
            .filter_map(|(at, _)| self.0.get(..at))
            .map(|part| RemotePath(part.to_owned()))
    }

    /// The last part.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Whether it is the drive itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RemotePath {
    type Err = PathError;

    fn from_str(typed: &str) -> Result<Self, PathError> {
        Self::parse(typed)
    }
}

/// What stands in the way of a file of this name: on no disk can a file and a folder have the same one.
///
/// # Errors
/// [`NameTaken`].
pub(crate) fn check_free<T>(files: &BTreeMap<RemotePath, T>, path: &RemotePath) -> Result<(), NameTaken> {
    if files.contains_key(path) {
        return Ok(());
    }
    if let Some(file) = path.folders().find(|folder| files.contains_key(folder)) {
        return Err(NameTaken::ByFile { path: path.clone(), file });
    }
    if is_folder(files, path) { Err(NameTaken::ByFolder { path: path.clone() }) } else { Ok(()) }
}

/// Whether there are files in `path`.
pub(crate) fn is_folder<T>(files: &BTreeMap<RemotePath, T>, path: &RemotePath) -> bool {
    let first = RemotePath(format!("{}/", path.0));
    files.range(first..).next().is_some_and(|(next, _)| next.within(path).is_some())
}

/// Why a name cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameTaken {
    /// It would lie in a file.
    #[error("{path} cannot be kept: {file} is a file, not a folder")]
    ByFile {
        /// The name.
        path: RemotePath,
        /// What would have to be a folder.
        file: RemotePath,
    },
    /// There is a folder of that name.
    #[error("{path} cannot be kept as a file: there is a folder of that name")]
    ByFolder {
        /// The name.
        path: RemotePath,
    },
}

/// The rule that a path breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// `..` leads out of a folder.
    #[error("a remote path may not contain `..`")]
    Parent,
    /// A control character, NUL or a line break among them.
    #[error("a remote path may not contain control characters")]
    Control,
    /// A part that no file system takes.
    #[error("a part of a remote path has at most 255 bytes, this one has {0}")]
    PartTooLong(usize),
    /// Longer than any file system takes.
    #[error("a remote path has at most 4096 bytes, this one has {0}")]
    TooLong(usize),
    /// No file, but the drive itself.
    #[error("the remote path names no file")]
    Empty,
    /// Written in another way than it would be stored.
    #[error("a stored path is not written in its only form")]
    NotCanonical,
    /// A name that this system keeps for something else.
    #[error("{0:?} cannot be the name of a file on this system")]
    NotOnThisSystem(String),
}

/// The parts of a stored path as names for this system's files.
pub(crate) fn local_parts(relative: &str) -> Result<Vec<&str>, PathError> {
    let parts: Vec<&str> = relative.split('/').collect();
    for part in &parts {
        check_part(part)?;
        let is_windows_name =
            part.contains(['\\', ':', '<', '>', '"', '|', '?', '*']) || part.ends_with(['.', ' ']);
        if part.is_empty() || *part == "." || (cfg!(windows) && is_windows_name) {
            return Err(PathError::NotOnThisSystem((*part).to_owned()));
        }
    }
    Ok(parts)
}

fn check_part(part: &str) -> Result<(), PathError> {
    if part == ".." {
        return Err(PathError::Parent);
    }
    if part.chars().any(char::is_control) {
        return Err(PathError::Control);
    }
    if part.len() > MAX_PART { Err(PathError::PartTooLong(part.len())) } else { Ok(()) }
}

const MAX_PATH: usize = 4096;
const MAX_PART: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_form() {
        for typed in ["a/b", "/a/b", "a/b/", "a//b", "./a/./b", "//a///b//"] {
            assert_eq!(RemotePath::parse(typed).unwrap().as_str(), "a/b", "{typed}");
        }
        for typed in ["", "/", ".", "./", "///"] {
            assert!(RemotePath::parse(typed).unwrap().is_root(), "{typed}");
        }
        assert_eq!(RemotePath::stored("a//b"), Err(PathError::NotCanonical));
        assert_eq!(RemotePath::stored(""), Err(PathError::NotCanonical));
    }

    #[test]
    fn a_path_that_breaks_a_rule_is_refused_by_its_name() {
        assert_eq!(RemotePath::parse("a/../b"), Err(PathError::Parent));
        assert_eq!(RemotePath::parse(".."), Err(PathError::Parent));
        assert_eq!(RemotePath::parse("a\nb"), Err(PathError::Control));
        assert_eq!(RemotePath::parse("a\0b"), Err(PathError::Control));
        assert_eq!(RemotePath::parse(&"x".repeat(256)), Err(PathError::PartTooLong(256)));
        let long = vec!["x".repeat(200); 21].join("/");
        assert_eq!(RemotePath::parse(&long), Err(PathError::TooLong(long.len())));
        assert!(RemotePath::parse("..a/b..").is_ok());
    }

    #[test]
    fn a_folder_holds_what_is_below_it_and_nothing_that_only_starts_alike() {
        let folder = RemotePath::parse("a/b").unwrap();
        assert_eq!(RemotePath::parse("a/b/c/d").unwrap().within(&folder), Some("c/d"));
        assert_eq!(RemotePath::parse("a/bc").unwrap().within(&folder), None);
        assert_eq!(folder.within(&folder), None);
        assert_eq!(folder.within(&RemotePath::ROOT), Some("a/b"));
    }

    #[test]
    fn a_file_and_a_folder_cannot_have_one_name() {
        let path = |text| RemotePath::parse(text).unwrap();
        let files: BTreeMap<_, _> = ["a", "b/c", "b-c", "d"].map(|text| (path(text), ())).into();
        for free in ["a", "b/c", "b/d", "b-", "c", "e/f/g"] {
            assert_eq!(check_free(&files, &path(free)), Ok(()), "{free}");
        }
        for (taken, file) in [("a/b", "a"), ("a/b/c", "a"), ("b/c/d/e", "b/c")] {
            let expected = NameTaken::ByFile { path: path(taken), file: path(file) };
            assert_eq!(check_free(&files, &path(taken)), Err(expected), "{taken}");
        }
        assert_eq!(check_free(&files, &path("b")), Err(NameTaken::ByFolder { path: path("b") }));
    }

    #[test]
    fn no_stored_name_leads_out_of_the_folder() {
        for hostile in ["../x", "a/../../x", "..", "/etc/passwd", "a//b", "./a", ""] {
            assert!(local_parts(hostile).is_err(), "{hostile}");
        }
        assert_eq!(local_parts("a/b").unwrap(), ["a", "b"]);
    }
}
