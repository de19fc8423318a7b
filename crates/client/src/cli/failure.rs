// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a command says when it did not succeed, and with which status it ends.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use protocol::{Code, Problem};
use serde_json::{Value, json};

use super::interrupt;
use crate::client::account::AccountError;
use crate::client::events::EventsError;
use crate::client::pairing::PairingError;
use crate::client::signin::SignInError;
use crate::client::{ConnectError, RequestError, sentence};
use crate::export::ExportError;
use crate::files::{DriveError, GetError, PathError, PutError, RevertError, SyncError};
use crate::output::write_line;
use crate::profile::ProfileError;
use crate::sharing::SharingError;
use crate::tenant_drive::TenantDriveError;
use crate::verify::VerifyError;

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    status: u8,
    code: String,
    message: String,
    problem: Option<Box<Problem>>,
    details: Vec<Value>,
    /// What a person may do about it.
    hint: Option<String>,
}

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const VERIFICATION: u8 = 3;
const NOT_SIGNED_IN: u8 = 4;
const NOT_ALLOWED: u8 = 5;
const NOT_REACHABLE: u8 = 6;

impl Failure {
    pub(crate) fn failed(code: &str, message: impl Into<String>) -> Self {
        Failure {
            status: FAILED,
            code: code.to_owned(),
            message: message.into(),
            problem: None,
            details: Vec::new(),
            hint: None,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure { status: USAGE, ..Failure::failed("wrong_usage", message) }
    }

    pub(crate) fn verification(message: impl Into<String>) -> Self {
        Failure { status: VERIFICATION, ..Failure::failed("verification_failed", message) }
    }

    pub(crate) fn not_signed_in() -> Self {
        Failure {
            status: NOT_SIGNED_IN,
            ..Failure::failed(Code::NotSignedIn.as_str(), ProfileError::NotSignedIn.to_string())
        }
    }

    pub(crate) fn not_allowed(code: &str, message: impl Into<String>) -> Self {
        Failure { status: NOT_ALLOWED, ..Failure::failed(code, message) }
    }

    /// Ctrl-C, where the terminal hands it over as a key.
    pub(crate) fn interrupted() -> Self {
        Failure {
            status: interrupt::STATUS,
            ..Failure::failed("interrupted", "interrupted: nothing was done")
        }
    }

    /// The same under a code of its own.
    pub(crate) fn with_code(mut self, code: &str) -> Self {
        code.clone_into(&mut self.code);
        self
    }

    /// Whether the server gave this code.
    pub(crate) fn is(&self, code: Code) -> bool {
        self.code == code.as_str()
    }

    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Says it in other words.
    pub(crate) fn saying(mut self, message: &str) -> Self {
        message.clone_into(&mut self.message);
        self
    }

    /// Adds a sentence.
    pub(crate) fn adding(mut self, more: &str) -> Self {
        self.message = format!("{} {more}", sentence(&self.message));
        self
    }

    /// Says that what is needed is needed in the whole tenant.
    pub(crate) fn in_whole_tenant(mut self) -> Self {
        if let Some(action) = self.needs() {
            let needed = format!("It needs {action}");
            let message =
                self.message.replace(&format!("{needed}."), &format!("{needed} in the whole tenant."));
            self.message = message;
        }
        self
    }

    /// Says how to learn why a tenant refused; `tenant` is the option that names it.
    pub(crate) fn asking_why(mut self, tenant: &str) -> Self {
        self.hint = self.needs().map(|action| match is_done_at_places(action) {
            true => format!(
                "`bailiwick why --what {action} --on PLACE{tenant}` says why: PLACE is the organisation or the device that it is \
                 about."
            ),
            false => format!("`bailiwick why --what {action}{tenant}` says why."),
        });
        self
    }

    /// The action that was refused, when the server names it.
    fn needs(&self) -> Option<&str> {
        let problem = self.problem.as_ref().filter(|problem| problem.code == Code::Forbidden)?;
        let is_name = |c: char| c.is_ascii_lowercase() || matches!(c, '.' | '_');
        problem.action.as_deref().filter(|action| action.chars().all(is_name))
    }

    /// The field at fault, when the server names it.
    pub(crate) fn field(&self) -> Option<&str> {
        self.problem.as_ref()?.field.as_deref()
    }

    /// Names the file that it is about.
    pub(crate) fn about(mut self, path: &str) -> Self {
        if !self.message.contains(path) {
            self.message = format!("{path}: {}", self.message);
        }
        self
    }

    /// One of several files that failed, as JSON.
    pub(crate) fn detail(&self, path: &str) -> Value {
        json!({ "path": path, "code": self.code, "message": self.message })
    }

    /// Says that others failed as well; `details` are all of them.
    pub(crate) fn among(mut self, details: Vec<Value>) -> Self {
        if details.len() > 1 {
            self.message = format!("{} (and {} more failed)", self.message, details.len() - 1);
        }
        self.details = details;
        self
    }

    /// Adds what it is about, as JSON.
    pub(crate) fn with_details(self, details: Vec<Value>) -> Self {
        Failure { details, ..self }
    }

    /// Says it, and gives the status to end with.
    pub(crate) fn report(self, json: bool) -> ExitCode {
        if json {
            let mut document = match &self.problem {
                Some(problem) => serde_json::to_value(problem).unwrap_or_else(|_| json!({})),
                None => json!({}),
            };
            if let Value::Object(fields) = &mut document {
                fields.remove("current");
                fields.insert("code".to_owned(), json!(self.code));
                fields.insert("message".to_owned(), json!(self.message));
                if !self.details.is_empty() {
                    fields.insert("failed".to_owned(), self.details.into());
                }
            }
            write_line(&document.to_string());
        } else {
            let message = match self.hint {
                Some(hint) => format!("{} {hint}", sentence(&self.message)),
                None => self.message,
            };
            write_line(&format!("bailiwick: {message}"));
        }
        ExitCode::from(self.status)
    }
}

/// Whether the action may be allowed at one place of a tenant and not at another.
fn is_done_at_places(action: &str) -> bool {
    let (kind, _) = action.split_once('.').unwrap_or_default();
    matches!(kind, "device" | "organisation" | "collection" | "item" | "file" | "changes")
        || action == "role.grant"
}

/// Says that the arguments are wrong, as JSON if `--json` is among them, and gives the status to end with. Help and the version
/// are no failure.
pub fn usage_failed(error: &clap::Error) -> ExitCode {
    usage_of(error, std::env::args_os().any(|argument| argument == "--json"))
}

/// The same for one line of several.
pub(crate) fn usage_of(error: &clap::Error, json: bool) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let rendered = error.render();
    if json {
        return Failure::usage(usage_text(&rendered.to_string())).report(true);
    }
    let arguments: Vec<_> =
        std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let plain = rendered.to_string();
    let shorter = without_environment(&plain, &arguments);
    let has_colours = cfg!(unix) && io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if shorter == plain {
        let _ = error.print();
    } else if has_colours {
        let styled = without_environment(&rendered.ansi().to_string(), &arguments);
        write_line(styled.trim_end());
    } else {
        write_line(shorter.trim_end());
    }
    ExitCode::from(USAGE)
}

