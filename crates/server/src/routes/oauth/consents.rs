// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What somebody allows applications, and taking it back.

use access::tenancy::Change;
use access::{Action, Refused, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use protocol::oauth::{Authorization, Authorizations};
use protocol::{ClientId, Code, Problem, TenantId};
use serde_json::json;
use store::TenantId as StoredTenant;
use tokens::oauth::{ClientId as StoredId, ProviderError};

use crate::caller::Signed;
use crate::error::ApiError;
use crate::gateway::{Json, Path};
use crate::routes::tenants::{commit, customer};
use crate::state::App;

/// Lists what the account allows applications, in all tenants that it is in.
#[utoipa::path(get, path = "/api/v1/authorizations", tag = "oauth", operation_id = "list_authorizations", security(("session" = [])), responses((status = 200, body = Authorizations)))]
pub(crate) async fn list(State(app): State<App>, signed: Signed) -> Result<Json<Authorizations>, ApiError> {
    let account = *signed.session.account().uuid();
    let entry = Resource::DirectoryEntry { account };
    let platform = StoredTenant::PLATFORM;
    let mut tx = app.access.view(&signed.caller, platform, Action::TenantList, entry).await?.once();
    let memberships = app.tenancy.memberships(&mut tx, account).await?;
    let mut authorizations = Vec::new();
    for tenant in memberships {
        // One that was left a moment ago, or is not founded yet, is not one of theirs.
        let mut tx =
            match app.access.view(&signed.caller, tenant, Action::TenantRead, Resource::Customer).await {
                Ok(tx) => tx,
                Err(Refused::NotFound | Refused::Suspended | Refused::Forbidden { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
        for consent in app.provider.consents(&mut tx, account).await? {
            let client = match app.provider.client(&mut tx, consent.client).await {
                Ok(client) => client,
                Err(ProviderError::NotFound) => continue,
                Err(error) => return Err(error.into()),
            };
            authorizations.push(Authorization {
                tenant: TenantId::from_uuid(*tenant.uuid()),
                client: ClientId::from_uuid(*client.id.uuid()),
                client_name: client.terms.name,
                scopes: consent.scope.iter().map(str::to_owned).collect(),
                given_at: consent.given_at,
            });
        }
    }
    Ok(Json(Authorizations { authorizations }))
}

/// Takes back what the account allows an application: its tokens for the account end at once.
#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/authorizations/{client}", tag = "oauth", operation_id = "revoke_authorization",
    params(("tenant" = TenantId, Path), ("client" = ClientId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn take_back(
    State(app): State<App>,
    signed: Signed,
    Path((tenant, client)): Path<(TenantId, ClientId)>,
) -> Result<StatusCode, ApiError> {
    let id = StoredId::from_uuid(client.uuid());
    let mut tx =
        signed.enter_customer(&app, customer(tenant)?, Action::ClientUse, Resource::Customer).await?;
    if !app.provider.take_back(&mut tx, *signed.session.account().uuid(), id).await? {
        return Err(ApiError::new(Code::NotFound));
    }
    let after = Some(json!({ "consent": "taken back", "client": id.to_string() }));
    // About the account: its tokens end, and the client goes on.
    commit(&app, tx, signed.session.account(), Change { after, ..Change::default() }).await?;
    Ok(StatusCode::NO_CONTENT)
}
