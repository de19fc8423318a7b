// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why somebody may or may not do something, who may, and what somebody may.

use clap::Args;
use protocol::AccountId;
use protocol::tenants::decisions::{DecisionActions, DecisionExplained, DecisionHolder, RoleAtPlace};
use protocol::tenants::grants::{HolderId, PlaceId};
use serde_json::json;

use super::words::Words;
use super::{Named, Which};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::output::harmless;

/// Arguments of `why`.
#[derive(Args, Debug)]
#[command(
    after_help = "bailiwick why --what device.write --on METER           why you may or may not change that device
bailiwick why --who Bea --what device.read --on North   the same of somebody else, for who may ask that
bailiwick why --who-can device.read --on North          everybody who may
bailiwick why --who Bea                                 what she may, and where

You may always ask about yourself: also why you were refused a moment ago."
)]
pub struct WhyArgs {
    #[command(flatten)]
    which: Which,

    /// About whom: a member or a service account, by id or label [default: you]
    #[arg(long, value_name = "WHO")]
    who: Option<String>,

    /// What: an action such as device.read, as a refusal names it
    #[arg(long, value_name = "ACTION", conflicts_with = "who_can")]
    what: Option<String>,

    /// Where, or to which device: an organisation or a device, by id or name, a device by its own id too [default: the whole
    /// tenant]
    #[arg(long, value_name = "PLACE")]
    on: Option<String>,

    /// Who may do this
    #[arg(long, value_name = "ACTION", conflicts_with = "who")]
    who_can: Option<String>,
}

pub(in crate::cli) async fn why(context: &Context, arguments: WhyArgs) -> Result<(), Failure> {
    let WhyArgs { which, who, what, on, who_can } = arguments;
    let (client, own) = context.client()?;
    let tenant = which.find(context).await?;
    let named = Named { client: &client, tenant };
    let who = match &who {
        Some(who) => Some(named.holder(who).await?),
        None => None,
    };
    if let Some(action) = who_can {
        let on = named.place(on.as_deref()).await?;
        let holders = client.who_can(tenant, &action, on).await?;
        let words = words(context, named, own.account, Some(on)).await;
        context.output.result(&json!({ "holders": holders }), || who_may(&holders, &action, on, &words));
        return Ok(());
    }
    let Some(action) = what else {
        if on.is_some() {
            return Err(Failure::usage("what is to be done there? Give --what ACTION, or --who-can ACTION"));
        }
        let can = client.what_can(tenant, who).await?;
        let words = words(context, named, own.account, None).await;
        context.output.result(&json!(can), || what_may(&can, &words));
        return Ok(());
    };
    let on = named.place(on.as_deref()).await?;
    let why = client.why(tenant, who, &action, on).await?;
    let words = words(context, named, own.account, Some(on)).await;
    context.output.result(&json!(why), || explained(&why, &words));
    Ok(())
}

/// What things are called, when people read it.
async fn words(context: &Context, named: Named<'_>, own: AccountId, on: Option<PlaceId>) -> Words {
    if context.output.is_json() {
        return Words::default();
    }
    Words::for_people(context, named.client, named.tenant).await.of_question(named, own, on).await
}