/// What clap says, without the options that it names as if they were required since the environment sets them.
fn without_environment(text: &str, arguments: &[String]) -> String {
    let is_given = |option: &str| {
        let starts = |argument: &String| argument.split('=').next() == Some(option);
        arguments.iter().any(starts)
    };
    let unnamed = |line: &str| {
        FROM_ENVIRONMENT.iter().filter(|(option, _)| !is_given(option)).fold(
            line.to_owned(),
            |line, (option, value)| {
                let plain = format!(" {option} {value}");
                let bold = format!(" \u{1b}[1m{option}\u{1b}[0m {value}");
                line.replace(&plain, "").replace(&bold, "")
            },
        )
    };
    text.split_inclusive('\n')
        .map(|line| if line.contains("Usage:") { unnamed(line) } else { line.to_owned() })
        .collect()
}

/// The options that have variables of their own, as clap writes them.
const FROM_ENVIRONMENT: [(&str, &str); 4] =
    [("--server", "<URL>"), ("--config-dir", "<DIR>"), ("--ca-file", "<FILE>"), ("--tenant", "<TENANT>")];

/// What clap says before its hints, in one line: the arguments that are missing stand in lines of their own.
fn usage_text(rendered: &str) -> String {
    let said = rendered.split("\n\n").next().unwrap_or_default();
    let said = said.strip_prefix("error: ").unwrap_or(said);
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default().to_owned();
    let rest: Vec<&str> = lines.collect();
    if rest.is_empty() { first } else { format!("{first} {}", rest.join(", ")) }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        let message = error.to_string();
        match error {
            RequestError::Refused(problem) => {
                let status = match problem.code {
                    Code::StepUpRequired
                    | Code::Forbidden
                    | Code::Suspended
                    | Code::ProviderRequired
                    | Code::NotLinked => NOT_ALLOWED,
                    _ if problem.status == 401 => NOT_SIGNED_IN,
                    _ if problem.status == 403 => NOT_ALLOWED,
                    _ => FAILED,
                };
                let message = match problem.code {
                    Code::SessionEnded | Code::NotSignedIn => {
                        "the session has ended: sign in again with `bailiwick login`".to_owned()
                    }
                    Code::NoSecondFactor => {
                        "a password needs a second factor: set an authenticator app up with `bailiwick totp` first"
                            .to_owned()
                    }
                    _ => message,
                };
                let failure = Failure::failed(problem.code.as_str(), message);
                Failure { status, problem: Some(problem), ..failure }
            }
            RequestError::Unreachable { .. } => {
                Failure { status: NOT_REACHABLE, ..Failure::failed("unreachable", message) }
            }
            RequestError::Unexpected { status: status @ (301 | 302 | 303 | 307 | 308) } => {
                let text = format!(
                    "the server answers with a redirect (status {status}) and does nothing here: give the address that it \
                     leads to, which begins with https://, with --server"
                );
                Failure::failed("unexpected_answer", text)
            }
            RequestError::Unexpected { .. } => Failure::failed("unexpected_answer", message),
            RequestError::Malformed { .. } => Failure::failed("malformed_answer", message),
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Address(_) | ConnectError::PlainHttp(_) | ConnectError::CaFile(..) => {
                Failure::usage(error.to_string())
            }
            ConnectError::Tls(_) => Failure::failed("tls", error.to_string()),
        }
    }
}

