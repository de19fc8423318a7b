// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the server does by itself: mail, notes of use, sweeps, key rotation. The sequencer is the store's.

pub(crate) mod logouts;
pub(crate) mod memory;
mod tenants;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::{Action, Caller, Resource};
use identity::{AuthenticatedKey, AuthenticatedSession, Letter, Mail};
use store::{Record, TenantId, WriteTx};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::error::ApiError;
use crate::key_directory;
use crate::output::Answer;
use crate::state::App;

/// Letters that wait to be sent, at the most. Beyond that the newest are dropped, with an error in the log.
const WAITING_LETTERS: usize = 1_000;

/// Pauses between tries to send a letter, in seconds.
const MAIL_RETRIES: [u64; 5] = [1, 5, 30, 120, 600];

/// Sessions and API keys whose use is to be written down, at the most.
const WAITING_TOUCHES: usize = 4_096;

/// How often what a crash left is looked for, and keys are.
const UPKEEP_EVERY: Duration = Duration::from_secs(60);

/// How often every home is visited: seldom, since each has to be opened for it.
const SWEEP_EVERY: Duration = Duration::from_secs(6 * 3_600);

/// When they are visited first, after a start.
const FIRST_SWEEP_AFTER: Duration = Duration::from_secs(600);

/// Every so many sweeps each stored object is looked at: once a day.
const OBJECTS_EACH: u32 = 4;

/// How long a stored object that nothing names is left alone, in milliseconds: a day.
const UNNAMED_AFTER_MS: i64 = 24 * 3_600_000;

/// What one step of the upkeep reads at most: accounts, uploads, files, tombstones.
const PAGE: u32 = 200;

/// The letterbox: letters are handed in after the commit and sent in the background.
pub(crate) struct Post(mpsc::Sender<Letter>);

/// Where the letters come out.
pub(crate) struct Letters(mpsc::Receiver<Letter>);

impl Post {
    pub(crate) fn new() -> (Post, Letters) {
        let (sender, receiver) = mpsc::channel(WAITING_LETTERS);
        (Post(sender), Letters(receiver))
    }

    pub(crate) fn send(&self, letter: Option<Letter>) {
        let Some(letter) = letter else { return };
        if let Err(error) = self.0.try_send(letter) {
            tracing::error!(%error, "a letter was dropped: too many wait to be sent");
        }
    }
}

/// Sends letters until the server stops, then those that are left. A letter that cannot be sent yet waits aside: what
/// tells somebody of a thief is not held up by a mailbox that the thief keeps busy.
pub(crate) async fn deliver(
    app: App,
    mail: Box<dyn Mail>,
    mut letters: Letters,
    mut stop: watch::Receiver<bool>,
) {
    let mut later = Later::default();
    loop {
        let (letter, tries) = tokio::select! {
            letter = letters.0.recv() => match letter {
                Some(letter) => (letter, 0),
                None => return,
            },
            waited = later.next() => waited,
            _ = stop.changed() => break,
        };
        send(&app, &*mail, letter, tries, Some(&mut later)).await;
    }
    letters.0.close();
    while let Some(letter) = letters.0.recv().await {
        send(&app, &*mail, letter, 0, None).await;
    }
    for (_, letter, tries) in later.0 {
        send(&app, &*mail, letter, tries, None).await;
    }
}

/// Tries to send a letter once. If that fails for now, it waits in `later` for the next try.
async fn send(app: &App, mail: &dyn Mail, letter: Letter, tries: usize, later: Option<&mut Later>) {
    let error = match mail.send(&letter).await {
        Ok(()) => return tracing::info!(letter = letter.kind(), "mail sent"),
        Err(error) => error,
    };
    let later = later.filter(|later| error.is_transient() && later.0.len() < WAITING_LETTERS);
    let (Some(later), Some(pause)) = (later, MAIL_RETRIES.get(tries)) else {
        app.metrics.mail_failed();
        return tracing::error!(letter = letter.kind(), %error, "mail was not sent");
    };
    tracing::warn!(letter = letter.kind(), %error, again_in_seconds = pause, "mail was not sent yet");
    later.0.push((Instant::now() + Duration::from_secs(*pause), letter, tries + 1));
}

/// Letters that wait for their next try, each with its time and the tries that it had.
#[derive(Default)]
struct Later(Vec<(Instant, Letter, usize)>);

