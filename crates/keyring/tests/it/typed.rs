// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What people type: addresses, backup codes, account numbers.

use std::collections::HashSet;

use keyring::email::EmailError;
use keyring::*;
use proptest::prelude::*;

use crate::places::*;

#[test]
fn an_address_is_the_same_however_it_is_typed() {
    let typed = ["alice@example.com", "  Alice@Example.COM\n", "ALICE@EXAMPLE.COM"];
    let hashes: HashSet<_> = typed.iter().map(|typed| Email::parse(typed).unwrap().hash()).collect();
    assert_eq!(hashes.len(), 1);
    for sound in ["a.b+c@d.e", "root@localhost", "zoë@exämple.org", "_@x", "a@1.2.3.4", "o'neil@example.ie"]
    {
        assert_eq!(Email::parse(sound).unwrap().as_str(), sound);
    }
}

#[test]
fn what_cannot_be_an_address_is_refused() {
    let long = format!("{}@example.com", "x".repeat(65));
    let longer = format!("x@{}com", "example.".repeat(40));
    let refused = [
        ("", EmailError::Empty),
        (" \t", EmailError::Empty),
        ("alice", EmailError::NotOneAt),
        ("a@b@c", EmailError::NotOneAt),
        ("@example.com", EmailError::LocalPart),
        ("a,b@example.com", EmailError::LocalPart),
        ("<a@example.com", EmailError::LocalPart),
        (&long, EmailError::LocalPart),
        (&longer, EmailError::TooLong),
        ("alice@", EmailError::Domain),
        ("alice@example..com", EmailError::Domain),
        ("alice@.example.com", EmailError::Domain),
        ("alice@example.com.", EmailError::Domain),
        ("alice@-example.com", EmailError::Domain),
        ("alice@exam_ple.com", EmailError::Domain),
        ("alice@example.com>", EmailError::Domain),
        ("al ice@example.com", EmailError::Unprintable),
        ("alice@example.com\r\nBcc: eve@example.com", EmailError::Unprintable),
        ("alice\0@example.com", EmailError::Unprintable),
        ("al\u{200b}ice@example.com", EmailError::Unprintable),
        ("alice\u{202e}@example.com", EmailError::Unprintable),
    ];
    for (typed, error) in refused {
        assert_eq!(Email::parse(typed).unwrap_err(), error, "{typed:?}");
    }
}

#[test]
fn an_address_opens_with_its_own_key_alone() {
    let email = Email::parse("alice@example.com").unwrap();
    let salt = EmailSalt::generate(&mut SystemRng);
    let key = EmailKey::derive(&email, &salt).unwrap();
    let sealed = key.seal(&email, &ALICE, &mut SystemRng);

    let sent = EmailKey::from_bytes(*EmailKey::derive(&email, &salt).unwrap().expose());
    assert_eq!(sent.open(&sealed, &ALICE).unwrap().hash(), email.hash());
    assert_eq!(sent.open(&sealed, &BOB).unwrap_err(), OpenError::WrongKeyOrContext);

    let other = EmailKey::derive(&email, &EmailSalt::from_bytes([0; 16])).unwrap();
    assert_eq!(other.open(&sealed, &ALICE).unwrap_err(), OpenError::WrongKeyOrContext);
    assert_eq!(format!("{email:?} {:?}", email.hash()), "Email(***REDACTED***) EmailHash(***REDACTED***)");
}

#[test]
fn what_the_pepper_gives_differs_by_address_pepper_and_purpose() {
    let (one, other) = (Email::parse("a@b.c").unwrap().hash(), Email::parse("b@b.c").unwrap().hash());
    let (pepper, next) = (Pepper::generate(&mut SystemRng), Pepper::generate(&mut SystemRng));
    assert_eq!(BlindIndex::of(&one, &pepper), pepper.blind_index(&one));
    assert_ne!(pepper.blind_index(&one), pepper.blind_index(&other));
    assert_ne!(pepper.blind_index(&one), next.blind_index(&one));
    assert_eq!(pepper.email_salt(&one), pepper.email_salt(&one));
    assert_ne!(pepper.email_salt(&one), pepper.email_salt(&other));
    let lookup = Lookup::from_bytes(*one.as_bytes());
    assert_ne!(&pepper.lookup_index(&lookup), pepper.blind_index(&one).as_bytes());
}

#[test]
fn a_backup_code_is_read_as_people_write_it() {
    for code in BackupCode::generate_all(&mut SystemRng) {
        let shown = code.to_text();
        assert_eq!((shown.len(), shown.find('-')), (11, Some(5)));
        let sloppy = shown.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        for typed in [shown.as_str(), &sloppy, &shown.replace('1', "i"), &shown.replace('-', "")] {
            assert_eq!(BackupCode::parse(typed).unwrap().lookup(&ALICE), code.lookup(&ALICE));
        }
        assert_ne!(code.lookup(&ALICE), code.lookup(&BOB));
        assert_eq!(format!("{code:?}"), "BackupCode(***REDACTED***)");
    }
    for typed in ["", "ABCDE", "ABCDE-FGHJ", "ABCDE-FGHJKM", "ABCDE-FGHJU", "ABCDE-FGHJ!"] {
        assert!(BackupCode::parse(typed).is_err(), "{typed:?}");
    }
}

#[test]
fn an_account_gets_ten_different_codes() {
    let codes = BackupCode::generate_all(&mut SystemRng);
    let texts: HashSet<_> = codes.iter().map(|code| code.to_text().to_string()).collect();
    assert_eq!(texts.len(), BackupCode::COUNT);
}

#[test]
fn an_account_number_is_read_as_people_write_it() {
    let refused = AccountNumber::parse("cd8 5-2f1").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "an account number has seven of the characters 23456789CDFGHJKMNPQRTVWXY"
    );
    let number = AccountNumber::parse("cdb s-zfg").unwrap();
    assert_eq!(number.as_str(), "CD852FG");
    assert!(AccountNumber::is_canonical("CD852FG"));
    for typed in ["", "CD852F", "CD852FGH", "CD852FA", "CD852F0", "CD852F1"] {
        assert!(AccountNumber::parse(typed).is_err(), "{typed:?}");
    }
    assert!(!AccountNumber::is_canonical("cd852fg"));
}

#[test]
fn account_numbers_use_their_whole_alphabet() {
    let seen: HashSet<_> =
        (0..200).flat_map(|_| AccountNumber::generate(&mut SystemRng).to_string().into_bytes()).collect();
    assert_eq!(seen.len(), 25);
}

proptest! {
    #[test]
    fn normalising_an_address_twice_changes_nothing(typed in "\\PC{0,40}@\\PC{0,40}") {
        if let Ok(email) = Email::parse(&typed) {
            prop_assert_eq!(Email::parse(email.as_str()).unwrap(), email);
        }
    }

    #[test]
    fn what_is_typed_never_panics(typed: String) {
        let _ = Email::parse(&typed);
        let _ = BackupCode::parse(&typed);
        let _ = AccountNumber::parse(&typed);
        let _ = Password::new(&typed);
    }

    #[test]
    fn account_numbers_are_shown_as_they_are_read(typed in "[2-9CDFGHJKMNPQRTVWXY]{7}") {
        prop_assert_eq!(AccountNumber::parse(&typed).unwrap().to_string(), typed);
    }
}
