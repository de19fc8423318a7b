// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An account that the platform's administrator suspends: it does nothing from its next request on, by no way in, in no
//! tenant, on no server; and everything is as it was once that is over.

use std::time::{Duration, Instant};

use harness::{Engine, Factor, Machine, Person, Request, World, on_both_engines};
use serde_json::{Value, json};

use crate::strangers::session_token;

on_both_engines!(
    a_suspended_account_does_nothing_anywhere_until_that_is_over,
    the_platforms_history_says_what_was_done,
    nobody_but_an_administrator_suspends_and_nobody_themselves,
);

/// Somebody with a laptop.
fn somebody(world: &World) -> (Machine, Person, String) {
    let laptop = world.machine();
    let person = laptop.sign_up();
    let account = laptop.run(["whoami", "--json"]).json()["account"].as_str().unwrap().to_owned();
    (laptop, person, account)
}

/// An administrator of the platform.
fn administrator(world: &mut World) -> (Machine, String) {
    let (machine, _, account) = somebody(world);
    world.stop();
    let granted = world.command("admin grant").arg(&account).arg("administrator").output().unwrap();
    assert!(granted.status.success(), "{granted:?}");
    world.start();
    (machine, account)
}

fn a_suspended_account_does_nothing_anywhere_until_that_is_over(mut world: World) {
    let (root, root_id) = administrator(&mut world);
    let (laptop, person, account) = somebody(&world);
    let file = laptop.scratch("file");
    std::fs::write(&file, b"what she keeps").unwrap();
    laptop.put(&file, "file").done();
    let key = laptop
        .run(["api-keys", "create", "--no-unlock", "--scopes", "collection.list,tenant.read", "--json"])
        .json();
    let token = session_token(&laptop);
    let access_token = laptop.run(["token", "--json"]).json()["access_token"].as_str().unwrap().to_owned();
    let tenant = laptop.run(["tenant", "create", "Acme", "--label", "Ada", "--json"]).json();
    let tenant = tenant["id"].as_str().unwrap().to_owned();
    // On PostgreSQL, by another server too.
    let beside = (world.engine() == Engine::Postgresql).then(|| {
        let mut beside = world.beside();
        beside.start();
        beside
    });
    let servers: Vec<String> =
        std::iter::once(world.url()).chain(beside.as_ref().map(|beside| beside.url())).collect();
    let answers = |server: &str, path: &str, token: &str| {
        let answer = Request::new("GET", path).bearer(token).send(server);
        let code = if answer.status == 200 { Value::Null } else { answer.json()["code"].clone() };
        (answer.status, code)
    };
    let api_key = key["api_key"].as_str().unwrap();
    let ways = || {
        // An access token is for the server that made it.
        let mut found = vec![answers(&servers[0], "/api/v1/collections", &access_token)];
        for server in &servers {
            for token in [token.as_str(), api_key] {
                found.push(answers(server, "/api/v1/collections", token));
            }
            found.push(answers(server, &format!("/api/v1/tenants/{tenant}"), &token));
        }
        found
    };
    assert!(ways().iter().all(|(status, _)| *status == 200), "{:?}", ways());

    root.run(["accounts", "suspend", &account, "--reason", "abuse", "--json"]).done();
    assert!(ways().iter().all(|way| *way == (403, json!("suspended"))), "{:?}", ways());
    let standing = root.run(["accounts", "show", &account, "--json"]).json();
    assert!(standing["suspended_since"].is_i64(), "{standing}");
    assert_eq!((&standing["state"], &standing["reason"]), (&json!("suspended"), &json!("abuse")));
    let said = root.run(["accounts", "show", &account]).done().stdout;
    assert!(said.contains("is suspended since") && said.contains("abuse"), "{said}");
    assert_eq!(root.run(["accounts", "show", &person.account_id, "--json"]).json(), standing);
    for refused in [vec!["ls", "--json"], vec!["tenant", "list", "--json"], vec!["sessions", "--json"]] {
        assert_eq!(laptop.run(&refused).refused(5).code, "suspended", "{refused:?}");
    }
    // Who knows the password alone is not told; the owner is, and gets no session.
    let elsewhere = world.machine();
    let wrong = Factor::Otp("000000".to_owned());
    let guess = elsewhere.sign_in_with(&person, &person.password.borrow(), &wrong);
    assert_eq!(guess.refused(4).code, "invalid_credentials");
    assert_eq!(elsewhere.sign_in(&person).refused(5).code, "suspended");

    root.run(["accounts", "resume", &person.account_id.to_lowercase(), "--json"]).done();
    assert!(ways().iter().all(|(status, _)| *status == 200), "{:?}", ways());
    let live = root.run(["accounts", "show", &account, "--json"]).json();
    assert_eq!(live, json!({ "account": account, "state": "live" }));
    let copy = laptop.scratch("copy");
    laptop.get("file", &copy).done();
    assert_eq!(std::fs::read(copy).unwrap(), b"what she keeps");
    elsewhere.sign_in(&person).done();
    // She reads who did it and why, in her own history.
    laptop.verified_records();
    let records = laptop.log();
    let suspended: Vec<_> = records.iter().filter(|record| record["action"] == "account.suspend").collect();
    assert_eq!(suspended.len(), 2, "{records:?}");
    assert_eq!(suspended[0]["opened"]["reason"], "abuse");
    assert_eq!(suspended[0]["opened"]["after"], json!({ "suspended": true, "by": root_id }));
}

