// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A device is let in by another, and nobody else with it: not the server, not a stranger's device, not who looks on.

use std::fs;

use data_encoding::BASE64URL_NOPAD;
use harness::{Dialogue, Exchange, Machine, Request, World, noise, on_both_engines};
use keyring::SystemRng;
use keyring::pairing::{
    Judgement, PairedKey, PairingApproval, PairingDevice, PairingForm, PairingLink, PairingRequest,
};
use serde_json::{Value, json};

on_both_engines!(
    a_device_is_let_in_by_link_and_code,
    a_mistyped_code_is_typed_again_and_three_end_it,
    whoever_is_told_no_is_not_in,
    a_server_that_swaps_the_key_is_found_out_before_there_is_a_code,
    a_server_that_plays_the_approver_is_found_out_by_the_device,
    a_server_that_alters_or_replays_an_answer_is_found_out_by_the_approver,
    a_strangers_device_has_three_tries_and_no_more_for_asking_again,
    who_saw_the_qr_code_takes_nothing_and_claims_nothing_unnoticed,
    a_pairing_goes_on_after_the_server_started_anew,
    a_device_that_was_let_in_is_signed_out_like_any_other,
    letting_in_needs_a_fresh_proof_and_the_session_itself,
    a_public_computer_reads_for_a_while_and_changes_nothing,
    a_public_computer_reads_at_its_prompt_and_keeps_nothing,
    a_public_computer_is_out_when_its_session_is_ended_elsewhere,
);

const APPROVE: [&str; 3] = ["pair", "approve", "--json"];

/// Somebody's laptop, and a device that asks to be let in.
fn asking(world: &World) -> (Machine, Machine, Dialogue, String) {
    let laptop = world.machine();
    laptop.sign_up();
    let desktop = world.machine();
    let mut device = desktop.talk(["login", "--pair", "--json"]);
    let link = device.hears("link")["link"].as_str().expect("a link").to_owned();
    (laptop, desktop, device, link)
}

fn approve(laptop: &Machine, link: &str) -> Dialogue {
    let mut approver = laptop.talk(APPROVE.into_iter().chain(["--yes", link]));
    approver.hears("asked");
    approver
}

fn code_of(approver: &mut Dialogue) -> String {
    approver.hears("code")["code"].as_str().expect("a code").to_owned()
}

fn another(code: &str) -> String {
    let first = if code.starts_with('0') { '1' } else { '0' };
    format!("{first}{}", &code[1..])
}

fn a_device_is_let_in_by_link_and_code(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let letter = laptop.scratch("letter");
    fs::write(&letter, noise(7, 40_000)).expect("a file");
    laptop.put(&letter, "letter").done();

    let desktop = world.machine();
    let mut device = desktop.talk(["login", "--pair", "--json"]);
    let asked = device.hears("link");
    let link = asked["link"].as_str().expect("a link");
    assert!(link.starts_with(&format!("{}/#pair=", world.url())), "{link}");
    let mut approver = laptop.talk(APPROVE.into_iter().chain(["--yes", link]));
    let seen = approver.hears("asked");
    assert_eq!((&seen["form"], &seen["address"]), (&json!("device"), &json!("this machine")), "{seen}");
    assert!(
        seen["name"].is_string() && seen["platform"].is_string() && seen["created_at"].is_i64(),
        "{seen}"
    );
    let code = code_of(&mut approver);
    device.hears("code_wanted");
    device.says(&format!("{} {}", &code[..3], &code[3..]));
    approver.hears("let_in");
    assert_eq!(device.hears("signed_in")["account_id"], json!(ada.account_id));
    approver.ends().done();
    device.ends().done();

    let copy = desktop.scratch("copy");
    desktop.get("letter", &copy).done();
    assert_eq!(fs::read(&copy).expect("a file"), noise(7, 40_000));
    assert_eq!(laptop.sessions().len(), 2);
    world.letter(&["A device was let in"]);
    // Records are numbered a moment after they are written.
    let recorded = |action: &str| laptop.log().iter().any(|record| record["action"] == action);
    for action in ["pairing.approve", "session.create"] {
        assert!((0..100).any(|_| recorded(action)), "{action}");
    }
    laptop.verified_records();

    // The link has served.
    assert_eq!(laptop.run(APPROVE.into_iter().chain(["--yes", link])).refused(1).code, "pairing_over");
    // What the link names is nowhere on the server.
    let secret = link.split_once("#pair=").expect("a link").1.split_once('.').expect("two parts");
    assert!(!world.log().contains(secret.0) && !world.log().contains(secret.1));
}

