// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Telling applications that somebody is signed out of them (OpenID Connect Back-Channel Logout 1.0).
//!
//! Whatever a grant hangs on may end it: a session, a login method, a membership, a policy. So nobody says that a grant has ended: it is
//! looked up, for an account as soon as there is news of it, and for all in turn. What was found is in the database before anybody is
//! told, so that a crash loses nothing; and each try is one server's.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use access::{Action, Caller, Resource};
use federation::FederationError;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use protocol::Code;
use store::{News, Record, TenantId, WriteTx};
use tokens::oauth::{Due, GrantId, LOGOUT_TRIES, ProviderError, Watched};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

use crate::caller::client::{consenting_in, require_consenting};
use crate::error::ApiError;
use crate::logging::chain;
use crate::state::App;

/// How often a page of all is looked at.
const ROUND_EVERY: Duration = Duration::from_secs(2);
/// How many are looked at in a round, of all in turn.
const LOOKED_AT: u32 = 50;
/// How many of one account are looked at on news of it.
const OF_ACCOUNT: u32 = 200;
/// How many are told at the same time, and of one tenant.
const TOLD: u32 = 32;
const TOLD_OF_ONE: u32 = 2;
/// How many accounts are remembered between two rounds; when there was news of more, their turn comes.
const REMEMBERED: usize = 10_000;

/// Looks for what has ended until the server stops.
pub(crate) async fn look(app: App, mut news: broadcast::Receiver<News>, mut stop: watch::Receiver<bool>) {
    let mut rounds = interval(ROUND_EVERY);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut accounts, mut after) = (BTreeSet::new(), GrantId::from_uuid(Uuid::nil()));
    // Of whom there was news in the round before: what had only just begun then has settled since.
    let mut lately = BTreeSet::new();
    loop {
        tokio::select! {
            heard = news.recv() => match heard {
                Ok(News::Committed(committed)) => {
                    let about = [&committed.subject, &committed.actor].into_iter().find_map(|id| account(id));
                    if let Some(account) = about && accounts.len() < REMEMBERED {
                        // The next round is soon: what a person does makes more than one record.
                        if accounts.is_empty() {
                            rounds.reset_at(Instant::now() + SOON);
                        }
                        accounts.insert(account);
                    }
                    continue;
                }
                Ok(_) | Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            },
            _ = rounds.tick() => {}
            _ = stop.changed() => return,
        }
        let heard = std::mem::take(&mut accounts);
        let looked_at = heard.union(&lately).copied().collect();
        lately = heard;
        if let Err(error) = round(&app, &looked_at, &mut after).await {
            tracing::warn!(code = error.code().as_str(), "what has ended is not known; it will be");
        }
    }
}

/// How often it is looked whom to tell.
const TOLD_EVERY: Duration = Duration::from_millis(500);
/// How soon after news it is looked.
const SOON: Duration = Duration::from_millis(200);

fn account(id: &str) -> Option<Uuid> {
    id.strip_prefix("acc_")?.parse().ok()
}

async fn round(app: &App, accounts: &BTreeSet<Uuid>, after: &mut GrantId) -> Result<(), ApiError> {
    let mut watched = Vec::new();
    {
        let mut tx = looking(app).await?;
        for account in accounts {
            watched.extend(app.provider.watched_of(&mut tx, *account, OF_ACCOUNT).await?);
        }
        let page = app.provider.watched(&mut tx, *after, LOOKED_AT).await?;
        *after = page.last().map_or_else(|| GrantId::from_uuid(Uuid::nil()), |last| last.grant);
        watched.extend(page);
    }
    for one in &watched {
        // What of one cannot be read keeps no other waiting.
        if let Err(error) = settle(app, one).await {
            tracing::warn!(grant = %one.grant, code = error.code().as_str(), "whether a grant lives is not known");
        }
    }
    Ok(())
}

async fn settle(app: &App, watched: &Watched) -> Result<(), ApiError> {
    match standing(app, watched).await? {
        Standing::Lives => Ok(()),
        Standing::Ended => {
            let mut tx = writing(app).await?;
            app.provider.has_ended(&mut tx, watched.grant).await?;
            tx.commit(Record::about(watched.grant)).await?;
            Ok(())
        }
        Standing::Untold => forget(app, watched.grant).await,
    }
}

/// Tells those whose time has come, until the server stops: who does not answer keeps those of their own tenant waiting, and no others.
pub(crate) async fn tell(app: App, mut stop: watch::Receiver<bool>) {
    let mut rounds = interval(TOLD_EVERY);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut under_way = FuturesUnordered::new();
    let mut of: HashMap<TenantId, u32> = HashMap::new();
    loop {
        tokio::select! {
            _ = rounds.tick() => {}
            Some(tenant) = under_way.next() => {
                of.entry(tenant).and_modify(|told| *told -= 1);
                of.retain(|_, told| *told > 0);
                continue;
            }
            _ = stop.changed() => break,
        }
        let due = async {
            let mut tx = looking(&app).await?;
            // Of tenants that are being told, those that come next are found too, and wait: not in others' places.
            let limit = TOLD + TOLD_OF_ONE * u32::try_from(of.len()).unwrap_or(TOLD);
            Ok::<_, ApiError>(app.provider.due(&mut tx, limit, TOLD_OF_ONE).await?)
        };
        let due = match due.await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(
                    code = error.code().as_str(),
                    "whom to tell of sign-outs is not known; it will be"
                );
                continue;
            }
        };
        for one in due {
            let tenant = one.watched.client.tenant;
            let told = of.entry(tenant).or_default();
            if *told < TOLD_OF_ONE && under_way.len() < TOLD as usize {
                *told += 1;
                under_way.push(told_one(&app, one));
            }
        }
        of.retain(|_, told| *told > 0);
    }
    // Whoever is being told is told: nobody hears it twice because of a stop.
    while under_way.next().await.is_some() {}
}

