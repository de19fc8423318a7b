// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The published vectors of Web Authentication Level 3 (section 16), and what must not pass.

use data_encoding::HEXLOWER;
use serde_json::Value;

use super::*;

/// What a vector's key signs with; the statements about the authenticator do not matter here.
const UNSUPPORTED: [&str; 3] = ["packed-es384", "packed-es512", "packed-ed448"];

struct Vector {
    id: String,
    registration: Registration,
    registration_challenge: Vec<u8>,
    assertion: Assertion,
    assertion_challenge: Vec<u8>,
}

fn vectors() -> Vec<Vector> {
    let all: Value = serde_json::from_str(include_str!("../../tests/vectors/webauthn-level-3.json")).unwrap();
    let bytes = |value: &Value| HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap();
    let read = |vector: &Value| {
        let (made, shown) = (&vector["registration"], &vector["authentication"]);
        Vector {
            id: vector["id"].as_str().unwrap().to_owned(),
            registration: Registration {
                client_data_json: bytes(&made["client_data_json"]),
                attestation_object: bytes(&made["attestation_object"]),
            },
            registration_challenge: bytes(&made["challenge"]),
            assertion: Assertion {
                credential_id: bytes(&made["credential_id"]),
                client_data_json: bytes(&shown["client_data_json"]),
                authenticator_data: bytes(&shown["authenticator_data"]),
                signature: bytes(&shown["signature"]),
            },
            assertion_challenge: bytes(&shown["challenge"]),
        }
    };
    all["vectors"].as_array().unwrap().iter().map(read).collect()
}

fn party() -> RelyingParty {
    RelyingParty::new("example.org", ["https://example.org".to_owned()]).unwrap()
}

/// The passkey of a vector, whoever was or was not verified.
fn credential(vector: &Vector) -> Option<Credential> {
    let data = AuthenticatorData::parse(authenticator_data_of(&vector.registration.attestation_object)?)?;
    let made = data.credential.as_ref()?;
    Some(Credential {
        id: made.id.to_vec(),
        public_key: made.public_key.to_vec(),
        is_backup_eligible: data.is_backup_eligible(),
    })
}

#[test]
fn every_published_signature_of_an_accepted_algorithm_verifies() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 15);
    for vector in &vectors {
        let found = credential(vector);
        if UNSUPPORTED.contains(&vector.id.as_str()) {
            assert_eq!(found, None, "{}", vector.id);
            continue;
        }
        let found = found.unwrap_or_else(|| panic!("{} is read", vector.id));
        assert_eq!(found.id, vector.assertion.credential_id, "{}", vector.id);
        let mut signed = vector.assertion.authenticator_data.clone();
        signed.extend_from_slice(&sha256(&vector.assertion.client_data_json));
        let key = PublicKey::parse(&found.public_key).unwrap();
        assert!(key.verifies(&signed, &vector.assertion.signature), "{}", vector.id);
        for at in [0, 32, signed.len() - 1] {
            signed[at] ^= 1;
            assert!(!key.verifies(&signed, &vector.assertion.signature), "{} changed at {at}", vector.id);
            signed[at] ^= 1;
        }
    }
}

#[test]
fn the_published_ceremonies_pass_but_for_users_not_verified_and_framed_pages() {
    let verified = |flags: u8| flags & 4 != 0;
    let (mut passed, mut unverified) = (0, 0);
    for vector in vectors().iter().filter(|vector| !UNSUPPORTED.contains(&vector.id.as_str())) {
        let challenge = vector.registration_challenge.as_slice().try_into().unwrap();
        let framed = vector.id.contains("Origin");
        let flags = authenticator_data_of(&vector.registration.attestation_object).unwrap()[32];
        match vector.registration.verify(&party(), &challenge) {
            Err(CeremonyError::CrossOrigin) => assert!(framed, "{}", vector.id),
            Err(CeremonyError::UserNotVerified) => {
                assert!(!verified(flags), "{}", vector.id);
                unverified += 1;
            }
            result => {
                assert!(!framed && verified(flags), "{}", vector.id);
                let (found, condition, has_prf) = result.unwrap();
                assert_eq!(Some(found), credential(vector));
                assert_eq!((condition.sign_count, has_prf), (0, None));
                passed += 1;
            }
        }
        let challenge = vector.assertion_challenge.as_slice().try_into().unwrap();
        let flags = vector.assertion.authenticator_data[32];
        match vector.assertion.verify(&party(), &challenge, &credential(vector).unwrap(), 0) {
            Err(CeremonyError::CrossOrigin) => assert!(framed, "{}", vector.id),
            Err(CeremonyError::UserNotVerified) => {
                assert!(!verified(flags), "{}", vector.id);
                unverified += 1;
            }
            result => {
                assert!(!framed && verified(flags), "{}", vector.id);
                result.unwrap();
                passed += 1;
            }
        }
    }
    assert_eq!((passed, unverified), (8, 12));
}

