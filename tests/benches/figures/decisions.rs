// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Decisions in a customer's tenant: with a hundred policies of its own, ten thousand members and five levels of organisations.
//!
//! What a decision is compared with is Cedar's own `is_authorized`, of the same policies, on a request and entities that were
//! made before: the member with their roles, the item with the places that it lies in, and the action. Ours reads, in the
//! transaction that the decision opens, what of that may have changed since; it is never older than the transaction.

use std::time::Instant;

use access::tenancy::{Name, NewCollection, NewCustomer, NewDevice, OrganisationId};
use access::{Access, Action, Caller, PlatformRoles, Resource, SignedIn, Tenancy, Via};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicyId, PolicySet, Request,
    RestrictedExpression, Schema,
};
use custody::{Custody, RootKeys};
use harness::Engine;
use keyring::{Founding, Protection};
use serde_json::json;
use store::{Param, ReadTx, Record, TenantId, WriteTx, params};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::machine::{Place, size};
use crate::people::Somebody;
use crate::report::{Figure, Goal, Report};
use crate::rooms::{entry, open};
use crate::server::Server;
use crate::turns::{Compared, Cost, compare, turn};
use crate::wire::Wire;

/// Prints the figures of this theme.
pub fn figures(report: &mut Report) {
    report.theme("Decisions in a tenant with 100 policies of its own and organisations 5 deep");
    let runtime = Runtime::new().expect("a runtime");
    let cedar = Cedar::new();
    let mut of_few = None;
    for members in [100, size(10_000, 2_000)] {
        let folder = Place::Memory.folder();
        let house = runtime.block_on(House::with(&folder, members));
        let Compared { ours, theirs, ratio } = house.compare_new(&runtime, &cedar);
        report.add(
            Figure::new(format!("a decision, never made before, {members} members"), ours.time * 1e6, "µs")
                .against("Cedar's is_authorized", theirs.time * 1e6, ratio.time)
                .goal(Goal::AtMost(1.3)),
        );
        let few = *of_few.get_or_insert(ours.time);
        if few < ours.time || members > 100 {
            report.add(
                Figure::new(format!("the same, {members} members against 100"), ours.time * 1e6, "µs")
                    .times("100 members", few * 1e6),
            );
        }
        let again = house.again(&runtime);
        report.add(
            Figure::new(format!("a decision, made again, {members} members"), again.time * 1e6, "µs")
                .goal(Goal::AtMost(2.0)),
        );
        assert!(
            runtime.block_on(house.is_never_stale()),
            "a role that was taken is gone in the next decision"
        );
        let first = house.of_the_unseen(&runtime);
        report.add(Figure::new(
            format!("a decision on a member nobody asked for yet, {members} members"),
            first.time * 1e6,
            "µs",
        ));
    }
    on_the_wire(report, &runtime);
    listing(report, &runtime);
}

/// A request with its decision, against itself without it.
fn on_the_wire(report: &mut Report, runtime: &Runtime) {
    let folder = Place::Memory.folder();
    let house = runtime.block_on(House::with(&folder, 100));
    let server = Server::started(Engine::Sqlite, Place::Memory);
    let mut wire = Wire::to(&server.world.url());
    let token = Somebody::signs_up(&mut wire).token;
    let new = json!({ "name": "Acme", "label": "Ada" });
    let tenant = wire.post("/api/v1/tenants", Some(&token), &new).json();
    let tenant = tenant["id"].as_str().expect("an id");
    let path = format!("/api/v1/tenants/{tenant}/organisations");
    let request = wire.request("GET", &path, Some(&token), "", None);
    let Compared { ours: whole, theirs: decision, .. } = compare(
        || {
            let (begun, mut done) = (Instant::now(), 0_u32);
            while begun.elapsed() < turn() {
                wire.exchange(&request).succeeded();
                done += 1;
            }
            Cost::of(begun, done.into())
        },
        || house.again(runtime),
    );
    let without = whole.time - decision.time;
    report.add(
        Figure::new("a request in a tenant, by HTTP", whole.time * 1e6, "µs")
            .times("the same less its decision", without * 1e6)
            .goal(Goal::AtMost(1.05)),
    );
}

