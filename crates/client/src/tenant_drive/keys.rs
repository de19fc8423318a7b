// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The key of an end-to-end collection: opened, granted, and replaced.

use keyring::{CollectionKeys, Grant, GrantPlace, IdentityPublicKeys, SystemRng};
use protocol::tenants::collections::{EndToEnd, GrantedKey, KeyGrant, KeyHolder, NextTenantKey, PutKeyGrant};
use protocol::{AccountId, Code, CollectionId};

use super::{OpenTenantCollection, TRIES, TenantDrive, TenantDriveError};
use crate::files::collection;
use crate::place;
use crate::sharing::{KnownAccount, SharingError, identity_keys};

impl TenantDrive {
    /// Grants the collection's key to an account, whose keys were proved. The server takes it only where its roles entitle it.
    ///
    /// # Errors
    /// [`TenantDriveError`].
    pub async fn admit(
        &self,
        open: &mut OpenTenantCollection,
        account: &KnownAccount,
    ) -> Result<(), TenantDriveError> {
        let recipient =
            account.keys_of(account.key_version()).ok_or(SharingError::NotProven("it shows no keys"))?;
        for _ in 0..TRIES {
            let keys = open.held()?;
            let grant = self.grant(open.shown.id, keys, account.account, recipient, account.key_version());
            let put = PutKeyGrant { generation: keys.generation(), grant };
            match self.client().put_collection_grant(self.tenant, open.shown.id, &put).await {
                Err(error) if error.is(Code::KeyOutdated) => self.reload(open).await?,
                done => return Ok(done?),
            }
        }
        Err(TenantDriveError::Busy)
    }

    /// Gives the collection its next key. Who holds the one until now and is entitled still gets it, if a holder let them in:
    /// a server that puts somebody among the holders is found out.
    ///
    /// # Errors
    /// [`TenantDriveError`]; of these [`TenantDriveError::NotLetIn`] says that the server is not to be trusted.
    pub async fn next_key(&self, open: &mut OpenTenantCollection) -> Result<(), TenantDriveError> {
        for _ in 0..TRIES {
            let former = open.held()?;
            let at = place::former_keys(self.tenant, open.shown.id);
            let (keys, sealed) = former.next(&at, open.shown.sequence, &mut SystemRng);
            let mut grants = vec![self.grant_to_oneself(open.shown.id, &keys)];
            let holders = self.client().collection_grants(self.tenant, open.shown.id).await?.holders;
            for holder in holders.iter().filter(|holder| holder.account != self.account.account) {
                self.check_let_in(open, holder)?;
                if !holder.is_entitled {
                    continue;
                }
                let known = self.trust.account_again(holder.account).await?;
                let recipient =
                    known.keys_of(known.key_version()).ok_or(SharingError::NotProven("it shows no keys"))?;
                let version = known.key_version();
                grants.push(self.grant(open.shown.id, &keys, holder.account, recipient, version));
            }
            let name = open.name.clone().unwrap_or_default();
            let sealed_meta = collection::sealed_description(&keys, self.tenant, open.shown.id, &name);
            let next = NextTenantKey {
                from_generation: former.generation(),
                last_change: open.shown.sequence,
                former_key: sealed.sealed.into_bytes().into(),
                sealed_meta: sealed_meta.into(),
                grants,
            };
            match self.client().next_tenant_key(self.tenant, open.shown.id, &next).await {
                Err(error) if error.is(Code::Conflict) => self.reload(open).await?,
                Err(error) => return Err(error.into()),
                Ok(()) => return self.reload(open).await,
            }
        }
        Err(TenantDriveError::Busy)
    }

    /// Whether somebody who holds the key granted it to this holder.
    fn check_let_in(&self, open: &OpenTenantCollection, holder: &KeyHolder) -> Result<(), TenantDriveError> {
        let keys = open.held()?;
        let GrantedKey { sharer, grant, .. } = &holder.granted;
        let at = grant_place(open.shown.id, *sharer, holder.account, keys.generation());
        if keys.newest().is_holders(&at, grant.as_slice(), holder.tag.as_slice()) {
            Ok(())
        } else {
            let number = holder.account_number.clone().unwrap_or_else(|| holder.account.to_string());
            Err(TenantDriveError::NotLetIn(number))
        }
    }

    pub(super) fn grant_to_oneself(&self, collection: CollectionId, keys: &CollectionKeys) -> KeyGrant {
        let (own, version) = (self.account.identity_keys().public(), self.account.master_key_version);
        self.grant(collection, keys, self.account.account, &own, version)
    }

    fn grant(
        &self,
        collection: CollectionId,
        keys: &CollectionKeys,
        account: AccountId,
        recipient: &IdentityPublicKeys,
        key_version: u32,
    ) -> KeyGrant {
        let at = grant_place(collection, self.account.account, account, keys.generation());
        let own = self.account.identity_keys();
        let grant = Grant::issue(keys.newest(), &own, recipient, &at, &mut SystemRng).to_bytes();
        KeyGrant {
            account,
            key_version,
            own_key_version: self.account.master_key_version,
            tag: keys.newest().holder_tag(&at, &grant).into(),
            grant: grant.into(),
        }
    }

    /// The keys of an end-to-end collection, if somebody granted them to this account. They are those that its id speaks of.
    pub(super) async fn open_keys(
        &self,
        id: CollectionId,
        shown: &EndToEnd,
    ) -> Result<Option<CollectionKeys>, TenantDriveError> {
        let Some(granted) = &shown.grant else { return Ok(None) };
        let mut sharer = self.trust.account_of(granted.sharer).await?;
        // It may have made new keys since it was looked up.
        if sharer.keys_of(granted.sharer_key_version).is_none() {
            sharer = self.trust.account_again(granted.sharer).await?;
        }
        let signer = sharer.keys_of(granted.sharer_key_version).ok_or(SharingError::NotGranted)?;
        let own = identity_keys(&self.account, granted.key_version, &sharer.number).await?;
        let at = grant_place(id, granted.sharer, self.account.account, shown.generation);
        let grant = Grant::from_bytes(granted.grant.as_slice()).map_err(|_| SharingError::NotGranted)?;
        let newest = grant.open(&own, signer, &at).map_err(|_| SharingError::NotGranted)?;
        let keys = collection::open_former(newest, shown.generation, self.tenant, id, &shown.former_keys)?;
        if keys.for_names().check().as_slice() != shown.first_key.as_slice() {
            return Err(TenantDriveError::AnotherKey(id));
        }
        Ok(Some(keys))
    }
}

fn grant_place(
    collection: CollectionId,
    sharer: AccountId,
    recipient: AccountId,
    generation: u32,
) -> GrantPlace {
    GrantPlace {
        sharer: place::account(sharer),
        recipient: place::account(recipient),
        collection: place::collection(collection),
        key_version: generation,
    }
}
