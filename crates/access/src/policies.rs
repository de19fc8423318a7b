// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The policies: read once, validated strictly, then asked.

use std::collections::HashMap;

use cedar_policy::{
    Authorizer, Context, ContextCreationError, Entities, Entity, PolicyId, PolicySet, Request, Response,
    RestrictedExpression, Schema, ValidationMode, Validator,
};
use store::TenantId;

use crate::action::Action;
use crate::caller::Caller;
use crate::decision::{Decision, Explanation, Reason, Refusal};
use crate::memo::Memo;
use crate::resource::Resource;
use crate::scopes::Scopes;
use crate::slice::{Slice, Types, Unanswerable};

/// What exists and what can be done to it.
pub(crate) const SCHEMA: &str = include_str!("../policies/schema.cedarschema");

/// The built-in policies, by the name of their file.
pub(crate) const BUILT_IN: &[(&str, &str)] = &[
    ("guardrails.cedar", include_str!("../policies/guardrails.cedar")),
    ("homes.cedar", include_str!("../policies/homes.cedar")),
    ("platform.cedar", include_str!("../policies/platform.cedar")),
    ("sharing.cedar", include_str!("../policies/sharing.cedar")),
];

/// A set of policies that has passed strict validation, ready to be asked.
///
/// [`Access`](crate::Access) always stands on the built-in set; other sets can be asked what they
/// would say, and open nothing.
pub struct Policies {
    schema: Schema,
    set: PolicySet,
    refusals: HashMap<PolicyId, Refusal>,
    actions: HashMap<Action, Entity>,
    unrecorded: Scopes,
    types: Types,
    circumstances: [Context; 4],
    authorizer: Authorizer,
    /// There when no policy names a single thing.
    memo: Option<Memo>,
}

/// Why policies were not accepted.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The schema does not read.
    #[error("the policy schema does not read: {0}")]
    Schema(String),
    /// A file of policies does not read.
    #[error("{file} does not read: {problem}")]
    Syntax {
        /// The file.
        file: String,
        /// What the parser said.
        problem: String,
    },
    /// A policy lacks its `@id` or its `@says`, or repeats another's id.
    #[error("{file}: every policy needs an @id of its own and a sentence in @says: {policy}")]
    Unnamed {
        /// The file.
        file: String,
        /// The policy, as far as it can be told.
        policy: String,
    },
    /// A policy's `@refusal` is none of those that callers can be given.
    #[error("policy {policy}: @refusal is not one of not_found, suspended, step_up_required")]
    UnknownRefusal {
        /// The policy.
        policy: String,
    },
    /// The policies do not fit the schema.
    #[error("the policies do not fit the schema: {0}")]
    Invalid(String),
}

impl Policies {
    /// The policies that Bailiwick is delivered with.
    pub fn built_in() -> Result<Policies, PolicyError> {
        Self::from_sources(BUILT_IN)
    }

    /// Reads and validates policies: pairs of a file's name and its text.
    pub fn from_sources(sources: &[(&str, &str)]) -> Result<Policies, PolicyError> {
        let (schema, _) =
            Schema::from_cedarschema_str(SCHEMA).map_err(|error| PolicyError::Schema(error.to_string()))?;
        let mut set = PolicySet::new();
        let mut refusals = HashMap::new();
        for (file, text) in sources {
            read_file(file, text, &mut set, &mut refusals)?;
        }
        let verdict = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
        if !verdict.validation_passed_without_warnings() {
            return Err(PolicyError::Invalid(verdict.to_string()));
        }
        let types = Types::new()?;
        let (actions, unrecorded) = read_actions(&schema, &types)?;
        let memo = names_no_single_thing(&set, &types).then(Memo::default);
        Ok(Policies {
            memo,
            actions,
            unrecorded,
            types,
            circumstances: [
                circumstances(false, false)?,
                circumstances(true, false)?,
                circumstances(false, true)?,
                circumstances(true, true)?,
            ],
            authorizer: Authorizer::new(),
            schema,
            set,
            refusals,
        })
    }

