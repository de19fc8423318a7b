// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Customers' tenants: a company with its organisations, people, roles and devices; who gets in, who is kept out, and how it ends.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use harness::{Engine, Files, Home, Machine, Outcome, Person, Request, Role, World, on_both_engines};
use serde_json::{Value, json};

on_both_engines!(
    who_runs_one_organisation_sees_and_changes_nothing_of_another,
    a_place_is_named_as_people_call_it_by_those_who_see_it,
    nobody_gives_or_takes_what_they_do_not_have,
    suspending_moving_and_removing_act_at_once_on_every_server,
    a_tenant_always_has_an_owner,
    an_invitation_lets_in_whom_it_is_for_once_and_while_the_inviter_may,
    guessing_at_invitations_is_slowed_down,
    a_suspended_tenant_stands_still_and_its_administrator_sees_nothing_of_it,
    a_deleted_tenant_can_be_taken_back_for_thirty_days_and_then_its_keys_are_gone,
    a_tenants_history_is_for_those_who_may_read_it_and_verifies,
    an_account_founds_so_many_tenants_and_no_more,
    tests_of_a_provider_that_is_silent_keep_nobody_waiting,
);

/// Somebody with a laptop.
struct Colleague {
    laptop: Machine,
    person: Person,
    account: String,
}

impl Colleague {
    fn new(world: &World) -> Self {
        let laptop = world.machine();
        let person = laptop.sign_up();
        let account = text(&laptop.run(["whoami", "--json"]).json(), "/account");
        Colleague { laptop, person, account }
    }

    /// `bailiwick tenant …`
    #[track_caller]
    fn tenant(&self, arguments: &[&str]) -> Outcome {
        self.laptop.run(["tenant"].iter().chain(arguments).chain(&["--json"]))
    }

    /// Founds a tenant.
    fn founds(&self, name: &str) -> String {
        text(&self.tenant(&["create", name, "--label", "Founder"]).json(), "/id")
    }

    fn organisation(&self, name: &str, arguments: &[&str]) -> String {
        let command: Vec<_> = ["organisations", "create", name].iter().chain(arguments).copied().collect();
        text(&self.tenant(&command).json(), "/id")
    }

    fn device(&self, own_id: &str, organisation: &str) -> String {
        text(&self.tenant(&["devices", "register", own_id, "--in", organisation]).json(), "/id")
    }

    /// A link for one, with roles.
    fn link(&self, label: &str, roles: &[&str]) -> String {
        let mut command = vec!["invitations", "create", "--label", label];
        for role in roles {
            command.extend(["--role", role]);
        }
        text(&self.tenant(&command).json(), "/link")
    }

    /// Lets somebody in.
    fn lets_in(&self, other: &Colleague, label: &str, roles: &[&str]) {
        other.tenant(&["join", &self.link(label, roles)]).done();
    }

    /// The own ids of the devices that one sees, in order.
    fn devices(&self) -> Vec<String> {
        let listed = self.tenant(&["devices", "list"]).json();
        let mut ids: Vec<_> =
            listed["devices"].as_array().unwrap().iter().map(|device| text(device, "/external_id")).collect();
        ids.sort();
        ids
    }

    fn token(&self) -> String {
        std::fs::read_to_string(self.laptop.config().join("session")).unwrap().trim().to_owned()
    }
}

