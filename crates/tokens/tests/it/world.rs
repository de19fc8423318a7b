// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A server with signing keys, and what is needed to forge.

use std::sync::Arc;

use custody::{Custody, RootKeys};
use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use store::testing::TestStore;
use store::{Clock, Entry, Record, TenantId, WriteTx};
use tokens::{AccessTokens, Grant, Lifetime, RotationPolicy, SigningKeys};

pub(crate) const ISSUER: &str = "https://id.example";
pub(crate) const DAY_MS: i64 = 24 * 60 * 60 * 1000;

pub(crate) struct World {
    pub(crate) test: TestStore,
    pub(crate) custody: Custody,
    pub(crate) keys: Arc<SigningKeys>,
    pub(crate) tokens: AccessTokens,
}

/// One for each engine that can run here, with its first key.
pub(crate) async fn worlds() -> Vec<World> {
    let mut worlds = Vec::new();
    for test in store::testing::engines(&[custody::MIGRATIONS, tokens::MIGRATIONS]).await.unwrap() {
        let mut tx = write(&test, TenantId::PLATFORM).await;
        let custody = Custody::open(RootKeys::generate(), &mut tx).await.unwrap();
        commit(tx).await;
        let keys = Arc::new(SigningKeys::new(custody.clone(), RotationPolicy::default()));
        let tokens = AccessTokens::new(keys.clone(), ISSUER, ISSUER, Lifetime::default());
        let world = World { test, custody, keys, tokens };
        assert!(world.rotate().await, "the first start makes a key");
        worlds.push(world);
    }
    worlds
}

impl World {
    pub(crate) fn now(&self) -> i64 {
        self.test.clock.now_ms()
    }

    pub(crate) async fn write(&self) -> WriteTx {
        write(&self.test, TenantId::PLATFORM).await
    }

    /// What the server does now and then.
    pub(crate) async fn rotate(&self) -> bool {
        let mut tx = self.write().await;
        let changed = self.keys.rotate_if_due(&mut tx).await.unwrap();
        commit(tx).await;
        self.reload().await;
        changed
    }

    pub(crate) async fn reload(&self) {
        self.keys.reload(&mut self.test.door.read(TenantId::PLATFORM).await.unwrap()).await.unwrap();
    }

    pub(crate) fn token(&self) -> String {
        self.tokens.issue(self.now(), &grant()).unwrap().token
    }

    pub(crate) fn published(&self) -> Vec<String> {
        let keys = self.keys.jwks(self.now()).keys.into_iter();
        keys.filter(|key| key.alg == "EdDSA").map(|key| key.kid).collect()
    }
}

pub(crate) fn grant() -> Grant<'static> {
    Grant { account: "acc_1", tenant: home(), session: "ses_1", scope: "items.read items.write" }
}

pub(crate) fn home() -> TenantId {
    "ten_00000000000000000000000000000007".parse().unwrap()
}

pub(crate) async fn commit(tx: WriteTx) {
    tx.commit(Record::about("signing-key")).await.unwrap();
}

/// The header and the claims of a token.
pub(crate) fn parts(token: &str) -> (Value, Value) {
    let mut parts = token
        .split('.')
        .map(|part| serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()));
    (parts.next().unwrap().unwrap(), parts.next().unwrap().unwrap())
}

/// What is signed of a token with this header and these claims.
pub(crate) fn signed_part(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    format!("{}.{}", part(header), part(claims))
}

/// A token with these parts and this signature.
pub(crate) fn assembled(header: &Value, claims: &Value, signature: &[u8]) -> String {
    format!("{}.{}", signed_part(header, claims), BASE64URL_NOPAD.encode(signature))
}

async fn write(test: &TestStore, tenant: TenantId) -> WriteTx {
    let entry = Entry {
        actor: "system:test".to_owned(),
        via: String::new(),
        action: "test".to_owned(),
        request: "req_test".to_owned(),
    };
    test.door.write(tenant, entry).await.unwrap()
}
