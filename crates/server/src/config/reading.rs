// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From what was given to settings. Whatever cannot be read is said together, and each by the name under which it was given: a
//! variable by its own, what stands in a file with the file.

use figment::error::Kind;
use figment::providers::Serialized;
use figment::value::{Dict, Value};
use figment::{Figment, Metadata, Source};

use super::{Config, ConfigError, SECRETS};

/// What an address to listen on or to ask looks like.
pub(crate) const AN_ADDRESS: &str = "expected an address and a port, such as 127.0.0.1:7341";

/// Settings that are such addresses.
const ADDRESSES: [&str; 4] = ["listen", "metrics_listen", "name_server", "redirect_listen"];

/// Reads all settings, or says of each what is wrong with it.
pub(super) fn read(figment: &Figment) -> Result<Config, ConfigError> {
    let error = match figment.extract() {
        Ok(config) => return Ok(config),
        Err(error) => Box::new(error),
    };
    // What is not well formed has no settings.
    let Ok(given) = figment.extract::<Dict>() else { return Err(error.into()) };
    let names = Config::names()?;
    let mut faults = Vec::new();
    for (name, value) in &given {
        let why = if names.contains(name) { fault(name, value) } else { Some(unknown(name, &names)) };
        let misread = |why| ConfigError::Misread { place: place(name, figment.find_metadata(name)), why };
        faults.extend(why.map(misread));
    }
    Err(ConfigError::of_all(faults).unwrap_or(ConfigError::Unreadable(error)))
}

/// The one of `names` that whoever wrote `name` may have meant.
pub(super) fn meant<'a>(name: &str, names: &'a [String]) -> Option<&'a str> {
    let name = name.to_lowercase();
    let nearest = names.iter().map(|known| (slips(&name, known), known)).min();
    let near = nearest.filter(|(slips, _)| slips * 3 <= name.len()).map(|(_, known)| known);
    let begun = || names.iter().find(|known| name.len() > 2 && known.starts_with(&name));
    near.or_else(begun).map(String::as_str)
}

/// What is wrong with a value, when it is all that is given.
fn fault(name: &str, value: &Value) -> Option<String> {
    let alone = Figment::from(Serialized::defaults(Config::default())).merge((name, value));
    let error = alone.extract::<Config>().err()?;
    let is_secret = SECRETS.contains(&name);
    let expected = match error.kind {
        _ if ADDRESSES.contains(&name) => AN_ADDRESS.to_owned(),
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => match expected.as_str() {
            "a boolean" => "expected true or false".to_owned(),
            "a string" | "path string" => "expected text, in quotation marks".to_owned(),
            "u32" | "u64" | "usize" => "expected a whole number, not below zero".to_owned(),
            other => format!("expected {other}"),
        },
        Kind::UnknownVariant(_, known) => format!("expected one of {}", known.join(", ")),
        // Of a list, serde says no more than that it is none.
        Kind::Message(said) if said.contains("untagged") => "expected a list of texts".to_owned(),
        Kind::Message(said) => return Some(said),
        other if !is_secret => return Some(other.to_string()),
        _ => "expected text".to_owned(),
    };
    let found = value.as_str().filter(|_| !is_secret).map(|found| format!(", found {found:?}"));
    Some(expected + &found.unwrap_or_default())
}

fn unknown(name: &str, names: &[String]) -> String {
    match meant(name, names) {
        Some(known) => format!("there is no such setting: did you mean {known}?"),
        None => "there is no such setting: `bailiwick check --print-defaults` lists them all".to_owned(),
    }
}

fn place(name: &str, given: Option<&Metadata>) -> String {
    let file = given.and_then(|given| given.source.as_ref()).and_then(Source::file_path);
    match file {
        Some(file) => format!("{name} (in {})", file.display()),
        None if given.is_some_and(|given| given.name.contains("environment")) => {
            format!("BAILIWICK_{}", name.to_uppercase())
        }
        None => name.to_owned(),
    }
}

/// How many letters were left out, put in or mistaken (Levenshtein's distance).
fn slips(written: &str, known: &str) -> usize {
    let mut above: Vec<usize> = (0..=known.chars().count()).collect();
    for (line, letter) in written.chars().enumerate() {
        let (mut corner, mut left) = (line, line + 1);
        let mut row = vec![left];
        for (other, above) in known.chars().zip(above.iter().skip(1)) {
            left = (corner + usize::from(letter != other)).min(above + 1).min(left + 1);
            corner = *above;
            row.push(left);
        }
        above = row;
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a file with this in it, one fault a line.
    fn said(text: &str) -> Vec<String> {
        let file = std::env::temp_dir().join(format!("bailiwick-{}.toml", uuid::Uuid::new_v4()));
        std::fs::write(&file, text).unwrap();
        let error = Config::load(Some(&file), serde_json::json!({})).err();
        std::fs::remove_file(&file).unwrap();
        let faults = match error {
            None => Vec::new(),
            Some(ConfigError::Several(faults)) => faults,
            Some(fault) => vec![fault],
        };
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        faults
            .iter()
            .map(|fault| {
                let text = fault.to_string();
                assert!(text.contains(&name), "names the file: {text}");
                let (setting, rest) = text.split_once(" (in ").unwrap();
                format!("{setting}: {}", rest.split_once("): ").unwrap().1)
            })
            .collect()
    }

    #[test]
    fn every_fault_of_a_file_is_said_with_what_was_expected() {
        let text = "acces_token_minutes = 5\nlisten = \"localhost:17381\"\nname_server = \"1.1.1.1\"\n\
                    production = \"yes\"\nquota_items = -1\nrequest_audit = \"some\"\n";
        assert_eq!(
            said(text),
            [
                "acces_token_minutes: there is no such setting: did you mean access_token_minutes?",
                "listen: expected an address and a port, such as 127.0.0.1:7341, found \"localhost:17381\"",
                "name_server: expected an address and a port, such as 127.0.0.1:7341, found \"1.1.1.1\"",
                "production: expected true or false, found \"yes\"",
                "quota_items: expected a whole number, not below zero",
                "request_audit: expected one of all, changes, off, found \"some\"",
            ]
        );
        assert!(said("production = true\n").is_empty());
    }

    #[test]
    fn a_secret_is_not_said_back() {
        let said = said("s3_secret_access_key = 271828182845\n");
        assert_eq!(said, ["s3_secret_access_key: expected text, in quotation marks"]);
    }

    #[test]
    fn the_setting_that_was_meant_is_the_nearest_or_the_one_that_was_begun() {
        let names = Config::names().unwrap();
        for (written, known) in [
            ("LISTN", Some("listen")),
            ("acces_token_minutes", Some("access_token_minutes")),
            ("tls_cert", Some("tls_certificate")),
            ("colour", None),
        ] {
            assert_eq!(meant(written, &names), known, "{written}");
        }
        assert_eq!((slips("", "abc"), slips("abc", ""), slips("kitten", "sitting")), (3, 3, 3));
    }
}
