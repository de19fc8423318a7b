// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every route of the OpenAPI document, called by those whom it is not for: without a session, with one that never was
//! or has ended, and with the live session of somebody else who knows every id. A route that has no row here fails.

mod matrix;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use data_encoding::BASE64URL_NOPAD;
use harness::{Exchange, Machine, Request, World, binary, noise, on_both_engines, unique};
use serde_json::{Value, json};

on_both_engines!(
    a_stranger_is_refused_on_every_protected_route,
    ids_of_others_in_a_request_are_as_good_as_ids_of_nothing,
    an_access_token_reads_and_writes_but_does_not_stand_for_its_owner,
);

/// What a route is about, and so what a stranger's live session gets from it.
#[derive(Clone, Copy, PartialEq)]
enum About {
    /// Everybody: it asks for no session.
    Everybody,
    /// Whoever asks: nothing in its path says whom else it could be about.
    Whoever,
    /// What its path names.
    Named,
    /// What everybody who is signed in may look up: public keys.
    Published,
    /// What its path names, for the platform's people: whether it is there is not said to others.
    Platform,
}

/// One route.
struct Row {
    operation: &'static str,
    about: About,
    /// What its owner is answered, which shows that the request is a good one.
    owner: u16,
    headers: &'static [(&'static str, &'static str)],
    body: fn() -> Option<Body>,
}

enum Body {
    Json(Value),
    Bytes(Vec<u8>),
}

/// A hash of another system.
const PLAIN_HASH: &str = "$2b$04$kQGd/Wm0zASddF4JdECEKu3fjCZyXc1Ek.GPCfltqIGZgJkYMb.Pu";

