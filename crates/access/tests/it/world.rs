// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The people and places that the claims are about.

use access::{Action, Caller, PlatformRole, PlatformRoles, Resource, Scopes, SignedIn, Via};
use store::TenantId;
use uuid::Uuid;

pub(crate) const NOW: i64 = 1_767_225_600_000;

pub(crate) const ACCOUNT: Uuid = Uuid::from_u128(0xacc);
pub(crate) const NEIGHBOUR: Uuid = Uuid::from_u128(0xbee);

pub(crate) fn home() -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(0xa))
}

pub(crate) fn neighbours_home() -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(0xb))
}

/// An account in its home, its proof of identity fresh for another minute.
pub(crate) fn signed_in() -> SignedIn {
    SignedIn {
        account: ACCOUNT,
        home: home(),
        via: Via::Session(Uuid::from_u128(0x5e5)),
        fresh_until: Some(NOW + 60_000),
        suspended: false,
        platform_roles: PlatformRoles::NONE,
    }
}

pub(crate) fn account(account: SignedIn) -> Caller {
    Caller::account(account, "req_1")
}

pub(crate) fn with_role(role: PlatformRole) -> SignedIn {
    SignedIn { platform_roles: [role].into_iter().collect(), ..signed_in() }
}

/// Every kind of caller, in the order of the table's columns.
pub(crate) fn callers() -> [(&'static str, Caller); 10] {
    let stale = |account: SignedIn| SignedIn { fresh_until: Some(NOW), ..account };
    [
        ("visitor", Caller::visitor("req_1")),
        ("owner", account(stale(signed_in()))),
        ("owner, fresh", account(signed_in())),
        ("suspended", account(SignedIn { suspended: true, ..signed_in() })),
        ("narrow token", account(signed_in()).within(Scopes::from_iter([Action::ItemRead]))),
        ("administrator, fresh", account(with_role(PlatformRole::Administrator))),
        ("administrator", account(stale(with_role(PlatformRole::Administrator)))),
        ("operator, fresh", account(with_role(PlatformRole::Operator))),
        ("auditor, fresh", account(with_role(PlatformRole::Auditor))),
        ("worker", Caller::system("sweep", "req_1")),
    ]
}

/// One of each kind of thing; `of` is the account that a directory entry is about.
pub(crate) fn resources(of: Uuid) -> [Resource; 8] {
    let (collection, id) = (Uuid::from_u128(0xc01), Uuid::from_u128(0x1d));
    [
        Resource::Home,
        Resource::Session(id),
        Resource::Collection(collection),
        Resource::Item { collection, id },
        Resource::File { collection, id },
        Resource::Log,
        Resource::Platform,
        Resource::DirectoryEntry { account: of },
    ]
}
