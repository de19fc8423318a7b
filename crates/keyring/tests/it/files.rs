// SPDX-License-Identifier: Apache-2.0 OR MIT

use keyring::file::{self, *};
use keyring::*;
use proptest::prelude::*;

use crate::places::*;
use crate::replay::Replay;

fn item_key() -> ItemKey {
    CollectionKey::from_bytes([4; 32]).item_key(&ITEM)
}

fn text(length: u64) -> Vec<u8> {
    (0..length).map(|place| (place % 251) as u8).collect()
}

fn seal(plaintext: &[u8]) -> Vec<u8> {
    let rng = &mut Replay::of("file");
    let sealer = FileSealer::new(&item_key(), &FILE, plaintext.len() as u64, rng).unwrap();
    let mut sealed = sealer.header().to_vec();
    for index in 0..sealer.chunks() {
        let range = sealer.plaintext_range(index).unwrap();
        sealed.extend(
            sealer.seal_chunk(index, &plaintext[range.start as usize..range.end as usize], rng).unwrap(),
        );
    }
    assert_eq!(sealed.len() as u64, sealer.sealed_len());
    sealed
}

fn open(sealed: &[u8]) -> Result<Vec<u8>, FileError> {
    let header = sealed.get(..HEADER_LEN).ok_or(FileError::WrongHeader)?;
    let opener = FileOpener::new(&item_key(), &FILE, header, sealed.len() as u64)?;
    let mut plaintext = Vec::new();
    for index in 0..opener.chunks() {
        let range = opener.sealed_range(index).unwrap();
        plaintext.extend(&*opener.open_chunk(index, &sealed[range.start as usize..range.end as usize])?);
    }
    assert_eq!(plaintext.len() as u64, opener.plaintext_len());
    Ok(plaintext)
}

#[test]
fn a_file_of_any_length_comes_back() {
    for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 17] {
        let plaintext = text(length);
        assert_eq!(open(&seal(&plaintext)).unwrap(), plaintext, "{length} bytes");
    }
}

#[test]
fn every_change_of_one_byte_is_noticed() {
    let sealed = seal(b"a small file");
    for (place, changed) in mutations(&sealed) {
        let expected = match place {
            0 => FileError::UnknownVersion(changed[0]),
            1 => FileError::UnknownSuite(changed[1]),
            2..HEADER_LEN => FileError::WrongKey,
            _ => FileError::Damaged,
        };
        assert_eq!(open(&changed).unwrap_err(), expected, "byte {place}");
    }
}

#[test]
fn a_truncated_or_extended_file_does_not_open() {
    let sealed = seal(&text(2 * CHUNK + 100));
    let chunk = (CHUNK + CHUNK_OVERHEAD) as usize;
    for length in [0, 1, HEADER_LEN - 1] {
        assert_eq!(open(&sealed[..length]).unwrap_err(), FileError::WrongHeader);
    }
    for length in [HEADER_LEN, HEADER_LEN + 10, HEADER_LEN + chunk + 10] {
        assert_eq!(open(&sealed[..length]).unwrap_err(), FileError::WrongLength);
    }
    // Cut where a chunk ends, or within one: the chunk that is now last was not sealed as the last.
    for length in [HEADER_LEN + chunk, HEADER_LEN + 2 * chunk, sealed.len() - 1, HEADER_LEN + chunk + 100] {
        assert_eq!(open(&sealed[..length]).unwrap_err(), FileError::Damaged, "{length} bytes");
    }
    let twice = [&sealed[..], &sealed[HEADER_LEN..]].concat();
    assert!(open(&twice).is_err());
}

#[test]
fn chunks_do_not_change_places_or_files() {
    let (first, second) = (seal(&text(3 * CHUNK)), seal(&text(3 * CHUNK)));
    let opener = FileOpener::new(&item_key(), &FILE, &first[..HEADER_LEN], first.len() as u64).unwrap();
    let chunk = |index| {
        let range = opener.sealed_range(index).unwrap();
        &first[range.start as usize..range.end as usize]
    };
    assert!(opener.open_chunk(0, chunk(0)).is_ok());
    for (place, from) in [(0, 1), (1, 0), (1, 2), (2, 1), (2, 0)] {
        assert_eq!(opener.open_chunk(place, chunk(from)).unwrap_err(), FileError::Damaged);
    }
    assert_eq!(opener.open_chunk(3, chunk(0)).unwrap_err(), FileError::NoSuchChunk);
    assert_eq!(opener.open_chunk(0, &chunk(0)[1..]).unwrap_err(), FileError::WrongLength);

    // The same file under another key, id or salt has another header.
    let other_item = CollectionKey::from_bytes([4; 32]).item_key(&[9; 16].into());
    for (item, file) in [(&other_item, &FILE), (&item_key(), &[9; 16].into())] {
        let outcome = FileOpener::new(item, file, &second[..HEADER_LEN], second.len() as u64);
        assert_eq!(outcome.err(), Some(FileError::WrongKey));
    }
    let again = FileSealer::new(&item_key(), &FILE, 3 * CHUNK, &mut SystemRng).unwrap();
    let theirs = again.seal_chunk(0, &text(CHUNK), &mut SystemRng).unwrap();
    assert_eq!(opener.open_chunk(0, &theirs).unwrap_err(), FileError::Damaged);
}

