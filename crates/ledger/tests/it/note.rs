// SPDX-License-Identifier: Apache-2.0 OR MIT
use ledger::{
    KeyError, MAX_NOTE_BYTES, MAX_SIGNATURES, Note, NoteError, Signature, SignatureError, Signer, Verifier,
};

/// The key, seed and note of golang.org/x/mod/sumdb/note.
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETER_SEED: [u8; 32] = [
    0x81, 0x0a, 0x14, 0x02, 0xd5, 0x14, 0x6c, 0x8d, 0x84, 0xf2, 0x44, 0x33, 0x30, 0xf5, 0x40, 0x80, 0xeb,
    0xf9, 0x8e, 0xe1, 0x7d, 0x9c, 0x74, 0xf6, 0x25, 0x2f, 0xc5, 0xd5, 0xc7, 0x28, 0x31, 0x73,
];
const PETER_TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                          then you don't know what your problem is.\n";
const PETER_SIGNATURE: &str = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";

fn peter() -> Verifier {
    PETER.parse().unwrap()
}

fn peter_note() -> String {
    format!("{PETER_TEXT}\n{PETER_SIGNATURE}\n")
}

#[test]
fn the_note_of_sumdb_verifies_and_is_reproduced() {
    let note: Note = peter_note().parse().unwrap();
    assert_eq!(note.text(), PETER_TEXT);
    note.verify(&[peter()]).unwrap();
    assert_eq!(note.to_string(), peter_note());

    let signer = Signer::from_seed("PeterNeumann", &PETER_SEED).unwrap();
    assert_eq!(signer.verifier().to_string(), PETER);
    assert_eq!(signer.sign(PETER_TEXT).to_string(), PETER_SIGNATURE);
    assert_eq!(format!("{signer:?}"), format!("Signer({PETER})"));
}

#[test]
fn the_note_of_the_specification_verifies() {
    let note = "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    let key = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k".parse().unwrap();
    note.parse::<Note>().unwrap().verify(&[key]).unwrap();
}

#[test]
fn a_mangled_key_is_refused() {
    assert_eq!(peter().to_string(), PETER);
    for start in 0..PETER.len() {
        for end in start..PETER.len() + usize::from(start > 0) {
            assert!(PETER[start..end].parse::<Verifier>().is_err());
        }
    }
    for at in 0..PETER.len() {
        let mut bytes = PETER.as_bytes().to_vec();
        bytes[at] += 1;
        assert!(String::from_utf8(bytes).unwrap().parse::<Verifier>().is_err(), "{at}");
    }
    let too_long = "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==";
    assert!(too_long.parse::<Verifier>().is_err());
    let of_another_type = "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    assert_eq!(of_another_type.parse::<Verifier>(), Err(KeyError::Algorithm(0x65)));
    for name in ["", "a b", "a+b", "a\u{a0}b", "a\u{2003}b", "a\nb", "a\u{7}b"] {
        assert_eq!(Signer::from_seed(name, &PETER_SEED).map(|_| ()), Err(KeyError::Name), "{name:?}");
    }
    let mut identity_point = [0; 32];
    identity_point[0] = 1;
    assert_eq!(Verifier::new("weak", &identity_point), Err(KeyError::PublicKey));
}

#[test]
fn any_changed_character_of_a_note_is_noticed() {
    let note = peter_note();
    for (at, original) in note.char_indices() {
        let replacement = if original == 'A' { "B" } else { "A" };
        let mut changed = note.clone();
        changed.replace_range(at..at + original.len_utf8(), replacement);
        let verified = changed.parse::<Note>().map(|note| note.verify(&[peter()]));
        assert!(!matches!(verified, Ok(Ok(()))), "{changed}");
    }
}

#[test]
fn unknown_signatures_are_kept_and_not_judged() {
    let stranger = Signer::from_seed("stranger", &[1; 32]).unwrap();
    let namesake = Signer::from_seed("PeterNeumann", &[2; 32]).unwrap();
    let mut note: Note = peter_note().parse().unwrap();
    note.add(stranger.sign("something else\n")).unwrap();
    note.add(namesake.sign("something else\n")).unwrap();
    let note: Note = note.to_string().parse().unwrap();
    assert_eq!(note.signatures().len(), 3);
    assert_eq!(note.verify(&[peter()]), Ok(()));
    assert_eq!(note.verify(&[]), Err(SignatureError::Unsigned));
    let known = [peter(), stranger.verifier()];
    assert_eq!(note.verify(&known), Err(SignatureError::Invalid("stranger".into())));
    let absent = Signer::from_seed("absent", &[3; 32]).unwrap().verifier();
    assert_eq!(note.verify(std::slice::from_ref(&absent)), Err(SignatureError::Unsigned));
    assert_eq!(note.verify(&[absent, peter()]), Ok(()));
}

#[test]
fn each_way_to_be_malformed_has_its_error() {
    use NoteError::{NoSignatures, SignatureLine, Text, TooLong};
    for (note, error) in [
        ("", NoSignatures),
        ("text\n", NoSignatures),
        ("text\n\n", NoSignatures),
        ("text\n\n— name AAAAAAA=", NoSignatures),
        ("text\n— name AAAAAAA=\n", NoSignatures),
        ("text\n\n\n", NoSignatures),
        ("text\n\n— name AAAAAAA=\nmore\n", SignatureLine),
        ("text\n\n-- name AAAAAAA=\n", SignatureLine),
        ("text\n\n—  AAAAAAA=\n", SignatureLine),
        ("text\n\n— a+b AAAAAAA=\n", SignatureLine),
        ("text\n\n— name  AAAAAAA=\n", SignatureLine),
        ("text\n\n— name AAAAAAA= \n", SignatureLine),
        ("text\n\n— name AAAAAAA\n", SignatureLine),
        ("text\n\n— name AAAAAAB=\n", SignatureLine),
        ("text\n\n— name AAAAAA==\n", SignatureLine),
        ("text\r\n\n— name AAAAAAA=\n", Text),
        ("te\txt\n\n— name AAAAAAA=\n", Text),
    ] {
        assert_eq!(note.parse::<Note>(), Err(error), "{note:?}");
    }
    let twice = format!("{}{PETER_SIGNATURE}\n", peter_note());
    assert_eq!(twice.parse::<Note>(), Err(NoteError::DuplicateSignature("PeterNeumann".into())));
    let long = "a".repeat(MAX_NOTE_BYTES + 1);
    assert_eq!(long.parse::<Note>(), Err(TooLong(MAX_NOTE_BYTES + 1)));
    let signature: Signature = PETER_SIGNATURE.parse().unwrap();
    assert_eq!(Note::new("no newline".into(), signature.clone()), Err(Text));
    assert_eq!(Note::new("bell\u{7}\n".into(), signature), Err(Text));
}

#[test]
fn signatures_are_limited_in_number() {
    let mut note: Note = peter_note().parse().unwrap();
    let signature = |key_id| Signature { key_name: "witness".into(), key_id, bytes: vec![1; 64] };
    for key_id in 1..MAX_SIGNATURES as u32 {
        note.add(signature(key_id)).unwrap();
    }
    assert_eq!(note.add(signature(0)), Err(NoteError::TooManySignatures));
    let text = note.to_string();
    assert_eq!(text.parse::<Note>(), Ok(note));
    let one_more = format!("{text}{}\n", signature(0));
    assert_eq!(one_more.parse::<Note>(), Err(NoteError::TooManySignatures));
}
