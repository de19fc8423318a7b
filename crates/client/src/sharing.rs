// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Other accounts: whose keys are whose, and what they share.
//!
//! What the server says of another account's public keys is believed when all of this holds: each version is the subject of a
//! record in the platform's log, under a checkpoint that the log's pinned key signed and that only grew; each version after the
//! first is signed by the one before it; and the version that this device saw last time is still the same. A server
//! that slips in keys of its own must show them to everybody for ever, and cannot do it to somebody who has been
//! seen before. Whom nobody has met before, two people compare by [`keyring::Fingerprint`].

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use keyring::{
    AccountNumber, CollectionKeys, Fingerprint, FormerAccountKeyPlace, Grant, GrantPlace, IdentityKeys,
    IdentityPublicKeys, IdentityRotation, Sealed, SystemRng, keys_subject,
};
use ledger::TreeHead;
use protocol::service::Service;
use protocol::sharing::{
    AccountKeys, Admitted, Member, NextKey, Permission, PublishedKeys, PutMember, Share,
};
use protocol::{AccountId, Code, CollectionId};
use sha2::{Digest as _, Sha256};

use crate::account_name::{NotAnAccount, naming};
use crate::client::log::Log;
use crate::client::opened::Opened;
use crate::client::signin::Unlocked;
use crate::client::{Client, RequestError};
use crate::files::{Drive, DriveError, OpenCollection, collection};
use crate::history::Tiles;
use crate::pins::{CollectionPins, OtherPins, Pins};
use crate::place;
use crate::profile::ProfileError;
use crate::trust::Trust;
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
        number: AccountNumber,
    ) -> Result<KnownAccount, SharingError> {
        let number = number.as_str();
        Self::prove(client, service, pins, &Asked { who: number, number: Some(number), ..Asked::default() })
            .await
    }

    /// The same of an account that is known by its id alone.
    ///
    /// # Errors
    /// [`SharingError`].
    pub async fn look_up_id(
        client: &Client,
        service: &Service,
        pins: &mut Pins,
        account: AccountId,
    ) -> Result<KnownAccount, SharingError> {
        let who = account.to_string();
        Self::prove(client, service, pins, &Asked { who: &who, account: Some(account), ..Asked::default() })
            .await
    }

    /// One's own account, with the keys of the master key that is in use.
    ///
    /// # Errors
    /// [`SharingError`].
    pub(crate) async fn look_up_version(
        client: &Client,
        service: &Service,
        pins: &mut Pins,
        own: &Unlocked,
    ) -> Result<KnownAccount, SharingError> {
        let asked = Asked {
            who: &own.account.to_string(),
            account: Some(own.account),
            key_version: own.master_key_version,
            ..Asked::default()
        };
        Self::prove(client, service, pins, &asked).await
    }

    async fn prove(
        client: &Client,
        service: &Service,
        pins: &mut Pins,
        asked: &Asked<'_>,
    ) -> Result<KnownAccount, SharingError> {
        let (shown, head, note) = Self::fetch(client, service, pins, asked).await?;
        let number = AccountNumber::parse(&shown.account_number)
            .map_err(|_| SharingError::NotProven("it answers for another account"))?;
        let number = number.as_str().to_owned();
        let is_other = asked.number.is_some_and(|asked| asked != number)
            || asked.account.is_some_and(|asked| asked != shown.account);
        if is_other {
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

    /// The keys of a version.
    pub(crate) fn keys_of(&self, version: u32) -> Option<&IdentityPublicKeys> {
        usize::try_from(version).ok()?.checked_sub(1).and_then(|place| self.keys.get(place))
    }

    /// What the directory says, and a checkpoint that covers it.
    async fn fetch(
        client: &Client,
        service: &Service,
        pins: &Pins,
        asked: &Asked<'_>,
    ) -> Result<(AccountKeys, TreeHead, String), SharingError> {
        let log = LogIdentity::of_platform(&service.log_origin, &service.log_public_key)?;
        for _ in 0..TRIES {
            let shown = match client.account_keys(asked.who).await {
                Err(error) if error.is(Code::Unavailable) => None,
                other => Some(other.map_err(|error| naming(error, asked.who))?),
            };
            let head = client.verify_platform(&log, pins).await?;
            if let (Some(shown), Some((head, note))) = (shown, head)
                && shown.keys.iter().all(|keys| keys.entry.number < head.size)
                && shown.keys.iter().any(|keys| keys.key_version >= asked.key_version)
            {
                return Ok((shown, head, note));
            }
            // A moment after a sign-up or a rotation the log has not got there yet.
            crate::pause::sleep(BETWEEN_LOOKS).await;
        }
        Err(SharingError::NotLogged)
    }
}

/// Which account is asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Asked<'a> {
    /// Its number or its id.
    who: &'a str,
    /// It must have this number,
    number: Option<&'a str>,
    /// this id,
    account: Option<AccountId>,
    /// and keys of this version at the least.
    key_version: u32,
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
    // The platform's log has no tenant.
    let is_logged = Tiles::new(client, Log::Platform).includes([0; 16], &published.entry, head).await?;
    if is_logged { Ok(()) } else { Err(not_proven) }
}

