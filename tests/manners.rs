// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the command line does for people who are new to it, and for those who slip.

use std::ffi::OsStr;
use std::fs;

use harness::{Engine, Machine, World, assert_same_tree, free_port, noise};

#[test]
fn a_file_and_a_folder_cannot_have_one_name() {
    let world = World::started(Engine::Sqlite);
    let laptop = world.machine();
    laptop.sign_up();
    let (note, folder) = (laptop.scratch("note"), laptop.scratch("folder"));
    fs::write(&note, "a note").unwrap();
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("b"), "within").unwrap();
    laptop.put(&note, "a").done();
    laptop.put(&folder, "c/d").done();

    for (local, remote) in [(&note, "a/b"), (&note, "c"), (&note, "c/d"), (&folder, "a"), (&folder, "a/e")] {
        assert_eq!(laptop.put(local, remote).refused(1).code, "name_taken", "{remote}");
    }
    let from_stdin = laptop.run_with(["put", "-", "c/d", "--json"], "a note");
    assert_eq!(from_stdin.refused(1).code, "name_taken");
    assert_eq!(laptop.run(["ls", "--json"]).entries().len(), 2);
    // A name that was given up is free for either.
    laptop.run(["rm", "a", "--json"]).done();
    laptop.put(&note, "a/b").done();
}

#[test]
fn what_is_not_synchronised_is_said() {
    let world = World::started(Engine::Sqlite);
    let laptop = world.machine();
    laptop.sign_up();
    let here = laptop.scratch("here");
    fs::create_dir_all(here.join("empty")).unwrap();
    fs::write(here.join("file"), "a file").unwrap();
    std::os::unix::fs::symlink("file", here.join("link")).unwrap();
    for command in ["put", "sync"] {
        let outcome = laptop.run([command, here.to_str().unwrap(), "there", "--json"]).json();
        let skipped: Vec<_> =
            outcome["skipped"].as_array().unwrap().iter().map(|one| &one["reason"]).collect();
        assert_eq!(skipped, ["it is an empty folder", "it is a link"], "{command}: {outcome}");
    }
}

#[test]
fn a_file_that_became_a_link_is_not_taken_for_removed() {
    let world = World::started(Engine::Sqlite);
    let laptop = world.machine();
    laptop.sign_up();
    let here = laptop.scratch("here");
    fs::create_dir(&here).unwrap();
    fs::write(here.join("file"), "a file").unwrap();
    let push = ["sync", here.to_str().unwrap(), "/", "--delete", "--json"];
    laptop.run(push).done();
    fs::rename(here.join("file"), laptop.scratch("moved")).unwrap();
    std::os::unix::fs::symlink(laptop.scratch("moved"), here.join("file")).unwrap();
    laptop.run(push).done();
    assert_eq!(laptop.run(["ls", "--json"]).entries().len(), 1);
    fs::remove_file(here.join("file")).unwrap();
    laptop.run(push).done();
    assert!(laptop.run(["ls", "--json"]).entries().is_empty());
}

#[test]
fn files_go_where_they_are_told_to() {
    let world = World::started(Engine::Sqlite);
    let laptop = world.machine();
    laptop.sign_up();
    let note = laptop.scratch("note");
    fs::write(&note, "a note").unwrap();
    laptop.put(&note, "folder/note").done();

    let there = format!("{}/", laptop.scratch("not/there/yet").display());
    laptop.run(["get", "folder/note", &there, "--json"]).done();
    assert_eq!(fs::read_to_string(format!("{there}note")).unwrap(), "a note");

    let refused = laptop.run(["get", "folder", "-", "--json"]).refused(2);
    assert!(refused.document["message"].as_str().unwrap().contains("folder is a folder"), "{refused:?}");
    let printed = laptop.run(["get", "folder/note", "-"]).done();
    assert_eq!(printed.stdout, "a note");
    // A slash at the end names the folder.
    let whole = laptop.scratch("whole");
    laptop.run([OsStr::new("get"), "folder/".as_ref(), whole.as_os_str(), "--json".as_ref()]).done();
    assert_eq!(fs::read_to_string(whole.join("note")).unwrap(), "a note");
}

#[test]
fn nobody_is_signed_out_and_nothing_is_emptied_by_accident() {
    let world = World::started(Engine::Sqlite);
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let note = laptop.scratch("note");
    fs::write(&note, "a note").unwrap();
    laptop.put(&note, "note").done();

    assert_eq!(laptop.run(["rm", "-r", "/", "--json"]).refused(2).code, "wrong_usage");
    assert_eq!(laptop.run(["ls", "--json"]).entries().len(), 1);

    let desktop = world.machine();
    let bob = desktop.sign_up();
    let other = laptop.try_sign_up("eve@example.org", "correct horse battery staple");
    assert_eq!(other.refused(2).code, "already_signed_in");
    assert_eq!(laptop.sign_in(&bob).refused(2).code, "already_signed_in");
    assert_eq!(laptop.run(["ls", "--json"]).entries().len(), 1, "still ada's");

    // The same account again, or after the session has ended: nobody has to be asked.
    laptop.sign_in(&ada).done();
    laptop.run(["rm", "-r", "/", "--yes", "--json"]).done();
    assert!(laptop.run(["ls", "--json"]).entries().is_empty());
    laptop.run(["logout", "--json"]).done();
    laptop.sign_in(&bob).done();
    let input = format!("{}\n", ada.password.borrow());
    let code = ada.backup_code();
    let forced =
        ["login", "--email", &ada.email, "--password-stdin", "--backup-code", &code, "--force", "--json"];
    laptop.run_with(forced, &input).done();
}

