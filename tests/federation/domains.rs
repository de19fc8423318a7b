// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Domains that change hands, and those of tenants that are gone.

use std::thread;
use std::time::Duration;

use harness::{Engine, Files, Home, Role, World, on_both_engines};
use serde_json::json;

use super::house::{House, challenge, code, parameter, text};
use super::liar::Liar;

on_both_engines!(a_domain_goes_to_who_proves_it_once_its_tenant_cannot, a_tenant_that_is_gone_has_no_domain,);

fn a_domain_goes_to_who_proves_it_once_its_tenant_cannot(mut world: World) {
    let (house, liar) = (House::founded(&mut world), Liar::served());
    let create =
        ["providers", "create", "Own", "--issuer", liar.url(), "--client-id", "bailiwick", "--joins"];
    house.run(&create).json();
    house.proves("acme.example");
    let eve = world.machine();
    eve.sign_up();
    eve.run(["tenant", "create", "Eve's", "--json"]).json();
    let of_eve = |command: &str| eve.run(["tenant", "domains", command, "acme.example", "--json"]);
    let of_house = |command: &str| house.run(&["domains", command, "acme.example"]);
    let (own, hers) = (of_house("add").json(), of_eve("add").json());
    let (own, record, hers) = (text(&own["proof"]), text(&hers["record"]), text(&hers["proof"]));
    let has_it = || !house.run(&["domains", "list"]).json()["domains"][0]["verified_at"].is_null();
    let comes_in = || {
        let begun = house.begin(&json!({}));
        liar.expects(&parameter(&begun.url, "nonce").expect("a nonce"));
        let answer = house.finish(&begun, Some(liar.url()));
        (answer.status, code(&answer))
    };
    let by_domain = || {
        let body = json!({ "domain": "acme.example", "challenge": challenge("x") });
        house.post("/api/v1/signin/provider/start", &body).status
    };
    assert_eq!((comes_in().0, by_domain()), (200, 200));

    // As long as the tenant's own proof stands there, nobody else's counts.
    house.zone.write(&record, &[&hers, &own]);
    assert_eq!(of_eve("verify").refused(1).code, "conflict");
    assert!(has_it());

    // Whoever runs the domain now has it, and the one before is believed no more.
    house.zone.write(&record, &[&hers]);
    assert!(!of_eve("verify").json()["verified_at"].is_null());
    assert!(!has_it());
    assert_eq!(comes_in(), (403, "not_linked".to_owned()));
    assert_eq!(by_domain(), 404, "it leads to the other tenant, which has no provider");
    assert_eq!(of_house("verify").refused(1).code, "invalid_field");
    until(|| {
        let records = house.records(1, "maintenance.run");
        records.iter().any(|record| record["opened"]["after"]["proved"] == "by another tenant")
    });

    // It can come back the same way.
    house.zone.write(&record, &[&own]);
    of_house("verify").done();
    assert_eq!((comes_in().0, by_domain()), (200, 200));
    let listed = eve.run(["tenant", "domains", "list", "--json"]).json();
    assert!(listed["domains"][0]["verified_at"].is_null(), "{listed}");
    // Who has it no more frees nothing.
    of_eve("remove").done();
    assert_eq!(by_domain(), 200);

    // A tenant that removes it leaves it to others, whatever stands in the zone.
    of_house("remove").done();
    of_eve("add").done();
    house.zone.write(&record, &[&own, &hers]);
    of_eve("verify").done();
}

fn a_tenant_that_is_gone_has_no_domain(mut world: World) {
    let house = House::founded(&mut world);
    house.proves("acme.example");
    assert_eq!(directory(&world).rows("domain_claim", ["owner"]).len(), 1);
    house.run(&["delete", "--yes"]).done();
    // Thirty days later.
    world.stop();
    assert_eq!(rows(&world, &house).update("tenant_state", "delete_at = 1", "delete_at > 1"), 1);
    assert_eq!(directory(&world).update("customer", "changed_at = 1", "state = 'closing'"), 1);
    world.start();
    until(|| directory(&world).rows("customer", ["state"]) == [["gone".to_owned()]]);
    assert_eq!(directory(&world).rows("domain_claim", ["owner"]).len(), 0);
}

/// The rows of the only tenant.
fn rows(world: &World, house: &House) -> Home {
    match world.engine() {
        Engine::Sqlite => Home::File(
            Files::under(world.data()).with_table("tenant_state").pop().expect("the tenant's file"),
        ),
        Engine::Postgresql => {
            let id = uuid::Uuid::try_parse(house.tenant.trim_start_matches("ten_")).expect("a tenant's id");
            Home::Tenant(world.shared_database(), id.to_string())
        }
    }
}

/// The platform's own rows.
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
