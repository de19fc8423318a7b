// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A provider that knows nothing of Bailiwick: `oidc-provider` for Node, as `tests/node` pins it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use harness::{Engine, Machine, World, free_port, noise};
use serde_json::{Value, json};

use super::browser::follow;
use super::house::{House, text};

const SECRET: &str = "a secret: of two parts%";

struct Upstream {
    child: Child,
}

impl Upstream {
    fn started(folder: &Path, port: u16, callback: &str, algorithm: &str, people: &Value) -> Self {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "node"]).arg(folder.join("upstream.mjs"));
        command.env("PORT", port.to_string()).env("PEOPLE", people.to_string()).env("ALGORITHM", algorithm);
        command.env("CLIENT_SECRET", SECRET).env("REDIRECT_URI", callback);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("node");
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().expect("piped"));
        while line.trim() != "ready" {
            line.clear();
            assert!(said.read_line(&mut line).expect("its output") > 0, "the provider starts");
        }
        std::thread::spawn(move || said.lines().map_while(Result::ok).for_each(drop));
        Upstream { child }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn node() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("node");
    if !folder.join("node_modules/oidc-provider").exists() {
        let mut install = Command::new("npm");
        install.args(["ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"]);
        let installed = install.current_dir(&folder).output().expect("npm");
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    }
    folder
}

/// Signs in on a machine through the tenant's provider, as this person; returns what the command line said at its end.
fn sign_in(machine: &Machine, through: &str, who: &str, more: &[&str], event: &str) -> Value {
    let mut login = machine.talk(["login", "--provider", through, "--json"].iter().chain(more));
    let url = text(&login.hears("open")["url"]);
    let (at, answer) = follow(&format!("{url}&login_hint={who}"));
    assert!(at.contains("/signed-in?"), "{at}");
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.response));
    let said = login.hears(event);
    login.ends().done();
    said
}