impl From<SignInError> for Failure {
    fn from(error: SignInError) -> Self {
        let message = error.to_string();
        match error {
            SignInError::Request(error) => error.into(),
            SignInError::WrongPassword => {
                let code = Code::InvalidCredentials.as_str();
                Failure { status: NOT_SIGNED_IN, ..Failure::failed(code, message) }
            }
            SignInError::Email(_) => Failure::usage(message),
            SignInError::Password(_) | SignInError::BackupCode(_) => Failure::usage(message),
            SignInError::Kdf(_) => Failure::failed("kdf_refused", message),
            SignInError::Unlock(_) => Failure::failed("does_not_open", message),
            SignInError::NotVouchedFor | SignInError::AnotherIdentity | SignInError::AnotherAccount => {
                Failure::verification(message).with_code("server_not_trusted")
            }
            SignInError::DoesNotUnlock => {
                Failure { status: NOT_ALLOWED, ..Failure::failed("does_not_unlock", message) }
            }
            SignInError::Malformed(_) => Failure::failed("malformed_answer", message),
            SignInError::Interrupted => Failure::failed("interrupted", message),
        }
    }
}

impl From<AccountError> for Failure {
    fn from(error: AccountError) -> Self {
        let message = error.to_string();
        match error {
            AccountError::Request(error) => error.into(),
            AccountError::Proof(error) => error.into(),
            AccountError::Key(_) => Failure::failed("does_not_open", message),
            AccountError::NotVouchedFor => Failure::verification(message).with_code("server_not_trusted"),
        }
    }
}