/// Every route in the order in which its owner tries it: what destroys something comes last.
fn rows() -> Vec<Row> {
    use About::{Everybody, Named, Platform, Published, Whoever};
    let row = |operation, about, owner| Row { operation, about, owner, headers: &[], body: || None };
    let with = |row: Row, body| Row { body, ..row };
    let if_any = |row: Row| Row { headers: &[("if-match", "*")], ..row };
    vec![
        row("about", Everybody, 200),
        row("jwks", Everybody, 200),
        row("openid_configuration", Everybody, 200),
        row("authorization_server", Everybody, 200),
        row("authorize", Everybody, 422),
        row("authorize_by_form", Everybody, 400),
        row("push_authorization_request", Everybody, 400),
        row("device_authorization", Everybody, 400),
        row("token", Everybody, 400),
        row("token_by_plain_password", Everybody, 400),
        row("introspect", Everybody, 400),
        row("revoke_token", Everybody, 400),
        row("follow_revocations", Everybody, 401),
        // These are asked with a client's token, which is not a session's.
        row("userinfo", Everybody, 401),
        row("userinfo_by_post", Everybody, 401),
        row("log_out_by_client", Everybody, 303),
        row("forward_auth", Whoever, 200),
        with(row("read_consent_request", Whoever, 410), || json_body(json!({ "request": "none" }))),
        with(row("approve_consent_request", Whoever, 410), || json_body(json!({ "request": "none" }))),
        with(row("deny_consent_request", Whoever, 410), || json_body(json!({ "request": "none" }))),
        row("list_authorizations", Whoever, 200),
        row("list_sign_in_providers", Everybody, 200),
        with(row("sign_in_provider_start", Everybody, 422), || json_body(json!({}))),
        with(row("sign_in_provider_finish", Everybody, 422), || json_body(json!({}))),
        with(row("sign_up_provider", Everybody, 422), || json_body(json!({}))),
        // Which one is not said.
        with(row("add_provider_start", Whoever, 422), || json_body(json!({ "challenge": "A".repeat(43) }))),
        with(row("add_provider_finish", Whoever, 410), || {
            json_body(json!({ "state": "none", "code": "none", "verifier": "none" }))
        }),
        row("list_platform_providers", Whoever, 403),
        with(row("create_platform_provider", Whoever, 403), || json_body(new_provider())),
        with(row("change_platform_provider", Platform, 403), || json_body(json!({ "name": "Another" }))),
        row("delete_platform_provider", Platform, 403),
        row("confirm_domain", Platform, 403),
        with(row("answer_login_required", Everybody, 422), || json_body(json!({}))),
        row("alive", Everybody, 200),
        with(row("email_salt", Everybody, 422), || json_body(json!({}))),
        row("ready", Everybody, 200),
        with(row("sign_up_start", Everybody, 422), || json_body(json!({}))),
        with(row("sign_up_finish", Everybody, 422), || json_body(json!({}))),
        with(row("sign_up_passkey_start", Everybody, 422), || json_body(json!({}))),
        with(row("sign_up_passkey_finish", Everybody, 422), || json_body(json!({}))),
        with(row("imported_sign_in_start", Everybody, 422), || json_body(json!({}))),
        with(row("sign_in_start", Everybody, 422), || json_body(json!({}))),
        with(row("sign_in_finish", Everybody, 422), || json_body(json!({}))),
        with(row("sign_in_recovery_key", Everybody, 422), || json_body(json!({}))),
        row("sign_in_passkey_start", Everybody, 200),
        with(row("sign_in_passkey_finish", Everybody, 422), || json_body(json!({}))),
        with(row("pairing_ask", Everybody, 422), || json_body(json!({}))),
        with(row("pairing_device_take", Everybody, 422), || json_body(json!({}))),
        with(row("pairing_device_answer", Everybody, 422), || json_body(json!({}))),
        with(row("pairing_device_cancel", Everybody, 422), || json_body(json!({}))),
        with(row("pairing_device_redeem", Everybody, 422), || json_body(json!({}))),
        with(row("pairing_read", Whoever, 410), no_pairing),
        with(row("pairing_take", Whoever, 410), no_pairing),
        with(row("pairing_refuse", Whoever, 410), no_pairing),
        with(row("pairing_offer", Whoever, 410), || {
            json_body(json!({ "request": NO_PAIRING, "message": "AA" }))
        }),
        with(row("pairing_deliver", Whoever, 410), || {
            json_body(json!({ "request": NO_PAIRING, "message": "AA", "grant_hash": "A".repeat(43) }))
        }),
        row("read_account", Whoever, 200),
        row("list_methods", Whoever, 200),
        row("list_api_keys", Whoever, 200),
        with(row("create_api_key", Whoever, 422), || json_body(json!({}))),
        row("read_own_api_key", Whoever, 403),
        with(row("report_api_key", Everybody, 422), || json_body(json!({}))),
        row("list_collections", Whoever, 200),
        row("list_devices", Whoever, 200),
        row("read_former_keys", Whoever, 200),
        row("list_sessions", Whoever, 200),
        row("read_server_half", Whoever, 200),
        row("read_usage", Whoever, 200),
        row("issue_access_token", Whoever, 200),
        row("replace_totp_start", Whoever, 200),
        with(row("replace_totp_finish", Whoever, 422), || {
            json_body(json!({ "state": "x", "code": "000000" }))
        }),
        with(row("change_password_start", Whoever, 422), || json_body(json!({ "opaque_request": "AA" }))),
        with(row("change_password_finish", Whoever, 422), || json_body(json!({}))),
        with(row("rotate_master_key", Whoever, 422), || json_body(json!({}))),
        with(row("replace_backup_codes", Whoever, 422), || json_body(json!({ "backup_codes": [] }))),
        with(row("step_up_start", Whoever, 422), || json_body(json!({ "opaque_request": "AA" }))),
        with(row("step_up_finish", Whoever, 422), || json_body(json!({}))),
        with(row("step_up_recovery_key", Whoever, 422), || json_body(json!({}))),
        with(row("add_recovery_key", Whoever, 422), || json_body(json!({}))),
        row("step_up_passkey_start", Whoever, 200),
        with(row("step_up_passkey_finish", Whoever, 422), || json_body(json!({}))),
        row("add_passkey_start", Whoever, 200),
        with(row("add_passkey_finish", Whoever, 422), || json_body(json!({}))),
        with(row("create_collection", Whoever, 201), || json_body(new_collection(&any_id("col_")))),
        row("read_checkpoint", Named, 200),
        row("list_records", Named, 200),
        row("list_requests", Named, 200),
        row("read_tile", Named, 200),
        row("read_account_keys", Published, 200),
        row("list_shares", Whoever, 200),
        row("list_members", Named, 200),
        // With a number of nobody's; nothing is shared with its own owner.
        with(row("put_member", Named, 404), || {
            json_body(json!({
                "account_number": "0000000", "generation": 1, "key_version": 1, "own_key_version": 1,
                "permission": "read", "grant": "AA",
            }))
        }),
        // With the number of a change that was not the last one.
        with(row("next_collection_key", Named, 409), || {
            json_body(json!({
                "from_generation": 1, "from_key_version": 1, "last_change": 7_777, "sealed_key": sealed(100),
                "former_key": sealed(100), "sealed_meta": sealed(100),
            }))
        }),
        row("read_shared_collection", Named, 404),
        row("list_shared_changes", Named, 404),
        row("follow_shared_changes", Named, 404),
        row("read_shared_item", Named, 404),
        row("read_shared_file", Named, 404),
        if_any(with(row("put_shared_item", Named, 404), || json_body(json!({ "sealed": sealed(100) })))),
        if_any(row("delete_shared_item", Named, 404)),
        with(row("begin_shared_upload", Named, 404), || json_body(json!({ "size": UPLOAD }))),
        row("read_shared_upload", Named, 404),
        with(row("put_shared_part", Named, 404), || Some(Body::Bytes(noise(1, UPLOAD)))),
        row("abandon_shared_upload", Named, 404),
        row("list_tenants", Whoever, 200),
        with(row("create_tenant", Whoever, 201), || json_body(json!({ "name": "Acme", "label": "Founder" }))),
        with(row("join_tenant", Whoever, 410), || json_body(json!({ "token": "bwi_" }))),
        row("list_customers", Whoever, 403),
        with(row("suspend_tenant", Platform, 403), || json_body(json!({ "reason": "unpaid" }))),
        row("resume_tenant", Platform, 403),
        row("read_account_standing", Platform, 403),
        with(row("suspend_account", Platform, 403), || json_body(json!({ "reason": "abuse" }))),
        row("resume_account", Platform, 403),
        row("read_platform_keys", Whoever, 403),
        row("rotate_signing_key", Whoever, 403),
        row("remove_signing_key", Platform, 403),
        row("read_tenant", Named, 200),
        with(row("change_tenant", Named, 200), || json_body(json!({ "name": "Acme and Sons" }))),
        row("list_organisations", Named, 200),
        with(row("create_organisation", Named, 201), || json_body(json!({ "name": "South" }))),
        with(row("change_organisation", Named, 200), || json_body(json!({ "name": "Far North" }))),
        row("list_tenant_members", Named, 200),
        row("read_tenant_member", Named, 200),
        with(row("change_tenant_member", Named, 200), || json_body(json!({ "label": "Ada" }))),
        row("list_teams", Named, 200),
        with(row("create_team", Named, 201), || json_body(json!({ "name": "Board" }))),
        with(row("change_team", Named, 200), || json_body(json!({ "name": "Crew" }))),
        row("put_team_member", Named, 204),
        row("list_team_members", Named, 200),
        row("delete_team_member", Named, 204),
        row("list_roles", Named, 200),
        with(row("create_role", Named, 201), || {
            json_body(json!({ "name": "Reader", "actions": ["device.read"] }))
        }),
        with(row("change_role", Named, 200), || json_body(json!({ "name": "Looker" }))),
        row("list_grants", Named, 200),
        row("put_grant", Named, 204),
        row("delete_grant", Named, 204),
        row("list_tenant_devices", Named, 200),
        // In an organisation that is none.
        with(row("register_tenant_device", Named, 404), || {
            json_body(json!({ "external_id": "another", "name": "another", "organisation": any_id("org_") }))
        }),
        row("read_tenant_device", Named, 200),
        with(row("change_tenant_device", Named, 200), || json_body(json!({ "name": "the meter" }))),
        row("delete_tenant_device", Named, 204),
        row("list_tenant_collections", Named, 200),
        with(row("create_tenant_collection", Named, 201), || {
            json_body(json!({ "protection": "server_sealed", "name": "Papers" }))
        }),
        row("read_tenant_collection", Named, 200),
        row("list_tenant_changes", Named, 200),
        row("read_tenant_item", Named, 200),
        if_any(with(row("put_tenant_item", Named, 200), || {
            json_body(json!({ "name": "minutes", "content": "AA" }))
        })),
        if_any(row("delete_tenant_item", Named, 200)),
        row("list_collection_grants", Named, 200),
        // The key of one that is server-sealed is the server's alone.
        with(row("put_collection_grant", Named, 409), || {
            json_body(json!({ "generation": 1, "grant": key_grant() }))
        }),
        with(row("next_tenant_collection_key", Named, 409), || {
            json_body(json!({
                "from_generation": 1, "last_change": 7_777, "former_key": sealed(100), "sealed_meta": sealed(100),
                "grants": [key_grant()],
            }))
        }),
        row("delete_tenant_collection", Named, 204),
        row("list_invitations", Named, 200),
        with(row("create_invitation", Named, 201), || json_body(json!({}))),
        row("revoke_invitation", Named, 204),
        row("list_service_accounts", Named, 200),
        with(row("create_service_account", Named, 201), || json_body(json!({ "name": "nightly" }))),
        with(row("change_service_account", Named, 204), || json_body(json!({ "state": "live" }))),
        row("list_service_keys", Named, 200),
        with(row("create_service_key", Named, 201), || {
            json_body(json!({ "label": "laptop", "scopes": ["*"] }))
        }),
        row("revoke_service_key", Named, 204),
        row("delete_service_account", Named, 204),
        row("list_clients", Named, 200),
        row("read_client", Named, 200),
        with(row("create_client", Named, 201), || {
            json_body(json!({
                "name": "App", "authentication": "public", "grants": ["device_code"], "scopes": ["openid"],
            }))
        }),
        with(row("change_client", Named, 200), || json_body(json!({ "name": "Another" }))),
        row("rotate_client_secret", Named, 200),
        // It shares none.
        row("rotate_client_token_key", Named, 422),
        // Nothing was allowed to it.
        row("revoke_authorization", Named, 404),
        row("delete_client", Named, 204),
        row("list_providers", Named, 200),
        row("read_provider", Named, 200),
        with(row("create_provider", Named, 201), || json_body(new_provider())),
        with(row("change_provider", Named, 200), || json_body(json!({ "name": "Another" }))),
        // It is nowhere.
        row("test_provider", Named, 502),
        with(row("require_provider", Named, 204), || json_body(json!({ "required": false }))),
        row("list_domains", Named, 200),
        with(row("add_domain", Named, 201), || json_body(json!({ "name": "another.example" }))),
        // Nobody answers there.
        row("verify_domain", Named, 502),
        row("remove_domain", Named, 204),
        row("delete_provider", Named, 204),
        // Provisioning is a service account's; people have other ways, which ask for a fresh proof.
        row("scim_service_provider_config", Named, 403),
        row("scim_resource_types", Named, 403),
        row("scim_schemas", Named, 403),
        row("scim_list_users", Named, 403),
        row("scim_read_user", Named, 403),
        with(row("scim_create_user", Named, 403), || json_body(json!({ "userName": "eve" }))),
        with(row("scim_replace_user", Named, 403), || json_body(json!({ "userName": "eve" }))),
        with(row("scim_change_user", Named, 403), || json_body(json!({ "Operations": [] }))),
        row("scim_delete_user", Named, 403),
        row("scim_list_groups", Named, 403),
        row("scim_read_group", Named, 403),
        with(row("scim_create_group", Named, 403), || json_body(json!({ "displayName": "Crew" }))),
        with(row("scim_replace_group", Named, 403), || json_body(json!({ "displayName": "Crew" }))),
        with(row("scim_change_group", Named, 403), || json_body(json!({ "Operations": [] }))),
        row("scim_delete_group", Named, 403),
        row("list_plain_passwords", Named, 200),
        with(row("allow_plain_passwords", Named, 204), || json_body(json!({ "allowed": true }))),
        // Of oneself one imports none.
        with(row("import_plain_password", Named, 422), || {
            json_body(json!({ "name": "ada", "hash": PLAIN_HASH }))
        }),
        row("remove_plain_password", Named, 404),
        with(row("set_own_plain_password", Named, 204), || {
            json_body(json!({ "name": "ada", "password": "a plain password" }))
        }),
        row("read_own_plain_password", Named, 200),
        row("remove_own_plain_password", Named, 204),
        row("list_support_grants", Named, 200),
        // To an operator who is none.
        with(row("create_support_grant", Named, 422), || {
            json_body(json!({ "operator_number": "0000000", "reason": "help", "ends_at": 1 }))
        }),
        row("end_support_grant", Named, 404),
        row("read_policies", Named, 200),
        with(row("check_policies", Named, 200), || json_body(json!({ "text": "" }))),
        with(row("try_policies", Named, 200), || json_body(json!({ "text": "" }))),
        Row {
            headers: &[("if-match", "\"0\"")],
            ..with(row("put_policies", Named, 200), || json_body(json!({ "text": "" })))
        },
        row("list_policy_versions", Named, 200),
        row("read_policy_version", Named, 200),
        Row {
            headers: &[("if-match", "\"1\"")],
            ..with(row("restore_policies", Named, 200), || json_body(json!({})))
        },
        row("list_decisions", Named, 200),
        row("explain_decision", Named, 200),
        row("list_decision_holders", Named, 200),
        with(row("transfer_tenant", Named, 404), || json_body(json!({ "to": any_id("acc_") }))),
        row("leave_tenant", Named, 409),
        row("remove_tenant_member", Named, 409),
        row("delete_role", Named, 204),
        row("delete_team", Named, 204),
        row("delete_organisation", Named, 204),
        row("delete_tenant", Named, 200),
        row("restore_tenant", Named, 200),
        row("read_collection", Named, 200),
        with(row("describe_collection", Named, 204), || {
            json_body(json!({ "generation": 1, "sealed_meta": sealed(100) }))
        }),
        row("list_changes", Named, 200),
        row("follow_changes", Named, 200),
        row("read_item", Named, 200),
        row("read_file", Named, 200),
        with(row("keep_versions", Named, 204), || json_body(json!({ "kept_versions": 5 }))),
        row("list_item_versions", Named, 200),
        row("read_item_version", Named, 200),
        row("read_version_file", Named, 200),
        if_any(with(row("put_item", Named, 200), || json_body(json!({ "sealed": sealed(100) })))),
        with(row("begin_upload", Named, 201), || json_body(json!({ "size": UPLOAD }))),
        row("read_upload", Named, 200),
        with(row("put_part", Named, 204), || Some(Body::Bytes(noise(1, UPLOAD)))),
        row("abandon_upload", Named, 204),
        with(row("rename_method", Named, 204), || json_body(json!({ "label": "in my head" }))),
        with(row("replace_recovery_key", Named, 404), || json_body(new_recovery_key())),
        row("revoke_method", Named, 409),
        with(row("approve_api_key", Named, 204), || json_body(json!({ "network": "192.0.2.7" }))),
        with(row("deny_api_key", Named, 204), || json_body(json!({ "network": "192.0.2.7" }))),
        if_any(row("delete_item", Named, 200)),
        row("delete_collection", Named, 204),
        row("end_session", Named, 204),
        row("end_device", Named, 204),
        row("sign_out", Whoever, 204),
        row("end_other_sessions", Whoever, 204),
        row("delete_account", Whoever, 204),
    ]
}

