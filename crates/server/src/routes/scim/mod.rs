// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Provisioning: another system tells a tenant who its people are (SCIM 2.0, RFC 7644).
//!
//! It comes by a service account of the tenant, whose key is for `member.read` and `member.sync`. Who is told of becomes a member when
//! they come in by the tenant's provider; who is active no more is suspended at once, who is deleted is out at once. An owner stays:
//! that takes an owner.

pub(crate) mod about;
mod error;
pub(crate) mod groups;
mod people;
pub(crate) mod users;

use access::{Action, Resource};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use federation::scim::{Filter, Found, Patch};
use protocol::TenantId;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use store::{ReadTx, WriteTx};
use utoipa::IntoParams;

pub(crate) use self::error::ScimRefusal;
pub(crate) use self::people::{arrived, may_arrive};
use super::tenants::customer;
use crate::caller::Acting;
use crate::gateway::json_bytes;
use crate::state::App;

/// Whoever provisions. Whether it is a service account is asked once what is there was found: to others that is not said.
pub(crate) struct Provisioner(Acting);

impl Provisioner {
    async fn view(&self, app: &App, tenant: TenantId) -> Result<ReadTx, ScimRefusal> {
        Ok(self.0.view(app, customer(tenant)?, Action::MemberRead, Resource::Customer).await?)
    }

    async fn enter(&self, app: &App, tenant: TenantId) -> Result<WriteTx, ScimRefusal> {
        Ok(self.0.enter(app, customer(tenant)?, Action::MemberSync, Resource::Customer).await?)
    }

    /// A person's session is not enough: it suspends and removes people only with a fresh proof.
    fn require_service(&self) -> Result<(), ScimRefusal> {
        if self.0.is_service() {
            return Ok(());
        }
        Err(ScimRefusal::forbidden("provisioning is done by a service account of the tenant"))
    }
}

impl FromRequestParts<App> for Provisioner {
    type Rejection = ScimRefusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ScimRefusal> {
        Ok(Provisioner(Acting::from_request_parts(parts, app).await?))
    }
}

/// A resource that is sent: an object, as `application/scim+json` or `application/json`.
pub(crate) struct Resourceful(Map<String, Value>);

impl FromRequest<App> for Resourceful {
    type Rejection = ScimRefusal;

    async fn from_request(request: Request, app: &App) -> Result<Self, ScimRefusal> {
        match json_body(request, app).await? {
            Value::Object(fields) => Ok(Resourceful(fields)),
            _ => Err(ScimRefusal::syntax("expected an object")),
        }
    }
}

/// A change that is sent.
pub(crate) struct Change(Patch);

impl FromRequest<App> for Change {
    type Rejection = ScimRefusal;

    async fn from_request(request: Request, app: &App) -> Result<Self, ScimRefusal> {
        let body = json_body(request, app).await?;
        let patch = serde_json::from_value(body);
        patch.map(Change).map_err(|_| ScimRefusal::syntax("expected Operations with op, path and value"))
    }
}

async fn json_body(request: Request, app: &App) -> Result<Value, ScimRefusal> {
    let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|value| value.split(';').next()).map(str::trim).unwrap_or_default();
    if !["application/scim+json", "application/json"]
        .iter()
        .any(|known| media_type.eq_ignore_ascii_case(known))
    {
        return Err(ScimRefusal::media_type());
    }
    let body = json_bytes(request, app).await?;
    serde_json::from_slice(&body).map_err(|_| ScimRefusal::syntax("the body is not JSON"))
}

/// Which resources, and which page of them (RFC 7644, section 3.4.2).
#[derive(Deserialize, IntoParams)]
pub(crate) struct Listing {
    /// What is looked for: `attribute eq "value"`.
    filter: Option<String>,
    /// The first of the page, counted from 1.
    #[serde(rename = "startIndex")]
    #[param(rename = "startIndex")]
    start_index: Option<i64>,
    /// At most so many: 100 by default, at most 200.
    count: Option<i64>,
    /// Attributes to leave out: `members`.
    #[serde(rename = "excludedAttributes")]
    #[param(rename = "excludedAttributes")]
    excluded: Option<String>,
}

/// A page, as it is asked for.
struct Page {
    filter: Option<Filter>,
    start: i64,
    count: u32,
    members: bool,
}

impl Listing {
    fn page(self) -> Result<Page, ScimRefusal> {
        let filter = self.filter.as_deref().filter(|text| !text.trim().is_empty());
        let filter = filter.map(Filter::parse).transpose()?;
        let count = self.count.unwrap_or(100).clamp(0, 200);
        Ok(Page {
            filter,
            start: self.start_index.unwrap_or(1).max(1) - 1,
            count: u32::try_from(count).unwrap_or(0),
            members: !excludes_members(self.excluded.as_deref()),
        })
    }
}

fn excludes_members(excluded: Option<&str>) -> bool {
    excluded.is_some_and(|names| names.split(',').any(|name| name.trim().eq_ignore_ascii_case("members")))
}

/// An answer of SCIM's media type.
pub(crate) struct Answer {
    status: StatusCode,
    body: Value,
}

impl Answer {
    fn ok(body: Value) -> Self {
        Answer { status: StatusCode::OK, body }
    }

    fn created(body: Value) -> Self {
        Answer { status: StatusCode::CREATED, body }
    }

    fn list<T>(found: Found<T>, start: i64, shown: impl Fn(T) -> Value) -> Self {
        let resources: Vec<Value> = found.resources.into_iter().map(shown).collect();
        Answer::ok(json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": found.total,
            "startIndex": start + 1,
            "itemsPerPage": resources.len(),
            "Resources": resources,
        }))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.body).unwrap_or_default();
        let mut response = (self.status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        let location = self.body.pointer("/meta/location").and_then(Value::as_str);
        if let (StatusCode::CREATED, Some(Ok(location))) = (self.status, location.map(HeaderValue::from_str))
        {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

/// What stands beside a resource's attributes (RFC 7643, section 3.1).
fn meta(app: &App, tenant: TenantId, kind: &str, id: &str, created_at: i64, changed_at: i64) -> Value {
    let time =
        |at: i64| jiff::Timestamp::from_millisecond(at).map(|time| time.to_string()).unwrap_or_default();
    json!({
        "resourceType": kind,
        "created": time(created_at),
        "lastModified": time(changed_at),
        "location": format!("{}/scim/v2/{tenant}/{kind}s/{id}", app.url),
    })
}

/// Scim's media type (RFC 7644, section 8.1).
const MEDIA_TYPE: &str = "application/scim+json";
