// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An attacker who owns the database, and what a verifier says of it.

use ledger::{
    Checkpoint, Finding, Hash, HashReader, MemoryTree, Node, Record, RecordHeader, Verification, record,
};

use crate::database::{Database, ORIGIN, row, sign, signer};

fn altered(number: u64) -> Finding {
    Finding::RecordAltered { number, logged_as: None }
}

#[test]
fn an_untouched_log_of_any_size_is_intact_with_and_without_its_tree() {
    for size in [0, 1, 2, 255, 256, 257, 511, 512, 700] {
        let log = Database::of(size);
        for report in [
            log.verify(log.verification()),
            log.run(log.verification(), |_| false),
            log.run(log.verification(), |node| node.level == 0),
            log.verify(log.verification().pinned(log.head(size / 2)).pinned(log.head(size))),
        ] {
            assert!(report.is_intact(), "{size}: {report:?}");
            assert_eq!((report.verified_size, report.records, report.uncovered), (size, size, 0));
            assert_eq!(report.head, Some(log.head(size)));
            assert_eq!(report.frontier.map(|frontier| frontier.head()), Some(log.head(size)));
        }
    }
}

#[test]
fn any_altered_record_is_named() {
    let log = Database::of(300);
    for number in [0, 1, 77, 255, 256, 299] {
        let mut log = log.clone();
        log.alter(number);
        assert_eq!(log.findings(), [altered(number)]);
        let (_, header, _) = &mut log.rows[number as usize];
        let last_of_subject = header.len() - 5;
        header[last_of_subject] ^= 1;
        assert_eq!(log.findings(), [altered(number)]);
    }
}

#[test]
fn several_altered_records_are_all_named_and_the_rest_is_not() {
    let mut log = Database::of(700);
    [3, 4, 300, 699].into_iter().for_each(|number| log.alter(number));
    assert_eq!(log.findings(), [3, 4, 300, 699].map(altered));
    assert_eq!(log.verify(log.verification()).verified_size, 700);
}

#[test]
fn any_deleted_record_is_named() {
    let log = Database::of(600);
    for (first, last) in [(0, 0), (5, 9), (250, 260), (256, 511), (255, 255), (590, 599), (0, 599)] {
        let mut log = log.clone();
        log.rows.drain(first as usize..=last as usize);
        assert_eq!(log.findings(), [Finding::RecordsMissing { first, last }]);
    }
    let said = |first, last| Finding::RecordsMissing { first, last }.to_string();
    assert_eq!((said(5, 5), said(5, 9)), ("record 5 is missing".into(), "records 5 to 9 are missing".into()));
}

#[test]
fn deleting_and_renumbering_is_seen_through() {
    let mut log = Database::of(300);
    log.delete_and_renumber(290);
    let mut expected: Vec<Finding> = vec![Finding::RecordsMissing { first: 299, last: 299 }];
    expected.extend((290..299).map(|number| Finding::RecordAltered { number, logged_as: Some(number + 1) }));
    assert_eq!(log.findings(), expected);
}

#[test]
fn inserting_and_renumbering_is_seen_through() {
    let mut log = Database::of(300);
    log.rows.insert(296, row(9_999));
    (0..).zip(&mut log.rows).for_each(|(number, row)| row.0 = number);
    let report = log.verify(log.verification());
    let mut expected = vec![altered(296)];
    expected.extend((297..300).map(|number| Finding::RecordAltered { number, logged_as: Some(number - 1) }));
    assert_eq!(report.findings, expected);
    assert_eq!(report.uncovered, 1);
}

#[test]
fn a_record_altered_with_its_leaf_is_found_to_its_tile() {
    for number in [0, 300, 511] {
        let mut log = Database::of(700);
        log.alter_with_leaf(number);
        let first = number / 256 * 256;
        assert_eq!(log.findings(), [Finding::RootMismatch { first, last: first + 255 }]);
    }
}

#[test]
fn beside_a_doubtful_tile_records_are_still_named() {
    let mut log = Database::of(900);
    log.alter(2);
    log.alter_with_leaf(300);
    log.alter(301);
    log.alter(600);
    log.alter(800);
    let mismatch = Finding::RootMismatch { first: 256, last: 511 };
    let disputed = Finding::Disputed { number: 301 };
    assert_eq!(log.findings(), [altered(2), disputed, altered(600), altered(800), mismatch]);
}

