// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Plain passwords: for backends that cannot run the client, in tenants that allow them.
//!
//! ```text
//! allow    tenant         allow_plain_passwords   off until somebody who manages the tenant says so
//! set      tenant         set_plain_password      by the member, or imported as a hash by who manages the tenant
//! token    tenant (view)  plain_candidate         the hash of the name, or a decoy
//!          no database    prove                   slow: is it the password? Not on an async thread
//!          tenant         use_plain_password      still the same; a hash of another kind is replaced by our own
//! ```
//!
//! This is weaker than all else here: the server sees the password each time, there is no second factor, and it can be guessed from a
//! stolen database with the tenant's key. So it is no login method. It opens nothing but tokens of one client of one tenant, for the
//! member that it is of; not their account, their files, or another tenant. An imported hash is the word of who imported it: it
//! opens no more than they might give themselves, which whoever uses it asks ([`PlainPassword::set_by`]).
//!
//! A password is of one membership: who was taken out and comes in again sets another.

use store::{ReadTx, StoreError, WriteTx, params};
use uuid::Uuid;
use zeroize::Zeroizing;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::imported::hash::{Cost, ImportedHash, argon2id};
use crate::imported::{Costs, HashError, NoMemory, cost_of_unknown};
use crate::service::Identity;

/// How many bytes a name has at most.
pub const MAX_PLAIN_NAME: usize = 254;
/// How many bytes a plain password has at least. There is no second factor.
pub const MIN_PLAIN_PASSWORD: usize = 12;
/// How many bytes it has at most.
pub const MAX_PLAIN_PASSWORD: usize = 1024;

/// Why a plain password cannot be set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlainPasswordError {
    /// The tenant does not allow any.
    #[error("this tenant does not allow plain passwords")]
    NotAllowed,
    /// Somebody else has the name.
    #[error("the name is taken")]
    NameTaken,
    /// The server's own.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<StoreError> for PlainPasswordError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// By what somebody is named to an old client: 1 to 254 bytes, without spaces around or control characters. Compared without
/// regard to case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainName(String);

impl PlainName {
    /// Reads a name; none when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let is_name = (1..=MAX_PLAIN_NAME).contains(&text.len())
            && text.trim() == text
            && !text.chars().any(char::is_control);
        is_name.then(|| Self(text.to_owned()))
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

/// What can be checked: a password's hash.
pub struct PlainHash {
    text: Zeroizing<String>,
    cost: Cost,
}

impl PlainHash {
    /// Hashes a password, with Argon2id. Slow: not on an async thread.
    ///
    /// # Errors
    /// When the machine lacks the memory.
    pub fn of(password: &[u8]) -> Result<Self, NoMemory> {
        let text = argon2id(OWN, password)?;
        Ok(Self { text, cost: OWN })
    }

    /// Reads a hash of another system: Argon2 in PHC form, or bcrypt.
    ///
    /// # Errors
    /// Says what cannot be taken.
    pub fn imported(text: &str) -> Result<Self, HashError> {
        let cost = ImportedHash::parse(text)?.cost();
        if !cost.is_a_tenants() {
            return Err(HashError::TenantsCost);
        }
        Ok(Self { text: Zeroizing::new(text.to_owned()), cost })
    }
}

/// A plain password to be set.
pub struct NewPlainPassword<'a> {
    /// The member.
    pub account: Uuid,
    /// Since when they are one, in Unix milliseconds.
    pub joined_at: i64,
    /// Their name.
    pub name: &'a PlainName,
    /// The hash.
    pub hash: PlainHash,
    /// Who sets it: the member, or who imports it.
    pub set_by: Uuid,
}

/// A plain password as it is listed.
#[derive(Clone, Debug)]
pub struct PlainPassword {
    /// The member.
    pub account: Uuid,
    /// Since when they are one.
    pub joined_at: i64,
    /// Their name.
    pub name: String,
    /// Who set it: the member, or who imported it.
    pub set_by: Uuid,
    /// Since when, in Unix milliseconds.
    pub set_at: i64,
    /// When it was last used, in Unix milliseconds.
    pub used_at: Option<i64>,
    /// Whether it is held against a hash of another system still.
    pub is_imported: bool,
}

