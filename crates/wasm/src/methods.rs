// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What changes an account: login methods, password, codes, keys. The server asks for a fresh proof first.

use std::rc::Rc;

use client::KeyWish;
use protocol::{MethodId, Secret};
use serde::Deserialize;
use wasm_bindgen::prelude::*;
use zeroize::Zeroizing;

use crate::Core;
use crate::account::shown;
use crate::failure::{Answer, Failure};
use crate::page::{from_js, to_js};
use crate::passkey::PageAuthenticator;

/// What a new API key is to be.
#[derive(Deserialize)]
struct Wish {
    label: String,
    scopes: Vec<String>,
    #[serde(default)]
    networks: Option<Vec<String>>,
    #[serde(default)]
    expires_at: Option<i64>,
    unlocks: bool,
}

#[wasm_bindgen]
impl Core {
    /// The login methods, each of which the account vouches for.
    pub async fn methods(&self) -> Answer {
        to_js(&self.account()?.vouched_methods().await.map_err(Failure::from)?)
    }

    /// Makes a recovery key, to be shown once; in the place of another, if one is named.
    #[wasm_bindgen(js_name = makeRecoveryKey)]
    pub async fn make_recovery_key(&self, label: String, instead_of: Option<String>) -> Answer {
        let account = self.account()?;
        let made = match instead_of {
            Some(old) => {
                let old = old.parse::<MethodId>().map_err(|error| Failure::failed("method", error))?;
                account.replace_recovery_key(old, &label).await
            }
            None => account.add_recovery_key(&label).await,
        };
        let made = made.map_err(Failure::from)?;
        to_js(&serde_json::json!({ "method": made.method, "key": *made.key }))
    }

    /// Adds a passkey. Answers whether it opens the account's data.
    #[wasm_bindgen(js_name = addPasskey)]
    pub async fn add_passkey(&self, label: String) -> Answer {
        let (account, authenticator) = (self.account()?, PageAuthenticator::of(&self.page));
        let added = account.add_passkey(&authenticator, &label).await.map_err(Failure::from)?;
        to_js(&serde_json::json!({ "method": added.id, "unlocks": added.unlocks }))
    }

    /// Changes the password. Every other session ends.
    #[wasm_bindgen(js_name = changePassword)]
    pub async fn change_password(&self, new: String) -> Answer {
        let new = Zeroizing::new(new);
        self.account()?.change_password(&new).await.map_err(Failure::from)?;
        Ok(JsValue::UNDEFINED)
    }

    /// Replaces all backup codes: the new ones, to be shown once.
    #[wasm_bindgen(js_name = replaceBackupCodes)]
    pub async fn replace_backup_codes(&self) -> Answer {
        let codes = self.account()?.replace_backup_codes().await.map_err(Failure::from)?;
        to_js(&shown(&codes))
    }

    /// Asks for a new secret for the authenticator app, to be shown once.
    #[wasm_bindgen(js_name = startTotp)]
    pub async fn start_totp(&self) -> Answer {
        let started = self.account()?.start_totp().await.map_err(Failure::from)?;
        let shown = to_js(&serde_json::json!({
            "totp_secret": started.totp_secret.expose(),
            "totp_uri": started.totp_uri.expose(),
        }));
        self.totp.replace(Some(started));
        shown
    }

    /// Shows a code of the new secret, which then takes over.
    #[wasm_bindgen(js_name = finishTotp)]
    pub async fn finish_totp(&self, code: String) -> Answer {
        let (account, started) = (self.account()?, self.totp.borrow().clone());
        let started = started.ok_or_else(Failure::out_of_turn)?;
        account.finish_totp(&started, Secret::from(code)).await.map_err(Failure::from)?;
        self.totp.take();
        Ok(JsValue::UNDEFINED)
    }

    /// Replaces the master key. Every other session ends.
    #[wasm_bindgen(js_name = rotateMasterKey)]
    pub async fn rotate_master_key(&self) -> Answer {
        let rotated = self.account()?.rotate_master_key().await.map_err(Failure::from)?;
        let mut pins = self.pins.pins();
        let (version, identity) = (rotated.master_key_version, rotated.identity());
        pins.check_account(rotated.account, version, &identity, client::Newer::MadeHere)
            .map_err(Failure::from)?;
        self.pins.put(pins);
        self.drives.take();
        self.indexes.take();
        self.trust.take();
        self.account.replace(Some(Rc::new(rotated)));
        // What is shared is granted anew, by the new keys. What does not succeed now is renewed another time: until then what was
        // granted before still opens.
        let _ = self.renew_grants().await;
        to_js(&serde_json::json!({ "version": version }))
    }

    /// Makes an API key, to be shown once.
    #[wasm_bindgen(js_name = makeApiKey)]
    pub async fn make_api_key(&self, wish: JsValue) -> Answer {
        let Wish { label, scopes, networks, expires_at, unlocks } = from_js(&wish)?;
        let wish = KeyWish { label, scopes, networks, expires_at, unlocks };
        let made = self.account()?.create_api_key(&wish).await.map_err(Failure::from)?;
        to_js(&serde_json::json!({ "key": *made.text, "listed": made.listed }))
    }

    /// Deletes the account with everything that it stored. Its records stay.
    #[wasm_bindgen(js_name = deleteAccount)]
    pub async fn delete_account(&self) -> Answer {
        self.account()?.delete_account().await.map_err(Failure::from)?;
        self.wipe();
        Ok(JsValue::UNDEFINED)
    }
}
