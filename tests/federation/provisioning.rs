// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Another system tells a tenant who its people are (SCIM 2.0).

use harness::{Exchange, Machine, Request, World, on_both_engines};
use serde_json::{Value, json};

use super::browser::follow;
use super::house::{House, code, parameter, said, text};
use super::liar::Liar;

on_both_engines!(
    who_is_told_of_comes_in_and_is_out_at_once,
    who_came_before_is_who_is_told_of,
    who_was_suspended_by_a_person_stays_so_whatever_is_told,
    resources_are_read_found_and_changed_as_the_standard_says,
    nobody_gets_by_provisioning_what_is_not_theirs,
);

/// Another system with its key.
pub(super) struct Teller<'a> {
    pub(super) server: String,
    pub(super) tenant: String,
    pub(super) key: String,
    house: &'a House,
}

impl<'a> Teller<'a> {
    pub(super) fn of(world: &World, house: &'a House) -> Self {
        let role =
            house.run(&["roles", "create", "Provisioning", "--actions", "member.read,member.sync"]).json();
        let account = text(&house.run(&["service-accounts", "create", "teller"]).json()["id"]);
        house.run(&["grants", "give", &account, &text(&role["role"])]).done();
        let scopes = ["service-accounts", "create-key", &account, "--scopes", "member.read,member.sync"];
        let key = text(&house.run(&scopes).json()["key"]);
        Teller { server: world.url(), tenant: house.tenant.clone(), key, house }
    }

    pub(super) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Exchange {
        match body {
            Some(body) => self.send(method, path, body.to_string().into_bytes()),
            None => self.request(method, path).send(&self.server),
        }
    }

    /// The same with a body of any bytes.
    pub(super) fn send(&self, method: &str, path: &str, body: Vec<u8>) -> Exchange {
        let request = self.request(method, path).header("content-type", "application/scim+json");
        request.body(body).send(&self.server)
    }

    fn request(&self, method: &str, path: &str) -> Request {
        Request::new(method, &format!("/scim/v2/{}/{path}", self.tenant)).bearer(&self.key)
    }

    #[track_caller]
    pub(super) fn made(&self, kind: &str, body: &Value) -> Value {
        let answer = self.ask("POST", kind, Some(body));
        assert_eq!(answer.status, 201, "{}", said(&answer));
        assert_eq!(answer.header("content-type"), Some("application/scim+json"));
        let made = answer.json();
        assert_eq!(answer.header("location"), made["meta"]["location"].as_str());
        made
    }

    #[track_caller]
    fn patched(&self, path: &str, operations: &Value) -> Value {
        let body =
            json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations });
        let answer = self.ask("PATCH", path, Some(&body));
        assert_eq!(answer.status, 200, "{}", said(&answer));
        answer.json()
    }

    #[track_caller]
    pub(super) fn found(&self, kind: &str, filter: &str) -> Vec<Value> {
        let encoded: String =
            filter.replace('%', "%25").replace(' ', "%20").replace('"', "%22").replace('+', "%2B");
        let answer = self.ask("GET", &format!("{kind}?filter={encoded}"), None);
        assert_eq!(answer.status, 200, "{}", said(&answer));
        answer.json()["Resources"].as_array().expect("resources").clone()
    }
}