async fn told_one(app: &App, due: Due) -> TenantId {
    if let Err(error) = tell_one(app, &due).await {
        tracing::warn!(code = error.code().as_str(), "an application was not told of a sign-out yet");
    }
    due.watched.client.tenant
}

/// How a grant is.
enum Standing {
    Lives,
    /// It has ended, and its client wants to be told.
    Ended,
    /// Nobody wants to be told: the client is gone, or wants it no more.
    Untold,
}

async fn standing(app: &App, watched: &Watched) -> Result<Standing, ApiError> {
    let Watched { grant, client, .. } = *watched;
    let visitor = Caller::visitor("");
    let viewed =
        app.access.view(&visitor, client.tenant, Action::SessionAuthenticate, Resource::Customer).await;
    let mut tx = match viewed {
        Ok(tx) => tx,
        Err(access::Refused::NotFound) => return Ok(Standing::Untold),
        Err(error) => return Err(error.into()),
    };
    match app.provider.client(&mut tx, client.client).await {
        Ok(client) if client.terms.backchannel_logout_uri.is_some() => {}
        Ok(_) | Err(ProviderError::NotFound) => return Ok(Standing::Untold),
        Err(error) => return Err(error.into()),
    }
    let grant = match app.provider.live_grant(&mut tx, grant).await {
        Ok(grant) => grant,
        Err(ProviderError::Revoked) => return Ok(Standing::Ended),
        Err(error) => return Err(error.into()),
    };
    let caller = consenting_in(&grant.terms, client.tenant, client.client, "");
    match app.access.also(&mut tx, &caller, Action::ClientUse, Resource::Customer).await {
        Ok(()) => {}
        // The tenant as a whole stands still: so do its tokens.
        Err(access::Refused::TenantSuspended | access::Refused::TenantClosing) => return Ok(Standing::Lives),
        Err(access::Refused::Store(error)) => return Err(error.into()),
        Err(_) => return Ok(Standing::Ended),
    }
    drop(tx);
    match require_consenting(app, "", client.tenant, &grant.terms).await {
        Ok(()) => Ok(Standing::Lives),
        Err(error) if matches!(error.code(), Code::TokenRevoked | Code::Suspended) => Ok(Standing::Ended),
        Err(error) => Err(error),
    }
}

async fn tell_one(app: &App, due: &Due) -> Result<(), ApiError> {
    let mut tx = writing(app).await?;
    if !app.provider.take_try(&mut tx, due).await? {
        return Ok(());
    }
    tx.commit(Record::about(due.watched.grant)).await?;
    let Watched { grant, client, .. } = due.watched;
    let visitor = Caller::visitor("");
    let mut tx =
        app.access.view(&visitor, client.tenant, Action::SessionAuthenticate, Resource::Customer).await?;
    let found = match app.provider.client(&mut tx, client.client).await {
        Ok(found) => found,
        Err(ProviderError::NotFound) => return forget(app, grant).await,
        Err(error) => return Err(error.into()),
    };
    drop(tx);
    let Some(uri) = &found.terms.backchannel_logout_uri else { return forget(app, grant).await };
    let algorithm = found.terms.algorithm.of_id_tokens();
    let token = app.provider.issue_logout_token(app.now(), algorithm, &due.watched)?;
    let told = app.federation.tell(client.tenant, uri, "logout_token", &token).await;
    match told {
        Ok(()) => {
            tracing::info!(client = %client, "an application was told of a sign-out");
            forget(app, grant).await
        }
        Err(error) if due.tries + 1 >= LOGOUT_TRIES => {
            app.metrics.logout_untold();
            let why = reason(&error, uri);
            tracing::error!(client = %client, why, "an application was not told of a sign-out, and will not be");
            forget(app, grant).await
        }
        Err(error) => {
            let why = reason(&error, uri);
            tracing::warn!(client = %client, why, "an application was not told of a sign-out yet");
            Ok(())
        }
    }
}

/// Why an application was not told. Of its address the host and the port alone: what else is in it may be secret.
fn reason(error: &FederationError, uri: &str) -> String {
    let why = match error {
        FederationError::Unreachable(why) => format!("the application cannot be reached: {why}"),
        FederationError::Refused(why) => format!("the application refused: {why}"),
        FederationError::Malformed(why) => format!("the application's answer cannot be used: {why}"),
        other => chain(other),
    };
    let url = url::Url::parse(uri).ok();
    match url.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?))) {
        Some((host, port)) => format!("{why} (at {host}:{port})"),
        None => why,
    }
}

async fn forget(app: &App, grant: GrantId) -> Result<(), ApiError> {
    let mut tx = writing(app).await?;
    app.provider.unwatch(&mut tx, grant).await?;
    tx.commit(Record::about(grant)).await?;
    Ok(())
}

async fn looking(app: &App) -> Result<store::ReadTx, ApiError> {
    let worker = Caller::system("logouts", "");
    Ok(app.access.view(&worker, TenantId::PLATFORM, Action::MaintenanceRun, Resource::Platform).await?)
}

async fn writing(app: &App) -> Result<WriteTx, ApiError> {
    let worker = Caller::system("logouts", "");
    Ok(app.access.enter(&worker, TenantId::PLATFORM, Action::MaintenanceRun, Resource::Platform).await?)
}
