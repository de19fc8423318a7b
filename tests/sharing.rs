// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What one shares with another: who reads it, who does not, and what a server that lies gets for it.

use std::fs;

use harness::{Engine, Files, Machine, Person, Request, Role, World, noise, on_both_engines};
use serde_json::{Value, json};

on_both_engines!(
    what_is_shared_is_read_by_whom_it_was_shared_with_until_it_is_taken_back,
    a_member_only_reads_and_a_stranger_gets_nothing,
    keys_that_the_server_swaps_are_noticed,
    a_grant_for_one_opens_nothing_for_another,
    rotated_keys_are_followed_and_old_grants_are_renewed,
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
    for path in [shared.clone(), format!("{shared}/changes"), file] {
        assert_eq!(ask("GET", &path, &members), 200, "{path}");
        assert_eq!(ask("GET", &path, &strangers), 404, "{path}");
    }
    // There is no way to write, to share on, or to see who else reads.
    for token in [&members, &strangers] {
        for (method, path) in [
            ("PUT", format!("{shared}/items/{item}")),
            ("DELETE", format!("{shared}/items/{item}")),
            ("PUT", format!("/api/v1/collections/{collection}/items/{item}")),
            ("GET", format!("/api/v1/collections/{collection}/members")),
            ("GET", format!("/api/v1/collections/{collection}")),
            ("DELETE", format!("/api/v1/collections/{collection}")),
        ] {
            assert!([404, 405].contains(&ask(method, &path, token)), "{method} {path}");
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

fn rotated_keys_are_followed_and_old_grants_are_renewed(world: World) {
    let (ada, bea) = (Sharer::with_files(&world), Sharer::new(&world));
    ada.share_with(&bea);
    bea.gets(&ada, "large").done();

    // The sharer's new keys change nothing for who reads.
    ada.laptop.rotate_key(&ada.person).done();
    bea.gets(&ada, "large").done();
    let seen = bea.laptop.run(["fingerprint", &ada.number, "--json"]).json();
    assert_eq!((&seen["key_version"], &seen["met_before"]), (&json!(2), &json!(true)));
    assert_eq!(seen["fingerprint"], ada.laptop.run(["fingerprint", "--json"]).json()["fingerprint"]);

    // A reader with new keys needs a new grant, and is told so.
    bea.laptop.rotate_key(&bea.person).done();
    assert_eq!(bea.gets(&ada, "large").refused(1).code, "share_outdated");
    ada.share_with(&bea);
    bea.gets(&ada, "large").done();
}