impl Later {
    /// Waits until the next letter's time has come. Dropping the future loses nothing.
    async fn next(&mut self) -> (Letter, usize) {
        let next =
            self.0.iter().enumerate().min_by_key(|(_, (at, ..))| *at).map(|(place, (at, ..))| (place, *at));
        let Some((place, at)) = next else { return std::future::pending().await };
        tokio::time::sleep_until(at).await;
        let (_, letter, tries) = self.0.swap_remove(place);
        (letter, tries)
    }
}

/// What was used.
pub(crate) enum Used {
    Session(AuthenticatedSession),
    Key(AuthenticatedKey),
    Service(access::tenancy::AuthenticatedService),
}

impl Used {
    fn id(&self) -> Uuid {
        match self {
            Used::Session(session) => *session.id().uuid(),
            Used::Key(key) => *key.method().uuid(),
            Used::Service(shown) => shown.service.key,
        }
    }
}

/// Sessions and API keys that were used, to be written down aside from the request.
pub(crate) struct Touches {
    queue: mpsc::Sender<Used>,
    queued: Arc<Mutex<HashSet<Uuid>>>,
}

/// Where they come out.
pub(crate) struct Touched {
    queue: mpsc::Receiver<Used>,
    queued: Arc<Mutex<HashSet<Uuid>>>,
}

impl Touches {
    pub(crate) fn new() -> (Touches, Touched) {
        let (sender, receiver) = mpsc::channel(WAITING_TOUCHES);
        let queued = Arc::<Mutex<HashSet<Uuid>>>::default();
        (Touches { queue: sender, queued: Arc::clone(&queued) }, Touched { queue: receiver, queued })
    }

    /// Notes a use. When too many wait, the next request notes it again.
    pub(crate) fn note(&self, used: Used) {
        let id = used.id();
        let mut queued = self.queued.lock().unwrap_or_else(PoisonError::into_inner);
        if queued.insert(id) && self.queue.try_send(used).is_err() {
            queued.remove(&id);
        }
    }
}

/// Writes uses down until the server stops.
pub(crate) async fn touch(app: App, mut touched: Touched, mut stop: watch::Receiver<bool>) {
    loop {
        let used = tokio::select! {
            used = touched.queue.recv() => used,
            _ = stop.changed() => return,
        };
        let Some(used) = used else { return };
        if let Err(error) = touch_one(&app, &used).await {
            tracing::warn!(code = error.code().as_str(), "a use was not written down");
        }
        touched.queued.lock().unwrap_or_else(PoisonError::into_inner).remove(&used.id());
    }
}

async fn touch_one(app: &App, used: &Used) -> Result<(), ApiError> {
    let (worker, tenant) = match used {
        Used::Session(session) => (Caller::system("sessions", ""), session.home()),
        Used::Key(key) => (Caller::system("api-keys", ""), key.home()),
        Used::Service(shown) => (Caller::system("service-accounts", ""), shown.service.tenant),
    };
    let mut tx = app.access.enter(&worker, tenant, Action::MaintenanceRun, Resource::whole(tenant)).await?;
    let (record, letter) = match used {
        Used::Session(session) => {
            app.identity.touch(&mut tx, session).await?;
            (Record::about(session.id()), None)
        }
        Used::Key(key) => (Record::about(key.method()), app.identity.touch_key(&mut tx, key).await?),
        Used::Service(shown) => {
            app.tenancy.touch_service_key(&mut tx, shown).await?;
            (Record::about(access::tenancy::ServiceKeyId::from_uuid(shown.service.key)), None)
        }
    };
    tx.commit(record).await?;
    app.post.send(letter);
    Ok(())
}

