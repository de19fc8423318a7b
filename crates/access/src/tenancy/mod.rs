// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Customers' tenants: the people, organisations, devices and roles that decisions are made by.
//!
//! # Words
//! - A **customer's tenant** is founded for an account, its first **owner**. Its **members** are accounts; an account is in any
//!   number of tenants, and its home stays its own.
//! - **Organisations** are a tree below the tenant as a whole, which is the topmost of them. A **device** is assigned to one.
//! - A **role** is a set of actions: a built-in one, or one that the tenant made. It is **granted** to a holder (a member, a team,
//!   a service account) at a place: an organisation with all that is below it, or a single device.
//!
//! # Guarantees
//! - *Nobody gives what they do not have*, and nobody takes it from who has more ([`Access::covers`](crate::Access::covers)).
//! - *There is always an owner*: the last one cannot leave, be removed, be suspended or lose the role.
//! - *What changes who may do what is so at once*, on every server: see `standing`.
//! - *Names are sealed* under the tenant's key, each in its place. The directory knows which account is in which tenant, and
//!   nothing else.
//!
//! Every operation here runs in a transaction that [`Access`](crate::Access) opened; those on the directory say so.

mod collection;
mod device;
mod error;
mod held;
mod invitation;
mod member;
mod name;
mod organisation;
mod policy;
mod provided;
mod role;
mod service_account;
mod support;
mod team;
mod tenant;

use custody::{Custody, TenantKeys};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use store::{Migration, ReadTx, Record, Scope};

pub use collection::{Collection, CollectionSeal, NewCollection};
pub use device::{Device, Devices, MAX_EXTERNAL_ID, NewDevice};
pub use error::TenancyError;
pub(crate) use held::Actions;
pub use held::{DEVICE_ACTIONS, Held};
pub use invitation::{
    Invitation, InvitationToken, InvitedTo, MAX_INVITATION_ROLES, MAX_INVITATION_USES, MAX_INVITATIONS,
    MAX_INVITED_MS, MAX_MAILED_A_DAY, NewInvitation, NoToken,
};
pub use member::{MAX_MEMBERS, MAX_PAGE, Member, MemberState};
pub use name::{MAX_NAME, Name, NameError};
pub use organisation::{MAX_ORGANISATIONS, Organisation};
pub use policy::{MAX_VERSIONS, NewPolicies, PolicyVersion};
pub use provided::{Provided, ProvidedRole, Provision};
pub use role::{Grant, Grants, HolderKind, MAX_GRANTS, NewGrant, NoRole, Role, RoleName};
pub use service_account::{
    AuthenticatedService, MAX_SERVICE_ACCOUNTS, MAX_SERVICE_KEYS, NewServiceKey, ServiceAccount, ServiceKey,
    ServiceToken, ServiceTokenError,
};
pub use support::{MAX_SUPPORT_GRANTS, MAX_SUPPORT_MS, NewSupportGrant, SupportGrant};
pub use team::{MAX_TEAMS, MAX_TEAMS_OF_MEMBER, Team};
pub use tenant::{
    Customer, CustomerState, FOUNDED_WITHIN_MS, GRACE_MS, Listed, MAX_MEMBERSHIPS, NewCustomer,
};

store::id! {
    /// An organisation of a customer's tenant. The topmost has the tenant's own UUID.
    OrganisationId = "org_";
    /// A team.
    TeamId = "tea_";
    /// A role that a tenant made for itself.
    RoleId = "rol_";
    /// A device of a customer's tenant.
    DeviceId = "dvc_";
    /// A service account.
    ServiceAccountId = "sva_";
    /// An invitation.
    InvitationId = "inv_";
    /// A key of a service account.
    ServiceKeyId = "svk_";
    /// A support grant.
    SupportGrantId = "sup_";
}

pub(crate) const COLLECTIONS: Migration = Migration {
    name: "access/collections",
    scope: Scope::Customer,
    sql: include_str!("../../migrations/collections.sql"),
};

