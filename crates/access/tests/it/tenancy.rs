// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Customers' tenants on both engines: what holds when several change one at once, and when a change is undone.

use std::sync::atomic::{AtomicBool, Ordering};

use access::tenancy::{
    Change, CustomerState, GRACE_MS, Grants, HolderKind, InvitationToken, InvitedTo, MAX_INVITED_MS,
    MemberState, Name, NewCustomer, NewDevice, NewGrant, NewInvitation, NewPolicies, OrganisationId,
    RoleName,
};
use access::{
    Access, Action, BuiltInRole, Caller, Invited, MAX_DEPTH, MIGRATIONS, Place, PlatformRoles, Refused,
    Resource, Scopes, SignedIn, Tenancy, TenancyError, Via,
};
use custody::{Custody, RootKeys};
use store::testing::{TestStore, engines};
use store::{Entry, ManualClock, Record, Store, TenantId, WriteTx};
use uuid::Uuid;

pub(crate) const ADA: Uuid = Uuid::from_u128(0xada);
const BEA: Uuid = Uuid::from_u128(0xbea);
const CLEO: Uuid = Uuid::from_u128(0xc1e0);

/// A tenant of Ada's.
pub(crate) struct House {
    pub(crate) name: &'static str,
    pub(crate) access: Access,
    pub(crate) tenancy: Tenancy,
    pub(crate) tenant: TenantId,
    pub(crate) clock: std::sync::Arc<ManualClock>,
    #[allow(dead_code, reason = "held, not used")]
    held: (Store, tempfile::TempDir, tempfile::TempDir),
}

pub(crate) fn signed_in(account: Uuid) -> SignedIn {
    SignedIn {
        account,
        home: TenantId::from_uuid(account),
        via: Via::Session(account),
        fresh_until: Some(i64::MAX),
        suspended: false,
        platform_roles: PlatformRoles::NONE,
    }
}

fn caller(account: Uuid) -> Caller {
    Caller::account(signed_in(account), "req_1")
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) const ROOMS: &[&[store::Migration]] = &[custody::MIGRATIONS, MIGRATIONS];

async fn houses() -> Vec<House> {
    let mut houses = Vec::new();
    for test in engines(ROOMS).await.unwrap() {
        houses.push(House::built(test).await);
    }
    houses
}

impl House {
    pub(crate) async fn built(test: TestStore) -> House {
        let TestStore { name: engine, store, door, clock, config: _, folder } = test;
        let keys = tempfile::tempdir().unwrap();
        let entry = Entry { actor: "system:test".to_owned(), ..Entry::default() };
        let mut tx = door.write(TenantId::PLATFORM, entry).await.unwrap();
        let root = RootKeys::file(keys.path().join("root.key"), &mut tx).await.unwrap();
        let custody = Custody::open(root, &mut tx).await.unwrap();
        tx.commit(Record::about("root")).await.unwrap();
        let house = House {
            name: engine,
            access: Access::new(door).unwrap(),
            tenancy: Tenancy::new(custody),
            tenant: TenantId::customer(),
            clock,
            held: (store, folder, keys),
        };
        let worker = Caller::system("tenants", "req_0");
        let mut tx = house.access.found(&worker, house.tenant).await.unwrap();
        let (acme, founder) = (name("Acme"), name("Ada"));
        let new = NewCustomer { name: &acme, region: "default", owner: signed_in(ADA), label: &founder };
        house.tenancy.found(&mut tx, &new).await.unwrap();
        tx.commit(Record::about(house.tenant)).await.unwrap();
        house.clock.advance(1);
        house
    }

    fn whole(&self) -> OrganisationId {
        OrganisationId::from_uuid(*self.tenant.uuid())
    }

    async fn enter(&self, account: Uuid, action: Action) -> Result<WriteTx, Refused> {
        self.access.enter(&caller(account), self.tenant, action, Resource::Customer).await
    }

    async fn may(&self, account: Uuid, action: Action, resource: Resource) -> Result<(), Refused> {
        self.access.view(&caller(account), self.tenant, action, resource).await.map(drop)
    }

    pub(crate) async fn commit(&self, tx: WriteTx) {
        tx.commit(Record::about("test")).await.unwrap();
        self.clock.advance(1);
    }

