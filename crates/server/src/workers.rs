// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the server does by itself: mail, notes of use, sweeps, key rotation. The sequencer is the store's.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::{Action, Caller, Refused, Resource};
use identity::{AuthenticatedSession, Letter, Mail, SessionId};
use store::{Record, StoreError, TenantId, WriteTx};
use tokio::sync::{mpsc, watch};

use crate::error::ApiError;
use crate::state::App;

/// Letters that wait to be sent, at the most. Beyond that the newest are dropped, with an error in the log.
const WAITING_LETTERS: usize = 1_000;

/// Pauses between tries to send a letter, in seconds.
const MAIL_RETRIES: [u64; 5] = [1, 5, 30, 120, 600];

/// Sessions whose use is to be written down, at the most.
const WAITING_TOUCHES: usize = 4_096;

/// How often what a crash left is looked for, and keys are.
const UPKEEP_EVERY: Duration = Duration::from_secs(60);

/// How often every home is visited: seldom, since each has to be opened for it.
const SWEEP_EVERY: Duration = Duration::from_secs(6 * 3_600);

/// Accounts that one query of the upkeep reads.
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

/// Sends letters until the server stops, then those that are left.
pub(crate) async fn deliver(
    app: App,
    mail: Box<dyn Mail>,
    mut letters: Letters,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let letter = tokio::select! {
            letter = letters.0.recv() => letter,
            _ = stop.changed() => break,
        };
        let Some(letter) = letter else { return };
        send(&app, &*mail, &letter, &stop).await;
    }
    letters.0.close();
    while let Some(letter) = letters.0.recv().await {
        send(&app, &*mail, &letter, &stop).await;
    }
}

async fn send(app: &App, mail: &dyn Mail, letter: &Letter, stop: &watch::Receiver<bool>) {
    let mut pauses = MAIL_RETRIES.iter();
    loop {
        let error = match mail.send(letter).await {
            Ok(()) => return tracing::info!(letter = letter.kind(), "mail sent"),
            Err(error) => error,
        };
        let pause = pauses.next().filter(|_| error.is_transient() && !*stop.borrow());
        let Some(pause) = pause else {
            app.metrics.mail_failed();
            return tracing::error!(letter = letter.kind(), %error, "mail was not sent");
        };
        tracing::warn!(letter = letter.kind(), %error, again_in_seconds = pause, "mail was not sent yet");
        tokio::time::sleep(Duration::from_secs(*pause)).await;
    }
}

/// Sessions that were used, to be written down aside from the request.
pub(crate) struct Touches {
    queue: mpsc::Sender<AuthenticatedSession>,
    queued: Arc<Mutex<HashSet<SessionId>>>,
}

/// Where they come out.
pub(crate) struct Touched {
    queue: mpsc::Receiver<AuthenticatedSession>,
    queued: Arc<Mutex<HashSet<SessionId>>>,
}

impl Touches {
    pub(crate) fn new() -> (Touches, Touched) {
        let (sender, receiver) = mpsc::channel(WAITING_TOUCHES);
        let queued = Arc::<Mutex<HashSet<SessionId>>>::default();
        (Touches { queue: sender, queued: Arc::clone(&queued) }, Touched { queue: receiver, queued })
    }

    /// Notes a use. When too many wait, the next request of the session notes it again.
    pub(crate) fn note(&self, session: &AuthenticatedSession) {
        let mut queued = self.queued.lock().unwrap_or_else(PoisonError::into_inner);
        if queued.insert(session.id()) && self.queue.try_send(session.clone()).is_err() {
            queued.remove(&session.id());
        }
    }
}

/// Writes uses down until the server stops.
pub(crate) async fn touch(app: App, mut touched: Touched, mut stop: watch::Receiver<bool>) {
    loop {
        let session = tokio::select! {
            session = touched.queue.recv() => session,
            _ = stop.changed() => return,
        };
        let Some(session) = session else { return };
        if let Err(error) = touch_one(&app, &session).await {
            tracing::warn!(code = error.code().as_str(), "a session's use was not written down");
        }
        touched.queued.lock().unwrap_or_else(PoisonError::into_inner).remove(&session.id());
    }
}

async fn touch_one(app: &App, session: &AuthenticatedSession) -> Result<(), ApiError> {
    let worker = Caller::system("sessions", "");
    let mut tx = app.access.enter(&worker, session.home(), Action::MaintenanceRun, Resource::Home).await?;
    app.identity.touch(&mut tx, session).await?;
    tx.commit(Record::about(session.id())).await?;
    Ok(())
}

