// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A tenant's own roles and policies, added to the built-in ones.
//!
//! What the guardrails forbid holds whatever a tenant adds, by construction: the built-in policies are in every set, in Cedar a
//! forbid wins over every permit, and what a tenant adds has ids of its own (`role/…`, `tenant/…`) and is read after them. In
//! what the schema calls `by_roles_alone` a tenant's policies have no say: a set without them decides it. So none of them
//! makes anybody a writer of policies, and none keeps who is one from mending them. A
//! text is accepted when each of its policies has an id, none is a template, none asks to be answered in a way of its own, and
//! all fit the schema strictly.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use cedar_policy::{Policy, PolicyId, PolicySet};

use crate::bounded;
use crate::policies::CustomRole;
use crate::vocabulary::Vocabulary;

/// The longest text of a tenant's policies, in bytes.
pub const MAX_POLICIES: usize = 64 << 10;
/// How many policies a tenant has at most, and how many roles of its own.
pub const MAX_TENANT_POLICIES: usize = 200;

/// Something that is wrong with a tenant's policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyProblem {
    /// The line, from 1; `None` when it is not about one place.
    pub line: Option<u32>,
    /// The column, from 1, in characters.
    pub column: Option<u32>,
    /// The policy's id, where it is known.
    pub policy: Option<String>,
    /// What is wrong.
    pub message: String,
}

/// How the ids of a tenant's own policies begin.
pub(crate) const OWN: &str = "tenant/";
/// How the ids of the policies begin that a tenant's own roles become.
pub(crate) const ROLE: &str = "role/";

/// A set with a tenant's roles and policies added.
pub(crate) struct Added {
    pub(crate) set: PolicySet,
    /// With the roles alone; `None` when the tenant has no policies of its own, and it is the same.
    pub(crate) by_roles: Option<PolicySet>,
}

/// The set with a tenant's roles and policies added.
pub(crate) fn add(
    vocabulary: &Vocabulary,
    built_in: &PolicySet,
    roles: &[CustomRole],
    text: &str,
) -> Result<Added, Vec<PolicyProblem>> {
    if text.is_empty() && roles.is_empty() {
        return read(vocabulary, built_in, roles, text);
    }
    if let Some((offset, message)) = bounded::beyond(text) {
        return Err(vec![PolicyProblem::at(text, Some(offset), message)]);
    }
    bounded::on_large_stack(|| read(vocabulary, built_in, roles, text))
        .unwrap_or_else(|error| Err(vec![PolicyProblem::general(error.to_string())]))
}

