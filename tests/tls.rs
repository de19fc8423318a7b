// SPDX-License-Identifier: Apache-2.0 OR MIT
//! TLS, and clients that dawdle, against the real binary.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::{Engine, Exchange, Request, World, certify, free_port};

/// How long the first bytes, the head of a request and a body may take, and what a crowded machine adds.
const LET_GO_WITHIN: Duration = Duration::from_secs(30);

#[test]
fn the_command_line_works_over_tls_and_believes_no_other_authority() {
    let mut world = World::on(Engine::Sqlite);
    let authority = world.speak_tls();
    world.start();
    let laptop = world.machine();
    let trusted = [("BAILIWICK_CA_FILE", authority.to_str().unwrap())];
    let service = laptop.run_in(["tenant", "list", "--json"], &trusted);
    assert_eq!(service.refused(4).code, "not_signed_in", "it answers");
    assert_eq!(laptop.run(["tenant", "list", "--json"]).status, Some(4), "who is not signed in asks nobody");
    let unknown = laptop.run_with(
        ["signup", "--email", "ada@example.org", "--password-stdin", "--json"],
        "a long enough password\n",
    );
    assert_eq!(unknown.status, Some(6), "{unknown}");
}

#[test]
fn answers_over_tls_say_that_it_stays_so_and_old_versions_are_refused() {
    let mut world = World::on(Engine::Sqlite);
    let authority = world.speak_tls();
    world.start();
    let spoken = |version: &str, request: &str| {
        let mut client = Command::new("openssl")
            .args(["s_client", "-quiet", "-verify_return_error", "-no_ign_eof", version])
            .args(["-connect", &world.address(), "-CAfile"])
            .arg(&authority)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl");
        let mut stdin = client.stdin.take().expect("piped");
        let _ = stdin.write_all(request.as_bytes());
        // It goes on as long as the server does.
        let mut said = String::new();
        let _ = client.stdout.take().expect("piped").read_to_string(&mut said);
        drop(stdin);
        let _ = client.wait();
        said
    };
    let request = "GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    for version in ["-tls1_2", "-tls1_3"] {
        let said = spoken(version, request).to_lowercase();
        assert!(said.starts_with("http/1.1 200"), "{version}: {said}");
        assert!(said.contains("strict-transport-security: max-age=63072000; includesubdomains"), "{said}");
    }
    for version in ["-tls1", "-tls1_1"] {
        assert_eq!(spoken(version, request), "", "{version}");
    }
    // And plain HTTP is not spoken there.
    assert!(answer_to(&world.address(), request.as_bytes()).is_none_or(|said| !said.starts_with("HTTP/")));
}

#[test]
fn plain_http_leads_to_tls_and_takes_nothing() {
    let mut world = World::on(Engine::Sqlite);
    world.speak_tls();
    let plain = format!("127.0.0.1:{}", free_port());
    world.set("BAILIWICK_REDIRECT_LISTEN", &plain);
    world.start();
    let ask = |method: &str, path: &str, host: &str| -> Exchange {
        Request::new(method, path).header("x-forwarded-host", host).send(&format!("http://{plain}"))
    };
    let sent = ask("GET", "/a?b=c", "evil.example");
    assert_eq!(
        (sent.status, sent.header("location")),
        (308, Some(format!("{}/a?b=c", world.url()).as_str()))
    );
    let told = ask("POST", "/api/v1/signin/password/start", "evil.example");
    assert_eq!((told.status, told.header("location")), (403, None));
    assert_eq!(told.header("connection"), Some("close"));
    assert!(ask("GET", "/.well-known/bailiwick", "x").response.is_empty(), "nothing is answered there");
    assert!(world.stop().success(), "both stop");
}

