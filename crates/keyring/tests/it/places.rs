// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The same few ids for every test.

use keyring::*;

pub(crate) const ALICE: AccountId = AccountId::from_bytes([0xa1; 16]);
pub(crate) const BOB: AccountId = AccountId::from_bytes([0xb0; 16]);
pub(crate) const METHOD: MethodId = MethodId::from_bytes([0x3e; 16]);
pub(crate) const DEVICE: DeviceId = DeviceId::from_bytes([0xde; 16]);
pub(crate) const COLLECTION: CollectionId = CollectionId::from_bytes([0xc0; 16]);
pub(crate) const ITEM: ItemId = ItemId::from_bytes([0x17; 16]);
pub(crate) const FILE: FileId = FileId::from_bytes([0xf1; 16]);

pub(crate) const MASTER_KEY: MasterKeyPlace =
    MasterKeyPlace { account: ALICE, method: METHOD, key_version: 1 };
pub(crate) const COLLECTION_KEY: CollectionKeyPlace =
    CollectionKeyPlace { account: ALICE, collection: COLLECTION, generation: 1, key_version: 1 };
pub(crate) const CONTENT: ItemPlace =
    ItemPlace { owner: Owner::Account(ALICE), collection: COLLECTION, version: 1 };
pub(crate) const PLACE: CollectionPlace =
    CollectionPlace { owner: Owner::Account(ALICE), collection: COLLECTION };
pub(crate) const WRITTEN: AuthorshipPlace = AuthorshipPlace { author: BOB, item: ITEM, content: CONTENT };
pub(crate) const FORMER_ACCOUNT_KEY: FormerAccountKeyPlace =
    FormerAccountKeyPlace { account: ALICE, key_version: 1 };
pub(crate) const SHARED: GrantPlace =
    GrantPlace { sharer: ALICE, recipient: BOB, collection: COLLECTION, key_version: 1 };

/// Every copy of `bytes` in which one byte is another.
pub(crate) fn mutations(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..bytes.len()).map(move |place| {
        let mut changed = bytes.to_vec();
        changed[place] ^= 1 << (place % 8);
        (place, changed)
    })
}