fn who_runs_one_organisation_sees_and_changes_nothing_of_another(world: World) {
    let [ada, bea, cleo, eve] = [(); 4].map(|()| Colleague::new(&world));
    let tenant = ada.founds("Acme");
    let (north, south) = (ada.organisation("North", &[]), ada.organisation("South", &[]));
    ada.organisation("Town", &["--in", "North"]);
    let (_, far) = (ada.device("0004A30B001C0530", "Town"), ada.device("70B3D57ED0000001", "South"));
    ada.lets_in(&bea, "Bea", &["manager@North"]);
    ada.lets_in(&cleo, "Cleo", &[]);

    // She sees and runs hers, with all that is below it.
    assert_eq!(bea.devices(), ["0004A30B001C0530"]);
    bea.tenant(&["devices", "rename", "0004a30b001c0530", "the town's meter"]).done();
    bea.organisation("Village", &["--in", "North"]);
    bea.tenant(&["devices", "assign", "0004a30b001c0530", "--to", "Village"]).done();
    assert_eq!(ada.devices(), ["0004A30B001C0530", "70B3D57ED0000001"]);

    // Of the other she gets nothing: it is not there, and she may not.
    assert_eq!(bea.tenant(&["devices", "show", "70B3D57ED0000001"]).refused(1).code, "not_found");
    assert_eq!(bea.tenant(&["devices", "show", &far]).refused(1).code, "not_found");
    for change in [
        Request::new("PATCH", &format!("/api/v1/tenants/{tenant}/devices/{far}"))
            .json(&json!({ "name": "hers" })),
        Request::new("DELETE", &format!("/api/v1/tenants/{tenant}/devices/{far}")),
    ] {
        assert_eq!(change.bearer(&bea.token()).send(&world.url()).status, 404);
    }
    for forbidden in [
        vec!["devices", "register", "another", "--in", "South"],
        vec!["devices", "assign", "0004a30b001c0530", "--to", "South"],
        vec!["organisations", "create", "Hers", "--in", "South"],
        vec!["organisations", "rename", "South", "Hers"],
        vec!["organisations", "move", "South", "--to", "North"],
        vec!["organisations", "move", "North", "--to", "South"],
        vec!["organisations", "delete", "South"],
        vec!["organisations", "create", "Hers"],
        vec!["grants", "give", &cleo.account, "viewer", "--at", &south],
        vec!["grants", "list"],
        vec!["members", "list"],
        vec!["teams", "create", "Hers"],
        vec!["roles", "create", "Hers", "--actions", "device.read"],
        vec!["invitations", "create"],
        vec!["rename", "Hers"],
    ] {
        assert_eq!(bea.tenant(&forbidden).refused(5).code, "forbidden", "{forbidden:?}");
    }

    // In hers she says who looks, by name of the place.
    bea.tenant(&["grants", "give", &cleo.account, "viewer", "--at", "North"]).done();
    assert_eq!(cleo.devices(), ["0004A30B001C0530"]);
    let held = bea.tenant(&["grants", "list", "--at", &north]).json();
    assert_eq!(held["grants"].as_array().unwrap().len(), 2, "{held}");

    // A role on a single device is that device alone.
    ada.tenant(&["grants", "give", "Cleo", "operator", "--at", &far]).done();
    assert_eq!(cleo.devices(), ["0004A30B001C0530", "70B3D57ED0000001"]);
    cleo.tenant(&["devices", "rename", &far, "far away"]).done();
    assert_eq!(cleo.tenant(&["devices", "delete", &far]).refused(5).code, "forbidden");

    // Whoever is not in it gets what is not there.
    for path in ["", "/organisations", "/members", "/devices", "/grants", "/roles", "/teams", "/invitations"]
    {
        let ask = |tenant: &str| {
            let path = format!("/api/v1/tenants/{tenant}{path}");
            Request::new("GET", &path).bearer(&eve.token()).send(&world.url()).status
        };
        assert_eq!((ask(&tenant), ask(&harness::unique("ten_"))), (404, 404), "{path}");
    }
}

fn a_place_is_named_as_people_call_it_by_those_who_see_it(world: World) {
    let [ada, bea] = [(); 2].map(|()| Colleague::new(&world));
    let tenant = ada.founds("Acme");
    ada.organisation("North", &[]);
    let town = ada.organisation("Town", &[]);
    let (meter, far) = (ada.device("0004A30B001C0530", "North"), ada.device("70B3D57ED0000001", "Town"));
    ada.tenant(&["devices", "rename", &meter, "Pump 3"]).done();
    ada.lets_in(&bea, "Bea", &["viewer@North"]);

    assert_eq!(text(&ada.tenant(&["devices", "show", "Pump 3"]).json(), "/id"), meter);
    ada.tenant(&["grants", "give", "Bea", "viewer", "--at", "70b3d57ed0000001"]).done();
    ada.tenant(&["grants", "take", "Bea", "viewer", "--at", &far]).done();
    ada.tenant(&["grants", "give", "Bea", "operator", "--at", "Pump 3"]).done();
    let held = ada.tenant(&["grants", "list"]).json();
    let is_it = |grant: &Value| grant["place"] == json!(meter) && grant["role"] == "operator";
    assert!(held["grants"].as_array().unwrap().iter().any(is_it), "{held}");
    let why = |who: &Colleague, on: &str| {
        who.laptop.run(["why", "--what", "device.read", "--on", on, "--tenant", &tenant, "--json"])
    };
    for on in ["0004A30B001C0530", "Pump 3", "North"] {
        assert_eq!(why(&bea, on).json()["decision"], "allowed", "{on}");
    }
    // What she may not see has no name for her, whether it is there or not.
    for on in ["70B3D57ED0000001", "nowhere"] {
        let refused = why(&bea, on).refused(1);
        assert_eq!(refused.code, "not_found");
        let said = format!("there is no organisation or device {on:?} here that you may see");
        assert!(refused.document["message"].as_str().unwrap().contains(&said), "{refused:?}");
    }
    // Two of the same name are told apart by their ids; the other is where it was.
    ada.tenant(&["devices", "rename", &far, "Pump 3"]).done();
    assert_eq!(why(&ada, "Pump 3").refused(2).code, "wrong_usage");
    assert_eq!(ada.tenant(&["devices", "show", "Pump 3"]).refused(2).code, "wrong_usage");
    assert_eq!(ada.tenant(&["organisations", "move", "North", "--in", "Town"]).json()["parent"], json!(town));
    let second = ada.tenant(&["organisations", "create", "North", "--in", "Town"]).refused(1);
    assert_eq!((second.code.as_str(), &second.document["field"]), ("invalid_field", &json!("name")));
}

