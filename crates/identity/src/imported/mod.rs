// SPDX-License-Identifier: Apache-2.0 OR MIT
//! People who come over from another system, with the hash of the password that they had there.
//!
//! ```text
//! import   directory         import_users      a row each: keyed hash of the address, a number, the sealed hash
//! start    directory (view)  imported_start    the hash of the address, or a decoy
//!          no database       prove             slow: is it the password? Not on an async thread
//!          no database       imported_started  goes on as a sign-up: the answer of `signup_start`
//! finish   …                 as a sign-up; the number is the imported one, and the hash goes with the word 'live'
//! ```
//!
//! Until the first sign-in there is no account: no home, no keys, no address. That one time the server sees the password;
//! it is held against the hash in memory and forgotten, and what is registered then is OPAQUE's.
//!
//! An address that was not imported, one whose owner has come in already, and a wrong password are the same work and the
//! same answer: where there is no hash, one of nobody is checked, as slow as that of a person drawn (by the
//! pepper) from those who were imported.
//!
//! Who proves the address by a mailed code signs up as anybody, and keeps the imported number. Where addresses need
//! not be proved, an imported address is taken.

pub(crate) mod hash;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use keyring::email::{EmailError, EmailHash};
use keyring::{AccountNumber, Email, SystemRng};
use store::{ReadTx, WriteTx, params};
use zeroize::Zeroizing;

pub use hash::{HashError, NoMemory};

use crate::AccountId;
use crate::failure::Failure;
use crate::service::{Identity, in_directory};
use crate::signup::{SignupError, SignupStart, SignupStarted, StartFields};
use hash::{Cost, ImportedHash};

/// Somebody to import: everything is checked, nothing is stored.
pub struct ImportedUser {
    email_hash: EmailHash,
    hash: Zeroizing<String>,
    cost: Cost,
    created_at: Option<i64>,
}

impl ImportedUser {
    /// Checks an address and a hash. `created_at` is when the account was made where it comes from, in milliseconds
    /// since the Unix epoch.
    ///
    /// # Errors
    /// Says what cannot be taken; never what it is.
    pub fn parse(
        email: &str,
        hash: &str,
        created_at: Option<i64>,
        now_ms: i64,
    ) -> Result<Self, ImportReject> {
        let email = Email::parse(email)?;
        let cost = ImportedHash::parse(hash)?.cost();
        if created_at.is_some_and(|at| !(0..=now_ms).contains(&at)) {
            return Err(ImportReject::CreatedAt);
        }
        Ok(Self { email_hash: email.hash(), hash: Zeroizing::new(hash.to_owned()), cost, created_at })
    }
}

/// Why somebody cannot be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportReject {
    /// The address is none.
    #[error(transparent)]
    Email(#[from] EmailError),
    /// The hash is none that can be checked.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The time is before 1970 or in the future.
    #[error("the time is before 1970 or has not come yet")]
    CreatedAt,
}

/// What became of somebody who was to be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Import {
    /// There now, with this number.
    Imported(AccountNumber),
    /// Was imported before; that hash stays.
    Known(AccountNumber),
    /// Has an account of that address already, which nothing imported touches.
    HasAccount(AccountNumber),
}

/// A first sign-in before its slow step.
pub struct ImportedSignin {
    fields: StartFields,
    hash: ImportedHash,
    is_known: bool,
}

impl ImportedSignin {
    /// Holds the password against the hash; without one, against that of nobody. Takes as long as the hash is slow, and as much
    /// memory: not on an async thread, and not many at once.
    ///
    /// # Errors
    /// When the machine lacks the memory.
    pub fn prove(self, password: &[u8]) -> Result<Option<ProvenImport>, NoMemory> {
        let is_right = self.hash.verify(password)?;
        Ok((is_right & self.is_known).then_some(ProvenImport { fields: self.fields }))
    }
}

/// The imported password was right.
pub struct ProvenImport {
    pub(crate) fields: StartFields,
}

/// Whom a sign-up finds waiting for its address.
pub(crate) struct Waiting {
    pub(crate) number: AccountNumber,
    pub(crate) created_at: Option<i64>,
}

/// What imported hashes cost, and how many of each there are.
pub(crate) type Costs = Arc<[(Cost, u64)]>;

