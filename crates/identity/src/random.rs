// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Secrets of this room are drawn from the operating system's generator, always.

use keyring::SystemRng;
use rand_core::Rng;

pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRng.fill_bytes(&mut bytes);
    bytes
}

/// Six decimal digits, all equally likely.
pub(crate) fn six_digits() -> String {
    // The largest multiple of a million below 2³²: numbers above it would favour some codes.
    const BOUND: u32 = u32::MAX - u32::MAX % 1_000_000;
    loop {
        let number = u32::from_be_bytes(bytes());
        if number < BOUND {
            return format!("{:06}", number % 1_000_000);
        }
    }
}
