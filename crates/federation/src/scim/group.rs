// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Groups: teams that another system says who is in (RFC 7643, section 4.2).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use store::{ReadTx, WriteTx, params};
use uuid::Uuid;

use super::filter::Filter;
use super::user::MAX_PAGE;
use super::{Found, Patch, ScimError, UserId, checked, let_others_run, only_in};
use crate::domain::keyed;
use crate::{Federation, FederationError};

/// How many users a group has at most.
pub const MAX_GROUP_MEMBERS: usize = 10_000;
/// How many members the groups of one page have together, unless the first alone has more: a page with all that are allowed would be
/// hundreds of megabytes.
pub const MAX_PAGE_MEMBERS: usize = 20_000;

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The team that it is.
    pub team: Uuid,
    /// What was told.
    pub terms: GroupTerms,
    /// Since when, in Unix milliseconds.
    pub created_at: i64,
    /// When it was changed last.
    pub changed_at: i64,
}

/// What is told of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupTerms {
    /// Its name, unique in the tenant; upper and lower case are the same.
    pub display_name: String,
    /// The other system's own id for it.
    pub external_id: Option<String>,
    /// Who is in it, by id.
    pub members: Vec<UserId>,
}

/// What is sealed of it. Who is in it stands in rows of their own.
#[derive(Serialize, Deserialize)]
struct Kept {
    display_name: String,
    external_id: Option<String>,
}

const NAMES: [&str; 3] = ["displayName", "externalId", "members"];

impl GroupTerms {
    /// Reads a resource. What is not kept is left out.
    ///
    /// # Errors
    /// [`ScimError::InvalidValue`], [`ScimError::TooMany`].
    pub fn read(resource: &Map<String, Value>) -> Result<Self, ScimError> {
        let find = |name: &str| {
            let found = resource.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value).filter(|value| !value.is_null())
        };
        let text = |name: &str| -> Result<Option<String>, ScimError> {
            let Some(value) = find(name) else { return Ok(None) };
            let text = value.as_str().ok_or_else(|| ScimError::value(name, "expected a string"))?;
            checked(name, text).map(Some)
        };
        let mut members = match find("members") {
            None => Vec::new(),
            Some(Value::Array(members)) if members.len() > MAX_GROUP_MEMBERS => {
                return Err(ScimError::TooMany("a group has at most 10,000 members"));
            }
            Some(Value::Array(members)) => {
                let id = |member: &Value| {
                    let value = member.get("value").and_then(Value::as_str);
                    let id = value.and_then(|value| value.parse().ok());
                    id.ok_or_else(|| ScimError::value("members.value", "expected the id of a user"))
                };
                members.iter().map(id).collect::<Result<Vec<UserId>, _>>()?
            }
            Some(_) => return Err(ScimError::value("members", "expected a list")),
        };
        members.sort_unstable();
        members.dedup();
        Ok(GroupTerms {
            display_name: text("displayName")?.ok_or(ScimError::value("displayName", "it is missing"))?,
            external_id: text("externalId")?,
            members,
        })
    }

    /// What comes of a change.
    ///
    /// # Errors
    /// As [`read`](Self::read); [`ScimError::Mutability`] when there is no name left.
    pub fn patched(&self, patch: &Patch) -> Result<Self, ScimError> {
        let mut resource = self.to_map();
        patch.apply(&mut resource, &NAMES)?;
        if !resource.contains_key("displayName") {
            return Err(ScimError::Mutability("displayName"));
        }
        GroupTerms::read(&resource)
    }

    /// As it is shown.
    pub fn to_map(&self) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("displayName".to_owned(), json!(self.display_name));
        if let Some(external_id) = &self.external_id {
            map.insert("externalId".to_owned(), json!(external_id));
        }
        let member = |id: &UserId| json!({ "value": id.to_string() });
        map.insert("members".to_owned(), self.members.iter().map(member).collect());
        map
    }
}

type Row = (Uuid, Vec<u8>, i64, i64);

