// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The `keyring` and the flows of [`client`] for a browser.
//!
//! It runs in a Web Worker: the slow hash takes a second, and the page must not stand still. What is secret stays in the
//! worker's memory. It is wiped when it is freed, and gone with the worker when somebody signs out or has been idle. What the
//! page gets is what people are to see: contents, codes that are shown once, and whether something is wrong.
//!
//! [`Core`] is the whole surface. `sdk/ts` wraps it; its words are explained there. Every answer is plain JSON; every error is a
//! [`Failure`](failure::Failure).

#![cfg(target_family = "wasm")]

mod account;
mod data;
mod elsewhere;
mod failure;
mod history;
mod methods;
mod page;
mod pairing;
mod passkey;
mod qr;
mod sharing;
mod tenants;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use client::federation::NewByProvider;
use client::files::Index;
use client::passkey::PasskeySignUp;
use client::unlocking::PasswordProved;
use client::{Client, Drive, Options, Pairing, PinStore, Pins, SignIn, SignUp, Trust, Unlocked};
use futures::StreamExt as _;
use futures::channel::mpsc;
use protocol::Secret;
use wasm_bindgen::prelude::*;

use failure::{Answer, Failure};
use page::Page;

/// What is freed is wiped first: passwords and keys pass through buffers of libraries, which no type of ours can clear.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

/// One person's account in a worker.
#[wasm_bindgen]
pub struct Core {
    client: Client,
    page: Page,
    /// What this browser saw of the server before.
    pins: Arc<PinStore>,
    /// By which the server knows this browser again.
    device: RefCell<Option<Secret>>,
    sign_up: RefCell<Option<SignUp>>,
    passkey_sign_up: RefCell<Option<PasskeySignUp>>,
    sign_in: RefCell<Option<SignIn>>,
    /// Somebody whom another provider vouches for and who has no account yet.
    new_by_provider: RefCell<Option<NewByProvider>>,
    /// A session's password, proved.
    unlocking: RefCell<Option<PasswordProved>>,
    account: RefCell<Option<Rc<Unlocked>>>,
    /// This browser, as it asks another device to let it in, with what that one offered.
    pairing: RefCell<Option<Pairing>>,
    offer: RefCell<Vec<u8>>,
    approval: RefCell<Option<client::Approval>>,
    totp: RefCell<Option<protocol::account::TotpStarted>>,
    trust: RefCell<Option<Arc<Trust>>>,
    drives: RefCell<HashMap<String, Rc<Drive>>>,
    /// What was last read of the drives, to go on from.
    indexes: RefCell<HashMap<String, Index>>,
}

#[wasm_bindgen]
impl Core {
    /// Talks to the server at `server`, the page's own origin. `page` asks for passkeys and keeps what is to be kept; `pins` and
    /// `device` are what it kept before.
    #[wasm_bindgen(constructor)]
    pub fn new(
        server: &str,
        page: JsValue,
        pins: Option<String>,
        device: Option<String>,
    ) -> Result<Core, JsValue> {
        let client =
            Client::new(server, &Options::default()).map_err(|error| Failure::failed("connect", error))?;
        // Pins that cannot be read are no reason to believe anybody: the page says so.
        let pins = match pins {
            Some(pins) => serde_json::from_str(&pins)
                .map_err(|_| Failure::alarm("what this browser remembers of the server was damaged"))?,
            None => Pins::default(),
        };
        let page = Page::new(page);
        Ok(Core {
            client,
            pins: Arc::new(kept_by(&page, pins)),
            page,
            device: RefCell::new(device.map(Secret::from)),
            sign_up: RefCell::default(),
            passkey_sign_up: RefCell::default(),
            sign_in: RefCell::default(),
            new_by_provider: RefCell::default(),
            unlocking: RefCell::default(),
            account: RefCell::default(),
            pairing: RefCell::default(),
            offer: RefCell::default(),
            approval: RefCell::default(),
            totp: RefCell::default(),
            trust: RefCell::default(),
            drives: RefCell::default(),
            indexes: RefCell::default(),
        })
    }

    /// A QR code, as the path of an SVG.
    #[wasm_bindgen(js_name = qrCode)]
    pub fn qr_code(&self, text: &str) -> Answer {
        page::to_js(&qr::path(text)?)
    }
}

impl Core {
    /// The account, if its keys are here.
    fn account(&self) -> Result<Rc<Unlocked>, Failure> {
        self.account.borrow().clone().ok_or_else(Failure::locked)
    }

    /// Forgets everything that opens something.
    fn wipe(&self) {
        self.sign_up.take();
        self.passkey_sign_up.take();
        self.sign_in.take();
        self.new_by_provider.take();
        self.unlocking.take();
        self.account.take();
        self.pairing.take();
        self.offer.take();
        self.approval.take();
        self.totp.take();
        self.trust.take();
        self.drives.take();
        self.indexes.take();
        self.client.set_token(None);
    }
}

/// Pins that the page keeps for the next time. What belongs to the page stays on this thread: the store is told through a channel,
/// and may be shared with what does not know where it runs.
fn kept_by(page: &Page, pins: Pins) -> PinStore {
    let (sender, mut kept) = mpsc::unbounded::<String>();
    let page = page.clone();
    wasm_bindgen_futures::spawn_local(async move {
        while let Some(text) = kept.next().await {
            page.keep("pins", &text);
        }
    });
    PinStore::new(pins, move |pins| {
        if let Ok(text) = serde_json::to_string(pins) {
            let _ = sender.unbounded_send(text);
        }
    })
}
