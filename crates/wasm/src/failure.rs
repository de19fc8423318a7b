// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One form for everything that can go wrong, for a page to show and to decide by.

use client::files::{DriveError, GetError, PathError, PutError};
use client::passkey::{AuthenticatorError, PasskeyError};
use client::verify::VerifyError;
use client::{
    AccountError, PairingError, ProfileError, RequestError, SharingError, SignInError, TenantDriveError,
};
use serde::Serialize;
use wasm_bindgen::JsValue;

/// What a call answers.
pub(crate) type Answer = Result<JsValue, JsValue>;

/// Why something was not done.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    kind: Kind,
    /// What a program decides by: the server's code, or one of this side's.
    code: String,
    /// What a person reads.
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    /// The request's id, for the operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
}

/// What kind of failure it is, and so what the page does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// The server refused.
    Refused,
    /// It cannot be reached.
    Unreachable,
    /// What was typed is not what it should be.
    Typing,
    /// Somebody tampered with something: the page says so loudly and goes no further.
    Alarm,
    /// The keys are not here: unlock.
    Locked,
    /// Something else.
    Failed,
}

impl Failure {
    fn new(kind: Kind, code: &str, message: impl ToString) -> Self {
        let (code, message) = (code.to_owned(), message.to_string());
        Failure { kind, code, message, field: None, action: None, retry_after: None, request: None }
    }

    pub(crate) fn failed(code: &str, message: impl ToString) -> Self {
        Self::new(Kind::Failed, code, message)
    }

    pub(crate) fn alarm(message: impl ToString) -> Self {
        Self::new(Kind::Alarm, "tampering", message)
    }

    pub(crate) fn typing(code: &str, message: impl ToString) -> Self {
        Self::new(Kind::Typing, code, message)
    }

    pub(crate) fn locked() -> Self {
        Self::new(Kind::Locked, "locked", "the keys of this account are not here: unlock it first")
    }

    pub(crate) fn is_alarm(&self) -> bool {
        self.kind == Kind::Alarm
    }

    /// A step that comes before the one that it follows.
    pub(crate) fn out_of_turn() -> Self {
        Self::failed("out_of_turn", "this was not begun, or it is over: begin again")
    }
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        let json = serde_json::to_string(&failure).unwrap_or_default();
        js_sys::JSON::parse(&json).unwrap_or(JsValue::NULL)
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        let message = error.to_string();
        match error {
            RequestError::Refused(problem) => Failure {
                kind: Kind::Refused,
                code: problem.code.as_str().to_owned(),
                message: problem.detail.unwrap_or(problem.title),
                field: problem.field,
                action: problem.action,
                retry_after: problem.retry_after,
                request: problem.request,
            },
            RequestError::Unreachable { .. } => Failure::new(Kind::Unreachable, "unreachable", message),
            RequestError::Unexpected { .. } | RequestError::Malformed { .. } => {
                Failure::failed("malformed_answer", message)
            }
        }
    }
}

impl From<SignInError> for Failure {
    fn from(error: SignInError) -> Self {
        let message = error.to_string();
        match error {
            SignInError::Request(error) => error.into(),
            SignInError::Email(_) => {
                Failure { field: Some("email".to_owned()), ..Self::typing("email", message) }
            }
            SignInError::Password(_) => {
                Failure { field: Some("password".to_owned()), ..Self::typing("password", message) }
            }
            SignInError::BackupCode(_) => {
                Failure { field: Some("code".to_owned()), ..Self::typing("backup_code", message) }
            }
            SignInError::WrongPassword => Failure::new(Kind::Refused, "invalid_credentials", message),
            SignInError::Kdf(_)
            | SignInError::Unlock(_)
            | SignInError::NotVouchedFor
            | SignInError::AnotherIdentity
            | SignInError::AnotherAccount => Failure::alarm(message),
            SignInError::DoesNotUnlock | SignInError::Malformed(_) | SignInError::Interrupted => {
                Failure::failed("sign_in", message)
            }
        }
    }
}

impl From<AccountError> for Failure {
    fn from(error: AccountError) -> Self {
        let message = error.to_string();
        match error {
            AccountError::Request(error) => error.into(),
            AccountError::Proof(error) => error.into(),
            AccountError::Key(_) | AccountError::NotVouchedFor => Failure::alarm(message),
        }
    }
}

