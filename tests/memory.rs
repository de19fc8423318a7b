// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the server's memory still holds of somebody who has signed out: nothing that lets anybody in, or says who it was.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use data_encoding::BASE64URL_NOPAD;
use harness::{Engine, Recorder, Secrets, World, on_both_engines};
use serde_json::Value;

on_both_engines!(secrets_of_who_signed_out_are_gone_from_memory);

fn secrets_of_who_signed_out_are_gone_from_memory(world: World) {
    let wire = Recorder::before(&world.url());
    let laptop = world.machine().through(wire.url());
    let ada = laptop.sign_up();
    laptop.run(["logout", "--json"]).done();
    laptop.sign_in(&ada).done();
    laptop.run(["whoami", "--json"]).done();
    laptop.run(["logout", "--json"]).done();

    let mut secrets = Secrets::new();
    secrets.add("the address", &ada.email);
    let credentials = wire.credentials();
    assert!(credentials.len() >= 2, "two sessions: {}", credentials.len());
    for credential in credentials {
        secrets.add("a session's token", &credential);
        secrets.add("a session's secret", secret_of(&credential));
    }
    for exchange in wire.exchanges().iter().filter(|exchange| exchange.path.ends_with("/finish")) {
        let (asked, answered) = (json(&exchange.request), json(&exchange.response));
        for (name, value) in [
            ("OPAQUE's last message", &asked["opaque_finalization"]),
            ("the address's key", &asked["email_key"]),
            ("the server's half of the device's key", &answered["session"]["server_half"]),
        ] {
            let Some(text) = value.as_str() else { continue };
            // As it was sent, and bare.
            secrets.add(name, text);
            secrets.add(name, BASE64URL_NOPAD.decode(text.as_bytes()).expect("base64url"));
        }
        if let Some(token) = answered["session"]["device_token"].as_str() {
            secrets.add("a device's token", token);
            secrets.add("a device's secret", secret_of(token));
        }
    }
    let Some(found) = in_memory(world.pid(), &secrets) else {
        eprintln!(
            "skipped: the memory of another process cannot be read here (it takes root, or ptrace rights)"
        );
        return;
    };
    assert_eq!(found, [""; 0]);

    // The search finds what is there: the name of the installation's log is asked for by everybody.
    let mut public = Secrets::new();
    public.add("the server's address", world.url());
    assert!(!in_memory(world.pid(), &public).expect("as before").is_empty());
    if world.engine() == Engine::Sqlite {
        laptop.sign_in(&ada).done();
    }
}

fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

/// The 32 secret bytes of a token, which follow its prefix and where to look.
fn secret_of(token: &str) -> Vec<u8> {
    let encoded = token.split_once('_').expect("a prefix").1;
    BASE64URL_NOPAD.decode(encoded.as_bytes()).expect("base64url").split_off(16)
}

/// What a process's writable memory holds of these secrets; `None` when it may not be read.
fn in_memory(pid: u32, secrets: &Secrets) -> Option<Vec<String>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut found = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
        if !rights.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').expect("a range");
        let address = |text| u64::from_str_radix(text, 16).expect("an address");
        let (mut at, end) = (address(start), address(end));
        // In pieces that overlap, so that nothing lies between two.
        while at < end {
            let mut piece = vec![0; usize::try_from((end - at).min(PIECE)).expect("a piece")];
            if memory.read_exact_at(&mut piece, at).is_err() {
                break;
            }
            found.extend(secrets.in_bytes(&piece));
            at += PIECE - OVERLAP;
        }
    }
    found.sort();
    found.dedup();
    Some(found)
}

const PIECE: u64 = 16 << 20;
const OVERLAP: u64 = 4 << 10;
