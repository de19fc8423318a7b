// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing up, in and out, and proving once more who is there.

use std::rc::Rc;

use client::passkey::{PasskeySignUp, SignedInByPasskey};
use client::{NewAccount, Proof, SignIn, SignUp, SignedIn, Unlocked};
use keyring::RecoveryKey;
use protocol::Secret;
use protocol::signin::{Device, Session};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use zeroize::Zeroizing;

use crate::Core;
use crate::failure::{Answer, Failure};
use crate::page::{from_js, to_js};
use crate::passkey::PageAuthenticator;

/// How this browser names itself to the server.
#[derive(Deserialize)]
struct Named {
    name: String,
    platform: String,
}

/// Who is signed in.
#[derive(Serialize)]
pub(crate) struct Who {
    number: String,
    account: String,
    home: String,
    session: String,
    device: String,
    email: String,
    expires_at: i64,
    fresh_until: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_device: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup_codes_left: Option<u32>,
}

impl Who {
    fn of(account: &Unlocked, session: &Session) -> Self {
        Who {
            number: account.number.clone(),
            account: account.account.to_string(),
            home: account.home.to_string(),
            session: account.session.to_string(),
            device: account.device.to_string(),
            email: account.email.as_str().to_owned(),
            expires_at: session.expires_at,
            fresh_until: session.fresh_until,
            new_device: None,
            backup_codes_left: None,
        }
    }
}

/// A new account, with what is shown to its owner once.
#[derive(Serialize)]
struct Made {
    who: Who,
    totp_secret: Secret,
    totp_uri: Secret,
    backup_codes: Vec<Secret>,
}

#[wasm_bindgen]
impl Core {
    /// Whether the account's keys are here.
    #[wasm_bindgen(js_name = isOpen)]
    pub fn is_open(&self) -> bool {
        self.account.borrow().is_some()
    }

    /// Asks for an account. Answers whether a code was mailed that [`sign_up_finish`](Self::sign_up_finish) needs.
    #[wasm_bindgen(js_name = signUpStart)]
    pub async fn sign_up_start(&self, email: String, password: String) -> Answer {
        let password = Zeroizing::new(password);
        let sign_up = SignUp::start(&self.client, &email, &password).await.map_err(Failure::from)?;
        let code_required = sign_up.code_required();
        self.sign_up.replace(Some(sign_up));
        to_js(&serde_json::json!({ "code_required": code_required }))
    }

    /// Makes the account and signs in to it.
    #[wasm_bindgen(js_name = signUpFinish)]
    pub async fn sign_up_finish(&self, code: Option<String>, device: JsValue) -> Answer {
        let sign_up = self.sign_up.take().ok_or_else(Failure::out_of_turn)?;
        let device = self.device(&device)?;
        let NewAccount { account, totp_secret, totp_uri, backup_codes, session } =
            sign_up.finish(code, device).await.map_err(Failure::from)?;
        let who = self.arrive(account, &session).await?;
        to_js(&Made { who, totp_secret, totp_uri, backup_codes: shown(&backup_codes) })
    }

    /// Asks for an account that a passkey opens. Answers as [`sign_up_start`](Self::sign_up_start).
    #[wasm_bindgen(js_name = passkeySignUpStart)]
    pub async fn passkey_sign_up_start(&self, email: String) -> Answer {
        let sign_up = PasskeySignUp::start(&self.client, &email).await.map_err(Failure::from)?;
        let code_required = sign_up.code_required();
        self.passkey_sign_up.replace(Some(sign_up));
        to_js(&serde_json::json!({ "code_required": code_required }))
    }

    /// Makes the passkey and the account, and signs in to it.
    #[wasm_bindgen(js_name = passkeySignUpFinish)]
    pub async fn passkey_sign_up_finish(
        &self,
        label: String,
        code: Option<String>,
        device: JsValue,
    ) -> Answer {
        let sign_up = self.passkey_sign_up.take().ok_or_else(Failure::out_of_turn)?;
        let (device, authenticator) = (self.device(&device)?, PageAuthenticator::of(&self.page));
        let (account, session) =
            sign_up.finish(&authenticator, &label, code, device).await.map_err(Failure::from)?;
        to_js(&self.arrive(account, &session).await?)
    }

    /// Proves the password; runs the slow hash.
    #[wasm_bindgen(js_name = signInStart)]
    pub async fn sign_in_start(&self, email: String, password: String) -> Answer {
        let password = Zeroizing::new(password);
        let device = self.device.borrow().clone();
        let sign_in = SignIn::start(&self.client, &email, &password, device).await.map_err(Failure::from)?;
        self.sign_in.replace(Some(sign_in));
        Ok(JsValue::UNDEFINED)
    }

    /// Gives the second factor, a code of the app or a backup code, and opens the account.
    #[wasm_bindgen(js_name = signInFinish)]
    pub async fn sign_in_finish(&self, code: String, is_backup_code: bool, device: JsValue) -> Answer {
        let sign_in = self.sign_in.take().ok_or_else(Failure::out_of_turn)?;
        let device = self.device(&device)?;
        let signed_in = sign_in.finish(proof(code, is_backup_code), device).await.map_err(Failure::from)?;
        self.signed_in(signed_in).await
    }

