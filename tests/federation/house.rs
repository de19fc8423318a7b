// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A tenant whose people come in by a provider.

use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use harness::{Exchange, Machine, Outcome, Request, World, unique};
use serde_json::{Value, json};
use sha2_010::{Digest as _, Sha256};

use super::zone::Zone;

/// A tenant with its owner.
pub(super) struct House {
    pub(super) owner: Machine,
    pub(super) tenant: String,
    pub(super) zone: Zone,
    server: String,
}

/// A sign-in that was begun without the command line.
pub(super) struct Begun {
    pub(super) url: String,
    pub(super) state: String,
    pub(super) verifier: String,
}

impl House {
    /// Starts the server anew so that it asks providers and a name server on this machine, and founds the tenant.
    pub(super) fn founded(world: &mut World) -> Self {
        let zone = Zone::served();
        world.set("BAILIWICK_PROVIDER_NETWORKS", "127.0.0.0/8");
        world.set("BAILIWICK_NAME_SERVER", zone.address());
        world.restart();
        let owner = world.machine();
        owner.sign_up();
        let tenant = text(&owner.run(["tenant", "create", "Acme", "--json"]).json()["id"]);
        House { owner, tenant, zone, server: world.url() }
    }

    /// Runs a command of `tenant` in this tenant.
    #[track_caller]
    pub(super) fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(arguments, "")
    }

    /// The same, with this on its standard input.
    #[track_caller]
    pub(super) fn run_with(&self, arguments: &[&str], input: &str) -> Outcome {
        let ends = ["--tenant", self.tenant.as_str(), "--json"];
        self.owner.run_with(["tenant"].iter().chain(arguments).chain(ends.iter()), input)
    }

    /// Proves a domain.
    #[track_caller]
    pub(super) fn proves(&self, domain: &str) {
        let added = self.run(&["domains", "add", domain]).json();
        self.zone.write(&text(&added["record"]), &[&text(&added["proof"])]);
        self.run(&["domains", "verify", domain]).json();
    }

    /// Somebody else, who joins the tenant by an invitation.
    #[track_caller]
    pub(super) fn member(&self, world: &World) -> Machine {
        let machine = world.machine();
        machine.sign_up();
        let made = self.run(&["invitations", "create", "--label", "Bea"]).json();
        machine.run(["tenant", "join", &text(&made["link"]), "--json"]).done();
        machine
    }

    /// Begins a sign-in by this tenant's provider.
    #[track_caller]
    pub(super) fn begin(&self, changed: &Value) -> Begun {
        let verifier = unique("verifier-of-");
        let mut body = json!({ "tenant": self.tenant, "challenge": challenge(&verifier) });
        for (name, value) in changed.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let answer = self.post("/api/v1/signin/provider/start", &body);
        assert_eq!(answer.status, 200, "{}", said(&answer));
        let started = answer.json();
        Begun { url: text(&started["url"]), state: text(&started["state"]), verifier }
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Exchange {
        // Longer than the server waits for a provider.
        Request::new("POST", path).json(body).patience(Duration::from_secs(20)).send(&self.server)
    }

    /// The records of an action in the tenant's history, once there are so many: what was just written stands under the next
    /// checkpoint.
    #[track_caller]
    pub(super) fn records(&self, least: usize, action: &str) -> Vec<Value> {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let mut records = self.owner.run(["log", "--tenant", &self.tenant, "--json"]).entries();
            records.retain(|record| record["action"] == action);
            if records.len() >= least {
                return records;
            }
            assert!(Instant::now() < until, "{least} of {action}: {records:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Finishes with this answer of the provider.
    pub(super) fn finish(&self, begun: &Begun, issuer: Option<&str>) -> Exchange {
        let mut answer = json!({ "state": begun.state, "code": "a-code", "verifier": begun.verifier });
        if let Some(issuer) = issuer {
            answer["issuer"] = json!(issuer);
        }
        self.post("/api/v1/signin/provider/finish", &json!({ "answer": answer, "device": device() }))
    }
}

pub(super) fn device() -> Value {
    json!({ "name": "a laptop", "platform": "tests" })
}

pub(super) fn challenge(verifier: &str) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(verifier))
}

/// A parameter of a URL's query, decoded as far as these tests need it.
pub(super) fn parameter(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value.to_owned())
}

pub(super) fn code(answer: &Exchange) -> String {
    let document: Value = serde_json::from_slice(&answer.response).unwrap_or_default();
    document["code"].as_str().unwrap_or_default().to_owned()
}

pub(super) fn said(answer: &Exchange) -> String {
    String::from_utf8_lossy(&answer.response).into_owned()
}

#[track_caller]
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a string: {value}")).to_owned()
}
