// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every kind of caller, every action, every place.

use access::{Action, Decision, Explanation, Policies, Refusal, Resource, Share};
use store::TenantId;

use crate::world::{ACCOUNT, NEIGHBOUR, NOW, callers, home, neighbours_home, resources};

/// What each caller is told.
///
/// `Y` yes; `-` nothing allows it; `!` forbidden whatever other policies say; `?` as if it were not
/// there; `^` after a fresh proof; `x` suspended. All but `Y` and `-` are the guardrails' doing.
const TABLE: &str = "
                                        place      | visitor owner fresh suspended narrow admin admin-stale operator auditor worker
account.create session.create session.authenticate
                                        own        | Y - - x ! - - - - !
                                        other      | Y ? ? x ? ? ? ? ? !
                                        platform   | Y ! ! x ! ! ! ! ! !
session.step_up session.unlock session.list session.end device.list token.issue account.read
collection.create collection.list collection.read collection.write collection.delete collection.share
item.write item.delete file.read file.write file.delete changes.follow usage.read log.read api_key.read
                                        own        | ! Y Y x ! Y Y Y Y !
                                        other      | ! ? ? x ? ? ? ? ? !
item.read
                                        own        | ! Y Y x Y Y Y Y Y !
                                        other      | ! ? ? x ? ? ? ? ? !
account.delete password.change backup_codes.replace totp.replace method.add method.rename method.revoke
master_key.rotate export.create api_key.create api_key.approve
                                        own        | ! ^ Y x ! Y ^ Y Y !
                                        other      | ! ? ? x ? ? ? ? ? !
session.step_up account.read collection.share tenant.create tenant.list
                                        own-entry  | ! Y Y x ! Y Y Y Y !
                                        its-entry  | ! ? ? x ? ? ? ? ? !
account.delete password.change method.add method.revoke
                                        own-entry  | ! ^ Y x ! Y ^ Y Y !
                                        its-entry  | ! ? ? x ? ? ? ? ? !
api_key.report
                                        own        | Y - - x ! - - - - !
                                        other      | Y ? ? x ? ? ? ? ? !
collection.admit
                                        own        | ! - - x ! - - - - !
                                        other      | ! ? ? x ? ? ? ? ? !
pairing.ask
                                        platform   | Y ! ! x ! ! ! ! ! !
pairing.read
                                        own-entry  | ! Y Y x ! Y Y Y Y !
                                        its-entry  | ! ? ? x ? ? ? ? ? !
pairing.approve
                                        own        | ! ^ Y x ! Y ^ Y Y !
                                        other      | ! ? ? x ? ? ? ? ? !
                                        own-entry  | ! ^ Y x ! Y ^ Y Y !
                                        its-entry  | ! ? ? x ? ? ? ? ? !
root_key.rotate maintenance.run api_key.refuse passkey.refuse share.receive account.suspend
                                        own        | ! - - x ! - - - - Y
                                        other      | ! ? ? x ? ? ? ? ? Y
log.read
                                        platform   | ! ! ! x ! Y Y - Y !
platform.read
                                        platform   | ! ! ! x ! Y Y Y Y !
maintenance.run
                                        platform   | ! ! ! x ! Y Y Y ! Y
signing_key.rotate
                                        platform   | ! ! ! x ! Y ^ Y ! Y
platform.administer root_key.rotate
                                        platform   | ! ! ! x ! Y ^ - ! Y
provider.read
                                        platform   | ! ! ! x ! Y Y - - !
provider.write
                                        platform   | ! ! ! x ! Y ^ - ! !
tenant.suspend account.suspend
                                        platform   | ! ! ! x ! Y ^ - ! Y
support.note
                                        platform   | ! ! ! x ! ! ! ! ! Y
";

/// What is done in customers' tenants only, by whom no role makes.
const CUSTOMERS: [Action; 6] = [
    Action::TenantFound,
    Action::TenantLeave,
    Action::TenantJoin,
    Action::ServiceAccountRefuse,
    Action::ClientRefuse,
    Action::MemberProvision,
];
/// Guardrails of customers' tenants: `src/customers.rs` tries them.
const OF_CUSTOMERS: [&str; 4] =
    ["customer-wall", "supporters-only-support", "auditors-change-nothing", "tenant-suspended"];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Own,
    Other,
    Platform,
    OwnEntry,
    OthersEntry,
}

