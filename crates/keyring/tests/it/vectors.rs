// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Known answers: every construction gives, byte for byte, what is in `tests/vectors/`.
//!
//! The files say what goes in and what comes out, in hexadecimal; randomness is [`Replay`] over the given name. They
//! change only with a new version of a format:
//! `cargo test -p bailiwick-keyring --test it -- --ignored regenerate`.

use std::path::PathBuf;

use data_encoding::HEXLOWER as HEX;
use keyring::file::FileSealer;
use keyring::password::server::{RegistrationRecord, ServerSetup};
use keyring::password::{Login, Registration};
use keyring::sealed::{Context, SealingKey};
use keyring::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::places::*;
use crate::replay::Replay;

#[test]
fn every_construction_gives_its_known_answer() {
    for (name, value) in vectors() {
        let file = std::fs::read_to_string(path(name)).unwrap();
        let known: Value = serde_json::from_str(&file).unwrap();
        assert_eq!(value, known, "{name}");
    }
}

#[test]
#[ignore = "writes the files that the other test reads"]
fn regenerate() {
    for (name, value) in vectors() {
        std::fs::write(path(name), format!("{value:#}\n")).unwrap();
    }
}

fn vectors() -> Vec<(&'static str, Value)> {
    vec![
        ("sealed", sealed()),
        ("email", email()),
        ("password", password()),
        ("method", method()),
        ("master-key", master_key()),
        ("identity", identity()),
        ("collection", collection()),
        ("grant", grant()),
        ("generations", generations()),
        ("authorship", authorship()),
        ("tenant-collection", tenant_collection()),
        ("former-account-key", former_account_key()),
        ("file", file()),
        ("codes", codes()),
        ("split-key", split_key()),
        ("recovery-key", recovery_key()),
        ("api-key", api_key()),
        ("passkey", passkey()),
        ("address", address()),
        ("pairing", pairing()),
    ]
}

fn sealed() -> Value {
    let key = SealingKey::from_bytes([0x11; 32]);
    let tenant = TenantId::from([0x7e; 16]);
    let places = [
        (
            "an account's",
            Context::new("test", ALICE),
            json!({"purpose": "test", "account": hex(ALICE.as_bytes()), "version": 0}),
        ),
        (
            "a tenant's, with object and version",
            Context::new("test", tenant).object(b"one").object(b"two").version(7),
            json!({"purpose": "test", "tenant": hex(tenant.as_bytes()), "objects": [hex(b"one"), hex(b"two")], "version": 7}),
        ),
    ];
    let cases: Vec<_> = places
        .into_iter()
        .map(|(name, context, place)| {
            let sealed = key.seal(b"content", &context, &mut Replay::of("sealed"));
            assert_eq!(key.open(&sealed, &context).unwrap().as_slice(), b"content");
            json!({"name": name, "context": place, "sealed": hex(sealed.as_bytes())})
        })
        .collect();
    json!({
        "construction": "version 1, suite 1: HKDF-SHA256 and ChaCha20-Poly1305",
        "key": hex(key.expose()), "plaintext": hex(b"content"), "randomness": "sealed", "cases": cases,
    })
}

fn email() -> Value {
    let email = Email::parse(" Alice@Example.COM ").unwrap();
    let salt = EmailSalt::from_bytes([0x5a; 16]);
    let key = EmailKey::derive(&email, &salt).unwrap();
    let sealed = key.seal(&email, &ALICE, &mut Replay::of("email"));
    assert_eq!(key.open(&sealed, &ALICE).unwrap(), email);
    let pepper = Pepper::from_bytes([0x9e; 32]);
    json!({
        "construction": "SHA-256 of the normalised address; Argon2id (19 MiB, 2 passes, 1 lane); HMAC-SHA256",
        "typed": " Alice@Example.COM ", "normalised": email.as_str(), "hash": hex(email.hash().as_bytes()),
        "salt": hex(salt.as_bytes()), "key": hex(key.expose()),
        "account": hex(ALICE.as_bytes()), "randomness": "email", "sealed": hex(sealed.as_bytes()),
        "pepper": hex(pepper.expose()), "blind_index": hex(pepper.blind_index(&email.hash()).as_bytes()),
        "email_salt": hex(pepper.email_salt(&email.hash()).as_bytes()),
        "lookup": hex(&[0x10; 32]), "lookup_index": hex(&pepper.lookup_index(&Lookup::from_bytes([0x10; 32]))),
    })
}

