// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Domains of a tenant: those whose addresses its provider speaks for.
//!
//! A domain is proved by a TXT record, which only who runs the domain can write, or by the platform's administrator. It is one tenant's,
//! for as long as nobody else proves it while its own record is gone: domains are sold.
//!
//! Proving touches two places: the claim in the platform's directory first, by a keyed hash, then the tenant's row. After a crash in
//! between the domain leads to a tenant that does not have it yet, which lets nobody in; proving it again mends that. Before a claim
//! goes from one tenant to another, the former one's row says that the domain is not proved: what is believed is decided there.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use ring::hmac;
use store::{ReadTx, TenantId, WriteTx, params};

use crate::{Federation, FederationError, dns};

/// How many domains a tenant has at most.
pub const MAX_DOMAINS: i64 = 100;

/// A domain of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Its name.
    pub name: DomainName,
    /// Where the proof is looked for.
    pub record: String,
    /// What has to stand there.
    pub proof: String,
    /// Since when it was asked for, in Unix milliseconds.
    pub added_at: i64,
    /// Since when it is proved.
    pub verified_at: Option<i64>,
}

/// What says that a domain is a tenant's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProvedBy {
    /// A TXT record in its zone.
    Dns,
    /// The platform's administrator, for zones that the server cannot see.
    Platform,
}

/// Whose a domain is, as the directory has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DomainClaim {
    /// The tenant.
    pub owner: TenantId,
    /// What said so.
    pub proved_by: ProvedBy,
    /// When it did last, in Unix milliseconds.
    pub verified_at: i64,
}

/// A domain's name in lower-case ASCII (RFC 1123; international names as `xn--…`), of two labels or more.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName(String);

/// The text names no domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a domain such as example.org; one with other letters as xn--…")]
pub struct DomainError;

impl DomainName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The domain of an address.
    ///
    /// # Errors
    /// [`DomainError`].
    pub fn of_address(address: &str) -> Result<Self, DomainError> {
        address.rsplit_once('@').ok_or(DomainError)?.1.parse()
    }
}

impl FromStr for DomainName {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        let name = text.trim_end_matches('.').to_ascii_lowercase();
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let is_address =
            name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        if name.len() > 240 || !name.contains('.') || is_address || !name.split('.').all(is_label) {
            return Err(DomainError);
        }
        Ok(DomainName(name))
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<DomainError> for FederationError {
    fn from(error: DomainError) -> Self {
        FederationError::invalid("domain", error)
    }
}

type Row = (Vec<u8>, Vec<u8>, i64, Option<i64>);

impl Federation {
    /// The domains of the tenant, by name.
    pub async fn domains(&self, tx: &mut ReadTx) -> Result<Vec<Domain>, FederationError> {
        let rows: Vec<Row> =
            tx.query("SELECT lookup, sealed, added_at, verified_at FROM provider_domain", params![]).await?;
        let keys = self.custody.tenant(tx).await?;
        let mut domains = Vec::with_capacity(rows.len());
        for (lookup, sealed, added_at, verified_at) in rows {
            let unreadable = || FederationError::Unreadable("a domain");
            // What was proved is sealed with the name: a row that is changed in the database is proof of nothing.
            let is_verified = [u8::from(verified_at.is_some())];
            let name = keys.open(DOMAIN, &[&lookup, &is_verified], &sealed).map_err(|_| unreadable())?;
            let name: DomainName =
                std::str::from_utf8(&name).ok().and_then(|name| name.parse().ok()).ok_or_else(unreadable)?;
            let (record, proof) = (record(&name), self.proof(tx, &name).await?);
            domains.push(Domain { name, record, proof, added_at, verified_at });
        }
        domains.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(domains)
    }

    /// One domain.
    ///
    /// # Errors
    /// [`FederationError::NotFound`].
    pub async fn domain(&self, tx: &mut ReadTx, name: &DomainName) -> Result<Domain, FederationError> {
        let found = self.domains(tx).await?.into_iter().find(|domain| domain.name == *name);
        found.ok_or(FederationError::NotFound)
    }

    /// Whether the tenant has proved that the domain of this address is its own.
    pub async fn has_domain_of(&self, tx: &mut ReadTx, address: &str) -> Result<bool, FederationError> {
        let Ok(name) = DomainName::of_address(address) else { return Ok(false) };
        let has = |domain: &Domain| domain.name == name && domain.verified_at.is_some();
        Ok(self.domains(tx).await?.iter().any(has))
    }

