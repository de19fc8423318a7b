// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Changes (RFC 7644, section 3.5.2), as they are sent: also as Entra ID sends them, with capital letters, `"False"` for `false`, and
//! attributes with dots in place of a path.
//!
//! They are applied to the resource as it is shown, of which only known attributes are read back: a change of what is not kept changes
//! nothing.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::ScimError;
use super::filter::Clause;

/// A request to change a resource. What else stands in it does not matter.
#[derive(Clone, Debug, Deserialize)]
pub struct Patch {
    /// The operations, one after the other.
    #[serde(rename = "Operations", alias = "operations")]
    pub operations: Vec<PatchOperation>,
}

/// One operation.
#[derive(Clone, Debug, Deserialize)]
pub struct PatchOperation {
    /// `add`, `replace` or `remove`.
    pub op: String,
    /// What is changed; the whole resource when nothing is said.
    #[serde(default)]
    pub path: Option<String>,
    /// The value.
    #[serde(default)]
    pub value: Option<Value>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Add,
    Replace,
    Remove,
}

/// `attribute`, `attribute.part`, `attribute[part eq "value"]`, `attribute[part eq "value"].part`.
struct Path<'a> {
    attribute: &'a str,
    which: Option<Clause>,
    part: Option<&'a str>,
}

impl Patch {
    /// Applies the operations to a resource. `names` are its attributes, as the schema spells them; others are left alone.
    ///
    /// # Errors
    /// [`ScimError::InvalidPath`], [`ScimError::NoTarget`], [`ScimError::InvalidValue`], [`ScimError::TooMany`].
    pub(crate) fn apply(&self, resource: &mut Map<String, Value>, names: &[&str]) -> Result<(), ScimError> {
        if self.operations.len() > MOST {
            return Err(ScimError::TooMany("at most 100 operations in one request"));
        }
        // A value without a path is as many changes as it has fields, which have as many spellings as somebody wants.
        let fields = |operation: &PatchOperation| match (&operation.path, &operation.value) {
            (None, Some(Value::Object(fields))) => fields.len(),
            _ => 1,
        };
        if self.operations.iter().map(fields).sum::<usize>() > MOST {
            return Err(ScimError::TooMany("at most 100 changes in one request"));
        }
        for operation in &self.operations {
            let op = match operation.op.to_ascii_lowercase().as_str() {
                "add" => Op::Add,
                "replace" => Op::Replace,
                "remove" => Op::Remove,
                _ => return Err(ScimError::value("op", "one of add, replace, remove")),
            };
            match (&operation.path, &operation.value) {
                (Some(path), value) => change(resource, names, op, path, value.as_ref())?,
                (None, _) if op == Op::Remove => return Err(ScimError::NoTarget),
                (None, Some(Value::Object(fields))) => {
                    for (path, value) in fields {
                        // The schemas of the value say nothing new.
                        if path != "schemas" {
                            change(resource, names, op, path, Some(value))?;
                        }
                    }
                }
                (None, _) => {
                    return Err(ScimError::value("value", "expected an object, as there is no path"));
                }
            }
        }
        Ok(())
    }
}

fn change(
    resource: &mut Map<String, Value>,
    names: &[&str],
    op: Op,
    path: &str,
    value: Option<&Value>,
) -> Result<(), ScimError> {
    let path = Path::parse(path)?;
    let Some(name) = names.iter().find(|name| name.eq_ignore_ascii_case(path.attribute)) else {
        return Ok(());
    };
    if value.and_then(Value::as_array).is_some_and(|list| list.len() > LONGEST_LIST) {
        return Err(ScimError::TooMany("a list has at most 10,000 entries"));
    }
    let value = match (op, value) {
        (Op::Remove, value) => value,
        (_, Some(value)) => Some(value),
        (_, None) => return Err(ScimError::value("value", "it is missing")),
    };
    match (&path.which, path.part, op) {
        (None, None, Op::Remove) => remove(resource, name, value),
        (None, None, _) => put(resource, name, op, value),
        (None, Some(part), _) => {
            let inner = resource.entry((*name).to_owned()).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(inner) = inner else { return Err(ScimError::InvalidPath) };
            set(inner, part, value.filter(|_| op != Op::Remove));
        }
        (Some(which), part, _) => {
            let entries = resource.entry((*name).to_owned()).or_insert_with(|| Value::Array(Vec::new()));
            let Value::Array(entries) = entries else { return Err(ScimError::InvalidPath) };
            within(entries, which, part, op, value)?;
        }
    }
    Ok(())
}

