// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The collections of tenants: what the server says of them, held against their ids; what is in them; and who has their keys.

use client::{OpenTenantCollection, OpenTenantItem, Protection, TenantDrive};
use js_sys::Uint8Array;
use protocol::tenants::collections::MAX_CONTENT;
use protocol::{AccountId, OrganisationId, TenantId};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use zeroize::Zeroizing;

use crate::Core;
use crate::failure::{Answer, Failure};
use crate::page::{from_js, to_js};
use crate::sharing::{Known, fingerprint_of};

/// A collection of a tenant, for the page.
#[derive(Serialize)]
struct Listed {
    id: String,
    /// `None` for who waits for its key.
    name: Option<String>,
    organisation: String,
    protection: Protection,
    created_at: i64,
    waiting: bool,
}

impl Listed {
    fn of(open: OpenTenantCollection) -> Self {
        Listed {
            waiting: open.is_waiting(),
            name: open.name,
            id: open.shown.id.to_string(),
            organisation: open.shown.organisation.to_string(),
            protection: open.shown.protection,
            created_at: open.shown.created_at,
        }
    }
}

/// An item of such a collection, for the page.
#[derive(Serialize)]
struct Item {
    name: String,
    size: usize,
    version: u64,
    changed_at: i64,
    /// Who signed it, in end-to-end collections.
    author: Option<String>,
}

impl Item {
    fn of(open: &OpenTenantItem) -> Self {
        Item {
            name: open.content.name.clone(),
            size: open.content.content.len(),
            version: open.version,
            changed_at: open.changed_at,
            author: open.author.map(|author| author.to_string()),
        }
    }
}

#[wasm_bindgen]
impl Core {
    /// The collections of a tenant that the account may read.
    #[wasm_bindgen(js_name = tenantCollections)]
    pub async fn tenant_collections(&self, tenant: String) -> Answer {
        let listed = self.tenant_drive(&tenant)?.list().await.map_err(Failure::from)?;
        to_js(&listed.into_iter().map(Listed::of).collect::<Vec<_>>())
    }

    /// Makes one, in an organisation or in the tenant as a whole.
    #[wasm_bindgen(js_name = makeTenantCollection)]
    pub async fn make_tenant_collection(
        &self,
        tenant: String,
        name: String,
        protection: JsValue,
        organisation: Option<String>,
    ) -> Answer {
        let protection: Protection = from_js(&protection)?;
        let organisation = match organisation {
            Some(id) => {
                Some(id.parse::<OrganisationId>().map_err(|error| Failure::failed("organisation", error))?)
            }
            None => None,
        };
        let drive = self.tenant_drive(&tenant)?;
        let made = drive.create(&name, protection, organisation).await.map_err(Failure::from)?;
        to_js(&Listed::of(made))
    }

    /// Removes one, with all that is in it.
    #[wasm_bindgen(js_name = removeTenantCollection)]
    pub async fn remove_tenant_collection(&self, tenant: String, collection: String) -> Answer {
        let drive = self.tenant_drive(&tenant)?;
        let open = drive.open(&collection).await.map_err(Failure::from)?;
        drive.delete(&open).await.map_err(Failure::from)?;
        Ok(JsValue::UNDEFINED)
    }

    /// The items of a collection, each opened.
    #[wasm_bindgen(js_name = tenantItems)]
    pub async fn tenant_items(&self, tenant: String, collection: String) -> Answer {
        let drive = self.tenant_drive(&tenant)?;
        let open = drive.open(&collection).await.map_err(Failure::from)?;
        let items = drive.items(&open).await.map_err(Failure::from)?;
        to_js(&items.iter().map(Item::of).collect::<Vec<_>>())
    }

    /// The bytes of an item.
    #[wasm_bindgen(js_name = getTenantItem)]
    pub async fn get_tenant_item(
        &self,
        tenant: String,
        collection: String,
        name: String,
    ) -> Result<Uint8Array, JsValue> {
        let drive = self.tenant_drive(&tenant)?;
        let open = drive.open(&collection).await.map_err(Failure::from)?;
        let found = drive.get(&open, &name).await.map_err(Failure::from)?;
        let found = found.ok_or_else(|| Failure::failed("not_found", "there is no such item any more"))?;
        Ok(Uint8Array::from(found.content.content.as_slice()))
    }

