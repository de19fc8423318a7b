// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Letting a device in whose link was opened here, and being let in by another.

use client::{Answered, Approval, Outcome, Pairing, WayIn};
use keyring::pairing::{PairingForm, PairingLink};
use wasm_bindgen::prelude::*;

use crate::Core;
use crate::failure::{Answer, Failure};
use crate::page::to_js;

#[wasm_bindgen]
impl Core {
    /// Who asks to be let in, held against the link.
    #[wasm_bindgen(js_name = pairingOpen)]
    pub async fn pairing_open(&self, link: String) -> Answer {
        let account = self.account()?;
        let link = PairingLink::parse(&link).map_err(|why| Failure::typing("link", why))?;
        let approval = Approval::open(&account.client, &link).await.map_err(Failure::from)?;
        let request = approval.request();
        let shown = to_js(&serde_json::json!({
            "name": request.name(),
            "platform": request.platform(),
            "form": request.form().as_str(),
            "address": approval.address(),
            "created_at": approval.created_at(),
        }));
        self.approval.replace(Some(approval));
        shown
    }

    /// The owner said yes: the code to be shown here. Of a public computer, `typed` is what its screen shows.
    #[wasm_bindgen(js_name = pairingAuthorize)]
    pub async fn pairing_authorize(&self, typed: Option<String>) -> Answer {
        let mut approval = self.approval.take().ok_or_else(Failure::out_of_turn)?;
        let authorized = approval.authorize(typed.as_deref()).await;
        self.approval.replace(Some(approval));
        let code = authorized.map_err(Failure::from)?;
        to_js(&*code)
    }

    /// Waits for what is typed on the device, and judges it: `let_in`, or `wrong` with the tries that are left.
    #[wasm_bindgen(js_name = pairingOutcome)]
    pub async fn pairing_outcome(&self) -> Answer {
        let account = self.account()?;
        let mut approval = self.approval.take().ok_or_else(Failure::out_of_turn)?;
        match approval.outcome(&account).await.map_err(Failure::from)? {
            Answered::LetIn => to_js(&serde_json::json!({ "let_in": true })),
            Answered::Wrong { tries_left } => {
                self.approval.replace(Some(approval));
                to_js(&serde_json::json!({ "let_in": false, "tries_left": tries_left }))
            }
        }
    }

    /// Says no: the device hears of it.
    #[wasm_bindgen(js_name = pairingRefuse)]
    pub async fn pairing_refuse(&self) -> Answer {
        let Some(approval) = self.approval.take() else { return Ok(JsValue::UNDEFINED) };
        approval.refuse().await.map_err(Failure::from)?;
        Ok(JsValue::UNDEFINED)
    }

    /// Asks to be let in by a device that is signed in: the link to be opened there.
    #[wasm_bindgen(js_name = pairingAsk)]
    pub async fn pairing_ask(&self, device: JsValue) -> Answer {
        let device = self.device(&device)?;
        let asked = Pairing::ask(&self.client, PairingForm::Device, &device).await.map_err(Failure::from)?;
        let answer = to_js(&serde_json::json!({ "link": asked.link(), "expires_at": asked.expires_at() }));
        self.pairing.replace(Some(asked));
        answer
    }

    /// Waits until somebody says yes there.
    #[wasm_bindgen(js_name = pairingOffered)]
    pub async fn pairing_offered(&self) -> Answer {
        let pairing = self.pairing.take().ok_or_else(Failure::out_of_turn)?;
        let offer = pairing.offered().await.map_err(Failure::from)?;
        self.pairing.replace(Some(pairing));
        self.offer.replace(offer);
        Ok(JsValue::UNDEFINED)
    }

    /// Answers with the code that the other device shows: who is signed in, or `{ wrong: true }`.
    #[wasm_bindgen(js_name = pairingAnswer)]
    pub async fn pairing_answer(&self, code: String) -> Answer {
        let mut pairing = self.pairing.take().ok_or_else(Failure::out_of_turn)?;
        let offer = self.offer.borrow().clone();
        if let Err(error) = pairing.answer(&offer, &code).await {
            // What is no code at all costs nothing.
            if error.is_typing() {
                self.pairing.replace(Some(pairing));
            }
            return Err(Failure::from(error).into());
        }
        let token = self.device.borrow().clone();
        match pairing.outcome(token).await.map_err(Failure::from)? {
            Outcome::Again(again, offer) => {
                self.pairing.replace(Some(*again));
                self.offer.replace(offer);
                to_js(&serde_json::json!({ "wrong": true }))
            }
            Outcome::In(way_in, session) => match *way_in {
                WayIn::Device(account) => to_js(&self.arrive(account, &session).await?),
                WayIn::Public(_) => {
                    Err(Failure::alarm("it was let in as something else than it asked for").into())
                }
            },
        }
    }
}