/// Upkeep at the start and every minute: finishes or undoes what a crash left, forgets what is over, rotates keys.
pub(crate) async fn upkeep(app: App, mut stop: watch::Receiver<bool>) {
    let mut swept = tokio::time::Instant::now();
    loop {
        for (what, done) in [
            ("sign-ups", finish_signups(&app).await),
            ("deletions", finish_deletions(&app).await),
            ("passwords", settle_passwords(&app).await),
            ("signing keys", rotate_signing_keys(&app).await),
        ] {
            told(what, done);
        }
        if swept.elapsed() >= SWEEP_EVERY {
            swept = tokio::time::Instant::now();
            told("homes", sweep_homes(&app, &stop).await);
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

async fn finish_signups(app: &App) -> Result<(), ApiError> {
    let unfinished = app.identity.unfinished_signups(&mut directory_view(app).await?, PAGE).await?;
    for entry in unfinished {
        let founded =
            match app.access.view(&worker(), entry.home, Action::MaintenanceRun, Resource::Home).await {
                Ok(mut tx) => app.identity.is_founded(&mut tx, entry.account).await?,
                Err(Refused::NotFound | Refused::Store(StoreError::NoTenant)) => false,
                Err(error) => return Err(error.into()),
            };
        let mut tx = directory(app).await?;
        if founded {
            app.identity.finish_signup(&mut tx, entry.account).await?;
        } else if app.identity.undo_signup(&mut tx, entry.account).await? {
            app.access.drop_tenant(&worker(), entry.home).await?;
        }
        tx.commit(Record::about(entry.account)).await?;
    }
    Ok(())
}

async fn finish_deletions(app: &App) -> Result<(), ApiError> {
    let unfinished = app.identity.unfinished_deletions(&mut directory_view(app).await?, PAGE).await?;
    for entry in unfinished {
        let mut tx = home(app, entry.home).await?;
        app.identity.delete_home(&mut tx, entry.account).await?;
        tx.commit(Record::about(entry.account)).await?;
        app.blobs.remove_tenant(entry.home).await.map_err(ApiError::internal)?;
        let mut tx = directory(app).await?;
        app.identity.delete_finish(&mut tx, entry.account).await?;
        tx.commit(Record::about(entry.account)).await?;
    }
    Ok(())
}

async fn settle_passwords(app: &App) -> Result<(), ApiError> {
    let unsettled = app.identity.unsettled_passwords(&mut directory_view(app).await?, PAGE).await?;
    for entry in unsettled {
        let mut tx = home(app, entry.home).await?;
        app.identity.settle_password(&mut tx, entry.method).await?;
        tx.commit(Record::about(entry.account)).await?;
        let mut tx = directory(app).await?;
        app.identity.password_settled(&mut tx, &entry).await?;
        tx.commit(Record::about(entry.account)).await?;
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

/// Visits every home: exchanges that are over, sessions that ended long ago, uploads that were given up, blobs that
/// nothing names.
async fn sweep_homes(app: &App, stop: &watch::Receiver<bool>) -> Result<(), ApiError> {
    let mut after = None;
    loop {
        let homes = app.identity.homes(&mut directory_view(app).await?, after, PAGE).await?;
        let Some(last) = homes.last() else { return Ok(()) };
        after = Some(last.account);
        for entry in homes {
            if *stop.borrow() {
                return Ok(());
            }
            sweep_home(app, entry.home).await?;
        }
    }
}

async fn sweep_home(app: &App, tenant: TenantId) -> Result<(), ApiError> {
    let mut view = app.access.view(&worker(), tenant, Action::MaintenanceRun, Resource::Home).await?;
    let plan = app.objects.sweep_plan(&mut view, PAGE).await?;
    drop(view);
    let mut tx = home(app, tenant).await?;
    let forgotten = app.identity.sweep_home(&mut tx).await?;
    let given_up = app.objects.give_up(&mut tx, &plan.abandoned).await?;
    if forgotten + given_up > 0 {
        tx.commit(Record::about("sweep")).await?;
    } else {
        drop(tx);
    }
    if plan.removable.is_empty() {
        return Ok(());
    }
    for blob in &plan.removable {
        app.blobs.remove_blob(tenant, *blob).await.map_err(ApiError::internal)?;
    }
    let mut tx = home(app, tenant).await?;
    app.objects.forget(&mut tx, &plan.removable).await?;
    tx.commit(Record::about("sweep")).await?;
    Ok(())
}
