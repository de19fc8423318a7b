// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collections and items: the keys of an account's data.
//!
//! ```text
//! MasterKey ──▶ AccountKey ──seals──▶ CollectionKey (random) ──▶ ItemKey (by item id) ──seals──▶ content
//!                                          └──a Grant, to another account's identity keys
//! ```
//!
//! A chat, an app's settings, a folder of files: each is a collection with a random key of its own, so it can be
//! shared and re-keyed alone ([`generations`](crate::generations)).

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::id::{AccountId, CollectionId, ItemId, Owner};
use crate::identity::AccountKey;
use crate::sealed::{Context, OpenError, Sealed, SealingKey};
use crate::secret::{mac, secret};

secret!(
    /// The key of one collection.
    pub CollectionKey
);

impl CollectionKey {
    /// Makes the key of a new collection, or a collection's next key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::random(rng)
    }

    /// Seals the key for the account itself.
    pub fn seal(
        &self,
        account_key: &AccountKey,
        place: &CollectionKeyPlace,
        rng: &mut impl CryptoRng,
    ) -> Sealed {
        sealing_key(account_key).seal(self.expose(), &place.context(), rng)
    }

    /// Opens a key that was sealed for the account itself.
    ///
    /// # Errors
    /// [`OpenError::WrongKeyOrContext`] for another account, collection or version, or changed bytes.
    pub fn open(
        account_key: &AccountKey,
        sealed: &Sealed,
        place: &CollectionKeyPlace,
    ) -> Result<Self, OpenError> {
        let key = sealing_key(account_key).open(sealed, &place.context())?;
        Self::from_slice(&key).ok_or(OpenError::WrongKeyOrContext)
    }

    /// The key of an item.
    pub fn item_key(&self, item: &ItemId) -> ItemKey {
        ItemKey { key: ItemSecret::derived(self.expose(), &[], "item", &[item.as_bytes()]), item: *item }
    }

    /// The id of the item that has this name (a path, say) in the collection: always the same, and meaningless
    /// without the key. It has the form of a UUID of version 8.
    ///
    /// A collection that changes its key keeps its items' ids: names are always turned into ids by its first key
    /// ([`CollectionKeys::for_names`](crate::CollectionKeys::for_names)).
    pub fn item_id_for_name(&self, name: &str) -> ItemId {
        let key = NameKey::derived(self.expose(), &[], "item-name", &[]);
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] =
            mac(key.expose(), "item-name", &[name.as_bytes()]);
        ItemId::from([a, b, c, d, e, f, g & 0x0f | 0x80, h, i & 0x3f | 0x80, j, k, l, m, n, o, p])
    }
}

/// Which key of which collection is sealed for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CollectionKeyPlace {
    /// The account that holds the key.
    pub account: AccountId,
    /// The collection.
    pub collection: CollectionId,
    /// Which of the collection's keys it is, from 1: [`generations`](crate::generations).
    pub generation: u32,
    /// Counts how often a key of the collection was sealed for the account, from 1: a new generation is sealed, and so is the
    /// same one under a new master key.
    pub key_version: u32,
}

impl CollectionKeyPlace {
    /// A first generation is not named: a collection that never had another key reads as it always did.
    fn context(&self) -> Context {
        let context = Context::new("collection-key", self.account)
            .object(self.collection.as_bytes())
            .version(self.key_version.into());
        if self.generation == 1 { context } else { context.object(self.generation.to_be_bytes()) }
    }
}

/// The key of one item; also of the files that belong to it ([`file`](crate::file)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemKey {
    key: ItemSecret,
    item: ItemId,
}

impl ItemKey {
    /// Seals an item's content.
    pub fn seal(&self, content: &[u8], place: &ItemPlace, rng: &mut impl CryptoRng) -> Sealed {
        self.sealing_key().seal(content, &self.context(place), rng)
    }

    /// Opens an item's content.
    ///
    /// # Errors
    /// [`OpenError::WrongKeyOrContext`] for another item, place or version, or changed bytes.
    pub fn open(&self, sealed: &Sealed, place: &ItemPlace) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        self.sealing_key().open(sealed, &self.context(place))
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        self.key.expose()
    }

    fn sealing_key(&self) -> SealingKey {
        SealingKey::derived(self.expose(), &[], "item/content", &[])
    }

    fn context(&self, place: &ItemPlace) -> Context {
        Context::new("item", place.owner)
            .object(place.collection.as_bytes())
            .object(self.item.as_bytes())
            .version(place.version)
    }
}

/// Where an item's content belongs, beside the item's own id, which its key knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ItemPlace {
    /// Who owns the collection: the account or tenant whose walls it lies within.
    pub owner: Owner,
    /// The collection.
    pub collection: CollectionId,
    /// The item's version: the client counts it up at each change, and refuses to go back.
    pub version: u64,
}

secret!(
    /// An item's key, before it knows its item.
    ItemSecret
);

secret!(
    /// The key that turns names into ids.
    NameKey
);

fn sealing_key(account_key: &AccountKey) -> SealingKey {
    SealingKey::derived(account_key.expose(), &[], "collection-key", &[])
}