/// A password before the slow step.
pub struct PlainCandidate {
    hash: ImportedHash,
    known: Option<PlainPassword>,
}

impl PlainCandidate {
    /// Holds the password against the hash; without one, against that of nobody. Takes as long as the hash is slow, and as much
    /// memory: not on an async thread, and not many at once.
    ///
    /// # Errors
    /// When the machine lacks the memory.
    pub fn prove(self, password: &[u8]) -> Result<Option<ProvenPlain>, NoMemory> {
        let is_right = self.hash.verify(password)?;
        let Some(known) = self.known.filter(|_| is_right) else { return Ok(None) };
        let upgraded = if self.hash.cost() == OWN { None } else { Some(PlainHash::of(password)?) };
        Ok(Some(ProvenPlain { known, upgraded }))
    }
}

/// The password was right.
pub struct ProvenPlain {
    /// Whose it is.
    pub known: PlainPassword,
    upgraded: Option<PlainHash>,
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Kept {
    name: String,
    hash: Zeroizing<String>,
    set_by: String,
    joined_at: i64,
}

type Row = (Uuid, Vec<u8>, String, i64, Option<i64>);

impl Identity {
    /// Says whether the transaction's tenant allows plain passwords. Those that there are stay, and open nothing meanwhile.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn allow_plain_passwords(&self, tx: &mut WriteTx, is_allowed: bool) -> Result<(), Failure> {
        if is_allowed {
            let now = tx.now();
            let sql = "INSERT INTO plain_password_allowed (one, since) VALUES (1, $1) ON CONFLICT DO NOTHING";
            tx.execute(sql, params![now]).await?;
        } else {
            tx.execute("DELETE FROM plain_password_allowed", params![]).await?;
        }
        Ok(())
    }

