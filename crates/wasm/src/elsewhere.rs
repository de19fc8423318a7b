// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Coming in through another identity provider, and opening the account afterwards. The page is left for the provider, and this
//! worker with it: what only who began may know is kept by the page until it is back.

use client::federation::{Away, Came, Elsewhere, Returned, Through};
use client::unlocking::Closed;
use serde::Serialize;
use wasm_bindgen::prelude::*;
use zeroize::Zeroizing;

use crate::Core;
use crate::account::{proof, recovery_key};
use crate::failure::{Answer, Failure};
use crate::page::{from_js, to_js};
use crate::passkey::PageAuthenticator;

/// Where the page goes, and what it keeps.
#[derive(Serialize)]
struct Begun<'a> {
    url: &'a str,
    name: &'a str,
    away: Away,
}

#[wasm_bindgen]
impl Core {
    /// Begins a sign-in at a provider.
    #[wasm_bindgen(js_name = providerStart)]
    pub async fn provider_start(&self, through: JsValue) -> Answer {
        let through: Through = from_js(&through)?;
        begun(&Elsewhere::start(&self.client, &through, None).await.map_err(Failure::from)?)
    }

    /// Begins to add a provider to the account that is signed in.
    #[wasm_bindgen(js_name = providerLinkStart)]
    pub async fn provider_link_start(&self, through: JsValue) -> Answer {
        let through: Through = from_js(&through)?;
        begun(&Elsewhere::start_link(&self.client, &through, None).await.map_err(Failure::from)?)
    }

    /// Finishes a sign-in with what the browser brought back: a session that opens nothing yet, or the way to a new account.
    #[wasm_bindgen(js_name = providerFinish)]
    pub async fn provider_finish(&self, away: JsValue, answer: JsValue, device: JsValue) -> Answer {
        let (elsewhere, returned) = self.resumed(&away, &answer)?;
        let device = self.device(&device)?;
        match elsewhere.finish(returned, device).await.map_err(Failure::from)? {
            Came::In(came) => {
                self.keep_device(&came.session);
                to_js(&serde_json::json!({
                    "number": came.number,
                    "account": came.session.account,
                    "session": came.session.id,
                    "tenant": came.tenant,
                    "confined": came.confined,
                }))
            }
            Came::New(new) => {
                let answer = to_js(&serde_json::json!({ "email": new.email() }));
                self.new_by_provider.replace(Some(*new));
                answer
            }
        }
    }

    /// Makes the account that [`provider_finish`](Self::provider_finish) said there is none of, and signs in to it.
    #[wasm_bindgen(js_name = providerSignUp)]
    pub async fn provider_sign_up(&self, device: JsValue) -> Answer {
        let new = self.new_by_provider.take().ok_or_else(Failure::out_of_turn)?;
        let device = self.device(&device)?;
        let (account, session) = new.sign_up(device).await.map_err(Failure::from)?;
        to_js(&self.arrive(account, &session).await?)
    }

    /// Adds a provider to the account, with what the browser brought back. A session is enough.
    #[wasm_bindgen(js_name = providerLinkFinish)]
    pub async fn provider_link_finish(&self, away: JsValue, answer: JsValue) -> Answer {
        let (elsewhere, returned) = self.resumed(&away, &answer)?;
        elsewhere.link(returned).await.map_err(Failure::from)?;
        Ok(JsValue::UNDEFINED)
    }

    /// Proves the password in the session that lives; runs the slow hash.
    #[wasm_bindgen(js_name = unlockStart)]
    pub async fn unlock_start(&self, email: String, password: String) -> Answer {
        let password = Zeroizing::new(password);
        let closed = Closed::of(&self.client).await.map_err(Failure::from)?;
        let proved = closed.prove_password(&email, &password).await.map_err(Failure::from)?;
        self.unlocking.replace(Some(proved));
        Ok(JsValue::UNDEFINED)
    }

    /// Gives the second factor, and opens the account.
    #[wasm_bindgen(js_name = unlockFinish)]
    pub async fn unlock_finish(&self, code: String, is_backup_code: bool) -> Answer {
        let proved = self.unlocking.take().ok_or_else(Failure::out_of_turn)?;
        self.signed_in(proved.open(proof(code, is_backup_code)).await.map_err(Failure::from)?).await
    }

    /// Opens the account with a recovery key, in the session that lives.
    #[wasm_bindgen(js_name = recoveryUnlock)]
    pub async fn recovery_unlock(&self, key: String) -> Answer {
        let key = recovery_key(key)?;
        let closed = Closed::of(&self.client).await.map_err(Failure::from)?;
        self.signed_in(closed.open_with_recovery_key(&key).await.map_err(Failure::from)?).await
    }

    /// Opens the account with a passkey, in the session that lives: one that is asked for, or one that the browser offers where an
    /// address is typed. One that cannot open it has still proved who is there.
    #[wasm_bindgen(js_name = passkeyUnlock)]
    pub async fn passkey_unlock(&self, offered: Option<bool>) -> Answer {
        let authenticator = PageAuthenticator::wanted(&self.page, offered);
        let closed = Closed::of(&self.client).await.map_err(Failure::from)?;
        match closed.open_with_passkey(&authenticator).await.map_err(Failure::from)? {
            Some(signed_in) => self.signed_in(signed_in).await,
            None => {
                Err(Failure::failed("passkey_does_not_unlock", "this passkey cannot open your data").into())
            }
        }
    }
}

impl Core {
    fn resumed(&self, away: &JsValue, answer: &JsValue) -> Result<(Elsewhere, Returned), Failure> {
        let (away, returned): (Away, Returned) = (from_js(away)?, from_js(answer)?);
        let elsewhere = Elsewhere::resumed(&self.client, away);
        Ok((elsewhere, returned))
    }
}

fn begun(elsewhere: &Elsewhere) -> Answer {
    to_js(&Begun { url: elsewhere.url(), name: elsewhere.name(), away: elsewhere.away() })
}
