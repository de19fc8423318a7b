// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The policies: read once, validated strictly, then asked.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cedar_policy::{Authorizer, Entities, Policy, PolicyId, PolicySet, Request, Response};
use store::TenantId;

use crate::action::Action;
use crate::caller::Caller;
use crate::decision::{Decision, Explanation, Reason, Refusal};
use crate::memo::Memo;
use crate::resource::Resource;
use crate::scopes::Scopes;
use crate::slice::{Slice, Unanswerable, When};
use crate::tenant_policies::{self, Added, PolicyProblem};
use crate::vocabulary::{BuiltInRole, Vocabulary};

/// The built-in policies, by the name of their file.
pub(crate) const BUILT_IN: &[(&str, &str)] = &[
    ("guardrails.cedar", include_str!("../policies/guardrails.cedar")),
    ("homes.cedar", include_str!("../policies/homes.cedar")),
    ("platform.cedar", include_str!("../policies/platform.cedar")),
    ("sharing.cedar", include_str!("../policies/sharing.cedar")),
    ("tenants.cedar", include_str!("../policies/tenants.cedar")),
];

/// A set of policies that has passed strict validation, ready to be asked.
///
/// [`Access`](crate::Access) always stands on the built-in set, and in a customer's tenant on that with the tenant's own
/// roles and policies added; other sets can be asked what they would say, and open nothing.
pub struct Policies {
    vocabulary: Arc<Vocabulary>,
    set: PolicySet,
    /// The set without the tenant's own policies, where there are any: for what these have no say in.
    by_roles: Option<PolicySet>,
    refusals: HashMap<PolicyId, Refusal>,
    authorizer: Authorizer,
    memo: Memo,
    /// Whether a policy looks at the hour.
    looks_at_clock: bool,
}

/// A role that a tenant made for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomRole {
    /// Its id.
    pub id: uuid::Uuid,
    /// What it may.
    pub actions: Scopes,
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
    #[error(
        "policy {policy}: @refusal is not one of not_found, suspended, tenant_suspended, step_up_required"
    )]
    UnknownRefusal {
        /// The policy.
        policy: String,
    },
    /// The policies do not fit the schema.
    #[error("the policies do not fit the schema: {0}")]
    Invalid(String),
}

impl Policies {
    /// The policies that Bailiwick is delivered with. They are part of the program, and a test validates them: a start does not
    /// do that again.
    pub fn built_in() -> Result<Policies, PolicyError> {
        Self::read(BUILT_IN)
    }

    /// Reads and validates policies: pairs of a file's name and its text.
    pub fn from_sources(sources: &[(&str, &str)]) -> Result<Policies, PolicyError> {
        let policies = Self::read(sources)?;
        let valid = policies.vocabulary.validate(&policies.set);
        valid.map_err(|verdict| PolicyError::Invalid(verdict.to_string()))?;
        Ok(policies)
    }

    fn read(sources: &[(&str, &str)]) -> Result<Policies, PolicyError> {
        let mut set = PolicySet::new();
        let mut refusals = HashMap::new();
        for (file, text) in sources {
            read_file(file, text, &mut set, &mut refusals)?;
        }
        Ok(Self::of(Arc::new(Vocabulary::read()?), set, None, refusals))
    }

    fn of(
        vocabulary: Arc<Vocabulary>,
        set: PolicySet,
        by_roles: Option<PolicySet>,
        refusals: HashMap<PolicyId, Refusal>,
    ) -> Policies {
        let memo = Memo::new(!names_no_single_thing(&set, &vocabulary));
        let looks_at_clock = set.policies().any(|policy| mentions(policy, "hour"));
        Policies { vocabulary, set, by_roles, refusals, authorizer: Authorizer::new(), memo, looks_at_clock }
    }

    /// This set with a tenant's own roles and policies added. What this set forbids stays forbidden, whatever is added: in
    /// Cedar a forbid wins over every permit, and nothing of this set is taken away or renamed.
    ///
    /// # Errors
    /// What is wrong with the text, with the line and the column where it stands: all of it, so that it can be mended in one
    /// go.
    pub fn with_tenant(&self, roles: &[CustomRole], text: &str) -> Result<Policies, Vec<PolicyProblem>> {
        let Added { set, by_roles } = tenant_policies::add(&self.vocabulary, &self.set, roles, text)?;
        Ok(Self::of(Arc::clone(&self.vocabulary), set, by_roles, self.refusals.clone()))
    }

