// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The side that lets in.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use super::{ANSWER, Binding, PairingBundle, PairingError, PairingForm, PairingLink, PairingRequest, TRIES};
use super::{message, opened, password};
use crate::codes::is_separator;
use crate::crockford;
use crate::hybrid::PreSharedKey;
use crate::secret::REDACTED;
use crate::spake2::{CONFIRMATION, Exchange, Role, SHARE};

/// A request that was opened on a signed-in device.
pub struct PairingApproval {
    request: PairingRequest,
    password: Option<Zeroizing<[u8; 64]>>,
    tries: u8,
    exchange: Option<Exchange>,
}

impl PairingApproval {
    /// Checks that what the server shows is what the link names. What it holds may be shown to the owner from then on.
    ///
    /// # Errors
    /// [`PairingError::OtherRequest`].
    pub fn open(link: &PairingLink, request: PairingRequest) -> Result<Self, PairingError> {
        if !link.names(&request) {
            return Err(PairingError::OtherRequest);
        }
        Ok(Self { request, password: None, tries: 0, exchange: None })
    }

    /// Who asks.
    pub fn request(&self) -> &PairingRequest {
        &self.request
    }

    /// The owner said yes: makes the code and returns it, to be shown on this side alone. Of a public computer it
    /// needs the three characters that its screen shows.
    ///
    /// # Errors
    /// [`PairingError::NotThreeCharacters`].
    pub fn authorize(
        &mut self,
        typed: Option<&str>,
        rng: &mut impl CryptoRng,
    ) -> Result<Zeroizing<String>, PairingError> {
        let (code, password) = match self.request.form() {
            PairingForm::Device => {
                let code = six_digits(rng);
                let password = password(PairingForm::Device, &[&code]);
                (code, password)
            }
            PairingForm::Public => {
                let theirs = parse_three(typed.unwrap_or_default())?;
                let code = three_characters(rng);
                let password = password(PairingForm::Public, &[&theirs, &code]);
                (code, password)
            }
        };
        self.password = Some(password);
        Ok(code)
    }

    /// What to send to the device; once more after a wrong code, three times in all.
    ///
    /// # Errors
    /// [`PairingError::OutOfTurn`] before [`authorize`](Self::authorize) or while an answer is awaited,
    /// [`PairingError::TriesSpent`].
    pub fn offer(&mut self, rng: &mut impl CryptoRng) -> Result<Vec<u8>, PairingError> {
        let password = match (&self.password, &self.exchange) {
            (Some(password), None) => password,
            _ => return Err(PairingError::OutOfTurn),
        };
        if self.tries >= TRIES {
            return Err(PairingError::TriesSpent);
        }
        let exchange = Exchange::start(Role::A, password, rng);
        self.tries += 1;
        let offer = message(self.tries, &[exchange.share()]);
        self.exchange = Some(exchange);
        Ok(offer)
    }

    /// Judges the device's answer. Whatever it says, it was a try.
    ///
    /// # Errors
    /// [`PairingError::Malformed`], [`PairingError::UnknownVersion`] and [`PairingError::OutOfTurn`] are the end.
    pub fn judge(&mut self, answer: &[u8]) -> Result<Judgement, PairingError> {
        let exchange = self.exchange.take().ok_or(PairingError::OutOfTurn)?;
        let (number, body) = opened(answer, Some(ANSWER))?;
        if number != self.tries {
            return Err(PairingError::OutOfTurn);
        }
        let (share, shown) = body.split_first_chunk::<SHARE>().ok_or(PairingError::Malformed)?;
        let binding = Binding::of(&self.request, number);
        let unconfirmed = exchange.finish(share, &binding.between()).map_err(|_| PairingError::Malformed)?;
        let confirmation = *unconfirmed.confirmation();
        Ok(match unconfirmed.confirm(shown) {
            Some(key) => {
                let psk = binding.psk(&key);
                // Nothing more is judged: the code has served.
                self.password = None;
                let request = self.request.clone();
                Judgement::Right(Box::new(Confirmed { request, number, confirmation, psk }))
            }
            None => Judgement::Wrong { tries_left: TRIES - self.tries },
        })
    }
}

impl fmt::Debug for PairingApproval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PairingApproval({:?}, {REDACTED})", self.request)
    }
}

/// What an answer was worth.
#[derive(Debug)]
pub enum Judgement {
    /// The device knows the code.
    Right(Box<Confirmed>),
    /// It does not. With tries left, make another offer.
    Wrong {
        /// How many codes may still be typed.
        tries_left: u8,
    },
}

/// A device that has shown that its owner typed the code.
pub struct Confirmed {
    request: PairingRequest,
    number: u8,
    confirmation: [u8; CONFIRMATION],
    psk: PreSharedKey,
}

impl Confirmed {
    /// Seals the bundle to the device.
    ///
    /// # Errors
    /// [`PairingError::OutOfTurn`] when the bundle is of the other form: a public computer never gets the master key.
    pub fn deliver(self, bundle: &PairingBundle, rng: &mut impl CryptoRng) -> Result<Vec<u8>, PairingError> {
        if bundle.form() != self.request.form() {
            return Err(PairingError::OutOfTurn);
        }
        let binding = Binding::of(&self.request, self.number);
        let key = self.request.public_key();
        let sealed = key.seal_with(&self.psk, &bundle.to_bytes(), &binding.associated_data, rng);
        Ok(message(self.number, &[&self.confirmation, &sealed]))
    }
}

impl fmt::Debug for Confirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Confirmed({:?}, {REDACTED})", self.request)
    }
}

/// Six decimal digits, all codes equally likely.
fn six_digits(rng: &mut impl CryptoRng) -> Zeroizing<String> {
    // The largest multiple of a million below 2³²: numbers above it would favour some codes.
    const BOUND: u32 = u32::MAX - u32::MAX % 1_000_000;
    loop {
        let number = rng.next_u32();
        if number < BOUND {
            return Zeroizing::new(format!("{:06}", number % 1_000_000));
        }
    }
}

/// Three characters of Crockford's base 32.
pub(super) fn three_characters(rng: &mut impl CryptoRng) -> Zeroizing<String> {
    let mut symbols: [char; 3] = crockford::encode(rng.next_u64());
    let text = Zeroizing::new(symbols.iter().collect());
    symbols.zeroize();
    text
}

/// Three characters as typed, in either case, O for 0, I and L for 1.
pub(super) fn parse_three(typed: &str) -> Result<Zeroizing<String>, PairingError> {
    let mut text = Zeroizing::new(String::with_capacity(3));
    for c in typed.chars().filter(|c| !is_separator(*c)) {
        let value = crockford::decode(c).ok_or(PairingError::NotThreeCharacters)?;
        text.extend(crockford::encode::<1>(value));
        if text.len() > 3 {
            return Err(PairingError::NotThreeCharacters);
        }
    }
    if text.len() == 3 { Ok(text) } else { Err(PairingError::NotThreeCharacters) }
}