#[test]
fn an_upload_that_broke_off_goes_on() {
    let plaintext = text(CHUNK + 5);
    let sealed = seal(&plaintext);
    let resumed = FileSealer::resume(&item_key(), &FILE, &sealed[..HEADER_LEN], CHUNK + 5).unwrap();
    let first = (CHUNK + CHUNK_OVERHEAD) as usize + HEADER_LEN;
    let last = resumed.seal_chunk(1, &plaintext[CHUNK as usize..], &mut SystemRng).unwrap();
    assert_ne!(last, sealed[first..], "sealed again under another nonce");
    assert_eq!(open(&[&sealed[..first], &last].concat()).unwrap(), plaintext);
    assert_eq!(resumed.seal_chunk(1, b"shrt", &mut SystemRng).unwrap_err(), FileError::WrongLength);
    assert_eq!(resumed.seal_chunk(2, b"", &mut SystemRng).unwrap_err(), FileError::NoSuchChunk);
}

#[test]
fn lengths_have_their_limits() {
    assert_eq!(file::chunks(0), Ok(1));
    assert_eq!(file::sealed_len(0), Ok(66 + 35));
    assert_eq!(file::plaintext_len(66 + 35), Ok(0));
    assert_eq!(file::chunks(MAX_FILE), Ok(1 << 32));
    assert_eq!(file::chunks(MAX_FILE + 1), Err(FileError::TooLong));
    assert_eq!(file::sealed_len(u64::MAX), Err(FileError::TooLong));
    assert_eq!(file::plaintext_len(file::sealed_len(MAX_FILE).unwrap()), Ok(MAX_FILE));
    assert_eq!(file::plaintext_len(u64::MAX), Err(FileError::WrongLength));
    assert_eq!(FileSealer::new(&item_key(), &FILE, u64::MAX, &mut SystemRng).err(), Some(FileError::TooLong));
}

proptest! {
    #[test]
    fn lengths_go_there_and_back(length in 0..=MAX_FILE) {
        prop_assert_eq!(file::plaintext_len(file::sealed_len(length).unwrap()), Ok(length));
    }

    #[test]
    fn a_length_is_refused_or_some_files(length: u64) {
        if let Ok(plaintext) = file::plaintext_len(length) {
            prop_assert_eq!(file::sealed_len(plaintext), Ok(length));
        }
    }

    #[test]
    fn a_range_names_the_chunks_that_hold_it(
        length in 0..8 * CHUNK,
        start in 0..9 * CHUNK,
        take in 0..9 * CHUNK,
    ) {
        let sealer = FileSealer::new(&item_key(), &FILE, length, &mut Replay::of("range")).unwrap();
        let opener = FileOpener::new(&item_key(), &FILE, sealer.header(), sealer.sealed_len()).unwrap();
        let wanted = start.min(length)..(start + take).min(length);
        match opener.chunks_for(start..start + take) {
            None => prop_assert!(wanted.is_empty()),
            Some(span) => {
                prop_assert_eq!(span.take, wanted.end - wanted.start);
                prop_assert_eq!(span.chunks.start * CHUNK + span.skip, wanted.start);
                prop_assert!(span.skip < CHUNK && span.chunks.end <= opener.chunks());
                prop_assert!(sealer.plaintext_range(span.chunks.end - 1).unwrap().contains(&(wanted.end - 1)));
                prop_assert_eq!(span.sealed.start, opener.sealed_range(span.chunks.start).unwrap().start);
                prop_assert_eq!(span.sealed.end, opener.sealed_range(span.chunks.end - 1).unwrap().end);
            }
        }
    }
}
