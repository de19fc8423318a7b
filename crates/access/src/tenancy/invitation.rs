// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Invitations: how an account becomes a member.
//!
//! An invitation goes to one address by mail, and is for the account of that address alone; or it is a link, for as many
//! accounts as it says. Either way it is a random token, of which the tenant keeps a hash, and ends by itself. Of an
//! address the tenant keeps what finds it (the directory's keyed index) and, sealed under its own key, what it is.
//!
//! It carries roles. Whoever invites must have what they allow, and is asked again when somebody joins: who may no longer
//! invite, or has a role no more, invites nobody to it. Why a token leads nowhere is not told.
//!
//! Joining touches two places in this order: the member's row, in which the token is used, then the membership in the
//! directory. When a crash comes between, the same account shows the same token again, which then only mends the directory.

use std::fmt;
use std::str::FromStr;

use custody::TenantKeys;
use data_encoding::BASE64URL_NOPAD;
use keyring::{Email, SystemRng};
use rand_core::Rng as _;
use sha2::{Digest as _, Sha256};
use store::{ReadTx, TenantId, TenantKind, WriteTx, params};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::enter::Access;
use crate::standing::{Place, Stamp};
use crate::tenancy::member::MAX_PAGE;
use crate::tenancy::role::{insert_grant, require_no_audited_owner, require_place, require_role};
use crate::tenancy::{HolderKind, InvitationId, Name, RoleName, Tenancy, TenancyError};

/// How many invitations of a tenant are open at most.
pub const MAX_INVITATIONS: i64 = 1_000;
/// How many invitations a tenant mails at most in a day.
pub const MAX_MAILED_A_DAY: i64 = 200;
/// How many accounts a link lets in at most.
pub const MAX_INVITATION_USES: u32 = 1_000;
/// How many roles an invitation carries at most.
pub const MAX_INVITATION_ROLES: usize = 16;
/// How long an invitation is good for at most, in milliseconds: 30 days.
pub const MAX_INVITED_MS: i64 = 30 * DAY;

/// An invitation to be made.
#[derive(Clone, Debug)]
pub struct NewInvitation<'a> {
    /// The address that it is for, with the directory's index of it; none for a link.
    pub address: Option<(&'a Email, [u8; 32])>,
    /// How the tenant's people are to see who joins; by default they say it themselves.
    pub label: Option<&'a Name>,
    /// What they will be, where.
    pub roles: &'a [(RoleName, Place)],
    /// How many accounts it lets in: one, if it is for an address.
    pub uses: u32,
    /// Until when, in Unix milliseconds.
    pub expires_at: i64,
    /// The member who invites.
    pub inviter: Uuid,
}

/// An invitation.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// The address that it is for; none for a link.
    pub email: Option<String>,
    /// How the tenant's people will see who joins.
    pub label: Option<Name>,
    /// What they will be, where.
    pub roles: Vec<(RoleName, Place)>,
    /// How many accounts it lets in.
    pub uses: u32,
    /// How many it has let in.
    pub used: u32,
    /// The member who invites.
    pub inviter: Uuid,
    /// Since when, in Unix milliseconds.
    pub created_at: i64,
    /// Until when, in Unix milliseconds.
    pub expires_at: i64,
    /// Whether it was taken back.
    pub is_revoked: bool,
}

/// Who shows an invitation.
#[derive(Clone, Copy, Debug)]
pub struct InvitedTo<'a> {
    /// What was shown.
    pub token: &'a InvitationToken,
    /// The account.
    pub account: Uuid,
    /// Its home.
    pub home: TenantId,
    /// The directory's index of its address.
    pub email_index: Option<[u8; 32]>,
}

/// What lets somebody join: `bwi_` and base64url of the tenant's id and 32 secret bytes. Does not print.
#[derive(Clone)]
pub struct InvitationToken {
    tenant: TenantId,
    secret: Zeroizing<[u8; 32]>,
}

