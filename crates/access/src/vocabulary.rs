// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the policies speak of: the schema, its actions and their groups.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use cedar_policy::{
    Context, ContextCreationError, Entities, Entity, EntityUid, PolicySet, RestrictedExpression, Schema,
    ValidationMode, ValidationResult, Validator,
};

use crate::action::Action;
use crate::policies::PolicyError;
use crate::scopes::Scopes;
use crate::slice::{Types, When};

/// What exists and what can be done to it: the Cedar schema that all policies fit, a tenant's own too.
pub const SCHEMA: &str = include_str!("../policies/schema.cedarschema");

/// The schema, read once for every set of policies.
pub(crate) struct Vocabulary {
    pub(crate) schema: Schema,
    pub(crate) types: Types,
    actions: HashMap<Action, Entity>,
    /// The actions with their groups.
    groups: Entities,
    unrecorded: Scopes,
    support: Scopes,
    by_roles_alone: Scopes,
    of_members: Scopes,
    roles: [Scopes; BuiltInRole::ALL.len()],
    /// On what each action of a customer's tenant can be tried when no single thing is meant.
    samples: HashMap<Action, Sample>,
    /// What can be done to a device.
    on_devices: Scopes,
    /// By the hour, and there by whether the proof is fresh and the action in scope.
    circumstances: Vec<[Context; 4]>,
}

/// A role that every customer's tenant has. It is held at an organisation, and reaches all that lies below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BuiltInRole {
    /// Everything. Held in the whole tenant.
    Owner,
    /// Everything but to end the tenant, to hand it on, and to let support in. Held in the whole tenant.
    Admin,
    /// Sees how the tenant is run and what was done in it, and changes nothing. Held in the whole tenant.
    Auditor,
    /// Runs an organisation: its devices, its data, and who has which role in it.
    Manager,
    /// Works with an organisation's devices and data.
    Operator,
    /// Looks at them.
    Viewer,
}

/// A kind of thing that an action can be tried on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sample {
    Place,
    Device,
    Collection,
    Log,
}

impl BuiltInRole {
    /// Every built-in role.
    pub const ALL: [BuiltInRole; 6] =
        [Self::Owner, Self::Admin, Self::Auditor, Self::Manager, Self::Operator, Self::Viewer];

    /// The role's name, as in the policies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
            Self::Manager => "manager",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
        }
    }

    /// Whether it is held in the whole tenant only.
    pub const fn is_tenant_wide(self) -> bool {
        matches!(self, Self::Owner | Self::Admin | Self::Auditor)
    }
}

impl fmt::Display for BuiltInRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no built-in role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a built-in role is one of: owner, admin, auditor, manager, operator, viewer")]
pub struct UnknownRole;

impl FromStr for BuiltInRole {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name() == name).ok_or(UnknownRole)
    }
}

impl Vocabulary {
    pub(crate) fn read() -> Result<Vocabulary, PolicyError> {
        let (schema, _) =
            Schema::from_cedarschema_str(SCHEMA).map_err(|error| PolicyError::Schema(error.to_string()))?;
        let types = Types::new()?;
        let entities = schema.action_entities().map_err(|error| PolicyError::Schema(error.to_string()))?;
        let in_group = |group: &str| -> Scopes {
            let group = types.action(group);
            let is_in = |action: &Action| entities.is_ancestor_of(&group, &types.action(action.name()));
            Action::ALL.iter().copied().filter(is_in).collect()
        };
        let actions = Action::ALL
            .iter()
            .map(|action| match entities.get(&types.action(action.name())) {
                Some(entity) => Ok((*action, entity.clone())),
                None => Err(PolicyError::Schema(format!("it lacks the action {action}"))),
            })
            .collect::<Result<_, _>>()?;
        Ok(Vocabulary {
            unrecorded: in_group("leaves_no_record"),
            support: in_group("support"),
            by_roles_alone: in_group("by_roles_alone"),
            of_members: Action::ALL
                .iter()
                .copied()
                .filter(|action| principals(&schema, &types, *action).iter().any(|name| name == "Member"))
                .collect(),
            roles: BuiltInRole::ALL.map(|role| in_group(role.name())),
            samples: samples(&schema, &types),
            on_devices: Action::ALL
                .iter()
                .copied()
                .filter(|action| resources(&schema, &types, *action).iter().any(|name| name == "Device"))
                .collect(),
            actions,
            circumstances: (0..HOURS).map(circumstances_at).collect::<Result<_, _>>()?,
            groups: entities,
            types,
            schema,
        })
    }

