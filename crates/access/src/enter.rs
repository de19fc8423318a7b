// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The one way in.

use store::{Door, Migration, ReadTx, Scope, StoreError, TenantId, WriteTx, params};

use crate::action::Action;
use crate::caller::{Caller, Principal};
use crate::decision::{Explanation, Refusal};
use crate::policies::{Policies, PolicyError};
use crate::resource::Resource;

/// Says that a home was founded. Only once, so that signing up never leads into a home that is
/// there already.
pub(crate) const FOUNDING: Migration = Migration {
    name: "access/2",
    scope: Scope::Tenant,
    sql: "
CREATE TABLE founding (
  one INTEGER NOT NULL,
  founded_at INTEGER NOT NULL,
  PRIMARY KEY (one)
) APPEND ONLY;
",
};

/// Decides who may do what, and owns the door: without a yes from here there is no transaction.
pub struct Access {
    door: Door,
    policies: Policies,
}

/// Why there is no transaction.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It is someone else's, or it is not there: the two are answered alike.
    #[error("there is no such thing here")]
    NotFound,
    /// The caller may not do this.
    #[error("you do not have the permission `{action}` here")]
    Forbidden {
        /// The permission that is missing.
        action: Action,
    },
    /// The caller may do this after proving again who they are.
    #[error("`{action}` needs a fresh proof that it is you; confirm your identity and try again")]
    StepUpRequired {
        /// What they were about to do.
        action: Action,
    },
    /// The account is suspended.
    #[error("this account is suspended")]
    Suspended,
    /// The action always leaves a record, which a view cannot: a mistake of the calling code.
    #[error("`{action}` leaves a record and cannot be done in a view")]
    LeavesRecord {
        /// What was asked of a view.
        action: Action,
    },
    /// The database failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoTenant => Refused::NotFound,
            error => Refused::Store(error),
        }
    }
}

impl Access {
    /// Takes the door and reads the policies. A policy that does not fit the schema stops the
    /// server here, before it has served anyone.
    pub fn new(door: Door) -> Result<Access, PolicyError> {
        Ok(Access { door, policies: Policies::built_in()? })
    }

    /// Enters the tenant to do `action` to `resource`, which is that tenant's: a transaction that
    /// ends with a record of it.
    pub async fn enter(
        &self,
        caller: &Caller,
        tenant: TenantId,
        action: Action,
        resource: Resource,
    ) -> Result<WriteTx, Refused> {
        // A home that is to be made is entered by founding it.
        if action == Action::AccountCreate && resource == Resource::Home {
            return Err(Refused::Forbidden { action });
        }
        self.decide(caller, tenant, action, resource)?;
        Ok(self.door.write(tenant, caller.entry(action)).await?)
    }

    /// Looks into the tenant without leaving a record: only for actions that the schema declares
    /// as such.
    pub async fn view(
        &self,
        caller: &Caller,
        tenant: TenantId,
        action: Action,
        resource: Resource,
    ) -> Result<ReadTx, Refused> {
        if !self.policies.leaves_no_record(action) {
            return Err(Refused::LeavesRecord { action });
        }
        self.decide(caller, tenant, action, resource)?;
        Ok(self.door.read(tenant).await?)
    }

    /// Makes a home for a new account and enters it, as `account.create`. Can be repeated until
    /// the transaction is committed; after that the home is its owner's, and this is refused.
    pub async fn found(&self, caller: &Caller, home: TenantId) -> Result<WriteTx, Refused> {
        let action = Action::AccountCreate;
        self.decide(caller, home, action, Resource::Home)?;
        self.door.create_tenant(home).await?;
        let mut tx = self.door.write(home, caller.entry(action)).await?;
        let founded_at = tx.now();
        let founded: Option<(i64,)> = tx.query_opt("SELECT founded_at FROM founding", params![]).await?;
        if founded.is_some() {
            return Err(Refused::Forbidden { action });
        }
        // Of two that found it at once, the key lets one.
        let insert = "INSERT INTO founding (one, founded_at) VALUES (1, $1)";
        match tx.execute(insert, params![founded_at]).await {
            Ok(_) => Ok(tx),
            Err(StoreError::Conflict(_)) => Err(Refused::Forbidden { action }),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes what is left of a home that was never finished. For the server's own sweep only.
    pub async fn drop_tenant(&self, caller: &Caller, home: TenantId) -> Result<(), Refused> {
        let action = Action::MaintenanceRun;
        if !matches!(caller.principal(), Principal::System(_)) {
            return Err(Refused::Forbidden { action });
        }
        self.decide(caller, home, action, Resource::Home)?;
        Ok(self.door.drop_tenant(home).await?)
    }

    /// Why the caller may or may not do this, now. Opens nothing.
    pub fn explain(
        &self,
        caller: &Caller,
        tenant: TenantId,
        action: Action,
        resource: Resource,
    ) -> Explanation {
        self.policies.explain(caller, tenant, action, resource, self.now())
    }

    fn decide(
        &self,
        caller: &Caller,
        tenant: TenantId,
        action: Action,
        resource: Resource,
    ) -> Result<(), Refused> {
        self.policies.decide(caller, tenant, action, resource, self.now()).map_err(|refusal| {
            tracing::info!(
                actor = caller.actor(),
                request = caller.request(),
                %action,
                %tenant,
                ?refusal,
                "refused"
            );
            match refusal {
                Refusal::NotFound => Refused::NotFound,
                Refusal::Forbidden => Refused::Forbidden { action },
                Refusal::StepUpRequired => Refused::StepUpRequired { action },
                Refusal::Suspended => Refused::Suspended,
            }
        })
    }

    fn now(&self) -> i64 {
        self.door.store().clock().now_ms()
    }
}
