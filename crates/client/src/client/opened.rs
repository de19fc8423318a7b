// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An account whose data are open, by whatever opened them.

use keyring::AccountKey;
use protocol::{AccountId, TenantId};

use super::Client;
use super::pairing::PublicAccount;
use super::signin::Unlocked;

/// An account with the key that its content stands on: what it takes to work on what it keeps, and not what it takes to change
/// how one gets in. A session gives it ([`Unlocked`]), an API key that unlocks
/// ([`open_by_api_key`](super::api_keys::open_by_api_key)), and a public computer ([`PublicAccount`]).
#[derive(Clone)]
pub struct Opened {
    pub(crate) client: Client,
    pub(crate) account: AccountId,
    pub(crate) home: TenantId,
    pub(crate) key: AccountKey,
}

impl From<&Unlocked> for Opened {
    fn from(account: &Unlocked) -> Self {
        Opened {
            client: account.client.clone(),
            account: account.account,
            home: account.home,
            key: account.master.account_key(),
        }
    }
}

impl From<&PublicAccount> for Opened {
    fn from(account: &PublicAccount) -> Self {
        Opened {
            client: account.client.clone(),
            account: account.account,
            home: account.home,
            key: account.key.clone(),
        }
    }
}

impl From<&Opened> for Opened {
    fn from(account: &Opened) -> Self {
        account.clone()
    }
}
