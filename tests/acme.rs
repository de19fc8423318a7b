// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Certificates that the server asks for by itself.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use harness::{World, certify, on_both_engines};

on_both_engines!(a_server_asks_for_its_certificate_and_keeps_it);

/// The name that the certificate is for. Nobody has to resolve it here.
const NAME: &str = "bailiwick.example";

/// An authority of this test alone.
struct Authority {
    process: Child,
    directory: String,
    happens: Receiver<String>,
}

impl Authority {
    fn opened(world: &World) -> Self {
        certify(world.folder());
        let mut process = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/acme/authority.py"))
            .arg(world.folder())
            .arg(world.port().to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let directory = lines.next().expect("where its directory is");
        let (tell, happens) = channel();
        thread::spawn(move || lines.for_each(|line| drop(tell.send(line))));
        Authority { process, directory, happens }
    }

    #[track_caller]
    fn next(&self) -> String {
        self.happens.recv_timeout(Duration::from_secs(60)).expect("something happens")
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the server shows to whoever trusts the authority and asks for this name.
fn shown(world: &World) -> Option<String> {
    let mut client = Command::new("openssl")
        .args(["s_client", "-verify_return_error", "-verify_hostname", NAME, "-servername", NAME])
        .args(["-connect", &world.address(), "-CAfile"])
        .arg(world.folder().join("authority.pem"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl");
    let mut said = String::new();
    let _ = client.stdout.take().expect("piped").read_to_string(&mut said);
    let is_good = client.wait().expect("it ends").success();
    let start = said.find("-----BEGIN CERTIFICATE-----").filter(|_| is_good)?;
    Some(said[start..].split_once("-----END").expect("an end").0.to_owned())
}

fn a_server_asks_for_its_certificate_and_keeps_it(mut world: World) {
    world.stop();
    let authority = Authority::opened(&world);
    world.has_certificates_by_itself();
    world.set("BAILIWICK_ACME_DOMAINS", format!("[{NAME:?}]"));
    world.set("BAILIWICK_ACME_CONTACT", "operator@bailiwick.example");
    world.set("BAILIWICK_ACME_DIRECTORY", &authority.directory);
    world.set("BAILIWICK_ACME_CA_FILE", world.folder().join("authority.pem"));
    world.start();
    assert_eq!(authority.next(), "account ['mailto:operator@bailiwick.example']");
    assert_eq!(authority.next(), format!("order {NAME}"));
    assert_eq!(authority.next(), "challenge True");
    assert_eq!(authority.next(), format!("issued {NAME}"));
    let until = Instant::now() + Duration::from_secs(30);
    let first = loop {
        if let Some(shown) = shown(&world) {
            break shown;
        }
        assert!(Instant::now() < until, "{}", world.log());
        thread::sleep(Duration::from_millis(200));
    };

    // It is kept, sealed: after a restart nobody is asked for another one.
    world.restart();
    let until = Instant::now() + Duration::from_secs(30);
    while shown(&world).as_ref() != Some(&first) {
        assert!(Instant::now() < until, "{}", world.log());
        thread::sleep(Duration::from_millis(200));
    }
    assert!(authority.happens.recv_timeout(Duration::from_secs(2)).is_err(), "nothing happens");
    assert!(!world.log().contains("PRIVATE KEY"));
}