#[test]
fn a_renewed_certificate_is_taken_without_a_restart() {
    let mut world = World::on(Engine::Sqlite);
    let authority = world.speak_tls();
    world.start();
    let before = std::fs::read(&authority).unwrap();
    certify(world.folder());
    assert_ne!(std::fs::read(&authority).unwrap(), before);
    let begun = Instant::now();
    let is_believed = || {
        let shown = Command::new("openssl")
            .args(["s_client", "-verify_return_error", "-connect", &world.address(), "-CAfile"])
            .arg(&authority)
            .stdin(Stdio::null())
            .output();
        shown.expect("openssl").status.success()
    };
    while !is_believed() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", world.log());
    }
    assert!(world.log().contains("the certificate was read again"));
}

#[test]
fn who_dawdles_is_let_go_and_keeps_nobody_waiting() {
    for is_tls in [false, true] {
        let mut world = World::on(Engine::Sqlite);
        if is_tls {
            world.speak_tls();
        }
        world.start();
        let address = world.address();
        let connect = |first: &[u8]| {
            let mut stream = TcpStream::connect(&address).expect("it listens");
            stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            let _ = stream.write_all(first);
            stream
        };
        // Silent ones, and such as send a head byte by byte for ever.
        let mut silent: Vec<_> = (0..200).map(|_| connect(b"")).collect();
        let mut slow: Vec<_> =
            (0..200).map(|_| connect(b"GET /livez HTTP/1.1\r\nhost: x\r\nx-a: ")).collect();
        if !is_tls {
            let begun = Instant::now();
            assert_eq!(Request::new("GET", "/livez").send(&world.url()).status, 200);
            assert!(begun.elapsed() < Duration::from_secs(3), "somebody else waited {:?}", begun.elapsed());
        }
        let begun = Instant::now();
        while !(silent.is_empty() && slow.is_empty()) {
            let waited = begun.elapsed();
            assert!(waited < LET_GO_WITHIN, "{} and {} after {waited:?}", silent.len(), slow.len());
            slow.retain_mut(|stream| stream.write_all(b"a").is_ok() && !is_over(stream));
            silent.retain_mut(|stream| !is_over(stream));
        }
    }
}

#[test]
fn what_is_too_large_or_takes_too_long_is_refused() {
    let mut world = World::on(Engine::Sqlite);
    world.start();
    let address = world.address();
    let post = |length: usize, body: &[u8]| {
        let head = format!(
            "POST /api/v1/signup/start HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        [head.as_bytes(), body].concat()
    };
    let said = answer_to(&address, &post(600 * 1024, b"{")).expect("an answer");
    assert!(said.starts_with("HTTP/1.1 413"), "{said}");
    let long = format!("GET /livez HTTP/1.1\r\nhost: x\r\nx-a: {}\r\n\r\n", "a".repeat(100 * 1024));
    let said = answer_to(&address, long.as_bytes()).expect("an answer");
    assert!(said.starts_with("HTTP/1.1 431"), "{said}");
    // A body that never comes.
    let begun = Instant::now();
    let said = answer_to(&address, &post(100, b"{\"")).unwrap_or_default();
    assert!(begun.elapsed() < LET_GO_WITHIN, "{:?}", begun.elapsed());
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 4") || said.starts_with("HTTP/1.1 503"), "{said}");
    // Two lengths, as smuggling takes them.
    let two = "POST /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n";
    let said = answer_to(&address, two.as_bytes()).unwrap_or_default();
    assert!(said.matches("HTTP/1.1").count() <= 1, "{said}");
}

/// Whether the server closed a connection.
fn is_over(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let read = stream.read(&mut [0; 1024]);
    stream.set_nonblocking(false).unwrap();
    match read {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => ![ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()),
    }
}

/// What is answered to these bytes until the connection ends, or nothing comes any more.
fn answer_to(address: &str, bytes: &[u8]) -> Option<String> {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(LET_GO_WITHIN)).unwrap();
    let _ = stream.write_all(bytes);
    let (mut said, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        said.extend_from_slice(&buffer[..length]);
        if said.windows(4).any(|end| end == b"\r\n\r\n") {
            break;
        }
    }
    (!said.is_empty()).then(|| String::from_utf8_lossy(&said).into_owned())
}