fn the_platforms_history_says_what_was_done(mut world: World) {
    let (root, root_id) = administrator(&mut world);
    let (laptop, _, account) = somebody(&world);
    world.stop();
    for command in ["admin grant", "admin grant", "admin revoke"] {
        let done = world.command(command).args([&account, "auditor"]).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }
    world.start();
    let tenant = laptop.run(["tenant", "create", "Acme", "--json"]).json()["id"].as_str().unwrap().to_owned();
    root.run(["accounts", "suspend", &account, "--reason", "abuse", "--json"]).done();
    root.run(["accounts", "resume", &account, "--json"]).done();
    root.run(["tenant", "suspend", &tenant, "--reason", "unpaid", "--json"]).done();
    root.run(["tenant", "resume", &tenant, "--json"]).done();

    let said = |records: &[Value], action: &str, of: &str| -> Vec<Value> {
        let by = |record: &&Value| record["action"] == action && record["subject"] == of;
        records.iter().filter(by).map(|record| record["opened"].clone()).collect()
    };
    let begun = Instant::now();
    let records = loop {
        let records = root.run(["log", "--platform", "--json"]).entries();
        if said(&records, "tenant.suspend", &tenant).len() == 2 {
            break records;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{records:?}");
    };
    // What was so already is not said again.
    assert_eq!(said(&records, "platform_role.grant", &account), [json!({ "after": { "role": "auditor" } })]);
    assert_eq!(
        said(&records, "platform_role.revoke", &account),
        [json!({ "before": { "role": "auditor" } })]
    );
    let made = said(&records, "platform_role.grant", &root_id);
    assert_eq!(made, [json!({ "after": { "role": "administrator" } })]);
    let (free, held) = (json!({ "suspended": false }), json!({ "suspended": true }));
    assert_eq!(
        said(&records, "account.suspend", &account),
        [
            json!({ "before": free, "after": held, "reason": "abuse" }),
            json!({ "before": held, "after": free })
        ]
    );
    let (live, suspended) = (json!({ "state": "live" }), json!({ "state": "suspended" }));
    assert_eq!(
        said(&records, "tenant.suspend", &tenant),
        [
            json!({ "before": live, "after": suspended, "reason": "unpaid" }),
            json!({ "before": suspended, "after": live }),
        ]
    );
    let people = root.run(["log", "--platform"]).done().stdout;
    assert!(people.contains("suspended {") && people.contains("resumed {"), "{people}");
    // It verifies, for those who may read it.
    assert_eq!(root.run(["verify", "--platform", "--json"]).json()["verified"], json!(true));
    assert_eq!(laptop.run(["log", "--platform", "--json"]).refused(5).code, "forbidden");
    assert_eq!(laptop.run(["verify", "--platform", "--json"]).refused(5).code, "forbidden");
}

fn nobody_but_an_administrator_suspends_and_nobody_themselves(mut world: World) {
    let (root, root_id) = administrator(&mut world);
    let (laptop, _, account) = somebody(&world);
    let suspend = |machine: &Machine, account: &str| {
        machine.run(["accounts", "suspend", account, "--reason", "x", "--json"])
    };
    assert_eq!(suspend(&laptop, &root_id).refused(5).code, "forbidden");
    assert_eq!(suspend(&laptop, &account).refused(5).code, "forbidden");
    assert_eq!(laptop.run(["accounts", "show", &root_id, "--json"]).refused(5).code, "forbidden");
    assert_eq!(laptop.run(["accounts", "resume", &root_id, "--json"]).refused(5).code, "forbidden");
    assert_eq!(suspend(&root, &root_id).refused(1).code, "conflict");
    let nobody = format!("acc_{}", "0".repeat(32));
    assert_eq!(suspend(&root, &nobody).refused(1).code, "not_found");
    let unknown = root.run(["accounts", "show", "2222222"]);
    assert!(unknown.to_string().contains("there is no account 2222222"), "{unknown}");
    assert_eq!(suspend(&root, "7KQ3MXA").refused(2).code, "wrong_usage", "no number has an A");
    laptop.run(["whoami", "--json"]).done();
}