impl InvitationToken {
    fn generate(tenant: TenantId) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        SystemRng.fill_bytes(secret.as_mut_slice());
        InvitationToken { tenant, secret }
    }

    /// The tenant to look in. Anybody may write any tenant here: it says where to look, and nothing more.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The text to give to who is invited, and to nobody else.
    pub fn expose(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new([self.tenant.as_bytes().as_slice(), self.secret.as_slice()].concat());
        Zeroizing::new(format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes)))
    }

    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret.as_slice()).into()
    }
}

impl FromStr for InvitationToken {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        let encoded = text.strip_prefix(PREFIX).filter(|rest| rest.len() == 64).ok_or(NoToken)?;
        let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| NoToken)?);
        let (tenant, secret) = bytes.split_first_chunk::<16>().ok_or(NoToken)?;
        let tenant = TenantId::from_uuid(Uuid::from_bytes(*tenant));
        if tenant.kind() != TenantKind::Customer {
            return Err(NoToken);
        }
        Ok(InvitationToken { tenant, secret: Zeroizing::new(secret.try_into().map_err(|_| NoToken)?) })
    }
}

impl fmt::Debug for InvitationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InvitationToken(***REDACTED***)")
    }
}

/// A text that is no invitation's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not an invitation")]
pub struct NoToken;

/// An invitation's row by its token.
struct Shown {
    id: InvitationId,
    email_index: Option<[u8; 32]>,
    sealed_label: Option<Vec<u8>>,
    uses: i64,
    used: i64,
    inviter: Uuid,
    expires_at: i64,
    revoked_at: Option<i64>,
}

impl Tenancy {
    /// Makes an invitation. Who makes it must have all that its roles allow: [`Access::covers_all`].
    ///
    /// # Errors
    /// [`TenancyError::Invalid`] for the time, the uses or a role; [`TenancyError::NotFound`] for a role or a place;
    /// [`TenancyError::TooMany`].
    pub async fn create_invitation(
        &self,
        tx: &mut WriteTx,
        new: &NewInvitation<'_>,
    ) -> Result<(Invitation, InvitationToken), TenancyError> {
        let now = tx.now();
        if new.expires_at <= now || new.expires_at > now + MAX_INVITED_MS {
            return Err(TenancyError::invalid("expires_at", "within the next 30 days"));
        }
        if new.uses == 0 || new.uses > if new.address.is_some() { 1 } else { MAX_INVITATION_USES } {
            return Err(TenancyError::invalid("uses", "1 for an address; 1 to 1,000 for a link"));
        }
        if new.roles.len() > MAX_INVITATION_ROLES {
            return Err(TenancyError::TooMany("an invitation carries at most 16 roles"));
        }
        // It holds off whoever else invites, takes a role away or deletes an organisation.
        tx.execute("UPDATE tenant_state SET people = people", params![]).await?;
        for (role, place) in new.roles {
            require_role(tx, *role, *place).await?;
            require_place(tx, *place).await?;
        }
        forget_old(tx).await?;
        let (open, mailed): (i64, i64) = tx
            .query_one(
                "SELECT (SELECT count(*) FROM invitation WHERE expires_at > $1 AND revoked_at IS NULL), \
                        (SELECT count(*) FROM invitation WHERE created_at > $2 AND email_index IS NOT NULL)",
                params![now, now - DAY],
            )
            .await?;
        if open >= MAX_INVITATIONS {
            return Err(TenancyError::TooMany("a tenant has at most 1,000 open invitations"));
        }
        if new.address.is_some() && mailed >= MAX_MAILED_A_DAY {
            return Err(TenancyError::TooMany("a tenant mails at most 200 invitations in a day"));
        }
        let keys = self.keys(tx).await?;
        let (id, token) = (InvitationId::random(), InvitationToken::generate(tx.tenant()));
        let index = new.address.map(|(_, index)| index);
        let email =
            new.address.map(|(email, _)| keys.seal(EMAIL, &[id.as_bytes()], email.as_str().as_bytes()));
        let label = new.label.map(|label| label.seal(&keys, *id.uuid()));
        tx.execute(
            "INSERT INTO invitation (id, token_hash, email_index, sealed_email, sealed_label, uses, inviter, \
                                     created_at, expires_at, revoked_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL)",
            params![
                &id,
                &token.hash(),
                index.as_ref(),
                email.as_ref(),
                label.as_ref(),
                i64::from(new.uses),
                &new.inviter,
                now,
                new.expires_at,
            ],
        )
        .await?;
        for (role, place) in new.roles {
            tx.execute(
                "INSERT INTO invitation_role (invitation, role, place, is_device) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT DO NOTHING",
                params![&id, &role.to_string(), &place.uuid(), place.is_device()],
            )
            .await?;
        }
        let made = Invitation {
            id,
            email: new.address.map(|(email, _)| email.as_str().to_owned()),
            label: new.label.cloned(),
            roles: new.roles.to_vec(),
            uses: new.uses,
            used: 0,
            inviter: new.inviter,
            created_at: now,
            expires_at: new.expires_at,
            is_revoked: false,
        };
        Ok((made, token))
    }