impl Identity {
    /// Stores people who may come in with their old passwords. In the directory. What is there already stays as it is, so
    /// that an import may be repeated.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn import_users(
        &self,
        tx: &mut WriteTx,
        users: &[ImportedUser],
    ) -> Result<Vec<Import>, Failure> {
        in_directory(tx)?;
        let keys = self.custody.tenant_or_new(tx).await?;
        let now = tx.now();
        let rows: Vec<_> = users
            .iter()
            .map(|user| {
                let index = *self.blind_index(&user.email_hash).as_bytes();
                let sealed = keys.seal(IMPORTED_HASH, &[&index], user.hash.as_bytes());
                (index, sealed, user.cost.to_string())
            })
            .collect();
        let mut outcomes = vec![None; users.len()];
        let mut open: Vec<usize> = (0..users.len()).collect();
        let mut by_cost: BTreeMap<&str, u64> = BTreeMap::new();
        for _ in 0..NUMBER_TRIES {
            let numbered: Vec<_> =
                open.iter().map(|place| (*place, AccountNumber::generate(&mut SystemRng))).collect();
            let taken = insert(tx, &rows, users, &numbered, now).await?;
            open.clear();
            for ((place, number), is_in) in numbered.into_iter().zip(taken) {
                let Some((index, _, cost)) = rows.get(place) else { continue };
                let outcome = if is_in {
                    *by_cost.entry(cost).or_default() += 1;
                    Some(Import::Imported(number))
                } else {
                    standing(tx, index).await?
                };
                // Nobody stands there: the number was somebody else's.
                if outcome.is_none() {
                    open.push(place);
                }
                if let Some(slot) = outcomes.get_mut(place) {
                    *slot = outcome;
                }
            }
            if open.is_empty() {
                break;
            }
        }
        for (cost, count) in by_cost {
            count_cost(tx, cost, i64::try_from(count).unwrap_or(i64::MAX)).await?;
        }
        let all: Option<Vec<Import>> = outcomes.into_iter().collect();
        Ok(all.ok_or_else(|| store::StoreError::Conflict("no account number is free".into()))?)
    }

    /// Reads what imported hashes cost, for decoys. In a view of the directory; at the start and now and again, since
    /// another process imports.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn reload_imports(&self, tx: &mut ReadTx) -> Result<(), Failure> {
        in_directory(tx)?;
        let rows: Vec<(String, i64)> =
            tx.query("SELECT cost, users FROM imported_cost ORDER BY cost", params![]).await?;
        let known = |(cost, users): (String, i64)| Some((cost.parse().ok()?, u64::try_from(users).ok()?));
        *self.imports.write().unwrap_or_else(PoisonError::into_inner) =
            rows.into_iter().filter_map(known).collect();
        Ok(())
    }

    /// Whether people may come in with passwords of the system that they come from: the setting allows it, and
    /// somebody was imported.
    pub fn imports_are_open(&self) -> bool {
        self.settings.imported_sign_in && !self.costs().is_empty()
    }

    /// Finds the hash to hold a password against. In a view of the directory.
    ///
    /// # Errors
    /// [`SignupError::Field`] as [`signup_start`](Self::signup_start); never anything about the address.
    pub async fn imported_start(
        &self,
        tx: &mut ReadTx,
        request: &SignupStart,
    ) -> Result<ImportedSignin, SignupError> {
        in_directory(tx)?;
        let fields = self.start_fields(request)?;
        let index = fields.address.index;
        let row: Option<(Option<Vec<u8>>, String, i64)> = tx
            .query_opt(
                "SELECT sealed_hash, cost,
                        (SELECT count(*) FROM password_login WHERE email_index = $1 AND state = 'live')
                 FROM imported_user WHERE email_index = $1",
                params![&index],
            )
            .await?;
        let keys = self.custody.tenant(tx).await?;
        let damaged = || Failure::Damaged("imported hash");
        let (hash, is_known) = match row {
            Some((Some(sealed), _, 0)) => {
                let text = keys.open(IMPORTED_HASH, &[&index], &sealed).map_err(|_| damaged())?;
                let text = std::str::from_utf8(&text).map_err(|_| damaged())?;
                (ImportedHash::parse(text).map_err(|_| damaged())?, true)
            }
            // As slow as before somebody came in.
            Some((_, cost, _)) => (ImportedHash::of_nobody(cost.parse().map_err(|_| damaged())?), false),
            None => (ImportedHash::of_nobody(self.cost_of_unknown(&index)), false),
        };
        Ok(ImportedSignin { fields, hash, is_known })
    }

    /// Goes on as a sign-up whose proof is the old password; where addresses must be proved, by a mailed code too.
    pub fn imported_started(&self, now_ms: i64, proven: ProvenImport) -> SignupStarted {
        self.signup_started(now_ms, proven.fields, false, true)
    }

    /// What the hash of an address costs that nobody was imported under.
    fn cost_of_unknown(&self, index: &[u8; 32]) -> Cost {
        let score = |cost: &Cost| self.keyed("imported-cost", &[index, cost.to_string().as_bytes()]);
        cost_of_unknown(&self.costs(), score).unwrap_or(Cost::Bcrypt { rounds_log2: 10 })
    }

    fn costs(&self) -> Costs {
        Arc::clone(&self.imports.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Draws from those that there are: always the same for the same `keyed`, and each cost as often as people have it (rendezvous
/// hashing with weights, so that a further one changes it for few).
pub(crate) fn cost_of_unknown(costs: &[(Cost, u64)], keyed: impl Fn(&Cost) -> [u8; 32]) -> Option<Cost> {
    let score = |(cost, users): &(Cost, u64)| {
        let [a, b, c, d, e, f, ..] = keyed(cost);
        let drawn = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        // Between 0 and 1, and neither.
        let uniform = (drawn as f64 + 0.5) / (1_u64 << 48) as f64;
        uniform.ln() / *users as f64
    };
    costs.iter().max_by(|a, b| score(a).total_cmp(&score(b))).map(|(cost, _)| *cost)
}

/// Inserts with these numbers; says who is in.
async fn insert(
    tx: &mut WriteTx,
    rows: &[([u8; 32], Vec<u8>, String)],
    users: &[ImportedUser],
    numbered: &[(usize, AccountNumber)],
    now: i64,
) -> Result<Vec<bool>, Failure> {
    let each: Vec<_> = numbered
        .iter()
        .filter_map(|(place, number)| {
            let ((index, sealed, cost), user) = (rows.get(*place)?, users.get(*place)?);
            Some(params![index, number.as_str(), sealed, cost, user.created_at, now].to_vec())
        })
        .collect();
    let inserted = tx
        .execute_each(
            "INSERT INTO imported_user (email_index, account_number, sealed_hash, cost, created_at, imported_at)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT DO NOTHING",
            &each,
        )
        .await?;
    let new: Vec<_> = numbered
        .iter()
        .zip(&inserted)
        .filter(|(_, inserted)| **inserted == 1)
        .filter_map(|((place, _), _)| Some(params![&rows.get(*place)?.0].to_vec()))
        .collect();
    // Out again whose address or number is an account's.
    let removed = tx
        .execute_each(
            "DELETE FROM imported_user WHERE email_index = $1
             AND (EXISTS (SELECT 1 FROM password_login WHERE password_login.email_index = imported_user.email_index)
                  OR EXISTS (SELECT 1 FROM account_directory
                             WHERE account_directory.account_number = imported_user.account_number))",
            &new,
        )
        .await?;
    let mut removed = removed.into_iter();
    Ok(inserted.into_iter().map(|inserted| inserted == 1 && removed.next() == Some(0)).collect())
}

/// Who has the address: somebody imported before, or an account.
async fn standing(tx: &mut WriteTx, index: &[u8; 32]) -> Result<Option<Import>, Failure> {
    let account: Option<(String,)> = tx
        .query_opt(
            "SELECT account_number FROM account_directory
             JOIN password_login ON password_login.account = account_directory.account
             WHERE password_login.email_index = $1",
            params![index],
        )
        .await?;
    if let Some((number,)) = account {
        return Ok(Some(Import::HasAccount(read_number(&number)?)));
    }
    let imported: Option<(String,)> = tx
        .query_opt("SELECT account_number FROM imported_user WHERE email_index = $1", params![index])
        .await?;
    imported.map(|(number,)| Ok(Import::Known(read_number(&number)?))).transpose()
}

async fn count_cost(tx: &mut WriteTx, cost: &str, users: i64) -> Result<(), Failure> {
    tx.execute(
        "INSERT INTO imported_cost (cost, users) VALUES ($1, 0) ON CONFLICT DO NOTHING",
        params![cost],
    )
    .await?;
    tx.execute("UPDATE imported_cost SET users = users + $1 WHERE cost = $2", params![users, cost]).await?;
    Ok(())
}

/// Whether somebody was imported under this address and has not come in yet.
pub(crate) async fn waiting(tx: &mut ReadTx, index: &[u8; 32]) -> Result<Option<Waiting>, Failure> {
    let row: Option<(String, Option<i64>)> = tx
        .query_opt(
            "SELECT account_number, created_at FROM imported_user
             WHERE email_index = $1 AND sealed_hash IS NOT NULL",
            params![index],
        )
        .await?;
    row.map(|(number, created_at)| Ok(Waiting { number: read_number(&number)?, created_at })).transpose()
}

/// Whether a number is kept for somebody who was imported.
pub(crate) async fn is_kept(tx: &mut ReadTx, number: &AccountNumber) -> Result<bool, Failure> {
    let row: Option<(i64,)> = tx
        .query_opt(
            "SELECT imported_at FROM imported_user WHERE account_number = $1",
            params![number.as_str()],
        )
        .await?;
    Ok(row.is_some())
}

/// Takes the hash away of whoever has an account now. What it cost stays: who asks again is answered as slowly.
pub(crate) async fn forget_hash(tx: &mut WriteTx, account: AccountId) -> Result<(), Failure> {
    tx.execute(
        "UPDATE imported_user SET sealed_hash = NULL
         WHERE email_index = (SELECT email_index FROM password_login WHERE account = $1 AND state = 'live')",
        params![account.uuid()],
    )
    .await?;
    Ok(())
}

/// Forgets that an account was imported, before it goes.
pub(crate) async fn forget(tx: &mut WriteTx, account: AccountId) -> Result<(), Failure> {
    tx.execute(
        "DELETE FROM imported_user
         WHERE email_index = (SELECT email_index FROM password_login WHERE account = $1)",
        params![account.uuid()],
    )
    .await?;
    Ok(())
}

fn read_number(text: &str) -> Result<AccountNumber, Failure> {
    AccountNumber::parse(text).map_err(|_| Failure::Damaged("account number"))
}

/// What the hash is sealed as, with the keyed hash of its address.
const IMPORTED_HASH: &str = "imported-hash";
const NUMBER_TRIES: usize = 16;
