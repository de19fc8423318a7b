// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the service says of itself.

use serde::{Deserialize, Serialize};

use crate::signin::Kdf;

/// `GET /.well-known/bailiwick`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Service {
    /// The release.
    pub version: String,
    /// The name of the platform's log; a tenant's log is this, a slash and the tenant.
    pub log_origin: String,
    /// The platform's log's verifier key (C2SP signed-note: name, key id, algorithm and Ed25519 key). The same key signs each
    /// tenant's log, under that log's name.
    pub log_public_key: String,
    /// The parameters for new passwords.
    pub kdf: Kdf,
    /// Whether sign-up takes a mailed code.
    pub email_code: bool,
    /// Whether accounts were carried over from another system, whose owners come in by [`ImportedSignInStart`].
    ///
    /// [`ImportedSignInStart`]: crate::signin::ImportedSignInStart
    #[serde(default)]
    pub imported_sign_in: bool,
    /// The issuer of access tokens.
    pub issuer: String,
    /// Whether it is set up for development, where some of what production refuses is warned of only.
    #[serde(default)]
    pub development: bool,
}

/// `GET /livez`, `GET /readyz`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Health {
    /// `ok`, or what is wrong.
    pub status: String,
}
