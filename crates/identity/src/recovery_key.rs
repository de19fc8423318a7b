// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signing in and proving oneself with a recovery key.
//!
//! ```text
//! directory (view)   recovery_proof     finds the key by the value that its client shows
//! home               recovery_signin    the key is still there, the address opens; a session begins
//!                    recovery_stepup    … or the asking one is fresh
//! ```
//!
//! The value has 256 random bits, derived from the key apart from what unlocks: it cannot be guessed, so one message is enough,
//! and knowing it opens nothing. An unknown value is answered like one whose key is gone.
//! The key is strong alone: no second factor. Each use is told to the owner.

use keyring::{Lookup, MethodKind};
use store::{ReadTx, WriteTx};

use crate::MethodId;
use crate::account::ChangeError;
use crate::arrival::{AddressKey, Arrival, Proof, SignedIn, SteppedUp};
use crate::letter::{Letter, Message};
use crate::lookup::{MethodLookup, ReservedLookup};
use crate::method_change::NewMethod;
use crate::service::Identity;
use crate::session::AuthenticatedSession;
use crate::signin::SigninError;

impl Identity {
    /// Whose recovery key it is. In a view of the directory.
    ///
    /// # Errors
    /// [`SigninError::InvalidCredentials`] when it is nobody's.
    pub async fn recovery_proof(&self, tx: &mut ReadTx, lookup: &Lookup) -> Result<Proof, SigninError> {
        let found =
            self.find_by_lookup(tx, &MethodLookup::new(MethodKind::RecoveryKey, lookup.clone())).await?;
        Ok(Proof::by(&found.ok_or(SigninError::InvalidCredentials)?, None))
    }

    /// Opens a session. In a transaction of [`Proof::home`]; drop it on any error. Send the letter after the commit.
    ///
    /// # Errors
    /// [`SigninError::InvalidCredentials`] when the key was revoked.
    pub async fn recovery_signin(
        &self,
        tx: &mut WriteTx,
        proof: &Proof,
        lookup: &Lookup,
        arrival: &Arrival,
    ) -> Result<SignedIn, SigninError> {
        let lookup = MethodLookup::new(MethodKind::RecoveryKey, lookup.clone());
        self.complete_signin(tx, proof, AddressKey::Kept(&lookup), arrival).await
    }

    /// Makes the session fresh; it has another token. In a transaction of the session's home; drop it on any error.
    ///
    /// # Errors
    /// [`SigninError::InvalidCredentials`] when the key is not this account's, was revoked, or the session ended
    /// meanwhile.
    pub async fn recovery_stepup(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        proof: &Proof,
        lookup: &Lookup,
    ) -> Result<SteppedUp, SigninError> {
        let lookup = MethodLookup::new(MethodKind::RecoveryKey, lookup.clone());
        self.complete_stepup(tx, session, proof, AddressKey::Kept(&lookup)).await
    }

    /// Puts a new recovery key in the place of an old one, whose sessions end. In the home, after the new one's place in
    /// the directory was taken; afterwards [`forget_lookup`](Self::forget_lookup) the old one there. Send the letter after
    /// the commit.
    ///
    /// # Errors
    /// As [`add_method`](Self::add_method); [`ChangeError::NoSuchMethod`] when the old one is no recovery key;
    /// [`ChangeError::Field`] when the new one does not unlock.
    pub async fn replace_recovery_key(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        old: MethodId,
        new: &NewMethod,
        reserved: &ReservedLookup,
    ) -> Result<Letter, ChangeError> {
        if new.unlocking.is_none() {
            return Err(ChangeError::Field("unlocking"));
        }
        let (email, _) = self.right_to_change(tx, session).await?;
        let replaced = self.login_method(tx, old).await?;
        if !replaced.is_some_and(|method| method.kind == MethodKind::RecoveryKey) {
            return Err(ChangeError::NoSuchMethod);
        }
        // First away, so that an account with as many methods as it may have can still replace one.
        self.move_session(tx, session, old, new.id).await?;
        self.remove_method(tx, old).await?;
        self.add_method(tx, session, new, reserved).await?;
        Ok(Letter::new(email, &self.settings.service_name, tx.now(), Message::RecoveryKeyReplaced))
    }
}
