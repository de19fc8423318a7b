// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a device believes of accounts and collections: what it proved, and what it saw before.

use std::collections::HashMap;
use std::sync::Arc;

use protocol::service::Service;
use protocol::{AccountId, CollectionId, TenantId};
use tokio::sync::Mutex;

use crate::account_name::AccountName;
use crate::client::Client;
use crate::pins::{CollectionPins, PinStore, Pins, TenantCollectionPins};
use crate::profile::Profile;
use crate::sharing::{KnownAccount, SharingError};
use crate::tenant_drive::TenantDriveError;

/// Looks accounts up, each once, and holds collections against what was seen of them before.
pub struct Trust {
    client: Client,
    memory: Memory,
    state: Mutex<State>,
}

/// Where what was seen is kept.
enum Memory {
    /// Nowhere: the first that is seen is believed, for as long as this lives.
    None,
    Profile(Profile),
    Store(Arc<PinStore>),
}

#[derive(Default)]
struct State {
    /// Where there is no profile.
    pins: Pins,
    service: Option<Service>,
    known: HashMap<AccountId, Arc<KnownAccount>>,
}

impl Trust {
    /// Believes what is seen first, and remembers it for as long as this lives.
    pub fn at_first_sight(client: &Client) -> Self {
        Trust { client: client.clone(), memory: Memory::None, state: Mutex::default() }
    }

    /// Remembers what is seen in a profile.
    pub fn kept_in(profile: &Profile, client: &Client) -> Self {
        let memory = Memory::Profile(profile.clone());
        Trust { client: client.clone(), memory, state: Mutex::default() }
    }

    /// Remembers what is seen where a program keeps its pins itself.
    pub fn kept_by(store: Arc<PinStore>, client: &Client) -> Self {
        Trust { client: client.clone(), memory: Memory::Store(store), state: Mutex::default() }
    }

    /// An account, by its number or its id, with its keys proved.
    ///
    /// # Errors
    /// [`SharingError`].
    pub async fn account(&self, name: &str) -> Result<Arc<KnownAccount>, SharingError> {
        let number = match name.parse::<AccountName>()? {
            AccountName::Number(number) => number,
            AccountName::Id(id) => return self.account_of(id).await,
        };
        let mut state = self.state.lock().await;
        let mut pins = self.pins(&state)?;
        let service = self.service(&mut state, &mut pins).await?;
        let known = KnownAccount::look_up(&self.client, &service, &mut pins, number).await?;
        self.keep(&mut state, pins)?;
        let known = Arc::new(known);
        state.known.insert(known.account, Arc::clone(&known));
        Ok(known)
    }

    /// An account, by its id. Asked for again, it is not looked up again.
    ///
    /// # Errors
    /// [`SharingError`].
    pub async fn account_of(&self, id: AccountId) -> Result<Arc<KnownAccount>, SharingError> {
        let mut state = self.state.lock().await;
        if let Some(known) = state.known.get(&id) {
            return Ok(Arc::clone(known));
        }
        let mut pins = self.pins(&state)?;
        let service = self.service(&mut state, &mut pins).await?;
        let known = Arc::new(KnownAccount::look_up_id(&self.client, &service, &mut pins, id).await?);
        self.keep(&mut state, pins)?;
        state.known.insert(id, Arc::clone(&known));
        Ok(known)
    }

    /// The same, looked up once more.
    pub(crate) async fn account_again(&self, id: AccountId) -> Result<Arc<KnownAccount>, SharingError> {
        self.state.lock().await.known.remove(&id);
        self.account_of(id).await
    }

    /// Holds a collection's key against what was seen of it before: an older one is refused, and so is a share that an older
    /// key of its owner signed.
    ///
    /// # Errors
    /// [`SharingError::KeyRolledBack`].
    pub(crate) async fn see_collection(
        &self,
        collection: CollectionId,
        shown: CollectionPins,
    ) -> Result<(), SharingError> {
        let mut state = self.state.lock().await;
        let mut pins = self.pins(&state)?;
        pins.check_collection(collection, shown)?;
        self.keep(&mut state, pins)
    }

    /// Holds a tenant's collection against what was seen of it before.
    ///
    /// # Errors
    /// [`TenantDriveError::Protection`], [`SharingError::KeyRolledBack`].
    pub(crate) async fn see_tenant_collection(
        &self,
        collection: CollectionId,
        shown: TenantCollectionPins,
    ) -> Result<(), TenantDriveError> {
        let mut state = self.state.lock().await;
        let mut pins = self.pins(&state)?;
        if pins.tenant_collections.get(&collection) == Some(&shown) {
            return Ok(());
        }
        pins.check_tenant_collection(collection, shown)?;
        Ok(self.keep(&mut state, pins)?)
    }

    /// Whether an end-to-end collection of this name was seen in the tenant.
    pub(crate) async fn knows_end_to_end(&self, tenant: TenantId, name: &str) -> Result<bool, SharingError> {
        let state = self.state.lock().await;
        Ok(self.pins(&state)?.knows_end_to_end(tenant, name))
    }

    fn pins(&self, state: &State) -> Result<Pins, SharingError> {
        match &self.memory {
            Memory::None => Ok(state.pins.clone()),
            Memory::Profile(profile) => Ok(profile.pins(self.client.server())?),
            Memory::Store(store) => Ok(store.pins()),
        }
    }

    fn keep(&self, state: &mut State, pins: Pins) -> Result<(), SharingError> {
        match &self.memory {
            Memory::None => state.pins = pins,
            Memory::Profile(profile) => profile.keep_pins(self.client.server(), &pins)?,
            Memory::Store(store) => store.put(pins),
        }
        Ok(())
    }

    async fn service(&self, state: &mut State, pins: &mut Pins) -> Result<Service, SharingError> {
        if let Some(service) = &state.service {
            return Ok(service.clone());
        }
        let service = self.client.service().await?;
        pins.check(&service)?;
        state.service = Some(service.clone());
        Ok(service)
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trust({})", self.client.server())
    }
}
