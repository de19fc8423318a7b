// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The side that wants in.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::request::PairingId;
use super::{ANSWER, Binding, OFFER, PairingBundle, PairingError, PairingForm, PairingRequest, TRIES};
use super::{message, opened, password};
use crate::hybrid::{KeyPair, Seed, split};
use crate::secret::REDACTED;
use crate::spake2::{CONFIRMATION, Exchange, Role, Unconfirmed};

/// A device that asks to be let in. Its key pair serves for this request alone.
pub struct PairingDevice {
    keys: KeyPair,
    request: PairingRequest,
    half: Zeroizing<String>,
    tries: u8,
    unconfirmed: Option<(u8, Unconfirmed)>,
}

impl PairingDevice {
    /// Makes a request.
    ///
    /// # Errors
    /// [`PairingError::Description`].
    pub fn start(
        form: PairingForm,
        name: &str,
        platform: &str,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, PairingError> {
        let keys = KeyPair::from_seed(Seed::random(rng));
        let id = PairingId::generate(rng);
        let request = PairingRequest::new(id, form, name, platform, keys.public().clone())?;
        let half = match form {
            PairingForm::Device => Zeroizing::default(),
            PairingForm::Public => super::approver::three_characters(rng),
        };
        Ok(Self { keys, request, half, tries: 0, unconfirmed: None })
    }

    /// What to tell the server, and to make the link of.
    pub fn request(&self) -> &PairingRequest {
        &self.request
    }

    /// On a public computer, the three characters to show beside the link.
    pub fn shown(&self) -> Option<&str> {
        (self.request.form() == PairingForm::Public).then_some(self.half.as_str())
    }

    /// Answers an offer with what was typed: the six digits, or the three characters of the other screen.
    ///
    /// # Errors
    /// [`PairingError::NotACode`] and [`PairingError::NotThreeCharacters`] cost nothing: ask again, with the same
    /// offer. The others are the end.
    pub fn answer(
        &mut self,
        offer: &[u8],
        typed: &str,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, PairingError> {
        let (number, share) = opened(offer, Some(OFFER))?;
        if self.tries >= TRIES {
            return Err(PairingError::TriesSpent);
        }
        if number != self.tries + 1 {
            return Err(PairingError::OutOfTurn);
        }
        let password = match self.request.form() {
            PairingForm::Device => password(PairingForm::Device, &[&six_digits(typed)?]),
            PairingForm::Public => {
                let theirs = super::approver::parse_three(typed)?;
                password(PairingForm::Public, &[&self.half, &theirs])
            }
        };
        let exchange = Exchange::start(Role::B, &password, rng);
        let ours = *exchange.share();
        let binding = Binding::of(&self.request, number);
        let unconfirmed = exchange.finish(share, &binding.between()).map_err(|_| PairingError::Malformed)?;
        let answer = message(number, &[&ours, unconfirmed.confirmation()]);
        debug_assert_eq!(answer.len(), 2 + ANSWER);
        self.tries = number;
        self.unconfirmed = Some((number, unconfirmed));
        Ok(answer)
    }

    /// Checks that the approver knows the code, and opens the bundle.
    ///
    /// # Errors
    /// Each is the end of this request.
    pub fn finish(mut self, delivery: &[u8]) -> Result<PairingBundle, PairingError> {
        let (number, body) = opened(delivery, None)?;
        let (expected, unconfirmed) = self.unconfirmed.take().ok_or(PairingError::OutOfTurn)?;
        if number != expected {
            return Err(PairingError::OutOfTurn);
        }
        let (confirmation, sealed) =
            body.split_first_chunk::<CONFIRMATION>().ok_or(PairingError::Malformed)?;
        split(sealed)?;
        let key = unconfirmed.confirm(confirmation).ok_or(PairingError::NotConfirmed)?;
        let binding = Binding::of(&self.request, number);
        let bundle = self.keys.open_with(&binding.psk(&key), sealed, &binding.associated_data)?;
        PairingBundle::from_bytes(&bundle, self.request.form())
    }
}

impl fmt::Debug for PairingDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PairingDevice({:?}, {REDACTED})", self.request)
    }
}

/// Six digits as typed, with spaces and dashes as people like.
fn six_digits(typed: &str) -> Result<Zeroizing<String>, PairingError> {
    let digits: Zeroizing<String> =
        Zeroizing::new(typed.chars().filter(|c| !crate::codes::is_separator(*c)).collect());
    if digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(digits)
    } else {
        Err(PairingError::NotACode)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Judgement, PairedKey, PairingApproval, PairingGrant, PairingLink};
    use super::*;
    use crate::{MasterKey, OpenError, SystemRng};

    #[test]
    fn who_read_the_qr_code_and_even_the_code_opens_nothing_without_the_devices_key() {
        let rng = &mut SystemRng;
        let device = PairingDevice::start(PairingForm::Device, "laptop", "Linux", rng).unwrap();
        let link = PairingLink::new("https://bailiwick.example", device.request());
        let mut approval = PairingApproval::open(&link, device.request().clone()).unwrap();
        let code = approval.authorize(None, rng).unwrap();

        // The bystander knows all that the device knows but its private key, and is quicker.
        let mut bystander = PairingDevice {
            keys: KeyPair::from_seed(Seed::random(rng)),
            request: device.request().clone(),
            half: Zeroizing::default(),
            tries: 0,
            unconfirmed: None,
        };
        let answer = bystander.answer(&approval.offer(rng).unwrap(), &code, rng).unwrap();
        let Judgement::Right(confirmed) = approval.judge(&answer).unwrap() else {
            panic!("the code is right")
        };
        let bundle = PairingBundle {
            account: [1; 16].into(),
            home: [2; 16].into(),
            key_version: 1,
            key: PairedKey::Master(MasterKey::generate(rng)),
            grant: PairingGrant::generate(rng),
            email: None,
        };
        let delivery = confirmed.deliver(&bundle, rng).unwrap();
        assert_eq!(
            bystander.finish(&delivery).unwrap_err(),
            PairingError::Sealed(OpenError::WrongKeyOrContext)
        );
    }
}