    /// The set without one of its policies: for asking what that policy is worth. `None` when
    /// there is no such policy.
    pub fn without(mut self, id: &str) -> Option<Policies> {
        self.set.remove_static(PolicyId::new(id)).ok()?;
        // What was remembered is what the whole set said.
        self.memo = self.memo.map(|_| Memo::default());
        Some(self)
    }

    /// Each policy's id and the sentence that says what it does.
    pub fn sentences(&self) -> impl Iterator<Item = (&str, &str)> {
        self.set.policies().filter_map(|policy| Some((policy.id().as_ref(), policy.annotation("says")?)))
    }

    /// Whether the action is a read that may be done without leaving a record.
    pub fn leaves_no_record(&self, action: Action) -> bool {
        self.unrecorded.contains(action)
    }

    /// Whether the caller may do this in that tenant at this time (milliseconds since the epoch).
    pub fn decide(
        &self,
        caller: &Caller,
        tenant: TenantId,
        action: Action,
        resource: Resource,
        now_ms: i64,
    ) -> Result<(), Refusal> {
        let fresh = caller.is_fresh(now_ms);
        let Ok(slice) = Slice::new(caller, tenant, action, &resource, fresh) else {
            return Err(Refusal::Forbidden);
        };
        match &self.memo {
            Some(memo) => memo.answer(slice, |slice| self.decide_anew(slice)),
            None => self.decide_anew(slice),
        }
    }

    /// What the policies say, and how the caller is told.
    fn decide_anew(&self, slice: Slice) -> Result<(), Refusal> {
        match self.ask(&slice) {
            Ok(response) => match self.refusal(&response) {
                None => Ok(()),
                Some(Refusal::StepUpRequired) if !self.would_be_allowed(slice) => Err(Refusal::Forbidden),
                Some(refusal) => Err(refusal),
            },
            Err(_) => Err(Refusal::Forbidden),
        }
    }