impl Federation {
    /// Takes note of a group, which is this team.
    ///
    /// # Errors
    /// [`ScimError::Uniqueness`]; [`ScimError::InvalidValue`] for a member of whom the tenant was not told.
    pub async fn create_group(
        &self,
        tx: &mut WriteTx,
        team: Uuid,
        terms: GroupTerms,
    ) -> Result<Group, ScimError> {
        let now = tx.now();
        let group = Group { team, terms, created_at: now, changed_at: now };
        let (lookup, sealed) = self.group_columns(tx, &group).await?;
        let inserted = tx
            .execute(
                "INSERT INTO scim_group (team, name_lookup, sealed, created_at, changed_at) VALUES ($1, $2, $3, $4, $4)
                 ON CONFLICT DO NOTHING",
                params![&team, &lookup, &sealed, now],
            )
            .await?;
        if inserted == 0 {
            return Err(ScimError::Uniqueness("displayName"));
        }
        self.put_group_members(tx, team, &[], &group.terms.members).await?;
        Ok(group)
    }

    /// One group. Without `members`, nobody is listed.
    ///
    /// # Errors
    /// [`ScimError::NotFound`].
    pub async fn group(&self, tx: &mut ReadTx, team: Uuid, members: bool) -> Result<Group, ScimError> {
        let row: Option<Row> = tx
            .query_opt(
                "SELECT team, sealed, created_at, changed_at FROM scim_group WHERE team = $1",
                params![&team],
            )
            .await?;
        self.open_group(tx, row.ok_or(ScimError::NotFound)?, members).await
    }

    /// One group, to be changed: whoever else changes it meanwhile waits, so that nobody goes by what is not so any more.
    ///
    /// # Errors
    /// [`ScimError::NotFound`].
    pub async fn group_to_change(&self, tx: &mut WriteTx, team: Uuid) -> Result<Group, ScimError> {
        tx.execute("UPDATE scim_group SET changed_at = changed_at WHERE team = $1", params![&team]).await?;
        self.group(tx, team, true).await
    }

    /// A page of the groups, by id, from `start` (counted from 0) on, at most `count`; those that a filter asks for. With `members`
    /// the page ends before the group that would have it list more than [`MAX_PAGE_MEMBERS`].
    ///
    /// # Errors
    /// [`ScimError::InvalidFilter`].
    pub async fn groups(
        &self,
        tx: &mut ReadTx,
        filter: Option<&Filter>,
        start: i64,
        count: u32,
        members: bool,
    ) -> Result<Found<Group>, ScimError> {
        let Some(filter) = filter else {
            let (total,): (i64,) = tx.query_one("SELECT count(*) FROM scim_group", params![]).await?;
            let rows: Vec<Row> = tx
                .query(
                    "SELECT team, sealed, created_at, changed_at FROM scim_group ORDER BY team LIMIT $1 OFFSET $2",
                    params![i64::from(count.min(MAX_PAGE)), start.max(0)],
                )
                .await?;
            let resources = self.open_page(tx, rows, members).await?;
            return Ok(Found { resources, total });
        };
        let mut group = self.group_by(tx, filter).await?;
        let total = i64::from(group.is_some());
        let is_on_page = start <= 0 && count > 0;
        if let Some(group) = group.as_mut().filter(|_| is_on_page && members) {
            group.terms.members = members_of(tx, group.team).await?;
        }
        Ok(Found { resources: group.into_iter().filter(|_| is_on_page).collect(), total })
    }

    /// The first of these groups, as many as a page has.
    async fn open_page(
        &self,
        tx: &mut ReadTx,
        rows: Vec<Row>,
        members: bool,
    ) -> Result<Vec<Group>, ScimError> {
        let (mut page, mut room) = (Vec::with_capacity(rows.len()), MAX_PAGE_MEMBERS);
        for row in rows {
            if members {
                // Counted before they are read.
                let (count,): (i64,) = tx
                    .query_one("SELECT count(*) FROM scim_group_member WHERE team = $1", params![&row.0])
                    .await?;
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                if count > room && !page.is_empty() {
                    break;
                }
                room = room.saturating_sub(count);
            }
            page.push(self.open_group(tx, row, members).await?);
            let_others_run(page.len()).await;
        }
        Ok(page)
    }

