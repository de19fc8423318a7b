// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The instruments that the other tests rely on find what they are there to find.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use harness::{Database, Recorder, Role, Secrets, unique};

#[test]
fn a_secret_is_found_however_it_is_written() {
    let secret = unique("secret>>>???");
    let mut secrets = Secrets::new();
    secrets.add("it", &secret);
    for before in ["", "a", "ab", "abc"] {
        let text = format!("{before}{secret} and more");
        for written in [
            text.clone(),
            HEXLOWER.encode(text.as_bytes()),
            BASE64.encode(text.as_bytes()),
            BASE64URL_NOPAD.encode(text.as_bytes()),
        ] {
            assert_ne!(secrets.in_bytes(written.as_bytes()), [""; 0], "{written}");
        }
    }
    assert_eq!(secrets.in_bytes(&secret.as_bytes()[1..]), [""; 0]);
}

#[test]
fn a_secret_is_found_in_files_and_in_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let secret = unique("secret-");
    let mut secrets = Secrets::new();
    secrets.add("it", &secret);
    fs::create_dir(folder.path().join("deep")).unwrap();
    fs::write(folder.path().join("deep/innocent"), "nothing").unwrap();
    assert_eq!(secrets.under(folder.path()), [""; 0]);
    fs::write(folder.path().join("deep").join(format!("{secret}.txt")), "nothing").unwrap();
    fs::write(folder.path().join("deep/innocent"), format!("… {secret} …")).unwrap();
    assert_eq!(secrets.under(folder.path()).len(), 2);
}

#[test]
fn the_recorder_takes_requests_and_responses_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for answer in [
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n\
             HTTP/1.1 204 No Content\r\nSet-Cookie: s=cookie-value; Path=/\r\n\r\n",
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}",
        ] {
            let (mut socket, _) = listener.accept().unwrap();
            let _ = socket.read(&mut [0; 4096]).unwrap();
            socket.write_all(answer.as_bytes()).unwrap();
        }
    });
    let recorder = Recorder::before(&server);
    let mut socket = TcpStream::connect(recorder.url().trim_start_matches("http://")).unwrap();
    socket
        .write_all(b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nAuthorization: Bearer token-value\r\n\r\n")
        .unwrap();
    socket.read_to_end(&mut Vec::new()).unwrap();

    let exchanges = recorder.exchanges();
    assert_eq!(exchanges.len(), 2, "{exchanges:#?}");
    assert_eq!((exchanges[0].method.as_str(), &exchanges[0].request[..]), ("POST", &b"abc"[..]));
    assert_eq!((exchanges[0].status, &exchanges[0].response[..]), (200, &b"hello world"[..]));
    assert_eq!((exchanges[1].path.as_str(), exchanges[1].status), ("/b", 204));
    assert_eq!(recorder.credentials(), ["cookie-value", "token-value"]);
    assert_eq!(recorder.replay(&exchanges[1], b"").status, 401);
}

#[test]
fn each_database_has_two_roles_and_nothing_in_it() {
    let database = Database::create();
    for role in [Role::Owner, Role::App] {
        assert_eq!(database.rows(role, "SELECT current_user"), [database.role(role)]);
    }
    assert!(database.run(Role::App, "CREATE TABLE anything ()").is_err());
    database.rows(Role::Owner, "CREATE TABLE anything ()");
    assert!(
        Database::create()
            .rows(Role::Superuser, "SELECT relname FROM pg_class WHERE relname = 'anything'")
            .is_empty()
    );
}
