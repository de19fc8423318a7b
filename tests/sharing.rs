// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What one shares with another: who reads and writes it, who does not, and what a server that lies gets for it.

use std::fs;

use harness::{Engine, Files, Machine, Person, Request, Role, World, noise, on_both_engines};
use serde_json::{Value, json};

on_both_engines!(
    what_is_shared_is_read_by_whom_it_was_shared_with_until_it_is_taken_back,
    a_member_only_reads_and_a_stranger_gets_nothing,
    keys_that_the_server_swaps_are_noticed,
    a_grant_for_one_opens_nothing_for_another,
    rotated_keys_are_followed_and_old_grants_open_until_they_are_renewed,
    a_collection_of_its_own_is_shared_and_nothing_beside_it,
    a_writer_writes_under_its_own_name_and_a_reader_does_not,
    who_wrote_what_is_proven_or_it_is_not_shown,
    a_removed_member_opens_nothing_that_is_written_afterwards,
    a_server_that_puts_somebody_back_gets_no_new_key_for_them,
    a_writer_is_not_talked_into_an_older_key,
    a_grant_is_of_one_collection_and_of_its_owners_published_keys,
    who_signs_in_believes_newer_keys_only_when_the_directory_proves_them,
    new_keys_are_published_though_the_server_was_killed_between_home_and_directory,
);

/// Somebody with a laptop and files.
struct Sharer {
    laptop: Machine,
    person: Person,
    number: String,
    account: String,
    home: String,
}

impl Sharer {
    fn new(world: &World) -> Self {
        let laptop = world.machine();
        let person = laptop.sign_up();
        let who = laptop.run(["whoami", "--json"]).json();
        let text = |name: &str| who[name].as_str().unwrap().to_owned();
        Self { number: text("account_id"), account: text("account"), home: text("home"), laptop, person }
    }

    fn with_files(world: &World) -> Self {
        let this = Self::new(world);
        let small = this.laptop.scratch("small");
        fs::write(&small, "a note").unwrap();
        this.laptop.put(&small, "notes/small").done();
        let large = this.laptop.scratch("large");
        fs::write(&large, noise(3, 700_000)).unwrap();
        this.laptop.put(&large, "large").done();
        this
    }

    fn share_with(&self, other: &Sharer) -> Value {
        self.laptop.run(["share", "--with", &other.number, "--json"]).json()
    }

    /// Lets another write, too.
    fn share_to_write_with(&self, other: &Sharer) -> Value {
        self.laptop.run(["share", "--with", &other.number, "--write", "--json"]).json()
    }

    fn unshare_with(&self, other: &Sharer) {
        self.laptop.run(["unshare", "--with", &other.number, "--json"]).done();
    }

    /// Puts a file of these bytes among one's own, or among what somebody shares.
    fn puts(&self, remote: &str, bytes: &[u8], to: &[&str]) -> harness::Outcome {
        let local = self.laptop.scratch("to-put");
        fs::write(&local, bytes).unwrap();
        let mut arguments = vec!["put", local.to_str().unwrap(), remote, "--json"];
        arguments.extend(to);
        self.laptop.run(arguments)
    }

    /// Names and authors.
    fn lists(&self, of: &[&str]) -> Vec<(String, String)> {
        let mut arguments = vec!["ls", "--json"];
        arguments.extend(of);
        let document = self.laptop.run(arguments).json();
        assert!(document["damaged"].is_null(), "{document}");
        let text = |file: &Value, name: &str| file[name].as_str().unwrap_or_default().to_owned();
        let files = document["files"].as_array().unwrap();
        files.iter().map(|file| (text(file, "name"), text(file, "author"))).collect()
    }

    fn gets(&self, owner: &Sharer, remote: &str) -> harness::Outcome {
        let target = self.laptop.scratch(&remote.replace('/', "-"));
        let _ = fs::remove_file(&target);
        let target = target.to_str().unwrap().to_owned();
        self.laptop.run(["get", "--shared", &owner.number, remote, &target, "--json"])
    }

    fn token(&self) -> String {
        self.laptop.run(["token"]).done().stdout.trim().to_owned()
    }

    fn collection(&self, world: &World) -> String {
        let answer =
            Request::new("GET", "/api/v1/collections").bearer(&self.token()).send(&world.url()).json();
        answer["collections"][0]["id"].as_str().unwrap().to_owned()
    }

    fn records(&self, action: &str) -> Vec<Value> {
        let log = self.laptop.log();
        log.into_iter()
            .filter(|record| record["record"]["action"] == action || record["action"] == action)
            .collect()
    }
}

