// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Accounts as the platform's administrators see them: whether they are suspended, and nothing of what is in their homes.

use serde::{Deserialize, Serialize};

use crate::AccountId;

/// `GET /api/v1/platform/accounts/{account}`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AccountStanding {
    /// The account.
    pub account: AccountId,
    /// `live` or `suspended`.
    pub state: String,
    /// Since when it is suspended, in milliseconds since the Unix epoch; absent when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended_since: Option<i64>,
    /// Why it is suspended; absent when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `PUT /api/v1/platform/accounts/{account}/suspension`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AccountSuspension {
    /// Why: 1 to 200 characters. The owner reads it in the account's history, once the suspension is over.
    pub reason: String,
}
