// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a device keeps, sealed under a key of which it holds only half.
//!
//! The local half stays on the device, in the operating system's keychain where there is one. The server half is on
//! the server, given only to the device's live session. Signing the device out deletes the server half, and what the
//! device stored never opens again, however often it was copied.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::id::{AccountId, DeviceId};
use crate::sealed::{Context, OpenError, Sealed, SealingKey};
use crate::secret::secret;

secret!(
    /// The half of a split key that stays on the device.
    pub LocalHalf
);

secret!(
    /// The half of a split key that stays on the server.
    pub ServerHalf
);

/// Both halves of a device's key, together.
#[derive(Clone, Debug)]
pub struct SplitKey {
    key: SealingKey,
    account: AccountId,
    device: DeviceId,
}

impl SplitKey {
    /// Draws both halves for a new device.
    pub fn generate(rng: &mut impl CryptoRng) -> (LocalHalf, ServerHalf) {
        (LocalHalf::random(rng), ServerHalf::random(rng))
    }

    /// Puts the halves together. Halves that do not belong together give a key that opens nothing.
    pub fn join(local: &LocalHalf, server: &ServerHalf, account: &AccountId, device: &DeviceId) -> Self {
        let mut both = Zeroizing::new([0; 64]);
        for (to, from) in both.iter_mut().zip(local.expose().iter().chain(server.expose())) {
            *to = *from;
        }
        let key =
            SealingKey::derived(both.as_slice(), &[], "split", &[account.as_bytes(), device.as_bytes()]);
        Self { key, account: *account, device: *device }
    }

    /// Seals what the device keeps, such as the master key.
    pub fn seal(&self, device_secret: &[u8], rng: &mut impl CryptoRng) -> Sealed {
        self.key.seal(device_secret, &self.context(), rng)
    }

    /// Opens what the device kept.
    ///
    /// # Errors
    /// [`OpenError::WrongKeyOrContext`] for another half, account or device, or changed bytes.
    pub fn open(&self, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        self.key.open(sealed, &self.context())
    }

    fn context(&self) -> Context {
        Context::new("device-secret", self.account).object(self.device.as_bytes())
    }
}