impl From<PairingError> for Failure {
    fn from(error: PairingError) -> Self {
        let message = error.to_string();
        match error {
            error if error.is_tampering() => {
                Failure { status: VERIFICATION, ..Failure::failed("pairing_tampered", message) }
            }
            PairingError::Request(error) => error.into(),
            PairingError::Refused => {
                Failure { status: NOT_ALLOWED, ..Failure::failed("pairing_refused", message) }
            }
            PairingError::TriesSpent => Failure::failed(Code::PairingTriesSpent.as_str(), message),
            PairingError::Protocol(_) if error.is_typing() => Failure::usage(message),
            PairingError::Protocol(_) | PairingError::AnotherAccount => {
                Failure::failed("pairing_failed", message)
            }
        }
    }
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        let message = error.to_string();
        match error {
            ProfileError::Request(error) => error.into(),
            ProfileError::NotSignedIn => Failure::not_signed_in(),
            ProfileError::Locked => Failure { status: NOT_ALLOWED, ..Failure::failed("locked", message) },
            ProfileError::NotInKeychain => Failure { message, ..Failure::not_signed_in() },
            ProfileError::Keychain(_) => Failure::failed("keychain", message),
            ProfileError::DoesNotOpen | ProfileError::Damaged(_) => {
                Failure { status: NOT_SIGNED_IN, ..Failure::failed("profile_does_not_open", message) }
            }
            ProfileError::LogKeyChanged => {
                Failure { status: VERIFICATION, ..Failure::failed("log_key_changed", message) }
            }
            ProfileError::KeyRolledBack { .. } => {
                Failure { status: VERIFICATION, ..Failure::failed("master_key_rolled_back", message) }
            }
            ProfileError::IdentityChanged { .. } => {
                Failure { status: VERIFICATION, ..Failure::failed("identity_changed", message) }
            }
            ProfileError::NotProven { .. } => {
                Failure { status: VERIFICATION, ..Failure::failed("keys_not_trusted", message) }
            }
            ProfileError::NoHome => Failure::usage(message),
            ProfileError::Version(_) => Failure::failed("profile_version", message),
            ProfileError::Io(..) => Failure::failed("local_file", message),
        }
    }
}

impl From<DriveError> for Failure {
    fn from(error: DriveError) -> Self {
        let message = error.to_string();
        match error {
            DriveError::Request(error) => error.into(),
            DriveError::Key(_) | DriveError::Damaged(..) | DriveError::Description => {
                Failure::failed("does_not_open", message)
            }
            DriveError::Trust(error) => (*error).into(),
            DriveError::KeyOutdated | DriveError::Busy => Failure::failed(Code::Conflict.as_str(), message),
            DriveError::NoCollection => Failure::failed(Code::NotFound.as_str(), message),
        }
    }
}

impl From<PutError> for Failure {
    fn from(error: PutError) -> Self {
        let message = error.to_string();
        match error {
            PutError::Drive(error) => error.into(),
            PutError::Local(..) => Failure::failed("local_file", message),
            PutError::Changed(_) => Failure::failed("changed_while_read", message),
            PutError::Seal(_) => Failure::failed("cannot_seal", message),
            PutError::NoName => Failure::usage(message),
            PutError::Taken(_) => Failure::failed("name_taken", message),
            PutError::Interrupted => Failure::failed("interrupted", message),
        }
    }
}

impl From<RevertError> for Failure {
    fn from(error: RevertError) -> Self {
        match error {
            RevertError::Get(error) => error.into(),
            RevertError::Put(error) => error.into(),
        }
    }
}

