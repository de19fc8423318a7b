// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Other accounts: whose keys are whose, and what they share.
//!
//! What the server says of another account's public keys is believed when all of this holds: each version is the subject of a
//! record in the platform's log, under a checkpoint that the log's pinned key signed and that only grew; each version after the
//! first is signed by the one before it; and the version that this device saw last time is still the same. A server
//! that slips in keys of its own must show them to everybody for ever, and cannot do it to somebody who has been
//! seen before. Whom nobody has met before, two people compare by [`keyring::Fingerprint`].

use std::collections::BTreeMap;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use keyring::{
    AccountNumber, Fingerprint, Grant, GrantPlace, IdentityPublicKeys, IdentityRotation, SystemRng,
    keys_subject,
};
use ledger::record::{RecordHeader, leaf_hash, payload_hash};
use ledger::{InclusionProof, Tile, TileHashes, TreeHead};
use protocol::service::Service;
use protocol::sharing::{AccountKeys, PublishedKeys, PutMember, Share};
use protocol::{AccountId, Code, CollectionId};
use sha2::{Digest as _, Sha256};

use crate::client::log::Log;
use crate::client::opened::Opened;
use crate::client::signin::Unlocked;
use crate::client::{Client, RequestError};
use crate::files::{Drive, DriveError};
use crate::pins::{OtherPins, Pins};
use crate::place;
use crate::verify::{LogIdentity, VerifyError};

/// Another account, whose keys are proved.
#[derive(Clone, Debug)]
pub struct KnownAccount {
    /// The account.
    pub account: AccountId,
    /// Its number.
    pub number: String,
    /// Whether it was met before, and whether its keys have changed since, rightly signed.
    pub standing: Standing,
    keys: Vec<IdentityPublicKeys>,
}

/// What is known of an account from before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing: compare the fingerprint.
    New,
    /// The same keys.
    Known,
    /// It has made new keys, and signed them with the old ones.
    Rotated,
}

impl KnownAccount {
    /// Looks an account up, proves what the server says, and holds it against what was seen before; `pins` remembers it.
    ///
    /// # Errors
    /// [`SharingError`]; of these [`SharingError::NotProven`] and [`SharingError::KeysReplaced`] say that the server is not to
    /// be trusted.
    pub async fn look_up(
        client: &Client,
        service: &Service,
        pins: &mut Pins,
        number: &str,
    ) -> Result<KnownAccount, SharingError> {
        let number = AccountNumber::parse(number).map_err(|_| SharingError::NotANumber)?.as_str().to_owned();
        let (shown, head, note) = Self::fetch(client, service, pins, &number).await?;
        if AccountNumber::parse(&shown.account_number).map(|shown| shown.as_str().to_owned()).ok()
            != Some(number.clone())
        {
            return Err(SharingError::NotProven("it answers for another account"));
        }
        let keys = chain(&shown)?;
        for (published, keys) in shown.keys.iter().zip(&keys) {
            prove(client, &head, shown.account, published, keys).await?;
        }
        let newest = keys.last().ok_or(SharingError::NotProven("it shows no keys"))?;
        let digest = |keys: &IdentityPublicKeys| BASE64URL_NOPAD.encode(&Sha256::digest(keys.to_bytes()));
        let version = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        let standing = match pins.others.get(&number) {
            None => Standing::New,
            Some(known) => {
                let then = usize::try_from(known.key_version).unwrap_or(usize::MAX).checked_sub(1);
                let same =
                    then.and_then(|then| keys.get(then)).is_some_and(|keys| digest(keys) == known.keys);
                if known.account != shown.account || !same {
                    return Err(SharingError::KeysReplaced(number));
                }
                if known.key_version == version { Standing::Known } else { Standing::Rotated }
            }
        };
        let pin = OtherPins { account: shown.account, key_version: version, keys: digest(newest) };
        pins.others.insert(number.clone(), pin);
        if let Some(origin) = &pins.log_origin {
            pins.checkpoints.insert(origin.clone(), note);
        }
        Ok(KnownAccount { account: shown.account, number, standing, keys })
    }

