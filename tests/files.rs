// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files and folders: what goes in comes out.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::SystemTime;

use harness::{Engine, Machine, World, assert_same_tree, noise, on_both_engines, unique, visit};
use serde_json::json;

on_both_engines!(
    names_and_sizes_of_every_kind_come_back,
    a_file_put_again_is_replaced,
    a_change_that_keeps_size_and_time_is_put,
    a_change_that_keeps_size_and_time_is_synchronised,
    a_local_file_is_replaced_only_when_that_is_wanted,
    first_files_put_at_the_same_moment_are_all_there,
    a_removed_file_is_gone_for_every_machine,
    nobody_sees_the_files_of_another,
);

fn names_and_sizes_of_every_kind_come_back(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let folder = world.folder().join("kinds");
    fs::create_dir_all(folder.join("deep/er/and deeper")).unwrap();
    // Around the size of a chunk, and of what still travels inside an item.
    let chunk = 256 << 10;
    for (seed, size) in
        [0, 1, 4095, chunk - 17, chunk - 16, chunk - 1, chunk, chunk + 1, 3 * chunk].into_iter().enumerate()
    {
        fs::write(folder.join(format!("{size} bytes")), noise(seed as u64, size)).unwrap();
    }
    for name in
        ["grüße aus Køln", "数据", "-dash", "a'b\"c", "percent %2F", "deep/er/and deeper/.hidden", "emoji 🗝"]
    {
        fs::write(folder.join(name), unique(name)).unwrap();
    }
    laptop.put(&folder, "kinds of things").done();

    let desktop = world.machine();
    desktop.sign_in(&ada).done();
    desktop.get("kinds of things", &desktop.scratch("kinds")).done();
    assert_same_tree(&folder, &desktop.scratch("kinds"));
    desktop.get("kinds of things/deep/er/and deeper/.hidden", &desktop.scratch("one")).done();
    assert_eq!(
        fs::read(folder.join("deep/er/and deeper/.hidden")).unwrap(),
        fs::read(desktop.scratch("one")).unwrap()
    );
}

fn a_file_put_again_is_replaced(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let desktop = world.machine();
    desktop.sign_in(&ada).done();
    let note = laptop.scratch("note");
    for size in [10, 600_000, 20, 600_001] {
        fs::write(&note, noise(size, size as usize)).unwrap();
        laptop.put(&note, "note").done();
        let copy = desktop.scratch(&format!("note of {size} bytes"));
        desktop.get("note", &copy).done();
        assert!(fs::read(&note).unwrap() == fs::read(copy).unwrap(), "the newest, of {size} bytes");
    }
    assert_eq!(desktop.run(["ls", "--json"]).entries().len(), 1, "one file, not four");
}

fn a_change_that_keeps_size_and_time_is_put(world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    let note = laptop.scratch("note");
    // Within the item, and beside it.
    for size in [20, 600_000] {
        let (name, copy) = (format!("{size} bytes"), laptop.scratch(&format!("copy of {size}")));
        write_at_one_time(&note, &noise(1, size));
        laptop.put(&note, &name).done();
        write_at_one_time(&note, &noise(2, size));
        assert_eq!(laptop.put(&note, &name).json()["stored"], 1);
        laptop.get(&name, &copy).done();
        assert!(fs::read(copy).unwrap() == noise(2, size), "the newest, of {size} bytes");
        assert_eq!(laptop.put(&note, &name).json()["unchanged"], 1);
    }
}

fn a_change_that_keeps_size_and_time_is_synchronised(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let desktop = world.machine();
    desktop.sign_in(&ada).done();
    let (here, there) = (laptop.scratch("here"), desktop.scratch("there"));
    fs::create_dir(&here).unwrap();
    let push = || laptop.run(["sync", here.to_str().unwrap(), "/", "--json"]).json();
    let pull = || desktop.run(["sync", there.to_str().unwrap(), "/", "--pull", "--json"]).json();

    write_at_one_time(&here.join("note"), b"one");
    push();
    pull();
    write_at_one_time(&here.join("note"), b"two");
    assert_eq!(push()["copied"], json!(["note"]));
    assert_eq!(push()["unchanged"], 1);

    // What only the desktop has is kept there.
    write_at_one_time(&there.join("note"), b"own");
    let kept_as = pull()["conflicts"][0]["kept_as"].as_str().unwrap().to_owned();
    assert_eq!(fs::read(there.join(kept_as)).unwrap(), b"own");
    assert_eq!(fs::read(there.join("note")).unwrap(), b"two");
}

#[test]
fn an_upload_that_broke_off_goes_on_only_with_a_file_that_nobody_wrote_to() {
    let world = World::started(Engine::Sqlite);
    let way = Way::to(&world.url());
    let laptop = Machine::new(&way.url);
    laptop.sign_up();
    let (film, copy) = (laptop.scratch("film"), laptop.scratch("copy"));
    let put = |may_carry| {
        way.left.store(may_carry, Ordering::SeqCst);
        laptop.put(&film, "film")
    };
    // Four parts of 8 MiB are under way at a time: when there was more, one has arrived.
    let (size, broken_off) = (40 << 20, 34 << 20);
    write_at_one_time(&film, &noise(1, size));
    assert!(!put(broken_off).is_done());
    put(usize::MAX).done();
    let carried = usize::MAX - way.left.load(Ordering::SeqCst);
    assert!(carried < 33 << 20, "it goes on where it was: {carried}");
    laptop.get("film", &copy).done();
    assert!(fs::read(&copy).unwrap() == noise(1, size));
    fs::remove_file(&copy).unwrap();

    write_at_one_time(&film, &noise(2, size));
    assert!(!put(broken_off).is_done());
    write_at_one_time(&film, &noise(3, size));
    put(usize::MAX).done();
    laptop.get("film", &copy).done();
    assert!(fs::read(&copy).unwrap() == noise(3, size), "nothing of what it was before");
}

