// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files: uploaded in parts, read by ranges. The bytes are sealed by the client.

use std::ops::Range;
use std::time::Duration;

use access::{Action, Resource};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use objects::BlobId;
use protocol::objects::{NewUpload, Upload};
use protocol::{CollectionId, ItemId, Problem, UploadId};
use store::{Record, WriteTx};
use tokio::sync::mpsc;

use crate::caller::Authenticated;
use crate::downloads::Place;
use crate::error::ApiError;
use crate::gateway::{Address, Json, Path};
use crate::party::Party;
use crate::routes::{collections, items};
use crate::state::App;

fn blob(upload: UploadId) -> BlobId {
    BlobId::from_uuid(upload.uuid())
}

fn to_upload(upload: &objects::Upload, present: &[Range<u32>]) -> Upload {
    Upload {
        id: UploadId::from_uuid(*upload.id.uuid()),
        size: upload.layout.size(),
        part_size: upload.layout.part_size(),
        parts: upload.layout.parts(),
        received: present.iter().map(|range| (range.start, range.end.saturating_sub(1))).collect(),
        expires_at: upload.expires_at,
    }
}

/// Begins an upload.
#[utoipa::path(post, path = "/api/v1/collections/{collection}/uploads", tag = "objects", operation_id = "begin_upload",
    params(("collection" = CollectionId, Path)), request_body = NewUpload, security(("session" = [])),
    responses((status = 201, body = Upload), (status = 404, body = Problem), (status = 413, body = Problem), (status = 507, body = Problem)))]
pub(crate) async fn begin(
    State(app): State<App>,
    signed: Authenticated,
    Path(collection): Path<CollectionId>,
    Json(new): Json<NewUpload>,
) -> Result<(StatusCode, Json<Upload>), ApiError> {
    begin_for(&app, &Party::owner(signed), collection, &new).await
}

/// Begins an upload, for the collection's owner or for a member.
pub(crate) async fn begin_for(
    app: &App,
    party: &Party,
    collection: CollectionId,
    new: &NewUpload,
) -> Result<(StatusCode, Json<Upload>), ApiError> {
    let resource = Resource::Collection(collection.uuid());
    let mut tx = party.enter(app, Action::FileWrite, resource).await?;
    let account = party.account();
    let upload = app.objects.begin_upload(&mut tx, collections::id(collection), new.size, account).await?;
    let upload = to_upload(&upload, &[]);
    tx.commit(Record::about(upload.id)).await?;
    Ok((StatusCode::CREATED, Json(upload)))
}

/// Says which parts have arrived: where to resume.
#[utoipa::path(get, path = "/api/v1/collections/{collection}/uploads/{upload}", tag = "objects", operation_id = "read_upload",
    params(("collection" = CollectionId, Path), ("upload" = UploadId, Path)), security(("session" = [])),
    responses((status = 200, body = Upload), (status = 404, body = Problem)))]
pub(crate) async fn status(
    State(app): State<App>,
    signed: Authenticated,
    Path((collection, upload)): Path<(CollectionId, UploadId)>,
) -> Result<Json<Upload>, ApiError> {
    status_for(&app, &Party::owner(signed), collection, upload).await
}

/// The same for the collection's owner or for a member.
pub(crate) async fn status_for(
    app: &App,
    party: &Party,
    collection: CollectionId,
    upload: UploadId,
) -> Result<Json<Upload>, ApiError> {
    let resource = Resource::Collection(collection.uuid());
    let mut tx = party.view(app, Action::ItemRead, resource).await?;
    let status = app.objects.upload_status(&mut tx, collections::id(collection), blob(upload)).await?;
    Ok(Json(to_upload(&status.upload, &status.present)))
}

/// Gives an upload up.
#[utoipa::path(delete, path = "/api/v1/collections/{collection}/uploads/{upload}", tag = "objects", operation_id = "abandon_upload",
    params(("collection" = CollectionId, Path), ("upload" = UploadId, Path)), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn abandon(
    State(app): State<App>,
    signed: Authenticated,
    Path((collection, upload)): Path<(CollectionId, UploadId)>,
) -> Result<StatusCode, ApiError> {
    abandon_for(&app, &Party::owner(signed), collection, upload).await
}

