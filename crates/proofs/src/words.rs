// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Counter-examples, in words.

use std::fmt;

use cedar_policy::{Authorizer, Decision, Entities, Entity, EntityUid, EvalResult, PolicySet, Request};

use crate::{Model, ProofError, Property};

/// A request that is allowed and should not be, with all that is known of who asks and of what it is about.
///
/// It prints as a sentence: who, of which tenant, may do what, on what, of which tenant, under which circumstances.
pub struct Counterexample {
    pub(crate) request: Request,
    pub(crate) entities: Entities,
}

impl Counterexample {
    /// Asks Cedar itself, which the solver's word is not taken for.
    pub(crate) fn is_one(&self, model: &Model, property: &Property) -> Result<(), ProofError> {
        let mut wrong = PolicySet::new();
        wrong.add(property.wrong.clone()).map_err(|error| ProofError::Disagreement(error.to_string()))?;
        for (set, what) in [(&model.policies, "allows"), (&wrong, "calls wrong")] {
            let answer = Authorizer::new().is_authorized(&self.request, set, &self.entities);
            if answer.decision() != Decision::Allow {
                return Err(ProofError::Disagreement(format!("it does not {what}: {self}")));
            }
        }
        Ok(())
    }

    fn describe(&self, uid: &EntityUid) -> String {
        let Some(entity) = self.entities.get(uid) else { return name(uid) };
        let mut attributes: Vec<_> = entity.attrs().collect();
        attributes.sort_by_key(|(attribute, _)| attribute.to_owned());
        let mut of_tenant = String::new();
        let mut details = Vec::new();
        for (attribute, value) in attributes {
            let Ok(value) = value else { continue };
            let said = attribute.replace('_', " ");
            match (attribute, value) {
                ("tenant", EvalResult::EntityUid(tenant)) => {
                    of_tenant = format!(" of tenant {:?}", id(&tenant));
                }
                (_, EvalResult::Bool(true)) => details.push(said),
                (_, EvalResult::Bool(false)) => details.push(format!("not {said}")),
                (_, value) => details.push(format!("{said} {}", value_in_words(&value))),
            }
        }
        details.extend(tags(entity));
        details.extend(self.parents(uid));
        let details = if details.is_empty() { String::new() } else { format!(" ({})", details.join("; ")) };
        format!("{}{of_tenant}{details}", name(uid))
    }

    fn parents(&self, uid: &EntityUid) -> Option<String> {
        let mut parents: Vec<_> = self.entities.ancestors(uid)?.map(name).collect();
        parents.sort();
        if parents.is_empty() { None } else { Some(format!("in {}", parents.join(" and "))) }
    }
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known =
            |uid: Option<&EntityUid>| uid.map_or_else(|| "anything".to_owned(), |uid| self.describe(uid));
        let action = self.request.action().map(|uid| uid.id().unescaped().to_owned()).unwrap_or_default();
        let circumstance = |name: &str| match self.request.context().and_then(|context| context.get(name)) {
            Some(EvalResult::Bool(true)) => "",
            _ => "not ",
        };
        write!(
            f,
            "{} may do {action} on {}, {}having proved moments ago who they are, and {}within their scopes",
            known(self.request.principal()),
            known(self.request.resource()),
            circumstance("fresh"),
            circumstance("in_scope"),
        )
    }
}

/// A type and an id.
fn name(uid: &EntityUid) -> String {
    format!("{} {:?}", uid.type_name(), id(uid))
}

/// An id. The first one of each type that the solver makes up is empty, the others are letters from A on.
fn id(uid: &EntityUid) -> &str {
    let id: &str = uid.id().as_ref();
    if id.is_empty() { "O" } else { id }
}

fn tags(entity: &Entity) -> Vec<String> {
    let mut tags: Vec<_> = entity
        .tags()
        .filter_map(|(role, places)| Some(format!("{role:?} at {}", value_in_words(&places.ok()?))))
        .collect();
    tags.sort();
    tags
}

fn value_in_words(value: &EvalResult) -> String {
    match value {
        EvalResult::EntityUid(uid) => name(uid),
        EvalResult::Set(set) if set.is_empty() => "nothing".to_owned(),
        EvalResult::Set(set) => set.iter().map(value_in_words).collect::<Vec<_>>().join(" and "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use cedar_policy::Context;

    use super::*;
    use crate::Sources;

    #[test]
    fn a_counterexample_says_who_may_do_what_on_what_and_when() {
        let model = Sources::delivered().model().unwrap();
        let entities = r#"[
            {"uid": {"type": "Member", "id": "ada"}, "parents": [{"type": "Team", "id": "crew"}],
             "attrs": {"tenant": {"__entity": {"type": "Tenant", "id": "acme"}}, "suspended": true,
                       "tenant_suspended": false},
             "tags": {"auditor": [{"__entity": {"type": "Place", "id": "north"}}]}},
            {"uid": {"type": "Team", "id": "crew"}, "parents": [],
             "attrs": {"tenant": {"__entity": {"type": "Tenant", "id": "acme"}}}},
            {"uid": {"type": "Item", "id": "recipe"}, "parents": [{"type": "Collection", "id": "recipes"}],
             "attrs": {"tenant": {"__entity": {"type": "Tenant", "id": "rivals"}}}}
        ]"#;
        let context =
            Context::from_json_str(r#"{"fresh": false, "in_scope": true, "hour": 9}"#, None).unwrap();
        let request = Request::new(
            "Member::\"ada\"".parse().unwrap(),
            "Action::\"item.read\"".parse().unwrap(),
            "Item::\"recipe\"".parse().unwrap(),
            context,
            Some(&model.schema),
        );
        let example = Counterexample {
            request: request.unwrap(),
            entities: Entities::from_json_str(entities, Some(&model.schema)).unwrap(),
        };
        assert_eq!(
            example.to_string(),
            "Member \"ada\" of tenant \"acme\" (suspended; not tenant suspended; \"auditor\" at Place \"north\"; \
             in Team \"crew\") may do item.read on Item \"recipe\" of tenant \"rivals\" (in Collection \"recipes\"), \
             not having proved moments ago who they are, and within their scopes"
        );
    }
}