impl From<GetError> for Failure {
    fn from(error: GetError) -> Self {
        let message = error.to_string();
        match error {
            GetError::Drive(error) => error.into(),
            GetError::Damaged(_) => Failure::failed("does_not_open", message),
            GetError::Exists(_) | GetError::IsFolder(_) => Failure::failed("exists", message),
            GetError::Path(_) => Failure::failed("unsafe_name", message),
            GetError::Local(..) | GetError::Write(_) => Failure::failed("local_file", message),
            GetError::Interrupted => Failure::failed("interrupted", message),
        }
    }
}

impl From<SyncError> for Failure {
    fn from(error: SyncError) -> Self {
        let message = error.to_string();
        match error {
            SyncError::Drive(error) => error.into(),
            SyncError::Put(error) => error.into(),
            SyncError::Get(error) => error.into(),
            SyncError::RolledBack { .. } | SyncError::ListRolledBack { .. } => {
                Failure::verification(message).with_code("rolled_back")
            }
            SyncError::Vanished(_) => Failure::verification(message).with_code("list_incomplete"),
            SyncError::Local(..) | SyncError::State(..) => Failure::failed("local_file", message),
            SyncError::Path(error) => error.into(),
        }
    }
}

impl From<EventsError> for Failure {
    fn from(error: EventsError) -> Self {
        let message = error.to_string();
        match error {
            EventsError::Request(error) => error.into(),
            EventsError::Ended => {
                Failure { status: NOT_REACHABLE, ..Failure::failed("unreachable", message) }
            }
            EventsError::TooLong => Failure::failed("malformed_answer", message),
        }
    }
}

impl From<SharingError> for Failure {
    fn from(error: SharingError) -> Self {
        let message = error.to_string();
        match error {
            SharingError::Request(error) => error.into(),
            SharingError::Drive(error) => error.into(),
            SharingError::Log(error) => error.into(),
            SharingError::Profile(error) => error.into(),
            SharingError::NotAnAccount(_) => Failure::usage(message),
            SharingError::NotProven(_)
            | SharingError::KeysReplaced(_)
            | SharingError::NotGranted
            | SharingError::NotLetIn(_) => {
                Failure { status: VERIFICATION, ..Failure::failed("keys_not_trusted", message) }
            }
            SharingError::NotLogged => Failure::failed("not_logged", message),
            SharingError::KeyRolledBack => {
                Failure { status: VERIFICATION, ..Failure::failed("collection_key_rolled_back", message) }
            }
            SharingError::OldKeys(_) => Failure::failed("share_outdated", message),
            SharingError::Busy => Failure::failed(Code::Conflict.as_str(), message),
            SharingError::NoCollection | SharingError::NoMember(_) => {
                Failure::failed(Code::NotFound.as_str(), message)
            }
        }
    }
}

impl From<TenantDriveError> for Failure {
    fn from(error: TenantDriveError) -> Self {
        let message = error.to_string();
        match error {
            TenantDriveError::Request(error) => error.into(),
            TenantDriveError::Trust(error) => error.into(),
            TenantDriveError::Drive(error) => error.into(),
            TenantDriveError::Key(_) | TenantDriveError::Content(_) | TenantDriveError::Damaged(_) => {
                Failure::failed("does_not_open", message)
            }
            TenantDriveError::Protection(_) | TenantDriveError::Lowered(_) => {
                Failure { status: VERIFICATION, ..Failure::failed("protection_lowered", message) }
            }
            TenantDriveError::AnotherKey(_)
            | TenantDriveError::NotLetIn(_)
            | TenantDriveError::NotSigned(_) => {
                Failure { status: VERIFICATION, ..Failure::failed("keys_not_trusted", message) }
            }
            TenantDriveError::Waiting => {
                Failure { status: NOT_ALLOWED, ..Failure::failed(Code::NotAdmitted.as_str(), message) }
            }
            TenantDriveError::NoCollection(_) | TenantDriveError::NoItem(_) => {
                Failure::failed(Code::NotFound.as_str(), message)
            }
            TenantDriveError::NotEndToEnd | TenantDriveError::Ambiguous(_) => Failure::usage(message),
            TenantDriveError::Busy => Failure::failed(Code::Conflict.as_str(), message),
        }
    }
}

