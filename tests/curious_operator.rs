// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The operator who wants to know: he has the database, the blobs, the root key, a recording of all traffic, and a
//! server that does what he likes. None of it opens what people keep, and what he changes is noticed.

use std::collections::HashSet;
use std::fs;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use harness::{Engine, Home, Machine, Outcome, Recorder, World, noise, on_both_engines, unique};
use keyring::{
    AccountId, AccountKey, CollectionId, CollectionKey, CollectionKeyPlace, KdfParams, MasterKey,
    MasterKeyPlace, MethodId, MethodKind, MethodPublicKey, MethodSalt, MethodSecret, MethodTag, RecoveryKey,
    Sealed, SealedMasterKey,
};

on_both_engines!(
    all_that_a_server_has_and_hears_opens_nothing,
    recorded_sign_ins_open_nothing_when_they_are_sent_again,
    weaker_work_on_secrets_is_refused_by_the_client,
    the_sealed_key_of_another_account_opens_nothing,
);

fn all_that_a_server_has_and_hears_opens_nothing(mut world: World) {
    let wire = Recorder::before(&world.url());
    let laptop = world.machine().through(wire.url());
    let ada = laptop.sign_up();
    put(&laptop);
    let recovery_key = new_recovery_key(&laptop);
    let api_key = new_api_key(&laptop);
    // Every way in is used once before him.
    let desktop = world.machine().through(wire.url());
    desktop.sign_in(&ada).done();
    get(&desktop).done();
    let borrowed = world.machine().through(wire.url());
    by_recovery_key(&borrowed, &recovery_key).done();
    get(&borrowed).done();
    let mut program = world.machine().through(wire.url()).command(["get", "letter", "-"]);
    let got = program.env("BAILIWICK_API_KEY", &api_key).output().expect("the binary starts");
    assert!(got.status.success(), "{}", String::from_utf8_lossy(&got.stderr));
    laptop.change_password(&ada, &unique("another horse ")).done();
    laptop.rotate_key(&ada).done();
    world.stop();

    let vault = Vault::of(&world);
    assert_eq!(vault.methods.len(), 3, "password, recovery key, API key");
    let mut hoard = Hoard::default();
    hoard.add_text(&wire.bytes());
    hoard.add_folder(&world);
    assert!(hoard.0.len() > 300, "there is something to try: {}", hoard.0.len());
    for bytes in &hoard.0 {
        assert_eq!(vault.opened_by(bytes), None, "{} bytes that the server has", bytes.len());
    }

    // The same attempts succeed with what only Ada has: so they would have noticed.
    let method = vault.methods.iter().find(|method| method.kind == MethodKind::RecoveryKey).expect("one");
    let secret = RecoveryKey::parse(&recovery_key).expect("a key").method_secret(&method.salt, method.kdf);
    let master_key = method.open(&secret.expect("memory"));
    assert_eq!(vault.opened_by(master_key.expose()), Some("the master key"));
    assert_eq!(vault.opened_by(master_key.account_key().expose()), Some("the account key"));
    let padded = [&noise(1, 40)[..], master_key.expose(), &noise(2, 7)].concat();
    assert_eq!(vault.opened_by(&padded), Some("the master key"), "wherever it stands");
}

fn recorded_sign_ins_open_nothing_when_they_are_sent_again(world: World) {
    let wire = Recorder::before(&world.url());
    let laptop = world.machine().through(wire.url());
    let ada = laptop.sign_up();
    let recovery_key = new_recovery_key(&laptop);
    laptop.sign_in(&ada).done();
    by_recovery_key(&world.machine().through(wire.url()), &recovery_key).done();

    let finishes: Vec<_> = wire
        .exchanges()
        .into_iter()
        .filter(|exchange| exchange.method == "POST" && exchange.status < 300)
        .filter(|exchange| exchange.path.contains("/signin/") || exchange.path.contains("/signup/"))
        .filter(|exchange| !exchange.path.ends_with("/start") && !exchange.path.ends_with("/salt"))
        .collect();
    assert!(finishes.len() >= 3, "sign-up, password, recovery key");
    for exchange in finishes {
        let again = wire.replay(&exchange, &exchange.request);
        if exchange.path.ends_with("/recovery-key") {
            // Who shows the lookup value is let in, to what is sealed: as he could let himself in.
            let sealed = |answer: &harness::Exchange| answer.json()["sealed_master_key"].clone();
            assert_eq!(sealed(&again), sealed(&exchange));
        } else {
            assert!((400..500).contains(&again.status), "{}: {}", exchange.path, again.status);
        }
    }
}

