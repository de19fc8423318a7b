// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What people are asked, at a real terminal: signing up and in with slips of the hand, yes and no, Ctrl-C.

use std::fs;

use harness::{Engine, Factor, Person, Screen, World, unique};

/// From nothing to an account, with every slip there is, and back in on another machine.
#[test]
fn a_person_signs_up_by_the_qr_code_and_signs_in_after_slips() {
    let world = World::started(Engine::Sqlite);
    let email = format!("{}@example.org", unique("person-"));
    let password = unique("correct horse battery staple ");
    let laptop = world.machine();
    let mut terminal = laptop.at_terminal(["signup"]);
    terminal.sees("Email address: ").types("no address");
    terminal.sees("Email address: ").types(&email);
    terminal.sees("A password for the new account: ").types("short");
    terminal.sees("at least 8 characters");
    terminal.sees("A password for the new account: ").types("Password1!");
    terminal.sees("passwords that are guessed first");
    terminal.sees("A password for the new account: ").types(&password);
    terminal.sees("The same once more: ").types("something else");
    terminal.sees("The two are not the same.");
    terminal.sees("A password for the new account: ").types(&password);
    terminal.sees("The same once more: ").types(&password);
    terminal.sees("A code that the app shows now");
    let ada = as_shown(&terminal.shown(), &email, &password);
    terminal.types("000000").sees("That is not the code of this secret");
    let Factor::Otp(code) = ada.factor() else { panic!("the first") };
    terminal.sees("A code that the app shows now").types(&code);
    terminal.sees("The app is set up.");
    terminal.sees("Make one now? [y/N]").types("n");
    let screen = terminal.ends();
    assert_eq!(screen.status, 0, "{}", screen.text);
    assert!(screen.is_sane);
    assert!(!screen.text.contains(&password), "a password is not shown while it is typed");
    assert_eq!(laptop.run(["whoami", "--json"]).json()["account_id"], ada.account_id);

    let desktop = world.machine();
    let mut terminal = desktop.at_terminal(["login"]);
    terminal.sees("Email address: ").types(&email);
    terminal.sees("Password: ").types("not the password");
    terminal.sees("The email address or the password is wrong.");
    terminal.sees(&format!("Email address [{email}]: ")).types("");
    terminal.sees("Password: ").types(&password);
    terminal.sees("Code of the authenticator app, or a backup code: ").types("no code");
    terminal.sees("That is not a code");
    terminal.sees("Code of the authenticator app, or a backup code: ").types("000000");
    terminal.sees("That code was not accepted.");
    let Factor::Otp(code) = ada.factor() else { panic!("the second") };
    // With the space in the middle that the app shows.
    let code = format!("{} {}", &code[..3], &code[3..]);
    terminal.sees("Code of the authenticator app, or a backup code: ").types(&code);
    terminal.sees("Signed in to account");
    let screen = terminal.ends();
    assert!(screen.status == 0 && screen.is_sane, "{}", screen.text);
    assert!(!screen.text.contains(&password));
    assert_eq!(desktop.run(["whoami", "--json"]).json()["account_id"], ada.account_id);
}

#[test]
fn nothing_is_done_before_a_person_says_yes() {
    let world = World::started(Engine::Sqlite);
    let machine = world.machine();
    let ada = machine.sign_up();
    let note = machine.scratch("note");
    fs::write(&note, "a note").unwrap();
    machine.put(&note, "note").done();
    let files = || machine.run(["ls", "--json"]).entries().len();
    let asked = |arguments: &[&str], question: &str, answer: &str| -> Screen {
        let mut terminal = machine.at_terminal(arguments);
        terminal.sees(question).sees("[y/N]").types(answer);
        terminal.ends()
    };

    for no in ["", "n", "no", "nyes"] {
        let screen = asked(&["rm", "-r", "/"], "All 1 files of this account will be gone. Go on?", no);
        assert!(screen.status == 1 && screen.text.contains("nothing was removed"), "{}", screen.text);
        assert_eq!(files(), 1);
    }
    fs::write(&note, "another note").unwrap();
    let get = ["get", "note", note.to_str().unwrap()];
    assert_eq!(asked(&get, "is there and differs. Replace it?", "n").status, 1);
    assert_eq!(fs::read_to_string(&note).unwrap(), "another note");
    assert_eq!(asked(&get, "is there and differs. Replace it?", "y").status, 0);
    assert_eq!(fs::read_to_string(&note).unwrap(), "a note");

    let screen = asked(&["codes"], "The backup codes that you have will not be good any more.", "n");
    assert!(screen.text.contains("the codes that you have stay good"), "{}", screen.text);
    let code = Factor::BackupCode(ada.backup_code());
    world.machine().sign_in_with(&ada, &ada.password.borrow(), &code).done();

    let mut terminal = machine.at_terminal(["signup", "--email", "somebody.else@example.org"]);
    terminal.sees("This device is signed in to account").sees("Sign it out and go on? [y/N]").types("n");
    assert!(terminal.ends().text.contains("nothing was changed"));
    assert_eq!(machine.run(["whoami", "--json"]).json()["account_id"], ada.account_id);

    let screen = asked(&["rm", "-r", "/"], "All 1 files of this account will be gone. Go on?", "yes");
    assert_eq!(screen.status, 0, "{}", screen.text);
    assert_eq!(files(), 0);
}

