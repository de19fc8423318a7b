// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collections of a tenant: shared by role and organisation, sealed by the server or end to end, and never the one for the other.

use std::thread;
use std::time::Duration;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use harness::{Engine, Exchange, Files, Home, Machine, Outcome, Request, World, on_both_engines, unique};
use serde_json::{Value, json};

on_both_engines!(
    roles_decide_who_reads_and_writes_what_the_server_seals,
    what_the_server_sealed_opens_in_its_own_place_only,
    a_service_account_and_a_suspended_member_get_what_they_may,
    an_end_to_end_collection_opens_to_whom_a_holder_admits_and_to_nobody_else,
    who_is_out_knows_no_key_of_what_is_written_afterwards,
    a_collection_is_what_it_was_made_as,
);

/// Somebody with a laptop.
struct Colleague {
    laptop: Machine,
    account: String,
    number: String,
}

impl Colleague {
    fn new(world: &World) -> Self {
        let laptop = world.machine();
        let person = laptop.sign_up();
        let account = text(&laptop.run(["whoami", "--json"]).json(), "/account");
        Colleague { laptop, account, number: person.account_id.clone() }
    }

    /// `bailiwick tenant …`
    #[track_caller]
    fn tenant(&self, arguments: &[&str]) -> Outcome {
        self.laptop.run(["tenant"].iter().chain(arguments).chain(&["--json"]))
    }

    /// `bailiwick tenant collections …`
    #[track_caller]
    fn collections(&self, arguments: &[&str]) -> Outcome {
        let command: Vec<_> = ["collections"].iter().chain(arguments).copied().collect();
        self.tenant(&command)
    }

    /// Makes a collection: its id.
    #[track_caller]
    fn makes(&self, name: &str, protection: &str, arguments: &[&str]) -> String {
        let command: Vec<_> =
            ["create", name, "--protection", protection].iter().chain(arguments).copied().collect();
        text(&self.collections(&command).json(), "/id")
    }

    #[track_caller]
    fn puts(&self, collection: &str, item: &str, content: &str) -> Outcome {
        self.laptop.run_with(["tenant", "collections", "put", collection, item, "--json"], content)
    }

    /// The content of an item.
    #[track_caller]
    fn gets(&self, collection: &str, item: &str) -> String {
        let found = self.collections(&["get", collection, item]).json();
        let bytes = BASE64URL_NOPAD.decode(text(&found, "/content").as_bytes()).expect("base64url");
        String::from_utf8(bytes).expect("text")
    }

    /// The names of the collections that one sees, each with its protection.
    #[track_caller]
    fn sees(&self) -> Vec<(String, String)> {
        let listed = self.collections(&["list"]).entries();
        let one = |one: &Value| (one["name"].as_str().unwrap_or("?").to_owned(), text(one, "/protection"));
        listed.iter().map(one).collect()
    }

    /// Founds a tenant with two organisations.
    fn founds(&self) -> String {
        let tenant = text(&self.tenant(&["create", "Acme", "--label", "Founder"]).json(), "/id");
        for organisation in ["North", "South"] {
            self.tenant(&["organisations", "create", organisation]).done();
        }
        tenant
    }

    /// Lets somebody in, with roles.
    fn lets_in(&self, other: &Colleague, label: &str, roles: &[&str]) {
        let mut command = vec!["invitations", "create", "--label", label];
        roles.iter().for_each(|role| command.extend(["--role", role]));
        other.tenant(&["join", &text(&self.tenant(&command).json(), "/link")]).done();
    }

    fn token(&self) -> String {
        std::fs::read_to_string(self.laptop.config().join("session")).unwrap().trim().to_owned()
    }

    fn asks(&self, world: &World, method: &str, path: &str, body: Option<Value>) -> Exchange {
        let mut request = Request::new(method, path).bearer(&self.token());
        if method == "PUT" || method == "DELETE" {
            request = request.header("if-match", "*");
        }
        body.map_or(request.clone(), |body| request.json(&body)).send(&world.url())
    }
}