/// What an access token is not for, whatever the path names.
const FOR_THE_SESSION_ALONE: [&str; 9] = [
    "end_session",
    "end_device",
    "rename_method",
    "revoke_method",
    "replace_recovery_key",
    "approve_api_key",
    "deny_api_key",
    "put_member",
    "next_collection_key",
];

/// What an API key is for, of what names something: what is kept, the history, and tenants as far as it is scoped for them.
const FOR_API_KEYS: [&str; 93] = [
    "read_checkpoint",
    "list_records",
    "list_requests",
    "read_tile",
    "read_collection",
    "describe_collection",
    "list_changes",
    "follow_changes",
    "read_item",
    "read_file",
    "keep_versions",
    "list_item_versions",
    "read_item_version",
    "read_version_file",
    "put_item",
    "begin_upload",
    "read_upload",
    "put_part",
    "abandon_upload",
    "delete_item",
    "delete_collection",
    "read_tenant",
    "list_organisations",
    "create_organisation",
    "change_organisation",
    "delete_organisation",
    "list_tenant_members",
    "list_plain_passwords",
    "read_tenant_member",
    "list_teams",
    "create_team",
    "change_team",
    "delete_team",
    "list_team_members",
    "put_team_member",
    "delete_team_member",
    "list_roles",
    "create_role",
    "change_role",
    "delete_role",
    "list_grants",
    "put_grant",
    "delete_grant",
    "list_tenant_devices",
    "register_tenant_device",
    "read_tenant_device",
    "change_tenant_device",
    "delete_tenant_device",
    "list_tenant_collections",
    "create_tenant_collection",
    "read_tenant_collection",
    "list_tenant_changes",
    "read_tenant_item",
    "put_tenant_item",
    "delete_tenant_item",
    "list_collection_grants",
    "put_collection_grant",
    "next_tenant_collection_key",
    "delete_tenant_collection",
    "list_invitations",
    "list_service_accounts",
    "list_service_keys",
    "list_support_grants",
    "list_clients",
    "list_providers",
    "read_provider",
    "list_domains",
    "scim_service_provider_config",
    "scim_resource_types",
    "scim_schemas",
    "scim_list_users",
    "scim_read_user",
    "scim_create_user",
    "scim_replace_user",
    "scim_change_user",
    "scim_delete_user",
    "scim_list_groups",
    "scim_read_group",
    "scim_create_group",
    "scim_replace_group",
    "scim_change_group",
    "scim_delete_group",
    "read_client",
    "read_policies",
    "check_policies",
    "try_policies",
    "put_policies",
    "list_policy_versions",
    "read_policy_version",
    "restore_policies",
    "list_decisions",
    "explain_decision",
    "list_decision_holders",
];

