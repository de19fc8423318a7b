// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The tenant's own policies.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use protocol::tenants::grants::HolderId;
use protocol::tenants::policies::{NewPolicies, PolicyEffect, PolicyProblem, PolicyTrial, PolicyVersion};
use protocol::{Code, TenantId};
use serde_json::json;

use super::words::Words;
use super::{Which, changed};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::prompt::{self, ProofArgs};
use crate::client::{Client, RequestError};
use crate::files::disk;
use crate::output::{count, harmless, moment, table};

/// Arguments of `tenant policies`.
#[derive(Args, Debug)]
#[command(
    after_help = "A file of policies is Cedar's language (https://docs.cedarpolicy.com), each with an @id of its own and, for people, a sentence
in @says. Nobody is allowed what a guardrail forbids, whatever a policy says. docs/policies.md lists what they can speak of, and
`bailiwick policy-schema` prints the schema that they fit. An example:

  @id(\"night\")
  @says(\"Who only looks does not look at devices by night.\")
  forbid (principal is Member, action == Action::\"device.read\", resource)
  when { context.hour < 5 && principal.hasTag(\"viewer\") };"
)]
pub(super) struct PoliciesArgs {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    proof: ProofArgs,

    #[command(subcommand)]
    command: Option<PoliciesCommand>,
}

#[derive(Subcommand, Debug)]
enum PoliciesCommand {
    /// Show the policies that decide now, or those of a version
    Show {
        /// The version [default: the newest]
        #[arg(value_name = "VERSION")]
        number: Option<u64>,
    },
    /// Say what is wrong with a file of policies, with line and column
    Check {
        /// The file; - for standard input
        file: PathBuf,
    },
    /// Tell what would change for whom if these policies were put
    Try {
        /// The file; - for standard input
        file: PathBuf,
    },
    /// Put policies: they decide from now on, on every server
    Put {
        /// The file; - for standard input
        file: PathBuf,

        /// What to note beside them
        #[arg(long)]
        note: Option<String>,

        /// The version that you changed; refused when somebody put a newer one [default: the newest]
        #[arg(long, value_name = "VERSION")]
        after: Option<u64>,

        /// Do not ask, whatever you would lose by them yourself
        #[arg(long)]
        yes: bool,
    },
    /// List the versions, the newest first
    Versions,
    /// Bring a version back, as the next one
    Rollback {
        /// The version; 0 for no policies
        #[arg(value_name = "VERSION")]
        number: u64,

        /// What to note beside it
        #[arg(long)]
        note: Option<String>,
    },
}

pub(super) async fn policies(context: &Context, arguments: PoliciesArgs) -> Result<(), Failure> {
    let PoliciesArgs { which, proof, command } = arguments;
    let (client, own) = context.client()?;
    let tenant = which.find(context).await?;
    match command.unwrap_or(PoliciesCommand::Show { number: None }) {
        PoliciesCommand::Show { number } => {
            let found = match number {
                Some(version) => client.policy_version(tenant, version).await?,
                None => client.policies(tenant).await?,
            };
            context.output.note(&said(&found));
            context.output.result(&json!(found), || text_of(&found));
        }
        PoliciesCommand::Check { file } => {
            let problems = client.check_policies(tenant, &read(&file)?).await?.problems;
            if !problems.is_empty() {
                return Err(wrong(context, &file, &problems));
            }
            let document = json!({ "problems": problems });
            context.output.result(&document, || format!("{} would be accepted.", file.display()));
        }
        PoliciesCommand::Try { file } => {
            let text = read(&file)?;
            let trial = match client.try_policies(tenant, &text).await {
                Err(error) if error.is(Code::InvalidField) => {
                    let problems = client.check_policies(tenant, &text).await?.problems;
                    return Err(wrong(context, &file, &problems));
                }
                other => other?,
            };
            let words = Words::for_people(context, &client, tenant).await;
            context.output.result(&json!(trial), || tried(&trial, &words));
        }
        PoliciesCommand::Put { file, note, after, yes } => {
            let text = read(&file)?;
            let problems = client.check_policies(tenant, &text).await?.problems;
            if !problems.is_empty() {
                return Err(wrong(context, &file, &problems));
            }
            let own = HolderId::Member(own.account);
            if !yes && !is_meant(context, &client, tenant, &text, own).await? {
                return Ok(());
            }
            let after = known(&client, tenant, after).await?;
            let new = NewPolicies { text, note };
            let put = changed(context, &proof, async |client| client.put_policies(tenant, after, &new).await)
                .await?;
            context.output.result(&json!(put), || said(&put));
        }
        PoliciesCommand::Versions => {
            let mut all = Vec::new();
            let mut before = None;
            loop {
                let page = client.policy_versions(tenant, before).await?;
                all.extend(page.versions);
                before = page.next;
                if before.is_none() {
                    break;
                }
            }
            context.output.result(&json!({ "versions": all }), || listed(&all));
        }
        PoliciesCommand::Rollback { number, note } => {
            let after = known(&client, tenant, None).await?;
            let note = note.as_deref();
            let put = changed(context, &proof, async |client| {
                client.restore_policies(tenant, number, after, note).await
            })
            .await?;
            context.output.result(&json!(put), || said(&put));
        }
    }
    Ok(())
}

/// Whether policies are to be put by which whoever puts them loses much of what they may: who does is asked.
async fn is_meant(
    context: &Context,
    client: &Client,
    tenant: TenantId,
    text: &str,
    own: HolderId,
) -> Result<bool, Failure> {
    // What cannot be tried is put, or refused then.
    let Ok(trial) = client.try_policies(tenant, text).await else { return Ok(true) };
    let lost = lost(&trial, own);
    if lost.len() < MUCH {
        return Ok(true);
    }
    let some: Vec<_> = lost.iter().take(SOME).map(|action| harmless(action)).collect();
    let what =
        format!("By these policies you would be refused {} actions: {}, …", lost.len(), some.join(", "));
    if prompt::must_ask(context.output, "--yes").is_err() {
        let text =
            format!("{what} Give --yes to put them all the same; `bailiwick tenant policies try` tells all");
        return Err(Failure::usage(text));
    }
    prompt::confirm(context.output, &format!("{what} Put them?"), "--yes")
}

/// What somebody would be refused that they may now, at every hour and also with a fresh proof of who they are.
fn lost(trial: &PolicyTrial, who: HolderId) -> BTreeSet<&str> {
    let is_theirs = |effect: &&PolicyEffect| {
        let is_told_of = effect.who.contains(&who) || effect.who_count == trial.people;
        effect.would_be == "refused" && effect.hours.is_none() && !effect.only_unproved && is_told_of
    };
    let effects = trial.effects.iter().filter(is_theirs);
    effects.flat_map(|effect| &effect.actions).map(String::as_str).collect()
}

/// So many actions, of the some fifty that an owner may.
const MUCH: usize = 20;
/// So many of them are told.
const SOME: usize = 5;

/// The version that was named, or the newest.
async fn known(client: &Client, tenant: TenantId, named: Option<u64>) -> Result<u64, RequestError> {
    match named {
        Some(version) => Ok(version),
        None => Ok(client.policies(tenant).await?.version),
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let unread = |error: std::io::Error| {
        Failure::failed("file", format!("{}: {}", file.display(), disk::said(&error)))
    };
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map_err(unread)?;
        return Ok(text);
    }
    std::fs::read_to_string(file).map_err(unread)
}

/// A file that would not be accepted: each problem as compilers say it, for people and their editors.
fn wrong(context: &Context, file: &Path, problems: &[PolicyProblem]) -> Failure {
    let one = |problem: &PolicyProblem| {
        let place = match (problem.line, problem.column) {
            (Some(line), Some(column)) => format!(":{line}:{column}"),
            _ => String::new(),
        };
        let policy = problem.policy.as_ref().map_or_else(String::new, |policy| format!("policy {policy}: "));
        harmless(&format!("{}{place}: {policy}{}", file.display(), problem.message))
    };
    for problem in problems {
        context.output.note(&one(problem));
    }
    let message =
        format!("{} would not be accepted: {}", file.display(), count(problems.len() as u64, "problem"));
    Failure::failed("invalid_policies", message).with_details(problems.iter().map(|one| json!(one)).collect())
}

fn text_of(version: &PolicyVersion) -> String {
    // Lines as they are, but nothing that steers a terminal.
    let text = version.text.as_deref().unwrap_or_default();
    text.lines().map(harmless).collect::<Vec<_>>().join("\n")
}

fn said(version: &PolicyVersion) -> String {
    if version.version == 0 {
        return "The tenant has no policies of its own.".to_owned();
    }
    let mut text = format!("Version {}", version.version);
    if let Some(restored) = version.restores {
        text.push_str(&format!(", which brings back version {restored}"));
    }
    if let (Some(author), Some(at)) = (&version.author, version.created_at) {
        text.push_str(&format!(", by {} on {}", harmless(author), moment(at)));
    }
    if let Some(note) = &version.note {
        text.push_str(&format!(": {}", harmless(note)));
    }
    text
}

fn listed(versions: &[PolicyVersion]) -> String {
    if versions.is_empty() {
        return "The tenant has no policies of its own.".to_owned();
    }
    let mut rows = vec![["VERSION", "SINCE", "BY", "RESTORES", "NOTE"].map(str::to_owned).to_vec()];
    rows.extend(versions.iter().map(|version| {
        vec![
            version.version.to_string(),
            version.created_at.map(moment).unwrap_or_default(),
            harmless(version.author.as_deref().unwrap_or_default()),
            version.restores.map(|of| of.to_string()).unwrap_or_default(),
            harmless(version.note.as_deref().unwrap_or_default()),
        ]
    }));
    table(&rows)
}

fn tried(trial: &PolicyTrial, words: &Words) -> String {
    let mut text = String::new();
    for effect in &trial.effects {
        text.push_str(&told(effect, words));
    }
    if trial.effects.is_empty() {
        text.push_str("Nothing would change for anybody.\n");
    }
    let hidden = trial.total.saturating_sub(trial.effects.len() as u64);
    if hidden > 0 {
        text.push_str(&format!("{} more are not shown.\n", count(hidden, "change")));
    }
    let organisations = count(trial.organisations, "organisation");
    let scope = if trial.is_complete { "all there are" } else { "not all there are: more may change" };
    text.push_str(&format!(
        "Asked about {} members and service accounts in {organisations}: {scope}.\n",
        trial.people
    ));
    text
}

fn told(effect: &PolicyEffect, words: &Words) -> String {
    let would_be = if effect.would_be == "allowed" { "would newly be allowed" } else { "would be refused" };
    let mut text = format!("{would_be}: {}\n", harmless(&effect.actions.join(", ")));
    let who = effect.who.iter().map(|who| words.holder(*who));
    text.push_str(&format!("  for   {}\n", among(who, effect.who_count)));
    let place = |place: &protocol::tenants::policies::PolicyPlace| {
        let devices = if place.of_devices { "the devices of " } else { "" };
        format!("{devices}{}", words.place(place.place))
    };
    text.push_str(&format!("  on    {}\n", among(effect.places.iter().map(place), effect.place_count)));
    if let Some(hours) = &effect.hours {
        let hours: Vec<_> = hours.iter().map(u8::to_string).collect();
        text.push_str(&format!("  hours {} (UTC)\n", hours.join(" ")));
    }
    if effect.only_unproved {
        text.push_str("  only without a fresh proof of who they are\n");
    }
    text
}

/// Some of so many.
fn among(some: impl ExactSizeIterator<Item = String>, all: u64) -> String {
    let hidden = all.saturating_sub(some.len() as u64);
    let mut text = some.collect::<Vec<_>>().join(", ");
    if hidden > 0 {
        text.push_str(&format!(" and {hidden} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_would_lose_is_what_they_are_refused_at_all_times() {
        let holder = |digit: &str| format!("acc_{}", digit.repeat(32));
        let effect = |who: &str, action: &str| {
            json!({
                "would_be": "refused", "who": [who], "who_count": 1, "actions": [action], "places": [], "place_count": 0,
                "only_unproved": false,
            })
        };
        let (ada, bea) = (holder("a"), holder("b"));
        let mut at_night = effect(&ada, "device.write");
        at_night["hours"] = json!([0, 1]);
        let mut unproved = effect(&ada, "member.remove");
        unproved["only_unproved"] = json!(true);
        let mut allowed = effect(&ada, "device.delete");
        allowed["would_be"] = json!("allowed");
        // More people than are listed.
        let mut of_all = effect(&bea, "member.read");
        of_all["who_count"] = json!(200);
        let effects =
            [effect(&ada, "device.read"), effect(&bea, "item.read"), at_night, unproved, allowed, of_all];
        let trial = json!({
            "effects": effects, "total": 6, "people": 200, "organisations": 1, "is_complete": true,
        });
        let trial: PolicyTrial = serde_json::from_value(trial).unwrap();
        let found: Vec<_> = lost(&trial, ada.parse().unwrap()).into_iter().collect();
        assert_eq!(found, ["device.read", "member.read"]);
    }
}