fn nobody_gives_or_takes_what_they_do_not_have(world: World) {
    let [ada, bea, cleo] = [(); 3].map(|()| Colleague::new(&world));
    ada.founds("Acme");
    let (north, _) = (ada.organisation("North", &[]), ada.organisation("South", &[]));
    ada.device("meter", "North");
    ada.lets_in(&bea, "Bea", &["admin"]);
    ada.lets_in(&cleo, "Cleo", &["manager@North"]);

    // An administrator makes no owners, and no roles of what owners do; takes nothing from an owner.
    for forbidden in [
        vec!["grants", "give", "Cleo", "owner"],
        vec!["grants", "give", "Bea", "owner"],
        vec!["roles", "create", "Mighty", "--actions", "device.read,tenant.delete"],
        vec!["invitations", "create", "--role", "owner"],
        vec!["members", "suspend", "Founder"],
        vec!["members", "remove", "Founder"],
        vec!["grants", "take", "Founder", "owner"],
        // Who audits changes nothing: it would take everything from the owner.
        vec!["grants", "give", "Founder", "auditor"],
        vec!["transfer", "Bea"],
        vec!["delete", "--yes"],
    ] {
        assert_eq!(bea.tenant(&forbidden).refused(5).code, "forbidden", "{forbidden:?}");
    }
    assert_eq!(ada.tenant(&["grants", "give", "Founder", "auditor"]).refused(1).code, "invalid_field");

    // Nor does she get there by a team, by changing a role that others hold, or by moving things to where she is more.
    bea.tenant(&["teams", "create", "Board"]).done();
    ada.tenant(&["roles", "create", "Keys", "--actions", "support.grant,device.read"]).done();
    ada.tenant(&["grants", "give", "Board", "Keys"]).done();
    assert_eq!(bea.tenant(&["teams", "add", "Board", "Bea"]).refused(5).code, "forbidden");
    assert_eq!(bea.tenant(&["teams", "delete", "Board"]).refused(5).code, "forbidden");
    assert_eq!(bea.tenant(&["roles", "delete", "Keys"]).refused(5).code, "forbidden");
    let change = ["roles", "change", "Keys", "--actions", "device.read"];
    assert_eq!(bea.tenant(&change).refused(5).code, "forbidden");
    ada.tenant(&["teams", "add", "Board", "Bea"]).done();

    // Somebody who may move organisations, and is a manager elsewhere only, does not move what is another's under themselves.
    ada.tenant(&["roles", "create", "Planner", "--actions", "organisation.write,device.write"]).done();
    ada.tenant(&["grants", "give", "Cleo", "Planner"]).done();
    ada.device("other", "South");
    assert_eq!(
        cleo.tenant(&["organisations", "move", "South", "--to", "North"]).refused(5).code,
        "forbidden"
    );
    let other = text(&ada.tenant(&["devices", "show", "other"]).json(), "/id");
    let assign = json!({ "organisation": north });
    let tenant = text(&ada.tenant(&["show"]).json(), "/id");
    let path = format!("/api/v1/tenants/{tenant}/devices/{other}");
    let answer = Request::new("PATCH", &path).json(&assign).bearer(&cleo.token()).send(&world.url());
    assert_eq!(answer.status, 403, "{}", answer.json());
    assert_eq!(cleo.devices(), ["meter"]);
    assert_eq!(
        ada.tenant(&["organisations", "move", "South", "--to", "North"]).json()["parent"],
        json!(north)
    );
    assert_eq!(cleo.devices(), ["meter", "other"]);
}