fn weaker_work_on_secrets_is_refused_by_the_client(world: World) {
    let laptop = world.machine();
    let ada = laptop.sign_up();
    let recovery_key = new_recovery_key(&laptop);
    // 18 MiB, which is below what a client does for any server.
    let liar = Recorder::lying(&world.url(), "\"memory_kib\":65536", "\"memory_kib\":18432");
    let misled = world.machine().through(liar.url());
    for refused in [misled.sign_in(&ada), by_recovery_key(&misled, &recovery_key)] {
        assert_eq!(refused.refused(1).code, "kdf_refused");
        assert_eq!(misled.run(["ls", "--json"]).refused(4).code, "not_signed_in", "nothing was kept");
    }
    let said = |name: &str| liar.exchanges().iter().any(|exchange| exchange.path.ends_with(name));
    assert!(said("/signin/password/start") && said("/signin/recovery-key"), "both were lied to");
    assert!(!said("/signin/password/finish"), "nothing that the password made was sent");
}

fn the_sealed_key_of_another_account_opens_nothing(world: World) {
    let (hers, his) = (world.machine(), world.machine());
    let ada = hers.sign_up();
    let bob = his.sign_up();
    let homes = Home::all(&world);
    let [one, other] = &homes[..] else { panic!("two homes") };
    let columns = ["sealed_master_key", "public_key", "tag"];
    let [of_one] = &one.rows("login_method", columns)[..] else { panic!("one method") };
    let [of_other] = &other.rows("login_method", columns)[..] else { panic!("one method") };
    for (home, [sealed, public_key, tag]) in [(one, of_other), (other, of_one)] {
        let set = format!(
            "sealed_master_key = {}, public_key = {}, tag = {}",
            home.blob(sealed),
            home.blob(public_key),
            home.blob(tag)
        );
        assert_eq!(home.update("login_method", &set, "kind = 'password'"), 1);
    }
    for person in [&ada, &bob] {
        let thrown_off = world.machine();
        assert_eq!(thrown_off.sign_in(person).refused(1).code, "does_not_open");
        assert_eq!(thrown_off.run(["ls", "--json"]).refused(4).code, "not_signed_in");
    }
}

/// What there is to open.
struct Vault {
    methods: Vec<Method>,
    collections: Vec<(CollectionKeyPlace, Sealed)>,
}

struct Method {
    place: MasterKeyPlace,
    kind: MethodKind,
    public_key: MethodPublicKey,
    sealed: SealedMasterKey,
    tag: MethodTag,
    salt: MethodSalt,
    kdf: KdfParams,
}

impl Method {
    fn open(&self, secret: &MethodSecret) -> MasterKey {
        self.sealed.open(&secret.key_pair(), &self.place).expect("the master key opens")
    }
}

impl Vault {
    fn of(world: &World) -> Self {
        let [home] = &Home::all(world)[..] else { panic!("one home") };
        let [[account]] = &home.rows("account", ["id"])[..] else { panic!("one account") };
        let account = AccountId::from_bytes(array(account));
        let methods = home.rows(
            "login_method",
            [
                "id",
                "kind",
                "public_key",
                "sealed_master_key",
                "tag",
                "master_key_version",
                "salt",
                "kdf_memory",
                "kdf_passes",
                "kdf_lanes",
            ],
        );
        let methods = methods
            .iter()
            .map(|[id, kind, public_key, sealed, tag, version, salt, memory, passes, lanes]| {
                let kinds = [MethodKind::Password, MethodKind::RecoveryKey, MethodKind::ApiKey];
                let number = |text: &str| text.parse().unwrap_or_default();
                Method {
                    place: MasterKeyPlace {
                        account,
                        method: MethodId::from_bytes(array(id)),
                        key_version: number(version),
                    },
                    kind: kinds.into_iter().find(|known| known.as_str() == kind).expect("a known kind"),
                    public_key: MethodPublicKey::from_bytes(&hex(public_key)).expect("a key"),
                    sealed: SealedMasterKey::parse(hex(sealed)).expect("a sealed key"),
                    tag: MethodTag::from_bytes(array(tag)),
                    salt: MethodSalt::from_bytes(if salt.is_empty() { [0; 16] } else { array(salt) }),
                    kdf: KdfParams::checked(number(memory), number(passes), number(lanes))
                        .unwrap_or_default(),
                }
            })
            .collect();
        let collections = home.rows("collection", ["id", "key_version", "sealed_key"]);
        let collections = collections
            .iter()
            .map(|[id, version, sealed]| {
                let place = CollectionKeyPlace {
                    account,
                    collection: CollectionId::from_bytes(array(id)),
                    generation: 1,
                    key_version: version.parse().expect("a number"),
                };
                (place, Sealed::parse(hex(sealed)).expect("a sealed key"))
            })
            .collect();
        Self { methods, collections }
    }

