// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a device keeps, and what that is worth.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use client::{Client, Newer, Options, Pins, Profile, ProfileError, Unlocked};
use data_encoding::BASE64URL_NOPAD;
use keyring::{Email, EmailSalt, MasterKey, ServerHalf, SystemRng};
use protocol::{AccountId, DeviceId, Secret, SessionId, TenantId};
use serde_json::json;

use crate::scripted::Scripted;

fn account(client: &Client) -> Unlocked {
    client.set_token(Some(Secret::from("bws_token".to_owned())));
    Unlocked {
        client: client.clone(),
        account: AccountId::random(),
        number: "7F3KQ2M".to_owned(),
        home: TenantId::random(),
        session: SessionId::random(),
        device: DeviceId::random(),
        master: MasterKey::generate(&mut SystemRng),
        master_key_version: 3,
        email: Email::parse("ada@example.com").unwrap(),
        email_salt: EmailSalt::generate(&mut SystemRng),
    }
}

fn giving_half(half: [u8; 32]) -> Scripted {
    Scripted::answering(vec![(200, "", json!({ "server_half": BASE64URL_NOPAD.encode(&half) }).to_string())])
}

#[tokio::test]
async fn the_master_key_opens_with_the_servers_half_and_with_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let profile = Profile::at(folder.path().join("profile"));
    let server = giving_half([7; 32]);
    let client = Client::new(&server.url, &Options::default()).unwrap();
    let account = account(&client);
    profile.keep(&account, &ServerHalf::from_bytes([7; 32])).unwrap();

    let unlocked = profile.unlock(&client).await.unwrap();
    assert!(unlocked.master == account.master);
    assert_eq!(unlocked.email.as_str(), "ada@example.com");
    assert_eq!(unlocked.master_key_version, 3);

    let other = giving_half([8; 32]);
    let client = Client::new(&other.url, &Options::default()).unwrap();
    assert!(matches!(profile.unlock(&client).await, Err(ProfileError::DoesNotOpen)));
}

#[test]
fn the_folder_is_its_owners_alone_and_says_neither_key_nor_address() {
    let folder = tempfile::tempdir().unwrap();
    let profile = Profile::at(folder.path().join("profile"));
    let client = Client::new("http://127.0.0.1:1", &Options::default()).unwrap();
    let account = account(&client);
    profile.keep(&account, &ServerHalf::from_bytes([7; 32])).unwrap();

    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(profile.folder()), 0o700);
    for entry in fs::read_dir(profile.folder()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        let bytes = fs::read(&path).unwrap();
        for secret in [account.master.expose().as_slice(), b"ada@example.com"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{}", path.display());
        }
    }
}

#[test]
fn forgetting_leaves_no_key_and_keeps_what_is_known_of_servers() {
    let folder = tempfile::tempdir().unwrap();
    let profile = Profile::at(folder.path());
    let client = Client::new("http://127.0.0.1:1", &Options::default()).unwrap();
    profile.keep(&account(&client), &ServerHalf::from_bytes([7; 32])).unwrap();
    let pins = Pins { log_origin: Some("log".to_owned()), ..Pins::default() };
    profile.keep_pins("https://example.com", &pins).unwrap();
    profile.forget().unwrap();
    assert!(profile.stored().unwrap().is_none());
    assert!(profile.token().unwrap().is_none());
    assert_eq!(profile.pins("https://example.com").unwrap(), pins);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["pins.json"]);
}

