// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who runs the platform.

use access::{
    Access, Action, Caller, MIGRATIONS, PlatformGrant, PlatformRole, PlatformRoles, Refused, Resource,
    SignedIn,
};
use store::testing::engines;
use store::{Record, TenantId};

use crate::world::{ACCOUNT, NEIGHBOUR, account, signed_in};

const PLATFORM: TenantId = TenantId::PLATFORM;

#[tokio::test]
async fn a_role_is_held_from_its_grant_to_its_revocation() {
    for test in engines(&[MIGRATIONS]).await.unwrap() {
        let access = Access::new(test.door).unwrap();
        let machine = Caller::system("command-line", "req_1");
        let mut tx =
            access.enter(&machine, PLATFORM, Action::PlatformAdminister, Resource::Platform).await.unwrap();
        let granted_at = tx.now();
        assert!(PlatformRole::Administrator.grant(&mut tx, ACCOUNT, &machine).await.unwrap());
        assert!(
            !PlatformRole::Administrator.grant(&mut tx, ACCOUNT, &machine).await.unwrap(),
            "held already"
        );
        assert!(PlatformRole::Auditor.grant(&mut tx, NEIGHBOUR, &machine).await.unwrap());
        tx.commit(Record::about("platform_role")).await.unwrap();

        let administrator =
            account(SignedIn { platform_roles: roles(&access, ACCOUNT).await, ..signed_in() });
        let mut view =
            access.view(&administrator, PLATFORM, Action::PlatformRead, Resource::Platform).await.unwrap();
        let grant = |account, role| PlatformGrant { account, role, granted_at, granted_by: machine.actor() };
        assert_eq!(
            PlatformRole::list(&mut view).await.unwrap(),
            [grant(ACCOUNT, PlatformRole::Administrator), grant(NEIGHBOUR, PlatformRole::Auditor)]
        );
        drop(view);

        let mut tx = access
            .enter(&administrator, PLATFORM, Action::PlatformAdminister, Resource::Platform)
            .await
            .unwrap();
        assert!(PlatformRole::Administrator.revoke(&mut tx, ACCOUNT).await.unwrap());
        assert!(!PlatformRole::Operator.revoke(&mut tx, ACCOUNT).await.unwrap(), "never held");
        tx.commit(Record::about("platform_role")).await.unwrap();

        let nobody = account(SignedIn { platform_roles: roles(&access, ACCOUNT).await, ..signed_in() });
        let refused = access.view(&nobody, PLATFORM, Action::PlatformRead, Resource::Platform).await.err();
        assert!(matches!(refused, Some(Refused::Forbidden { .. })), "{}", test.name);
    }
}

/// As the server loads them when an account shows its session.
async fn roles(access: &Access, account: uuid::Uuid) -> PlatformRoles {
    let visitor = Caller::visitor("req_2");
    let mut view =
        access.view(&visitor, PLATFORM, Action::SessionAuthenticate, Resource::Platform).await.unwrap();
    PlatformRoles::of(&mut view, account).await.unwrap()
}
