// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tokens as they should be: what they say, and how long.

use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::json;
use tokens::{AccessTokens, Grant, IssueError, Lifetime, VerifyError};

use crate::world::{ISSUER, grant, home, parts, worlds};

#[tokio::test]
async fn a_token_says_who_where_through_what_and_until_when() {
    for world in worlds().await {
        let issued = world.tokens.issue(world.now(), &grant()).unwrap();
        let claims = world.tokens.verify(world.now(), &issued.token).unwrap();
        assert_eq!(claims.sub, "acc_1");
        assert_eq!(claims.user_id, "acc_1");
        assert_eq!(claims.tenant_id, home());
        assert_eq!(claims.sid, "ses_1");
        assert_eq!(claims.scopes().collect::<Vec<_>>(), ["items.read", "items.write"]);
        assert_eq!(claims.jti, issued.id);
        assert_eq!(claims.exp * 1000, issued.expires_at);
        assert_eq!(issued.expires_at, world.now() + 30 * 60 * 1000);

        let (header, claims) = parts(&issued.token);
        assert_eq!(header, json!({"typ": "at+jwt", "alg": "EdDSA", "kid": world.published()[0]}));
        assert_eq!(claims["client_id"], "bailiwick");
        assert_eq!(claims["tenant_id"], "ten_00000000000000000000000000000007");
        assert_ne!(world.tokens.issue(world.now(), &grant()).unwrap().id, issued.id);
    }
}

#[tokio::test]
async fn another_program_verifies_a_token_with_the_published_key_alone() {
    for world in worlds().await {
        let token = world.token();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let jwks = serde_json::to_value(world.keys.jwks(world.now())).unwrap();
        let decode = |text: &str| data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
        let public = decode(jwks["keys"][0]["x"].as_str().unwrap());
        let public = VerifyingKey::from_bytes(&public.try_into().unwrap()).unwrap();
        let signature = Signature::from_slice(&decode(signature)).unwrap();
        public.verify_strict(signed.as_bytes(), &signature).unwrap();
        assert!(jwks["keys"][0].get("d").is_none());
    }
}

#[tokio::test]
async fn a_token_is_refused_one_second_after_its_end_and_the_leeway() {
    for world in worlds().await {
        let strict = AccessTokens::new(world.keys.clone(), ISSUER, ISSUER, Lifetime::minutes(1).unwrap())
            .with_leeway_seconds(0);
        let token = strict.issue(world.now(), &grant()).unwrap().token;
        world.test.clock.advance(59_999);
        assert!(strict.verify(world.now(), &token).is_ok());
        world.test.clock.advance(1);
        assert_eq!(strict.verify(world.now(), &token), Err(VerifyError::Expired));
        world.test.clock.advance(59_999);
        assert!(world.tokens.verify(world.now(), &token).is_ok(), "within 60 seconds of leeway");
        world.test.clock.advance(1);
        assert_eq!(world.tokens.verify(world.now(), &token), Err(VerifyError::Expired));
    }
}

#[tokio::test]
async fn a_token_from_a_clock_too_far_ahead_is_not_valid_yet() {
    for world in worlds().await {
        let token = world.token();
        assert!(world.tokens.verify(world.now() - 60_000, &token).is_ok());
        assert_eq!(world.tokens.verify(world.now() - 61_000, &token), Err(VerifyError::NotYetValid));
    }
}

#[test]
fn a_lifetime_is_1_to_1440_minutes() {
    assert!(Lifetime::minutes(1).is_ok() && Lifetime::minutes(1440).is_ok());
    assert_eq!(Lifetime::minutes(30).unwrap(), Lifetime::default());
    for minutes in [0, 1441, u32::MAX] {
        assert!(Lifetime::minutes(minutes).unwrap_err().to_string().contains(&minutes.to_string()));
    }
}

#[tokio::test]
async fn no_token_is_issued_that_would_be_too_long_to_be_accepted() {
    for world in worlds().await {
        let scope = "s".repeat(8 * 1024);
        let issued = world.tokens.issue(world.now(), &Grant { scope: &scope, ..grant() });
        assert_eq!(issued.err(), Some(IssueError::TooLong));
    }
}
