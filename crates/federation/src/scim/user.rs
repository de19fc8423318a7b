// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Users: people of whom a tenant was told, and which account is theirs (RFC 7643, section 4.1).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use store::{ReadTx, WriteTx, params};
use uuid::Uuid;

use super::filter::Filter;
use super::{Patch, ScimError, UserId, checked};
use crate::domain::keyed;
use crate::{Federation, FederationError};

/// How many users a tenant is told of at most.
pub const MAX_USERS: i64 = 100_000;
/// How many a page has at most.
pub(crate) const MAX_PAGE: u32 = 200;

/// Somebody of whom a tenant was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// What was told.
    pub terms: UserTerms,
    /// The account that turned out to be theirs.
    pub account: Option<Uuid>,
    /// When that was suspended because of what was told, as long as this may end it, in Unix milliseconds.
    pub suspended_at: Option<i64>,
    /// Since when, in Unix milliseconds.
    pub created_at: i64,
    /// When it was changed last.
    pub changed_at: i64,
}

/// What is told of somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserTerms {
    /// How the other system calls them, unique in the tenant; upper and lower case are the same.
    pub user_name: String,
    /// Its own id for them.
    pub external_id: Option<String>,
    /// What people call them.
    pub display_name: Option<String>,
    /// Their name.
    pub name: PersonName,
    /// Their addresses.
    pub emails: Vec<Email>,
    /// Whether they may come in.
    pub active: bool,
}

/// A name (RFC 7643, section 4.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonName {
    /// All of it.
    pub formatted: Option<String>,
    /// The given name.
    pub given: Option<String>,
    /// The family's name.
    pub family: Option<String>,
}

/// An address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Email {
    /// The address.
    pub value: String,
    /// What it is for, such as `work`.
    pub kind: Option<String>,
    /// Whether it is the first to be used.
    pub primary: bool,
}

/// A page of what was looked for.
#[derive(Clone, Debug)]
pub struct Found<T> {
    /// What is on it.
    pub resources: Vec<T>,
    /// How many there are.
    pub total: i64,
}

/// The attributes that are kept, as the schema spells them.
const NAMES: [&str; 6] = ["userName", "externalId", "displayName", "name", "emails", "active"];

