// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Exports are verified and opened with no server, and give nothing to whoever changed them.

use std::fs;
use std::path::Path;

use client::Pins;
use client::export::{Export, ExportError, ExportKey};
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use keyring::{
    CollectionKey, CollectionKeyPlace, ItemPlace, MasterKey, MasterKeyPlace, MethodSecret, SystemRng,
};
use ledger::record::{RecordHeader, leaf_hash, payload_hash};
use ledger::{Checkpoint, Finding, MemoryTree, Signer, Tile};
use protocol::{AccountId, CollectionId, ItemId, MethodId, TenantId};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const RECORDS: u64 = 300;

struct Made {
    folder: tempfile::TempDir,
    account: AccountId,
    home: TenantId,
    key: ExportKey,
    master: MasterKey,
}

impl Made {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (account, home, method) = (AccountId::random(), TenantId::random(), MethodId::random());
        let master = MasterKey::generate(&mut SystemRng);
        let secret = [9; 32];
        let place = MasterKeyPlace {
            account: keyring::AccountId::from_bytes(*account.as_bytes()),
            method: keyring::MethodId::from_bytes(*method.as_bytes()),
            key_version: 1,
        };
        let public = MethodSecret::from_bytes(&secret).unwrap().key_pair().public_key();
        let sealed = master.seal_to(&public, &place, &mut SystemRng);
        let signer = Signer::from_seed("example.com/log", &[7; 32]).unwrap();
        let manifest = json!({
            "version": 1, "account": account, "number": "7F3KQ2M", "home": home, "server": "https://example.com",
            "log_origin": "example.com/log", "log_public_key": signer.verifier().to_string(),
            "master_key_version": 1, "method": method, "sealed_master_key": BASE64URL_NOPAD.encode(sealed.as_bytes()),
        });
        fs::write(folder.path().join("export.json"), manifest.to_string()).unwrap();
        fs::write(folder.path().join("collections.ndjson"), "").unwrap();
        write_log(folder.path(), home);
        let key = ExportKey::parse(&BASE32_NOPAD.encode(&secret)).unwrap();
        Made { folder, account, home, key, master }
    }

    fn export(&self) -> Export {
        Export::at(self.folder.path()).unwrap()
    }

    fn findings(&self, pins: &Pins) -> Vec<Finding> {
        let export = self.export();
        export.verify(&export.log().unwrap(), pins).unwrap().report.findings
    }

    fn change_records(&self, change: impl FnOnce(&mut Vec<Value>)) {
        let path = self.folder.path().join("log/records.ndjson");
        let text = fs::read_to_string(&path).unwrap();
        let mut records = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        change(&mut records);
        fs::write(&path, records.iter().map(|record| format!("{record}\n")).collect::<String>()).unwrap();
    }

    /// Puts a file of these few bytes into the export, under a name that nobody checked.
    fn add_file(&self, name: &str, data: &[u8]) -> ItemId {
        // Each time the collection of the account's own files, those before having been deleted.
        let earlier =
            fs::read_to_string(self.folder.path().join("collections.ndjson")).unwrap().lines().count();
        let digest = Sha256::new()
            .chain_update(b"bailiwick/files/v1")
            .chain_update(self.home.as_bytes())
            .chain_update((earlier as u32).to_be_bytes())
            .finalize();
        let collection = CollectionId::from_bytes(digest[..16].try_into().unwrap());
        let key = CollectionKey::generate(&mut SystemRng);
        let place = CollectionKeyPlace {
            account: keyring::AccountId::from_bytes(*self.account.as_bytes()),
            collection: keyring::CollectionId::from_bytes(*collection.as_bytes()),
            generation: 1,
            key_version: 1,
        };
        let sealed_key = key.seal(&self.master.account_key(), &place, &mut SystemRng);
        let line = json!({
            "id": collection, "kind": "files", "sealed_key": BASE64URL_NOPAD.encode(sealed_key.as_bytes()),
            "key_version": 1, "sealed_meta": "", "sequence": 1, "created_at": 0,
        });
        self.append("collections.ndjson", &line);
        let id = key.item_id_for_name(name);
        let content = json!({
            "v": 1, "path": name, "size": data.len(), "sha256": BASE64URL_NOPAD.encode(&Sha256::digest(data)),
            "data": BASE64URL_NOPAD.encode(data),
        });
        let place = ItemPlace {
            owner: keyring::TenantId::from_bytes(*self.home.as_bytes()).into(),
            collection: place.collection,
            version: 1,
        };
        let sealed = key.item_key(&id).seal(content.to_string().as_bytes(), &place, &mut SystemRng);
        let item = json!({
            "id": ItemId::from_bytes(id.into()), "version": 1, "sequence": 1, "changed_at": 0,
            "sealed": BASE64URL_NOPAD.encode(sealed.as_bytes()),
        });
        fs::create_dir_all(self.folder.path().join("items")).unwrap();
        self.append(&format!("items/{collection}.ndjson"), &item);
        ItemId::from_bytes(id.into())
    }

    fn append(&self, file: &str, line: &Value) {
        let path = self.folder.path().join(file);
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, format!("{before}{line}\n")).unwrap();
    }

    /// Says in the history that these were done to items, one after the other, before they were listed.
    fn log_changes(&self, changes: &[(&str, ItemId)]) {
        self.change_records(|records| {
            for (record, (action, item)) in records.iter_mut().zip(changes) {
                record["record"]["action"] = (*action).into();
                record["record"]["subject"] = item.to_string().into();
            }
        });
        let path = self.folder.path().join("export.json");
        let mut manifest: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        manifest["listed_after"] = RECORDS.into();
        fs::write(path, manifest.to_string()).unwrap();
    }

    /// Changes a byte of what is sealed in the newest item.
    fn damage_an_item(&self) {
        let items = fs::read_dir(self.folder.path().join("items")).unwrap().next().unwrap().unwrap().path();
        let mut item: Value = serde_json::from_str(&fs::read_to_string(&items).unwrap()).unwrap();
        let mut sealed = BASE64URL_NOPAD.decode(item["sealed"].as_str().unwrap().as_bytes()).unwrap();
        *sealed.last_mut().unwrap() ^= 1;
        item["sealed"] = BASE64URL_NOPAD.encode(&sealed).into();
        fs::write(items, format!("{item}\n")).unwrap();
    }
}

