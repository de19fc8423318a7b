// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Pairing, and everybody who would like to be in it: the server, a stranger's device, who looks on.

use keyring::pairing::*;
use keyring::*;
use proptest::prelude::*;

use crate::places::*;

const SERVER: &str = "https://bailiwick.example";

fn device(form: PairingForm) -> PairingDevice {
    PairingDevice::start(form, "laptop", "Linux", &mut SystemRng).unwrap()
}

/// The request as the server hands it on.
fn relayed(request: &PairingRequest) -> PairingRequest {
    let (name, platform) = (request.name(), request.platform());
    PairingRequest::from_parts(*request.id(), request.form(), name, platform, &request.key()).unwrap()
}

fn open(device: &PairingDevice) -> PairingApproval {
    let link = PairingLink::parse(&PairingLink::new(SERVER, device.request()).to_text()).unwrap();
    PairingApproval::open(&link, relayed(device.request())).unwrap()
}

fn bundle(form: PairingForm) -> PairingBundle {
    let master = MasterKey::from_bytes([7; 32]);
    PairingBundle {
        account: ALICE,
        home: [0x40; 16].into(),
        key_version: 3,
        key: match form {
            PairingForm::Device => PairedKey::Master(master),
            PairingForm::Public => PairedKey::Account(master.account_key()),
        },
        grant: PairingGrant::generate(&mut SystemRng),
        email: Some((Email::parse("alice@example.com").unwrap(), EmailSalt::generate(&mut SystemRng))),
    }
}

fn right(judgement: Judgement) -> Box<Confirmed> {
    match judgement {
        Judgement::Right(confirmed) => confirmed,
        Judgement::Wrong { tries_left } => panic!("wrong, {tries_left} tries left"),
    }
}

/// Another code than this.
fn another(code: &str) -> String {
    let first = if code.starts_with('0') { '1' } else { '0' };
    format!("{first}{}", &code[1..])
}

#[test]
fn a_device_is_let_in_by_link_and_code() {
    let rng = &mut SystemRng;
    let mut device = device(PairingForm::Device);
    assert!(device.shown().is_none());
    let mut approval = open(&device);
    assert_eq!((approval.request().name(), approval.request().platform()), ("laptop", "Linux"));
    let code = approval.authorize(None, rng).unwrap();
    assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()));
    let typed = format!(" {} {} ", &code[..3], &code[3..]);
    let answer = device.answer(&approval.offer(rng).unwrap(), &typed, rng).unwrap();
    let bundle = bundle(PairingForm::Device);
    let delivery = right(approval.judge(&answer).unwrap()).deliver(&bundle, rng).unwrap();
    assert!(device.finish(&delivery).unwrap() == bundle);
}

#[test]
fn a_public_computer_shows_and_asks_three_characters_and_gets_no_master_key() {
    let rng = &mut SystemRng;
    let mut device = device(PairingForm::Public);
    let mut approval = open(&device);
    assert_eq!(approval.authorize(None, rng).unwrap_err(), PairingError::NotThreeCharacters);
    let theirs = device.shown().unwrap().to_lowercase();
    let ours = approval.authorize(Some(&theirs), rng).unwrap();
    assert_eq!(ours.len(), 3);
    let answer = device.answer(&approval.offer(rng).unwrap(), &ours, rng).unwrap();
    let confirmed = right(approval.judge(&answer).unwrap());
    let bundle = bundle(PairingForm::Public);
    let delivery = confirmed.deliver(&bundle, rng).unwrap();
    assert!(device.finish(&delivery).unwrap() == bundle);
}

#[test]
fn a_public_computer_is_never_handed_the_master_key() {
    let rng = &mut SystemRng;
    let mut device = device(PairingForm::Public);
    let mut approval = open(&device);
    let ours = approval.authorize(device.shown(), rng).unwrap();
    let answer = device.answer(&approval.offer(rng).unwrap(), &ours, rng).unwrap();
    let confirmed = right(approval.judge(&answer).unwrap());
    assert_eq!(confirmed.deliver(&bundle(PairingForm::Device), rng).unwrap_err(), PairingError::OutOfTurn);
}

