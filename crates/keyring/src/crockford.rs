// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Crockford's base 32: what people read out and type in.

/// The lowest `5 × N` bits, the highest first.
pub(crate) fn encode<const N: usize>(bits: u64) -> [char; N] {
    let mut symbols = ['0'; N];
    let mut bits = bits;
    for symbol in symbols.iter_mut().rev() {
        *symbol = ALPHABET.chars().nth((bits & 31) as usize).unwrap_or_default();
        bits >>= 5;
    }
    symbols
}

/// One symbol, in either case, O for 0, I and L for 1.
pub(crate) fn decode(symbol: char) -> Option<u64> {
    let symbol = match symbol.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    ALPHABET.chars().position(|known| known == symbol).map(|value| value as u64)
}

const ALPHABET: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