fn read(
    vocabulary: &Vocabulary,
    built_in: &PolicySet,
    roles: &[CustomRole],
    text: &str,
) -> Result<Added, Vec<PolicyProblem>> {
    if text.len() > MAX_POLICIES {
        return Err(vec![PolicyProblem::general(format!(
            "a tenant's policies take at most {MAX_POLICIES} bytes"
        ))]);
    }
    let own: PolicySet = text.parse().map_err(|error: cedar_policy::ParseErrors| syntax(text, &error))?;
    let mut problems = Vec::new();
    if own.num_of_policies() + own.num_of_templates() > MAX_TENANT_POLICIES {
        problems.push(PolicyProblem::general(format!("a tenant has at most {MAX_TENANT_POLICIES} policies")));
    }
    for template in own.templates() {
        let message = "templates are not taken: it has ?principal or ?resource in place of a name".to_owned();
        problems.push(PolicyProblem::at(text, text.find(&template.to_cedar()), message));
    }
    let mut added = PolicySet::new();
    let mut seen = BTreeSet::new();
    for Written { number, offset, policy } in in_order(text, &own) {
        match named(policy, number, &mut seen) {
            Ok(id) => {
                let renamed = policy.new_id(PolicyId::new(format!("{OWN}{id}")));
                if let Err(error) = added.add(renamed) {
                    problems.push(PolicyProblem::general(error.to_string()));
                }
            }
            Err(message) => problems.push(PolicyProblem {
                policy: policy.annotation("id").map(str::to_owned),
                ..PolicyProblem::at(text, offset, message)
            }),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    vocabulary.validate(&added).map_err(|verdict| {
        let problem = |diagnostic: &dyn Diagnostic, policy: &PolicyId| PolicyProblem {
            policy: policy.to_string().strip_prefix(OWN).map(str::to_owned),
            ..PolicyProblem::at(text, offset(diagnostic), diagnostic.to_string())
        };
        let errors = verdict.validation_errors().map(|error| problem(error, error.policy_id()));
        let warnings = verdict.validation_warnings().map(|warning| problem(warning, warning.policy_id()));
        errors.chain(warnings).collect::<Vec<_>>()
    })?;
    join(vocabulary, built_in, roles, &added).map_err(|message| vec![PolicyProblem::general(message)])
}

fn join(
    vocabulary: &Vocabulary,
    built_in: &PolicySet,
    roles: &[CustomRole],
    own: &PolicySet,
) -> Result<Added, String> {
    let (mut set, mut own_roles) = (built_in.clone(), PolicySet::new());
    for role in roles {
        let policy = role_policy(role)?;
        own_roles.add(policy.clone()).map_err(|error| error.to_string())?;
        set.add(policy).map_err(|error| error.to_string())?;
    }
    vocabulary.validate(&own_roles).map_err(|verdict| verdict.to_string())?;
    let by_roles = (!own.is_empty()).then(|| set.clone());
    for policy in own.policies() {
        set.add(policy.clone()).map_err(|error| error.to_string())?;
    }
    Ok(Added { set, by_roles })
}

/// A role of the tenant's own as a policy: the shape of the built-in ones, with its actions listed.
fn role_policy(role: &CustomRole) -> Result<Policy, String> {
    let id = role.tag();
    let mut actions = String::new();
    for action in crate::Action::ALL.iter().filter(|action| role.actions.contains(**action)) {
        let separator = if actions.is_empty() { "" } else { ", " };
        let _ = write!(actions, "{separator}Action::\"{action}\"");
    }
    let text = format!(
        "@says(\"Whoever holds this role may do what it lists, where they hold it.\")\n\
         permit (principal, action in [{actions}], resource) when {{\n\
           (principal is Member && principal.hasTag(\"{id}\") && resource in principal.getTag(\"{id}\")) ||\n\
           (principal is ServiceAccount && principal.hasTag(\"{id}\") && resource in principal.getTag(\"{id}\"))\n\
         }};"
    );
    Policy::parse(Some(PolicyId::new(format!("{ROLE}{id}"))), text).map_err(|error| error.to_string())
}

/// A policy, and where it stands in its text.
struct Written<'a> {
    /// Which it is of all, from 1.
    number: usize,
    offset: Option<usize>,
    policy: &'a Policy,
}

/// The policies as they were written, one after the other.
fn in_order<'a>(text: &str, own: &'a PolicySet) -> Vec<Written<'a>> {
    // Cedar calls them policy0, policy1, … as they come.
    let number = |policy: &Policy| {
        let id: &str = policy.id().as_ref();
        id.strip_prefix("policy")?.parse::<usize>().ok()?.checked_add(1)
    };
    let mut policies: Vec<_> = own.policies().map(|policy| (number(policy), policy)).collect();
    policies.sort_by_key(|(number, _)| *number);
    let mut end = 0;
    let written = policies.into_iter().map(|(number, policy)| {
        let offset = policy.to_cedar().and_then(|alone| {
            let offset = end + text.get(end..)?.find(&alone)?;
            end = offset + alone.len();
            Some(offset)
        });
        Written { number: number.unwrap_or_default(), offset, policy }
    });
    written.collect()
}

/// The policy's id, which is its own and asks for nothing special.
fn named(policy: &Policy, number: usize, seen: &mut BTreeSet<String>) -> Result<String, String> {
    let id = policy.annotation("id").ok_or_else(|| format!("policy {number} needs a name: @id(\"…\")"))?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if id.is_empty() || id.len() > 64 || !id.chars().all(allowed) {
        return Err("an @id is 1 to 64 of a-z, A-Z, 0-9, `-`, `_` and `.`".to_owned());
    }
    if policy.annotation("refusal").is_some() {
        return Err("@refusal is for the built-in policies".to_owned());
    }
    if !seen.insert(id.to_owned()) {
        return Err(format!("another policy has the @id {id}"));
    }
    Ok(id.to_owned())
}

impl CustomRole {
    /// The role as holders' tags and records name it: `rol_…`.
    pub fn tag(&self) -> String {
        format!("rol_{}", self.id.simple())
    }
}

impl PolicyProblem {
    fn general(message: String) -> Self {
        PolicyProblem { line: None, column: None, policy: None, message }
    }

    /// A problem at this offset of the text.
    fn at(text: &str, offset: Option<usize>, message: String) -> Self {
        let Some(before) = offset.and_then(|offset| text.get(..offset)) else {
            return Self::general(message);
        };
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let number = |number: usize| u32::try_from(number).ok();
        PolicyProblem { line: number(line), column: number(column), policy: None, message }
    }
}

use miette::Diagnostic;

fn syntax(text: &str, errors: &cedar_policy::ParseErrors) -> Vec<PolicyProblem> {
    errors.iter().map(|error| PolicyProblem::at(text, offset(error), error.to_string())).collect()
}

/// Where in the text a diagnostic points to.
fn offset(diagnostic: &dyn Diagnostic) -> Option<usize> {
    diagnostic.labels().and_then(|mut labels| labels.next()).map(|label| label.offset())
}
