// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Access tokens: what a session hands to programs that ask for a signed proof. How applications get theirs is [`oauth`].
//!
//! # Words
//! - A **signing key** is an Ed25519 key pair of the server. Its id (`kid`) is its thumbprint (RFC 7638). With it goes a
//!   P-256 key pair, derived from the same seed, for clients that want ES256.
//! - The **key set** ([`Jwks`], RFC 7517 and 8037) is what others verify with.
//! - An **access token** is a signed JWT with the claims of RFC 9068. It lives for minutes.
//!
//! # Guarantees
//! - One algorithm: EdDSA. A token names its key, never its algorithm's choice: `none`, a shared secret or a key that
//!   the token itself brings are refused.
//! - A new key is published before it signs, and an old one verifies until every token that it signed has expired. A
//!   removed one verifies nothing from the next [`SigningKeys::reload`] on.
//! - Only keys that open under the server's root key are believed: a row planted in the database is not one.
//! - *A token is only as good as its session.* [`AccessTokens::verify`] needs no database and so cannot know whether
//!   the session still lives: whoever calls it looks up [`Claims::sid`] in [`Claims::tenant_id`] before acting.
//!
//! ```no_run
//! # async fn example(custody: custody::Custody, tenant: store::TenantId, mut tx: store::WriteTx)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use tokens::{AccessTokens, Grant, Lifetime, RotationPolicy, SigningKeys};
//!
//! let keys = Arc::new(SigningKeys::new(custody, RotationPolicy::default()));
//! keys.rotate_if_due(&mut tx).await?; // makes the first key; commit when it returns true
//! keys.reload(&mut tx).await?;
//!
//! let tokens = AccessTokens::new(keys, "https://id.example", "https://id.example", Lifetime::default());
//! let now = tx.now();
//! let issued = tokens.issue(now, &Grant { account: "acc_1", tenant, session: "ses_1", scope: "items.read" })?;
//! let claims = tokens.verify(now, &issued.token)?;
//! assert_eq!(claims.sid, "ses_1");
//! # Ok(())
//! # }
//! ```

mod access;
mod claims;
mod ed25519;
mod es256;
mod jwks;
mod keys;
pub mod oauth;
mod schema;

pub use access::{AccessTokens, Grant, IssueError, Issued, Lifetime, LifetimeError, VerifyError};
pub use claims::{CLIENT_ID, Claims};
pub use jwks::{Jwk, Jwks, SigningAlgorithm};
pub use keys::{KeysError, RotationPolicy, SigningKeyInfo, SigningKeys};
pub use schema::MIGRATIONS;
