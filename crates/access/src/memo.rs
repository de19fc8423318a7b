// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Answers of the policies, remembered by what the question was but for whose it was ([`Slice::key`]).
//!
//! A question is new only once: whether somebody may write an item in their own home does not depend on who it is. So what
//! Cedar said of the first is what it would say of all, as long as no policy names a single account, home or thing. For a set of
//! policies in which one does, the question is remembered with every id in it.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use sha2::{Digest as _, Sha256};

use crate::decision::Refusal;
use crate::slice::Slice;

/// How many answers are kept. The delivered policies can be asked a few hundred different questions by the server's own
/// routes; at the bound all are forgotten.
const CAPACITY: usize = 4_096;

/// What was answered so far.
pub(crate) struct Memo {
    /// By the SHA-256 of the question: with every id in it one may be of many KiB.
    answers: RwLock<HashMap<[u8; 32], Result<(), Refusal>>>,
    /// Whether ids matter.
    exact: bool,
}

impl Memo {
    /// Nothing answered yet. `exact` when a policy names a single thing.
    pub(crate) fn new(exact: bool) -> Memo {
        Memo { answers: RwLock::default(), exact }
    }

    #[cfg(test)]
    pub(crate) fn is_exact(&self) -> bool {
        self.exact
    }

    /// The same, empty.
    pub(crate) fn emptied(&self) -> Memo {
        Memo::new(self.exact)
    }

    /// The answer to this question, from `decide` when it was not asked before.
    pub(crate) fn answer(
        &self,
        slice: Slice,
        decide: impl FnOnce(Slice) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let key = Sha256::digest(if self.exact { slice.exact_key() } else { slice.key() }).into();
        if let Some(answer) = self.answers.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return *answer;
        }
        let answer = decide(slice);
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= CAPACITY {
            answers.clear();
        }
        answers.insert(key, answer);
        answer
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.answers.read().unwrap().len()
    }
}