    /// Since when the tenant allows plain passwords, in Unix milliseconds.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn plain_passwords_since(&self, tx: &mut ReadTx) -> Result<Option<i64>, Failure> {
        let row: Option<(i64,)> = tx.query_opt("SELECT since FROM plain_password_allowed", params![]).await?;
        Ok(row.map(|(since,)| since))
    }

    /// Sets a member's plain password, in place of the one before. Whether there is such a member is the caller's to know.
    ///
    /// # Errors
    /// [`PlainPasswordError::NotAllowed`], [`PlainPasswordError::NameTaken`].
    pub async fn set_plain_password(
        &self,
        tx: &mut WriteTx,
        new: &NewPlainPassword<'_>,
    ) -> Result<(), PlainPasswordError> {
        if self.plain_passwords_since(tx).await?.is_none() {
            return Err(PlainPasswordError::NotAllowed);
        }
        let lookup = self.plain_lookup(tx, new.name);
        let holder: Option<(Uuid,)> = tx
            .query_opt("SELECT account FROM plain_password WHERE name_lookup = $1", params![&lookup])
            .await?;
        if holder.is_some_and(|(account,)| account != new.account) {
            return Err(PlainPasswordError::NameTaken);
        }
        let kept = Kept {
            name: new.name.0.clone(),
            hash: new.hash.text.clone(),
            set_by: new.set_by.to_string(),
            joined_at: new.joined_at,
        };
        let sealed = self.seal_plain(tx, new.account, &kept).await?;
        let now = tx.now();
        tx.execute("DELETE FROM plain_password WHERE account = $1", params![&new.account]).await?;
        tx.execute(
            "INSERT INTO plain_password (account, name_lookup, cost, sealed, set_at) VALUES ($1, $2, $3, $4, $5)",
            params![&new.account, &lookup, &new.hash.cost.to_string(), &sealed, now],
        )
        .await?;
        Ok(())
    }

    /// Takes a member's plain password away, and with it all tokens that came of it; false when there was none.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn forget_plain_password(&self, tx: &mut WriteTx, account: Uuid) -> Result<bool, Failure> {
        let gone = tx.execute("DELETE FROM plain_password WHERE account = $1", params![&account]).await?;
        Ok(gone == 1)
    }

    /// A member's plain password.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn plain_password(
        &self,
        tx: &mut ReadTx,
        account: Uuid,
    ) -> Result<Option<PlainPassword>, Failure> {
        let row: Option<Row> = tx
            .query_opt(
                "SELECT account, sealed, cost, set_at, used_at FROM plain_password WHERE account = $1",
                params![&account],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(self.open_plain(tx, row).await?.0))
    }

    /// The plain passwords of the tenant's members after `after`, by account, at most `limit`.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn plain_passwords(
        &self,
        tx: &mut ReadTx,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<PlainPassword>, Failure> {
        let rows: Vec<Row> = tx
            .query(
                "SELECT account, sealed, cost, set_at, used_at FROM plain_password \
                 WHERE account > $1 ORDER BY account LIMIT $2",
                params![&after.unwrap_or_default(), i64::from(limit)],
            )
            .await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            all.push(self.open_plain(tx, row).await?.0);
        }
        Ok(all)
    }

    /// Finds the hash to hold a password against. A name that nobody has is as slow as that of a member drawn from those that
    /// there are.
    ///
    /// # Errors
    /// Only the server's own; never anything about the name.
    pub async fn plain_candidate(
        &self,
        tx: &mut ReadTx,
        name: &PlainName,
    ) -> Result<PlainCandidate, Failure> {
        let lookup = self.plain_lookup(tx, name);
        let row: Option<Row> = tx
            .query_opt(
                "SELECT account, sealed, cost, set_at, used_at FROM plain_password WHERE name_lookup = $1",
                params![&lookup],
            )
            .await?;
        let costs: Vec<(String, i64)> = tx
            .query("SELECT cost, count(*) FROM plain_password GROUP BY cost ORDER BY cost", params![])
            .await?;
        if let Some(row) = row {
            let (known, hash) = self.open_plain(tx, row).await?;
            // Whoever writes the database alone puts no row in another one's place.
            if PlainName(known.name.clone()).folded() != name.folded() {
                return Err(Failure::Damaged("plain password"));
            }
            let damaged = || Failure::Damaged("plain password");
            let hash = ImportedHash::parse(&hash).map_err(|_| damaged())?;
            return Ok(PlainCandidate { hash, known: Some(known) });
        }
        // The same work as for somebody who is there: reading the key, opening the row.
        self.custody.tenant(tx).await?;
        let known = |(cost, count): (String, i64)| Some((cost.parse().ok()?, u64::try_from(count).ok()?));
        let costs: Costs = costs.into_iter().filter_map(known).collect();
        let score = |cost: &Cost| self.keyed("plain-password-cost", &[&lookup, cost.to_string().as_bytes()]);
        let cost = cost_of_unknown(&costs, score).unwrap_or(OWN);
        Ok(PlainCandidate { hash: ImportedHash::of_nobody(cost), known: None })
    }

    /// Notes that a password was used, and replaces a hash of another kind by one of our own; false when it is another one by now,
    /// or none. In the transaction that the tokens come of.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn use_plain_password(&self, tx: &mut WriteTx, proven: &ProvenPlain) -> Result<bool, Failure> {
        let PlainPassword { account, set_at, .. } = proven.known;
        let now = tx.now();
        let used = tx
            .execute(
                "UPDATE plain_password SET used_at = $3 WHERE account = $1 AND set_at = $2",
                params![&account, set_at, now],
            )
            .await?;
        if used != 1 {
            return Ok(false);
        }
        if let Some(own) = &proven.upgraded {
            let kept = Kept {
                name: proven.known.name.clone(),
                hash: own.text.clone(),
                set_by: proven.known.set_by.to_string(),
                joined_at: proven.known.joined_at,
            };
            let sealed = self.seal_plain(tx, account, &kept).await?;
            tx.execute(
                "UPDATE plain_password SET sealed = $2, cost = $3 WHERE account = $1",
                params![&account, &sealed, &own.cost.to_string()],
            )
            .await?;
        }
        Ok(true)
    }

    /// What tries at a name are charged to: the same for whoever has the name, and for nobody.
    pub fn plain_tries(&self, tenant: store::TenantId, name: &PlainName) -> [u8; 16] {
        let key = self.keyed("plain-password-tries", &[tenant.as_bytes(), name.folded().as_bytes()]);
        let mut out = [0; 16];
        out.iter_mut().zip(key).for_each(|(out, byte)| *out = byte);
        out
    }

    fn plain_lookup(&self, tx: &ReadTx, name: &PlainName) -> [u8; 32] {
        self.keyed("plain-password-name", &[tx.tenant().as_bytes(), name.folded().as_bytes()])
    }

    async fn seal_plain(&self, tx: &mut WriteTx, account: Uuid, kept: &Kept) -> Result<Vec<u8>, Failure> {
        // A struct of texts and a number is always written.
        let plain = Zeroizing::new(serde_json::to_vec(kept).unwrap_or_default());
        Ok(self.custody.tenant(tx).await?.seal(PLAIN, &[account.as_bytes()], &plain))
    }

    async fn open_plain(
        &self,
        tx: &mut ReadTx,
        (account, sealed, cost, set_at, used_at): Row,
    ) -> Result<(PlainPassword, Zeroizing<String>), Failure> {
        let damaged = || Failure::Damaged("plain password");
        let keys = self.custody.tenant(tx).await?;
        let opened = keys.open(PLAIN, &[account.as_bytes()], &sealed).map_err(|_| damaged())?;
        let Kept { name, hash, set_by, joined_at } =
            serde_json::from_slice(&opened).map_err(|_| damaged())?;
        let set_by = set_by.parse().map_err(|_| damaged())?;
        let is_imported = cost.parse::<Cost>() != Ok(OWN);
        Ok((PlainPassword { account, joined_at, name, set_by, set_at, used_at, is_imported }, hash))
    }
}