/// A provider that is nowhere.
fn new_provider() -> Value {
    json!({ "name": "Elsewhere", "issuer": "https://id.invalid", "client_id": "bailiwick" })
}

/// A request to be let in that is not there.
const NO_PAIRING: &str = "AAAAAAAAAAAAAAAAAAAAAA";

fn no_pairing() -> Option<Body> {
    json_body(json!({ "request": NO_PAIRING }))
}

/// The size of an upload of one part.
const UPLOAD: usize = 1_000;

fn a_stranger_is_refused_on_every_protected_route(mut world: World) {
    // More requests than one address has at once.
    world.set("BAILIWICK_REQUEST_BURST", "20000");
    world.set("BAILIWICK_NAME_SERVER", "127.0.0.1:1");
    world.restart();
    let routes = routes();
    let rows = rows();
    assert_rows_are_the_routes(&rows, &routes);
    let ada = Home::made(&world);
    let eve = Home::made(&world);
    let machine = world.machine();
    machine.sign_up();
    let alone = session_token(&machine);
    let unwelcome = ada.credentials_that_are_worth_nothing(&world);
    // That Ada's own requests are recorded is none of it.
    let changes = || ada.laptop.log().iter().filter(|record| record["action"] != "request.record").count();
    let history = changes();

    for row in rows.iter().filter(|row| row.about != About::Everybody) {
        let route = &routes[row.operation];
        let theirs = route.path(&ada.ids);
        for (what, headers) in &unwelcome {
            let mut request = row.request(&route.method, &theirs);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let answer = request.send(&world.url());
            assert_eq!(answer.status, 401, "{} with {what}: {}", row.operation, said(&answer));
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{} with {what}", row.operation);
        }
        if matches!(row.about, About::Named | About::Platform) {
            for (whose, path, nothing) in [
                ("hers", theirs, route.path(&Ids::of_nothing())),
                (
                    "hers in one's own collection or tenant",
                    route.path(&ada.ids.within(&eve.ids)),
                    route.path(&Ids::of_nothing().within(&eve.ids)),
                ),
            ] {
                // Where the whole path is one's own it is no stranger's; the id of a new item is for who writes it to choose.
                if path == route.path(&eve.ids) || (row.operation == "put_item" && whose != "hers") {
                    continue;
                }
                for (what, token) in
                    [("session", &eve.token), ("access token", &eve.access_token), ("API key", &eve.api_key)]
                {
                    // In one's own tenant, what else one shows is judged by what it is for, before anything is looked up.
                    if whose != "hers" && route.template.contains("{tenant}") && what != "session" {
                        continue;
                    }
                    let ask = |path: &str| row.request(&route.method, path).bearer(token).send(&world.url());
                    let (answer, unknown) = (ask(&path), ask(&nothing));
                    let context = format!("{} of {whose} with somebody else's {what}", row.operation);
                    let own = match what {
                        "access token" => FOR_THE_SESSION_ALONE.contains(&row.operation),
                        "API key" => !FOR_API_KEYS.contains(&row.operation),
                        _ => false,
                    };
                    let expected = if own || row.about == About::Platform { 403 } else { 404 };
                    assert_eq!(answer.status, expected, "{context}: {}", said(&answer));
                    assert_eq!(without_its_own(&answer), without_its_own(&unknown), "{context}");
                }
            }
        }
    }

    // None of that did or wrote anything.
    assert_eq!(changes(), history, "a stranger writes nothing into somebody's history");
    ada.desktop.run(["whoami", "--json"]).done();
    ada.laptop.get("large", &ada.laptop.scratch("copy")).done();
    ada.laptop.verified_records();

    // The very same requests are good ones when they come from their owner.
    for row in &rows {
        let route = &routes[row.operation];
        let owner = match (row.about, row.operation) {
            (About::Named | About::Published | About::Platform, _) => &ada.token,
            // This ends the session that asks.
            (_, "sign_out") => &eve.spare_token,
            // Who owns a tenant stays until it is somebody else's.
            (_, "delete_account") => &alone,
            _ => &eve.token,
        };
        let mut request = row.request(&route.method, &route.path(&ada.ids));
        if row.about != About::Everybody {
            request = request.bearer(owner);
        }
        let answer = request.send(&world.url());
        assert_eq!(answer.status, row.owner, "{} by its owner: {}", row.operation, said(&answer));
    }
}

