// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Letting a device in through one that is signed in: both sides, over a server that carries their messages.
//!
//! The device: [`Pairing::ask`], show [`Pairing::link`], [`Pairing::offered`], ask for the code, [`Pairing::answer`],
//! [`Pairing::outcome`], until it is in. The approver: [`Approval::open`], show who asks, [`Approval::authorize`], show
//! the code, [`Approval::outcome`], until it is decided.

use std::time::Duration;

use keyring::pairing::{
    Judgement, PairedKey, PairingApproval, PairingBundle, PairingDevice, PairingError as Protocol,
    PairingForm, PairingGrant, PairingLink, PairingRequest, is_offer,
};
use keyring::{AccountKey, EmailSalt, IdentityPublicKeys, MasterKey, SystemRng};
use protocol::pairing::{
    Paired, PairingAnswer, PairingAsk, PairingAsked, PairingAwaited, PairingDeliver, PairingNamed,
    PairingOffer, PairingRedeem, PairingTaken,
};
use protocol::signin::{Device, Session};
use protocol::{AccountId, Bytes, Code, Secret, TenantId};
use rand_core::Rng;
use reqwest::Method;
use zeroize::Zeroizing;

use super::signin::Unlocked;
use super::{Call, Client, RequestError};

/// A device that asks to be let in.
pub struct Pairing {
    client: Client,
    device: PairingDevice,
    secret: Zeroizing<[u8; 32]>,
    expires_at: i64,
}

impl Pairing {
    /// Asks the server.
    ///
    /// # Errors
    /// [`PairingError`].
    pub async fn ask(client: &Client, form: PairingForm, device: &Device) -> Result<Self, PairingError> {
        let rng = &mut SystemRng;
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(secret.as_mut_slice());
        let device = PairingDevice::start(form, &device.name, &device.platform, rng)?;
        let request = device.request();
        let ask = PairingAsk {
            request: (*request.id().expose()).into(),
            device_secret: (*secret).into(),
            form: form.as_str().to_owned(),
            name: request.name().to_owned(),
            platform: request.platform().to_owned(),
            key: request.key().into(),
        };
        let awaited: PairingAwaited = client.post("/api/v1/pairings", &ask).await?;
        Ok(Self { client: client.clone(), device, secret, expires_at: awaited.expires_at })
    }

    /// What to show, as text and as a QR code.
    pub fn link(&self) -> String {
        PairingLink::new(self.client.server(), self.device.request()).to_text()
    }

    /// On a public computer, the three characters to show beside it.
    pub fn shown(&self) -> Option<&str> {
        self.device.shown()
    }

    /// When the request is dead, unless somebody approves before, in milliseconds since the Unix epoch.
    pub fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// Waits until somebody approves.
    ///
    /// # Errors
    /// [`PairingError::Refused`], and whatever ends a pairing.
    pub async fn offered(&self) -> Result<Vec<u8>, PairingError> {
        self.next().await
    }

    /// Answers an offer with what was typed.
    ///
    /// # Errors
    /// [`PairingError::is_typing`] says that it was no code at all, which costs nothing: ask again.
    pub async fn answer(&mut self, offer: &[u8], typed: &str) -> Result<(), PairingError> {
        let message = self.device.answer(offer, typed, &mut SystemRng)?;
        let body = PairingAnswer {
            request: self.request(),
            device_secret: (*self.secret).into(),
            message: message.into(),
        };
        done(&self.client, "/api/v1/pairings/device/answer", &body).await
    }

    /// What the approver makes of the answer: another offer after a wrong code, or the way in.
    ///
    /// # Errors
    /// [`PairingError::TriesSpent`] after three wrong codes, and whatever ends a pairing.
    pub async fn outcome(self, device_token: Option<Secret>) -> Result<Outcome, PairingError> {
        let message = self.next().await?;
        if is_offer(&message) {
            return Ok(Outcome::Again(Box::new(self), message));
        }
        let request = self.request();
        let Pairing { client, device, secret, .. } = self;
        let bundle = device.finish(&message)?;
        let redeem = PairingRedeem {
            request,
            device_secret: (*secret).into(),
            grant: (*bundle.grant.expose()).into(),
            device_token,
        };
        let paired: Paired = client.post("/api/v1/pairings/device/redeem", &redeem).await?;
        let session = paired.session.clone();
        client.set_token(Some(session.token.clone()));
        let way_in = let_in(&client, bundle, paired);
        if way_in.is_err() {
            // The server gave a session of something else than the approver meant.
            let _ = client.sign_out().await;
        }
        Ok(Outcome::In(Box::new(way_in?), session))
    }

    /// Gives up.
    ///
    /// # Errors
    /// [`PairingError::Request`].
    pub async fn cancel(&self) -> Result<(), PairingError> {
        done(&self.client, "/api/v1/pairings/device/cancel", &self.named()).await
    }

