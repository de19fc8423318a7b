// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What may have ended tokens, pushed to who verifies them by the key set alone.
//!
//! Every record of a kind that may end a token is news ([`store::News`]): on PostgreSQL it comes from the transaction that wrote it,
//! to every server. From it comes an event which says of whose tokens to ask anew: those of a subject, a client, a grant, or all. An
//! event says that something changed, not what: whoever follows asks by introspection what a token is worth now, which looks
//! everything up. So what is pushed is never weaker than what is looked up, and never stricter for long.
//!
//! The newest events are kept, so that who lost the connection for a moment goes on where they were. When that cannot be told (it was
//! another server, or too long ago, or this one heard nothing for a while), the event is: ask anew about all.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use access::{Action, Caller, Resource};
use protocol::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use store::{Committed, News, TenantId, TenantKind};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};
use uuid::Uuid;

use crate::error::ApiError;
use crate::state::App;

/// Events that are kept for who comes back.
const KEPT: usize = 4_096;

/// The newest events, and who follows them.
pub(crate) struct Revocations {
    /// Names this process: positions of another one mean nothing here.
    process: String,
    kept: Mutex<Kept>,
    newest: watch::Sender<u64>,
    followers: Arc<Mutex<Followers>>,
}

#[derive(Default)]
struct Kept {
    /// The number of the first that is kept.
    first: u64,
    events: VecDeque<Event>,
}

/// Of whose tokens to ask anew.
#[derive(Clone)]
struct Event {
    /// The only tenant that it concerns; all, if `None`.
    tenant: Option<TenantId>,
    data: String,
}

/// Who follows, in the order in which they came.
#[derive(Default)]
struct Followers {
    next: u64,
    places: BTreeMap<u64, Taken>,
}

/// A place that is taken. Dropped, it is free, and its follower is told.
struct Taken {
    tenant: TenantId,
    _of_tenant: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
    _held: watch::Sender<()>,
}

/// A follower's place, until it is dropped or goes to a tenant that has fewer.
pub(crate) struct Place {
    followers: Arc<Mutex<Followers>>,
    number: u64,
    held: watch::Receiver<()>,
}

/// An event on its way to a follower.
pub(crate) struct Numbered {
    /// Where to go on after it.
    pub(crate) position: String,
    pub(crate) data: String,
}

impl Revocations {
    pub(crate) fn new() -> Self {
        Revocations {
            process: uuid::Uuid::new_v4().simple().to_string(),
            kept: Mutex::default(),
            newest: watch::channel(0).0,
            followers: Arc::default(),
        }
    }

    /// A place for a follower, of those of its tenant and of those of all. When all are taken, whoever came last of the tenant with
    /// most gives way, if that one then still has as many: so a tenant without any gets one while another has two.
    pub(crate) fn place(
        &self,
        tenant: TenantId,
        of_tenant: Arc<Semaphore>,
        of_all: &Arc<Semaphore>,
    ) -> Option<Place> {
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        let _of_tenant = of_tenant.try_acquire_owned().ok()?;
        let free = || Arc::clone(of_all).try_acquire_owned().ok();
        let _of_all = match free() {
            Some(place) => place,
            None => {
                followers.make_room(tenant);
                free()?
            }
        };
        let (_held, held) = watch::channel(());
        let number = followers.next;
        followers.next += 1;
        followers.places.insert(number, Taken { tenant, _of_tenant, _of_all, _held });
        Some(Place { followers: Arc::clone(&self.followers), number, held })
    }

    /// Changes when there is something new.
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// The number after a position, when all events since are kept; `None` when that cannot be told.
    pub(crate) fn after(&self, position: &str) -> Option<u64> {
        let (process, number) = position.split_once('.')?;
        let next = number.parse::<u64>().ok()?.checked_add(1)?;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let end = kept.first + kept.events.len() as u64;
        (process == self.process && (kept.first..=end).contains(&next)).then_some(next)
    }

