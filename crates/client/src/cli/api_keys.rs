// SPDX-License-Identifier: Apache-2.0 OR MIT
//! API keys: made, listed, bound to addresses, revoked, reported.

use clap::{Args, Subcommand};
use keyring::ApiKey;
use protocol::api_keys::ApiKey as ListedKey;
use protocol::{MethodId, TenantId};
use serde_json::{Value, json};

use super::context::Context;
use super::failure::Failure;
use super::interrupt;
use super::prompt::{self, ProofArgs};
use crate::client::Client;
use crate::client::account::AccountError;
use crate::client::api_keys::KeyWish;
use crate::output::{harmless, moment, table};

/// Arguments of `api-keys`.
#[derive(Args, Debug)]
#[command(
    after_help = "A key signs a program in as you, for less: what its scopes say, until it ends, from where you let it be
used. `create` shows it once, on standard output; nothing shows it again. whoami, put, get, ls, rm,
sync, versions, log and verify take it as BAILIWICK_API_KEY, or in a file with --api-key-file, and
the server's address as BAILIWICK_SERVER.

  bailiwick api-keys create --label nightly --scopes write,log --expires 90d
  bailiwick api-keys create --label gate --no-unlock --scopes device.read --allow 192.0.2.0/24
  bailiwick api-keys approve mth_… 198.51.100.7

Scopes    read (by default): list and get what is kept; write: that, and change it; log: the
          history; or names of actions. None does what needs a fresh proof.
Networks  By default the address that makes it (of IPv6 its /64). From elsewhere it is refused,
          you are told by mail, and `addresses` lists it as pending: approve or deny it. At most
          64 networks.
End       365 days by default; `never` for none.
Halves    One half of a key is sent and authenticates; the other unlocks what is sealed, and stays
          with the program. What sends a key itself as a bearer token (curl, a caller of
          forward-auth) needs one made with --no-unlock: a whole key is refused there, and counts
          as exposed.

To make, approve, deny or revoke takes a fresh proof."
)]
pub struct ApiKeysArgs {
    #[command(subcommand)]
    command: Option<ApiKeysCommand>,
}

#[derive(Subcommand, Debug)]
enum ApiKeysCommand {
    /// List the API keys
    List,
    /// Make an API key. It is shown once
    Create(CreateArgs),
    /// Show from where a key may be used, and from where it was refused
    Addresses {
        /// The key: its id (mth_…) or its public name
        key: String,
    },
    /// Let a key be used from an address or a network
    Approve {
        /// The key: its id (mth_…) or its public name
        key: String,

        /// An address such as 192.0.2.7, or a network such as 192.0.2.0/24
        network: String,

        #[command(flatten)]
        proof: ProofArgs,
    },
    /// Refuse a key from an address or a network, and say no more of it
    Deny {
        /// The key: its id (mth_…) or its public name
        key: String,

        /// An address such as 192.0.2.7, or a network such as 192.0.2.0/24
        network: String,

        #[command(flatten)]
        proof: ProofArgs,
    },
    /// Revoke a key: it lets nobody in from that moment on
    Revoke {
        /// The key: its id (mth_…) or its public name
        key: String,

        #[command(flatten)]
        proof: ProofArgs,
    },
    /// Report a key that was found where it should not be; needs no account
    Report(ReportArgs),
}

#[derive(Args, Debug)]
struct CreateArgs {
    /// Its name, for lists and letters
    #[arg(long, default_value = "")]
    label: String,

    /// What it may be used for: read, write, log, or names of actions such as item.read, with commas between them
    #[arg(long, value_delimiter = ',', default_value = "read", value_name = "SCOPES")]
    scopes: Vec<String>,

    /// When it ends: in days, hours or minutes (90d, 12h, 30m), on a day (2027-01-31), or never
    #[arg(long, default_value = "365d", value_name = "WHEN")]
    expires: String,

