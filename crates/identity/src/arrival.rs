// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The end that every sign-in and every step-up comes to, by whatever method somebody proved who they are.
//!
//! A method's own module checks its proof and makes a [`Proof`]. From there on all are alike: the exchange is used up,
//! the method must still be there, the address opens (so that whoever it belongs to can be told), and a session
//! begins, or the one that asks gets another token and is fresh.

use keyring::{AccountNumber, Email, EmailKey, EmailSalt, MethodKind};
use store::{TenantId, WriteTx, params};

use crate::device::{self, DeviceInfo, DeviceToken, Place};
use crate::failure::Failure;
use crate::letter::{Letter, Message};
use crate::lookup::{FoundMethod, MethodLookup};
use crate::method::{self, LoginMethod};
use crate::service::{Identity, in_home};
use crate::session::{AuthenticatedSession, Begin, NewSession, SessionKind};
use crate::session_token::SessionToken;
use crate::signin::{SPEND_EXCHANGE, SigninError};
use crate::state::ExchangeId;
use crate::{AccountId, DeviceId, MethodId, backup_codes};

/// That somebody proved by this method to be this account. Made by a method's own module alone, when its proof holds.
pub struct Proof {
    pub(crate) account: AccountId,
    pub(crate) home: TenantId,
    pub(crate) method: MethodId,
    /// What is used up by it, and until when that is remembered; a proof of one message has no exchange.
    pub(crate) exchange: Option<(ExchangeId, i64)>,
    /// Whether the client knows the address, because somebody typed it there.
    pub(crate) is_address_known: bool,
    /// Whose provider vouches for it, when no method of the account's own proves it.
    pub(crate) vouched_by: Option<TenantId>,
}

impl Proof {
    /// A proof by a method that its lookup value found.
    pub(crate) fn by(found: &FoundMethod, exchange: Option<(ExchangeId, i64)>) -> Self {
        Self {
            account: found.account,
            home: found.home,
            method: found.method,
            exchange,
            is_address_known: false,
            vouched_by: None,
        }
    }

    /// The home to enter.
    pub fn home(&self) -> TenantId {
        self.home
    }

    /// Whose proof it is.
    pub fn account(&self) -> AccountId {
        self.account
    }
}

