// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a decision costs. The goal is less than 40 µs in a release build; a refusal that offers a
//! fresh proof is two decisions, since nobody is asked for one in vain.

use access::{Action, Caller, PlatformRole, Policies, Resource, SignedIn, Via};
use divan::{Bencher, black_box};
use store::TenantId;
use uuid::Uuid;

fn main() {
    divan::main();
}

const NOW: i64 = 1_767_225_600_000;
const ID: Uuid = Uuid::from_u128(7);

fn owner() -> SignedIn {
    SignedIn {
        account: ID,
        home: TenantId::from_uuid(ID),
        via: Via::Session(ID),
        fresh_until: Some(NOW + 60_000),
        suspended: false,
        platform_roles: [PlatformRole::Auditor].into_iter().collect(),
    }
}

fn decide(bencher: Bencher<'_, '_>, caller: &Caller, tenant: TenantId, action: Action, resource: Resource) {
    let Ok(policies) = Policies::built_in() else { return };
    bencher.bench(|| policies.decide(black_box(caller), tenant, black_box(action), black_box(resource), NOW));
}

#[divan::bench]
fn owner_writes_an_item(bencher: Bencher<'_, '_>) {
    let item = Resource::Item { collection: ID, id: ID };
    decide(bencher, &Caller::account(owner(), "req_1"), TenantId::from_uuid(ID), Action::ItemWrite, item);
}

#[divan::bench]
fn stranger_is_refused(bencher: Bencher<'_, '_>) {
    let other = TenantId::from_uuid(Uuid::from_u128(8));
    decide(bencher, &Caller::account(owner(), "req_1"), other, Action::CollectionList, Resource::Home);
}

#[divan::bench]
fn stale_proof_is_refused(bencher: Bencher<'_, '_>) {
    let stale = Caller::account(SignedIn { fresh_until: None, ..owner() }, "req_1");
    decide(bencher, &stale, TenantId::from_uuid(ID), Action::PasswordChange, Resource::Home);
}

#[divan::bench]
fn visitor_shows_a_session(bencher: Bencher<'_, '_>) {
    let visitor = Caller::visitor("req_1");
    decide(bencher, &visitor, TenantId::from_uuid(ID), Action::SessionAuthenticate, Resource::Home);
}

#[divan::bench]
fn the_policies_are_read_and_validated() -> Option<Policies> {
    Policies::built_in().ok()
}
