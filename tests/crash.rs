// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The server is killed while everybody writes, again and again. What it had acknowledged is there; what it had not
//! is there whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use harness::{Factor, Machine, World, noise, on_both_engines, unique};

on_both_engines!(every_acknowledged_write_survives_kill_9);

/// How many times the server is killed.
fn kills() -> usize {
    std::env::var("BAILIWICK_E2E_KILLS")
        .map_or(20, |kills| kills.parse().expect("BAILIWICK_E2E_KILLS is a number"))
}

fn every_acknowledged_write_survives_kill_9(mut world: World) {
    let machines: Vec<Machine> = (0..3).map(|_| world.machine()).collect();
    let ada = machines[0].sign_up();
    for machine in &machines[1..] {
        machine.sign_in(&ada).done();
    }
    let acknowledged = Mutex::new(BTreeMap::new());
    let tried = Mutex::new(BTreeMap::new());
    let mut sign_ups = Vec::new();

    for round in 0..kills() {
        let killed = AtomicBool::new(false);
        let newcomer = world.machine();
        let email = format!("{}@example.org", unique("newcomer-"));
        let password = unique("horse ");
        let signed_up = thread::scope(|scope| {
            for (writer, machine) in machines.iter().enumerate() {
                let (killed, acknowledged, tried) = (&killed, &acknowledged, &tried);
                scope.spawn(move || {
                    for count in 0.. {
                        let name = format!("{round}-{writer}-{count}");
                        // Every fourth file is too large for an item and becomes a blob.
                        let size = if count % 4 == 3 { 300_000 } else { 2_000 };
                        let content = noise(((round * 10 + writer) * 1000 + count) as u64, size);
                        let local = machine.scratch(&name);
                        fs::write(&local, &content).unwrap();
                        tried.lock().unwrap().insert(name.clone(), content.clone());
                        let outcome = machine.put(&local, &name);
                        fs::remove_file(&local).unwrap();
                        if outcome.is_done() {
                            acknowledged.lock().unwrap().insert(name, content);
                        }
                        if killed.load(Ordering::SeqCst) {
                            break;
                        }
                    }
                });
            }
            // Every fifth round somebody signs up meanwhile.
            let joining = (round % 5 == 0).then(|| {
                let (newcomer, email, password) = (&newcomer, &email, &password);
                scope.spawn(move || newcomer.try_sign_up(email, password).is_done())
            });
            thread::sleep(Duration::from_millis(random_below(3_000)));
            world.kill();
            killed.store(true, Ordering::SeqCst);
            joining.map(|thread| thread.join().unwrap())
        });
        world.start();
        if let Some(acknowledged) = signed_up {
            sign_ups.push((newcomer, email, password, acknowledged));
        }
    }

    let (acknowledged, tried) = (acknowledged.into_inner().unwrap(), tried.into_inner().unwrap());
    assert!(acknowledged.len() >= kills(), "there was a load: {} files", acknowledged.len());
    let fetched = world.folder().join("fetched");
    fs::create_dir(&fetched).unwrap();
    let machine = &machines[0];
    let listed = machine.run(["ls", "--json"]).entries();
    let listed: Vec<&str> = listed.iter().map(|entry| entry["name"].as_str().expect("a name")).collect();
    for name in acknowledged.keys() {
        assert!(listed.contains(&name.as_str()), "{name} was acknowledged and is not listed");
    }
    for name in &listed {
        let local = fetched.join(name);
        machine.get(name, &local).done();
        assert!(fs::read(&local).unwrap() == tried[*name], "{name} has other bytes");
    }
    let records = machine.verified_records();
    assert!(records > acknowledged.len() as u64, "{records} records for {} files", acknowledged.len());

    for (newcomer, email, password, acknowledged) in sign_ups {
        assert_whole_account(&world, &newcomer, &email, &password, acknowledged);
    }
}

/// A sign-up that was acknowledged is an account; one that was not is an account or can be tried again.
fn assert_whole_account(world: &World, newcomer: &Machine, email: &str, password: &str, acknowledged: bool) {
    if acknowledged {
        newcomer.run(["ls", "--json"]).done();
        newcomer.verified_records();
        return;
    }
    let again = world.machine().try_sign_up(email, password);
    if again.is_done() {
        return;
    }
    assert_eq!(again.refused(1).code, "account_exists");
    // The answer was lost, so nobody knows the second factor; the account refuses as any other does.
    let nobody = harness::Person::nobody(email);
    let factor = Factor::Otp("000000".to_owned());
    assert_eq!(
        world.machine().sign_in_with(&nobody, password, &factor).refused(4).code,
        "invalid_credentials"
    );
}

fn random_below(limit: u64) -> u64 {
    u64::from_le_bytes(noise_seed()) % limit
}

fn noise_seed() -> [u8; 8] {
    let text = unique("");
    std::array::from_fn(|index| text.as_bytes()[index])
}
