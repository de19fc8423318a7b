// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who may put which policies of a tenant's own.
//!
//! Nobody gives themselves by a policy what they do not have, nor takes from others what they do not have. A policy says in its
//! head which actions it is about, and decides nothing else. So whoever adds, alters or takes away a policy must have, in the whole
//! tenant, every action that it is about, as the policies stand before the change. An owner has them all by the role, also
//! where a policy forbids them: else a policy could keep everybody from taking it back.

use std::collections::BTreeMap;

use cedar_policy::{ActionConstraint, Policy};
use store::ReadTx;

use crate::caller::Caller;
use crate::enter::{Access, Refused};
use crate::policies::Policies;
use crate::scopes::Scopes;
use crate::standing::{Place, Standing};
use crate::tenancy::{Held, TenancyError};
use crate::tenant_policies::PolicyProblem;
use crate::vocabulary::BuiltInRole;

impl Access {
    /// The built-in policies with the tenant's roles and this text in place of its own policies: what it would be asked by.
    ///
    /// # Errors
    /// The database's; and, within, what is wrong with the text.
    pub async fn policies_with(
        &self,
        tx: &mut ReadTx,
        text: &str,
    ) -> Result<Result<Policies, Vec<PolicyProblem>>, TenancyError> {
        let roles = crate::standing::read_roles(tx).await?;
        Ok(self.policies().with_tenant(&roles, text))
    }

    /// Whether the caller may put `new` in place of what decides now.
    ///
    /// # Errors
    /// [`TenancyError::BeyondOwn`] with the first action that the change is about and that the caller may not do in the whole
    /// tenant.
    pub async fn may_put_policies(
        &self,
        tx: &mut ReadTx,
        caller: &Caller,
        new: &Policies,
    ) -> Result<(), TenancyError> {
        let known = self.known(tx).await?;
        let whole = Place::Organisation(*tx.tenant().uuid());
        let standing = known.standing(tx, caller).await?;
        if let Standing::Member(holder) = &standing
            && holder.roles.get(BuiltInRole::Owner.name()).is_some_and(|places| places.contains(&whole))
        {
            return Ok(());
        }
        let mut held = Held::default();
        held.add(whole, new.changed_from(&known.policies));
        match self.covers_all(tx, caller, &held).await {
            Err(TenancyError::Refused(Refused::StepUpRequired { action })) => {
                Err(TenancyError::BeyondOwn { action })
            }
            other => other,
        }
    }
}

impl Policies {
    /// Of the actions that can be done in a tenant, those of which policies speak that are not the same in both sets: added,
    /// taken away, or altered. Nothing else is decided otherwise by the one set than by the other.
    pub(crate) fn changed_from(&self, before: &Policies) -> Scopes {
        let (was, is) = (before.own_rules(), self.own_rules());
        let differs = |(id, rule): (&String, &Rule), other: &BTreeMap<String, Rule>| {
            (rule.text.is_none() || other.get(id) != Some(rule)).then_some(rule.actions)
        };
        let changed = is.iter().filter_map(|one| differs(one, &was));
        changed
            .chain(was.iter().filter_map(|one| differs(one, &is)))
            .fold(Scopes::NONE, Scopes::or)
            .and(self.grantable())
    }

    fn own_rules(&self) -> BTreeMap<String, Rule> {
        let rule =
            |policy: &Policy| Rule { actions: self.spoken_of(policy), text: without_annotations(policy) };
        self.own().map(|policy| (policy.id().to_string(), rule(policy))).collect()
    }

    /// The actions to which a policy can apply, by its head.
    fn spoken_of(&self, policy: &Policy) -> Scopes {
        match policy.action_constraint() {
            ActionConstraint::Any => Scopes::ALL,
            ActionConstraint::Eq(action) => self.vocabulary().actions_in(&action),
            ActionConstraint::In(actions) => actions
                .iter()
                .map(|action| self.vocabulary().actions_in(action))
                .fold(Scopes::NONE, Scopes::or),
        }
    }
}

/// What a policy says, and of which actions.
#[derive(PartialEq)]
struct Rule {
    actions: Scopes,
    text: Option<serde_json::Value>,
}

/// The policy as data, without what is written about it; `None` for one that cannot be put so, which then counts as changed.
fn without_annotations(policy: &Policy) -> Option<serde_json::Value> {
    let mut text = policy.to_json().ok()?;
    text.as_object_mut()?.remove("annotations");
    Some(text)
}
