// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Waiting, and work that takes long, on a thread pool and in a browser.

use std::time::Duration;

/// Waits.
#[cfg(not(target_family = "wasm"))]
pub(crate) async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Waits: by the timer that a page and a worker both have.
#[cfg(target_family = "wasm")]
pub(crate) async fn sleep(time: Duration) {
    use wasm_bindgen::JsCast;

    let milliseconds = i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
    let timer = js_sys::Promise::new(&mut |resolve, _| {
        let global = js_sys::global();
        let set = js_sys::Reflect::get(&global, &"setTimeout".into());
        if let Ok(Ok(set)) = set.map(JsCast::dyn_into::<js_sys::Function>) {
            let _ = set.call2(&global, &resolve, &milliseconds.into());
        }
    });
    let _ = wasm_bindgen_futures::JsFuture::from(timer).await;
}

/// Does work off the async threads; `None` when it was stopped.
#[cfg(not(target_family = "wasm"))]
pub(crate) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

/// Does work at once: what runs in a browser runs in a worker, where nothing waits for it.
#[cfg(target_family = "wasm")]
pub(crate) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    Some(work())
}
