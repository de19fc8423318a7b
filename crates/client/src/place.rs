// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The places that sealed values belong to: ids of the wire as ids of the keyring.

use keyring::{CollectionKeyPlace, CollectionPlace, ItemPlace, KdfError, KdfParams, MasterKeyPlace};
use protocol::signin::Kdf;
use protocol::{AccountId, CollectionId, DeviceId, ItemId, MethodId, TenantId, UploadId};
use sha2::{Digest, Sha256};

pub(crate) fn account(id: AccountId) -> keyring::AccountId {
    keyring::AccountId::from_bytes(*id.as_bytes())
}

pub(crate) fn method(id: MethodId) -> keyring::MethodId {
    keyring::MethodId::from_bytes(*id.as_bytes())
}

pub(crate) fn device(id: DeviceId) -> keyring::DeviceId {
    keyring::DeviceId::from_bytes(*id.as_bytes())
}

pub(crate) fn collection(id: CollectionId) -> keyring::CollectionId {
    keyring::CollectionId::from_bytes(*id.as_bytes())
}

pub(crate) fn item(id: ItemId) -> keyring::ItemId {
    keyring::ItemId::from_bytes(*id.as_bytes())
}

pub(crate) fn file(id: UploadId) -> keyring::FileId {
    keyring::FileId::from_bytes(*id.as_bytes())
}

pub(crate) fn item_id(id: keyring::ItemId) -> ItemId {
    ItemId::from_bytes(id.into())
}

/// Where a version of the master key is sealed.
pub(crate) fn master_key(account_id: AccountId, method_id: MethodId, key_version: u32) -> MasterKeyPlace {
    MasterKeyPlace { account: account(account_id), method: method(method_id), key_version }
}

/// Where the key of a collection is sealed. Versions beyond 32 bits would take four thousand million rotations.
pub(crate) fn collection_key(
    account_id: AccountId,
    collection_id: CollectionId,
    generation: u32,
    key_version: u64,
) -> CollectionKeyPlace {
    CollectionKeyPlace {
        account: account(account_id),
        collection: collection(collection_id),
        generation,
        key_version: u32::try_from(key_version).unwrap_or(u32::MAX),
    }
}

/// Where the keys that a collection had are sealed.
pub(crate) fn former_keys(home: TenantId, collection_id: CollectionId) -> CollectionPlace {
    CollectionPlace { owner: tenant(home).into(), collection: collection(collection_id) }
}

pub(crate) fn tenant(id: TenantId) -> keyring::TenantId {
    keyring::TenantId::from_bytes(*id.as_bytes())
}

/// The id of the collection of a home's files. After `earlier` ones that were deleted it is another: ids are not used twice.
pub(crate) fn files_collection(home: TenantId, earlier: u32) -> CollectionId {
    let digest = Sha256::new()
        .chain_update(b"bailiwick/files/v1")
        .chain_update(home.as_bytes())
        .chain_update(earlier.to_be_bytes())
        .finalize();
    let mut id = [0; 16];
    id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    CollectionId::from_bytes(id)
}

/// Where a version of an item is sealed: within the home that its collection lies in.
pub(crate) fn content(home: TenantId, collection_id: CollectionId, version: u64) -> ItemPlace {
    ItemPlace { owner: tenant(home).into(), collection: collection(collection_id), version }
}

/// A server's parameters, held against the floor and the ceiling.
pub(crate) fn kdf(kdf: Kdf) -> Result<KdfParams, KdfError> {
    KdfParams::checked(kdf.memory_kib, kdf.passes, kdf.lanes)
}