#[test]
fn a_record_altered_with_every_hash_above_it_is_found_between_pinned_heads() {
    let honest = Database::of(700);
    let mut log = honest.clone();
    log.alter(333);
    log.store_nodes();
    assert_eq!(log.findings(), [Finding::RootMismatch { first: 0, last: 699 }]);

    let pinned = [50, 300, 340, 600].map(|size| honest.head(size));
    let verification = pinned.into_iter().fold(log.verification(), Verification::pinned);
    let report = log.verify(verification);
    assert_eq!(report.findings, [Finding::RootMismatch { first: 300, last: 339 }]);
    assert_eq!(report.verified_size, 300);
    assert_eq!(report.frontier, None);
}

#[test]
fn altered_hashes_over_intact_records_are_named_as_such() {
    let mut log = Database::of(700);
    log.node(0, 5).hash = Hash::EMPTY;
    log.node(0, 690).hash = Hash::EMPTY;
    assert_eq!(log.findings(), [5, 690].map(|number| Finding::LeafAltered { number }));

    let mut log = Database::of(700);
    log.node(8, 1).hash = Hash::EMPTY;
    assert_eq!(log.findings(), [Finding::NodeAltered { level: 8, index: 1 }]);

    let mut log = Database::of(700);
    log.node(8, 0).hash = Hash::EMPTY;
    log.node(0, 600).hash = Hash::EMPTY;
    let node = Finding::NodeAltered { level: 8, index: 0 };
    assert_eq!(log.findings(), [Finding::LeafAltered { number: 600 }, node]);
}

#[test]
fn each_part_of_the_log_is_judged_by_what_is_right_there() {
    let mut log = Database::of(700);
    log.node(0, 5).hash = Hash::EMPTY;
    log.alter(690);
    let expected = [Finding::LeafAltered { number: 5 }, altered(690)];
    assert_eq!(log.findings(), expected);
    assert_eq!(log.run(log.verification(), |node| node.level == 0).findings, expected);

    let mut log = Database::of(700);
    log.alter(5);
    log.node(0, 690).hash = Hash::EMPTY;
    let expected = [altered(5), Finding::LeafAltered { number: 690 }];
    assert_eq!(log.findings(), expected);
    assert_eq!(log.run(log.verification(), |node| node.level == 0).findings, expected);
}

#[test]
fn a_part_may_be_right_in_the_nodes_alone_or_in_all_but_the_nodes() {
    let mut log = Database::of(700);
    log.alter(5);
    log.node(0, 5).hash = Hash::EMPTY;
    log.node(0, 690).hash = Hash::EMPTY;
    let disputed = Finding::Disputed { number: 5 };
    let mismatch = Finding::RootMismatch { first: 0, last: 255 };
    assert_eq!(log.findings(), [disputed, Finding::LeafAltered { number: 690 }, mismatch]);

    let mut log = Database::of(700);
    log.alter(5);
    log.node(8, 0).hash = Hash::EMPTY;
    log.node(0, 690).hash = Hash::EMPTY;
    let node = Finding::NodeAltered { level: 8, index: 0 };
    assert_eq!(log.findings(), [altered(5), Finding::LeafAltered { number: 690 }, node]);
}

#[test]
fn what_a_pinned_head_settled_does_not_blur_what_follows() {
    let honest = Database::of(700);
    let mut log = honest.clone();
    log.alter(100);
    log.node(0, 300).hash = Hash::EMPTY;
    let report = log.run(log.verification().pinned(honest.head(290)), |node| node.level == 0);
    assert_eq!(report.findings, [altered(100), Finding::LeafAltered { number: 300 }]);

    let mut log = honest.clone();
    log.node(8, 0).hash = Hash::EMPTY;
    log.alter_with_leaf(400);
    let report = log.verify(log.verification().pinned(honest.head(300)));
    let node = Finding::NodeAltered { level: 8, index: 0 };
    assert_eq!(report.findings, [node, Finding::RootMismatch { first: 300, last: 511 }]);
}

#[test]
fn a_node_given_twice_or_late_changes_nothing() {
    let log = Database::of(20);
    let mut verification = log.verification();
    for (number, header, payload_hash) in &log.rows {
        let node = Node { level: 0, index: *number, hash: record::leaf_hash(header, payload_hash) };
        verification.stored(node);
        verification.stored(Node { hash: Hash::EMPTY, ..node });
        verification.push(Record { number: *number, header, payload_hash });
        verification.stored(Node { hash: Hash::EMPTY, ..node });
    }
    assert!(verification.finish().is_intact());
}