pub(super) fn error(answer: &Exchange) -> (u16, String) {
    let document = answer.json();
    assert_eq!(document["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]), "{document}");
    assert_eq!(document["status"], json!(answer.status.to_string()));
    (answer.status, document["scimType"].as_str().unwrap_or_default().to_owned())
}

/// Signs in by the tenant's provider; returns what the command line said at its end.
fn sign_in(world: &World, house: &House, liar: &Liar, machine: &Machine, event: &str) -> Value {
    let mut login = machine.talk(["login", "--provider", &house.tenant, "--force", "--json"]);
    let url = text(&login.hears("open")["url"]);
    liar.expects(&parameter(&url, "nonce").expect("a nonce"));
    let provider = text(&house.run(&["providers", "list"]).json()["providers"][0]["id"]);
    let (state, iss) =
        (parameter(&url, "state").expect("a state"), liar.url().replace(':', "%3A").replace('/', "%2F"));
    follow(&format!("{}/federation/{provider}/callback?state={state}&code=c&iss={iss}", world.url()));
    let said = login.hears(event);
    login.ends().done();
    said
}

fn with_provider(world: &mut World, more: &[&str]) -> (House, Liar) {
    let (house, liar) = (House::founded(world), Liar::served());
    let create = ["providers", "create", "Own", "--issuer", liar.url(), "--client-id", "bailiwick"];
    house.run(&[&create[..], more].concat()).json();
    house.proves("acme.example");
    (house, liar)
}

fn who_is_told_of_comes_in_and_is_out_at_once(mut world: World) {
    let (house, liar) = with_provider(&mut world, &[]);
    let teller = Teller::of(&world, &house);
    // Nobody whom the tenant was not told of has an account made.
    let ada = world.machine();
    let begun = house.begin(&json!({}));
    liar.expects(&parameter(&begun.url, "nonce").expect("a nonce"));
    assert_eq!(code(&house.finish(&begun, Some(liar.url()))), "not_linked");

    let user = teller.made(
        "Users",
        &json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "Ada@Acme.example", "externalId": "0001",
            "name": { "givenName": "Ada", "familyName": "Lovelace" }, "active": true,
        }),
    );
    let id = text(&user["id"]);
    let group = teller.made("Groups", &json!({ "displayName": "Engineers", "members": [{ "value": id }] }));
    // What the team may, the tenant's people say.
    let team = text(&group["id"]);
    house.run(&["grants", "give", &team, "operator"]).done();

    let came = sign_in(&world, &house, &liar, &ada, "signed_up");
    let show = ["tenant", "show", "--tenant", &house.tenant, "--json"];
    ada.run(show).json();
    let register = |name: &str| {
        let whole = house.tenant.replace("ten_", "org_");
        ada.run(["tenant", "devices", "register", name, "--in", &whole, "--json"])
    };
    register("one").json();
    let members = house.run(&["teams", "members", &team]).json();
    assert!(members.to_string().contains(&text(&came["account"])), "{members}");

    // Out of the group is out of what it may; deactivated is out of everything, at once.
    teller.patched(
        &format!("Groups/{team}"),
        &json!([{ "op": "Remove", "path": "members", "value": [{ "value": id }] }]),
    );
    assert_eq!(register("two").refused(5).code, "forbidden");
    let after = teller
        .patched(&format!("Users/{id}"), &json!([{ "op": "Replace", "path": "active", "value": "False" }]));
    assert_eq!(after["active"], json!(false));
    assert_eq!(ada.run(show).refused(5).code, "suspended");
    sign_in(&world, &house, &liar, &ada, "signed_in");
    assert_eq!(ada.run(["tenant", "show", "--tenant", &house.tenant, "--json"]).refused(5).code, "suspended");
    teller.patched(&format!("Users/{id}"), &json!([{ "op": "replace", "value": { "active": true } }]));
    ada.run(show).json();

    // Deleted is not there any more.
    assert_eq!(teller.ask("DELETE", &format!("Users/{id}"), None).status, 204);
    assert_eq!(ada.run(["tenant", "show", "--tenant", &house.tenant, "--json"]).refused(1).code, "not_found");
    assert_eq!(error(&teller.ask("GET", &format!("Users/{id}"), None)).0, 404);
    sign_in(&world, &house, &liar, &ada, "signed_in");
    assert_eq!(ada.run(["tenant", "show", "--tenant", &house.tenant, "--json"]).refused(1).code, "not_found");
    // Her own files and account are hers.
    ada.run(["ls", "--json"]).done();

    let told = house.records(6, "member.sync");
    assert!(told.iter().any(|record| text(&record["subject"]).starts_with("usr_")), "{told:?}");
    assert!(!world.log().contains("Lovelace"));
}

fn who_came_before_is_who_is_told_of(mut world: World) {
    let (house, liar) = with_provider(&mut world, &["--joins"]);
    let ada = world.machine();
    sign_in(&world, &house, &liar, &ada, "signed_up");
    let show = ["tenant", "show", "--tenant", house.tenant.as_str(), "--json"];
    ada.run(show).json();
    let teller = Teller::of(&world, &house);
    let user = teller.made(
        "Users",
        &json!({ "userName": "0001", "emails": [{ "value": "ADA@acme.example", "type": "work" }] }),
    );
    let path = format!("Users/{}", text(&user["id"]));
    assert_eq!(teller.ask("PUT", &path, Some(&json!({ "userName": "0001", "active": false }))).status, 200);
    assert_eq!(ada.run(show).refused(5).code, "suspended");
    // What an administrator did by hand stays, until it is told otherwise.
    house.run(&["members", "resume", "Ada"]).json();
    ada.run(show).json();
    assert_eq!(teller.ask("PUT", &path, Some(&json!({ "userName": "0001", "active": false }))).status, 200);
    ada.run(show).json();

    // Whom the tenant was told of as inactive does not come in, whatever its provider lets in.
    liar.is_asked_for("eve", "eve@acme.example");
    teller.made("Users", &json!({ "userName": "eve@acme.example", "active": false }));
    let begun = house.begin(&json!({}));
    liar.expects(&parameter(&begun.url, "nonce").expect("a nonce"));
    assert_eq!(code(&house.finish(&begun, Some(liar.url()))), "not_linked");
}

