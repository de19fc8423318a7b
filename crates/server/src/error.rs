// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The one place where an operation's error becomes an answer.
//!
//! An [`ApiError`] has two faces: the [`Problem`] that the caller sees, and what happened, for the log. Neither is ever
//! made of the other.

use axum::response::{IntoResponse, Response};
use protocol::{Code, Problem};
use store::StoreError;

use crate::gateway::{Limited, Shares};

/// An error on its way out.
pub(crate) struct ApiError {
    problem: Box<Problem>,
    /// For the log: what happened inside.
    internal: Option<String>,
    /// What was answered when the same was asked before.
    answered: Option<Box<Response>>,
    /// The limit that was met, for the answer's headers.
    limited: Option<Shares>,
}

impl ApiError {
    pub(crate) fn new(code: Code) -> Self {
        Problem::new(code).into()
    }

    /// Something went wrong on our side.
    pub(crate) fn internal(what: impl std::fmt::Display) -> Self {
        ApiError {
            problem: Box::new(Problem::new(Code::Internal)),
            internal: Some(what.to_string()),
            answered: None,
            limited: None,
        }
    }

    /// Not an error: the request was carried out before, and answered so.
    pub(crate) fn answered(response: Response) -> Self {
        ApiError { answered: Some(Box::new(response)), ..ApiError::new(Code::Conflict) }
    }

    /// A field that is not acceptable.
    pub(crate) fn field(field: &str, why: impl ToString) -> Self {
        Problem::new(Code::InvalidField).field(field).detail(why).into()
    }

    /// Too many tries or requests.
    pub(crate) fn retry_after(seconds: u64) -> Self {
        Problem { retry_after: Some(seconds.max(1)), ..Problem::new(Code::TooManyRequests) }.into()
    }

    /// More requests than a limit allows.
    pub(crate) fn limited(limited: Limited) -> Self {
        ApiError { limited: Some(limited.shares), ..ApiError::retry_after(limited.wait.as_secs() + 1) }
    }

    /// What happened, for the log.
    pub(crate) fn internal_message(&self) -> &str {
        self.internal.as_deref().unwrap_or(self.problem.code.as_str())
    }

    /// What the caller would see.
    pub(crate) fn problem(&self) -> &Problem {
        &self.problem
    }

    pub(crate) fn code(&self) -> Code {
        self.problem.code
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        ApiError { problem: Box::new(problem), internal: None, answered: None, limited: None }
    }
}

impl IntoResponse for ApiError {
    /// The body is written by the gateway, which knows the request's id.
    fn into_response(self) -> Response {
        if let Some(answered) = self.answered {
            return *answered;
        }
        if let Some(internal) = &self.internal {
            tracing::error!(code = self.problem.code.as_str(), "{internal}");
        }
        let status = axum::http::StatusCode::from_u16(self.problem.status)
            .unwrap_or(axum::http::StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        if let Some(limited) = self.limited {
            response.extensions_mut().insert(limited);
        }
        response.extensions_mut().insert(*self.problem);
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::NoTenant => Code::NotFound,
            StoreError::Conflict(_) => Code::Conflict,
            StoreError::Busy | StoreError::Unavailable(_) => Code::Unavailable,
            StoreError::Full => Code::StorageFull,
            _ => Code::Internal,
        };
        let retry_after = matches!(code, Code::Unavailable).then_some(1);
        let internal = (!matches!(code, Code::NotFound | Code::Conflict)).then(|| error.to_string());
        ApiError {
            problem: Box::new(Problem { retry_after, ..Problem::new(code) }),
            internal,
            answered: None,
            limited: None,
        }
    }
}

impl From<access::Refused> for ApiError {
    fn from(refused: access::Refused) -> Self {
        use access::Refused;
        let named =
            |code, action: access::Action| Problem { action: Some(action.to_string()), ..Problem::new(code) };
        match refused {
            Refused::NotFound => ApiError::new(Code::NotFound),
            Refused::Forbidden { action } => named(Code::Forbidden, action).into(),
            Refused::StepUpRequired { action } => named(Code::StepUpRequired, action).into(),
            Refused::Suspended => ApiError::new(Code::Suspended),
            Refused::TenantSuspended => ApiError::new(Code::TenantSuspended),
            Refused::TenantClosing => Problem::new(Code::TenantSuspended).detail(refused).into(),
            Refused::ProviderRequired => ApiError::new(Code::ProviderRequired),
            Refused::LeavesRecord { .. } => ApiError::internal(refused),
            Refused::Store(error) => error.into(),
        }
    }
}

