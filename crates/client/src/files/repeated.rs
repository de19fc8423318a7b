// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Randomness that comes out the same again, for a chunk that lies across the parts of an upload which is resumed.

use sha2::{Digest, Sha256};

/// Random bytes that follow from a secret seed, a chunk's number and all of its bytes: the same chunk comes out the same
/// again, another never under the same nonce.
pub(super) struct RepeatedRng {
    state: [u8; 32],
    used: u64,
}

impl RepeatedRng {
    pub(super) fn new(seed: &[u8; 32], index: u64, chunk: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed);
        hash.update(index.to_be_bytes());
        hash.update(chunk);
        RepeatedRng { state: hash.finalize().into(), used: 0 }
    }
}

impl rand_core::TryRng for RepeatedRng {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        for piece in out.chunks_mut(32) {
            let mut hash = Sha256::new();
            hash.update(self.state);
            hash.update(self.used.to_be_bytes());
            self.used += 1;
            for (to, from) in piece.iter_mut().zip(hash.finalize()) {
                *to = from;
            }
        }
        Ok(())
    }
}

impl rand_core::TryCryptoRng for RepeatedRng {}

#[cfg(test)]
mod tests {
    use rand_core::Rng;

    use super::*;

    #[test]
    fn a_cut_chunk_comes_out_the_same_and_a_changed_one_under_another_nonce() {
        let bytes = |index, chunk: &[u8]| {
            let mut out = [0; 40];
            RepeatedRng::new(&[7; 32], index, chunk).fill_bytes(&mut out);
            out
        };
        assert_eq!(bytes(1, b"chunk"), bytes(1, b"chunk"));
        assert_ne!(bytes(1, b"chunk"), bytes(2, b"chunk"));
        assert_ne!(bytes(1, b"chunk"), bytes(1, b"chunK"));
        assert_ne!(bytes(1, b"chunk")[..8], bytes(1, b"chunk")[32..]);
    }
}