#[test]
fn what_is_remembered_of_files_outlives_the_session_and_is_one_accounts_alone() {
    let folder = tempfile::tempdir().unwrap();
    let profile = Profile::at(folder.path());
    let client = Client::new("http://127.0.0.1:1", &Options::default()).unwrap();
    let ada = account(&client);
    let (ours, eves) = (profile.sync(client.server(), ada.account), AccountId::random());
    let others = [profile.sync("https://example.com", ada.account), profile.sync(client.server(), eves)];
    for folder in others.iter().chain([&ours, &profile.uploads(client.server(), ada.account)]) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("kept"), "").unwrap();
    }
    assert!(!others.contains(&ours));

    profile.keep(&ada, &ServerHalf::from_bytes([7; 32])).unwrap();
    profile.forget().unwrap();
    assert!(ours.join("kept").exists());

    profile.keep(&ada, &ServerHalf::from_bytes([7; 32])).unwrap();
    profile.forget_account().unwrap();
    assert!(!ours.exists() && !profile.uploads(client.server(), ada.account).exists());
    assert!(others.iter().all(|folder| folder.join("kept").exists()));
}

#[test]
fn another_log_key_than_before_is_refused() {
    let service = |key: &str| {
        serde_json::from_value(json!({
            "version": "1", "log_origin": "example.com/log", "log_public_key": key, "email_code": false,
            "issuer": "i", "kdf": {"memory_kib": 65536, "passes": 3, "lanes": 1},
        }))
        .unwrap()
    };
    let mut pins = Pins::default();
    pins.check(&service("one")).unwrap();
    pins.check(&service("one")).unwrap();
    assert!(matches!(pins.check(&service("another")), Err(ProfileError::LogKeyChanged)));
}

#[test]
fn an_older_master_key_than_before_is_refused_and_so_are_other_keys_of_the_same_version() {
    let account = AccountId::random();
    let master = MasterKey::generate(&mut SystemRng);
    let keys = |master: &MasterKey, version| master.account_key().identity_keys(version).public();
    let mut pins = Pins::default();
    // Nothing was seen before: there is nothing that it could follow from.
    pins.check_account(account, 3, &keys(&master, 3), Newer::Unproven).unwrap();
    pins.check_account(account, 3, &keys(&master, 3), Newer::Unproven).unwrap();
    let next = MasterKey::generate(&mut SystemRng);
    assert!(pins.has_older(account, 4) && !pins.has_older(account, 3));
    let refused = pins.check_account(account, 4, &keys(&next, 4), Newer::Unproven);
    assert!(matches!(refused, Err(ProfileError::NotProven { seen: 3, shown: 4 })), "{refused:?}");
    pins.check_account(account, 4, &keys(&next, 4), Newer::MadeHere).unwrap();

    let refused = pins.check_account(account, 3, &keys(&master, 3), Newer::MadeHere);
    assert!(matches!(refused, Err(ProfileError::KeyRolledBack { seen: 4, shown: 3 })), "{refused:?}");
    let stranger = MasterKey::generate(&mut SystemRng);
    let refused = pins.check_account(account, 4, &keys(&stranger, 4), Newer::MadeHere);
    assert!(matches!(refused, Err(ProfileError::IdentityChanged { version: 4 })), "{refused:?}");
    // What was refused is not what is known from then on, and it survives being written down.
    let mut again: Pins = serde_json::from_value(serde_json::to_value(&pins).unwrap()).unwrap();
    again.check_account(account, 4, &keys(&next, 4), Newer::Unproven).unwrap();
    // Other accounts are others.
    again.check_account(AccountId::random(), 1, &keys(&stranger, 1), Newer::Unproven).unwrap();
}

#[test]
fn a_profile_of_a_newer_release_is_not_guessed_at() {
    let folder = tempfile::tempdir().unwrap();
    let profile = Profile::at(folder.path());
    let client = Client::new("http://127.0.0.1:1", &Options::default()).unwrap();
    profile.keep(&account(&client), &ServerHalf::from_bytes([7; 32])).unwrap();
    let path = folder.path().join("profile.json");
    let newer = fs::read_to_string(&path).unwrap().replace("\"version\": 1", "\"version\": 2");
    fs::write(&path, newer).unwrap();
    assert!(matches!(profile.stored(), Err(ProfileError::Version(2))));
}