    async fn add(&self, account: Uuid, role: Option<BuiltInRole>) {
        let mut tx = self.enter(ADA, Action::MemberInvite).await.unwrap();
        self.tenancy
            .add_member(&mut tx, account, TenantId::from_uuid(account), &name("somebody"))
            .await
            .unwrap();
        if let Some(role) = role {
            let grant = self.grant(account, role, Place::Organisation(*self.tenant.uuid()));
            self.tenancy.grant(&mut tx, grant, "acc_test").await.unwrap();
        }
        self.commit(tx).await;
    }

    fn grant(&self, holder: Uuid, role: BuiltInRole, place: Place) -> NewGrant {
        NewGrant { holder_kind: HolderKind::Member, holder, role: RoleName::BuiltIn(role), place }
    }

    async fn organisation(&self, name_of: &str, parent: OrganisationId) -> OrganisationId {
        let mut tx = self.enter(ADA, Action::OrganisationWrite).await.unwrap();
        let made = self.tenancy.create_organisation(&mut tx, parent, &name(name_of)).await.unwrap();
        self.commit(tx).await;
        made.id
    }
}

#[tokio::test]
async fn what_was_changed_and_undone_is_not_remembered() {
    for house in houses().await {
        house.add(BEA, Some(BuiltInRole::Admin)).await;
        house.may(BEA, Action::MemberRead, Resource::Customer).await.unwrap();
        let mut tx = house.enter(ADA, Action::MemberSuspend).await.unwrap();
        house.tenancy.set_member_state(&mut tx, BEA, MemberState::Suspended).await.unwrap();
        // Within the change she is suspended.
        let asked = house.access.also(&mut tx, &caller(BEA), Action::MemberRead, Resource::Customer).await;
        assert!(matches!(asked, Err(Refused::Suspended)), "{}", house.name);
        drop(tx);
        house.may(BEA, Action::MemberRead, Resource::Customer).await.unwrap();

        let mut tx = house.enter(ADA, Action::MemberRemove).await.unwrap();
        house.tenancy.remove_member(&mut tx, BEA).await.unwrap();
        house.commit(tx).await;
        let asked = house.may(BEA, Action::TenantRead, Resource::Customer).await;
        assert!(matches!(asked, Err(Refused::NotFound)), "{}: {asked:?}", house.name);
    }
}

#[tokio::test]
async fn of_two_owners_who_leave_at_once_one_stays() {
    for house in houses().await {
        house.add(BEA, Some(BuiltInRole::Owner)).await;
        let leave = async |account: Uuid| -> Result<(), TenancyError> {
            let mut tx = house.enter(account, Action::TenantLeave).await?;
            house.tenancy.remove_member(&mut tx, account).await?;
            tx.commit(Record::about("leave")).await?;
            Ok(())
        };
        let (ada, bea) = tokio::join!(leave(ADA), leave(BEA));
        assert!(ada.is_err() || bea.is_err(), "{}", house.name);
        let owner = if ada.is_err() { ADA } else { BEA };
        house.may(owner, Action::MemberRead, Resource::Customer).await.unwrap();
        let mut left = Ok(());
        for account in [ADA, BEA] {
            left = left.and(leave(account).await);
        }
        assert!(left.is_err(), "{}: somebody always stays", house.name);
    }
}

#[tokio::test]
async fn no_two_organisations_in_one_place_have_the_same_name() {
    for house in houses().await {
        let whole = house.whole();
        let (north, south) =
            (house.organisation("North", whole).await, house.organisation("South", whole).await);
        let town = house.organisation("Town", north).await;
        // Elsewhere a name is free.
        let other = house.organisation("Town", south).await;
        let mut tx = house.enter(ADA, Action::OrganisationWrite).await.unwrap();
        let (tenancy, is_taken) = (&house.tenancy, |refused: Result<(), TenancyError>, field: &str| {
            assert!(
                matches!(&refused, Err(TenancyError::Invalid { field: of, .. }) if *of == field),
                "{refused:?}"
            );
        });
        is_taken(tenancy.create_organisation(&mut tx, whole, &name("South")).await.map(drop), "name");
        is_taken(tenancy.rename_organisation(&mut tx, north, &name("South")).await, "name");
        is_taken(tenancy.move_organisation(&mut tx, other, north).await, "parent");
        tenancy.rename_organisation(&mut tx, town, &name("Town")).await.unwrap();
        tenancy.rename_organisation(&mut tx, other, &name("City")).await.unwrap();
        tenancy.move_organisation(&mut tx, other, north).await.unwrap();
        house.commit(tx).await;
    }
}