fn what_is_shared_is_read_by_whom_it_was_shared_with_until_it_is_taken_back(world: World) {
    let (ada, bea) = (Sharer::with_files(&world), Sharer::new(&world));
    assert_eq!(bea.gets(&ada, "large").refused(1).code, "not_found");

    let shared = ada.share_with(&bea);
    let fingerprint = bea.laptop.run(["fingerprint", "--json"]).json();
    assert_eq!(shared["fingerprint"], fingerprint["fingerprint"], "what the two compare");
    let listed = bea.laptop.run(["shares", "--json"]).entries();
    assert_eq!(listed[0]["from"], json!(ada.number));
    assert_eq!((&listed[0]["permission"], &listed[0]["name"]), (&json!("read"), &json!("Files")));
    let files = bea.laptop.run(["ls", "--shared", &ada.number, "--json"]).json();
    assert_eq!(files["files"].as_array().unwrap().len(), 2, "{files}");
    bea.gets(&ada, "notes/small").done();
    bea.gets(&ada, "large").done();
    assert_eq!(fs::read(bea.laptop.scratch("notes-small")).unwrap(), b"a note");
    assert_eq!(fs::read(bea.laptop.scratch("large")).unwrap(), noise(3, 700_000));
    // What is put later is shared too.
    let later = ada.laptop.scratch("later");
    fs::write(&later, "later").unwrap();
    ada.laptop.put(&later, "later").done();
    bea.gets(&ada, "later").done();

    // Both histories say so, and hers says who read.
    assert_eq!(ada.records("collection.share").len(), 1);
    let reads = ada.records("file.read");
    assert!(reads.iter().any(|read| read.to_string().contains(&bea.account)), "{reads:?}");
    assert_eq!(bea.records("share.receive").len(), 1);
    ada.laptop.verified_records();
    bea.laptop.verified_records();

    ada.laptop.run(["unshare", "--with", &bea.number, "--json"]).done();
    assert_eq!(bea.gets(&ada, "large").refused(1).code, "not_found");
    assert_eq!(bea.laptop.run(["shares", "--json"]).entries(), Vec::<Value>::new());
    // Numbered a moment later.
    while bea.records("share.receive").len() < 2 {
        bea.laptop.verified_records();
    }
    // Whoever remembers where it lies gets nothing either.
    let path = format!("/api/v1/shares/{}/collections/{}", ada.home, ada.collection(&world));
    for path in [path.clone(), format!("{path}/changes")] {
        assert_eq!(Request::new("GET", &path).bearer(&bea.token()).send(&world.url()).status, 404);
    }
}

fn a_member_only_reads_and_a_stranger_gets_nothing(world: World) {
    let (ada, bea, eve) = (Sharer::with_files(&world), Sharer::new(&world), Sharer::new(&world));
    ada.share_with(&bea);
    let collection = ada.collection(&world);
    let (members, strangers) = (bea.token(), eve.token());
    let ask = |method: &str, path: &str, token: &str| {
        let body = json!({ "sealed": "AAAA" });
        let request = Request::new(method, path).header("if-match", "*").bearer(token);
        if method == "GET" {
            request.send(&world.url()).status
        } else {
            request.json(&body).send(&world.url()).status
        }
    };
    let shared = format!("/api/v1/shares/{}/collections/{collection}", ada.home);
    let changes =
        Request::new("GET", &format!("{shared}/changes")).bearer(&members).send(&world.url()).json();
    let items = changes["items"].as_array().unwrap();
    let item = items.iter().find(|item| !item["file"].is_null()).unwrap()["id"].as_str().unwrap();
    let file = format!("{shared}/items/{item}/file");
    for path in [shared.clone(), format!("{shared}/changes"), format!("{shared}/items/{item}"), file] {
        assert_eq!(ask("GET", &path, &members), 200, "{path}");
        assert_eq!(ask("GET", &path, &strangers), 404, "{path}");
    }
    // There is no way to write, to share on, or to see who else reads.
    let upload = format!("upl_{}", "7".repeat(32));
    for (who, token, refused) in [("a member", &members, 403), ("a stranger", &strangers, 404)] {
        for (method, path) in [
            ("PUT", format!("{shared}/items/{item}")),
            ("DELETE", format!("{shared}/items/{item}")),
            ("POST", format!("{shared}/uploads")),
            ("PUT", format!("{shared}/uploads/{upload}/parts/0")),
            ("DELETE", format!("{shared}/uploads/{upload}")),
        ] {
            let body =
                if path.ends_with("uploads") { json!({ "size": 9 }) } else { json!({ "sealed": "AAAA" }) };
            let request = Request::new(method, &path).header("if-match", "*").bearer(token).json(&body);
            assert_eq!(request.send(&world.url()).status, refused, "{method} {path} by {who}");
        }
        for (method, path) in [
            ("PUT", format!("/api/v1/collections/{collection}/items/{item}")),
            ("GET", format!("/api/v1/collections/{collection}/members")),
            ("GET", format!("/api/v1/collections/{collection}")),
            ("DELETE", format!("/api/v1/collections/{collection}")),
        ] {
            assert_eq!(ask(method, &path, token), 404, "{method} {path} by {who}");
        }
    }
    assert_eq!(eve.gets(&ada, "large").refused(1).code, "not_found");
    // Another collection of hers is not shared by that.
    let other = shared.replace(&collection, &format!("col_{}", "7".repeat(32)));
    assert_eq!(ask("GET", &other, &members), 404);
    // When she ends her account, the share is gone with it.
    let input = format!("{}\n", ada.person.password.borrow());
    ada.laptop.run_with(["delete-account", "--yes", "--password-stdin", "--json"], &input).done();
    assert_eq!(ask("GET", &shared, &members), 404);
    assert_eq!(bea.laptop.run(["shares", "--json"]).entries(), Vec::<Value>::new());
}