    /// What two people compare.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.keys.last().map(|keys| keys.fingerprint(&place::account(self.account)))
    }

    /// How many versions of its keys there were.
    pub fn key_version(&self) -> u32 {
        u32::try_from(self.keys.len()).unwrap_or(u32::MAX)
    }

    fn keys_of(&self, version: u32) -> Option<&IdentityPublicKeys> {
        usize::try_from(version).ok()?.checked_sub(1).and_then(|place| self.keys.get(place))
    }

    /// What the directory says, and a checkpoint that covers it.
    async fn fetch(
        client: &Client,
        service: &Service,
        pins: &Pins,
        number: &str,
    ) -> Result<(AccountKeys, TreeHead, String), SharingError> {
        let log = LogIdentity::of_platform(&service.log_origin, &service.log_public_key)?;
        for _ in 0..TRIES {
            let shown = match client.account_keys(number).await {
                Err(error) if error.is(Code::Unavailable) => None,
                other => Some(other?),
            };
            let head = client.verify_platform(&log, pins).await?;
            if let (Some(shown), Some((head, note))) = (shown, head)
                && shown.keys.iter().all(|keys| keys.entry.number < head.size)
            {
                return Ok((shown, head, note));
            }
            // A moment after a sign-up or a rotation the log has not got there yet.
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Err(SharingError::NotLogged)
    }
}

/// The keys, each version signed by the one before it.
fn chain(shown: &AccountKeys) -> Result<Vec<IdentityPublicKeys>, SharingError> {
    let account = place::account(shown.account);
    let mut keys: Vec<IdentityPublicKeys> = Vec::with_capacity(shown.keys.len());
    for (place, published) in shown.keys.iter().enumerate() {
        if usize::try_from(published.key_version).ok() != Some(place + 1) {
            return Err(SharingError::NotProven("a version of the keys is missing"));
        }
        let these = IdentityPublicKeys::from_bytes(published.keys.as_slice())
            .map_err(|_| SharingError::NotProven("its keys are none"))?;
        match (keys.last(), &published.statement) {
            (None, None) => {}
            (Some(before), Some(statement)) => {
                let rotation = IdentityRotation::from_bytes(statement.as_slice());
                let is_signed = rotation.is_ok_and(|rotation| {
                    rotation
                        .verify(&account, before)
                        .is_ok_and(|(version, new)| version == published.key_version && *new == these)
                });
                if !is_signed {
                    return Err(SharingError::NotProven("new keys are not signed by the old ones"));
                }
            }
            _ => return Err(SharingError::NotProven("new keys are not signed by the old ones")),
        }
        keys.push(these);
    }
    Ok(keys)
}

/// Whether the log says so: the record's subject, its leaf, the leaf under the head.
async fn prove(
    client: &Client,
    head: &TreeHead,
    account: AccountId,
    published: &PublishedKeys,
    keys: &IdentityPublicKeys,
) -> Result<(), SharingError> {
    let not_proven = SharingError::NotProven("its keys are not in the log");
    let Some(record) = &published.entry.record else { return Err(not_proven) };
    if record.subject != keys_subject(&place::account(account), published.key_version, keys) {
        return Err(not_proven);
    }
    let header = RecordHeader {
        // The platform's.
        tenant: [0; 16],
        id: *record.id.as_bytes(),
        at: record.at,
        actor: record.actor.clone(),
        via: record.via.clone(),
        action: record.action.clone(),
        subject: record.subject.clone(),
        corrects: record.corrects.map(|id| *id.as_bytes()),
        request: record.request.clone(),
    };
    let Ok(header) = header.encode() else { return Err(not_proven) };
    let leaf = leaf_hash(&header, &payload_hash(record.details.as_slice()));
    let (number, size) = (published.entry.number, head.size);
    let mut tiles = BTreeMap::new();
    for tile in InclusionProof::tiles(number, size) {
        tiles.insert(tile, client.tile(Log::Platform, tile).await?);
    }
    let read = |tile: Tile| tiles.get(&tile).cloned().ok_or(());
    let proof = InclusionProof::prove(&TileHashes::new(size, read), number, size);
    match proof.map(|proof| proof.verify(number, &leaf, head)) {
        Ok(Ok(())) => Ok(()),
        _ => Err(not_proven),
    }
}