fn who_was_suspended_by_a_person_stays_so_whatever_is_told(mut world: World) {
    let (house, liar) = with_provider(&mut world, &["--joins"]);
    let ada = world.machine();
    sign_in(&world, &house, &liar, &ada, "signed_up");
    let teller = Teller::of(&world, &house);
    let user = teller.made("Users", &json!({ "userName": "ada@acme.example" }));
    let path = format!("Users/{}", text(&user["id"]));
    let told = |active: bool| {
        teller.patched(&path, &json!([{ "op": "replace", "path": "active", "value": active }]));
    };
    let by_hand = |command: &str| house.run(&["members", command, "Ada"]).done();
    let show = ["tenant", "show", "--tenant", house.tenant.as_str(), "--json"];
    ada.run(show).json();

    // Suspended by a person, then told of as inactive and as active.
    by_hand("suspend");
    told(false);
    told(true);
    assert_eq!(ada.run(show).refused(5).code, "suspended");
    by_hand("resume");
    ada.run(show).json();

    // What was told is ended by what is told, also when a person said something else of them meanwhile.
    told(false);
    assert_eq!(ada.run(show).refused(5).code, "suspended");
    house.run(&["members", "label", "Ada", "Ada"]).done();
    told(true);
    ada.run(show).json();

    // Told of as inactive, then suspended by a person as well.
    told(false);
    by_hand("suspend");
    told(true);
    assert_eq!(ada.run(show).refused(5).code, "suspended");

    // Suspended by what was told; a person lets them in, and suspends them again.
    by_hand("resume");
    told(false);
    by_hand("resume");
    ada.run(show).json();
    by_hand("suspend");
    told(true);
    assert_eq!(ada.run(show).refused(5).code, "suspended");
}

