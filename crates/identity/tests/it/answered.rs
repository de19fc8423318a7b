// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Requests under a key.

use identity::{ANSWERS_KEPT_MS, AccountId, Claim, KeyedRequest, MAX_ANSWERS};
use store::{Param, TenantId};

use crate::world::{World, commit, worlds};

#[tokio::test]
async fn when_no_more_keys_are_taken_what_was_answered_is_answered_again() {
    for world in worlds().await {
        let (person, _) = world.sign_up("ada").await;
        let (account, home) = (person.account, person.home);
        let (first, last) = (asked(account, 0), asked(account, 1));
        assert!(matches!(claim(&world, home, &first).await, Claim::New));
        let mut tx = world.write(home).await;
        assert!(world.identity.keep_answer(&mut tx, &first, b"made").await.unwrap());
        commit(tx).await;
        take(&world, home, &(2..MAX_ANSWERS).map(|number| asked(account, number)).collect::<Vec<_>>()).await;
        assert!(matches!(claim(&world, home, &last).await, Claim::New));

        let one_more = asked(account, MAX_ANSWERS);
        for _ in 0..2 {
            assert!(matches!(claim(&world, home, &one_more).await, Claim::TooMany));
            let again = claim(&world, home, &first).await;
            assert!(matches!(again, Claim::Answered(answer) if *answer == b"made"));
            assert!(matches!(claim(&world, home, &last).await, Claim::Done));
            let other = KeyedRequest { request: [8; 32], ..first };
            assert!(matches!(claim(&world, home, &other).await, Claim::OtherRequest));
        }
        world.wait(ANSWERS_KEPT_MS);
        assert!(matches!(claim(&world, home, &one_more).await, Claim::New), "{}", world.store.name);
    }
}

/// Commits what is new, and drops all else, as the server does.
async fn claim(world: &World, home: TenantId, asked: &KeyedRequest) -> Claim {
    let mut tx = world.write(home).await;
    let claimed = world.identity.claim_request(&mut tx, asked).await.unwrap();
    if matches!(claimed, Claim::New) {
        commit(tx).await;
    }
    claimed
}

fn asked(account: AccountId, number: u32) -> KeyedRequest {
    let mut key = [0; 32];
    key[..4].copy_from_slice(&number.to_be_bytes());
    KeyedRequest { account, key, request: [7; 32] }
}

/// As if each had been claimed.
async fn take(world: &World, home: TenantId, all: &[KeyedRequest]) {
    let mut tx = world.write(home).await;
    for some in all.chunks(1_000) {
        let each: Vec<Vec<Param<'_>>> = some
            .iter()
            .map(|asked| {
                vec![
                    Param::from(asked.account.uuid()),
                    Param::from(&asked.key),
                    Param::from(&asked.request),
                    Param::from(world.now()),
                ]
            })
            .collect();
        tx.execute_each(
            "INSERT INTO answered (account, idempotency_key, request, created_at) VALUES ($1, $2, $3, $4)",
            &each,
        )
        .await
        .unwrap();
    }
    commit(tx).await;
}
