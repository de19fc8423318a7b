// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Secret bytes: on the heap, so that moving them leaves no copy on a stack; erased when dropped; never printed.

use std::fmt;
use std::ops::Deref;

use keyring::SystemRng;
use rand_core::Rng;
use zeroize::Zeroizing;

pub(crate) struct SecretBytes<const N: usize>(Box<Zeroizing<[u8; N]>>);

impl<const N: usize> SecretBytes<N> {
    /// Drawn from the operating system's generator.
    pub(crate) fn random() -> Self {
        let mut secret = Self::empty();
        SystemRng.fill_bytes(secret.0.as_mut_slice());
        secret
    }

    /// A copy of bytes that should be `N`.
    pub(crate) fn copied(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::clone_of)
    }

    /// A copy of these bytes.
    pub(crate) fn clone_of(bytes: &[u8; N]) -> Self {
        let mut secret = Self::empty();
        secret.0.copy_from_slice(bytes);
        secret
    }

    fn empty() -> Self {
        Self(Box::new(Zeroizing::new([0; N])))
    }
}

impl<const N: usize> Deref for SecretBytes<N> {
    type Target = [u8; N];

    fn deref(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> Clone for SecretBytes<N> {
    fn clone(&self) -> Self {
        Self::clone_of(self)
    }
}

impl<const N: usize> fmt::Debug for SecretBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***REDACTED***")
    }
}