fn password() -> Value {
    let rng = &mut Replay::of("password");
    let setup = ServerSetup::generate(rng);
    let password = Password::new("correct horse battery staple").unwrap();
    let credential = b"credential";

    let (registration, request) = Registration::start(&password, rng).unwrap();
    let response = setup.registration_response(&request, credential).unwrap();
    let registered = registration.finish(&response, KdfParams::FLOOR, rng).unwrap();
    let record = RegistrationRecord::from_upload(&registered.upload).unwrap();

    let (login, login_request) = Login::start(&password, rng).unwrap();
    let (state, login_response) = setup.login_start(Some(&record), credential, &login_request, rng).unwrap();
    let stored_state = state.to_bytes();
    let finished = login.finish(&login_response, KdfParams::FLOOR, rng).unwrap();
    assert_eq!(state.finish(&finished.finalization).unwrap(), finished.session_key);
    assert_eq!(finished.secret.lookup(), registered.secret.lookup());
    json!({
        "construction": "OPAQUE (RFC 9807), ristretto255, 3DH with SHA-512, Argon2id (19 MiB, 2 passes, 1 lane)",
        "password": "correct horse battery staple", "credential_identifier": hex(credential),
        "randomness": "password", "server_setup": hex(&setup.to_bytes()),
        "registration_request": hex(&request), "registration_response": hex(&response),
        "registration_upload": hex(&registered.upload), "record": hex(&record.to_bytes()),
        "login_request": hex(&login_request), "login_response": hex(&login_response),
        "server_state": hex(&stored_state), "finalization": hex(&finished.finalization),
        "session_key": hex(finished.session_key.expose()), "lookup": hex(finished.secret.lookup().expose()),
        "public_key_sha256": hash(&finished.secret.key_pair().public_key().to_bytes()),
    })
}

fn method() -> Value {
    let secret = MethodSecret::from_bytes(&[0x3a; 32]).unwrap();
    let public = secret.key_pair().public_key();
    let master = MasterKey::from_bytes([0x77; 32]);
    let tags: serde_json::Map<_, _> =
        [MethodKind::Password, MethodKind::Passkey, MethodKind::RecoveryKey, MethodKind::ApiKey]
            .into_iter()
            .map(|kind| {
                let tag = master.authenticate_method(&ALICE, &METHOD, kind, &public);
                master.verify_method(&ALICE, &METHOD, kind, &public, &tag).unwrap();
                (kind.as_str().to_owned(), hex(tag.as_bytes()).into())
            })
            .collect();
    json!({
        "construction": "HKDF-SHA256; X-Wing from the unlocking half; HMAC-SHA256 tags",
        "secret": hex(&[0x3a; 32]), "lookup": hex(secret.lookup().expose()), "public_key": hex(&public.to_bytes()),
        "master_key": hex(master.expose()), "account": hex(ALICE.as_bytes()), "method": hex(METHOD.as_bytes()),
        "tags": tags,
    })
}

fn master_key() -> Value {
    let keys = MethodSecret::from_bytes(&[0x3a; 32]).unwrap().key_pair();
    let master = MasterKey::from_bytes([0x77; 32]);
    let sealed = master.seal_to(&keys.public_key(), &MASTER_KEY, &mut Replay::of("master-key"));
    assert_eq!(sealed.open(&keys, &MASTER_KEY).unwrap(), master);
    json!({
        "construction": "HPKE (RFC 9180) base mode: X-Wing, HKDF-SHA256, ChaCha20-Poly1305",
        "method_secret": hex(&[0x3a; 32]), "master_key": hex(master.expose()),
        "account": hex(ALICE.as_bytes()), "method": hex(METHOD.as_bytes()), "key_version": 1,
        "randomness": "master-key", "sealed": hex(sealed.as_bytes()),
        "account_key": hex(master.account_key().expose()),
    })
}