fn suspending_moving_and_removing_act_at_once_on_every_server(world: World) {
    let [ada, bea] = [(); 2].map(|()| Colleague::new(&world));
    let tenant = ada.founds("Acme");
    ada.organisation("North", &[]);
    ada.organisation("South", &[]);
    ada.organisation("Town", &["--in", "North"]);
    ada.device("meter", "Town");
    ada.lets_in(&bea, "Bea", &["viewer@North"]);

    // On PostgreSQL a second server works on the same rows, and has everything in memory before it changes.
    let other = (world.engine() == Engine::Postgresql).then(|| {
        let mut other = world.beside();
        other.start();
        other
    });
    let servers: Vec<String> =
        [Some(world.url()), other.as_ref().map(World::url)].into_iter().flatten().collect();
    let token = bea.token();
    let sees = || -> Vec<(u16, Value)> {
        let path = format!("/api/v1/tenants/{tenant}/devices");
        let ask = |server: &String| {
            let answer = Request::new("GET", &path).bearer(&token).send(server);
            let body = answer.json();
            let said = match answer.status {
                200 => json!(body["devices"].as_array().unwrap().len()),
                _ => body["code"].clone(),
            };
            (answer.status, said)
        };
        servers.iter().map(ask).collect()
    };
    let all = |status: u16, said: Value| vec![(status, said); servers.len()];

    assert_eq!(sees(), all(200, json!(1)));
    for _ in 0..2 {
        ada.tenant(&["members", "suspend", "Bea", "--reason", "on holiday"]).done();
        assert_eq!(sees(), all(403, json!("suspended")));
        let listed = bea.tenant(&["list"]).json();
        assert_eq!(listed, json!({ "tenants": [], "suspended_in": [tenant] }), "she is told");
        ada.tenant(&["members", "resume", "Bea"]).done();
        assert_eq!(sees(), all(200, json!(1)));
        ada.tenant(&["organisations", "move", "Town", "--to", "South"]).done();
        assert_eq!(sees(), all(200, json!(0)));
        ada.tenant(&["organisations", "move", "Town", "--to", "North"]).done();
        assert_eq!(sees(), all(200, json!(1)));
        ada.tenant(&["grants", "take", "Bea", "viewer", "--at", "North"]).done();
        assert_eq!(sees(), all(403, json!("forbidden")));
        ada.tenant(&["grants", "give", "Bea", "viewer", "--at", "North"]).done();
    }
    ada.tenant(&["members", "remove", "Bea"]).done();
    assert_eq!(sees(), all(404, json!("not_found")));
    assert_eq!(bea.tenant(&["list"]).entries(), Vec::<Value>::new());
}

fn a_tenant_always_has_an_owner(world: World) {
    let [ada, bea] = [(); 2].map(|()| Colleague::new(&world));
    let tenant = ada.founds("Acme");
    ada.lets_in(&bea, "Bea", &["viewer"]);
    for refused in [
        vec!["leave"],
        vec!["members", "remove", "Founder"],
        vec!["members", "suspend", "Founder"],
        vec!["grants", "take", "Founder", "owner"],
    ] {
        assert_eq!(ada.tenant(&refused).refused(1).code, "last_owner", "{refused:?}");
    }
    let delete = Request::new("DELETE", "/api/v1/account").bearer(&ada.token()).send(&world.url());
    assert_eq!((delete.status, delete.json()["code"].clone()), (409, json!("last_owner")));
    // A suspended owner counts for none.
    ada.tenant(&["grants", "give", "Bea", "owner"]).done();
    ada.tenant(&["members", "suspend", "Bea"]).done();
    assert_eq!(ada.tenant(&["leave"]).refused(1).code, "last_owner");
    ada.tenant(&["members", "resume", "Bea"]).done();
    ada.tenant(&["grants", "take", "Bea", "owner"]).done();

    ada.tenant(&["transfer", "Bea"]).done();
    assert_eq!(ada.tenant(&["members", "list"]).refused(5).code, "forbidden");
    ada.tenant(&["leave"]).done();
    assert_eq!(ada.tenant(&["show", "--tenant", &tenant]).refused(1).code, "not_found");
    let owners = bea.tenant(&["grants", "list"]).json();
    assert_eq!(owners["grants"].as_array().unwrap().len(), 2, "{owners}");
    assert_eq!(bea.tenant(&["leave"]).refused(1).code, "last_owner");
}

