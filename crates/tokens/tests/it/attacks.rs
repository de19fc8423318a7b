// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Forged, altered and misused tokens.

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::{Sha256, Sha512};
use store::{TenantId, params};
use tokens::{AccessTokens, KeysError, Lifetime, VerifyError};

use crate::world::{ISSUER, World, assembled, commit, grant, parts, signed_part, worlds};

fn refusal(world: &World, token: &str) -> VerifyError {
    world.tokens.verify(world.now(), token).unwrap_err()
}

type Authenticate = fn(&[u8], &str) -> String;

fn hmac<M: Mac + KeyInit>(secret: &[u8], signed: &str) -> String {
    let mac = <M as KeyInit>::new_from_slice(secret).unwrap().chain_update(signed);
    BASE64URL_NOPAD.encode(&mac.finalize().into_bytes())
}

#[tokio::test]
async fn an_unsigned_token_is_refused_however_none_is_written() {
    for world in worlds().await {
        let (mut header, claims) = parts(&world.token());
        for alg in ["none", "None", "NONE", "nOnE", "", "eddsa"] {
            header["alg"] = json!(alg);
            for signature in [&[][..], &[0; 64]] {
                let token = assembled(&header, &claims, signature);
                assert_eq!(refusal(&world, &token), VerifyError::WrongAlgorithm, "{alg}");
            }
        }
        header["alg"] = json!("EdDSA");
        assert_eq!(refusal(&world, &assembled(&header, &claims, &[])), VerifyError::Signature);
    }
}

#[tokio::test]
async fn the_public_key_is_no_shared_secret() {
    for world in worlds().await {
        let (mut header, claims) = parts(&world.token());
        let x = world.keys.jwks(world.now()).keys[0].x.clone();
        let public = BASE64URL_NOPAD.decode(x.as_bytes()).unwrap();
        for (name, authenticate) in
            [("HS256", hmac::<Hmac<Sha256>> as Authenticate), ("HS512", hmac::<Hmac<Sha512>>)]
        {
            header["alg"] = json!(name);
            let signed = signed_part(&header, &claims);
            for secret in [public.as_slice(), x.as_bytes()] {
                let mac = authenticate(secret, &signed);
                assert_eq!(refusal(&world, &format!("{signed}.{mac}")), VerifyError::WrongAlgorithm);
                let mut confused = header.clone();
                confused["alg"] = json!("EdDSA");
                let confused = format!("{}.{mac}", signed_part(&confused, &claims));
                assert_eq!(refusal(&world, &confused), VerifyError::Signature);
            }
        }
    }
}

#[tokio::test]
async fn no_altered_claim_passes() {
    for world in worlds().await {
        let token = world.token();
        let (header, claims) = parts(&token);
        let signature = token.rsplit_once('.').unwrap().1;
        for (name, value) in [
            ("sub", json!("acc_2")),
            ("tenant_id", json!("ten_00000000000000000000000000000008")),
            ("sid", json!("ses_2")),
            ("scope", json!("admin")),
            ("exp", json!(i64::MAX)),
        ] {
            let mut altered = claims.clone();
            altered[name] = value;
            let altered = format!("{}.{signature}", signed_part(&header, &altered));
            assert_eq!(refusal(&world, &altered), VerifyError::Signature, "{name}");
        }
    }
}

#[tokio::test]
async fn a_key_of_the_attackers_is_unknown_and_does_not_pass_for_a_known_one() {
    for world in worlds().await {
        let (mut header, claims) = parts(&world.token());
        let attacker = SigningKey::from_bytes(&[7; 32]);
        let sign = |header: &serde_json::Value| {
            assembled(header, &claims, &attacker.sign(signed_part(header, &claims).as_bytes()).to_bytes())
        };
        assert_eq!(refusal(&world, &sign(&header)), VerifyError::Signature, "under a known id");
        for kid in ["../../dev/null", "' OR 1=1", ""] {
            header["kid"] = json!(kid);
            assert_eq!(refusal(&world, &sign(&header)), VerifyError::UnknownKey);
        }
        header.as_object_mut().unwrap().remove("kid");
        assert_eq!(refusal(&world, &sign(&header)), VerifyError::UnknownKey);
    }
}

