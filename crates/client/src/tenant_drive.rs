// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collections of a tenant: what the server says of them, held against their ids, and what is in them.
//!
//! A collection's id is made of its protection ([`keyring::tenant_collection`]): one that is shown with another than it was made
//! with is refused before anything is read from it or written to it. To an end-to-end collection nothing is ever sent but
//! what is sealed under a key that opens all keys before it, down to the first, of which the id speaks too.

mod error;
mod keys;

use std::sync::Arc;

use keyring::{AuthorshipPlace, CollectionKey, CollectionKeys, Founding, ItemContent, Sealed, SystemRng};
use protocol::objects::Author;
use protocol::tenants::collections::{
    NewEndToEnd, NewTenantCollection, Protection, PutTenantItem, TenantCollection, TenantItem,
};
use protocol::{AccountId, Code, CollectionId, ItemId, OrganisationId, TenantId};
use zeroize::Zeroizing;

use crate::client::objects::Expected;
use crate::client::opened::Opened;
use crate::client::{Client, RequestError};
use crate::files::collection;
use crate::pins::TenantCollectionPins;
use crate::place;
use crate::trust::Trust;

pub use error::TenantDriveError;

/// The collections of one tenant, as an account works on them.
pub struct TenantDrive {
    account: Opened,
    tenant: TenantId,
    trust: Arc<Trust>,
}

/// A collection whose protection was held against its id.
#[derive(Debug)]
pub struct OpenTenantCollection {
    /// As the server shows it.
    pub shown: TenantCollection,
    /// Its name; `None` for who waits for its key.
    pub name: Option<String>,
    keys: Keys,
}

/// What opens and names the items of a collection.
#[derive(Debug)]
enum Keys {
    /// The server opens them; this makes ids of names.
    Server(CollectionKey),
    /// The account holds the key.
    Held(Box<CollectionKeys>),
    /// The account waits for it.
    Waiting,
}

/// An item, opened.
#[derive(Clone, Debug)]
pub struct OpenTenantItem {
    /// Its id.
    pub id: ItemId,
    /// Its version.
    pub version: u64,
    /// What it says.
    pub content: ItemContent,
    /// When it was changed, in Unix milliseconds.
    pub changed_at: i64,
    /// Who wrote it, by a signature that was checked: in end-to-end collections.
    pub author: Option<AccountId>,
}

impl TenantDrive {
    /// Works on a tenant's collections as this account.
    pub fn new(account: impl Into<Opened>, tenant: TenantId, trust: Arc<Trust>) -> Self {
        TenantDrive { account: account.into(), tenant, trust }
    }

    fn client(&self) -> &Client {
        &self.account.client
    }