    /// From where it may be used: an address, a network, or any. By default from the address that makes it
    #[arg(long, value_name = "NETWORK")]
    allow: Vec<String>,

    /// A key that only authenticates: it opens nothing that is sealed. For programs that send it themselves, as a bearer token
    #[arg(long)]
    no_unlock: bool,

    #[command(flatten)]
    proof: ProofArgs,
}

#[derive(Args, Debug)]
struct ReportArgs {
    /// Read the key from standard input: one line. It is revoked
    #[arg(long, conflicts_with = "public_id")]
    key_stdin: bool,

    /// Only the public name of a key was found: its owner is told
    #[arg(long, requires = "home", value_name = "NAME")]
    public_id: Option<String>,

    /// The home that the named key is of
    #[arg(long, requires = "public_id", value_name = "TENANT")]
    home: Option<TenantId>,
}

pub(super) async fn api_keys(context: &mut Context, arguments: ApiKeysArgs) -> Result<(), Failure> {
    match arguments.command {
        None | Some(ApiKeysCommand::List) => list(context).await,
        Some(ApiKeysCommand::Create(create)) => self::create(context, create).await,
        Some(ApiKeysCommand::Addresses { key }) => addresses(context, &key).await,
        Some(ApiKeysCommand::Approve { key, network, proof }) => {
            let change = async |client: &Client, id| client.approve_network(id, &network).await;
            let done = changed(context, &key, &proof, change).await?;
            let document = json!({ "id": done, "approved": network });
            context.output.result(&document, || format!("The key may be used from {network} now."));
            Ok(())
        }
        Some(ApiKeysCommand::Deny { key, network, proof }) => {
            let change = async |client: &Client, id| client.deny_network(id, &network).await;
            let done = changed(context, &key, &proof, change).await?;
            let document = json!({ "id": done, "denied": network });
            context.output.result(&document, || format!("The key is refused from {network}."));
            Ok(())
        }
        Some(ApiKeysCommand::Revoke { key, proof }) => {
            let change = async |client: &Client, id| client.revoke_api_key(id).await;
            let done = changed(context, &key, &proof, change).await?;
            context.output.result(&json!({ "revoked": done }), || format!("Revoked {done}."));
            Ok(())
        }
        Some(ApiKeysCommand::Report(report)) => self::report(context, report).await,
    }
}

async fn list(context: &Context) -> Result<(), Failure> {
    let (client, _) = context.client()?;
    let keys = client.api_keys().await?.api_keys;
    context.output.result(&json!({ "api_keys": keys }), || {
        if keys.is_empty() {
            return "No API keys.".to_owned();
        }
        let header = ["ID", "NAME", "STATUS", "UNLOCKS", "EXPIRES", "LAST USED", "WAITING", "SCOPES"];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        rows.extend(keys.iter().map(|key| {
            let waiting = key.refused.iter().filter(|seen| seen.state == "pending").count();
            let status = if key.reported_at.is_some() { "reported" } else { key.status.as_str() };
            vec![
                key.id.to_string(),
                harmless(&key.label),
                status.to_owned(),
                if key.unlocks { "yes" } else { "no" }.to_owned(),
                key.expires_at.map_or_else(|| "never".to_owned(), moment),
                key.last_used_at.map_or_else(|| "never".to_owned(), moment),
                waiting.to_string(),
                harmless(&key.scopes.join(" ")),
            ]
        }));
        table(&rows)
    });
    Ok(())
}

