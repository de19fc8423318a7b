// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Histories: checkpoints and tiles as C2SP tlog-tiles has them, and the records in readable form.

use access::{Action, Resource, TenancyError};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use ledger::{EntryBundle, Tile};
use protocol::id::RecordId;
use protocol::log::{LogEntry, REQUESTS_RECORDED, Record, Records, RequestBatch, RequestBatches};
use protocol::{Code, Problem};
use serde::Deserialize;
use store::history::{self, LoggedRecord};
use store::{ReadTx, TenantId};
use utoipa::IntoParams;

use crate::caller::{Acting, Visitor};
use crate::error::ApiError;
use crate::gateway::{Json, Path, Query, audit};
use crate::state::App;

/// Opens a log for whoever asks. What is `public` of the platform's log, its checkpoints and tiles of hashes, is for everyone:
/// witnesses and auditors work with it.
async fn open(
    app: &App,
    visitor: &Visitor,
    signed: Result<Acting, ApiError>,
    log: &str,
    public: bool,
) -> Result<ReadTx, ApiError> {
    let tenant = tenant(log)?;
    if tenant == TenantId::PLATFORM && public {
        let auditor = access::Caller::system("log", visitor.caller.request());
        return Ok(app.access.view(&auditor, tenant, Action::MaintenanceRun, Resource::Platform).await?);
    }
    signed?.view(app, tenant, Action::LogRead, Resource::Log).await
}

/// `platform`, or a tenant's id.
fn tenant(log: &str) -> Result<TenantId, ApiError> {
    match log {
        "platform" => Ok(TenantId::PLATFORM),
        id => id.parse().map_err(|_| ApiError::new(Code::NotFound)),
    }
}

/// The log's newest checkpoint: a signed note (C2SP tlog-checkpoint).
#[utoipa::path(get, path = "/api/v1/log/{log}/checkpoint", tag = "log", operation_id = "read_checkpoint",
    params(("log" = String, Path, description = "`platform` or a tenant's id")), security((), ("session" = [])),
    responses((status = 200, content_type = "text/plain", body = String), (status = 404, body = Problem)))]
pub(crate) async fn checkpoint(
    State(app): State<App>,
    visitor: Visitor,
    signed: Result<Acting, ApiError>,
    Path(log): Path<String>,
) -> Result<Response, ApiError> {
    let mut tx = open(&app, &visitor, signed, &log, true).await?;
    let (_, note) = history::checkpoint(&mut tx).await?.ok_or_else(|| ApiError::new(Code::NotFound))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], note).into_response())
}

/// Where records are read from.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordsQuery {
    /// The first number; 0 for the beginning.
    #[serde(default)]
    from: u64,
    /// At most so many; 200 by default, at most 1,000.
    limit: Option<u32>,
}

/// Lists records by their numbers.
#[utoipa::path(get, path = "/api/v1/log/{log}/records", tag = "log", operation_id = "list_records",
    params(("log" = String, Path, description = "`platform` or a tenant's id"), RecordsQuery), security(("session" = [])),
    responses((status = 200, body = Records), (status = 404, body = Problem)))]
pub(crate) async fn records(
    State(app): State<App>,
    visitor: Visitor,
    signed: Acting,
    Path(log): Path<String>,
    Query(query): Query<RecordsQuery>,
) -> Result<Json<Records>, ApiError> {
    let limit = query.limit.unwrap_or(200).clamp(1, 1_000);
    let mut tx = open(&app, &visitor, Ok(signed), &log, false).await?;
    let (records, more) = history::records(&mut tx, query.from, limit).await?;
    let next = records.last().map_or(query.from, |last| last.number + 1);
    let mut records: Vec<LogEntry> = records.into_iter().map(to_entry).collect();
    for record in records.iter_mut().filter_map(|entry| entry.record.as_mut()) {
        record.opened = opened(&app, &mut tx, record).await?;
    }
    Ok(Json(Records { records, next, more }))
}

