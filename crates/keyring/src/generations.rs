// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The keys that a collection has had: one after the other, each opened by the next.
//!
//! ```text
//! CollectionKey 1 ◀──opens── CollectionKey 2 ◀──opens── CollectionKey 3   sealed for the owner, granted to members
//!   items up to change a       items up to change b       items from then on
//! ```
//!
//! Whoever may no longer read a collection keeps the key that they had. So the next key is drawn at random, and what is written
//! from then on is sealed under it. The key before is sealed under the new one ([`CollectionKeys::next`]), together with the
//! number of the last change that was made under it: who holds the newest key reads everything, who holds an older one
//! reads nothing newer.
//!
//! Which key an item is sealed under follows from the number of its change alone ([`CollectionKeys::at`]), and that bound is
//! authenticated. So whoever keeps an old key cannot pass something sealed under it off as written later, even with the
//! server's help.
//!
//! From the second generation on each item carries a signature of who wrote it ([`authorship`](crate::authorship)). A
//! collection gets its second generation when it is first shared.
//!
//! Names are turned into ids by the first key for ever, so that a file keeps its item: who held it can tell whether a name that
//! they guess is there, if the server helps them, and nothing more.

use rand_core::CryptoRng;

use crate::collection::CollectionKey;
use crate::id::{CollectionId, Owner};
use crate::sealed::{Context, OpenError, Sealed, SealingKey};

/// All keys of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionKeys {
    newest: CollectionKey,
    /// The keys before it, the first one first, each with the number of the last change under it.
    former: Vec<(CollectionKey, u64)>,
}

impl CollectionKeys {
    /// Those of a new collection.
    pub fn first(key: CollectionKey) -> Self {
        Self { newest: key, former: Vec::new() }
    }

    /// Opens the former keys with the newest one, which is of this generation: as the place said that it opened in.
    ///
    /// # Errors
    /// [`OpenError::WrongKeyOrContext`] when one is missing, is another collection's, stands in another's place, or ended with
    /// another change than is said.
    pub fn open(
        newest: CollectionKey,
        generation: u32,
        place: &CollectionPlace,
        former: &[FormerKey],
    ) -> Result<Self, OpenError> {
        if generation_at(former.len()) != generation {
            return Err(OpenError::WrongKeyOrContext);
        }
        let mut keys: Vec<(CollectionKey, u64)> = Vec::with_capacity(former.len());
        let mut next = newest.clone();
        for (index, one) in former.iter().enumerate().rev() {
            let context = place.former(generation_at(index), one.last_change);
            let key = sealing_key(&next).open(&one.sealed, &context)?;
            let key = CollectionKey::from_slice(&key).ok_or(OpenError::WrongKeyOrContext)?;
            next = key.clone();
            keys.push((key, one.last_change));
        }
        keys.reverse();
        // Changes are counted up: else a range of them would have two keys.
        if !keys.is_sorted_by_key(|(_, last_change)| *last_change) {
            return Err(OpenError::WrongKeyOrContext);
        }
        Ok(Self { newest, former: keys })
    }

    /// Which generation the newest key is, from 1.
    pub fn generation(&self) -> u32 {
        generation_at(self.former.len())
    }

    /// The key to write with.
    pub fn newest(&self) -> &CollectionKey {
        &self.newest
    }

    /// The key under which the change of this number was written.
    pub fn at(&self, change: u64) -> &CollectionKey {
        let former = self.former.iter().find(|(_, last_change)| change <= *last_change);
        former.map_or(&self.newest, |(key, _)| key)
    }

    /// Whether the change of this number has to be signed by who wrote it: it was written after the first generation ended.
    pub fn is_signed(&self, change: u64) -> bool {
        self.former.first().is_some_and(|(_, last_change)| change > *last_change)
    }

    /// The key that turns names into ids.
    pub fn for_names(&self) -> &CollectionKey {
        self.former.first().map_or(&self.newest, |(key, _)| key)
    }

    /// Every key, the newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &CollectionKey> {
        std::iter::once(&self.newest).chain(self.former.iter().rev().map(|(key, _)| key))
    }

    /// Makes the next key. `last_change` is the number of the last change under the one until now. What is returned beside
    /// opens the key until now with the next one, and is for everybody who reads.
    pub fn next(
        &self,
        place: &CollectionPlace,
        last_change: u64,
        rng: &mut impl CryptoRng,
    ) -> (Self, FormerKey) {
        let newest = CollectionKey::generate(rng);
        let context = place.former(self.generation(), last_change);
        let sealed = sealing_key(&newest).seal(self.newest.expose(), &context, rng);
        let mut former = self.former.clone();
        former.push((self.newest.clone(), last_change));
        (Self { newest, former }, FormerKey { last_change, sealed })
    }
}

/// A key that a collection had, sealed under the one after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerKey {
    /// The number of the last change under it.
    pub last_change: u64,
    /// The key.
    pub sealed: Sealed,
}

/// Whose collection, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CollectionPlace {
    /// The account or tenant whose walls it lies within.
    pub owner: Owner,
    /// The collection.
    pub collection: CollectionId,
}

impl CollectionPlace {
    fn former(&self, generation: u32, last_change: u64) -> Context {
        Context::new("former-collection-key", self.owner)
            .object(self.collection.as_bytes())
            .object(last_change.to_be_bytes())
            .version(generation.into())
    }
}

fn sealing_key(next: &CollectionKey) -> SealingKey {
    SealingKey::derived(next.expose(), &[], "former-collection-key", &[])
}

/// The generation that stands at this place.
fn generation_at(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1)
}