fn ids_of_others_in_a_request_are_as_good_as_ids_of_nothing(world: World) {
    let ada = Home::made(&world);
    let eve = Home::made(&world);
    let nothing = Ids::of_nothing();
    let collection = |ids: &Ids| ids.0["collection"].clone();
    let own = collection(&eve.ids);

    // An upload of somebody else's as the file of one's own item.
    let ask = |upload: &str| {
        let path = format!("/api/v1/collections/{own}/items/{}", any_id("itm_"));
        let put = json!({ "sealed": sealed(10), "upload": upload });
        Request::new("PUT", &path)
            .header("if-none-match", "*")
            .json(&put)
            .bearer(&eve.token)
            .send(&world.url())
    };
    let (hers, unknown) = (ask(&ada.ids.0["upload"]), ask(&nothing.0["upload"]));
    assert_eq!(hers.status, 404, "{}", said(&hers));
    assert_eq!(without_its_own(&hers), without_its_own(&unknown));

    // A collection with the id of somebody else's is one of one's own.
    let made = |id: &str| {
        let new = new_collection(id);
        Request::new("POST", "/api/v1/collections").json(&new).bearer(&eve.token).send(&world.url()).status
    };
    assert_eq!((made(&collection(&ada.ids)), made(&collection(&nothing))), (201, 201));
    let path = format!("/api/v1/collections/{}/changes", collection(&ada.ids));
    let changes = Request::new("GET", &path).bearer(&eve.token).send(&world.url()).json();
    assert_eq!(changes["items"], json!([]), "a collection of one's own, and empty");

    // Where a list goes on.
    let after = |id: &str| {
        let path = format!("/api/v1/collections?after={id}");
        Request::new("GET", &path).bearer(&eve.token).send(&world.url())
    };
    assert_eq!(after(&collection(&ada.ids)).status, after(&collection(&nothing)).status);

    ada.laptop.get("large", &ada.laptop.scratch("copy")).done();
    ada.laptop.verified_records();
}

