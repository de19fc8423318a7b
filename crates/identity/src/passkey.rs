// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Passkeys: adding them, signing in and proving oneself again with one.
//!
//! ```text
//! add      home (view)       passkey_add_start      challenge, a user handle for the new passkey, the sealed state
//!          no database       passkey_add_verify     what the authenticator made answers the challenge
//!          directory         reserve_lookup         the user handle's place is taken
//!          home              add_passkey            the method and the passkey are there
//! sign up  (see signup)      passkey_signup_…       the first method of a new account
//! sign in  no database       passkey_signin_start   challenge, the sealed state
//!          no database       passkey_signin_state   opens it: what to charge the try to
//!          directory (view)  passkey_proof          finds the account by the user handle
//!          home              passkey_signin         signature and counter hold; a session begins
//! step up  home (view)       passkey_stepup_start   the same for the account's own passkeys
//!          home              passkey_stepup         … and the asking session is fresh
//! ```
//!
//! Nobody types an address: the authenticator shows the user handle that it got when the passkey was made, 16 random
//! bytes for each passkey, kept nowhere else ([`MethodLookup`]). Unknown handle, revoked passkey, wrong signature and a counter
//! that went back are one answer; of the last, which takes the passkey itself or a copy of it, the owner is told. A handle cannot be guessed, so who does not know it locks nobody out.
//!
//! A passkey is strong alone: the authenticator has verified its user. Whether it unlocks too is the client's business: the
//! output of its PRF never comes here.
//!
//! What the server knows of a passkey is sealed under the home's key: whoever can write the database but does not have the
//! root key puts no passkey of their own into somebody's home.

use custody::TenantKeys;
use keyring::{Email, MethodKind, UserHandle};
use store::{ReadTx, StoreError, TenantId, WriteTx, params};
use uuid::Uuid;

use crate::account::ChangeError;
use crate::arrival::{AddressKey, Arrival, Proof, SignedIn, SteppedUp};
use crate::device::Place;
use crate::failure::{Failure, fails};
use crate::letter::{Letter, Message};
use crate::lookup::{MethodLookup, ReservedLookup};
use crate::method_change::NewMethod;
use crate::service::{Identity, in_home, same};
use crate::session::AuthenticatedSession;
use crate::signin::{SigninError, spend_exchange};
use crate::state::{ExchangeId, PASSKEY_ADD, PASSKEY_SIGN_IN, PASSKEY_STEP_UP, Packer, Unpacker};
use crate::webauthn::{Assertion, CeremonyError, Condition, Credential, Registration, RelyingParty};
use crate::{MethodId, random};

/// A challenge, with what the client brings back beside its answer.
#[derive(Debug)]
pub struct PasskeyChallenge<'a> {
    /// To be sent back with the answer.
    pub state: String,
    /// What the authenticator signs.
    pub challenge: [u8; 32],
    /// For whom.
    pub relying_party: &'a RelyingParty,
    /// The credential ids of the account's passkeys, where the account is known: to be left out when one is added, to be
    /// chosen from at a step-up.
    pub credentials: Vec<Vec<u8>>,
}

/// What a client gets to make a passkey with.
#[derive(Debug)]
pub struct PasskeyAddStarted<'a> {
    /// The challenge.
    pub challenge: PasskeyChallenge<'a>,
    /// The method to be.
    pub method: MethodId,
    /// What the authenticator is to show at each sign-in.
    pub user_handle: UserHandle,
    /// Under what name pickers show the passkey: the account's number.
    pub user_name: String,
}

/// A passkey that answered its challenge.
pub struct NewPasskey {
    exchange: ExchangeId,
    method: MethodId,
    lookup: MethodLookup,
    credential: Credential,
    condition: Condition,
    /// Whether the authenticator said that the passkey has a PRF, and so can unlock.
    pub has_prf: Option<bool>,
}

impl NewPasskey {
    /// The method to be.
    pub fn method(&self) -> MethodId {
        self.method
    }