    /// The group that all clauses are true of, without who is in it.
    async fn group_by(&self, tx: &mut ReadTx, filter: &Filter) -> Result<Option<Group>, ScimError> {
        let value = |name: &str| {
            filter.clauses().iter().find(|clause| clause.attribute == name).map(|clause| &clause.value)
        };
        let known = ["id", "displayname", "externalid", "members", "members.value"];
        if filter.clauses().iter().any(|clause| !known.contains(&clause.attribute.as_str())) {
            return Err(ScimError::InvalidFilter("groups are found by displayName, or by id and members"));
        }
        let row: Option<Row> = match (value("id"), value("displayname")) {
            (Some(id), _) => match team_of(id) {
                Some(team) => {
                    tx.query_opt(
                        "SELECT team, sealed, created_at, changed_at FROM scim_group WHERE team = $1",
                        params![&team],
                    )
                    .await?
                }
                None => None,
            },
            (None, Some(name)) => {
                let lookup = name_lookup(&self.scim_key(tx).await?, name);
                tx.query_opt(
                    "SELECT team, sealed, created_at, changed_at FROM scim_group WHERE name_lookup = $1",
                    params![&lookup],
                )
                .await?
            }
            (None, None) => {
                return Err(ScimError::InvalidFilter(
                    "groups are found by displayName, or by id and members",
                ));
            }
        };
        let Some(row) = row else { return Ok(None) };
        let group = self.open_group(tx, row, false).await?;
        let is_meant = value("displayname")
            .is_none_or(|name| name.to_lowercase() == group.terms.display_name.to_lowercase())
            && value("externalid").is_none_or(|id| Some(id) == group.terms.external_id.as_ref())
            && match value("members").or(value("members.value")) {
                None => true,
                Some(user) => match user.parse::<UserId>() {
                    Ok(user) => is_in(tx, group.team, user).await?,
                    Err(_) => false,
                },
            };
        Ok(is_meant.then_some(group))
    }

    /// Changes a group.
    ///
    /// # Errors
    /// As [`create_group`](Self::create_group); [`ScimError::NotFound`].
    pub async fn change_group(
        &self,
        tx: &mut WriteTx,
        team: Uuid,
        terms: GroupTerms,
    ) -> Result<(Group, Group), ScimError> {
        let before = self.group_to_change(tx, team).await?;
        let group = Group { terms, changed_at: tx.now(), ..before.clone() };
        let (lookup, sealed) = self.group_columns(tx, &group).await?;
        let taken: Option<(Uuid,)> = tx
            .query_opt(
                "SELECT team FROM scim_group WHERE name_lookup = $1 AND team <> $2",
                params![&lookup, &team],
            )
            .await?;
        if taken.is_some() {
            return Err(ScimError::Uniqueness("displayName"));
        }
        tx.execute(
            "UPDATE scim_group SET name_lookup = $2, sealed = $3, changed_at = $4 WHERE team = $1",
            params![&team, &lookup, &sealed, group.changed_at],
        )
        .await?;
        self.put_group_members(tx, team, &before.terms.members, &group.terms.members).await?;
        Ok((before, group))
    }

    /// Forgets a group.
    ///
    /// # Errors
    /// [`ScimError::NotFound`].
    pub async fn delete_group(&self, tx: &mut WriteTx, team: Uuid) -> Result<(), ScimError> {
        tx.execute("DELETE FROM scim_group_member WHERE team = $1", params![&team]).await?;
        match tx.execute("DELETE FROM scim_group WHERE team = $1", params![&team]).await? {
            0 => Err(ScimError::NotFound),
            _ => Ok(()),
        }
    }

    /// The teams of the groups that somebody is in.
    pub async fn teams_of_user(&self, tx: &mut ReadTx, user: UserId) -> Result<Vec<Uuid>, ScimError> {
        let rows: Vec<(Uuid,)> = tx
            .query("SELECT team FROM scim_group_member WHERE user_id = $1 ORDER BY team", params![&user])
            .await?;
        Ok(rows.into_iter().map(|(team,)| team).collect())
    }

    /// The accounts that turned out to be these users'.
    pub async fn accounts_of(&self, tx: &mut ReadTx, users: &[UserId]) -> Result<Vec<Uuid>, ScimError> {
        let mut accounts = Vec::new();
        for (done, user) in users.iter().enumerate() {
            let_others_run(done).await;
            let row: Option<(Option<Uuid>,)> =
                tx.query_opt("SELECT account FROM scim_user WHERE id = $1", params![user]).await?;
            accounts.extend(row.and_then(|(account,)| account));
        }
        Ok(accounts)
    }