    /// That all is to be asked anew, and the number to go on with.
    pub(crate) fn everything(&self, now: i64) -> (Numbered, u64) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let next = kept.first + kept.events.len() as u64;
        // A position before the first event has no number; its follower asks about all again, if it comes back at once.
        let position =
            format!("{}.{}", self.process, next.checked_sub(1).map_or_else(String::new, |n| n.to_string()));
        (Numbered { position, data: everything(now) }, next)
    }

    /// The next event from this number on that concerns the tenant, with the number to go on with. An error when events were
    /// missed.
    pub(crate) fn next(&self, mut number: u64, tenant: TenantId) -> Result<(Option<Numbered>, u64), Missed> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut place) = number.checked_sub(kept.first) else { return Err(Missed) };
        while let Some(event) = usize::try_from(place).ok().and_then(|place| kept.events.get(place)) {
            let own = number;
            (number, place) = (number + 1, place + 1);
            if event.tenant.is_none_or(|only| only == tenant) {
                let position = format!("{}.{own}", self.process);
                return Ok((Some(Numbered { position, data: event.data.clone() }), number));
            }
        }
        Ok((None, number))
    }

    fn push(&self, event: Event) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.events.push_back(event);
        if kept.events.len() > KEPT {
            kept.events.pop_front();
            kept.first += 1;
        }
        let end = kept.first + kept.events.len() as u64;
        drop(kept);
        self.newest.send_replace(end);
    }
}

impl Followers {
    /// Takes the newest place of the tenant with most away, if it then still has as many as this one gets.
    fn make_room(&mut self, tenant: TenantId) {
        // How many, and the newest.
        let mut of_each: HashMap<TenantId, (usize, u64)> = HashMap::new();
        for (number, taken) in &self.places {
            let of_one = of_each.entry(taken.tenant).or_default();
            *of_one = (of_one.0 + 1, *number);
        }
        let own = of_each.get(&tenant).map_or(0, |(own, _)| *own);
        if let Some((most, newest)) = of_each.into_values().max()
            && most > own + 1
        {
            self.places.remove(&newest);
        }
    }
}

impl Place {
    /// Whether it went to somebody else.
    pub(crate) fn is_over(&self) -> bool {
        self.held.has_changed().is_err()
    }

    /// Waits until it did.
    pub(crate) async fn over(&mut self) {
        while self.held.changed().await.is_ok() {}
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        followers.places.remove(&self.number);
    }
}

/// Events are gone that were not told.
pub(crate) struct Missed;

/// Turns news into events until the server stops.
pub(crate) async fn follow(app: App, mut news: broadcast::Receiver<News>, mut stop: watch::Receiver<bool>) {
    loop {
        let heard = tokio::select! {
            heard = news.recv() => heard,
            _ = stop.changed() => return,
        };
        let event = match heard {
            Ok(News::Committed(committed)) if is_news(&committed.action, &committed.subject) => {
                event_of(&committed, app.now())
            }
            // Followers notice that nothing is said any more.
            Ok(News::Committed(_) | News::Deaf) => None,
            Ok(News::Missed) | Err(RecvError::Lagged(_)) => {
                Some((Event { tenant: None, data: everything(app.now()) }, None))
            }
            Err(RecvError::Closed) => return,
        };
        match event {
            Some((event, Some(account))) => of_account(&app, event, account).await,
            Some((event, None)) => app.revocations.push(event),
            None => {}
        }
    }
}

/// Tells the tenants that an account is in of what it did: it is nobody else's business when somebody signs out. When they cannot be
/// looked up, all are told, since none may miss it.
async fn of_account(app: &App, event: Event, account: Uuid) {
    let worker = Caller::system("revocations", "");
    let platform = TenantId::PLATFORM;
    let memberships = async {
        let view = app.access.view(&worker, platform, Action::MaintenanceRun, Resource::Platform).await;
        let mut tx = view.map_err(ApiError::from)?;
        Ok::<_, ApiError>(app.tenancy.memberships(&mut tx, account).await?)
    };
    match memberships.await {
        Ok(tenants) => {
            for tenant in tenants {
                app.revocations.push(Event { tenant: Some(tenant), data: event.data.clone() });
            }
        }
        Err(error) => {
            tracing::warn!(code = error.code().as_str(), "whose tokens may have ended is told to all");
            app.revocations.push(event);
        }
    }
}

/// Listens to other servers until this one stops.
pub(crate) async fn listen(app: App, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = app.store.listen() => {}
        _ = stop.changed() => {}
    }
}