    /// Every collection that one may read.
    ///
    /// # Errors
    /// [`TenantDriveError`]; of these [`TenantDriveError::Protection`] says that the server is not to be trusted.
    pub async fn list(&self) -> Result<Vec<OpenTenantCollection>, TenantDriveError> {
        let mut all = Vec::new();
        for shown in self.client().tenant_collections(self.tenant).await? {
            all.push(self.take(shown).await?);
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    /// A collection, by its id or its name.
    ///
    /// # Errors
    /// [`TenantDriveError`]; of these [`TenantDriveError::Lowered`] for a server-sealed one in place of an end-to-end one that was
    /// known by this name.
    pub async fn open(&self, text: &str) -> Result<OpenTenantCollection, TenantDriveError> {
        if let Ok(id) = text.parse() {
            return self.open_id(id).await;
        }
        let all = self.list().await?;
        let mut named = all.into_iter().filter(|one| one.name.as_deref() == Some(text));
        let found = named.next().ok_or_else(|| TenantDriveError::NoCollection(text.to_owned()))?;
        if named.next().is_some() {
            return Err(TenantDriveError::Ambiguous(text.to_owned()));
        }
        if found.shown.protection == Protection::ServerSealed
            && self.trust.knows_end_to_end(self.tenant, text).await?
        {
            return Err(TenantDriveError::Lowered(text.to_owned()));
        }
        Ok(found)
    }

    async fn open_id(&self, id: CollectionId) -> Result<OpenTenantCollection, TenantDriveError> {
        let shown = self.client().tenant_collection(self.tenant, id).await?;
        if shown.id != id {
            return Err(TenantDriveError::Protection(id));
        }
        self.take(shown).await
    }

    /// Makes a collection in an organisation, or in the tenant as a whole.
    ///
    /// # Errors
    /// [`TenantDriveError`].
    pub async fn create(
        &self,
        name: &str,
        protection: Protection,
        organisation: Option<OrganisationId>,
    ) -> Result<OpenTenantCollection, TenantDriveError> {
        let mut new = NewTenantCollection { protection, organisation, name: None, end_to_end: None };
        match protection {
            Protection::ServerSealed => new.name = Some(name.to_owned()),
            Protection::EndToEnd => new.end_to_end = Some(self.new_end_to_end(name)),
        }
        let asked_for = new.end_to_end.as_ref().map(|new| new.id);
        let made = self.client().create_tenant_collection(self.tenant, &new).await?;
        if made.protection != protection || asked_for.is_some_and(|id| id != made.id) {
            return Err(TenantDriveError::Protection(made.id));
        }
        self.take(made).await
    }

    fn new_end_to_end(&self, name: &str) -> NewEndToEnd {
        let keys = CollectionKeys::first(CollectionKey::generate(&mut SystemRng));
        let (salt, first_key) = (uuid::Uuid::new_v4().into_bytes(), keys.newest().check());
        let founding = Founding {
            tenant: place::tenant(self.tenant),
            protection: keyring::Protection::EndToEnd,
            created_by: &self.account.account.to_string(),
            salt,
            first_key: Some(first_key),
        };
        let id = CollectionId::from_bytes(founding.id().into());
        NewEndToEnd {
            id,
            salt: salt.into(),
            first_key: first_key.into(),
            sealed_meta: collection::sealed_description(&keys, self.tenant, id, name).into(),
            grant: self.grant_to_oneself(id, &keys),
        }
    }

    /// Deletes a collection with all that is in it.
    ///
    /// # Errors
    /// [`TenantDriveError`].
    pub async fn delete(&self, open: &OpenTenantCollection) -> Result<(), TenantDriveError> {
        Ok(self.client().delete_tenant_collection(self.tenant, open.shown.id).await?)
    }

    /// Every item of a collection, by name.
    ///
    /// # Errors
    /// [`TenantDriveError`]; one that does not open is one too.
    pub async fn items(&self, open: &OpenTenantCollection) -> Result<Vec<OpenTenantItem>, TenantDriveError> {
        let (mut items, mut after) = (Vec::new(), 0);
        loop {
            let page = self.client().tenant_changes(self.tenant, open.shown.id, after).await?;
            for item in page.items.into_iter().filter(|item| !item.deleted) {
                items.push(self.open_item(open, item).await?);
            }
            if !page.more {
                items.sort_by(|one, other| one.content.name.cmp(&other.content.name));
                return Ok(items);
            }
            after = page.next;
        }
    }

    /// The item of this name; `None` when there is none.
    ///
    /// # Errors
    /// [`TenantDriveError`].
    pub async fn get(
        &self,
        open: &OpenTenantCollection,
        name: &str,
    ) -> Result<Option<OpenTenantItem>, TenantDriveError> {
        let id = open.item_id(name)?;
        match self.client().tenant_item(self.tenant, open.shown.id, id).await? {
            Some(item) if item.id == id => Ok(Some(self.open_item(open, item).await?)),
            Some(_) => Err(TenantDriveError::Damaged(id)),
            None => Ok(None),
        }
    }

    /// Writes an item by its name, over what is there. If somebody who had the collection's key may not have it any more, it gets
    /// its next key first. The version that was written.
    ///
    /// # Errors
    /// [`TenantDriveError`].
    pub async fn put(
        &self,
        open: &mut OpenTenantCollection,
        name: &str,
        content: Zeroizing<Vec<u8>>,
    ) -> Result<u64, TenantDriveError> {
        let content = ItemContent { name: name.to_owned(), content };
        let id = open.item_id(name)?;
        let found = self.client().tenant_item(self.tenant, open.shown.id, id).await?;
        let mut expected = found.map_or(Expected::Absent, |item| Expected::Version(item.version));
        let mut version = next_version(expected);
        for _ in 0..TRIES {
            let put = self.sealed(open, id, version, &content)?;
            let put = self.client().put_tenant_item(self.tenant, open.shown.id, id, expected, &put).await;
            let error = match put {
                Ok(written) => return Ok(written.version),
                Err(error) => error,
            };
            match error.code() {
                Some(Code::RekeyDue) => self.next_key(open).await?,
                Some(Code::KeyOutdated) => self.reload(open).await?,
                Some(Code::Conflict) => {
                    let current = current_of(&error).ok_or(error)?;
                    (expected, version) = (current, next_version(current));
                }
                _ => return Err(error.into()),
            }
        }
        Err(TenantDriveError::Busy)
    }

    /// What is sent to the server: to an end-to-end collection nothing in the clear.
    fn sealed(
        &self,
        open: &OpenTenantCollection,
        id: ItemId,
        version: u64,
        content: &ItemContent,
    ) -> Result<PutTenantItem, TenantDriveError> {
        match &open.keys {
            Keys::Server(_) => Ok(PutTenantItem {
                name: Some(content.name.clone()),
                content: Some(content.content.as_slice().into()),
                ..PutTenantItem::default()
            }),
            Keys::Held(keys) => {
                let item = place::item(id);
                let bytes = content.to_bytes()?;
                let at = place::content(self.tenant, open.shown.id, version);
                let sealed = keys.newest().item_key(&item).seal(&bytes, &at, &mut SystemRng).into_bytes();
                let signature =
                    self.account.signed(self.tenant, open.shown.id, item, version, sealed.as_slice());
                Ok(PutTenantItem {
                    sealed: Some(sealed.into()),
                    generation: Some(keys.generation()),
                    signature: Some(signature),
                    ..PutTenantItem::default()
                })
            }
            Keys::Waiting => Err(TenantDriveError::Waiting),
        }
    }

    /// Removes the item of this name.
    ///
    /// # Errors
    /// [`TenantDriveError`]; [`TenantDriveError::NoItem`] when there is none.
    pub async fn remove(&self, open: &OpenTenantCollection, name: &str) -> Result<(), TenantDriveError> {
        let id = open.item_id(name)?;
        let found = self.client().tenant_item(self.tenant, open.shown.id, id).await?;
        let found = found.ok_or_else(|| TenantDriveError::NoItem(name.to_owned()))?;
        Ok(self.client().delete_tenant_item(self.tenant, open.shown.id, id, found.version).await?)
    }

    async fn reload(&self, open: &mut OpenTenantCollection) -> Result<(), TenantDriveError> {
        *open = self.open_id(open.shown.id).await?;
        Ok(())
    }

    /// Holds what the server shows of a collection against its id and against what was seen before, and opens it.
    async fn take(&self, shown: TenantCollection) -> Result<OpenTenantCollection, TenantDriveError> {
        check_founding(self.tenant, &shown)?;
        let (keys, name, generation) = match (&shown.server_sealed, &shown.end_to_end) {
            (Some(sealed), None) => {
                let names = sealed.names.to_array().ok_or(TenantDriveError::Protection(shown.id))?;
                (Keys::Server(CollectionKey::from_bytes(names)), Some(sealed.name.clone()), 1)
            }
            (None, Some(end_to_end)) => match self.open_keys(shown.id, end_to_end).await? {
                Some(keys) => {
                    let meta = end_to_end.sealed_meta.as_slice();
                    let name = collection::description(&keys, self.tenant, shown.id, meta)?.name;
                    (Keys::Held(Box::new(keys)), Some(name), end_to_end.generation)
                }
                None => (Keys::Waiting, None, end_to_end.generation),
            },
            _ => return Err(TenantDriveError::Protection(shown.id)),
        };
        let pins = TenantCollectionPins::new(self.tenant, shown.protection, generation, name.as_deref());
        self.trust.see_tenant_collection(shown.id, pins).await?;
        Ok(OpenTenantCollection { shown, name, keys })
    }

    async fn open_item(
        &self,
        open: &OpenTenantCollection,
        item: TenantItem,
    ) -> Result<OpenTenantItem, TenantDriveError> {
        let damaged = TenantDriveError::Damaged(item.id);
        let TenantItem { id, version, changed_at, .. } = item;
        let (content, author) = match (&open.keys, item.name, item.content, item.sealed) {
            (Keys::Server(_), Some(name), Some(content), None) => {
                (ItemContent { name, content: content.into_vec().into() }, None)
            }
            (Keys::Held(keys), None, None, Some(sealed)) => {
                let author = item.author.as_ref().ok_or(TenantDriveError::NotSigned(id))?;
                self.check_author(open.shown.id, id, version, sealed.as_slice(), author).await?;
                let at = place::content(self.tenant, open.shown.id, version);
                let sealed = Sealed::parse(sealed.into_vec())?;
                let bytes = keys.at(item.sequence).item_key(&place::item(id)).open(&sealed, &at)?;
                (ItemContent::from_bytes(&bytes)?, Some(author.account))
            }
            (Keys::Waiting, ..) => return Err(TenantDriveError::Waiting),
            _ => return Err(damaged),
        };
        Ok(OpenTenantItem { id, version, content, changed_at, author })
    }

    async fn check_author(
        &self,
        collection: CollectionId,
        item: ItemId,
        version: u64,
        sealed: &[u8],
        author: &Author,
    ) -> Result<(), TenantDriveError> {
        let mut known = self.trust.account_of(author.account).await?;
        if known.keys_of(author.key_version).is_none() {
            known = self.trust.account_again(author.account).await?;
        }
        let at = AuthorshipPlace {
            author: place::account(author.account),
            item: place::item(item),
            content: place::content(self.tenant, collection, version),
        };
        let signature = keyring::Authorship::from_bytes(author.signature.as_slice());
        let is_of = match (signature, known.keys_of(author.key_version)) {
            (Ok(signature), Some(keys)) => signature.is_of(keys, sealed, &at),
            _ => false,
        };
        if is_of { Ok(()) } else { Err(TenantDriveError::NotSigned(item)) }
    }
}

impl OpenTenantCollection {
    /// Whether the account waits for the collection's key.
    pub fn is_waiting(&self) -> bool {
        matches!(self.keys, Keys::Waiting)
    }

    fn item_id(&self, name: &str) -> Result<ItemId, TenantDriveError> {
        match &self.keys {
            Keys::Server(names) => Ok(place::item_id(names.item_id_for_name(name))),
            Keys::Held(keys) => Ok(place::item_id(keys.for_names().item_id_for_name(name))),
            Keys::Waiting => Err(TenantDriveError::Waiting),
        }
    }

    fn held(&self) -> Result<&CollectionKeys, TenantDriveError> {
        match &self.keys {
            Keys::Held(keys) => Ok(keys),
            Keys::Waiting => Err(TenantDriveError::Waiting),
            Keys::Server(_) => Err(TenantDriveError::NotEndToEnd),
        }
    }
}

/// Whether a collection is what its id says.
fn check_founding(tenant: TenantId, shown: &TenantCollection) -> Result<(), TenantDriveError> {
    let changed = TenantDriveError::Protection(shown.id);
    let (protection, first_key) = match (shown.protection, &shown.server_sealed, &shown.end_to_end) {
        (Protection::ServerSealed, Some(_), None) => (keyring::Protection::ServerSealed, None),
        (Protection::EndToEnd, None, Some(shown)) => {
            (keyring::Protection::EndToEnd, Some(shown.first_key.to_array()))
        }
        _ => return Err(changed),
    };
    let (Some(salt), Some(first_key)) =
        (shown.salt.to_array(), first_key.map_or(Some(None), |key| key.map(Some)))
    else {
        return Err(changed);
    };
    let created_by = &shown.created_by;
    let founding = Founding { tenant: place::tenant(tenant), protection, created_by, salt, first_key };
    if founding.id() == place::collection(shown.id) { Ok(()) } else { Err(changed) }
}

/// What a refusal says that there is. Where a removed item was, its versions go on.
fn current_of(refused: &RequestError) -> Option<Expected> {
    match refused {
        RequestError::Refused(problem) => {
            problem.current.as_ref().map(|current| Expected::Version(current.version))
        }
        _ => None,
    }
}

fn next_version(expected: Expected) -> u64 {
    match expected {
        Expected::Absent => 1,
        Expected::Version(version) => version.saturating_add(1),
    }
}

impl std::fmt::Debug for TenantDrive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TenantDrive({})", self.tenant)
    }
}