fn write_log(folder: &Path, home: TenantId) {
    let origin = format!("example.com/log/{home}");
    let signer = Signer::from_seed(&origin, &[7; 32]).unwrap();
    let mut tree = MemoryTree::default();
    let mut lines = String::new();
    for number in 0..RECORDS {
        let id = protocol::id::RecordId::random();
        let header = RecordHeader {
            tenant: *home.as_bytes(),
            id: *id.as_bytes(),
            at: 1_790_000_000_000,
            actor: "acc_1".into(),
            via: String::new(),
            action: "item.write".into(),
            subject: format!("itm_{number}"),
            corrects: None,
            request: "req_1".into(),
        };
        let leaf = leaf_hash(&header.encode().unwrap(), &payload_hash(b"sealed"));
        tree.append(leaf);
        let line = json!({
            "number": number, "leaf": BASE64URL_NOPAD.encode(leaf.as_bytes()),
            "record": {
                "id": id, "at": header.at, "actor": header.actor, "via": "", "action": header.action,
                "subject": header.subject, "request": header.request, "details": BASE64URL_NOPAD.encode(b"sealed"),
            },
        });
        lines.push_str(&format!("{line}\n"));
    }
    let log = folder.join("log");
    fs::create_dir_all(&log).unwrap();
    for tile in Tile::grown(0, RECORDS) {
        let path = log.join(tile.to_string());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, tile.read(&tree).unwrap()).unwrap();
    }
    let note = Checkpoint::new(&origin, tree.head()).unwrap().sign(&signer).unwrap();
    fs::write(log.join("checkpoint"), note.to_string()).unwrap();
    fs::write(log.join("records.ndjson"), lines).unwrap();
}

#[test]
fn a_whole_export_verifies() {
    let made = Made::new();
    let export = made.export();
    let verified = export.verify(&export.log().unwrap(), &Pins::default()).unwrap();
    assert!(verified.is_intact(), "{:?}", verified.report.findings);
    assert_eq!(verified.to_document().records, RECORDS);
}

#[test]
fn an_altered_record_is_named() {
    let made = Made::new();
    made.change_records(|records| records[260]["record"]["actor"] = "acc_2".into());
    assert_eq!(made.findings(&Pins::default()), [Finding::RecordAltered { number: 260, logged_as: None }]);
}

#[test]
fn a_record_whose_leaf_was_altered_with_it_is_named_too() {
    let made = Made::new();
    made.change_records(|records| {
        records[3]["record"]["details"] = "AAAA".into();
        records[3]["leaf"] = BASE64URL_NOPAD.encode(&[1; 32]).into();
    });
    assert_eq!(made.findings(&Pins::default()), [Finding::RecordAltered { number: 3, logged_as: None }]);
}

#[test]
fn a_missing_record_is_named() {
    for gone in [0, 100, RECORDS - 1] {
        let made = Made::new();
        made.change_records(|records| {
            records.remove(usize::try_from(gone).unwrap());
        });
        assert_eq!(
            made.findings(&Pins::default()),
            [Finding::RecordsMissing { first: gone, last: gone }],
            "{gone}"
        );
    }
}

#[test]
fn an_export_that_was_signed_anew_does_not_fit_what_was_pinned() {
    let made = Made::new();
    let log = made.export().log().unwrap();
    let pinned = fs::read_to_string(made.folder.path().join("log/checkpoint")).unwrap();
    let pins = Pins { checkpoints: [(log.origin, pinned)].into(), ..Pins::default() };
    assert_eq!(made.findings(&pins), []);
    // Another history of the same length, signed with the same key.
    write_log(made.folder.path(), made.home);
    assert!(
        made.findings(&pins).iter().any(|finding| matches!(finding, Finding::HistoryRewritten { .. })),
        "{:?}",
        made.findings(&pins)
    );
}

