// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The stream that a service follows which verifies tokens by the key set: of whose tokens to ask anew.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::Event;
use futures::Stream;
use tokens::oauth::ClientAddress;
use tokio::time::Instant;

use super::{Asking, Form, OAuthError, client};
use crate::caller::Visitor;
use crate::error::ApiError;
use crate::revocations::{Missed, Numbered, Place};
use crate::state::App;

/// How often a follower hears that it is being told everything.
const BEAT: Duration = Duration::from_secs(1);

/// How often it is looked whether the follower may still follow.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Follows what may have ended tokens, as server-sent events. For a client that serves a resource (`serves`), which proves itself
/// by `Authorization: Basic`. `changed`: ask by introspection about tokens that were issued before and whose claim (`sub`, `client_id`,
/// `grant_id`) has this SHA-256; about all, when there is no claim. `alive`, each second: nothing else happened. Who hears
/// neither for some seconds does not know any more what has ended. `Last-Event-ID` goes on where the connection was lost.
#[utoipa::path(get, path = "/oauth/revocations", tag = "oauth", operation_id = "follow_revocations",
    responses((status = 200, content_type = "text/event-stream", body = String), (status = 401, content_type = "application/json", body = Object)))]
pub(crate) async fn follow(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, OAuthError> {
    let asking = Asking::of(&app, &visitor, &headers, &Form::parse(b"")?).await?.confidential()?;
    if asking.client.terms.serves.is_empty() {
        return Err(OAuthError::new(
            "unauthorized_client",
            "only a client that serves a resource may follow",
        ));
    }
    let of_tenant = app.following.of(asking.address.tenant);
    let place = app.revocations.place(asking.address.tenant, of_tenant, &app.following_all);
    let place = place.ok_or_else(|| OAuthError::from(ApiError::retry_after(30)))?;
    let position = headers.get("last-event-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let mut first = VecDeque::new();
    let next = app.revocations.after(position).unwrap_or_else(|| {
        let (everything, next) = app.revocations.everything(app.now());
        first.push_back(everything);
        next
    });
    let look_again = Instant::now() + LOOK_AGAIN;
    let follower = Follower { address: asking.address, visitor, first, next, look_again, app, place };
    Ok(Sse::new(futures::stream::unfold(follower, Follower::step)))
}

/// Followers of one tenant's tokens at a time: its services, and all their processes.
pub(crate) const MAX_FOLLOWERS: usize = 64;

/// And of all tenants', at one server.
pub(crate) const MAX_FOLLOWERS_OF_ALL: usize = 2_048;

struct Follower {
    app: App,
    address: ClientAddress,
    visitor: Visitor,
    first: VecDeque<Numbered>,
    /// The number of the next event.
    next: u64,
    look_again: Instant,
    place: Place,
}

impl Follower {
    async fn step(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        let (mut newest, mut stopping) = (self.app.revocations.newest(), self.app.stopping.clone());
        let beat = Instant::now() + BEAT;
        loop {
            if self.place.is_over() {
                return None;
            }
            if self.look_again <= Instant::now() {
                self.look_again = Instant::now() + LOOK_AGAIN;
                let found = client(&self.app, &self.visitor, self.address).await;
                found.ok().flatten().filter(|(_, client)| !client.terms.serves.is_empty())?;
            }
            newest.borrow_and_update();
            if let Some(event) = self.first.pop_front() {
                return Some((Ok(changed(event)), self));
            }
            match self.app.revocations.next(self.next, self.address.tenant) {
                Ok((Some(event), next)) => {
                    self.next = next;
                    return Some((Ok(changed(event)), self));
                }
                Ok((None, next)) => self.next = next,
                Err(Missed) => {
                    let (everything, next) = self.app.revocations.everything(self.app.now());
                    self.next = next;
                    return Some((Ok(changed(everything)), self));
                }
            }
            tokio::select! {
                _ = newest.changed() => {}
                () = tokio::time::sleep_until(beat) => {
                    // A server that hears nothing itself says nothing.
                    if self.app.store.is_deaf() {
                        return Some((Ok(Event::default().comment("deaf")), self));
                    }
                    return Some((Ok(Event::default().event("alive").data(self.app.now().to_string())), self));
                }
                () = self.place.over() => return None,
                _ = stopping.changed() => return None,
            }
        }
    }
}

fn changed(event: Numbered) -> Event {
    Event::default().event("changed").id(event.position).data(event.data)
}
