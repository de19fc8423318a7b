// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Starting, checking, stopping: what an operator sees.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use harness::{Database, Engine, Request, Role, World, binary, free_port, noise, on_both_engines};
use serde_json::Value;

on_both_engines!(
    a_sound_configuration_passes_the_check,
    another_root_key_than_the_database_s_does_not_pass_the_check,
    stopping_ends_well_and_loses_nothing,
    two_servers_do_not_share_a_data_folder,
    a_sweep_clears_away_what_nothing_names,
    operators_commands_answer_in_json,
    metrics_are_at_their_own_address_and_nowhere_else,
);

fn a_sweep_clears_away_what_nothing_names(mut world: World) {
    let machine = world.machine();
    machine.sign_up();
    let kept = machine.scratch("kept");
    fs::write(&kept, noise(1, 1 << 20)).unwrap();
    machine.put(&kept, "kept").done();
    let blobs = world.data().join("blobs");
    let before = files(&blobs);
    assert!(!before.is_empty(), "{before:?}");
    // What a crash between writing an object and recording it leaves, of a moment ago and of long ago.
    let folder = before[0].parent().unwrap().with_file_name(format!("blb_{}", "7".repeat(32)));
    fs::create_dir_all(&folder).unwrap();
    let (young, old) = (folder.join("0-young"), folder.join("1-old"));
    fs::write(&young, "just written").unwrap();
    fs::write(&old, "written long ago").unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(2 * 24 * 3_600);
    fs::File::options().write(true).open(&old).unwrap().set_modified(long_ago).unwrap();

    world.stop();
    let swept = json(world.command("sweep").arg("--json"));
    assert_eq!((swept["homes"].as_u64(), swept["unnamed"].as_u64()), (Some(1), Some(1)), "{swept}");
    assert!(!old.exists() && young.exists());
    assert!(before.iter().all(|file| file.exists()), "what is named stays");
    world.start();
    machine.get("kept", &machine.scratch("copy")).done();
    machine.verified_records();
}

fn operators_commands_answer_in_json(mut world: World) {
    let machine = world.machine();
    let ada = machine.sign_up();
    if world.engine() == Engine::Sqlite {
        world.stop();
    }
    let checked = json(world.command("check").arg("--json").env("BAILIWICK_LISTN", "127.0.0.1:1"));
    assert_eq!(checked["usable"], true);
    let warnings = checked["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|warning| warning["setting"] == "BAILIWICK_LISTN"), "{checked}");

    let granted = json(world.command("admin grant").args([&ada.account_id, "auditor", "--json"]));
    assert_eq!((granted["role"].as_str(), granted["changed"].as_bool()), (Some("auditor"), Some(true)));
    let listed = json(world.command("admin list").arg("--json"));
    assert_eq!(listed["account"], granted["account"]);
    let status = json(world.command("root-key status").arg("--json"));
    assert_eq!(status["older"], 0, "{status}");
    assert!(status["current"].as_u64().unwrap() > 1, "{status}");

    let refused =
        world.command("admin grant").args(["nobody", "--json"]).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stdout.is_empty(), "{refused:?}");
    let error: Value = serde_json::from_slice(&refused.stderr).unwrap_or_else(|_| panic!("{refused:?}"));
    assert_eq!(error["code"], "configuration", "{error}");

    let output = world.command("check").arg("--print-defaults").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("# access_token_minutes = 30"), "{text}");
}

fn metrics_are_at_their_own_address_and_nowhere_else(mut world: World) {
    let own = format!("127.0.0.1:{}", free_port());
    assert_eq!(Request::new("GET", "/metrics").send(&world.url()).status, 200);
    world.set("BAILIWICK_METRICS_LISTEN", &own);
    // One request, and its address has had its share.
    world.set("BAILIWICK_REQUESTS_PER_SECOND", "1");
    world.set("BAILIWICK_REQUEST_BURST", "1");
    world.restart();
    let there = format!("http://{own}");
    assert_eq!(Request::new("GET", "/metrics").send(&world.url()).status, 404);
    for _ in 0..10 {
        let metrics = Request::new("GET", "/metrics").send(&there);
        let text = String::from_utf8_lossy(&metrics.response).into_owned();
        assert!(metrics.status == 200 && text.contains("bailiwick_requests_total"), "{text}");
    }
    for path in ["/livez", "/readyz"] {
        let answer = Request::new("GET", path).send(&there);
        assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("ok")), "{path}");
    }
    assert_eq!(
        Request::new("GET", "/.well-known/bailiwick").send(&there).status,
        404,
        "nothing else is there"
    );
    assert!(world.stop().success());
    assert!(std::net::TcpStream::connect(&own).is_err(), "it ends with the server");
}

