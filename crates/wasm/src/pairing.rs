// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Letting a device in whose link was opened here.

use client::{Answered, Approval};
use keyring::pairing::PairingLink;
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
}
