// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Keys come, overlap and go.

use std::sync::Arc;

use store::{StoreError, TenantId, params};
use tokens::{AccessTokens, IssueError, KeysError, Lifetime, RotationPolicy, SigningKeys, VerifyError};

use crate::world::{DAY_MS, ISSUER, World, commit, grant, parts, worlds};

fn signer(world: &World) -> String {
    parts(&world.token()).0["kid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_new_key_is_published_before_it_signs_and_an_old_one_verifies_until_its_last_token_expired() {
    for world in worlds().await {
        let first = signer(&world);
        assert!(!world.rotate().await, "nothing is due");
        world.test.clock.advance(89 * DAY_MS - 1);
        assert!(!world.rotate().await);
        world.test.clock.advance(1);
        assert!(world.rotate().await, "the next one is published a day ahead");
        let [_, second] = world.published().try_into().unwrap();
        assert_eq!(signer(&world), first);
        assert!(!world.rotate().await, "once");

        world.test.clock.advance(DAY_MS - 1);
        assert_eq!(signer(&world), first);
        let longest = AccessTokens::new(world.keys.clone(), ISSUER, ISSUER, Lifetime::minutes(1440).unwrap());
        let last = longest.issue(world.now(), &grant()).unwrap().token;
        world.test.clock.advance(1);
        assert_eq!(signer(&world), second, "it takes over by itself, without being read again");

        world.test.clock.advance(DAY_MS - 1);
        world.rotate().await;
        assert!(world.tokens.verify(world.now(), &last).is_ok());
        assert_eq!(world.published(), [first.clone(), second.clone()]);
        world.test.clock.advance(2 * 60_000);
        assert_eq!(world.tokens.verify(world.now(), &last), Err(VerifyError::Expired));
        world.test.clock.advance(1);
        assert_eq!(world.tokens.verify(world.now(), &last), Err(VerifyError::UnknownKey));
        assert_eq!(world.published(), [second]);
        assert!(world.rotate().await, "the old one is removed");
        let mut view = world.test.door.read(TenantId::PLATFORM).await.unwrap();
        let gone: Vec<(String,)> = view
            .query("SELECT kid FROM signing_key WHERE sealed IS NULL AND removed_at IS NOT NULL", params![])
            .await
            .unwrap();
        assert_eq!(gone, [(first,)]);
    }
}

#[tokio::test]
async fn a_removed_key_is_refused_at_once_and_another_signs() {
    for world in worlds().await {
        let token = world.token();
        let leaked = signer(&world);
        let mut tx = world.write().await;
        world.keys.remove(&mut tx, &leaked).await.unwrap();
        commit(tx).await;
        world.reload().await;
        assert_eq!(world.tokens.verify(world.now(), &token), Err(VerifyError::UnknownKey));
        assert_ne!(signer(&world), leaked);
        assert!(!world.published().contains(&leaked));
        assert!(world.tokens.verify(world.now(), &world.token()).is_ok());
        let error = world.keys.remove(&mut world.write().await, &leaked).await.unwrap_err();
        assert!(matches!(error, KeysError::Unknown { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_rotation_at_once_signs_with_the_new_key_and_the_old_tokens_stay_good() {
    for world in worlds().await {
        let (old, token) = (signer(&world), world.token());
        let mut tx = world.write().await;
        world.keys.rotate_now(&mut tx).await.unwrap();
        commit(tx).await;
        world.reload().await;
        assert_ne!(signer(&world), old);
        assert!(world.tokens.verify(world.now(), &token).is_ok());
    }
}

#[tokio::test]
async fn another_server_and_a_restarted_one_verify_the_same_tokens() {
    for world in worlds().await {
        let elsewhere = Arc::new(SigningKeys::new(world.custody.clone(), RotationPolicy::default()));
        let tokens = AccessTokens::new(elsewhere.clone(), ISSUER, ISSUER, Lifetime::default());
        assert_eq!(tokens.issue(world.now(), &grant()).err(), Some(IssueError::NoKey), "before it read them");
        elsewhere.reload(&mut world.test.door.read(TenantId::PLATFORM).await.unwrap()).await.unwrap();
        assert!(tokens.verify(world.now(), &world.token()).is_ok());
        assert_eq!(elsewhere.jwks(world.now()), world.keys.jwks(world.now()));
    }
}

#[tokio::test]
async fn two_servers_that_rotate_at_once_make_one_key() {
    async fn rotate(world: &World) {
        loop {
            let mut tx = world.write().await;
            match world.keys.rotate_if_due(&mut tx).await {
                Err(KeysError::Store(StoreError::Conflict(_))) => continue,
                changed => changed.unwrap(),
            };
            match tx.commit(store::Record::about("signing-key")).await {
                Err(StoreError::Conflict(_)) => {}
                committed => {
                    committed.unwrap();
                    break;
                }
            }
        }
    }
    for world in worlds().await {
        world.test.clock.advance(90 * DAY_MS);
        tokio::join!(rotate(&world), rotate(&world));
        world.reload().await;
        assert_eq!(world.published().len(), 2);
    }
}

#[tokio::test]
async fn a_policy_that_publishes_for_longer_than_a_key_lives_does_not_make_keys_without_end() {
    for world in worlds().await {
        let policy = RotationPolicy { max_age_ms: DAY_MS, publish_ahead_ms: 9 * DAY_MS };
        let keys = SigningKeys::new(world.custody.clone(), policy);
        world.test.clock.advance(DAY_MS);
        let mut tx = world.write().await;
        assert!(keys.rotate_if_due(&mut tx).await.unwrap());
        assert!(!keys.rotate_if_due(&mut tx).await.unwrap());
    }
}

#[tokio::test]
async fn keys_are_the_platforms() {
    for world in worlds().await {
        let tenant = TenantId::random();
        world.test.door.create_tenant(tenant).await.unwrap();
        let mut view = world.test.door.read(tenant).await.unwrap();
        assert!(matches!(world.keys.reload(&mut view).await, Err(KeysError::NotPlatform)));
    }
}
