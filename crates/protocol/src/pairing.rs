// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Letting a device in through one that is signed in. The server carries sealed messages; what is in them is the
//! keyring's. A request's id stands in bodies alone: it is what a link keeps from the server's logs.

use serde::{Deserialize, Serialize};

use crate::signin::Session;
use crate::{Bytes, Secret};

/// `POST /api/v1/pairings`: a device asks to be let in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PairingAsk {
    /// The request's id, which the device drew.
    pub request: Bytes<16>,
    /// What the device alone knows, and shows from then on.
    pub device_secret: Bytes<32>,
    /// `device`, or `public` for a computer that others use too.
    pub form: String,
    /// A name, such as the host's. At most 64 characters.
    pub name: String,
    /// The platform, such as `linux x86_64`. At most 64 characters.
    pub platform: String,
    /// The device's one-time public key.
    pub key: Bytes<2048>,
}

/// The answer to [`PairingAsk`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PairingAwaited {
    /// When the request is dead, unless somebody approves before.
    pub expires_at: i64,
}

/// `POST /api/v1/pairings/device/take` and `…/device/cancel`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PairingDevice {
    /// The request.
    pub request: Bytes<16>,
    /// As in [`PairingAsk`].
    pub device_secret: Bytes<32>,
}

/// `POST /api/v1/pairings/device/answer`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PairingAnswer {
    /// The request.
    pub request: Bytes<16>,
    /// As in [`PairingAsk`].
    pub device_secret: Bytes<32>,
    /// The message, for the approver.
    pub message: Bytes<4096>,
}

/// `POST /api/v1/pairings/device/redeem`: once, for the session.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PairingRedeem {
    /// The request.
    pub request: Bytes<16>,
    /// As in [`PairingAsk`].
    pub device_secret: Bytes<32>,
    /// What came sealed from the approver.
    pub grant: Bytes<32>,
    /// The token of the device, if the account knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_token: Option<Secret>,
}

/// The answer to [`PairingRedeem`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Paired {
    /// The account's number.
    pub account_number: String,
    /// The account's public identity keys.
    pub identity: Bytes<4096>,
    /// The session. Of a public computer it ends within minutes, reads, and its half of a key opens nothing.
    pub session: Session,
}

/// `POST /api/v1/pairings/read`, `…/take` and `…/refuse`, for a signed-in account
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PairingNamed {
    /// The request.
    pub request: Bytes<16>,
}

/// The answer to `POST /api/v1/pairings/read`: who asks. Hold it against the link before anybody sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PairingAsked {
    /// `device` or `public`.
    pub form: String,
    /// The device's name, as it says.
    pub name: String,
    /// Its platform, as it says.
    pub platform: String,
    /// Its one-time public key.
    pub key: Bytes<2048>,
    /// The network it asks from, coarsely: this the server says, not the device.
    pub address: String,
    /// When it asked.
    pub created_at: i64,
    /// When the request is dead.
    pub expires_at: i64,
}

/// `POST /api/v1/pairings/offer`, with a fresh proof. Three in all; the first claims the request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PairingOffer {
    /// The request.
    pub request: Bytes<16>,
    /// The message, for the device.
    pub message: Bytes<4096>,
}

/// `POST /api/v1/pairings/deliver`, with a fresh proof.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PairingDeliver {
    /// The request.
    pub request: Bytes<16>,
    /// The last message, for the device.
    pub message: Bytes<4096>,
    /// The hash of the grant that is sealed in it.
    pub grant_hash: Bytes<32>,
}

/// The answer to either side's `take`: the message of the other side, once, if there is one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PairingTaken {
    /// `waiting`, `message`, `refused` or `tries_spent`.
    pub state: String,
    /// The message, for `message`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Bytes<4096>>,
}
