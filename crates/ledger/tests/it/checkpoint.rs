// SPDX-License-Identifier: Apache-2.0 OR MIT
use ledger::{
    Checkpoint, CheckpointError, CosignatureVerifier, Cosigner, Hash, KeyError, NoteError, OpenError,
    SignatureError, SignedCheckpoint, Signer, TreeHead, Verifier,
};
use proptest::prelude::*;

/// The example of C2SP tlog-cosignature, whose keys are not published.
const EXAMPLE: &str = "example.com/behind-the-sofa\n\
    20852163\n\
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
    — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
    — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

fn signer() -> Signer {
    Signer::from_seed("example.com/log", &[5; 32]).unwrap()
}

fn checkpoint(size: u64) -> Checkpoint {
    Checkpoint::new("example.com/log", TreeHead { size, root: Hash::leaf(b"root") }).unwrap()
}

#[test]
fn the_example_of_the_specification_is_read() {
    let note: ledger::Note = EXAMPLE.parse().unwrap();
    let checkpoint: Checkpoint = note.text().parse().unwrap();
    assert_eq!(checkpoint.origin(), "example.com/behind-the-sofa");
    assert_eq!(checkpoint.head().size, 20_852_163);
    assert_eq!(checkpoint.head().root.to_base64(), "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=");
    assert_eq!(checkpoint.to_string(), note.text());
    assert_eq!(note.to_string(), EXAMPLE);
    let [log, witness] = note.signatures() else { panic!("two signatures") };
    assert_eq!((log.bytes.len(), witness.bytes.len()), (64, 8 + 64));
    assert_eq!(witness.bytes[..8], 1_679_315_147_u64.to_be_bytes());
}

#[test]
fn a_signed_checkpoint_opens_with_its_key_and_origin_only() {
    let signed = checkpoint(7).with_extension("more to say").unwrap().sign(&signer()).unwrap().to_string();
    let key = signer().verifier();
    let opened = SignedCheckpoint::open(&signed, "example.com/log", std::slice::from_ref(&key)).unwrap();
    assert_eq!(opened.head(), checkpoint(7).head());
    assert_eq!(opened.checkpoint().extensions(), ["more to say"]);
    assert_eq!(opened.to_string(), signed);

    let open = |note: &str, origin: &str, key: &Verifier| {
        SignedCheckpoint::open(note, origin, std::slice::from_ref(key)).map(|_| ())
    };
    let origin = "example.com/log";
    assert_eq!(open(&signed, "example.com/other", &key), Err(OpenError::Origin(origin.into())));
    let stranger = Signer::from_seed(origin, &[6; 32]).unwrap().verifier();
    assert_eq!(open(&signed, origin, &stranger), Err(OpenError::Signature(SignatureError::Unsigned)));
    let larger = signed.replacen("\n7\n", "\n8\n", 1);
    let invalid = OpenError::Signature(SignatureError::Invalid(origin.into()));
    assert_eq!(open(&larger, origin, &key), Err(invalid));
    assert_eq!(open("no note", origin, &key), Err(OpenError::Note(NoteError::NoSignatures)));
    let no_checkpoint = ledger::Note::new("hello\n".into(), signer().sign("hello\n")).unwrap();
    let shape = OpenError::Checkpoint(CheckpointError::Shape);
    assert_eq!(open(&no_checkpoint.to_string(), origin, &key), Err(shape));
}

#[test]
fn each_way_to_be_malformed_has_its_error() {
    use CheckpointError::{Root, Shape, Size};
    let root = Hash::leaf(b"root").to_base64();
    for (text, error) in [
        (String::new(), Shape),
        ("log\n".into(), Shape),
        (format!("log\n1\n{root}"), Shape),
        (format!("\n1\n{root}\n"), Shape),
        (format!("log\n1\n{root}\n\n"), Shape),
        (format!("log\n1\n{root}\n\nextension\n"), Shape),
        (format!("log\t\n1\n{root}\n"), Shape),
        (format!("log\n\n{root}\n"), Size),
        (format!("log\n01\n{root}\n"), Size),
        (format!("log\n+1\n{root}\n"), Size),
        (format!("log\n-1\n{root}\n"), Size),
        (format!("log\n 1\n{root}\n"), Size),
        (format!("log\n9223372036854775808\n{root}\n"), Size),
        (format!("log\n1\n{}\n", &root[1..]), Root),
        (format!("log\n1\n{} \n", root), Root),
        (format!("log\n0\n{root}\n"), Root),
    ] {
        assert_eq!(text.parse::<Checkpoint>(), Err(error), "{text:?}");
    }
}

