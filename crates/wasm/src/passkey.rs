// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Passkeys of the browser. `navigator.credentials` belongs to the page, so the worker asks it.

use client::passkey::{Authenticator, AuthenticatorError, Created, Shown};
use futures::channel::oneshot;
use protocol::Bytes;
use protocol::passkeys::{CreationOptions, RequestOptions};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;
use zeroize::Zeroizing;

use crate::page::Page;

/// What a page answers, with bytes as base64url.
#[derive(Deserialize)]
struct Made {
    id: Bytes<1023>,
    client_data_json: Bytes<4096>,
    attestation_object: Bytes<16384>,
    has_prf: bool,
    prf: Option<Bytes<64>>,
}

#[derive(Deserialize)]
struct Given {
    id: Bytes<1023>,
    user_handle: Bytes<64>,
    client_data_json: Bytes<4096>,
    authenticator_data: Bytes<4096>,
    signature: Bytes<4096>,
    prf: Option<Bytes<64>>,
}

/// The authenticators that a page can ask.
pub(crate) struct PageAuthenticator {
    page: Page,
    /// By which of the page's functions a passkey is asked for.
    get: &'static str,
}

impl PageAuthenticator {
    /// Asks for a passkey at once.
    pub(crate) fn of(page: &Page) -> Self {
        PageAuthenticator { page: page.clone(), get: "get" }
    }

    /// With `offered`, has the browser offer passkeys where an address is typed (conditional mediation), and waits until one is
    /// chosen; else asks for one at once.
    pub(crate) fn wanted(page: &Page, offered: Option<bool>) -> Self {
        let get = if offered == Some(true) { "offer" } else { "get" };
        PageAuthenticator { page: page.clone(), get }
    }

    /// Asks the page. What waits for the answer may be sent to another thread, as what is in a page may not.
    fn ask<T: DeserializeOwned + 'static>(
        &self,
        name: &'static str,
        options: Result<String, serde_json::Error>,
    ) -> oneshot::Receiver<Result<T, AuthenticatorError>> {
        let (sender, receiver) = oneshot::channel();
        let page = self.page.clone();
        spawn_local(async move {
            let answer = match options {
                Ok(options) => page.ask(name, &options).await.map_err(|error| why(&error)),
                Err(error) => Err(AuthenticatorError::Failed(error.to_string())),
            };
            // Nobody waits for it any more when the person went elsewhere.
            let _ = sender.send(answer);
        });
        receiver
    }
}

impl Authenticator for PageAuthenticator {
    fn create(
        &self,
        options: &CreationOptions,
    ) -> impl Future<Output = Result<Created, AuthenticatorError>> + Send {
        let answer = self.ask::<Made>("create", serde_json::to_string(options));
        async move {
            let made = received(answer.await)?;
            Ok(Created {
                id: made.id.into_vec(),
                client_data_json: made.client_data_json.into_vec(),
                attestation_object: made.attestation_object.into_vec(),
                has_prf: made.has_prf,
                prf: made.prf.map(|prf| Zeroizing::new(prf.into_vec())),
            })
        }
    }

    fn get(
        &self,
        options: &RequestOptions,
    ) -> impl Future<Output = Result<Shown, AuthenticatorError>> + Send {
        let answer = self.ask::<Given>(self.get, serde_json::to_string(options));
        async move {
            let given = received(answer.await)?;
            Ok(Shown {
                id: given.id.into_vec(),
                user_handle: given.user_handle.into_vec(),
                client_data_json: given.client_data_json.into_vec(),
                authenticator_data: given.authenticator_data.into_vec(),
                signature: given.signature.into_vec(),
                prf: given.prf.map(|prf| Zeroizing::new(prf.into_vec())),
            })
        }
    }
}

fn received<T>(
    answer: Result<Result<T, AuthenticatorError>, oneshot::Canceled>,
) -> Result<T, AuthenticatorError> {
    answer.unwrap_or(Err(AuthenticatorError::NotAllowed))
}

/// The name of the `DOMException` that the page caught.
fn why(error: &JsValue) -> AuthenticatorError {
    let name = js_sys::Reflect::get(error, &"name".into()).ok().and_then(|name| name.as_string());
    match name.as_deref() {
        Some("NotAllowedError" | "AbortError" | "TimeoutError") => AuthenticatorError::NotAllowed,
        Some("InvalidStateError") => AuthenticatorError::AlreadyThere,
        Some(name) => AuthenticatorError::Failed(name.to_owned()),
        None => AuthenticatorError::Failed("it gave no reason".to_owned()),
    }
}
