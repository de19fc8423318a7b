// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Taking people over from another system: `bailiwick import-users`.
//!
//! A line each is read, checked and stored in batches, so that memory does not grow with the file. Storing somebody twice
//! changes nothing: after an interruption the same file is given again, whole or from a line on. What is said of a
//! line names neither the address nor the hash. When nobody reads it any more, the import goes on to its end and then fails: the
//! same file, given again, tells the rest.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use custody::Custody;
use identity::{Identity, Import, ImportReject, ImportedUser};
use serde_json::{Map, Value, json};
use store::{Door, Record, TenantId};
use zeroize::Zeroizing;

use crate::admin::door;
use crate::cli::{Flags, eprint, print, with_config};
use crate::config::{Config, ConfigError};
use crate::output;
use crate::start::{StartError, entry, identity_settings, root_keys};

/// `bailiwick import-users …`
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    flags: Flags,
    /// The file, or `-` for standard input.
    file: PathBuf,
    /// Go on from this line, the first being 1.
    #[arg(long, value_name = "LINE", default_value_t = 1)]
    from_line: u64,
}

/// The longest line, in bytes.
const MAX_LINE: u64 = 16 * 1024;
/// People that are stored in one transaction.
const BATCH: usize = 1_000;
/// How often it is said how far the import is, in lines.
const TELL_EVERY: u64 = 10_000;
/// The longest external id, in characters.
const MAX_EXTERNAL_ID: usize = 256;

pub(crate) fn run(arguments: Arguments) -> ExitCode {
    let Arguments { flags, file, from_line } = arguments;
    with_config(&flags, false, move |config| import(config, file, from_line))
}

async fn import(config: Config, file: PathBuf, from_line: u64) -> Result<(), StartError> {
    let refused = |why: String| StartError::Config(ConfigError::Refused { setting: "file", why });
    let unreadable = |error: io::Error| refused(format!("{} cannot be read: {error}", file.display()));
    let input: Box<dyn BufRead + Send> = if file.as_os_str() == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        Box::new(BufReader::with_capacity(1 << 16, File::open(&file).map_err(unreadable)?))
    };
    let (store, door) = door(&config).await?;
    let mut tx = door.write(TenantId::PLATFORM, entry("users.import")).await?;
    let custody = Custody::open(root_keys(&config, &mut tx).await?, &mut tx).await?;
    let identity = Identity::open(custody, &mut tx, identity_settings(&config)).await?;
    tx.commit(Record::about("import")).await?;

    let mut lines = Lines { input, number: 0 };
    let mut run =
        Run { identity, door, batch: Vec::with_capacity(BATCH), totals: Totals::default(), stored: 0 };
    while let Some(line) = lines.next().map_err(unreadable)? {
        if lines.number < from_line {
            continue;
        }
        run.take(lines.number, line).await.inspect_err(|_| {
            eprint(&format!("stored up to line {}; give the same file again, or --from-line", run.stored));
        })?;
        if lines.number.is_multiple_of(TELL_EVERY) {
            eprint(&format!("at line {}", lines.number));
        }
    }
    run.store(lines.number).await?;
    let Totals { lines, imported, known, rejected } = run.totals;
    print(&json!({ "lines": lines, "imported": imported, "known": known, "rejected": rejected }).to_string());
    store.close().await;
    output::require_told()
}

/// Lines of a file of any size.
struct Lines {
    input: Box<dyn BufRead + Send>,
    number: u64,
}

impl Lines {
    /// The next line, without its end; `Some(None)` is one that is too long.
    fn next(&mut self) -> io::Result<Option<Option<Zeroizing<Vec<u8>>>>> {
        let mut line = Zeroizing::new(Vec::with_capacity(512));
        let read = (&mut self.input).take(MAX_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if read as u64 == MAX_LINE {
            self.input.skip_until(b'\n')?;
            return Ok(Some(None));
        }
        Ok(Some(Some(line)))
    }
}

#[derive(Default)]
struct Totals {
    lines: u64,
    imported: u64,
    known: u64,
    rejected: u64,
}

/// An import under way.
struct Run {
    identity: Identity,
    door: Door,
    batch: Vec<(u64, Option<String>, ImportedUser)>,
    totals: Totals,
    /// The last line of the last batch.
    stored: u64,
}

impl Run {
    async fn take(&mut self, number: u64, line: Option<Zeroizing<Vec<u8>>>) -> Result<(), StartError> {
        let parsed = match line {
            None => Err(Reject::TooLong),
            // An empty line is none, such as the last one of some editors.
            Some(line) if line.iter().all(u8::is_ascii_whitespace) => return Ok(()),
            Some(line) => parse(&line, self.door.store().clock().now_ms()),
        };
        self.totals.lines += 1;
        match parsed {
            Ok((external_id, user)) => self.batch.push((number, external_id, user)),
            Err(reject) => self.reject(number, &reject, None),
        }
        if self.batch.len() >= BATCH { self.store(number).await } else { Ok(()) }
    }

    async fn store(&mut self, up_to: u64) -> Result<(), StartError> {
        if !self.batch.is_empty() {
            let mut tx = self.door.write(TenantId::PLATFORM, entry("users.import")).await?;
            let (places, users): (Vec<_>, Vec<_>) =
                self.batch.drain(..).map(|(line, external_id, user)| ((line, external_id), user)).unzip();
            let outcomes =
                self.identity.import_users(&mut tx, &users).await.map_err(identity::StartError::from)?;
            tx.commit(Record::about("imported-users")).await?;
            for ((line, external_id), outcome) in places.into_iter().zip(outcomes) {
                self.tell(line, external_id, outcome);
            }
        }
        self.stored = up_to;
        Ok(())
    }

