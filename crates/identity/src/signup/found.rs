// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a sign-up writes: its place in the directory, its home, and that it is live.

use custody::TenantKeys;
use keyring::{AccountNumber, MethodKind};
use store::{ReadTx, TenantId, WriteTx, params};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{FirstMethod, MadeMethod, Signup, SignupError};
use crate::device::{self, Place};
use crate::directory::{make_live, reserve_number};
use crate::imported;
use crate::letter::{Letter, Message};
use crate::second_factor::{TOTP_SEED, TotpSecret, open_totp};
use crate::service::{Identity, in_directory, in_home, same};
use crate::session::{Begin, NewSession, SessionKind};
use crate::{AccountId, MethodId, passkey, provided};

/// A sign-up whose address and number are taken.
pub struct ReservedSignup {
    signup: Signup,
    number: AccountNumber,
    /// When the account was made, where it comes from elsewhere.
    created_at: Option<i64>,
}

impl ReservedSignup {
    /// The account to be.
    pub fn account(&self) -> AccountId {
        self.signup.account()
    }

    /// Its home, to be founded.
    pub fn home(&self) -> TenantId {
        self.signup.home()
    }
}

/// A new account, for whoever signed up.
pub struct SignedUp {
    /// The account.
    pub account: AccountId,
    /// Its home.
    pub home: TenantId,
    /// Its number, for people.
    pub number: AccountNumber,
    /// The authenticator app's secret, shown this once; none beside a passkey.
    pub totp: Option<NewTotp>,
    /// The first session.
    pub session: NewSession,
    /// The mail to send when the account is live; not part of the answer.
    pub letter: Option<Letter>,
}

/// What an authenticator app is set up with.
pub struct NewTotp {
    /// The secret.
    pub secret: TotpSecret,
    /// The same as an `otpauth://` address.
    pub uri: Zeroizing<String>,
}

/// What an earlier try of the same sign-up left in the home.
struct Founded {
    totp: Option<TotpSecret>,
}

impl Identity {
    /// Takes the address, an account number and whatever else the first method is found by, in the directory. Commit before
    /// going on.
    ///
    /// # Errors
    /// [`SignupError::AccountExists`].
    pub async fn signup_reserve(
        &self,
        tx: &mut WriteTx,
        signup: Signup,
    ) -> Result<ReservedSignup, SignupError> {
        in_directory(tx)?;
        self.reserve_address(tx, &signup).await?;
        let lookup = match &signup.made {
            MadeMethod::Password { .. } => None,
            MadeMethod::Passkey { lookup, .. } => Some(lookup.clone()),
            MadeMethod::Provider { identity, .. } => Some(identity.lookup()),
        };
        if let Some(lookup) = lookup {
            let state = &signup.state;
            self.reserve_first_lookup(tx, state.account, state.home, state.method, &lookup).await?;
        }
        let is_proved = signup.state.code.is_some() || matches!(signup.state.first, FirstMethod::Provider);
        let state = &signup.state;
        let waiting = match (imported::waiting(tx, &state.email_index).await?, state.is_import) {
            // Who shows neither the old password nor a code of that address is not known to be who was imported.
            (Some(_), false) if !is_proved => return Err(SignupError::AccountExists),
            (None, true) => return Err(SignupError::Restart),
            (waiting, _) => waiting,
        };
        let number = waiting.as_ref().map(|waiting| waiting.number);
        let number = reserve_number(tx, state.account, state.home, number).await?;
        Ok(ReservedSignup { signup, number, created_at: waiting.and_then(|waiting| waiting.created_at) })
    }

