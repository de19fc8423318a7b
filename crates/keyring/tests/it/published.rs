// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The libraries underneath reproduce the vectors that were published for what is used of them.

use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use serde_json::Value;

use crate::replay::Script;

#[test]
fn hkdf_sha256_is_that_of_rfc_5869() {
    let okm = {
        let mut okm = [0; 42];
        hkdf::Hkdf::<sha2::Sha256>::new(Some(&hex("000102030405060708090a0b0c")), &[0x0b; 22])
            .expand(&hex("f0f1f2f3f4f5f6f7f8f9"), &mut okm)
            .unwrap();
        okm
    };
    assert_eq!(
        okm.as_slice(),
        hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
    );
}

#[test]
fn hmac_sha256_is_that_of_rfc_4231() {
    use hmac::{KeyInit, Mac};
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(b"Jefe").unwrap();
    mac.update(b"what do ya want for nothing?");
    assert_eq!(
        mac.finalize().into_bytes().as_slice(),
        hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    );
}

#[test]
fn argon2id_is_that_of_rfc_9106() {
    use argon2::{Algorithm, Argon2, AssociatedData, ParamsBuilder, Version};
    let params = ParamsBuilder::new()
        .m_cost(32)
        .t_cost(3)
        .p_cost(4)
        .data(AssociatedData::new(&[4; 12]).unwrap())
        .build()
        .unwrap();
    let mut tag = [0; 32];
    Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params)
        .unwrap()
        .hash_password_into(&[1; 32], &[2; 16], &mut tag)
        .unwrap();
    assert_eq!(tag.as_slice(), hex("0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"));
}

#[test]
fn ed25519_is_that_of_rfc_8032() {
    use ed25519_dalek::{Signer, SigningKey};
    let key = SigningKey::from_bytes(
        &hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").try_into().unwrap(),
    );
    assert_eq!(
        key.verifying_key().as_bytes().as_slice(),
        hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    );
    let signature = key.sign(b"");
    assert_eq!(
        signature.to_bytes().as_slice(),
        hex(
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
             d25bf5f0595bbe24655141438e7a100b"
        )
    );
    key.verifying_key().verify_strict(b"", &signature).unwrap();
}

#[test]
fn the_stream_ciphers_are_those_of_rfc_8439_and_its_extension() {
    use chacha20poly1305::aead::{Aead, Payload};
    use chacha20poly1305::{ChaCha20Poly1305, KeyInit, XChaCha20Poly1305};
    let vectors = json(include_str!("../vectors/published/chacha20-poly1305.json"));
    for vector in vectors["vectors"].as_array().unwrap() {
        let (key, nonce, text, data) = (
            bytes(vector, "key"),
            bytes(vector, "nonce"),
            bytes(vector, "plaintext"),
            bytes(vector, "associated_data"),
        );
        let payload = Payload { msg: &text, aad: &data };
        let ciphertext = match vector["name"].as_str().unwrap() {
            "ChaCha20-Poly1305" => ChaCha20Poly1305::new_from_slice(&key)
                .unwrap()
                .encrypt(nonce.as_slice().try_into().unwrap(), payload),
            _ => XChaCha20Poly1305::new_from_slice(&key)
                .unwrap()
                .encrypt(nonce.as_slice().try_into().unwrap(), payload),
        };
        assert_eq!(ciphertext.unwrap(), bytes(vector, "ciphertext"));
    }
}

#[test]
fn x_wing_is_that_of_its_draft() {
    use hpke::kem::XWing;
    use hpke::{Deserializable, Kem, Serializable};
    let vectors = json(include_str!("../vectors/published/x-wing.json"));
    for vector in vectors["vectors"].as_array().unwrap() {
        let private = <XWing as Kem>::PrivateKey::from_bytes(&bytes(vector, "sk")).unwrap();
        let public = XWing::sk_to_pk(&private);
        assert_eq!(public.to_bytes().as_slice(), bytes(vector, "pk"));

        let mut rng = Script::of(&[&bytes(vector, "eseed")]);
        let (secret, encapsulated) = XWing::encap_with_rng(&public, None, &mut rng).unwrap();
        assert_eq!(encapsulated.to_bytes().as_slice(), bytes(vector, "ct"));
        assert_eq!(secret.0.as_slice(), bytes(vector, "ss"));
        assert_eq!(XWing::decap(&private, None, &encapsulated).unwrap().0, secret.0);
    }
}

#[test]
fn hpke_with_x_wing_is_that_of_its_draft() {
    use hpke::aead::ChaCha20Poly1305;
    use hpke::kdf::HkdfSha256;
    use hpke::kem::XWing;
    use hpke::{Deserializable, Kem, OpModeS};
    let vector = json(include_str!("../vectors/published/hpke.json"));
    let private = <XWing as Kem>::PrivateKey::from_bytes(&bytes(&vector, "private_key")).unwrap();
    let (_, ciphertext) = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeS::Base,
        &XWing::sk_to_pk(&private),
        &bytes(&vector, "info"),
        &bytes(&vector, "plaintext"),
        &bytes(&vector, "associated_data"),
        &mut Script::of(&[&bytes(&vector, "encapsulation_randomness")]),
    )
    .unwrap();
    assert_eq!(ciphertext, bytes(&vector, "ciphertext"));
}