/// Does what whoever has the database can do.
fn in_the_database(world: &mut World, table: &str, statement: &str) {
    match world.engine() {
        Engine::Postgresql => {
            world.database().run(Role::Superuser, statement).unwrap();
        }
        Engine::Sqlite => {
            world.stop();
            for file in Files::under(world.data()).with_table(table) {
                Files::open(&file).execute_batch(statement).unwrap();
            }
            world.start();
        }
    }
}

/// The bytes of an id in SQL.
fn bytes(world: &World, id: &str) -> String {
    let hex = id.split_once('_').unwrap().1;
    match world.engine() {
        Engine::Postgresql => format!("'\\x{hex}'::bytea"),
        Engine::Sqlite => format!("x'{hex}'"),
    }
}

fn keys_that_the_server_swaps_are_noticed(mut world: World) {
    let (ada, bea, eve) = (Sharer::with_files(&world), Sharer::new(&world), Sharer::new(&world));
    let met = ada.laptop.run(["fingerprint", &bea.number, "--json"]).json();
    assert_eq!(met["met_before"], json!(false));
    assert_eq!(ada.laptop.run(["fingerprint", &bea.number, "--json"]).json()["met_before"], json!(true));

    // Eve's keys in the place of Bea's: for who has met Bea and for who has not.
    let (beas, eves) = (bytes(&world, &bea.account), bytes(&world, &eve.account));
    let swap = |column: &str| {
        format!(
            "UPDATE account_keys SET {column} = (SELECT {column} FROM account_keys AS other WHERE other.account = {eves}) \
             WHERE account = {beas}"
        )
    };
    in_the_database(&mut world, "account_keys", &swap("public_keys"));
    for machine in [&ada.laptop, &eve.laptop] {
        let problem = machine.run(["fingerprint", &bea.number, "--json"]).refused(3);
        assert_eq!(problem.code, "keys_not_trusted");
    }
    assert_eq!(
        ada.laptop.run(["share", "--with", &bea.number, "--json"]).refused(3).code,
        "keys_not_trusted"
    );
    // Her record in the log as well: it speaks of another account.
    in_the_database(&mut world, "account_keys", &swap("record"));
    assert_eq!(
        ada.laptop.run(["share", "--with", &bea.number, "--json"]).refused(3).code,
        "keys_not_trusted"
    );
    // Bea's number for all of Eve's account: whoever has met Bea notices.
    let numbers = format!(
        "UPDATE account_directory SET account_number = 'ZZZZZZZ' WHERE account = {beas}; \
         UPDATE account_directory SET account_number = '{}' WHERE account = {eves}",
        bea.number
    );
    in_the_database(&mut world, "account_directory", &numbers);
    assert_eq!(
        ada.laptop.run(["share", "--with", &bea.number, "--json"]).refused(3).code,
        "keys_not_trusted"
    );
    assert_eq!(ada.records("collection.share").len(), 0, "nothing was shared with anybody");
}

fn a_grant_for_one_opens_nothing_for_another(mut world: World) {
    let (ada, bea, eve) = (Sharer::with_files(&world), Sharer::new(&world), Sharer::new(&world));
    ada.share_with(&bea);
    // Whoever has the database makes Eve the member, with Bea's grant.
    let (beas, eves) = (bytes(&world, &bea.account), bytes(&world, &eve.account));
    let member = format!("UPDATE collection_member SET account = {eves} WHERE account = {beas}");
    in_the_database(&mut world, "collection_member", &member);
    let share = format!("UPDATE share SET recipient = {eves} WHERE recipient = {beas}");
    in_the_database(&mut world, "share", &share);
    assert_eq!(eve.gets(&ada, "large").refused(3).code, "keys_not_trusted");
    // And Bea, whose row is gone, is let in by a share in the directory alone no more than by none.
    let back = format!("UPDATE share SET recipient = {beas} WHERE recipient = {eves}");
    in_the_database(&mut world, "share", &back);
    assert_eq!(bea.gets(&ada, "large").refused(1).code, "not_found");
}

