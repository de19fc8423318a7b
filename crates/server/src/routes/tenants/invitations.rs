// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Invitations to a tenant, and taking one up.
//!
//! A token leads nowhere for many reasons: there never was one, it is over, it is for another address, whoever invited may no
//! longer. All of them are answered alike, and tries are counted.

use access::tenancy::{
    Change, Invitation as Stored, InvitationId as StoredId, InvitationToken, InvitedTo, Name,
    NewInvitation as New,
};
use access::{Action, Caller, Invited, Place, Resource, TenancyError};
use axum::extract::State;
use axum::http::StatusCode;
use identity::Try;
use keyring::Email;
use protocol::tenants::Tenant;
use protocol::tenants::invitations::{
    Invitation, Invitations, InvitedRole, Join, MadeInvitation, NewInvitation,
};
use protocol::{AccountId, Code, InvitationId, Problem, TenantId};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use store::{Record, TenantId as StoredTenant};
use utoipa::IntoParams;

use super::grants::{place_id, place_of, role};
use super::{commit, customer, in_directory, name, to_tenant};
use crate::caller::{Acting, Signed};
use crate::error::ApiError;
use crate::gateway::{Json, Path, Query};
use crate::state::App;

/// Which page.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvitationsQuery {
    /// The invitation after which the page begins.
    after: Option<InvitationId>,
    /// At most so many: 100 by default, at most 200.
    limit: Option<u32>,
}

