// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What people write down and read out: backup codes and account numbers.

use std::fmt;
use std::str::FromStr;

use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use crate::crockford;
use crate::id::AccountId;
use crate::method::Lookup;
use crate::secret::REDACTED;

/// A code that stands in for the second factor, once. 50 bits, written `7GQ2M-0XFKT`.
///
/// Short enough to guess offline, so the server stores its lookup value only under the pepper, and counts tries.
#[derive(Clone)]
pub struct BackupCode(Zeroizing<u64>);

impl BackupCode {
    /// How many codes an account gets.
    pub const COUNT: usize = 10;

    /// Draws an account's codes, no two the same.
    pub fn generate_all(rng: &mut impl CryptoRng) -> [Self; Self::COUNT] {
        let mut codes: [Self; Self::COUNT] = std::array::from_fn(|_| Self::generate(rng));
        for i in 1..Self::COUNT {
            while let Some((code, earlier)) = codes.get(..=i).and_then(<[Self]>::split_last) {
                if !earlier.iter().any(|other| *other.0 == *code.0) {
                    break;
                }
                let fresh = Self::generate(rng);
                if let Some(code) = codes.get_mut(i) {
                    *code = fresh;
                }
            }
        }
        codes
    }

    /// Reads a code as typed: in either case, with or without dashes and spaces, O for 0, I and L for 1.
    ///
    /// # Errors
    /// When what remains is not ten symbols of Crockford's alphabet.
    pub fn parse(typed: &str) -> Result<Self, CodeError> {
        let mut bits = Zeroizing::new(0u64);
        let mut symbols = 0;
        for c in typed.chars().filter(|c| !is_separator(*c)) {
            let value = Zeroizing::new(crockford::decode(c).ok_or(CodeError)?);
            symbols += 1;
            if symbols > SYMBOLS {
                return Err(CodeError);
            }
            *bits = *bits << 5 | *value;
        }
        if symbols == SYMBOLS { Ok(Self(bits)) } else { Err(CodeError) }
    }

    /// The code as shown, two groups of five.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut symbols: [char; SYMBOLS] = crockford::encode(*self.0);
        let mut text = Zeroizing::new(String::with_capacity(SYMBOLS + 1));
        for (place, symbol) in symbols.iter().enumerate() {
            if place == SYMBOLS / 2 {
                text.push('-');
            }
            text.push(*symbol);
        }
        symbols.zeroize();
        text
    }

    /// What the server sees of the code, and stores under its pepper.
    pub fn lookup(&self, account: &AccountId) -> Lookup {
        let code = Zeroizing::new(self.0.to_be_bytes());
        Lookup::derived(code.as_slice(), &[], "backup-code", &[account.as_bytes()])
    }

    fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(Zeroizing::new(rng.next_u64() >> (64 - 5 * SYMBOLS)))
    }
}

impl fmt::Debug for BackupCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BackupCode({REDACTED})")
    }
}

/// The text is not a backup code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a backup code has ten letters and digits")]
pub struct CodeError;

/// The number of an account: seven characters of which no two look alike, for invoices and the telephone.
///
/// It names an account to people; it is not secret and lets nobody in. The alphabet has no vowels, so it spells
/// nothing, and one each of what looks alike: `23456789CDFGHJKMNPQRTVWXY`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountNumber([u8; Self::LEN]);

impl AccountNumber {
    /// How many characters it has.
    pub const LEN: usize = 7;

    /// Draws a number, one of six thousand million; whether it is taken, the directory knows.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut number = [0; Self::LEN];
        for place in &mut number {
            *place = loop {
                let mut byte = [0];
                rng.fill_bytes(&mut byte);
                let [byte] = byte;
                // 250 is the largest multiple of 25 in a byte: every character is equally likely.
                if byte < 250 {
                    break ALPHABET.get(usize::from(byte) % ALPHABET.len()).copied().unwrap_or_default();
                }
            };
        }
        Self(number)
    }

    /// Reads a number as typed: in either case, with or without dashes and spaces, B for 8, S for 5, Z for 2.
    ///
    /// # Errors
    /// When what remains is not seven characters of the alphabet.
    pub fn parse(typed: &str) -> Result<Self, AccountNumberError> {
        let mut characters = typed.chars().filter(|c| !is_separator(*c));
        let mut number = [0; Self::LEN];
        for place in &mut number {
            let c = match characters.next().ok_or(AccountNumberError)?.to_ascii_uppercase() {
                'B' => '8',
                'S' => '5',
                'Z' => '2',
                other => other,
            };
            *place =
                ALPHABET.iter().copied().find(|known| char::from(*known) == c).ok_or(AccountNumberError)?;
        }
        if characters.next().is_some() { Err(AccountNumberError) } else { Ok(Self(number)) }
    }

    /// Whether text is a number exactly as [`Display`](fmt::Display) writes it.
    pub fn is_canonical(text: &str) -> bool {
        text.len() == Self::LEN && text.bytes().all(|byte| ALPHABET.contains(&byte))
    }

    /// The seven characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for AccountNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for AccountNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountNumber({self})")
    }
}

impl FromStr for AccountNumber {
    type Err = AccountNumberError;

    fn from_str(typed: &str) -> Result<Self, Self::Err> {
        Self::parse(typed)
    }
}

/// The text is not an account number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an account number has seven of the characters 23456789CDFGHJKMNPQRTVWXY")]
pub struct AccountNumberError;

pub(crate) fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '_' | '\u{2010}'..='\u{2015}')
}

const SYMBOLS: usize = 10;
const ALPHABET: &[u8; 25] = b"23456789CDFGHJKMNPQRTVWXY";
