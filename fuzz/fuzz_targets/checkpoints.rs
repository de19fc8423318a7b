// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Notes, checkpoints and their keys from anywhere: one spelling each, and no signature but the log's own passes.
#![no_main]

use std::sync::OnceLock;

use ledger::{Checkpoint, CosignatureVerifier, MemoryTree, Note, SignedCheckpoint, Signer, Verifier};
use libfuzzer_sys::fuzz_target;

const ORIGIN: &str = "example.com/log";

fuzz_target!(|input: &[u8]| {
    let Log { verifier, genuine } = log();
    if let Ok(text) = std::str::from_utf8(input) {
        if let Ok(note) = text.parse::<Note>() {
            assert_eq!(note.to_string(), text);
        }
        if let Ok(checkpoint) = text.parse::<Checkpoint>() {
            assert_eq!(checkpoint.to_string(), text);
        }
        if let Ok(key) = text.parse::<Verifier>() {
            assert_eq!(key.to_string(), text);
        }
        if let Ok(key) = text.parse::<CosignatureVerifier>() {
            assert_eq!(key.to_string(), text);
        }
        assert!(
            text.starts_with(genuine.text())
                || SignedCheckpoint::open(text, ORIGIN, std::slice::from_ref(verifier)).is_err(),
            "forged: {text}"
        );
    }
    // As changes to a genuine one: pairs of place and bits.
    let mut changed = genuine.to_string().into_bytes();
    for pair in input.chunks_exact(2).take(16) {
        let at = usize::from(pair[0]) % changed.len();
        changed[at] ^= pair[1];
    }
    if let Ok(changed) = String::from_utf8(changed)
        && let Ok(opened) = SignedCheckpoint::open(&changed, ORIGIN, std::slice::from_ref(verifier))
    {
        assert_eq!(opened.note().text(), genuine.text(), "another text under the same signature");
    }
});

struct Log {
    verifier: Verifier,
    genuine: Note,
}

fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let mut tree = MemoryTree::default();
        tree.append(ledger::Hash::leaf(b"an entry"));
        let signer = Signer::from_seed(ORIGIN, &[7; 32]).expect("a key");
        let signed =
            Checkpoint::new(ORIGIN, tree.head()).expect("a checkpoint").sign(&signer).expect("a signature");
        Log { verifier: signer.verifier(), genuine: signed.note().clone() }
    })
}