fn a_mistyped_code_is_typed_again_and_three_end_it(world: World) {
    let (laptop, desktop, mut device, link) = asking(&world);
    let mut approver = approve(&laptop, &link);
    let code = code_of(&mut approver);
    device.hears("code_wanted");
    // No code at all costs nothing.
    device.says("12345");
    device.hears("code_wanted");
    device.says(&another(&code));
    assert_eq!(approver.hears("wrong_code")["tries_left"], json!(2));
    device.hears("code_wanted");
    device.says(&code);
    approver.hears("let_in");
    device.hears("signed_in");
    device.ends().done();
    desktop.run(["whoami", "--json"]).done();

    let (laptop, desktop, mut device, link) = asking(&world);
    let mut approver = approve(&laptop, &link);
    let code = code_of(&mut approver);
    for tries_left in [2, 1] {
        device.hears("code_wanted");
        device.says(&another(&code));
        assert_eq!(approver.hears("wrong_code")["tries_left"], json!(tries_left));
    }
    device.hears("code_wanted");
    device.says(&another(&code));
    assert_eq!(device.ends().refused(1).code, "pairing_tries_spent");
    assert_eq!(approver.ends().refused(1).code, "pairing_tries_spent");
    assert_eq!(desktop.run(["whoami", "--json"]).refused(4).code, "not_signed_in");
    assert_eq!(laptop.sessions().len(), 1);
}

fn whoever_is_told_no_is_not_in(world: World) {
    let (laptop, desktop, device, link) = asking(&world);
    // A program that does not say yes has not said yes.
    assert_eq!(laptop.run(["pair", "approve", &link]).status, Some(2));
    let token = token(&laptop);
    let refused =
        post(&world, "/api/v1/pairings/refuse", &json!({ "request": request(&link) }), Some(&token));
    assert_eq!(refused.status, 204);
    assert_eq!(device.ends().refused(5).code, "pairing_refused");
    assert_eq!(desktop.run(["whoami", "--json"]).refused(4).code, "not_signed_in");
}

fn a_server_that_swaps_the_key_is_found_out_before_there_is_a_code(world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    let device = PairingDevice::start(PairingForm::Device, "laptop", "Linux", &mut SystemRng).unwrap();
    let server = PairingDevice::start(PairingForm::Device, "laptop", "Linux", &mut SystemRng).unwrap();
    let link = PairingLink::new(&world.url(), device.request()).to_text();
    // Under the request's id there is a key of the server's own, and then the right key under another name.
    for (name, key) in [("laptop", server.request().key()), ("your other laptop", device.request().key())] {
        let id = device.request().id();
        let said = PairingRequest::from_parts(*id, PairingForm::Device, name, "Linux", &key).unwrap();
        ask(&world, &said, &[1; 32]);
        let refused = laptop.run(APPROVE.into_iter().chain(["--yes", &link])).refused(3);
        assert_eq!(refused.code, "pairing_tampered");
        assert!(refused.document["message"].as_str().unwrap().contains("exchanged it on the way"));
        let body = json!({ "request": encoded(id.expose()), "device_secret": encoded(&[1; 32]) });
        assert_eq!(post(&world, "/api/v1/pairings/device/cancel", &body, None).status, 204);
    }
}

