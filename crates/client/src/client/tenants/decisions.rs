// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Decisions explained.

use protocol::tenants::decisions::{DecisionActions, DecisionExplained, DecisionHolder, DecisionHolders};
use protocol::tenants::grants::{HolderId, PlaceId};
use protocol::{AccountId, TenantId};

use crate::client::{Client, RequestError};

impl Client {
    /// Why `who` (oneself, if `None`) may or may not do `action`, such as `device.read`, in a place or to a device.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn why(
        &self,
        tenant: TenantId,
        who: Option<HolderId>,
        action: &str,
        on: PlaceId,
    ) -> Result<DecisionExplained, RequestError> {
        let (action, who) = (plain(action)?, of(who));
        self.get(&format!("/api/v1/tenants/{tenant}/decisions/{action}/{on}{who}")).await
    }

    /// Everybody who may do `action` in a place or to a device.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn who_can(
        &self,
        tenant: TenantId,
        action: &str,
        on: PlaceId,
    ) -> Result<Vec<DecisionHolder>, RequestError> {
        let action = plain(action)?;
        let (mut all, mut after): (Vec<_>, Option<AccountId>) = (Vec::new(), None);
        loop {
            let from = after.map_or_else(String::new, |after| format!("?after={after}"));
            let page: DecisionHolders =
                self.get(&format!("/api/v1/tenants/{tenant}/decisions/{action}/{on}/holders{from}")).await?;
            all.extend(page.holders);
            after = page.next;
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    /// What `who` (oneself, if `None`) may, and where.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn what_can(
        &self,
        tenant: TenantId,
        who: Option<HolderId>,
    ) -> Result<DecisionActions, RequestError> {
        self.get(&format!("/api/v1/tenants/{tenant}/decisions{}", of(who))).await
    }
}

fn of(who: Option<HolderId>) -> String {
    who.map_or_else(String::new, |who| format!("?who={who}"))
}

/// The name of an action, which stands in a path as it is.
fn plain(action: &str) -> Result<&str, RequestError> {
    let is_plain = |c: char| c.is_ascii_lowercase() || matches!(c, '.' | '_');
    if !action.is_empty() && action.chars().all(is_plain) {
        return Ok(action);
    }
    Err(RequestError::Malformed {
        what: "the name of an action",
        error: "it is one such as device.read".to_owned(),
    })
}
