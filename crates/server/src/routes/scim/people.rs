// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What becomes of members when the tenant is told of people: who they turn out to be, whether they may come in, in which teams
//! they are.

use access::tenancy::{Grants, RoleName, TeamId};
use access::{BuiltInRole, TenancyError};
use federation::scim::{Group, User, UserId, let_others_run, only_in};
use store::{Record, TenantId as StoredTenant, WriteTx};
use uuid::Uuid;

use super::ScimRefusal;
use crate::error::ApiError;
use crate::routes::tenants::in_directory;
use crate::state::App;

/// Whether somebody of this address may come in: yes or no when the tenant was told of them, `None` when it was not.
pub(crate) async fn may_arrive(
    app: &App,
    tx: &mut store::ReadTx,
    account: Option<Uuid>,
    address: Option<&str>,
) -> Result<Option<bool>, ApiError> {
    if let Some(account) = account
        && let Some(user) = app.federation.user_of(tx, account).await.map_err(internal)?
    {
        return Ok(Some(user.terms.active));
    }
    let Some(address) = address else { return Ok(None) };
    let user = app.federation.user_by_address(tx, address).await.map_err(internal)?;
    Ok(user.map(|user| user.terms.active))
}

/// Notes that an account came in by the tenant's provider under this address, and that it is whom the tenant was told of by that.
pub(crate) async fn arrived(
    app: &App,
    tx: &mut WriteTx,
    account: Uuid,
    address: &str,
) -> Result<(), ApiError> {
    app.federation.note_address(tx, account, address).await.map_err(internal)?;
    let Some(user) = app.federation.user_by_address(tx, address).await.map_err(internal)? else {
        return Ok(());
    };
    if user.account == Some(account)
        || !app.federation.link_user(tx, user.id, account).await.map_err(internal)?
    {
        return Ok(());
    }
    let user = User { account: Some(account), ..user };
    linked(app, tx, &user).await
}

/// What it means for a member to be whom the tenant was told of: suspended if they may not come in, and in their teams.
pub(super) async fn linked(app: &App, tx: &mut WriteTx, user: &User) -> Result<(), ApiError> {
    let Some(account) = user.account else { return Ok(()) };
    if !user.terms.active && !is_owner(app, tx, account).await? {
        suspend(app, tx, user, account).await?;
    }
    for team in app.federation.teams_of_user(tx, user.id).await.map_err(internal)? {
        put_into(app, tx, team, account).await?;
    }
    Ok(())
}

/// After a change: who may come in no more is suspended; who may again is not, unless somebody else suspended them.
pub(super) async fn changed(
    app: &App,
    tx: &mut WriteTx,
    before: &User,
    after: &User,
) -> Result<(), ScimRefusal> {
    let (Some(account), was, is) = (after.account, before.terms.active, after.terms.active) else {
        return Ok(());
    };
    match (was, is) {
        (true, false) => {
            require_no_owner(app, tx, account).await?;
            suspend(app, tx, after, account).await?;
        }
        (false, true) => {
            if let Some(at) = before.suspended_at {
                app.tenancy.resume_suspended_at(tx, account, at).await?;
                app.federation.note_suspension(tx, after.id, None).await?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Takes whom the tenant is told of no more out of it. Says whether they were a member: then the directory is to forget it, too.
pub(super) async fn removed(app: &App, tx: &mut WriteTx, user: &User) -> Result<bool, ScimRefusal> {
    let Some(account) = user.account else { return Ok(false) };
    require_no_owner(app, tx, account).await?;
    match app.tenancy.remove_member(tx, account).await {
        Ok(()) => Ok(true),
        Err(TenancyError::NotFound) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Forgets in the directory that an account is in a tenant.
pub(super) async fn forget(
    app: &App,
    request: &str,
    tenant: StoredTenant,
    account: Uuid,
) -> Result<(), ScimRefusal> {
    let mut tx = in_directory(app, request).await?;
    app.tenancy.forget_membership(&mut tx, tenant, account).await?;
    tx.commit(Record::about(tenant)).await?;
    Ok(())
}

/// Puts into the team, and takes out of it, whom a change of its group names.
pub(super) async fn regrouped(
    app: &App,
    tx: &mut WriteTx,
    before: &[UserId],
    after: &Group,
) -> Result<(), ScimRefusal> {
    let (new, gone) = (only_in(&after.terms.members, before), only_in(before, &after.terms.members));
    for (done, account) in app.federation.accounts_of(tx, &new).await?.into_iter().enumerate() {
        let_others_run(STATEMENTS_OF_ONE * done).await;
        put_into(app, tx, after.team, account).await?;
    }
    for (done, account) in app.federation.accounts_of(tx, &gone).await?.into_iter().enumerate() {
        let_others_run(STATEMENTS_OF_ONE * done).await;
        match app.tenancy.take_from_team(tx, TeamId::from_uuid(after.team), account).await {
            Ok(_) | Err(TenancyError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Who is no member yet comes into their teams when they come in; a team that the tenant's people deleted stays deleted.
async fn put_into(app: &App, tx: &mut WriteTx, team: Uuid, account: Uuid) -> Result<(), ApiError> {
    match app.tenancy.add_to_team(tx, TeamId::from_uuid(team), account).await {
        Ok(_) | Err(TenancyError::NotFound) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Suspends a member, and notes that it was done here: who was suspended by somebody else stays so, whatever is told afterwards.
async fn suspend(app: &App, tx: &mut WriteTx, user: &User, account: Uuid) -> Result<(), ApiError> {
    let at = app.tenancy.suspend_if_live(tx, account).await?.then_some(tx.now());
    app.federation.note_suspension(tx, user.id, at).await.map_err(internal)
}

async fn require_no_owner(app: &App, tx: &mut WriteTx, account: Uuid) -> Result<(), ScimRefusal> {
    if is_owner(app, tx, account).await? {
        return Err(ScimRefusal::forbidden("an owner of the tenant is shut out by another owner only"));
    }
    Ok(())
}

async fn is_owner(app: &App, tx: &mut WriteTx, account: Uuid) -> Result<bool, ApiError> {
    let owner = RoleName::BuiltIn(BuiltInRole::Owner);
    let (grants, _) = app.tenancy.grants(tx, Grants::Of(account), None, access::tenancy::MAX_PAGE).await?;
    // By the order of their names `owner` may stand on the second page only of who holds more than 200 roles.
    let (more, _) = match grants.last() {
        Some(last) if grants.len() == access::tenancy::MAX_PAGE as usize => {
            let after = Some((last.holder, last.role, last.place.uuid()));
            app.tenancy.grants(tx, Grants::Of(account), after, access::tenancy::MAX_PAGE).await?
        }
        _ => (Vec::new(), false),
    };
    Ok(grants.iter().chain(&more).any(|grant| grant.role == owner))
}

fn internal(error: federation::scim::ScimError) -> ApiError {
    match error {
        federation::scim::ScimError::Failed(error) => error.into(),
        other => ApiError::internal(other),
    }
}

/// How many statements put somebody into a team, about.
const STATEMENTS_OF_ONE: usize = 10;