#[tokio::test]
async fn organisations_lie_in_one_another_and_never_in_a_circle() {
    for house in houses().await {
        let (north, south) = (
            house.organisation("North", house.whole()).await,
            house.organisation("South", house.whole()).await,
        );
        let town = house.organisation("Town", north).await;
        let mut tx = house.enter(ADA, Action::OrganisationWrite).await.unwrap();
        let circle = house.tenancy.move_organisation(&mut tx, north, town).await;
        assert!(matches!(circle, Err(TenancyError::Invalid { field: "parent", .. })), "{circle:?}");
        let itself = house.tenancy.move_organisation(&mut tx, north, north).await;
        assert!(matches!(itself, Err(TenancyError::Invalid { .. })), "{itself:?}");
        let whole = house.tenancy.move_organisation(&mut tx, house.whole(), town).await;
        assert!(matches!(whole, Err(TenancyError::Invalid { .. })), "{whole:?}");
        assert!(matches!(
            house.tenancy.delete_organisation(&mut tx, north).await,
            Err(TenancyError::InUse(_))
        ));
        let mut deepest = south;
        for _ in 1..MAX_DEPTH {
            deepest = house.tenancy.create_organisation(&mut tx, deepest, &name("deeper")).await.unwrap().id;
        }
        let deeper = house.tenancy.create_organisation(&mut tx, deepest, &name("too deep")).await;
        assert!(matches!(deeper, Err(TenancyError::TooMany(_))), "{deeper:?}");
        let moved = house.tenancy.move_organisation(&mut tx, north, deepest).await;
        assert!(matches!(moved, Err(TenancyError::TooMany(_))), "{moved:?}");
        house.tenancy.move_organisation(&mut tx, town, south).await.unwrap();
        house.tenancy.delete_organisation(&mut tx, north).await.unwrap();
        house.commit(tx).await;
    }
}

#[tokio::test]
async fn a_role_on_a_device_is_given_by_who_has_what_it_does_to_a_device() {
    for house in houses().await {
        let north = house.organisation("North", house.whole()).await;
        house.add(BEA, None).await;
        house.add(CLEO, None).await;
        let mut tx = house.enter(ADA, Action::DeviceWrite).await.unwrap();
        let meter = name("meter");
        let new = NewDevice { external_id: "0004A30B001C0530", name: &meter, organisation: north };
        let device = house.tenancy.register_device(&mut tx, new).await.unwrap();
        let again = house
            .tenancy
            .register_device(&mut tx, NewDevice { external_id: "0004a30b001c0530", ..new })
            .await;
        assert!(matches!(again, Err(TenancyError::Exists(_))), "{again:?}");
        let manager = house.grant(BEA, BuiltInRole::Manager, Place::Organisation(*north.uuid()));
        house.tenancy.grant(&mut tx, manager, "acc_test").await.unwrap();
        house.commit(tx).await;

        let place = Place::Device(*device.id.uuid());
        let mut tx =
            house.access.enter(&caller(BEA), house.tenant, Action::RoleGrant, place.into()).await.unwrap();
        let policies = house.access.policies();
        for (role, may) in
            [(BuiltInRole::Viewer, true), (BuiltInRole::Operator, true), (BuiltInRole::Manager, true)]
        {
            let grant = house.grant(CLEO, role, place);
            let given = house.tenancy.given(&mut tx, policies, &grant).await.unwrap();
            assert_eq!(house.access.covers_all(&mut tx, &caller(BEA), &given).await.is_ok(), may, "{role}");
        }
        let admin = house.grant(CLEO, BuiltInRole::Admin, place);
        let refused = house.tenancy.grant(&mut tx, admin, "acc_test").await;
        assert!(matches!(refused, Err(TenancyError::Invalid { field: "place", .. })), "{refused:?}");
        let viewer = house.grant(CLEO, BuiltInRole::Viewer, place);
        assert!(house.tenancy.grant(&mut tx, viewer, "acc_test").await.unwrap());
        assert!(!house.tenancy.grant(&mut tx, viewer, "acc_test").await.unwrap(), "held already");
        house.commit(tx).await;

        let (mut tx, visible) =
            house.access.view_devices(&caller(CLEO), house.tenant, Action::DeviceRead).await.unwrap();
        let seen = house.tenancy.devices(&mut tx, &visible, None, 10).await.unwrap();
        assert_eq!(seen.devices.iter().map(|seen| seen.id).collect::<Vec<_>>(), [device.id]);
        drop(tx);
        // With the device the roles on it go.
        let mut tx = house.enter(ADA, Action::DeviceDelete).await.unwrap();
        house.tenancy.delete_device(&mut tx, device.id).await.unwrap();
        let (left, _) = house.tenancy.grants(&mut tx, Grants::Of(CLEO), None, 10).await.unwrap();
        assert_eq!(left, []);
        house.commit(tx).await;
    }
}

