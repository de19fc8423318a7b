// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Programs of a tenant's, and operators whom it lets in.

use harness::{Exchange, Machine, Request, World, on_both_engines};
use serde_json::{Value, json};

on_both_engines!(
    a_service_account_does_what_its_roles_and_its_key_say,
    a_service_account_is_named_wherever_somebody_is_named,
    a_key_ends_at_once_with_its_account_or_by_itself,
    a_support_grant_opens_what_it_says_until_it_ends,
);

fn tenant(machine: &Machine) -> String {
    text(&machine.run(["tenant", "create", "Acme", "--json"]).json()["id"])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a string: {value}")).to_owned()
}

fn get(world: &World, path: &str, bearer: &str) -> Exchange {
    Request::new("GET", path).bearer(bearer).send(&world.url())
}

fn code(answer: &Exchange) -> String {
    text(&serde_json::from_slice::<Value>(&answer.response).unwrap_or_default()["code"])
}

/// A service account with a key: its id, the key's id, the key.
fn service(machine: &Machine, key: &[&str]) -> (String, String, String) {
    let made = machine.run(["tenant", "service-accounts", "create", "nightly", "--json"]).json();
    let account = text(&made["id"]);
    let arguments = ["tenant", "service-accounts", "create-key", &account, "--json"];
    let made = machine.run(arguments.iter().chain(key).copied()).json();
    (account, text(&made["id"]), text(&made["key"]))
}

fn a_service_account_does_what_its_roles_and_its_key_say(world: World) {
    let owner = world.machine();
    owner.sign_up();
    let tenant = tenant(&owner);
    let (account, _, wide) = service(&owner, &[]);
    let narrow = text(
        &owner
            .run(["tenant", "service-accounts", "create-key", &account, "--scopes", "member.read", "--json"])
            .json()["key"],
    );
    let members = format!("/api/v1/tenants/{tenant}/members");
    let devices = format!("/api/v1/tenants/{tenant}/devices");

    // Without a role it may nothing.
    let refused = get(&world, &members, &wide);
    assert_eq!((refused.status, code(&refused)), (403, "forbidden".to_owned()));
    owner.run(["tenant", "grants", "give", &account, "auditor", "--json"]).done();
    assert_eq!(get(&world, &members, &wide).status, 200);
    assert_eq!(get(&world, &devices, &wide).status, 200);
    // A key's scopes are a ceiling.
    assert_eq!(get(&world, &members, &narrow).status, 200);
    assert_eq!(get(&world, &devices, &narrow).status, 403);

    // It is nothing outside its tenant: not in another, not in a home, not on the platform.
    let other = text(&owner.run(["tenant", "create", "Other", "--json"]).json()["id"]);
    assert_eq!(get(&world, &format!("/api/v1/tenants/{other}/members"), &wide).status, 404);
    for path in ["/api/v1/account", "/api/v1/collections", "/api/v1/sessions", "/api/v1/tenants"] {
        assert_eq!(get(&world, path, &wide).status, 401, "{path}");
    }
    assert!(!world.log().contains(&wide), "no key is in the log");
    let listed =
        owner.run(["tenant", "service-accounts", "keys", &account, "--tenant", &tenant, "--json"]).json();
    assert_eq!(listed["keys"].as_array().map(Vec::len), Some(2), "{listed}");
}

fn a_service_account_is_named_wherever_somebody_is_named(world: World) {
    let owner = world.machine();
    owner.sign_up();
    tenant(&owner);
    let (account, _, _) = service(&owner, &[]);
    let given = owner.run(["tenant", "grants", "give", "nightly", "auditor", "--json"]).json();
    assert_eq!(given["holder"], account.as_str());
    let why = owner.run(["why", "--who", "nightly", "--what", "member.read", "--json"]).json();
    assert_eq!((&why["who"], &why["decision"]), (&json!(account), &json!("allowed")));
    let create = ["tenant", "clients", "create", "Reports", "--grants", "client_credentials", "--json"];
    let scopes = ["--scopes", "member.read", "--service-account"];
    let named = |name: &str| owner.run(create.iter().copied().chain(scopes).chain([name]));
    assert_eq!(named("nightly").json()["service_account"], account.as_str());
    assert_eq!(named("nobody").refused(1).code, "not_found");
    assert_eq!(
        owner.run(["tenant", "grants", "give", "nobody", "auditor", "--json"]).refused(1).code,
        "not_found"
    );

    // People read names, and programs ids.
    let listed = owner.run(["tenant", "grants"]).done().stdout;
    assert!(listed.contains("nightly") && !listed.contains(&account), "{listed}");
}

