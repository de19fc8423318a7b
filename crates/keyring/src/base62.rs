// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Digits and letters only, so that a double click selects a key whole and no shell or address changes it.
//!
//! Blocks of 16 bytes, each 22 characters, the highest first: one value has one form.

use zeroize::Zeroizing;

/// Appends the blocks of `bytes`, whose number is a multiple of 16.
pub(crate) fn encode(bytes: &[u8], text: &mut String) {
    for block in bytes.chunks_exact(16) {
        let number =
            Zeroizing::new(block.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte)));
        digits::<BLOCK>(*number, text);
    }
}

/// Fills `bytes`, whose number is a multiple of 16, from exactly that many blocks.
pub(crate) fn decode(text: &str, bytes: &mut [u8]) -> Option<()> {
    if text.len() != bytes.len() / 16 * BLOCK {
        return None;
    }
    for (characters, block) in text.as_bytes().chunks_exact(BLOCK).zip(bytes.chunks_exact_mut(16)) {
        let number = Zeroizing::new(number(characters)?);
        block.copy_from_slice(&*Zeroizing::new(number.to_be_bytes()));
    }
    Some(())
}

/// Appends a checksum: six characters.
pub(crate) fn encode_checksum(sum: u32, text: &mut String) {
    digits::<CHECKSUM>(sum.into(), text);
}

/// Reads a checksum.
pub(crate) fn decode_checksum(text: &str) -> Option<u32> {
    if text.len() == CHECKSUM { number(text.as_bytes())?.try_into().ok() } else { None }
}

fn digits<const N: usize>(mut number: u128, text: &mut String) {
    let mut digits = Zeroizing::new([0_u8; N]);
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET.get((number % 62) as usize).copied().unwrap_or_default();
        number /= 62;
    }
    text.extend(digits.iter().copied().map(char::from));
}

fn number(characters: &[u8]) -> Option<u128> {
    characters.iter().try_fold(0_u128, |number, character| {
        let digit = ALPHABET.iter().position(|known| known == character)?;
        number.checked_mul(62)?.checked_add(digit as u128)
    })
}

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 62^22 is just above 2^128.
const BLOCK: usize = 22;
/// 62^6 is just above 2^32.
const CHECKSUM: usize = 6;