const TRIES: usize = 10;

#[cfg(test)]
mod tests {
    use protocol::tenants::collections::{EndToEnd, ServerSealed};

    use super::*;

    /// A collection that a server shows, and what it was made as.
    fn shown(protection: Protection) -> (TenantId, TenantCollection) {
        let (tenant, first_key) = (TenantId::from_bytes([7; 16]), [3; 32]);
        let is_end_to_end = protection == Protection::EndToEnd;
        let founding = Founding {
            tenant: place::tenant(tenant),
            protection: if is_end_to_end {
                keyring::Protection::EndToEnd
            } else {
                keyring::Protection::ServerSealed
            },
            created_by: "acc_1",
            salt: [1; 16],
            first_key: is_end_to_end.then_some(first_key),
        };
        let server_sealed = ServerSealed { name: "Papers".to_owned(), names: [2; 32].into() };
        let end_to_end = EndToEnd {
            first_key: first_key.into(),
            generation: 1,
            former_keys: Vec::new(),
            sealed_meta: Vec::new().into(),
            grant: None,
        };
        let collection = TenantCollection {
            id: CollectionId::from_bytes(founding.id().into()),
            protection,
            organisation: OrganisationId::from_bytes([7; 16]),
            created_by: "acc_1".to_owned(),
            salt: [1; 16].into(),
            created_at: 0,
            sequence: 0,
            server_sealed: (!is_end_to_end).then_some(server_sealed),
            end_to_end: is_end_to_end.then_some(end_to_end),
        };
        (tenant, collection)
    }

