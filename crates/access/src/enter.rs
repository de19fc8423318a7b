// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The one way in.

use std::sync::Arc;

use store::{Door, Migration, ReadTx, Scope, StoreError, TenantId, TenantKind, WriteTx, params};

use crate::action::Action;
use crate::caller::{Caller, Principal};
use crate::decision::{Explanation, Refusal};
use crate::pace::{Line, Pace};
use crate::policies::{Policies, PolicyError};
use crate::resource::Resource;
use crate::slice::{Slice, Unanswerable, When};
use crate::standing::{Found, Known, Place, Remembered, Standing};

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
    policies: Arc<Policies>,
    remembered: Remembered,
    line: Line,
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
    /// The account, or what it is in this tenant, is suspended.
    #[error("this account or membership is suspended")]
    Suspended,
    /// The tenant wants its people to come by its own provider.
    #[error("this tenant wants you to sign in through its own provider")]
    ProviderRequired,
    /// The tenant is suspended.
    #[error("this tenant is suspended")]
    TenantSuspended,
    /// The tenant is to be deleted.
    #[error(
        "this tenant is to be deleted, and nothing is done in it until then; its owners can take that back"
    )]
    TenantClosing,
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
        let policies = Arc::new(Policies::built_in()?);
        Ok(Access { door, policies, remembered: Remembered::default(), line: Line::default() })
    }

    /// For many questions in a row about a tenant.
    pub(crate) fn pace(&self, tenant: TenantId) -> Pace<'_> {
        Pace::new(&self.line, tenant)
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
        // What is to be made is entered by founding it.
        if founds(action) && resource != Resource::Platform {
            return Err(Refused::Forbidden { action });
        }
        if tenant.kind() != TenantKind::Customer {
            self.decide(caller, tenant, action, resource)?;
            return Ok(self.door.write(tenant, caller.entry(action)).await?);
        }
        let mut tx = self.door.begin(tenant).await?;
        let mut entry = caller.entry(action);
        let standing = self.decide_inside(&mut tx, caller, action, resource).await?;
        if let Standing::Supporter { grant, .. } = standing {
            entry.via = format!("sup_{}", grant.simple());
        }
        Ok(tx.admit(entry))
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
        if tenant.kind() != TenantKind::Customer {
            self.decide(caller, tenant, action, resource)?;
            return Ok(self.door.read(tenant).await?);
        }
        let mut tx = self.door.read(tenant).await?;
        self.decide_inside(&mut tx, caller, action, resource).await?;
        Ok(tx)
    }

    /// Asks another question in a customer's tenant that was entered already: whether the caller may do `action` to
    /// `resource` too, as things stand in this transaction.
    pub async fn also(
        &self,
        tx: &mut ReadTx,
        caller: &Caller,
        action: Action,
        resource: Resource,
    ) -> Result<(), Refused> {
        self.decide_inside(tx, caller, action, resource).await.map(drop)
    }

    /// Makes a home for a new account, as `account.create`, or a customer's tenant, as `tenant.found`, and enters it. Can be
    /// repeated until the transaction is committed; after that the tenant is its owner's, and this is refused.
    pub async fn found(&self, caller: &Caller, tenant: TenantId) -> Result<WriteTx, Refused> {
        let (action, resource) = match tenant.kind() {
            TenantKind::Customer => (Action::TenantFound, Resource::Customer),
            TenantKind::Home | TenantKind::Platform => (Action::AccountCreate, Resource::Home),
        };
        self.decide(caller, tenant, action, resource)?;
        self.door.create_tenant(tenant).await?;
        let mut tx = self.door.write(tenant, caller.entry(action)).await?;
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

    /// Removes what is left of a tenant that was never finished. For the server's own sweep only.
    pub async fn drop_tenant(&self, caller: &Caller, tenant: TenantId) -> Result<(), Refused> {
        let action = Action::MaintenanceRun;
        if !matches!(caller.principal(), Principal::System(_)) {
            return Err(Refused::Forbidden { action });
        }
        // Never the platform's own: nothing there is unfinished.
        if tenant.kind() == TenantKind::Platform {
            return Err(Refused::Forbidden { action });
        }
        self.decide(caller, tenant, action, Resource::whole(tenant))?;
        Ok(self.door.drop_tenant(tenant).await?)
    }

    /// The built-in policies.
    pub fn policies(&self) -> &Policies {
        &self.policies
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
        if caller.is_kept_out_of(tenant) {
            return Err(Refused::NotFound);
        }
        self.policies
            .decide(caller, tenant, action, resource, self.now())
            .map_err(|refusal| refused(caller, tenant, action, refusal))?;
        if resource == Resource::Platform && tenant == TenantId::PLATFORM {
            caller.known_in(tenant);
        }
        Ok(())
    }

    /// The decision in a customer's tenant: by what the tenant knows of the caller and where the resource lies, as both are in
    /// this transaction.
    async fn decide_inside(
        &self,
        tx: &mut ReadTx,
        caller: &Caller,
        action: Action,
        resource: Resource,
    ) -> Result<Standing, Refused> {
        let tenant = tx.tenant();
        // Whom no tenant knows is decided by the built-in policies alone: what there is need not be read for that.
        if matches!(caller.principal(), Principal::Visitor | Principal::System(_)) {
            self.decide(caller, tenant, action, resource)?;
            return Ok(Standing::Stranger);
        }
        let known = self.known(tx).await?;
        let standing = known.standing(tx, caller).await?;
        if !matches!(standing, Standing::Stranger) {
            caller.known_in(tenant);
        }
        if matches!(standing, Standing::OtherWay) {
            return Err(Refused::ProviderRequired);
        }
        // Nothing is looked up for whom the tenant does not know: there is nothing to tell them apart by.
        let found = match standing {
            Standing::Stranger => Some(known.found(resource, Vec::new())),
            _ => known.find(tx, resource).await?,
        };
        let answer = |found: &Found| {
            known.policies.answer(self.slice(caller, tenant, &standing, action, found)).map_err(|refusal| {
                match refused(caller, tenant, action, refusal) {
                    Refused::TenantSuspended if known.is_closing() => Refused::TenantClosing,
                    refused => refused,
                }
            })
        };
        let Some(found) = found else {
            // As of the tenant as a whole: whoever is shut out, or may not do this, is not told what there is.
            answer(&known.found(resource, vec![Place::Organisation(*tenant.uuid())]))?;
            return Err(Refused::NotFound);
        };
        answer(&found)?;
        Ok(standing)
    }

    pub(crate) async fn known(&self, tx: &mut ReadTx) -> Result<Known, StoreError> {
        self.remembered.read(tx, &self.policies).await
    }

    pub(crate) fn slice(
        &self,
        caller: &Caller,
        tenant: TenantId,
        standing: &Standing,
        action: Action,
        found: &Found,
    ) -> Result<Slice, Unanswerable> {
        Slice::in_customer(caller, tenant, standing, action, found, When::at(self.now(), caller))
    }

    pub(crate) fn door(&self) -> &Door {
        &self.door
    }

    pub(crate) fn now(&self) -> i64 {
        self.door.store().clock().now_ms()
    }
}

pub(crate) fn refused(caller: &Caller, tenant: TenantId, action: Action, refusal: Refusal) -> Refused {
    tracing::info!(actor = caller.actor(), request = caller.request(), %action, %tenant, ?refusal, "refused");
    match refusal {
        Refusal::NotFound => Refused::NotFound,
        Refusal::Forbidden => Refused::Forbidden { action },
        Refusal::StepUpRequired => Refused::StepUpRequired { action },
        Refusal::Suspended => Refused::Suspended,
        Refusal::TenantSuspended => Refused::TenantSuspended,
    }
}

/// Whether the action makes a tenant, which [`Access::found`] alone does.
fn founds(action: Action) -> bool {
    matches!(action, Action::AccountCreate | Action::TenantFound)
}
