// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Refusals, retries, and what a client believes.

use client::{Client, Options, RequestError, SignIn, SignInError};
use protocol::{Code, Secret};
use serde_json::json;

use crate::scripted::Scripted;

fn service() -> String {
    json!({
        "version": "1", "log_origin": "example.com/log", "log_public_key": "k", "email_code": false, "issuer": "i",
        "kdf": {"memory_kib": 65536, "passes": 3, "lanes": 1},
    })
    .to_string()
}

fn client(server: &Scripted) -> Client {
    Client::new(&server.url, &Options::default()).unwrap()
}

#[tokio::test]
async fn a_busy_server_is_asked_again() {
    let busy = || (503, "Retry-After: 0\r\n", String::new());
    let server = Scripted::answering(vec![busy(), busy(), (200, "", service())]);
    assert_eq!(client(&server).service().await.unwrap().version, "1");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn what_must_not_be_done_twice_is_not_asked_twice() {
    let server = Scripted::answering(vec![(503, "", String::new())]);
    let error = client(&server).end_other_sessions().await.unwrap_err();
    assert!(matches!(error, RequestError::Unexpected { status: 503 }), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_refusal_keeps_its_code() {
    let problem = protocol::Problem::new(Code::StepUpRequired);
    let server = Scripted::answering(vec![(
        403,
        "Content-Type: application/problem+json\r\n",
        serde_json::to_string(&problem).unwrap(),
    )]);
    let error = client(&server).account().await.unwrap_err();
    assert!(error.is(Code::StepUpRequired), "{error}");
}

#[tokio::test]
async fn a_token_goes_along_and_is_not_printed() {
    let server = Scripted::answering(vec![(200, "", service())]);
    let client = client(&server);
    client.set_token(Some(Secret::from("bws_very-secret".to_owned())));
    assert!(!format!("{client:?}").contains("very-secret"));
    client.service().await.unwrap();
    assert!(server.requests()[0].to_lowercase().contains("authorization: bearer bws_very-secret"));
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let server = Scripted::answering(vec![]);
    let client = client(&server);
    server.requests();
    assert!(matches!(client.service().await, Err(RequestError::Unreachable { .. })));
}

#[tokio::test]
async fn a_server_that_asks_for_a_cheap_hash_gets_no_proof() {
    let answer = json!({
        "state": "s", "opaque_response": "AAAA", "email_salt": "AAAAAAAAAAAAAAAAAAAAAA",
        "kdf": {"memory_kib": 8, "passes": 1, "lanes": 1},
    });
    let server = Scripted::answering(vec![(200, "", answer.to_string())]);
    let Err(error) = SignIn::start(&client(&server), "ada@example.com", "correct horse", None).await else {
        panic!("the client went on")
    };
    assert!(matches!(error, SignInError::Kdf(_)), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn tls_and_plain_http_that_meet_are_told_apart() {
    let plain = answering_anything_with(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let said = reason(&format!("https://{plain}")).await;
    assert!(said.contains("does not speak TLS"), "{said}");

    // A fatal alert (RFC 8446, section 6).
    let tls = answering_anything_with(&[0x15, 3, 3, 0, 2, 2, 70]);
    let said = reason(&format!("http://{tls}")).await;
    assert!(said.contains("https://"), "{said}");
}

async fn reason(url: &str) -> String {
    Client::new(url, &Options::default()).unwrap().service().await.unwrap_err().to_string()
}

/// The address of a server that answers whatever it hears with these bytes, and hangs up.
fn answering_anything_with(bytes: &'static [u8]) -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
            let _ = std::io::Write::write_all(&mut stream, bytes);
        }
    });
    address
}

#[tokio::test]
async fn a_server_that_asks_for_a_cheap_hash_of_a_recovery_key_gets_none() {
    let id = |prefix: &str| format!("{prefix}{}", "0".repeat(32));
    let answer = json!({
        "account_number": "K7F2QXM", "method": id("mth_"), "method_kind": "recovery-key",
        "unlocking": {
            "master_key_version": 1, "sealed_master_key": "AAAA", "public_key": "AAAA", "method_tag": "AAAA",
            "slow_hash": {
                "salt": "AAAAAAAAAAAAAAAAAAAAAA", "kdf": {"memory_kib": 19455, "passes": 3, "lanes": 1},
            },
        },
        "identity": "AAAA", "new_device": true, "backup_codes_left": 10,
        "session": {
            "token": "bws_x", "id": id("ses_"), "account": id("acc_"), "home": id("ten_"), "device": id("dev_"),
            "expires_at": 1, "fresh_until": 1, "server_half": "AAAA",
        },
    });
    let server = Scripted::answering(vec![(200, "", answer.to_string())]);
    let client = client(&server);
    let key = keyring::RecoveryKey::generate(&mut keyring::SystemRng);
    let device = client::this_device(None);
    let Err(error) = client.sign_in_with_recovery_key(&key, device).await else {
        panic!("the client went on")
    };
    assert!(matches!(error, SignInError::Kdf(_)), "{error}");
    let requests = server.requests().join("\n");
    assert!(!requests.contains(key.to_text().as_str()), "the key itself stays here");
    assert!(client.token().is_none(), "nobody is signed in");
}