/// Upkeep at the start and every minute: finishes or undoes what a crash left, forgets what is over, rotates keys.
pub(crate) async fn upkeep(app: App, mut stop: watch::Receiver<bool>) {
    // The first sweep comes soon: a server that is started anew each day sweeps too.
    let mut next_sweep = Instant::now() + FIRST_SWEEP_AFTER;
    let mut sweeps = 0u32;
    loop {
        for (what, done) in [
            ("sign-ups", undo_signups(&app).await),
            ("tenants", undo_foundings(&app).await),
            ("tenants that end", tenants::finish_deletions(&app).await),
            ("deletions", finish_deletions(&app).await),
            ("passwords", settle_passwords(&app).await),
            ("keys", key_directory::publish_due(&app, PAGE).await),
            ("pairings", sweep_pairings(&app).await),
            ("root key", reload_root(&app)),
            ("signing keys", rotate_signing_keys(&app).await),
            ("imports", reload_imports(&app).await),
        ] {
            told(what, done);
        }
        if Instant::now() >= next_sweep {
            next_sweep = Instant::now() + SWEEP_EVERY;
            sweeps += 1;
            let objects = sweeps % OBJECTS_EACH == 1;
            told("homes", sweep_homes(&app, &stop, &mut Swept::default(), objects).await);
            told("members", tenants::mend(&app, &stop).await);
        }
        tokio::select! {
            () = tokio::time::sleep(UPKEEP_EVERY) => {}
            _ = stop.changed() => return,
        }
    }
}

fn told(what: &str, done: Result<(), ApiError>) {
    if let Err(error) = done {
        tracing::error!(what, error = error.internal_message(), "upkeep failed; it will be tried again");
    }
}

fn worker() -> Caller {
    Caller::system("upkeep", "")
}

async fn directory_view(app: &App) -> Result<store::ReadTx, ApiError> {
    Ok(app.access.view(&worker(), TenantId::PLATFORM, Action::MaintenanceRun, Resource::Platform).await?)
}

async fn directory(app: &App) -> Result<WriteTx, ApiError> {
    Ok(app.access.enter(&worker(), TenantId::PLATFORM, Action::MaintenanceRun, Resource::Platform).await?)
}

async fn home(app: &App, home: TenantId) -> Result<WriteTx, ApiError> {
    Ok(app.access.enter(&worker(), home, Action::MaintenanceRun, Resource::Home).await?)
}

/// A page of the customers' tenants, as the directory lists them.
pub(crate) async fn customers(
    app: &App,
    after: Option<TenantId>,
) -> Result<Vec<access::tenancy::Listed>, ApiError> {
    Ok(app.tenancy.customers(&mut directory_view(app).await?, after, PAGE).await?)
}

/// Takes away tenants whose founding was begun and not finished: nobody was told of them.
async fn undo_foundings(app: &App) -> Result<(), ApiError> {
    let unfinished = app.tenancy.unfinished(&mut directory_view(app).await?).await?;
    let mut all = Ok(());
    for tenant in unfinished {
        keep_first(&mut all, undo_founding(app, tenant).await);
    }
    all
}

async fn undo_founding(app: &App, tenant: TenantId) -> Result<(), ApiError> {
    let mut tx = directory(app).await?;
    app.tenancy.forget(&mut tx, tenant).await?;
    app.access.drop_tenant(&worker(), tenant).await?;
    tx.commit(Record::about(tenant)).await?;
    Ok(())
}

async fn undo_signups(app: &App) -> Result<(), ApiError> {
    let unfinished = app.identity.unfinished_signups(&mut directory_view(app).await?, PAGE).await?;
    let mut all = Ok(());
    for entry in unfinished {
        keep_first(&mut all, undo_signup(app, entry).await);
    }
    all
}

/// Undoes a sign-up that never became live: whoever began it was never shown the second factor, so nobody could sign in.
/// The address is free again.
async fn undo_signup(app: &App, entry: identity::Entry) -> Result<(), ApiError> {
    let mut tx = directory(app).await?;
    if app.identity.undo_signup(&mut tx, entry.account).await? {
        app.access.drop_tenant(&worker(), entry.home).await?;
    }
    tx.commit(Record::about(entry.account)).await?;
    Ok(())
}

async fn finish_deletions(app: &App) -> Result<(), ApiError> {
    let unfinished = app.identity.unfinished_deletions(&mut directory_view(app).await?, PAGE).await?;
    let mut all = Ok(());
    for entry in unfinished {
        keep_first(&mut all, finish_deletion(app, entry).await);
    }
    all
}

async fn finish_deletion(app: &App, entry: identity::Entry) -> Result<(), ApiError> {
    let mut tx = home(app, entry.home).await?;
    app.identity.delete_home(&mut tx, entry.account).await?;
    app.objects.erase(&mut tx).await?;
    tx.commit(Record::about(entry.account)).await?;
    app.blobs.remove_tenant(entry.home).await.map_err(ApiError::internal)?;
    let mut tx = directory(app).await?;
    app.identity.delete_finish(&mut tx, entry.account).await?;
    tx.commit(Record::about(entry.account)).await?;
    Ok(())
}

