// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whatever bytes arrive, a decoder answers; what it accepts it writes back unchanged.

use ledger::{
    Checkpoint, ConsistencyProof, CosignatureVerifier, EntryBundle, Frontier, Hash, InclusionProof, Node,
    Note, Record, RecordHeader, SignedCheckpoint, Signer, Tile, TreeHead, Verification, Verifier, record,
};
use proptest::prelude::*;

proptest! {
    #[test]
    fn bytes_never_panic(bytes: Vec<u8>, width in 1..=256_u64) {
        if let Ok(header) = RecordHeader::decode(&bytes) {
            prop_assert_eq!(header.encode().unwrap(), bytes.clone());
        }
        if let Ok(frontier) = Frontier::decode(&bytes) {
            prop_assert_eq!(frontier.encode(), bytes.clone());
        }
        let bundle = EntryBundle::at(0, width).unwrap();
        if let Ok(entries) = bundle.decode(&bytes) {
            prop_assert_eq!(EntryBundle::encode(&entries).unwrap(), bytes.clone());
        }
        let _ = bundle.tile().decode(&bytes);
        let _ = record::split_entry(&bytes);
    }

    #[test]
    fn text_never_panics(text in any_text()) {
        let same = |read: Option<String>| read.is_none_or(|read| read == text);
        prop_assert!(same(text.parse::<Tile>().ok().map(|it| it.to_string())));
        prop_assert!(same(text.parse::<EntryBundle>().ok().map(|it| it.to_string())));
        prop_assert!(same(text.parse::<Note>().ok().map(|it| it.to_string())));
        prop_assert!(same(text.parse::<Checkpoint>().ok().map(|it| it.to_string())));
        prop_assert!(same(text.parse::<Verifier>().ok().map(|it| it.to_string())));
        prop_assert!(same(text.parse::<CosignatureVerifier>().ok().map(|it| it.to_string())));
        prop_assert!(same(Hash::from_hex(&text).ok().map(|it| it.to_string())));
        prop_assert!(same(Hash::from_base64(&text).ok().map(|it| it.to_base64())));
        let key = Signer::from_seed("log", &[1; 32]).unwrap().verifier();
        prop_assert!(SignedCheckpoint::open(&text, "log", &[key]).is_err());
    }

    #[test]
    fn proofs_of_anything_never_panic(
        hashes in prop::collection::vec(any::<[u8; 32]>().prop_map(Hash::from), 0..70),
        sizes: (u64, u64),
        roots: ([u8; 32], [u8; 32]),
    ) {
        let (old, new) = (
            TreeHead { size: sizes.0, root: roots.0.into() },
            TreeHead { size: sizes.1, root: roots.1.into() },
        );
        prop_assert!(InclusionProof(hashes.clone()).verify(sizes.0, &roots.0.into(), &new).is_err());
        let consistent = ConsistencyProof(hashes).verify(&old, &new);
        prop_assert!(consistent.is_err());
    }

    /// A hostile storage: numbers, levels and hashes at will.
    #[test]
    fn a_verification_of_anything_ends(
        nodes in prop::collection::vec((0..20_u8, number(), any::<u8>()), 0..40),
        records in prop::collection::vec((number(), any::<u8>()), 0..40),
        heads in prop::collection::vec((number(), any::<u8>()), 0..4),
        start in 0..600_u64,
    ) {
        let hash = |byte: u8| Hash::from([byte; 32]);
        let peaks = vec![hash(1); start.count_ones() as usize];
        let mut verification = Verification::new("", "log", &[]);
        verification = verification.resume(Frontier::from_peaks(start, peaks).unwrap());
        for (size, root) in heads {
            verification = verification.pinned(TreeHead { size, root: hash(root) });
        }
        let mut nodes = nodes.into_iter();
        for (number, byte) in records {
            for (level, index, byte) in nodes.by_ref().take(2) {
                verification.stored(Node { level, index, hash: hash(byte) });
            }
            verification.push(Record { number, header: &[byte], payload_hash: &[byte; 32] });
        }
        prop_assert!(!verification.finish().is_intact());
    }
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..1_000_u64, any::<u64>(), Just(u64::MAX), Just(ledger::MAX_SIZE)]
}

/// Text that gets some way into the formats.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("tile/".to_owned()),
        Just("entries/".to_owned()),
        Just(".p/".to_owned()),
        Just("x001/".to_owned()),
        Just("\n".to_owned()),
        Just("\n\n— log ".to_owned()),
        Just("log".to_owned()),
        Just("+".to_owned()),
        Just("AAAAAAA=".to_owned()),
        Just("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n".to_owned()),
        "[0-9]{1,4}".prop_map(String::from),
        ".{0,4}".prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}