fn a_key_ends_at_once_with_its_account_or_by_itself(world: World) {
    let owner = world.machine();
    owner.sign_up();
    let tenant = tenant(&owner);
    let path = format!("/api/v1/tenants/{tenant}");
    let (account, key, token) = service(&owner, &[]);
    owner.run(["tenant", "grants", "give", &account, "auditor", "--json"]).done();
    assert_eq!(get(&world, &path, &token).status, 200);

    owner.run(["tenant", "service-accounts", "suspend", &account, "--json"]).done();
    let refused = get(&world, &path, &token);
    assert_eq!((refused.status, code(&refused)), (403, "suspended".to_owned()));
    owner.run(["tenant", "service-accounts", "resume", &account, "--json"]).done();
    assert_eq!(get(&world, &path, &token).status, 200);

    owner.run(["tenant", "service-accounts", "revoke-key", &account, &key, "--json"]).done();
    let refused = get(&world, &path, &token);
    assert_eq!((refused.status, code(&refused)), (401, "service_key_unknown".to_owned()));

    // One that may be used from elsewhere only.
    let (_, _, elsewhere) = service_named(&owner, "elsewhere", &["--allow", "192.0.2.0/24"]);
    let refused = get(&world, &path, &elsewhere);
    assert_eq!((refused.status, code(&refused)), (403, "address_not_approved".to_owned()));

    // Nonsense, another tenant's, and a tenant that is not there are told apart by nothing.
    let (_, _, token) = service_named(&owner, "third", &[]);
    let flipped = format!("{}{}", &token[..67], if token.ends_with('A') { "B" } else { "A" });
    let nowhere = format!("bwv_{}", "A".repeat(64));
    assert_eq!(code(&get(&world, &path, &flipped)), "service_key_unknown");
    assert_eq!(code(&get(&world, &path, &nowhere)), "token_malformed");
}

fn service_named(machine: &Machine, name: &str, key: &[&str]) -> (String, String, String) {
    let account = text(&machine.run(["tenant", "service-accounts", "create", name, "--json"]).json()["id"]);
    let arguments = ["tenant", "service-accounts", "create-key", &account, "--json"];
    let made = machine.run(arguments.iter().chain(key).copied()).json();
    (account, text(&made["id"]), text(&made["key"]))
}

fn a_support_grant_opens_what_it_says_until_it_ends(mut world: World) {
    let (owner, helper) = (world.machine(), world.machine());
    owner.sign_up();
    let operator = helper.sign_up();
    let tenant = tenant(&owner);
    let members = format!("/api/v1/tenants/{tenant}/members");
    world.stop();
    let granted =
        world.command("admin grant").args([&operator.account_id, "operator", "--json"]).output().unwrap();
    assert!(granted.status.success(), "{granted:?}");
    world.start();
    // A platform role is worth nothing in a tenant.
    let token = text(&helper.run(["token", "--json"]).json()["access_token"]);
    assert_eq!(get(&world, &members, &token).status, 404);

    let grant = owner
        .run([
            "tenant",
            "support",
            "grant",
            &operator.account_id,
            "--reason",
            "cannot see a device",
            "--actions",
            "member.read,device.read",
            "--json",
        ])
        .json();
    assert_eq!(grant["status"], "live", "{grant}");
    assert_eq!(get(&world, &members, &token).status, 200);
    // Not what it does not say, and never a change.
    assert_eq!(get(&world, &format!("/api/v1/tenants/{tenant}/roles"), &token).status, 403);
    let change = Request::new("POST", &format!("/api/v1/tenants/{tenant}/teams"))
        .bearer(&token)
        .json(&json!({ "name": "mine" }))
        .send(&world.url());
    assert_eq!(change.status, 403);

    owner.run(["tenant", "support", "end", &text(&grant["id"]), "--json"]).done();
    assert_eq!(get(&world, &members, &token).status, 404, "it ends at once");

    // Only to what support may do, only for a while, only by an owner.
    let owner_of = |extra: &[&str]| {
        let base = ["tenant", "support", "grant", operator.account_id.as_str(), "--reason", "r", "--json"];
        owner.run(base.iter().chain(extra).copied())
    };
    assert_eq!(owner_of(&["--actions", "device.write"]).refused(1).code, "invalid_field");
    assert_eq!(owner_of(&["--until", "90d"]).refused(1).code, "invalid_field");
}