fn a_server_that_plays_the_approver_is_found_out_by_the_device(world: World) {
    // The server has an account of its own, with which it offers; it guesses the code that the owner types.
    let (laptop, desktop, mut device, link) = asking(&world);
    let parsed = PairingLink::parse(&link).unwrap();
    let eve = world.machine();
    eve.sign_up();
    let server = token(&eve);
    let shown = post(&world, "/api/v1/pairings/read", &json!({ "request": request(&link) }), Some(&server));
    let mut approval = PairingApproval::open(&parsed, read(&parsed, &shown.json())).unwrap();
    let guess = approval.authorize(None, &mut SystemRng).unwrap();
    let offer = approval.offer(&mut SystemRng).unwrap();
    let body = json!({ "request": request(&link), "message": encoded(&offer) });
    assert_eq!(post(&world, "/api/v1/pairings/offer", &body, Some(&server)).status, 204);

    // The owner is told that somebody was there first.
    let taken = laptop.run(APPROVE.into_iter().chain(["--yes", &link])).refused(1);
    assert_eq!(taken.code, "pairing_taken");

    device.hears("code_wanted");
    device.says(&another(&guess));
    let answer = take(&world, &link, &server);
    assert!(matches!(approval.judge(&answer).unwrap(), Judgement::Wrong { tries_left: 2 }));
    // It goes on as if the guess had been right.
    let mut delivery = vec![1, 1];
    delivery.extend_from_slice(&noise(3, 32));
    delivery.extend_from_slice(&[1, 1]);
    delivery.extend_from_slice(&noise(4, 1_120 + 160));
    let body = json!({
        "request": request(&link), "message": encoded(&delivery), "grant_hash": encoded(&[0; 32])
    });
    assert_eq!(post(&world, "/api/v1/pairings/deliver", &body, Some(&server)).status, 204);
    let refused = device.ends().refused(3);
    assert_eq!(refused.code, "pairing_tampered");
    assert!(refused.document["message"].as_str().unwrap().contains("does not know the code"));
    assert_eq!(desktop.run(["whoami", "--json"]).refused(4).code, "not_signed_in");
}

fn a_server_that_alters_or_replays_an_answer_is_found_out_by_the_approver(world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    for meddle in ["alter", "replay", "cut"] {
        let mut device = ask_as_device(&world);
        let mut approver = approve(&laptop, &device.link);
        let code = code_of(&mut approver);
        let first = device.device.answer(&device.take(&world), &another(&code), &mut SystemRng).unwrap();
        device.answer(&world, &first);
        approver.hears("wrong_code");
        let offer = device.take(&world);
        let mut second = device.device.answer(&offer, &code, &mut SystemRng).unwrap();
        let expected = match meddle {
            "alter" => {
                second[90] ^= 1;
                device.answer(&world, &second);
                assert_eq!(
                    approver.hears("wrong_code")["tries_left"],
                    json!(1),
                    "a confirmation that was changed"
                );
                device.answer_after(&world, &[1, 3, 4]);
                3
            }
            "replay" => {
                device.answer(&world, &first);
                3
            }
            _ => {
                device.answer(&world, &second[..98]);
                3
            }
        };
        let refused = approver.ends().refused(expected);
        assert_eq!(refused.code, "pairing_tampered", "{meddle}");
        assert_eq!(laptop.sessions().len(), 1);
    }
}

fn a_strangers_device_has_three_tries_and_no_more_for_asking_again(world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    let mut device = ask_as_device(&world);
    let mut approver = approve(&laptop, &device.link);
    let code = code_of(&mut approver);
    for number in 1..=3 {
        let offer = device.take(&world);
        assert_eq!(device.poll(&world)["state"], json!("waiting"), "an offer is handed over once");
        let answer = device.device.answer(&offer, &another(&code), &mut SystemRng).unwrap();
        device.answer(&world, &answer);
        let again = device.post(&world, "answer", &json!({ "message": encoded(&answer) }));
        assert_eq!((again.status, again.json()["code"].clone()), (409, json!("conflict")));
        if number < 3 {
            approver.hears("wrong_code");
        }
    }
    assert_eq!(approver.ends().refused(1).code, "pairing_tries_spent");
    assert_eq!(device.poll(&world)["state"], json!("tries_spent"));
    let redeem = device.post(&world, "redeem", &json!({ "grant": encoded(&[0; 32]) }));
    assert_eq!(redeem.status, 409);
    assert_eq!(laptop.sessions().len(), 1);
}

