// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Issuing and verifying access tokens.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::TenantId;

use crate::claims::{CLIENT_ID, Claims};
use crate::jwks::SigningAlgorithm;
use crate::keys::SigningKeys;

/// Issues access tokens and verifies its own.
pub struct AccessTokens {
    keys: Arc<SigningKeys>,
    issuer: String,
    audience: String,
    lifetime: Lifetime,
    leeway_seconds: i64,
}

/// How long an access token lives: 1 to 1440 minutes, 30 by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime(u32);

/// A lifetime out of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("access tokens may live 1 to {} minutes, not {asked}", Lifetime::LONGEST_MINUTES)]
pub struct LifetimeError {
    asked: u32,
}

impl Lifetime {
    /// A day.
    pub const LONGEST_MINUTES: u32 = 1440;

    /// A lifetime in minutes.
    ///
    /// # Errors
    /// When it is not 1 to [`Lifetime::LONGEST_MINUTES`].
    pub fn minutes(minutes: u32) -> Result<Self, LifetimeError> {
        match minutes {
            1..=Self::LONGEST_MINUTES => Ok(Self(minutes)),
            asked => Err(LifetimeError { asked }),
        }
    }

    pub(crate) fn seconds(self) -> i64 {
        i64::from(self.0) * 60
    }
}

impl Default for Lifetime {
    fn default() -> Self {
        Self(30)
    }
}

/// What a token is to say.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The account that it speaks for, `acc_…`.
    pub account: &'a str,
    /// The tenant that it is good in.
    pub tenant: TenantId,
    /// The session that it hangs on, `ses_…`.
    pub session: &'a str,
    /// Scopes, separated by spaces.
    pub scope: &'a str,
}

/// A token that was issued. It is a secret, so there is no `Debug`.
pub struct Issued {
    /// The token.
    pub token: String,
    /// Its id, `jti`.
    pub id: String,
    /// When it expires, in Unix milliseconds.
    pub expires_at: i64,
}

/// Why no token was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// No key signs now: none was made or read yet.
    #[error("the server has no signing key in use")]
    NoKey,
    /// More scopes than a token takes.
    #[error("the token would be longer than {LONGEST} bytes; ask for fewer scopes")]
    TooLong,
    /// The signature failed.
    #[error("the token could not be signed")]
    Signing,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Its time is over.
    #[error("the access token has expired")]
    Expired,
    /// Its time has not come, or it was issued in the future.
    #[error("the access token is not valid yet")]
    NotYetValid,
    /// It is for someone else.
    #[error("the access token is for another audience")]
    WrongAudience,
    /// Another server says it issued it.
    #[error("the access token is from another issuer")]
    WrongIssuer,
    /// Signed with anything but what is accepted, or not at all.
    #[error("the access token is signed with an algorithm that is not accepted")]
    WrongAlgorithm,
    /// A token of another kind, such as an ID token.
    #[error("this is a token of another kind, not an access token")]
    WrongType,
    /// Not a token, too long, or with header fields that are not understood.
    #[error("the access token is malformed")]
    Malformed,
    /// Signed with a key that is not, or no longer, one of the server's.
    #[error("the access token is signed with a key that is not in use")]
    UnknownKey,
    /// The signature does not match.
    #[error("the signature of the access token is wrong")]
    Signature,
}

impl VerifyError {
    /// The stable code of the reason.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
            Self::WrongAudience => "token_wrong_audience",
            Self::WrongIssuer => "token_wrong_issuer",
            Self::WrongAlgorithm => "token_wrong_algorithm",
            Self::WrongType => "token_wrong_type",
            Self::Malformed => "token_malformed",
            Self::UnknownKey => "token_unknown_key",
            Self::Signature => "token_wrong_signature",
        }
    }
}

impl AccessTokens {
    /// Tokens of this issuer for this audience (both usually the server's own address).
    pub fn new(
        keys: Arc<SigningKeys>,
        issuer: impl Into<String>,
        audience: impl Into<String>,
        lifetime: Lifetime,
    ) -> Self {
        let (issuer, audience) = (issuer.into(), audience.into());
        Self { keys, issuer, audience, lifetime, leeway_seconds: LONGEST_LEEWAY_SECONDS }
    }

    /// Tolerates clocks of several servers that differ by this much; 60 seconds by default and at most.
    #[must_use]
    pub fn with_leeway_seconds(mut self, seconds: u32) -> Self {
        self.leeway_seconds = i64::from(seconds).min(LONGEST_LEEWAY_SECONDS);
        self
    }

    /// The keys that sign and verify.
    pub fn keys(&self) -> &Arc<SigningKeys> {
        &self.keys
    }