    /// Writes who is in a group now and was not, and who was and is not.
    async fn put_group_members(
        &self,
        tx: &mut WriteTx,
        team: Uuid,
        before: &[UserId],
        after: &[UserId],
    ) -> Result<(), ScimError> {
        for (done, user) in only_in(before, after).iter().enumerate() {
            let_others_run(done).await;
            tx.execute(
                "DELETE FROM scim_group_member WHERE team = $1 AND user_id = $2",
                params![&team, user],
            )
            .await?;
        }
        for (done, user) in only_in(after, before).iter().enumerate() {
            let_others_run(2 * done).await;
            let there: Option<(i64,)> =
                tx.query_opt("SELECT active FROM scim_user WHERE id = $1", params![user]).await?;
            if there.is_none() {
                return Err(ScimError::value("members.value", "there is no such user"));
            }
            tx.execute(
                "INSERT INTO scim_group_member (team, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                params![&team, user],
            )
            .await?;
        }
        Ok(())
    }

    async fn group_columns(&self, tx: &mut ReadTx, group: &Group) -> Result<(Vec<u8>, Vec<u8>), ScimError> {
        let lookup = name_lookup(&self.scim_key(tx).await?, &group.terms.display_name);
        let kept = Kept {
            display_name: group.terms.display_name.clone(),
            external_id: group.terms.external_id.clone(),
        };
        let plain =
            serde_json::to_vec(&kept).map_err(|_| FederationError::Unreadable("a provisioned group"))?;
        Ok((lookup, self.custody.tenant(tx).await?.seal(GROUP, &[group.team.as_bytes()], &plain)))
    }

    async fn open_group(&self, tx: &mut ReadTx, row: Row, members: bool) -> Result<Group, ScimError> {
        let (team, sealed, created_at, changed_at) = row;
        let unreadable = || FederationError::Unreadable("a provisioned group");
        let keys = self.custody.tenant(tx).await?;
        let plain = keys.open(GROUP, &[team.as_bytes()], &sealed).map_err(|_| unreadable())?;
        let Kept { display_name, external_id } = serde_json::from_slice(&plain).map_err(|_| unreadable())?;
        let members = if members { members_of(tx, team).await? } else { Vec::new() };
        Ok(Group { team, terms: GroupTerms { display_name, external_id, members }, created_at, changed_at })
    }
}

/// Who is in a group, by id.
async fn members_of(tx: &mut ReadTx, team: Uuid) -> Result<Vec<UserId>, ScimError> {
    let rows: Vec<(UserId,)> = tx
        .query("SELECT user_id FROM scim_group_member WHERE team = $1 ORDER BY user_id", params![&team])
        .await?;
    Ok(rows.into_iter().map(|(user,)| user).collect())
}

async fn is_in(tx: &mut ReadTx, team: Uuid, user: UserId) -> Result<bool, ScimError> {
    let row: Option<(UserId,)> = tx
        .query_opt(
            "SELECT user_id FROM scim_group_member WHERE team = $1 AND user_id = $2",
            params![&team, &user],
        )
        .await?;
    Ok(row.is_some())
}

/// A team's id, as it is written.
fn team_of(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text.strip_prefix("tea_")?).ok()
}

fn name_lookup(key: &[u8; 32], name: &str) -> Vec<u8> {
    keyed(key, &[b"group-name", name.to_lowercase().as_bytes()])
}

const GROUP: &str = "federation/group";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_changed_one_by_one_and_named_by_their_ids() {
        let (a, b) = (UserId::random(), UserId::random());
        let terms = GroupTerms { display_name: "It".to_owned(), external_id: None, members: vec![a] };
        let patched = |operations: Value| {
            let patch: Patch = serde_json::from_value(json!({ "Operations": operations })).unwrap();
            terms.patched(&patch)
        };
        let added =
            patched(json!([{ "op": "Add", "path": "members", "value": [{ "value": b.to_string() }] }]));
        assert_eq!(added.unwrap().members.len(), 2);
        let path = format!("members[value eq \"{a}\"]");
        assert_eq!(patched(json!([{ "op": "remove", "path": path }])).unwrap().members, []);
        assert!(matches!(
            patched(json!([{ "op": "remove", "path": "displayName" }])),
            Err(ScimError::Mutability("displayName"))
        ));
        for bad in ["acc_1", "", "usr_", "../x"] {
            assert!(
                patched(json!([{ "op": "add", "path": "members", "value": [{ "value": bad }] }])).is_err(),
                "{bad}"
            );
        }
    }
}