#[test]
fn slips_are_told_before_anything_is_asked() {
    let machine = Machine::new(&format!("http://127.0.0.1:{}", free_port()));
    // The address is looked at before the password is read, and before anybody is called.
    for command in ["signup", "login"] {
        let refused = machine.run([command, "--email", "ada.example.org", "--password-stdin", "--json"]);
        assert!(refused.refused(2).document["message"].as_str().unwrap().contains('@'), "{command}");
    }
    let refused = machine.run(["put", "--json"]).refused(2);
    let message = refused.document["message"].as_str().unwrap();
    assert!(message.contains("<LOCAL>") && message.contains("<REMOTE>"), "{message}");
}

#[test]
fn an_export_says_what_was_checked_and_opens_what_opens() {
    let world = World::started(Engine::Sqlite);
    let laptop = world.machine();
    laptop.sign_up();
    let folder = laptop.scratch("folder");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("small"), "a note").unwrap();
    fs::write(folder.join("large"), noise(1, 700_000)).unwrap();
    laptop.put(&folder, "folder").done();
    let export = laptop.scratch("export");
    let made =
        laptop.run([OsStr::new("export"), export.as_os_str(), "--decrypt".as_ref(), "--json".as_ref()]);
    let made = made.json();
    assert_eq!(made["opened"], 2, "{made}");
    assert_same_tree(&folder, &export.join("open/folder"));
    let key = format!("{}\n", made["export_key"].as_str().unwrap());

    let export = export.to_str().unwrap();
    let verify = ["verify", "--export", export, "--json"];
    let present = laptop.run(verify).json();
    assert_eq!(present["contents"]["opened"], false, "{present}");
    assert_eq!(present["contents"]["items"], 2, "{present}");
    let open = || laptop.run_with(verify.iter().chain(&["--open", "--key-stdin"]), &key);
    let opened = open().json();
    assert_eq!(
        (&opened["verified"], &opened["contents"]["opened"]),
        (&true.into(), &true.into()),
        "{opened}"
    );

    // A byte in the last chunk: nobody can tell without the key, and with it the file is named.
    let sealed = fs::read_dir(format!("{export}/files")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&sealed).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&sealed, &bytes).unwrap();
    laptop.run(verify).done();
    let found = open();
    assert_eq!(found.status, Some(3), "{found}");
    assert!(found.stdout.contains("folder/large"), "{found}");
    let out = laptop.scratch("out");
    let opened =
        laptop.run_with(["export", "open", export, out.to_str().unwrap(), "--key-stdin", "--json"], &key);
    assert_eq!(opened.status, Some(1), "{opened}");
    assert!(opened.stderr.contains("folder/large"), "{opened}");
    assert_eq!(fs::read_to_string(out.join("folder/small")).unwrap(), "a note");
    assert!(!out.join("folder/large").exists());

    fs::remove_file(&sealed).unwrap();
    assert_eq!(laptop.run(verify).status, Some(3), "what is gone is found without the key");
}

#[test]
fn what_was_just_done_is_in_the_history_that_is_verified_and_shown() {
    let world = World::started(Engine::Sqlite);
    let laptop = world.machine();
    laptop.sign_up();
    let note = laptop.scratch("note");
    fs::write(&note, "a note").unwrap();
    laptop.put(&note, "letters/a note").done();
    let verified = laptop.verify().json();
    assert_eq!(verified["uncovered"], 0, "{verified}");
    laptop.run(["rm", "letters/a note", "--json"]).done();
    let shown = laptop.run(["log"]).done().stdout;
    let lines: Vec<_> = shown.lines().filter(|line| line.ends_with("letters/a note")).collect();
    assert_eq!(lines.len(), 2, "written and removed: {shown}");
    assert!(lines.iter().all(|line| line.contains("you on ")), "{shown}");
    assert!(shown.contains("this account"), "{shown}");
}