fn explained(why: &DecisionExplained, words: &Words) -> String {
    let (who, on) = (words.holder(why.who), words.place(why.on));
    let is_allowed = why.decision == "allowed";
    let verdict = match why.decision.as_str() {
        "allowed" => "Yes",
        "step_up_required" => "Not before a fresh proof of identity",
        "suspended" => "No: suspended",
        "tenant_suspended" => "No: the tenant is suspended, or is to be deleted",
        _ => "No",
    };
    let mut text = format!("May {who} do {} on {on}? {verdict}.\n", harmless(&why.action));
    if let Some(fault) = &why.fault {
        text.push_str(&format!("The question does not apply: {}\n", harmless(fault)));
    }
    for policy in &why.policies {
        let kind = match policy.kind.as_str() {
            "guardrail" => "a guardrail, which nothing overrides",
            "role" => "a role of the tenant's own",
            "tenant" => "a policy of the tenant's own",
            _ => "built in",
        };
        let does = if is_allowed { "allowed" } else { "forbidden" };
        let policy_id = match policy.policy.strip_prefix("role/") {
            Some(role) => words.of(role),
            None => harmless(&policy.policy),
        };
        // Not every author of a policy writes a sentence.
        let says =
            if policy.says.is_empty() { String::new() } else { format!(": {}", harmless(&policy.says)) };
        text.push_str(&format!("  {does} by {policy_id} ({kind}){says}\n"));
    }
    if why.policies.is_empty() && why.fault.is_none() {
        text.push_str("  nothing allows it\n");
    }
    let path: Vec<_> = why.path.iter().map(|place| words.place(*place)).collect();
    text.push_str(&format!("It lies in: {}\n", path.join(" < ")));
    if why.roles.is_empty() {
        text.push_str("No roles are held.\n");
    } else {
        text.push_str("Roles:\n");
    }
    for role in &why.roles {
        text.push_str(&format!("  {}\n", worth(role, why.who, words)));
    }
    text
}

/// A role, and what it is worth for the question.
fn worth(role: &RoleAtPlace, who: HolderId, words: &Words) -> String {
    let worth = match (role.reaches, role.allows) {
        (true, true) => "gives it here",
        (false, true) => "gives it there, and this lies elsewhere",
        (true, false) => "reaches this, and does not give it",
        (false, false) => "neither gives it nor reaches this",
    };
    format!("{}: {worth}", held(role, who, words))
}

fn held(role: &RoleAtPlace, who: HolderId, words: &Words) -> String {
    let through =
        if role.through == who { String::new() } else { format!(", through {}", words.holder(role.through)) };
    format!("{} in {}{through}", words.of(&role.role), words.place(role.place))
}

fn who_may(holders: &[DecisionHolder], action: &str, on: PlaceId, words: &Words) -> String {
    let on = words.place(on);
    if holders.is_empty() {
        return format!("Nobody may do {} on {on}.", harmless(action));
    }
    let mut text = format!("Who may do {} on {on}:\n", harmless(action));
    for holder in holders {
        let roles: Vec<_> = holder.roles.iter().map(|role| held(role, holder.who, words)).collect();
        let by = if roles.is_empty() { "by a policy".to_owned() } else { roles.join("; ") };
        text.push_str(&format!("  {}: {by}\n", words.holder(holder.who)));
    }
    text
}

fn what_may(can: &DecisionActions, words: &Words) -> String {
    let mut text = format!("What {} may:\n", words.holder(can.who));
    for at in &can.places {
        let devices = if at.of_devices { "the devices of " } else { "" };
        let actions = if at.actions.is_empty() { "nothing".to_owned() } else { at.actions.join(" ") };
        text.push_str(&format!("  on {devices}{}: {}\n", words.place(at.place), harmless(&actions)));
    }
    if can.places.is_empty() {
        text.push_str("  nothing\n");
    }
    text.push_str("In every other place, the same as in the one above it.\n");
    if !can.is_complete {
        text.push_str("Not all organisations were asked about.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_without_a_sentence_is_named_by_its_id() {
        let (who, on) = (format!("acc_{}", "0".repeat(32)), format!("org_{}", "0".repeat(32)));
        let why = |says: &str| {
            let policies = json!([{ "policy": "tenant/night", "kind": "tenant", "says": says }]);
            let why = json!({
                "who": who, "action": "device.read", "on": on, "decision": "forbidden", "policies": policies,
                "path": [on], "roles": [],
            });
            explained(&serde_json::from_value(why).unwrap(), &Words::default())
        };
        let line = "\n  forbidden by tenant/night (a policy of the tenant's own)";
        assert!(why("").contains(&format!("{line}\n")), "{}", why(""));
        assert!(why("By night.").contains(&format!("{line}: By night.\n")), "{}", why("By night."));
    }
}