impl Place {
    const ALL: [Place; 5] = [Self::Own, Self::Other, Self::Platform, Self::OwnEntry, Self::OthersEntry];

    fn parse(word: &str) -> Place {
        match word {
            "own" => Self::Own,
            "other" => Self::Other,
            "platform" => Self::Platform,
            "own-entry" => Self::OwnEntry,
            "its-entry" => Self::OthersEntry,
            _ => panic!("no such place: {word}"),
        }
    }

    fn tenant(self) -> TenantId {
        match self {
            Self::Own => home(),
            Self::Other => neighbours_home(),
            Self::Platform | Self::OwnEntry | Self::OthersEntry => TenantId::PLATFORM,
        }
    }

    fn resources(self) -> impl Iterator<Item = Resource> {
        let of = if self == Self::OthersEntry { NEIGHBOUR } else { ACCOUNT };
        let about_entries = matches!(self, Self::OwnEntry | Self::OthersEntry);
        resources(of)
            .into_iter()
            .filter(move |resource| matches!(resource, Resource::DirectoryEntry { .. }) == about_entries)
    }
}

struct Row {
    action: Action,
    place: Place,
    cells: Vec<char>,
}

fn table() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut actions: Vec<Action> = Vec::new();
    let mut naming = false;
    for line in TABLE.lines().skip(2) {
        match line.split_once('|') {
            None => {
                if !naming {
                    actions.clear();
                }
                naming = true;
                actions.extend(line.split_whitespace().map(|name| name.parse::<Action>().unwrap()));
            }
            Some((place, cells)) => {
                naming = false;
                let place = Place::parse(place.trim());
                let cells: Vec<char> =
                    cells.split_whitespace().map(|cell| cell.chars().next().unwrap()).collect();
                assert_eq!(cells.len(), callers().len());
                rows.extend(actions.iter().map(|action| Row {
                    action: *action,
                    place,
                    cells: cells.clone(),
                }));
            }
        }
    }
    rows
}

fn told(explanation: &Explanation) -> char {
    match explanation.decision {
        Decision::Allowed => 'Y',
        Decision::Refused(Refusal::NotFound) => '?',
        Decision::Refused(Refusal::StepUpRequired) => '^',
        Decision::Refused(Refusal::Suspended | Refusal::TenantSuspended) => 'x',
        Decision::Refused(Refusal::Forbidden) if explanation.reasons.is_empty() => '-',
        Decision::Refused(Refusal::Forbidden) => '!',
    }
}

/// Where the policies say something else than `expected` accepts, given the table's cell.
fn deviations(policies: &Policies, expected: fn(char, char) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for row in table() {
        for ((name, caller), cell) in callers().iter().zip(&row.cells) {
            for resource in row.place.resources() {
                let answer = policies.explain(caller, row.place.tenant(), row.action, resource, NOW);
                if answer.fault.is_none() && !expected(*cell, told(&answer)) {
                    found.push(format!(
                        "{name}: {} on {resource:?}, {:?}: {cell} but {answer}",
                        row.action, row.place
                    ));
                }
            }
        }
    }
    found
}

/// The table as it stands. A fresh proof that would not help is not asked for, though the guardrail
/// is then among the reasons.
fn as_written(cell: char, told: char) -> bool {
    cell == told || (cell == '-' && told == '!')
}

/// The table when every other policy says yes: what only lacked a permit is allowed (after a fresh
/// proof, where that is needed), and nothing else.
fn as_guarded(cell: char, told: char) -> bool {
    if cell == '-' { matches!(told, 'Y' | '^') } else { cell == told }
}

fn built_in() -> Policies {
    Policies::built_in().unwrap()
}

/// The built-in policies and the most careless one there can be.
fn careless() -> Policies {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/");
    let read = |file: &str| std::fs::read_to_string(format!("{folder}{file}")).unwrap();
    let (guardrails, homes, platform) =
        (read("guardrails.cedar"), read("homes.cedar"), read("platform.cedar"));
    let careless =
        "@id(\"careless\") @says(\"Anyone may do anything.\") permit (principal, action, resource);";
    Policies::from_sources(&[
        ("guardrails.cedar", &guardrails),
        ("homes.cedar", &homes),
        ("platform.cedar", &platform),
        ("careless.cedar", careless),
    ])
    .unwrap()
}

