// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sharing collections of files with other accounts, whose keys are proved by the platform's log and compared by two people.

use std::rc::Rc;
use std::sync::Arc;

use client::{Drive, KnownAccount, Opened, Permission, Standing, Trust, files};
use protocol::sharing::Share;
use protocol::{CollectionId, TenantId};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::Core;
use crate::failure::{Answer, Failure};
use crate::page::to_js;

/// Another account, for the page.
#[derive(Serialize)]
pub(crate) struct Known {
    account: String,
    number: String,
    /// What two people compare.
    fingerprint: String,
    standing: &'static str,
}

impl Known {
    pub(crate) fn of(known: &KnownAccount) -> Self {
        Known {
            account: known.account.to_string(),
            number: known.number.clone(),
            fingerprint: fingerprint_of(known),
            standing: match known.standing {
                Standing::New => "new",
                Standing::Known => "known",
                Standing::Rotated => "rotated",
            },
        }
    }
}

/// A collection that somebody shares, for the page.
#[derive(Serialize)]
struct Listed {
    /// What names it in calls about files.
    id: String,
    owner: Option<String>,
    /// Its name; `None` when it does not open.
    name: Option<String>,
    permission: Permission,
    created_at: i64,
}

#[wasm_bindgen]
impl Core {
    /// Looks an account up by its number, one's own if none is named, and proves its keys.
    #[wasm_bindgen(js_name = lookUp)]
    pub async fn look_up(&self, number: Option<String>) -> Answer {
        let account = self.account()?;
        let known = self.known(number.as_deref().unwrap_or(&account.number)).await?;
        if known.account == account.account && known.fingerprint() != Some(account.fingerprint()) {
            return Err(Failure::alarm("the server shows others other keys than yours").into());
        }
        to_js(&Known::of(&known))
    }

    /// Who has a collection beside its owner.
    pub async fn members(&self, collection: Option<String>) -> Answer {
        let drive = self.drive(collection).await?;
        let Some(collection) = drive.collection() else { return to_js(&[(); 0]) };
        let members = self.client.members(collection).await.map_err(Failure::from)?.members;
        let listed = members.into_iter().map(|member| {
            serde_json::json!({
                "account": member.account,
                "number": member.account_number,
                "permission": member.permission,
                "created_at": member.created_at,
            })
        });
        to_js(&listed.collect::<Vec<_>>())
    }

    /// Shares a collection with the account of this number, whose fingerprint a person saw: with other keys than those nothing is
    /// shared. Shared once more, it changes what the other account may do.
    pub async fn share(
        &self,
        collection: Option<String>,
        number: String,
        fingerprint: String,
        may_write: bool,
    ) -> Answer {
        let (account, drive) = (self.account()?, self.drive(collection).await?);
        let known = self.known(&number).await?;
        if fingerprint_of(&known) != fingerprint {
            return Err(
                Failure::alarm("the server shows other keys for this account than a moment ago").into()
            );
        }
        if known.account == account.account {
            return Err(Failure::typing("number", "that is your own account").into());
        }
        let permission = if may_write { Permission::Write } else { Permission::Read };
        account.share(&drive, &known, permission).await.map_err(Failure::from)?;
        account.renew_grants(&drive).await.map_err(Failure::from)?;
        Ok(JsValue::UNDEFINED)
    }

    /// Takes a collection away from an account. What is written from then on it cannot open.
    pub async fn unshare(&self, collection: Option<String>, account: String) -> Answer {
        let (own, drive) = (self.account()?, self.drive(collection).await?);
        let account = account.parse().map_err(|error| Failure::failed("account", error))?;
        own.unshare(&drive, account).await.map_err(Failure::from)?;
        Ok(JsValue::UNDEFINED)
    }

    /// What others share with the account. What does not open has no name.
    pub async fn shares(&self) -> Answer {
        self.account()?;
        let mut listed = Vec::new();
        for share in self.client.shares().await.map_err(Failure::from)?.shares {
            let id = format!("{}/{}", share.home, share.collection);
            let name = match self.drive(Some(id.clone())).await {
                Ok(drive) => drive.name(),
                Err(failure) if failure.is_alarm() => None,
                Err(failure) => return Err(failure.into()),
            };
            let Share { owner_number: owner, permission, created_at, .. } = share;
            listed.push(Listed { id, owner, name, permission, created_at });
        }
        to_js(&listed)
    }
}

impl Core {
    async fn known(&self, number: &str) -> Result<Arc<KnownAccount>, Failure> {
        Ok(self.trusted().account(number).await?)
    }

    /// Opens a collection that somebody shares.
    pub(crate) async fn open_shared(
        &self,
        account: Opened,
        trust: Arc<Trust>,
        home: &str,
        collection: &str,
    ) -> Result<Drive, Failure> {
        let home = home.parse::<TenantId>().map_err(|error| Failure::failed("collection", error))?;
        let id = collection.parse::<CollectionId>().map_err(|error| Failure::failed("collection", error))?;
        let mut shares = self.client.shares().await?.shares.into_iter();
        let share = shares.find(|share| share.home == home && share.collection == id);
        let share = share.ok_or_else(|| Failure::failed("not_found", "nobody shares this with you"))?;
        let owner = trust.account_of(share.owner).await?;
        Ok(Drive::open_shared(account, trust, share, owner).await?)
    }

    /// Renews the grants of everything that the account shares.
    pub(crate) async fn renew_grants(&self) -> Result<(), Failure> {
        let account = self.account()?;
        for named in files::collections(&Opened::from(&*account)).await? {
            if self.client.members(named.id).await?.members.is_empty() {
                continue;
            }
            let drive = Rc::new(Drive::open_named(&*account, self.trusted(), named.id).await?);
            account.renew_grants(&drive).await?;
        }
        Ok(())
    }
}

pub(crate) fn fingerprint_of(known: &KnownAccount) -> String {
    known.fingerprint().map(|fingerprint| fingerprint.to_string()).unwrap_or_default()
}