    async fn next(&self) -> Result<Vec<u8>, PairingError> {
        next(&self.client, "/api/v1/pairings/device/take", &self.named()).await
    }

    fn named(&self) -> protocol::pairing::PairingDevice {
        protocol::pairing::PairingDevice { request: self.request(), device_secret: (*self.secret).into() }
    }

    fn request(&self) -> Bytes<16> {
        (*self.device.request().id().expose()).into()
    }
}

impl std::fmt::Debug for Pairing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pairing({:?})", self.device)
    }
}

/// What became of an answer.
#[derive(Debug)]
pub enum Outcome {
    /// The code was wrong; this is the next offer.
    Again(Box<Pairing>, Vec<u8>),
    /// The device is in.
    In(Box<WayIn>, Session),
}

/// With what a device is in.
#[derive(Debug)]
pub enum WayIn {
    /// One of the owner's devices: the whole account.
    Device(Unlocked),
    /// A public computer: it reads, and keeps nothing.
    Public(PublicAccount),
}

/// An account on a public computer: a session that reads for some minutes, and the key to read with.
pub struct PublicAccount {
    /// Acts with the session.
    pub client: Client,
    /// The account.
    pub account: AccountId,
    /// Its number, for people.
    pub number: String,
    /// Its home.
    pub home: TenantId,
    /// The key that content stands on.
    pub key: AccountKey,
    /// Which of the account's master keys it comes from.
    pub master_key_version: u32,
}

impl std::fmt::Debug for PublicAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicAccount({})", self.account)
    }
}

/// What the server says must be what the approver sealed.
fn let_in(client: &Client, bundle: PairingBundle, paired: Paired) -> Result<WayIn, PairingError> {
    let session = paired.session;
    let identity: IdentityPublicKeys = bundle.key.account_key().identity_keys(bundle.key_version).public();
    let is_same = session.account.uuid().as_bytes() == bundle.account.as_bytes()
        && session.home.uuid().as_bytes() == bundle.home.as_bytes()
        && paired.identity.as_slice() == identity.to_bytes();
    if !is_same {
        return Err(PairingError::AnotherAccount);
    }
    Ok(match bundle.key {
        PairedKey::Master(master) => {
            let (email, email_salt) = bundle.email.ok_or(PairingError::AnotherAccount)?;
            WayIn::Device(Unlocked {
                client: client.clone(),
                account: session.account,
                number: paired.account_number,
                home: session.home,
                session: session.id,
                device: session.device,
                master,
                master_key_version: bundle.key_version,
                email,
                email_salt,
            })
        }
        PairedKey::Account(key) => WayIn::Public(PublicAccount {
            client: client.clone(),
            account: session.account,
            number: paired.account_number,
            home: session.home,
            key,
            master_key_version: bundle.key_version,
        }),
    })
}

/// A request to be let in, opened on a signed-in device.
pub struct Approval {
    client: Client,
    approval: PairingApproval,
    asked: PairingAsked,
    link: PairingLink,
}

impl Approval {
    /// Asks the server who asks, and holds it against the link.
    ///
    /// # Errors
    /// [`PairingError::Protocol`] with `OtherRequest` when somebody exchanged it on the way.
    pub async fn open(client: &Client, link: &PairingLink) -> Result<Self, PairingError> {
        let named = PairingNamed { request: (*link.request().expose()).into() };
        let asked: PairingAsked = client.post("/api/v1/pairings/read", &named).await?;
        let form = PairingForm::named(&asked.form).ok_or(Protocol::OtherRequest)?;
        let request = PairingRequest::from_parts(
            *link.request(),
            form,
            &asked.name,
            &asked.platform,
            asked.key.as_slice(),
        )?;
        let approval = PairingApproval::open(link, request)?;
        Ok(Self { client: client.clone(), approval, asked, link: link.clone() })
    }

    /// What wants in.
    pub fn request(&self) -> &PairingRequest {
        self.approval.request()
    }

    /// The network that it asks from, as the server says.
    pub fn address(&self) -> &str {
        &self.asked.address
    }

    /// When it asked, in milliseconds since the Unix epoch.
    pub fn created_at(&self) -> i64 {
        self.asked.created_at
    }

    /// The owner said yes: the code, to be shown here. Of a public computer, `typed` is what its screen shows.
    ///
    /// # Errors
    /// The server asks for a fresh proof first; [`PairingError::is_typing`].
    pub async fn authorize(&mut self, typed: Option<&str>) -> Result<Zeroizing<String>, PairingError> {
        let code = self.approval.authorize(typed, &mut SystemRng)?;
        self.offer().await?;
        Ok(code)
    }

