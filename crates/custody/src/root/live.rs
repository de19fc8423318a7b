// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The root keys of a running server: read again when their file has another one.
//!
//! A rotation seals tenants' keys anew under a key that a running server has not seen yet. It reads the file again when it
//! meets such a key, and now and then besides, so that what it seals itself is under the newest one too. Keys that
//! left the file go on opening until the process ends.

use std::sync::{Arc, PoisonError, RwLock};

use zeroize::Zeroizing;

use super::{RootKeyError, RootKeys};
use crate::KeyError;

pub(crate) struct LiveRoot(RwLock<Arc<RootKeys>>);

impl LiveRoot {
    pub(crate) fn new(keys: RootKeys) -> Self {
        Self(RwLock::new(Arc::new(keys)))
    }

    /// The keys as they are now.
    pub(crate) fn keys(&self) -> Arc<RootKeys> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// [`RootKeys::open`]; with what the file has now, when the key is not among those that were read.
    pub(crate) fn open(
        &self,
        id: &str,
        what: &'static str,
        purpose: &str,
        place: &[&[u8]],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        if self.keys().get(id).is_none() {
            // A file that cannot be read now is told by whoever looks at it regularly; here the key is missing.
            let _ = self.reload();
        }
        self.keys().open(id, what, purpose, place, sealed)
    }

    /// Reads the file again; says whether another key seals now. Keys that came as a secret stay.
    pub(crate) fn reload(&self) -> Result<bool, RootKeyError> {
        let known = self.keys();
        let Some(path) = &known.file else { return Ok(false) };
        let Some(mut read) = RootKeys::load(path)? else { return Ok(false) };
        let changed = read.current.id != known.current.id;
        let gone: Vec<_> = known.all().filter(|key| read.get(key.id.as_str()).is_none()).cloned().collect();
        read.older.extend(gone);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
        Ok(changed)
    }
}