/// Opens a collection that somebody shares, with the grant of its key.
///
/// # Errors
/// [`SharingError::NotGranted`] when its owner did not sign the grant for this account, [`SharingError::OldKeys`] when it was
/// made for keys that the account can no longer open, [`SharingError::KeyRolledBack`] when a newer one was seen before.
pub(crate) async fn open_shared(
    account: &Opened,
    trust: &Trust,
    share: &Share,
    owner: &KnownAccount,
) -> Result<OpenCollection, SharingError> {
    let shared = account.client.shared_collection(share.home, share.collection).await?;
    if shared.owner != owner.account || shared.id != share.collection {
        return Err(SharingError::NotGranted);
    }
    let sharer = owner.keys_of(shared.owner_key_version).ok_or(SharingError::NotGranted)?;
    let own = identity_keys(account, shared.key_version, &owner.number).await?;
    let place = GrantPlace {
        sharer: place::account(owner.account),
        recipient: place::account(account.account),
        collection: place::collection(share.collection),
        key_version: shared.generation,
    };
    let grant = Grant::from_bytes(shared.grant.as_slice()).map_err(|_| SharingError::NotGranted)?;
    let newest = grant.open(&own, sharer, &place).map_err(|_| SharingError::NotGranted)?;
    let (generation, former) = (shared.generation, &shared.former_keys);
    let keys = collection::open_former(newest, generation, share.home, share.collection, former)
        .map_err(DriveError::from)?;
    let pins = CollectionPins { generation, owner_key_version: shared.owner_key_version };
    trust.see_collection(share.collection, pins).await?;
    let meta = shared.sealed_meta.as_slice();
    Ok(OpenCollection {
        id: share.collection,
        name: collection::description(&keys, share.home, share.collection, meta)?.name,
        keys,
        key_version: 0,
        sequence: shared.sequence,
        permission: shared.permission,
    })
}

/// The account's identity keys of this version: those in use, or older ones, which the account key in use opens one after the
/// other. So what was granted before the master key was rotated still opens.
pub(crate) async fn identity_keys(
    account: &Opened,
    key_version: u32,
    owner: &str,
) -> Result<IdentityKeys, SharingError> {
    if key_version == account.master_key_version {
        return Ok(account.identity_keys());
    }
    let (mut key, mut version) = (account.key.clone(), account.master_key_version);
    for former in account.client.former_account_keys().await?.keys {
        // Without a gap, from the one in use on.
        if former.key_version.checked_add(1) != Some(version) {
            break;
        }
        let place = FormerAccountKeyPlace {
            account: place::account(account.account),
            key_version: former.key_version,
        };
        let sealed = Sealed::parse(former.sealed_key.into_vec()).map_err(DriveError::from)?;
        key = key.open_former(&sealed, &place).map_err(DriveError::from)?;
        version = former.key_version;
        if version == key_version {
            return Ok(key.identity_keys(version));
        }
    }
    Err(SharingError::OldKeys(owner.to_owned()))
}

/// What becomes of a collection's members when it gets its next key.
#[derive(Clone, Copy, Debug)]
enum Change<'a> {
    /// Somebody is let in.
    LetIn(&'a KnownAccount, Permission),
    /// Somebody is let out.
    LetOut(AccountId),
}

