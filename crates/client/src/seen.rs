// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Holding the keys that a sign-in gives against those that this device saw before.

use crate::client::signin::Unlocked;
use crate::pins::{Newer, Pins};
use crate::sharing::{KnownAccount, SharingError};

impl Unlocked {
    /// Holds the account's keys against those that were seen before, and remembers them. Newer ones have to follow from them,
    /// as the key directory proves.
    ///
    /// # Errors
    /// [`SharingError::Profile`] when the server gives out older keys, other ones, or newer ones that do not follow: do not go
    /// on with them.
    pub async fn hold_against(&self, pins: &mut Pins) -> Result<(), SharingError> {
        let (version, identity) = (self.master_key_version, self.identity());
        if !pins.has_older(self.account, version) {
            return Ok(pins.check_account(self.account, version, &identity, Newer::Unproven)?);
        }
        let service = self.client.service().await?;
        pins.check(&service)?;
        match KnownAccount::look_up_version(&self.client, &service, pins, self).await {
            Err(SharingError::NotLogged) => {
                Ok(pins.check_account(self.account, version, &identity, Newer::Unproven)?)
            }
            proven => Ok(pins.check_account(self.account, version, &identity, Newer::Proven(&proven?))?),
        }
    }
}