fn who_saw_the_qr_code_takes_nothing_and_claims_nothing_unnoticed(world: World) {
    let (laptop, _desktop, mut device, link) = asking(&world);
    let bystander = world.machine();
    // Without an account.
    assert_eq!(bystander.run(APPROVE.into_iter().chain(["--yes", &link])).refused(4).code, "not_signed_in");
    // As the device: whatever secret it shows, there is no such request.
    for path in ["take", "cancel"] {
        let body = json!({ "request": request(&link), "device_secret": encoded(&[9; 32]) });
        let answer = post(&world, &format!("/api/v1/pairings/device/{path}"), &body, None);
        assert_eq!((answer.status, answer.json()["code"].clone()), (410, json!("pairing_over")), "{path}");
    }
    let body = json!({
        "request": request(&link), "device_secret": encoded(&[9; 32]), "grant": encoded(&[0; 32])
    });
    assert_eq!(post(&world, "/api/v1/pairings/device/redeem", &body, None).status, 410);
    // And as a second device under the same id.
    let parsed = PairingLink::parse(&link).unwrap();
    let other = PairingDevice::start(PairingForm::Device, "x", "y", &mut SystemRng).unwrap();
    let key = other.request().key();
    let same = PairingRequest::from_parts(*parsed.request(), PairingForm::Device, "x", "y", &key).unwrap();
    assert_eq!(try_ask(&world, &same, &[9; 32]).status, 409);

    // The owner goes on undisturbed, and while she does, an account of the bystander's gets nothing.
    let mut approver = approve(&laptop, &link);
    let code = code_of(&mut approver);
    bystander.sign_up();
    assert_eq!(bystander.run(APPROVE.into_iter().chain(["--yes", &link])).refused(1).code, "pairing_taken");
    let theirs = token(&bystander);
    for path in ["take", "refuse"] {
        let path = format!("/api/v1/pairings/{path}");
        let answer = post(&world, &path, &json!({ "request": request(&link) }), Some(&theirs));
        assert_eq!(answer.status, 409, "{path}");
    }
    device.hears("code_wanted");
    device.says(&code);
    approver.hears("let_in");
    device.hears("signed_in");
}

fn a_pairing_goes_on_after_the_server_started_anew(mut world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    let mut device = ask_as_device(&world);
    let mut approver = approve(&laptop, &device.link);
    let code = code_of(&mut approver);
    let answer = device.device.answer(&device.take(&world), &code, &mut SystemRng).unwrap();
    // The approver asks now and then, and does not mind that nobody answers for a moment.
    device.answer(&world, &answer);
    approver.hears("let_in");
    world.restart();
    let delivery = device.take(&world);
    let bundle = device.device.finish(&delivery).unwrap();
    let redeem = json!({
        "request": device.request, "device_secret": encoded(&device.secret), "grant": encoded(bundle.grant.expose())
    });
    let paired = post(&world, "/api/v1/pairings/device/redeem", &redeem, None);
    assert_eq!(paired.status, 200);
    // Once.
    assert_eq!(post(&world, "/api/v1/pairings/device/redeem", &redeem, None).status, 410);
    let paired = paired.json();
    let account = get(&world, "/api/v1/account", paired["session"]["token"].as_str().unwrap());
    assert_eq!(account.json()["number"], paired["account_number"]);
    assert_eq!(laptop.sessions().len(), 2);
}

fn a_device_that_was_let_in_is_signed_out_like_any_other(world: World) {
    let (laptop, desktop, mut device, link) = asking(&world);
    let mut approver = approve(&laptop, &link);
    let code = code_of(&mut approver);
    device.hears("code_wanted");
    device.says(&code);
    device.hears("signed_in");
    device.ends().done();
    approver.ends();
    let copied = desktop.copied();
    copied.run(["ls", "--json"]).done();
    // It has proved nothing, so it changes nothing about how one signs in.
    assert_eq!(desktop.run(["codes", "regenerate", "--json"]).refused(5).code, "step_up_required");

    let devices = laptop.run(["devices", "--json"]).entries();
    let other = devices.iter().find(|device| device["current"] == json!(false)).expect("the desktop");
    laptop.run(["devices", "end", other["id"].as_str().unwrap(), "--json"]).done();
    for machine in [&desktop, &copied] {
        assert_eq!(machine.run(["ls", "--json"]).refused(4).code, "session_ended");
    }
}