#[tokio::test]
async fn grants_are_listed_in_pages_of_one_holder_of_one_place_or_all() {
    for house in houses().await {
        house.add(BEA, Some(BuiltInRole::Admin)).await;
        let north = house.organisation("North", house.whole()).await;
        let mut tx = house.enter(ADA, Action::RoleGrant).await.unwrap();
        for role in [BuiltInRole::Viewer, BuiltInRole::Operator] {
            let grant = house.grant(BEA, role, Place::Organisation(*north.uuid()));
            house.tenancy.grant(&mut tx, grant, "acc_test").await.unwrap();
        }
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let (page, more) = house.tenancy.grants(&mut tx, Grants::All, after, 1).await.unwrap();
            after = page.last().map(|grant| (grant.holder, grant.role, grant.place.uuid()));
            all.extend(page);
            if !more {
                break;
            }
        }
        assert_eq!(all.len(), 4, "{}", house.name);
        let count =
            async |tx: &mut WriteTx, which| house.tenancy.grants(tx, which, None, 10).await.unwrap().0.len();
        assert_eq!(count(&mut tx, Grants::Of(BEA)).await, 3);
        assert_eq!(count(&mut tx, Grants::Of(CLEO)).await, 0);
        assert_eq!(count(&mut tx, Grants::At(Place::Organisation(*north.uuid()))).await, 2);
    }
}

#[tokio::test]
async fn an_owner_is_no_auditor_neither_by_themselves_nor_in_a_team() {
    for house in houses().await {
        let whole = Place::Organisation(*house.tenant.uuid());
        let mut tx = house.enter(ADA, Action::TeamWrite).await.unwrap();
        let audited =
            house.tenancy.grant(&mut tx, house.grant(ADA, BuiltInRole::Auditor, whole), "acc_test").await;
        assert!(matches!(audited, Err(TenancyError::Invalid { .. })), "{audited:?}");
        drop(tx);
        let mut tx = house.enter(ADA, Action::TeamWrite).await.unwrap();
        let team = house.tenancy.create_team(&mut tx, &name("Auditors")).await.unwrap().id;
        let auditor = NewGrant {
            holder_kind: HolderKind::Team,
            holder: *team.uuid(),
            role: RoleName::BuiltIn(BuiltInRole::Auditor),
            place: whole,
        };
        house.tenancy.grant(&mut tx, auditor, "acc_test").await.unwrap();
        let added = house.tenancy.add_to_team(&mut tx, team, ADA).await;
        assert!(matches!(added, Err(TenancyError::Invalid { .. })), "{added:?}");
    }
}

/// Somebody who shows a token.
fn shows(token: &InvitationToken, account: Uuid) -> InvitedTo<'_> {
    InvitedTo { token, account, home: TenantId::from_uuid(account), email_index: None }
}