impl UserTerms {
    /// Reads a resource. What is not kept is left out.
    ///
    /// # Errors
    /// [`ScimError::InvalidValue`].
    pub fn read(resource: &Map<String, Value>) -> Result<Self, ScimError> {
        let find = |name: &str| {
            resource
                .iter()
                .find(|(found, _)| found.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
                .filter(|value| !value.is_null())
        };
        let text = |name: &str| find(name).map(|value| text_of(name, value)).transpose();
        let name = match find("name") {
            None => PersonName::default(),
            Some(Value::Object(parts)) => {
                let part = |name: &str| {
                    let found = parts.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
                    let found = found.map(|(_, value)| value).filter(|value| !is_nothing(value));
                    found.map(|value| text_of(name, value)).transpose()
                };
                PersonName {
                    formatted: part("formatted")?,
                    given: part("givenName")?,
                    family: part("familyName")?,
                }
            }
            Some(_) => return Err(ScimError::value("name", "expected an object")),
        };
        let emails = match find("emails") {
            None => Vec::new(),
            Some(Value::Array(emails)) if emails.len() <= MOST_EMAILS => {
                emails.iter().map(Email::read).collect::<Result<_, _>>()?
            }
            Some(_) => return Err(ScimError::value("emails", "expected a list of at most 16")),
        };
        Ok(UserTerms {
            user_name: text("userName")?.ok_or(ScimError::value("userName", "it is missing"))?,
            external_id: text("externalId")?,
            display_name: text("displayName")?,
            name,
            emails,
            active: find("active").map_or(Ok(true), flag_of)?,
        })
    }

    /// What comes of a change.
    ///
    /// # Errors
    /// As [`Patch::apply`] and [`read`](Self::read); [`ScimError::Mutability`] when there is no name left.
    pub fn patched(&self, patch: &Patch) -> Result<Self, ScimError> {
        let mut resource = self.to_map();
        patch.apply(&mut resource, &NAMES)?;
        if !resource.contains_key("userName") {
            return Err(ScimError::Mutability("userName"));
        }
        UserTerms::read(&resource)
    }

    /// As it is shown.
    pub fn to_map(&self) -> Map<String, Value> {
        let mut map = Map::new();
        let mut put = |name: &str, value: Value| drop(map.insert(name.to_owned(), value));
        put("userName", json!(self.user_name));
        put("active", json!(self.active));
        for (name, text) in [("externalId", &self.external_id), ("displayName", &self.display_name)] {
            if let Some(text) = text {
                put(name, json!(text));
            }
        }
        let parts = [
            ("formatted", &self.name.formatted),
            ("givenName", &self.name.given),
            ("familyName", &self.name.family),
        ];
        let parts: Map<String, Value> = parts
            .into_iter()
            .filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?))))
            .collect();
        if !parts.is_empty() {
            put("name", Value::Object(parts));
        }
        if !self.emails.is_empty() {
            put("emails", self.emails.iter().map(Email::shown).collect());
        }
        map
    }

    /// What the tenant's people may call them.
    pub fn label(&self) -> &str {
        self.display_name.as_ref().or(self.name.formatted.as_ref()).unwrap_or(&self.user_name)
    }

    /// Every address that is theirs: those that are told, and the name where it is one.
    fn addresses(&self) -> Vec<String> {
        let told = self.emails.iter().map(|email| email.value.as_str());
        let mut all: Vec<String> = told
            .chain(std::iter::once(self.user_name.as_str()))
            .filter(|text| text.contains('@'))
            .map(str::to_lowercase)
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl Email {
    fn read(value: &Value) -> Result<Self, ScimError> {
        let Value::Object(parts) = value else { return Err(ScimError::value("emails", "expected objects")) };
        let part = |name: &str| {
            let found = parts.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value).filter(|value| !value.is_null())
        };
        let value = part("value").ok_or(ScimError::value("emails.value", "it is missing"))?;
        Ok(Email {
            value: text_of("emails.value", value)?,
            kind: part("type").map(|kind| text_of("emails.type", kind)).transpose()?,
            primary: part("primary").map_or(Ok(false), flag_of)?,
        })
    }

    fn shown(&self) -> Value {
        let mut shown = json!({ "value": self.value, "primary": self.primary });
        if let (Some(kind), Some(fields)) = (&self.kind, shown.as_object_mut()) {
            fields.insert("type".to_owned(), json!(kind));
        }
        shown
    }
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

fn text_of(path: &str, value: &Value) -> Result<String, ScimError> {
    let text = value.as_str().ok_or_else(|| ScimError::value(path, "expected a string"))?;
    checked(path, text)
}

/// Yes or no; as a word, too, as Entra ID writes it.
fn flag_of(value: &Value) -> Result<bool, ScimError> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(ScimError::value("active", "expected true or false")),
    }
}

type Row = (Uuid, Vec<u8>, i64, Option<Uuid>, Option<i64>, i64, i64);

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, sealed, active, account, suspended_at, created_at, changed_at FROM scim_user ",
            $rest
        )
    };
}

impl Federation {
    /// Takes note of somebody.
    ///
    /// # Errors
    /// [`ScimError::Uniqueness`], [`ScimError::TooMany`].
    pub async fn create_user(&self, tx: &mut WriteTx, terms: UserTerms) -> Result<User, ScimError> {
        let (count,): (i64,) = tx.query_one("SELECT count(*) FROM scim_user", params![]).await?;
        if count >= MAX_USERS {
            return Err(ScimError::TooMany("a tenant is told of at most 100,000 users"));
        }
        let (id, now) = (UserId::random(), tx.now());
        let user = User { id, terms, account: None, suspended_at: None, created_at: now, changed_at: now };
        let (name, external, sealed) = self.user_columns(tx, &user).await?;
        let inserted = tx
            .execute(
                "INSERT INTO scim_user (id, name_lookup, external_lookup, sealed, active, account, created_at, changed_at)
                 VALUES ($1, $2, $3, $4, $5, NULL, $6, $6) ON CONFLICT DO NOTHING",
                params![&id, &name, external.as_ref(), &sealed, i64::from(user.terms.active), now],
            )
            .await?;
        if inserted == 0 {
            return Err(ScimError::Uniqueness("userName"));
        }
        self.put_addresses(tx, &user).await?;
        Ok(user)
    }