/// Of whose tokens a record says to ask anew; with the account, when the tenants that it is in are to be told.
fn event_of(committed: &Committed, now: i64) -> Option<(Event, Option<Uuid>)> {
    let Committed { tenant, actor, subject, .. } = committed;
    let id = |text: &str| text.split('/').next().unwrap_or_default().to_owned();
    if tenant.kind() == TenantKind::Customer {
        let data = match subject.split('_').next().unwrap_or_default() {
            "acc" | "sva" => about(now, "sub", &id(subject)),
            "cli" => about(now, "client_id", &format!("{}.{}", id(subject), tenant.uuid().simple())),
            "gnt" => about(now, "grant_id", &id(subject)),
            _ => everything(now),
        };
        return Some((Event { tenant: Some(*tenant), data }, None));
    }
    let account = [subject, actor].into_iter().find(|id| id.starts_with("acc_"));
    let account = match (tenant.kind(), account) {
        // In the platform's history the actor is who runs it.
        (TenantKind::Platform, _) if subject.starts_with("acc_") => Some(subject),
        (TenantKind::Platform, _) if subject.starts_with("ten_") => return None,
        (TenantKind::Home, account) => account,
        _ => None,
    };
    let data = account.map_or_else(|| everything(now), |account| about(now, "sub", account));
    let id = account.and_then(|account| account.strip_prefix("acc_")?.parse().ok());
    Some((Event { tenant: None, data }, id))
}

/// Whom an event is about, as a hash of the id: who has a token of theirs knows the id, and nobody else learns it.
fn about(now: i64, claim: &str, id: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(id).into();
    let hash: Bytes<32> = hash.into();
    json!({ "at": now, "claim": claim, "sha256": hash }).to_string()
}

fn everything(now: i64) -> String {
    json!({ "at": now, "claim": Value::Null }).to_string()
}

/// Whether a record is news here.
pub(crate) fn is_news(action: &str, subject: &str) -> bool {
    // Tokens are issued under this name too, in the records of their clients: that is no news.
    if action == Action::ClientUse.name() {
        return !subject.starts_with("cli_");
    }
    action.parse::<Action>().is_ok_and(may_end_tokens)
}