fn rotated_keys_are_followed_and_old_grants_open_until_they_are_renewed(world: World) {
    let (ada, bea) = (Sharer::with_files(&world), Sharer::new(&world));
    ada.share_to_write_with(&bea);
    bea.gets(&ada, "large").done();
    let granted = |ada: &Sharer| {
        let path = format!("/api/v1/collections/{}/members", ada.collection(&world));
        let answer = Request::new("GET", &path).bearer(&ada.token()).send(&world.url()).json();
        let number = |name: &str| answer["members"][0][name].as_u64().unwrap();
        (number("own_key_version"), number("key_version"))
    };
    assert_eq!(granted(&ada), (1, 1));

    // The sharer's new keys change nothing for who reads, and renew what the old ones had signed.
    ada.laptop.rotate_key(&ada.person).done();
    assert_eq!(granted(&ada), (2, 1));
    bea.gets(&ada, "large").done();
    let seen = bea.laptop.run(["fingerprint", &ada.number, "--json"]).json();
    assert_eq!((&seen["key_version"], &seen["met_before"]), (&json!(2), &json!(true)));
    assert_eq!(seen["fingerprint"], ada.laptop.run(["fingerprint", "--json"]).json()["fingerprint"]);

    // A reader with new keys opens old grants with the old ones, also after another rotation and on another machine.
    for _ in 0..2 {
        bea.laptop.rotate_key(&bea.person).done();
    }
    bea.gets(&ada, "large").done();
    bea.puts("from-bea", b"by the third keys", &["--shared", &ada.number]).done();
    let desktop = world.machine();
    desktop.sign_in(&bea.person).done();
    let files = desktop.run(["ls", "--shared", &ada.number, "--json"]).json();
    assert_eq!(files["files"].as_array().unwrap().len(), 3, "{files}");
    assert_eq!(granted(&ada), (2, 1));

    // The owner's next look at what is shared renews them.
    ada.laptop.run(["shares", "--json"]).done();
    assert_eq!(granted(&ada), (2, 3));
    bea.gets(&ada, "from-bea").done();
    assert!(ada.lists(&[]).contains(&("from-bea".to_owned(), bea.number.clone())));
}

fn a_collection_of_its_own_is_shared_and_nothing_beside_it(world: World) {
    let (ada, bea) = (Sharer::with_files(&world), Sharer::new(&world));
    let holidays = ["--collection", "Holidays"];
    assert_eq!(ada.puts("map", b"a map", &holidays).refused(1).code, "not_found");
    for name in ["Holidays", "Garden"] {
        ada.laptop.run(["collections", "add", name, "--json"]).done();
    }
    for (name, code) in [("Holidays", "name_taken"), ("Files", "name_taken")] {
        assert_eq!(ada.laptop.run(["collections", "add", name, "--json"]).refused(1).code, code);
    }
    for name in ["", "a/b", "..", " Holidays", &format!("col_{}", "7".repeat(32))] {
        assert_eq!(ada.laptop.run(["collections", "add", name, "--json"]).status, Some(2), "{name:?}");
    }
    ada.puts("map", b"a map", &holidays).done();
    ada.puts("plan", &noise(4, 300_000), &["--collection", "Garden"]).done();
    assert_eq!(ada.lists(&holidays), [("map".to_owned(), String::new())]);
    let own = ada.lists(&[]);
    assert_eq!(own.len(), 2, "what is in collections is nowhere else: {own:?}");
    assert_eq!(ada.lists(&["--collection", "Files"]), own);

    // Holidays is shared, to be written; nothing else is.
    ada.laptop.run(["share", "--with", &bea.number, "--collection", "Holidays", "--write", "--json"]).done();
    let listed = bea.laptop.run(["shares", "--json"]).entries();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0]["name"], &listed[0]["permission"]), (&json!("Holidays"), &json!("write")));
    assert_eq!(bea.lists(&["--shared", &ada.number]).len(), 1, "the only one that is shared");
    bea.puts("boat", &noise(5, 300_000), &["--shared", &ada.number, "--collection", "Holidays"]).done();
    let files = ["--shared", &ada.number, "--collection", "Files"];
    assert_eq!(bea.puts("x", b"x", &files).refused(1).code, "not_found");
    ada.laptop.run(["share", "--with", &bea.number, "--collection", "Garden", "--json"]).done();
    assert_eq!(bea.laptop.run(["ls", "--shared", &ada.number, "--json"]).status, Some(2), "which of two?");
    let garden = ["--shared", &ada.number, "--collection", "Garden"];
    assert_eq!(bea.puts("x", b"x", &garden).refused(5).code, "forbidden", "that one is to be read");
    // Once her own files are shared, they are what is meant when nothing is said.
    ada.share_with(&bea);
    assert_eq!(bea.lists(&["--shared", &ada.number]).len(), 2);

    // Another name; everything in a folder; and the end of it.
    ada.laptop.run(["collections", "rename", "Holidays", "Journeys", "--json"]).done();
    assert_eq!(ada.laptop.run(["ls", "--collection", "Holidays", "--json"]).refused(1).code, "not_found");
    let journeys = ["--shared", &ada.number, "--collection", "Journeys"];
    assert_eq!(bea.lists(&journeys).len(), 2);
    let target = bea.laptop.scratch("journeys");
    let mut get = vec!["get", "/", target.to_str().unwrap(), "--json"];
    get.extend(journeys);
    bea.laptop.run(get).done();
    assert_eq!(fs::read(target.join("boat")).unwrap(), noise(5, 300_000));
    assert_eq!(fs::read(target.join("map")).unwrap(), b"a map");
    ada.laptop.run(["collections", "rm", "Journeys", "--yes", "--json"]).done();
    assert_eq!(bea.laptop.run(["shares", "--json"]).entries().len(), 2);
    let names = ada.laptop.run(["collections", "--json"]).entries();
    let names: Vec<_> = names.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Files", "Garden"]);
    ada.laptop.verified_records();

    // What is taken along has all of it, each collection in its place.
    let export = ada.laptop.scratch("export");
    let made = ada.laptop.run(["export", export.to_str().unwrap(), "--decrypt", "--json"]).json();
    assert_eq!(made["opened"], 3, "{made}");
    assert_eq!(fs::read(export.join("open/Garden (collection)/plan")).unwrap(), noise(4, 300_000));
    assert_eq!(fs::read(export.join("open/notes/small")).unwrap(), b"a note");
    let verify = ["verify", "--export", export.to_str().unwrap(), "--open", "--key-stdin", "--json"];
    let key = format!("{}\n", made["export_key"].as_str().unwrap());
    let verified = ada.laptop.run_with(verify, &key).json();
    assert_eq!(verified["verified"], true, "{verified}");
}

