// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The half of a device's key in a real keychain: GNOME Keyring's, on a bus of its own. Where that is not installed, the test
//! says so and checks the fallback alone.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use harness::{Machine, Outcome, World, on_both_engines};
use serde_json::json;

on_both_engines!(
    the_half_of_a_devices_key_is_in_the_keychain_and_a_copied_folder_opens_nothing_without_it,
    without_a_keychain_the_half_is_in_a_file_and_whoever_asks_is_told,
);

/// Runs the command line on a bus with a keychain that is open (the password of `keys` opens it).
fn with_keychain(machine: &Machine, keys: &Path, setting: &str, arguments: &[&str], input: &str) -> Outcome {
    let plain = machine.command(arguments);
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", "60", "dbus-run-session", "--", "sh", "-c"]);
    command.arg(format!("{OPEN_KEYCHAIN} exec \"$0\" \"$@\""));
    command.arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("BAILIWICK_KEYCHAIN", setting).env("XDG_DATA_HOME", keys).env("XDG_RUNTIME_DIR", keys);
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("dbus-run-session starts");
    let _ = std::io::Write::write_all(&mut child.stdin.take().expect("piped"), input.as_bytes());
    let mut outcome = Outcome::new(arguments.join(" "), child.wait_with_output().expect("its output"));
    // The bus and the keychain have words of their own about where they run, the keychain's without an end of line.
    let said = outcome.stderr.replace("discover_other_daemon: 1", "");
    let said = said.lines().filter(|line| !line.starts_with("dbus-daemon["));
    outcome.stderr = said.map(|line| format!("{line}\n")).collect();
    outcome
}

/// Opens the keychain, and goes on once it answers on the bus: who asks before that makes the bus start another one, which is
/// closed.
const OPEN_KEYCHAIN: &str = "\
    printf %s open | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1; \
    tries=0; \
    until dbus-send --session --print-reply --dest=org.freedesktop.DBus /org/freedesktop/DBus \
      org.freedesktop.DBus.NameHasOwner string:org.freedesktop.secrets 2>/dev/null | grep -q true || [ $tries -gt 200 ]; \
    do tries=$((tries + 1)); sleep 0.05; done;";

fn is_installed() -> bool {
    ["dbus-run-session", "dbus-send", "gnome-keyring-daemon"].iter().all(|program| {
        let found =
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        found.is_ok()
    })
}

fn the_half_of_a_devices_key_is_in_the_keychain_and_a_copied_folder_opens_nothing_without_it(world: World) {
    if !is_installed() {
        eprintln!("not run: gnome-keyring or dbus is not installed");
        return;
    }
    let keys = world.folder().join("keys");
    fs::create_dir(&keys).unwrap();
    let laptop = world.machine();
    let email = format!("{}@example.org", harness::unique("person-"));
    let sign_up = ["signup", "--email", &email, "--password-stdin", "--json"];
    with_keychain(&laptop, &keys, "on", &sign_up, "correct horse battery\n").done();
    let who = with_keychain(&laptop, &keys, "auto", &["whoami", "--json"], "").json();
    assert_eq!(who["key_kept_in"], json!("keychain"), "{who}");
    let said = with_keychain(&laptop, &keys, "auto", &["devices"], "").done().stdout;
    assert!(said.contains("in this computer's keychain"), "{said}");
    assert!(!laptop.config().join("local-half").exists());
    let letter = laptop.scratch("letter");
    fs::write(&letter, "dear").unwrap();
    let letter = letter.to_str().unwrap();
    with_keychain(&laptop, &keys, "auto", &["put", letter, "letter", "--json"], "").done();

    // A thief with the folder has no half, also while the device lives; nor has one on a bus with another keychain.
    let stolen = laptop.copied();
    assert_eq!(stolen.run(["ls", "--json"]).refused(1).code, "keychain");
    let theirs = world.folder().join("theirs");
    fs::create_dir(&theirs).unwrap();
    assert_eq!(
        with_keychain(&stolen, &theirs, "auto", &["ls", "--json"], "").refused(4).code,
        "not_signed_in"
    );

    // A new master key is kept there as well, and signing out takes it away.
    with_keychain(&laptop, &keys, "auto", &["password", "rotate-key", "--json"], "").done();
    with_keychain(&laptop, &keys, "auto", &["ls", "--json"], "").done();
    let found = || {
        let mut search = Command::new("timeout");
        search.args(["--signal=KILL", "60", "dbus-run-session", "--", "sh", "-c"]);
        search.arg(format!("{OPEN_KEYCHAIN} secret-tool search --all application bailiwick 2>&1"));
        search.env("XDG_DATA_HOME", &keys).env("XDG_RUNTIME_DIR", &keys).env("HOME", &keys);
        search.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let listed = found().unwrap_or_default();
    if Command::new("secret-tool").arg("--version").output().is_ok() {
        assert!(listed.contains("Bailiwick: the key of this device"), "{listed}");
    }
    with_keychain(&laptop, &keys, "auto", &["logout", "--json"], "").done();
    assert!(!found().unwrap_or_default().contains("the key of this device"));
}

fn without_a_keychain_the_half_is_in_a_file_and_whoever_asks_is_told(world: World) {
    let laptop = world.machine();
    let email = format!("{}@example.org", harness::unique("person-"));
    let without = |arguments: &[&str], setting: &str, input: &str| {
        let mut command = laptop.command(arguments);
        command.env("BAILIWICK_KEYCHAIN", setting).env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
        command.env_remove("DISPLAY").env_remove("XDG_RUNTIME_DIR").stdin(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let _ = std::io::Write::write_all(&mut child.stdin.take().expect("piped"), input.as_bytes());
        Outcome::new(arguments.join(" "), child.wait_with_output().expect("its output"))
    };
    let sign_up = ["signup", "--email", &email, "--password-stdin"];
    assert_eq!(without(&["whoami", "--json"], "sometimes", "").refused(2).code, "wrong_usage");
    let made = without(&sign_up, "auto", "correct horse battery\n");
    assert!(made.stderr.contains("kept in a file that only you may read"), "{made}");
    assert_eq!(without(&["whoami", "--json"], "auto", "").json()["key_kept_in"], json!("file"));
    assert!(without(&["whoami"], "auto", "").done().stdout.contains("in a file that only you may read"));
    let half = laptop.config().join("local-half");
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(half).unwrap().permissions()) & 0o777,
        0o600
    );

    // Who insists on a keychain is not signed in without one, and keeps nothing.
    let refused = world.machine();
    let other = format!("{}@example.org", harness::unique("person-"));
    let json = ["signup", "--email", &other, "--password-stdin", "--json"];
    let mut command = refused.command(json);
    command.env("BAILIWICK_KEYCHAIN", "on").env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
    command.env_remove("DISPLAY").env_remove("XDG_RUNTIME_DIR").stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"correct horse battery\n");
    let outcome = Outcome::new("signup".into(), child.wait_with_output().unwrap());
    assert_eq!(outcome.refused(1).code, "keychain");
    // Nothing was begun that cannot be kept: the address is free.
    refused.sign_up_as(&other, "correct horse battery");
    let fresh = world.machine();
    assert_eq!(fresh.run(["whoami", "--json"]).refused(4).code, "not_signed_in");
}