    /// Whether the policies fit the schema, strictly and without a warning.
    pub(crate) fn validate(&self, set: &PolicySet) -> Result<(), ValidationResult> {
        let verdict = Validator::new(self.schema.clone()).validate(set, ValidationMode::Strict);
        if verdict.validation_passed_without_warnings() { Ok(()) } else { Err(verdict) }
    }

    pub(crate) fn action(&self, action: Action) -> Option<&Entity> {
        self.actions.get(&action)
    }

    pub(crate) fn leaves_no_record(&self, action: Action) -> bool {
        self.unrecorded.contains(action)
    }

    pub(crate) fn support(&self) -> Scopes {
        self.support
    }

    pub(crate) fn role(&self, role: BuiltInRole) -> Scopes {
        self.roles.get(role as usize).copied().unwrap_or(Scopes::NONE)
    }

    /// On what the action is tried when no single thing is meant; `None` for what is not done in a customer's tenant.
    pub(crate) fn sample(&self, action: Action) -> Option<Sample> {
        self.samples.get(&action).copied()
    }

    /// What can be done to a device. A role that is held on one allows nothing else there.
    pub(crate) fn on_devices(&self) -> Scopes {
        self.on_devices
    }

    /// What a tenant's own policies have no say in.
    pub(crate) fn by_roles_alone(&self) -> Scopes {
        self.by_roles_alone
    }

    /// What a member of a tenant can ask to do there.
    pub(crate) fn of_members(&self) -> Scopes {
        self.of_members
    }

    /// The actions that this one is: itself, or those in it when it is a group.
    pub(crate) fn actions_in(&self, named: &EntityUid) -> Scopes {
        let is_in = |action: &Action| self.groups.is_ancestor_of(named, &self.types.action(action.name()));
        let is_it = |action: &Action| self.types.action(action.name()) == *named;
        Action::ALL.iter().copied().filter(|action| is_it(action) || is_in(action)).collect()
    }

    pub(crate) fn circumstances(&self, when: When, in_scope: bool) -> Option<&Context> {
        let [strict, proven, scoped, proven_scoped] = self.circumstances.get(usize::from(when.hour))?;
        Some(match (when.fresh, in_scope) {
            (false, false) => strict,
            (true, false) => proven,
            (false, true) => scoped,
            (true, true) => proven_scoped,
        })
    }
}

fn samples(schema: &Schema, types: &Types) -> HashMap<Action, Sample> {
    let of = |action: &Action| {
        let resources = resources(schema, types, *action);
        let order = [
            ("Place", Sample::Place),
            ("Device", Sample::Device),
            ("Collection", Sample::Collection),
            ("Log", Sample::Log),
        ];
        order.into_iter().find(|(name, _)| resources.iter().any(|resource| resource == name))
    };
    Action::ALL.iter().filter_map(|action| Some((*action, of(action)?.1))).collect()
}

/// The types of who can do the action.
fn principals(schema: &Schema, types: &Types, action: Action) -> Vec<String> {
    let principals = schema.principals_for_action(&types.action(action.name()));
    principals.map(|names| names.map(|name| name.to_string()).collect()).unwrap_or_default()
}

/// The types of what the action can be done to.
fn resources(schema: &Schema, types: &Types, action: Action) -> Vec<String> {
    let resources = schema.resources_for_action(&types.action(action.name()));
    resources.map(|names| names.map(|name| name.to_string()).collect()).unwrap_or_default()
}

fn circumstances_at(hour: u8) -> Result<[Context; 4], PolicyError> {
    let circumstances = |fresh: bool, in_scope: bool| {
        Context::from_pairs([
            ("fresh".to_owned(), RestrictedExpression::new_bool(fresh)),
            ("in_scope".to_owned(), RestrictedExpression::new_bool(in_scope)),
            ("hour".to_owned(), RestrictedExpression::new_long(i64::from(hour))),
        ])
        .map_err(|error: ContextCreationError| PolicyError::Schema(error.to_string()))
    };
    Ok([
        circumstances(false, false)?,
        circumstances(true, false)?,
        circumstances(false, true)?,
        circumstances(true, true)?,
    ])
}

/// How many hours a day has.
pub(crate) const HOURS: u8 = 24;
