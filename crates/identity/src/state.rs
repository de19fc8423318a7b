// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The server's state in a client's hands between two steps: how its fields are laid out.
//!
//! Sealed by custody's [`StateSealer`](custody::StateSealer), one purpose for each exchange. Fields have fixed lengths in
//! a fixed order, so that the state of an unknown account is as long as that of a known one.

use zeroize::Zeroizing;

/// What a state is for; one never opens as another.
pub(crate) const SIGN_UP: &str = "identity/sign-up";
pub(crate) const SIGN_IN: &str = "identity/sign-in";
pub(crate) const STEP_UP: &str = "identity/step-up";
pub(crate) const PASSWORD: &str = "identity/password";
pub(crate) const TOTP: &str = "identity/totp";
pub(crate) const PASSKEY_ADD: &str = "identity/passkey-add";
pub(crate) const PASSKEY_SIGN_IN: &str = "identity/passkey-sign-in";
pub(crate) const PASSKEY_STEP_UP: &str = "identity/passkey-step-up";

/// Names one exchange, so that it happens once.
pub(crate) type ExchangeId = [u8; 16];

#[derive(Default)]
pub(crate) struct Packer(Zeroizing<Vec<u8>>);

impl Packer {
    pub(crate) fn put(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn number(self, number: i64) -> Self {
        self.put(&number.to_be_bytes())
    }

    /// Text after its length; it was bounded before.
    pub(crate) fn text(self, text: &str) -> Self {
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        self.put(&length.to_be_bytes()).put(text.as_bytes())
    }

    pub(crate) fn finish(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

pub(crate) struct Unpacker<'a>(&'a [u8]);

impl<'a> Unpacker<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn number(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        let length = u16::from_be_bytes(self.take()?);
        let (text, rest) = self.0.split_at_checked(length.into())?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }
}