fn an_invitation_lets_in_whom_it_is_for_once_and_while_the_inviter_may(world: World) {
    let [ada, bea, cleo, dan, eve] = [(); 5].map(|()| Colleague::new(&world));
    let tenant = ada.founds("Acme");
    let over = |who: &Colleague, link: &str| {
        assert_eq!(who.tenant(&["join", link, "--label", "Me"]).refused(1).code, "invitation_over");
    };

    // By mail: for the account of that address alone, whoever has the letter.
    let mailed =
        ada.tenant(&["invitations", "create", "--email", &bea.person.email, "--role", "admin"]).json();
    assert_eq!(mailed["link"], Value::Null, "what was mailed is not shown");
    let link = letter_to(&world, &bea.person.email);
    over(&eve, &link);
    bea.tenant(&["join", &link, "--label", "Bea"]).done();
    over(&eve, &link);
    // Again by who has joined: nothing more happens.
    bea.tenant(&["join", &link]).done();
    assert_eq!(bea.tenant(&["members", "list"]).entries().len(), 2);

    // By a link: once, not by who has it too, and not when it was taken back.
    let link = ada.link("Cleo", &["viewer"]);
    cleo.tenant(&["join", &link]).done();
    over(&eve, &link);
    assert_eq!(bea.tenant(&["join", &ada.link("Bea", &[])]).refused(1).code, "conflict");
    let made = ada.tenant(&["invitations", "create", "--label", "Eve"]).json();
    ada.tenant(&["invitations", "revoke", &text(&made, "/invitation/id")]).done();
    over(&eve, &text(&made, "/link"));
    // Nobody comes back by the link that they came by.
    let many = ada.tenant(&["invitations", "create", "--uses", "5", "--label", "Guest"]).json();
    eve.tenant(&["join", &text(&many, "/link")]).done();
    ada.tenant(&["members", "remove", &eve.account]).done();
    over(&eve, &text(&many, "/link"));

    // One whose time is over.
    let old = ada.link("Dan", &[]);
    assert!(
        rows(&world, &tenant).update("invitation", "expires_at = created_at + 1", "revoked_at IS NULL") > 0
    );
    over(&dan, &old);

    // The secret of one tenant under the name of another.
    let hers = dan.founds("Other");
    let token = ada.link("Dan", &[]);
    over(&dan, &format!("bwi_{}", swapped(&token, &hers)));
    over(&dan, "bwi_");

    // Who lost a role invites nobody to it.
    let from_bea = bea.link("Dan", &["admin"]);
    ada.tenant(&["grants", "take", "Bea", "admin"]).done();
    over(&dan, &from_bea);
    ada.tenant(&["grants", "give", "Bea", "admin"]).done();
    ada.tenant(&["members", "suspend", "Bea"]).done();
    over(&dan, &from_bea);
    ada.tenant(&["members", "resume", "Bea"]).done();
    dan.tenant(&["join", &from_bea, "--label", "not mine to say"]).done();
    let label = ada.tenant(&["members", "show", &dan.account]).json();
    assert_eq!(label["label"], "Dan", "the invitation says it");

    // The address is nowhere in the clear.
    let listed = ada.tenant(&["invitations", "list"]).json().to_string();
    assert!(listed.contains(&bea.person.email), "{listed}");
    let stored = rows(&world, &tenant).rows("invitation", ["sealed_email", "email_index"]);
    let plain = data_encoding::HEXLOWER.encode(bea.person.email.as_bytes());
    assert!(stored.iter().flatten().all(|value| !value.contains(&plain)));
}

fn guessing_at_invitations_is_slowed_down(world: World) {
    let [ada, eve] = [(); 2].map(|()| Colleague::new(&world));
    ada.founds("Acme");
    let mut link = ada.link("Eve", &[]);
    let good = link.clone();
    link.truncate(link.len() - 4);
    let token = link.split_once("#invite=").unwrap().1.to_owned();
    let mut statuses = Vec::new();
    for guess in 0..40 {
        let body = json!({ "token": format!("{token}{guess:04}") });
        let answer = Request::new("POST", "/api/v1/invitations/join").json(&body).bearer(&eve.token());
        statuses.push(answer.send(&world.url()).status);
    }
    assert!(statuses.starts_with(&[410; 8]), "{statuses:?}");
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    let body = json!({ "token": good.split_once("#invite=").unwrap().1 });
    let answer = Request::new("POST", "/api/v1/invitations/join").json(&body).bearer(&eve.token());
    assert_eq!(
        answer.send(&world.url()).status,
        429,
        "also with the right one: a guess is not told by its answer"
    );
}