#[test]
fn the_screen_that_gets_in_is_the_one_that_the_owner_looked_at() {
    let rng = &mut SystemRng;
    let mut device = device(PairingForm::Public);
    let mut approval = open(&device);
    // The owner typed what another screen shows.
    let seen = another(device.shown().unwrap());
    let ours = approval.authorize(Some(&seen), rng).unwrap();
    let answer = device.answer(&approval.offer(rng).unwrap(), &ours, rng).unwrap();
    assert!(matches!(approval.judge(&answer).unwrap(), Judgement::Wrong { tries_left: 2 }));
}

#[test]
fn a_server_cannot_exchange_anything_that_the_device_said() {
    let ours = device(PairingForm::Device);
    let theirs = device(PairingForm::Device);
    let link = PairingLink::new(SERVER, ours.request());
    let request = ours.request();
    let with = |form, name: &str, platform: &str, key: &[u8]| {
        PairingRequest::from_parts(*request.id(), form, name, platform, key).unwrap()
    };
    let (key, other) = (request.key(), theirs.request().key());
    let exchanged = [
        with(PairingForm::Device, "laptop", "Linux", &other),
        with(PairingForm::Device, "your own laptop", "Linux", &key),
        with(PairingForm::Device, "laptop", "macOS", &key),
        with(PairingForm::Device, "laptopL", "inux", &key),
        with(PairingForm::Public, "laptop", "Linux", &key),
        relayed(theirs.request()),
    ];
    for request in exchanged {
        assert_eq!(PairingApproval::open(&link, request).unwrap_err(), PairingError::OtherRequest);
    }
    assert!(PairingApproval::open(&link, with(PairingForm::Device, "laptop", "Linux", &key)).is_ok());
}

#[test]
fn a_device_has_three_tries_in_a_million() {
    let rng = &mut SystemRng;
    let mut device = device(PairingForm::Device);
    let mut approval = open(&device);
    let code = approval.authorize(None, rng).unwrap();
    for tries_left in [2, 1, 0] {
        let offer = approval.offer(rng).unwrap();
        // What cannot be a code costs nothing.
        for typed in ["", "12345", "1234567", "12345a", "ABCDEF", "１２３４５６"] {
            assert_eq!(device.answer(&offer, typed, rng).unwrap_err(), PairingError::NotACode);
        }
        let answer = device.answer(&offer, &another(&code), rng).unwrap();
        match approval.judge(&answer).unwrap() {
            Judgement::Wrong { tries_left: left } => assert_eq!(left, tries_left),
            Judgement::Right(_) => panic!("that was another code"),
        }
    }
    assert_eq!(approval.offer(rng).unwrap_err(), PairingError::TriesSpent);
}

#[test]
fn a_mistyped_code_is_typed_again() {
    let rng = &mut SystemRng;
    let mut device = device(PairingForm::Device);
    let mut approval = open(&device);
    let code = approval.authorize(None, rng).unwrap();
    let answer = device.answer(&approval.offer(rng).unwrap(), &another(&code), rng).unwrap();
    assert!(matches!(approval.judge(&answer).unwrap(), Judgement::Wrong { tries_left: 2 }));
    let answer = device.answer(&approval.offer(rng).unwrap(), &code, rng).unwrap();
    let delivery =
        right(approval.judge(&answer).unwrap()).deliver(&bundle(PairingForm::Device), rng).unwrap();
    assert!(device.finish(&delivery).is_ok());
}

#[test]
fn a_device_that_asks_again_gets_no_second_try_for_one_offer() {
    let rng = &mut SystemRng;
    let mut device = device(PairingForm::Device);
    let mut approval = open(&device);
    let code = approval.authorize(None, rng).unwrap();
    let offer = approval.offer(rng).unwrap();
    let first = device.answer(&offer, &another(&code), rng).unwrap();
    assert_eq!(device.answer(&offer, &code, rng).unwrap_err(), PairingError::OutOfTurn);
    assert!(matches!(approval.judge(&first).unwrap(), Judgement::Wrong { .. }));
    // A second answer to the same offer, by whatever means it was made, is judged by nobody.
    assert_eq!(approval.judge(&first).unwrap_err(), PairingError::OutOfTurn);
}