    /// Issues a token at `now` (Unix milliseconds).
    ///
    /// # Errors
    /// [`IssueError::NoKey`] before keys were read; [`IssueError::TooLong`] for a token that would not be accepted.
    pub fn issue(&self, now: i64, grant: &Grant<'_>) -> Result<Issued, IssueError> {
        let issued_at = now.div_euclid(1000);
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: grant.account.to_owned(),
            client_id: CLIENT_ID.to_owned(),
            user_id: grant.account.to_owned(),
            tenant_id: grant.tenant,
            sid: grant.session.to_owned(),
            scope: grant.scope.to_owned(),
            iat: issued_at,
            nbf: issued_at,
            exp: issued_at.saturating_add(self.lifetime.seconds()),
            jti: uuid::Uuid::new_v4().simple().to_string(),
        };
        let token = self.keys.sign_token(now, SigningAlgorithm::EdDsa, ACCESS_TOKEN, &claims)?;
        Ok(Issued { token, id: claims.jti, expires_at: claims.exp.saturating_mul(1000) })
    }

    /// Verifies a token at `now` (Unix milliseconds). What it says holds only while its session does: look up
    /// [`Claims::sid`] before acting on it.
    ///
    /// # Errors
    /// The reason, for the caller: none of them tells a forger more than the key set does.
    pub fn verify(&self, now: i64, token: &str) -> Result<Claims, VerifyError> {
        let claims: Claims = self.keys.open_token(now, &[SigningAlgorithm::EdDsa], ACCESS_TOKEN, token)?;
        // A client's token is none of a session's, whatever it says beside.
        if claims.client_id != CLIENT_ID {
            return Err(VerifyError::WrongType);
        }
        self.judge(now.div_euclid(1000), &claims)?;
        Ok(claims)
    }

    fn judge(&self, now: i64, claims: &Claims) -> Result<(), VerifyError> {
        if claims.iss != self.issuer {
            return Err(VerifyError::WrongIssuer);
        }
        if claims.aud != self.audience {
            return Err(VerifyError::WrongAudience);
        }
        if now.saturating_sub(self.leeway_seconds) >= claims.exp {
            return Err(VerifyError::Expired);
        }
        if now.saturating_add(self.leeway_seconds) < claims.nbf.max(claims.iat) {
            return Err(VerifyError::NotYetValid);
        }
        Ok(())
    }
}

impl SigningKeys {
    /// Signs claims as a token of this type.
    pub(crate) fn sign_token(
        &self,
        now: i64,
        algorithm: SigningAlgorithm,
        typ: &str,
        claims: &impl Serialize,
    ) -> Result<String, IssueError> {
        let signed = self.signing(now, algorithm, |key| {
            let mut header = Header::new(of_library(algorithm));
            header.typ = Some(typ.to_owned());
            header.kid = Some(key.kid().to_owned());
            jsonwebtoken::encode(&header, claims, &key.encoding)
        });
        let token = signed.ok_or(IssueError::NoKey)?.map_err(|_| IssueError::Signing)?;
        if token.len() > LONGEST { Err(IssueError::TooLong) } else { Ok(token) }
    }

    /// The claims of a token of this type that one of these keys signed, by one of these algorithms. Their times and places are the caller's to judge.
    pub(crate) fn open_token<C: DeserializeOwned>(
        &self,
        now: i64,
        accepted: &[SigningAlgorithm],
        typ: &str,
        token: &str,
    ) -> Result<C, VerifyError> {
        if token.len() > LONGEST {
            return Err(VerifyError::Malformed);
        }
        let (kid, algorithm) = judge_header(token, accepted, typ)?;
        let mut validation = Validation::new(of_library(algorithm));
        // Its own checks of time and place read the wall clock and pass absent claims: they are made elsewhere.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let opened = self
            .verifying(&kid, algorithm, now, |key| {
                jsonwebtoken::decode::<C>(token, &key.decoding, &validation)
            })
            .ok_or(VerifyError::UnknownKey)?
            .map_err(|error| match error.kind() {
                ErrorKind::InvalidSignature => VerifyError::Signature,
                ErrorKind::InvalidAlgorithm => VerifyError::WrongAlgorithm,
                _ => VerifyError::Malformed,
            })?;
        Ok(opened.claims)
    }
}

/// A token's header. Anything beyond these three, such as `crit`, `jwk` or `b64`, is refused: our own tokens have
/// none of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownHeader {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
}

fn of_library(algorithm: SigningAlgorithm) -> Algorithm {
    match algorithm {
        SigningAlgorithm::EdDsa => Algorithm::EdDSA,
        SigningAlgorithm::Es256 => Algorithm::ES256,
    }
}

/// Judges what a token says of itself before anything is computed from it; returns the id of its key, and the algorithm.
fn judge_header(
    token: &str,
    accepted: &[SigningAlgorithm],
    typ: &str,
) -> Result<(String, SigningAlgorithm), VerifyError> {
    let mut parts = token.split('.');
    let (Some(header), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(VerifyError::Malformed);
    };
    let header = BASE64URL_NOPAD.decode(header.as_bytes()).map_err(|_| VerifyError::Malformed)?;
    let header: KnownHeader = serde_json::from_slice(&header).map_err(|_| VerifyError::Malformed)?;
    let algorithm = SigningAlgorithm::named(&header.alg)
        .filter(|algorithm| accepted.contains(algorithm))
        .ok_or(VerifyError::WrongAlgorithm)?;
    if header.typ.as_deref() != Some(typ) {
        return Err(VerifyError::WrongType);
    }
    header.kid.map(|kid| (kid, algorithm)).ok_or(VerifyError::UnknownKey)
}

/// The media type of access tokens (RFC 9068, section 2.1).
pub(crate) const ACCESS_TOKEN: &str = "at+jwt";
/// The longest token, in bytes, that is looked at.
const LONGEST: usize = 8 * 1024;
/// The most that clocks may differ, in seconds.
pub(crate) const LONGEST_LEEWAY_SECONDS: i64 = 60;
