// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where randomness comes from.
//!
//! Every operation that needs randomness takes it as a parameter, so that a test can replay it. Programs pass
//! [`SystemRng`].

use std::convert::Infallible;

use getrandom::SysRng;
use opaque_ke::rand as rand_08;
use rand_core::{CryptoRng, TryCryptoRng, TryRng, UnwrapErr};

/// The operating system's generator; in a browser, `crypto.getRandomValues`.
///
/// It stops the program when the system has no randomness to give: going on would make keys that can be guessed.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRng;

impl TryRng for SystemRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        UnwrapErr(SysRng).try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        UnwrapErr(SysRng).try_next_u64()
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        UnwrapErr(SysRng).try_fill_bytes(out)
    }
}

impl TryCryptoRng for SystemRng {}

/// The same generator under the traits of `rand_core` 0.6, on which `opaque-ke` stands.
pub(crate) struct ForOpaque<'a, R>(pub(crate) &'a mut R);

impl<R: CryptoRng> rand_08::RngCore for ForOpaque<'_, R> {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        self.0.fill_bytes(out);
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rand_08::Error> {
        self.0.fill_bytes(out);
        Ok(())
    }
}

impl<R: CryptoRng> rand_08::CryptoRng for ForOpaque<'_, R> {}