    /// The invitations after `after`, by id, at most `limit` (1 to [`MAX_PAGE`]), and whether there are more.
    pub async fn invitations(
        &self,
        tx: &mut ReadTx,
        after: Option<InvitationId>,
        limit: u32,
    ) -> Result<(Vec<Invitation>, bool), TenancyError> {
        let keys = self.keys(tx).await?;
        let (after, limit) = (after.map_or(Uuid::nil(), |id| *id.uuid()), limit.clamp(1, MAX_PAGE));
        let rows: Vec<Row> = tx
            .query(
                "SELECT id, sealed_email, sealed_label, uses, \
                        (SELECT count(*) FROM invitation_use u WHERE u.invitation = i.id), \
                        inviter, created_at, expires_at, revoked_at \
                 FROM invitation i WHERE id > $1 ORDER BY id LIMIT $2",
                params![&after, i64::from(limit) + 1],
            )
            .await?;
        let more = rows.len() > limit as usize;
        let mut invitations = Vec::with_capacity(rows.len());
        for row in rows.into_iter().take(limit as usize) {
            let roles = read_roles(tx, row.0).await?;
            invitations.push(Invitation::open(&keys, row, roles)?);
        }
        Ok((invitations, more))
    }

    /// Takes an invitation back: it lets nobody in any more.
    ///
    /// # Errors
    /// [`TenancyError::NotFound`].
    pub async fn revoke_invitation(&self, tx: &mut WriteTx, id: InvitationId) -> Result<(), TenancyError> {
        let now = tx.now();
        let changed = tx
            .execute(
                "UPDATE invitation SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1",
                params![&id, now],
            )
            .await?;
        if changed == 1 { Ok(()) } else { Err(TenancyError::NotFound) }
    }

    /// Which invitation an account shows, if it is live and for that account. `None` when the account has joined by it already.
    ///
    /// # Errors
    /// [`TenancyError::InvitationOver`], whatever is wrong with it; [`TenancyError::Exists`] for a member.
    pub async fn invited(
        &self,
        tx: &mut ReadTx,
        who: &InvitedTo<'_>,
    ) -> Result<Option<InvitationId>, TenancyError> {
        let shown = show(tx, who.token).await?;
        let [member, used] = tx
            .together([
                ("SELECT 1 FROM member WHERE account = $1", params![&who.account]),
                (
                    "SELECT 1 FROM invitation_use WHERE invitation = $1 AND account = $2",
                    params![&shown.id, &who.account],
                ),
            ])
            .await?;
        let is_member = member.first::<(i64,)>()?.is_some();
        match (is_member, used.first::<(i64,)>()?.is_some()) {
            (true, true) => Ok(None),
            // Whoever was taken out does not come back by the link that they came by.
            (false, true) => Err(TenancyError::InvitationOver),
            (is_member, false) => {
                shown.require_live(tx.now(), who)?;
                if is_member {
                    return Err(TenancyError::Exists("you are a member of this tenant already"));
                }
                Ok(Some(shown.id))
            }
        }
    }