fn a_writer_writes_under_its_own_name_and_a_reader_does_not(world: World) {
    let ada = Sharer::with_files(&world);
    let (bea, cid) = (Sharer::new(&world), Sharer::new(&world));
    ada.share_to_write_with(&bea);
    ada.share_with(&cid);
    let shared = ["--shared", &ada.number];
    let used = |ada: &Sharer| ada.laptop.run(["whoami", "--json"]).json()["usage"]["bytes"].as_u64().unwrap();
    let before = used(&ada);
    bea.puts("bea/small", b"from bea", &shared).done();
    bea.puts("bea/large", &noise(6, 600_000), &shared).done();
    assert!(used(&ada) > before + 600_000, "it counts towards its owner's storage");
    ada.puts("later", b"from ada", &[]).done();

    // Everybody sees who wrote what, as their signatures prove it.
    let written = [
        ("bea/large", &bea.number),
        ("bea/small", &bea.number),
        ("large", &String::new()),
        ("later", &ada.number),
        ("notes/small", &String::new()),
    ];
    let written: Vec<_> = written.map(|(name, author)| (name.to_owned(), author.clone())).into();
    assert_eq!(ada.lists(&[]), written);
    assert_eq!(cid.lists(&shared), written);
    cid.gets(&ada, "bea/large").done();
    assert_eq!(fs::read(cid.laptop.scratch("bea-large")).unwrap(), noise(6, 600_000));
    let records = ada.records("item.write");
    let by_bea = records.iter().filter(|record| record.to_string().contains(&bea.account)).count();
    assert_eq!(by_bea, 2, "{records:?}");

    // A reader writes nothing, whatever it asks for.
    assert_eq!(cid.puts("cid", b"from cid", &shared).refused(5).code, "forbidden");
    assert_eq!(cid.puts("bea/small", b"from cid", &shared).refused(5).code, "forbidden");
    let remove = |who: &Sharer, name: &str| who.laptop.run(["rm", name, "--shared", &ada.number, "--json"]);
    assert_eq!(remove(&cid, "later").refused(5).code, "forbidden");

    // A writer changes and removes what others wrote; and what was removed may come again.
    bea.puts("later", b"by bea now", &shared).done();
    assert!(ada.lists(&[]).contains(&("later".to_owned(), bea.number.clone())));
    remove(&bea, "later").done();
    bea.puts("later", b"once more", &shared).done();
    ada.laptop.run(["rm", "later", "--json"]).done();
    bea.puts("later", b"and again", &shared).done();
    let folder = bea.laptop.scratch("folder");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("one"), "one").unwrap();
    bea.laptop.run(["sync", folder.to_str().unwrap(), "synced", "--shared", &ada.number, "--json"]).done();
    let target = cid.laptop.scratch("synced");
    let pull = ["sync", target.to_str().unwrap(), "synced", "--pull", "--shared", &ada.number, "--json"];
    cid.laptop.run(pull).done();
    assert_eq!(fs::read(target.join("one")).unwrap(), b"one");

    // What is in whose history is whole.
    for sharer in [&ada, &bea, &cid] {
        sharer.laptop.verified_records();
    }
    // Shared again without --write, it is to be read.
    ada.share_with(&bea);
    assert_eq!(bea.puts("later", b"too late", &shared).refused(5).code, "forbidden");
    bea.gets(&ada, "later").done();
    // What somebody wrote who is gone stays theirs.
    let input = format!("{}\n", bea.person.password.borrow());
    bea.laptop.run_with(["delete-account", "--yes", "--password-stdin", "--json"], &input).done();
    assert!(cid.lists(&shared).contains(&("bea/large".to_owned(), bea.number.clone())));
    assert!(ada.lists(&[]).contains(&("bea/large".to_owned(), bea.number.clone())));
}

