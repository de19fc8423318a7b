// SPDX-License-Identifier: Apache-2.0 OR MIT
//! People whom another identity provider vouches for.
//!
//! ```text
//! sign in  directory (view)  provided_proof    finds the account by issuer and subject
//!          home              provided_signin   the method is still there, the address opens; a session begins
//! link     directory         reserve_lookup    the value that it is found by is taken
//!          home              link_provided     the method is there, and the owner is told
//! ```
//!
//! Who somebody is are the issuer and the subject, as one provider says them: a tenant's, or the platform's. The same person at the
//! same issuer is another one for another tenant, so that no tenant's provider lets into what another's vouches for.
//!
//! What a tenant's provider says is the word of who runs that tenant. So it opens the account on devices that the account knows, and
//! elsewhere only that tenant ([`SessionKind::Vouched`](crate::SessionKind)), until a method of the account's own is shown; and it is
//! never a fresh proof. It unlocks nothing: see `crypto`.

use custody::TenantKeys;
use keyring::{Lookup, MethodKind};
use serde::{Deserialize, Serialize};
use store::{ReadTx, StoreError, TenantId, WriteTx, params};
use uuid::Uuid;

use crate::MethodId;
use crate::account::ChangeError;
use crate::arrival::{AddressKey, Arrival, Proof, SignedIn};
use crate::failure::Failure;
use crate::letter::Letter;
use crate::lookup::{MethodLookup, ReservedLookup};
use crate::method_change::NewMethod;
use crate::service::{Identity, in_home, mac};
use crate::session::AuthenticatedSession;
use crate::signin::SigninError;
use crate::state::ExchangeId;

/// Somebody, as a provider knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvidedIdentity {
    /// Whose provider it is: a customer's tenant, or the platform.
    pub tenant: TenantId,
    /// The issuer.
    pub issuer: String,
    /// Whom it speaks of: its own name for them, which it never gives to somebody else.
    pub subject: String,
}

impl ProvidedIdentity {
    /// What the account is found by, and what tries are charged to.
    pub fn lookup(&self) -> MethodLookup {
        let parts = [self.tenant.as_bytes().as_slice(), self.issuer.as_bytes(), self.subject.as_bytes()];
        // Not secret by itself: what the directory keeps is keyed with the pepper.
        let value = mac(&[0; 32], "provided-identity", &parts);
        MethodLookup::new(MethodKind::Provider, Lookup::from_bytes(value))
    }
}

/// What is kept of it, sealed.
#[derive(Serialize, Deserialize)]
struct Kept {
    issuer: String,
    subject: String,
}

