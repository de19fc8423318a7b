// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every setting with what it is and its default, as a file to begin with; and variables that are no setting.
//!
//! The words are those that stand beside the fields of [`Config`]: said once, they cannot differ.

use serde_json::Value;

use super::reading::meant;
use super::{Config, ConfigError, SECRETS, Warning};

/// Where the fields and their words stand.
const SOURCE: &str = include_str!("../config.rs");

/// Variables of the command line's client and of the build.
const OTHER_VARIABLES: [&str; 9] =
    ["CONFIG", "CONFIG_DIR", "SERVER", "CA_FILE", "API_KEY", "API_KEY_FILE", "TENANT", "KEYCHAIN", "BIN"];

/// Settings that are not set by default, with what they may be.
const EXAMPLES: [(&str, &str); 4] = [
    ("redirect_listen", "\"0.0.0.0:80\""),
    ("name_server", "\"192.0.2.53:53\""),
    ("email_code", "true"),
    ("metrics_listen", "\"127.0.0.1:7342\""),
];

/// A configuration file in which every setting is commented out, with its default.
pub(crate) fn commented() -> Result<String, ConfigError> {
    let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    let mut text = String::from(
        "# Settings of `bailiwick serve`. What is commented out is the default, or an example where it says so.\n\
         # In the environment: BAILIWICK_ and the name in capitals, which goes before this file; flags go before both.\n",
    );
    let secrets = SECRETS.map(|name| format!("BAILIWICK_{}_FILE", name.to_uppercase()));
    text.push_str(&format!("# Secrets may stand in files of their own: {}.\n", secrets.join(", ")));
    for (name, about) in described() {
        text.push('\n');
        for line in about {
            text.push_str(&format!("# {line}\n"));
        }
        // Strings, numbers, truth values and arrays of them look the same in JSON and in TOML.
        let default = defaults.get(name).filter(|value| !value.is_null()).map(Value::to_string);
        let example = EXAMPLES.iter().find(|(known, _)| *known == name).map_or("", |(_, example)| example);
        if default.is_none() {
            text.push_str("# Not set by default; an example:\n");
        }
        text.push_str(&format!("# {name} = {}\n", default.as_deref().unwrap_or(example)));
    }
    Ok(text)
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
    let why = |name: &str| match meant(name.trim_start_matches("BAILIWICK_"), &settings) {
        Some(known) => {
            format!("this variable is not a setting: did you mean BAILIWICK_{}?", known.to_uppercase())
        }
        None => {
            "this variable is not a setting: `bailiwick check --print-defaults` lists them all".to_owned()
        }
    };
    Ok(unknown.map(|name| Warning { why: why(&name), setting: name }).collect())
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
        let used = |with_examples: bool| -> Value {
            let used: String = text
                .lines()
                .filter_map(|line| line.strip_prefix("# "))
                .filter(|line| names.iter().any(|name| line.starts_with(&format!("{name} = "))))
                .filter(|line| {
                    with_examples || !EXAMPLES.iter().any(|(name, _)| line.starts_with(&format!("{name} = ")))
                })
                .map(|line| format!("{line}\n"))
                .collect();
            let file = std::env::temp_dir().join(format!("bailiwick-{}.toml", uuid::Uuid::new_v4()));
            std::fs::write(&file, used).unwrap();
            let read = Config::load(Some(&file), serde_json::json!({}));
            std::fs::remove_file(&file).unwrap();
            serde_json::to_value(read.map_err(|error| error.to_string()).unwrap()).unwrap()
        };
        let defaults = serde_json::to_value(Config::default()).unwrap();
        assert_eq!(used(false), defaults);
        // What has no default can be set as it is shown.
        let with_examples = used(true);
        for name in names {
            let is_example = EXAMPLES.iter().any(|(known, _)| *known == name);
            assert_eq!(defaults[&name].is_null(), is_example, "{name}");
            assert_eq!(with_examples[&name] != defaults[&name], is_example, "{name}");
        }
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
        assert!(names(&["BAILIWICK_TENANT", "BAILIWICK_KEYCHAIN", "BAILIWICK_API_KEY"]).is_empty());
        let warnings = unknown_variables(["BAILIWICK_LISTN".to_owned()].into_iter()).unwrap();
        assert!(warnings[0].why.contains("BAILIWICK_LISTEN"), "{}", warnings[0].why);
        assert_eq!(names(&["BAILIWICK_QUOTA_BYTES_FILE"]), ["BAILIWICK_QUOTA_BYTES_FILE"]);
    }
}
