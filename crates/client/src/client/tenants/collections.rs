// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collections of a tenant, as the server says they are: unproven. See [`crate::TenantDrive`].

use protocol::objects::ItemVersion;
use protocol::tenants::collections::{
    KeyHolders, NewTenantCollection, NextTenantKey, PutKeyGrant, PutTenantItem, TenantChanges,
    TenantCollection, TenantCollections, TenantItem,
};
use protocol::{Code, CollectionId, ItemId, TenantId};
use reqwest::Method;

use crate::client::objects::{Expected, expecting};
use crate::client::{Call, Client, RequestError};

impl Client {
    /// Every collection of the tenant that one may read.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn tenant_collections(&self, tenant: TenantId) -> Result<Vec<TenantCollection>, RequestError> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/v1/tenants/{tenant}/collections?limit=200{after}");
            let page: TenantCollections = self.get(&path).await?;
            all.extend(page.collections);
            match page.next {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(all),
            }
        }
    }

    /// Makes a collection.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn create_tenant_collection(
        &self,
        tenant: TenantId,
        new: &NewTenantCollection,
    ) -> Result<TenantCollection, RequestError> {
        self.post(&format!("/api/v1/tenants/{tenant}/collections"), new).await
    }

    /// A collection.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn tenant_collection(
        &self,
        tenant: TenantId,
        collection: CollectionId,
    ) -> Result<TenantCollection, RequestError> {
        self.get(&path(tenant, collection)).await
    }

    /// Deletes a collection with all that is in it.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn delete_tenant_collection(
        &self,
        tenant: TenantId,
        collection: CollectionId,
    ) -> Result<(), RequestError> {
        self.done(Call::new(Method::DELETE, &path(tenant, collection))).await
    }

    /// What changed in a collection after a sequence, in a list that began at 0: one page of it.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn tenant_changes(
        &self,
        tenant: TenantId,
        collection: CollectionId,
        after: u64,
    ) -> Result<TenantChanges, RequestError> {
        self.get(&format!("{}/changes?after={after}&anew=true", path(tenant, collection))).await
    }

    /// An item; `None` when there is none.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn tenant_item(
        &self,
        tenant: TenantId,
        collection: CollectionId,
        item: ItemId,
    ) -> Result<Option<TenantItem>, RequestError> {
        match self.get(&format!("{}/items/{item}", path(tenant, collection))).await {
            Ok(item) => Ok(Some(item)),
            Err(error) if error.is(Code::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Stores a version of an item.
    ///
    /// # Errors
    /// [`RequestError`], with the current version in it when that is not the expected one.
    pub async fn put_tenant_item(
        &self,
        tenant: TenantId,
        collection: CollectionId,
        item: ItemId,
        expected: Expected,
        put: &PutTenantItem,
    ) -> Result<ItemVersion, RequestError> {
        let path = format!("{}/items/{item}", path(tenant, collection));
        self.fetch(expecting(Call::new(Method::PUT, &path).json(put)?, expected)).await
    }

    /// Removes an item.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn delete_tenant_item(
        &self,
        tenant: TenantId,
        collection: CollectionId,
        item: ItemId,
        version: u64,
    ) -> Result<(), RequestError> {
        let path = format!("{}/items/{item}", path(tenant, collection));
        self.done(expecting(Call::new(Method::DELETE, &path), Expected::Version(version))).await
    }

    /// Who has a collection's key, and who waits for it.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn collection_grants(
        &self,
        tenant: TenantId,
        collection: CollectionId,
    ) -> Result<KeyHolders, RequestError> {
        self.get(&format!("{}/grants", path(tenant, collection))).await
    }

    /// Grants a collection's key to a member.
    ///
    /// # Errors
    /// [`RequestError`].
    pub(crate) async fn put_collection_grant(
        &self,
        tenant: TenantId,
        collection: CollectionId,
        put: &PutKeyGrant,
    ) -> Result<(), RequestError> {
        let path = format!("{}/grants/{}", path(tenant, collection), put.grant.account);
        self.done(Call::new(Method::PUT, &path).json(put)?).await
    }

    /// Gives a collection its next key.
    ///
    /// # Errors
    /// [`RequestError`].
    pub(crate) async fn next_tenant_key(
        &self,
        tenant: TenantId,
        collection: CollectionId,
        next: &NextTenantKey,
    ) -> Result<(), RequestError> {
        let path = format!("{}/next-key", path(tenant, collection));
        self.done(Call::new(Method::POST, &path).json(next)?).await
    }
}

fn path(tenant: TenantId, collection: CollectionId) -> String {
    format!("/api/v1/tenants/{tenant}/collections/{collection}")
}
