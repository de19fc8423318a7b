// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices: from where an account has signed in.
//!
//! A device proves that it is the one known by its [`DeviceToken`], which it got at its first sign-in and
//! keeps. The id in lists is no proof; so whoever reads the list cannot pass as a known device, and a sign-in of theirs is
//! told to the owner. The token is derived, so that the start of a sign-in, which looks into no home, can tell a known device
//! from a stranger.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use store::{Answer, ReadTx, WriteTx, params};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::DeviceId;
use crate::failure::Failure;
use crate::secret::SecretBytes;
use crate::service::{Identity, in_home, same, sha256};
use crate::session::AuthenticatedSession;

/// How a device names itself. Shown to its owner, trusted for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    name: String,
    platform: String,
}

impl DeviceInfo {
    /// A name such as `work laptop` and a platform such as `Linux`, of 1 to 64 visible characters each.
    ///
    /// # Errors
    /// When one is empty, longer, or has characters that are not shown or that reorder others.
    pub fn new(name: &str, platform: &str) -> Result<Self, DeviceInfoError> {
        let (name, platform) = (name.trim(), platform.trim());
        for text in [name, platform] {
            if !(1..=64).contains(&text.chars().count()) || !text.chars().all(is_visible) {
                return Err(DeviceInfoError);
            }
        }
        Ok(Self { name: name.to_owned(), platform: platform.to_owned() })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The platform.
    pub fn platform(&self) -> &str {
        &self.platform
    }

    pub(crate) fn label(&self) -> String {
        format!("{} ({})", self.name, self.platform)
    }
}

/// Whether a character is seen as itself: not one that hides, or that reorders others.
pub(crate) fn is_visible(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The text cannot name a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name and the platform of a device have 1 to 64 visible characters each")]
pub struct DeviceInfoError;

/// Where a request came from, as coarsely as helps its owner: the network, never the full address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(String);

impl Place {
    /// The /24 of an IPv4 address, the /48 of an IPv6 address.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            address if address.is_loopback() => "this machine".into(),
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                format!("{a}.{b}.{c}.0/24")
            }
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}::/48")
            }
        })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a device keeps to be known again: `bwd_` and base64url of its id and 32 secret bytes. Does not print.
#[derive(Clone)]
pub struct DeviceToken {
    pub(crate) id: DeviceId,
    secret: SecretBytes<32>,
}

impl DeviceToken {
    /// The token of this device for the account of this address: its secret is a keyed hash under the pepper.
    fn derive(identity: &Identity, email_index: &[u8; 32], id: DeviceId) -> Self {
        let secret = Zeroizing::new(identity.keyed("device-token", &[email_index, id.as_bytes()]));
        Self { id, secret: SecretBytes::clone_of(&secret) }
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        sha256(self.secret.as_slice())
    }

    /// The device that this token is of.
    pub fn device(&self) -> DeviceId {
        self.id
    }

    /// The text to give to the device, and to nobody else.
    pub fn expose(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; 48]);
        for (to, from) in bytes.iter_mut().zip(self.id.as_bytes().iter().chain(self.secret.iter())) {
            *to = *from;
        }
        Zeroizing::new(format!("{PREFIX}{}", BASE64URL_NOPAD.encode(bytes.as_slice())))
    }
}

impl FromStr for DeviceToken {
    type Err = DeviceTokenError;

    fn from_str(text: &str) -> Result<Self, DeviceTokenError> {
        let encoded = text.strip_prefix(PREFIX).filter(|rest| rest.len() == 64).ok_or(DeviceTokenError)?;
        let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| DeviceTokenError)?);
        let (id, secret) = bytes.split_first_chunk::<16>().ok_or(DeviceTokenError)?;
        let secret = SecretBytes::copied(secret).ok_or(DeviceTokenError)?;
        Ok(Self { id: DeviceId::from_uuid(Uuid::from_bytes(*id)), secret })
    }
}

impl fmt::Debug for DeviceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceToken({}, ***REDACTED***)", self.id)
    }
}

/// The text is not a device token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a device token")]
pub struct DeviceTokenError;

/// A device in a list.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// How it named itself.
    pub name: String,
    /// What it runs, as it said.
    pub platform: String,
    /// The network of its last sign-in.
    pub place: String,
    /// Its first sign-in, in milliseconds since the Unix epoch.
    pub first_seen_at: i64,
    /// Its last sign-in.
    pub last_seen_at: i64,
    /// How many of its sessions live.
    pub sessions: u32,
    /// Whether it is the one that asks.
    pub is_current: bool,
}

/// The device of a sign-in: the one that the token proves, or a new one.
pub(crate) struct SeenDevice {
    pub(crate) id: DeviceId,
    /// For a new device.
    pub(crate) token: Option<DeviceToken>,
}

/// Reads what [`recognised`] compares.
pub(crate) const FIND: &str = "SELECT secret_hash FROM device WHERE id = $1 AND ended_at IS NULL";

/// The device, when the token is that of the one that was found.
pub(crate) fn recognised(found: Answer, token: Option<&DeviceToken>) -> Result<Option<DeviceId>, Failure> {
    let hash: Option<([u8; 32],)> = found.first()?;
    Ok(token.filter(|token| hash.is_some_and(|(hash,)| same(&hash, &token.hash()))).map(|token| token.id))
}