impl From<PasskeyError> for Failure {
    fn from(error: PasskeyError) -> Self {
        let message = error.to_string();
        match error {
            PasskeyError::Request(error) => error.into(),
            PasskeyError::SignIn(error) => error.into(),
            PasskeyError::Authenticator(AuthenticatorError::NotAllowed) => {
                Failure::failed("passkey_not_given", message)
            }
            PasskeyError::Authenticator(AuthenticatorError::AlreadyThere) => {
                Failure::failed("passkey_already_there", message)
            }
            PasskeyError::CannotUnlock => Failure::failed("passkey_cannot_unlock", message),
            PasskeyError::Authenticator(_) | PasskeyError::BrokenPrf(_) => {
                Failure::failed("passkey", message)
            }
            PasskeyError::AnotherDomain { .. } | PasskeyError::AnotherSecret => Failure::alarm(message),
        }
    }
}

impl From<PairingError> for Failure {
    fn from(error: PairingError) -> Self {
        let message = error.to_string();
        if error.is_tampering() {
            return Failure::alarm(message);
        }
        if error.is_typing() {
            return Failure::typing("characters", message);
        }
        match error {
            PairingError::Request(error) => error.into(),
            PairingError::Refused => Failure::failed("pairing_refused", message),
            PairingError::TriesSpent => Failure::failed("pairing_tries_spent", message),
            _ => Failure::failed("pairing", message),
        }
    }
}

impl From<DriveError> for Failure {
    fn from(error: DriveError) -> Self {
        let message = error.to_string();
        match error {
            DriveError::Request(error) => error.into(),
            DriveError::Trust(error) => (*error).into(),
            DriveError::Key(_) | DriveError::Damaged(..) => Failure::alarm(message),
            _ => Failure::failed("data", message),
        }
    }
}

impl From<PutError> for Failure {
    fn from(error: PutError) -> Self {
        let message = error.to_string();
        match error {
            PutError::Drive(error) => error.into(),
            PutError::NoName | PutError::Taken(_) => Failure::typing("name", message),
            _ => Failure::failed("upload", message),
        }
    }
}

impl From<GetError> for Failure {
    fn from(error: GetError) -> Self {
        let message = error.to_string();
        match error {
            GetError::Drive(error) => error.into(),
            GetError::Damaged(_) => Failure::alarm(message),
            _ => Failure::failed("download", message),
        }
    }
}

impl From<PathError> for Failure {
    fn from(error: PathError) -> Self {
        Failure::typing("name", error)
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        let message = error.to_string();
        match error {
            VerifyError::Request(error) => error.into(),
            VerifyError::NoCheckpoint => Failure::failed("no_checkpoint", message),
            _ => Failure::alarm(message),
        }
    }
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        let message = match &error {
            ProfileError::Request(_) => String::new(),
            // The words of the command line name its own options.
            ProfileError::LogKeyChanged => {
                "the server signs its history with another key than before. Somebody may have rewritten the history or \
                 taken the server's place: ask the operator"
                    .to_owned()
            }
            ProfileError::KeyRolledBack { seen, shown } => format!(
                "the server gives out version {shown} of this account's master key, and version {seen} was seen in this \
                 browser before: it was rolled back. Do not go on, and ask the operator"
            ),
            other => other.to_string(),
        };
        match error {
            ProfileError::Request(error) => error.into(),
            _ => Failure::alarm(message),
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
            SharingError::NotAnAccount(_) => {
                Failure::typing("number", "an account number has seven letters and digits")
            }
            SharingError::NotProven(_)
            | SharingError::KeysReplaced(_)
            | SharingError::NotGranted
            | SharingError::KeyRolledBack
            | SharingError::NotLetIn(_) => Failure::alarm(message),
            _ => Failure::failed("sharing", message),
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
            TenantDriveError::Waiting => Failure::failed("waiting_for_key", message),
            TenantDriveError::NoCollection(_) | TenantDriveError::NoItem(_) => {
                Failure::failed("not_found", message)
            }
            TenantDriveError::Ambiguous(_) | TenantDriveError::NotEndToEnd | TenantDriveError::Busy => {
                Failure::failed("collection", message)
            }
            _ => Failure::alarm(message),
        }
    }
}
