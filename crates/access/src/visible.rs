// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a caller may do something to, of many things, without asking for each.
//!
//! Policies are shown of a device only where it lies, unless one names it. So they are asked once for each organisation, and
//! for each device that a policy names or that the caller holds a role on; the rest follows.

use std::collections::{BTreeSet, HashSet};

use store::ReadTx;
use uuid::Uuid;

use crate::action::Action;
use crate::caller::Caller;
use crate::enter::{Access, Refused};
use crate::resource::Resource;
use crate::scopes::Scopes;
use crate::standing::{Found, Known, Place, Standing};
use crate::vocabulary::Sample;

/// The devices that a caller may do something to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visible {
    /// Whether all organisations are among [`organisations`](Self::organisations).
    pub is_everywhere: bool,
    /// Those whose devices the caller may, but for [`refused`](Self::refused).
    pub organisations: Vec<Uuid>,
    /// Single devices elsewhere.
    pub devices: Vec<Uuid>,
    /// Single devices that the caller may not, although their organisation is listed.
    pub refused: HashSet<Uuid>,
}

impl Access {
    /// To which devices of the tenant the caller may do `action`.
    pub async fn visible_devices(
        &self,
        tx: &mut ReadTx,
        caller: &Caller,
        action: Action,
    ) -> Result<Visible, Refused> {
        let known = self.known(tx).await?;
        let standing = known.standing(tx, caller).await?;
        let root = *tx.tenant().uuid();
        let mut visible = Visible { is_everywhere: true, ..Visible::default() };
        let organisations = known.tree.iter().map(|(organisation, _)| organisation).chain([root]);
        for organisation in organisations {
            let Some(path) = known.tree.path(tx.tenant(), organisation) else { continue };
            // A device that nobody names, in this organisation.
            let found = known.found(Resource::Device(Uuid::nil()), path);
            if self.may(&known, tx, caller, &standing, action, &found) {
                visible.organisations.push(organisation);
            } else {
                visible.is_everywhere = false;
            }
        }
        let mut named: BTreeSet<Uuid> = known.policies.named_devices();
        if let Standing::Member(holder) | Standing::ServiceAccount(holder) = &standing {
            let held = holder.roles.values().flatten();
            named.extend(held.filter_map(|place| match place {
                Place::Device(id) => Some(*id),
                Place::Organisation(_) => None,
            }));
        }
        for device in named {
            let Some(found) = known.find(tx, Resource::Device(device)).await? else { continue };
            if self.may(&known, tx, caller, &standing, action, &found) {
                visible.devices.push(device);
            } else {
                visible.refused.insert(device);
            }
        }
        Ok(visible)
    }

    /// Whether the caller may do each of `actions` at `place`: what one must have oneself to give it, or to take it from
    /// somebody.
    ///
    /// # Errors
    /// [`Refused::Forbidden`] with the first action that one may not.
    pub async fn covers(
        &self,
        tx: &mut ReadTx,
        caller: &Caller,
        actions: Scopes,
        place: Place,
    ) -> Result<(), Refused> {
        let known = self.known(tx).await?;
        let standing = known.standing(tx, caller).await?;
        let here = match place {
            Place::Organisation(id) => Resource::Organisation(id),
            Place::Device(id) => Resource::Device(id),
        };
        let found = known.find(tx, here).await?.ok_or(Refused::NotFound)?;
        for action in Action::ALL.iter().copied().filter(|action| actions.contains(*action)) {
            let Some(sample) = known.policies.vocabulary().sample(action) else {
                return Err(Refused::Forbidden { action });
            };
            let found = known.found(sample.at(place), found.path.clone());
            if !self.may(&known, tx, caller, &standing, action, &found) {
                return Err(Refused::Forbidden { action });
            }
        }
        Ok(())
    }

    fn may(
        &self,
        known: &Known,
        tx: &ReadTx,
        caller: &Caller,
        standing: &Standing,
        action: Action,
        found: &Found,
    ) -> bool {
        known.policies.answer(self.slice(caller, tx.tenant(), standing, action, found)).is_ok()
    }
}

impl Sample {
    /// Something of this kind at a place, which no policy names.
    pub(crate) fn at(self, place: Place) -> Resource {
        match (self, place) {
            (Sample::Place, Place::Organisation(id)) => Resource::Organisation(id),
            (Sample::Place | Sample::Device, Place::Device(id)) => Resource::Device(id),
            (Sample::Device, Place::Organisation(_)) => Resource::Device(Uuid::nil()),
            (Sample::Collection, _) => Resource::Collection(Uuid::nil()),
            (Sample::Log, _) => Resource::Log,
        }
    }
}