    /// Notes a domain that the tenant is going to prove. It may be noted before.
    ///
    /// # Errors
    /// [`FederationError::TooMany`].
    pub async fn add_domain(&self, tx: &mut WriteTx, name: &DomainName) -> Result<Domain, FederationError> {
        if let Ok(known) = self.domain(tx, name).await {
            return Ok(known);
        }
        let (count,): (i64,) = tx.query_one("SELECT count(*) FROM provider_domain", params![]).await?;
        if count >= MAX_DOMAINS {
            return Err(FederationError::TooMany("a tenant has at most 100 domains"));
        }
        let lookup = self.tenants_lookup(tx, name).await?;
        let (sealed, now) = (self.seal_domain(tx, name, &lookup, false).await?, tx.now());
        tx.execute(
            "INSERT INTO provider_domain (lookup, sealed, added_at, verified_at) VALUES ($1, $2, $3, NULL)
             ON CONFLICT DO NOTHING",
            params![&lookup, &sealed, now],
        )
        .await?;
        self.domain(tx, name).await
    }

    /// Looks for the proof in the domain's zone. Says all that stands beside it, where another tenant's proof would be. Takes no
    /// transaction: it waits for others.
    ///
    /// # Errors
    /// [`FederationError::Invalid`] when it does not stand there; [`FederationError::Unreachable`].
    pub async fn look_for_proof(&self, domain: &Domain) -> Result<Vec<String>, FederationError> {
        let Some(server) = self.dns else {
            return Err(FederationError::Unreachable(
                "this server asks no name server: ask who runs the platform".to_owned(),
            ));
        };
        let texts = dns::texts(server, &domain.record).await?;
        if texts.contains(&domain.proof) {
            return Ok(texts);
        }
        let why = format!("no TXT record {} says {}", domain.record, domain.proof);
        Err(FederationError::invalid("domain", why))
    }

    /// The domain is this tenant's from now on. In the directory; then commit, and go on with
    /// [`set_verified`](Self::set_verified) in the tenant.
    ///
    /// `former` is the claim of another tenant that ends by this, after [`set_unverified`](Self::set_unverified) there. It ends only
    /// if it still is what it was, and by a word of its own kind: no record in a zone outdoes the platform's administrator.
    ///
    /// # Errors
    /// [`FederationError::DomainTaken`].
    pub async fn claim_domain(
        &self,
        tx: &mut WriteTx,
        tenant: TenantId,
        name: &DomainName,
        proved_by: ProvedBy,
        former: Option<&DomainClaim>,
    ) -> Result<(), FederationError> {
        let (lookup, now) = (self.platform_lookup(tx, name).await?, tx.now());
        let confirmed_at = (proved_by == ProvedBy::Platform).then_some(now);
        let inserted = tx
            .execute(
                "INSERT INTO domain_claim (lookup, owner, verified_at, confirmed_at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT DO NOTHING",
                params![&lookup, &tenant, now, confirmed_at],
            )
            .await?;
        if inserted == 1 {
            return Ok(());
        }
        let take_over = match proved_by {
            ProvedBy::Dns => {
                "UPDATE domain_claim SET owner = $2, verified_at = $3 WHERE lookup = $1
                 AND (owner = $2 OR (owner = $4 AND verified_at = $5 AND confirmed_at IS NULL))"
            }
            ProvedBy::Platform => {
                "UPDATE domain_claim SET owner = $2, verified_at = $3, confirmed_at = $3 WHERE lookup = $1
                 AND (owner = $2 OR (owner = $4 AND verified_at = $5 AND confirmed_at IS NOT NULL))"
            }
        };
        // Nobody's claim ends when none is named: the directory is no customer's tenant.
        let (owner, since) = former.map_or((TenantId::PLATFORM, 0), |claim| (claim.owner, claim.verified_at));
        match tx.execute(take_over, params![&lookup, &tenant, now, &owner, since]).await? {
            0 => Err(FederationError::DomainTaken),
            _ => Ok(()),
        }
    }

    /// Notes in the tenant that the domain is proved.
    ///
    /// # Errors
    /// [`FederationError::NotFound`].
    pub async fn set_verified(&self, tx: &mut WriteTx, name: &DomainName) -> Result<Domain, FederationError> {
        let lookup = self.tenants_lookup(tx, name).await?;
        let (sealed, now) = (self.seal_domain(tx, name, &lookup, true).await?, tx.now());
        let changed = tx
            .execute(
                "UPDATE provider_domain SET sealed = $2, verified_at = coalesce(verified_at, $3) WHERE lookup = $1",
                params![&lookup, &sealed, now],
            )
            .await?;
        if changed == 0 { Err(FederationError::NotFound) } else { self.domain(tx, name).await }
    }

    /// Notes in the tenant that the domain is not proved any more: it may be proved again. `false` when it was not.
    ///
    /// # Errors
    /// [`FederationError::NotFound`].
    pub async fn set_unverified(&self, tx: &mut WriteTx, name: &DomainName) -> Result<bool, FederationError> {
        let lookup = self.tenants_lookup(tx, name).await?;
        let was_verified = self.domain(tx, name).await?.verified_at.is_some();
        let sealed = self.seal_domain(tx, name, &lookup, false).await?;
        tx.execute(
            "UPDATE provider_domain SET sealed = $2, verified_at = NULL WHERE lookup = $1",
            params![&lookup, &sealed],
        )
        .await?;
        Ok(was_verified)
    }

