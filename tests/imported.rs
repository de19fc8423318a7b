// SPDX-License-Identifier: Apache-2.0 OR MIT
//! People who come over from another system with the hash of the password that they had there.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
use harness::{Engine, Machine, Outcome, Person, Recorder, Request, Secrets, World, on_both_engines, unique};
use serde_json::{Value, json};

on_both_engines!(
    people_come_over_with_their_old_passwords_once,
    who_was_not_imported_and_who_came_in_already_look_like_a_wrong_password,
    no_password_is_shown_to_a_server_that_nobody_said_so_of,
    guesses_count_with_all_others_at_the_same_address,
    of_two_who_come_in_at_once_one_gets_the_account,
    a_setting_closes_the_way,
    an_import_that_was_killed_is_given_again,
    an_import_goes_on_when_nobody_reads_what_it_says,
);

/// On PostgreSQL an import may run beside servers. They are told of it, instead of looking for one each minute.
#[test]
fn who_is_imported_beside_a_running_server_comes_in_soon() {
    let world = World::started(Engine::Postgresql);
    let ada = Elsewhere::new("ada");
    let output = run_import(&world, &ada.line());
    assert!(output.status.success(), "{output:?}");
    let until = Instant::now() + Duration::from_secs(15);
    loop {
        let outcome = ada.come_in(&world.machine());
        if outcome.is_done() {
            return;
        }
        assert_eq!(outcome.refused(1).code, "imports_closed");
        assert!(Instant::now() < until, "the server does not know of the import yet");
    }
}

/// bcrypt of `U*U` (a published vector).
const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

/// Somebody with a password elsewhere.
struct Elsewhere {
    email: String,
    password: String,
    hash: String,
}

impl Elsewhere {
    fn new(name: &str) -> Self {
        let password = unique("an old password ");
        let mut digest = [0; 32];
        let params = argon2::Params::new(256, 2, 1, Some(32)).unwrap();
        argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
            .hash_password_into(password.as_bytes(), b"salt of elsewhere", &mut digest)
            .unwrap();
        let [salt, digest] = [&b"salt of elsewhere"[..], &digest].map(|bytes| BASE64_NOPAD.encode(bytes));
        Self {
            email: format!("{}@example.org", unique(name)),
            password,
            hash: format!("$argon2id$v=19$m=256,t=2,p=1${salt}${digest}"),
        }
    }

    fn line(&self) -> String {
        json!({ "email": self.email, "hash": self.hash, "external_id": self.external_id() }).to_string()
    }

    /// What the other system calls them: nothing that tells the address.
    fn external_id(&self) -> String {
        self.password.bytes().map(u64::from).fold(7, |sum, byte| sum * 31 % 1_000_003 + byte).to_string()
    }

    fn come_in(&self, machine: &Machine) -> Outcome {
        self.come_in_with(machine, &self.password)
    }

    fn come_in_with(&self, machine: &Machine, password: &str) -> Outcome {
        machine.run_with(
            ["login", "--imported", "--email", &self.email, "--password-stdin", "--json"],
            &format!("{password}\n"),
        )
    }
}

/// Imports while no server runs, and starts it again.
fn import(world: &mut World, lines: &str) -> Vec<Value> {
    world.stop();
    let output = run_import(world, lines);
    assert!(output.status.success(), "{output:?}");
    world.start();
    report(&output)
}

fn run_import(world: &World, lines: &str) -> Output {
    let file = world.folder().join("people.ndjson");
    fs::write(&file, lines).unwrap();
    let output = world.command("import-users").arg(&file).stderr(Stdio::piped()).output().unwrap();
    fs::remove_file(&file).unwrap();
    output
}