/// Whether what is done may end a token that somebody has: what it hangs on, or that its bearer may use it.
fn may_end_tokens(action: Action) -> bool {
    use Action as A;
    match action {
        A::SessionEnd
        | A::AccountDelete
        | A::PasswordChange
        | A::MethodRevoke
        | A::MasterKeyRotate
        | A::TenantSuspend
        | A::TenantTransfer
        | A::TenantDelete
        | A::TenantLeave
        | A::OrganisationWrite
        | A::MemberSuspend
        | A::MemberRemove
        | A::MemberProvision
        | A::MemberSync
        | A::ProviderWrite
        | A::PlainPasswordWrite
        | A::PlainPasswordSet
        | A::TeamWrite
        | A::RoleWrite
        | A::RoleGrant
        | A::PolicyWrite
        | A::ServiceAccountWrite
        | A::ClientWrite
        | A::ClientUse
        | A::ClientRefuse
        | A::AccountSuspend
        | A::SigningKeyRotate => true,
        A::AccountCreate
        | A::SessionCreate
        | A::SessionAuthenticate
        | A::SessionStepUp
        | A::SessionUnlock
        | A::SessionList
        | A::DeviceList
        | A::TokenIssue
        | A::PairingAsk
        | A::PairingRead
        | A::PairingApprove
        | A::AccountRead
        | A::BackupCodesReplace
        | A::TotpReplace
        | A::MethodAdd
        | A::MethodRename
        | A::ApiKeyCreate
        | A::ApiKeyRead
        | A::ApiKeyApprove
        | A::ApiKeyRefuse
        | A::PasskeyRefuse
        | A::ApiKeyReport
        | A::CollectionCreate
        | A::CollectionList
        | A::CollectionRead
        | A::CollectionWrite
        | A::CollectionDelete
        | A::CollectionShare
        | A::CollectionAdmit
        | A::ItemRead
        | A::ItemWrite
        | A::ItemDelete
        | A::FileRead
        | A::FileWrite
        | A::FileDelete
        | A::ChangesFollow
        | A::UsageRead
        | A::ExportCreate
        | A::TenantCreate
        | A::TenantList
        | A::TenantFound
        | A::TenantRead
        | A::TenantUpdate
        | A::TenantJoin
        | A::OrganisationRead
        | A::MemberRead
        | A::MemberInvite
        | A::ProviderRead
        | A::TeamRead
        | A::RoleRead
        | A::DeviceRead
        | A::DeviceWrite
        | A::DeviceDelete
        | A::PolicyRead
        | A::ServiceAccountRead
        | A::ServiceAccountRefuse
        | A::ClientRead
        | A::SupportRead
        | A::SupportGrant
        | A::SupportNote
        | A::DecisionExplain
        | A::LogRead
        | A::RequestRead
        | A::RequestRecord
        | A::PlatformRead
        | A::PlatformAdminister
        | A::RootKeyRotate
        | A::ShareReceive
        | A::MaintenanceRun => false,
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::gateway::TurnsOf;

    fn committed(tenant: TenantId, actor: &str, subject: &str) -> Committed {
        Committed { tenant, actor: actor.into(), action: "session.end".into(), subject: subject.into() }
    }

    #[test]
    fn who_comes_back_goes_on_where_they_were_or_asks_about_all() {
        let revocations = Revocations::new();
        let (acme, other) = (TenantId::customer(), TenantId::customer());
        let (_, start) = revocations.everything(0);
        for tenant in [Some(acme), Some(other), None] {
            revocations.push(Event { tenant, data: format!("{tenant:?}") });
        }
        let (first, next) = revocations.next(start, acme).ok().unwrap();
        let first = first.unwrap();
        assert_eq!(first.data, format!("{:?}", Some(acme)));
        assert_eq!(revocations.after(&first.position), Some(next));
        let (second, next) = revocations.next(next, acme).ok().unwrap();
        assert_eq!(second.unwrap().data, "None", "not another tenant's");
        assert!(revocations.next(next, acme).ok().unwrap().0.is_none());
        for position in [
            "",
            "x",
            "x.1",
            &Revocations::new().everything(0).0.position,
            &first.position.replace(".0", ".9"),
        ] {
            assert_eq!(revocations.after(position), None, "{position}");
        }
        for _ in 0..KEPT {
            revocations.push(Event { tenant: None, data: String::new() });
        }
        assert_eq!(revocations.after(&first.position), None, "too long ago");
        assert!(revocations.next(start, acme).is_err());
    }

    #[tokio::test]
    async fn a_tenant_without_a_follower_gets_a_place_of_the_tenant_with_most() {
        let (revocations, of_tenant) = (Revocations::new(), TurnsOf::new(5));
        let of_all = Arc::new(Semaphore::new(8));
        let follow = |tenant: TenantId| revocations.place(tenant, of_tenant.of(tenant), &of_all);
        let [greedy, other, acme, late] = [(); 4].map(|()| TenantId::customer());
        let mut greedy_ones: Vec<_> = (0..5).map(|_| follow(greedy).unwrap()).collect();
        assert!(follow(greedy).is_none(), "a tenant has so many");
        let others: Vec<_> = (0..3).map(|_| follow(other).unwrap()).collect();

        let first = follow(acme).unwrap();
        let mut last = greedy_ones.pop().unwrap();
        assert!(last.is_over() && greedy_ones.iter().chain(&others).all(|place| !place.is_over()));
        last.over().await;
        // What is over takes nobody else's place with it.
        drop(last);
        assert!(follow(greedy).is_none(), "who has most takes from nobody");
        let second = follow(acme).unwrap();
        assert!(greedy_ones.pop().unwrap().is_over());
        assert!(follow(acme).is_none(), "nor does who has one less");
        let third = follow(late).unwrap();
        let over = greedy_ones.iter().chain(&others).filter(|place| place.is_over()).count();
        assert!(over == 1 && ![&first, &second, &third].iter().any(|place| place.is_over()));
        // Who leaves makes room for anybody.
        drop(first);
        assert!(follow(greedy).is_some());
    }

    #[test]
    fn an_event_names_whom_it_is_about_by_a_hash() {
        let home = TenantId::random();
        let of = |committed: Committed| event_of(&committed, 7).unwrap().0;
        let event = of(committed(home, "acc_1", "ses_2"));
        assert_eq!((event.tenant, event.data), (None, about(7, "sub", "acc_1")));
        let acme = TenantId::customer();
        let event = of(committed(acme, "acc_1", "acc_2"));
        assert_eq!((event.tenant, event.data), (Some(acme), about(7, "sub", "acc_2")));
        assert_eq!(of(committed(acme, "acc_1", "rol_1")).data, everything(7));
        assert_eq!(of(committed(TenantId::PLATFORM, "acc_1", "acc_2")).data, about(7, "sub", "acc_2"));
        assert_eq!(of(committed(TenantId::PLATFORM, "system:x", "signing-keys")).data, everything(7));
        assert!(!about(7, "sub", "acc_1").contains("acc_1"));
    }

    #[test]
    fn tokens_that_are_issued_are_no_news() {
        assert!(!is_news("client.use", "cli_1"));
        assert!(is_news("client.use", "acc_1") && is_news("session.end", "ses_1"));
        assert!(!is_news("item.write", "itm_1"));
    }
}
