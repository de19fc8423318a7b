// SPDX-License-Identifier: Apache-2.0 OR MIT

use std::fs;
use std::path::Path;

use aho_corasick::AhoCorasick;

/// What should be nowhere, and the search for it: each secret as it is, and as hexadecimal and base64 would show it.
#[derive(Default)]
pub struct Secrets {
    labels: Vec<String>,
    patterns: Vec<Vec<u8>>,
}

impl Secrets {
    /// Nothing to look for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a secret by a name that the report may show.
    pub fn add(&mut self, label: &str, secret: impl AsRef<[u8]>) {
        let secret = secret.as_ref();
        assert!(secret.len() >= 6, "{label} is too short to look for");
        let mut forms = vec![
            ("as it is", secret.to_vec()),
            ("in hexadecimal", data_encoding::HEXLOWER.encode(secret).into_bytes()),
            ("in hexadecimal", data_encoding::HEXUPPER.encode(secret).into_bytes()),
        ];
        // Inside a longer encoded text a secret starts at any of three places within a group.
        for skew in 0..3 {
            let mut skewed = vec![0; skew];
            skewed.extend_from_slice(secret);
            // The first and the last characters depend on the neighbours.
            let start = [0, 2, 3][skew];
            let end = skewed.len() * 8 / 6;
            for (name, encoding) in
                [("in base64", data_encoding::BASE64), ("in base64url", data_encoding::BASE64URL)]
            {
                forms.push((name, encoding.encode(&skewed).as_bytes()[start..end].to_vec()));
            }
        }
        for (form, pattern) in forms {
            if !self.patterns.contains(&pattern) {
                self.labels.push(format!("{label}, {form}"));
                self.patterns.push(pattern);
            }
        }
    }

    /// The names of what these bytes hold in plain.
    pub fn in_bytes(&self, bytes: &[u8]) -> Vec<String> {
        self.searcher().find_in(bytes)
    }

    /// What the files under a folder hold in plain, their names among it: the file, and what was found.
    pub fn under(&self, folder: &Path) -> Vec<String> {
        let searcher = self.searcher();
        let mut findings = Vec::new();
        crate::files::visit(folder, &mut |path| {
            // A file that went meanwhile holds nothing.
            let bytes = fs::read(path).unwrap_or_default();
            let name = path.as_os_str().as_encoded_bytes();
            for found in searcher.find_in(&bytes).into_iter().chain(searcher.find_in(name)) {
                findings.push(format!("{}: {found}", path.display()));
            }
        });
        findings
    }

    fn searcher(&self) -> Searcher<'_> {
        let automaton = AhoCorasick::new(&self.patterns).expect("patterns of a sensible size");
        Searcher { automaton, labels: &self.labels }
    }
}

struct Searcher<'a> {
    automaton: AhoCorasick,
    labels: &'a [String],
}

impl Searcher<'_> {
    fn find_in(&self, bytes: &[u8]) -> Vec<String> {
        let mut found: Vec<String> = self
            .automaton
            .find_overlapping_iter(bytes)
            .map(|finding| self.labels[finding.pattern().as_usize()].clone())
            .collect();
        found.sort();
        found.dedup();
        found
    }
}