#[test]
fn a_stored_file_that_was_damaged_is_mended_by_putting_it_anew() {
    let world = World::started(Engine::Sqlite);
    let laptop = world.machine();
    laptop.sign_up();
    let (film, copy) = (laptop.scratch("film"), laptop.scratch("copy"));
    fs::write(&film, noise(1, 600_000)).unwrap();
    laptop.put(&film, "film").done();
    visit(&world.data().join("blobs"), &mut |blob| {
        let mut bytes = fs::read(blob).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(blob, bytes).unwrap();
    });
    assert!(!laptop.get("film", &copy).is_done());
    assert_eq!(laptop.put(&film, "film").json()["unchanged"], 1, "nothing tells but getting it");

    let anew = [OsStr::new("put"), film.as_os_str(), "film".as_ref(), "--anew".as_ref(), "--json".as_ref()];
    assert_eq!(laptop.run(anew).json()["stored"], 1);
    laptop.get("film", &copy).done();
    assert!(fs::read(copy).unwrap() == noise(1, 600_000));
}

fn a_local_file_is_replaced_only_when_that_is_wanted(world: World) {
    let laptop = world.machine();
    laptop.sign_up();
    let (note, copy) = (laptop.scratch("note"), laptop.scratch("copy"));
    fs::write(&note, "a note").unwrap();
    laptop.put(&note, "note").done();
    fs::write(&copy, "written here since").unwrap();

    assert_eq!(laptop.get("note", &copy).refused(1).code, "exists");
    assert_eq!(fs::read_to_string(&copy).unwrap(), "written here since");

    let forced =
        [OsStr::new("get"), "note".as_ref(), copy.as_os_str(), "--force".as_ref(), "--json".as_ref()];
    laptop.run(forced).done();
    assert_eq!(fs::read_to_string(&copy).unwrap(), "a note");
    // The same bytes once more are no reason to ask.
    laptop.get("note", &copy).done();
}

fn first_files_put_at_the_same_moment_are_all_there(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let machines: Vec<_> = (0..4)
        .map(|_| {
            let machine = world.machine();
            machine.sign_in(&ada).done();
            machine
        })
        .collect();
    thread::scope(|scope| {
        for (number, machine) in machines.iter().enumerate() {
            scope.spawn(move || {
                let note = machine.scratch("note");
                fs::write(&note, format!("note {number}")).unwrap();
                machine.put(&note, &format!("note {number}")).done();
            });
        }
    });
    assert_eq!(laptop.run(["ls", "--json"]).entries().len(), machines.len(), "all of them");
    for number in 0..machines.len() {
        let copy = laptop.scratch(&format!("copy {number}"));
        laptop.get(&format!("note {number}"), &copy).done();
        assert_eq!(fs::read_to_string(copy).unwrap(), format!("note {number}"));
    }
}

fn a_removed_file_is_gone_for_every_machine(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let desktop = world.machine();
    desktop.sign_in(&ada).done();
    let note = laptop.scratch("note");
    fs::write(&note, "a note").unwrap();
    laptop.put(&note, "note").done();
    desktop.get("note", &desktop.scratch("note")).done();
    laptop.run(["rm", "note", "--json"]).done();
    assert_eq!(desktop.get("note", &desktop.scratch("again")).refused(1).code, "not_found");
    assert!(desktop.run(["ls", "--json"]).entries().is_empty());
}

fn nobody_sees_the_files_of_another(world: World) {
    let ada = world.machine();
    ada.sign_up();
    let eve = world.machine();
    eve.sign_up();
    let note = ada.scratch("note");
    fs::write(&note, "a note").unwrap();
    ada.put(&note, "note").done();
    assert!(eve.run(["ls", "--json"]).entries().is_empty());
    assert_eq!(eve.get("note", &eve.scratch("note")).refused(1).code, "not_found");
    assert_eq!(eve.run(["rm", "note", "--json"]).refused(1).code, "not_found");
    ada.get("note", &ada.scratch("copy")).done();
}

/// Writes a file that always says that it was changed at the same time.
fn write_at_one_time(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
}

/// A way to a server that breaks off when it carried as many bytes there as it may.
struct Way {
    url: String,
    left: Arc<AtomicUsize>,
}

impl Way {
    fn to(server: &str) -> Self {
        let address = server.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let left = Arc::new(AtomicUsize::new(usize::MAX));
        let way = Self { url, left: Arc::clone(&left) };
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&address) else { continue };
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let left = Arc::clone(&left);
                let may_carry = move |length| {
                    let order = Ordering::SeqCst;
                    left.fetch_update(order, order, |left: usize| left.checked_sub(length)).is_ok()
                };
                thread::spawn(move || carry(from, to, may_carry));
                thread::spawn(move || carry(server, client, |_| true));
            }
        });
        way
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, may_carry: impl Fn(usize) -> bool) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if !may_carry(length) || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // Nobody waits for what does not come.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
