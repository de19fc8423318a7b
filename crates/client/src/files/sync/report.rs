// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a run says that it did.

use serde::Serialize;

use crate::output::harmless;

/// What a run did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SyncReport {
    /// Files that were copied.
    pub copied: Vec<String>,
    /// Files that were the same.
    pub unchanged: u64,
    /// Files that were removed.
    pub removed: Vec<String>,
    /// Files that both sides had changed, and where the other side's content was kept.
    pub conflicts: Vec<SyncConflict>,
    /// What is left out, and why: links, devices, empty folders, names that cannot be used here.
    pub skipped: Vec<LeftOut>,
    /// What could not be read, and why: whether there are files in it nobody knows.
    pub unreadable: Vec<LeftOut>,
    /// The remote side's state that was seen.
    pub sequence: u64,
}

/// Something that was not synchronised.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    /// What.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// A file that both sides had changed.
#[derive(Clone, Debug, Serialize)]
pub struct SyncConflict {
    /// The file.
    pub path: String,
    /// The local file with the content that would have been lost.
    pub kept_as: String,
}

impl SyncReport {
    /// The same for people.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for conflict in &self.conflicts {
            text.push_str(&format!(
                "Both sides changed {}: the other is in {}.\n",
                harmless(&conflict.path),
                harmless(&conflict.kept_as)
            ));
        }
        for left_out in &self.skipped {
            text.push_str(&format!("Left out {}: {}.\n", harmless(&left_out.path), left_out.reason));
        }
        text.push_str(&format!(
            "Copied {}, unchanged {}, removed {}, conflicts {}.",
            self.copied.len(),
            self.unchanged,
            self.removed.len(),
            self.conflicts.len()
        ));
        text
    }
}
