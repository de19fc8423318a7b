// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every stored form of a key, and every code that a person types: one value has one form, and nothing panics.
#![no_main]

use keyring::{
    AccountId, AccountNumber, ApiKey, ApiKeyAuth, ApiKeyId, Authorship, BackupCode, Email, Grant,
    IdentityPublicKeys, IdentityRotation, ItemContent, MethodPublicKey, MethodSecret, RecoveryKey,
    SealedMasterKey,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [form, bytes @ ..] = input else { return };
    match form % 9 {
        0 => drop(Grant::from_bytes(bytes).map(|grant| assert_eq!(grant.to_bytes(), bytes))),
        1 => drop(IdentityPublicKeys::from_bytes(bytes).map(|keys| assert_eq!(keys.to_bytes(), bytes))),
        2 => drop(IdentityRotation::from_bytes(bytes).map(|rotation| assert_eq!(rotation.to_bytes(), bytes))),
        3 => drop(MethodPublicKey::from_bytes(bytes).map(|key| assert_eq!(key.to_bytes(), bytes))),
        4 => drop(SealedMasterKey::parse(bytes).map(|sealed| assert_eq!(sealed.as_bytes(), bytes))),
        5 => {
            drop(MethodSecret::from_bytes(bytes).map(|secret| secret.lookup()));
            let signature = Authorship::from_bytes(bytes);
            drop(signature.map(|signature| assert_eq!(signature.to_bytes().as_slice(), bytes)));
            if let Ok(item) = ItemContent::from_bytes(bytes) {
                assert_eq!(item.to_bytes().expect("what was read is one").as_slice(), bytes);
            }
        }
        _ => {}
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match form % 9 {
        6 => {
            if let Ok(code) = BackupCode::parse(text) {
                let written = code.to_text();
                let again = BackupCode::parse(&written).expect("what was written can be typed");
                let account = AccountId::from([1; 16]);
                assert!(again.lookup(&account) == code.lookup(&account));
            }
            if let Ok(number) = AccountNumber::parse(text) {
                assert!(AccountNumber::is_canonical(number.as_str()));
                assert_eq!(
                    AccountNumber::parse(number.as_str()).expect("canonical").as_str(),
                    number.as_str()
                );
            }
        }
        7 => {
            if let Ok(email) = Email::parse(text) {
                let again = Email::parse(email.as_str()).expect("normalised");
                assert_eq!(again.as_str(), email.as_str(), "normalising is done once");
            }
        }
        8 => {
            if let Ok(key) = RecoveryKey::parse(text) {
                assert!(RecoveryKey::parse(&key.to_text()).expect("what was written can be typed") == key);
            }
            if let Ok(key) = text.parse::<ApiKey>() {
                assert_eq!(key.to_text().as_str(), text, "an API key has one form");
                assert_eq!(text.parse::<ApiKeyAuth>().is_ok(), key.unlock().is_none());
            }
            if let Ok(id) = text.parse::<ApiKeyId>() {
                assert!(id.as_str().parse::<ApiKeyId>() == Ok(id));
            }
        }
        _ => {}
    }
});