/// The devices that one may see, of a hundred thousand.
fn listing(report: &mut Report, runtime: &Runtime) {
    let devices = size(100_000, 5_000);
    let folder = Place::Memory.folder();
    let mut house = runtime.block_on(House::with(&folder, 100));
    runtime.block_on(house.registers(devices));
    for (who, member) in [("all of them", house.owner), ("those of a branch", house.members[0])] {
        let caller = caller(member);
        let begun = Instant::now();
        let (seen, pages) = runtime.block_on(house.all_devices(&caller));
        let each = begun.elapsed().as_secs_f64() / f64::from(pages);
        let filter = timed(runtime, async |_| {
            let listed = house.access.view_devices(&caller, house.tenant, Action::DeviceRead).await;
            let (mut tx, visible) = listed.expect("a view");
            house.tenancy.devices(&mut tx, &visible, None, 200).await.expect("a page");
        });
        report.add(
            Figure::new(format!("which of {devices} devices, {who}, and a page"), filter.time * 1e3, "ms")
                .goal(Goal::AtMost(50.0)),
        );
        report.add(Figure::new(format!("each of {pages} pages with {seen} of them"), each * 1e3, "ms"));
    }
}

/// A tenant: five levels of organisations, forty in each, every level below the first of the one above.
struct House {
    access: Access,
    tenancy: Tenancy,
    tenant: TenantId,
    owner: Uuid,
    members: Vec<Uuid>,
    organisations: Vec<OrganisationId>,
    collection: Uuid,
}

impl House {
    async fn with(folder: &tempfile::TempDir, members: usize) -> House {
        let engine = store::Engine::Sqlite { folder: folder.path().join("decisions"), open_files: 64 };
        let (_, door) = open(engine).await;
        let mut tx = door.write(TenantId::PLATFORM, entry()).await.expect("the platform");
        let root = RootKeys::file(folder.path().join("root.key"), &mut tx).await.expect("a root key");
        let custody = Custody::open(root, &mut tx).await.expect("custody");
        tx.commit(Record::about("root")).await.expect("a commit");
        let mut house = House {
            access: Access::new(door).expect("the policies"),
            tenancy: Tenancy::new(custody),
            tenant: TenantId::customer(),
            owner: Uuid::new_v4(),
            members: (0..members).map(|_| Uuid::new_v4()).collect(),
            organisations: Vec::new(),
            collection: Uuid::nil(),
        };
        house.found().await;
        house
    }

    async fn found(&mut self) {
        let worker = Caller::system("bench", "req_0");
        let mut tx = self.access.found(&worker, self.tenant).await.expect("a tenant");
        let name = name("Acme");
        let owner = signed_in(self.owner);
        let new = NewCustomer { name: &name, region: "default", owner, label: &name };
        self.tenancy.found(&mut tx, &new).await.expect("a tenant");
        let mut above = OrganisationId::from_uuid(*self.tenant.uuid());
        for _ in 0..LEVELS {
            let level = self.organisations.len();
            for _ in 0..WIDTH {
                let called = self::name(&format!("Place {}", self.organisations.len()));
                let made = self.tenancy.create_organisation(&mut tx, above, &called).await;
                self.organisations.push(made.expect("an organisation").id);
            }
            above = self.organisations[level];
        }
        let founding = Founding {
            tenant: keyring::TenantId::from_bytes(self.tenant.uuid().into_bytes()),
            protection: Protection::ServerSealed,
            created_by: "acc_1",
            salt: [1; 16],
            first_key: None,
        };
        let new = NewCollection { organisation: above, founding };
        self.collection = self.tenancy.add_collection(&mut tx, &new).await.expect("a collection").id;
        self.populate(&mut tx).await;
        let now = tx.now();
        tx.execute(
            "INSERT INTO policy_version (number, text, author, sealed_note, created_at) VALUES (1, $1, 'acc_1', $2, $3)",
            params![&own_policies(), [0_u8; 0].as_slice(), now],
        )
        .await
        .expect("policies");
        tx.commit(Record::about(self.tenant)).await.expect("a commit");
    }

    /// Every member looks at one branch.
    async fn populate(&self, tx: &mut WriteTx) {
        let now = tx.now();
        let (home, branch) = (*self.tenant.uuid(), *self.branch().uuid());
        let sealed: &[u8] = &[0; 32];
        for some in self.members.chunks(1_000) {
            let rows: Vec<Vec<Param<'_>>> = some
                .iter()
                .map(|account| {
                    vec![Param::from(account), Param::from(&home), Param::from(sealed), Param::from(now)]
                })
                .collect();
            let insert = "INSERT INTO member (account, home, state, sealed_label, joined_at, changed_at) \
                          VALUES ($1, $2, 'live', $3, $4, $4)";
            tx.execute_each(insert, &rows).await.expect("members");
            let rows: Vec<Vec<Param<'_>>> = some
                .iter()
                .map(|account| vec![Param::from(account), Param::from(&branch), Param::from(now)])
                .collect();
            let insert = "INSERT INTO role_grant (holder, role, place, is_device, holder_kind, granted_at, granted_by) \
                          VALUES ($1, 'viewer', $2, 0, 'member', $3, 'acc_1')";
            tx.execute_each(insert, &rows).await.expect("grants");
        }
    }