    fn tell(&mut self, line: u64, external_id: Option<String>, outcome: Import) {
        let (number, outcome) = match outcome {
            Import::Imported(number) => {
                self.totals.imported += 1;
                (number, "imported")
            }
            Import::Known(number) => {
                self.totals.known += 1;
                (number, "known")
            }
            Import::HasAccount(number) => {
                let whose = external_id.map(|external_id| {
                    json!({ "external_id": external_id, "account_id": number.as_str(), "outcome": "has_account" })
                });
                return self.reject(line, &Reject::HasAccount, whose);
            }
        };
        if let Some(external_id) = external_id {
            let told = json!({
                "line": line, "external_id": external_id, "account_id": number.as_str(), "outcome": outcome,
            });
            print(&told.to_string());
        }
    }

    /// Says why a line is not taken, and whose it is where that is known.
    fn reject(&mut self, line: u64, reject: &Reject, whose: Option<Value>) {
        self.totals.rejected += 1;
        let mut told = json!({ "line": line, "rejected": reject.code(), "reason": reject.to_string() });
        if let (Value::Object(told), Some(Value::Object(whose))) = (&mut told, whose) {
            told.extend(whose);
        }
        print(&told.to_string());
    }
}

/// Why a line is not taken. Says nothing of what stands in it but the names of fields.
#[derive(Debug, thiserror::Error)]
enum Reject {
    #[error("the line is longer than {MAX_LINE} bytes")]
    TooLong,
    #[error("the line is not a JSON object")]
    Json,
    #[error("the field {0} is missing or is not what it should be: {1}")]
    Field(&'static str, &'static str),
    #[error("there is a field that is none of email, hash, external_id and created_at")]
    UnknownField,
    #[error(transparent)]
    User(#[from] ImportReject),
    #[error("there is an account with this address already")]
    HasAccount,
}

impl Reject {
    fn code(&self) -> &'static str {
        match self {
            Reject::TooLong => "too_long",
            Reject::Json => "json",
            Reject::Field(field, _) => field,
            Reject::UnknownField => "unknown_field",
            Reject::User(ImportReject::Email(_)) => "email",
            Reject::User(ImportReject::Hash(_)) => "hash",
            Reject::User(ImportReject::CreatedAt) => "created_at",
            Reject::User(_) => "user",
            Reject::HasAccount => "has_account",
        }
    }
}

fn parse(line: &[u8], now_ms: i64) -> Result<(Option<String>, ImportedUser), Reject> {
    let fields: Map<String, Value> = serde_json::from_slice(line).map_err(|_| Reject::Json)?;
    if fields.keys().any(|name| !["email", "hash", "external_id", "created_at"].contains(&name.as_str())) {
        return Err(Reject::UnknownField);
    }
    let text = |name: &'static str| {
        fields.get(name).and_then(Value::as_str).ok_or(Reject::Field(name, "a text is expected"))
    };
    let created_at = match fields.get("created_at") {
        None | Some(Value::Null) => None,
        Some(value) => Some(moment(value).ok_or(Reject::Field(
            "created_at",
            "milliseconds since 1970, or a time as of RFC 3339, are expected",
        ))?),
    };
    let external_id = match fields.get("external_id") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) if id.chars().count() <= MAX_EXTERNAL_ID => Some(id.clone()),
        Some(Value::Number(id)) => Some(id.to_string()),
        Some(_) => {
            return Err(Reject::Field("external_id", "at most 256 characters or a number are expected"));
        }
    };
    Ok((external_id, ImportedUser::parse(text("email")?, text("hash")?, created_at, now_ms)?))
}

fn moment(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond),
        value => value.as_i64(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops where its claim does not hold")]
mod tests {
    use super::*;

    const HASH: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

    fn refused(line: &str) -> String {
        let reject = parse(line.as_bytes(), 2_000).map(|_| ()).unwrap_err();
        assert!(!reject.to_string().contains("secret"), "{reject}");
        reject.code().to_owned()
    }

    #[test]
    fn a_line_is_taken_or_the_field_at_fault_is_named() {
        let line = |more: &str| format!(r#"{{"email": "ada@example.org", "hash": "{HASH}"{more}}}"#);
        for more in [
            "",
            r#", "external_id": 7"#,
            r#", "created_at": 1000"#,
            r#", "created_at": "1970-01-01T00:00:01Z""#,
        ] {
            assert!(parse(line(more).as_bytes(), 2_000).is_ok(), "{more}");
        }
        assert_eq!(refused("secret"), "json");
        assert_eq!(refused(r#"["secret"]"#), "json");
        assert_eq!(refused(&line(r#", "secret": 1"#)), "unknown_field");
        assert_eq!(refused(r#"{"email": "ada@example.org"}"#), "hash");
        assert_eq!(refused(r#"{"hash": "secret"}"#), "email");
        assert_eq!(refused(r#"{"email": "secret", "hash": "secret"}"#), "email");
        assert_eq!(refused(r#"{"email": "ada@example.org", "hash": "secret"}"#), "hash");
        assert_eq!(refused(&line(r#", "created_at": 3000"#)), "created_at");
        assert_eq!(refused(&line(r#", "created_at": "secret""#)), "created_at");
        assert_eq!(refused(&line(r#", "external_id": ["secret"]"#)), "external_id");
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let text = format!("first\n{}\nthird", "x".repeat(1 << 20));
        let mut lines = Lines { input: Box::new(io::Cursor::new(text)), number: 0 };
        assert_eq!(lines.next().unwrap().unwrap().unwrap().as_slice(), b"first");
        assert!(lines.next().unwrap().unwrap().is_none());
        assert_eq!(lines.next().unwrap().unwrap().unwrap().as_slice(), b"third");
        assert!(lines.next().unwrap().is_none());
        assert_eq!(lines.number, 3);
    }
}
