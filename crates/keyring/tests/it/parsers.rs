// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whatever bytes come from outside, parsers answer with a value or an error, and a value gives its bytes back.

use keyring::file::{FileOpener, plaintext_len};
use keyring::password::server::{RegistrationRecord, ServerLoginState, ServerSetup};
use keyring::sealed::{Context, SealingKey};
use keyring::*;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::places::*;

/// Bytes of a likely length with a likely beginning.
fn input() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![
        0..120usize,
        Just(129),
        Just(193),
        Just(MethodPublicKey::LEN),
        Just(SealedMasterKey::LEN),
        Just(IdentityPublicKeys::LEN),
        Just(IdentityRotation::LEN),
        Just(Grant::LEN),
        Just(Authorship::LEN),
    ];
    (length, any::<bool>()).prop_flat_map(|(length, versioned)| {
        vec(any::<u8>(), length).prop_map(move |mut bytes| {
            if versioned {
                bytes.iter_mut().take(2).for_each(|byte| *byte = 1);
            }
            bytes
        })
    })
}

proptest! {
    #[test]
    fn parsing_gives_the_bytes_back_or_an_error(bytes in input()) {
        if let Ok(sealed) = Sealed::parse(bytes.clone()) {
            prop_assert_eq!(sealed.as_bytes(), &bytes);
            let key = SealingKey::from_bytes([0; 32]);
            prop_assert!(key.open(&sealed, &Context::new("test", ALICE)).is_err());
        }
        if let Ok(sealed) = SealedMasterKey::parse(bytes.clone()) {
            prop_assert_eq!(sealed.as_bytes(), &bytes);
        }
        if let Ok(key) = MethodPublicKey::from_bytes(&bytes) {
            prop_assert_eq!(key.to_bytes(), bytes.clone());
        }
        if let Ok(keys) = IdentityPublicKeys::from_bytes(&bytes) {
            prop_assert_eq!(keys.to_bytes(), bytes.clone());
        }
        if let Ok(rotation) = IdentityRotation::from_bytes(&bytes) {
            prop_assert_eq!(rotation.to_bytes(), bytes.clone());
        }
        if let Ok(grant) = Grant::from_bytes(&bytes) {
            prop_assert_eq!(grant.to_bytes(), bytes.clone());
        }
        if let Ok(authorship) = Authorship::from_bytes(&bytes) {
            prop_assert_eq!(authorship.to_bytes().to_vec(), bytes.clone());
        }
        if let Ok(record) = RegistrationRecord::from_bytes(&bytes) {
            prop_assert_eq!(record.to_bytes(), bytes.clone());
        }
        if let Ok(setup) = ServerSetup::from_bytes(&bytes) {
            prop_assert!(*setup.to_bytes() == bytes);
        }
        if let Ok(state) = ServerLoginState::from_bytes(&bytes) {
            prop_assert!(*state.to_bytes() == bytes);
        }
        let item = CollectionKey::from_bytes([0; 32]).item_key(&ITEM);
        prop_assert!(FileOpener::new(&item, &FILE, &bytes, bytes.len() as u64).is_err());
        let _ = plaintext_len(bytes.len() as u64);
    }
}
