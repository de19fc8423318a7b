// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a caller may do something to, of many things, without asking for each.
//!
//! Policies are shown of a device only where it lies, unless one names it. So they are asked once for each organisation, and
//! for each device that a policy names or that the caller holds a role on; the rest follows.

use std::collections::{BTreeSet, HashSet};

use store::{ReadTx, TenantId, TenantKind};
use uuid::Uuid;

use crate::action::Action;
use crate::caller::Caller;
use crate::enter::{Access, Refused};
use crate::pace::Pace;
use crate::people::absent;
use crate::resource::Resource;
use crate::scopes::Scopes;
use crate::standing::{Found, Known, Place, Standing};
use crate::tenancy::{Held, HolderKind};
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
        let mut pace = self.pace(tx.tenant());
        let mut visible = Visible { is_everywhere: true, ..Visible::default() };
        let organisations = known.tree.iter().map(|(organisation, _)| organisation).chain([root]);
        for organisation in organisations {
            let Some(path) = known.tree.path(tx.tenant(), organisation) else { continue };
            pace.step().await?;
            // A device that nobody names, in this organisation.
            let found = known.found(Resource::Device(Uuid::nil()), path);
            if self.may(&known, tx.tenant(), caller, &standing, action, &found) {
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
            pace.step().await?;
            let Some(found) = known.find(tx, Resource::Device(device)).await? else { continue };
            if self.may(&known, tx.tenant(), caller, &standing, action, &found) {
                visible.devices.push(device);
            } else {
                visible.refused.insert(device);
            }
        }
        Ok(visible)
    }

    /// Looks at devices wherever the caller may do `action` to any: a view, with which those are. Who may nowhere is refused as
    /// at the tenant as a whole.
    pub async fn view_devices(
        &self,
        caller: &Caller,
        tenant: TenantId,
        action: Action,
    ) -> Result<(ReadTx, Visible), Refused> {
        if tenant.kind() != TenantKind::Customer {
            return Err(Refused::NotFound);
        }
        if !self.policies().leaves_no_record(action) {
            return Err(Refused::LeavesRecord { action });
        }
        let mut tx = self.door().read(tenant).await?;
        let visible = self.visible_devices(&mut tx, caller, action).await?;
        if visible.is_nothing() {
            self.also(&mut tx, caller, action, Resource::Customer).await?;
        }
        Ok((tx, visible))
    }

    /// Whether the caller may do all that `held` says, each at its place: what one must have oneself to give it, or to take it from
    /// somebody.
    ///
    /// # Errors
    /// [`Refused::Forbidden`] with the first action that one may not.
    pub(crate) async fn covers_each(
        &self,
        tx: &mut ReadTx,
        caller: &Caller,
        held: &Held,
    ) -> Result<(), Refused> {
        let known = self.known(tx).await?;
        let standing = known.standing(tx, caller).await?;
        let mut pace = self.pace(tx.tenant());
        for (place, actions) in held.iter() {
            let found = known.find(tx, place.into()).await?.ok_or(Refused::NotFound)?;
            self.cover(&mut pace, &known, tx.tenant(), caller, &standing, actions, place, &found).await?;
        }
        Ok(())
    }

    /// Whether a member may invite people, and may do oneself all that `held` says, each at its place: by the roles that they
    /// hold now. Asked of somebody who is not there, as one who has just proved who they are.
    pub(crate) async fn may_invite_to(
        &self,
        tx: &mut ReadTx,
        member: Uuid,
        held: &Held,
    ) -> Result<bool, Refused> {
        let caller = absent(HolderKind::Member, member, tx.tenant());
        let known = self.known(tx).await?;
        let standing = known.member(tx, member).await?;
        let whole = Place::Organisation(*tx.tenant().uuid());
        let inviting = (whole, Action::MemberInvite.into());
        let mut pace = self.pace(tx.tenant());
        for (place, actions) in std::iter::once(inviting).chain(held.iter()) {
            let Some(here) = known.find(tx, place.into()).await? else { return Ok(false) };
            match self.cover(&mut pace, &known, tx.tenant(), &caller, &standing, actions, place, &here).await
            {
                Ok(()) => {}
                Err(Refused::Store(error)) => return Err(error.into()),
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }

    #[allow(clippy::too_many_arguments, reason = "one question, asked from two sides")]
    async fn cover(
        &self,
        pace: &mut Pace<'_>,
        known: &Known,
        tenant: TenantId,
        caller: &Caller,
        standing: &Standing,
        actions: Scopes,
        place: Place,
        found: &Found,
    ) -> Result<(), Refused> {
        let vocabulary = known.policies.vocabulary();
        let actions = match place {
            Place::Organisation(_) => actions,
            Place::Device(_) => actions.and(vocabulary.on_devices()),
        };
        for action in Action::ALL.iter().copied().filter(|action| actions.contains(*action)) {
            pace.step().await?;
            let Some(sample) = vocabulary.sample(action) else {
                return Err(Refused::Forbidden { action });
            };
            let found = known.found(sample.at(place), found.path.clone());
            if !self.may(known, tenant, caller, standing, action, &found) {
                return Err(Refused::Forbidden { action });
            }
        }
        Ok(())
    }

    pub(crate) fn may(
        &self,
        known: &Known,
        tenant: TenantId,
        caller: &Caller,
        standing: &Standing,
        action: Action,
        found: &Found,
    ) -> bool {
        known.policies.answer(self.slice(caller, tenant, standing, action, found)).is_ok()
    }
}

impl Visible {
    /// Whether there are none at all.
    pub fn is_nothing(&self) -> bool {
        self.organisations.is_empty() && self.devices.is_empty()
    }

    /// Whether this device, in this organisation, is among them.
    pub fn contains(&self, device: Uuid, organisation: Uuid) -> bool {
        let is_there = self.is_everywhere || self.organisations.contains(&organisation);
        self.devices.contains(&device) || (is_there && !self.refused.contains(&device))
    }
}

impl From<Place> for Resource {
    fn from(place: Place) -> Self {
        match place {
            Place::Organisation(id) => Resource::Organisation(id),
            Place::Device(id) => Resource::Device(id),
        }
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
