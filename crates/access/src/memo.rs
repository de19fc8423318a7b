// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Answers of the policies, remembered by what the question was but for whose it was ([`Slice::key`]).
//!
//! A question is new only once: whether somebody may write an item in their own home does not depend on who it is. So what
//! Cedar said of the first is what it would say of all, as long as no policy names a single account, home or thing; a set of
//! policies in which one does is always asked.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::decision::Refusal;
use crate::slice::Slice;

/// How many answers are kept. The delivered policies can be asked a few hundred different questions by the server's own
/// routes; what comes after the bound is decided anew each time.
const CAPACITY: usize = 4_096;

/// What was answered so far.
#[derive(Default)]
pub(crate) struct Memo(RwLock<HashMap<Vec<u8>, Result<(), Refusal>>>);

impl Memo {
    /// The answer to this question, from `decide` when it was not asked before.
    pub(crate) fn answer(
        &self,
        slice: Slice,
        decide: impl FnOnce(Slice) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let key = slice.key();
        if let Some(answer) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return *answer;
        }
        let answer = decide(slice);
        let mut answers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if answers.len() < CAPACITY {
            answers.insert(key, answer);
        }
        answer
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.read().unwrap().len()
    }
}
