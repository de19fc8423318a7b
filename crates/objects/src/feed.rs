// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The change stream: who follows a tenant's collections is told that there is something new.
//!
//! It carries numbers only; a follower asks [`crate::Objects::changes`] for what is new since the last number it has.
//! So nothing is lost when events are: one that falls behind is told to ask anyway. It lives in this
//! process; what another process committed is found at the next question.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::TenantId;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver, Sender};

use crate::CollectionId;

/// How many events wait for a follower before it is told to resynchronise.
const WAITING: usize = 64;
/// How many followers one tenant may have: far more than one has devices, and a small part of all.
const MAX_OF_TENANT: usize = 256;

/// Tells followers about commits. Cheap to clone; all clones are one feed.
#[derive(Clone, Debug)]
pub struct Feed {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    max_followers: usize,
    followed: Mutex<Followed>,
}

#[derive(Debug, Default)]
struct Followed {
    followers: usize,
    tenants: HashMap<TenantId, Sender<(CollectionId, u64)>>,
}

/// Something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A collection has reached this sequence.
    Changed {
        /// The collection.
        collection: CollectionId,
        /// The number of its change.
        sequence: u64,
    },
    /// Events were missed: ask for the changes of everything that is followed.
    Resync,
}

/// There are as many followers as this server allows, altogether or of one tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many connections are waiting for changes; try again later")]
pub struct TooManyFollowers;

impl Feed {
    /// A feed for at most `max_followers` at a time, 256 of one tenant, each of which may have 64 events waiting.
    pub fn new(max_followers: usize) -> Self {
        Self { shared: Arc::new(Shared { max_followers, followed: Mutex::default() }) }
    }

    /// Tells who follows. Call it after the commit, with [`crate::Written::sequence`]. Never waits.
    pub fn publish(&self, tenant: TenantId, collection: CollectionId, sequence: u64) {
        if let Some(sender) = self.shared.lock().tenants.get(&tenant) {
            // An error means that nobody is listening any more.
            let _ = sender.send((collection, sequence));
        }
    }

    /// Follows one collection. Subscribe first, ask for the changes then, so that none falls in between.
    pub fn subscribe(
        &self,
        tenant: TenantId,
        collection: CollectionId,
    ) -> Result<Follower, TooManyFollowers> {
        self.follow(tenant, Some(collection))
    }

    /// Follows all of a tenant's collections.
    pub fn subscribe_all(&self, tenant: TenantId) -> Result<Follower, TooManyFollowers> {
        self.follow(tenant, None)
    }

    /// How many followers there are.
    pub fn followers(&self) -> usize {
        self.shared.lock().followers
    }

    fn follow(&self, tenant: TenantId, only: Option<CollectionId>) -> Result<Follower, TooManyFollowers> {
        let mut followed = self.shared.lock();
        if followed.followers >= self.shared.max_followers {
            return Err(TooManyFollowers);
        }
        let of_tenant = followed.tenants.get(&tenant).map_or(0, Sender::receiver_count);
        if of_tenant >= MAX_OF_TENANT {
            return Err(TooManyFollowers);
        }
        followed.followers += 1;
        let events = match followed.tenants.entry(tenant) {
            Entry::Occupied(sender) => sender.get().subscribe(),
            Entry::Vacant(place) => place.insert(broadcast::channel(WAITING).0).subscribe(),
        };
        Ok(Follower { shared: Arc::clone(&self.shared), tenant, only, events })
    }
}

impl Shared {
    /// Nothing here can be left half-done by a panic.
    fn lock(&self) -> MutexGuard<'_, Followed> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Someone who follows; dropped when they leave.
#[derive(Debug)]
pub struct Follower {
    shared: Arc<Shared>,
    tenant: TenantId,
    only: Option<CollectionId>,
    events: Receiver<(CollectionId, u64)>,
}

impl Follower {
    /// Waits for the next event. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Event {
        loop {
            match self.events.recv().await {
                Ok((collection, _)) if self.only.is_some_and(|only| only != collection) => {}
                Ok((collection, sequence)) => return Event::Changed { collection, sequence },
                Err(RecvError::Lagged(_)) => return Event::Resync,
                // The sender lives as long as a follower of its tenant does.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut followed = self.shared.lock();
        followed.followers = followed.followers.saturating_sub(1);
        // This one's receiver is dropped after this function, so it still counts.
        if let Entry::Occupied(sender) = followed.tenants.entry(self.tenant)
            && sender.get().receiver_count() <= 1
        {
            sender.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_follower_hears_of_its_own_collection_only() {
        let (feed, tenant, collection) = (Feed::new(8), TenantId::random(), CollectionId::random());
        let mut one = feed.subscribe(tenant, collection).unwrap();
        let mut all = feed.subscribe_all(tenant).unwrap();
        let other = CollectionId::random();
        feed.publish(TenantId::random(), collection, 9);
        feed.publish(tenant, other, 1);
        feed.publish(tenant, collection, 2);
        assert_eq!(one.next().await, Event::Changed { collection, sequence: 2 });
        assert_eq!(all.next().await, Event::Changed { collection: other, sequence: 1 });
        assert_eq!(all.next().await, Event::Changed { collection, sequence: 2 });
    }

    #[tokio::test]
    async fn a_slow_follower_is_told_to_resynchronise_and_goes_on() {
        let (feed, tenant, collection) = (Feed::new(8), TenantId::random(), CollectionId::random());
        let mut slow = feed.subscribe(tenant, collection).unwrap();
        let last = WAITING as u64 * 2;
        (1..=last).for_each(|sequence| feed.publish(tenant, collection, sequence));
        assert_eq!(slow.next().await, Event::Resync);
        assert_eq!(slow.next().await, Event::Changed { collection, sequence: last - WAITING as u64 + 1 });
    }

    #[test]
    fn one_tenant_leaves_room_for_the_others() {
        let (feed, tenant) = (Feed::new(MAX_OF_TENANT * 2), TenantId::random());
        let mut followers: Vec<_> = std::iter::from_fn(|| feed.subscribe_all(tenant).ok()).collect();
        assert_eq!(followers.len(), MAX_OF_TENANT);
        assert!(feed.subscribe_all(TenantId::random()).is_ok());
        followers.pop();
        assert!(feed.subscribe_all(tenant).is_ok());
    }

    #[test]
    fn followers_are_bounded_and_leave_nothing_behind() {
        let (feed, tenant) = (Feed::new(2), TenantId::random());
        let one = feed.subscribe_all(tenant).unwrap();
        let two = feed.subscribe_all(tenant).unwrap();
        assert_eq!(feed.subscribe_all(tenant).err(), Some(TooManyFollowers));
        drop(one);
        assert_eq!(feed.shared.lock().tenants.len(), 1);
        drop(two);
        assert_eq!((feed.followers(), feed.shared.lock().tenants.len()), (0, 0));
    }
}