fn report(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn people_come_over_with_their_old_passwords_once(mut world: World) {
    world.set("BAILIWICK_LOG_LEVEL", "trace");
    let (ada, bea) = (Elsewhere::new("ada"), Elsewhere::new("bea"));
    let at_home = world.machine();
    let here = at_home.sign_up();
    let here_number = at_home.run(["whoami", "--json"]).json()["account_id"].clone();
    let broken = [
        json!({ "email": ada.email, "hash": "$2x$05$secret" }).to_string(),
        json!({ "email": "secret", "hash": BCRYPT }).to_string(),
        json!({ "email": ada.email, "hash": BCRYPT.replace("$05$", "$31$") }).to_string(),
        json!({ "email": ada.email, "hash": BCRYPT, "secret": 1 }).to_string(),
        json!({ "email": here.email, "hash": BCRYPT, "external_id": "here" }).to_string(),
        "secret".to_owned(),
    ];
    let lines = format!("{}\n\n{}\n{}", ada.line(), broken.join("\n"), bea.line());
    let report = import(&mut world, &lines);
    let rejected: Vec<_> = report
        .iter()
        .filter(|told| told["rejected"].is_string())
        .map(|told| (told["line"].as_u64().unwrap(), told["rejected"].as_str().unwrap()))
        .collect();
    // What is wrong with a line is said at once; what is wrong with a person when the batch is stored.
    let all = [(3, "hash"), (4, "email"), (5, "hash"), (6, "unknown_field"), (8, "json"), (7, "has_account")];
    assert_eq!(rejected, all);
    let last = report.last().unwrap();
    assert_eq!(last, &json!({ "lines": 8, "imported": 2, "known": 0, "rejected": 6 }));
    let mut wanted = Secrets::new();
    wanted.add("an address", &ada.email);
    wanted.add("an address's name", ada.email.split('@').next().unwrap());
    wanted.add("a part of a line", "secret");
    wanted.add("a hash", &ada.hash);
    wanted.add("a part of a hash", &ada.hash[ada.hash.len() - 20..]);
    let said = report.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    assert_eq!(wanted.in_bytes(said.as_bytes()), [""; 0]);
    // Whose address has an account already is said in the same line.
    let of_line = report.iter().filter(|told| told["line"] == 7).collect::<Vec<_>>();
    let [told] = of_line[..] else { panic!("one line for each that is told of: {of_line:?}") };
    assert_eq!((&told["external_id"], &told["outcome"]), (&json!("here"), &json!("has_account")));
    assert_eq!(told["account_id"], here_number);
    let told = report.iter().find(|told| told["external_id"] == json!(ada.external_id())).unwrap();
    let number = told["account_id"].as_str().unwrap().to_owned();

    // She mistypes, comes in, and keeps something.
    let laptop = world.machine();
    let problem = ada.come_in_with(&laptop, "a wrong password").refused(4);
    assert_eq!(problem.code, "invalid_credentials");
    let new = ada.come_in(&laptop).json();
    assert_eq!(new["account_id"], json!(number), "the number that the import said");
    let note = laptop.scratch("note");
    fs::write(&note, "a note").unwrap();
    laptop.put(&note, "note").done();
    laptop.verified_records();

    // From another machine she signs in as anybody, and nobody comes in by the old way again.
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let codes = new["backup_codes"].as_array().unwrap().iter().map(text).collect();
    let person = person(&ada, &new, codes);
    let desktop = world.machine();
    desktop.sign_in(&person).done();
    desktop.get("note", &desktop.scratch("copy")).done();
    assert_eq!(ada.come_in(&world.machine()).refused(4).code, "invalid_credentials");

    // Her password and her hash are nowhere; the hash of who has not come yet is not in plain.
    wanted.add("the old password", &ada.password);
    wanted.add("another's hash", &bea.hash);
    wanted.add("a part of another's hash", &bea.hash[bea.hash.len() - 20..]);
    world.stop();
    let mut found = wanted.under(world.data());
    found.extend(wanted.in_bytes(&fs::read(world.log_file()).unwrap()));
    if world.engine() == Engine::Postgresql {
        world.database().checkpoint();
        found.extend(wanted.in_bytes(&world.database().dump()));
    }
    found.retain(|finding| !finding.contains(".eml: an address"));
    // The word stands in names of files and columns as well.
    found.retain(|finding| !finding.contains("a part of a line"));
    assert_eq!(found, [""; 0]);
    world.letter(&["carried over", &ada.email]);
}

fn person(from: &Elsewhere, new: &Value, codes: Vec<String>) -> Person {
    let text = |name: &str| new[name].as_str().unwrap().to_owned();
    Person::new(&from.email, &from.password, &text("account_id"), &text("totp_secret"), codes)
}

fn who_was_not_imported_and_who_came_in_already_look_like_a_wrong_password(mut world: World) {
    let (ada, bea, nobody) = (Elsewhere::new("ada"), Elsewhere::new("bea"), Elsewhere::new("eve"));
    import(&mut world, &format!("{}\n{}\n", ada.line(), bea.line()));
    let here = world.machine().sign_up();
    bea.come_in(&world.machine()).done();
    let here = Elsewhere {
        email: here.email.clone(),
        password: here.password.borrow().clone(),
        ..Elsewhere::new("")
    };
    let answers = [
        (&ada, "a wrong password"),
        (&bea, bea.password.as_str()),
        (&here, here.password.as_str()),
        (&nobody, nobody.password.as_str()),
    ]
    .map(|(who, password)| {
        let wire = Recorder::before(&world.url());
        let machine = world.machine().through(wire.url());
        assert_eq!(who.come_in_with(&machine, password).refused(4).code, "invalid_credentials");
        let exchanges = wire.exchanges();
        let last = exchanges.last().unwrap();
        let names: Vec<_> = last.response_headers.iter().map(|(name, _)| name.clone()).collect();
        let mut body: BTreeMap<String, Value> = serde_json::from_value(last.json()).unwrap();
        body.remove("request");
        (exchanges.len(), last.path.clone(), last.status, names, body, last.response.len())
    });
    for answer in &answers[1..] {
        assert_eq!(answer, &answers[0]);
    }
    // The usual way tells nothing of an import either.
    let start = |who: &Elsewhere| {
        let wire = Recorder::before(&world.url());
        let machine = world.machine().through(wire.url());
        machine
            .sign_in_with(&Person::nobody(&who.email), "x", &harness::Factor::Otp("000000".into()))
            .refused(4);
        wire.exchanges()
            .iter()
            .map(|one| (one.path.clone(), one.status, one.response.len()))
            .collect::<Vec<_>>()
    };
    assert_eq!(start(&ada), start(&nobody));
}

fn no_password_is_shown_to_a_server_that_nobody_said_so_of(mut world: World) {
    let ada = Elsewhere::new("ada");
    import(&mut world, &ada.line());
    let mut wanted = Secrets::new();
    wanted.add("the password", &ada.password);
    let wire = Recorder::before(&world.url());
    let machine = world.machine().through(wire.url());
    let person = Person::nobody(&ada.email);
    let problem = machine.sign_in_with(&person, &ada.password, &person.factor()).refused(4);
    assert_eq!(problem.code, "invalid_credentials");
    assert_eq!(wanted.in_bytes(&wire.bytes()), [""; 0]);
    // When it is said so, it is shown once, and what is kept of the exchange does not come in again.
    ada.come_in(&machine).done();
    assert_eq!(wanted.in_bytes(&wire.bytes()).len(), 1);
    let exchanges = wire.exchanges();
    for path in ["/api/v1/signin/imported/start", "/api/v1/signup/finish"] {
        let exchange = exchanges.iter().find(|one| one.path == path).unwrap();
        let again = wire.replay(exchange, &exchange.request);
        assert!([401, 409].contains(&again.status), "{path}: {}", again.status);
    }
}

fn guesses_count_with_all_others_at_the_same_address(mut world: World) {
    let ada = Elsewhere::new("ada");
    import(&mut world, &ada.line());
    let body = imported_start(&ada, "guess");
    let mut refused = 0;
    let answer = loop {
        let answer = Request::new("POST", "/api/v1/signin/imported/start").json(&body).send(&world.url());
        if answer.status != 401 {
            break answer;
        }
        refused += 1;
        assert!(refused < 20, "guesses without end");
    };
    assert_eq!((answer.status, refused), (429, 9), "{}", String::from_utf8_lossy(&answer.response));
    assert!(answer.header("retry-after").is_some());
    // The wait is for each way of guessing at her.
    let opaque = json!({ "email_hash": body["email_hash"], "opaque_request": body["opaque_request"] });
    let other = Request::new("POST", "/api/v1/signin/password/start").json(&opaque).send(&world.url());
    assert_eq!(other.status, 429);
}

/// The body of a first sign-in, which its client makes before it knows whether the password is right.
fn imported_start(who: &Elsewhere, password: &str) -> Value {
    let email = keyring::Email::parse(&who.email).unwrap();
    let rng = &mut keyring::SystemRng;
    // Any key will do for what it has sealed itself.
    let key = keyring::EmailKey::from_bytes([7; 32]);
    let nobody = keyring::AccountId::from_bytes([0; 16]);
    let typed = keyring::Password::new(password).unwrap();
    let (_, request) = keyring::password::Registration::start(&typed, rng).unwrap();
    let text = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    json!({
        "password": password,
        "email_hash": text(email.hash().as_bytes()),
        "email_key": text(key.expose()),
        "sealed_email": text(key.seal(&email, &nobody, rng).as_bytes()),
        "opaque_request": text(&request),
    })
}

fn of_two_who_come_in_at_once_one_gets_the_account(mut world: World) {
    let ada = Elsewhere::new("ada");
    import(&mut world, &ada.line());
    let machines = [world.machine(), world.machine()];
    let outcomes = thread::scope(|scope| {
        let running = machines.each_ref().map(|machine| scope.spawn(|| ada.come_in(machine)));
        running.map(|one| one.join().unwrap())
    });
    assert_eq!(
        outcomes.iter().filter(|outcome| outcome.is_done()).count(),
        1,
        "{} {}",
        outcomes[0],
        outcomes[1]
    );
    for (machine, outcome) in machines.iter().zip(&outcomes) {
        if outcome.is_done() {
            machine.verified_records();
        } else {
            let problem: Value = serde_json::from_str(&outcome.stderr).unwrap();
            let code = problem["code"].as_str().unwrap();
            assert!(["account_exists", "invalid_credentials"].contains(&code), "{outcome}");
        }
    }
}

fn a_setting_closes_the_way(mut world: World) {
    let ada = Elsewhere::new("ada");
    // Nobody was imported yet.
    assert_eq!(ada.come_in(&world.machine()).refused(1).code, "imports_closed");
    world.set("BAILIWICK_IMPORTED_SIGN_IN", "false");
    import(&mut world, &ada.line());
    assert_eq!(ada.come_in(&world.machine()).refused(1).code, "imports_closed");
    let body = imported_start(&ada, &ada.password);
    let answer = Request::new("POST", "/api/v1/signin/imported/start").json(&body).send(&world.url());
    assert_eq!(answer.status, 404);
    world.unset("BAILIWICK_IMPORTED_SIGN_IN");
    world.restart();
    ada.come_in(&world.machine()).done();
}

fn an_import_that_was_killed_is_given_again(mut world: World) {
    const PEOPLE: usize = 25_000;
    let mark = unique("");
    let lines: String = (0..PEOPLE)
        .map(|n| format!("{}\n", json!({ "email": format!("{n}.{mark}@example.org"), "hash": BCRYPT })))
        .collect();
    world.stop();
    let mut command = world.command("import-users");
    let mut child =
        command.arg("-").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let fed = lines.clone();
    let feeder = thread::spawn(move || input.write_all(fed.as_bytes()));
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.next().unwrap().unwrap().contains("at line 10000"));
    child.kill().unwrap();
    child.wait().unwrap();
    let _ = feeder.join();

    let total = report(&run_import(&world, &lines)).pop().unwrap();
    let (imported, known) = (total["imported"].as_u64().unwrap(), total["known"].as_u64().unwrap());
    assert_eq!(imported + known, PEOPLE as u64, "{total}");
    assert!(known >= 9_000, "what was stored stays: {total}");
    // All of them, and each once.
    let total = report(&run_import(&world, &lines)).pop().unwrap();
    assert_eq!(total, json!({ "lines": PEOPLE, "imported": 0, "known": PEOPLE, "rejected": 0 }));
    world.start();
    let last = Elsewhere {
        email: format!("{}.{mark}@example.org", PEOPLE - 1),
        password: "U*U".into(),
        hash: BCRYPT.into(),
    };
    last.come_in(&world.machine()).done();
}

fn an_import_goes_on_when_nobody_reads_what_it_says(mut world: World) {
    const PEOPLE: usize = 2_500;
    let mark = unique("");
    let lines: String = (0..PEOPLE)
        .map(|n| {
            let email = format!("{n}.{mark}@example.org");
            format!("{}\n", json!({ "email": email, "hash": BCRYPT, "external_id": n }))
        })
        .collect();
    world.stop();
    let file = world.folder().join("people.ndjson");
    fs::write(&file, &lines).unwrap();
    let mut command = world.command("import-users");
    let mut child = command.arg(&file).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // What `head -1` does.
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let first: Value = serde_json::from_str(&first).unwrap();
    assert_eq!((&first["line"], &first["outcome"]), (&json!(1), &json!("imported")));
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("it is done") && !said.contains("panicked"), "{said}");

    // All are stored, and the same file tells all of them.
    let report = report(&run_import(&world, &lines));
    assert_eq!(report.len(), PEOPLE + 1);
    let total = json!({ "lines": PEOPLE, "imported": 0, "known": PEOPLE, "rejected": 0 });
    assert_eq!(report.last(), Some(&total));
}
