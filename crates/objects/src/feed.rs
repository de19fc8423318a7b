// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The change stream: who follows a tenant's collections is told that there is something new.
//!
//! It carries numbers only; a follower asks [`crate::Objects::changes`] for what is new since the last number it has.
//! So nothing is lost when events are: one that falls behind is told to ask anyway. It lives in this
//! process; what another process committed is found at the next question.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::{BuildHasher as _, Hash};
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
    /// What origins are told apart by.
    hasher: RandomState,
    followed: Mutex<Followed>,
}

#[derive(Debug, Default)]
struct Followed {
    followers: usize,
    tenants: HashMap<TenantId, Sender<(CollectionId, u64)>>,
    /// How many there are at each place, by its hash.
    origins: HashMap<u64, usize>,
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

/// There are as many followers as this server allows, altogether, of one tenant or of one origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many connections are waiting for changes; try again later")]
pub struct TooManyFollowers;

impl Feed {
    /// A feed for at most `max_followers` at a time, 256 of one tenant, each of which may have 64 events waiting.
    pub fn new(max_followers: usize) -> Self {
        let shared = Shared { max_followers, hasher: RandomState::new(), followed: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// Tells who follows. Call it after the commit, with [`crate::Written::sequence`]. Never waits.
    pub fn publish(&self, tenant: TenantId, collection: CollectionId, sequence: u64) {
        if let Some(sender) = self.shared.lock().tenants.get(&tenant) {
            // An error means that nobody is listening any more.
            let _ = sender.send((collection, sequence));
        }
    }

    /// Follows one collection. Subscribe first, ask for the changes then, so that none falls in between.
    ///
    /// `origin` is where the follower is, closely and roughly, however the caller tells places apart. One place may have a quarter of
    /// all followers, and all that is roughly there half: else a few accounts could have them all.
    pub fn subscribe(
        &self,
        tenant: TenantId,
        collection: CollectionId,
        origin: [impl Hash; 2],
    ) -> Result<Follower, TooManyFollowers> {
        self.follow(tenant, Some(collection), self.shared.told_apart(origin))
    }

    /// Follows all of a tenant's collections.
    pub fn subscribe_all(
        &self,
        tenant: TenantId,
        origin: [impl Hash; 2],
    ) -> Result<Follower, TooManyFollowers> {
        self.follow(tenant, None, self.shared.told_apart(origin))
    }

    /// How many followers there are.
    pub fn followers(&self) -> usize {
        self.shared.lock().followers
    }

    fn follow(
        &self,
        tenant: TenantId,
        only: Option<CollectionId>,
        origin: [u64; 2],
    ) -> Result<Follower, TooManyFollowers> {
        let mut followed = self.shared.lock();
        if followed.followers >= self.shared.max_followers {
            return Err(TooManyFollowers);
        }
        let of_tenant = followed.tenants.get(&tenant).map_or(0, Sender::receiver_count);
        if of_tenant >= MAX_OF_TENANT {
            return Err(TooManyFollowers);
        }
        for (place, most) in origin.into_iter().zip(self.shared.most_of_origin()) {
            if followed.origins.get(&place).is_some_and(|followers| *followers >= most) {
                return Err(TooManyFollowers);
            }
        }
        for place in origin {
            *followed.origins.entry(place).or_default() += 1;
        }
        followed.followers += 1;
        let events = match followed.tenants.entry(tenant) {
            Entry::Occupied(sender) => sender.get().subscribe(),
            Entry::Vacant(place) => place.insert(broadcast::channel(WAITING).0).subscribe(),
        };
        Ok(Follower { shared: Arc::clone(&self.shared), tenant, only, origin, events })
    }
}

impl Shared {
    /// Alike as they may be written, what is closely meant is not what is roughly meant.
    fn told_apart(&self, [close, rough]: [impl Hash; 2]) -> [u64; 2] {
        [self.hasher.hash_one((0_u8, close)), self.hasher.hash_one((1_u8, rough))]
    }

    /// How many there may be at a place, closely and roughly.
    fn most_of_origin(&self) -> [usize; 2] {
        [self.max_followers.div_ceil(4), self.max_followers.div_ceil(2)]
    }

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
    origin: [u64; 2],
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
        for place in self.origin {
            if let Entry::Occupied(mut followers) = followed.origins.entry(place) {
                *followers.get_mut() -= 1;
                if *followers.get() == 0 {
                    followers.remove();
                }
            }
        }
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

    /// Another place each time, in a neighbourhood of its own.
    fn elsewhere() -> [u128; 2] {
        [CollectionId::random().uuid().as_u128(); 2]
    }

    #[tokio::test]
    async fn a_follower_hears_of_its_own_collection_only() {
        let (feed, tenant, collection) = (Feed::new(8), TenantId::random(), CollectionId::random());
        let mut one = feed.subscribe(tenant, collection, elsewhere()).unwrap();
        let mut all = feed.subscribe_all(tenant, elsewhere()).unwrap();
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
        let mut slow = feed.subscribe(tenant, collection, elsewhere()).unwrap();
        let last = WAITING as u64 * 2;
        (1..=last).for_each(|sequence| feed.publish(tenant, collection, sequence));
        assert_eq!(slow.next().await, Event::Resync);
        assert_eq!(slow.next().await, Event::Changed { collection, sequence: last - WAITING as u64 + 1 });
    }

    #[test]
    fn one_tenant_leaves_room_for_the_others() {
        let (feed, tenant) = (Feed::new(MAX_OF_TENANT * 2), TenantId::random());
        let mut followers: Vec<_> =
            std::iter::from_fn(|| feed.subscribe_all(tenant, elsewhere()).ok()).collect();
        assert_eq!(followers.len(), MAX_OF_TENANT);
        assert!(feed.subscribe_all(TenantId::random(), elsewhere()).is_ok());
        followers.pop();
        assert!(feed.subscribe_all(tenant, elsewhere()).is_ok());
    }

    #[test]
    fn one_origin_leaves_room_for_the_others() {
        let feed = Feed::new(16);
        let at = |close: u32, rough: u32| feed.subscribe_all(TenantId::random(), [close, rough]).ok();
        let mut followers: Vec<_> = std::iter::from_fn(|| at(1, 1)).collect();
        assert_eq!(followers.len(), 4);
        followers.extend((2..16).filter_map(|close| at(close, 1)));
        assert_eq!(followers.len(), 8, "roughly there");
        assert!(at(1, 2).is_none() && at(17, 2).is_some());
        followers.truncate(3);
        followers.extend(at(1, 1));
        assert_eq!(followers.len(), 4, "there is a place again");
        assert!(at(1, 1).is_none());
        drop(followers);
        assert!(feed.shared.lock().origins.is_empty());
    }

    #[test]
    fn followers_are_bounded_and_leave_nothing_behind() {
        let (feed, tenant) = (Feed::new(2), TenantId::random());
        let one = feed.subscribe_all(tenant, elsewhere()).unwrap();
        let two = feed.subscribe_all(tenant, elsewhere()).unwrap();
        assert_eq!(feed.subscribe_all(tenant, elsewhere()).err(), Some(TooManyFollowers));
        drop(one);
        assert_eq!(feed.shared.lock().tenants.len(), 1);
        drop(two);
        assert_eq!((feed.followers(), feed.shared.lock().tenants.len()), (0, 0));
    }
}