    /// The address stands in the row of the password. Without one that names a method which is not there, and lets nobody in.
    async fn reserve_address(&self, tx: &mut WriteTx, signup: &Signup) -> Result<(), SignupError> {
        let (state, now) = (&signup.state, tx.now());
        let (method, record) = match &signup.made {
            MadeMethod::Password { record, .. } => (state.method, record.to_bytes()),
            MadeMethod::Passkey { .. } | MadeMethod::Provider { .. } => (MethodId::random(), Vec::new()),
        };
        let kdf = match &state.first {
            FirstMethod::Password(kdf) => *kdf,
            FirstMethod::Passkey { .. } | FirstMethod::Provider => self.settings.kdf,
        };
        tx.execute(
            "INSERT INTO password_login (email_index, account, home, method, opaque_record, kdf_memory, kdf_passes,
                                         kdf_lanes, email_salt, state, created_at, changed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'pending', $10, $11)
             ON CONFLICT DO NOTHING",
            params![
                &state.email_index,
                state.account.uuid(),
                state.home.uuid(),
                method.uuid(),
                &record,
                i64::from(kdf.memory_kib()),
                i64::from(kdf.passes()),
                i64::from(kdf.lanes()),
                &state.email_salt,
                now,
                now,
            ],
        )
        .await?;
        // Whose reservation stands: this one, or the same request's from before a crash?
        let standing: Option<(Uuid, Vec<u8>, String)> = tx
            .query_opt(
                "SELECT account, opaque_record, state FROM password_login WHERE email_index = $1",
                params![&state.email_index],
            )
            .await?;
        if standing != Some((*state.account.uuid(), record, "pending".to_owned())) {
            return Err(SignupError::AccountExists);
        }
        Ok(())
    }

    /// Founds the home: its keys, the account with its method, the first device and session. In the new home's first
    /// transaction; commit before going on.
    ///
    /// # Errors
    /// [`SignupError::AccountExists`] when somebody else's account is there, which takes a forged state.
    pub async fn signup_found(
        &self,
        tx: &mut WriteTx,
        reserved: &ReservedSignup,
        place: &Place,
    ) -> Result<SignedUp, SignupError> {
        let Signup { state, made, keys: new, .. } = &reserved.signup;
        in_home(tx, state.home)?;
        let keys = self.custody.tenant_or_new(tx).await?;
        let totp = match self.founded_before(tx, &keys, &reserved.signup).await? {
            Some(founded) => founded.totp,
            None => self.found_account(tx, &keys, reserved).await?,
        };
        let seen = device::see(self, tx, &state.email_index, None, &new.device, place).await?;
        let how = match made {
            // Fresh, this once: whoever founds an account adds a method of its own now, which no provider's word does later.
            MadeMethod::Provider { identity, .. } => {
                Begin::vouched(SessionKind::Proven, identity.tenant, None)
            }
            MadeMethod::Password { .. } | MadeMethod::Passkey { .. } => Begin::of(SessionKind::Proven),
        };
        let session =
            self.begin_session_of(tx, how, state.account, state.method, seen, place, &new.email_key).await?;
        Ok(self.signed_up(reserved, totp, session, tx.now(), place))
    }

    async fn found_account(
        &self,
        tx: &mut WriteTx,
        keys: &TenantKeys,
        reserved: &ReservedSignup,
    ) -> Result<Option<TotpSecret>, SignupError> {
        let Signup { state, made, keys: new, .. } = &reserved.signup;
        let now = tx.now();
        let totp = matches!(made, MadeMethod::Password { .. }).then(TotpSecret::generate);
        let sealed_totp =
            totp.as_ref().map(|totp| keys.seal(TOTP_SEED, &[state.account.as_bytes()], totp.expose()));
        tx.execute(
            "INSERT INTO account (id, number, email_index, sealed_email, totp, totp_last_step, master_key_version,
                                  identity_public, created_at, changed_at)
             VALUES ($1, $2, $3, $4, $5, 0, 1, $6, $7, $8)",
            params![
                state.account.uuid(),
                reserved.number.as_str(),
                &state.email_index,
                &self.seal_address(keys, state.account, &reserved.signup.sealed_email),
                sealed_totp.as_ref(),
                &new.identity_public.to_bytes(),
                reserved.created_at.unwrap_or(now),
                now,
            ],
        )
        .await?;
        let (kind, label, address) = match made {
            MadeMethod::Password { .. } => (MethodKind::Password, "", None),
            MadeMethod::Passkey { lookup, label, .. } => {
                let address = lookup.seal_email_key(state.account, state.method, &new.email_key);
                (MethodKind::Passkey, label.as_str(), Some(address))
            }
            MadeMethod::Provider { identity, label } => {
                let address = identity.lookup().seal_email_key(state.account, state.method, &new.email_key);
                (MethodKind::Provider, label.as_str(), Some(address))
            }
        };
        let unlocking = new.unlocking.as_ref();
        tx.execute(
            "INSERT INTO login_method (id, kind, label, public_key, sealed_master_key, tag, master_key_version,
                                       address, created_at, last_used_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            params![
                state.method.uuid(),
                kind.as_str(),
                label,
                unlocking.map(|unlocking| unlocking.public_key.to_bytes()).as_ref(),
                unlocking.map(|unlocking| unlocking.sealed_master_key.as_bytes()),
                unlocking.map(|unlocking| unlocking.tag.as_bytes()),
                unlocking.map(|_| 1_i64),
                address.as_ref(),
                now,
                now,
            ],
        )
        .await?;
        match made {
            MadeMethod::Password { backup_codes, .. } => crate::backup_codes::store(tx, backup_codes).await?,
            MadeMethod::Passkey { credential, condition, .. } => {
                passkey::store(tx, keys, state.method, credential, condition).await?;
            }
            MadeMethod::Provider { identity, .. } => {
                provided::store(tx, keys, state.method, identity).await?;
            }
        }
        Ok(totp)
    }

    /// Whether this very request founded the home before a crash; if so, with the authenticator's secret, which nobody was
    /// told.
    async fn founded_before(
        &self,
        tx: &mut ReadTx,
        keys: &TenantKeys,
        signup: &Signup,
    ) -> Result<Option<Founded>, SignupError> {
        let Some((account, totp, identity)) = tx
            .query_opt::<(Uuid, Option<Vec<u8>>, Vec<u8>)>(
                "SELECT id, totp, identity_public FROM account",
                params![],
            )
            .await?
        else {
            return Ok(None);
        };
        let method: Option<(Option<Vec<u8>>,)> = tx
            .query_opt(
                "SELECT sealed_master_key FROM login_method WHERE id = $1",
                params![signup.state.method.uuid()],
            )
            .await?;
        // Sealing draws at random, so equal bytes are the same request.
        let is_same = match (method, &signup.keys.unlocking) {
            (Some((Some(sealed),)), Some(new)) => same(&sealed, new.sealed_master_key.as_bytes()),
            // Nothing was sealed; the account's keys were drawn at random too.
            (Some((None,)), None) => same(&identity, &signup.keys.identity_public.to_bytes()),
            _ => false,
        };
        if account != *signup.state.account.uuid() || !is_same {
            return Err(SignupError::AccountExists);
        }
        let totp = totp.map(|totp| open_totp(keys, signup.state.account, &totp)).transpose()?;
        Ok(Some(Founded { totp }))
    }

    fn signed_up(
        &self,
        reserved: &ReservedSignup,
        totp: Option<TotpSecret>,
        session: NewSession,
        now: i64,
        place: &Place,
    ) -> SignedUp {
        let signup = &reserved.signup;
        let letter = signup.state.is_import.then(|| {
            let (device, place) = (signup.keys.device.label(), place.as_str().to_owned());
            let message = Message::ImportedSignedIn { device, place, session: session.id };
            Letter::new(signup.email.clone(), &self.settings.service_name, now, message)
        });
        SignedUp {
            account: reserved.account(),
            home: reserved.home(),
            number: reserved.number,
            totp: totp.map(|secret| NewTotp {
                uri: secret.uri(&self.settings.service_name, reserved.number.as_str()),
                secret,
            }),
            session,
            letter,
        }
    }

    /// Lets the account be signed in to and publishes its keys, in the directory. Commit with a record about what it
    /// returns, and answer the client after that.
    ///
    /// # Errors
    /// [`SignupError::Restart`] when the sweep undid the sign-up because it took too long.
    pub async fn signup_live(
        &self,
        tx: &mut WriteTx,
        reserved: &ReservedSignup,
    ) -> Result<String, SignupError> {
        in_directory(tx)?;
        let account = reserved.account();
        if !make_live(tx, account).await? {
            return Err(SignupError::Restart);
        }
        let keys = &reserved.signup.keys.identity_public;
        let published = self.publish_keys(tx, account, 1, keys, None).await?;
        Ok(published.unwrap_or_else(|| account.to_string()))
    }
}
