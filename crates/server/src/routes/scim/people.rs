// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What becomes of members when the tenant is told of people: who they turn out to be, whether they may come in, in which teams
//! they are.

use access::tenancy::{Grants, MemberState, RoleName, TeamId};
use access::{BuiltInRole, TenancyError};
use federation::scim::{Group, User, UserId};
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
        set_state(app, tx, account, MemberState::Suspended).await?;
    }
    for team in app.federation.teams_of_user(tx, user.id).await.map_err(internal)? {
        put_into(app, tx, team, account).await?;
    }
    Ok(())
}

/// After a change: who may come in no more is suspended, who may again is not.
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
            set_state(app, tx, account, MemberState::Suspended).await?;
        }
        (false, true) => set_state(app, tx, account, MemberState::Live).await?,
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
    let only_in = |all: &[UserId], others: &[UserId]| -> Vec<UserId> {
        all.iter().filter(|user| !others.contains(user)).copied().collect()
    };
    let (new, gone) = (only_in(&after.terms.members, before), only_in(before, &after.terms.members));
    for account in app.federation.accounts_of(tx, &new).await? {
        put_into(app, tx, after.team, account).await?;
    }
    for account in app.federation.accounts_of(tx, &gone).await? {
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

async fn set_state(app: &App, tx: &mut WriteTx, account: Uuid, state: MemberState) -> Result<(), ApiError> {
    match app.tenancy.set_member_state(tx, account, state).await {
        Ok(()) | Err(TenancyError::NotFound) => Ok(()),
        Err(error) => Err(error.into()),
    }
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