    /// One user.
    ///
    /// # Errors
    /// [`ScimError::NotFound`].
    pub async fn user(&self, tx: &mut ReadTx, id: UserId) -> Result<User, ScimError> {
        let row: Option<Row> = tx.query_opt(select!("WHERE id = $1"), params![&id]).await?;
        self.open_user(tx, row.ok_or(ScimError::NotFound)?).await
    }

    /// A page of the users, by id, from `start` (counted from 0) on, at most `count`; those that a filter asks for.
    ///
    /// # Errors
    /// [`ScimError::InvalidFilter`].
    pub async fn users(
        &self,
        tx: &mut ReadTx,
        filter: Option<&Filter>,
        start: i64,
        count: u32,
    ) -> Result<Found<User>, ScimError> {
        let Some(filter) = filter else {
            let (total,): (i64,) = tx.query_one("SELECT count(*) FROM scim_user", params![]).await?;
            let limit = i64::from(count.min(MAX_PAGE));
            let rows: Vec<Row> =
                tx.query(select!("ORDER BY id LIMIT $1 OFFSET $2"), params![limit, start.max(0)]).await?;
            let mut resources = Vec::with_capacity(rows.len());
            for row in rows {
                resources.push(self.open_user(tx, row).await?);
            }
            return Ok(Found { resources, total });
        };
        let [clause] = filter.clauses() else {
            return Err(ScimError::InvalidFilter("of users one thing is asked at a time"));
        };
        let key = self.scim_key(tx).await?;
        let row: Option<Row> = match clause.attribute.as_str() {
            "username" => {
                let lookup = name_lookup(&key, &clause.value);
                tx.query_opt(select!("WHERE name_lookup = $1"), params![&lookup]).await?
            }
            "externalid" => {
                let lookup = external_lookup(&key, &clause.value);
                tx.query_opt(select!("WHERE external_lookup = $1 ORDER BY id LIMIT 1"), params![&lookup])
                    .await?
            }
            "id" => match clause.value.parse::<UserId>() {
                Ok(id) => tx.query_opt(select!("WHERE id = $1"), params![&id]).await?,
                Err(_) => None,
            },
            "emails" | "emails.value" => {
                let lookup = address_lookup(&key, &clause.value);
                tx.query_opt(
                    select!("WHERE id = (SELECT user_id FROM scim_address WHERE lookup = $1)"),
                    params![&lookup],
                )
                .await?
            }
            _ => {
                return Err(ScimError::InvalidFilter(
                    "users are found by userName, externalId, emails.value or id",
                ));
            }
        };
        let mut resources = Vec::new();
        if let Some(row) = row {
            resources.push(self.open_user(tx, row).await?);
        }
        let total = i64::try_from(resources.len()).unwrap_or(0);
        let start = usize::try_from(start.max(0)).unwrap_or(usize::MAX);
        Ok(Found { resources: resources.into_iter().skip(start).take(count as usize).collect(), total })
    }

    /// Changes what is told of somebody.
    ///
    /// # Errors
    /// [`ScimError::NotFound`], [`ScimError::Uniqueness`].
    pub async fn change_user(
        &self,
        tx: &mut WriteTx,
        id: UserId,
        terms: UserTerms,
    ) -> Result<(User, User), ScimError> {
        let before = self.user(tx, id).await?;
        let user = User { terms, changed_at: tx.now(), ..before.clone() };
        let (name, external, sealed) = self.user_columns(tx, &user).await?;
        let taken: Option<(Uuid,)> = tx
            .query_opt("SELECT id FROM scim_user WHERE name_lookup = $1 AND id <> $2", params![&name, &id])
            .await?;
        if taken.is_some() {
            return Err(ScimError::Uniqueness("userName"));
        }
        tx.execute(
            "UPDATE scim_user SET name_lookup = $2, external_lookup = $3, sealed = $4, active = $5, changed_at = $6
             WHERE id = $1",
            params![&id, &name, external.as_ref(), &sealed, i64::from(user.terms.active), user.changed_at],
        )
        .await?;
        self.put_addresses(tx, &user).await?;
        Ok((before, user))
    }

