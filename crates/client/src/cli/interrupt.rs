// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Ctrl-C ends the program at once, except between asking the server for what is shown only once and showing it: then
//! afterwards.

use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The exit status of what Ctrl-C ended: 128 and the number of SIGINT, as shells have it.
pub(super) const STATUS: u8 = 130;

/// Ends the program when Ctrl-C is pressed. Runs beside everything else.
pub(super) async fn watch() {
    while tokio::signal::ctrl_c().await.is_ok() {
        let mut state = state();
        if state.held == 0 {
            end();
        }
        state.pressed = true;
    }
}

/// Holds Ctrl-C back until it is dropped.
pub(super) fn hold() -> Held {
    state().held += 1;
    Held
}

/// Asks for something that is shown once; Ctrl-C is held back until what comes with it is dropped.
pub(super) async fn held<T, E>(asked: impl Future<Output = Result<T, E>>) -> Result<(T, Held), E> {
    let held = hold();
    Ok((asked.await?, held))
}

pub(super) struct Held;

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = state();
        state.held = state.held.saturating_sub(1);
        if state.held == 0 && state.pressed {
            end();
        }
    }
}

struct State {
    held: usize,
    pressed: bool,
}

fn state() -> MutexGuard<'static, State> {
    static STATE: Mutex<State> = Mutex::new(State { held: 0, pressed: false });
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn end() -> ! {
    #[cfg(unix)]
    super::hidden::show_again();
    process::exit(STATUS.into())
}
