// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The ways in beside the password: what each costs the server.

use harness::{Authenticator, Engine};
use serde_json::json;

use crate::machine::{Place, size};
use crate::people::{Somebody, bytes, text};
use crate::report::{Figure, Report};
use crate::server::Server;
use crate::signin::{HASH, argon2id, cost};
use crate::wire::Wire;

/// Prints the figures of this theme.
pub fn figures(report: &mut Report) {
    report.theme("Ways in beside the password: the server's processor time");
    for engine in [Engine::Sqlite, Engine::Postgresql] {
        passkeys(report, engine);
        crate::pairing::row(report, engine);
        crate::imports::row(report, engine);
    }
}

/// A sign-in with a passkey, both requests, as `signin` measures one with a password.
fn passkeys(report: &mut Report, engine: Engine) {
    let server = Server::started(engine, Place::Memory);
    let mut wire = Wire::to(&server.world.url());
    let origin = server.world.url().replace("127.0.0.1", "localhost");
    let mut holders: Vec<_> = (0..size(24, 4)).map(|_| Holder::with_passkey(&mut wire, &origin)).collect();
    let hash_before = argon2id();
    let each = size(10, 4);
    let work = cost(&server, || {
        for holder in &mut holders {
            (0..each).for_each(|_| holder.signs_in(&mut wire));
        }
        holders.len() * each
    });
    let hash = (hash_before + argon2id()) / 2.0;
    report.add(Figure::new(format!("sign-in with a passkey, {engine}"), work.whole() * 1e3, "ms").against(
        HASH,
        hash * 1e3,
        hash / work.whole(),
    ));
}

/// Somebody with an authenticator.
struct Holder {
    authenticator: Authenticator,
    device_token: Option<String>,
}

impl Holder {
    fn with_passkey(wire: &mut Wire, origin: &str) -> Self {
        let somebody = Somebody::signs_up(wire);
        let token = Some(somebody.token.as_str());
        let started = wire.post("/api/v1/account/passkeys/start", token, &json!({})).json();
        let authenticator = Authenticator::on(origin);
        let options = &started["options"];
        let made = authenticator
            .create("localhost", &bytes(&options["challenge"]), &bytes(&options["user"]["id"]), &[], None)
            .expect("a passkey");
        let finish = json!({
            "state": started["state"],
            "credential": {
                "client_data_json": text(&made.client_data_json),
                "attestation_object": text(&made.attestation_object),
            },
        });
        wire.post("/api/v1/account/passkeys/finish", token, &finish);
        let mut this = Self { authenticator, device_token: None };
        this.signs_in(wire);
        this
    }

    fn signs_in(&mut self, wire: &mut Wire) {
        let started = wire.post("/api/v1/signin/passkey/start", None, &json!({})).json();
        let challenge = bytes(&started["options"]["challenge"]);
        let shown = self.authenticator.get("localhost", &challenge, &[], None).expect("a passkey");
        let mut device = json!({ "name": "bench", "platform": "bench" });
        if let Some(token) = &self.device_token {
            device["token"] = json!(token);
        }
        let finish = json!({
            "state": started["state"],
            "user_handle": text(&shown.user_handle),
            "credential": {
                "id": text(&shown.id),
                "client_data_json": text(&shown.client_data_json),
                "authenticator_data": text(&shown.authenticator_data),
                "signature": text(&shown.signature),
            },
            "device": device,
        });
        let signed_in = wire.post("/api/v1/signin/passkey/finish", None, &finish).json();
        if let Some(token) = signed_in["session"]["device_token"].as_str() {
            self.device_token = Some(token.to_owned());
        }
    }
}