fn resources_are_read_found_and_changed_as_the_standard_says(mut world: World) {
    let house = House::founded(&mut world);
    let teller = Teller::of(&world, &house);
    for (path, kind) in
        [("ServiceProviderConfig", "patch"), ("ResourceTypes", "Resources"), ("Schemas", "Resources")]
    {
        let answer = teller.ask("GET", path, None);
        assert_eq!(answer.status, 200, "{}", said(&answer));
        assert!(!answer.json()[kind].is_null());
    }
    let mut ids = Vec::new();
    for number in 0..5 {
        let body = json!({ "userName": format!("user{number}@acme.example"), "externalId": format!("ext-{number}"), "title": "left out" });
        ids.push(text(&teller.made("Users", &body)["id"]));
    }
    assert_eq!(teller.found("Users", "userName eq \"USER3@acme.example\"")[0]["id"], json!(ids[3]));
    assert_eq!(teller.found("Users", "externalId eq \"ext-2\"")[0]["id"], json!(ids[2]));
    assert_eq!(teller.found("Users", "externalId eq \"EXT-2\""), [Value::Null; 0]);
    assert_eq!(teller.found("Users", "userName eq \"nobody\""), [Value::Null; 0]);
    assert_eq!(teller.found("Users", &format!("id eq \"{}\"", ids[0]))[0]["id"], json!(ids[0]));
    let page = |query: &str| teller.ask("GET", &format!("Users?{query}"), None).json();
    let (mut seen, mut start) = (Vec::new(), 1);
    loop {
        let page = page(&format!("startIndex={start}&count=2"));
        assert_eq!((&page["totalResults"], &page["startIndex"]), (&json!(5), &json!(start)), "{page}");
        let resources = page["Resources"].as_array().expect("resources").clone();
        if resources.is_empty() {
            break;
        }
        start += resources.len();
        seen.extend(resources.iter().map(|user| text(&user["id"])));
    }
    seen.sort();
    let mut all = ids.clone();
    all.sort();
    assert_eq!(seen, all);
    assert_eq!(page("count=0")["Resources"], json!([]));
    assert_eq!(page("startIndex=-5&count=1")["startIndex"], json!(1));

    // As Entra ID changes things.
    let user = format!("Users/{}", ids[0]);
    let changed = teller.patched(
        &user,
        &json!([
            { "op": "Add", "path": "emails[type eq \"work\"].value", "value": "ada@acme.example" },
            { "op": "Replace", "path": "name.givenName", "value": "Ada" },
            { "op": "Replace", "value": { "displayName": "Ada L", "name.familyName": "Lovelace",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": "left out" } },
        ]),
    );
    assert_eq!(changed["emails"][0]["value"], json!("ada@acme.example"), "{changed}");
    assert_eq!(
        (&changed["name"]["givenName"], &changed["name"]["familyName"]),
        (&json!("Ada"), &json!("Lovelace"))
    );
    assert_eq!(teller.found("Users", "emails.value eq \"Ada@acme.example\"")[0]["id"], json!(ids[0]));
    let replaced = teller.ask("PUT", &user, Some(&json!({ "userName": "ada" }))).json();
    assert!(replaced["emails"].is_null() && replaced["displayName"].is_null(), "{replaced}");

    let group = teller.made("Groups", &json!({ "displayName": "Crew", "externalId": "g1" }));
    let group = format!("Groups/{}", text(&group["id"]));
    let members = json!([{ "value": ids[1] }, { "value": ids[2] }]);
    let changed = teller.patched(&group, &json!([{ "op": "Add", "path": "members", "value": members }]));
    assert_eq!(changed["members"].as_array().expect("members").len(), 2);
    let id = text(&changed["id"]);
    assert_eq!(teller.found("Groups", &format!("id eq \"{id}\" and members eq \"{}\"", ids[1])).len(), 1);
    assert_eq!(teller.found("Groups", &format!("id eq \"{id}\" and members eq \"{}\"", ids[3])).len(), 0);
    assert_eq!(teller.found("Groups", "displayName eq \"CREW\"")[0]["id"], json!(id));
    let short = teller.ask("GET", &format!("{group}?excludedAttributes=members"), None).json();
    assert!(short["members"].is_null(), "{short}");
    let path = format!("members[value eq \"{}\"]", ids[1]);
    let changed = teller.patched(&group, &json!([{ "op": "remove", "path": path }]));
    assert_eq!(changed["members"], json!([{ "value": ids[2] }]));
    assert_eq!(teller.ask("DELETE", &format!("Users/{}", ids[2]), None).status, 204);
    assert_eq!(teller.ask("GET", &group, None).json()["members"], json!([]));
    assert_eq!(teller.ask("DELETE", &group, None).status, 204);
    assert_eq!(error(&teller.ask("GET", &group, None)).0, 404);

    // What is wrong is said in the standard's words.
    let bad = |method: &str, path: &str, body: Value| error(&teller.ask(method, path, Some(&body)));
    let refused = |status: u16, kind: &str| (status, kind.to_owned());
    assert_eq!(bad("POST", "Users", json!({})), refused(400, "invalidValue"));
    assert_eq!(bad("POST", "Users", json!([])), refused(400, "invalidSyntax"));
    assert_eq!(bad("POST", "Users", json!({ "userName": "ADA" })), refused(409, "uniqueness"));
    assert_eq!(bad("PATCH", &user, json!({ "Operations": [{ "op": "remove" }] })), refused(400, "noTarget"));
    assert_eq!(
        bad("PATCH", &user, json!({ "Operations": [{ "op": "remove", "path": "userName" }] })),
        refused(400, "mutability")
    );
    assert_eq!(
        bad("PATCH", &user, json!({ "Operations": [{ "op": "replace", "path": "emails[", "value": 1 }] })),
        refused(400, "invalidPath")
    );
    assert_eq!(bad("PATCH", &user, json!({ "operations": 7 })), refused(400, "invalidSyntax"));
    assert_eq!(
        error(&teller.ask("GET", "Users?filter=userName%20co%20%22a%22", None)),
        refused(400, "invalidFilter")
    );
}

fn nobody_gets_by_provisioning_what_is_not_theirs(mut world: World) {
    let (house, liar) = with_provider(&mut world, &["--joins"]);
    let teller = Teller::of(&world, &house);
    let user = text(&teller.made("Users", &json!({ "userName": "ada@acme.example" }))["id"]);
    let group = text(&teller.made("Groups", &json!({ "displayName": "Crew" }))["id"]);

    // Another tenant's system finds nothing of it.
    let other = House::founded(&mut world);
    let eve = Teller::of(&world, &other);
    let told = text(&eve.made("Users", &json!({ "userName": "ada@acme.example" }))["id"]);
    for path in [format!("Users/{user}"), format!("Groups/{group}")] {
        assert_eq!(error(&eve.ask("GET", &path, None)).0, 404, "{path}");
        assert_eq!(error(&eve.ask("DELETE", &path, None)).0, 404, "{path}");
        let body = json!({ "Operations": [{ "op": "replace", "path": "active", "value": false }] });
        assert_eq!(error(&eve.ask("PATCH", &path, Some(&body))).0, 404, "{path}");
    }
    let within = json!({ "displayName": "Hers", "members": [{ "value": user }] });
    assert_eq!(
        error(&eve.ask("POST", "Groups", Some(&within))),
        (400, "invalidValue".to_owned()),
        "somebody else's user"
    );
    let elsewhere =
        Teller { tenant: house.tenant.clone(), server: world.url(), key: eve.key.clone(), house: &other };
    assert_eq!(error(&elsewhere.ask("GET", "Users", None)).0, 404);
    assert_eq!(elsewhere.house.tenant, other.tenant);
    assert_eq!(eve.found("Users", "userName eq \"ada@acme.example\"")[0]["id"], json!(told));

    // A person's session, a key for something else, no key.
    let session = std::fs::read_to_string(house.owner.config().join("session")).expect("a token");
    let account = text(&house.run(&["service-accounts", "create", "other"]).json()["id"]);
    house.run(&["grants", "give", &account, "admin"]).done();
    let narrow = text(
        &house.run(&["service-accounts", "create-key", &account, "--scopes", "member.read"]).json()["key"],
    );
    for (key, status) in [(session.trim(), 403), (narrow.as_str(), 403), ("svk_nothing", 401)] {
        let with =
            Teller { tenant: house.tenant.clone(), server: world.url(), key: key.to_owned(), house: &house };
        let answer = with.ask("POST", "Users", Some(&json!({ "userName": "eve" })));
        assert_eq!(answer.status, status, "{}", said(&answer));
    }

    // Nothing is assigned beside what is kept; an account of one's choice is not theirs.
    let owner = text(&house.owner.run(["whoami", "--json"]).json()["account"]);
    let body = json!({
        "userName": "mallory", "account": owner, "id": user, "roles": [{ "value": "owner" }], "groups": [{ "value": group }],
        "meta": { "location": "https://evil.example" }, "active": false,
    });
    let made = teller.made("Users", &body);
    assert_ne!(made["id"], json!(user));
    assert!(made["roles"].is_null() && made["groups"].is_null() && made["account"].is_null(), "{made}");
    assert!(made["meta"]["location"].as_str().expect("a location").starts_with(&world.url()));
    for path in ["id", "account", "meta.location", "roles"] {
        let after = teller
            .patched(&format!("Users/{user}"), &json!([{ "op": "replace", "path": path, "value": owner }]));
        assert_eq!((&after["id"], after["account"].is_null()), (&json!(user), true), "{path}");
    }
    house.run(&["providers", "list"]).json();

    // An owner whom the tenant is told of is not shut out, nor taken out.
    liar.is_asked_for("owner", "owner@acme.example");
    let mut link = house.owner.talk(["methods", "add-provider", &house.tenant, "--json"]);
    let url = text(&link.hears("open")["url"]);
    liar.expects(&parameter(&url, "nonce").expect("a nonce"));
    let provider = text(&house.run(&["providers", "list"]).json()["providers"][0]["id"]);
    let (state, iss) =
        (parameter(&url, "state").expect("a state"), liar.url().replace(':', "%3A").replace('/', "%2F"));
    follow(&format!("{}/federation/{provider}/callback?state={state}&code=c&iss={iss}", world.url()));
    link.hears("linked");
    link.ends().done();
    let told = teller.made("Users", &json!({ "userName": "owner@acme.example" }));
    let path = format!("Users/{}", text(&told["id"]));
    let off = json!({ "Operations": [{ "op": "replace", "path": "active", "value": false }] });
    assert_eq!(error(&teller.ask("PATCH", &path, Some(&off))).0, 403);
    assert_eq!(error(&teller.ask("DELETE", &path, None)).0, 403);
    house.run(&["members", "list"]).json();

    // Filters and changes that are made to be slow are refused at once.
    let deep = "(".repeat(900);
    assert_eq!(
        error(&teller.ask("GET", &format!("Users?filter={deep}"), None)),
        (400, "invalidFilter".to_owned())
    );
    let long = format!("userName%20eq%20%22{}%22", "a".repeat(5_000));
    assert_eq!(
        error(&teller.ask("GET", &format!("Users?filter={long}"), None)),
        (400, "invalidFilter".to_owned())
    );
    let many: Vec<Value> =
        (0..1_000).map(|_| json!({ "op": "add", "path": "displayName", "value": "x" })).collect();
    let many = json!({ "Operations": many });
    assert_eq!(
        error(&teller.ask("PATCH", &format!("Users/{user}"), Some(&many))),
        (400, "tooMany".to_owned())
    );
    let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let answer = teller.send("POST", "Users", nested.into_bytes());
    assert_eq!(error(&answer), (400, "invalidSyntax".to_owned()));
}
