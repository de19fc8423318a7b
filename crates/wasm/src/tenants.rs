// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The collections of tenants: what the server says of them, held against their ids.

use client::{OpenTenantCollection, Protection, TenantDrive};
use protocol::{OrganisationId, TenantId};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::Core;
use crate::failure::{Answer, Failure};
use crate::page::{from_js, to_js};

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
}

impl Core {
    fn tenant_drive(&self, tenant: &str) -> Result<TenantDrive, Failure> {
        let tenant = tenant.parse::<TenantId>().map_err(|error| Failure::failed("tenant", error))?;
        Ok(TenantDrive::new(&*self.account()?, tenant, self.trusted()))
    }
}