/// One home that cannot be worked on does not keep the others waiting; what was wrong with the first is told.
fn keep_first(all: &mut Result<(), ApiError>, one: Result<(), ApiError>) {
    if all.is_ok() {
        *all = one;
    }
}

async fn settle_passwords(app: &App) -> Result<(), ApiError> {
    let unsettled = app.identity.unsettled_passwords(&mut directory_view(app).await?, PAGE).await?;
    let mut all = Ok(());
    for entry in unsettled {
        keep_first(&mut all, settle_password(app, entry).await);
    }
    all
}

async fn settle_password(app: &App, entry: identity::UnsettledPassword) -> Result<(), ApiError> {
    let mut tx = home(app, entry.home).await?;
    app.identity.settle_password(&mut tx, entry.method).await?;
    tx.commit(Record::about(entry.account)).await?;
    let mut tx = directory(app).await?;
    app.identity.password_settled(&mut tx, &entry).await?;
    tx.commit(Record::about(entry.account)).await?;
    Ok(())
}

/// Forgets requests to be let in that nobody answered in time.
async fn sweep_pairings(app: &App) -> Result<(), ApiError> {
    if app.identity.has_dead_pairings(&mut directory_view(app).await?).await? {
        let mut tx = directory(app).await?;
        app.identity.sweep_pairings(&mut tx).await?;
        tx.commit(Record::about("pairings")).await?;
    }
    Ok(())
}

/// Reads the root key's file again, so that what is sealed from now on is under its newest key.
fn reload_root(app: &App) -> Result<(), ApiError> {
    if app.custody.reload_root().map_err(ApiError::internal)? {
        tracing::info!(root_key = app.custody.root_key_id().as_str(), "another root key seals from now on");
    }
    Ok(())
}

/// Rotates the keys of access tokens when they are due, and reads what another server may have rotated.
async fn rotate_signing_keys(app: &App) -> Result<(), ApiError> {
    let keys = app.tokens.keys();
    let caller = Caller::system("signing-keys", "");
    let action = Action::SigningKeyRotate;
    let mut tx = app.access.enter(&caller, TenantId::PLATFORM, action, Resource::Platform).await?;
    if keys.rotate_if_due(&mut tx).await.map_err(ApiError::internal)? {
        tx.commit(Record::about("signing-keys")).await?;
    } else {
        drop(tx);
    }
    keys.reload(&mut directory_view(app).await?).await.map_err(ApiError::internal)
}

/// Reads what another process may have imported.
pub(crate) async fn reload_imports(app: &App) -> Result<(), ApiError> {
    Ok(app.identity.reload_imports(&mut directory_view(app).await?).await?)
}

/// What a sweep cleared away.
#[derive(Default)]
pub(crate) struct Swept {
    homes: u64,
    over: u64,
    given_up: u64,
    files: u64,
    tombstones: u64,
    unnamed: u64,
}

impl From<Swept> for Answer {
    fn from(swept: Swept) -> Self {
        let Swept { homes, over, given_up, files, tombstones, unnamed } = swept;
        let line = format!(
            "{homes} homes: {over} exchanges, sessions and devices that were over, {given_up} uploads that were given up, \
             {files} deleted files, {tombstones} tombstones and {unnamed} objects that nothing names were cleared away"
        );
        let document = serde_json::json!({
            "homes": homes, "over": over, "given_up": given_up, "files": files, "tombstones": tombstones,
            "unnamed": unnamed,
        });
        Answer::new(line, document)
    }
}

/// Sweeps every home, its stored objects included.
pub(crate) async fn sweep_now(app: &App, stop: &watch::Receiver<bool>) -> (Swept, Result<(), ApiError>) {
    let mut swept = Swept::default();
    let mut outcome = sweep_homes(app, stop, &mut swept, true).await;
    keep_first(&mut outcome, tenants::mend(app, stop).await);
    (swept, outcome)
}