fn identity() -> Value {
    let account = AccountKey::from_bytes([0xac; 32]);
    let (first, second) = (account.identity_keys(1), account.identity_keys(2));
    let rotation = IdentityRotation::sign(&ALICE, 2, &first, &second);
    rotation.verify(&ALICE, &first.public()).unwrap();
    json!({
        "construction": "HKDF-SHA256 to X-Wing and Ed25519; SHA-256 fingerprint; Ed25519 rotation",
        "account": hex(ALICE.as_bytes()), "account_key": hex(account.expose()),
        "public_keys_1": hex(&first.public().to_bytes()), "public_keys_2": hex(&second.public().to_bytes()),
        "fingerprint_1": first.public().fingerprint(&ALICE).to_string(),
        "rotation_to_2": hex(&rotation.to_bytes()),
    })
}

fn collection() -> Value {
    let account = AccountKey::from_bytes([0xac; 32]);
    let key = CollectionKey::from_bytes([0xc1; 32]);
    let rng = &mut Replay::of("collection");
    let sealed_key = key.seal(&account, &COLLECTION_KEY, rng);
    assert_eq!(CollectionKey::open(&account, &sealed_key, &COLLECTION_KEY).unwrap(), key);
    let content = key.item_key(&ITEM).seal(b"content", &CONTENT, rng);
    assert_eq!(key.item_key(&ITEM).open(&content, &CONTENT).unwrap().as_slice(), b"content");
    json!({
        "construction": "sealed values under keys by HKDF-SHA256; names by HMAC-SHA256",
        "account": hex(ALICE.as_bytes()), "account_key": hex(account.expose()), "collection": hex(COLLECTION.as_bytes()),
        "collection_key": hex(key.expose()), "key_version": 1, "randomness": "collection",
        "sealed_collection_key": hex(sealed_key.as_bytes()),
        "item": hex(ITEM.as_bytes()), "item_version": 1, "content": hex(b"content"), "sealed_content": hex(content.as_bytes()),
        "name": "notes/today.md", "item_id_for_name": hex(key.item_id_for_name("notes/today.md").as_bytes()),
    })
}

fn grant() -> Value {
    let (alice, bob) = (
        AccountKey::from_bytes([0xac; 32]).identity_keys(1),
        AccountKey::from_bytes([0xbc; 32]).identity_keys(1),
    );
    let key = CollectionKey::from_bytes([0xc1; 32]);
    let grant = Grant::issue(&key, &alice, &bob.public(), &SHARED, &mut Replay::of("grant"));
    assert_eq!(grant.open(&bob, &alice.public(), &SHARED).unwrap(), key);
    json!({
        "construction": "HPKE as for the master key, signed with Ed25519",
        "sharer": hex(ALICE.as_bytes()), "sharer_account_key": hex(&[0xac; 32]),
        "recipient": hex(BOB.as_bytes()), "recipient_account_key": hex(&[0xbc; 32]), "identity_version": 1,
        "collection": hex(COLLECTION.as_bytes()), "collection_key": hex(key.expose()), "key_version": 1,
        "randomness": "grant", "grant": hex(&grant.to_bytes()),
    })
}

fn generations() -> Value {
    let account = AccountKey::from_bytes([0xac; 32]);
    let rng = &mut Replay::of("generations");
    let first = CollectionKeys::first(CollectionKey::from_bytes([0xc1; 32]));
    let (second, one) = first.next(&PLACE, 4, rng);
    let (third, two) = second.next(&PLACE, 9, rng);
    let place = CollectionKeyPlace { generation: 3, key_version: 3, ..COLLECTION_KEY };
    let sealed_key = third.newest().seal(&account, &place, rng);
    let newest = CollectionKey::open(&account, &sealed_key, &place).unwrap();
    let links = [one, two];
    assert_eq!(CollectionKeys::open(newest, 3, &PLACE, &links).unwrap(), third);
    json!({
        "construction": "each collection key sealed under a key by HKDF-SHA256 of the next",
        "account": hex(ALICE.as_bytes()), "account_key": hex(account.expose()), "owner": hex(ALICE.as_bytes()),
        "collection": hex(COLLECTION.as_bytes()), "randomness": "generations", "key_version": 3,
        "collection_keys": third.newest_first().map(|key| hex(key.expose())).collect::<Vec<_>>(),
        "last_changes": links.each_ref().map(|link| link.last_change),
        "former_keys": links.each_ref().map(|link| hex(link.sealed.as_bytes())),
        "sealed_collection_key": hex(sealed_key.as_bytes()),
    })
}

