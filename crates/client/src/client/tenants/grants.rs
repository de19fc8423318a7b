// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who holds which role where.

use protocol::TenantId;
use protocol::tenants::grants::{HolderId, PlaceId, RoleGrants};
use reqwest::Method;

use crate::client::{Call, Client, RequestError};

impl Client {
    /// A page of the roles that are held: of one holder, at one place, or all.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn grants(
        &self,
        tenant: TenantId,
        of: Option<HolderId>,
        at: Option<PlaceId>,
        after: Option<&str>,
    ) -> Result<RoleGrants, RequestError> {
        let of = of.map_or_else(String::new, |holder| format!("&holder={holder}"));
        let at = at.map_or_else(String::new, |place| format!("&place={place}"));
        let after = after.map_or_else(String::new, |after| format!("&after={after}"));
        self.get(&format!("/api/v1/tenants/{tenant}/grants?limit=200{of}{at}{after}")).await
    }

    /// Gives a role.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn put_grant(
        &self,
        tenant: TenantId,
        holder: HolderId,
        role: &str,
        place: PlaceId,
    ) -> Result<(), RequestError> {
        self.done(Call::new(Method::PUT, &format!("/api/v1/tenants/{tenant}/grants/{holder}/{role}/{place}")))
            .await
    }

    /// Takes a role away.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn delete_grant(
        &self,
        tenant: TenantId,
        holder: HolderId,
        role: &str,
        place: PlaceId,
    ) -> Result<(), RequestError> {
        self.done(Call::new(
            Method::DELETE,
            &format!("/api/v1/tenants/{tenant}/grants/{holder}/{role}/{place}"),
        ))
        .await
    }
}