impl Unlocked {
    /// Lets another account read a collection of one's own: its key, sealed to that account and signed.
    ///
    /// # Errors
    /// [`SharingError`].
    pub async fn share(
        &self,
        drive: &Drive,
        collection: CollectionId,
        with: &KnownAccount,
    ) -> Result<(), SharingError> {
        let key = drive.key_of(collection).ok_or(SharingError::NoCollection)?;
        let recipient = with.keys.last().ok_or(SharingError::NotProven("it shows no keys"))?;
        let own = self.master.account_key().identity_keys(self.master_key_version);
        let place = GrantPlace {
            sharer: place::account(self.account),
            recipient: place::account(with.account),
            collection: place::collection(collection),
            key_version: FIRST_KEY,
        };
        let grant = Grant::issue(key, &own, recipient, &place, &mut SystemRng);
        let put = PutMember {
            account_number: with.number.clone(),
            key_version: with.key_version(),
            own_key_version: self.master_key_version,
            grant: grant.to_bytes().into(),
        };
        Ok(self.client.put_member(collection, with.account, &put).await?)
    }

    /// Opens a collection that another account shares, to be read.
    ///
    /// # Errors
    /// [`SharingError::NotGranted`] when that account did not sign the grant, [`SharingError::OldKeys`] when it was made for keys
    /// that this account no longer has.
    pub async fn open_share(&self, share: &Share, owner: &KnownAccount) -> Result<Drive, SharingError> {
        let shared = self.client.shared_collection(share.home, share.collection).await?;
        if shared.owner != owner.account || shared.id != share.collection {
            return Err(SharingError::NotGranted);
        }
        if shared.key_version != self.master_key_version {
            return Err(SharingError::OldKeys(owner.number.clone()));
        }
        let sharer = owner.keys_of(shared.owner_key_version).ok_or(SharingError::NotGranted)?;
        let own = self.master.account_key().identity_keys(self.master_key_version);
        let place = GrantPlace {
            sharer: place::account(owner.account),
            recipient: place::account(self.account),
            collection: place::collection(share.collection),
            key_version: FIRST_KEY,
        };
        let grant = Grant::from_bytes(shared.grant.as_slice()).map_err(|_| SharingError::NotGranted)?;
        let key = grant.open(&own, sharer, &place).map_err(|_| SharingError::NotGranted)?;
        let client = self.client.within(share.home);
        Ok(Drive::of(Opened { client, home: share.home, ..Opened::from(self) }, share.collection, key))
    }
}

/// Why something is not shared, or not to be had.
#[derive(Debug, thiserror::Error)]
pub enum SharingError {
    /// The server refused, or cannot be reached.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The files cannot be read.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// The platform's log does not hold.
    #[error(transparent)]
    Log(#[from] VerifyError),
    /// It is not an account's number.
    #[error("that is not an account number: seven characters, as `bailiwick whoami` shows them")]
    NotANumber,
    /// What the server says of an account's keys does not hold.
    #[error(
        "the server says of that account what it cannot prove ({0}): do not go on, and tell the operator"
    )]
    NotProven(&'static str),
    /// The keys of an account that was met before are others, and it did not sign that.
    #[error(
        "the server shows other keys for account {0} than it showed before, and that account did not sign them: do not \
         go on, and ask its owner for the fingerprint"
    )]
    KeysReplaced(String),
    /// The log has not got to the keys.
    #[error("the account's keys are not in the log yet: try again in a moment")]
    NotLogged,
    /// The grant is not that account's for this one.
    #[error(
        "the account that is said to share this did not sign it for you: do not go on, and tell the operator"
    )]
    NotGranted,
    /// The grant was made for keys that are gone.
    #[error("this was shared before your master key was rotated: ask account {0} to share it again")]
    OldKeys(String),
    /// There is nothing of this kind.
    #[error("there is nothing to share yet: put a file first")]
    NoCollection,
}

/// Which of a collection's keys is granted: it has one.
const FIRST_KEY: u32 = 1;
const TRIES: usize = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