    /// What it will be found by, for [`Identity::reserve_lookup`].
    pub fn lookup(&self) -> MethodLookup {
        self.lookup.clone()
    }
}

/// An opened state of a sign-in or a step-up.
pub struct PasskeyState {
    exchange: ExchangeId,
    challenge: [u8; 32],
    expires_at: i64,
}

/// Whose passkey is shown; the signature is not checked yet.
pub struct PasskeyProof {
    proof: Proof,
    challenge: [u8; 32],
}

impl PasskeyProof {
    /// The home to enter.
    pub fn home(&self) -> TenantId {
        self.proof.home()
    }
}

/// A passkey that signed rightly with a count that went back: somebody may have a copy of it.
#[derive(Debug)]
pub struct CopiedPasskey {
    home: TenantId,
    method: MethodId,
    email: Email,
}

impl CopiedPasskey {
    /// The passkey.
    pub fn method(&self) -> MethodId {
        self.method
    }

    /// Where its row is.
    pub fn home(&self) -> TenantId {
        self.home
    }
}

/// Why a passkey is not added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasskeyError {
    /// This server has no name that passkeys could be bound to.
    #[error("this server takes no passkeys: it is not reached by a domain")]
    Off,
    /// The authenticator's answer is not as it was asked for.
    #[error(transparent)]
    Ceremony(#[from] CeremonyError),
    /// As every change of the account.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl Identity {
    /// Answers a session that wants to add a passkey. In a view of the home.
    ///
    /// # Errors
    /// [`PasskeyError::Off`]; [`ChangeError::StepUpRequired`], [`ChangeError::Gone`].
    pub async fn passkey_add_start(
        &self,
        tx: &mut ReadTx,
        session: &AuthenticatedSession,
    ) -> Result<PasskeyAddStarted<'_>, PasskeyError> {
        let relying_party = self.relying_party().ok_or(PasskeyError::Off)?;
        self.right_to_change(tx, session).await?;
        let row: Option<(String,)> = tx
            .query_opt(
                "SELECT number FROM account WHERE id = $1 AND deleted_at IS NULL",
                params![session.account().uuid()],
            )
            .await
            .map_err(ChangeError::from)?;
        let (user_name,) = row.ok_or(ChangeError::Gone)?;
        let credentials = self.passkeys(tx).await.map_err(ChangeError::from)?;
        let (challenge, method) = (random::bytes(), MethodId::random());
        let user_handle = UserHandle::from_bytes(random::bytes());
        let state = Packer::default()
            .put(session.id().as_bytes())
            .put(&random::bytes::<16>())
            .put(&challenge)
            .put(method.as_bytes())
            .put(user_handle.expose())
            .finish();
        let state = self.states.seal(PASSKEY_ADD, tx.now() + self.settings.signin_ms(), &state);
        let credentials = credentials.into_iter().map(|passkey| passkey.credential.id).collect();
        let challenge = PasskeyChallenge { state, challenge, relying_party, credentials };
        Ok(PasskeyAddStarted { challenge, method, user_handle, user_name })
    }

    /// Checks what the authenticator made (WebAuthn Level 3, section 7.1).
    ///
    /// # Errors
    /// [`ChangeError::Restart`] when the state expired, is none, or is another session's; [`PasskeyError::Ceremony`].
    pub fn passkey_add_verify(
        &self,
        now_ms: i64,
        session: &AuthenticatedSession,
        state: &str,
        registration: &Registration,
    ) -> Result<NewPasskey, PasskeyError> {
        let relying_party = self.relying_party().ok_or(PasskeyError::Off)?;
        let bytes = self.states.open(PASSKEY_ADD, now_ms, state).map_err(|_| ChangeError::Restart)?;
        let mut fields = Unpacker::new(&bytes);
        let state = unpack_add(&mut fields).ok_or(ChangeError::Restart)?;
        if !same(&state.session, session.id().as_bytes()) {
            return Err(ChangeError::Restart.into());
        }
        let (credential, condition, has_prf) = registration.verify(relying_party, &state.challenge)?;
        let lookup = MethodLookup::new(MethodKind::Passkey, state.user_handle.lookup());
        let (exchange, method) = (state.exchange, state.method);
        Ok(NewPasskey { exchange, method, lookup, credential, condition, has_prf })
    }

    /// Adds the passkey. In the home, after its place in the directory was taken. Send the letter after the commit.
    ///
    /// # Errors
    /// As [`add_method`](Self::add_method); [`ChangeError::Restart`] when the state was used;
    /// [`ChangeError::Taken`] when the account has this passkey.
    pub async fn add_passkey(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        passkey: &NewPasskey,
        new: &NewMethod,
        reserved: &ReservedLookup,
    ) -> Result<Letter, ChangeError> {
        in_home(tx, session.home())?;
        if new.id != passkey.method || reserved.lookup.kind() != MethodKind::Passkey {
            return Err(ChangeError::Restart);
        }
        let expires_at = tx.now() + self.settings.signin_ms();
        if !spend_exchange(tx, &passkey.exchange, expires_at).await? {
            return Err(ChangeError::Restart);
        }
        let letter = self.add_method(tx, session, new, reserved).await?;
        // The account's row is locked by now.
        let others = self.passkeys(tx).await?;
        if others.iter().any(|other| other.credential.id == passkey.credential.id) {
            return Err(ChangeError::Taken);
        }
        let keys = self.custody.tenant(tx).await?;
        store(tx, &keys, new.id, &passkey.credential, &passkey.condition).await?;
        Ok(letter)
    }

    /// Answers whoever wants to sign in with a passkey, whosever it is.
    ///
    /// # Errors
    /// [`PasskeyError::Off`].
    pub fn passkey_signin_start(&self, now_ms: i64) -> Result<PasskeyChallenge<'_>, PasskeyError> {
        let relying_party = self.relying_party().ok_or(PasskeyError::Off)?;
        let (challenge, expires_at) = (random::bytes(), now_ms + self.settings.signin_ms());
        let state = Packer::default().put(&random::bytes::<16>()).put(&challenge).number(expires_at).finish();
        let state = self.states.seal(PASSKEY_SIGN_IN, expires_at, &state);
        Ok(PasskeyChallenge { state, challenge, relying_party, credentials: Vec::new() })
    }

    /// Opens the state of a sign-in.
    ///
    /// # Errors
    /// [`SigninError::InvalidCredentials`] when it expired or is none.
    pub fn passkey_signin_state(&self, now_ms: i64, state: &str) -> Result<PasskeyState, SigninError> {
        let bytes =
            self.states.open(PASSKEY_SIGN_IN, now_ms, state).map_err(|_| SigninError::InvalidCredentials)?;
        unpack(&mut Unpacker::new(&bytes)).ok_or(SigninError::InvalidCredentials)
    }

    /// Whose passkey shows this handle. In a view of the directory.
    ///
    /// # Errors
    /// [`SigninError::InvalidCredentials`] when it is nobody's.
    pub async fn passkey_proof(
        &self,
        tx: &mut ReadTx,
        state: PasskeyState,
        lookup: &MethodLookup,
    ) -> Result<PasskeyProof, SigninError> {
        let found = self.find_by_lookup(tx, lookup).await?.ok_or(SigninError::InvalidCredentials)?;
        let proof = Proof::by(&found, Some((state.exchange, state.expires_at)));
        Ok(PasskeyProof { proof, challenge: state.challenge })
    }

    /// Checks the signature and opens a session. In a transaction of [`PasskeyProof::home`]; drop it on any error. Send the
    /// letter after the commit.
    ///
    /// # Errors
    /// [`SigninError::InvalidCredentials`], whatever is wrong; [`SigninError::Copied`] when that is the count alone.
    pub async fn passkey_signin(
        &self,
        tx: &mut WriteTx,
        proven: &PasskeyProof,
        lookup: &MethodLookup,
        assertion: &Assertion,
        arrival: &Arrival,
    ) -> Result<SignedIn, SigninError> {
        let PasskeyProof { proof, challenge } = proven;
        in_home(tx, proof.home)?;
        let passkey = self.passkey(tx, proof.method).await?.ok_or(SigninError::InvalidCredentials)?;
        let key = AddressKey::Kept(lookup);
        match self.check_assertion(tx, &passkey, challenge, assertion).await {
            Err(Wrong::Count) => Err(self.copied(tx, proof, key).await),
            other => {
                other?;
                self.complete_signin(tx, proof, key, arrival).await
            }
        }
    }

    /// Answers a session that wants to prove itself again with one of its account's passkeys. In a view of the home.
    ///
    /// # Errors
    /// [`PasskeyError::Off`].
    pub async fn passkey_stepup_start(
        &self,
        tx: &mut ReadTx,
        session: &AuthenticatedSession,
    ) -> Result<PasskeyChallenge<'_>, PasskeyError> {
        let relying_party = self.relying_party().ok_or(PasskeyError::Off)?;
        in_home(tx, session.home()).map_err(ChangeError::from)?;
        let passkeys = self.passkeys(tx).await.map_err(ChangeError::from)?;
        let (challenge, expires_at) = (random::bytes(), tx.now() + self.settings.signin_ms());
        let state = Packer::default()
            .put(session.id().as_bytes())
            .put(&random::bytes::<16>())
            .put(&challenge)
            .number(expires_at)
            .finish();
        let state = self.states.seal(PASSKEY_STEP_UP, expires_at, &state);
        let credentials = passkeys.into_iter().map(|passkey| passkey.credential.id).collect();
        Ok(PasskeyChallenge { state, challenge, relying_party, credentials })
    }

    /// Opens the state of a step-up for the session that started it.
    ///
    /// # Errors
    /// [`SigninError::InvalidCredentials`] when it expired, is none, or is another session's.
    pub fn passkey_stepup_state(
        &self,
        now_ms: i64,
        session: &AuthenticatedSession,
        state: &str,
    ) -> Result<PasskeyState, SigninError> {
        let bytes =
            self.states.open(PASSKEY_STEP_UP, now_ms, state).map_err(|_| SigninError::InvalidCredentials)?;
        let mut fields = Unpacker::new(&bytes);
        let of: [u8; 16] = fields.take().ok_or(SigninError::InvalidCredentials)?;
        if !same(&of, session.id().as_bytes()) {
            return Err(SigninError::InvalidCredentials);
        }
        unpack(&mut fields).ok_or(SigninError::InvalidCredentials)
    }

    /// Checks the signature; the session is fresh, and has another token. In a transaction of the session's home; drop it
    /// on any error. The address opens with what the session keeps, since authenticators need not show a user handle when
    /// they are told which passkeys to choose from.
    ///
    /// # Errors
    /// [`SigninError::InvalidCredentials`], whatever is wrong; also when the session ended meanwhile.
    pub async fn passkey_stepup(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        state: &PasskeyState,
        assertion: &Assertion,
    ) -> Result<SteppedUp, SigninError> {
        in_home(tx, session.home())?;
        let passkeys = self.passkeys(tx).await?;
        let passkey = passkeys.iter().find(|passkey| passkey.credential.id == assertion.credential_id);
        let passkey = passkey.ok_or(SigninError::InvalidCredentials)?;
        let checked = self.check_assertion(tx, passkey, &state.challenge, assertion).await;
        let email_key = self.email_key_of(tx, session).await?.ok_or(SigninError::InvalidCredentials)?;
        let proof = Proof {
            account: session.account(),
            home: session.home(),
            method: passkey.method,
            exchange: Some((state.exchange, state.expires_at)),
            is_address_known: false,
            vouched_by: None,
        };
        let key = AddressKey::Sent(&email_key);
        match checked {
            Err(Wrong::Count) => Err(self.copied(tx, &proof, key).await),
            other => {
                other?;
                self.complete_stepup(tx, session, &proof, key).await
            }
        }
    }

    /// Notes that a passkey may have been copied, and tells its owner: once a day, however often it is shown. In the passkey's
    /// home; where there is a letter, commit and send it.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn note_copied_passkey(
        &self,
        tx: &mut WriteTx,
        copied: &CopiedPasskey,
        place: &Place,
    ) -> Result<Option<Letter>, Failure> {
        in_home(tx, copied.home)?;
        let now = tx.now();
        let told = tx
            .execute(
                "UPDATE passkey SET copy_told_at = $1
                 WHERE method = $2 AND (copy_told_at IS NULL OR copy_told_at <= $3)",
                params![now, copied.method.uuid(), now - COPY_TOLD_EVERY_MS],
            )
            .await?;
        let method = self.login_method(tx, copied.method).await?.filter(|_| told == 1);
        Ok(method.map(|method| {
            let message = Message::PasskeyCopied { label: method.label, place: place.as_str().to_owned() };
            Letter::new(copied.email.clone(), &self.settings.service_name, now, message)
        }))
    }

    /// Whose passkey it is that counted back. Uses nothing up.
    async fn copied(&self, tx: &mut WriteTx, proof: &Proof, key: AddressKey<'_>) -> SigninError {
        let (account, home, method) = (proof.account, proof.home, proof.method);
        let is_address_known = proof.is_address_known;
        let proof = Proof { account, home, method, exchange: None, is_address_known, vouched_by: None };
        match self.proven_account(tx, &proof, key).await {
            Ok(account) => {
                SigninError::Copied(Box::new(CopiedPasskey { home, method, email: account.email }))
            }
            Err(error) => error,
        }
    }

    /// What tries of this session to prove itself with a passkey are charged to.
    pub fn passkey_stepup_index(&self, session: &AuthenticatedSession) -> [u8; 32] {
        self.keyed("passkey-step-up", &[session.account().as_bytes()])
    }

    fn relying_party(&self) -> Option<&RelyingParty> {
        self.settings.relying_party.as_ref()
    }

    /// Checks an assertion, and remembers what the authenticator counted.
    async fn check_assertion(
        &self,
        tx: &mut WriteTx,
        passkey: &Passkey,
        challenge: &[u8; 32],
        assertion: &Assertion,
    ) -> Result<(), Wrong> {
        let relying_party = self.relying_party().ok_or(Wrong::Assertion)?;
        let condition = assertion
            .verify(relying_party, challenge, &passkey.credential, passkey.sign_count)
            .map_err(|error| match error {
            CeremonyError::CounterWentBack => Wrong::Count,
            _ => Wrong::Assertion,
        })?;
        let counted = tx
            .execute(
                // Of two assertions with one count, one is a copy's.
                "UPDATE passkey SET sign_count = $1, backed_up = $2
                 WHERE method = $3 AND (sign_count < $1 OR $1 = 0)",
                params![
                    i64::from(condition.sign_count),
                    i64::from(condition.is_backed_up),
                    passkey.method.uuid(),
                ],
            )
            .await?;
        if counted == 1 { Ok(()) } else { Err(Wrong::Count) }
    }

    async fn passkey(&self, tx: &mut ReadTx, method: MethodId) -> Result<Option<Passkey>, Failure> {
        let row: Option<Row> = tx
            .query_opt(
                "SELECT method, credential, sign_count FROM passkey WHERE method = $1",
                params![method.uuid()],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        let keys = self.custody.tenant(tx).await?;
        read(&keys, row).map(Some)
    }

    /// The passkeys of this home's account.
    async fn passkeys(&self, tx: &mut ReadTx) -> Result<Vec<Passkey>, Failure> {
        let rows: Vec<Row> =
            tx.query("SELECT method, credential, sign_count FROM passkey ORDER BY method", params![]).await?;
        let keys = self.custody.tenant(tx).await?;
        rows.into_iter().map(|row| read(&keys, row)).collect()
    }
}