fn a_suspended_tenant_stands_still_and_its_administrator_sees_nothing_of_it(mut world: World) {
    let [ada, root] = [(); 2].map(|()| Colleague::new(&world));
    let tenant = ada.founds("Acme");
    assert_eq!(root.tenant(&["suspend", &tenant, "--reason", "x"]).refused(5).code, "forbidden");
    assert_eq!(ada.tenant(&["suspend", &tenant, "--reason", "x"]).refused(5).code, "forbidden");
    assert_eq!(root.tenant(&["list", "--all"]).refused(5).code, "forbidden");
    world.stop();
    let granted = world.command("admin grant").arg(&root.account).arg("administrator").output().unwrap();
    assert!(granted.status.success(), "{granted:?}");
    world.start();

    let listed = root.tenant(&["list", "--all"]).json();
    assert_eq!(listed["tenants"][0]["id"], json!(tenant));
    assert!(!listed.to_string().contains("Acme"), "no names: {listed}");
    root.tenant(&["suspend", &tenant, "--reason", "unpaid"]).done();
    assert_eq!(
        root.tenant(&["suspend", &format!("ten_{}", "0".repeat(32)), "--reason", "x"]).refused(1).code,
        "not_found"
    );
    for refused in
        [vec!["members", "list"], vec!["organisations", "create", "North"], vec!["devices", "list"]]
    {
        assert_eq!(ada.tenant(&refused).refused(5).code, "tenant_suspended", "{refused:?}");
    }
    assert_eq!(ada.tenant(&["show"]).json()["state"], "suspended");
    // Its owner neither deletes it nor talks it back to life.
    assert_eq!(ada.tenant(&["delete", "--yes"]).refused(1).code, "conflict");
    assert_eq!(ada.tenant(&["restore"]).refused(1).code, "conflict");
    // An administrator of the platform is a stranger to it all the same.
    assert_eq!(root.tenant(&["show", "--tenant", &tenant]).refused(1).code, "not_found");
    assert_eq!(root.tenant(&["members", "list", "--tenant", &tenant]).refused(1).code, "not_found");

    root.tenant(&["resume", &tenant]).done();
    ada.organisation("North", &[]);
    let mut found = None;
    until(|| {
        let log = ada.laptop.run(["log", "--tenant", &tenant, "--json"]).entries();
        found = log.into_iter().find(|record| record["action"] == "tenant.suspend");
        found.is_some()
    });
    let suspended = found.expect("its record");
    assert_eq!(suspended["opened"]["reason"], "unpaid");
    assert_eq!(suspended["opened"]["after"]["by"], json!(root.account));
}

fn a_deleted_tenant_can_be_taken_back_for_thirty_days_and_then_its_keys_are_gone(mut world: World) {
    let ada = Colleague::new(&world);
    let tenant = ada.founds("Acme");
    ada.organisation("North", &[]);
    let closing = ada.tenant(&["delete", "--yes"]).json();
    assert_eq!(closing["state"], "closing");
    let closed = ada.tenant(&["organisations", "list"]).refused(5);
    assert_eq!(closed.code, "tenant_suspended");
    let said = closed.document["message"].to_string();
    assert!(said.contains("to be deleted") && !said.contains("suspended"), "{said}");
    assert_eq!(ada.tenant(&["restore"]).json()["state"], "live");
    assert_eq!(ada.tenant(&["organisations", "list"]).entries().len(), 2);

    assert_eq!(ada.tenant(&["delete", "Nobody's", "--yes"]).refused(1).code, "not_found");
    let deleted = ada.tenant(&["delete", "Acme", "--yes"]).json();
    assert!(deleted["delete_at"].as_i64().unwrap() > 0, "{deleted}");
    world.restart();
    assert_eq!(ada.tenant(&["show"]).json()["state"], "closing", "before its time nothing happens");
    // Thirty days later.
    world.stop();
    assert_eq!(rows(&world, &tenant).update("tenant_state", "delete_at = 1", "delete_at > 1"), 1);
    assert_eq!(directory(&world).update("customer", "changed_at = 1", "state = 'closing'"), 1);
    world.start();
    until(|| ada.tenant(&["list"]).entries().is_empty());
    assert_eq!(ada.tenant(&["show", "--tenant", &tenant]).refused(1).code, "not_found");
    let keys = rows(&world, &tenant).rows("tenant_key", ["sealed"]);
    assert!(!keys.is_empty() && keys.iter().all(|[sealed]| sealed.is_empty()), "{keys:?}");
    until(|| directory(&world).rows("customer", ["state"]) == [["gone".to_owned()]]);
    assert_eq!(rows(&world, &tenant).rows("member", ["state"]).len(), 0);
}