impl From<access::TenancyError> for ApiError {
    fn from(error: access::TenancyError) -> Self {
        use access::TenancyError as E;
        match error {
            E::NotFound => ApiError::new(Code::NotFound),
            E::Invalid { field, why } => ApiError::field(field, why),
            E::Exists(_) | E::InUse(_) | E::TooMany(_) => Problem::new(Code::Conflict).detail(error).into(),
            E::Outdated { .. } => Problem::new(Code::Conflict).field("If-Match").detail(error).into(),
            E::InvitationOver => ApiError::new(Code::InvitationOver),
            E::LastOwner => Problem::new(Code::LastOwner).detail(error).into(),
            E::BeyondOwn { action } => {
                let detail = error.to_string();
                Problem { action: Some(action.to_string()), ..Problem::new(Code::Forbidden).detail(detail) }
                    .into()
            }
            E::Refused(refused) => refused.into(),
            E::Store(store) => store.into(),
            other => ApiError::internal(other),
        }
    }
}

impl From<objects::QuotaExceeded> for ApiError {
    fn from(error: objects::QuotaExceeded) -> Self {
        Problem::new(Code::QuotaExceeded).detail(error).into()
    }
}

impl From<objects::CollectionError> for ApiError {
    fn from(error: objects::CollectionError) -> Self {
        use objects::CollectionError as E;
        match error {
            E::NotFound => ApiError::new(Code::NotFound),
            E::KeyOutdated => Problem::new(Code::KeyOutdated).field("generation").detail(error).into(),
            E::Exists => Problem::new(Code::Conflict).detail(error).field("id").into(),
            E::Invalid { field, .. } => ApiError::field(field, &error),
            E::Quota(quota) => quota.into(),
            E::Outdated { .. } => Problem::new(Code::Conflict).detail(error).into(),
            E::Store(store) => store.into(),
            other => ApiError::internal(other),
        }
    }
}

impl From<objects::ItemError> for ApiError {
    fn from(error: objects::ItemError) -> Self {
        use objects::ItemError as E;
        match error {
            E::NotFound => ApiError::new(Code::NotFound),
            E::Conflict { current } => Problem {
                current: Some(crate::routes::items::to_item(*current)),
                ..Problem::new(Code::Conflict)
            }
            .into(),
            E::Absent => Problem::new(Code::PreconditionFailed).field("If-Match").into(),
            E::Forgotten => Problem::new(Code::ResyncRequired).field("after").into(),
            E::TooLarge { .. } => Problem::new(Code::TooLarge).field("sealed").detail(error).into(),
            E::KeyOutdated { .. } => Problem::new(Code::KeyOutdated).field("generation").detail(error).into(),
            E::Signature => ApiError::field("signature", error),
            E::Quota(quota) => quota.into(),
            E::Upload(upload) => upload.into(),
            E::Store(store) => store.into(),
            other => ApiError::internal(other),
        }
    }
}

impl From<objects::BlobsError> for ApiError {
    fn from(error: objects::BlobsError) -> Self {
        let code = match &error {
            objects::BlobsError::Full => Code::StorageFull,
            objects::BlobsError::Store(_) => Code::Unavailable,
            _ => Code::Internal,
        };
        let retry_after = matches!(code, Code::Unavailable).then_some(5);
        ApiError {
            problem: Box::new(Problem { retry_after, ..Problem::new(code) }),
            internal: Some(error.to_string()),
            answered: None,
            limited: None,
        }
    }
}

impl From<objects::UploadError> for ApiError {
    fn from(error: objects::UploadError) -> Self {
        use objects::UploadError as E;
        match error {
            E::NotFound => ApiError::new(Code::NotFound),
            E::Empty => ApiError::field("size", &error),
            E::TooLarge { .. } => Problem::new(Code::TooLarge).field("size").detail(error).into(),
            E::NoSuchPart { .. } => Problem::new(Code::NotFound).detail(error).into(),
            E::PartTaken => Problem::new(Code::Conflict).detail(error).into(),
            E::PartSize { .. } => Problem::new(Code::InvalidField).field("body").detail(error).into(),
            E::Incomplete { .. } => Problem::new(Code::UploadIncomplete).detail(error).into(),
            E::Quota(quota) => quota.into(),
            E::Blobs(blobs) => blobs.into(),
            E::Store(store) => store.into(),
            other => ApiError::internal(other),
        }
    }
}

impl From<objects::ReadError> for ApiError {
    fn from(error: objects::ReadError) -> Self {
        use objects::ReadError as E;
        match error {
            E::NotFound => ApiError::new(Code::NotFound),
            E::Range { .. } => Problem::new(Code::RangeNotSatisfiable).detail(error).into(),
            E::Blobs(blobs) => blobs.into(),
            E::Store(store) => store.into(),
            other => ApiError::internal(other),
        }
    }
}
