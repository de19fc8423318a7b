// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Mail through a real SMTP conversation: codes that prove an address, notices that a thief cannot leave out.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use harness::{World, on_both_engines, unique};

on_both_engines!(
    with_mail_a_sign_up_takes_the_code_that_was_sent,
    a_wrong_code_makes_no_account_and_a_taken_address_is_not_told,
);

/// How long a letter may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A mail server (RFC 5321) that accepts everything and hands each letter over.
struct MailServer {
    url: String,
    letters: Receiver<String>,
}

impl MailServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let (sender, letters) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    converse(stream.unwrap(), &mut |letter| sender.send(letter).unwrap())
                });
            }
        });
        MailServer { url, letters }
    }

    fn letter(&self) -> String {
        self.letters.recv_timeout(PATIENCE).expect("a letter")
    }
}

fn converse(stream: TcpStream, deliver: &mut dyn FnMut(String)) {
    let mut answers = stream.try_clone().unwrap();
    let mut answer = |line: &str| answers.write_all(format!("{line}\r\n").as_bytes()).unwrap();
    answer("220 mail.test");
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(line)) = lines.next() {
        match line.get(..4).unwrap_or_default().to_uppercase().as_str() {
            "DATA" => {
                answer("354 go on");
                let letter: Vec<_> =
                    lines.by_ref().map(Result::unwrap).take_while(|line| line != ".").collect();
                deliver(letter.join("\n"));
                answer("250 taken");
            }
            "QUIT" => return answer("221 bye"),
            _ => answer("250 ok"),
        }
    }
}

/// The six digits that stand alone in a letter.
fn code_in(letter: &str) -> String {
    letter
        .split_whitespace()
        .find(|word| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit()))
        .unwrap_or_else(|| panic!("no code in {letter}"))
        .to_owned()
}

fn with_mail(world: &mut World) -> MailServer {
    let mail = MailServer::start();
    world.stop();
    world.set("BAILIWICK_SMTP_URL", &mail.url);
    world.start();
    mail
}

/// Signs up as a program does that reads the mail: the code follows the password on standard input.
fn sign_up(
    world: &World,
    mail: &MailServer,
    email: &str,
    code: impl FnOnce(&str) -> String,
) -> (i32, String) {
    let machine = world.machine();
    let mut child = machine
        .command(["signup", "--email", email, "--password-stdin", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"a password of some length\n").unwrap();
    let letter = mail.letter();
    input.write_all(format!("{}\n", code(&letter)).as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let said =
        String::from_utf8(if output.status.success() { output.stdout } else { output.stderr }).unwrap();
    (output.status.code().unwrap(), said)
}

fn with_mail_a_sign_up_takes_the_code_that_was_sent(mut world: World) {
    let mail = with_mail(&mut world);
    let email = format!("{}@example.com", unique("ada"));
    let (status, said) = sign_up(&world, &mail, &email, |letter| {
        assert!(letter.contains(&format!("To: {email}")), "{letter}");
        code_in(letter)
    });
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("totp_secret"), "{said}");
}

fn a_wrong_code_makes_no_account_and_a_taken_address_is_not_told(mut world: World) {
    let mail = with_mail(&mut world);
    let email = format!("{}@example.com", unique("ada"));
    let wrong = |letter: &str| format!("{:06}", (code_in(letter).parse::<u32>().unwrap() + 1) % 1_000_000);
    let (status, said) = sign_up(&world, &mail, &email, wrong);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("invalid_code"), "{said}");
    // The address is still free.
    let (status, said) = sign_up(&world, &mail, &email, code_in);
    assert_eq!(status, 0, "{said}");
    // Whoever tries it now gets the same question and the same refusal; its owner gets another letter.
    let (status, said) = sign_up(&world, &mail, &email, |letter| {
        assert!(letter.contains("already"), "{letter}");
        "123456".into()
    });
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("invalid_code"), "{said}");
}