    /// What some bytes open when any 32 or 64 of them in a row are a key.
    fn opened_by(&self, bytes: &[u8]) -> Option<&'static str> {
        bytes
            .windows(32)
            .find_map(|window| self.opened_by_key(window))
            .or_else(|| bytes.windows(64).find_map(|window| self.opened_by_method_secret(window)))
    }

    fn opened_by_key(&self, bytes: &[u8]) -> Option<&'static str> {
        let key: [u8; 32] = bytes.try_into().expect("32 bytes");
        let master_key = MasterKey::from_bytes(key);
        let vouches = |method: &Method| {
            let MasterKeyPlace { account, method: id, .. } = &method.place;
            master_key.verify_method(account, id, method.kind, &method.public_key, &method.tag).is_ok()
        };
        if self.methods.iter().any(vouches) {
            return Some("the master key");
        }
        let account_key = AccountKey::from_bytes(key);
        let opens = |(place, sealed): &(CollectionKeyPlace, Sealed)| {
            CollectionKey::open(&account_key, sealed, place).is_ok()
        };
        if self.collections.iter().any(opens) {
            return Some("the account key");
        }
        self.opened_by_method_secret(bytes)
    }

    fn opened_by_method_secret(&self, bytes: &[u8]) -> Option<&'static str> {
        let public_key = MethodSecret::from_bytes(bytes).ok()?.key_pair().public_key();
        self.methods.iter().any(|method| method.public_key == public_key).then_some("a login method")
    }
}

/// Everything that the server has and hears, in each form that a key could have there.
#[derive(Default)]
struct Hoard(HashSet<Vec<u8>>);

impl Hoard {
    /// Takes a text apart: words as they are, and what they stand for.
    fn add_text(&mut self, text: &[u8]) {
        let is_symbol = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_+/".contains(byte);
        for word in text.split(|byte| !is_symbol(byte)).filter(|word| word.len() >= 32) {
            let hexadecimal = word.strip_prefix(b"x").unwrap_or(word);
            for decoded in [
                Some(word.to_vec()),
                BASE64URL_NOPAD.decode(word).ok(),
                BASE64_NOPAD.decode(word).ok(),
                HEXLOWER_PERMISSIVE.decode(hexadecimal).ok(),
            ] {
                self.add(decoded.unwrap_or_default());
            }
        }
    }

    /// What is in the files of a stopped server: databases value by value, everything else as text.
    fn add_folder(&mut self, world: &World) {
        let databases = harness::Files::under(world.folder());
        for path in databases.all() {
            let connection = harness::Files::open(path);
            let mut tables =
                connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
            let tables: Vec<String> =
                tables.query_map([], |row| row.get(0)).and_then(Iterator::collect).unwrap();
            for table in tables {
                let mut rows = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
                let columns = rows.column_count();
                let mut rows = rows.query([]).unwrap();
                while let Some(row) = rows.next().unwrap() {
                    for column in 0..columns {
                        if let Ok(bytes) = row.get_ref(column).unwrap().as_bytes() {
                            self.add(bytes.to_vec());
                            self.add_text(bytes);
                        }
                    }
                }
            }
        }
        let mut others = Vec::new();
        harness::visit(world.folder(), &mut |path| {
            if !databases.all().iter().any(|database| database == path) {
                others.push(fs::read(path).unwrap());
            }
        });
        assert!(!others.is_empty(), "the root key and the log");
        for other in others {
            self.add_text(&other);
        }
        if world.engine() == Engine::Postgresql {
            self.add_text(&world.database().dump());
        }
    }

    /// What is long is ciphertext: its ends are tried, where keys and tags would stand.
    fn add(&mut self, mut bytes: Vec<u8>) {
        if bytes.len() > LONG {
            let end = bytes.split_off(bytes.len() - LONG / 2);
            bytes.truncate(LONG / 2);
            self.0.insert(end);
        }
        if bytes.len() >= 32 {
            self.0.insert(bytes);
        }
    }
}

/// Longer than any value that is not the content of a file, in bytes.
const LONG: usize = 192;

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().unwrap_or_else(|_| panic!("{N} bytes: {text}"))
}

fn put(machine: &Machine) {
    let path = machine.scratch("letter");
    fs::write(&path, "for Ada's eyes").unwrap();
    machine.put(&path, "letter").done();
}

fn get(machine: &Machine) -> Outcome {
    machine.get("letter", &machine.scratch("fetched"))
}

#[track_caller]
fn new_recovery_key(machine: &Machine) -> String {
    let made = machine.run(["recovery-key", "create", "--json"]).json();
    made["recovery_key"].as_str().expect("a recovery key").to_owned()
}

#[track_caller]
fn new_api_key(machine: &Machine) -> String {
    let made = machine.run(["api-keys", "create", "--scopes", "read", "--json"]).json();
    made["api_key"].as_str().expect("an API key").to_owned()
}

fn by_recovery_key(machine: &Machine, key: &str) -> Outcome {
    machine.run_with(["login", "--recovery-key-stdin", "--json"], &format!("{key}\n"))
}
