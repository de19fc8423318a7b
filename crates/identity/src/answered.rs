// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Changes that are asked for twice under one `Idempotency-Key` happen once.
//!
//! ```text
//! in the change's own transaction   claim_request   the key is taken, with the hash of the request; or it was before
//! after that, in another            keep_answer     what was answered, sealed for that key and request
//! ```
//!
//! The claim is durable with the change or not at all, so a repetition never changes anything again. What was answered is
//! kept a moment later: when a crash comes between, who asks again is told that it was done, and reads the state.
//! Both are kept for [`ANSWERS_KEPT_MS`]; an account has at most [`MAX_ANSWERS`] at a time in a tenant.

use store::{WriteTx, params};
use zeroize::Zeroizing;

use crate::AccountId;
use crate::failure::Failure;
use crate::service::{Identity, same};

/// For how long a key is remembered, in milliseconds: a day.
pub const ANSWERS_KEPT_MS: i64 = 24 * 60 * 60 * 1_000;
/// How many keys of a home are remembered at most.
pub const MAX_ANSWERS: u32 = 10_000;

/// A request under a key: hashes of both, so that neither is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyedRequest {
    /// Who asks.
    pub account: AccountId,
    /// SHA-256 of the key.
    pub key: [u8; 32],
    /// SHA-256 of everything that makes the request what it is.
    pub request: [u8; 32],
}

/// What there is of a key.
pub enum Claim {
    /// It is new: the change may be made.
    New,
    /// The same request was answered so.
    Answered(Zeroizing<Vec<u8>>),
    /// The same request was carried out; its answer is not kept, or not yet.
    Done,
    /// Another request came under this key.
    OtherRequest,
    /// It is new, and there are too many already.
    TooMany,
}

impl Identity {
    /// Takes the key for this request, in the transaction of its change. Unless it is [`Claim::New`], drop that.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn claim_request(&self, tx: &mut WriteTx, asked: &KeyedRequest) -> Result<Claim, Failure> {
        let now = tx.now();
        tx.execute("DELETE FROM answered WHERE created_at <= $1", params![now - ANSWERS_KEPT_MS]).await?;
        let claimed = tx
            .execute(
                "INSERT INTO answered (account, idempotency_key, request, created_at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT DO NOTHING",
                params![asked.account.uuid(), &asked.key, &asked.request, now],
            )
            .await?;
        if claimed == 1 {
            // Only what is new is counted, itself too: what was answered is answered again however many there are.
            let (kept,): (i64,) = tx
                .query_one("SELECT count(*) FROM answered WHERE account = $1", params![asked.account.uuid()])
                .await?;
            return Ok(if kept > i64::from(MAX_ANSWERS) { Claim::TooMany } else { Claim::New });
        }
        let row: Option<([u8; 32], Option<Vec<u8>>)> = tx
            .query_opt(
                "SELECT request, answer FROM answered WHERE account = $1 AND idempotency_key = $2",
                params![asked.account.uuid(), &asked.key],
            )
            .await?;
        let Some((request, answer)) = row else { return Ok(Claim::Done) };
        if !same(&request, &asked.request) {
            return Ok(Claim::OtherRequest);
        }
        let Some(answer) = answer else { return Ok(Claim::Done) };
        let keys = self.custody.tenant(tx).await?;
        let opened = keys.open(ANSWER, &asked.place(), &answer).map_err(|_| Failure::Damaged("answer"))?;
        Ok(Claim::Answered(opened))
    }

    /// Keeps what was answered. In a transaction of the home; says whether the key is there, as it is when the change was
    /// committed.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn keep_answer(
        &self,
        tx: &mut WriteTx,
        asked: &KeyedRequest,
        answer: &[u8],
    ) -> Result<bool, Failure> {
        let keys = self.custody.tenant(tx).await?;
        let sealed = keys.seal(ANSWER, &asked.place(), answer);
        let kept = tx
            .execute(
                "UPDATE answered SET answer = $1
                 WHERE account = $2 AND idempotency_key = $3 AND request = $4 AND answer IS NULL",
                params![&sealed, asked.account.uuid(), &asked.key, &asked.request],
            )
            .await?;
        Ok(kept == 1)
    }
}

impl KeyedRequest {
    /// What a kept answer is bound to.
    fn place(&self) -> [&[u8]; 3] {
        [self.account.as_bytes(), &self.key, &self.request]
    }
}

const ANSWER: &str = "identity/answer";