fn authorship() -> Value {
    let bob = AccountKey::from_bytes([0xbc; 32]).identity_keys(1);
    let authorship = Authorship::sign(&bob, b"sealed", &WRITTEN);
    assert!(authorship.is_of(&bob.public(), b"sealed", &WRITTEN));
    json!({
        "construction": "Ed25519 over place, author, the author's public keys and the SHA-256 of the sealed bytes",
        "author": hex(BOB.as_bytes()), "author_account_key": hex(&[0xbc; 32]), "identity_version": 1,
        "owner": hex(ALICE.as_bytes()), "collection": hex(COLLECTION.as_bytes()), "item": hex(ITEM.as_bytes()),
        "item_version": 1, "sealed": hex(b"sealed"), "authorship": hex(&authorship.to_bytes()),
    })
}

fn tenant_collection() -> Value {
    let key = CollectionKey::from_bytes([0xc1; 32]);
    let tenant = TenantId::from([0x7e; 16]);
    let founding = |protection, first_key| Founding {
        tenant,
        protection,
        created_by: "acc_a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1",
        salt: [0x5a; 16],
        first_key,
    };
    let tag = key.holder_tag(&SHARED, b"grant");
    assert!(key.is_holders(&SHARED, b"grant", &tag));
    let item = ItemContent { name: "notes".to_owned(), content: b"content".to_vec().into() };
    let bytes = item.to_bytes().unwrap();
    assert_eq!(ItemContent::from_bytes(&bytes).unwrap(), item);
    json!({
        "construction": "ids by SHA-256; the check of a key by HKDF-SHA256; tags by HMAC-SHA256",
        "tenant": hex(tenant.as_bytes()), "created_by": founding(Protection::EndToEnd, None).created_by,
        "salt": hex(&[0x5a; 16]), "first_key": hex(key.expose()), "check_of_first_key": hex(&key.check()),
        "end_to_end_id": hex(founding(Protection::EndToEnd, Some(key.check())).id().as_bytes()),
        "server_sealed_id": hex(founding(Protection::ServerSealed, None).id().as_bytes()),
        "sharer": hex(SHARED.sharer.as_bytes()), "recipient": hex(SHARED.recipient.as_bytes()),
        "collection": hex(SHARED.collection.as_bytes()), "generation": SHARED.key_version,
        "grant": hex(b"grant"), "holder_tag": hex(&tag), "name": "notes", "content": hex(b"content"),
        "item_content": hex(&bytes),
    })
}

fn former_account_key() -> Value {
    let (former, next) = (AccountKey::from_bytes([0xac; 32]), AccountKey::from_bytes([0xad; 32]));
    let sealed = next.seal_former(&former, &FORMER_ACCOUNT_KEY, &mut Replay::of("former-account-key"));
    assert_eq!(next.open_former(&sealed, &FORMER_ACCOUNT_KEY).unwrap(), former);
    json!({
        "construction": "a sealed value under a key by HKDF-SHA256",
        "account": hex(ALICE.as_bytes()), "former_account_key": hex(former.expose()), "account_key": hex(next.expose()),
        "former_key_version": 1, "randomness": "former-account-key", "sealed": hex(sealed.as_bytes()),
    })
}

