// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Models that somebody spoiled, and the property that has to notice each.

use cedar_policy::RequestEnv;

use crate::Edit::{Guardrails, Schema, Without};
use crate::prover::Compiled;
use crate::{Counterexample, Edit, Model, ProofError, Property, Prover, Sources, Verdict};

/// A way to spoil the delivered texts.
pub struct Mutant {
    /// What was done to them.
    pub name: &'static str,
    /// What else has to be out of the way first: another guardrail that holds the same door. With that alone the property
    /// still holds.
    pub beside: &'static [Edit],
    /// What was done.
    pub edits: &'static [Edit],
    /// The property that notices.
    pub noticed_by: &'static str,
}

/// What came of a mutant.
pub enum Noticed {
    /// The property found a request that the spoiled model allows.
    Yes(Box<Counterexample>),
    /// The property holds of the spoiled model as well: it does not see what it is there to see.
    No,
    /// The property does not hold even before the texts are spoiled.
    Before(Box<Counterexample>),
}

/// Tries one mutant. `delivered` has been proved: what is asked alike of the mutant is not asked again.
///
/// # Errors
/// When the edits do not fit the texts, or a question is not decided.
pub fn notice(prover: &mut Prover, delivered: &Model, mutant: &Mutant) -> Result<Noticed, ProofError> {
    let sources = Sources::delivered().edited(mutant.beside)?;
    if !mutant.beside.is_empty()
        && let Some(example) = first(prover, delivered, &sources.model()?, mutant.noticed_by)?
    {
        return Ok(Noticed::Before(example));
    }
    let spoiled = sources.edited(mutant.edits)?.model()?;
    Ok(match first(prover, delivered, &spoiled, mutant.noticed_by)? {
        Some(example) => Noticed::Yes(example),
        None => Noticed::No,
    })
}

/// The first request by which a property is broken.
fn first(
    prover: &mut Prover,
    delivered: &Model,
    model: &Model,
    property: &str,
) -> Result<Option<Box<Counterexample>>, ProofError> {
    let properties = Property::all(model)?;
    let absent = || ProofError::Edit(format!("there is no property {property}"));
    let property = properties.iter().find(|candidate| candidate.id == property).ok_or_else(absent)?;
    let before = delivered.kinds();
    for kind in &model.kinds() {
        if let Verdict::Broken(example) = ask(prover, delivered, &before, model, kind, property)? {
            return Ok(Some(example));
        }
    }
    Ok(None)
}

fn ask(
    prover: &mut Prover,
    delivered: &Model,
    before: &[RequestEnv],
    model: &Model,
    kind: &RequestEnv,
    property: &Property,
) -> Result<Verdict, ProofError> {
    let compiled = Compiled::new(model, kind)?;
    if compiled.is_silent(property)? {
        return Ok(Verdict::Silent);
    }
    if before.binary_search(kind).is_ok()
        && compiled.asks_the_same(&Compiled::new(delivered, kind)?, property)?
    {
        return Ok(Verdict::Holds);
    }
    prover.verdict(&compiled, property)
}

/// The mutants: each guardrail taken away, and edits as a careless person makes them.
pub fn mutants() -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for (name, beside, edits, noticed_by) in TABLE.iter().copied() {
        mutants.push(Mutant { name, beside, edits, noticed_by });
    }
    mutants
}

type Row = (&'static str, &'static [Edit], &'static [Edit], &'static str);