/// Writes a passkey down that was just made. In its home.
pub(crate) async fn store(
    tx: &mut WriteTx,
    keys: &TenantKeys,
    method: MethodId,
    credential: &Credential,
    condition: &Condition,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO passkey (method, credential, sign_count, backed_up) VALUES ($1, $2, $3, $4)",
        params![
            method.uuid(),
            &seal(keys, method, credential),
            i64::from(condition.sign_count),
            i64::from(condition.is_backed_up),
        ],
    )
    .await?;
    Ok(())
}

/// What is wrong with an assertion.
enum Wrong {
    /// It is none of this passkey's, or not what was asked for.
    Assertion,
    /// Its count alone.
    Count,
    Failed(Failure),
}

fails!(Wrong);

impl From<Wrong> for SigninError {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            // Of a count its owner is told; elsewhere it is as wrong as the rest.
            Wrong::Assertion | Wrong::Count => SigninError::InvalidCredentials,
            Wrong::Failed(failure) => failure.into(),
        }
    }
}

/// A passkey in its home.
struct Passkey {
    method: MethodId,
    credential: Credential,
    sign_count: u32,
}

type Row = (Uuid, Vec<u8>, i64);

fn read(keys: &TenantKeys, (method, sealed, sign_count): Row) -> Result<Passkey, Failure> {
    let damaged = || Failure::Damaged("passkey");
    let method = MethodId::from_uuid(method);
    let bytes = keys.open(CREDENTIAL, &[method.as_bytes()], &sealed).map_err(|_| damaged())?;
    Ok(Passkey {
        method,
        credential: unpack_credential(&bytes).ok_or_else(damaged)?,
        sign_count: u32::try_from(sign_count).map_err(|_| damaged())?,
    })
}

