// SPDX-License-Identifier: Apache-2.0 OR MIT
use ledger::record::{self, HeaderError, HeaderTooLong, MAX_HEADER_BYTES};
use ledger::{Hash, RecordHeader};
use proptest::prelude::*;

fn header() -> RecordHeader {
    RecordHeader {
        tenant: [0x11; 16],
        id: [0x22; 16],
        at: 1_790_000_000_123,
        actor: "acc_7F3KQ2M".into(),
        via: "ses_1".into(),
        action: "item.write".into(),
        subject: "itm_9".into(),
        corrects: None,
        request: "req_1".into(),
    }
}

#[test]
fn the_encoding_is_the_one_written_down() {
    let expected = [
        &b"\x01\x00\x10"[..],
        &[0x11; 16],
        b"\x00\x10",
        &[0x22; 16],
        b"\x00\x08\x00\x00\x01\xa0\xc4\x50\x6c\x7b",
        b"\x00\x0bacc_7F3KQ2M\x00\x05ses_1\x00\x0aitem.write\x00\x05itm_9\x00\x00\x00\x05req_1",
    ]
    .concat();
    let encoded = header().encode().unwrap();
    assert_eq!(encoded[..], expected[..]);
    assert_eq!(RecordHeader::decode(&encoded), Ok(header()));
}

#[test]
fn the_leaf_is_the_one_of_the_entry() {
    let header = header().encode().unwrap();
    let payload = record::payload_hash(b"sealed");
    let entry = record::entry(&header, &payload);
    assert_eq!(record::leaf_hash(&header, &payload), Hash::leaf(&entry));
    assert_eq!(record::split_entry(&entry), Some((&header[..], &payload)));
    assert_eq!(record::split_entry(&entry[..31]), None);
}

#[test]
fn each_way_to_be_malformed_has_its_error() {
    let bytes = RecordHeader { corrects: Some([3; 16]), ..header() }.encode().unwrap();
    for end in 1..bytes.len() {
        assert!(matches!(RecordHeader::decode(&bytes[..end]), Err(HeaderError::Truncated(_))), "{end}");
    }
    assert_eq!(RecordHeader::decode(&[]), Err(HeaderError::Empty));
    assert_eq!(RecordHeader::decode(&[9]), Err(HeaderError::Version(9)));
    let trailing = [&bytes[..], b"xy"].concat();
    assert_eq!(RecordHeader::decode(&trailing), Err(HeaderError::TrailingBytes(2)));
    let mut not_text = bytes.clone();
    not_text[49] = 0xff;
    assert_eq!(RecordHeader::decode(&not_text), Err(HeaderError::NotUtf8("actor")));
    let short_id = [&b"\x01\x00\x0f"[..], &[0; 40]].concat();
    assert_eq!(RecordHeader::decode(&short_id), Err(HeaderError::Length { field: "tenant", length: 15 }));
    let long = vec![1; MAX_HEADER_BYTES + 1];
    assert_eq!(RecordHeader::decode(&long), Err(HeaderError::TooLong(MAX_HEADER_BYTES + 1)));
}

#[test]
fn a_header_that_would_not_fit_an_entry_is_not_encoded() {
    let with_subject = |length| RecordHeader { subject: "s".repeat(length), ..header() };
    let room = MAX_HEADER_BYTES - with_subject(0).encode().unwrap().len();
    let longest = with_subject(room).encode().unwrap();
    assert_eq!(record::entry(&longest, &[0; 32]).len(), 65_535);
    assert_eq!(RecordHeader::decode(&longest), Ok(with_subject(room)));
    assert_eq!(with_subject(room + 1).encode(), Err(HeaderTooLong(MAX_HEADER_BYTES + 1)));
    assert!(with_subject(1 << 20).encode().is_err());
}

proptest! {
    #[test]
    fn any_header_survives(
        (tenant, id, at) in any::<([u8; 16], [u8; 16], i64)>(),
        (actor, via, action) in any::<(String, String, String)>(),
        (subject, corrects, request) in any::<(String, Option<[u8; 16]>, String)>(),
    ) {
        let header = RecordHeader { tenant, id, at, actor, via, action, subject, corrects, request };
        prop_assert_eq!(RecordHeader::decode(&header.encode().unwrap()), Ok(header));
    }

    #[test]
    fn what_can_be_read_has_no_other_encoding(mut bytes in valid_header(), at: prop::sample::Index, byte: u8) {
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(header) = RecordHeader::decode(&bytes) {
            prop_assert_eq!(header.encode().unwrap(), bytes);
        }
    }
}

fn valid_header() -> impl Strategy<Value = Vec<u8>> {
    any::<bool>().prop_map(|corrects| {
        RecordHeader { corrects: corrects.then_some([7; 16]), ..header() }.encode().unwrap()
    })
}