fn an_access_token_reads_and_writes_but_does_not_stand_for_its_owner(world: World) {
    let ada = Home::made(&world);
    let (routes, rows) = (routes(), rows());
    let ask = |operation: &str| {
        let row = rows.iter().find(|row| row.operation == operation).expect("a row");
        let route = &routes[operation];
        row.request(&route.method, &route.path(&ada.ids)).bearer(&ada.access_token).send(&world.url()).status
    };
    for operation in ["read_account", "list_collections", "read_item", "read_file"] {
        assert_eq!(ask(operation), 200, "{operation}");
    }
    assert_eq!(ask("put_item"), 200);
    for operation in [
        "read_server_half",
        "issue_access_token",
        "replace_totp_start",
        "step_up_passkey_start",
        "add_passkey_start",
        "end_other_sessions",
        "end_session",
        "end_device",
        "sign_out",
        "delete_account",
    ] {
        assert_eq!(ask(operation), 403, "{operation}");
    }
    ada.desktop.run(["whoami", "--json"]).done();
    ada.laptop.run(["logout"]).done();
    for operation in ["read_account", "list_collections", "read_item", "read_file", "put_item"] {
        assert_eq!(ask(operation), 401, "{operation} once the session has ended");
    }
}

/// A method and a path of the OpenAPI document.
struct Route {
    method: String,
    template: String,
    protected: bool,
}

impl Route {
    fn path(&self, ids: &Ids) -> String {
        let mut path = String::new();
        for (index, piece) in self.template.split(['{', '}']).enumerate() {
            if index % 2 == 0 {
                path.push_str(piece);
            } else {
                path.push_str(
                    ids.0.get(piece).unwrap_or_else(|| panic!("an id for {{{piece}}} of {}", self.template)),
                );
            }
        }
        path
    }
}

/// Every route that the binary's OpenAPI document has, by its operation's name.
fn routes() -> BTreeMap<String, Route> {
    let output = Command::new(binary()).arg("openapi").output().expect("the binary starts");
    let document: Value = serde_json::from_slice(&output.stdout).expect("the OpenAPI document");
    let mut routes = BTreeMap::new();
    for (template, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let name =
                operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {template} has a name"));
            // That one may also be called without a session (of the platform's own log) is the exception.
            let protected = operation["security"]
                .as_array()
                .is_some_and(|ways| ways.iter().any(|way| way.get("session").is_some()));
            let route = Route { method: method.to_uppercase(), template: template.clone(), protected };
            assert!(routes.insert(name.to_owned(), route).is_none(), "two routes are called {name}");
        }
    }
    routes
}

fn assert_rows_are_the_routes(rows: &[Row], routes: &BTreeMap<String, Route>) {
    let named: BTreeSet<&str> = rows.iter().map(|row| row.operation).collect();
    let there: BTreeSet<&str> = routes.keys().map(String::as_str).collect();
    assert_eq!(named.len(), rows.len(), "one row for each route");
    let missing: Vec<_> = there.difference(&named).collect();
    assert!(missing.is_empty(), "routes without a row: say there what a stranger gets: {missing:?}");
    let gone: Vec<_> = named.difference(&there).collect();
    assert!(gone.is_empty(), "rows without a route: {gone:?}");
    for row in rows {
        let route = &routes[row.operation];
        assert_eq!(route.protected, row.about != About::Everybody, "who may call {}", row.operation);
        assert_eq!(
            route.template.contains('{'),
            matches!(row.about, About::Named | About::Published | About::Platform),
            "whether {} names something",
            row.operation
        );
    }
}

impl Row {
    fn request(&self, method: &str, path: &str) -> Request {
        let mut request = Request::new(method, path);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        match (self.body)() {
            Some(Body::Json(body)) => request.json(&body),
            Some(Body::Bytes(body)) => request.body(body),
            None => request,
        }
    }
}

