// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who holds roles in a customer's tenant, many at once, and the questions that are put in their place: by somebody else who may
//! know the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use store::{ReadTx, StoreError, TenantId, params};
use uuid::Uuid;

use crate::caller::{Caller, Service, SignedIn, Via};
use crate::platform_role::PlatformRoles;
use crate::standing::{Holder, Place, Standing};
use crate::tenancy::HolderKind;

/// A member or a service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) kind: HolderKind,
    pub(crate) id: Uuid,
    pub(crate) holder: Arc<Holder>,
}

/// Some of a tenant's people.
#[derive(Debug, Default)]
pub(crate) struct People {
    pub(crate) people: Vec<Person>,
    /// Whether there are more members after these.
    pub(crate) more: bool,
}

impl People {
    /// The members after `after`, by account, at most `limit`; with the first of them every service account.
    pub(crate) async fn read(tx: &mut ReadTx, after: Uuid, limit: u32) -> Result<People, StoreError> {
        let mut members: Vec<(Uuid, String)> = tx
            .query(
                "SELECT account, state FROM member WHERE account > $1 ORDER BY account LIMIT $2",
                params![&after, i64::from(limit) + 1],
            )
            .await?;
        let more = members.len() > limit as usize;
        members.truncate(limit as usize);
        let last = members.last().map_or(after, |(account, _)| *account);
        let in_teams: Vec<(Uuid, Uuid)> = tx
            .query(
                "SELECT account, team FROM team_member WHERE account > $1 AND account <= $2 ORDER BY account, team",
                params![&after, &last],
            )
            .await?;
        let own: Vec<Held> = tx
            .query(
                "SELECT holder, role, place, is_device FROM role_grant \
                 WHERE holder_kind = 'member' AND holder > $1 AND holder <= $2",
                params![&after, &last],
            )
            .await?;
        let of_teams: Vec<Held> = tx
            .query(
                "SELECT holder, role, place, is_device FROM role_grant WHERE holder_kind = 'team'",
                params![],
            )
            .await?;

        let mut teams: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
        for (account, team) in in_teams {
            teams.entry(account).or_default().push(team);
        }
        let (own, of_teams) = (by_holder(own), by_holder(of_teams));
        let member = |(account, state): (Uuid, String)| {
            let teams = teams.remove(&account).unwrap_or_default();
            let through = teams.iter().filter_map(|team| of_teams.get(team));
            let roles = roles(own.get(&account).into_iter().chain(through).flatten());
            let holder = Arc::new(Holder { suspended: state != "live", teams, roles });
            Person { kind: HolderKind::Member, id: account, holder }
        };
        let mut people: Vec<Person> = members.into_iter().map(member).collect();
        if after.is_nil() {
            people.extend(service_accounts(tx).await?);
        }
        Ok(People { people, more })
    }
}

impl Person {
    /// What the tenant knows of them.
    pub(crate) fn standing(&self) -> Standing {
        match self.kind {
            HolderKind::ServiceAccount => Standing::ServiceAccount(Arc::clone(&self.holder)),
            HolderKind::Member | HolderKind::Team => Standing::Member(Arc::clone(&self.holder)),
        }
    }
}

/// Somebody who does not ask themselves: as one who has just proved who they are, with nothing narrowed.
pub(crate) fn absent(kind: HolderKind, id: Uuid, tenant: TenantId) -> Caller {
    match kind {
        HolderKind::ServiceAccount => Caller::service(
            Service { tenant, account: id, key: Uuid::nil(), by_client: false },
            String::new(),
        ),
        HolderKind::Member | HolderKind::Team => {
            let account = SignedIn {
                account: id,
                home: TenantId::PLATFORM,
                via: Via::Session(Uuid::nil()),
                fresh_until: Some(i64::MAX),
                suspended: false,
                platform_roles: PlatformRoles::NONE,
            };
            Caller::account(account, String::new())
        }
    }
}

type Held = (Uuid, String, Uuid, i64);

async fn service_accounts(tx: &mut ReadTx) -> Result<Vec<Person>, StoreError> {
    let accounts: Vec<(Uuid, String)> =
        tx.query("SELECT id, state FROM service_account ORDER BY id", params![]).await?;
    let held: Vec<Held> = tx
        .query(
            "SELECT holder, role, place, is_device FROM role_grant WHERE holder_kind = 'service_account'",
            params![],
        )
        .await?;
    let held = by_holder(held);
    let account = |(id, state): (Uuid, String)| {
        let roles = roles(held.get(&id).into_iter().flatten());
        let holder = Holder { suspended: state != "live", teams: Vec::new(), roles };
        Person { kind: HolderKind::ServiceAccount, id, holder: Arc::new(holder) }
    };
    Ok(accounts.into_iter().map(account).collect())
}

fn by_holder(rows: Vec<Held>) -> BTreeMap<Uuid, Vec<(String, Place)>> {
    let mut held: BTreeMap<Uuid, Vec<(String, Place)>> = BTreeMap::new();
    for (holder, role, place, is_device) in rows {
        held.entry(holder).or_default().push((role, Place::stored(place, is_device)));
    }
    held
}

/// Each role with its places, in the order in which a single holder is read: see `standing`.
fn roles<'a>(held: impl Iterator<Item = &'a (String, Place)>) -> BTreeMap<String, Vec<Place>> {
    let mut roles: BTreeMap<String, BTreeSet<(Uuid, Place)>> = BTreeMap::new();
    for (role, place) in held {
        roles.entry(role.clone()).or_default().insert((place.uuid(), *place));
    }
    let places = |places: BTreeSet<(Uuid, Place)>| places.into_iter().map(|(_, place)| place).collect();
    roles.into_iter().map(|(role, held)| (role, places(held))).collect()
}
