// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Nothing that was typed or stored is in plain where the server keeps things, nor on the wire.

use std::fs;

use harness::{Database, Engine, Recorder, Secrets, World, noise, on_both_engines, unique};

on_both_engines!(nothing_typed_or_stored_is_anywhere_in_plain);

fn nothing_typed_or_stored_is_anywhere_in_plain(mut world: World) {
    // The most that it can be made to say.
    world.set("BAILIWICK_LOG_LEVEL", "trace");
    world.restart();

    let wire = Recorder::before(&world.url());
    let laptop = world.machine().through(wire.url());
    let desktop = world.machine().through(wire.url());
    let mut wanted = Secrets::new();

    let ada = laptop.sign_up();
    wanted.add("the first password", &*ada.password.borrow());
    wanted.add("the address", &ada.email);
    wanted.add("the address's name", ada.email.split('@').next().unwrap());
    for code in ada.backup_codes.borrow().iter() {
        wanted.add("a backup code", code);
        wanted.add("a backup code without its dashes", code.replace('-', ""));
    }
    // The authenticator's secret is made by the server and shown once: it is on the wire that once.
    let mut kept = Secrets::new();
    kept.add("the authenticator's secret", &ada.totp_secret);
    kept.add("the authenticator's secret, its bytes", harness::base32(&ada.totp_secret));

    let (name, folder, content) = (unique("file-name-"), unique("folder-name-"), unique("content-"));
    wanted.add("a file's name", &name);
    wanted.add("a folder's name", &folder);
    wanted.add("a file's content", &content);
    let local = world.folder().join("local-tree").join("inner");
    fs::create_dir_all(&local).unwrap();
    fs::write(local.join(&name), &content).unwrap();
    let mut large = noise(7, 1 << 20);
    // At the start, at the end and across the edges of chunks.
    for at in [0, (256 << 10) - 20, (512 << 10) - 10, (1 << 20) - content.len()] {
        large[at..at + content.len()].copy_from_slice(content.as_bytes());
    }
    fs::write(local.join(format!("{name}-large")), &large).unwrap();
    laptop.put(&local, &folder).done();

    desktop.sign_in(&ada).done();
    desktop.get(&folder, &desktop.scratch("fetched")).done();
    let wrong = unique("a wrong password ");
    wanted.add("a wrong password", &wrong);
    world.machine().through(wire.url()).sign_in_with(&ada, &wrong, &ada.factor()).refused(4);
    laptop.change_password(&ada, &unique("a second password ")).done();
    wanted.add("the second password", &*ada.password.borrow());
    laptop.regenerate_codes(&ada);
    for code in ada.backup_codes.borrow().iter() {
        wanted.add("a second backup code", code);
    }
    laptop.rotate_key(&ada).done();
    desktop.sign_in(&ada).done();
    laptop.run(["sessions", "--json"]).done();
    laptop.run(["log", "--json"]).done();
    laptop.verified_records();
    desktop.run(["logout"]).done();

    let credentials = wire.credentials();
    assert!(credentials.len() >= 3, "three sign-ins have at least three tokens: {}", credentials.len());
    for credential in &credentials {
        kept.add("a session's token", credential);
    }
    if world.engine() == Engine::Postgresql {
        kept.add("the database's password", world.database().password());
    }

    // On the wire.
    assert_eq!(wanted.in_bytes(&wire.bytes()), [""; 0], "on the wire");

    // In what is kept, while the server runs and after it has ended.
    for moment in ["running", "stopped"] {
        if moment == "stopped" {
            world.stop();
        }
        let mut found = Vec::new();
        for secrets in [&wanted, &kept] {
            found.extend(secrets.under(world.data()));
            found.extend(
                secrets
                    .in_bytes(&fs::read(world.log_file()).unwrap())
                    .into_iter()
                    .map(|what| format!("log: {what}")),
            );
            if world.engine() == Engine::Postgresql {
                let database = world.database();
                database.checkpoint();
                found.extend(
                    secrets.in_bytes(&database.dump()).into_iter().map(|what| format!("dump: {what}")),
                );
                if let Some(folder) = Database::cluster_data() {
                    found.extend(secrets.under(&folder));
                }
            }
        }
        // A letter has to say for whom it is; that it says nothing else is looked at below.
        found.retain(|finding| !(finding.contains(".eml: the address")));
        assert_eq!(found, [""; 0], "{moment}");
    }

    world.letter(&["new device"]);
    for letter in world.letters() {
        let without_recipient: String = letter.lines().filter(|line| !line.starts_with("To: ")).collect();
        assert_eq!(wanted.in_bytes(without_recipient.as_bytes()), [""; 0], "{letter}");
    }

    // The server did log: the search above had something to look at.
    assert!(world.log().lines().count() > 20, "{}", world.log());
}
