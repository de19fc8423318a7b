// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An account whose data are open, by whatever opened them.

use keyring::MasterKey;
use protocol::{AccountId, TenantId};

use super::Client;
use super::signin::Unlocked;

/// An account with its master key: what it takes to work on what it keeps. A session gives it ([`Unlocked`]), and so does an
/// API key that unlocks ([`open_by_api_key`](super::api_keys::open_by_api_key)).
#[derive(Clone)]
pub struct Opened {
    pub(crate) client: Client,
    pub(crate) account: AccountId,
    pub(crate) home: TenantId,
    pub(crate) master: MasterKey,
}

impl From<&Unlocked> for Opened {
    fn from(account: &Unlocked) -> Self {
        Opened {
            client: account.client.clone(),
            account: account.account,
            home: account.home,
            master: account.master.clone(),
        }
    }
}

impl From<&Opened> for Opened {
    fn from(account: &Opened) -> Self {
        account.clone()
    }
}
