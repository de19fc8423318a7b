// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Access tokens from anywhere: only what this server issued is accepted, unchanged.
#![no_main]

use std::sync::{Arc, OnceLock};

use custody::{Custody, RootKeys};
use libfuzzer_sys::fuzz_target;
use store::testing::TestStore;
use store::{Clock, Entry, Record, TenantId};
use tokens::{AccessTokens, Grant, Lifetime, RotationPolicy, SigningKeys};

fuzz_target!(|bytes: &[u8]| {
    let Issuer { tokens, now, genuine, .. } = issuer();
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(tokens.verify(*now, text).is_err(), "forged: {text}");
        // As the claims and as the header of a token whose other parts are genuine.
        let parts: Vec<&str> = genuine.split('.').collect();
        for forged in
            [format!("{}.{text}.{}", parts[0], parts[2]), format!("{text}.{}.{}", parts[1], parts[2])]
        {
            assert!(forged == *genuine || tokens.verify(*now, &forged).is_err(), "forged: {forged}");
        }
    }
    // As changes to a genuine one: pairs of place and bits.
    let mut changed = genuine.clone().into_bytes();
    for pair in bytes.chunks_exact(2).take(16) {
        let at = usize::from(pair[0]) * 251 % changed.len();
        changed[at] ^= pair[1] & 0x7f;
    }
    let changed = String::from_utf8(changed).expect("ASCII stays ASCII");
    assert_eq!(tokens.verify(*now, &changed).is_ok(), changed == *genuine, "{changed}");
});

struct Issuer {
    tokens: AccessTokens,
    now: i64,
    genuine: String,
    _store: TestStore,
}

fn issuer() -> &'static Issuer {
    static ISSUER: OnceLock<Issuer> = OnceLock::new();
    ISSUER.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let store =
                store::testing::sqlite(&[custody::MIGRATIONS, tokens::MIGRATIONS]).await.expect("a store");
            let entry = Entry {
                actor: "system:fuzz".to_owned(),
                via: String::new(),
                action: "fuzz".to_owned(),
                request: "req_fuzz".to_owned(),
            };
            let mut tx = store.door.write(TenantId::PLATFORM, entry).await.expect("a transaction");
            let custody = Custody::open(RootKeys::generate(), &mut tx).await.expect("keys");
            let keys = Arc::new(SigningKeys::new(custody, RotationPolicy::default()));
            keys.rotate_if_due(&mut tx).await.expect("a first key");
            tx.commit(Record::about("signing-key")).await.expect("a commit");
            let mut tx = store.door.read(TenantId::PLATFORM).await.expect("a transaction");
            keys.reload(&mut tx).await.expect("the key");

            let tokens =
                AccessTokens::new(keys, "https://id.example", "https://id.example", Lifetime::default());
            let now = store.clock.now_ms();
            let tenant = "ten_00000000000000000000000000000007".parse().expect("an id");
            let grant = Grant { account: "acc_1", tenant, session: "ses_1", scope: "items.read items.write" };
            let genuine = tokens.issue(now, &grant).expect("a token").token;
            Issuer { tokens, now, genuine, _store: store }
        })
    })
}