mod opaque {
    use opaque_ke::rand::{CryptoRng, Error, RngCore};
    use opaque_ke::{
        CipherSuite, ClientLogin, ClientLoginFinishParameters, ClientRegistration,
        ClientRegistrationFinishParameters, CredentialRequest, CredentialResponse, Identifiers,
        RegistrationRequest, RegistrationResponse, RegistrationUpload, Ristretto255, ServerLogin,
        ServerLoginParameters, ServerRegistration, ServerSetup, TripleDh,
    };
    use serde_json::Value;

    use super::{bytes, json};
    use crate::replay::Script;

    /// The keyring's suite, but for the slow hash, which the published vectors leave out.
    struct WithoutSlowHash;

    impl CipherSuite for WithoutSlowHash {
        type OprfCs = Ristretto255;
        type KeyExchange = TripleDh<Ristretto255, sha2_010::Sha512>;
        type Ksf = opaque_ke::ksf::Identity;
    }

    /// Gives out a list of values, one per draw; a draw longer than its value is filled up with zeros, which leaves
    /// a scalar, little-endian, what it is.
    struct Draws(Vec<Vec<u8>>);

    impl Draws {
        fn of(vector: &Value, names: &[&str]) -> Self {
            Self(names.iter().rev().map(|name| bytes(vector, name)).collect())
        }
    }

    impl RngCore for Draws {
        fn next_u32(&mut self) -> u32 {
            unreachable!("only bytes are drawn")
        }

        fn next_u64(&mut self) -> u64 {
            unreachable!("only bytes are drawn")
        }

        fn fill_bytes(&mut self, out: &mut [u8]) {
            let value = self.0.pop().unwrap();
            out.fill(0);
            out[..value.len()].copy_from_slice(&value);
        }

        fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
            self.fill_bytes(out);
            Ok(())
        }
    }

    impl CryptoRng for Draws {}

    #[test]
    fn opaque_is_that_of_rfc_9807() {
        let vectors = json(include_str!("../vectors/published/opaque.json"));
        for vector in vectors["vectors"].as_array().unwrap() {
            let given = |name: &str| bytes(vector, name);
            let (client, server) = (optional(vector, "client_identity"), optional(vector, "server_identity"));
            let identifiers = Identifiers { client: client.as_deref(), server: server.as_deref() };
            let (password, context, credential) =
                (given("password"), given("Context"), given("credential_identifier"));
            let setup = ServerSetup::<WithoutSlowHash>::deserialize(
                &[given("oprf_seed"), given("server_private_key"), given("server_public_key")].concat(),
            )
            .unwrap();

            let started = ClientRegistration::<WithoutSlowHash>::start(
                &mut Draws::of(vector, &["blind_registration"]),
                &password,
            )
            .unwrap();
            assert_eq!(started.message.serialize().as_slice(), given("registration_request"));
            let request = RegistrationRequest::deserialize(&given("registration_request")).unwrap();
            let answered = ServerRegistration::start(&setup, request, &credential).unwrap();
            assert_eq!(answered.message.serialize().as_slice(), given("registration_response"));
            let registered = started
                .state
                .finish(
                    &mut Draws::of(vector, &["envelope_nonce"]),
                    &password,
                    RegistrationResponse::deserialize(&given("registration_response")).unwrap(),
                    ClientRegistrationFinishParameters::new(identifiers, None),
                )
                .unwrap();
            assert_eq!(registered.message.serialize().as_slice(), given("registration_upload"));
            assert_eq!(registered.export_key.as_slice(), given("export_key"));
            let record = ServerRegistration::<WithoutSlowHash>::finish(
                RegistrationUpload::deserialize(&given("registration_upload")).unwrap(),
            );

            let login = ClientLogin::<WithoutSlowHash>::start(
                &mut Draws::of(vector, &["blind_login", "client_keyshare_seed", "client_nonce"]),
                &password,
            )
            .unwrap();
            assert_eq!(login.message.serialize().as_slice(), given("KE1"));
            let parameters = || ServerLoginParameters { context: Some(&context), identifiers };
            // The first draw is the fake record's masking key, which a real record leaves unused.
            let mut draws = Draws::of(
                vector,
                &["masking_nonce", "masking_nonce", "server_keyshare_seed", "server_nonce"],
            );
            let answered = ServerLogin::start(
                &mut draws,
                &setup,
                Some(record),
                login.message.clone(),
                &credential,
                parameters(),
            )
            .unwrap();
            assert_eq!(answered.message.serialize().as_slice(), given("KE2"));
            let finished = login
                .state
                .finish(
                    &mut Draws(Vec::new()),
                    &password,
                    CredentialResponse::deserialize(&given("KE2")).unwrap(),
                    ClientLoginFinishParameters::new(Some(&context), identifiers, None),
                )
                .unwrap();
            assert_eq!(finished.message.serialize().as_slice(), given("KE3"));
            assert_eq!(finished.session_key.as_slice(), given("session_key"));
            assert_eq!(finished.export_key.as_slice(), given("export_key"));
            let accepted = answered.state.finish(finished.message, parameters()).unwrap();
            assert_eq!(accepted.session_key.as_slice(), given("session_key"));
        }
    }

    #[test]
    fn opaques_answer_for_an_account_that_is_not_there_is_that_of_rfc_9807() {
        let vectors = json(include_str!("../vectors/published/opaque.json"));
        let vector = &vectors["fake"][0];
        let given = |name: &str| bytes(vector, name);
        let (client, server) = (given("client_identity"), given("server_identity"));
        let identifiers = Identifiers { client: Some(&client), server: Some(&server) };
        let setup = ServerSetup::<WithoutSlowHash>::deserialize(
            &[given("oprf_seed"), given("server_private_key"), given("client_public_key")].concat(),
        )
        .unwrap();
        let answered = ServerLogin::start(
            &mut Draws::of(vector, &FAKE_DRAWS),
            &setup,
            None,
            CredentialRequest::deserialize(&given("KE1")).unwrap(),
            &given("credential_identifier"),
            ServerLoginParameters { context: Some(&given("Context")), identifiers },
        )
        .unwrap();
        assert_eq!(answered.message.serialize().as_slice(), given("KE2"));
    }

    /// The keyring's own messages, which two things set apart from the published vectors: the slow hash, which only the
    /// client's last step runs, and the context, which only stands in the proofs. What comes before either is the same.
    #[test]
    fn the_keyrings_messages_are_those_of_rfc_9807_up_to_its_slow_hash_and_its_context() {
        use keyring::password::server::{RegistrationRecord, ServerSetup};
        use keyring::password::{Login, Password, Registration};

        const PROOF: usize = 64;
        let vectors = json(include_str!("../vectors/published/opaque.json"));
        let setup = |vector: &Value, of_nobody: &str| {
            let parts = ["oprf_seed", "server_private_key", of_nobody].map(|name| bytes(vector, name));
            ServerSetup::from_bytes(&[&[1][..], &parts.concat()].concat()).unwrap()
        };
        // A scalar is drawn as 64 bytes, little-endian.
        let scalar = |bytes: Vec<u8>| [bytes, vec![0; 32]].concat();
        for vector in vectors["vectors"].as_array().unwrap() {
            let given = |name: &str| bytes(vector, name);
            let password = Password::new(std::str::from_utf8(&given("password")).unwrap()).unwrap();
            let credential = given("credential_identifier");
            let setup = setup(vector, "server_public_key");

            let blind = scalar(given("blind_registration"));
            let (_, request) = Registration::start(&password, &mut Script::of(&[&blind])).unwrap();
            assert_eq!(request, given("registration_request"));
            let response = setup.registration_response(&request, &credential).unwrap();
            assert_eq!(response, given("registration_response"));
            let record = RegistrationRecord::from_upload(&given("registration_upload")).unwrap();

            let blind = scalar(given("blind_login"));
            let draws = [&blind[..], &given("client_keyshare_seed"), &given("client_nonce")];
            let (_, request) = Login::start(&password, &mut Script::of(&draws)).unwrap();
            assert_eq!(request, given("KE1"));
            let of_nobody = [0; 64];
            let [nonce, seed, server] =
                ["masking_nonce", "server_keyshare_seed", "server_nonce"].map(|name| bytes(vector, name));
            let mut draws = Script::of(&[&of_nobody, &nonce, &seed, &server]);
            let (_, answer) = setup.login_start(Some(&record), &credential, &request, &mut draws).unwrap();
            let published = given("KE2");
            assert_eq!(answer[..answer.len() - PROOF], published[..published.len() - PROOF]);
            assert_ne!(answer, published, "the context is the keyring's own");
        }
        let vector = &vectors["fake"][0];
        let given = |name: &str| bytes(vector, name);
        let draws = FAKE_DRAWS.map(given);
        let mut draws = Script::of(&draws.each_ref().map(Vec::as_slice));
        let setup = setup(vector, "client_public_key");
        let credential = given("credential_identifier");
        let (_, answer) = setup.login_start(None, &credential, &given("KE1"), &mut draws).unwrap();
        let published = given("KE2");
        assert_eq!(answer[..answer.len() - PROOF], published[..published.len() - PROOF]);
    }

    /// What is drawn to answer for an account that is not there, in order.
    const FAKE_DRAWS: [&str; 4] = ["masking_key", "masking_nonce", "server_keyshare_seed", "server_nonce"];

    fn optional(vector: &Value, name: &str) -> Option<Vec<u8>> {
        vector.get(name).map(|_| bytes(vector, name))
    }
}

fn hex(text: &str) -> Vec<u8> {
    HEX.decode(text.as_bytes()).unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn bytes(vector: &Value, name: &str) -> Vec<u8> {
    hex(vector[name].as_str().unwrap())
}