    /// Forgets somebody, also in the groups.
    ///
    /// # Errors
    /// [`ScimError::NotFound`].
    pub async fn delete_user(&self, tx: &mut WriteTx, id: UserId) -> Result<User, ScimError> {
        let user = self.user(tx, id).await?;
        for statement in [
            "DELETE FROM scim_user WHERE id = $1",
            "DELETE FROM scim_address WHERE user_id = $1",
            "DELETE FROM scim_group_member WHERE user_id = $1",
        ] {
            tx.execute(statement, params![&id]).await?;
        }
        Ok(user)
    }

    /// Of whom the tenant was told that has this address.
    pub async fn user_by_address(&self, tx: &mut ReadTx, address: &str) -> Result<Option<User>, ScimError> {
        let lookup = address_lookup(&self.scim_key(tx).await?, address);
        let row: Option<Row> = tx
            .query_opt(
                select!("WHERE id = (SELECT user_id FROM scim_address WHERE lookup = $1)"),
                params![&lookup],
            )
            .await?;
        match row {
            Some(row) => Ok(Some(self.open_user(tx, row).await?)),
            None => Ok(None),
        }
    }

    /// Whom the tenant was told of that turned out to be this account.
    pub async fn user_of(&self, tx: &mut ReadTx, account: Uuid) -> Result<Option<User>, ScimError> {
        let row: Option<Row> =
            tx.query_opt(select!("WHERE account = $1 ORDER BY id LIMIT 1"), params![&account]).await?;
        match row {
            Some(row) => Ok(Some(self.open_user(tx, row).await?)),
            None => Ok(None),
        }
    }

    /// The account turned out to be theirs. `false` when another one is.
    pub async fn link_user(&self, tx: &mut WriteTx, id: UserId, account: Uuid) -> Result<bool, ScimError> {
        let linked = tx
            .execute(
                "UPDATE scim_user SET account = $2 WHERE id = $1 AND (account IS NULL OR account = $2)",
                params![&id, &account],
            )
            .await?;
        Ok(linked == 1)
    }

    /// Notes when the account was suspended because of what was told; `None` for a suspension that is not this one's to end.
    pub async fn note_suspension(
        &self,
        tx: &mut WriteTx,
        id: UserId,
        suspended_at: Option<i64>,
    ) -> Result<(), ScimError> {
        tx.execute("UPDATE scim_user SET suspended_at = $2 WHERE id = $1", params![&id, suspended_at])
            .await?;
        Ok(())
    }

    /// Under whose address somebody came in by the tenant's provider: for whom the tenant is told of afterwards.
    pub async fn note_address(
        &self,
        tx: &mut WriteTx,
        account: Uuid,
        address: &str,
    ) -> Result<(), ScimError> {
        let lookup = address_lookup(&self.scim_key(tx).await?, address);
        let changed = tx
            .execute("UPDATE provided_member SET lookup = $2 WHERE account = $1", params![&account, &lookup])
            .await?;
        if changed == 0 {
            tx.execute(
                "INSERT INTO provided_member (account, lookup) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                params![&account, &lookup],
            )
            .await?;
        }
        Ok(())
    }

    /// Which account came in by the tenant's provider under one of somebody's addresses.
    pub async fn account_of(&self, tx: &mut ReadTx, user: &User) -> Result<Option<Uuid>, ScimError> {
        let key = self.scim_key(tx).await?;
        for address in user.terms.addresses() {
            let lookup = address_lookup(&key, &address);
            let row: Option<(Uuid,)> = tx
                .query_opt(
                    "SELECT account FROM provided_member WHERE lookup = $1 ORDER BY account LIMIT 1",
                    params![&lookup],
                )
                .await?;
            if let Some((account,)) = row {
                return Ok(Some(account));
            }
        }
        Ok(None)
    }

    async fn put_addresses(&self, tx: &mut WriteTx, user: &User) -> Result<(), ScimError> {
        tx.execute("DELETE FROM scim_address WHERE user_id = $1", params![&user.id]).await?;
        let key = self.scim_key(tx).await?;
        for address in user.terms.addresses() {
            let lookup = address_lookup(&key, &address);
            let inserted = tx
                .execute(
                    "INSERT INTO scim_address (lookup, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                    params![&lookup, &user.id],
                )
                .await?;
            // Two people of one address could not be told apart when one comes in.
            if inserted == 0 {
                return Err(ScimError::Uniqueness("emails.value"));
            }
        }
        Ok(())
    }