    /// Writes an item, over what is there; its version.
    #[wasm_bindgen(js_name = putTenantItem)]
    pub async fn put_tenant_item(
        &self,
        tenant: String,
        collection: String,
        name: String,
        content: Uint8Array,
    ) -> Answer {
        if content.length() as usize > MAX_CONTENT {
            let why = "an item of a tenant's collection has at most 255 KiB";
            return Err(Failure::typing("too_large", why).into());
        }
        let drive = self.tenant_drive(&tenant)?;
        let mut open = drive.open(&collection).await.map_err(Failure::from)?;
        let content = Zeroizing::new(content.to_vec());
        to_js(&drive.put(&mut open, &name, content).await.map_err(Failure::from)?)
    }

    /// Removes an item.
    #[wasm_bindgen(js_name = removeTenantItem)]
    pub async fn remove_tenant_item(&self, tenant: String, collection: String, name: String) -> Answer {
        let drive = self.tenant_drive(&tenant)?;
        let open = drive.open(&collection).await.map_err(Failure::from)?;
        drive.remove(&open, &name).await.map_err(Failure::from)?;
        Ok(JsValue::UNDEFINED)
    }

    /// Who has the key of an end-to-end collection, and who waits for it.
    #[wasm_bindgen(js_name = tenantCollectionMembers)]
    pub async fn tenant_collection_members(&self, tenant: String, collection: String) -> Answer {
        let (drive, tenant) = (self.tenant_drive(&tenant)?, tenant_of(&tenant)?);
        let open = drive.open(&collection).await.map_err(Failure::from)?;
        let found = self.client.collection_grants(tenant, open.shown.id).await.map_err(Failure::from)?;
        let holders = found.holders.iter().map(|holder| {
            serde_json::json!({
                "account": holder.account,
                "number": holder.account_number,
                "is_entitled": holder.is_entitled,
                "created_at": holder.created_at,
            })
        });
        let waiting = found.waiting.iter().map(
            |waiting| serde_json::json!({ "account": waiting.account, "number": waiting.account_number }),
        );
        to_js(&serde_json::json!({
            "holders": holders.collect::<Vec<_>>(),
            "waiting": waiting.collect::<Vec<_>>(),
        }))
    }

    /// An account by its id, with its keys proved.
    #[wasm_bindgen(js_name = lookUpAccount)]
    pub async fn look_up_account(&self, account: String) -> Answer {
        self.account()?;
        to_js(&Known::of(&*self.trusted().account_of(account_of(&account)?).await.map_err(Failure::from)?))
    }

    /// Grants the key of an end-to-end collection to an account whose fingerprint a person saw.
    #[wasm_bindgen(js_name = admitToTenantCollection)]
    pub async fn admit_to_tenant_collection(
        &self,
        tenant: String,
        collection: String,
        account: String,
        fingerprint: String,
    ) -> Answer {
        let drive = self.tenant_drive(&tenant)?;
        let known = self.trusted().account_of(account_of(&account)?).await.map_err(Failure::from)?;
        if fingerprint_of(&known) != fingerprint {
            let why = "the server shows other keys for this account than a moment ago";
            return Err(Failure::alarm(why).into());
        }
        let mut open = drive.open(&collection).await.map_err(Failure::from)?;
        drive.admit(&mut open, &known).await.map_err(Failure::from)?;
        Ok(JsValue::UNDEFINED)
    }

    /// Gives an end-to-end collection its next key now, without waiting for the next write.
    #[wasm_bindgen(js_name = rekeyTenantCollection)]
    pub async fn rekey_tenant_collection(&self, tenant: String, collection: String) -> Answer {
        let drive = self.tenant_drive(&tenant)?;
        let mut open = drive.open(&collection).await.map_err(Failure::from)?;
        drive.next_key(&mut open).await.map_err(Failure::from)?;
        Ok(JsValue::UNDEFINED)
    }
}

impl Core {
    fn tenant_drive(&self, tenant: &str) -> Result<TenantDrive, Failure> {
        Ok(TenantDrive::new(&*self.account()?, tenant_of(tenant)?, self.trusted()))
    }
}

fn tenant_of(tenant: &str) -> Result<TenantId, Failure> {
    tenant.parse().map_err(|error| Failure::failed("tenant", error))
}

fn account_of(account: &str) -> Result<AccountId, Failure> {
    account.parse().map_err(|error| Failure::failed("account", error))
}