#[test]
fn check_says_all_that_is_wrong_and_by_which_name_it_was_given() {
    let world = World::on(Engine::Sqlite);
    let said = |set: &[(&str, &str)]| {
        let mut command = world.command("check");
        let output = command.envs(set.iter().copied()).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let values = said(&[
        ("BAILIWICK_PRODUCTION", "true"),
        ("BAILIWICK_ACCESS_TOKEN_MINUTES", "0"),
        ("BAILIWICK_DATABASE_CONNECTIONS", "0"),
        ("BAILIWICK_LOG_LEVEL", "inof"),
        ("BAILIWICK_BLOBS", "s3//bucket"),
        ("BAILIWICK_REDIS_URL", "rediss://cache.example"),
        ("BAILIWICK_REDIS_CA_FILE", "/nowhere.pem"),
        ("BAILIWICK_ROOT_KEY", "nonsense"),
    ]);
    for setting in [
        "public_url",
        "smtp_url",
        "access_token_minutes",
        "database_connections",
        "log_level",
        "blobs",
        "redis_ca_file",
        "root_key",
    ] {
        assert!(values.contains(&format!("\n  {setting}: ")), "{setting}: {values}");
    }
    assert!(values.contains("debug"), "the levels: {values}");
    assert!(!values.contains("nonsense"), "a secret is not said back: {values}");

    let forms = said(&[
        ("BAILIWICK_PRODUCTION", "yes"),
        ("BAILIWICK_NAME_SERVER", "1.1.1.1"),
        ("BAILIWICK_METRICS_LISTEN", "localhost:7342"),
    ]);
    for said in [
        "BAILIWICK_PRODUCTION: expected true or false",
        "BAILIWICK_NAME_SERVER: expected an address and a port, such as 127.0.0.1:7341",
        "BAILIWICK_METRICS_LISTEN: expected an address and a port",
    ] {
        assert!(forms.contains(said), "{said}: {forms}");
    }
    let mail = said(&[("BAILIWICK_SMTP_URL", "mail.example")]);
    assert!(mail.contains("smtp_url: "), "{mail}");
}

#[test]
fn a_wrong_log_level_does_not_make_a_silent_server() {
    let mut world = World::on(Engine::Sqlite);
    world.set("BAILIWICK_LOG_LEVEL", "inof");
    let refusal = world.try_start().expect_err("no level");
    assert!(refusal.said.contains("log_level") && refusal.said.contains("debug"), "{}", refusal.said);
}

#[test]
fn what_deserves_a_word_is_said_and_the_clients_variables_are_not() {
    let world = World::on(Engine::Sqlite);
    let mut command = world.command("check");
    command.arg("--json").envs([
        ("BAILIWICK_METRICS_LISTEN", "0.0.0.0:7342"),
        ("BAILIWICK_PUBLIC_URL", "https://id.example"),
        ("BAILIWICK_TENANT", "ten_x"),
        ("BAILIWICK_SERVER", "https://id.example"),
        ("BAILIWICK_KEYCHAIN", "off"),
    ]);
    let checked = json(&mut command);
    let warnings = checked["warnings"].as_array().unwrap();
    let mut settings: Vec<_> = warnings.iter().map(|warning| warning["setting"].as_str().unwrap()).collect();
    settings.sort_unstable();
    assert_eq!(settings, ["metrics_listen", "smtp_url", "trusted_proxies"], "{checked}");
}

/// A server beside which the root key is rotated serves on, and what it seals from then on is under the new one.
#[test]
fn the_root_key_is_rotated_while_the_server_runs() {
    let mut world = World::started(Engine::Postgresql);
    let machine = world.machine();
    let ada = machine.sign_up();
    let note = machine.scratch("note");
    fs::write(&note, "a note").unwrap();
    machine.put(&note, "note").done();
    let tenant =
        machine.run(["tenant", "create", "Acme", "--json"]).json()["id"].as_str().unwrap().to_owned();
    let found =
        |name: &str| machine.run(["tenant", "organisations", "create", name, "--tenant", &tenant, "--json"]);
    found("North").done();
    let old = json(world.command("root-key status").arg("--json"))["root_key"].clone();

    let added = json(world.command("root-key add").arg("--json"))["root_key"].clone();
    assert_eq!(json(world.command("root-key status").arg("--json"))["root_key"], old, "not used yet");
    let id = added.as_str().unwrap().to_owned();
    json(world.command("root-key rotate").args(["--to", &id, "--json"]));
    let status = json(world.command("root-key status").arg("--json"));
    assert_eq!((&status["root_key"], status["older"].as_u64()), (&added, Some(0)), "{status}");

    // The server that was there all the time; somebody whom it knows, and somebody new.
    machine.get("note", &machine.scratch("copy")).done();
    world.machine().sign_in(&ada).done();
    world.machine().sign_up();
    // Without the old key, once nothing needs it.
    json(world.command("root-key rotate").args(["--resume", "--json"]));
    let text = fs::read_to_string(world.root_key()).unwrap();
    let new_alone: String = text.lines().take(1).map(|line| format!("{line}\n")).collect();
    assert!(new_alone.contains(&id));
    world.stop();
    fs::write(world.root_key(), new_alone).unwrap();
    world.start();
    machine.get("note", &machine.scratch("another copy")).done();
    machine.verified_records();
    // A customer's keys are not those of a home, and found elsewhere.
    found("South").done();
    machine.run(["tenant", "service-accounts", "create", "robot", "--tenant", &tenant, "--json"]).done();
    machine.run(["log", "--requests", "--tenant", &tenant, "--json"]).done();
}

/// What a command answers, as one JSON document.
#[track_caller]
fn json(command: &mut Command) -> Value {
    let output = command.stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { found.extend(files(&entry)) } else { found.push(entry) }
    }
    found
}

