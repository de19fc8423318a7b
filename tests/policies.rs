// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Policies of a tenant's own: checked, tried, put, explained to whom they hit, and taken back; and what they cannot do.

use std::fs;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use harness::{Engine, Machine, Outcome, Request, World, on_both_engines, unique};
use serde_json::{Value, json};

on_both_engines!(
    a_policy_is_tried_put_explained_to_whom_it_hits_and_rolled_back,
    nobody_gives_themselves_by_a_policy_what_they_do_not_have,
    an_owner_is_never_locked_out_of_the_policies,
    a_policy_is_told_where_it_is_wrong,
    a_policy_that_is_too_deep_is_refused_and_the_server_lives_on,
    who_asks_why_learns_of_themselves_and_of_nobody_else,
    a_program_asks_why_about_itself,
    dry_runs_end_in_time_and_those_of_one_tenant_keep_no_other_waiting,
);

/// Somebody with a laptop.
struct Colleague {
    laptop: Machine,
    account: String,
}

impl Colleague {
    fn new(world: &World) -> Self {
        let laptop = world.machine();
        laptop.sign_up();
        let account = text(&laptop.run(["whoami", "--json"]).json(), "/account");
        Colleague { laptop, account }
    }

    /// `bailiwick tenant …`
    #[track_caller]
    fn tenant(&self, arguments: &[&str]) -> Outcome {
        self.laptop.run(["tenant"].iter().chain(arguments).chain(&["--json"]))
    }

    /// `bailiwick tenant policies …` with this text in a file.
    #[track_caller]
    fn policies(&self, what: &[&str], policies: &str) -> Outcome {
        let file = self.laptop.scratch("policies.cedar");
        fs::write(&file, policies).unwrap();
        let (command, options) = what.split_first().unwrap();
        let mut arguments = vec!["policies", command, file.to_str().unwrap()];
        arguments.extend(options);
        self.tenant(&arguments)
    }

    /// `bailiwick why …`
    #[track_caller]
    fn why(&self, arguments: &[&str]) -> Outcome {
        self.laptop.run(["why"].iter().chain(arguments).chain(&["--json"]))
    }

    fn lets_in(&self, other: &Colleague, label: &str, roles: &[&str]) {
        let mut command = vec!["invitations", "create", "--label", label];
        roles.iter().for_each(|role| command.extend(["--role", role]));
        other.tenant(&["join", &text(&self.tenant(&command).json(), "/link")]).done();
    }

    fn token(&self) -> String {
        fs::read_to_string(self.laptop.config().join("session")).unwrap().trim().to_owned()
    }
}

/// A tenant of Ada's with a meter in a town in the north, and one in the south.
fn acme(world: &World) -> (Colleague, String) {
    let ada = Colleague::new(world);
    let tenant = text(&ada.tenant(&["create", "Acme", "--label", "Founder"]).json(), "/id");
    ada.tenant(&["organisations", "create", "North"]).done();
    ada.tenant(&["organisations", "create", "Town", "--in", "North"]).done();
    ada.tenant(&["organisations", "create", "South"]).done();
    ada.tenant(&["devices", "register", "meter", "--in", "Town"]).done();
    ada.tenant(&["devices", "register", "far", "--in", "South"]).done();
    (ada, tenant)
}

/// A policy that keeps viewers from looking at devices at the two hours that the night has, which have just begun.
fn night() -> (String, [u64; 2]) {
    let hour = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 3600 % 24;
    let hours = [hour, (hour + 1) % 24];
    let text = format!(
        "@id(\"night\")\n@says(\"Who only looks does not look at devices by night.\")\n\
         forbid (principal is Member, action == Action::\"device.read\", resource)\n\
         when {{ (context.hour == {} || context.hour == {}) && principal.hasTag(\"viewer\") }};\n",
        hours[0], hours[1]
    );
    (text, hours)
}

