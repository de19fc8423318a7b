// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What server and clients say to each other: requests, responses, error codes.
//!
//! The types here are the one source of the OpenAPI document and of the clients. They carry no behaviour beyond
//! reading and writing themselves strictly: unknown fields, wrong encodings and over-long values are refused with the
//! name of the field.
//!
//! # Conventions
//! - Bytes are base64url without padding ([`Bytes`], RFC 4648 section 5); ids are a prefix and 32 hexadecimal digits
//!   ([`id`]); times are milliseconds since the Unix epoch.
//! - Errors are `application/problem+json` ([`Problem`], RFC 9457) with a stable [`Code`].
//! - Values that are secrets have types that do not print ([`Secret`]).

pub mod account;
pub mod accounts;
pub mod api_keys;
mod bytes;
mod error;
pub mod federation;
pub mod id;
pub mod log;
pub mod methods;
pub mod oauth;
pub mod objects;
pub mod pairing;
pub mod passkeys;
pub mod platform_keys;
mod secret;
pub mod service;
pub mod service_accounts;
pub mod sharing;
pub mod signin;
pub mod support;
pub mod tenants;

pub use bytes::Bytes;
pub use error::{Code, Problem};
pub use id::{
    AccountId, ClientId, CollectionId, DeviceId, InvitationId, ItemId, MethodId, OrganisationId, ProviderId,
    RoleId, ScimUserId, ServiceAccountId, ServiceKeyId, SessionId, SupportGrantId, TeamId, TenantDeviceId,
    TenantId, UploadId,
};
pub use secret::Secret;