    /// Makes an account a member by the invitation that it shows, with the invitation's roles. Looks at everything again.
    ///
    /// # Errors
    /// [`TenancyError::InvitationOver`], also when who invited may no longer do that; [`TenancyError::Invalid`] for a label that is
    /// missing; [`TenancyError::Exists`], [`TenancyError::TooMany`].
    pub async fn join(
        &self,
        tx: &mut WriteTx,
        access: &Access,
        who: &InvitedTo<'_>,
        label: Option<&Name>,
    ) -> Result<Invitation, TenancyError> {
        // First: it holds off whoever else joins by the same link, and whoever takes the inviter's roles away.
        Stamp::People.renew(tx).await?;
        let shown = show(tx, who.token).await?;
        shown.require_live(tx.now(), who)?;
        let roles = read_roles(tx, *shown.id.uuid()).await?;
        for (role, place) in &roles {
            let (role, place) = (require_role(tx, *role, *place).await, require_place(tx, *place).await);
            role.and(place).map_err(over)?;
        }
        let held = self.role_at(tx, access.policies(), roles.iter().copied()).await.map_err(over)?;
        if !access.may_invite_to(tx, shown.inviter, &held).await? {
            return Err(TenancyError::InvitationOver);
        }
        let keys = self.keys(tx).await?;
        let given = shown.sealed_label.as_ref().map(|sealed| Name::open(&keys, *shown.id.uuid(), sealed));
        let given = given.transpose()?;
        let Some(name) = given.as_ref().or(label) else {
            return Err(TenancyError::invalid("label", "say how the tenant's people are to see you"));
        };
        let now = tx.now();
        let used = tx
            .execute(
                "INSERT INTO invitation_use (invitation, account, joined_at) VALUES ($1, $2, $3) \
                 ON CONFLICT DO NOTHING",
                params![&shown.id, &who.account, now],
            )
            .await?;
        if used == 0 {
            return Err(TenancyError::InvitationOver);
        }
        self.add_member(tx, who.account, who.home, name).await?;
        let by = format!("acc_{}", shown.inviter.simple());
        for (role, place) in &roles {
            insert_grant(tx, who.account, HolderKind::Member, &role.to_string(), *place, &by).await?;
        }
        require_no_audited_owner(tx).await?;
        Ok(Invitation {
            id: shown.id,
            email: None,
            label: Some(name.clone()),
            roles,
            uses: u32::try_from(shown.uses).unwrap_or(u32::MAX),
            used: u32::try_from(shown.used + 1).unwrap_or(u32::MAX),
            inviter: shown.inviter,
            created_at: 0,
            expires_at: shown.expires_at,
            is_revoked: false,
        })
    }
}

type Row = (Uuid, Option<Vec<u8>>, Option<Vec<u8>>, i64, i64, Uuid, i64, i64, Option<i64>);

impl Invitation {
    fn open(keys: &TenantKeys, row: Row, roles: Vec<(RoleName, Place)>) -> Result<Self, TenancyError> {
        let (id, email, label, uses, used, inviter, created_at, expires_at, revoked_at) = row;
        let unreadable = |error: &dyn fmt::Display| TenancyError::Unreadable(error.to_string());
        let email = match email {
            Some(sealed) => {
                let opened =
                    keys.open(EMAIL, &[id.as_bytes()], &sealed).map_err(|error| unreadable(&error))?;
                Some(String::from_utf8(opened.to_vec()).map_err(|error| unreadable(&error))?)
            }
            None => None,
        };
        Ok(Invitation {
            id: InvitationId::from_uuid(id),
            email,
            label: label.map(|sealed| Name::open(keys, id, &sealed)).transpose()?,
            roles,
            uses: u32::try_from(uses).unwrap_or(u32::MAX),
            used: u32::try_from(used).unwrap_or(u32::MAX),
            inviter,
            created_at,
            expires_at,
            is_revoked: revoked_at.is_some(),
        })
    }

    /// How it is at this time: `open`, `used`, `expired` or `revoked`.
    pub fn state(&self, now_ms: i64) -> &'static str {
        match self {
            Invitation { is_revoked: true, .. } => "revoked",
            Invitation { used, uses, .. } if used >= uses => "used",
            Invitation { expires_at, .. } if *expires_at <= now_ms => "expired",
            _ => "open",
        }
    }
}

