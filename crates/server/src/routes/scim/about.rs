// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What this server's SCIM can do, and what its resources are like (RFC 7643, sections 5 to 7).

use axum::extract::State;
use protocol::TenantId;
use serde_json::{Value, json};

use super::{Answer, Provisioner, ScimRefusal};
use crate::gateway::Path;
use crate::state::App;

/// What is supported.
#[utoipa::path(get, path = "/scim/v2/{tenant}/ServiceProviderConfig", tag = "scim", operation_id = "scim_service_provider_config", params(("tenant" = TenantId, Path)), security(("session" = [])),
    responses((status = 200, content_type = "application/scim+json", body = Object)))]
pub(crate) async fn config(
    State(app): State<App>,
    provisioner: Provisioner,
    Path(tenant): Path<TenantId>,
) -> Result<Answer, ScimRefusal> {
    drop(provisioner.view(&app, tenant).await?);
    provisioner.require_service()?;
    let no = json!({ "supported": false });
    Ok(Answer::ok(json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": { "supported": true },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": 200 },
        "changePassword": no,
        "sort": no,
        "etag": no,
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer",
            "description": "The key of a service account of the tenant, for member.read and member.sync",
            "primary": true,
        }],
        "meta": { "resourceType": "ServiceProviderConfig" },
    })))
}

/// Which resources there are.
#[utoipa::path(get, path = "/scim/v2/{tenant}/ResourceTypes", tag = "scim", operation_id = "scim_resource_types", params(("tenant" = TenantId, Path)), security(("session" = [])),
    responses((status = 200, content_type = "application/scim+json", body = Object)))]
pub(crate) async fn types(
    State(app): State<App>,
    provisioner: Provisioner,
    Path(tenant): Path<TenantId>,
) -> Result<Answer, ScimRefusal> {
    drop(provisioner.view(&app, tenant).await?);
    provisioner.require_service()?;
    let kind = |name: &str| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
            "id": name,
            "name": name,
            "endpoint": format!("/{name}s"),
            "schema": format!("urn:ietf:params:scim:schemas:core:2.0:{name}"),
            "meta": { "resourceType": "ResourceType" },
        })
    };
    Ok(list(vec![kind("User"), kind("Group")]))
}

/// What stands in them.
#[utoipa::path(get, path = "/scim/v2/{tenant}/Schemas", tag = "scim", operation_id = "scim_schemas", params(("tenant" = TenantId, Path)), security(("session" = [])),
    responses((status = 200, content_type = "application/scim+json", body = Object)))]
pub(crate) async fn schemas(
    State(app): State<App>,
    provisioner: Provisioner,
    Path(tenant): Path<TenantId>,
) -> Result<Answer, ScimRefusal> {
    drop(provisioner.view(&app, tenant).await?);
    provisioner.require_service()?;
    let user = schema(
        "User",
        vec![
            attribute("userName", "string", true, "server"),
            attribute("externalId", "string", false, "none"),
            attribute("displayName", "string", false, "none"),
            complex("name", false, &["formatted", "givenName", "familyName"]),
            complex("emails", true, &["value", "type", "primary"]),
            attribute("active", "boolean", false, "none"),
        ],
    );
    let group = schema(
        "Group",
        vec![
            attribute("displayName", "string", true, "server"),
            attribute("externalId", "string", false, "none"),
            complex("members", true, &["value"]),
        ],
    );
    Ok(list(vec![user, group]))
}

fn list(resources: Vec<Value>) -> Answer {
    Answer::ok(json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": resources.len(),
        "startIndex": 1,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    }))
}

fn schema(name: &str, attributes: Vec<Value>) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": format!("urn:ietf:params:scim:schemas:core:2.0:{name}"),
        "name": name,
        "attributes": attributes,
        "meta": { "resourceType": "Schema" },
    })
}

fn attribute(name: &str, kind: &str, required: bool, uniqueness: &str) -> Value {
    json!({
        "name": name,
        "type": kind,
        "multiValued": false,
        "required": required,
        "caseExact": name == "externalId",
        "mutability": "readWrite",
        "returned": "default",
        "uniqueness": uniqueness,
    })
}

fn complex(name: &str, several: bool, parts: &[&str]) -> Value {
    let part =
        |part: &&str| attribute(part, if *part == "primary" { "boolean" } else { "string" }, false, "none");
    json!({
        "name": name,
        "type": "complex",
        "multiValued": several,
        "required": false,
        "mutability": "readWrite",
        "returned": "default",
        "subAttributes": parts.iter().map(part).collect::<Vec<_>>(),
    })
}