    #[test]
    fn a_collection_is_what_its_id_says() {
        for protection in [Protection::EndToEnd, Protection::ServerSealed] {
            let (tenant, collection) = shown(protection);
            assert!(check_founding(tenant, &collection).is_ok());
        }
    }

    #[test]
    fn a_server_that_shows_another_protection_or_another_beginning_is_found_out() {
        let (tenant, sealed) = shown(Protection::EndToEnd);
        let (_, open) = shown(Protection::ServerSealed);
        let lies = [
            // The protection alone, and with all that goes with it.
            TenantCollection { protection: Protection::ServerSealed, ..sealed.clone() },
            TenantCollection { id: sealed.id, ..open.clone() },
            TenantCollection { id: open.id, ..sealed.clone() },
            TenantCollection { server_sealed: open.server_sealed.clone(), ..sealed.clone() },
            TenantCollection { end_to_end: None, ..sealed.clone() },
            TenantCollection { created_by: "acc_2".to_owned(), ..sealed.clone() },
            TenantCollection { salt: [2; 16].into(), ..sealed.clone() },
            TenantCollection { salt: Vec::new().into(), ..sealed.clone() },
            TenantCollection {
                end_to_end: sealed
                    .end_to_end
                    .clone()
                    .map(|shown| EndToEnd { first_key: [4; 32].into(), ..shown }),
                ..sealed.clone()
            },
        ];
        for lie in lies {
            let told = check_founding(tenant, &lie);
            assert!(matches!(told, Err(TenantDriveError::Protection(_))), "{lie:?}");
        }
        let elsewhere = check_founding(TenantId::from_bytes([8; 16]), &sealed);
        assert!(matches!(elsewhere, Err(TenantDriveError::Protection(_))));
    }
}