/// The device that shows this token, if it is known.
pub(crate) async fn known(tx: &mut ReadTx, token: Option<&DeviceToken>) -> Result<Option<DeviceId>, Failure> {
    let Some(token) = token else { return Ok(None) };
    let [found] = tx.together([(FIND, params![token.id.uuid()])]).await?;
    recognised(found, Some(token))
}

pub(crate) async fn see(
    identity: &Identity,
    tx: &mut WriteTx,
    email_index: &[u8; 32],
    known: Option<DeviceId>,
    info: &DeviceInfo,
    place: &Place,
) -> Result<SeenDevice, Failure> {
    let now = tx.now();
    if let Some(id) = known {
        tx.defer(
            "UPDATE device SET name = $1, platform = $2, place = $3, last_seen_at = $4 WHERE id = $5",
            params![&info.name, &info.platform, &place.0, now, id.uuid()],
        )
        .await?;
        return Ok(SeenDevice { id, token: None });
    }
    let token = DeviceToken::derive(identity, email_index, DeviceId::random());
    tx.defer(
        "INSERT INTO device (id, secret_hash, name, platform, place, first_seen_at, last_seen_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        params![token.id.uuid(), &token.hash(), &info.name, &info.platform, &place.0, now, now],
    )
    .await?;
    Ok(SeenDevice { id: token.id, token: Some(token) })
}

impl Identity {
    /// The device that this token is of, when it was given out to the account of this address: whose tries are to be
    /// counted apart from strangers'. It is not looked up, so it may have been ended since; it lets nobody in.
    pub fn known_device(&self, email_index: &[u8; 32], token: &DeviceToken) -> Option<DeviceId> {
        let derived = DeviceToken::derive(self, email_index, token.id);
        same(token.secret.as_slice(), derived.secret.as_slice()).then_some(token.id)
    }

    /// The devices that the session's account is known on, the last seen first.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn devices(
        &self,
        tx: &mut ReadTx,
        session: &AuthenticatedSession,
    ) -> Result<Vec<Device>, Failure> {
        in_home(tx, session.home())?;
        let (now, used_since) = (tx.now(), tx.now() - self.settings.idle_ms());
        let rows: Vec<(Uuid, String, String, String, i64, i64, i64)> = tx
            .query(
                "SELECT id, name, platform, place, first_seen_at, last_seen_at,
                        CAST((SELECT count(*) FROM session JOIN login_method ON login_method.id = session.method
                              WHERE session.device = device.id AND session.ended_at IS NULL
                                AND session.expires_at > $1 AND session.last_used_at > $2) AS BIGINT)
                 FROM device WHERE ended_at IS NULL ORDER BY last_seen_at DESC, id",
                params![now, used_since],
            )
            .await?;
        let device = |(id, name, platform, place, first_seen_at, last_seen_at, sessions)| {
            let id = DeviceId::from_uuid(id);
            let (is_current, sessions) =
                (id == session.device(), u32::try_from(sessions).unwrap_or(u32::MAX));
            Device { id, name, platform, place, first_seen_at, last_seen_at, sessions, is_current }
        };
        Ok(rows.into_iter().map(device).collect())
    }

    /// Signs a device out: all its sessions end, their halves of its key are gone, and it is no longer known. Says whether
    /// there was such a device.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn end_device(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        device: DeviceId,
    ) -> Result<bool, Failure> {
        in_home(tx, session.home())?;
        let now = tx.now();
        let ended = tx
            .execute(
                "UPDATE device SET ended_at = $1 WHERE id = $2 AND ended_at IS NULL",
                params![now, device.uuid()],
            )
            .await?;
        tx.execute(
            "UPDATE session SET ended_at = $1, server_half = NULL, email_key = NULL WHERE device = $2 AND ended_at IS NULL",
            params![now, device.uuid()],
        )
        .await?;
        Ok(ended == 1)
    }
}

const PREFIX: &str = "bwd_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_token_reads_back_and_does_not_print() {
        let token = DeviceToken { id: DeviceId::random(), secret: SecretBytes::clone_of(&[7; 32]) };
        let read: DeviceToken = token.expose().parse().unwrap();
        assert_eq!((read.id, read.hash()), (token.id, token.hash()));
        assert!(!format!("{token:?}").contains(&token.expose()[30..]));
        for bad in ["", "bwd_", "bws_AAAA", &token.expose()[..60]] {
            assert!(bad.parse::<DeviceToken>().is_err());
        }
    }

    #[test]
    fn names_that_hide_or_reorder_text_are_refused() {
        assert!(DeviceInfo::new("work laptop", "Linux").is_ok());
        assert!(DeviceInfo::new("ноутбук ☂", "Linux").is_ok());
        let long = "x".repeat(65);
        for name in ["", "  ", "a\r\nBcc: x@y", "a\u{202e}b", "a\u{200b}", &long] {
            assert!(DeviceInfo::new(name, "Linux").is_err(), "{name:?}");
            assert!(DeviceInfo::new("x", name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn places_are_networks() {
        for (address, place) in [
            ("192.0.2.77", "192.0.2.0/24"),
            ("::ffff:192.0.2.77", "192.0.2.0/24"),
            ("2001:db8:1:2::3", "2001:db8:1::/48"),
            ("127.0.0.1", "this machine"),
            ("::1", "this machine"),
        ] {
            assert_eq!(Place::of(address.parse().unwrap()).as_str(), place);
        }
    }
}