fn a_sound_configuration_passes_the_check(mut world: World) {
    world.stop();
    let output = world.command("check").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn another_root_key_than_the_database_s_does_not_pass_the_check(mut world: World) {
    world.stop();
    let path = world.root_key();
    let own = fs::read_to_string(&path).unwrap();
    let id = own.split(':').nth(1).unwrap();
    let refused = || {
        let output = world.command("check").stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let mut other = World::started(Engine::Sqlite);
    other.stop();
    fs::copy(other.root_key(), &path).unwrap();
    let said = refused();
    assert!(said.contains("wrong root key") && said.contains(id), "{said}");
    fs::remove_file(&path).unwrap();
    let said = refused();
    assert!(said.contains("root key is missing") && said.contains(id), "{said}");
    assert!(!path.exists(), "nothing is made");
    let mut by_secret = world.command("check");
    let output = by_secret.env("BAILIWICK_ROOT_KEY", "7f".repeat(31) + "00").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("wrong root key"), "{output:?}");
    let output = world.command("check").env("BAILIWICK_ROOT_KEY", &own).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn stopping_ends_well_and_loses_nothing(mut world: World) {
    let machine = world.machine();
    machine.sign_up();
    let note = machine.scratch("note");
    fs::write(&note, "a note").unwrap();
    machine.put(&note, "note").done();
    assert!(world.stop().success());
    world.start();
    machine.get("note", &machine.scratch("copy")).done();
    machine.verified_records();
}

fn two_servers_do_not_share_a_data_folder(world: World) {
    if world.engine() == Engine::Postgresql {
        // There, any number of servers is welcome.
        return;
    }
    let port = harness::free_port();
    let mut command = world.command("serve");
    let output =
        command.args(["--listen", &format!("127.0.0.1:{port}")]).stderr(Stdio::piped()).output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("use"), "should say that the folder is in use: {said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn who_stops_reading_an_answer_is_no_failure_and_a_full_disk_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let answers = [&["openapi"][..], &["check", "--print-defaults"], &["completions", "bash"]];
    for words in answers {
        let command = || {
            let mut command = Command::new(binary());
            command.args(words).env("HOME", folder.path()).stdin(Stdio::null()).stderr(Stdio::piped());
            command
        };
        let mut child = command().stdout(Stdio::piped()).spawn().unwrap();
        // Nobody reads it at all.
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), said.as_ref()), (Some(0), ""), "{words:?}");

        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command().stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        assert!(said.contains("it is done") && !said.contains("panicked"), "{words:?}: {said}");
    }
}