fn letting_in_needs_a_fresh_proof_and_the_session_itself(world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    let device = ask_as_device(&world);
    let issued = post(&world, "/api/v1/tokens", &json!({}), Some(&token(&laptop))).json();
    let access_token = issued["access_token"].as_str().unwrap();
    let body = json!({ "request": device.request, "message": "AA", "grant_hash": encoded(&[0; 32]) });
    let named = json!({ "request": device.request });
    let offer = json!({ "request": device.request, "message": "AA" });
    for (path, body) in [("read", &named), ("take", &named), ("offer", &offer), ("deliver", &body)] {
        let path = format!("/api/v1/pairings/{path}");
        assert_eq!(post(&world, &path, body, Some(access_token)).status, 403, "{path}");
        assert_eq!(post(&world, &path, body, None).status, 401, "{path}");
    }
    // A device that was let in is not fresh: it lets in no other by itself.
    let (laptop, desktop, mut second, link) = asking(&world);
    let mut approver = approve(&laptop, &link);
    let code = code_of(&mut approver);
    second.hears("code_wanted");
    second.says(&code);
    second.hears("signed_in");
    second.ends().done();
    let refused = post(&world, "/api/v1/pairings/offer", &offer, Some(&token(&desktop)));
    assert_eq!((refused.status, refused.json()["code"].clone()), (403, json!("step_up_required")));
}

fn a_public_computer_reads_for_a_while_and_changes_nothing(world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    let letter = laptop.scratch("letter");
    fs::write(&letter, noise(7, 40_000)).expect("a file");
    laptop.put(&letter, "letter").done();
    let mut device = ask_with(&world, PairingForm::Public);
    let shown = device.device.shown().expect("three characters").to_owned();

    // Whoever looks at another screen lets nobody in.
    let arguments = ["--yes", "--shown", "?", &device.link];
    assert_eq!(laptop.run(APPROVE.into_iter().chain(arguments)).status, Some(2));

    let arguments = ["--yes", "--shown", &shown, &device.link];
    let mut approver = laptop.talk(APPROVE.into_iter().chain(arguments));
    assert_eq!(approver.hears("asked")["form"], json!("public"));
    let theirs = code_of(&mut approver);
    assert_eq!(theirs.len(), 3);
    let answer = device.device.answer(&device.take(&world), &theirs, &mut SystemRng).unwrap();
    device.answer(&world, &answer);
    approver.hears("let_in");
    let delivery = device.take(&world);
    let bundle = device.device.finish(&delivery).unwrap();
    assert!(matches!(bundle.key, PairedKey::Account(_)), "never the master key");
    let redeem = json!({
        "request": device.request, "device_secret": encoded(&device.secret), "grant": encoded(bundle.grant.expose())
    });
    let paired = post(&world, "/api/v1/pairings/device/redeem", &redeem, None).json();
    let session = &paired["session"];
    let lasts = session["expires_at"].as_i64().unwrap()
        - laptop.run(["whoami", "--json"]).json()["created_at"].as_i64().unwrap();
    assert!(lasts < 20 * 60_000, "a quarter of an hour, and not {lasts} ms");

    let token = session["token"].as_str().unwrap();
    let collections = get(&world, "/api/v1/collections", token).json();
    let collection = collections["collections"][0]["id"].as_str().unwrap().to_owned();
    let changes = format!("/api/v1/collections/{collection}/changes");
    for path in ["/api/v1/account", "/api/v1/usage", &changes] {
        assert_eq!(get(&world, path, token).status, 200, "{path}");
    }
    for path in ["/api/v1/session/server-half", "/api/v1/sessions", "/api/v1/devices"] {
        let answer = get(&world, path, token);
        assert_eq!((answer.status, answer.json()["code"].clone()), (403, json!("forbidden")), "{path}");
    }
    let sessions = laptop.sessions();
    let other = sessions.iter().find(|session| session["current"] == json!(true)).expect("the laptop's");
    let other = other["id"].as_str().unwrap();
    let devices = laptop.run(["devices", "--json"]).entries();
    let own = devices.iter().find(|device| device["current"] == json!(true)).expect("the laptop");
    let ended = [
        ("DELETE", format!("/api/v1/sessions/{other}")),
        ("DELETE", format!("/api/v1/devices/{}", own["id"].as_str().unwrap())),
        ("POST", "/api/v1/sessions/end-others".to_owned()),
        ("POST", "/api/v1/tokens".to_owned()),
        ("DELETE", "/api/v1/account".to_owned()),
        ("DELETE", format!("/api/v1/collections/{collection}")),
    ];
    for (method, path) in ended {
        let answer = Request::new(method, &path).bearer(token).send(&world.url());
        assert_eq!(answer.status, 403, "{method} {path}");
    }
    let named = json!({ "request": device.request });
    assert_eq!(post(&world, "/api/v1/pairings/read", &named, Some(token)).status, 403);
    assert_eq!(post(&world, "/api/v1/signout", &json!({}), Some(token)).status, 204);
    assert_eq!(get(&world, "/api/v1/account", token).status, 401);
    laptop.run(["ls", "--json"]).done();
    world.letter(&["A public computer was let in"]);
}