/// What the parameters of paths stand for.
#[derive(Clone)]
struct Ids(BTreeMap<&'static str, String>);

impl Ids {
    /// Ids of the right form, of nothing.
    fn of_nothing() -> Self {
        Self::from([
            ("collection", any_id("col_")),
            ("item", any_id("itm_")),
            ("upload", any_id("upl_")),
            ("session", any_id("ses_")),
            ("device", any_id("dev_")),
            ("log", any_id("ten_")),
            ("method", any_id("mth_")),
            ("api_key", any_id("mth_")),
            ("home", any_id("ten_")),
            ("account", any_id("acc_")),
            ("number", "0000000".to_owned()),
            ("tenant", any_id("ten_")),
            ("organisation", any_id("org_")),
            ("team", any_id("tea_")),
            ("role", any_id("rol_")),
            ("holder", any_id("acc_")),
            ("place", any_id("org_")),
            ("tenant_device", any_id("dvc_")),
            ("invitation", any_id("inv_")),
            ("service_account", any_id("sva_")),
            ("key", any_id("svk_")),
            ("support_grant", any_id("sup_")),
            ("client", any_id("cli_")),
            ("provider", any_id("pvd_")),
            ("domain", "nothing.example".to_owned()),
            ("user", any_id("usr_")),
            ("scim_group", any_id("tea_")),
            ("tenant_collection", any_id("col_")),
            ("tenant_item", any_id("itm_")),
        ])
    }

    fn from<const N: usize>(ids: [(&'static str, String); N]) -> Self {
        let mut ids = BTreeMap::from(ids);
        ids.insert("part", "0".to_owned());
        ids.insert("action", "organisation.write".to_owned());
        ids.insert("version", "1".to_owned());
        ids.insert("kid", "none".to_owned());
        ids.insert("tile", "0/000.p/1".to_owned());
        Self(ids)
    }

    /// The same in the collection and the tenant of others.
    fn within(&self, others: &Self) -> Self {
        let mut ids = self.clone();
        for place in ["collection", "tenant"] {
            ids.0.insert(place, others.0[place].clone());
        }
        ids
    }
}

/// An account with one of everything that has an id.
struct Home {
    laptop: Machine,
    desktop: Machine,
    token: String,
    access_token: String,
    api_key: String,
    revoked_key: String,
    spare_token: String,
    ended_token: String,
    ended_access_token: String,
    ids: Ids,
}

impl Home {
    fn made(world: &World) -> Self {
        let laptop = world.machine();
        let person = laptop.sign_up();
        let large = laptop.scratch("large");
        fs::write(&large, noise(5, 400_000)).unwrap();
        laptop.put(&large, "large").done();
        let [desktop, spare, gone] = [(); 3].map(|()| {
            let machine = world.machine();
            machine.sign_in(&person).done();
            machine
        });
        let (ended_token, ended_access_token) = (session_token(&gone), access_token(&gone));
        gone.run(["logout"]).done();

        // As much as a key may have.
        let scopes = "collection.create,collection.list,collection.read,collection.write,collection.delete,item.read,\
                      item.write,item.delete,file.read,file.write,file.delete,changes.follow,usage.read,log.read";
        let make = || laptop.run(["api-keys", "create", "--no-unlock", "--scopes", scopes, "--json"]).json();
        let (key, revoked) = (make(), make());
        laptop.run(["api-keys", "revoke", &text(&revoked, "/id"), "--json"]).done();

        let token = session_token(&laptop);
        let ask = |path: &str| Request::new("GET", path).bearer(&token).send(&world.url()).json();
        let home = text(&ask("/api/v1/account"), "/home");
        let collection = text(&ask("/api/v1/collections"), "/collections/0/id");
        let changes = ask(&format!("/api/v1/collections/{collection}/changes"));
        let items = changes["items"].as_array().expect("items");
        let item = items.iter().find(|item| !item["file"].is_null()).expect("an item with a file");
        let begin = Request::new("POST", &format!("/api/v1/collections/{collection}/uploads"));
        let upload = begin.json(&json!({ "size": UPLOAD })).bearer(&token).send(&world.url()).json();
        let sessions = ask("/api/v1/sessions");
        let sessions = sessions["sessions"].as_array().expect("sessions");
        let other = |current_of: &Machine| {
            let own = text(&current_of.run(["whoami", "--json"]).json(), "/session");
            sessions.iter().find(|session| session["id"] == own.as_str()).expect("its session").clone()
        };
        let made =
            |arguments: &[&str]| laptop.run(["tenant"].iter().chain(arguments).chain(&["--json"])).json();
        let id = |arguments: &[&str]| text(&made(arguments), "/id");
        let account = text(&ask("/api/v1/account"), "/id");
        let tenant = id(&["create", "Acme"]);
        let organisation = id(&["organisations", "create", "North"]);
        let service = id(&["service-accounts", "create", "nightly"]);
        // Another system tells of people.
        let role = text(
            &made(&["roles", "create", "Provisioning", "--actions", "member.read,member.sync"]),
            "/role",
        );
        let teller = id(&["service-accounts", "create", "teller"]);
        made(&["grants", "give", &teller, &role]);
        let key_of_teller = text(&made(&["service-accounts", "create-key", &teller]), "/key");
        let told = |kind: &str, resource: &Value| {
            let request = Request::new("POST", &format!("/scim/v2/{tenant}/{kind}")).json(resource);
            let answer = request.bearer(&key_of_teller).send(&world.url());
            assert_eq!(answer.status, 201, "{}", said(&answer));
            text(&answer.json(), "/id")
        };
        let papers = id(&["collections", "create", "Papers", "--protection", "server-sealed"]);
        made(&["collections", "put", "Papers", "minutes"]);
        let ids = Ids::from([
            ("tenant", tenant.clone()),
            ("place", organisation.clone()),
            ("organisation", organisation),
            ("team", id(&["teams", "create", "Crew"])),
            ("role", text(&made(&["roles", "create", "Reader", "--actions", "device.read"]), "/role")),
            ("holder", account),
            ("tenant_device", {
                let whole = tenant.replace("ten_", "org_");
                id(&["devices", "register", "meter", "--in", &whole])
            }),
            ("invitation", text(&made(&["invitations", "create"]), "/invitation/id")),
            ("key", id(&["service-accounts", "create-key", &service])),
            ("client", id(&["clients", "create", "App", "--serves", "https://api.example"])),
            ("provider", {
                let elsewhere = ["--issuer", "https://id.invalid", "--client-id", "bailiwick"];
                id(&[&["providers", "create", "Elsewhere"][..], &elsewhere].concat())
            }),
            ("domain", text(&made(&["domains", "add", "acme.example"]), "/name")),
            ("user", told("Users", &json!({ "userName": "ada" }))),
            ("scim_group", told("Groups", &json!({ "displayName": "Told" }))),
            ("service_account", service),
            ("support_grant", any_id("sup_")),
            ("tenant_collection", papers),
            ("tenant_item", text(&made(&["collections", "ls", "Papers"]), "/items/0/id")),
            ("item", text(item, "/id")),
            ("upload", text(&upload, "/id")),
            ("session", text(&other(&spare), "/id")),
            ("device", text(&other(&desktop), "/device")),
            ("home", home.clone()),
            ("log", home),
            ("account", text(&ask("/api/v1/account"), "/id")),
            ("number", text(&ask("/api/v1/account"), "/number")),
            ("method", text(&ask("/api/v1/account/methods"), "/methods/0/id")),
            ("api_key", text(&key, "/id")),
            ("collection", collection),
        ]);
        Self {
            access_token: access_token(&laptop),
            api_key: text(&key, "/api_key"),
            revoked_key: text(&revoked, "/api_key"),
            spare_token: session_token(&spare),
            token,
            ended_token,
            ended_access_token,
            ids,
            laptop,
            desktop,
        }
    }

    /// What to say who asks, so that nobody should listen.
    fn credentials_that_are_worth_nothing(
        &self,
        world: &World,
    ) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
        let bearer = |token: &str| vec![("authorization", format!("Bearer {token}"))];
        // Ada's home with another secret, and the other way round.
        let bytes = BASE64URL_NOPAD
            .decode(self.token.trim_start_matches("bws_").as_bytes())
            .expect("a token's bytes");
        let forged = |range: std::ops::Range<usize>| {
            let mut bytes = bytes.clone();
            bytes[range].iter_mut().for_each(|byte| *byte ^= 0x55);
            format!("bws_{}", BASE64URL_NOPAD.encode(&bytes))
        };
        let (body, signature) = self.access_token.rsplit_once('.').expect("a signed token");
        let (head, claims) = body.split_once('.').expect("a header");
        let none = BASE64URL_NOPAD.encode(br#"{"alg":"none","typ":"at+jwt"}"#);
        let reversed: String = signature.chars().rev().collect();
        // A live session of another server.
        let elsewhere = World::started(world.engine());
        let machine = elsewhere.machine();
        machine.sign_up();
        vec![
            ("no token", vec![]),
            ("an empty token", bearer("")),
            ("another scheme", vec![("authorization", format!("Basic {}", self.token))]),
            ("a token without a scheme", vec![("authorization", self.token.clone())]),
            ("garbage", bearer(&unique("garbage"))),
            ("another secret", bearer(&forged(16..bytes.len()))),
            ("another home", bearer(&forged(0..16))),
            ("an ended session", bearer(&self.ended_token)),
            ("an ended session's access token", bearer(&self.ended_access_token)),
            ("an access token with another signature", bearer(&format!("{body}.{reversed}"))),
            ("an access token without a signature", bearer(&format!("{none}.{claims}."))),
            ("an access token that says it needs none", bearer(&format!("{head}.{claims}."))),
            ("another server's session", bearer(&session_token(&machine))),
            ("a revoked API key", bearer(&self.revoked_key)),
            ("an API key that was cut", bearer(&self.api_key[..70])),
            ("another server's API key", {
                let key = machine.run(["api-keys", "create", "--no-unlock", "--json"]).json();
                bearer(&text(&key, "/api_key"))
            }),
            ("another server's access token", bearer(&access_token(&machine))),
        ]
    }
}

pub(crate) fn session_token(machine: &Machine) -> String {
    fs::read_to_string(machine.config().join("session")).expect("a signed-in machine").trim().to_owned()
}

fn access_token(machine: &Machine) -> String {
    text(&machine.run(["token", "--json"]).json(), "/access_token")
}

/// A response without what differs between any two: its date, and the request's id.
fn without_its_own(answer: &Exchange) -> (u16, Vec<(String, String)>, Value) {
    let mut headers = answer.response_headers.clone();
    headers.retain(|(name, _)| !["date", "x-request-id", "ratelimit"].contains(&name.as_str()));
    let mut body = answer.json();
    let request = body.as_object_mut().and_then(|fields| fields.remove("request"));
    // A protocol's own form has no place for it but the headers.
    let is_scim = answer.header("content-type") == Some("application/scim+json");
    let is_named = request.is_some() || (is_scim && answer.header("x-request-id").is_some());
    assert!(is_named, "a refusal names its request: {body}");
    (answer.status, headers, body)
}

fn said(answer: &Exchange) -> String {
    String::from_utf8_lossy(&answer.response).into_owned()
}

#[track_caller]
fn text(document: &Value, pointer: &str) -> String {
    let value = document.pointer(pointer).and_then(Value::as_str);
    value.unwrap_or_else(|| panic!("{pointer} in {document}")).to_owned()
}

fn any_id(prefix: &str) -> String {
    unique(prefix)
}

fn sealed(length: usize) -> String {
    BASE64URL_NOPAD.encode(&noise(9, length))
}

fn key_grant() -> Value {
    json!({
        "account": any_id("acc_"), "key_version": 1, "own_key_version": 1, "grant": sealed(100), "tag": sealed(32),
    })
}

fn new_collection(id: &str) -> Value {
    json!({ "id": id, "kind": "notes", "sealed_key": sealed(100), "sealed_meta": sealed(100) })
}

/// A recovery key of the right form.
fn new_recovery_key() -> Value {
    let rng = &mut keyring::SystemRng;
    let key = keyring::RecoveryKey::generate(rng);
    let pair = keyring::MethodSecret::from_bytes(key.expose()).expect("a secret").key_pair();
    let place = keyring::MasterKeyPlace {
        account: keyring::AccountId::from_bytes([1; 16]),
        method: keyring::MethodId::from_bytes([2; 16]),
        key_version: 1,
    };
    let sealed = keyring::MasterKey::generate(rng).seal_to(&pair.public_key(), &place, rng);
    json!({
        "id": any_id("mth_"),
        "lookup": BASE64URL_NOPAD.encode(key.lookup().expose()),
        "unlocking": {
            "public_key": BASE64URL_NOPAD.encode(&pair.public_key().to_bytes()),
            "sealed_master_key": BASE64URL_NOPAD.encode(sealed.as_bytes()),
            "method_tag": BASE64URL_NOPAD.encode(&[5; 32]),
            "master_key_version": 1,
            "slow_hash": {
                "salt": BASE64URL_NOPAD.encode(&[6; 16]),
                "kdf": { "memory_kib": 65536, "passes": 3, "lanes": 1 },
            },
        },
    })
}

fn json_body(body: Value) -> Option<Body> {
    Some(Body::Json(body))
}