async fn create(context: &Context, arguments: CreateArgs) -> Result<(), Failure> {
    let networks: Vec<String> = arguments
        .allow
        .iter()
        .flat_map(|network| match network.as_str() {
            "any" => vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()],
            network => vec![network.to_owned()],
        })
        .collect();
    let wish = KeyWish {
        label: arguments.label,
        scopes: scopes(&arguments.scopes),
        networks: (!networks.is_empty()).then_some(networks),
        expires_at: expires_at(&arguments.expires)?,
        unlocks: !arguments.no_unlock,
    };
    let account = context.account().await?;
    let create = async || interrupt::held(account.create_api_key(&wish)).await;
    let made = context.with_proof(&account, &arguments.proof, None, create).await;
    let (made, _held) = made.map_err(|failure| naming_scopes(failure, &wish.scopes))?;
    let mut document = serde_json::to_value(&made.listed).unwrap_or_else(|_| json!({}));
    if let Value::Object(fields) = &mut document {
        fields.insert("api_key".to_owned(), json!(made.text.as_str()));
    }
    context.output.result(&document, || {
        format!(
            "{}\n\nThis is the key, shown once. Give it to a program as BAILIWICK_API_KEY, or in a file with \
             --api-key-file.\nIt may be used from {}.",
            made.text.as_str(),
            made.listed.networks.join(", ")
        )
    });
    Ok(())
}

async fn addresses(context: &Context, key: &str) -> Result<(), Failure> {
    let (client, _) = context.client()?;
    let key = find(&client, key).await?;
    let document = json!({ "id": key.id, "approved": key.networks, "refused": key.refused });
    context.output.result(&document, || {
        let header = ["NETWORK", "STATE", "FIRST SEEN", "LAST SEEN", "TIMES"];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        let empty = String::new;
        rows.extend(
            key.networks
                .iter()
                .map(|network| vec![harmless(network), "approved".to_owned(), empty(), empty(), empty()]),
        );
        rows.extend(key.refused.iter().map(|seen| {
            vec![
                harmless(&seen.network),
                harmless(&seen.state),
                moment(seen.first_seen_at),
                moment(seen.last_seen_at),
                seen.times.to_string(),
            ]
        }));
        table(&rows)
    });
    Ok(())
}

/// Changes one of the account's keys, with a fresh proof.
async fn changed(
    context: &Context,
    key: &str,
    proof: &ProofArgs,
    change: impl AsyncFn(&Client, MethodId) -> Result<(), crate::client::RequestError>,
) -> Result<MethodId, Failure> {
    let account = context.account().await?;
    let id = find(&account.client, key).await?.id;
    let change = async || change(&account.client, id).await.map_err(AccountError::from);
    context.with_proof(&account, proof, None, change).await?;
    Ok(id)
}

async fn report(context: &Context, arguments: ReportArgs) -> Result<(), Failure> {
    let client = context.visitor()?;
    match (arguments.public_id, arguments.home) {
        (Some(public_id), Some(home)) => client.report_api_key_name(&public_id, home).await?,
        _ => {
            if !arguments.key_stdin {
                prompt::must_ask(context.output, "--key-stdin, or --public-id and --home")?;
                context.output.note("The API key that was found:");
            }
            let typed = prompt::line_of_stdin()?;
            let key: ApiKey = typed.trim().parse().map_err(not_a_key)?;
            client.report_api_key(&key).await?;
        }
    }
    context.output.result(&json!({ "reported": true }), || {
        "Reported. If there is such a key, it is dealt with, and its owner is told.".to_owned()
    });
    Ok(())
}

/// The account's key of this id or public name.
async fn find(client: &Client, key: &str) -> Result<ListedKey, Failure> {
    let id = key.parse::<MethodId>().ok();
    let named = key.parse::<keyring::ApiKeyId>().ok().map(|id| id.to_string());
    let keys = client.api_keys().await?.api_keys;
    keys.into_iter()
        .find(|listed| Some(listed.id) == id || Some(&listed.public_id) == named.as_ref())
        .ok_or_else(|| Failure::failed("not_found", "there is no such API key: see `bailiwick api-keys`"))
}

