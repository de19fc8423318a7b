// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sharing, and the directory of public keys, as the server has them: unproven.

use protocol::sharing::{AccountKeys, Members, PutMember, SharedCollection, Shares};
use protocol::{AccountId, CollectionId, TenantId};
use reqwest::Method;

use super::{Call, Client, RequestError};

impl Client {
    /// What the key directory says of an account. To be proved before it is believed: [`crate::KnownAccount::look_up`].
    pub(crate) async fn account_keys(&self, number: &str) -> Result<AccountKeys, RequestError> {
        self.get(&format!("/api/v1/accounts/{number}/keys")).await
    }

    /// Lets an account read a collection.
    pub(crate) async fn put_member(
        &self,
        collection: CollectionId,
        account: AccountId,
        put: &PutMember,
    ) -> Result<(), RequestError> {
        let path = format!("/api/v1/collections/{collection}/members/{account}");
        self.done(Call::new(Method::PUT, &path).json(put)?).await
    }

    /// Takes a collection away from an account.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn delete_member(
        &self,
        collection: CollectionId,
        account: AccountId,
    ) -> Result<(), RequestError> {
        let path = format!("/api/v1/collections/{collection}/members/{account}");
        self.done(Call::new(Method::DELETE, &path)).await
    }

    /// Who reads a collection beside its owner.
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