/// What opens the address of the account.
#[derive(Clone, Copy)]
pub(crate) enum AddressKey<'a> {
    /// The client made it of the address.
    Sent(&'a EmailKey),
    /// The method keeps it, sealed under what was shown.
    Kept(&'a MethodLookup),
}

/// From where somebody signs in.
pub struct Arrival {
    /// How the device names itself.
    pub device: DeviceInfo,
    /// What the device got when it was new, if it ever was.
    pub device_token: Option<DeviceToken>,
    /// The network.
    pub place: Place,
}

/// What a client gets that signed in.
#[derive(Debug)]
pub struct SignedIn {
    /// The account.
    pub account: AccountId,
    /// Its home.
    pub home: TenantId,
    /// Its number, for people.
    pub number: AccountNumber,
    /// The session.
    pub session: NewSession,
    /// The method that was used, with the master key sealed to it if it unlocks.
    pub method: LoginMethod,
    /// The account's public identity keys, as they are kept: they were read when they came, which takes long.
    pub identity_public: Vec<u8>,
    /// How many backup codes are left.
    pub backup_codes_left: u32,
    /// Whether the device was not known.
    pub is_new_device: bool,
    /// The address and the salt of its key, for a client to which nobody typed it.
    pub address: Option<(Email, EmailSalt)>,
    /// The mail to send after the commit; not part of the answer.
    pub letter: Option<Letter>,
}

/// What a session gets that proved itself again.
#[derive(Debug)]
pub struct SteppedUp {
    /// The session's token from now on; the old one is nothing.
    pub token: SessionToken,
    /// Until when the session may change methods and keys, in milliseconds since the Unix epoch.
    pub fresh_until: i64,
    /// The method that was used, with the master key sealed to it if it unlocks.
    pub method: LoginMethod,
    /// The address and the salt of its key, for a client to which nobody typed it.
    pub address: Option<(Email, EmailSalt)>,
}

/// An account whose owner proved to be there.
pub(crate) struct ProvenAccount {
    number: AccountNumber,
    pub(crate) email: Email,
    email_key: EmailKey,
    /// The blind index of the address.
    pub(crate) email_index: [u8; 32],
    /// The authenticator's secret, sealed.
    pub(crate) totp: Option<Vec<u8>>,
    identity_public: Vec<u8>,
    is_suspended: bool,
}

impl ProvenAccount {
    /// Asked when every factor was proved: nobody else is told.
    fn not_suspended(&self) -> Result<(), SigninError> {
        if self.is_suspended { Err(SigninError::Suspended) } else { Ok(()) }
    }
}

impl Identity {
    /// Opens the session of a proof that needs nothing beside it. In a transaction of [`Proof::home`]; drop it on any
    /// error. Send the letter after the commit.
    pub(crate) async fn complete_signin(
        &self,
        tx: &mut WriteTx,
        proof: &Proof,
        key: AddressKey<'_>,
        arrival: &Arrival,
    ) -> Result<SignedIn, SigninError> {
        let account = self.proven_account(tx, proof, key).await?;
        self.arrive(tx, proof, account, arrival).await
    }

    /// Makes a session fresh by a proof that needs nothing beside it. In a transaction of the session's home; drop it on any
    /// error.
    pub(crate) async fn complete_stepup(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        proof: &Proof,
        key: AddressKey<'_>,
    ) -> Result<SteppedUp, SigninError> {
        if proof.account != session.account() || proof.home != session.home() {
            return Err(SigninError::InvalidCredentials);
        }
        let account = self.proven_account(tx, proof, key).await?;
        self.renew(tx, session, proof, &account).await
    }

    /// Uses the exchange up, and finds the account with its method and its address.
    pub(crate) async fn proven_account(
        &self,
        tx: &mut WriteTx,
        proof: &Proof,
        key: AddressKey<'_>,
    ) -> Result<ProvenAccount, SigninError> {
        in_home(tx, proof.home)?;
        type Row = (
            String,
            Option<[u8; 32]>,
            Option<Vec<u8>>,
            Option<Vec<u8>>,
            Vec<u8>,
            Option<i64>,
            Option<Vec<u8>>,
        );
        let ids = params![proof.account.uuid(), proof.method.uuid()];
        let row: Option<Row> = match &proof.exchange {
            Some((exchange, expires_at)) => {
                let spend = params![exchange, *expires_at];
                let [spent, found] = tx.together([(SPEND_EXCHANGE, spend), (FIND_ACCOUNT, ids)]).await?;
                if spent.changed() != 1 {
                    return Err(SigninError::InvalidCredentials);
                }
                found.first()?
            }
            None => tx.query_opt(FIND_ACCOUNT, ids).await?,
        };
        let Some((
            number,
            Some(email_index),
            Some(sealed_email),
            totp,
            identity_public,
            suspended_at,
            address,
        )) = row
        else {
            return Err(SigninError::InvalidCredentials);
        };
        let email_key = match key {
            AddressKey::Sent(key) => key.clone(),
            AddressKey::Kept(lookup) => {
                let address = address.ok_or(SigninError::InvalidCredentials)?;
                lookup
                    .open_email_key(proof.account, proof.method, address)
                    .ok_or(SigninError::InvalidCredentials)?
            }
        };
        let keys = self.custody.tenant(tx).await?;
        let email = self
            .open_stored_address(&keys, proof.account, &sealed_email, &email_key, &email_index)?
            .ok_or(SigninError::InvalidCredentials)?;
        Ok(ProvenAccount {
            number: AccountNumber::parse(&number).map_err(|_| Failure::Damaged("account number"))?,
            email,
            email_key,
            email_index,
            totp,
            identity_public,
            is_suspended: suspended_at.is_some(),
        })
    }

    /// The device is seen, the session begins, the owner is told of what is unusual.
    pub(crate) async fn arrive(
        &self,
        tx: &mut WriteTx,
        proof: &Proof,
        account: ProvenAccount,
        arrival: &Arrival,
    ) -> Result<SignedIn, SigninError> {
        account.not_suspended()?;
        let now = tx.now();
        let token = arrival.device_token.as_ref();
        let shown = token.map(DeviceToken::device);
        let [_, method, device, codes_left] = tx
            .together([
                (USE_METHOD, params![now, proof.method.uuid()]),
                (method::FIND, params![proof.method.uuid()]),
                (device::FIND, params![shown.as_ref().map(DeviceId::uuid)]),
                (backup_codes::COUNT_LEFT, params![]),
            ])
            .await?;
        let method = method::found(method)?.ok_or(SigninError::InvalidCredentials)?;
        let backup_codes_left = backup_codes::counted(codes_left)?;
        let known = device::recognised(device, token)?;
        let seen =
            device::see(self, tx, &account.email_index, known, &arrival.device, &arrival.place).await?;
        let is_new_device = seen.token.is_some();
        let how = self.beginning(tx, proof, known).await?;
        let is_vouched = how.is_vouched();
        let session = self
            .begin_session_of(tx, how, proof.account, proof.method, seen, &arrival.place, &account.email_key)
            .await?;
        // A recovery key is used so seldom that its owner hears of each time.
        let is_recovery = method.kind == MethodKind::RecoveryKey;
        let letter = (is_new_device || is_recovery).then(|| {
            let (device, place) = (arrival.device.label(), arrival.place.as_str().to_owned());
            let message = if is_recovery {
                Message::RecoveryKeyUsed { device, place, session: session.id }
            } else {
                Message::NewDevice { device, place, session: session.id }
            };
            Letter::new(account.email.clone(), &self.settings.service_name, now, message)
        });
        Ok(SignedIn {
            account: proof.account,
            home: proof.home,
            number: account.number,
            session,
            method,
            identity_public: account.identity_public,
            backup_codes_left,
            is_new_device,
            // A tenant's word alone does not tell the tenant's people which address somebody has.
            address: (!proof.is_address_known && !is_vouched).then(|| {
                let salt = self.email_salt(&account.email.hash());
                (account.email, salt)
            }),
            letter,
        })
    }

    /// What the session will be. The platform's own provider is as good as a method of the account's; a tenant's says who somebody
    /// is in that tenant, and on a device that the account knows, that it is them.
    async fn beginning(
        &self,
        tx: &mut WriteTx,
        proof: &Proof,
        known: Option<DeviceId>,
    ) -> Result<Begin, Failure> {
        let Some(tenant) = proof.vouched_by else { return Ok(Begin::of(SessionKind::Proven)) };
        let half = match known {
            Some(device) => self.taken_half(tx, device).await?,
            None => None,
        };
        let kind = match (tenant == TenantId::PLATFORM, known) {
            (true, _) => SessionKind::Proven,
            (false, Some(_)) => SessionKind::Provided,
            (false, None) => SessionKind::Vouched,
        };
        Ok(Begin::vouched(kind, tenant, half))
    }

    /// The session has another token from now on, and is fresh.
    pub(crate) async fn renew(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        proof: &Proof,
        account: &ProvenAccount,
    ) -> Result<SteppedUp, SigninError> {
        account.not_suspended()?;
        self.used(tx, proof.method).await?;
        let method = self.login_method(tx, proof.method).await?.ok_or(SigninError::InvalidCredentials)?;
        let renewed = self.renew_session(tx, session, &account.email_key).await?;
        let (token, fresh_until) = renewed.ok_or(SigninError::InvalidCredentials)?;
        let address = (!proof.is_address_known).then(|| {
            let salt = self.email_salt(&account.email.hash());
            (account.email.clone(), salt)
        });
        Ok(SteppedUp { token, fresh_until, method, address })
    }

    async fn used(&self, tx: &mut WriteTx, method: MethodId) -> Result<(), Failure> {
        let now = tx.now();
        tx.execute(USE_METHOD, params![now, method.uuid()]).await?;
        Ok(())
    }
}

const FIND_ACCOUNT: &str = "SELECT account.number, account.email_index, account.sealed_email, account.totp,
                                   account.identity_public, account.suspended_at, login_method.address
                            FROM account JOIN login_method ON login_method.id = $2
                            WHERE account.id = $1 AND account.deleted_at IS NULL";
const USE_METHOD: &str = "UPDATE login_method SET last_used_at = $1 WHERE id = $2";