#[test]
fn a_pinned_head_within_a_tile_separates_what_lies_before_it() {
    let honest = Database::of(700);
    let mut log = honest.clone();
    log.alter(300);
    log.alter_with_leaf(400);
    let report = log.verify(log.verification().pinned(honest.head(350)));
    assert_eq!(report.findings, [altered(300), Finding::RootMismatch { first: 350, last: 511 }]);
}

#[test]
fn a_deleted_leaf_hash_is_named_and_its_record_verified_all_the_same() {
    let mut log = Database::of(700);
    log.nodes.retain(|node| (node.level, node.index) != (0, 400));
    let report = log.verify(log.verification());
    assert_eq!(report.findings, [Finding::LeafMissing { number: 400 }]);
    assert_eq!(report.verified_size, 700);
}

#[test]
fn without_record_and_hash_the_rest_cannot_be_proven() {
    let honest = Database::of(700);
    let mut log = honest.clone();
    log.alter(650);
    log.rows.drain(400..=410);
    log.nodes.retain(|node| (node.level, node.index) != (0, 400));
    let report = log.verify(log.verification().pinned(honest.head(300)));
    let missing = Finding::RecordsMissing { first: 400, last: 410 };
    let unproven = Finding::Unproven { first: 300, last: 699 };
    assert_eq!(report.findings, [missing, unproven, Finding::Disputed { number: 650 }]);
}

#[test]
fn without_the_tree_only_the_range_is_known() {
    let honest = Database::of(700);
    let mut log = honest.clone();
    log.alter(333);
    let report = log.run(log.verification().pinned(honest.head(330)), |_| false);
    assert_eq!(report.findings, [Finding::RootMismatch { first: 330, last: 699 }]);
}

#[test]
fn a_forged_checkpoint_proves_nothing() {
    let mut log = Database::of(300);
    let honest = log.clone();
    log.alter(7);
    log.store_nodes();
    log.checkpoint = sign(log.head(300), 66);
    let report = log.verify(log.verification());
    assert_eq!(report.findings, [Finding::SignatureInvalid(ledger::SignatureError::Unsigned)]);
    assert_eq!((report.head, report.verified_size), (None, 0));

    let report = log.verify(log.verification().pinned(honest.head(200)));
    assert_eq!(report.findings[1..], [Finding::RootMismatch { first: 0, last: 199 }]);

    log.checkpoint = honest.checkpoint.replacen("\n300\n", "\n299\n", 1);
    let invalid = Finding::SignatureInvalid(ledger::SignatureError::Invalid(ORIGIN.into()));
    assert_eq!(log.findings(), [invalid]);

    log.checkpoint =
        Checkpoint::new("example.com/other", honest.head(300)).unwrap().sign(&signer(7)).unwrap().to_string();
    assert!(matches!(log.findings()[..], [Finding::CheckpointInvalid(_)]));
}

#[test]
fn disputes_that_no_head_decides_are_left_open() {
    let mut log = Database::of(300);
    log.alter(7);
    log.checkpoint = String::new();
    let findings = log.findings();
    assert!(matches!(findings[..], [Finding::CheckpointInvalid(_), Finding::Disputed { number: 7 }]));
}

#[test]
fn a_log_set_back_to_an_older_state_is_noticed_with_a_pinned_head() {
    let honest = Database::of(300);
    let mut log = Database::of(200);
    assert!(log.verify(log.verification()).is_intact());
    let report = log.verify(log.verification().pinned(honest.head(300)));
    let rolled_back = Finding::RolledBack { pinned: 300, size: 200 };
    let missing = Finding::RecordsMissing { first: 200, last: 299 };
    let unproven = Finding::Unproven { first: 200, last: 299 };
    assert_eq!(report.findings, [rolled_back.clone(), missing, unproven]);

    // The old checkpoint over all records: nothing is missing, and still it is a step back.
    log = honest.clone();
    log.checkpoint = sign(honest.head(200), 7);
    assert_eq!(log.verify(log.verification()).uncovered, 100);
    assert_eq!(log.verify(log.verification().pinned(honest.head(300))).findings, [rolled_back]);
}