/// What our own hashes cost: OWASP's first choice for Argon2id, 19 MiB and two passes.
const OWN: Cost =
    Cost::Argon2 { algorithm: argon2::Algorithm::Argon2id, memory_kib: 19 * 1024, passes: 2, lanes: 1 };
/// What name and hash are sealed as, with the account.
const PLAIN: &str = "plain-password";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_clean() {
        for good in ["a", "Ada", "ada@acme.example", &"x".repeat(254)] {
            assert!(PlainName::parse(good).is_some(), "{good}");
        }
        for bad in ["", " ada", "ada ", "a\nb", "a\0", &"x".repeat(255)] {
            assert!(PlainName::parse(bad).is_none(), "{bad:?}");
        }
        assert_eq!(PlainName::parse("Ada").unwrap().folded(), PlainName::parse("aDA").unwrap().folded());
    }

    #[test]
    fn our_own_hash_is_read_again_and_is_of_its_password_alone() {
        let hash = PlainHash::of(b"correct horse battery").unwrap();
        assert!(hash.text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.text.as_str());
        let read = ImportedHash::parse(&hash.text).unwrap();
        assert_eq!(read.cost(), OWN);
        assert!(read.verify(b"correct horse battery").unwrap());
        assert!(!read.verify(b"correct horse batterz").unwrap());
        let again = PlainHash::of(b"correct horse battery").unwrap();
        assert_ne!(hash.text, again.text, "the salt is another one");
    }

    #[test]
    fn a_hash_of_another_system_is_replaced_at_the_first_use() {
        let known = PlainPassword {
            account: Uuid::nil(),
            joined_at: 0,
            name: "ada".to_owned(),
            set_by: Uuid::nil(),
            set_at: 0,
            used_at: None,
            is_imported: true,
        };
        let bcrypt = "$2b$04$kQGd/Wm0zASddF4JdECEKu3fjCZyXc1Ek.GPCfltqIGZgJkYMb.Pu";
        let wrong = PlainCandidate { hash: ImportedHash::parse(bcrypt).unwrap(), known: Some(known.clone()) };
        assert!(wrong.prove(b"certainly not this").unwrap().is_none());
        let hash = ImportedHash::parse(&PlainHash::of(b"its own password").unwrap().text).unwrap();
        let own = PlainCandidate { hash, known: Some(known.clone()) };
        assert!(own.prove(b"its own password").unwrap().unwrap().upgraded.is_none());
        let other =
            Cost::Argon2 { algorithm: argon2::Algorithm::Argon2id, memory_kib: 64, passes: 1, lanes: 1 };
        let hash = ImportedHash::parse(&argon2id(other, b"its own password").unwrap()).unwrap();
        let upgraded = PlainCandidate { hash, known: Some(known) }.prove(b"its own password").unwrap();
        let upgraded = upgraded.unwrap().upgraded.unwrap();
        assert!(ImportedHash::parse(&upgraded.text).unwrap().verify(b"its own password").unwrap());
    }
}
