// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sharing, and the directory of public keys, as the server has them: unproven.

use protocol::account::FormerAccountKeys;
use protocol::sharing::{AccountKeys, Members, NextKey, PutMember, SharedCollection, Shares};
use protocol::{AccountId, CollectionId, TenantId};
use reqwest::Method;

use super::{Call, Client, RequestError};

impl Client {
    /// What the key directory says of an account, by its number or its id. To be proved before it is believed:
    /// [`crate::KnownAccount::look_up`].
    pub(crate) async fn account_keys(&self, who: &str) -> Result<AccountKeys, RequestError> {
        self.get(&format!("/api/v1/accounts/{who}/keys")).await
    }

    /// The account keys that were replaced, sealed.
    pub(crate) async fn former_account_keys(&self) -> Result<FormerAccountKeys, RequestError> {
        self.get("/api/v1/account/former-keys").await
    }

    /// Lets an account have a collection.
    pub(crate) async fn put_member(
        &self,
        collection: CollectionId,
        account: AccountId,
        put: &PutMember,
    ) -> Result<(), RequestError> {
        let path = format!("/api/v1/collections/{collection}/members/{account}");
        self.done(Call::new(Method::PUT, &path).json(put)?).await
    }

    /// Gives a collection its next key.
    pub(crate) async fn next_collection_key(
        &self,
        collection: CollectionId,
        next: &NextKey,
    ) -> Result<(), RequestError> {
        let path = format!("/api/v1/collections/{collection}/next-key");
        self.done(Call::new(Method::POST, &path).json(next)?).await
    }

    /// Who has a collection beside its owner.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn members(&self, collection: CollectionId) -> Result<Members, RequestError> {
        self.get(&format!("/api/v1/collections/{collection}/members")).await
    }

    /// What others share with the account.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn shares(&self) -> Result<Shares, RequestError> {
        self.get("/api/v1/shares").await
    }

    /// A collection that somebody shares, with the grant of its key.
    pub(crate) async fn shared_collection(
        &self,
        home: TenantId,
        collection: CollectionId,
    ) -> Result<SharedCollection, RequestError> {
        self.get(&format!("/api/v1/shares/{home}/collections/{collection}")).await
    }
}
