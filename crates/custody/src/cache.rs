// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Opened tenant keys, for a while and not too many.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use store::TenantId;

use crate::TenantKeys;

/// A bounded set of opened tenant keys. An entry is believed for [`BELIEVED_MS`]: after that its row is read again,
/// so a key destroyed by another server is gone from this one within a minute.
pub(crate) struct TenantCache {
    capacity: usize,
    entries: Mutex<HashMap<TenantId, Entry>>,
}

struct Entry {
    keys: TenantKeys,
    read_at: i64,
}

impl TenantCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, entries: Mutex::new(HashMap::new()) }
    }

    pub(crate) fn get(&self, tenant: TenantId, now: i64) -> Option<TenantKeys> {
        let entries = self.lock();
        let entry = entries.get(&tenant)?;
        entry.is_believed(now).then(|| entry.keys.clone())
    }

    pub(crate) fn put(&self, keys: TenantKeys, now: i64) {
        let mut entries = self.lock();
        if entries.len() >= self.capacity {
            entries.retain(|_, entry| entry.is_believed(now));
        }
        if entries.len() >= self.capacity {
            // Reading a row again is cheap; which one goes does not matter.
            if let Some(tenant) = entries.keys().next().copied() {
                entries.remove(&tenant);
            }
        }
        entries.insert(keys.tenant(), Entry { keys, read_at: now });
    }

    pub(crate) fn forget(&self, tenant: TenantId) {
        self.lock().remove(&tenant);
    }

    /// A panic elsewhere cannot leave the map half changed in a way that matters: at worst an entry is missing.
    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// The difference in both directions, so that a clock set back does not keep an entry for ever.
    fn is_believed(&self, now: i64) -> bool {
        now.abs_diff(self.read_at) < BELIEVED_MS
    }
}

const BELIEVED_MS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_holds_more_than_its_bound() {
        let cache = TenantCache::new(3);
        for at in 0..10 {
            cache.put(TenantKeys::of_nobody(TenantId::random()), at);
        }
        assert_eq!(cache.lock().len(), 3);
    }

    #[test]
    fn an_entry_is_believed_for_a_minute_and_not_after_the_clock_was_set_back() {
        let cache = TenantCache::new(3);
        let tenant = TenantId::random();
        cache.put(TenantKeys::of_nobody(tenant), 1_000_000);
        assert!(cache.get(tenant, 1_059_999).is_some());
        assert!(cache.get(tenant, 1_060_000).is_none());
        assert!(cache.get(tenant, 940_000).is_none());
    }
}