/// Changes those entries of a list that a clause names; one that is not there is made, unless it is to be removed.
fn within(
    entries: &mut Vec<Value>,
    which: &Clause,
    part: Option<&str>,
    op: Op,
    value: Option<&Value>,
) -> Result<(), ScimError> {
    let is_meant = |entry: &Value| {
        let fields = entry.as_object().into_iter().flatten();
        fields.filter(|(name, _)| name.eq_ignore_ascii_case(&which.attribute)).any(|(_, found)| match found {
            Value::String(text) => *text == which.value,
            Value::Bool(flag) => flag.to_string() == which.value,
            _ => false,
        })
    };
    if op == Op::Remove && part.is_none() {
        entries.retain(|entry| !is_meant(entry));
        return Ok(());
    }
    if op != Op::Remove && !entries.iter().any(is_meant) {
        if entries.len() >= LONGEST_LIST {
            return Err(ScimError::TooMany("a list has at most 10,000 entries"));
        }
        entries.push(Value::Object(Map::from_iter([(
            which.attribute.clone(),
            Value::from(which.value.clone()),
        )])));
    }
    for entry in entries.iter_mut().filter(|entry| is_meant(entry)) {
        match (part, value, entry) {
            (Some(part), value, Value::Object(fields)) => {
                set(fields, part, value.filter(|_| op != Op::Remove))
            }
            (None, Some(Value::Object(new)), Value::Object(fields)) => {
                new.iter().for_each(|(name, value)| set(fields, name, Some(value)));
            }
            _ => return Err(ScimError::value("value", "expected an object")),
        }
    }
    Ok(())
}

/// Sets a whole attribute. What is added to a list comes after what is there.
fn put(resource: &mut Map<String, Value>, name: &str, op: Op, value: Option<&Value>) {
    let Some(value) = value else { return };
    let added = match value {
        Value::Array(added) => added.clone(),
        Value::Object(_) => vec![value.clone()],
        _ => Vec::new(),
    };
    match (op, resource.get_mut(name)) {
        (Op::Add, Some(Value::Array(there))) if !added.is_empty() => {
            // A body holds tens of thousands: none is compared with each of the others.
            let mut known: HashSet<String> = there.iter().map(Value::to_string).collect();
            there.extend(added.into_iter().filter(|one| known.insert(one.to_string())));
        }
        (_, Some(Value::Object(there))) if value.is_object() => {
            value.as_object().into_iter().flatten().for_each(|(part, value)| set(there, part, Some(value)));
        }
        _ => {
            resource.insert(name.to_owned(), value.clone());
        }
    }
}

/// Removes an attribute; of a list, what is named in the value, as Entra ID says it.
fn remove(resource: &mut Map<String, Value>, name: &str, value: Option<&Value>) {
    let id = |entry: &Value| entry.get("value").and_then(Value::as_str).map(str::to_owned);
    match (resource.get_mut(name), value) {
        (Some(Value::Array(there)), Some(Value::Array(named))) => {
            let named: HashSet<_> = named.iter().filter_map(id).collect();
            there.retain(|entry| !id(entry).is_some_and(|id| named.contains(&id)));
        }
        _ => {
            resource.remove(name);
        }
    }
}

/// Sets a part under the spelling that it has already.
fn set(fields: &mut Map<String, Value>, part: &str, value: Option<&Value>) {
    let known = fields.keys().find(|name| name.eq_ignore_ascii_case(part)).cloned();
    let name = known.unwrap_or_else(|| part.to_owned());
    match value {
        Some(value) => drop(fields.insert(name, value.clone())),
        None => drop(fields.remove(&name)),
    }
}

impl<'a> Path<'a> {
    fn parse(text: &'a str) -> Result<Self, ScimError> {
        if text.len() > LONGEST {
            return Err(ScimError::InvalidPath);
        }
        let text = unprefixed(text.trim());
        let (attribute, which, rest) = match text.split_once('[') {
            None => match text.split_once('.') {
                None => (text, None, None),
                Some((attribute, part)) => (attribute, None, Some(part)),
            },
            Some((attribute, rest)) => {
                let (clause, rest) = Clause::read(rest.trim_start()).map_err(|_| ScimError::InvalidPath)?;
                let rest = rest.trim_start().strip_prefix(']').ok_or(ScimError::InvalidPath)?;
                let part = match rest {
                    "" => None,
                    rest => Some(rest.strip_prefix('.').ok_or(ScimError::InvalidPath)?),
                };
                (attribute, Some(clause), part)
            }
        };
        if !is_name(attribute) || !rest.is_none_or(is_name) {
            return Err(ScimError::InvalidPath);
        }
        Ok(Path { attribute, which, part: rest })
    }
}

/// An attribute's name without the schema's before it.
pub(super) fn bare(attribute: &str) -> Result<&str, ScimError> {
    let bare = unprefixed(attribute);
    let is_path = bare.split_once('.').map_or(is_name(bare), |(name, part)| is_name(name) && is_name(part));
    if is_path { Ok(bare) } else { Err(ScimError::InvalidFilter("an attribute's name cannot be read")) }
}