    /// The set without one of its policies: for asking what that policy is worth. `None` when
    /// there is no such policy.
    pub fn without(mut self, id: &str) -> Option<Policies> {
        self.set.remove_static(PolicyId::new(id)).ok()?;
        if let Some(by_roles) = &mut self.by_roles {
            // One of the tenant's own is not in it.
            let _ = by_roles.remove_static(PolicyId::new(id));
        }
        // What was remembered is what the whole set said.
        self.memo = self.memo.emptied();
        Some(self)
    }

    /// Each policy's id and the sentence that says what it does.
    pub fn sentences(&self) -> impl Iterator<Item = (&str, &str)> {
        self.set.policies().filter_map(|policy| Some((policy.id().as_ref(), policy.annotation("says")?)))
    }

    /// Whether the action is a read that may be done without leaving a record.
    pub fn leaves_no_record(&self, action: Action) -> bool {
        self.vocabulary.leaves_no_record(action)
    }

    /// What a built-in role may.
    pub fn role(&self, role: BuiltInRole) -> Scopes {
        self.vocabulary.role(role)
    }

    /// What a support grant may open at the most.
    pub fn support(&self) -> Scopes {
        self.vocabulary.support()
    }

    /// What a tenant can put into a role of its own: whatever is done in a customer's tenant.
    pub fn grantable(&self) -> Scopes {
        self.vocabulary.role(BuiltInRole::Owner)
    }

    /// What a member of a tenant can ask to do there, and so what a decision can be explained of.
    pub fn askable(&self) -> Scopes {
        self.vocabulary.of_members()
    }

    pub(crate) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Whether a policy looks at the hour.
    pub(crate) fn looks_at_clock(&self) -> bool {
        self.looks_at_clock
    }

    /// Whether one of the tenant's own policies looks at how fresh the caller's proof is.
    pub(crate) fn own_look_at_proof(&self) -> bool {
        self.own().any(|policy| mentions(policy, "fresh"))
    }

    /// The tenant's own policies.
    pub(crate) fn own(&self) -> impl Iterator<Item = &Policy> {
        let is_own = |id: &str| id.starts_with(tenant_policies::OWN);
        self.set.policies().filter(move |policy| is_own(policy.id().as_ref()))
    }

    /// Every single thing that a policy names: whoever or whatever is not among them is to the policies like others of its
    /// kind.
    pub(crate) fn named(&self) -> BTreeSet<String> {
        let id = |named: cedar_policy::EntityUid| named.id().unescaped().to_owned();
        self.set.policies().flat_map(Policy::entity_literals).map(id).collect()
    }

    /// The devices that a policy names.
    pub(crate) fn named_devices(&self) -> BTreeSet<uuid::Uuid> {
        self.named_of("dvc_")
    }

    /// The collections that a policy names.
    pub(crate) fn named_collections(&self) -> BTreeSet<uuid::Uuid> {
        self.named_of("col_")
    }

    fn named_of(&self, prefix: &str) -> BTreeSet<uuid::Uuid> {
        let id = |named: cedar_policy::EntityUid| {
            let digits = named.id().unescaped().strip_prefix(prefix)?;
            uuid::Uuid::try_parse(digits).ok()
        };
        self.set.policies().flat_map(Policy::entity_literals).filter_map(id).collect()
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
        self.answer(Slice::new(caller, tenant, action, &resource, When::at(now_ms, caller)))
    }

    pub(crate) fn answer(&self, slice: Result<Slice, Unanswerable>) -> Result<(), Refusal> {
        let Ok(slice) = slice else {
            return Err(Refusal::Forbidden);
        };
        let slice = if self.looks_at_clock { slice } else { slice.at_any_hour() };
        self.memo.answer(slice, |slice| self.decide_anew(slice))
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
        let slice = || Slice::new(caller, tenant, action, &resource, When::at(now_ms, caller));
        self.explained(slice(), slice())
    }