    /// Waits for an answer and judges it: the device is let in, or has tries left. After the third wrong code the request
    /// is dead.
    ///
    /// # Errors
    /// [`PairingError::TriesSpent`], and whatever ends a pairing.
    pub async fn outcome(&mut self, account: &Unlocked) -> Result<Answered, PairingError> {
        let named = self.named();
        let answer = next(&self.client, "/api/v1/pairings/take", &named).await?;
        let judged = self.approval.judge(&answer);
        let tries_left = match judged {
            Ok(Judgement::Right(confirmed)) => {
                let bundle = bundle(account, self.request().form());
                let message = confirmed.deliver(&bundle, &mut SystemRng)?;
                let deliver = PairingDeliver {
                    request: named.request,
                    message: message.into(),
                    grant_hash: bundle.grant.hash().into(),
                };
                done(&self.client, "/api/v1/pairings/deliver", &deliver).await?;
                return Ok(Answered::LetIn);
            }
            Ok(Judgement::Wrong { tries_left }) => tries_left,
            Err(error) => {
                let _ = self.refuse().await;
                return Err(error.into());
            }
        };
        if tries_left == 0 {
            let _ = self.refuse().await;
            return Err(PairingError::TriesSpent);
        }
        self.offer().await?;
        Ok(Answered::Wrong { tries_left })
    }

    /// Says no: the device hears of it.
    ///
    /// # Errors
    /// [`PairingError::Request`].
    pub async fn refuse(&self) -> Result<(), PairingError> {
        done(&self.client, "/api/v1/pairings/refuse", &self.named()).await
    }

    async fn offer(&mut self) -> Result<(), PairingError> {
        let message = self.approval.offer(&mut SystemRng)?;
        let body = PairingOffer { request: self.named().request, message: message.into() };
        done(&self.client, "/api/v1/pairings/offer", &body).await
    }

    fn named(&self) -> PairingNamed {
        PairingNamed { request: (*self.link.request().expose()).into() }
    }
}

impl std::fmt::Debug for Approval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Approval({:?})", self.approval)
    }
}

/// What an answer was worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The device is let in.
    LetIn,
    /// The code was wrong; the device asks for it again.
    Wrong {
        /// How many codes may still be typed.
        tries_left: u8,
    },
}

fn bundle(account: &Unlocked, form: PairingForm) -> PairingBundle {
    let master: &MasterKey = &account.master;
    PairingBundle {
        account: crate::place::account(account.account),
        home: (*account.home.uuid().as_bytes()).into(),
        key_version: account.master_key_version,
        key: match form {
            PairingForm::Device => PairedKey::Master(master.clone()),
            PairingForm::Public => PairedKey::Account(master.account_key()),
        },
        grant: PairingGrant::generate(&mut SystemRng),
        email: Some((account.email.clone(), EmailSalt::from_bytes(*account.email_salt.as_bytes()))),
    }
}

/// Waits for the other side's message.
async fn next(client: &Client, path: &str, body: &impl serde::Serialize) -> Result<Vec<u8>, PairingError> {
    loop {
        let taken: PairingTaken = client.post(path, body).await?;
        match (taken.state.as_str(), taken.message) {
            ("message", Some(message)) => return Ok(message.into_vec()),
            ("refused", _) => return Err(PairingError::Refused),
            ("tries_spent", _) => return Err(PairingError::TriesSpent),
            _ => crate::pause::sleep(PAUSE).await,
        }
    }
}

async fn done(client: &Client, path: &str, body: &impl serde::Serialize) -> Result<(), PairingError> {
    Ok(client.done(Call::new(Method::POST, path).json(body)?).await?)
}

/// Why a device is not in.
#[derive(Debug, thiserror::Error)]
pub enum PairingError {
    /// The server refused, or cannot be reached.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// What the other side says, or what was typed, is not as it should be.
    #[error(transparent)]
    Protocol(#[from] Protocol),
    /// The other side said no.
    #[error("the request was refused on the other device")]
    Refused,
    /// Three codes were wrong.
    #[error("the code was wrong three times: this request is dead. Start again on the device")]
    TriesSpent,
    /// The server's session is not of the account that the approver sealed.
    #[error(
        "the server signed this device in to something else than was approved: do not go on, and tell the operator"
    )]
    AnotherAccount,
}

impl PairingError {
    /// Whether what was typed is no code at all: asking again costs nothing.
    pub fn is_typing(&self) -> bool {
        matches!(self, Self::Protocol(Protocol::NotACode | Protocol::NotThreeCharacters))
    }

    /// Whether somebody meddled with the messages.
    pub fn is_tampering(&self) -> bool {
        matches!(
            self,
            Self::AnotherAccount
                | Self::Protocol(
                    Protocol::OtherRequest
                        | Protocol::OutOfTurn
                        | Protocol::NotConfirmed
                        | Protocol::Malformed
                        | Protocol::Sealed(_)
                )
        )
    }

    /// Whether the request is over, for whatever reason.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Request(error) if error.is(Code::PairingOver))
    }
}

/// Between two questions whether there is a message.
const PAUSE: Duration = Duration::from_millis(400);