/// A public computer that was let in by its command line; what it says next is the answer to what it is told.
fn reading(world: &World, laptop: &Machine) -> (Machine, Dialogue) {
    let kiosk = world.machine();
    let mut computer = kiosk.talk(["login", "--pair", "--public", "--json"]);
    let asked = computer.hears("link");
    let (link, shown) = (asked["link"].as_str().unwrap(), asked["shown"].as_str().unwrap());
    let mut approver = laptop.talk(APPROVE.into_iter().chain(["--yes", "--shown", shown, link]));
    assert_eq!(approver.hears("asked")["form"], json!("public"));
    let code = code_of(&mut approver);
    assert_eq!((code.len(), shown.len()), (3, 3));
    computer.hears("code_wanted");
    computer.says("no code");
    computer.hears("code_wanted");
    computer.says(&code);
    approver.hears("let_in");
    approver.ends().done();
    computer.hears("signed_in");
    (kiosk, computer)
}

fn a_public_computer_reads_at_its_prompt_and_keeps_nothing(world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    let letter = laptop.scratch("letter");
    fs::write(&letter, noise(7, 300_000)).expect("a file");
    laptop.put(&letter, "a letter").done();
    let (kiosk, mut computer) = reading(&world, &laptop);
    computer.says("ls -l");
    let files = computer.hears_answer();
    assert_eq!(files["files"][0]["name"], json!("a letter"), "{files}");
    let copy = kiosk.scratch("copy of it");
    computer.says(&format!("get 'a letter' '{}'", copy.display()));
    assert_eq!(computer.hears_answer()["written"], json!(1));
    assert_eq!(fs::read(&copy).expect("a file"), noise(7, 300_000));
    // What only the owner's devices do is no command here, and what is mistyped ends nothing.
    for line in
        ["put a b", "rm 'a letter'", "ls --shared K7F2QXM", "ls 'nothing", "get nowhere x", "", "whoami"]
    {
        computer.says(line);
    }
    computer.says("ls");
    assert_eq!(computer.hears_answer()["files"].as_array().map(Vec::len), Some(1));
    assert_eq!(laptop.sessions().len(), 2);
    computer.says("exit");
    computer.hears("signed_out");
    computer.ends().done();

    let kept: Vec<_> =
        fs::read_dir(kiosk.config()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(kept, ["scratch"], "what was got, and nothing else");
    assert_eq!(laptop.sessions().len(), 1, "the session is over");
    assert_eq!(kiosk.run(["ls", "--json"]).refused(4).code, "not_signed_in");
    world.letter(&["A public computer was let in"]);

    // Whoever is signed in on it already stays so: nothing of theirs is touched or used.
    let theirs = world.machine();
    theirs.sign_up();
    let before = theirs.copied();
    let mut computer = theirs.talk(["login", "--pair", "--public", "--json"]);
    let asked = computer.hears("link");
    let (link, shown) = (asked["link"].as_str().unwrap(), asked["shown"].as_str().unwrap());
    let mut approver = laptop.talk(APPROVE.into_iter().chain(["--yes", "--shown", shown, link]));
    approver.hears("asked");
    let code = code_of(&mut approver);
    computer.hears("code_wanted");
    computer.says(&code);
    approver.ends().done();
    computer.hears("signed_in");
    computer.says("ls");
    assert_eq!(computer.hears_answer()["files"].as_array().map(Vec::len), Some(1));
    // The end of what is typed is the end of the session.
    computer.ends().done();
    for name in ["session", "local-half", "keys.sealed", "profile.json", "device", "pins.json"] {
        let read = |machine: &Machine| fs::read(machine.config().join(name)).unwrap();
        assert_eq!(read(&theirs), read(&before), "{name}");
    }
    theirs.run(["ls", "--json"]).done();
    assert_eq!(laptop.sessions().len(), 1);
}

fn a_public_computer_is_out_when_its_session_is_ended_elsewhere(world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    let (_kiosk, mut computer) = reading(&world, &laptop);
    laptop.run(["sessions", "end-others", "--json"]).done();
    computer.says("ls");
    assert_eq!(computer.ends().refused(4).code, "session_ended");
}

/// A device whose messages the test makes itself.
struct OwnDevice {
    device: PairingDevice,
    secret: [u8; 32],
    request: String,
    link: String,
}

fn ask_as_device(world: &World) -> OwnDevice {
    ask_with(world, PairingForm::Device)
}

fn ask_with(world: &World, form: PairingForm) -> OwnDevice {
    let device = PairingDevice::start(form, "laptop", "Linux", &mut SystemRng).unwrap();
    let secret = noise(5, 32).try_into().unwrap();
    ask(world, device.request(), &secret);
    let link = PairingLink::new(&world.url(), device.request()).to_text();
    OwnDevice { request: encoded(device.request().id().expose()), device, secret, link }
}

impl OwnDevice {
    fn post(&self, world: &World, path: &str, more: &Value) -> Exchange {
        let mut body = json!({ "request": self.request, "device_secret": encoded(&self.secret) });
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        post(world, &format!("/api/v1/pairings/device/{path}"), &body, None)
    }

    fn poll(&self, world: &World) -> Value {
        self.post(world, "take", &json!({})).json()
    }

    /// The next message, which the other side is about to send.
    fn take(&self, world: &World) -> Vec<u8> {
        for _ in 0..2_000 {
            let taken = self.poll(world);
            match taken["state"].as_str() {
                Some("message") => return decoded(&taken["message"]),
                Some("waiting") => std::thread::yield_now(),
                _ => panic!("{taken}"),
            }
        }
        panic!("nothing was sent")
    }

    fn answer(&self, world: &World, message: &[u8]) {
        let answered = self.post(world, "answer", &json!({ "message": encoded(message) }));
        assert_eq!(answered.status, 204);
    }

    /// Takes one more offer, and answers it with this.
    fn answer_after(&self, world: &World, message: &[u8]) {
        self.take(world);
        self.answer(world, message);
    }
}

fn ask(world: &World, request: &PairingRequest, secret: &[u8; 32]) {
    assert_eq!(try_ask(world, request, secret).status, 200);
}

fn try_ask(world: &World, request: &PairingRequest, secret: &[u8; 32]) -> Exchange {
    let body = json!({
        "request": encoded(request.id().expose()),
        "device_secret": encoded(secret),
        "form": request.form().as_str(),
        "name": request.name(),
        "platform": request.platform(),
        "key": encoded(&request.key()),
    });
    post(world, "/api/v1/pairings", &body, None)
}

fn read(link: &PairingLink, shown: &Value) -> PairingRequest {
    let text = |name: &str| shown[name].as_str().unwrap().to_owned();
    let form = PairingForm::named(&text("form")).unwrap();
    let key = decoded(&shown["key"]);
    PairingRequest::from_parts(*link.request(), form, &text("name"), &text("platform"), &key).unwrap()
}

fn take(world: &World, link: &str, token: &str) -> Vec<u8> {
    for _ in 0..2_000 {
        let body = json!({ "request": request(link) });
        let taken = post(world, "/api/v1/pairings/take", &body, Some(token)).json();
        if taken["state"] == json!("message") {
            return decoded(&taken["message"]);
        }
        std::thread::yield_now();
    }
    panic!("nothing was sent")
}

/// The session that a machine keeps.
fn token(machine: &Machine) -> String {
    fs::read_to_string(machine.config().join("session")).expect("a session")
}

fn request(link: &str) -> String {
    encoded(PairingLink::parse(link).unwrap().request().expose())
}

fn post(world: &World, path: &str, body: &Value, token: Option<&str>) -> Exchange {
    let request = Request::new("POST", path).json(body);
    match token {
        Some(token) => request.bearer(token).send(&world.url()),
        None => request.send(&world.url()),
    }
}

fn get(world: &World, path: &str, token: &str) -> Exchange {
    Request::new("GET", path).bearer(token).send(&world.url())
}

fn encoded(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

fn decoded(value: &Value) -> Vec<u8> {
    BASE64URL_NOPAD.decode(value.as_str().expect("bytes").as_bytes()).expect("base64url")
}