fn file() -> Value {
    let item = CollectionKey::from_bytes([0xc1; 32]).item_key(&ITEM);
    let chunk = keyring::file::CHUNK;
    let cases: Vec<_> = [0, 1, chunk, chunk + 3]
        .into_iter()
        .map(|length| {
            let rng = &mut Replay::of("file");
            let plaintext: Vec<u8> = (0..length).map(|place| (place % 251) as u8).collect();
            let sealer = FileSealer::new(&item, &FILE, length, rng).unwrap();
            let mut sealed = sealer.header().to_vec();
            for (index, chunk) in plaintext.chunks(chunk as usize).enumerate() {
                sealed.extend(sealer.seal_chunk(index as u64, chunk, rng).unwrap());
            }
            if length == 0 {
                sealed.extend(sealer.seal_chunk(0, &[], rng).unwrap());
            }
            json!({
                "length": length, "header": hex(sealer.header()), "sealed_length": sealer.sealed_len(),
                "sealed_sha256": hash(&sealed), "last_bytes": hex(&sealed[sealed.len() - 35..]),
            })
        })
        .collect();
    json!({
        "construction": "version 1, suite 3: STREAM over XChaCha20-Poly1305, 256 KiB chunks",
        "collection_key": hex(&[0xc1; 32]), "item": hex(ITEM.as_bytes()), "file": hex(FILE.as_bytes()),
        "plaintext": "byte i is i mod 251", "randomness": "file", "cases": cases,
    })
}

fn codes() -> Value {
    let codes: Vec<_> = BackupCode::generate_all(&mut Replay::of("codes"))
        .iter()
        .map(|code| json!({"code": *code.to_text(), "lookup": hex(code.lookup(&ALICE).expose())}))
        .collect();
    let numbers: Vec<_> = {
        let rng = &mut Replay::of("numbers");
        (0..5).map(|_| AccountNumber::generate(rng).to_string()).collect()
    };
    json!({
        "construction": "Crockford's base 32; HKDF-SHA256",
        "account": hex(ALICE.as_bytes()), "randomness": "codes", "backup_codes": codes,
        "number_randomness": "numbers", "account_numbers": numbers,
    })
}

fn split_key() -> Value {
    let (local, server) = (LocalHalf::from_bytes([0x10; 32]), ServerHalf::from_bytes([0x5e; 32]));
    let split = SplitKey::join(&local, &server, &ALICE, &DEVICE);
    let sealed = split.seal(&[0x77; 32], &mut Replay::of("split-key"));
    assert_eq!(split.open(&sealed).unwrap().as_slice(), [0x77; 32]);
    json!({
        "construction": "HKDF-SHA256 of both halves; a sealed value",
        "local_half": hex(local.expose()), "server_half": hex(server.expose()),
        "account": hex(ALICE.as_bytes()), "device": hex(DEVICE.as_bytes()),
        "device_secret": hex(&[0x77; 32]), "randomness": "split-key", "sealed": hex(sealed.as_bytes()),
    })
}

fn recovery_key() -> Value {
    let key = RecoveryKey::generate(&mut Replay::of("recovery-key"));
    let salt = MethodSalt::from_bytes([0x5a; 16]);
    let secret = key.method_secret(&salt, KdfParams::FLOOR).unwrap();
    assert_eq!(RecoveryKey::parse(&key.to_text()).unwrap(), key);
    json!({
        "construction": "Crockford's base 32 with a checksum by SHA-256; HKDF-SHA256; Argon2id (19 MiB, 2 passes, 1 lane)",
        "randomness": "recovery-key", "key": hex(key.expose()), "text": *key.to_text(),
        "lookup": hex(key.lookup().expose()), "salt": hex(salt.as_bytes()),
        "public_key_sha256": hash(&secret.key_pair().public_key().to_bytes()),
    })
}