/// The same for the collection's owner or for a member.
pub(crate) async fn abandon_for(
    app: &App,
    party: &Party,
    collection: CollectionId,
    upload: UploadId,
) -> Result<StatusCode, ApiError> {
    let resource = Resource::File { collection: collection.uuid(), id: upload.uuid() };
    let mut tx = party.enter(app, Action::FileDelete, resource).await?;
    app.objects.abandon_upload(&mut tx, collections::id(collection), blob(upload)).await?;
    tx.commit(Record::about(upload)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stores a part of an upload. May be repeated with the same bytes.
#[utoipa::path(put, path = "/api/v1/collections/{collection}/uploads/{upload}/parts/{part}", tag = "objects", operation_id = "put_part",
    params(("collection" = CollectionId, Path), ("upload" = UploadId, Path), ("part" = u32, Path)),
    request_body(content_type = "application/octet-stream", content = Vec<u8>), security(("session" = [])),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn put_part(
    State(app): State<App>,
    signed: Authenticated,
    Path((collection, upload, part)): Path<(CollectionId, UploadId, u32)>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    put_part_for(app, Party::owner(signed), collection, upload, part, request).await
}

/// The same for the collection's owner or for a member.
pub(crate) async fn put_part_for(
    app: App,
    party: Party,
    collection: CollectionId,
    upload: UploadId,
    part: u32,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let mut tx = party.view(&app, Action::ItemRead, Resource::Collection(collection.uuid())).await?;
    // First whether the part is wanted, then its bytes: nobody sends megabytes for nothing.
    let slot = app.objects.part_slot(&mut tx, collections::id(collection), blob(upload), part).await?;
    drop(tx);
    let bytes = part_body(request, slot.len()).await?;
    // To its end, even when the client leaves: what is written and not recorded would lie there uncounted.
    let stored = tokio::spawn(async move {
        let written = app.blobs.write_pieces(slot, bytes).await?;
        let resource = Resource::File { collection: collection.uuid(), id: upload.uuid() };
        let mut tx = party.enter(&app, Action::FileWrite, resource).await?;
        if let Err(error) = app.objects.record_part(&mut tx, collections::id(collection), &written).await {
            // A transaction that failed answers nothing more, and what went wrong first is what counts: the sweep removes the rest.
            if let Ok(true) = app.objects.is_unwanted(&mut tx, &written).await
                && let Err(error) = app.blobs.discard(&written).await
            {
                tracing::warn!(%error, "a part that is not wanted stays for the sweep");
            }
            return Err(ApiError::from(error));
        }
        tx.commit(Record::about(format!("{upload}/{part}"))).await?;
        Ok(StatusCode::NO_CONTENT)
    });
    stored.await.unwrap_or_else(|error| Err(ApiError::internal(error)))
}

/// Pieces of a body that are shorter are put together: who sends it byte by byte takes no more memory than others.
const WORTH_KEEPING: usize = 16 << 10;

/// Reads at most as many bytes as the part has, mostly in the pieces in which they arrive.
async fn part_body(request: Request, len: u64) -> Result<Vec<Bytes>, ApiError> {
    let mut body = request.into_body().into_data_stream();
    let (mut pieces, mut small, mut arrived) = (Vec::new(), BytesMut::new(), 0);
    let wrong = || ApiError::field("body", format_args!("the part has {len} bytes"));
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_| wrong())?;
        arrived += piece.len() as u64;
        if arrived > len {
            return Err(wrong());
        }
        if piece.len() < WORTH_KEEPING {
            small.extend_from_slice(&piece);
            if small.len() >= WORTH_KEEPING {
                pieces.push(small.split().freeze());
            }
            continue;
        }
        if !small.is_empty() {
            pieces.push(small.split().freeze());
        }
        pieces.push(piece);
    }
    if !small.is_empty() {
        pieces.push(small.freeze());
    }
    Ok(pieces)
}

/// Reads an item's file, whole or a range of it (RFC 9110, section 14). Recorded.
#[utoipa::path(get, path = "/api/v1/collections/{collection}/items/{item}/file", tag = "objects", operation_id = "read_file",
    params(("collection" = CollectionId, Path), ("item" = ItemId, Path), ("Range" = Option<String>, Header)), security(("session" = [])),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>), (status = 206, content_type = "application/octet-stream", body = Vec<u8>),
              (status = 404, body = Problem), (status = 416, body = Problem)))]
pub(crate) async fn download(
    State(app): State<App>,
    signed: Authenticated,
    address: Address,
    Path((collection, item)): Path<(CollectionId, ItemId)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let place = app.downloads.place(address, signed.home()).await?;
    let resource = Resource::File { collection: collection.uuid(), id: item.uuid() };
    let party = Party::owner(signed);
    let mut tx = party.enter(&app, Action::FileRead, resource).await?;
    let item = app.objects.item(&mut tx, collections::id(collection), items::id(item)).await?;
    send(app, place, party, tx, collection, &item, &headers).await
}