async fn join(house: &House, token: &InvitationToken, account: Uuid) -> Result<(), TenancyError> {
    let who = shows(token, account);
    let worker = Caller::system("invitations", "");
    let mut view =
        house.access.view(&worker, house.tenant, Action::MaintenanceRun, Resource::Customer).await?;
    let Some(invitation) = house.tenancy.invited(&mut view, &who).await? else { return Ok(()) };
    drop(view);
    let invited = caller(account).invited(Invited { tenant: house.tenant, invitation: *invitation.uuid() });
    let mut tx = house.access.enter(&invited, house.tenant, Action::TenantJoin, Resource::Customer).await?;
    house.tenancy.join(&mut tx, &house.access, &who, Some(&name("me"))).await?;
    tx.commit(Record::about("join")).await?;
    Ok(())
}

#[tokio::test]
async fn of_two_who_join_by_one_link_at_once_one_is_in() {
    for house in houses().await {
        let mut tx = house.enter(ADA, Action::MemberInvite).await.unwrap();
        let now = tx.now();
        let link = NewInvitation {
            address: None,
            label: None,
            roles: &[],
            uses: 1,
            expires_at: now + 60_000,
            inviter: ADA,
        };
        for wrong in [
            NewInvitation { uses: 0, ..link.clone() },
            NewInvitation { uses: 1_001, ..link.clone() },
            NewInvitation { expires_at: now, ..link.clone() },
            NewInvitation { expires_at: now + MAX_INVITED_MS + 1, ..link.clone() },
        ] {
            let made = house.tenancy.create_invitation(&mut tx, &wrong).await;
            assert!(matches!(made, Err(TenancyError::Invalid { .. })), "{wrong:?}");
        }
        let (_, token) = house.tenancy.create_invitation(&mut tx, &link).await.unwrap();
        house.commit(tx).await;
        let (bea, cleo) = tokio::join!(join(&house, &token, BEA), join(&house, &token, CLEO));
        assert!(bea.is_ok() != cleo.is_ok(), "{}: {bea:?} {cleo:?}", house.name);
        let (inside, outside) = if bea.is_ok() { (BEA, CLEO) } else { (CLEO, BEA) };
        house.clock.advance(60_000);
        // Who is in shows it again, when the directory has not heard of it; everybody else is told nothing.
        join(&house, &token, inside).await.unwrap();
        assert!(matches!(join(&house, &token, outside).await, Err(TenancyError::InvitationOver)));
    }
}

#[tokio::test]
async fn a_suspension_holds_a_deletion_up_and_does_not_end_it() {
    for house in houses().await {
        let mut tx = house.enter(ADA, Action::TenantDelete).await.unwrap();
        let change = Change { after: Some(serde_json::json!({ "secret": "plan" })), ..Change::default() };
        let details = house.tenancy.record(&mut tx, "ten_1", &change).await.unwrap();
        let due = house.tenancy.close(&mut tx).await.unwrap();
        tx.commit(details).await.unwrap();
        let worker = Caller::system("tenants", "");
        let enter = async |action| {
            house.access.enter(&worker, house.tenant, action, Resource::Customer).await.unwrap()
        };

        let mut tx = enter(Action::TenantSuspend).await;
        assert!(house.tenancy.suspend(&mut tx).await.unwrap());
        assert!(!house.tenancy.suspend(&mut tx).await.unwrap());
        assert!(matches!(house.tenancy.reopen(&mut tx).await, Err(TenancyError::InUse(_))));
        house.commit(tx).await;
        house.clock.advance(GRACE_MS);
        let mut tx = enter(Action::MaintenanceRun).await;
        assert!(matches!(house.tenancy.shred(&mut tx).await, Err(TenancyError::InUse(_))), "it is held up");
        assert_eq!(house.tenancy.resume(&mut tx).await.unwrap(), CustomerState::Closing);
        assert_eq!(house.tenancy.state(&mut tx).await.unwrap(), (CustomerState::Closing, Some(due)));
        house.commit(tx).await;

        let mut tx = enter(Action::MaintenanceRun).await;
        let sealed: Vec<(Vec<u8>,)> =
            tx.query("SELECT details FROM record WHERE action = 'tenant.delete'", &[]).await.unwrap();
        let (sealed,) = &sealed[0];
        assert_eq!(house.tenancy.details(&mut tx, "ten_1", sealed).await.unwrap()["after"]["secret"], "plan");
        house.tenancy.shred(&mut tx).await.unwrap();
        house.tenancy.shred(&mut tx).await.unwrap();
        house.commit(tx).await;
        let mut tx = enter(Action::MaintenanceRun).await;
        assert!(house.tenancy.details(&mut tx, "ten_1", sealed).await.is_err(), "{}", house.name);
        assert!(matches!(house.tenancy.reopen(&mut tx).await, Err(TenancyError::NotFound)));
        drop(tx);
        let asked = house.may(ADA, Action::TenantRead, Resource::Customer).await;
        assert!(matches!(asked, Err(Refused::NotFound)), "{asked:?}");
    }
}