#[test]
fn a_ceremony_serves_no_other_party_challenge_origin_or_purpose() {
    let vectors = vectors();
    // The user was verified in both of its ceremonies.
    let vector = vectors.iter().find(|vector| vector.id == "none-es256-long-credential-id").unwrap();
    let found = credential(vector).unwrap();
    let challenge: [u8; 32] = vector.assertion_challenge.as_slice().try_into().unwrap();
    let elsewhere = |id: &str, origin: &str| RelyingParty::new(id, [origin.to_owned()]).unwrap();
    let tried = |party: &RelyingParty, challenge| vector.assertion.verify(party, challenge, &found, 0);
    assert!(tried(&party(), &challenge).is_ok());
    assert_eq!(tried(&party(), &[7; 32]), Err(CeremonyError::WrongChallenge));
    let other_origin = elsewhere("example.org", "https://login.example.org");
    assert_eq!(tried(&other_origin, &challenge), Err(CeremonyError::WrongOrigin));

    // The same origin, but bound to another id.
    let mut other_id = vector.assertion.clone();
    other_id.authenticator_data[0] ^= 1;
    assert_eq!(other_id.verify(&party(), &challenge, &found, 0), Err(CeremonyError::WrongRelyingParty));

    // What was made is not what was shown, and the other way round.
    let made: [u8; 32] = vector.registration_challenge.as_slice().try_into().unwrap();
    let as_assertion = Assertion {
        client_data_json: vector.registration.client_data_json.clone(),
        ..vector.assertion.clone()
    };
    assert_eq!(as_assertion.verify(&party(), &made, &found, 0), Err(CeremonyError::WrongType));
    let as_registration = Registration {
        client_data_json: vector.assertion.client_data_json.clone(),
        ..vector.registration.clone()
    };
    assert_eq!(as_registration.verify(&party(), &challenge).err(), Some(CeremonyError::WrongType));
}

#[test]
fn another_key_another_passkey_and_a_count_that_went_back_are_refused() {
    let vectors = vectors();
    let vector = vectors.iter().find(|vector| vector.id == "none-es256-long-credential-id").unwrap();
    let other = vectors.iter().find(|vector| vector.id == "packed-es256").unwrap();
    let found = credential(vector).unwrap();
    let challenge: [u8; 32] = vector.assertion_challenge.as_slice().try_into().unwrap();
    let tried = |credential: &Credential, counted| {
        vector.assertion.verify(&party(), &challenge, credential, counted).err()
    };
    assert_eq!(tried(&found, 0), None);
    assert_eq!(tried(&found, 1), Some(CeremonyError::CounterWentBack));
    let swapped = Credential { public_key: credential(other).unwrap().public_key, ..found.clone() };
    assert_eq!(tried(&swapped, 0), Some(CeremonyError::BadSignature));
    let renamed = Credential { id: vec![1; 32], ..found.clone() };
    assert_eq!(tried(&renamed, 0), Some(CeremonyError::AnotherCredential));
    let eligible = Credential { is_backup_eligible: !found.is_backup_eligible, ..found };
    assert_eq!(tried(&eligible, 0), Some(CeremonyError::BackupFlags));
}

#[test]
fn nothing_that_is_cut_or_has_a_rest_is_read() {
    let vectors = vectors();
    for vector in vectors.iter().filter(|vector| !UNSUPPORTED.contains(&vector.id.as_str())) {
        let object = &vector.registration.attestation_object;
        let data = authenticator_data_of(object).unwrap();
        for length in 0..data.len() {
            assert!(AuthenticatorData::parse(&data[..length]).is_none(), "{} cut to {length}", vector.id);
        }
        let longer = [data, &[0]].concat();
        assert!(AuthenticatorData::parse(&longer).is_none(), "{}", vector.id);
        assert!(authenticator_data_of(&object[..object.len() - 1]).is_none(), "{}", vector.id);
        assert!(authenticator_data_of(&[object.as_slice(), &[0]].concat()).is_none(), "{}", vector.id);
    }
}

#[test]
fn not_one_bit_of_what_is_shown_may_change_and_whatever_is_made_of_it_stops_nothing() {
    let vectors = vectors();
    let vector = vectors.iter().find(|vector| vector.id == "none-es256-long-credential-id").unwrap();
    let found = credential(vector).unwrap();
    let challenge: [u8; 32] = vector.assertion_challenge.as_slice().try_into().unwrap();
    let parts: [fn(&mut Assertion) -> &mut Vec<u8>; 3] = [
        |shown| &mut shown.client_data_json,
        |shown| &mut shown.authenticator_data,
        |shown| &mut shown.signature,
    ];
    for part in parts {
        for at in 0..part(&mut vector.assertion.clone()).len() {
            for bit in 0..8 {
                let mut changed = vector.assertion.clone();
                part(&mut changed)[at] ^= 1 << bit;
                assert!(changed.verify(&party(), &challenge, &found, 0).is_err(), "bit {bit} of byte {at}");
            }
        }
    }
    for vector in &vectors {
        for at in 0..vector.registration.attestation_object.len() {
            for value in [0x00, 0x1b, 0x5b, 0x7f, 0x9b, 0xbf, 0xff] {
                let mut changed = vector.registration.clone();
                changed.attestation_object[at] = value;
                let challenge = vector.registration_challenge.as_slice().try_into().unwrap_or([0; 32]);
                let _ = changed.verify(&party(), &challenge);
            }
        }
    }
}
