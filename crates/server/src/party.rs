// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who works on a collection: its owner, or somebody with whom it is shared.
//!
//! What a share opens is asked for twice. The directory says that there is one and what for, which the policies decide on. The
//! member's row in the collection's home, in the very transaction that reads or writes, says that it is still so.

use access::{Action, Caller, Refused, Resource, Share};
use objects::Permission;
use protocol::{CollectionId, TenantId};
use store::{ReadTx, TenantId as Tenant, WriteTx};
use uuid::Uuid;

use crate::caller::{Authenticated, Signed};
use crate::error::ApiError;
use crate::routes::collections;
use crate::state::App;

/// Who works on a collection.
pub(crate) enum Party {
    Owner(Box<Authenticated>),
    Member(Box<Member>),
}

impl Party {
    pub(crate) fn owner(signed: Authenticated) -> Self {
        Party::Owner(Box::new(signed))
    }

    /// The account that acts.
    pub(crate) fn account(&self) -> Uuid {
        match self {
            Party::Owner(signed) => *signed.account().uuid(),
            Party::Member(member) => member.account(),
        }
    }

    /// The home in which the collection lies.
    pub(crate) fn home(&self) -> Tenant {
        match self {
            Party::Owner(signed) => signed.home(),
            Party::Member(member) => member.home,
        }
    }

    /// Whether writing is not refused from the first: what is asked before bytes are taken in that only a later transaction
    /// accounts for.
    pub(crate) fn may_write(&self, action: Action) -> Result<(), ApiError> {
        match self {
            Party::Member(member) if !member.writes => Err(Refused::Forbidden { action }.into()),
            _ => Ok(()),
        }
    }

    /// A view of the collection's home.
    pub(crate) async fn view(
        &self,
        app: &App,
        action: Action,
        resource: Resource,
    ) -> Result<ReadTx, ApiError> {
        match self {
            Party::Owner(signed) => {
                Ok(app.access.view(signed.caller(), signed.home(), action, resource).await?)
            }
            Party::Member(member) => member.view(app, action, resource).await,
        }
    }

    /// Enters the collection's home, as long as what was shown still lives: see [`Signed::enter`].
    pub(crate) async fn enter(
        &self,
        app: &App,
        action: Action,
        resource: Resource,
    ) -> Result<WriteTx, ApiError> {
        match self {
            Party::Owner(signed) => signed.enter(app, action, resource).await,
            Party::Member(member) => member.enter(app, action, resource).await,
        }
    }

    /// Whether it is still so, for what goes on after its request was let in.
    pub(crate) async fn look_again(&self, app: &App) -> Result<(), ApiError> {
        match self {
            Party::Owner(signed) => signed.look_again(app).await,
            Party::Member(member) => member.look_again(app).await,
        }
    }
}

/// An account with whom a collection is shared.
pub(crate) struct Member {
    signed: Signed,
    caller: Caller,
    home: Tenant,
    collection: CollectionId,
    writes: bool,
}

impl Member {
    /// Looks in the directory whether this is shared with the caller.
    async fn find(
        app: &App,
        signed: Signed,
        home: TenantId,
        collection: CollectionId,
    ) -> Result<Member, ApiError> {
        let account = *signed.session.account().uuid();
        let home = Tenant::from_uuid(home.uuid());
        let entry = Resource::DirectoryEntry { account };
        let mut tx = app.access.view(&signed.caller, Tenant::PLATFORM, Action::AccountRead, entry).await?;
        let permission = app.objects.share(&mut tx, account, home, collections::id(collection)).await?;
        let writes = permission == Permission::Write;
        let caller = signed.caller.clone().sharing(Share { home, collection: collection.uuid(), writes });
        Ok(Member { signed, caller, home, collection, writes })
    }

    /// The same as a party.
    pub(crate) async fn party(
        app: &App,
        signed: Signed,
        home: TenantId,
        collection: CollectionId,
    ) -> Result<Party, ApiError> {
        Ok(Party::Member(Box::new(Member::find(app, signed, home, collection).await?)))
    }

    fn account(&self) -> Uuid {
        *self.signed.session.account().uuid()
    }

    async fn view(&self, app: &App, action: Action, resource: Resource) -> Result<ReadTx, ApiError> {
        let mut tx = app.access.view(&self.caller, self.home, action, resource).await?;
        self.row(app, &mut tx, action).await?;
        Ok(tx)
    }

    /// A member's session lies in another home than what it works on: it is looked at first. An `Idempotency-Key` is not taken:
    /// what members change happens once anyway, by its precondition.
    async fn enter(&self, app: &App, action: Action, resource: Resource) -> Result<WriteTx, ApiError> {
        self.signed.look_again(app).await?;
        let mut tx = app.access.enter(&self.caller, self.home, action, resource).await?;
        self.row(app, &mut tx, action).await?;
        Ok(tx)
    }

    async fn look_again(&self, app: &App) -> Result<(), ApiError> {
        self.signed.look_again(app).await?;
        let resource = Resource::Collection(self.collection.uuid());
        self.view(app, Action::ItemRead, resource).await.map(drop)
    }

    /// The member's row: whether the action is still allowed, in the transaction that does it.
    async fn row(&self, app: &App, tx: &mut ReadTx, action: Action) -> Result<objects::Member, ApiError> {
        let member = app.objects.member(tx, collections::id(self.collection), self.account()).await?;
        let is_writing =
            matches!(action, Action::ItemWrite | Action::ItemDelete | Action::FileWrite | Action::FileDelete);
        if is_writing && member.permission < Permission::Write {
            return Err(Refused::Forbidden { action }.into());
        }
        Ok(member)
    }
}
