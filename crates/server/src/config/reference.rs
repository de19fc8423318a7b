// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every setting with what it is and its default, as a file to begin with; and variables that are no setting.
//!
//! The words are those that stand beside the fields of [`Config`]: said once, they cannot differ.

use serde_json::Value;

use super::{Config, ConfigError, SECRETS, Warning};

/// Where the fields and their words stand.
const SOURCE: &str = include_str!("../config.rs");

/// Variables of the command line's client and of the build.
const OTHER_VARIABLES: [&str; 7] =
    ["CONFIG", "CONFIG_DIR", "SERVER", "CA_FILE", "API_KEY", "API_KEY_FILE", "BIN"];

/// A configuration file in which every setting is commented out, with its default.
pub(crate) fn commented() -> Result<String, ConfigError> {
    let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    let mut text = String::from(
        "# Settings of `bailiwick serve`. What is commented out is the default.\n\
         # In the environment: BAILIWICK_ and the name in capitals, which goes before this file; flags go before both.\n",
    );
    let secrets = SECRETS.map(|name| format!("BAILIWICK_{}_FILE", name.to_uppercase()));
    text.push_str(&format!("# Secrets may stand in files of their own: {}.\n", secrets.join(", ")));
    for (name, about) in described() {
        text.push('\n');
        for line in about {
            text.push_str(&format!("# {line}\n"));
        }
        text.push_str(&format!("# {name} = {}\n", literal(defaults.get(name).unwrap_or(&Value::Null))));
    }
    Ok(text)
}

/// A value as TOML writes it; what has no default is shown empty.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "\"\"".into(),
        // Strings, numbers, truth values and arrays of them look the same in JSON.
        other => other.to_string(),
    }
}

/// The name of each setting, with what stands beside it.
fn described() -> Vec<(&'static str, Vec<&'static str>)> {
    let fields = SOURCE.split_once("pub struct Config {").map_or("", |(_, rest)| rest);
    let fields = fields.split_once("\n}").map_or(fields, |(fields, _)| fields);
    let (mut all, mut about) = (Vec::new(), Vec::new());
    for line in fields.lines().map(str::trim) {
        if let Some(words) = line.strip_prefix("///") {
            about.push(words.trim());
        } else if let Some((name, _)) = line.strip_prefix("pub ").and_then(|field| field.split_once(':')) {
            all.push((name, std::mem::take(&mut about)));
        }
    }
    all
}

/// Variables that look like settings and are none: a slip of the hand would go unnoticed.
pub(crate) fn unknown_variables(names: impl Iterator<Item = String>) -> Result<Vec<Warning>, ConfigError> {
    let settings = Config::names()?;
    let is_known = |rest: &str| {
        let setting = |rest: &str| settings.iter().any(|name| name.to_uppercase() == rest);
        let secret = |rest: &str| SECRETS.iter().any(|name| name.to_uppercase() == rest);
        // Of the tests and the benchmarks.
        let tests = rest.starts_with("TEST_") || rest.starts_with("BENCH_");
        setting(rest)
            || rest.strip_suffix("_FILE").is_some_and(secret)
            || OTHER_VARIABLES.contains(&rest)
            || tests
    };
    let unknown = names.filter(|name| name.strip_prefix("BAILIWICK_").is_some_and(|rest| !is_known(rest)));
    let why = "this variable is not a setting: `bailiwick check --print-defaults` lists them all";
    Ok(unknown.map(|name| Warning { setting: name, why: why.into() }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_described_and_the_file_says_what_the_defaults_are() {
        let mut described: Vec<_> = described();
        for (name, about) in &described {
            assert!(!about.is_empty(), "{name}");
        }
        described.sort_by_key(|(name, _)| *name);
        let mut names = Config::names().unwrap();
        names.sort_unstable();
        assert_eq!(described.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);

        let text = commented().unwrap();
        let used: String = text
            .lines()
            .filter_map(|line| line.strip_prefix("# "))
            .filter(|line| names.iter().any(|name| line.starts_with(&format!("{name} = "))))
            // What has no default is not to be set to nothing.
            .filter(|line| {
                !["email_code", "metrics_listen", "name_server", "redirect_listen"]
                    .iter()
                    .any(|name| line.starts_with(name))
            })
            .map(|line| format!("{line}\n"))
            .collect();
        let folder = std::env::temp_dir().join(format!("bailiwick-{}.toml", uuid::Uuid::new_v4()));
        std::fs::write(&folder, used).unwrap();
        let read = Config::load(Some(&folder), serde_json::json!({}));
        std::fs::remove_file(&folder).unwrap();
        let read = read.map_err(|error| error.to_string()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), serde_json::to_value(Config::default()).unwrap());
    }

    #[test]
    fn a_variable_that_is_no_setting_is_named() {
        let names = |names: &[&str]| {
            let warnings = unknown_variables(names.iter().map(|name| (*name).to_owned())).unwrap();
            warnings.into_iter().map(|warning| warning.setting).collect::<Vec<_>>()
        };
        assert_eq!(names(&["BAILIWICK_LISTN", "BAILIWICK_LISTEN", "PATH"]), ["BAILIWICK_LISTN"]);
        assert!(
            names(&["BAILIWICK_ROOT_KEY_FILE", "BAILIWICK_SMTP_URL_FILE", "BAILIWICK_SERVER"]).is_empty()
        );
        assert_eq!(names(&["BAILIWICK_QUOTA_BYTES_FILE"]), ["BAILIWICK_QUOTA_BYTES_FILE"]);
    }
}