#[test]
fn history_rewritten_with_the_logs_own_key_is_noticed_with_a_pinned_head() {
    let honest = Database::of(300);
    let mut log = honest.clone();
    log.alter(100);
    log.store_nodes();
    log.checkpoint = sign(log.head(300), 7);
    assert!(log.verify(log.verification()).is_intact());
    let pinned = [100, 200, 300].map(|size| honest.head(size));
    let report = log.verify(pinned.into_iter().fold(log.verification(), Verification::pinned));
    assert_eq!(report.findings, [200, 300].map(|size| Finding::HistoryRewritten { size }));
}

#[test]
fn records_out_of_order_or_twice_are_named() {
    let mut log = Database::of(10);
    log.rows.insert(5, row(2));
    assert_eq!(log.findings(), [Finding::OutOfOrder { number: 2, expected: 5 }]);
    let mut log = Database::of(10);
    log.rows.push((u64::MAX, vec![], [0; 32]));
    assert!(matches!(
        log.findings()[..],
        [Finding::HeaderInvalid { .. }, Finding::OutOfOrder { number: u64::MAX, expected: 10 }]
    ));
    let mut log = Database::of(10);
    log.rows.swap(3, 4);
    let missing = Finding::RecordsMissing { first: 3, last: 3 };
    assert_eq!(log.findings(), [missing, Finding::OutOfOrder { number: 3, expected: 5 }]);
}

#[test]
fn unreadable_and_foreign_headers_are_named_even_when_logged_so() {
    let mut log = Database::of(10);
    log.rows[3].1 = b"nonsense".to_vec();
    let mut foreign = RecordHeader::decode(&log.rows[4].1).unwrap();
    foreign.tenant = [2; 16];
    log.rows[4].1 = foreign.encode().unwrap();
    log.store_nodes();
    log.checkpoint = sign(log.head(10), 7);
    let unreadable = Finding::HeaderInvalid { number: 3, error: record::HeaderError::Version(b'n') };
    assert_eq!(log.findings(), [unreadable, Finding::TenantMismatch { number: 4, tenant: [2; 16] }]);
}

#[test]
fn a_verification_resumes_where_the_last_one_ended() {
    for (seen, now) in [(1, 2), (100, 700), (255, 257), (256, 600), (300, 301), (300, 300)] {
        let mut log = Database::of(now);
        let frontier = {
            let log = Database::of(seen);
            log.verify(log.verification()).frontier.unwrap()
        };
        log.rows.drain(..seen as usize);
        log.nodes.retain(|node| (node.index + 1) << node.level > seen);
        let resumed = |log: &Database| log.verify(log.verification().resume(frontier.clone()));
        let passed = Database::of(now).head(seen - 1);
        let with_passed = log.verification().pinned(passed).resume(frontier.clone()).pinned(passed);
        assert!(log.verify(with_passed).is_intact());
        let report = resumed(&log);
        assert!(report.is_intact(), "{seen} to {now}: {report:?}");
        assert_eq!((report.verified_size, report.records), (now, now - seen));
        assert_eq!(report.frontier.unwrap().head(), Database::of(now).head(now));
        if now > seen {
            log.rows[0].2[0] ^= 1;
            assert_eq!(resumed(&log).findings, [altered(seen)]);
        }
    }
}

#[test]
fn findings_are_counted_when_there_are_too_many_to_list() {
    let mut log = Database::of(2_000);
    (0..2_000).for_each(|number| log.alter(number));
    let report = log.verify(log.verification());
    assert_eq!((report.findings.len(), report.unlisted), (1_000, 1_000));
    assert!(!report.is_intact());
}

#[test]
fn records_after_the_checkpoint_are_counted_as_uncovered() {
    let mut log = Database::of(20);
    log.checkpoint = sign(log.head(15), 7);
    let report = log.verify(log.verification());
    assert!(report.is_intact());
    assert_eq!((report.verified_size, report.uncovered), (15, 5));
    assert_eq!(report.frontier.map(|frontier| frontier.size()), Some(15));
}

#[test]
fn the_reader_of_a_memory_tree_feeds_a_verification() {
    let log = Database::of(20);
    let tree: MemoryTree =
        log.rows.iter().map(|(_, header, payload)| record::leaf_hash(header, payload)).collect();
    let mut verification = log.verification();
    for (number, header, payload_hash) in &log.rows {
        verification.stored(Node { level: 0, index: *number, hash: tree.read(0, *number).unwrap() });
        verification.push(Record { number: *number, header, payload_hash });
    }
    assert!(verification.finish().is_intact());
}
