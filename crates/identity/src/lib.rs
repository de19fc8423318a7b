// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Accounts, login methods, sessions and devices.
//!
//! An **account** is one person or service. It lives in a **home**, a tenant of its own; the **directory** (the platform's
//! database) knows only keyed hashes, of its address and of what its methods show, and where its home is. A **login method**
//! authenticates the account, unlocks its master key, or both: a password by OPAQUE with a **second factor**, a passkey, a
//! recovery key, an API key. Who signed in, or was let in by **pairing** with a device that is, has a **session** on a
//! **device**; programs show an API key with each request.
//!
//! What holds, whatever the server above does:
//!
//! - Passwords, master keys and private keys never come here: no type of this room could hold one. The one exception is
//!   the first sign-in of somebody who was imported ([`ImportedSignin`]): the password is held against the old hash, and
//!   not kept.
//! - An unknown address and a wrong password are the same to whoever asks: same work, same shapes, same error
//!   ([`SigninError::InvalidCredentials`]).
//! - One method that a person signs in with and that opens the account's data always stays; whatever is revoked lets nobody
//!   in from then on, and ends what it opened.
//! - Whatever proves something works once: a step of the authenticator, a backup code, the state of an exchange.
//! - A session is one row. Ending it, its device, its method or its account ends it everywhere at once, and takes the
//!   server's half of the device's key away.
//! - An address is opened in memory only, with a key that its owner sends, and written to when something happens that
//!   the owner must hear of; a thief with the password cannot leave it out.
//! - Where one act touches the directory and a home, the order of its steps leaves something harmless after a crash, and
//!   a sweep finishes or undoes it. Each module says how.
//!
//! Operations take the transaction of their place, never commit, and return a [`Letter`] where somebody is to be
//! told: commit first, then send it by a [`Mail`]. Tries are counted by [`Attempts`], which the server asks before each start and
//! each finish.
//!
//! ```no_run
//! # async fn sign_in(
//! #     identity: &identity::Identity, attempts: &identity::Attempts, mut view: store::ReadTx,
//! #     email: keyring::EmailHash, request: Vec<u8>, from: std::net::IpAddr,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! use identity::Try;
//!
//! let index = identity.blind_index(&email);
//! let _counts_until_it_succeeds = attempts.start(view.now(), Try::SignIn, index.as_bytes(), from)?;
//! let started = identity.signin_start(&mut view, &email, None, &request).await?;
//! // … to the client and back, then: signin_state, attempts.finish, signin_verify, and in the home signin_finish.
//! # let _ = started;
//! # Ok(())
//! # }
//! ```

mod account;
mod answered;
mod api_key;
mod arrival;
mod attempts;
mod backup_codes;
mod device;
mod directory;
mod failure;
mod id;
mod imported;
mod keys;
mod letter;
mod lookup;
mod mail;
mod master_key;
mod method;
mod method_change;
mod network;
mod pairing;
mod passkey;
mod password;
mod plain_password;
mod provided;
mod random;
mod recovery_key;
mod schema;
mod second_factor;
mod secret;
mod service;
mod session;
mod session_token;
mod settings;
mod signin;
mod signup;
mod state;
mod suspension;
mod sweep;
mod totp;
mod webauthn;

pub use account::{Account, ChangeError, Deletion};
pub use answered::{ANSWERS_KEPT_MS, Claim, KeyedRequest, MAX_ANSWERS};
pub use api_key::{
    AddressState, ApiKey, ApiKeyError, AuthenticatedKey, NewApiKey, RefusedKey, Reported, ReportedKey,
    Scopes, ScopesError, SeenNetwork, home_of,
};
pub use arrival::{Arrival, Proof, SignedIn, SteppedUp};
pub use attempts::{Attempts, Charge, Limit, Limits, TooManyTries, Try};
pub use device::{Device, DeviceInfo, DeviceInfoError, DeviceToken, DeviceTokenError, Place};
pub use failure::Failure;
pub use id::{AccountId, DeviceId, MethodId, SessionId};
pub use imported::{HashError, Import, ImportReject, ImportedSignin, ImportedUser, NoMemory, ProvenImport};
pub use keys::{DueKeys, PublishedAccount, PublishedKeys};
pub use letter::Letter;
pub use lookup::{FoundMethod, ListedMethods, MethodLookup, ReservedLookup, UnmatchedMethods};
pub use mail::{Mail, MailError, Outbox, Sending, Smtp};
pub use master_key::{FormerAccountKey, MasterKeyRotation, ResealedMethod};
pub use method::{LoginMethod, SlowHash, Unlocking};
pub use method_change::{MethodLabel, MethodLabelError, NewMethod, RevokedMethod};
pub use network::{Network, NetworkError, canonical};
pub use pairing::{
    DeviceSecret, PairedIn, PairingApprover, PairingAsk, PairingAsked, PairingError, PairingSide,
    PairingState, RedeemedPairing,
};
pub use passkey::{
    CopiedPasskey, NewPasskey, PasskeyAddStarted, PasskeyChallenge, PasskeyError, PasskeyProof, PasskeyState,
};
pub use password::{PasswordFinish, PasswordStarted, PreparedPassword, SWITCH_WITHIN_MS};
pub use plain_password::{
    MAX_PLAIN_NAME, MAX_PLAIN_PASSWORD, MIN_PLAIN_PASSWORD, NewPlainPassword, PlainCandidate, PlainHash,
    PlainName, PlainPassword, PlainPasswordError, ProvenPlain,
};
pub use provided::ProvidedIdentity;
pub use schema::MIGRATIONS;
pub use second_factor::{SecondFactor, TotpSecret};
pub use service::{Identity, StartError};
pub use session::{AuthenticatedSession, NewSession, Session, SessionError, SessionKind};
pub use session_token::{SessionToken, SessionTokenError};
pub use settings::{Settings, SettingsError};
pub use signin::{ProvenPassword, SigninError, SigninFinish, SigninStarted, SigninState};
pub use signup::{
    NO_ACCOUNT, NewTotp, PasskeySignupFinish, PasskeySignupStart, PasskeySignupStarted, ProvidedSignup,
    ReservedSignup, SignedUp, Signup, SignupError, SignupFinish, SignupStart, SignupStarted, SignupState,
};
pub use suspension::Suspension;
pub use sweep::{Entry, UnsettledPassword};
pub use totp::TotpStarted;
pub use webauthn::{
    ALGORITHMS as PASSKEY_ALGORITHMS, Assertion, CeremonyError, Registration, RelyingParty, RelyingPartyError,
};
