// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The page around the worker: what it is asked for, and how values go back and forth.

use js_sys::{Function, JSON, Promise, Reflect, Uint8Array};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;
use zeroize::Zeroizing;

use crate::failure::{Answer, Failure};

/// The functions that the page gives: `create`, `get` and `offer` for passkeys, `keep` for what is to be remembered.
#[derive(Clone)]
pub(crate) struct Page(JsValue);

impl Page {
    pub(crate) fn new(page: JsValue) -> Self {
        Page(page)
    }

    /// Has a text kept for the next time, under a name.
    pub(crate) fn keep(&self, name: &str, text: &str) {
        if let Some(keep) = self.function("keep") {
            // A browser that keeps nothing remembers nothing: the page says so.
            let _ = keep.call2(&self.0, &name.into(), &text.into());
        }
    }

    /// Asks the page for something, and waits for it.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, name: &str, with: &str) -> Result<T, JsValue> {
        let function = self.function(name).ok_or(JsValue::UNDEFINED)?;
        let promise = function.call1(&self.0, &JSON::parse(with)?)?.dyn_into::<Promise>()?;
        from_js(&JsFuture::from(promise).await?).map_err(JsValue::from)
    }

    fn function(&self, name: &str) -> Option<Function> {
        Reflect::get(&self.0, &name.into()).ok()?.dyn_into().ok()
    }
}

/// A value as plain JavaScript.
pub(crate) fn to_js(value: &impl Serialize) -> Answer {
    let json =
        Zeroizing::new(serde_json::to_string(value).map_err(|error| Failure::failed("answer", error))?);
    JSON::parse(&json).map_err(|_| Failure::failed("answer", "it is no JSON").into())
}

/// Plain JavaScript as a value.
pub(crate) fn from_js<T: DeserializeOwned>(value: &JsValue) -> Result<T, Failure> {
    let json = JSON::stringify(value).ok().and_then(|json| json.as_string()).map(Zeroizing::new);
    let json = json.ok_or_else(|| Failure::failed("question", "it is no JSON"))?;
    serde_json::from_str(&json).map_err(|error| Failure::failed("question", error))
}

/// Bytes that a promise brings.
pub(crate) async fn bytes_of(promise: JsValue) -> Result<Zeroizing<Vec<u8>>, JsValue> {
    let bytes = JsFuture::from(promise.dyn_into::<Promise>()?).await?;
    Ok(Zeroizing::new(bytes.dyn_into::<Uint8Array>()?.to_vec()))
}

/// Tells a function of a number. What the page makes of it does not matter here.
pub(crate) fn tell(function: &Function, number: u64) {
    #[allow(clippy::cast_precision_loss, reason = "sizes of files are far below 2^53")]
    let _ = function.call1(&JsValue::NULL, &JsValue::from_f64(number as f64));
}