fn seal(keys: &TenantKeys, method: MethodId, credential: &Credential) -> Vec<u8> {
    let bytes = Packer::default()
        .number(credential.is_backup_eligible.into())
        .number(i64::try_from(credential.id.len()).unwrap_or(i64::MAX))
        .put(&credential.id)
        .put(&credential.public_key)
        .finish();
    keys.seal(CREDENTIAL, &[method.as_bytes()], &bytes)
}

fn unpack_credential(bytes: &[u8]) -> Option<Credential> {
    let mut fields = Unpacker::new(bytes);
    let is_backup_eligible = fields.number()? == 1;
    let length = usize::try_from(fields.number()?).ok()?;
    let (id, public_key) = fields.rest().split_at_checked(length)?;
    Some(Credential { id: id.to_vec(), public_key: public_key.to_vec(), is_backup_eligible })
}

struct AddState {
    session: [u8; 16],
    exchange: ExchangeId,
    challenge: [u8; 32],
    method: MethodId,
    user_handle: UserHandle,
}

fn unpack_add(fields: &mut Unpacker<'_>) -> Option<AddState> {
    Some(AddState {
        session: fields.take()?,
        exchange: fields.take()?,
        challenge: fields.take()?,
        method: MethodId::from_uuid(Uuid::from_bytes(fields.take()?)),
        user_handle: UserHandle::from_bytes(fields.take()?),
    })
}

fn unpack(fields: &mut Unpacker<'_>) -> Option<PasskeyState> {
    Some(PasskeyState { exchange: fields.take()?, challenge: fields.take()?, expires_at: fields.number()? })
}

const CREDENTIAL: &str = "passkey-credential";
/// How often the owner is told of a passkey that may have been copied.
const COPY_TOLD_EVERY_MS: i64 = 24 * 3_600_000;