#[tokio::test]
async fn header_fields_that_are_not_understood_are_refused() {
    for world in worlds().await {
        let (header, claims) = parts(&world.token());
        for (name, value) in [
            ("crit", json!(["exp"])),
            ("crit", json!([])),
            ("b64", json!(false)),
            ("jwk", json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"})),
            ("jku", json!("https://evil.example/jwks")),
            ("x5c", json!(["AA"])),
            ("zip", json!("DEF")),
        ] {
            let mut header = header.clone();
            header[name] = value;
            assert_eq!(
                refusal(&world, &assembled(&header, &claims, &[0; 64])),
                VerifyError::Malformed,
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn a_token_of_another_kind_issuer_or_audience_is_refused_though_the_key_is_right() {
    for world in worlds().await {
        let (mut header, claims) = parts(&world.token());
        header["typ"] = json!("JWT");
        assert_eq!(refusal(&world, &assembled(&header, &claims, &[0; 64])), VerifyError::WrongType);

        for (issuer, audience, expected) in [
            ("https://evil.example", ISSUER, VerifyError::WrongIssuer),
            (ISSUER, "https://other.example", VerifyError::WrongAudience),
            ("https://id.example/", ISSUER, VerifyError::WrongIssuer),
        ] {
            let other = AccessTokens::new(world.keys.clone(), issuer, audience, Lifetime::default());
            let token = other.issue(world.now(), &grant()).unwrap().token;
            assert_eq!(refusal(&world, &token), expected);
        }
    }
}

#[tokio::test]
async fn what_is_no_token_is_malformed() {
    for world in worlds().await {
        let token = world.token();
        let (head, rest) = token.split_once('.').unwrap();
        for text in [
            String::new(),
            ".".to_owned(),
            "..".to_owned(),
            format!("{head}.{rest}.AAAA"),
            format!("{head}={rest}"),
            format!(" {token}"),
            format!("{token}\n"),
            format!("{token}="),
            "A".repeat(8 * 1024 + 1),
            format!("{}.{}.{}", "A".repeat(4000), "A".repeat(2000), "A".repeat(2000)),
            "☃.☃.☃".to_owned(),
        ] {
            assert_eq!(refusal(&world, &text), VerifyError::Malformed, "{text}");
        }
        for end in 0..token.len() {
            assert!(world.tokens.verify(world.now(), &token[..end]).is_err(), "{end}");
        }
    }
}

#[tokio::test]
async fn a_key_planted_in_the_database_is_refused_and_the_keys_read_before_stay() {
    for world in worlds().await {
        let token = world.token();
        let planted = SigningKey::from_bytes(&[7; 32]);
        let mut tx = world.write().await;
        // Sealed by the right server, but for another row: all that someone with the database alone can copy.
        let (sealed,): (Vec<u8>,) = tx.query_one("SELECT sealed FROM signing_key", params![]).await.unwrap();
        tx.execute(
            "INSERT INTO signing_key (kid, number, algorithm, public, sealed, created_at, active_from)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            params!["planted", 2, "EdDSA", &planted.verifying_key().to_bytes(), &sealed, 0, 0],
        )
        .await
        .unwrap();
        commit(tx).await;

        let mut view = world.test.door.read(TenantId::PLATFORM).await.unwrap();
        let error = world.keys.reload(&mut view).await.unwrap_err();
        assert!(matches!(&error, KeysError::Damaged { kid } if kid == "planted"), "{error}");
        assert!(world.tokens.verify(world.now(), &token).is_ok());
        let (mut header, claims) = parts(&token);
        header["kid"] = json!("planted");
        let signature = planted.sign(signed_part(&header, &claims).as_bytes()).to_bytes();
        assert_eq!(refusal(&world, &assembled(&header, &claims, &signature)), VerifyError::UnknownKey);
    }
}

#[tokio::test]
async fn a_swapped_public_key_changes_nothing() {
    for world in worlds().await {
        let before = world.keys.jwks(world.now());
        let mut tx = world.write().await;
        tx.execute("UPDATE signing_key SET public = $1", params![&[7u8; 32]]).await.unwrap();
        commit(tx).await;
        world.reload().await;
        assert_eq!(world.keys.jwks(world.now()), before);
    }
}
