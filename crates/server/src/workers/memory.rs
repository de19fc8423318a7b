// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Giving memory back that was needed once: at the start, when policies and documents have been made, and after a rush.

use std::time::Duration;

use tokio::sync::watch;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(60);

/// When it is looked first: what a start makes has been made by then.
const FIRST: Duration = Duration::from_secs(1);

/// So much more than what was left the last time, in bytes, is worth it.
const MORE: u64 = 32 << 20;

/// Gives memory back until the server stops.
pub(crate) async fn give_back(mut stop: watch::Receiver<bool>) {
    let (mut left, mut wait) = (0, FIRST);
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.changed() => return,
        }
        wait = EVERY;
        if resident().is_some_and(|now| now >= left + MORE) {
            let _ = tokio::task::spawn_blocking(heap::trim).await;
            left = resident().unwrap_or(u64::MAX - MORE);
        }
    }
}

/// The memory of this process that is there, in bytes; only Linux says so (`proc_pid_statm(5)`).
fn resident() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = pages.split(' ').nth(1)?.parse().ok()?;
    // Where pages are larger it is only asked for less often.
    Some(pages * 4_096)
}
