// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Publishing new identity keys: a write in two places.
//!
//! | step | where | a crash after it leaves |
//! |---|---|---|
//! | announce that a version is due | directory | a note that upkeep takes away when the version never comes |
//! | rotate | home | keys that the directory does not show, and the note by which upkeep publishes them |
//! | publish, and take the note away | directory | nothing |
//!
//! Upkeep looks for notes at the start and every minute.

use access::{Action, Caller, Resource};
use identity::AccountId;
use store::{Record, TenantId, WriteTx};

use crate::caller::Signed;
use crate::error::ApiError;
use crate::state::App;

/// A version of an account's keys that is to be published.
pub(crate) struct Due {
    account: AccountId,
    home: TenantId,
    key_version: u32,
}

impl Due {
    pub(crate) fn of(signed: &Signed, key_version: u32) -> Self {
        Due { account: signed.session.account(), home: signed.home(), key_version }
    }

    /// Before the home has it.
    pub(crate) async fn announce(&self, app: &App) -> Result<(), ApiError> {
        let mut tx = directory(app).await?;
        app.identity.expect_keys(&mut tx, self.account, self.home, self.key_version).await?;
        tx.commit(Record::about(self.account)).await?;
        Ok(())
    }

    /// Once the home has it.
    pub(crate) async fn publish(&self, app: &App) -> Result<(), ApiError> {
        publish(app, self.account, self.home).await
    }
}

/// Publishes whatever keys of an account its home has and the directory does not.
async fn publish(app: &App, account: AccountId, home: TenantId) -> Result<(), ApiError> {
    let (worker, action) = (worker(), Action::MaintenanceRun);
    let mut view = app.access.view(&worker, TenantId::PLATFORM, action, Resource::Platform).await?;
    let newest = app.identity.newest_published(&mut view, account).await?;
    drop(view);
    let mut view = app.access.view(&worker, home, action, Resource::Home).await?;
    let rotations = app.identity.key_rotations(&mut view, newest).await?;
    drop(view);
    for (version, rotation) in rotations {
        let mut tx = directory(app).await?;
        let (keys, statement) = (rotation.new_keys(), rotation.to_bytes());
        let published = app.identity.publish_keys(&mut tx, account, version, keys, Some(&statement)).await?;
        if let Some(subject) = published {
            tx.commit(Record::about(subject)).await?;
        }
    }
    let mut tx = directory(app).await?;
    if app.identity.settle_keys(&mut tx, account).await? {
        tx.commit(Record::about(account)).await?;
    }
    Ok(())
}

/// Publishes what a crash left, at most `limit` accounts' keys.
pub(crate) async fn publish_due(app: &App, limit: u32) -> Result<(), ApiError> {
    let mut view =
        app.access.view(&worker(), TenantId::PLATFORM, Action::MaintenanceRun, Resource::Platform).await?;
    let due = app.identity.due_keys(&mut view, limit).await?;
    drop(view);
    let mut all = Ok(());
    for one in due {
        // One home that cannot be worked on does not keep the others waiting.
        let done = publish(app, one.account, one.home).await;
        if all.is_ok() {
            all = done;
        }
    }
    all
}

async fn directory(app: &App) -> Result<WriteTx, ApiError> {
    Ok(app.access.enter(&worker(), TenantId::PLATFORM, Action::MaintenanceRun, Resource::Platform).await?)
}

fn worker() -> Caller {
    Caller::system("key-directory", "")
}