    async fn user_columns(
        &self,
        tx: &mut ReadTx,
        user: &User,
    ) -> Result<(Vec<u8>, Option<Vec<u8>>, Vec<u8>), ScimError> {
        let keys = self.custody.tenant(tx).await?;
        let key = self.scim_key(tx).await?;
        let name = name_lookup(&key, &user.terms.user_name);
        let external = user.terms.external_id.as_ref().map(|external| external_lookup(&key, external));
        let plain =
            serde_json::to_vec(&user.terms).map_err(|_| FederationError::Unreadable("a provisioned user"))?;
        Ok((name, external, keys.seal(USER, &[user.id.as_bytes()], &plain)))
    }

    async fn open_user(&self, tx: &mut ReadTx, row: Row) -> Result<User, ScimError> {
        let (id, sealed, active, account, suspended_at, created_at, changed_at) = row;
        let unreadable = || FederationError::Unreadable("a provisioned user");
        let plain =
            self.custody.tenant(tx).await?.open(USER, &[id.as_bytes()], &sealed).map_err(|_| unreadable())?;
        let terms: UserTerms = serde_json::from_slice(&plain).map_err(|_| unreadable())?;
        if i64::from(terms.active) != active {
            return Err(unreadable().into());
        }
        Ok(User { id: UserId::from_uuid(id), terms, account, suspended_at, created_at, changed_at })
    }

    pub(super) async fn scim_key(&self, tx: &mut ReadTx) -> Result<[u8; 32], ScimError> {
        Ok(*self.custody.tenant(tx).await?.derive(LOOKUPS))
    }
}

fn name_lookup(key: &[u8; 32], name: &str) -> Vec<u8> {
    keyed(key, &[b"user-name", name.to_lowercase().as_bytes()])
}

fn external_lookup(key: &[u8; 32], id: &str) -> Vec<u8> {
    keyed(key, &[b"external-id", id.as_bytes()])
}

fn address_lookup(key: &[u8; 32], address: &str) -> Vec<u8> {
    keyed(key, &[b"address", address.to_lowercase().as_bytes()])
}

const USER: &str = "federation/user";
const LOOKUPS: &str = "federation/scim-lookups";
const MOST_EMAILS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(resource: Value) -> Result<UserTerms, ScimError> {
        UserTerms::read(resource.as_object().unwrap())
    }

    #[test]
    fn what_is_kept_is_read_and_nothing_is_assigned_beside_it() {
        let terms = read(json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "usr_1", "userName": "Ada@acme.example",
            "active": "True", "emails": [{ "value": "A@b.example", "type": "work", "primary": "true" }], "account": "acc_1",
            "roles": ["owner"], "groups": [{ "value": "tea_1" }], "name": { "givenName": "Ada", "familyName": "" },
            "displayName": null, "meta": { "created": "x" }, "password": "secret",
        }))
        .unwrap();
        assert!(terms.active && terms.emails[0].primary);
        assert_eq!(terms.addresses(), ["a@b.example", "ada@acme.example"]);
        let shown = terms.to_map();
        let mut names: Vec<&str> = shown.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["active", "emails", "name", "userName"]);
        assert_eq!(UserTerms::read(&shown).unwrap(), terms);
    }

    #[test]
    fn what_is_no_user_is_told_where() {
        let path = |resource: Value| match read(resource) {
            Err(ScimError::InvalidValue { path, .. }) => path,
            other => format!("{other:?}"),
        };
        assert_eq!(path(json!({})), "userName");
        assert_eq!(path(json!({ "userName": "" })), "userName");
        assert_eq!(path(json!({ "userName": 7 })), "userName");
        assert_eq!(path(json!({ "userName": "a\u{0}" })), "userName");
        assert_eq!(path(json!({ "userName": "a".repeat(257) })), "userName");
        assert_eq!(path(json!({ "userName": "a", "active": "perhaps" })), "active");
        assert_eq!(path(json!({ "userName": "a", "name": "b" })), "name");
        assert_eq!(path(json!({ "userName": "a", "emails": "b" })), "emails");
        assert_eq!(path(json!({ "userName": "a", "emails": [{}] })), "emails.value");
        assert_eq!(path(json!({ "userName": "a", "emails": vec![json!({ "value": "b" }); 17] })), "emails");
    }
}