#[test]
fn a_server_that_replays_is_noticed() {
    let rng = &mut SystemRng;
    let mut device = device(PairingForm::Device);
    let mut approval = open(&device);
    let code = approval.authorize(None, rng).unwrap();
    let offer = approval.offer(rng).unwrap();
    let wrong = device.answer(&offer, &another(&code), rng).unwrap();
    assert!(matches!(approval.judge(&wrong).unwrap(), Judgement::Wrong { .. }));
    let second = approval.offer(rng).unwrap();
    // The first answer again, for the second offer.
    assert_eq!(approval.judge(&wrong).unwrap_err(), PairingError::OutOfTurn);
    // The first offer again, for the second try; and the second with the first's number.
    assert_eq!(device.answer(&offer, &code, rng).unwrap_err(), PairingError::OutOfTurn);
    let renumbered = [&second[..1], &[1], &second[2..]].concat();
    assert_eq!(device.answer(&renumbered, &code, rng).unwrap_err(), PairingError::OutOfTurn);
}

#[test]
fn a_server_that_guesses_the_code_is_told_from_the_owner() {
    let rng = &mut SystemRng;
    let mut device = device(PairingForm::Device);
    // The server plays the approver: with a code of its own, and a bundle of an account of its own.
    let mut server = open(&device);
    let guess = server.authorize(None, rng).unwrap();
    let answer = device.answer(&server.offer(rng).unwrap(), &another(&guess), rng).unwrap();
    assert!(matches!(server.judge(&answer).unwrap(), Judgement::Wrong { .. }));
    // It delivers all the same, sealed with a key that it has from elsewhere.
    let mut elsewhere = self::device(PairingForm::Device);
    let mut approval = open(&elsewhere);
    let code = approval.authorize(None, rng).unwrap();
    let answer = elsewhere.answer(&approval.offer(rng).unwrap(), &code, rng).unwrap();
    let delivery =
        right(approval.judge(&answer).unwrap()).deliver(&bundle(PairingForm::Device), rng).unwrap();
    assert_eq!(device.finish(&delivery).unwrap_err(), PairingError::NotConfirmed);
}

#[test]
fn a_server_that_plays_the_device_has_to_guess_the_code() {
    let rng = &mut SystemRng;
    let device = device(PairingForm::Device);
    let mut approval = open(&device);
    let code = approval.authorize(None, rng).unwrap();
    // It has no private key for the request, so it answers in another's name: with the right code, even.
    let mut own = self::device(PairingForm::Device);
    let answer = own.answer(&approval.offer(rng).unwrap(), &code, rng).unwrap();
    assert!(matches!(approval.judge(&answer).unwrap(), Judgement::Wrong { .. }));
}

#[test]
fn every_change_of_one_byte_on_the_way_is_noticed() {
    let request = device(PairingForm::Device);
    let link = PairingLink::new(SERVER, request.request());
    for (_, key) in mutations(&request.request().key()).step_by(97) {
        let changed =
            PairingRequest::from_parts(*request.request().id(), PairingForm::Device, "laptop", "Linux", &key);
        assert!(changed.is_err() || PairingApproval::open(&link, changed.unwrap()).is_err());
    }
    let run = |change: &dyn Fn(usize, Vec<u8>) -> Vec<u8>| {
        let rng = &mut SystemRng;
        let mut device = device(PairingForm::Device);
        let mut approval = open(&device);
        let code = approval.authorize(None, rng)?;
        let offer = change(0, approval.offer(rng)?);
        let answer = change(1, device.answer(&offer, &code, rng)?);
        match approval.judge(&answer)? {
            Judgement::Wrong { .. } => Err(PairingError::NotConfirmed),
            Judgement::Right(confirmed) => {
                let delivery = change(2, confirmed.deliver(&bundle(PairingForm::Device), rng)?);
                device.finish(&delivery).map(drop)
            }
        }
    };
    assert_eq!(run(&|_, message| message), Ok(()));
    for (message, length) in [(0, 67), (1, 99), (2, 1300)] {
        let step = if message == 2 { 61 } else { 7 };
        for place in (0..length).step_by(step) {
            let outcome = run(&|number, mut bytes| {
                if number == message {
                    bytes[place] ^= 1 << (place % 8);
                }
                bytes
            });
            assert!(outcome.is_err(), "message {message}, byte {place}");
        }
        let cut = run(&|number, mut bytes| {
            if number == message {
                bytes.pop();
            }
            bytes
        });
        assert!(cut.is_err(), "message {message}, cut");
    }
}