/// Names of actions; `read`, `write` and `log` stand for several.
pub(super) fn scopes(words: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for word in words.iter().flat_map(|word| word.split_whitespace()) {
        let meant: &[&str] = match word {
            "read" => &READ,
            "write" => &[],
            "log" => &["log.read"],
            name => &[name],
        };
        let also: &[&[&str]] = if word == "write" { &[&READ, &WRITE] } else { &[] };
        for name in meant.iter().chain(also.iter().copied().flatten()) {
            if !names.iter().any(|known| known == name) {
                names.push((*name).to_owned());
            }
        }
    }
    names
}

/// Says which of the scopes it is that the server refuses: it says only that one is.
fn naming_scopes(failure: Failure, wished: &[String]) -> Failure {
    let known = || READ.into_iter().chain(WRITE).chain(OTHERS);
    let is_unknown = |scope: &&String| !known().any(|name| name == scope.as_str());
    let unknown: Vec<_> = wished.iter().filter(is_unknown).map(|scope| format!("{scope:?}")).collect();
    if failure.field() != Some("scopes") || unknown.is_empty() {
        return failure;
    }
    let names: Vec<_> = known().collect();
    let text = format!(
        "an API key cannot be used for {}: there are read, write and log, or by their names {}",
        unknown.join(", "),
        names.join(", ")
    );
    failure.saying(&text)
}

/// A time from now, a day in UTC, or never.
pub(super) fn expires_at(when: &str) -> Result<Option<i64>, Failure> {
    if when == "never" {
        return Ok(None);
    }
    let unreadable =
        || Failure::usage(format!("{when:?} is not when a key ends: 90d, 12h, 30m, 2027-01-31 or never"));
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)];
    for (unit, ms) in units {
        if let Some(count) = when.strip_suffix(unit).and_then(|count| count.parse::<u32>().ok()) {
            let now = jiff::Timestamp::now().as_millisecond();
            return Ok(Some(now.saturating_add(i64::from(count).saturating_mul(ms))));
        }
    }
    let day: jiff::civil::Date = when.parse().map_err(|_| unreadable())?;
    let start = day.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| unreadable())?;
    Ok(Some(start.timestamp().as_millisecond()))
}

pub(super) fn not_a_key(error: keyring::api_key::ApiKeyError) -> Failure {
    Failure::usage(error.to_string()).with_code("api_key_malformed")
}

const READ: [&str; 6] =
    ["collection.list", "collection.read", "item.read", "file.read", "changes.follow", "usage.read"];
const WRITE: [&str; 6] =
    ["collection.create", "collection.write", "item.write", "item.delete", "file.write", "file.delete"];
/// What an API key may do besides, where the account may.
const OTHERS: [&str; 18] = [
    "collection.delete",
    "log.read",
    "api_key.read",
    "tenant.list",
    "tenant.read",
    "tenant.update",
    "organisation.read",
    "organisation.write",
    "member.read",
    "team.read",
    "team.write",
    "role.read",
    "device.read",
    "device.write",
    "device.delete",
    "policy.read",
    "service_account.read",
    "decision.explain",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_may_be_said_in_short() {
        let said = |words: &[&str]| scopes(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(said(&["read"]), READ);
        assert_eq!(said(&["write"]).len(), READ.len() + WRITE.len());
        assert_eq!(said(&["log", "item.read log.read"]), ["log.read", "item.read"]);
        assert_eq!(said(&["read", "write"]), said(&["write"]));
    }

    #[test]
    fn a_key_ends_when_it_is_said_to() {
        assert_eq!(expires_at("never").unwrap(), None);
        assert_eq!(expires_at("2027-01-31").unwrap(), Some(1_801_353_600_000));
        let now = jiff::Timestamp::now().as_millisecond();
        let in_an_hour = expires_at("1h").unwrap().unwrap() - now;
        assert!((3_600_000..3_660_000).contains(&in_an_hour), "{in_an_hour}");
        for when in ["", "soon", "-1d", "90", "2027-02-30", "99999999999d"] {
            assert!(expires_at(when).is_err(), "{when}");
        }
    }
}