impl From<PathError> for Failure {
    fn from(error: PathError) -> Self {
        Failure::usage(error.to_string())
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        let message = error.to_string();
        match error {
            VerifyError::Request(error) => error.into(),
            VerifyError::NoCheckpoint => Failure::failed("no_checkpoint", message),
            VerifyError::NotAKey | VerifyError::Key(_) => Failure::failed("malformed_answer", message),
            VerifyError::PlatformCheckpoint(_)
            | VerifyError::Checkpoint(_)
            | VerifyError::WrongCheckpoint
            | VerifyError::Requests { .. }
            | VerifyError::PlatformRewritten => Failure::verification(message),
        }
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        let message = error.to_string();
        match error {
            ExportError::Request(error) => error.into(),
            ExportError::Drive(error) => error.into(),
            ExportError::Get(error) => error.into(),
            ExportError::Verify(error) => error.into(),
            ExportError::NotEmpty(_) => Failure::failed("exists", message),
            ExportError::Local(..) => Failure::failed("local_file", message),
            ExportError::Key => Failure::usage(message),
            ExportError::NotAnExport(..) | ExportError::Version(_) => {
                Failure::failed("not_an_export", message)
            }
            ExportError::DoesNotOpen(_) => Failure::failed("does_not_open", message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_usage_names_the_arguments_in_one_line() {
        let missing =
            "error: the following required arguments were not provided:\n  <LOCAL>\n  <REMOTE>\n\nUsage: x\n";
        assert_eq!(
            usage_text(missing),
            "the following required arguments were not provided: <LOCAL>, <REMOTE>"
        );
        let unknown = "error: unexpected argument '--nonsense' found\n\n  tip: to pass …\n\nUsage: x\n";
        assert_eq!(usage_text(unknown), "unexpected argument '--nonsense' found");
    }

    #[test]
    fn what_the_environment_sets_is_not_asked_for() {
        let text = "error: no --server <URL>\n\nUsage: bailiwick put --server <URL> --config-dir <DIR> <LOCAL>\n\nFor more";
        let without = "error: no --server <URL>\n\nUsage: bailiwick put <LOCAL>\n\nFor more";
        assert_eq!(without_environment(text, &[]), without);
        let given = ["put".to_owned(), "--server=https://x".to_owned()];
        let kept = "error: no --server <URL>\n\nUsage: bailiwick put --server <URL> <LOCAL>\n\nFor more";
        assert_eq!(without_environment(text, &given), kept);
        let bold = "\u{1b}[1mUsage:\u{1b}[0m x \u{1b}[1m--server\u{1b}[0m <URL> <A>";
        assert_eq!(without_environment(bold, &[]), "\u{1b}[1mUsage:\u{1b}[0m x <A>");
    }

    #[test]
    fn a_refusal_says_what_is_needed_and_where_to_ask() {
        let mut problem = Problem::new(Code::Forbidden);
        problem.action = Some("member.read".to_owned());
        let failure = Failure::from(RequestError::Refused(Box::new(problem.clone()))).in_whole_tenant();
        assert!(
            failure.message.ends_with("It needs member.read in the whole tenant."),
            "{}",
            failure.message
        );
        let failure = failure.asking_why(" --tenant ten_1");
        let hint = "`bailiwick why --what member.read --tenant ten_1` says why.";
        assert_eq!(failure.hint.as_deref(), Some(hint));
        problem.action = Some("device.write".to_owned());
        let failure = Failure::from(RequestError::Refused(Box::new(problem.clone()))).asking_why("");
        assert!(failure.hint.unwrap().starts_with("`bailiwick why --what device.write --on PLACE` says why"));
        problem.action = Some("x; rm".to_owned());
        let failure = Failure::from(RequestError::Refused(Box::new(problem))).asking_why("");
        assert_eq!(failure.hint, None, "nothing that a person should not run");
        assert_eq!(Failure::usage("wrong").asking_why("").hint, None);
    }
}