fn roles_decide_who_reads_and_writes_what_the_server_seals(world: World) {
    let [ada, bea, cleo, dan, eve] = [(); 5].map(|()| Colleague::new(&world));
    let tenant = ada.founds();
    ada.lets_in(&bea, "Bea", &["viewer@North"]);
    ada.lets_in(&cleo, "Cleo", &["operator@North"]);
    ada.lets_in(&dan, "Dan", &["viewer@South"]);
    let plans = ada.makes("Plans", "server-sealed", &["--in", "North"]);
    let board = ada.makes("Board", "server-sealed", &[]);
    ada.puts("Plans", "q1", "sell more").done();
    ada.puts("Board", "minutes", "nothing happened").done();

    // Where a role is held it reads, and nowhere else; above it there is nothing.
    let sealed = |name: &str| (name.to_owned(), "server_sealed".to_owned());
    assert_eq!(ada.sees(), [sealed("Board"), sealed("Plans")]);
    assert_eq!(bea.sees(), [sealed("Plans")]);
    assert_eq!(bea.gets("Plans", "q1"), "sell more");
    assert!(dan.sees().is_empty());
    for (who, collection) in [(&bea, &board), (&dan, &plans), (&dan, &board)] {
        assert_eq!(who.collections(&["ls", collection]).refused(1).code, "not_found");
        assert_eq!(who.puts(collection, "mine", "x").refused(1).code, "not_found");
        assert_eq!(who.collections(&["delete", collection, "--yes"]).refused(1).code, "not_found");
    }
    let items = ada.collections(&["ls", "Plans"]).json();
    let item = text(&items, "/items/0/id");
    let path = |collection: &str| format!("/api/v1/tenants/{tenant}/collections/{collection}");
    for (who, status) in [(&bea, 403), (&dan, 404), (&eve, 404)] {
        let body = json!({ "name": "q1", "content": "eA" });
        let answer = who.asks(&world, "PUT", &format!("{}/items/{item}", path(&plans)), Some(body));
        assert_eq!(answer.status, status, "{}", answer.json());
        if status == 403 {
            assert_eq!(answer.json()["action"], "item.write");
        }
        let deleted = who.asks(&world, "DELETE", &path(&plans), None);
        assert_eq!((deleted.status, deleted.json()["code"].is_string()), (status, true));
    }
    // Who is not in it is told the same of what is there and of what is not.
    for collection in [&plans, &unique("col_")] {
        for path in [path(collection), format!("{}/changes", path(collection))] {
            assert_eq!(eve.asks(&world, "GET", &path, None).status, 404, "{path}");
        }
    }

    // An operator writes and removes, and does not delete the collection.
    let written = cleo.puts("Plans", "q1", "sell less").json();
    assert_eq!(written["version"], 2, "{written}");
    cleo.puts("Plans", "q2", "rest").done();
    cleo.collections(&["rm", "Plans", "q2"]).done();
    assert_eq!(cleo.puts("Plans", "q2", "again").json()["version"], 3, "versions go on");
    assert_eq!(cleo.collections(&["delete", "Plans", "--yes"]).refused(5).code, "forbidden");
    assert_eq!(
        cleo.collections(&["create", "Mine", "--protection", "server-sealed", "--in", "North"])
            .refused(5)
            .code,
        "forbidden"
    );

    // What it takes to write is checked.
    let item_path = format!("{}/items/{item}", path(&plans));
    let put = |name: &str, version: &str, body: Value| {
        let request = Request::new("PUT", &item_path).bearer(&ada.token()).header(name, version);
        let answer = request.json(&body).send(&world.url());
        (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
    };
    let good = json!({ "name": "q1", "content": "eA" });
    let refused = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(put("x-nothing", "1", good.clone()), refused(428, "precondition_required"));
    assert_eq!(put("if-match", "\"1\"", good.clone()), refused(409, "conflict"));
    assert_eq!(put("if-none-match", "*", good.clone()), refused(409, "conflict"));
    for bad in [
        json!({ "name": "q1" }),
        json!({ "content": "eA" }),
        json!({ "name": "", "content": "eA" }),
        json!({ "name": "n".repeat(401), "content": "eA" }),
        json!({ "name": "q1", "content": "eA", "sealed": "AA" }),
        json!({ "name": "q1", "content": "eA", "generation": 1 }),
    ] {
        assert_eq!(put("if-match", "*", bad.clone()), refused(422, "invalid_field"), "{bad}");
    }
    assert_eq!(put("if-match", "\"2\"", good).0, 200);

    // Nothing of it is in the database in the clear, and the history says what was made.
    let rows = rows(&world, &tenant);
    let stored: Vec<String> = rows.rows("item", ["sealed"]).into_iter().flatten().collect();
    let names: Vec<String> = rows.rows("collection", ["sealed_meta"]).into_iter().flatten().collect();
    for plain in ["sell", "minutes", "Plans"] {
        let plain = HEXLOWER.encode(plain.as_bytes());
        assert!(stored.iter().chain(&names).all(|bytes| !bytes.contains(&plain)));
    }
    let mut made = None;
    until(|| {
        let log = ada.laptop.run(["log", "--tenant", &tenant, "--json"]).entries();
        made = log
            .into_iter()
            .find(|record| record["action"] == "collection.create" && record["subject"] == plans.as_str());
        made.is_some()
    });
    let made = made.expect("its record");
    assert_eq!(made["opened"]["after"]["protection"], "server_sealed", "{made}");
    assert_eq!(made["opened"]["after"]["name"], "Plans", "{made}");

    // With the collection goes its key.
    ada.collections(&["delete", "Plans", "--yes"]).done();
    ada.collections(&["delete", "Board", "--yes"]).done();
    let keys = rows.rows("subject_key", ["sealed"]);
    assert!(keys.len() == 2 && keys.iter().all(|[sealed]| sealed.is_empty()), "{keys:?}");
    assert_eq!(ada.collections(&["ls", &plans]).refused(1).code, "not_found");
    ada.tenant(&["organisations", "delete", "North"]).done();
}

fn what_the_server_sealed_opens_in_its_own_place_only(world: World) {
    let ada = Colleague::new(&world);
    let tenant = ada.founds();
    let plans = ada.makes("Plans", "server-sealed", &[]);
    ada.makes("Other", "server-sealed", &[]);
    ada.puts("Plans", "first", "one").done();
    let rows = rows(&world, &tenant);
    let [first, old] = rows.rows("item", ["id", "sealed"]).pop().expect("an item");
    ada.puts("Plans", "first", "one, again").done();
    ada.puts("Plans", "second", "two").done();
    ada.puts("Other", "first", "elsewhere").done();
    let sealed = |of: &str| {
        let mut found = rows.rows("item", ["id", "sealed"]).into_iter().filter(|[id, _]| plain(id) == of);
        found.next().expect("an item")[1].clone()
    };
    let first = plain(&first);
    let others: Vec<String> = rows
        .rows("item", ["id", "sealed"])
        .into_iter()
        .filter(|[id, _]| plain(id) != first)
        .map(|[_, sealed]| sealed)
        .collect();
    assert_eq!(others.len(), 2);
    let right = sealed(&first);

    // Another item's, another collection's, and its own older version.
    let path = format!("/api/v1/tenants/{tenant}/collections/{plans}/items/itm_{first}");
    for moved in others.iter().chain([&old]) {
        set(&rows, &first, moved);
        let answer = ada.asks(&world, "GET", &path, None);
        assert_eq!((answer.status, answer.json()["code"].clone()), (500, json!("internal")));
    }
    set(&rows, &first, &right);
    assert_eq!(ada.gets("Plans", "first"), "one, again");

    // What another collection's key sealed does not open either, and keys do not move.
    let keys = rows.rows("subject_key", ["subject", "sealed"]);
    let [[one, _], [_, other]] = &keys[..] else { panic!("two keys: {keys:?}") };
    let condition = format!("subject = {}", rows.blob(&plain(one)));
    assert_eq!(rows.update("subject_key", &format!("sealed = {}", rows.blob(other)), &condition), 1);
    let both = [ada.collections(&["ls", "Plans"]), ada.collections(&["ls", "Other"])];
    assert!(both.iter().any(|outcome| outcome.status == Some(1)), "one of the two opens no more");
}

fn a_service_account_and_a_suspended_member_get_what_they_may(world: World) {
    let [ada, bea] = [(); 2].map(|()| Colleague::new(&world));
    let tenant = ada.founds();
    ada.lets_in(&bea, "Bea", &["operator"]);
    let plans = ada.makes("Plans", "server-sealed", &[]);
    let secrets = ada.makes("Secrets", "end-to-end", &[]);
    ada.puts("Plans", "q1", "sell more").done();
    ada.puts("Secrets", "code", "1234").done();
    let service = text(&ada.tenant(&["service-accounts", "create", "nightly"]).json(), "/id");
    let key = text(&ada.tenant(&["service-accounts", "create-key", &service]).json(), "/key");
    ada.tenant(&["grants", "give", &service, "operator"]).done();
    let ask = |method: &str, path: &str, body: Option<Value>| {
        let request = Request::new(method, path).bearer(&key).header("if-none-match", "*");
        body.map_or(request.clone(), |body| request.json(&body)).send(&world.url())
    };
    let at =
        |collection: &str, rest: &str| format!("/api/v1/tenants/{tenant}/collections/{collection}{rest}");

    // A program reads and writes what the server seals, under its own name.
    let changes = ask("GET", &at(&plans, "/changes"), None).json();
    assert_eq!(changes["items"][0]["name"], "q1", "{changes}");
    assert_eq!(changes["items"][0]["content"], BASE64URL_NOPAD.encode(b"sell more"));
    let item = format!("/items/{}", unique("itm_"));
    let body = json!({ "name": "report", "content": BASE64URL_NOPAD.encode(b"all well") });
    let written = ask("PUT", &at(&plans, &item), Some(body.clone()));
    assert_eq!((written.status, written.header("etag")), (200, Some("\"1\"")), "{}", written.json());
    assert_eq!(ask("GET", &at(&plans, &item), None).json()["name"], "report");

    // End to end it gets nothing at all, sealed or not, and puts nothing there.
    for (method, path, body) in [
        ("GET", at(&secrets, "/changes"), None),
        ("GET", at(&secrets, &item), None),
        ("PUT", at(&secrets, &item), Some(json!({ "sealed": "AA", "generation": 1 }))),
    ] {
        let answer = ask(method, &path, body);
        assert_eq!((answer.status, answer.json()["code"].clone()), (403, json!("forbidden")), "{path}");
    }
    let answer = ask("PUT", &at(&secrets, &item), Some(body));
    assert_eq!((answer.status, answer.json()["field"].clone()), (422, json!("content")));
    assert_eq!(ada.collections(&["ls", "Secrets"]).json()["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(ask("GET", &at(&secrets, ""), None).json()["end_to_end"]["grant"], Value::Null);
    let created = json!({ "protection": "end_to_end", "end_to_end": {
        "id": unique("col_"), "salt": "A".repeat(22), "first_key": "A".repeat(43), "sealed_meta": "AA",
        "grant": { "account": ada.account, "key_version": 1, "own_key_version": 1, "grant": "AA", "tag": "A".repeat(43) },
    }});
    let root = format!("/api/v1/tenants/{tenant}/collections");
    ada.tenant(&["grants", "give", &service, "manager"]).done();
    assert_eq!(ask("POST", &root, Some(created.clone())).status, 403, "it holds no keys");
    // And nobody makes one whose id does not follow from what it says.
    let forged = ada.asks(&world, "POST", &root, Some(created));
    assert_eq!((forged.status, forged.json()["field"].clone()), (422, json!("end_to_end.id")));
    ada.tenant(&["service-accounts", "suspend", &service]).done();
    assert_eq!(ask("GET", &at(&plans, "/changes"), None).json()["code"], "suspended");

    // A suspended member gets nothing, at once.
    assert_eq!(bea.gets("Plans", "q1"), "sell more");
    ada.tenant(&["members", "suspend", "Bea"]).done();
    assert_eq!(bea.collections(&["get", &plans, "q1", "--tenant", &tenant]).refused(5).code, "suspended");
    assert_eq!(bea.collections(&["list", "--tenant", &tenant]).refused(5).code, "suspended");
    ada.tenant(&["members", "resume", "Bea"]).done();
    assert_eq!(bea.gets("Plans", "q1"), "sell more");
}

fn an_end_to_end_collection_opens_to_whom_a_holder_admits_and_to_nobody_else(world: World) {
    let [ada, bea, cleo, dan] = [(); 4].map(|()| Colleague::new(&world));
    let tenant = ada.founds();
    ada.lets_in(&bea, "Bea", &["viewer@North"]);
    ada.lets_in(&cleo, "Cleo", &["operator@North"]);
    ada.lets_in(&dan, "Dan", &["viewer@South"]);
    let secrets = ada.makes("Secrets", "end-to-end", &["--in", "North"]);
    ada.puts("Secrets", "code", "1234").done();
    assert_eq!(ada.sees(), [("Secrets".to_owned(), "end_to_end".to_owned())]);

    // By their role they see that it is there, and wait.
    assert_eq!(bea.sees(), [("?".to_owned(), "end_to_end".to_owned())]);
    assert_eq!(bea.collections(&["get", &secrets, "code"]).refused(5).code, "not_admitted");
    let changes = format!("/api/v1/tenants/{tenant}/collections/{secrets}/changes");
    let answer = bea.asks(&world, "GET", &changes, None);
    assert_eq!((answer.status, answer.json()["code"].clone()), (403, json!("not_admitted")));
    assert_eq!(dan.collections(&["ls", &secrets]).refused(1).code, "not_found");
    let states = |who: &Colleague| -> Vec<(String, String)> {
        let listed = who.collections(&["members", &secrets]).json();
        let mut states: Vec<_> = listed["members"]
            .as_array()
            .unwrap()
            .iter()
            .map(|member| (text(member, "/account_number"), text(member, "/state")))
            .collect();
        states.sort();
        states
    };
    let sorted = |mut states: Vec<(&Colleague, &str)>| -> Vec<(String, String)> {
        states.sort_by(|(one, _), (other, _)| one.number.cmp(&other.number));
        states.into_iter().map(|(who, state)| (who.number.clone(), state.to_owned())).collect()
    };
    assert_eq!(states(&ada), sorted(vec![(&ada, "held"), (&bea, "waiting"), (&cleo, "waiting")]));

    // Nobody admits who has no key, and nobody is admitted whose roles do not entitle them.
    assert_eq!(cleo.collections(&["admit", &secrets, &bea.number]).refused(5).code, "not_admitted");
    assert_eq!(ada.collections(&["admit", &secrets, &dan.number]).refused(1).code, "invalid_field");
    assert_eq!(ada.collections(&["admit", &secrets]).status, Some(2), "whom?");
    let admitted = ada.collections(&["admit", "Secrets", &bea.number]).json();
    assert_eq!(admitted["admitted"][0]["account"], json!(bea.account), "{admitted}");
    let fingerprint = text(&bea.laptop.run(["fingerprint", "--json"]).json(), "/fingerprint");
    assert_eq!(admitted["admitted"][0]["fingerprint"], json!(fingerprint));
    assert_eq!(bea.gets("Secrets", "code"), "1234");
    let got = bea.collections(&["get", "Secrets", "code"]).json();
    assert_eq!(got["author"], json!(ada.account), "{got}");
    // A viewer has the key, and neither writes nor admits.
    assert_eq!(bea.puts("Secrets", "code", "0").refused(5).code, "forbidden");
    assert_eq!(bea.collections(&["admit", "Secrets", &cleo.number]).refused(5).code, "forbidden");
    assert_eq!(ada.collections(&["admit", "Secrets", "--all"]).status, Some(2), "a program says --yes");
    ada.collections(&["admit", "Secrets", "--all", "--yes"]).done();
    assert_eq!(states(&cleo), sorted(vec![(&ada, "held"), (&bea, "held"), (&cleo, "held")]));
    cleo.puts("Secrets", "code", "5678").done();
    assert_eq!(ada.gets("Secrets", "code"), "5678");
    let got = ada.collections(&["get", "Secrets", "code"]).json();
    assert_eq!(got["author"], json!(cleo.account), "{got}");

    // What comes in the clear is not stored, whoever sends it.
    let item = text(&ada.collections(&["ls", "Secrets"]).json(), "/items/0/id");
    let path = format!("/api/v1/tenants/{tenant}/collections/{secrets}/items/{item}");
    let open = json!({ "name": "code", "content": BASE64URL_NOPAD.encode(b"in the clear") });
    let answer = ada.asks(&world, "PUT", &path, Some(open));
    assert_eq!((answer.status, answer.json()["field"].clone()), (422, json!("content")));
    // Nor what is not signed by who sends it: here Cleo's own version again, sent by Ada.
    let stored = ada.asks(&world, "GET", &path, None).json();
    let replay = json!({
        "sealed": stored["sealed"], "generation": 1,
        "signature": { "key_version": 1, "signature": stored["author"]["signature"] },
    });
    let answer = ada.asks(&world, "PUT", &path, Some(replay));
    assert_eq!((answer.status, answer.json()["field"].clone()), (422, json!("signature")));
    let rows = rows(&world, &tenant);
    let kept: Vec<String> = ["item", "collection", "collection_grant"]
        .into_iter()
        .zip(["sealed", "sealed_meta", "sealed_grant"])
        .flat_map(|(table, column)| rows.rows(table, [column]))
        .flatten()
        .collect();
    for plain in ["1234", "5678", "in the clear", "Secrets"] {
        let plain = HEXLOWER.encode(plain.as_bytes());
        assert!(kept.iter().all(|bytes| !bytes.contains(&plain)));
    }
}

fn who_is_out_knows_no_key_of_what_is_written_afterwards(world: World) {
    let [ada, bea, cleo] = [(); 3].map(|()| Colleague::new(&world));
    let tenant = ada.founds();
    ada.lets_in(&bea, "Bea", &["operator@North"]);
    ada.lets_in(&cleo, "Cleo", &["viewer@North"]);
    let secrets = ada.makes("Secrets", "end-to-end", &["--in", "North"]);
    ada.puts("Secrets", "old", "before").done();
    ada.collections(&["admit", "Secrets", "--all", "--yes"]).done();
    assert_eq!(cleo.gets("Secrets", "old"), "before");
    let show = |who: &Colleague| who.collections(&["show", &secrets]).json();
    let due = || ada.collections(&["members", &secrets]).json()["rekey_due"].clone();
    assert_eq!((show(&ada)["generation"].clone(), due()), (json!(1), json!(false)));

    // She loses the role: refused at once, and nothing is written under the key that she knows.
    ada.tenant(&["grants", "take", "Cleo", "viewer", "--at", "North"]).done();
    assert_eq!(cleo.collections(&["get", &secrets, "old"]).refused(1).code, "not_found");
    assert_eq!(due(), json!(true));
    let item = text(&ada.collections(&["ls", "Secrets"]).json(), "/items/0/id");
    let path = format!("/api/v1/tenants/{tenant}/collections/{secrets}/items/{item}");
    let stale =
        json!({ "sealed": "AA", "generation": 1, "signature": { "key_version": 1, "signature": "AA" } });
    let answer = ada.asks(&world, "PUT", &path, Some(stale));
    assert_eq!((answer.status, answer.json()["code"].clone()), (409, json!("rekey_due")));
    // Whoever writes next gives it its next key by the way.
    bea.puts("Secrets", "new", "after").done();
    assert_eq!((show(&bea)["generation"].clone(), due()), (json!(2), json!(false)));
    for who in [&ada, &bea] {
        assert_eq!(who.gets("Secrets", "old"), "before");
        assert_eq!(who.gets("Secrets", "new"), "after");
    }
    let holders = rows(&world, &tenant).rows("collection_grant", ["account"]);
    let hers = cleo.account.trim_start_matches("acc_").to_owned();
    assert!(holders.len() == 2 && holders.iter().flatten().all(|account| plain(account) != hers));

    // Back in the role she waits again, and reads again once she is admitted, what was written meanwhile too.
    ada.tenant(&["grants", "give", "Cleo", "viewer", "--at", "North"]).done();
    assert_eq!(cleo.collections(&["get", &secrets, "new"]).refused(5).code, "not_admitted");
    bea.collections(&["admit", "Secrets", &cleo.number]).done();
    assert_eq!((cleo.gets("Secrets", "old"), cleo.gets("Secrets", "new")), ("before".into(), "after".into()));

    // The same when she is taken out of the tenant, and when she is suspended.
    ada.tenant(&["members", "suspend", "Cleo"]).done();
    assert_eq!(due(), json!(true));
    ada.collections(&["next-key", "Secrets"]).done();
    assert_eq!((show(&ada)["generation"].clone(), due()), (json!(3), json!(false)));
    ada.tenant(&["members", "remove", "Cleo"]).done();
    assert_eq!(cleo.collections(&["get", &secrets, "old", "--tenant", &tenant]).refused(1).code, "not_found");

    // Who is put among the holders in the database gets no key: no holder let them in.
    let [dan] = [(); 1].map(|()| Colleague::new(&world));
    ada.lets_in(&dan, "Dan", &["viewer@North"]);
    ada.collections(&["admit", "Secrets", &dan.number]).done();
    let dans = dan.account.trim_start_matches("acc_").to_owned();
    let rows = rows(&world, &tenant);
    let condition = format!("account = {}", rows.blob(&dans));
    let zeros = rows.blob(&"00".repeat(32));
    assert_eq!(rows.update("collection_grant", &format!("tag = {zeros}"), &condition), 1);
    assert_eq!(ada.collections(&["next-key", "Secrets"]).refused(3).code, "keys_not_trusted");
    assert_eq!(show(&ada)["generation"], json!(3), "nothing was changed");
}

fn a_collection_is_what_it_was_made_as(world: World) {
    let ada = Colleague::new(&world);
    let tenant = ada.founds();
    let secrets = ada.makes("Secrets", "end-to-end", &[]);
    ada.puts("Secrets", "code", "1234").done();
    let plans = ada.makes("Plans", "server-sealed", &[]);
    ada.puts("Plans", "q1", "sell more").done();

    // There is no route that changes it, and the row cannot be changed.
    for method in ["PUT", "PATCH", "POST"] {
        let path = format!("/api/v1/tenants/{tenant}/collections/{secrets}");
        let body = json!({ "protection": "server_sealed" });
        assert_eq!(ada.asks(&world, method, &path, Some(body)).status, 405, "{method}");
    }
    let rows = rows(&world, &tenant);
    let id = rows.blob(secrets.trim_start_matches("col_"));
    if let Home::File(path) = &rows {
        let lower = format!("UPDATE tenant_collection SET protection = 'server_sealed' WHERE id = {id}");
        let connection = Files::open(path);
        connection.busy_timeout(Duration::from_secs(30)).expect("a timeout");
        let refused = connection.execute(&lower, []).expect_err("append-only");
        assert!(refused.to_string().contains("append-only"), "{refused}");
        connection.execute_batch("DROP TRIGGER tenant_collection_refuses_update").expect("a trigger");
    }
    // Whoever changes it all the same, and gives the server a key for it, gets nothing written to it in the clear.
    for (set, code) in [
        ("protection = 'server_sealed'", "internal"),
        ("protection = 'server_sealed', first_key = NULL", "internal"),
        ("created_by = 'acc_00000000000000000000000000000000'", "internal"),
    ] {
        let before = rows.rows("tenant_collection", ["protection", "first_key", "created_by", "id"]);
        let [protection, first_key, created_by, _] = before
            .iter()
            .find(|[.., one]| plain(one) == secrets.trim_start_matches("col_"))
            .expect("its row");
        assert_eq!(rows.update("tenant_collection", set, &format!("id = {id}")), 1);
        assert_eq!(ada.puts(&secrets, "code", "5678").refused(1).code, code, "{set}");
        assert_eq!(ada.collections(&["get", &secrets, "code"]).refused(1).code, code, "{set}");
        let back = format!(
            "protection = '{protection}', first_key = {}, created_by = '{created_by}'",
            rows.blob(first_key)
        );
        assert_eq!(rows.update("tenant_collection", &back, &format!("id = {id}")), 1);
    }
    assert_eq!(ada.gets("Secrets", "code"), "1234");

    // A server-sealed collection in the place of an end-to-end one that this device knows is refused by its name.
    ada.collections(&["delete", "Secrets", "--yes"]).done();
    let again = ada.makes("Secrets", "server-sealed", &[]);
    assert_eq!(ada.puts("Secrets", "code", "1234").refused(3).code, "protection_lowered");
    ada.puts(&again, "code", "nothing secret").done();
    assert_eq!(ada.gets("Plans", "q1"), "sell more");
    let listed = ada.laptop.run(["tenant", "collections", "list"]).done().stdout;
    let lines: Vec<&str> = listed.lines().skip(1).collect();
    assert!(lines.len() == 2 && lines.iter().all(|line| line.contains("server-sealed")), "{listed}");
    assert_ne!(plans, again);
}

/// The tenant's rows in the database itself.
fn rows(world: &World, tenant: &str) -> Home {
    let id = uuid::Uuid::try_parse(tenant.trim_start_matches("ten_")).expect("a tenant's id");
    match world.engine() {
        Engine::Sqlite => {
            let files = Files::under(world.data()).with_table("tenant_state");
            let of_it = |path: &std::path::PathBuf| {
                let organisations =
                    Home::File(path.clone()).rows("organisation", ["id"]).into_iter().flatten();
                organisations.into_iter().any(|found| found == id.simple().to_string())
            };
            Home::File(files.into_iter().find(of_it).expect("the tenant's file"))
        }
        Engine::Postgresql => Home::Tenant(world.shared_database(), id.to_string()),
    }
}

/// Puts these sealed bytes into an item's row.
fn set(rows: &Home, item: &str, sealed: &str) {
    let condition = format!("id = {}", rows.blob(item));
    assert_eq!(rows.update("item", &format!("sealed = {}", rows.blob(sealed)), &condition), 1);
}

/// An id as the database prints it, without what PostgreSQL puts between its digits.
fn plain(id: &str) -> String {
    id.replace('-', "")
}

/// Waits for what the server does by itself, for a while.
#[track_caller]
fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..120 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(250));
    }
    panic!("it did not come to be within 30 s");
}

#[track_caller]
fn text(document: &Value, pointer: &str) -> String {
    let value = document.pointer(pointer).and_then(Value::as_str);
    value.unwrap_or_else(|| panic!("{pointer} in {document}")).to_owned()
}