    /// The first of the second level: all levels below lie in it.
    fn branch(&self) -> OrganisationId {
        self.organisations[WIDTH]
    }

    fn item(&self, number: u64) -> Resource {
        Resource::Item { collection: self.collection, id: Uuid::from_u128(number.into()) }
    }

    async fn view(&self, caller: &Caller) -> ReadTx {
        self.access.view(caller, self.tenant, Action::ItemRead, self.item(0)).await.expect("a view")
    }

    /// Decisions that were never made before, against Cedar.
    fn compare_new(&self, runtime: &Runtime, cedar: &Cedar) -> Compared {
        let caller = caller(self.members[0]);
        let mut tx = runtime.block_on(self.view(&caller));
        let mut number = 0;
        let cedar = cedar.question(self);
        compare(
            || {
                timed(runtime, async |_| {
                    number += 1;
                    let resource = self.item(number);
                    self.access.also(&mut tx, &caller, Action::ItemRead, resource).await.expect("allowed");
                })
            },
            || timed(runtime, async |_| assert!(cedar.is_allowed())),
        )
    }

    /// The same decision again.
    fn again(&self, runtime: &Runtime) -> Cost {
        let caller = caller(self.members[0]);
        let mut tx = runtime.block_on(self.view(&caller));
        let place = Resource::Organisation(*self.organisations[LEVELS * WIDTH - 1].uuid());
        timed(runtime, async |_| {
            self.access.also(&mut tx, &caller, Action::DeviceRead, place).await.expect("allowed");
        })
    }

    /// A decision on a member of whom nothing is remembered.
    fn of_the_unseen(&self, runtime: &Runtime) -> Cost {
        let mut tx = runtime.block_on(self.view(&caller(self.members[0])));
        let (begun, mut done) = (Instant::now(), 0_u32);
        for member in self.members.iter().skip(10).take(1_000) {
            let member = caller(*member);
            let asked = self.access.also(&mut tx, &member, Action::ItemRead, self.item(7));
            runtime.block_on(asked).expect("allowed");
            done += 1;
        }
        Cost::of(begun, done.into())
    }

    /// Whether a role that was taken counts no more in the next transaction.
    async fn is_never_stale(&self) -> bool {
        let member = self.members[1];
        let caller = caller(member);
        let before = self.access.view(&caller, self.tenant, Action::ItemRead, self.item(1)).await.is_ok();
        let owner = self::caller(self.owner);
        let entered = self.access.enter(&owner, self.tenant, Action::MemberRemove, Resource::Customer).await;
        let mut tx = entered.expect("an owner");
        self.tenancy.remove_member(&mut tx, member).await.expect("a member");
        tx.commit(Record::about("member")).await.expect("a commit");
        let after = self.access.view(&caller, self.tenant, Action::ItemRead, self.item(1)).await.is_ok();
        before && !after
    }

    async fn registers(&mut self, devices: usize) {
        let owner = caller(self.owner);
        let entered = self.access.enter(&owner, self.tenant, Action::DeviceWrite, Resource::Customer).await;
        let mut tx = entered.expect("an owner");
        let name = name("a meter");
        for number in 0..devices {
            let organisation = self.organisations[number % self.organisations.len()];
            let external_id = format!("{number:016X}");
            let new = NewDevice { external_id: &external_id, name: &name, organisation };
            self.tenancy.register_device(&mut tx, new).await.expect("a device");
        }
        tx.commit(Record::about("devices")).await.expect("a commit");
    }

    /// Every device that the caller sees, page by page: how many, on how many pages.
    async fn all_devices(&self, caller: &Caller) -> (usize, u32) {
        let (mut seen, mut pages, mut after) = (0, 0, None);
        loop {
            let listed = self.access.view_devices(caller, self.tenant, Action::DeviceRead).await;
            let (mut tx, visible) = listed.expect("a view");
            let page = self.tenancy.devices(&mut tx, &visible, after, 200).await.expect("a page");
            seen += page.devices.len();
            pages += 1;
            match page.next {
                Some(next) => after = Some(next),
                None => return (seen, pages),
            }
        }
    }
}

/// The policies as Cedar has them.
struct Cedar {
    set: PolicySet,
    schema: Schema,
}

/// A question that is put to Cedar: the smallest that suffices.
struct Question<'a> {
    cedar: &'a Cedar,
    authorizer: Authorizer,
    request: Request,
    entities: Entities,
}