#[test]
fn the_open_network_without_tls_is_refused() {
    let world = World::on(Engine::Sqlite);
    let listen = format!("0.0.0.0:{}", harness::free_port());
    for subcommand in ["serve", "check"] {
        let output = world.command(subcommand).args(["--listen", &listen]).output().unwrap();
        assert!(!output.status.success(), "{subcommand}: {output:?}");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).to_lowercase();
        assert!(said.contains("tls"), "{subcommand} should say what to set: {said}");
    }
}

#[test]
fn a_database_that_lacks_migrations_or_rights_does_not_pass_the_check() {
    let (database, folder) = (Database::create(), tempfile::tempdir().unwrap());
    let (login, owner) = (database.url(Role::App), database.url(Role::Owner));
    let run = |words: &[&str]| {
        let output = Command::new(binary())
            .args(words)
            .args(["--database-url", &login, "--data"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let owned = ["--migration-database-url", owner.as_str()];
    let (status, said) = run(&["check"]);
    assert!(status == Some(1) && said.contains("bailiwick migrate"), "{status:?}: {said}");
    // A start that may migrate lacks nothing.
    let (status, said) = run(&[&["check"][..], &owned].concat());
    assert_eq!(status, Some(0), "{said}");
    let (status, said) = run(&[&["migrate"][..], &owned].concat());
    assert_eq!(status, Some(0), "{said}");
    let (status, said) = run(&["check"]);
    assert_eq!(status, Some(0), "{said}");
    // As after a dump was restored without its rights.
    for rights in ["ALL ON migration", "INSERT ON record", "DELETE ON account"] {
        let revoke = format!("REVOKE {rights} FROM {}", database.role(Role::App));
        database.run(Role::Superuser, &revoke).unwrap();
        for words in [&["check"][..], &["admin", "list"]] {
            let (status, said) = run(words);
            assert!(status == Some(1) && said.contains("bailiwick migrate"), "{rights}, {words:?}: {said}");
        }
        let (status, said) = run(&[&["migrate"][..], &owned].concat());
        assert_eq!(status, Some(0), "{rights}: {said}");
        let (status, said) = run(&["check"]);
        assert_eq!(status, Some(0), "{rights}: {said}");
    }
    // Without the schema no table can be seen: that is not for want of migrations.
    database.run(Role::Superuser, "REVOKE USAGE ON SCHEMA public FROM PUBLIC").unwrap();
    let (status, said) = run(&["check"]);
    assert!(status == Some(1) && said.contains("GRANT USAGE ON SCHEMA public"), "{status:?}: {said}");
    assert!(!said.contains("bailiwick migrate"), "{said}");
    let given = format!("GRANT USAGE ON SCHEMA public TO {}", database.role(Role::App));
    database.run(Role::Owner, &given).unwrap();
    let (status, said) = run(&["check"]);
    assert_eq!(status, Some(0), "{said}");
}

#[test]
fn a_database_that_is_not_there_is_said_so() {
    let mut world = World::on(Engine::Postgresql);
    world.log_in_by(Some(format!("postgres://nobody:nothing@127.0.0.1:{}/nowhere", harness::free_port())));
    let refusal = world.try_start().expect_err("no database");
    assert_ne!(refusal.status, Some(0));
    assert!(refusal.said.to_lowercase().contains("database"), "{}", refusal.said);
    assert!(refusal.said.contains("127.0.0.1:") && refusal.said.contains("refused"), "{}", refusal.said);
    assert!(!refusal.said.contains("panicked"), "{}", refusal.said);
    assert!(!refusal.said.contains("nothing"), "the password stays out of the log: {}", refusal.said);
    world.log_in_by(None);
    world.start();
}