fn a_tenants_history_is_for_those_who_may_read_it_and_verifies(world: World) {
    let [ada, bea, cleo, eve] = [(); 4].map(|()| Colleague::new(&world));
    let tenant = ada.founds("Acme");
    ada.lets_in(&bea, "Bea", &["auditor"]);
    ada.lets_in(&cleo, "Cleo", &["manager"]);
    ada.organisation("North", &[]);
    ada.tenant(&["organisations", "rename", "North", "Far North"]).done();

    let log = |who: &Colleague| who.laptop.run(["log", "--tenant", &tenant, "--json"]);
    until(|| {
        log(&ada).entries().iter().filter(|record| record["action"] == "organisation.write").count() == 2
    });
    for reader in [&ada, &bea] {
        let records = log(reader).entries();
        let renamed = records.iter().rfind(|record| record["action"] == "organisation.write").unwrap();
        assert_eq!(
            renamed["opened"],
            json!({ "before": { "name": "North" }, "after": { "name": "Far North" } })
        );
        assert_eq!(renamed["actor"], json!(ada.account));
        let verified = reader.laptop.run(["verify", "--tenant", &tenant, "--json"]).json();
        assert_eq!(verified["verified"], true, "{verified}");
        assert_eq!(verified["records"].as_u64().unwrap(), records.len() as u64);
    }
    // An auditor reads, and changes nothing.
    assert_eq!(bea.tenant(&["organisations", "create", "Mine"]).refused(5).code, "forbidden");
    // A manager runs it, and does not read what others did; to whoever is not in it there is nothing.
    assert_eq!(log(&cleo).refused(5).code, "forbidden");
    assert_eq!(log(&eve).refused(1).code, "not_found");
    // What the records say is sealed where they are kept.
    let plain = data_encoding::HEXLOWER.encode(b"Far North");
    let stored = rows(&world, &tenant).rows("record", ["details"]);
    assert!(stored.iter().flatten().all(|details| !details.contains(&plain)));
}

fn an_account_founds_so_many_tenants_and_no_more(mut world: World) {
    world.set("BAILIWICK_TENANTS_PER_ACCOUNT", "2");
    world.restart();
    let [ada, bea, cleo, root] = [(); 4].map(|()| Colleague::new(&world));
    let more = |who: &Colleague| who.tenant(&["create", "One more", "--label", "Founder"]);
    // Who is let in by others, as whatever, has founded nothing by that.
    bea.founds("Bea's");
    bea.lets_in(&ada, "Ada", &["owner"]);
    let first = ada.founds("First");
    ada.founds("Second");
    let refused = more(&ada).refused(1);
    assert_eq!(refused.code, "conflict");
    assert!(refused.document.to_string().contains("at most 2 tenants"), "{refused:?}");
    // One that can be taken back counts.
    ada.tenant(&["delete", "--yes", "--tenant", &first]).done();
    assert_eq!(more(&ada).refused(1).code, "conflict");
    bea.founds("Bea's other");

    // Those that are founded at the same time count too.
    let (url, token) = (world.url(), cleo.token());
    let found = || {
        let new = json!({ "name": "Cleo's", "label": "Cleo" });
        let request = Request::new("POST", "/api/v1/tenants").json(&new).bearer(&token);
        request.patience(Duration::from_secs(30)).send(&url).status
    };
    let mut statuses: Vec<u16> = thread::scope(|scope| {
        let asked: Vec<_> = (0..5).map(|_| scope.spawn(found)).collect();
        asked.into_iter().map(|one| one.join().expect("an answer")).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 201, 409, 409, 409]);

    // Where nobody founds tenants, those who run the platform do.
    world.stop();
    let granted = world.command("admin grant").arg(&root.account).arg("administrator").output().unwrap();
    assert!(granted.status.success(), "{granted:?}");
    world.set("BAILIWICK_TENANTS_PER_ACCOUNT", "0");
    world.start();
    assert_eq!(more(&bea).refused(5).code, "forbidden");
    for _ in 0..3 {
        more(&root).done();
    }
}