const TABLE: &[Row] = &[
    // Each guardrail taken away.
    ("no tenant-wall", &[], &[Without("tenant-wall")], "nobody-reaches-another-tenant"),
    (
        "no readers-write-nothing",
        &[],
        &[Without("readers-write-nothing")],
        "readers-of-a-share-change-nothing",
    ),
    ("no customer-wall", &[], &[Without("customer-wall")], "nobody-reaches-another-tenant"),
    (
        "no platform-roles-read-no-tenant, and a door in the wall",
        DOOR,
        &[Without("platform-roles-read-no-tenant")],
        "platform-people-read-no-tenant",
    ),
    (
        "no own-directory-entry",
        &[],
        &[Without("own-directory-entry")],
        "directory-entries-are-their-accounts",
    ),
    ("no platform-needs-a-role", &[], &[Without("platform-needs-a-role")], "the-platform-is-for-its-people"),
    ("no visitors-only-arrive", &[], &[Without("visitors-only-arrive")], "visitors-only-arrive"),
    (
        "no workers-only-keep-up",
        &[],
        &[Without("workers-only-keep-up")],
        "the-server-keeps-up-and-reads-nothing",
    ),
    ("no supporters-only-support", &[], &[Without("supporters-only-support")], "supporters-only-look"),
    ("no auditors-change-nothing", &[], &[Without("auditors-change-nothing")], "auditors-change-nothing"),
    (
        "no platform-auditors-change-nothing",
        &[],
        &[Without("platform-auditors-change-nothing")],
        "platform-auditors-change-nothing",
    ),
    ("no suspended", &[], &[Without("suspended")], "suspended-people-do-nothing"),
    ("no tenant-suspended", &[], &[Without("tenant-suspended")], "suspended-tenants-stand-still"),
    ("no within-scope", &[], &[Without("within-scope")], "nothing-beyond-its-scopes"),
    ("no fresh-proof", &[], &[Without("fresh-proof")], "stolen-sessions-end-at-what-counts"),
    // Walls with a hole.
    (
        "the wall stands the wrong way round",
        &[],
        &[Guardrails(
            "{\n  resource.tenant == principal.tenant ||\n  resource.tenant == Tenant::\"platform\" ||",
            "{\n  resource.tenant != principal.tenant ||\n  resource.tenant == Tenant::\"platform\" ||",
        )],
        "nobody-reaches-another-tenant",
    ),
    (
        "who proved moments ago who they are has a door in the wall",
        &[],
        &[Guardrails(
            "{\n  resource.tenant == principal.tenant ||\n  resource.tenant == Tenant::\"platform\" ||",
            "{\n  context.fresh ||\n  resource.tenant == principal.tenant ||\n  resource.tenant == Tenant::\"platform\" ||",
        )],
        "nobody-reaches-another-tenant",
    ),
    (
        "a share opens more than to read and write",
        &[],
        &[Guardrails("   action in [Action::\"shared_reading\", Action::\"shared_writing\"] &&\n", "")],
        "nobody-reaches-another-tenant",
    ),
    (
        "a share opens the whole home",
        &[],
        &[Guardrails(" &&\n   resource in principal.shared_collection)", ")")],
        "nobody-reaches-another-tenant",
    ),
    (
        "a share opens a collection of any home",
        &[],
        &[Guardrails("   resource.tenant == principal.shared_tenant &&\n", "")],
        "nobody-reaches-another-tenant",
    ),
    (
        "who may read a share may write it",
        &[],
        &[Guardrails(
            "(principal has shared_writes && principal.shared_writes)",
            "principal has shared_writes",
        )],
        "readers-of-a-share-change-nothing",
    ),
    (
        "a reader's share lets collections be renamed",
        &[],
        &[Schema(
            "action \"collection.write\" in [\"home\", ",
            "action \"collection.write\" in [\"home\", \"shared_reading\", ",
        )],
        "readers-of-a-share-change-nothing",
    ),
    (
        "members are kept out of their own tenant and let into the others",
        &[],
        &[Guardrails(
            "(principal is Member && resource.tenant != principal.tenant)",
            "(principal is Member && resource.tenant == principal.tenant)",
        )],
        "nobody-reaches-another-tenant",
    ),
    (
        "service accounts are forgotten in the wall",
        &[],
        &[Guardrails("  (principal is ServiceAccount && resource.tenant != principal.tenant) ||\n", "")],
        "nobody-reaches-another-tenant",
    ),
    (
        "supporters are forgotten in the wall",
        &[],
        &[Guardrails("  (principal is Supporter && resource.tenant != principal.tenant) ||\n", "")],
        "nobody-reaches-another-tenant",
    ),
    (
        "the auditor is forgotten among the platform's people, and a door in the wall",
        DOOR,
        &[Guardrails(
            "[PlatformRole::\"administrator\",\n     PlatformRole::\"operator\",\n     PlatformRole::\"auditor\"]\n}\nunless { resource",
            "[PlatformRole::\"administrator\",\n     PlatformRole::\"operator\"]\n}\nunless { resource",
        )],
        "platform-people-read-no-tenant",
    ),
    // Who may do less.
    (
        "supporters remove members",
        &[],
        &[Schema(
            "action \"member.remove\" in [\"owner\", ",
            "action \"member.remove\" in [\"support\", \"owner\", ",
        )],
        "supporters-only-look",
    ),
    (
        "an auditor's service account changes things",
        &[],
        &[Guardrails(
            "(principal is ServiceAccount &&\n   principal.hasTag(\"auditor\")",
            "(principal is ServiceAccount &&\n   principal.suspended &&\n   principal.hasTag(\"auditor\")",
        )],
        "auditors-change-nothing",
    ),
    (
        "writing a device is not counted as a change",
        &[],
        &[Schema(
            "action \"device.write\" in [\"owner\", \"admin\", \"manager\", \"operator\", \"changes\"]",
            "action \"device.write\" in [\"owner\", \"admin\", \"manager\", \"operator\"]",
        )],
        "auditors-change-nothing",
    ),
    (
        "maintenance is not counted as a change",
        &[],
        &[Schema(
            "action \"maintenance.run\" in [\"platform\", \"upkeep\", \"leaves_no_record\", \"changes\"]",
            "action \"maintenance.run\" in [\"platform\", \"upkeep\", \"leaves_no_record\"]",
        )],
        "platform-auditors-change-nothing",
    ),
    (
        "invitees see who is a member",
        &[],
        &[Schema(
            "action \"member.read\" in [\"owner\", \"admin\", \"manager\", \"auditor\", \"support\", \"leaves_no_record\"] appliesTo { principal: [Visitor, ",
            "action \"member.read\" in [\"owner\", \"admin\", \"manager\", \"auditor\", \"support\", \"leaves_no_record\"] appliesTo { principal: [Invitee, Visitor, ",
        )],
        "invitees-only-join",
    ),
    // Who is suspended.
    (
        "suspended members are forgotten",
        &[],
        &[Guardrails("  (principal is Member && principal.suspended) ||\n", "")],
        "suspended-people-do-nothing",
    ),
    (
        "suspended supporters are forgotten",
        &[],
        &[Guardrails("  (principal is Supporter && principal.suspended) ||\n", "")],
        "suspended-people-do-nothing",
    ),
    (
        "only accounts in good standing are suspended",
        &[],
        &[Guardrails(
            "(principal is Account && principal.suspended)",
            "(principal is Account && !principal.suspended)",
        )],
        "suspended-people-do-nothing",
    ),
    (
        "service accounts work on in a suspended tenant",
        &[],
        &[Guardrails("  (principal is ServiceAccount && principal.tenant_suspended) ||\n", "")],
        "suspended-tenants-stand-still",
    ),
    (
        "devices are read in a suspended tenant",
        &[],
        &[Schema(
            "action \"device.read\" in [\"owner\", ",
            "action \"device.read\" in [\"while_suspended\", \"owner\", ",
        )],
        "suspended-tenants-stand-still",
    ),
    // What is open to all, and what is not.
    (
        "items are read before one is signed in",
        &[],
        &[Schema("action \"item.read\" in [\"home\", ", "action \"item.read\" in [\"arrival\", \"home\", ")],
        "visitors-only-arrive",
    ),
    (
        "the server reads collections",
        &[],
        &[Schema(
            "action \"collection.read\" in [\"home\", ",
            "action \"collection.read\" in [\"upkeep\", \"home\", ",
        )],
        "the-server-keeps-up-and-reads-nothing",
    ),
    (
        "roles are given by a stolen session",
        &[],
        &[Schema(
            "action \"role.grant\" in [\"owner\", \"admin\", \"manager\", \"needs_fresh_proof\", ",
            "action \"role.grant\" in [\"owner\", \"admin\", \"manager\", ",
        )],
        "stolen-sessions-end-at-what-counts",
    ),
    (
        "an account changes the entries of others",
        &[],
        &[Guardrails("resource.account == principal && action", "action")],
        "directory-entries-are-their-accounts",
    ),
    (
        "a platform role opens whatever lies in the platform's tenant",
        &[],
        &[Guardrails("  action in Action::\"platform\" &&\n", "")],
        "the-platform-is-for-its-people",
    ),
    (
        "scopes count for fresh callers only",
        &[],
        &[Guardrails("unless { context.in_scope }", "unless { context.in_scope || context.fresh }")],
        "nothing-beyond-its-scopes",
    ),
];