pub(crate) const MIGRATIONS: [Migration; 4] = [
    Migration {
        name: "access/3",
        scope: Scope::Platform,
        sql: include_str!("../../migrations/3-directory.sql"),
    },
    Migration {
        name: "access/4",
        scope: Scope::Customer,
        sql: include_str!("../../migrations/4-customer.sql"),
    },
    Migration {
        name: "access/policies",
        scope: Scope::Customer,
        sql: include_str!("../../migrations/5-policies.sql"),
    },
    Migration {
        name: "access/providers",
        scope: Scope::Customer,
        sql: include_str!("../../migrations/6-providers.sql"),
    },
];

/// The room of customers' tenants. Cheap to clone.
#[derive(Clone)]
pub struct Tenancy {
    custody: Custody,
}

impl Tenancy {
    /// Names are sealed under the tenants' keys, which `custody` opens.
    pub fn new(custody: Custody) -> Self {
        Tenancy { custody }
    }

    async fn keys(&self, tx: &mut ReadTx) -> Result<TenantKeys, TenancyError> {
        Ok(self.custody.tenant(tx).await?)
    }

    /// The record of a change, with what was so before and after it, sealed under the tenant's key.
    pub async fn record(
        &self,
        tx: &mut ReadTx,
        subject: impl ToString,
        change: &Change<'_>,
    ) -> Result<Record, TenancyError> {
        let subject = subject.to_string();
        let unreadable = |error: serde_json::Error| TenancyError::Unreadable(error.to_string());
        let mut details = serde_json::to_vec(change).map_err(unreadable)?;
        if details.len() > MAX_DETAILS {
            details = serde_json::to_vec(&change.differences()).map_err(unreadable)?;
        }
        if details.len() > MAX_DETAILS {
            details = serde_json::to_vec(&change.hashes()).map_err(unreadable)?;
        }
        let sealed = self.keys(tx).await?.seal(RECORD, &[subject.as_bytes()], &details);
        Ok(Record::about(subject).details(sealed))
    }

    /// What a record of this tenant says of its change, as JSON.
    ///
    /// # Errors
    /// [`TenancyError::Unreadable`] for details that were not sealed by [`Tenancy::record`].
    pub async fn details(
        &self,
        tx: &mut ReadTx,
        subject: &str,
        sealed: &[u8],
    ) -> Result<serde_json::Value, TenancyError> {
        let opened = self
            .keys(tx)
            .await?
            .open(RECORD, &[subject.as_bytes()], sealed)
            .map_err(|error| TenancyError::Unreadable(error.to_string()))?;
        serde_json::from_slice(&opened).map_err(|error| TenancyError::Unreadable(error.to_string()))
    }
}

/// The longest change that is recorded as it is, in bytes: what seals it adds to that. Of a longer one a record says what differs; and of
/// what differs in more than that, hashes.
const MAX_DETAILS: usize = store::MAX_DETAILS - 1_024;

/// What a record says of a change.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Change<'a> {
    /// What was so before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<serde_json::Value>,
    /// What is so now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<serde_json::Value>,
    /// Why, where that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
}

impl Change<'_> {
    /// The change with only what differs: of objects their members, of lists their elements.
    fn differences(&self) -> Self {
        let (Some(before), Some(after)) = (&self.before, &self.after) else { return self.clone() };
        Change { before: Some(less(before, after)), after: Some(less(after, before)), reason: self.reason }
    }

    /// SHA-256 of what was so before and after, as JSON, with the sizes.
    fn hashes(&self) -> Self {
        let hash = |value: &serde_json::Value| {
            let text = value.to_string();
            let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(&text));
            json!({ "sha256": hash, "bytes": text.len() })
        };
        Change {
            before: self.before.as_ref().map(hash),
            after: self.after.as_ref().map(hash),
            reason: self.reason,
        }
    }
}

/// What of a value is not the same in another.
fn less(value: &serde_json::Value, other: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value::{Array, Object};
    match (value, other) {
        (Object(members), Object(others)) => members
            .iter()
            .filter(|(name, member)| others.get(*name) != Some(member))
            .map(|(name, member)| {
                (name.clone(), others.get(name).map_or_else(|| member.clone(), |other| less(member, other)))
            })
            .collect(),
        (Array(elements), Array(others)) => {
            let others: std::collections::HashSet<String> = others.iter().map(ToString::to_string).collect();
            elements.iter().filter(|element| !others.contains(&element.to_string())).cloned().collect()
        }
        _ => value.clone(),
    }
}

const RECORD: &str = "access/record";
