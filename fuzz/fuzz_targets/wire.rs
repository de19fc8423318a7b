// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Requests and responses as JSON: what is accepted reads the same after it was written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::{account, api_keys, log, methods, objects, pairing, passkeys, service, sharing, signin};
use serde::Serialize;
use serde::de::DeserializeOwned;

macro_rules! each {
    ($input:expr, $form:expr; $($message:ty),+ $(,)?) => {{
        let readers: &[fn(&[u8])] = &[$(read::<$message>),+];
        readers[usize::from($form) % readers.len()]($input)
    }};
}

fuzz_target!(|input: &[u8]| {
    let [form, json @ ..] = input else { return };
    each!(json, *form;
        signin::SignUpStart, signin::SignUpStarted, signin::SignUpFinish, signin::SignedUp, signin::SignInStart,
        signin::SignInStarted, signin::SignInFinish, signin::SignedIn, signin::StepUpStart, signin::StepUpFinish,
        signin::SteppedUp,
        methods::Methods, methods::MethodRename, methods::NewRecoveryKey,
        passkeys::PasskeyAddStarted, passkeys::PasskeyAddFinish, passkeys::PasskeyStarted, passkeys::PasskeySignIn,
        passkeys::PasskeyStepUp,
        pairing::PairingAsk, pairing::PairingAnswer, pairing::PairingRedeem, pairing::Paired, pairing::PairingNamed,
        pairing::PairingAsked, pairing::PairingOffer, pairing::PairingDeliver,
        api_keys::NewApiKey, api_keys::ApiKeys, api_keys::KeyNetwork, api_keys::OwnApiKey, api_keys::KeyReport,
        sharing::AccountKeys, sharing::PutMember, sharing::Members, sharing::Shares, sharing::SharedCollection,
        sharing::NextKey, account::FormerAccountKeys, objects::Description,
        account::Account, account::Sessions, account::Devices, account::ServerHalf,
        account::PasswordChangeStart, account::PasswordChangeStarted, account::PasswordChangeFinish,
        account::BackupCodes, account::TotpStarted, account::TotpFinish, account::MasterKeyRotation,
        account::AccessToken,
        objects::NewCollection, objects::Collections, objects::PutItem, objects::Item, objects::Changes,
        objects::NewUpload, objects::Upload, objects::Usage, objects::ChangeEvent,
        log::Records, service::Service, service::Health, protocol::Problem,
    );
});

fn read<T: DeserializeOwned + Serialize>(json: &[u8]) {
    let Ok(message) = serde_json::from_slice::<T>(json) else { return };
    let written = serde_json::to_vec(&message).expect("a message can be written");
    let again: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(serde_json::to_vec(&again).expect("a message can be written"), written);
}