#[test]
fn ctrl_c_leaves_nothing_half_done_and_the_terminal_as_it_was() {
    let world = World::started(Engine::Sqlite);
    let machine = world.machine();
    let (email, password) = ("interrupted@example.org", "correct horse battery staple");
    let interrupted = |screen: Screen| {
        assert_eq!(screen.status, 130, "{}", screen.text);
        assert!(screen.is_sane, "{}", screen.text);
        assert!(!screen.text.contains("cannot be read"), "{}", screen.text);
    };

    // While the password is typed, which the terminal hides; and while the address is.
    let mut terminal = machine.at_terminal(["signup", "--email", email]);
    terminal.sees("A password for the new account: ").types(password);
    terminal.sees("The same once more: ").interrupts();
    interrupted(terminal.ends());
    let mut terminal = machine.at_terminal(["signup"]);
    terminal.sees("Email address: ").interrupts();
    interrupted(terminal.ends());
    machine.run(["whoami", "--json"]).refused(4);
    // Nobody has the address, so it is free.
    let ada = machine.sign_up_as(email, password);

    // After the password, before the code.
    let desktop = world.machine();
    let mut terminal = desktop.at_terminal(["login", "--email", email]);
    terminal.sees("Password: ").types(password);
    terminal.sees("Code of the authenticator app, or a backup code: ").interrupts();
    interrupted(terminal.ends());
    desktop.run(["whoami", "--json"]).refused(4);
    assert_eq!(machine.sessions().len(), 1, "no session but the first");

    let mut terminal = machine.at_terminal(["codes"]);
    terminal.sees("Make ten new ones? [y/N]").interrupts();
    interrupted(terminal.ends());
    let code = Factor::BackupCode(ada.backup_code());
    desktop.sign_in_with(&ada, password, &code).done();
}

#[test]
fn ctrl_c_while_an_account_is_made_still_shows_what_is_shown_once() {
    let world = World::started(Engine::Sqlite);
    let machine = world.machine();
    let (email, password) = ("hasty@example.org", "correct horse battery staple");
    let mut terminal = machine.at_terminal(["signup", "--email", email]);
    terminal.sees("A password for the new account: ").types(password);
    terminal.sees("The same once more: ").types(password);
    terminal.sees("Making the keys of the account").interrupts();
    let screen = terminal.ends();
    assert_eq!(screen.status, 130, "{}", screen.text);
    assert!(screen.is_sane);
    let ada = as_shown(&screen.text, email, password);
    world.machine().sign_in(&ada).done();
}

/// What somebody reads from the screen after signing up, the secret by the camera of a phone.
#[track_caller]
fn as_shown(screen: &str, email: &str, password: &str) -> Person {
    let after = |words: &str| {
        let rest = screen.split_once(words).unwrap_or_else(|| panic!("{words:?} on the screen:\n{screen}")).1;
        rest.lines().next().unwrap_or_default().trim().to_owned()
    };
    let account = after("Your account number is ").trim_end_matches('.').to_owned();
    let secret = after("or type the secret: ");
    let uri = scanned(screen);
    assert!(uri.starts_with("otpauth://totp/") && uri.contains(&format!("secret={secret}")), "{uri}");
    let codes = screen.split_once("They are not shown again:").expect("backup codes").1.lines().skip(1);
    let codes: Vec<_> = codes
        .skip_while(|line| line.trim().is_empty())
        .take_while(|line| line.starts_with("    "))
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect();
    assert_eq!(codes.len(), 10, "{codes:?}");
    Person::new(email, password, &account, &secret, codes)
}

/// What a phone reads from the code that is drawn with half blocks, light on dark.
#[track_caller]
fn scanned(screen: &str) -> String {
    let is_drawn =
        |line: &&str| !line.is_empty() && line.chars().all(|c| " ▀▄█".contains(c)) && line.contains('█');
    let rows: Vec<Vec<char>> = screen.lines().filter(is_drawn).map(|line| line.chars().collect()).collect();
    let width = rows.iter().map(Vec::len).max().expect("a code");
    let is_light = |x: usize, y: usize| {
        let cell = rows.get(y / 2).and_then(|row| row.get(x)).copied().unwrap_or(' ');
        cell == '█' || cell == if y.is_multiple_of(2) { '▀' } else { '▄' }
    };
    let scale = 4;
    let shade = |x, y| if is_light(x / scale, y / scale) { 255 } else { 0 };
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width * scale, rows.len() * 2 * scale, shade);
    let grids = image.detect_grids();
    let grid = grids.first().unwrap_or_else(|| panic!("a code that can be read:\n{screen}"));
    grid.decode().expect("a whole code").1
}