fn who_wrote_what_is_proven_or_it_is_not_shown(mut world: World) {
    let ada = Sharer::with_files(&world);
    let (bea, cid) = (Sharer::new(&world), Sharer::new(&world));
    ada.share_to_write_with(&bea);
    ada.share_to_write_with(&cid);
    bea.puts("from-bea", b"signed by bea", &["--shared", &ada.number]).done();
    let (beas, cids) = (bytes(&world, &bea.account), bytes(&world, &cid.account));
    let damaged = |who: &Sharer, arguments: &[&str]| {
        let mut all = vec!["ls", "--json"];
        all.extend(arguments);
        who.laptop.run(all).json()["damaged"].as_array().map_or(0, Vec::len)
    };
    let shared = ["--shared", ada.number.as_str()];
    for (what, there, back) in [
        (
            "another's name",
            format!("UPDATE item SET changed_by = {cids} WHERE changed_by = {beas}"),
            format!("UPDATE item SET changed_by = {beas} WHERE changed_by = {cids}"),
        ),
        (
            "no signature",
            format!("UPDATE item SET authorship = NULL WHERE changed_by = {beas}"),
            String::new(),
        ),
    ] {
        assert_eq!((damaged(&ada, &[]), damaged(&cid, &shared)), (0, 0), "{what}");
        in_the_database(&mut world, "item", &there);
        assert_eq!((damaged(&ada, &[]), damaged(&cid, &shared)), (1, 1), "{what}");
        let target = ada.laptop.scratch("from-bea");
        assert_eq!(ada.laptop.get("from-bea", &target).refused(1).code, "does_not_open", "{what}");
        if !back.is_empty() {
            in_the_database(&mut world, "item", &back);
        }
    }
}

/// Copies of what the server has of who may read what, to be put back later.
fn copy_of_shares(world: &mut World) {
    let copies = "CREATE TABLE kept_member AS SELECT * FROM collection_member; \
                  CREATE TABLE kept_head AS SELECT * FROM collection_head; \
                  CREATE TABLE kept_collection AS SELECT * FROM collection; \
                  CREATE TABLE kept_former AS SELECT * FROM former_key";
    in_the_database(world, "collection_member", copies);
    in_the_database(world, "share", "CREATE TABLE kept_share AS SELECT * FROM share");
}

/// Puts back among the members who is there no more, as they were then.
fn put_members_back(world: &mut World) {
    let members = "INSERT INTO collection_member SELECT * FROM kept_member AS kept WHERE NOT EXISTS \
                   (SELECT 1 FROM collection_member AS now WHERE now.account = kept.account AND now.collection = kept.collection)";
    in_the_database(world, "collection_member", members);
    let shares = "INSERT INTO share SELECT * FROM kept_share AS kept WHERE NOT EXISTS \
                  (SELECT 1 FROM share AS now WHERE now.recipient = kept.recipient AND now.collection = kept.collection)";
    in_the_database(world, "share", shares);
}

/// Shows collections and members with the keys that they had then.
fn put_keys_back(world: &mut World) {
    let keys = "DELETE FROM collection_member; \
                INSERT INTO collection_member SELECT * FROM kept_member; \
                DELETE FROM former_key; \
                INSERT INTO former_key SELECT * FROM kept_former; \
                UPDATE collection_head SET generation = \
                (SELECT kept.generation FROM kept_head AS kept WHERE kept.collection = collection_head.collection); \
                UPDATE collection SET sealed_meta = \
                (SELECT kept.sealed_meta FROM kept_collection AS kept WHERE kept.id = collection.id)";
    in_the_database(world, "collection_member", keys);
}