/// Lists the invitations of a tenant.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/invitations", tag = "tenants", operation_id = "list_invitations", params(("tenant" = TenantId, Path), InvitationsQuery), security(("session" = [])),
    responses((status = 200, body = Invitations), (status = 404, body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    acting: Acting,
    Path(tenant): Path<TenantId>,
    Query(query): Query<InvitationsQuery>,
) -> Result<Json<Invitations>, ApiError> {
    let mut tx = acting.view(&app, customer(tenant)?, Action::MemberRead, Resource::Customer).await?;
    let after = query.after.map(|id| StoredId::from_uuid(id.uuid()));
    let limit = query.limit.unwrap_or(super::PAGE);
    let (invitations, more) = app.tenancy.invitations(&mut tx, after, limit).await?;
    let next = invitations.last().filter(|_| more).map(|last| InvitationId::from_uuid(*last.id.uuid()));
    let now = app.now();
    Ok(Json(Invitations { invitations: invitations.into_iter().map(|one| shown(one, now)).collect(), next }))
}

/// Invites somebody: mails an address its link, or makes a link to be given on.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/invitations", tag = "tenants", operation_id = "create_invitation", params(("tenant" = TenantId, Path)), request_body = NewInvitation, security(("session" = [])),
    responses((status = 201, body = MadeInvitation), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn create(
    State(app): State<App>,
    signed: Signed,
    Path(tenant): Path<TenantId>,
    Json(body): Json<NewInvitation>,
) -> Result<(StatusCode, Json<MadeInvitation>), ApiError> {
    let email = body.email.as_deref().map(Email::parse).transpose();
    let email = email.map_err(|error| ApiError::field("email", error))?;
    let label = body.label.as_deref().map(|text| name("label", text)).transpose()?;
    let roles = body.roles.iter().map(|given| Ok((role(&given.role)?, place_of(given.place))));
    let roles = roles.collect::<Result<Vec<_>, ApiError>>()?;
    let index = email.as_ref().map(|email| *app.identity.blind_index(&email.hash()).as_bytes());

    let tenant = customer(tenant)?;
    let mut tx = signed.enter_customer(&app, tenant, Action::MemberInvite, Resource::Customer).await?;
    let held = app.tenancy.role_at(&mut tx, app.access.policies(), roles.iter().copied()).await?;
    app.access.covers_all(&mut tx, &signed.caller, &held).await?;
    if let Some(index) = &index {
        // Each sends a mail to somebody: counted by whom it is sent to and where it is asked for, and never given back.
        let _counts = app.attempts.start(app.now(), Try::Invite, index, signed.address.ip())?;
    }
    let new = New {
        address: email.as_ref().zip(index),
        label: label.as_ref(),
        roles: &roles,
        uses: body.uses.unwrap_or(1),
        expires_at: body.expires_at.unwrap_or_else(|| tx.now() + INVITED_MS),
        inviter: *signed.session.account().uuid(),
    };
    let (made, token) = app.tenancy.create_invitation(&mut tx, &new).await?;
    let tenant_name = app.tenancy.customer(&mut tx).await?.name;
    let (now, id) = (tx.now(), made.id);
    let after = json!({
        "by": if email.is_some() { "mail" } else { "link" }, "roles": said(&roles), "uses": made.uses,
        "expires_at": made.expires_at,
    });
    commit(&app, tx, id, Change { after: Some(after), ..Change::default() }).await?;
    let link = zeroize::Zeroizing::new(format!("{}/#invite={}", app.url, token.expose().as_str()));
    let link = match email {
        Some(email) => {
            app.post.send(Some(app.identity.invitation(
                email,
                tenant_name.as_str(),
                &link,
                made.expires_at,
                now,
            )));
            None
        }
        None => Some(link.as_str().to_owned().into()),
    };
    Ok((StatusCode::CREATED, Json(MadeInvitation { invitation: shown(made, now), link })))
}

/// Takes an invitation back: it lets nobody in any more.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/invitations/{invitation}", tag = "tenants", operation_id = "revoke_invitation",
    params(("tenant" = TenantId, Path), ("invitation" = InvitationId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn revoke(
    State(app): State<App>,
    signed: Signed,
    Path((tenant, invitation)): Path<(TenantId, InvitationId)>,
) -> Result<StatusCode, ApiError> {
    let id = StoredId::from_uuid(invitation.uuid());
    let mut tx =
        signed.enter_customer(&app, customer(tenant)?, Action::MemberInvite, Resource::Customer).await?;
    app.tenancy.revoke_invitation(&mut tx, id).await?;
    let after = Some(json!({ "revoked": true }));
    commit(&app, tx, id, Change { after, ..Change::default() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Becomes a member by an invitation.
#[utoipa::path(post, path = "/api/v1/invitations/join", tag = "tenants", operation_id = "join_tenant", request_body = Join, security(("session" = [])),
    responses((status = 200, body = Tenant), (status = 409, body = Problem), (status = 410, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn join(
    State(app): State<App>,
    mut signed: Signed,
    Json(body): Json<Join>,
) -> Result<Json<Tenant>, ApiError> {
    let label = body.label.as_deref().map(|text| name("label", text)).transpose()?;
    let account = *signed.session.account().uuid();
    let aimed_at = Sha256::digest(account.as_bytes()).into();
    let charge = app.attempts.start(app.now(), Try::Join, &aimed_at, signed.address.ip())?;
    let joined = take_up(&app, &mut signed, body.token.expose(), label.as_ref()).await;
    if !joined.as_ref().is_err_and(|error| error.code() == Code::InvitationOver) {
        // Not a guess, or a good one.
        app.attempts.returned(app.now(), charge);
    }
    let mut tx = app.access.view(&signed.caller, joined?, Action::TenantRead, Resource::Customer).await?;
    Ok(Json(to_tenant(app.tenancy.customer(&mut tx).await?)))
}

async fn take_up(
    app: &App,
    signed: &mut Signed,
    token: &str,
    label: Option<&Name>,
) -> Result<StoredTenant, ApiError> {
    let token: InvitationToken = token.parse().map_err(|_| ApiError::new(Code::InvitationOver))?;
    let (account, tenant) = (*signed.session.account().uuid(), token.tenant());
    let mut tx = app.access.view(&signed.caller, signed.home(), Action::AccountRead, Resource::Home).await?;
    let email_index = app.identity.email_index(&mut tx, signed.session.account()).await?;
    drop(tx);
    let who = InvitedTo { token: &token, account, home: signed.home(), email_index };

    // The invitation says who may ask; it is looked at again where it counts.
    let looking = Caller::system("invitations", signed.caller.request());
    let view = app.access.view(&looking, tenant, Action::MaintenanceRun, Resource::Customer).await;
    let found = match view {
        Ok(mut tx) => app.tenancy.invited(&mut tx, &who).await,
        Err(access::Refused::NotFound) => Err(TenancyError::InvitationOver),
        Err(error) => return Err(error.into()),
    };
    if let Some(invitation) = found? {
        let platform = StoredTenant::PLATFORM;
        let mut tx = app.access.view(&looking, platform, Action::MaintenanceRun, Resource::Platform).await?;
        app.tenancy.require_room(&mut tx, account).await?;
        drop(tx);
        let before = signed.caller.clone();
        signed.caller = before.clone().invited(Invited { tenant, invitation: *invitation.uuid() });
        let entered = signed.enter_customer(app, tenant, Action::TenantJoin, Resource::Customer).await;
        signed.caller = before;
        let mut tx = entered?;
        let joined = app.tenancy.join(&mut tx, &app.access, &who, label).await?;
        let after = json!({ "invitation": joined.id.to_string(), "roles": said(&joined.roles) });
        let id = AccountId::from_uuid(account);
        commit(app, tx, id, Change { after: Some(after), ..Change::default() }).await?;
    }
    // Also for who has joined already: the directory may not have it yet.
    let mut tx = in_directory(app, signed.caller.request()).await?;
    app.tenancy.note_membership(&mut tx, tenant, account).await?;
    tx.commit(Record::about(tenant)).await?;
    Ok(tenant)
}

fn said(roles: &[(access::tenancy::RoleName, Place)]) -> serde_json::Value {
    let said = |(role, place): &(access::tenancy::RoleName, Place)| json!({ "role": role.to_string(), "place": place_id(*place).to_string() });
    roles.iter().map(said).collect()
}

fn shown(invitation: Stored, now: i64) -> Invitation {
    let roles = invitation.roles.iter();
    Invitation {
        id: InvitationId::from_uuid(*invitation.id.uuid()),
        state: invitation.state(now).to_owned(),
        roles: roles
            .map(|(role, place)| InvitedRole { role: role.to_string(), place: place_id(*place) })
            .collect(),
        email: invitation.email,
        label: invitation.label.map(|label| label.as_str().to_owned()),
        uses: invitation.uses,
        used: invitation.used,
        inviter: AccountId::from_uuid(invitation.inviter),
        created_at: invitation.created_at,
        expires_at: invitation.expires_at,
    }
}

/// How long an invitation is good for when nothing is said, in milliseconds: seven days.
const INVITED_MS: i64 = 7 * 24 * 60 * 60_000;