impl Cedar {
    fn new() -> Cedar {
        let mut set = PolicySet::new();
        let own = own_policies();
        for text in BUILT_IN.iter().copied().chain([own.as_str()]) {
            let read: PolicySet = text.parse().expect("policies");
            for policy in read.policies() {
                let id = PolicyId::new(format!("policy{}", set.num_of_policies()));
                set.add(policy.new_id(id)).expect("a policy");
            }
        }
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).expect("the schema");
        Cedar { set, schema }
    }

    fn question(&self, house: &House) -> Question<'_> {
        let uid = |text: String| text.parse::<EntityUid>().expect("a name");
        let named = |uid: &EntityUid| RestrictedExpression::new_entity_uid(uid.clone());
        let flag = RestrictedExpression::new_bool;
        let tenant = uid(format!("Tenant::\"{}\"", house.tenant));
        let member = uid(format!("Member::\"acc_{}\"", house.members[0].simple()));
        let item = uid(format!("Item::\"itm_{}\"", Uuid::nil().simple()));
        let place = |id: Uuid| uid(format!("Place::\"org_{}\"", id.simple()));
        let levels = (0..LEVELS).map(|level| place(*house.organisations[level * WIDTH].uuid()));
        let collection = uid(format!("Collection::\"col_{}\"", house.collection.simple()));
        let above = levels.chain([place(*house.tenant.uuid()), collection]).collect();
        let principal = Entity::new_with_tags(
            member.clone(),
            [
                ("tenant".to_owned(), named(&tenant)),
                ("suspended".to_owned(), flag(false)),
                ("tenant_suspended".to_owned(), flag(false)),
            ],
            [],
            [("viewer".to_owned(), RestrictedExpression::new_set([named(&place(*house.branch().uuid()))]))],
        );
        let resource = Entity::new(item.clone(), [("tenant".to_owned(), named(&tenant))].into(), above);
        let action = uid("Action::\"item.read\"".to_owned());
        let known = self.schema.action_entities().expect("actions");
        let entities = [
            principal.expect("a member"),
            known.get(&action).expect("an action").clone(),
            resource.expect("an item"),
        ];
        let context =
            Context::from_pairs([("fresh".to_owned(), flag(true)), ("in_scope".to_owned(), flag(true))]);
        let request = Request::new(member, action, item, context.expect("a context"), None);
        Question {
            cedar: self,
            authorizer: Authorizer::new(),
            request: request.expect("a request"),
            entities: Entities::from_entities(entities, None).expect("entities"),
        }
    }
}

impl Question<'_> {
    fn is_allowed(&self) -> bool {
        let response = self.authorizer.is_authorized(&self.request, &self.cedar.set, &self.entities);
        assert_eq!(response.diagnostics().errors().count(), 0);
        response.decision() == Decision::Allow
    }
}

impl Cost {
    /// What each took since then, on the clock.
    fn of(begun: Instant, done: u64) -> Cost {
        let time = begun.elapsed().as_secs_f64() / done as f64;
        Cost { time, work: time }
    }
}

/// The cost of an operation that is done again and again by one task.
fn timed(runtime: &Runtime, mut operation: impl AsyncFnMut(u64)) -> Cost {
    runtime.block_on(async {
        let (begun, mut done) = (Instant::now(), 0);
        while begun.elapsed() < turn() {
            for _ in 0..16 {
                operation(done).await;
                done += 1;
            }
        }
        Cost::of(begun, done)
    })
}

/// A hundred policies of a tenant's own: they ask for roles that nobody in question holds. One names a single thing, so that no
/// answer stands for another's.
fn own_policies() -> String {
    let mut text = String::from(
        "@id(\"single\") forbid (principal, action == Action::\"device.delete\", \
         resource == Device::\"dvc_00000000000000000000000000000001\");\n",
    );
    for number in 1..100 {
        let effect = if number % 4 == 0 { "forbid" } else { "permit" };
        let role = format!("rol_{number:032x}");
        text.push_str(&format!(
            "@id(\"p{number}\") {effect} (principal is Member, action in [Action::\"item.read\", Action::\"device.read\"], resource)\n\
             when {{ principal.hasTag(\"{role}\") && resource in principal.getTag(\"{role}\") }};\n"
        ));
    }
    text
}

fn signed_in(account: Uuid) -> SignedIn {
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

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// How deep organisations lie in one another, and how many there are at each depth.
const LEVELS: usize = 5;
const WIDTH: usize = 40;

const SCHEMA: &str = include_str!("../../../crates/access/policies/schema.cedarschema");
const BUILT_IN: [&str; 5] = [
    include_str!("../../../crates/access/policies/guardrails.cedar"),
    include_str!("../../../crates/access/policies/homes.cedar"),
    include_str!("../../../crates/access/policies/platform.cedar"),
    include_str!("../../../crates/access/policies/sharing.cedar"),
    include_str!("../../../crates/access/policies/tenants.cedar"),
];