impl Unlocked {
    /// Shares a collection of one's own with another account, or changes what it may do there. The first time that a
    /// collection is shared it gets its second key, from which on every item is signed by who writes it.
    ///
    /// # Errors
    /// [`SharingError`].
    pub async fn share(
        &self,
        drive: &Drive,
        with: &KnownAccount,
        permission: Permission,
    ) -> Result<(), SharingError> {
        for _ in 0..TRIES {
            let open = drive.current().ok_or(SharingError::NoCollection)?;
            let shared = if open.keys.generation() == 1 {
                self.next_key(drive, Change::LetIn(with, permission)).await
            } else {
                self.grant(&open, with, permission).await
            };
            match shared {
                Err(error) if error.is_outdated() => drive.reload().await?,
                shared => return shared,
            }
        }
        Err(SharingError::Busy)
    }

    /// Takes a collection away from an account. It gets its next key: what is written from then on that account cannot open.
    ///
    /// # Errors
    /// [`SharingError`]; of these [`SharingError::NotLetIn`] says that the server is not to be trusted.
    pub async fn unshare(&self, drive: &Drive, account: AccountId) -> Result<(), SharingError> {
        for _ in 0..TRIES {
            match self.next_key(drive, Change::LetOut(account)).await {
                Err(error) if error.is_outdated() => drive.reload().await?,
                done => return done,
            }
        }
        Err(SharingError::Busy)
    }

    /// Renews the grants of a collection that were made by or for keys that are not in use any more. How many.
    ///
    /// # Errors
    /// [`SharingError`].
    pub async fn renew_grants(&self, drive: &Drive) -> Result<usize, SharingError> {
        let Some(open) = drive.current() else { return Ok(0) };
        let (mut renewed, mut not_let_in) = (0, None);
        for member in self.client.members(open.id).await?.members {
            // Whose account is gone reads nothing.
            if member.account_number.is_none() {
                continue;
            }
            let known = drive.trust().account_of(member.account).await?;
            let is_current = member.own_key_version == self.master_key_version
                && member.key_version == known.key_version();
            if is_current {
                continue;
            }
            // One whom the server slipped in does not keep the others from theirs.
            match self.check_let_in(drive, &open, &member, &known).await {
                Err(error @ SharingError::NotLetIn(_)) => not_let_in = Some(error),
                checked => {
                    checked?;
                    self.grant(&open, &known, member.permission).await?;
                    renewed += 1;
                }
            }
        }
        not_let_in.map_or(Ok(renewed), Err)
    }

    /// Seals the collection's newest key to an account, and signs that.
    async fn grant(
        &self,
        open: &OpenCollection,
        with: &KnownAccount,
        permission: Permission,
    ) -> Result<(), SharingError> {
        let granted = self.granted(open.id, &open.keys, with, permission)?;
        let put = PutMember {
            account_number: with.number.clone(),
            generation: open.keys.generation(),
            key_version: granted.key_version,
            own_key_version: granted.own_key_version,
            permission,
            grant: granted.grant,
        };
        Ok(self.client.put_member(open.id, with.account, &put).await?)
    }

    fn granted(
        &self,
        collection: CollectionId,
        keys: &CollectionKeys,
        with: &KnownAccount,
        permission: Permission,
    ) -> Result<Admitted, SharingError> {
        let recipient = with.keys.last().ok_or(SharingError::NotProven("it shows no keys"))?;
        let own = self.master.account_key().identity_keys(self.master_key_version);
        let place = self.grant_place(collection, keys.generation(), with.account);
        let grant = Grant::issue(keys.newest(), &own, recipient, &place, &mut SystemRng);
        Ok(Admitted {
            account: with.account,
            key_version: with.key_version(),
            own_key_version: self.master_key_version,
            permission,
            grant: grant.to_bytes().into(),
        })
    }

    fn grant_place(&self, collection: CollectionId, generation: u32, recipient: AccountId) -> GrantPlace {
        GrantPlace {
            sharer: place::account(self.account),
            recipient: place::account(recipient),
            collection: place::collection(collection),
            key_version: generation,
        }
    }

