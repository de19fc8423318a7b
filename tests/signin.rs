// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing in: what opens the door, what does not, and what does only once.

use harness::{Factor, Request, World, on_both_engines, unique};
use keyring::{Email, Password, SystemRng};
use serde_json::json;

on_both_engines!(
    a_wrong_password_is_refused,
    a_wrong_second_factor_is_refused,
    a_time_step_is_accepted_once,
    a_backup_code_is_accepted_once,
    regenerated_codes_replace_the_old_ones,
    a_changed_password_opens_everything_and_the_old_one_nothing,
    a_rotated_master_key_opens_everything,
    an_address_has_one_account_however_it_is_written,
    an_account_survives_a_restart,
    a_new_device_is_told_by_mail,
    who_guesses_without_end_keeps_only_strangers_waiting,
);

fn who_guesses_without_end_keeps_only_strangers_waiting(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let password = Password::new("a guess").unwrap();
    let (_, opaque_request) = keyring::password::Login::start(&password, &mut SystemRng).unwrap();
    let email = Email::parse(&ada.email).unwrap();
    let text = |bytes: &[u8]| data_encoding::BASE64URL_NOPAD.encode(bytes);
    let guess =
        json!({ "email_hash": text(email.hash().as_bytes()), "opaque_request": text(&opaque_request) });
    let guess = Request::new("POST", "/api/v1/signin/password/start").json(&guess);
    let mut tries = 0;
    while guess.send(&world.url()).status == 200 {
        tries += 1;
        assert!(tries < 20, "a stranger is slowed down");
    }
    assert_eq!(world.machine().sign_in(&ada).refused(1).code, "too_many_requests", "from the same network");
    laptop.run(["logout", "--json"]).done();
    laptop.sign_in(&ada).done();
    // A live session that proves itself again does not wait for the thief either.
    laptop.regenerate_codes(&ada);
}

fn a_wrong_password_is_refused(world: World) {
    let ada = world.machine().sign_up();
    let thief = world.machine();
    let problem = thief.sign_in_with(&ada, "not the password", &ada.factor()).refused(4);
    assert_eq!(problem.code, "invalid_credentials");
    thief.run(["whoami", "--json"]).refused(4);
}

fn a_wrong_second_factor_is_refused(world: World) {
    let ada = world.machine().sign_up();
    let password = ada.password.borrow().clone();
    let thief = world.machine();
    let otp = ada.otp();
    let wrong = format!("{:06}", (otp.parse::<u32>().unwrap() + 1) % 1_000_000);
    assert_eq!(
        thief.sign_in_with(&ada, &password, &Factor::Otp(wrong)).refused(4).code,
        "invalid_credentials"
    );
    let code = ada.backup_code();
    let wrong = code.chars().rev().collect();
    thief.sign_in_with(&ada, &password, &Factor::BackupCode(wrong)).refused(4);
    thief.run(["whoami", "--json"]).refused(4);
    // None of that spent the right ones.
    thief.sign_in_with(&ada, &password, &Factor::BackupCode(code)).done();
}

fn a_time_step_is_accepted_once(world: World) {
    let ada = world.machine().sign_up();
    let password = ada.password.borrow().clone();
    let factor = ada.factor();
    world.machine().sign_in_with(&ada, &password, &factor).done();
    let problem = world.machine().sign_in_with(&ada, &password, &factor).refused(4);
    assert_eq!(problem.code, "invalid_credentials");
}

fn a_backup_code_is_accepted_once(mut world: World) {
    let ada = world.machine().sign_up();
    let password = ada.password.borrow().clone();
    let code = Factor::BackupCode(ada.backup_code());
    world.machine().sign_in_with(&ada, &password, &code).done();
    world.machine().sign_in_with(&ada, &password, &code).refused(4);
    world.restart();
    world.machine().sign_in_with(&ada, &password, &code).refused(4);
}

fn regenerated_codes_replace_the_old_ones(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let password = ada.password.borrow().clone();
    let old = laptop.regenerate_codes(&ada);
    assert_eq!(ada.backup_codes.borrow().len(), 10);
    for code in old.iter().take(2) {
        world.machine().sign_in_with(&ada, &password, &Factor::BackupCode(code.clone())).refused(4);
    }
    world.machine().sign_in_with(&ada, &password, &Factor::BackupCode(ada.backup_code())).done();
}

fn a_changed_password_opens_everything_and_the_old_one_nothing(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let letter = laptop.scratch("letter");
    std::fs::write(&letter, unique("dear ")).unwrap();
    laptop.put(&letter, "letter").done();
    let desktop = world.machine();
    desktop.sign_in(&ada).done();

    let old = ada.password.borrow().clone();
    laptop.change_password(&ada, &unique("another horse ")).done();

    assert_eq!(desktop.run(["ls", "--json"]).refused(4).code, "session_ended", "other sessions have ended");
    world.machine().sign_in_with(&ada, &old, &Factor::BackupCode(ada.backup_code())).refused(4);
    let tablet = world.machine();
    tablet.sign_in(&ada).done();
    for machine in [&laptop, &tablet] {
        let copy = machine.scratch("copy");
        machine.get("letter", &copy).done();
        assert_eq!(std::fs::read(&letter).unwrap(), std::fs::read(copy).unwrap());
    }
}

fn a_rotated_master_key_opens_everything(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let letter = laptop.scratch("letter");
    std::fs::write(&letter, unique("dear ")).unwrap();
    laptop.put(&letter, "letter").done();

    laptop.rotate_key(&ada).done();

    let desktop = world.machine();
    desktop.sign_in(&ada).done();
    for machine in [&laptop, &desktop] {
        let copy = machine.scratch("copy");
        machine.get("letter", &copy).done();
        assert_eq!(std::fs::read(&letter).unwrap(), std::fs::read(copy).unwrap());
    }
    desktop.put(&letter, "after").done();
    laptop.get("after", &laptop.scratch("after")).done();
    laptop.verified_records();
}

fn an_address_has_one_account_however_it_is_written(world: World) {
    let laptop = world.machine();
    let name = unique("Ada.");
    let ada = laptop.sign_up_as(&format!("{name}@Example.org"), &unique("horse "));
    let again =
        world.machine().try_sign_up(&format!(" {}@EXAMPLE.ORG ", name.to_lowercase()), &unique("horse "));
    assert_eq!(again.refused(1).code, "account_exists");
    let password = ada.password.borrow().clone();
    let input = format!("{password}\n");
    let email = format!("{}@example.org", name.to_uppercase());
    let code = ada.backup_code();
    world
        .machine()
        .run_with(["login", "--email", &email, "--password-stdin", "--backup-code", &code, "--json"], &input)
        .done();
}

fn an_account_survives_a_restart(mut world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    world.restart();
    laptop.run(["whoami", "--json"]).done();
    world.machine().sign_in(&ada).done();
}

fn a_new_device_is_told_by_mail(mut world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let before = world.letters().len();
    world.machine().sign_in(&ada).done();
    // What is due is sent before the server goes.
    world.stop();
    let letters = world.letters();
    assert_eq!(letters.len(), before + 1, "one letter for one new device: {letters:#?}");
    let letter = letters.last().unwrap();
    assert!(letter.contains(&format!("To: {}", ada.email)), "{letter}");
}