    /// Signs in with a recovery key.
    #[wasm_bindgen(js_name = recoverySignIn)]
    pub async fn recovery_sign_in(&self, key: String, device: JsValue) -> Answer {
        let (key, device) = (recovery_key(key)?, self.device(&device)?);
        let signed_in = self.client.sign_in_with_recovery_key(&key, device).await.map_err(Failure::from)?;
        self.signed_in(signed_in).await
    }

    /// Signs in with a passkey: one that is asked for, or one that the browser offers where an address is typed. Answers
    /// `{ locked: … }` when it cannot open the account's data.
    #[wasm_bindgen(js_name = passkeySignIn)]
    pub async fn passkey_sign_in(&self, device: JsValue, offered: Option<bool>) -> Answer {
        let (device, authenticator) = (self.device(&device)?, PageAuthenticator::wanted(&self.page, offered));
        match self.client.sign_in_with_passkey(&authenticator, device).await.map_err(Failure::from)? {
            SignedInByPasskey::Unlocked(signed_in) => self.signed_in(*signed_in).await,
            SignedInByPasskey::Locked(locked) => {
                let (session, number) = (locked.session.id, &locked.number);
                to_js(
                    &serde_json::json!({ "locked": locked.to_string(), "session": session, "number": number }),
                )
            }
        }
    }

    /// Proves once more who is there, with the password and a second factor.
    #[wasm_bindgen(js_name = stepUp)]
    pub async fn step_up(&self, password: String, code: String, is_backup_code: bool) -> Answer {
        let (account, password) = (self.account()?, Zeroizing::new(password));
        account.step_up(&password, &proof(code, is_backup_code)).await.map_err(Failure::from)?;
        Ok(JsValue::UNDEFINED)
    }

    /// The same with a recovery key.
    #[wasm_bindgen(js_name = recoveryStepUp)]
    pub async fn recovery_step_up(&self, key: String) -> Answer {
        let (account, key) = (self.account()?, recovery_key(key)?);
        account.step_up_with_recovery_key(&key).await.map_err(Failure::from)?;
        Ok(JsValue::UNDEFINED)
    }

    /// The same with a passkey.
    #[wasm_bindgen(js_name = passkeyStepUp)]
    pub async fn passkey_step_up(&self) -> Answer {
        let authenticator = PageAuthenticator::of(&self.page);
        self.client.step_up_with_passkey(&authenticator).await.map_err(Failure::from)?;
        Ok(JsValue::UNDEFINED)
    }

    /// Ends the session and wipes what was here. What was here is wiped also when the server cannot be reached.
    #[wasm_bindgen(js_name = signOut)]
    pub async fn sign_out(&self) -> Answer {
        let ended = self.client.sign_out().await;
        self.wipe();
        match ended {
            // One that was over is over.
            Err(error) if error.code().is_none_or(|code| code.status() != 401) => {
                Err(Failure::from(error).into())
            }
            _ => Ok(JsValue::UNDEFINED),
        }
    }

    /// Wipes what was here; the session lives on.
    pub fn lock(&self) {
        self.wipe();
    }
}

impl Core {
    pub(crate) fn device(&self, named: &JsValue) -> Result<Device, Failure> {
        let Named { name, platform } = from_js(named)?;
        Ok(Device { token: self.device.borrow().clone(), name, platform })
    }

    pub(crate) async fn signed_in(&self, signed_in: SignedIn) -> Answer {
        let SignedIn { account, new_device, backup_codes_left, session } = signed_in;
        let mut who = self.arrive(account, &session).await?;
        who.new_device = Some(new_device);
        who.backup_codes_left = Some(backup_codes_left);
        to_js(&who)
    }

    /// The server knows this browser again by what it gave with the session.
    pub(crate) fn keep_device(&self, session: &Session) {
        if let Some(token) = &session.device_token {
            self.page.keep("device", token.expose());
            self.device.replace(Some(token.clone()));
        }
    }

    /// Holds the account's keys against what this browser saw before, and goes on with them.
    pub(crate) async fn arrive(&self, account: Unlocked, session: &Session) -> Result<Who, Failure> {
        self.wipe();
        let mut pins = self.pins.pins();
        if let Err(refused) = account.hold_against(&mut pins).await {
            let _ = account.client.sign_out().await;
            return Err(refused.into());
        }
        self.pins.put(pins);
        self.keep_device(session);
        let who = Who::of(&account, session);
        self.account.replace(Some(Rc::new(account)));
        Ok(who)
    }
}

/// Codes that go to the page, to be shown once.
pub(crate) fn shown(codes: &[Zeroizing<String>]) -> Vec<Secret> {
    codes.iter().map(|code| Secret::from(code.to_string())).collect()
}

pub(crate) fn proof(code: String, is_backup_code: bool) -> Proof {
    let code = Secret::from(code);
    if is_backup_code { Proof::BackupCode(code) } else { Proof::Totp(code) }
}

pub(crate) fn recovery_key(typed: String) -> Result<RecoveryKey, Failure> {
    RecoveryKey::parse(&Zeroizing::new(typed)).map_err(|why| Failure::typing("recovery_key", why))
}