/// What follows the name of a schema: of the core's, or of an extension's, which is then none of ours.
fn unprefixed(text: &str) -> &str {
    for schema in
        ["urn:ietf:params:scim:schemas:core:2.0:User:", "urn:ietf:params:scim:schemas:core:2.0:Group:"]
    {
        if let Some((found, rest)) = text.split_at_checked(schema.len())
            && found.eq_ignore_ascii_case(schema)
        {
            return rest;
        }
    }
    if text.to_ascii_lowercase().starts_with("urn:") { "extension" } else { text }
}

/// RFC 7643, section 2.1.
fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '$')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'$'))
}

const MOST: usize = 100;
const LONGEST: usize = 512;
const LONGEST_LIST: usize = 10_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NAMES: [&str; 5] = ["userName", "active", "name", "emails", "members"];

    fn patched(resource: Value, operations: Value) -> Result<Value, ScimError> {
        let patch: Patch = serde_json::from_value(json!({ "Operations": operations })).unwrap();
        let Value::Object(mut resource) = resource else { panic!("an object") };
        patch.apply(&mut resource, &NAMES)?;
        Ok(Value::Object(resource))
    }

    #[test]
    fn changes_are_read_as_provisioning_systems_send_them() {
        let ada = json!({ "userName": "ada", "active": true, "emails": [{ "type": "work", "value": "a@b.example" }] });
        for (operations, name, value) in [
            (json!([{ "op": "Replace", "path": "active", "value": "False" }]), "active", json!("False")),
            (json!([{ "op": "replace", "value": { "active": false } }]), "active", json!(false)),
            (
                json!([{ "op": "Add", "path": "emails[type eq \"work\"].value", "value": "c@d.example" }]),
                "emails",
                json!([{ "type": "work", "value": "c@d.example" }]),
            ),
            (
                json!([{ "op": "Add", "path": "emails[type eq \"home\"].value", "value": "h@d.example" }]),
                "emails",
                json!([{ "type": "work", "value": "a@b.example" }, { "type": "home", "value": "h@d.example" }]),
            ),
            (json!([{ "op": "remove", "path": "emails[type eq \"work\"]" }]), "emails", json!([])),
            (
                json!([{ "op": "Replace", "value": { "name.givenName": "Ada" } }]),
                "name",
                json!({ "givenName": "Ada" }),
            ),
            (
                json!([{ "op": "replace", "path": "urn:ietf:params:scim:schemas:core:2.0:User:userName", "value": "eve" }]),
                "userName",
                json!("eve"),
            ),
        ] {
            assert_eq!(patched(ada.clone(), operations.clone()).unwrap()[name], value, "{operations}");
        }
        let group = json!({ "members": [{ "value": "1" }, { "value": "2" }, { "value": "3" }] });
        for (operations, left) in [
            (json!([{ "op": "Add", "path": "members", "value": [{ "value": "3" }, { "value": "4" }] }]), 4),
            (
                json!([{ "op": "Remove", "path": "members", "value": [{ "value": "1" }, { "value": "9" }] }]),
                2,
            ),
            (json!([{ "op": "remove", "path": "members[value eq \"2\"]" }]), 2),
            (json!([{ "op": "replace", "path": "members", "value": [{ "value": "7" }] }]), 1),
        ] {
            let after = patched(group.clone(), operations.clone()).unwrap();
            assert_eq!(after["members"].as_array().unwrap().len(), left, "{operations}");
        }
    }

    #[test]
    fn what_is_not_an_attribute_here_changes_nothing_and_what_is_no_path_is_refused() {
        let ada = json!({ "userName": "ada" });
        for ignored in [
            "id",
            "meta.created",
            "title",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
        ] {
            let after =
                patched(ada.clone(), json!([{ "op": "replace", "path": ignored, "value": "x" }])).unwrap();
            assert_eq!(after, ada, "{ignored}");
        }
        for bad in [
            "",
            "a b",
            "emails[",
            "emails[]",
            "emails[type eq]",
            "emails[type eq \"a\"]x",
            "emails[type eq \"a\"].",
            "a.b.c",
            "../x",
        ] {
            let refused = patched(ada.clone(), json!([{ "op": "replace", "path": bad, "value": "x" }]));
            assert!(refused.is_err(), "{bad}");
        }
        assert!(matches!(patched(ada.clone(), json!([{ "op": "remove" }])), Err(ScimError::NoTarget)));
        assert!(patched(ada.clone(), json!([{ "op": "move", "path": "userName" }])).is_err());
        assert!(patched(ada.clone(), json!([{ "op": "replace", "value": "x" }])).is_err());
        assert!(
            patched(ada.clone(), json!([{ "op": "replace", "path": "userName.x", "value": "x" }])).is_err()
        );
        let many: Vec<_> =
            (0..200).map(|_| json!({ "op": "add", "path": "active", "value": true })).collect();
        assert!(patched(ada, json!(many)).is_err());
    }

    proptest! {
        #[test]
        fn no_path_stops_the_reader(path in ".{0,100}") {
            let _ = patched(json!({ "emails": [] }), json!([{ "op": "add", "path": path, "value": { "value": "x" } }]));
        }
    }
}