    /// Takes a domain away from the tenant. Then commit, and go on with [`release_domain`](Self::release_domain) in the directory.
    ///
    /// # Errors
    /// [`FederationError::NotFound`].
    pub async fn remove_domain(&self, tx: &mut WriteTx, name: &DomainName) -> Result<(), FederationError> {
        let lookup = self.tenants_lookup(tx, name).await?;
        match tx.execute("DELETE FROM provider_domain WHERE lookup = $1", params![&lookup]).await? {
            0 => Err(FederationError::NotFound),
            _ => Ok(()),
        }
    }

    /// The domain is nobody's. In the directory.
    pub async fn release_domain(
        &self,
        tx: &mut WriteTx,
        tenant: TenantId,
        name: &DomainName,
    ) -> Result<(), FederationError> {
        let lookup = self.platform_lookup(tx, name).await?;
        tx.execute("DELETE FROM domain_claim WHERE lookup = $1 AND owner = $2", params![&lookup, &tenant])
            .await?;
        Ok(())
    }

    /// None of the domains is the tenant's any more: it is gone. In the directory.
    pub async fn release_domains(&self, tx: &mut WriteTx, tenant: TenantId) -> Result<(), FederationError> {
        tx.execute("DELETE FROM domain_claim WHERE owner = $1", params![&tenant]).await?;
        Ok(())
    }

    /// Whose a domain is. In a view of the directory; the tenant decides whether it still has it.
    pub async fn claim_of_domain(
        &self,
        tx: &mut ReadTx,
        name: &DomainName,
    ) -> Result<Option<DomainClaim>, FederationError> {
        let lookup = self.tenants_lookup(tx, name).await?;
        let row: Option<(TenantId, i64, Option<i64>)> = tx
            .query_opt(
                "SELECT owner, verified_at, confirmed_at FROM domain_claim WHERE lookup = $1",
                params![&lookup],
            )
            .await?;
        Ok(row.map(|(owner, verified_at, confirmed_at)| DomainClaim {
            owner,
            proved_by: if confirmed_at.is_some() { ProvedBy::Platform } else { ProvedBy::Dns },
            verified_at,
        }))
    }

    async fn platform_lookup(&self, tx: &mut WriteTx, name: &DomainName) -> Result<Vec<u8>, FederationError> {
        let keys = self.custody.tenant_or_new(tx).await?;
        Ok(keyed(&keys.derive(LOOKUP), &[name.as_str().as_bytes()]))
    }

    /// The key of a name in the place that the transaction is of.
    async fn tenants_lookup(&self, tx: &mut ReadTx, name: &DomainName) -> Result<Vec<u8>, FederationError> {
        let keys = self.custody.tenant(tx).await?;
        Ok(keyed(&keys.derive(LOOKUP), &[name.as_str().as_bytes()]))
    }

    /// What has to stand in the domain's zone: of this tenant and this domain alone.
    async fn proof(&self, tx: &mut ReadTx, name: &DomainName) -> Result<String, FederationError> {
        let key = self.custody.tenant(tx).await?.derive(PROOF);
        let hash = keyed(&key, &[tx.tenant().as_bytes(), name.as_str().as_bytes()]);
        let short = hash.get(..20).unwrap_or_default();
        Ok(format!("bailiwick-domain={}", BASE32_NOPAD.encode(short).to_ascii_lowercase()))
    }

    async fn seal_domain(
        &self,
        tx: &mut ReadTx,
        name: &DomainName,
        lookup: &[u8],
        is_verified: bool,
    ) -> Result<Vec<u8>, FederationError> {
        let keys = self.custody.tenant(tx).await?;
        Ok(keys.seal(DOMAIN, &[lookup, &[u8::from(is_verified)]], name.as_str().as_bytes()))
    }
}

/// Where the proof is looked for.
fn record(name: &DomainName) -> String {
    format!("_bailiwick.{name}")
}

/// HMAC-SHA256 of the parts, each after its length.
pub(crate) fn keyed(key: &[u8; 32], parts: &[&[u8]]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.sign().as_ref().to_vec()
}

const DOMAIN: &str = "federation/domain";
const LOOKUP: &str = "federation/domain-lookup";
const PROOF: &str = "federation/domain-proof";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_has_one_spelling() {
        for (text, name) in [
            ("Example.ORG", "example.org"),
            ("example.org.", "example.org"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(text.parse::<DomainName>().unwrap().as_str(), name);
        }
        for bad in [
            "",
            "org",
            ".org",
            "a..b",
            "-a.b",
            "a-.b",
            "bücher.example",
            "a b.c",
            "127.0.0.1",
            "a.b/c",
            "a_b.c",
            "*.a.b",
            &"a.".repeat(130),
        ] {
            assert!(bad.parse::<DomainName>().is_err(), "{bad}");
        }
        assert_eq!(DomainName::of_address("a@b@Example.org").unwrap().as_str(), "example.org");
        assert!(DomainName::of_address("example.org").is_err());
    }
}
