// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What an error looks like from outside.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal $status:literal;)*) => {
        /// The stable name of an error. What a program decides by; the words beside it are for people.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        #[serde(rename_all = "snake_case")]
        pub enum Code { $($(#[doc = $doc])+ $name,)* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The code as it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code,)* }
            }

            /// The HTTP status that goes with it (RFC 9110).
            pub const fn status(self) -> u16 {
                match self { $(Code::$name => $status,)* }
            }

            /// What it means, in a sentence.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$name => concat!($($doc),+),)* }
            }
        }
    };
}

codes! {
    /// The request cannot be read.
    BadRequest = "bad_request" 400;
    /// A field is missing, unknown or not acceptable.
    InvalidField = "invalid_field" 422;
    /// The request is larger than this route accepts.
    TooLarge = "too_large" 413;
    /// The request's media type is not the one that this route takes.
    UnsupportedMediaType = "unsupported_media_type" 415;
    /// Sign in first: no session or token was sent.
    NotSignedIn = "not_signed_in" 401;
    /// The session has ended or expired; sign in again.
    SessionEnded = "session_ended" 401;
    /// The token has expired.
    TokenExpired = "token_expired" 401;
    /// The token cannot be read.
    TokenMalformed = "token_malformed" 401;
    /// The token is for another audience or from another issuer.
    TokenWrongAudience = "token_wrong_audience" 401;
    /// The token is signed by an algorithm or key that is not accepted.
    TokenUntrusted = "token_untrusted" 401;
    /// The token was revoked, or what it hangs on has ended.
    TokenRevoked = "token_revoked" 401;
    /// The token is bound to a key, and the proof of that (DPoP) is missing, wrong, or was used before.
    InvalidDpopProof = "invalid_dpop_proof" 401;
    /// The token may not be used for this.
    InsufficientScope = "insufficient_scope" 403;
    /// This request of an application is over, or is none: let the application begin again.
    RequestOver = "request_over" 410;
    /// The API key is unknown or was revoked.
    ApiKeyUnknown = "api_key_unknown" 401;
    /// The API key has expired.
    ApiKeyExpired = "api_key_expired" 401;
    /// The key of the service account is unknown, was revoked or has expired.
    ServiceKeyUnknown = "service_key_unknown" 401;
    /// This is the whole API key, with the half that unlocks, which must never be sent: replace the key.
    UnlockingHalfSent = "unlocking_half_sent" 401;
    /// The API key may not be used from this address until its owner approves it.
    AddressNotApproved = "address_not_approved" 403;
    /// The email, the password or the second factor is wrong.
    InvalidCredentials = "invalid_credentials" 401;
    /// This needs a fresh proof: step up first.
    StepUpRequired = "step_up_required" 403;
    /// You may not do this.
    Forbidden = "forbidden" 403;
    /// The account, or what it is in this tenant, is suspended.
    Suspended = "suspended" 403;
    /// The tenant is suspended.
    TenantSuspended = "tenant_suspended" 403;
    /// There is no such thing, or it is not yours.
    NotFound = "not_found" 404;
    /// This route does not take that method.
    MethodNotAllowed = "method_not_allowed" 405;
    /// The thing has changed since you read it; the current one is in `current`.
    Conflict = "conflict" 409;
    /// The collection has a newer key than this was sealed under: fetch it, and seal anew.
    KeyOutdated = "key_outdated" 409;
    /// Somebody who holds the collection's key may no longer read it: give it its next key first, then write.
    RekeyDue = "rekey_due" 409;
    /// The collection is end-to-end encrypted, and its key was not granted to you yet: ask somebody who has it to admit you.
    NotAdmitted = "not_admitted" 403;
    /// This is the last login method that opens the account's data; add another one first.
    LastMethod = "last_method" 409;
    /// A password needs a second factor: set an authenticator app up first.
    NoSecondFactor = "no_second_factor" 409;
    /// This server takes no passkeys: it is not reached by a domain that they could be bound to.
    PasskeysOff = "passkeys_off" 409;
    /// The other provider does not answer as it should: try again later, or sign in another way.
    ProviderUnavailable = "provider_unavailable" 502;
    /// What the other provider says of you does not hold, or it refused.
    ProviderRefused = "provider_refused" 401;
    /// No account here is linked to that sign-in at the other provider, and it does not make one: sign in another way, and link it.
    NotLinked = "not_linked" 403;
    /// This sign-in at another provider took too long, or was begun elsewhere: begin again.
    SignInOver = "sign_in_over" 410;
    /// This tenant wants you to sign in through its own provider.
    ProviderRequired = "provider_required" 403;
    /// A tenant always has an owner: give somebody else the role first.
    LastOwner = "last_owner" 409;
    /// This invitation is over, or it is for somebody else. Ask whoever invited you for another one.
    InvitationOver = "invitation_over" 410;
    /// There is an account with this email.
    AccountExists = "account_exists" 409;
    /// The code is wrong or has expired.
    InvalidCode = "invalid_code" 422;
    /// This pairing request is over: it expired, was refused, given up or used. Start again on the device.
    PairingOver = "pairing_over" 410;
    /// Somebody else goes on with this pairing request already.
    PairingTaken = "pairing_taken" 409;
    /// Three codes were wrong; this pairing request is dead.
    PairingTriesSpent = "pairing_tries_spent" 409;
    /// Parts of the upload are missing.
    UploadIncomplete = "upload_incomplete" 409;
    /// What the precondition asks for is not so: there is nothing to replace.
    PreconditionFailed = "precondition_failed" 412;
    /// Deletions since then are forgotten: list the collection from the beginning.
    ResyncRequired = "resync_required" 410;
    /// The requested range is not in the file.
    RangeNotSatisfiable = "range_not_satisfiable" 416;
    /// The account's storage is full.
    QuotaExceeded = "quota_exceeded" 507;
    /// The precondition that this change needs was not sent: If-Match or If-None-Match.
    PreconditionRequired = "precondition_required" 428;
    /// Too many requests, or too many tries; wait as long as Retry-After says.
    TooManyRequests = "too_many_requests" 429;
    /// Something went wrong on our side; the operators know. Try again.
    Internal = "internal" 500;
    /// The service is busy or a part of it is away; try again.
    Unavailable = "unavailable" 503;
    /// The server's disk is full: nothing was written; the operators know.
    StorageFull = "storage_full" 507;
}

/// An error (RFC 9457). Sent as `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Problem {
    /// A URI that names the kind of problem: `urn:bailiwick:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the code means, for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What a program decides by.
    pub code: Code,
    /// What exactly happened, when there is more to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The field at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The action that is missing, for `forbidden` and `step_up_required`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Seconds to wait, for `too_many_requests` and `unavailable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The current item, for `conflict`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<crate::objects::Item>,
    /// The request's id, to be named to the operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

impl Problem {
    /// A problem that says no more than its code.
    pub fn new(code: Code) -> Self {
        Problem {
            kind: format!("urn:bailiwick:problem:{}", code.as_str()),
            title: code.title().trim().to_owned(),
            status: code.status(),
            code,
            detail: None,
            field: None,
            action: None,
            retry_after: None,
            current: None,
            request: None,
        }
    }

    /// Says what exactly happened.
    #[must_use]
    pub fn detail(mut self, detail: impl ToString) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    /// Names the field at fault.
    #[must_use]
    pub fn field(mut self, field: impl ToString) -> Self {
        self.field = Some(field.to_string());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_written_as_they_are_named() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!((400..600).contains(&code.status()));
        }
    }
}
