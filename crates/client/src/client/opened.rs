// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An account whose data are open, by whatever opened them.

use keyring::{AccountKey, Authorship, AuthorshipPlace, IdentityKeys};
use protocol::objects::ItemSignature;
use protocol::{AccountId, CollectionId, TenantId};

use super::Client;
use super::pairing::PublicAccount;
use super::signin::Unlocked;
use crate::place;

/// An account with the key that its content stands on: what it takes to work on what it keeps, and not what it takes to change
/// how one gets in. A session gives it ([`Unlocked`]), an API key that unlocks
/// ([`open_by_api_key`](super::api_keys::open_by_api_key)), and a public computer ([`PublicAccount`]).
#[derive(Clone)]
pub struct Opened {
    pub(crate) client: Client,
    pub(crate) account: AccountId,
    pub(crate) home: TenantId,
    pub(crate) key: AccountKey,
    /// Which of the account's master keys it comes from.
    pub(crate) master_key_version: u32,
}

impl Opened {
    /// The account's private identity keys.
    pub(crate) fn identity_keys(&self) -> IdentityKeys {
        self.key.identity_keys(self.master_key_version)
    }

    /// The account's word for a version of an item that lies in this home.
    pub(crate) fn signed(
        &self,
        home: TenantId,
        collection: CollectionId,
        item: keyring::ItemId,
        version: u64,
        sealed: &[u8],
    ) -> ItemSignature {
        let place = authorship_place(self.account, home, collection, item, version);
        let signature = Authorship::sign(&self.identity_keys(), sealed, &place);
        ItemSignature { key_version: self.master_key_version, signature: signature.to_bytes().into() }
    }
}

/// What an author signs.
pub(crate) fn authorship_place(
    author: AccountId,
    home: TenantId,
    collection: CollectionId,
    item: keyring::ItemId,
    version: u64,
) -> AuthorshipPlace {
    AuthorshipPlace {
        author: place::account(author),
        item,
        content: place::content(home, collection, version),
    }
}

impl From<&Unlocked> for Opened {
    fn from(account: &Unlocked) -> Self {
        Opened {
            client: account.client.clone(),
            account: account.account,
            home: account.home,
            key: account.master.account_key(),
            master_key_version: account.master_key_version,
        }
    }
}

impl From<&PublicAccount> for Opened {
    fn from(account: &PublicAccount) -> Self {
        Opened {
            client: account.client.clone(),
            account: account.account,
            home: account.home,
            key: account.key.clone(),
            master_key_version: account.master_key_version,
        }
    }
}

impl From<&Opened> for Opened {
    fn from(account: &Opened) -> Self {
        account.clone()
    }
}