#[test]
fn people_come_in_by_a_standard_provider() {
    let folder = node();
    for engine in [Engine::Sqlite, Engine::Postgresql] {
        let mut world = World::started(engine);
        let house = House::founded(&mut world);
        let port = free_port();
        let issuer = format!("http://127.0.0.1:{port}");
        let create = [
            "providers",
            "create",
            "Acme's own",
            "--issuer",
            &issuer,
            "--client-id",
            "bailiwick",
            "--secret-stdin",
            "--joins",
            "--gives",
            "viewer",
            "--gives",
            "it=manager",
            "--scopes",
            "email,profile,groups",
        ];
        let made = house.run_with(&create, &format!("{SECRET}\n")).json();
        assert_eq!(made["has_secret"], json!(true));
        assert!(!made.to_string().contains(SECRET), "{made}");
        let callback = text(&made["callback"]);
        let mut people = json!({
            "ada": { "email": "ada@acme.example", "email_verified": true, "name": "Ada", "groups": ["it", "all"] },
            "bob": { "email": "bob@elsewhere.example", "email_verified": true, "name": "Bob", "groups": ["it"] },
        });
        let upstream = Upstream::started(&folder, port, &callback, "RS256", &people);
        house.run(&["providers", "test", "Acme's own"]).json();

        // Nobody of a domain that is not proved has an account made.
        let ada = world.machine();
        let refused = |machine: &Machine, who: &str| {
            let mut login = machine.talk(["login", "--provider", &house.tenant, "--json"]);
            let url = text(&login.hears("open")["url"]);
            follow(&format!("{url}&login_hint={who}"));
            login.ends()
        };
        assert_eq!(refused(&ada, "ada").refused(5).code, "not_linked");

        let domain = house.run(&["domains", "add", "acme.example"]).json();
        assert_eq!(house.run(&["domains", "verify", "acme.example"]).refused(1).code, "invalid_field");
        house.zone.write(&text(&domain["record"]), &["v=spf1 -all", &text(&domain["proof"])]);
        assert!(house.run(&["domains", "verify", "acme.example"]).json()["verified_at"].is_i64());

        // By the domain of her address: an account, a member, and the roles of her groups.
        let said = sign_in(&ada, "ada@acme.example", "ada", &[], "signed_up");
        let key = text(&said["recovery_key"]);
        assert_eq!(text(&ada.run(["tenant", "show", "--json"]).json()["id"]), house.tenant);
        let roles = |account: &Value| {
            let grants = house.run(&["grants", "list", "--of", &text(account)]).json();
            let grants = grants["grants"].as_array().expect("grants").clone();
            let mut roles: Vec<String> = grants.iter().map(|grant| text(&grant["role"])).collect();
            roles.sort();
            roles
        };
        assert_eq!(roles(&said["account"]), ["manager", "viewer"]);
        let members = house.run(&["members", "list"]).json();
        assert!(members.to_string().contains("\"Ada\""), "{members}");

        // What she keeps is hers, as anybody's; her device opens it when she comes back.
        let letter = ada.scratch("letter");
        std::fs::write(&letter, noise(7, 40_000)).expect("a file");
        ada.put(&letter, "letter").done();
        let again = sign_in(&ada, &house.tenant, "ada", &["--force"], "signed_in");
        assert_eq!((&again["unlocked_by"], &again["confined"]), (&json!("device"), &json!(false)));
        assert_eq!(again["device"], said["device"]);
        ada.get("letter", &ada.scratch("copy")).done();

        // On another device her provider opens the tenant, and nothing of hers.
        let desktop = world.machine();
        let came = sign_in(&desktop, &house.tenant, "ada", &[], "signed_in");
        assert_eq!((&came["unlocked_by"], &came["confined"]), (&json!(null), &json!(true)));
        assert_eq!(desktop.run(["whoami", "--json"]).json()["locked"], json!(true));
        assert_eq!(text(&desktop.run(["tenant", "show", "--json"]).json()["id"]), house.tenant);
        assert_eq!(desktop.run(["ls", "--json"]).refused(5).code, "locked");
        // With her recovery key it does.
        let mut login =
            desktop.talk(["login", "--provider", &house.tenant, "--force", "--recovery-key-stdin", "--json"]);
        let url = text(&login.hears("open")["url"]);
        login.says(&key);
        follow(&format!("{url}&login_hint=ada"));
        assert_eq!(login.hears("signed_in")["unlocked_by"], json!("recovery-key"));
        login.ends().done();
        desktop.get("letter", &desktop.scratch("copy")).done();
        assert_eq!(std::fs::read(desktop.scratch("copy")).expect("a file"), noise(7, 40_000));

        // The provider's keys and her groups change.
        drop(upstream);
        people["ada"]["groups"] = json!(["all"]);
        let upstream = Upstream::started(&folder, port, &callback, "ES256", &people);
        let changed = sign_in(&ada, &house.tenant, "ada", &["--force"], "signed_in");
        assert_eq!(roles(&changed["account"]), ["viewer"]);
        drop(upstream);
        let upstream = Upstream::started(&folder, port, &callback, "PS256", &people);
        // Unknown keys make it read them again every half minute only.
        world.restart();

        // Who has an account adds the provider to it.
        let bob = world.machine();
        let person = bob.sign_up();
        assert_eq!(refused(&world.machine(), "bob").refused(5).code, "not_linked");
        let mut link = bob.talk(["methods", "add-provider", &house.tenant, "--json"]);
        let url = text(&link.hears("open")["url"]);
        follow(&format!("{url}&login_hint=bob"));
        link.hears("linked");
        link.ends().done();
        world.letter(&[&person.email, "provider"]);
        let came = sign_in(&world.machine(), &house.tenant, "bob", &[], "signed_in");
        assert_eq!((&came["account_id"], &came["confined"]), (&json!(person.account_id), &json!(true)));

        // Nobody comes in by it while it is off, or gone; by other ways they do.
        drop(upstream);
        world.restart();
        let gone = world.machine();
        assert_eq!(
            gone.run(["login", "--provider", &house.tenant, "--json"]).refused(1).code,
            "provider_unavailable"
        );
        gone.sign_in(&person).done();
        house.run(&["providers", "change", "Acme's own", "--disable"]).json();
        assert_eq!(
            world.machine().run(["login", "--provider", &house.tenant, "--json"]).refused(1).code,
            "not_found"
        );

        for action in ["provider.write", "member.provision"] {
            house.records(1, action);
        }
        assert!(!world.log().contains(SECRET));
    }
}