/// Records that the file of a version of an item is read, and sends it.
pub(crate) async fn send(
    app: App,
    place: Place,
    party: Party,
    mut tx: WriteTx,
    collection: CollectionId,
    item: &objects::Item,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let Some(file) = item.blob else {
        return Err(objects::ReadError::NotFound.into());
    };
    let range = byte_range(headers, file.size)?;
    let plan = app.objects.read_plan(&mut tx, collections::id(collection), file.id, range.clone()).await?;
    tx.commit(Record::about(ItemId::from_uuid(*item.id.uuid()))).await?;
    let sent = plan.range();
    let download = Download { file: app.blobs.read(plan), app, _place: place, party, unchecked: 0 };
    let mut response = Body::from_stream(download.sent()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(sent.end - sent.start));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", UploadId::from_uuid(*file.id.uuid()))) {
        headers.insert(header::ETAG, tag);
    }
    if range.is_some() {
        let text = format!("bytes {}-{}/{}", sent.start, sent.end.saturating_sub(1), file.size);
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(header::CONTENT_RANGE, value);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// A file on its way to a client. Read by a task of its own, so that one that takes nothing any more is let go.
struct Download {
    app: App,
    _place: Place,
    party: Party,
    file: BoxStream<'static, Result<Bytes, objects::ReadError>>,
    /// Bytes that were sent since the session was looked at.
    unchecked: u64,
}

/// How long a client may take for a piece of a file (1 MiB) before the download ends.
const PIECE_WITHIN: Duration = Duration::from_secs(60);

impl Download {
    fn sent(mut self) -> impl Stream<Item = std::io::Result<Bytes>> {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some(piece) = self.next().await {
                let is_last = piece.is_err();
                match tokio::time::timeout(PIECE_WITHIN, sender.send(piece)).await {
                    Ok(Ok(())) if !is_last => {}
                    _ => return,
                }
            }
        });
        futures::stream::unfold(receiver, |mut pieces| async { Some((pieces.recv().await?, pieces)) })
    }

    /// The next piece, as long as the session lives: it is looked at for each part's worth of bytes. A body that ends
    /// early breaks the connection, which is how HTTP says that it is not whole.
    async fn next(&mut self) -> Option<std::io::Result<Bytes>> {
        if self.unchecked >= objects::PART_SIZE {
            self.unchecked = 0;
            if let Err(error) = self.party.look_again(&self.app).await {
                return Some(Err(std::io::Error::other(error.code().as_str())));
            }
        }
        let piece = self.file.next().await?;
        if let Ok(bytes) = &piece {
            self.unchecked += bytes.len() as u64;
        }
        Some(piece.map_err(|error| {
            tracing::error!(%error, "a download broke off");
            std::io::Error::other(error)
        }))
    }
}

/// The one range that `Range: bytes=…` asks for. Other units and several ranges are ignored, as the RFC allows.
fn byte_range(headers: &HeaderMap, size: u64) -> Result<Option<Range<u64>>, ApiError> {
    let Some(value) = headers.get(header::RANGE).and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    let Some((first, last)) = value.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Ok(None);
    };
    if last.contains(',') {
        return Ok(None);
    }
    let unsatisfiable = || ApiError::from(objects::ReadError::Range { size });
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| unsatisfiable());
    let range = match (first.trim(), last.trim()) {
        ("", suffix) => size.saturating_sub(number(suffix)?)..size,
        (first, "") => number(first)?..size,
        (first, last) => number(first)?..number(last)?.saturating_add(1).min(size),
    };
    if range.is_empty() { Err(unsatisfiable()) } else { Ok(Some(range)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_sent_byte_by_byte_comes_together_and_one_byte_too_many_is_refused() {
        let body = |count: usize| {
            let bytes = (0..count).map(|n| Ok::<_, std::io::Error>(Bytes::from(vec![n as u8])));
            Request::new(Body::from_stream(futures::stream::iter(bytes)))
        };
        let length = 3 * WORTH_KEEPING + 1;
        let pieces = part_body(body(length), length as u64).await.ok().unwrap();
        assert_eq!(pieces.len(), 4);
        assert!(pieces.concat().iter().enumerate().all(|(n, byte)| *byte == n as u8));
        assert!(part_body(body(length + 1), length as u64).await.is_err());
        let large = vec![7; 2 * WORTH_KEEPING];
        let whole = Request::new(Body::from(large.clone()));
        let whole = part_body(whole, large.len() as u64).await.ok().unwrap();
        assert_eq!(whole, [Bytes::from(large)]);
    }

    #[test]
    fn ranges_are_those_of_rfc_9110() {
        let range = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, text.parse().unwrap());
            byte_range(&headers, 100).map_err(|error| error.code())
        };
        assert_eq!(range("bytes=0-9"), Ok(Some(0..10)));
        assert_eq!(range("bytes=90-"), Ok(Some(90..100)));
        assert_eq!(range("bytes=-5"), Ok(Some(95..100)));
        assert_eq!(range("bytes=90-1000"), Ok(Some(90..100)));
        assert_eq!(range("bytes=0-0,5-6"), Ok(None));
        assert_eq!(range("items=0-1"), Ok(None));
        assert_eq!(range("bytes=100-"), Err(protocol::Code::RangeNotSatisfiable));
        assert_eq!(range("bytes=9-2"), Err(protocol::Code::RangeNotSatisfiable));
    }
}
