// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who may put which policies of a tenant's own.
//!
//! Nobody gives themselves by a policy what they do not have, nor takes from others what they do not have. A policy says in its
//! head which actions it is about, and decides nothing else. So whoever adds, alters or takes away a policy must have, in the whole
//! tenant, every action that it is about, as the policies stand before the change. An owner has them all by the role, also
//! where a policy forbids them: else a policy could keep everybody from taking it back.

use store::ReadTx;

use crate::caller::Caller;
use crate::enter::{Access, Refused};
use crate::policies::Policies;
use crate::standing::{Place, Standing};
use crate::tenancy::{Held, TenancyError};
use crate::tenant_policies::PolicyProblem;
use crate::vocabulary::BuiltInRole;

impl Access {
    /// The built-in policies with the tenant's roles and this text in place of its own policies: what it would be asked by.
    ///
    /// # Errors
    /// The database's; and, within, what is wrong with the text.
    pub async fn policies_with(
        &self,
        tx: &mut ReadTx,
        text: &str,
    ) -> Result<Result<Policies, Vec<PolicyProblem>>, TenancyError> {
        let roles = crate::standing::read_roles(tx).await?;
        Ok(self.policies().with_tenant(&roles, text))
    }

    /// Whether the caller may put `new` in place of what decides now.
    ///
    /// # Errors
    /// [`TenancyError::BeyondOwn`] with the first action that the change is about and that the caller may not do in the whole
    /// tenant.
    pub async fn may_put_policies(
        &self,
        tx: &mut ReadTx,
        caller: &Caller,
        new: &Policies,
    ) -> Result<(), TenancyError> {
        let known = self.known(tx).await?;
        let whole = Place::Organisation(*tx.tenant().uuid());
        let standing = known.standing(tx, caller).await?;
        if let Standing::Member(holder) = &standing
            && holder.roles.get(BuiltInRole::Owner.name()).is_some_and(|places| places.contains(&whole))
        {
            return Ok(());
        }
        let mut held = Held::default();
        held.add(whole, new.changed_from(&known.policies));
        match self.covers_all(tx, caller, &held).await {
            Err(TenancyError::Refused(Refused::StepUpRequired { action })) => {
                Err(TenancyError::BeyondOwn { action })
            }
            other => other,
        }
    }
}