fn api_key() -> Value {
    let home = TenantId::from([0x40; 16]);
    let key = ApiKey::generate(home, true, &mut Replay::of("api-key"));
    let salt = MethodSalt::from_bytes([0x5a; 16]);
    let unlock = key.unlock().unwrap();
    let secret = unlock.method_secret(&salt, KdfParams::FLOOR).unwrap();
    assert_eq!(key.to_text().parse::<ApiKey>().unwrap(), key);
    json!({
        "construction": "base 62 in blocks of 16 bytes; SHA-256; HKDF-SHA256; Argon2id (19 MiB, 2 passes, 1 lane)",
        "home": hex(home.as_bytes()), "randomness": "api-key", "text": *key.to_text(), "bearer": *key.auth().to_text(),
        "auth_hash": hex(&key.auth().auth_hash()), "public_id": key.auth().public_id().as_str(),
        "lookup": hex(key.auth().lookup().expose()), "unlock": hex(unlock.expose()), "salt": hex(salt.as_bytes()),
        "public_key_sha256": hash(&secret.key_pair().public_key().to_bytes()),
    })
}

fn passkey() -> Value {
    let handle = UserHandle::generate(&mut Replay::of("passkey"));
    let secret = MethodSecret::of_passkey(&[0x9f; 32]).unwrap();
    json!({
        "construction": "HKDF-SHA256; X-Wing from the PRF extension's output",
        "prf_input": hex(keyring::passkey::PRF_INPUT), "prf_output": hex(&[0x9f; 32]),
        "randomness": "passkey", "user_handle": hex(handle.expose()), "lookup": hex(handle.lookup().expose()),
        "public_key_sha256": hash(&secret.key_pair().public_key().to_bytes()),
    })
}

fn address() -> Value {
    let (lookup, key) = (Lookup::from_bytes([0x10; 32]), EmailKey::from_bytes([0xe3; 32]));
    let sealed = AddressSeal::of(&lookup).seal(&key, &ALICE, &METHOD, &mut Replay::of("address"));
    assert_eq!(AddressSeal::of(&lookup).open(&sealed, &ALICE, &METHOD).unwrap(), key);
    json!({
        "construction": "a sealed value under a key by HKDF-SHA256",
        "lookup": hex(lookup.expose()), "email_key": hex(key.expose()),
        "account": hex(ALICE.as_bytes()), "method": hex(METHOD.as_bytes()),
        "randomness": "address", "sealed": hex(sealed.as_bytes()),
    })
}

fn pairing() -> Value {
    use keyring::pairing::*;
    let rng = &mut Replay::of("pairing");
    let mut device = PairingDevice::start(PairingForm::Device, "laptop", "Linux", rng).unwrap();
    let request = device.request().clone();
    let link = PairingLink::new("https://bailiwick.example", &request);
    let mut approval = PairingApproval::open(&link, request.clone()).unwrap();
    let code = approval.authorize(None, rng).unwrap();
    let offer = approval.offer(rng).unwrap();
    let answer = device.answer(&offer, &code, rng).unwrap();
    let Judgement::Right(confirmed) = approval.judge(&answer).unwrap() else { panic!("the code is right") };
    let bundle = PairingBundle {
        account: ALICE,
        home: [0x40; 16].into(),
        key_version: 1,
        key: PairedKey::Master(MasterKey::from_bytes([0x77; 32])),
        grant: PairingGrant::from_bytes([0x69; 32]),
        email: None,
    };
    let delivery = confirmed.deliver(&bundle, rng).unwrap();
    assert!(device.finish(&delivery).unwrap() == bundle);
    json!({
        "construction": "SPAKE2-P256-SHA256-HKDF-HMAC (RFC 9382); HPKE (RFC 9180) mode psk: X-Wing, HKDF-SHA256, ChaCha20-Poly1305",
        "randomness": "pairing", "name": "laptop", "platform": "Linux", "key_sha256": hash(&request.key()),
        "link": link.to_text(), "code": *code, "offer": hex(&offer), "answer": hex(&answer),
        "account": hex(ALICE.as_bytes()), "home": hex(&[0x40; 16]), "master_key": hex(&[0x77; 32]),
        "grant": hex(&[0x69; 32]), "grant_hash": hex(&bundle.grant.hash()), "delivery_sha256": hash(&delivery),
    })
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(format!("{name}.json"))
}

fn hex(bytes: &[u8]) -> String {
    HEX.encode(bytes)
}

fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