#[test]
fn a_delivery_of_another_try_does_not_open() {
    let rng = &mut SystemRng;
    let mut device = device(PairingForm::Device);
    let mut approval = open(&device);
    let code = approval.authorize(None, rng).unwrap();
    let answer = device.answer(&approval.offer(rng).unwrap(), &code, rng).unwrap();
    let mut delivery =
        right(approval.judge(&answer).unwrap()).deliver(&bundle(PairingForm::Device), rng).unwrap();
    delivery[1] = 2;
    assert_eq!(device.finish(&delivery).unwrap_err(), PairingError::OutOfTurn);
}

#[test]
fn nothing_is_delivered_before_an_answer() {
    let device = device(PairingForm::Device);
    assert_eq!(device.finish(&[1, 1]).unwrap_err(), PairingError::OutOfTurn);
    let device = self::device(PairingForm::Device);
    let mut approval = open(&device);
    assert_eq!(approval.offer(&mut SystemRng).unwrap_err(), PairingError::OutOfTurn);
    assert_eq!(approval.judge(&[1, 1]).unwrap_err(), PairingError::OutOfTurn);
}

#[test]
fn a_link_reads_back_and_other_texts_are_none() {
    let device = device(PairingForm::Device);
    for server in [SERVER, "http://127.0.0.1:7341", "https://h.example/below", "https://h.example/"] {
        let text = PairingLink::new(server, device.request()).to_text();
        let link = PairingLink::parse(&format!(" {text}\n")).unwrap();
        assert_eq!((link.server(), link.request()), (server.trim_end_matches('/'), device.request().id()));
        assert_eq!(link.to_text(), text);
        assert!(!format!("{link:?}").contains(&text[text.len() - 20..]));
    }
    let text = PairingLink::new(SERVER, device.request()).to_text();
    let fragment = text.split_once("/#pair=").unwrap().1;
    for bad in [
        "",
        SERVER,
        &text[..text.len() - 1],
        &format!("{text}0"),
        &text.replace('.', ""),
        &text.replace("https", "ftp"),
        &format!("https://user@host/#pair={fragment}"),
        &format!("https://host/?x/#pair={fragment}"),
        &format!("https:///#pair={fragment}"),
        &format!("https://host a/#pair={fragment}"),
        fragment,
    ] {
        assert_eq!(PairingLink::parse(bad).unwrap_err(), PairingError::NotALink, "{bad}");
    }
}

#[test]
fn a_request_is_described_in_a_few_words() {
    let long = "x".repeat(65);
    for (name, platform) in [("", "Linux"), ("  ", "Linux"), ("x", ""), (&long, "Linux"), ("x", &long)] {
        let refused = PairingDevice::start(PairingForm::Device, name, platform, &mut SystemRng);
        assert_eq!(refused.unwrap_err(), PairingError::Description);
    }
}

proptest! {
    #[test]
    fn whatever_comes_from_outside_never_panics(text: String, bytes: Vec<u8>, typed: String) {
        let _ = PairingLink::parse(&text);
        let _ = PairingLink::parse(&format!("{SERVER}/#pair={text}"));
        let mut device = device(PairingForm::Public);
        let mut approval = open(&device);
        let _ = approval.authorize(Some(&typed), &mut SystemRng);
        let _ = approval.offer(&mut SystemRng);
        let _ = approval.judge(&bytes);
        let _ = device.answer(&bytes, &typed, &mut SystemRng);
        prop_assert!(device.finish(&bytes).is_err());
    }
}