impl Shown {
    fn require_live(&self, now: i64, who: &InvitedTo<'_>) -> Result<(), TenancyError> {
        let is_for_them = self.email_index.is_none() || self.email_index == who.email_index;
        let is_open = self.revoked_at.is_none() && now < self.expires_at && self.used < self.uses;
        if is_open && is_for_them { Ok(()) } else { Err(TenancyError::InvitationOver) }
    }
}

async fn show(tx: &mut ReadTx, token: &InvitationToken) -> Result<Shown, TenancyError> {
    if token.tenant != tx.tenant() {
        return Err(TenancyError::InvitationOver);
    }
    type Columns = (InvitationId, Option<[u8; 32]>, Option<Vec<u8>>, i64, i64, Uuid, i64, Option<i64>);
    let row: Option<Columns> = tx
        .query_opt(
            "SELECT id, email_index, sealed_label, uses, \
                    (SELECT count(*) FROM invitation_use u WHERE u.invitation = i.id), \
                    inviter, expires_at, revoked_at \
             FROM invitation i WHERE token_hash = $1",
            params![&token.hash()],
        )
        .await?;
    let (id, email_index, sealed_label, uses, used, inviter, expires_at, revoked_at) =
        row.ok_or(TenancyError::InvitationOver)?;
    Ok(Shown { id, email_index, sealed_label, uses, used, inviter, expires_at, revoked_at })
}

async fn read_roles(tx: &mut ReadTx, invitation: Uuid) -> Result<Vec<(RoleName, Place)>, TenancyError> {
    let rows: Vec<(String, Uuid, i64)> = tx
        .query(
            "SELECT role, place, is_device FROM invitation_role WHERE invitation = $1 ORDER BY role, place",
            params![&invitation],
        )
        .await?;
    let read = |(role, place, is_device): (String, Uuid, i64)| {
        let role = role.parse().map_err(|_| TenancyError::Unreadable("a role".to_owned()))?;
        Ok((role, Place::stored(place, is_device)))
    };
    rows.into_iter().map(read).collect()
}

/// Forgets invitations that ended long ago: what became of them stands in the history.
async fn forget_old(tx: &mut WriteTx) -> Result<(), TenancyError> {
    let before = tx.now() - KEPT_MS;
    let ended: Vec<(Uuid,)> =
        tx.query("SELECT id FROM invitation WHERE expires_at < $1 LIMIT 100", params![before]).await?;
    for (id,) in ended {
        for statement in [
            "DELETE FROM invitation_role WHERE invitation = $1",
            "DELETE FROM invitation_use WHERE invitation = $1",
            "DELETE FROM invitation WHERE id = $1",
        ] {
            tx.execute(statement, params![&id]).await?;
        }
    }
    Ok(())
}

/// A role or a place that is gone, or no longer fits: said of the invitation as a whole.
fn over(error: TenancyError) -> TenancyError {
    match error {
        TenancyError::NotFound | TenancyError::Invalid { .. } => TenancyError::InvitationOver,
        other => other,
    }
}

const DAY: i64 = 24 * 60 * 60_000;
/// How long an invitation that has ended is still listed.
const KEPT_MS: i64 = 30 * DAY;
const PREFIX: &str = "bwi_";
const EMAIL: &str = "access/invitation-email";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_says_where_to_look_and_does_not_print() {
        let token = InvitationToken::generate(TenantId::customer());
        let read: InvitationToken = token.expose().parse().unwrap();
        assert_eq!((read.tenant(), read.hash()), (token.tenant(), token.hash()));
        assert_eq!(format!("{token:?}"), "InvitationToken(***REDACTED***)");
        assert_ne!(InvitationToken::generate(token.tenant()).hash(), token.hash());
    }

    #[test]
    fn what_is_no_token_of_a_customers_tenant_is_refused() {
        let text = InvitationToken::generate(TenantId::customer()).expose();
        let home = InvitationToken::generate(TenantId::random()).expose();
        for wrong in ["", "bwi_", &text[1..], &text[..67], &format!("{}0", *text), &home] {
            assert_eq!(wrong.parse::<InvitationToken>().unwrap_err(), NoToken, "{wrong}");
        }
    }
}
