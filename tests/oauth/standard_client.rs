// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A client library that knows nothing of Bailiwick completes every flow: `openid-client` for Node, as `tests/node` pins it.

use std::path::Path;
use std::process::Command;

use harness::{Engine, World, binary};

use super::app::{House, text};

#[test]
fn a_standard_client_library_completes_every_flow() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("node");
    if !folder.join("node_modules/openid-client").exists() {
        let mut install = Command::new("npm");
        install.args(["ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"]);
        let installed = install.current_dir(&folder).output().expect("npm");
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    }
    for engine in [Engine::Sqlite, Engine::Postgresql] {
        let world = World::started(engine);
        let house = House::founded(&world);
        let service = text(&house.run(&["service-accounts", "create", "nightly"]).json()["id"]);
        let output = Command::new("node")
            .arg(folder.join("standard-client.mjs"))
            .env("BIN", binary())
            .env("BAILIWICK_SERVER", world.url())
            .env("BAILIWICK_CONFIG_DIR", house.owner.config())
            .env("BAILIWICK_KEYCHAIN", "off")
            .env("SCRATCH", house.owner.scratch(""))
            .env("SERVICE_ACCOUNT", &service)
            .output()
            .expect("node");
        let (completed, said) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{engine:?}, after {completed}: {said}");
        let flows: Vec<&str> = completed.lines().collect();
        let all = [
            "authorization_code",
            "userinfo",
            "refresh_token",
            "introspection",
            "revocation",
            "pushed_authorization_request",
            "logout",
            "public_client",
            "private_key_jwt",
            "client_credentials",
            "device_code",
            "token_exchange",
            "dpop_and_es256",
        ];
        assert_eq!(flows, all, "{engine:?}");
    }
}