    /// Gives the collection its next key, and those who stay a grant of it.
    async fn next_key(&self, drive: &Drive, change: Change<'_>) -> Result<(), SharingError> {
        let open = drive.current().ok_or(SharingError::NoCollection)?;
        let members = self.client.members(open.id).await?.members;
        let place = place::former_keys(self.home, open.id);
        let (keys, former) = open.keys.next(&place, open.sequence, &mut SystemRng);
        let (mut keep, mut add, mut remove) = (Vec::new(), Vec::new(), Vec::new());
        match change {
            Change::LetIn(with, permission) => {
                if !members.iter().any(|member| member.account == with.account) {
                    add.push(self.granted(open.id, &keys, with, permission)?);
                }
            }
            Change::LetOut(account) => {
                if !members.iter().any(|member| member.account == account) {
                    return Err(SharingError::NoMember(account));
                }
                remove.push(account);
            }
        }
        for member in members {
            if remove.contains(&member.account) {
                continue;
            }
            // Whose account is gone goes too.
            if member.account_number.is_none() {
                remove.push(member.account);
                continue;
            }
            let known = drive.trust().account_of(member.account).await?;
            self.check_let_in(drive, &open, &member, &known).await?;
            let permission = match change {
                Change::LetIn(with, permission) if with.account == member.account => permission,
                _ => member.permission,
            };
            keep.push(self.granted(open.id, &keys, &known, permission)?);
        }
        let sealed_place =
            place::collection_key(self.account, open.id, keys.generation(), open.key_version + 1);
        let sealed_key = keys.newest().seal(&self.master.account_key(), &sealed_place, &mut SystemRng);
        let next = NextKey {
            from_generation: open.keys.generation(),
            from_key_version: open.key_version,
            last_change: open.sequence,
            sealed_key: sealed_key.into_bytes().into(),
            former_key: former.sealed.into_bytes().into(),
            sealed_meta: collection::sealed_description(&keys, self.home, open.id, &open.name).into(),
            remove,
            keep,
            add,
        };
        self.client.next_collection_key(open.id, &next).await?;
        Ok(drive.reload().await?)
    }

    /// Whether it was this account that let a member in: it signed the grant of the key in use, for that member. A server that
    /// puts somebody among the members, or back among them with an old grant, is found out before they get another key.
    async fn check_let_in(
        &self,
        drive: &Drive,
        open: &OpenCollection,
        member: &Member,
        known: &KnownAccount,
    ) -> Result<(), SharingError> {
        let not_let_in = || SharingError::NotLetIn(known.number.clone());
        let signed_with = if member.own_key_version == self.master_key_version {
            self.identity()
        } else {
            let own = drive.trust().account_of(self.account).await?;
            own.keys_of(member.own_key_version).cloned().ok_or_else(not_let_in)?
        };
        let recipient = known.keys_of(member.key_version).ok_or_else(not_let_in)?;
        let place = self.grant_place(open.id, open.keys.generation(), member.account);
        let is_own = Grant::from_bytes(member.grant.as_slice())
            .is_ok_and(|grant| grant.is_of(&signed_with, recipient, &place));
        if is_own { Ok(()) } else { Err(not_let_in()) }
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
    /// What this device knows cannot be read or kept, or does not fit.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// It names no account.
    #[error(transparent)]
    NotAnAccount(#[from] NotAnAccount),
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
    #[error(
        "this was shared for keys that this account cannot open any more: ask account {0} to share it again"
    )]
    OldKeys(String),
    /// The server shows an older key of a collection than it did before.
    #[error(
        "the server shows an older key of these files than this device saw before: who was let out since then could read what \
         you write. Do not go on, and tell the operator"
    )]
    KeyRolledBack,
    /// The server lists a member with a grant that this account did not sign.
    #[error(
        "the server lists account {0} among those who may read this, and this account did not let it in: nothing was changed. Do \
         not go on, and tell the operator"
    )]
    NotLetIn(String),
    /// There is no such member.
    #[error("{0} does not have these files")]
    NoMember(AccountId),
    /// Others keep changing the collection.
    #[error("the files are being changed by others all the time; try again")]
    Busy,
    /// There is nothing of this kind.
    #[error("there is nothing to share yet: put a file first")]
    NoCollection,
}

impl SharingError {
    /// Whether the collection was changed meanwhile, so that reading it again helps.
    fn is_outdated(&self) -> bool {
        match self {
            SharingError::Request(error) => error.is(Code::KeyOutdated) || error.is(Code::Conflict),
            _ => false,
        }
    }
}

const TRIES: usize = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
