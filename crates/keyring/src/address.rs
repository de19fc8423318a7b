// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The address's key, kept for sign-ins at which nobody types an address.
//!
//! Whoever signs in must be told by mail, also when it was a recovery key, a passkey or an API key that let them in.
//! So each of these methods keeps the account's [`EmailKey`] sealed under a key from its [`Lookup`]: the server can
//! open the address while that value is shown, and at no other time.

use rand_core::CryptoRng;

use crate::email::EmailKey;
use crate::id::{AccountId, MethodId};
use crate::method::Lookup;
use crate::sealed::{Context, OpenError, Sealed, SealingKey};

/// What a method's copy of the address's key is sealed under.
#[derive(Clone, Debug)]
pub struct AddressSeal(SealingKey);

impl AddressSeal {
    /// The seal of the method with this lookup value.
    pub fn of(lookup: &Lookup) -> Self {
        Self(SealingKey::derived(lookup.expose(), &[], "address", &[]))
    }

    /// Seals the address's key for a method of the account.
    pub fn seal(
        &self,
        key: &EmailKey,
        account: &AccountId,
        method: &MethodId,
        rng: &mut impl CryptoRng,
    ) -> Sealed {
        self.0.seal(key.expose(), &Self::context(account, method), rng)
    }

    /// Opens the address's key.
    ///
    /// # Errors
    /// [`OpenError::WrongKeyOrContext`] for another method or account, or changed bytes.
    pub fn open(
        &self,
        sealed: &Sealed,
        account: &AccountId,
        method: &MethodId,
    ) -> Result<EmailKey, OpenError> {
        let key = self.0.open(sealed, &Self::context(account, method))?;
        EmailKey::from_slice(&key).ok_or(OpenError::WrongKeyOrContext)
    }

    fn context(account: &AccountId, method: &MethodId) -> Context {
        Context::new("address", *account).object(method.as_bytes())
    }
}