fn a_policy_is_tried_put_explained_to_whom_it_hits_and_rolled_back(world: World) {
    let (ada, tenant) = acme(&world);
    let [bea, dan] = [(); 2].map(|()| Colleague::new(&world));
    ada.lets_in(&bea, "Bea", &["viewer@North"]);
    ada.lets_in(&dan, "Dan", &["operator@North"]);
    ada.tenant(&["teams", "create", "Crew"]).done();
    ada.tenant(&["grants", "give", "Crew", "viewer", "--at", "Town"]).done();
    ada.tenant(&["teams", "add", "Crew", "Bea"]).done();
    let (night, hours) = night();

    // On PostgreSQL a second server works on the same rows, and remembers what was so before.
    let other = (world.engine() == Engine::Postgresql).then(|| {
        let mut other = world.beside();
        other.start();
        other
    });
    let servers: Vec<String> =
        [Some(world.url()), other.as_ref().map(World::url)].into_iter().flatten().collect();
    let sees = |who: &Colleague| -> Vec<u16> {
        let path = format!("/api/v1/tenants/{tenant}/devices");
        let ask = |server: &String| Request::new("GET", &path).bearer(&who.token()).send(server).status;
        servers.iter().map(ask).collect()
    };
    let all = |status: u16| vec![status; servers.len()];
    assert_eq!((sees(&bea), sees(&dan)), (all(200), all(200)));
    assert_eq!(bea.why(&["--what", "device.read", "--on", "meter"]).json()["decision"], "allowed");

    // The dry run names whom it would hit, of all who are there, and changes nothing.
    let trial = ada.policies(&["try"], &night).json();
    assert_eq!(
        (&trial["total"], &trial["is_complete"], &trial["people"]),
        (&json!(1), &json!(true), &json!(3))
    );
    let effect = &trial["effects"][0];
    assert_eq!(effect["would_be"], "refused", "{trial}");
    assert_eq!(effect["who"], json!([bea.account]), "{trial}");
    assert_eq!(effect["actions"], json!(["device.read"]), "{trial}");
    let mut night_hours = hours.to_vec();
    night_hours.sort_unstable();
    assert_eq!(effect["hours"], json!(night_hours), "{trial}");
    let of_devices = |places: &Value| {
        places.as_array().unwrap().iter().filter(|place| place["of_devices"] == true).count()
    };
    assert_eq!((effect["place_count"].as_u64(), of_devices(&effect["places"])), (Some(4), 2), "{trial}");
    assert_eq!(sees(&bea), all(200));

    let put = ada.policies(&["put", "--note", "asked for by the board"], &night).json();
    assert_eq!((&put["version"], &put["note"]), (&json!(1), &json!("asked for by the board")));
    assert_eq!((sees(&bea), sees(&dan)), (all(403), all(200)), "at once, on every server");
    let refused = bea.tenant(&["devices", "list"]).refused(5);
    assert_eq!((refused.code.as_str(), &refused.document["action"]), ("forbidden", &json!("device.read")));

    // Whoever was refused asks why, by the action that the refusal named.
    let why = bea.why(&["--what", "device.read", "--on", "North"]).json();
    assert_eq!(why["decision"], "forbidden", "{why}");
    assert_eq!(
        why["policies"],
        json!([{
            "policy": "tenant/night",
            "kind": "tenant",
            "says": "Who only looks does not look at devices by night.",
        }])
    );
    assert_eq!((&why["roles"][0]["role"], &why["roles"][0]["reaches"]), (&json!("viewer"), &json!(true)));
    // A device that she may not see now is not there, and no more is told of it than of one that never was.
    let meter = text(&ada.tenant(&["devices", "show", "meter"]).json(), "/id");
    for device in [&meter, &unique("dvc_")] {
        let asked = bea.why(&["--what", "device.read", "--on", device]).refused(1);
        assert_eq!(asked.code, "not_found", "{device}");
    }
    // The owner asks about her: by which roles, of whose, and what forbids it.
    let why = ada.why(&["--who", "Bea", "--what", "device.read", "--on", "meter"]).json();
    assert_eq!(
        (&why["decision"], &why["policies"][0]["policy"]),
        (&json!("forbidden"), &json!("tenant/night"))
    );
    let roles = why["roles"].as_array().unwrap();
    assert_eq!(roles.len(), 2, "{why}");
    assert!(roles.iter().all(|role| role["reaches"] == true && role["allows"] == true), "{why}");
    assert!(roles.iter().any(|role| role["through"].as_str().unwrap().starts_with("tea_")), "{why}");
    assert_eq!(why["path"].as_array().unwrap().len(), 4, "the meter, Town, North, the whole: {why}");
    let text_of_it = ada.laptop.run(["why", "--who", "Bea", "--what", "device.read", "--on", "meter"]).done();
    for word in ["Bea", "does not look at devices by night", "team Crew", "Town < North"] {
        assert!(text_of_it.stdout.contains(word), "{word}: {text_of_it}");
    }
    let can = ada.why(&["--who-can", "device.read", "--on", "meter"]).json();
    let who: Vec<_> = can["holders"].as_array().unwrap().iter().map(|one| text(one, "/who")).collect();
    assert!(who.contains(&ada.account) && who.contains(&dan.account) && who.len() == 2, "{can}");

    // Two editors: who did not see the newest version replaces nothing.
    let late = ada.policies(&["put", "--after", "0"], "").refused(1);
    assert_eq!((late.code.as_str(), &late.document["field"]), ("conflict", &json!("If-Match")));
    let path = format!("/api/v1/tenants/{tenant}/policies");
    let blind =
        Request::new("PUT", &path).json(&json!({ "text": "" })).bearer(&ada.token()).send(&world.url());
    assert_eq!(blind.status, 428);

    // Back to no policies: a version of its own that says so, and acts at once.
    let back = ada.tenant(&["policies", "rollback", "0", "--note", "the board slept badly"]).json();
    assert_eq!((&back["version"], &back["restores"]), (&json!(2), &json!(0)));
    assert_eq!(sees(&bea), all(200));
    let versions = ada.tenant(&["policies", "versions"]).entries();
    assert_eq!(versions.iter().map(|one| one["version"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(ada.tenant(&["policies", "show", "1"]).json()["text"], json!(night));
    ada.tenant(&["policies", "rollback", "1"]).done();
    assert_eq!(sees(&bea), all(403));

    // Each is in the history: who, what followed what, and the note.
    let mut puts = Vec::new();
    until(|| {
        let log = ada.laptop.run(["log", "--tenant", &tenant, "--json"]).entries();
        puts = log.into_iter().filter(|record| record["action"] == "policy.write").collect();
        puts.len() == 3
    });
    puts.sort_by_key(|record| record["subject"].as_str().map(str::to_owned));
    assert_eq!(puts[0]["actor"], json!(ada.account));
    assert_eq!(puts[0]["opened"]["reason"], "asked for by the board");
    assert_eq!(puts[1]["opened"]["before"]["version"], 1);
    assert_eq!(puts[1]["opened"]["after"]["restores"], 0);
    assert_eq!(puts[0]["opened"]["after"]["sha256"], puts[2]["opened"]["after"]["sha256"]);
}

fn nobody_gives_themselves_by_a_policy_what_they_do_not_have(world: World) {
    let (ada, _) = acme(&world);
    let [bea, cleo, eve] = [(); 3].map(|()| Colleague::new(&world));
    ada.lets_in(&bea, "Bea", &["admin"]);
    ada.tenant(&["roles", "create", "Scribe", "--actions", "policy.read,policy.write,decision.explain"])
        .done();
    ada.lets_in(&cleo, "Cleo", &["Scribe"]);

    let everything = "@id(\"a\") permit (principal, action, resource);";
    let own = "@id(\"a\") permit (principal, action in [Action::\"tenant.delete\"], resource);";
    for (who, policies) in [
        (&bea, everything),
        (&bea, own),
        (&cleo, everything),
        (&cleo, "@id(\"a\") permit (principal, action == Action::\"device.delete\", resource);"),
        // Nor do they take from others what they have not.
        (&bea, "@id(\"a\") forbid (principal, action, resource);"),
        (&cleo, "@id(\"a\") forbid (principal, action in Action::\"owner\", resource);"),
    ] {
        let refused = who.policies(&["put", "--yes"], policies).refused(5);
        assert_eq!(refused.code, "forbidden", "{policies}");
    }
    // What they have they may: an administrator says who else deletes devices.
    let cleos = format!(
        "@id(\"a\") permit (principal == Member::\"{}\", action == Action::\"device.delete\", resource);",
        cleo.account
    );
    bea.policies(&["put"], &cleos).done();
    cleo.tenant(&["devices", "delete", "far"]).refused(5);
    let far = text(&ada.tenant(&["devices", "show", "far"]).json(), "/id");
    let why = cleo.why(&["--what", "device.delete"]).json();
    assert_eq!((&why["decision"], &why["policies"][0]["kind"]), (&json!("allowed"), &json!("tenant")));
    // Which she may delete but not see, so she learns nothing of it.
    cleo.why(&["--what", "device.delete", "--on", &far]).refused(1);
    // An alteration of what she was given is no longer hers to make in words of her own.
    let wider = "@id(\"a\") permit (principal, action in [Action::\"device.delete\", Action::\"device.read\"], resource);";
    assert_eq!(cleo.policies(&["put"], wider).refused(5).code, "forbidden");

    // The most careless owner opens nothing to anybody outside, and lets nobody give more than they have.
    ada.policies(&["put"], everything).done();
    for path in ["", "/policies", "/members", "/decisions"] {
        let path = format!("/api/v1/tenants/{}{path}", text(&ada.tenant(&["show"]).json(), "/id"));
        assert_eq!(Request::new("GET", &path).bearer(&eve.token()).send(&world.url()).status, 404, "{path}");
    }
}

fn an_owner_is_never_locked_out_of_the_policies(world: World) {
    let (ada, tenant) = acme(&world);
    let bea = Colleague::new(&world);
    ada.lets_in(&bea, "Bea", &["admin"]);
    let nothing = "@id(\"nothing\") @says(\"Nothing at all.\") forbid (principal, action, resource);";
    let trial = ada.policies(&["try"], nothing).json();
    assert!(trial["total"].as_u64().unwrap() > 0, "{trial}");
    let told = trial.to_string();
    for kept in ["policy.write", "policy.read", "decision.explain", "tenant.leave", "tenant.read"] {
        assert!(!told.contains(kept), "{kept} stays: {told}");
    }
    let asked = ada.policies(&["put"], nothing).refused(2);
    assert!(asked.document["message"].as_str().unwrap().contains("--yes"), "{asked:?}");
    ada.policies(&["put", "--yes"], nothing).done();
    for refused in [vec!["devices", "list"], vec!["members", "list"], vec!["rename", "Other"]] {
        assert_eq!(ada.tenant(&refused).refused(5).code, "forbidden", "{refused:?}");
    }
    // She sees the tenant, why she is refused, and the policies, and takes them back.
    assert_eq!(ada.tenant(&["show"]).json()["id"], json!(tenant));
    assert_eq!(ada.why(&["--what", "member.read"]).json()["policies"][0]["policy"], "tenant/nothing");
    // An administrator does not: the policies say that she has nothing that she could give back.
    assert_eq!(bea.policies(&["put"], "").refused(5).code, "forbidden");
    ada.tenant(&["policies", "rollback", "0"]).done();
    ada.tenant(&["devices", "list"]).done();
}

fn a_policy_is_told_where_it_is_wrong(world: World) {
    let (ada, _) = acme(&world);
    let wrong = "@id(\"good\") permit (principal, action == Action::\"device.read\", resource);\n\
                 @id(\"bad\")\npermit (principal, action == Action::\"device.raed\", resource);\n";
    let told = ada.policies(&["check"], wrong).refused(1);
    assert_eq!(told.code, "invalid_policies");
    let first = &told.document["failed"][0];
    assert_eq!((&first["line"], &first["policy"]), (&json!(3), &json!("bad")), "{told:?}");
    for command in ["put", "try"] {
        assert_eq!(ada.policies(&[command], wrong).refused(1).code, "invalid_policies", "{command}");
    }
    let tenant = text(&ada.tenant(&["show"]).json(), "/id");
    let path = format!("/api/v1/tenants/{tenant}/policies");
    let put = |text: &str| {
        let put = Request::new("PUT", &path).header("if-match", "\"0\"").json(&json!({ "text": text }));
        put.bearer(&ada.token()).send(&world.url())
    };
    let refused = put(wrong);
    assert_eq!((refused.status, refused.json()["field"].clone()), (422, json!("text")));
    let detail = text(&refused.json(), "/detail");
    assert!(detail.contains("line 3") && detail.contains("policy bad"), "{detail}");
    assert_eq!(put(&"// ".repeat(30_000)).status, 422, "too long");
    assert_eq!(ada.tenant(&["policies", "show"]).json()["version"], 0, "nothing was kept");
    let fits = ada.policies(&["check"], "@id(\"a\") permit (principal, action, resource);").json();
    assert_eq!(fits["problems"], json!([]));
}

/// What is read recursively may not end the process, neither at once nor whenever it is read again.
fn a_policy_that_is_too_deep_is_refused_and_the_server_lives_on(world: World) {
    let (ada, _) = acme(&world);
    let within =
        |condition: &str| format!("@id(\"a\") permit (principal, action, resource) when {{ {condition} }};");
    let pid = world.pid();
    for text in [
        within(&format!("{}true{}", "(".repeat(150), ")".repeat(150))),
        within(&format!("{}1{} == 1", "[".repeat(5_000), "]".repeat(5_000))),
        within(&format!("true{}", " || true".repeat(6_000))),
        within(&format!("1{} == 1", " + 1".repeat(9_000))),
        within(&format!("context{}", ".a".repeat(20_000))),
        within(&format!("context{}", "[\"a\"]".repeat(10_000))),
        within(&"if true then true else ".repeat(2_000)),
        format!("@id(\"a\") permit (principal, action, resource) {};", "when { true } ".repeat(4_000)),
        // Where a comment ends, and what the parser passes over, Cedar says.
        format!("//\r{}", within(&format!("{}true{}", "(".repeat(20_000), ")".repeat(20_000)))),
        within(&"( ] ".repeat(10_000)),
        within(&format!("({}", "true || true ; ".repeat(4_000))),
    ] {
        for command in ["check", "try", "put"] {
            assert_eq!(ada.policies(&[command], &text).refused(1).code, "invalid_policies", "{command}");
        }
    }
    // What is within the bounds is read, also in the process of tests, which has more to put on a stack.
    let most = within(&format!("{}true{}{}", "(".repeat(20), ")".repeat(20), " || true".repeat(240)));
    assert_eq!(ada.policies(&["check"], &most).json()["problems"], json!([]));
    ada.policies(&["try"], &most).done();
    ada.policies(&["put"], &most).done();
    ada.tenant(&["members", "list"]).done();
    assert_eq!(world.pid(), pid);
    assert!(!world.log().contains("overflow"));
}

fn who_asks_why_learns_of_themselves_and_of_nobody_else(world: World) {
    let (ada, tenant) = acme(&world);
    let [bea, cleo, eve] = [(); 3].map(|()| Colleague::new(&world));
    ada.lets_in(&bea, "Bea", &["manager@North"]);
    ada.lets_in(&cleo, "Cleo", &[]);
    let [meter, far] = ["meter", "far"].map(|id| text(&ada.tenant(&["devices", "show", id]).json(), "/id"));

    // Each of themselves, of what they may see.
    let why = cleo.why(&["--what", "member.read"]).json();
    assert_eq!(
        (&why["decision"], &why["policies"], &why["roles"]),
        (&json!("forbidden"), &json!([]), &json!([]))
    );
    let can = cleo.why(&[]).json();
    let whole = json!(tenant.replace("ten_", "org_"));
    let places = can["places"].as_array().unwrap();
    assert_eq!((places.len(), &places[0]["place"]), (1, &whole), "the same everywhere: {can}");
    assert_eq!(
        places[0]["actions"],
        json!([
            "tenant.read",
            "tenant.leave",
            "organisation.read",
            "team.read",
            "client.use",
            "plain_password.set"
        ])
    );
    // Of others, where one runs an organisation; elsewhere not.
    assert_eq!(
        bea.why(&["--who", &cleo.account, "--what", "device.read", "--on", &meter]).json()["decision"],
        "forbidden"
    );
    for forbidden in [
        (&bea, vec!["--who", cleo.account.as_str(), "--what", "device.read", "--on", "South"]),
        (&bea, vec!["--who", cleo.account.as_str(), "--what", "device.read"]),
        (&bea, vec!["--who-can", "device.read", "--on", "South"]),
        (&cleo, vec!["--who", bea.account.as_str(), "--what", "device.read", "--on", "North"]),
        (&cleo, vec!["--who", bea.account.as_str()]),
        (&cleo, vec!["--who-can", "device.read"]),
    ] {
        let (who, arguments) = forbidden;
        let refused = who.why(&arguments).refused(5);
        assert_eq!(refused.document["action"], "decision.explain", "{arguments:?}");
    }
    // What she may there, and nowhere else.
    let can = bea.why(&["--who", &cleo.account]).json();
    assert!(
        !can.to_string()
            .contains(&text(&ada.tenant(&["organisations", "list"]).json(), "/organisations/3/id"))
    );
    // What one may not see, what is another's and what is not there are answered alike; about others, as of the tenant as a whole.
    for (who, on) in [(&cleo, meter.clone()), (&bea, far), (&bea, unique("dvc_")), (&bea, unique("org_"))] {
        assert_eq!(who.why(&["--what", "device.read", "--on", &on]).refused(1).code, "not_found", "{on}");
        assert_eq!(who.why(&["--who-can", "device.read", "--on", &on]).refused(5).code, "forbidden", "{on}");
    }
    for on in [unique("dvc_"), unique("org_")] {
        assert_eq!(ada.why(&["--who-can", "device.read", "--on", &on]).refused(1).code, "not_found", "{on}");
    }
    assert_eq!(
        bea.why(&["--who", &unique("acc_"), "--what", "device.read", "--on", "North"]).refused(1).code,
        "not_found"
    );
    assert_eq!(ada.why(&["--who", &eve.account]).refused(1).code, "not_found");
    let outside = eve.why(&["--tenant", &tenant, "--what", "device.read"]).refused(1);
    let nowhere = eve.why(&["--tenant", &unique("ten_"), "--what", "device.read"]).refused(1);
    assert_eq!((outside.code.as_str(), nowhere.code.as_str()), ("not_found", "not_found"));
    // What is not done in a tenant, or not to a device.
    for arguments in [["--what", "password.change"], ["--what", "tenant.found"]] {
        assert_eq!(ada.why(&arguments).refused(1).document["field"], "action", "{arguments:?}");
    }
    assert_eq!(ada.why(&["--what", "tenant.update", "--on", &meter]).refused(1).document["field"], "on");

    // Whoever is suspended may still ask why nothing works.
    ada.tenant(&["members", "suspend", "Cleo"]).done();
    let why = cleo.why(&["--tenant", &tenant, "--what", "tenant.read"]).json();
    assert_eq!((&why["decision"], &why["policies"][0]["kind"]), (&json!("suspended"), &json!("guardrail")));
    ada.tenant(&["members", "remove", "Cleo"]).done();
    assert_eq!(cleo.why(&["--tenant", &tenant, "--what", "tenant.read"]).refused(1).code, "not_found");
}

fn a_program_asks_why_about_itself(world: World) {
    let (ada, tenant) = acme(&world);
    let account = text(&ada.tenant(&["service-accounts", "create", "nightly"]).json(), "/id");
    let key = |options: &[&str]| {
        let command: Vec<_> =
            ["service-accounts", "create-key", &account].iter().chain(options).copied().collect();
        text(&ada.tenant(&command).json(), "/key")
    };
    let (wide, narrow) = (key(&[]), key(&["--scopes", "device.read,tenant.read"]));
    let north = text(&ada.tenant(&["grants", "give", &account, "manager", "--at", "North"]).json(), "/place");
    let ask = |key: &str, action: &str, place: &str| {
        let path = format!("/api/v1/tenants/{tenant}/decisions/{action}/{place}");
        Request::new("GET", &path).bearer(key).send(&world.url())
    };
    assert_eq!(ask(&wide, "device.write", &north).json()["decision"], "allowed");
    // What it shows is a ceiling, and that is the reason.
    let why = ask(&narrow, "device.write", &north).json();
    assert_eq!(
        (&why["decision"], &why["policies"][0]["policy"]),
        (&json!("forbidden"), &json!("within-scope"))
    );
    // It never proves anew who it is.
    let why = ask(&wide, "role.grant", &north).json();
    assert_eq!(why["policies"][0]["policy"], "fresh-proof", "{why}");
    // Of a place that it neither sees nor works in, it learns nothing.
    let south = text(&ada.tenant(&["organisations", "list"]).json(), "/organisations/3/id");
    assert_eq!(ask(&wide, "device.write", &south).status, 404);
}

fn dry_runs_end_in_time_and_those_of_one_tenant_keep_no_other_waiting(world: World) {
    let ((ada, large), (bea, small)) = (acme(&world), acme(&world));
    let (url, hers, beas) = (world.url(), ada.token(), bea.token());
    for number in 0..100 {
        let path = format!("/api/v1/tenants/{large}/organisations");
        let new = json!({ "name": format!("Branch {number}") });
        let made = Request::new("POST", &path).json(&new).bearer(&hers).send(&url);
        assert_eq!(made.status, 201, "{}", made.json());
    }
    // Each looks at the clock, at the proof and at her alone, so that no answer is good for a second question.
    let policy = |number: u32| {
        format!(
            "@id(\"p{number}\") forbid (principal == Member::\"{}\", action, resource)\n\
             when {{ context.hour == {} && !context.fresh }};\n",
            ada.account,
            number % 24
        )
    };
    let many: String = (0..40).map(policy).collect();
    let few = "@id(\"a\") forbid (principal, action == Action::\"device.read\", resource);";
    let try_out = |token: &str, tenant: &str, text: &str| {
        let path = format!("/api/v1/tenants/{tenant}/policies/try");
        let request = Request::new("POST", &path).json(&json!({ "text": text })).bearer(token);
        request.patience(Duration::from_secs(60)).send(&url)
    };
    let began = Instant::now();
    thread::scope(|scope| {
        let long: Vec<_> = (0..2).map(|_| scope.spawn(|| try_out(&hers, &large, &many))).collect();
        while !long.iter().all(thread::ScopedJoinHandle::is_finished) {
            let answer = try_out(&beas, &small, few);
            assert_eq!((answer.status, answer.json()["is_complete"].clone()), (200, json!(true)));
        }
        for one in long {
            let answer = one.join().unwrap();
            assert_eq!((answer.status, answer.json()["is_complete"].clone()), (200, json!(false)));
        }
    });
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
}

fn until(mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "it does not become so");
        thread::sleep(Duration::from_millis(100));
    }
}

#[track_caller]
fn text(document: &Value, pointer: &str) -> String {
    let value = document.pointer(pointer).and_then(Value::as_str);
    value.unwrap_or_else(|| panic!("{pointer} in {document}")).to_owned()
}