    /// The decision on a slice, with the policies that made it. The slice is given twice since deciding uses it up.
    pub(crate) fn explained(
        &self,
        slice: Result<Slice, Unanswerable>,
        again: Result<Slice, Unanswerable>,
    ) -> Explanation {
        let decision = match self.answer(slice) {
            Ok(()) => Decision::Allowed,
            Err(refusal) => Decision::Refused(refusal),
        };
        let (reasons, fault) = match again.and_then(|slice| self.ask(&slice)) {
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
        let Vocabulary { schema, types, .. } = &*self.vocabulary;
        let action = self.vocabulary.action(slice.action).ok_or(Unanswerable::Misplaced)?;
        let principal = types.entity(&slice.principal)?;
        let object = types.entity(&slice.resource)?;
        let context =
            self.vocabulary.circumstances(slice.when, slice.in_scope).ok_or(Unanswerable::Misplaced)?;
        let request =
            Request::new(principal.uid(), action.uid(), object.uid(), context.clone(), Some(schema))?;
        let entities = Entities::from_entities([principal, action.clone(), object], None)?;
        let set = match &self.by_roles {
            Some(by_roles) if self.vocabulary.by_roles_alone().contains(slice.action) => by_roles,
            _ => &self.set,
        };
        Ok(self.authorizer.is_authorized(&request, set, &entities))
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
        } else if answers().any(|answer| answer == Refusal::TenantSuspended) {
            Some(Refusal::TenantSuspended)
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

/// Whether a policy reads the circumstance of this name. Doubt says yes.
fn mentions(policy: &Policy, circumstance: &str) -> bool {
    let Ok(text) = policy.to_json() else { return true };
    text.get("conditions")
        .is_none_or(|conditions| conditions.to_string().contains(&format!("\"{circumstance}\"")))
}

/// Whether the policies answer alike whoever in particular asks for whatever in particular: all that they name are actions,
/// roles and the platform.
fn names_no_single_thing(set: &PolicySet, vocabulary: &Vocabulary) -> bool {
    let is_word = |named| vocabulary.types.is_word(&named);
    set.templates().next().is_none() && set.policies().flat_map(Policy::entity_literals).all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Principal;
    use crate::platform_role::PlatformRole;
    use crate::slice::{Fact, Name};
    use crate::vocabulary::SCHEMA;
    use crate::{PlatformRoles, SignedIn, Via};

    fn policies() -> Policies {
        Policies::built_in().unwrap()
    }

    #[test]
    fn the_delivered_policies_fit_the_schema() {
        assert!(Policies::from_sources(BUILT_IN).is_ok());
    }

    #[test]
    fn the_schema_and_the_code_list_exactly_the_same_actions() {
        let policies = policies();
        let schema = &policies.vocabulary.schema;
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
            let entity = policies.vocabulary.types.entity(&Fact::of_principal(principal)).unwrap();
            Entities::from_entities([entity], Some(&policies.vocabulary.schema)).unwrap();
        }
        for resource in &resources {
            let entity =
                policies.vocabulary.types.entity(&Fact::of_resource(resource, TenantId::random())).unwrap();
            Entities::from_entities([entity], Some(&policies.vocabulary.schema)).unwrap();
        }
    }

    #[test]
    fn the_delivered_policies_are_remembered_and_what_is_remembered_is_bounded() {
        let policies = policies();
        let memo = &policies.memo;
        assert!(!memo.is_exact());
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
    fn whatever_a_tenant_adds_takes_no_policy_away_and_changes_none() {
        let delivered = policies();
        // Under the names of guardrails.
        let text = "@id(\"tenant-wall\") permit (principal, action, resource);\n\
                    @id(\"suspended\") forbid (principal is Member, action, resource);";
        let role = CustomRole { id: uuid::Uuid::new_v4(), actions: delivered.grantable() };
        let both = delivered.with_tenant(&[role], text).unwrap();
        for policy in delivered.set.policies() {
            assert_eq!(both.set.policy(policy.id()).unwrap().to_string(), policy.to_string());
        }
        assert_eq!(both.set.num_of_policies(), delivered.set.num_of_policies() + 3);
        assert_eq!(both.refusals, delivered.refusals);
    }

    #[test]
    fn the_platform_cannot_be_mistaken_for_a_tenant() {
        let policies = policies();
        let types = &policies.vocabulary.types;
        let text = |tenant| types.uid(&Name::tenant(tenant)).unwrap().id().unescaped().to_owned();
        assert_eq!(text(TenantId::PLATFORM), "platform");
        assert!(text(TenantId::random()).starts_with("ten_"));
    }
}
