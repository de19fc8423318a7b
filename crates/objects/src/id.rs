// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The ids of this room.

store::id! {
    /// A collection, chosen at random by the client that makes it. Written `col_…`.
    CollectionId = "col_";
    /// An item within its collection, chosen by the client that makes it. Written `itm_…`.
    ItemId = "itm_";
    /// A blob, from the beginning of its upload on. Written `blb_…`.
    BlobId = "blb_";
}