#[test]
fn the_history_of_a_tenant_says_what_was_done_and_undone() {
    let world = World::started(Engine::Sqlite);
    let laptop = world.machine();
    laptop.sign_up();
    let tenant = laptop.run(["tenant", "create", "Acme", "--json"]).json()["id"].as_str().unwrap().to_owned();
    let run = |arguments: &[&str]| laptop.run(["tenant"].iter().chain(arguments)).done();
    run(&["service-accounts", "create", "nightly"]);
    for _ in 0..2 {
        run(&["grants", "give", "nightly", "viewer"]);
        run(&["grants", "take", "nightly", "viewer"]);
    }
    run(&["service-accounts", "suspend", "nightly"]);
    run(&["service-accounts", "resume", "nightly"]);

    // Records are numbered a moment after they are written.
    let is_numbered = || {
        let log = laptop.run(["log", "--tenant", &tenant, "--json"]).entries();
        log.iter().filter(|record| record["action"] == "service_account.write").count() == 3
    };
    assert!((0..300).any(|_| is_numbered()), "made, suspended, resumed");
    let shown = laptop.run(["log", "--tenant", &tenant]).done().stdout;
    let words: Vec<_> = shown
        .lines()
        .filter(|line| line.contains("\"nightly\""))
        .filter_map(|line| line.split_once("\"nightly\"  ")?.1.split_once(' '))
        .map(|(word, _)| word)
        .collect();
    assert_eq!(words, ["made", "given", "taken", "given", "taken", "suspended", "resumed"], "{shown}");
    assert!(!shown.contains("times)"), "none says what another says: {shown}");
    assert!(shown.lines().all(|line| !line.contains("earlier session")), "{shown}");
}

#[test]
fn the_history_names_the_key_that_acted() {
    let world = World::started(Engine::Sqlite);
    let laptop = world.machine();
    laptop.sign_up();
    let note = laptop.scratch("note");
    fs::write(&note, "a note").unwrap();
    laptop.put(&note, "note").done();
    let made = laptop.run(["api-keys", "create", "--label", "ci", "--scopes", "write", "--json"]).json();
    let put = ["put", note.to_str().unwrap(), "by the key", "--json"];
    laptop.run_in(put, &[("BAILIWICK_API_KEY", made["api_key"].as_str().unwrap())]).done();
    let mut shown = String::new();
    for _ in 0..300 {
        shown = laptop.run(["log"]).done().stdout;
        if shown.contains("by the key") {
            break;
        }
    }
    let line = shown.lines().find(|line| line.contains("item.write") && line.ends_with("by the key"));
    assert!(line.is_some_and(|line| line.contains("you, by API key \"ci\"")), "{shown}");
}

#[test]
fn a_refusal_in_a_tenant_says_where_to_ask() {
    let world = World::started(Engine::Sqlite);
    let [laptop, other] = [world.machine(), world.machine()];
    laptop.sign_up();
    other.sign_up();
    laptop.run(["tenant", "create", "Acme", "--json"]).done();
    let link = laptop.run(["tenant", "invitations", "create", "--label", "Bea", "--json"]).json();
    let nonsense = other.run(["tenant", "join", "nonsense", "--json"]).refused(2);
    assert!(nonsense.document["message"].as_str().unwrap().contains("no invitation"), "{nonsense:?}");
    other.run(["tenant", "join", link["link"].as_str().unwrap(), "--json"]).done();
    let refused = other.run(["tenant", "members"]);
    let said = "It needs member.read in the whole tenant. `bailiwick why --what member.read` says why.";
    assert!(refused.status == Some(5) && refused.stderr.contains(said), "{refused}");
    let refused = other.run(["tenant", "members", "--json"]).refused(5);
    assert!(!refused.document["message"].as_str().unwrap().contains("says why"), "{refused:?}");
    other.run(["why", "--what", "member.read"]).done();
}

#[test]
fn the_history_names_the_file_that_an_upload_brought_and_not_the_upload() {
    let world = World::started(Engine::Sqlite);
    let laptop = world.machine();
    laptop.sign_up();
    let film = laptop.scratch("film");
    for seed in [1, 2] {
        fs::write(&film, noise(seed, 20 << 20)).unwrap();
        laptop.put(&film, "films/one").done();
    }
    let shown = laptop.run(["log"]).done().stdout;
    assert!(!shown.contains("upl_"), "{shown}");
    let parts = shown.lines().filter(|line| line.contains("file.write") && line.contains("films/one"));
    assert!(parts.count() >= 2, "{shown}");
    laptop.run(["rm", "films/one", "--json"]).done();
    let shown = laptop.run(["log"]).done().stdout;
    assert!(!shown.contains("upl_"), "what it was called is still known: {shown}");
}

#[test]
fn what_is_wrong_with_a_local_file_is_said_in_words() {
    let world = World::started(Engine::Sqlite);
    let laptop = world.machine();
    laptop.sign_up();
    let nowhere = laptop.scratch("nowhere");
    for arguments in [
        ["put", nowhere.to_str().unwrap(), "note", "--json"],
        ["whoami", "--api-key-file", nowhere.to_str().unwrap(), "--json"],
    ] {
        let problem = laptop.run(arguments).refused(1);
        let said = problem.document["message"].as_str().unwrap();
        assert!(said.contains("there is no such file or folder"), "{arguments:?}: {said}");
    }
}

#[test]
fn an_acknowledged_change_without_a_record_is_said() {
    let world = World::started(Engine::Sqlite);
    let laptop = world.machine();
    laptop.sign_up();
    fs::write(laptop.config().join("last-change"), "req_that_left_no_record").unwrap();
    let verified = laptop.verify().json();
    assert_eq!((&verified["verified"], &verified["uncovered"]), (&true.into(), &1.into()), "{verified}");
}
