// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is proved over: the schema and the guardrails, as they stand in the files or spoiled on purpose.

use cedar_policy::{Effect, Policy, PolicyId, PolicySet, RequestEnv, Schema, ValidationMode, Validator};

use crate::ProofError;

/// The texts.
#[derive(Clone)]
pub struct Sources {
    schema: String,
    guardrails: String,
}

/// A change to the texts, as a person could make it.
#[derive(Clone, Copy, Debug)]
pub enum Edit {
    /// Takes a guardrail away, by its id.
    Without(&'static str),
    /// Replaces a text of the guardrails that stands there once.
    Guardrails(&'static str, &'static str),
    /// Replaces a text of the schema that stands there once.
    Schema(&'static str, &'static str),
}

/// The schema, the guardrails, and a policy that permits everything.
pub struct Model {
    pub(crate) schema: Schema,
    pub(crate) policies: PolicySet,
}

impl Sources {
    /// The files that the program is built from.
    pub fn delivered() -> Sources {
        Sources {
            schema: include_str!("../../access/policies/schema.cedarschema").to_owned(),
            guardrails: include_str!("../../access/policies/guardrails.cedar").to_owned(),
        }
    }

    /// The texts with changes made to them.
    pub fn edited(&self, edits: &[Edit]) -> Result<Sources, ProofError> {
        let mut sources = self.clone();
        for edit in edits {
            match *edit {
                Edit::Without(id) => sources.guardrails = without(&sources.guardrails, id)?,
                Edit::Guardrails(from, to) => sources.guardrails = replaced(&sources.guardrails, from, to)?,
                Edit::Schema(from, to) => sources.schema = replaced(&sources.schema, from, to)?,
            }
        }
        Ok(sources)
    }

    /// Reads the texts. What they say must fit together: a model that does not is no model of anything.
    pub fn model(&self) -> Result<Model, ProofError> {
        let (schema, _) = Schema::from_cedarschema_str(&self.schema)
            .map_err(|error| ProofError::Schema(error.to_string()))?;
        let mut policies = read("guardrails.cedar", &self.guardrails, &schema)?;
        if let Some(permit) = policies.policies().find(|policy| policy.effect() == Effect::Permit) {
            let problem = format!("a guardrail forbids: {permit}");
            return Err(ProofError::Policies { what: "guardrails.cedar", problem });
        }
        let everything = "permit (principal, action, resource);";
        let what = "the policy that permits everything";
        let problem = |problem: String| ProofError::Policies { what, problem };
        let everything = Policy::parse(Some(PolicyId::new("everything")), everything)
            .map_err(|error| problem(error.to_string()))?;
        policies.add(everything).map_err(|error| problem(error.to_string()))?;
        Ok(Model { schema, policies })
    }
}

impl Model {
    /// Every kind of request that the schema lets be.
    pub fn kinds(&self) -> Vec<RequestEnv> {
        let mut kinds: Vec<_> = self.schema.request_envs().collect();
        kinds.sort();
        kinds
    }

    /// The ids of the guardrails.
    pub fn guardrails(&self) -> Vec<String> {
        let forbids = self.policies.policies().filter(|policy| policy.effect() == Effect::Forbid);
        let mut ids: Vec<_> = forbids.map(|policy| policy.id().to_string()).collect();
        ids.sort();
        ids
    }
}

/// Reads policies under the ids that stand before them.
pub(crate) fn read(what: &'static str, text: &str, schema: &Schema) -> Result<PolicySet, ProofError> {
    let problem = |problem: String| ProofError::Policies { what, problem };
    let read: PolicySet =
        text.parse().map_err(|error: cedar_policy::ParseErrors| problem(error.to_string()))?;
    let mut set = PolicySet::new();
    for policy in read.policies() {
        let id = policy.annotation("id").ok_or_else(|| problem(format!("no @id: {policy}")))?;
        set.add(policy.new_id(PolicyId::new(id))).map_err(|error| problem(error.to_string()))?;
    }
    let verdict = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    if verdict.validation_passed() { Ok(set) } else { Err(problem(verdict.to_string())) }
}

fn replaced(text: &str, from: &str, to: &str) -> Result<String, ProofError> {
    match text.matches(from).count() {
        1 => Ok(text.replacen(from, to, 1)),
        times => Err(ProofError::Edit(format!("{from:?} stands there {times} times"))),
    }
}

/// A text of policies without one of them. A policy's head is its `@id` at the beginning of a line, its end a line that ends
/// with a semicolon.
fn without(text: &str, id: &str) -> Result<String, ProofError> {
    let absent = || ProofError::Edit(format!("there is no policy {id}"));
    let (before, rest) = text.split_once(&format!("\n@id(\"{id}\")\n")).ok_or_else(absent)?;
    let (_, after) = rest.split_once(";\n").ok_or_else(absent)?;
    Ok(format!("{before}\n{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delivered_texts_are_a_model() {
        let model = Sources::delivered().model().unwrap();
        assert!(model.guardrails().len() >= 15);
        assert!(model.kinds().len() >= 500);
    }

    #[test]
    fn taking_a_guardrail_away_leaves_the_others() {
        let sources = Sources::delivered();
        let all = sources.model().unwrap().guardrails();
        for id in &all {
            let id: &'static str = Box::leak(id.clone().into_boxed_str());
            let left = sources.edited(&[Edit::Without(id)]).unwrap().model().unwrap().guardrails();
            assert_eq!(left, all.iter().filter(|other| *other != id).cloned().collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_edit_that_fits_nowhere_or_twice_is_none() {
        let sources = Sources::delivered();
        for edit in
            [Edit::Without("nothing"), Edit::Guardrails("no such text", ""), Edit::Schema("Bool", "Long")]
        {
            assert!(matches!(sources.edited(&[edit]), Err(ProofError::Edit(_))), "{edit:?}");
        }
    }

    #[test]
    fn a_permit_among_the_guardrails_is_no_guardrail() {
        let edit = Edit::Guardrails(
            "forbid (principal is Worker, action, resource)",
            "permit (principal is Worker, action, resource)",
        );
        let spoiled = Sources::delivered().edited(&[edit]).unwrap();
        assert!(matches!(spoiled.model(), Err(ProofError::Policies { .. })));
    }
}
