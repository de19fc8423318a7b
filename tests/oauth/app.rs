// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An application, and the person who uses it: what a client library and a browser do, by hand.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use harness::{Exchange, Machine, Request, World, encoded, unique};
use serde_json::Value;
use sha2_010::{Digest as _, Sha256};

/// Where applications of these tests want their browsers back.
pub(super) const CALLBACK: &str = "https://app.example/callback";

/// A tenant with its owner.
pub(super) struct House {
    pub(super) owner: Machine,
    pub(super) tenant: String,
    server: String,
}

/// An application of a tenant.
#[derive(Clone)]
pub(super) struct App {
    pub(super) id: String,
    pub(super) client_id: String,
    pub(super) secret: Option<String>,
    pub(super) server: String,
}

/// Tokens that an application got.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) refresh: String,
    pub(super) id: String,
}

impl House {
    pub(super) fn founded(world: &World) -> Self {
        let owner = world.machine();
        owner.sign_up();
        let tenant = text(&owner.run(["tenant", "create", "Acme", "--json"]).json()["id"]);
        House { owner, tenant, server: world.url() }
    }

    /// Runs a command of `tenant` in this tenant.
    #[track_caller]
    pub(super) fn run(&self, arguments: &[&str]) -> harness::Outcome {
        let ends = ["--tenant", self.tenant.as_str(), "--json"];
        self.owner.run(["tenant"].iter().chain(arguments).chain(ends.iter()))
    }

    /// Registers an application.
    #[track_caller]
    pub(super) fn app(&self, arguments: &[&str]) -> App {
        let name = unique("App ");
        let made = self.run(&[&["clients", "create", name.as_str()][..], arguments].concat()).json();
        App {
            id: text(&made["id"]),
            client_id: text(&made["client_id"]),
            secret: made["client_secret"].as_str().map(str::to_owned),
            server: self.server.clone(),
        }
    }

    /// One that people sign in to: with a secret, and refresh tokens.
    #[track_caller]
    pub(super) fn usual(&self) -> App {
        self.app(&USUAL)
    }

    /// Somebody else, who joins the tenant.
    #[track_caller]
    pub(super) fn member(&self, world: &World) -> Machine {
        let machine = world.machine();
        machine.sign_up();
        let made = self.run(&["invitations", "create", "--label", "Bea"]).json();
        machine.run(["tenant", "join", &text(&made["link"]), "--json"]).done();
        machine
    }
}

