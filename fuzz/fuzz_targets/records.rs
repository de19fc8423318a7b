// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Record headers and log entries from anywhere: one value, one encoding.
#![no_main]

use ledger::{RecordHeader, record};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(header) = RecordHeader::decode(bytes) {
        assert_eq!(header.encode().expect("what was read fits"), bytes);
    }
    if let Some((header, payload_hash)) = record::split_entry(bytes) {
        assert_eq!(record::entry(header, payload_hash), bytes);
        assert_eq!(record::leaf_hash(header, payload_hash), ledger::Hash::leaf(bytes));
    }
});