    /// The same decision, with the policies that made it.
    pub fn explain(
        &self,
        caller: &Caller,
        tenant: TenantId,
        action: Action,
        resource: Resource,
        now_ms: i64,
    ) -> Explanation {
        let decision = match self.decide(caller, tenant, action, resource, now_ms) {
            Ok(()) => Decision::Allowed,
            Err(refusal) => Decision::Refused(refusal),
        };
        let slice = Slice::new(caller, tenant, action, &resource, caller.is_fresh(now_ms));
        let (reasons, fault) = match slice.and_then(|slice| self.ask(&slice)) {
            Ok(response) => (
                self.reasons(&response),
                response.diagnostics().errors().next().map(|error| error.to_string()),
            ),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        Explanation { decision, reasons, fault }
    }

    /// What Cedar says.
    fn ask(&self, slice: &Slice) -> Result<Response, Unanswerable> {
        let action_entity = self.actions.get(&slice.action).ok_or(Unanswerable::Misplaced)?;
        let principal = self.types.entity(&slice.principal)?;
        let object = self.types.entity(&slice.resource)?;
        let [strict, proven, scoped, proven_scoped] = &self.circumstances;
        let context = match (slice.fresh, slice.in_scope) {
            (false, false) => strict,
            (true, false) => proven,
            (false, true) => scoped,
            (true, true) => proven_scoped,
        };
        let request = Request::new(
            principal.uid(),
            action_entity.uid(),
            object.uid(),
            context.clone(),
            Some(&self.schema),
        )?;
        let entities = Entities::from_entities([principal, action_entity.clone(), object], None)?;
        Ok(self.authorizer.is_authorized(&request, &self.set, &entities))
    }

    /// How the caller is answered; `None` for yes.
    ///
    /// Cedar leaves a policy out when it cannot be evaluated. A guardrail that is left out would
    /// be a gap, so any such error refuses.
    fn refusal(&self, response: &Response) -> Option<Refusal> {
        if response.diagnostics().errors().next().is_some() {
            return Some(Refusal::Forbidden);
        }
        if response.decision() == cedar_policy::Decision::Allow {
            return None;
        }
        let answers = || {
            response
                .diagnostics()
                .reason()
                .map(|id| self.refusals.get(id).copied().unwrap_or(Refusal::Forbidden))
        };
        // What is true of the caller alone comes first; then the answer that says nothing.
        if answers().any(|answer| answer == Refusal::Suspended) {
            Some(Refusal::Suspended)
        } else if answers().any(|answer| answer == Refusal::NotFound) {
            Some(Refusal::NotFound)
        } else if answers().count() > 0 && answers().all(|answer| answer == Refusal::StepUpRequired) {
            Some(Refusal::StepUpRequired)
        } else {
            Some(Refusal::Forbidden)
        }
    }

    /// Whether a fresh proof is all that is missing: nobody is asked for one in vain.
    fn would_be_allowed(&self, slice: Slice) -> bool {
        self.ask(&slice.with_fresh_proof()).is_ok_and(|response| self.refusal(&response).is_none())
    }

    fn reasons(&self, response: &Response) -> Vec<Reason> {
        let mut reasons: Vec<Reason> = response
            .diagnostics()
            .reason()
            .map(|id| Reason {
                policy: id.to_string(),
                says: self.set.annotation(id, "says").unwrap_or_default().to_owned(),
            })
            .collect();
        reasons.sort_by(|a, b| a.policy.cmp(&b.policy));
        reasons
    }
}

/// Adds a file's policies to the set under their own ids.
fn read_file(
    file: &str,
    text: &str,
    set: &mut PolicySet,
    refusals: &mut HashMap<PolicyId, Refusal>,
) -> Result<(), PolicyError> {
    let read: PolicySet = text.parse().map_err(|error: cedar_policy::ParseErrors| PolicyError::Syntax {
        file: file.into(),
        problem: error.to_string(),
    })?;
    for policy in read.policies() {
        let unnamed = |policy: String| PolicyError::Unnamed { file: file.into(), policy };
        let id = policy.annotation("id").ok_or_else(|| unnamed(policy.to_string()))?;
        if policy.annotation("says").is_none_or(str::is_empty) {
            return Err(unnamed(id.to_owned()));
        }
        if let Some(refusal) = policy.annotation("refusal") {
            let refusal = Refusal::from_annotation(refusal)
                .ok_or_else(|| PolicyError::UnknownRefusal { policy: id.to_owned() })?;
            refusals.insert(PolicyId::new(id), refusal);
        }
        set.add(policy.new_id(PolicyId::new(id))).map_err(|error| unnamed(error.to_string()))?;
    }
    Ok(())
}

/// Each action with the groups it is in, and which of them leave no record. Fails when the schema
/// lacks one.
fn read_actions(schema: &Schema, types: &Types) -> Result<(HashMap<Action, Entity>, Scopes), PolicyError> {
    let entities = schema.action_entities().map_err(|error| PolicyError::Schema(error.to_string()))?;
    let group = types.action("leaves_no_record");
    let unrecorded = Action::ALL
        .iter()
        .copied()
        .filter(|action| entities.is_ancestor_of(&group, &types.action(action.name())))
        .collect();
    let actions = Action::ALL
        .iter()
        .map(|action| match entities.get(&types.action(action.name())) {
            Some(entity) => Ok((*action, entity.clone())),
            None => Err(PolicyError::Schema(format!("it lacks the action {action}"))),
        })
        .collect::<Result<_, _>>()?;
    Ok((actions, unrecorded))
}

/// Whether the policies answer alike whoever in particular asks for whatever in particular: all that they name are actions,
/// roles and the platform.
fn names_no_single_thing(set: &PolicySet, types: &Types) -> bool {
    set.templates().next().is_none()
        && set.policies().flat_map(cedar_policy::Policy::entity_literals).all(|named| types.is_word(&named))
}

fn circumstances(fresh: bool, in_scope: bool) -> Result<Context, PolicyError> {
    Context::from_pairs([
        ("fresh".to_owned(), RestrictedExpression::new_bool(fresh)),
        ("in_scope".to_owned(), RestrictedExpression::new_bool(in_scope)),
    ])
    .map_err(|error: ContextCreationError| PolicyError::Schema(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::caller::Principal;
    use crate::platform_role::PlatformRole;
    use crate::slice::{Fact, Name};
    use crate::{PlatformRoles, SignedIn, Via};

    fn policies() -> Policies {
        Policies::built_in().unwrap()
    }

    #[test]
    fn the_schema_and_the_code_list_exactly_the_same_actions() {
        let schema = policies().schema;
        let groups: BTreeSet<_> = schema.action_groups().map(|uid| uid.id().unescaped().to_owned()).collect();
        let in_schema: BTreeSet<_> = schema
            .actions()
            .map(|uid| uid.id().unescaped().to_owned())
            .filter(|name| !groups.contains(name))
            .collect();
        let in_code: BTreeSet<_> = Action::ALL.iter().map(|action| action.name().to_owned()).collect();
        assert_eq!(in_schema, in_code);
        assert_eq!(in_code.len(), Action::ALL.len(), "two actions share a name");
    }

    #[test]
    fn the_schema_and_the_code_list_exactly_the_same_platform_roles() {
        let roles: Vec<_> = PlatformRole::ALL.iter().map(|role| format!("\"{role}\"")).collect();
        assert!(SCHEMA.contains(&format!("entity PlatformRole enum [{}];", roles.join(", "))));
    }

    #[test]
    fn every_type_but_the_two_pure_names_says_which_tenant_it_belongs_to() {
        let schema: serde_json::Value = policies_schema_json();
        let types = schema[""]["entityTypes"].as_object().unwrap();
        assert!(types.len() >= 13);
        for (name, definition) in types {
            if ["Tenant", "PlatformRole"].contains(&name.as_str()) {
                continue;
            }
            let tenant = &definition["shape"]["attributes"]["tenant"];
            assert_eq!(tenant["name"], "Tenant", "{name}");
            assert_ne!(tenant["required"], false, "{name}");
        }
    }

    fn policies_schema_json() -> serde_json::Value {
        let (fragment, _) = cedar_policy::SchemaFragment::from_cedarschema_str(SCHEMA).unwrap();
        fragment.to_json_value().unwrap()
    }

    #[test]
    fn every_entity_that_is_built_is_the_schemas() {
        let policies = policies();
        let id = uuid::Uuid::new_v4();
        let account = SignedIn {
            account: id,
            home: TenantId::random(),
            via: Via::Session(id),
            fresh_until: None,
            suspended: true,
            platform_roles: PlatformRole::ALL.into_iter().collect(),
        };
        let bare = SignedIn { platform_roles: PlatformRoles::NONE, ..account };
        let principals = [
            Principal::Visitor,
            Principal::Account(account),
            Principal::Account(bare),
            Principal::System("sweep"),
        ];
        let resources = [
            Resource::Home,
            Resource::Session(id),
            Resource::Collection(id),
            Resource::Item { collection: id, id },
            Resource::File { collection: id, id },
            Resource::Log,
            Resource::Platform,
            Resource::DirectoryEntry { account: id },
        ];
        for principal in &principals {
            let entity = policies.types.entity(&Fact::of_principal(principal)).unwrap();
            Entities::from_entities([entity], Some(&policies.schema)).unwrap();
        }
        for resource in &resources {
            let entity = policies.types.entity(&Fact::of_resource(resource, TenantId::random())).unwrap();
            Entities::from_entities([entity], Some(&policies.schema)).unwrap();
        }
    }

    #[test]
    fn the_delivered_policies_are_remembered_and_what_is_remembered_is_bounded() {
        let policies = policies();
        let memo = policies.memo.as_ref().unwrap();
        for n in 0..100 {
            let id = uuid::Uuid::from_u128(n);
            let account = SignedIn {
                account: id,
                home: TenantId::random(),
                via: Via::Session(id),
                fresh_until: None,
                suspended: false,
                platform_roles: PlatformRoles::NONE,
            };
            let item = Resource::Item { collection: id, id };
            let caller = Caller::account(account, "req_1");
            assert_eq!(policies.decide(&caller, account.home, Action::ItemWrite, item, 0), Ok(()));
        }
        assert_eq!(memo.len(), 1);
    }

    #[test]
    fn the_platform_cannot_be_mistaken_for_a_tenant() {
        let types = policies().types;
        let text = |tenant| types.uid(&Name::tenant(tenant)).unwrap().id().unescaped().to_owned();
        assert_eq!(text(TenantId::PLATFORM), "platform");
        assert!(text(TenantId::random()).starts_with("ten_"));
    }
}