#[test]
fn a_forged_checkpoint_is_not_believed() {
    let made = Made::new();
    let path = made.folder.path().join("log/checkpoint");
    let forged = fs::read_to_string(&path).unwrap().replacen("300", "299", 1);
    fs::write(&path, forged).unwrap();
    let export = made.export();
    let verified = export.verify(&export.log().unwrap(), &Pins::default()).unwrap();
    assert!(!verified.is_intact());
    assert!(matches!(verified.report.findings[0], Finding::SignatureInvalid(_)));
}

#[test]
fn files_open_with_the_export_key_and_with_no_other() {
    let made = Made::new();
    made.add_file("notes/today.txt", b"dear diary");
    let out = tempfile::tempdir().unwrap();
    assert_eq!(made.export().open(&made.key, out.path(), &|_| {}).unwrap().files, 1);
    assert_eq!(fs::read(out.path().join("notes/today.txt")).unwrap(), b"dear diary");

    let other = ExportKey::parse(&BASE32_NOPAD.encode(&[8; 32])).unwrap();
    assert!(matches!(made.export().open(&other, out.path(), &|_| {}), Err(ExportError::DoesNotOpen(_))));
}

#[test]
fn what_does_not_open_does_not_keep_the_others_from_opening() {
    let made = Made::new();
    made.add_file("damaged", b"one");
    made.damage_an_item();
    made.add_file("notes/today.txt", b"dear diary");
    made.append("collections.ndjson", &json!({ "kind": "nonsense" }));
    let out = tempfile::tempdir().unwrap();
    let opened = made.export().open(&made.key, out.path(), &|_| {}).unwrap();
    assert_eq!((opened.files, opened.unreadable.len()), (1, 2), "{:?}", opened.unreadable);
    assert_eq!(fs::read(out.path().join("notes/today.txt")).unwrap(), b"dear diary");
}

#[test]
fn contents_that_are_not_there_or_do_not_open_are_found() {
    let made = Made::new();
    let (kept, gone) = (made.add_file("kept", b"kept"), ItemId::random());
    let removed = ItemId::random();
    made.log_changes(&[
        ("item.write", kept),
        ("item.write", gone),
        ("item.write", removed),
        ("item.delete", removed),
    ]);
    let kinds = |key: Option<&ExportKey>| -> Vec<(&str, String)> {
        let contents = made.export().check_contents(key).unwrap();
        assert_eq!((contents.items, contents.opened), (1, key.is_some()));
        contents.findings.into_iter().map(|finding| (finding.kind, finding.what)).collect()
    };
    assert_eq!(kinds(None), [("missing", gone.to_string())], "the history tells, without any key");
    assert_eq!(kinds(Some(&made.key)), [("missing", gone.to_string())]);

    // An old version of it, as the history knows.
    made.log_changes(&[("item.write", kept), ("item.write", kept)]);
    assert_eq!(kinds(None), [("outdated", kept.to_string())]);

    made.log_changes(&[("item.write", kept), ("item.read", kept)]);
    assert_eq!(kinds(Some(&made.key)), []);
    made.damage_an_item();
    assert_eq!(kinds(None), [], "nobody can tell without the key");
    assert_eq!(kinds(Some(&made.key)), [("unreadable", kept.to_string())]);
    let other = ExportKey::parse(&BASE32_NOPAD.encode(&[8; 32])).unwrap();
    assert!(matches!(made.export().check_contents(Some(&other)), Err(ExportError::DoesNotOpen(_))));
}

#[test]
fn no_hostile_name_is_written_outside() {
    for name in ["../outside", "/outside", "a/../../outside", "a//b", "a\nb", ""] {
        let made = Made::new();
        made.add_file(name, b"gotcha");
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let opened = made.export().open(&made.key, &out, &|_| {}).unwrap();
        assert_eq!((opened.files, opened.unreadable.len()), (0, 1), "{name:?}");
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["out"], "{name:?}");
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "{name:?}");
    }
}

#[test]
fn a_link_in_the_way_is_not_followed() {
    let made = Made::new();
    made.add_file("folder/file", b"gotcha");
    let (out, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::os::unix::fs::symlink(elsewhere.path(), out.path().join("folder")).unwrap();
    assert_eq!(made.export().open(&made.key, out.path(), &|_| {}).unwrap().unreadable.len(), 1);
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn an_export_key_is_read_as_it_is_shown() {
    let key = ExportKey::parse(&BASE32_NOPAD.encode(&[9; 32])).unwrap();
    let shown = key.to_text();
    assert_eq!(shown.split('-').count(), 13);
    assert_eq!(*ExportKey::parse(&shown.to_lowercase().replace('-', " ")).unwrap().to_text(), *shown);
    for wrong in ["", "ABCD", "not a key at all!"] {
        assert!(matches!(ExportKey::parse(wrong), Err(ExportError::Key)), "{wrong}");
    }
}