/// What a record says of its change, for whoever may read the history. What does not open, since the tenant's keys are destroyed or the details are of another kind, stays sealed.
async fn opened(app: &App, tx: &mut ReadTx, record: &Record) -> Result<Option<serde_json::Value>, ApiError> {
    if record.details.as_slice().is_empty() {
        return Ok(None);
    }
    match app.tenancy.details(tx, &record.subject, record.details.as_slice()).await {
        Ok(details) => Ok(Some(details)),
        Err(TenancyError::Store(error)) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// Where requests are read from.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestsQuery {
    /// The first record's number; 0 for the beginning.
    #[serde(default)]
    from: u64,
    /// At most so many records; 20 by default and at most. Each says of some hundred requests.
    limit: Option<u32>,
}

/// Lists which requests were made, in batches: records of the log with what they say.
#[utoipa::path(get, path = "/api/v1/log/{log}/requests", tag = "log", operation_id = "list_requests",
    params(("log" = String, Path, description = "`platform` or a tenant's id"), RequestsQuery), security(("session" = [])),
    responses((status = 200, body = RequestBatches), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn requests(
    State(app): State<App>,
    signed: Acting,
    Path(log): Path<String>,
    Query(query): Query<RequestsQuery>,
) -> Result<Json<RequestBatches>, ApiError> {
    let limit = query.limit.unwrap_or(MAX_BATCHES).clamp(1, MAX_BATCHES);
    let mut tx = signed.view(&app, tenant(&log)?, Action::RequestRead, Resource::Log).await?;
    let (found, next, more) = history::records_of(&mut tx, REQUESTS_RECORDED, query.from, limit).await?;
    let mut batches = Vec::with_capacity(found.len());
    for logged in found {
        let text = audit::open(&app, &mut tx, &logged).await?;
        batches.push(RequestBatch { entry: to_entry(logged), text });
    }
    Ok(Json(RequestBatches { batches, next, more }))
}

/// Batches of requests in one answer: some 3 MiB.
const MAX_BATCHES: u32 = 20;

pub(crate) fn to_entry(logged: LoggedRecord) -> LogEntry {
    LogEntry {
        number: logged.number,
        leaf: (*logged.leaf.as_bytes()).into(),
        record: logged.record.map(|record| Record {
            id: RecordId::from_uuid(record.id),
            at: record.at,
            actor: record.actor,
            via: record.via,
            action: record.action,
            subject: record.subject,
            request: record.request,
            corrects: record.corrects.map(RecordId::from_uuid),
            details: record.details.into(),
            opened: None,
        }),
    }
}

/// A tile of the log, or a bundle of its entries (C2SP tlog-tiles): `tile/<level>/<index>[.p/<width>]`, `tile/entries/<index>[.p/<width>]`.
#[utoipa::path(get, path = "/api/v1/log/{log}/tile/{tile}", tag = "log", operation_id = "read_tile",
    params(("log" = String, Path, description = "`platform` or a tenant's id"), ("tile" = String, Path, description = "level and index, with slashes")),
    security((), ("session" = [])),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>), (status = 404, body = Problem)))]
pub(crate) async fn tile(
    State(app): State<App>,
    visitor: Visitor,
    signed: Result<Acting, ApiError>,
    Path((log, path)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let not_found = || ApiError::new(Code::NotFound);
    let path = format!("tile/{path}");
    let holds_entries = path.starts_with("tile/entries/");
    let mut tx = open(&app, &visitor, signed, &log, !holds_entries).await?;
    let (size, _) = history::checkpoint(&mut tx).await?.ok_or_else(not_found)?;
    let bytes = if holds_entries {
        let bundle: EntryBundle = path.parse().map_err(|_| not_found())?;
        if !bundle.is_within(size) {
            return Err(not_found());
        }
        history::entries(&mut tx, bundle.index(), bundle.width()).await?.ok_or_else(not_found)?
    } else {
        let tile: Tile = path.parse().map_err(|_| not_found())?;
        if !tile.is_within(size) {
            return Err(not_found());
        }
        history::tile(&mut tx, tile.level(), tile.index(), tile.width()).await?
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=86400, immutable"));
    Ok((headers, bytes).into_response())
}
