// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Argon2id (RFC 9106), the slow hash between what a person can remember and a key.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroizing;

/// How slow Argon2id is. A value of this type is always within bounds.
///
/// The parameters are stored per login method and come back from the server; [`KdfParams::checked`] is what stops a
/// server that asks for a cheap hash, or for one that would freeze the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KdfParams {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl KdfParams {
    /// The least that is ever accepted: 19 MiB, 2 passes, 1 lane.
    pub const FLOOR: Self = Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 };

    /// The most that is ever accepted: 1 GiB, 10 passes, 4 lanes.
    pub const CEILING: Self = Self { memory_kib: 1024 * 1024, passes: 10, lanes: 4 };

    /// Accepts parameters between [`FLOOR`](Self::FLOOR) and [`CEILING`](Self::CEILING).
    ///
    /// # Errors
    /// Names the first bound that is broken.
    pub fn checked(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, KdfError> {
        let (floor, ceiling) = (Self::FLOOR, Self::CEILING);
        if memory_kib < floor.memory_kib {
            return Err(KdfError::TooLittleMemory(memory_kib));
        }
        if passes < floor.passes {
            return Err(KdfError::TooFewPasses(passes));
        }
        if lanes < floor.lanes {
            return Err(KdfError::NoLanes);
        }
        if memory_kib > ceiling.memory_kib {
            return Err(KdfError::TooMuchMemory(memory_kib));
        }
        if passes > ceiling.passes {
            return Err(KdfError::TooManyPasses(passes));
        }
        if lanes > ceiling.lanes {
            return Err(KdfError::TooManyLanes(lanes));
        }
        Ok(Self { memory_kib, passes, lanes })
    }

    /// Memory in KiB.
    pub const fn memory_kib(&self) -> u32 {
        self.memory_kib
    }

    /// Passes over that memory.
    pub const fn passes(&self) -> u32 {
        self.passes
    }

    /// Independent lanes.
    pub const fn lanes(&self) -> u32 {
        self.lanes
    }

    /// Fills `out`. The memory it took is erased: what the last pass leaves there leads to the output.
    pub(crate) fn hash(&self, secret: &[u8], salt: &[u8], out: &mut [u8]) -> Result<(), KdfError> {
        let params =
            Params::new(self.memory_kib, self.passes, self.lanes, None).map_err(|_| KdfError::OutOfMemory)?;
        let mut memory = Zeroizing::new(Vec::new());
        memory.try_reserve_exact(params.block_count()).map_err(|_| KdfError::OutOfMemory)?;
        memory.resize(params.block_count(), Block::new());
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(secret, salt, out, memory.as_mut_slice())
            .map_err(|_| KdfError::OutOfMemory)
    }
}

impl Default for KdfParams {
    /// 64 MiB, 3 passes, 1 lane: RFC 9106's second recommendation, in one lane because a browser has one thread.
    fn default() -> Self {
        Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 }
    }
}

/// Why Argon2id was not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KdfError {
    /// Below 19 MiB: whoever asked for it wants a hash that is cheap to guess.
    #[error("refused to hash with {0} KiB of memory: the least is 19456")]
    TooLittleMemory(u32),
    /// Below two passes.
    #[error("refused to hash with {0} passes: the least is 2")]
    TooFewPasses(u32),
    /// No lane at all.
    #[error("refused to hash with 0 lanes: the least is 1")]
    NoLanes,
    /// Above 1 GiB.
    #[error("refused to hash with {0} KiB of memory: the most is 1048576")]
    TooMuchMemory(u32),
    /// Above ten passes.
    #[error("refused to hash with {0} passes: the most is 10")]
    TooManyPasses(u32),
    /// Above four lanes.
    #[error("refused to hash with {0} lanes: the most is 4")]
    TooManyLanes(u32),
    /// The machine cannot give the memory.
    #[error("not enough memory to hash")]
    OutOfMemory,
}