/// Visits every home: exchanges that are over, sessions that ended long ago, uploads that were given up, blobs that
/// nothing names, old tombstones; and, when `objects` says so, each stored object.
async fn sweep_homes(
    app: &App,
    stop: &watch::Receiver<bool>,
    swept: &mut Swept,
    objects: bool,
) -> Result<(), ApiError> {
    let (mut after, mut all) = (None, Ok(()));
    loop {
        let homes = app.identity.homes(&mut directory_view(app).await?, after, PAGE).await?;
        let Some(last) = homes.last() else { return all };
        after = Some(last.account);
        for entry in homes {
            if *stop.borrow() {
                return all;
            }
            keep_first(&mut all, sweep_methods(app, entry).await);
            swept.homes += 1;
            keep_first(&mut all, sweep_home(app, entry.home, swept).await);
            if objects {
                keep_first(&mut all, remove_unnamed(app, entry.home, stop, swept).await);
            }
        }
    }
}

/// Takes away what a crash left of adding, changing or revoking a login method.
async fn sweep_methods(app: &App, entry: identity::Entry) -> Result<(), ApiError> {
    let listed = app.identity.listed_methods(&mut directory_view(app).await?, entry.account).await?;
    let mut view = app.access.view(&worker(), entry.home, Action::MaintenanceRun, Resource::Home).await?;
    let unmatched = app.identity.unmatched_methods(&mut view, &listed).await?;
    drop(view);
    if let Some(named) = listed.password.filter(|_| unmatched.has_unnamed_password) {
        let mut tx = home(app, entry.home).await?;
        app.identity.settle_password(&mut tx, named).await?;
        tx.commit(Record::about(entry.account)).await?;
    }
    if let Some(password) = unmatched.password {
        let mut tx = directory(app).await?;
        app.identity.forget_password(&mut tx, entry.account, password).await?;
        tx.commit(Record::about(password)).await?;
    }
    for method in unmatched.lookups {
        let mut tx = directory(app).await?;
        app.identity.forget_lookup(&mut tx, entry.account, method).await?;
        tx.commit(Record::about(method)).await?;
    }
    Ok(())
}

/// Until there is nothing more to do; each transaction is small.
async fn sweep_home(app: &App, tenant: TenantId, swept: &mut Swept) -> Result<(), ApiError> {
    loop {
        let mut view = app.access.view(&worker(), tenant, Action::MaintenanceRun, Resource::Home).await?;
        let plan = app.objects.sweep_plan(&mut view, PAGE).await?;
        drop(view);
        let mut tx = home(app, tenant).await?;
        let over = app.identity.sweep_home(&mut tx).await?;
        let given_up = app.objects.give_up(&mut tx, &plan.abandoned).await?;
        if over + given_up > 0 {
            tx.commit(Record::about("sweep")).await?;
        } else {
            drop(tx);
        }
        for blob in &plan.removable {
            app.blobs.remove_blob(tenant, *blob).await.map_err(ApiError::internal)?;
        }
        if !plan.removable.is_empty() {
            let mut tx = home(app, tenant).await?;
            swept.files += app.objects.forget(&mut tx, &plan.removable).await?;
            tx.commit(Record::about("sweep")).await?;
        }
        (swept.over, swept.given_up) = (swept.over + over, swept.given_up + given_up);
        if plan.abandoned.len().max(plan.removable.len()) < PAGE as usize {
            break;
        }
    }
    loop {
        let mut tx = home(app, tenant).await?;
        match app.objects.forget_tombstones(&mut tx, PAGE).await? {
            0 => return Ok(()),
            forgotten => swept.tombstones += forgotten,
        }
        tx.commit(Record::about("sweep")).await?;
    }
}

/// Removes stored objects that no row names and that are older than a day: what a crash left, or a database that was put
/// back from a backup.
async fn remove_unnamed(
    app: &App,
    tenant: TenantId,
    stop: &watch::Receiver<bool>,
    swept: &mut Swept,
) -> Result<(), ApiError> {
    let mut objects = app.blobs.leftovers(tenant);
    loop {
        let mut page = objects.next_page().await.map_err(ApiError::internal)?;
        if page.is_empty() || *stop.borrow() {
            return Ok(());
        }
        page.retain(|object| object.is_written_before(app.now() - UNNAMED_AFTER_MS));
        let mut view = app.access.view(&worker(), tenant, Action::MaintenanceRun, Resource::Home).await?;
        let unnamed = app.objects.unreferenced(&mut view, page).await?;
        drop(view);
        swept.unnamed += unnamed.len() as u64;
        app.blobs.remove(unnamed).await.map_err(ApiError::internal)?;
    }
}
