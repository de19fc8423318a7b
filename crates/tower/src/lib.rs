// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A `tower` layer for services that take Bailiwick's access tokens.
//!
//! A token is verified here, by the key set of its issuer, without a question to anybody. What ends before a token does (a session,
//! a consent, a member, a client, a role) the issuer says on a stream that the layer follows: of whose tokens to ask anew. Those are
//! asked about once, by introspection, and then hold until the next word about them.
//!
//! # Words
//! - The **issuer** is the server. The **audience** is this service, by the URI for which its tokens are issued (RFC 8707).
//! - A **client** of the issuer stands for the service: made with `bailiwick tenant clients create NAME --serves AUDIENCE`. Its id and
//!   secret open the stream and introspection.
//!
//! # Guarantees
//! - A token whose end was pushed is refused from then on, in general within a second of its end.
//! - When nothing is heard for [`Settings::stale_after`], **everything is refused** (503): a layer that cannot know what ended lets
//!   nobody in. The same before it has heard anything.
//! - What ends by itself, as a session that nobody uses, is no event: a token is asked about anew after
//!   [`Settings::recheck_after`].
//! - Only EdDSA and ES256 over the issuer's keys, each by the keys that are for it; only tokens of the type `at+jwt`, of this issuer, for this audience, of a client of
//!   the same tenant, in their time. One that
//!   is bound to a key of its client's (DPoP) is refused: proofs are not read here, and without one it is worth nothing.
//!
//! ```no_run
//! # async fn example() -> Result<(), bailiwick_tower::SettingsError> {
//! use axum::{Extension, Router, routing::get};
//! use bailiwick_tower::{Guard, Settings, Token};
//!
//! let settings = Settings::new("https://id.example", "https://api.example", "cli_….…", "its secret");
//! let guard = Guard::new(settings)?;
//! let app: Router = Router::new()
//!     .route("/devices", get(|Extension(token): Extension<Token>| async move { token.subject }))
//!     .layer(guard.layer().requiring("device.read"));
//! # Ok(())
//! # }
//! ```

mod changes;
mod follow;
mod guard;
mod service;
mod token;

pub use guard::{Guard, Settings, SettingsError};
pub use service::{Protected, TokenLayer};
pub use token::{Refused, Token};