impl Identity {
    /// Whose account it is; `None` when it is nobody's yet. In a view of the directory. `exchange` is used up with it, until
    /// `expires_at`.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn provided_proof(
        &self,
        tx: &mut ReadTx,
        identity: &ProvidedIdentity,
        exchange: ExchangeId,
        expires_at: i64,
    ) -> Result<Option<Proof>, Failure> {
        let found = self.find_by_lookup(tx, &identity.lookup()).await?;
        Ok(found.map(|found| Proof {
            vouched_by: Some(identity.tenant),
            ..Proof::by(&found, Some((exchange, expires_at)))
        }))
    }

    /// Opens a session. In a transaction of [`Proof::home`]; drop it on any error. Send the letter after the commit.
    ///
    /// # Errors
    /// [`SigninError::InvalidCredentials`] when the method was revoked, or the exchange was used;
    /// [`SigninError::Suspended`].
    pub async fn provided_signin(
        &self,
        tx: &mut WriteTx,
        proof: &Proof,
        identity: &ProvidedIdentity,
        arrival: &Arrival,
    ) -> Result<SignedIn, SigninError> {
        self.complete_signin(tx, proof, AddressKey::Kept(&identity.lookup()), arrival).await
    }

    /// Adds the provider to the session's account. In the home, after its place in the directory was taken. Send the letter after
    /// the commit.
    ///
    /// # Errors
    /// As [`add_method`](Self::add_method).
    pub async fn link_provided(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        new: &NewMethod,
        reserved: &ReservedLookup,
        identity: &ProvidedIdentity,
    ) -> Result<Letter, ChangeError> {
        if new.unlocking.is_some() {
            return Err(ChangeError::Field("unlocking"));
        }
        let letter = self.add_method(tx, session, new, reserved).await?;
        let keys = self.custody.tenant(tx).await?;
        store(tx, &keys, new.id, identity).await?;
        Ok(letter)
    }

    /// Who the providers say that the session's account is, by method.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn provided_identities(
        &self,
        tx: &mut ReadTx,
        session: &AuthenticatedSession,
    ) -> Result<Vec<(MethodId, ProvidedIdentity)>, Failure> {
        in_home(tx, session.home())?;
        let rows: Vec<(Uuid, Uuid, Vec<u8>)> =
            tx.query("SELECT method, vouching, sealed FROM provided_identity", params![]).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let keys = self.custody.tenant(tx).await?;
        let open = |(method, tenant, sealed): (Uuid, Uuid, Vec<u8>)| {
            let damaged = || Failure::Damaged("provided identity");
            let place: [&[u8]; 2] = [method.as_bytes(), tenant.as_bytes()];
            let kept = keys.open(IDENTITY, &place, &sealed).map_err(|_| damaged())?;
            let Kept { issuer, subject } = serde_json::from_slice(&kept).map_err(|_| damaged())?;
            let identity = ProvidedIdentity { tenant: TenantId::from_uuid(tenant), issuer, subject };
            Ok((MethodId::from_uuid(method), identity))
        };
        rows.into_iter().map(open).collect()
    }
}

/// Writes down whom a provider knows. In the home.
pub(crate) async fn store(
    tx: &mut WriteTx,
    keys: &TenantKeys,
    method: MethodId,
    identity: &ProvidedIdentity,
) -> Result<(), StoreError> {
    let kept = Kept { issuer: identity.issuer.clone(), subject: identity.subject.clone() };
    // A struct of two texts is always written.
    let plain = serde_json::to_vec(&kept).unwrap_or_default();
    let sealed = keys.seal(IDENTITY, &[method.as_bytes(), identity.tenant.as_bytes()], &plain);
    tx.execute(
        "INSERT INTO provided_identity (method, vouching, sealed) VALUES ($1, $2, $3)",
        params![method.uuid(), &identity.tenant, &sealed],
    )
    .await?;
    Ok(())
}

const IDENTITY: &str = "provided-identity";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_person_is_another_one_for_another_tenant() {
        let of = |tenant, issuer: &str, subject: &str| {
            let identity =
                ProvidedIdentity { tenant, issuer: issuer.to_owned(), subject: subject.to_owned() };
            identity.lookup()
        };
        let value = |lookup: MethodLookup| {
            let account = crate::AccountId::from_uuid(Uuid::nil());
            let method = MethodId::from_uuid(Uuid::nil());
            let key = keyring::EmailKey::from_bytes([7; 32]);
            (lookup.seal_email_key(account, method, &key), lookup)
        };
        let (a, b) = (TenantId::customer(), TenantId::customer());
        let (sealed, own) = value(of(a, "https://id.example", "ada"));
        let opens = |lookup: MethodLookup| {
            let (account, method) =
                (crate::AccountId::from_uuid(Uuid::nil()), MethodId::from_uuid(Uuid::nil()));
            lookup.open_email_key(account, method, sealed.clone()).is_some()
        };
        assert!(opens(own) && opens(of(a, "https://id.example", "ada")));
        for other in [
            of(b, "https://id.example", "ada"),
            of(TenantId::PLATFORM, "https://id.example", "ada"),
            of(a, "https://id.example/", "ada"),
            of(a, "https://id.example", "ada "),
            of(a, "https://id.exam", "pleada"),
        ] {
            assert!(!opens(other));
        }
    }
}
