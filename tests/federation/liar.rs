// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A provider that lies, in one way at a time.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

/// How it lies.
#[derive(Clone, Debug, Default)]
pub(super) struct Lie {
    /// Claims in place of the right ones; null leaves one out.
    pub(super) claims: Value,
    /// `none`, or `HS256` with the public key as the secret.
    pub(super) algorithm: Option<&'static str>,
    /// Signs with a key that is not published, under the name of the one that is.
    pub(super) other_key: bool,
    /// Signs with a key that is not published, under a name of its own.
    pub(super) unknown_key: bool,
    /// Another issuer in the metadata.
    pub(super) issuer: Option<String>,
    /// Another place for one of the endpoints.
    pub(super) endpoint: Option<(&'static str, String)>,
    /// What the token endpoint answers in place of a token.
    pub(super) answer: Option<(u16, String)>,
    /// Sends the token request elsewhere.
    pub(super) redirect: Option<String>,
    /// How long it waits before it says anything about tokens.
    pub(super) wait: Duration,
    /// Is there, and has nothing to say.
    pub(super) down: bool,
}

/// A provider on this machine.
#[derive(Clone)]
pub(super) struct Liar {
    url: String,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    lie: Lie,
    nonce: String,
    subject: String,
    email: String,
    asked: Vec<String>,
    key: Vec<u8>,
}

impl Liar {
    pub(super) fn served() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let shared = Shared {
            lie: Lie::default(),
            nonce: String::new(),
            subject: "ada".to_owned(),
            email: "ada@acme.example".to_owned(),
            asked: Vec::new(),
            key: new_key(),
        };
        let liar = Liar { url, shared: Arc::new(Mutex::new(shared)) };
        let this = liar.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let this = this.clone();
                thread::spawn(move || this.serve(stream));
            }
        });
        liar
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn lies(&self, lie: Lie) {
        self.shared.lock().expect("no panic").lie = lie;
    }

    /// The nonce that the next token is for: what stood in the address that the browser was sent to.
    pub(super) fn expects(&self, nonce: &str) {
        self.shared.lock().expect("no panic").nonce = nonce.to_owned();
    }

    /// Who signs in there.
    pub(super) fn is_asked_for(&self, subject: &str, email: &str) {
        let mut shared = self.shared.lock().expect("no panic");
        shared.subject = subject.to_owned();
        shared.email = email.to_owned();
    }

    /// What was asked of it: methods and paths.
    pub(super) fn asked(&self) -> Vec<String> {
        self.shared.lock().expect("no panic").asked.clone()
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut bytes = Vec::new();
        let mut buffer = [0; 8_192];
        let body = loop {
            let Ok(length @ 1..) = stream.read(&mut buffer) else { return };
            bytes.extend_from_slice(&buffer[..length]);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
                });
                if body.len() >= length.unwrap_or(0) {
                    break body.to_owned();
                }
            }
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let line = text.lines().next().unwrap_or_default().to_owned();
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let (lie, wait) = {
            let mut shared = self.shared.lock().expect("no panic");
            shared.asked.push(line.trim_end_matches(" HTTP/1.1").to_owned());
            (shared.lie.clone(), shared.lie.wait)
        };
        let (status, location, answer) = match path.as_str() {
            _ if lie.down => (503, None, String::new()),
            "/.well-known/openid-configuration" => (200, None, self.metadata(&lie).to_string()),
            "/jwks" => (200, None, json!({ "keys": [self.public("1")] }).to_string()),
            "/token" => {
                thread::sleep(wait);
                assert!(body.contains("code_verifier="), "PKCE: {body}");
                match (&lie.redirect, &lie.answer) {
                    (Some(location), _) => (307, Some(location.clone()), String::new()),
                    (None, Some((status, answer))) => (*status, None, answer.clone()),
                    (None, None) => {
                        let tokens = json!({ "access_token": "x", "token_type": "Bearer", "id_token": self.token(&lie) });
                        (200, None, tokens.to_string())
                    }
                }
            }
            _ => (404, None, "{}".to_owned()),
        };
        let location = location.map_or_else(String::new, |to| format!("location: {to}\r\n"));
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\n{location}content-length: {}\r\nconnection: close\r\n\r\n",
            answer.len()
        );
        let _ = stream.write_all(&[head.as_bytes(), answer.as_bytes()].concat());
    }

    fn metadata(&self, lie: &Lie) -> Value {
        let mut metadata = json!({
            "issuer": lie.issuer.as_ref().unwrap_or(&self.url),
            "authorization_endpoint": format!("{}/authorize", self.url),
            "token_endpoint": format!("{}/token", self.url),
            "jwks_uri": format!("{}/jwks", self.url),
            "authorization_response_iss_parameter_supported": true,
        });
        if let Some((name, url)) = &lie.endpoint {
            metadata[*name] = json!(url);
        }
        metadata
    }

    fn pair(&self) -> EcdsaKeyPair {
        let key = self.shared.lock().expect("no panic").key.clone();
        pair(&key)
    }

    fn public(&self, kid: &str) -> Value {
        let pair = self.pair();
        let point = pair.public_key().as_ref();
        let (x, y) = (BASE64URL_NOPAD.encode(&point[1..33]), BASE64URL_NOPAD.encode(&point[33..]));
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "use": "sig" })
    }

    fn token(&self, lie: &Lie) -> String {
        let (nonce, subject, email) = {
            let shared = self.shared.lock().expect("no panic");
            (shared.nonce.clone(), shared.subject.clone(), shared.email.clone())
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let mut claims = json!({
            "iss": self.url, "sub": subject, "aud": "bailiwick", "nonce": nonce, "iat": now, "exp": now + 300,
            "email": email, "email_verified": true, "name": "Ada", "groups": ["it"],
        });
        for (name, value) in lie.claims.as_object().into_iter().flatten() {
            match value {
                Value::Null => drop(claims.as_object_mut().expect("an object").remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        let kid = if lie.unknown_key { "2" } else { "1" };
        let algorithm = lie.algorithm.unwrap_or("ES256");
        let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let message =
            format!("{}.{}", encode(&json!({ "alg": algorithm, "kid": kid, "typ": "JWT" })), encode(&claims));
        let signature = match algorithm {
            "none" => Vec::new(),
            "HS256" => {
                let secret = self.public("1").to_string();
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
                hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
            }
            _ => {
                let pair = if lie.other_key || lie.unknown_key { pair(&new_key()) } else { self.pair() };
                pair.sign(&SystemRandom::new(), message.as_bytes()).expect("a signature").as_ref().to_vec()
            }
        };
        format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
    }
}

fn new_key() -> Vec<u8> {
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    document.expect("a key").as_ref().to_vec()
}

fn pair(key: &[u8]) -> EcdsaKeyPair {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key, &SystemRandom::new()).expect("a key")
}
