// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What can be said of the server without running it; the rest is in the end-to-end tests.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use serde_json::Value;

fn document() -> Value {
    serde_json::from_str(&server::openapi().unwrap()).unwrap()
}

#[test]
fn the_openapi_document_in_the_repository_is_the_one_that_is_served() {
    let kept = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi.json")).unwrap();
    assert!(
        kept == server::openapi().unwrap(),
        "it drifted: run `bailiwick openapi > openapi.json`, and look at the change"
    );
}

#[test]
fn every_route_says_who_may_call_it_and_what_it_answers() {
    /// Routes for people who have not signed in.
    const OPEN: [&str; 29] = [
        "/.well-known/bailiwick",
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/livez",
        "/readyz",
        "/api/v1/api-keys/report",
        "/api/v1/auth/token",
        "/api/v1/authorize/login-required",
        "/api/v1/pairings",
        "/api/v1/pairings/device/answer",
        "/api/v1/pairings/device/cancel",
        "/api/v1/pairings/device/redeem",
        "/api/v1/pairings/device/take",
        "/api/v1/signin/imported/start",
        "/api/v1/signin/passkey/finish",
        "/api/v1/signin/passkey/start",
        "/api/v1/signin/password/finish",
        "/api/v1/signin/password/start",
        "/api/v1/signin/provider/finish",
        "/api/v1/signin/provider/start",
        "/api/v1/signin/providers",
        "/api/v1/signin/recovery-key",
        "/api/v1/signup/finish",
        "/api/v1/signup/passkey/finish",
        "/api/v1/signup/passkey/start",
        "/api/v1/signup/provider",
        "/api/v1/signup/salt",
        "/api/v1/signup/start",
    ];
    for (path, methods) in document()["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let protected = operation["security"].as_array().is_some_and(|security| !security.is_empty());
            // OAuth's own routes: who may ask there, its documents say.
            let is_open = OPEN.contains(&path.as_str()) || path.starts_with("/oauth/");
            assert_eq!(protected, !is_open, "{method} {path}");
            assert!(operation["operationId"].is_string(), "{method} {path}");
            assert!(!operation["responses"].as_object().unwrap().is_empty(), "{method} {path}");
        }
    }
}

#[test]
fn every_request_body_refuses_unknown_fields() {
    let document = document();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let Some(reference) =
                operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str()
            else {
                continue;
            };
            let name = reference.rsplit('/').next().unwrap();
            let schema = &document["components"]["schemas"][name];
            assert_eq!(schema["additionalProperties"], Value::Bool(false), "{method} {path}: {name}");
        }
    }
}

#[test]
fn every_operation_lists_the_errors_that_it_may_answer_with() {
    for (path, methods) in document()["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            // OAuth's clients read errors in a form of their own, also where their old ones show passwords.
            if !path.starts_with("/api/") || path == "/api/v1/auth/token" {
                continue;
            }
            let lists = |status: &str| operation["responses"][status].is_object();
            let must = |when: bool, statuses: &[&str]| {
                for status in statuses.iter().filter(|_| when) {
                    assert!(lists(status), "{method} {path}: {status}");
                }
            };
            let protected = operation["security"].as_array().is_some_and(|security| !security.is_empty());
            let takes = |name: &str| {
                let parameters = operation["parameters"].as_array();
                parameters
                    .is_some_and(|parameters| parameters.iter().any(|parameter| parameter["name"] == name))
            };
            let json = operation["requestBody"]["content"]["application/json"].is_object();
            must(true, &["429", "503"]);
            must(protected, &["401", "403"]);
            must(path.contains('{'), &["404"]);
            must(protected && method != "get", &["409"]);
            must(takes("If-Match") && takes("If-None-Match"), &["412", "428"]);
            must(json, &["400", "413", "415", "422"]);
            must(operation["requestBody"].is_object(), &["413", "422"]);
            let errors = operation["responses"].as_object().unwrap();
            for (status, response) in errors.iter().filter(|(status, _)| status.as_str() >= "400") {
                let content = response["content"].as_object().unwrap();
                let (_, body) = content.iter().next().unwrap();
                assert_eq!(
                    body["schema"]["$ref"], "#/components/schemas/Problem",
                    "{method} {path}: {status}"
                );
            }
        }
    }
}