impl App {
    /// A request for consent, with these fields in place of the usual ones; one that is empty is left out.
    pub(super) fn ask(&self, changed: &[(&str, &str)]) -> Exchange {
        let challenge = challenge(VERIFIER);
        let usual = [
            ("client_id", self.client_id.as_str()),
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("scope", "openid profile device.read"),
            ("state", "st/+="),
            ("nonce", "n-1"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        let mut fields: Vec<(&str, &str)> = usual.to_vec();
        for (name, value) in changed {
            fields.retain(|(other, _)| other != name);
            if !value.is_empty() {
                fields.push((name, value));
            }
        }
        Request::new("GET", &format!("/oauth/authorize?{}", encoded(&fields))).send(&self.server)
    }

    /// The link to the page that asks.
    #[track_caller]
    pub(super) fn link(&self, changed: &[(&str, &str)]) -> String {
        let answer = self.ask(changed);
        assert_eq!(answer.status, 303, "{}", said(&answer));
        let link = answer.header("location").expect("a location").to_owned();
        assert!(link.contains("/#authorize="), "{link}");
        link
    }

    /// The code that somebody's yes gives.
    #[track_caller]
    pub(super) fn code(&self, person: &Machine, changed: &[(&str, &str)]) -> String {
        let answered = person.run(["authorize", &self.link(changed), "--yes", "--json"]).json();
        parameter(&text(&answered["redirect"]), "code").expect("a code")
    }

    /// What the token endpoint answers.
    pub(super) fn token(&self, fields: &[(&str, &str)]) -> Exchange {
        self.post("/oauth/token", fields)
    }

    /// A form, sent as this client.
    pub(super) fn post(&self, path: &str, fields: &[(&str, &str)]) -> Exchange {
        let request = Request::new("POST", path);
        match &self.secret {
            Some(secret) => {
                let pair = BASE64.encode(format!("{}:{secret}", self.client_id).as_bytes());
                request.header("authorization", &format!("Basic {pair}")).form(fields).send(&self.server)
            }
            None => {
                let own = [("client_id", self.client_id.as_str())];
                request.form(&[&own[..], fields].concat()).send(&self.server)
            }
        }
    }

    /// What becomes of a code.
    pub(super) fn redeem(&self, code: &str) -> Exchange {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.token(&fields)
    }

    pub(super) fn refresh(&self, token: &str) -> Exchange {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)])
    }

    /// Tokens by somebody's yes.
    #[track_caller]
    pub(super) fn tokens(&self, person: &Machine, changed: &[(&str, &str)]) -> Tokens {
        Tokens::of(&self.redeem(&self.code(person, changed)))
    }

    /// What introspection says of a token.
    #[track_caller]
    pub(super) fn introspect(&self, token: &str) -> Value {
        let answer = self.post("/oauth/introspect", &[("token", token)]);
        assert_eq!(answer.status, 200, "{}", said(&answer));
        answer.json()
    }

    #[track_caller]
    pub(super) fn is_active(&self, token: &str) -> bool {
        let said = self.introspect(token);
        let active = said["active"].as_bool().expect("active");
        assert!(
            active || said.as_object().is_some_and(|fields| fields.len() == 1),
            "no more is said: {said}"
        );
        active
    }
}

impl Tokens {
    #[track_caller]
    pub(super) fn of(answer: &Exchange) -> Self {
        assert_eq!(answer.status, 200, "{}", said(answer));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let document = answer.json();
        let one = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
        Tokens { access: one("access_token"), refresh: one("refresh_token"), id: one("id_token") }
    }
}

pub(super) const USUAL: [&str; 10] = [
    "--grants",
    "authorization_code,refresh_token",
    "--redirect-uri",
    CALLBACK,
    "--redirect-uri",
    "http://127.0.0.1/callback",
    "--scopes",
    "openid,profile,offline_access,device.read,tenant.read",
    "--post-logout-redirect-uri",
    "https://app.example/bye",
];

pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

pub(super) fn challenge(verifier: &str) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(verifier))
}

/// A parameter of a URL's query, decoded.
pub(super) fn parameter(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let value = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(found, _)| *found == name)?.1;
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Header and claims of a token.
#[track_caller]
pub(super) fn decoded(token: &str) -> (Value, Value) {
    let part = |index: usize| {
        let part = token.split('.').nth(index).expect("a part");
        serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).expect("base64url")).expect("JSON")
    };
    (part(0), part(1))
}

pub(super) fn get(world: &World, path: &str, bearer: &str) -> Exchange {
    Request::new("GET", path).bearer(bearer).send(&world.url())
}

/// The code of a problem, or the error of OAuth.
pub(super) fn code(answer: &Exchange) -> String {
    let document: Value = serde_json::from_slice(&answer.response).unwrap_or_default();
    let name = document["code"].as_str().or_else(|| document["error"].as_str());
    name.unwrap_or_default().to_owned()
}

/// The error of OAuth, with its status.
pub(super) fn refused(answer: &Exchange) -> (u16, String) {
    assert!(answer.response.is_empty() || answer.json().get("access_token").is_none(), "{}", said(answer));
    (answer.status, code(answer))
}

pub(super) fn said(answer: &Exchange) -> String {
    String::from_utf8_lossy(&answer.response).into_owned()
}

#[track_caller]
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a string: {value}")).to_owned()
}