#[tokio::test]
async fn what_moving_gives_and_takes_is_what_is_held_above_one_place_and_not_the_other() {
    for house in houses().await {
        let (north, south) = (
            house.organisation("North", house.whole()).await,
            house.organisation("South", house.whole()).await,
        );
        let town = house.organisation("Town", north).await;
        house.add(BEA, None).await;
        let mut tx = house.enter(ADA, Action::RoleWrite).await.unwrap();
        let reads: Scopes = [Action::LogRead].into_iter().collect();
        let role = house.tenancy.create_role(&mut tx, &name("Reader"), reads).await.unwrap().id;
        let at = |place: OrganisationId| NewGrant {
            holder_kind: HolderKind::Member,
            holder: BEA,
            role: RoleName::Own(role),
            place: Place::Organisation(*place.uuid()),
        };
        let policies = house.access.policies();
        assert_eq!(house.tenancy.moved(&mut tx, policies, north, south).await.unwrap(), Scopes::NONE);
        house.tenancy.grant(&mut tx, at(house.whole()), "acc_test").await.unwrap();
        assert_eq!(house.tenancy.moved(&mut tx, policies, north, south).await.unwrap(), Scopes::NONE);
        house.tenancy.grant(&mut tx, at(south), "acc_test").await.unwrap();
        assert_eq!(house.tenancy.moved(&mut tx, policies, north, south).await.unwrap(), reads);
        assert_eq!(house.tenancy.moved(&mut tx, policies, south, town).await.unwrap(), reads);
        assert_eq!(house.tenancy.moved(&mut tx, policies, north, town).await.unwrap(), Scopes::NONE);
    }
}

#[tokio::test]
async fn who_asks_a_thousand_questions_leaves_others_their_turns() {
    for house in houses().await {
        let mut tx = house.enter(ADA, Action::OrganisationWrite).await.unwrap();
        for n in 0..150 {
            let called = name(&format!("Place {n}"));
            house.tenancy.create_organisation(&mut tx, house.whole(), &called).await.unwrap();
        }
        house.commit(tx).await;
        // As slow as they may be, and about a single thing, so that each place is another question.
        let slow = format!("\"{}b\" like \"{}c\"", "a".repeat(250), "*a".repeat(120));
        let any = vec![slow; 30].join(" || ");
        let nobody = Uuid::from_u128(7);
        let text = format!(
            "@id(\"slow\") permit (principal, action, resource) when {{ {any} }};\n\
             @id(\"one\") forbid (principal, action, resource == Device::\"{nobody}\");"
        );
        let mut tx = house.enter(ADA, Action::PolicyWrite).await.unwrap();
        let new = NewPolicies { text: &text, author: "acc_test", note: None, restores: None, after: 0 };
        house.tenancy.put_policies(&mut tx, new).await.unwrap();
        house.commit(tx).await;

        let (asking, mut turns) = (AtomicBool::new(true), 0);
        let (asked, ()) = tokio::join!(
            async {
                let asked =
                    house.access.view_devices(&caller(ADA), house.tenant, Action::DeviceRead).await.map(drop);
                asking.store(false, Ordering::Relaxed);
                asked
            },
            async {
                while asking.load(Ordering::Relaxed) {
                    turns += 1;
                    tokio::task::yield_now().await;
                }
            }
        );
        asked.unwrap();
        assert!(turns > 5, "{}: {turns} turns", house.name);
    }
}
