// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sealed files from anywhere: headers, lengths, chunks.
#![no_main]

use keyring::file::{self, FileOpener, FileSealer};
use keyring::{CollectionKey, FileId, ItemId, SystemRng};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((numbers, bytes)) = input.split_first_chunk::<24>() else { return };
    let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| numbers[at + index]));
    let (length, index, start) = (number(0), number(8), number(16));

    // Lengths: one is the inverse of the other.
    if let Ok(sealed) = file::sealed_len(length) {
        assert_eq!(file::plaintext_len(sealed), Ok(length));
    }
    if let Ok(plain) = file::plaintext_len(length) {
        assert_eq!(file::sealed_len(plain), Ok(length));
    }

    let item = CollectionKey::generate(&mut SystemRng).item_key(&ItemId::from([3; 16]));
    let id = FileId::from([4; 16]);
    assert!(FileOpener::new(&item, &id, bytes, length).is_err(), "a forged header");

    let Ok(sealer) = FileSealer::new(&item, &id, length, &mut SystemRng) else { return };
    let opener = FileOpener::new(&item, &id, sealer.header(), sealer.sealed_len()).expect("its own header");
    assert_eq!((opener.chunks(), opener.plaintext_len()), (sealer.chunks(), length));
    assert!(opener.open_chunk(index, bytes).is_err(), "a forged chunk");
    let _ = opener.sealed_range(index);
    if let Some(span) = opener.chunks_for(start..start.saturating_add(bytes.len() as u64)) {
        let _ = span;
    }
    if let Ok(chunk) = sealer.seal_chunk(index, bytes, &mut SystemRng) {
        assert_eq!(opener.open_chunk(index, &chunk).expect("its own chunk").as_slice(), bytes);
        assert!(opener.open_chunk(index ^ 1, &chunk).is_err(), "a chunk in another's place");
    }
});
