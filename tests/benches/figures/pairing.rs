// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Letting a device in, end to end: both sides' cryptography in this process, the messages through the server.

use std::time::Instant;

use harness::Engine;
use keyring::pairing::{
    Judgement, PairedKey, PairingApproval, PairingBundle, PairingDevice, PairingForm, PairingGrant,
    PairingLink, PairingRequest,
};
use keyring::{MasterKey, SystemRng};
use serde_json::{Value, json};

use crate::machine::{Place, size};
use crate::people::{Somebody, bytes, text};
use crate::report::{Figure, Report};
use crate::server::Server;
use crate::signin::{HASH, argon2id, cost};
use crate::wire::Wire;

/// Nine requests, of which one begins a session; the person who types the code is left out.
pub fn row(report: &mut Report, engine: Engine) {
    let server = Server::started(engine, Place::Memory);
    let mut wire = Wire::to(&server.world.url());
    let somebody = Somebody::signs_up(&mut wire);
    let url = server.world.url();
    let hash_before = argon2id();
    let (count, started) = (size(30, 4), Instant::now());
    let mut elapsed = 0.0;
    let work = cost(&server, || {
        (0..count).for_each(|_| pairs(&mut wire, &url, &somebody.token));
        elapsed = started.elapsed().as_secs_f64();
        count
    });
    let hash = (hash_before + argon2id()) / 2.0;
    let whole = elapsed / count as f64 * 1e3;
    report.add(Figure::new(format!("pairing end to end, both sides, {engine}"), whole, "ms"));
    report.add(
        Figure::new(format!("pairing, the server's part, {engine}"), work.whole() * 1e3, "ms").against(
            HASH,
            hash * 1e3,
            hash / work.whole(),
        ),
    );
}

fn pairs(wire: &mut Wire, url: &str, token: &str) {
    let rng = &mut SystemRng;
    let mut device = PairingDevice::start(PairingForm::Device, "laptop", "Linux", rng).expect("a request");
    let (request, key) = (text(device.request().id().expose()), device.request().key());
    let secret = text(&[7; 32]);
    let shown = PairingLink::new(url, device.request()).to_text();
    let ask = json!({
        "request": request, "device_secret": secret, "form": "device", "name": "laptop",
        "platform": "Linux", "key": text(&key),
    });
    wire.post("/api/v1/pairings", None, &ask).succeeded();

    let link = PairingLink::parse(&shown).expect("a link");
    let named = json!({ "request": request });
    let asked = wire.post("/api/v1/pairings/read", Some(token), &named).json();
    let key = bytes(&asked["key"]);
    let asks = PairingRequest::from_parts(*link.request(), PairingForm::Device, "laptop", "Linux", &key);
    let mut approval = PairingApproval::open(&link, asks.expect("a request")).expect("the same");
    let code = approval.authorize(None, rng).expect("a code");
    let offer = json!({ "request": request, "message": text(&approval.offer(rng).expect("an offer")) });
    wire.post("/api/v1/pairings/offer", Some(token), &offer).succeeded();

    let mine = json!({ "request": request, "device_secret": secret });
    let offer = message(wire.post("/api/v1/pairings/device/take", None, &mine).json());
    let answer = device.answer(&offer, &code, rng).expect("an answer");
    let answer = json!({ "request": request, "device_secret": secret, "message": text(&answer) });
    wire.post("/api/v1/pairings/device/answer", None, &answer).succeeded();

    let answer = message(wire.post("/api/v1/pairings/take", Some(token), &named).json());
    let Judgement::Right(confirmed) = approval.judge(&answer).expect("judged") else {
        unreachable!("the code is right")
    };
    let bundle = PairingBundle {
        account: [1; 16].into(),
        home: [2; 16].into(),
        key_version: 1,
        key: PairedKey::Master(MasterKey::generate(rng)),
        grant: PairingGrant::generate(rng),
        email: None,
    };
    let deliver = json!({
        "request": request, "grant_hash": text(&bundle.grant.hash()),
        "message": text(&confirmed.deliver(&bundle, rng).expect("a delivery")),
    });
    wire.post("/api/v1/pairings/deliver", Some(token), &deliver).succeeded();

    let delivery = message(wire.post("/api/v1/pairings/device/take", None, &mine).json());
    let grant = device.finish(&delivery).expect("a bundle").grant;
    let redeem = json!({ "request": request, "device_secret": secret, "grant": text(grant.expose()) });
    wire.post("/api/v1/pairings/device/redeem", None, &redeem).succeeded();
}

fn message(taken: Value) -> Vec<u8> {
    bytes(&taken["message"])
}
