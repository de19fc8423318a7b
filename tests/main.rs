// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The whole of Bailiwick against the real binary, on both engines: each test is a claim about what people,
//! scripts, operators and thieves see.
#![allow(missing_docs)]

mod acme;
mod api_keys;
mod backups;
mod broken_worlds;
mod crash;
mod curious_operator;
mod demo;
mod enumeration;
mod federation;
mod files;
mod front_end;
mod imported;
mod instruments;
mod isolation;
mod keychain;
mod limits;
mod mail;
mod manners;
mod memory;
mod oauth;
mod operating;
mod pairing;
mod passkeys;
mod platform_keys;
mod policies;
mod prompts;
mod request_audit;
mod requests;
mod rollback;
mod scripting;
mod secrets;
mod service_accounts;
mod sessions;
mod sharing;
mod signin;
mod story;
mod strangers;
mod suspended_accounts;
mod tampering;
mod tenant_collections;
mod tenants;
mod tls;
mod versions;
mod ways_in;
