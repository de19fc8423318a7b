// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sealed bytes from anywhere: they parse or they do not, and what this key did not seal never opens.
#![no_main]

use std::sync::OnceLock;

use keyring::sealed::{Context, SealingKey};
use keyring::{AccountId, Sealed, SystemRng};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let context = Context::new("fuzz", AccountId::from([7; 16])).object(b"object").version(1);
    if let Ok(sealed) = Sealed::parse(bytes) {
        assert_eq!(sealed.as_bytes(), bytes);
        assert!(key().open(&sealed, &context).is_err(), "forged");
    }

    // The same bytes as a change to something that was sealed: at, what, and the text.
    let [high, low, flip, text @ ..] = bytes else { return };
    let sealed = key().seal(text, &context, &mut SystemRng);
    assert_eq!(key().open(&sealed, &context).expect("it was sealed here").as_slice(), text);
    let mut changed = sealed.into_bytes();
    let at = usize::from(u16::from_be_bytes([*high, *low])) % changed.len();
    changed[at] ^= flip;
    let opened = Sealed::parse(changed).and_then(|sealed| key().open(&sealed, &context));
    assert_eq!(opened.is_ok(), *flip == 0, "a change at {at} passed");
});

fn key() -> &'static SealingKey {
    static KEY: OnceLock<SealingKey> = OnceLock::new();
    KEY.get_or_init(|| SealingKey::generate(&mut SystemRng))
}