fn a_removed_member_opens_nothing_that_is_written_afterwards(mut world: World) {
    let (ada, bea) = (Sharer::with_files(&world), Sharer::new(&world));
    let cid = Sharer::new(&world);
    ada.share_with(&bea);
    ada.share_with(&cid);
    ada.puts("before", b"while bea was there", &[]).done();
    bea.gets(&ada, "before").done();
    copy_of_shares(&mut world);
    ada.unshare_with(&bea);
    ada.puts("after", b"once bea was gone", &[]).done();
    ada.puts("after-large", &noise(7, 400_000), &[]).done();
    ada.puts("before", b"changed once bea was gone", &[]).done();

    // Who stayed reads all of it, and so does a machine that sees it for the first time.
    for name in ["before", "after", "after-large", "large", "notes/small"] {
        cid.gets(&ada, name).done();
    }
    let desktop = world.machine();
    desktop.sign_in(&cid.person).done();
    let target = desktop.scratch("after");
    desktop.run(["get", "--shared", &ada.number, "after", target.to_str().unwrap(), "--json"]).done();
    assert_eq!(fs::read(&target).unwrap(), b"once bea was gone");

    // The server is on Bea's side: it lists her again, and shows her everything as it was when she had the key.
    put_members_back(&mut world);
    assert_eq!(bea.gets(&ada, "after").refused(3).code, "keys_not_trusted", "her grant is of another key");
    put_keys_back(&mut world);
    bea.gets(&ada, "large").done();
    let listed = bea.laptop.run(["ls", "--shared", &ada.number, "--json"]).json();
    let names: Vec<_> =
        listed["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["large", "notes/small"], "what was there before, and is as it was");
    assert_eq!(
        listed["damaged"].as_array().unwrap().len(),
        3,
        "and nothing that was written since: {listed}"
    );
    for name in ["before", "after", "after-large"] {
        assert_ne!(bea.gets(&ada, name).status, Some(0), "{name}");
    }
    // Who stayed, and the owner, are not shown that.
    assert_eq!(cid.gets(&ada, "large").refused(3).code, "collection_key_rolled_back");
    assert_ne!(ada.laptop.run(["ls", "--json"]).status, Some(0));
}

fn a_server_that_puts_somebody_back_gets_no_new_key_for_them(mut world: World) {
    let ada = Sharer::with_files(&world);
    let (bea, cid, dan) = (Sharer::new(&world), Sharer::new(&world), Sharer::new(&world));
    ada.share_with(&bea);
    ada.share_with(&cid);
    copy_of_shares(&mut world);
    ada.unshare_with(&bea);
    put_members_back(&mut world);
    // The owner's client seals no key to somebody whom she did not let in with the key in use.
    let refused = ada.laptop.run(["unshare", "--with", &cid.number, "--json"]).refused(3);
    assert_eq!(refused.code, "keys_not_trusted");
    let members = |ada: &Sharer| {
        let path = format!("/api/v1/collections/{}/members", ada.collection(&world));
        Request::new("GET", &path).bearer(&ada.token()).send(&world.url()).json()
    };
    let grants = |members: &Value| {
        let members = members["members"].as_array().unwrap().clone();
        members.iter().map(|member| member["grant"].clone()).collect::<Vec<_>>()
    };
    let before = members(&ada);
    ada.laptop.run(["shares", "--json"]).done();
    assert_eq!(grants(&members(&ada)), grants(&before), "nor is her grant renewed");
    ada.laptop.rotate_key(&ada.person).done();
    let after = members(&ada);
    let of = |members: &Value, who: &Sharer| {
        let members = members["members"].as_array().unwrap().clone();
        members.into_iter().find(|member| member["account"] == json!(who.account)).unwrap()
    };
    assert_eq!(of(&after, &bea)["grant"], of(&before, &bea)["grant"]);
    // Letting her in again is the owner's to do.
    ada.share_with(&bea);
    ada.share_with(&dan);
    bea.gets(&ada, "large").done();
    ada.unshare_with(&cid);
    dan.gets(&ada, "large").done();
}

fn a_writer_is_not_talked_into_an_older_key(mut world: World) {
    let ada = Sharer::with_files(&world);
    let (bea, cid) = (Sharer::new(&world), Sharer::new(&world));
    ada.share_to_write_with(&bea);
    ada.share_with(&cid);
    let shared = ["--shared", ada.number.as_str()];
    bea.puts("one", b"one", &shared).done();
    copy_of_shares(&mut world);
    ada.unshare_with(&cid);
    bea.puts("two", b"two", &shared).done();
    put_keys_back(&mut world);
    let refused = bea.puts("three", b"for cid to read", &shared).refused(3);
    assert_eq!(refused.code, "collection_key_rolled_back");

    // A client that was away is told that there is another key, before anything is stored.
    let (collection, token) = (ada.collection(&world), ada.token());
    let path = format!("/api/v1/collections/{collection}/items/itm_{}", "7".repeat(32));
    let put = Request::new("PUT", &path).header("if-none-match", "*").bearer(&token);
    let answer = put.json(
        &json!({ "sealed": "AAAA", "generation": 9, "signature": { "key_version": 1, "signature": "AQ" } }),
    );
    let answer = answer.send(&world.url());
    assert_eq!((answer.status, &answer.json()["code"]), (409, &json!("key_outdated")));
}

fn a_grant_is_of_one_collection_and_of_its_owners_published_keys(mut world: World) {
    let (ada, bea) = (Sharer::with_files(&world), Sharer::new(&world));
    ada.laptop.run(["collections", "add", "Garden", "--json"]).done();
    ada.puts("plan", b"a plan", &["--collection", "Garden"]).done();
    ada.share_with(&bea);
    ada.laptop.run(["share", "--with", &bea.number, "--collection", "Garden", "--json"]).done();
    let plan = |bea: &Sharer| {
        let target = bea.laptop.scratch("plan");
        let target = target.to_str().unwrap();
        let get =
            ["get", "plan", target, "--force", "--shared", &ada.number, "--collection", "Garden", "--json"];
        bea.laptop.run(get)
    };
    plan(&bea).done();
    let files = ada.laptop.run(["collections", "--json"]).entries();
    let files = files.iter().find(|one| one["name"] == "Files").unwrap()["id"].as_str().unwrap().to_owned();
    let own = bytes(&world, &files);
    // The grant of the other collection, in the place of this one's.
    let swap = format!(
        "UPDATE collection_member SET sealed_grant = \
         (SELECT other.sealed_grant FROM collection_member AS other WHERE other.collection <> {own}) \
         WHERE collection = {own}"
    );
    in_the_database(&mut world, "collection_member", &swap);
    assert_eq!(bea.gets(&ada, "large").refused(3).code, "keys_not_trusted");
    ada.share_with(&bea);
    bea.gets(&ada, "large").done();
    // A grant that keys signed which the directory does not have.
    let unknown = format!("UPDATE collection_member SET sharer_key_version = 7 WHERE collection = {own}");
    in_the_database(&mut world, "collection_member", &unknown);
    assert_eq!(bea.gets(&ada, "large").refused(3).code, "keys_not_trusted");
    plan(&bea).done();
}

fn who_signs_in_believes_newer_keys_only_when_the_directory_proves_them(mut world: World) {
    let ada = Sharer::with_files(&world);
    let desktop = world.machine();
    desktop.sign_in(&ada.person).done();
    ada.laptop.rotate_key(&ada.person).done();
    // What the desktop saw was version 1: version 2 follows from it.
    desktop.sign_in(&ada.person).done();
    ada.laptop.rotate_key(&ada.person).done();

    let adas = bytes(&world, &ada.account);
    let keep = "CREATE TABLE kept_keys AS SELECT * FROM account_keys";
    in_the_database(&mut world, "account_keys", keep);
    let gone = format!("DELETE FROM account_keys WHERE account = {adas} AND key_version = 3");
    let unsigned = format!(
        "UPDATE account_keys SET statement = (SELECT other.statement FROM account_keys AS other \
         WHERE other.account = {adas} AND other.key_version = 2) WHERE account = {adas} AND key_version = 3"
    );
    for (what, attack) in [("unsigned", unsigned), ("not there", gone)] {
        in_the_database(&mut world, "account_keys", &attack);
        assert_eq!(desktop.sign_in(&ada.person).refused(3).code, "keys_not_trusted", "{what}");
        let back = format!(
            "DELETE FROM account_keys WHERE account = {adas}; \
             INSERT INTO account_keys SELECT * FROM kept_keys WHERE account = {adas}"
        );
        in_the_database(&mut world, "account_keys", &back);
    }
    desktop.sign_in(&ada.person).done();
    // A machine that never saw this account has nothing to hold against it.
    world.machine().sign_in(&ada.person).done();
}

fn new_keys_are_published_though_the_server_was_killed_between_home_and_directory(mut world: World) {
    let (ada, bea) = (Sharer::with_files(&world), Sharer::new(&world));
    // The directory takes no keys for now: the home has them, and the server dies before it can publish them.
    let block = match world.engine() {
        Engine::Sqlite => {
            "CREATE TRIGGER no_keys BEFORE INSERT ON account_keys BEGIN SELECT RAISE(ABORT, 'not now'); END"
        }
        Engine::Postgresql => {
            "CREATE FUNCTION no_keys() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$; \
             CREATE TRIGGER no_keys BEFORE INSERT ON account_keys FOR EACH ROW EXECUTE FUNCTION no_keys()"
        }
    };
    in_the_database(&mut world, "account_keys", block);
    ada.laptop.rotate_key(&ada.person).done();
    world.kill();
    let free = match world.engine() {
        Engine::Sqlite => "DROP TRIGGER no_keys",
        Engine::Postgresql => "DROP TRIGGER no_keys ON account_keys; DROP FUNCTION no_keys()",
    };
    match world.engine() {
        Engine::Postgresql => {
            world.database().run(Role::Superuser, free).unwrap();
        }
        Engine::Sqlite => {
            for file in Files::under(world.data()).with_table("account_keys") {
                Files::open(&file).execute_batch(free).unwrap();
            }
        }
    }
    world.start();
    // Nobody does anything for it: the first look at the upkeep publishes them.
    let seen = loop {
        let seen = bea.laptop.run(["fingerprint", &ada.number, "--json"]).json();
        if seen["key_version"] == json!(2) {
            break seen;
        }
    };
    assert_eq!(seen["fingerprint"], ada.laptop.run(["fingerprint", "--json"]).json()["fingerprint"]);
    ada.share_with(&bea);
    bea.gets(&ada, "large").done();
}