#[test]
fn a_field_cannot_smuggle_in_lines() {
    let root = Hash::leaf(b"root");
    let forged = format!("log\n9\n{}", root.to_base64());
    assert!(Checkpoint::new(&forged, TreeHead { size: 1, root }).is_err());
    assert!(Checkpoint::new("", TreeHead { size: 1, root }).is_err());
    assert!(Checkpoint::new("log", TreeHead { size: 0, root }).is_err());
    assert!(Checkpoint::new("log", TreeHead { size: 0, root: Hash::EMPTY }).is_ok());
    assert!(Checkpoint::new("log", TreeHead { size: u64::MAX, root }).is_err());
    assert!(checkpoint(1).with_extension("a\nb").is_err());
    assert!(checkpoint(1).with_extension("").is_err());
}

#[test]
fn a_witness_signs_the_time_with_the_checkpoint() {
    let witness = Cosigner::from_seed("witness.example.com/w1", &[8; 32]).unwrap();
    let mut signed = checkpoint(7).sign(&signer()).unwrap();
    assert_eq!(witness.verifier().verify(&signed), Err(SignatureError::Unsigned));
    signed.add(witness.cosign(signed.checkpoint(), 1_679_315_147)).unwrap();
    let origin = "example.com/log";
    let signed = SignedCheckpoint::open(&signed.to_string(), origin, &[signer().verifier()]).unwrap();
    assert_eq!(witness.verifier().verify(&signed), Ok(1_679_315_147));

    // The message, as the specification shows it, under a plain signature of the same key.
    let message = format!("cosignature/v1\ntime 1679315147\n{}", signed.checkpoint());
    let plain = Signer::from_seed("witness.example.com/w1", &[8; 32]).unwrap().sign(&message);
    let cosignature = &signed.note().signatures()[1];
    assert_eq!(cosignature.bytes[8..], plain.bytes);
    assert_ne!(cosignature.key_id, plain.key_id);
}

#[test]
fn a_cosignature_with_another_time_or_text_is_invalid() {
    let witness = Cosigner::from_seed("w1", &[8; 32]).unwrap();
    let verdict = |cosignature| {
        let mut signed = checkpoint(7).sign(&signer()).unwrap();
        signed.add(cosignature).unwrap();
        witness.verifier().verify(&signed)
    };
    let invalid = Err(SignatureError::Invalid("w1".into()));
    let good = witness.cosign(&checkpoint(7), 1_000);
    assert_eq!(verdict(good.clone()), Ok(1_000));
    for at in 0..good.bytes.len() {
        let mut changed = good.clone();
        changed.bytes[at] ^= 1;
        assert_eq!(verdict(changed), invalid, "{at}");
    }
    let mut short = good;
    short.bytes.pop();
    assert_eq!(verdict(short), invalid);
    assert_eq!(verdict(witness.cosign(&checkpoint(8), 1_000)), invalid);
    assert_eq!(verdict(witness.cosign(&checkpoint(7), 1 << 63)), invalid);
}

#[test]
fn keys_of_logs_and_of_witnesses_cannot_stand_in_for_each_other() {
    let witness = Cosigner::from_seed("example.com/log", &[5; 32]).unwrap().verifier();
    assert_eq!(witness.to_string().parse(), Ok(witness.clone()));
    assert_eq!(witness.to_string().parse::<Verifier>(), Err(KeyError::Algorithm(4)));
    let log = signer().verifier().to_string();
    assert_eq!(log.parse::<CosignatureVerifier>(), Err(KeyError::Algorithm(1)));
    let signed = checkpoint(7).sign(&signer()).unwrap();
    assert_eq!(witness.verify(&signed), Err(SignatureError::Unsigned));
}

proptest! {
    #[test]
    fn any_checkpoint_survives(origin in "[^\\x00-\\x1f]+", size in 1..=ledger::MAX_SIZE, root: [u8; 32]) {
        let checkpoint = Checkpoint::new(&origin, TreeHead { size, root: root.into() }).unwrap();
        prop_assert_eq!(checkpoint.to_string().parse(), Ok(checkpoint.clone()));
        let signed = checkpoint.sign(&signer()).unwrap();
        let opened = SignedCheckpoint::open(&signed.to_string(), &origin, &[signer().verifier()]);
        prop_assert_eq!(opened, Ok(signed));
    }
}