fn tests_of_a_provider_that_is_silent_keep_nobody_waiting(mut world: World) {
    world.set("BAILIWICK_PROVIDER_NETWORKS", "127.0.0.0/8");
    world.restart();
    let ada = Colleague::new(&world);
    let tenant = ada.founds("Acme");
    let provider = |name: &str, issuer: &str| {
        let create = ["providers", "create", name, "--issuer", issuer, "--client-id", "bailiwick"];
        text(&ada.tenant(&create).json(), "/id")
    };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (quiet, away, good) = (
        provider("Quiet", &format!("http://{}", silent.local_addr().unwrap())),
        provider("Away", &format!("http://{closed}")),
        provider("Good", &provider_with_metadata()),
    );
    let (url, token) = (world.url(), ada.token());
    let test = |provider: &str| {
        let path = format!("/api/v1/tenants/{tenant}/providers/{provider}/test");
        Request::new("POST", &path).bearer(&token).patience(Duration::from_secs(30)).send(&url).status
    };
    let mut statuses: Vec<u16> = thread::scope(|scope| {
        let tests: Vec<_> = (0..4).map(|_| scope.spawn(|| test(&quiet))).collect();
        let asked = silent.accept().expect("it is asked");
        let start = json!({ "tenant": tenant, "provider": good, "challenge": "A".repeat(43) });
        let start = Request::new("POST", "/api/v1/signin/provider/start").json(&start);
        let begun = start.patience(Duration::from_secs(30)).send(&url);
        assert_eq!(begun.status, 200, "{}", begun.json());
        let statuses = tests.into_iter().map(|one| one.join().expect("an answer")).collect();
        drop(asked);
        statuses
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [502, 503, 503, 503], "one at a time");
    silent.set_nonblocking(true).unwrap();
    assert!(silent.accept().is_err(), "it was asked once");

    // A test that succeeds costs nothing; who has those asked who do not answer waits.
    let statuses: Vec<u16> = (0..12).map(|_| test(&away)).collect();
    assert!(statuses.starts_with(&[502; 7]), "{statuses:?}");
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
}

/// Serves what a provider says of itself, and nothing else; where.
fn provider_with_metadata() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let metadata = json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/jwks"),
    });
    let body = metadata.to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length:";
    let answer = format!("{head} {}\r\n\r\n{body}", body.len());
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let Ok(1..) = stream.read(&mut [0; 8_192]) else { continue };
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
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

/// The directory's rows.
fn directory(world: &World) -> Home {
    match world.engine() {
        Engine::Sqlite => {
            Home::File(Files::under(world.data()).with_table("customer").pop().expect("the directory"))
        }
        Engine::Postgresql => {
            let database = world.shared_database();
            let tenant = database.rows(Role::Superuser, "SELECT DISTINCT tenant FROM customer").remove(0);
            Home::Tenant(database, tenant)
        }
    }
}

/// The link in the newest letter to this address.
fn letter_to(world: &World, address: &str) -> String {
    let mut link = None;
    until(|| {
        // Lines that are too long for mail are broken, and what breaks them is written otherwise (RFC 2045, section 6.7).
        let read = |letter: &String| letter.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=");
        let letters: Vec<String> = world.letters().iter().map(read).collect();
        let letter = letters.iter().rfind(|letter| letter.contains(address) && letter.contains("#invite="));
        let word = |letter: &String| {
            letter.split_whitespace().find(|word| word.contains("/#invite=")).map(str::to_owned)
        };
        link = letter.and_then(word);
        link.is_some()
    });
    link.expect("a link")
}

/// The secret of a link behind another tenant's id.
fn swapped(link: &str, tenant: &str) -> String {
    let token = link.split_once("#invite=bwi_").expect("a token").1;
    let mut bytes = data_encoding::BASE64URL_NOPAD.decode(token.as_bytes()).expect("base64url");
    let id = uuid::Uuid::try_parse(tenant.trim_start_matches("ten_")).expect("a tenant's id");
    bytes[..16].copy_from_slice(id.as_bytes());
    data_encoding::BASE64URL_NOPAD.encode(&bytes)
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