/// Somebody meant well: support, let in without a grant.
const DOOR: &[Edit] = &[Guardrails(
    "{\n  resource.tenant == principal.tenant ||\n  resource.tenant == Tenant::\"platform\" ||",
    "{\n  principal in PlatformRole::\"operator\" ||\n  principal in PlatformRole::\"auditor\" ||\n  \
     resource.tenant == principal.tenant ||\n  resource.tenant == Tenant::\"platform\" ||",
)];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_guardrail_is_taken_away_by_a_mutant() {
        let taken: BTreeSet<_> = mutants()
            .iter()
            .flat_map(|mutant| mutant.edits)
            .filter_map(|edit| if let Without(id) = edit { Some((*id).to_owned()) } else { None })
            .collect();
        let all: BTreeSet<_> = Sources::delivered().model().unwrap().guardrails().into_iter().collect();
        assert_eq!(taken, all);
    }

    #[test]
    fn each_property_has_a_mutant_to_notice() {
        let trying: BTreeSet<_> = mutants().iter().map(|mutant| mutant.noticed_by.to_owned()).collect();
        let model = Sources::delivered().model().unwrap();
        let all: BTreeSet<_> =
            Property::all(&model).unwrap().into_iter().map(|property| property.id).collect();
        assert_eq!(trying, all);
    }

    #[test]
    fn each_mutant_fits_the_texts_and_is_a_model() {
        for mutant in mutants() {
            let sources = Sources::delivered().edited(mutant.beside).unwrap();
            let model = sources.edited(mutant.edits).and_then(|sources| sources.model());
            let model = model.unwrap_or_else(|error| panic!("{}: {error}", mutant.name));
            Property::all(&model).unwrap_or_else(|error| panic!("{}: {error}", mutant.name));
        }
    }
}
