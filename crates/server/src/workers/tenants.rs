// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Customers' tenants: deletions whose time of grace is over, and what a crash left between a tenant and the directory.
//!
//! The tenant's own rows decide, and the directory follows them: a state that it has not heard of, a member whom it does not
//! list, one who left and still is listed.

use access::tenancy::{CustomerState, Listed};
use access::{Action, Resource, TenancyError};
use store::{ReadTx, Record, TenantId, WriteTx};
use tokio::sync::watch;
use uuid::Uuid;

use super::{PAGE, customers, directory, directory_view, keep_first, worker};
use crate::error::ApiError;
use crate::state::App;

/// Destroys the keys of tenants whose time of grace is over, and what is kept of theirs elsewhere.
pub(super) async fn finish_deletions(app: &App) -> Result<(), ApiError> {
    let due = app.tenancy.due(&mut directory_view(app).await?).await?;
    let mut all = Ok(());
    for tenant in due {
        keep_first(&mut all, finish_deletion(app, tenant).await);
    }
    all
}

async fn finish_deletion(app: &App, tenant: TenantId) -> Result<(), ApiError> {
    let mut tx = enter(app, tenant).await?;
    match app.tenancy.shred(&mut tx).await {
        Ok(()) => {}
        // It was taken back, and the directory has not heard of it.
        Err(TenancyError::InUse(_)) => {
            let (state, _) = app.tenancy.state(&mut tx).await?;
            drop(tx);
            return list_as(app, tenant, state).await;
        }
        Err(error) => return Err(error.into()),
    }
    app.objects.erase(&mut tx).await?;
    app.objects.erase_grants(&mut tx).await?;
    tx.commit(Record::about(tenant)).await?;
    app.blobs.remove_tenant(tenant).await.map_err(ApiError::internal)?;
    list_as(app, tenant, CustomerState::Gone).await
}

/// Brings what the directory says of each tenant to what the tenant says.
pub(super) async fn mend(app: &App, stop: &watch::Receiver<bool>) -> Result<(), ApiError> {
    let (mut after, mut all) = (None, Ok(()));
    loop {
        let page = customers(app, after).await?;
        let Some(last) = page.last() else { return all };
        after = Some(last.id);
        for listed in page {
            if *stop.borrow() {
                return all;
            }
            if listed.state != "founding" && listed.state != CustomerState::Gone.name() {
                keep_first(&mut all, mend_one(app, &listed).await);
            }
        }
    }
}

async fn mend_one(app: &App, listed: &Listed) -> Result<(), ApiError> {
    let tenant = listed.id;
    let (state, _) = app.tenancy.state(&mut view(app, tenant).await?).await?;
    if state.name() != listed.state {
        list_as(app, tenant, state).await?;
    }
    if state == CustomerState::Gone {
        return Ok(());
    }
    forget_tombstones(app, tenant).await?;
    let mut from = Uuid::nil();
    loop {
        // Both lists are in the order of accounts: what lies up to the end of the shorter page can be compared.
        let there = app.tenancy.member_accounts(&mut view(app, tenant).await?, from, PAGE).await?;
        let here = app.tenancy.listed_members(&mut directory_view(app).await?, tenant, from, PAGE).await?;
        let end_of = |page: &[Uuid]| page.get(PAGE as usize - 1).copied();
        let end = [end_of(&there), end_of(&here)].into_iter().flatten().min();
        let is_here = |account: &&Uuid| end.is_none_or(|end| **account <= end);
        for account in there.iter().filter(is_here).filter(|account| !here.contains(account)) {
            note(app, tenant, *account, true).await?;
        }
        for account in here.iter().filter(is_here).filter(|account| !there.contains(account)) {
            note(app, tenant, *account, false).await?;
        }
        match end {
            Some(end) => from = end,
            None => return Ok(()),
        }
    }
}

/// Clears old tombstones of the tenant's collections away.
async fn forget_tombstones(app: &App, tenant: TenantId) -> Result<(), ApiError> {
    loop {
        let mut tx = enter(app, tenant).await?;
        if app.objects.forget_tombstones(&mut tx, PAGE).await? == 0 {
            return Ok(());
        }
        tx.commit(Record::about("sweep")).await?;
    }
}

/// Notes whether an account is in a tenant, after another look at the tenant: who has just joined or left is not what a crash
/// left.
async fn note(app: &App, tenant: TenantId, account: Uuid, is_member: bool) -> Result<(), ApiError> {
    let mut tx = directory(app).await?;
    let found = app.tenancy.member_accounts(&mut view(app, tenant).await?, before(account), 1).await?;
    if (found.first() == Some(&account)) != is_member {
        return Ok(());
    }
    if is_member {
        app.tenancy.note_membership(&mut tx, tenant, account).await?;
    } else {
        app.tenancy.forget_membership(&mut tx, tenant, account).await?;
    }
    tx.commit(Record::about(tenant)).await?;
    Ok(())
}

/// The account before this one, in the order of accounts.
fn before(account: Uuid) -> Uuid {
    Uuid::from_u128(account.as_u128().saturating_sub(1))
}

async fn list_as(app: &App, tenant: TenantId, state: CustomerState) -> Result<(), ApiError> {
    let mut tx = directory(app).await?;
    if state == CustomerState::Gone {
        app.tenancy.note_gone(&mut tx, tenant).await?;
        // Whoever runs its domains now may prove them.
        app.federation.release_domains(&mut tx, tenant).await?;
    } else {
        app.tenancy.set_listed_state(&mut tx, tenant, state.name()).await?;
    }
    tx.commit(Record::about(tenant)).await?;
    Ok(())
}

async fn view(app: &App, tenant: TenantId) -> Result<ReadTx, ApiError> {
    Ok(app.access.view(&worker(), tenant, Action::MaintenanceRun, Resource::Customer).await?)
}

async fn enter(app: &App, tenant: TenantId) -> Result<WriteTx, ApiError> {
    Ok(app.access.enter(&worker(), tenant, Action::MaintenanceRun, Resource::Customer).await?)
}
