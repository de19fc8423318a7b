// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Randomness that repeats.

use std::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};
use sha2::{Digest, Sha256};

/// SHA-256 in counter mode over a name: block `i` is `SHA-256(name ‖ i)`, `i` as eight bytes, big-endian.
pub(crate) struct Replay {
    name: &'static str,
    block: u64,
    left: Vec<u8>,
}

impl Replay {
    pub(crate) fn of(name: &'static str) -> Self {
        Self { name, block: 0, left: Vec::new() }
    }
}

impl TryRng for Replay {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for byte in out {
            if self.left.is_empty() {
                let block =
                    Sha256::new().chain_update(self.name).chain_update(self.block.to_be_bytes()).finalize();
                self.left = block.iter().rev().copied().collect();
                self.block += 1;
            }
            *byte = self.left.pop().unwrap();
        }
        Ok(())
    }
}

impl TryCryptoRng for Replay {}

/// Gives out the bytes it was made with, in order.
pub(crate) struct Script(Vec<u8>);

impl Script {
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        Self(parts.concat())
    }
}

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("only bytes are drawn")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("only bytes are drawn")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let rest = self.0.split_off(out.len());
        out.copy_from_slice(&self.0);
        self.0 = rest;
        Ok(())
    }
}

impl TryCryptoRng for Script {}