fn ids(file: &str) -> Vec<String> {
    let path = format!("{}/policies/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .filter_map(|line| Some(line.strip_prefix("@id(\"")?.strip_suffix("\")")?.to_owned()))
        .collect()
}

#[test]
fn every_caller_is_told_what_the_table_says() {
    assert_eq!(deviations(&built_in(), as_written), Vec::<String>::new());
}

#[test]
fn the_table_says_something_of_every_action_wherever_it_can_be_done() {
    let (policies, table, (_, visitor)) = (built_in(), table(), &callers()[0]);
    for action in Action::ALL {
        let mut anywhere = false;
        for place in Place::ALL {
            let applies = place.resources().any(|resource| {
                policies.explain(visitor, place.tenant(), *action, resource, NOW).fault.is_none()
            });
            let rows = table.iter().filter(|row| row.action == *action && row.place == place).count();
            assert_eq!(rows, usize::from(applies), "{action} in {place:?}");
            anywhere |= applies;
        }
        // What is done in customers' tenants has tables of its own.
        let is_customers = policies.grantable().contains(*action) || CUSTOMERS.contains(action);
        assert!(anywhere || is_customers, "{action} can be done nowhere");
    }
}

#[test]
fn no_other_policy_can_allow_what_the_guardrails_forbid() {
    assert_eq!(deviations(&careless(), as_guarded), Vec::<String>::new());
}

#[test]
fn without_any_one_of_the_guardrails_something_is_allowed_that_must_not_be() {
    let guardrails = ids("guardrails.cedar");
    assert!(guardrails.len() >= 9);
    for guardrail in guardrails.into_iter().filter(|guardrail| !OF_CUSTOMERS.contains(&guardrail.as_str())) {
        let mut policies = careless();
        // Two locks on one door: each is tried with the other open.
        if guardrail == "platform-roles-read-no-tenant" {
            policies = policies.without("tenant-wall").unwrap();
            let (_, administrator) = &callers()[5];
            let look = |policies: &Policies| {
                policies.decide(administrator, neighbours_home(), Action::CollectionList, Resource::Home, NOW)
            };
            assert_eq!(look(&policies), Err(Refusal::NotFound));
            assert_eq!(look(&policies.without(&guardrail).unwrap()), Ok(()));
        } else if guardrail == "readers-write-nothing" {
            let share = Share { home: neighbours_home(), collection: ACCOUNT, writes: false };
            let (_, owner) = &callers()[2];
            let (reader, collection) = (owner.clone().sharing(share), Resource::Collection(ACCOUNT));
            let write = |policies: &Policies| {
                policies.decide(&reader, neighbours_home(), Action::ItemWrite, collection, NOW)
            };
            assert_eq!(write(&policies), Err(Refusal::Forbidden));
            assert_eq!(write(&policies.without(&guardrail).unwrap()), Ok(()));
        } else {
            let without = policies.without(&guardrail).unwrap();
            assert!(!deviations(&without, as_guarded).is_empty(), "{guardrail} is not tested by any row");
        }
    }
}

#[test]
fn without_any_one_of_the_permits_somebody_is_kept_from_what_is_theirs() {
    for permit in ids("homes.cedar").into_iter().chain(ids("platform.cedar")) {
        let without = built_in().without(&permit).unwrap();
        assert!(!deviations(&without, as_written).is_empty(), "{permit} is not tested by any row");
    }
}

#[test]
fn what_cannot_be_in_a_tenant_is_refused_there() {
    let policies = careless();
    for (name, caller) in callers() {
        for action in Action::ALL {
            for resource in [Resource::Platform, Resource::DirectoryEntry { account: ACCOUNT }] {
                let answer = policies.decide(&caller, home(), *action, resource, NOW);
                assert_eq!(answer, Err(Refusal::Forbidden), "{name}: {action} on {resource:?} in a home");
            }
            let answer = policies.decide(&caller, TenantId::PLATFORM, *action, Resource::Home, NOW);
            assert_eq!(
                answer,
                Err(Refusal::Forbidden),
                "{name}: {action} on a home in the platform's tenant"
            );
        }
    }
}
