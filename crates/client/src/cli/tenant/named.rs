// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What people call things: by their ids, or by names where these are not ambiguous. Names are the tenant's own, so they are
//! looked up there.

use protocol::tenants::devices::TenantDevice;
use protocol::tenants::grants::{HolderId, PlaceId};
use protocol::tenants::members::TenantMember;
use protocol::{AccountId, Code, OrganisationId, RoleId, ServiceAccountId, TeamId, TenantDeviceId, TenantId};

use crate::account_name::AccountName;
use crate::cli::failure::Failure;
use crate::client::{Client, RequestError};

/// A tenant in which things are looked up.
#[derive(Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) client: &'a Client,
    pub(super) tenant: TenantId,
}

impl Named<'_> {
    /// An organisation, by its id or its name.
    pub(super) async fn organisation(self, text: &str) -> Result<OrganisationId, Failure> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let all = self.client.organisations(self.tenant).await?.organisations;
        let named = all.into_iter().filter(|one| one.name == text).map(|one| one.id);
        only("organisation", text, named.collect())
    }

    /// A team, by its id or its name.
    pub(super) async fn team(self, text: &str) -> Result<TeamId, Failure> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        only("team", text, self.teams(text).await?)
    }

    async fn teams(self, name: &str) -> Result<Vec<TeamId>, RequestError> {
        let all = self.client.teams(self.tenant).await?.teams;
        Ok(all.into_iter().filter(|team| team.name == name).map(|team| team.id).collect())
    }

    /// A service account, by its id or its name.
    pub(super) async fn service_account(self, text: &str) -> Result<ServiceAccountId, Failure> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        only("service account", text, self.service_accounts(text).await?)
    }

    async fn service_accounts(self, name: &str) -> Result<Vec<ServiceAccountId>, RequestError> {
        let all = self.client.service_accounts(self.tenant).await?.service_accounts;
        Ok(all.into_iter().filter(|one| one.name == name).map(|one| one.id).collect())
    }

    /// A member, by the account's id or number, or by how the tenant's people see them.
    pub(super) async fn member(self, text: &str) -> Result<AccountId, Failure> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let all = members(self.client, self.tenant).await.map_err(unlisted)?;
        let labelled = all.iter().filter(|member| member.label == text).map(|member| member.account);
        let named = match labelled.collect::<Vec<_>>() {
            none if none.is_empty() => self.numbered(text, &all).await.into_iter().collect(),
            labelled => labelled,
        };
        only("member", text, named)
    }

    /// The member whose account has this number, which the directory of accounts knows.
    async fn numbered(self, text: &str, members: &[TenantMember]) -> Option<AccountId> {
        let account = text.parse::<AccountName>().ok()?.id(self.client).await.ok()?;
        members.iter().any(|member| member.account == account).then_some(account)
    }

    /// Who holds roles: a member, a team or a service account, by an id or a name; a member by the account's number too.
    pub(super) async fn holder(self, text: &str) -> Result<HolderId, Failure> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let all = members(self.client, self.tenant).await.map_err(unlisted)?;
        let members = all.iter().filter(|member| member.label == text);
        let mut named: Vec<HolderId> = members.map(|member| HolderId::Member(member.account)).collect();
        named.extend(self.teams(text).await?.into_iter().map(HolderId::Team));
        // Whoever may not see the service accounts still names people and teams.
        let programs = match self.service_accounts(text).await {
            Err(error) if error.is(Code::Forbidden) => Vec::new(),
            found => found?,
        };
        named.extend(programs.into_iter().map(HolderId::ServiceAccount));
        if named.is_empty() {
            named.extend(self.numbered(text, &all).await.map(HolderId::Member));
        }
        only("member, team or service account", text, named)
    }

    /// A role as it is given: a built-in one's name, or the id of one of the tenant's own, which may be named too.
    pub(super) async fn role(self, text: &str) -> Result<String, Failure> {
        if text.parse::<RoleId>().is_ok() || BUILT_IN.contains(&text) {
            return Ok(text.to_owned());
        }
        let all = self.client.roles(self.tenant).await?.roles;
        only("role", text, all.into_iter().filter(|role| role.name == text).map(|role| role.role).collect())
    }

    /// A role of the tenant's own, by its id or its name.
    pub(super) async fn own_role(self, text: &str) -> Result<RoleId, Failure> {
        let role = self.role(text).await?;
        role.parse().map_err(|_| Failure::usage(format!("{role} is a built-in role: it stays as it is")))
    }

    /// A place: an organisation by its id or its name, or a device by its id here. Without one, the whole tenant.
    pub(super) async fn place(self, text: Option<&str>) -> Result<PlaceId, Failure> {
        match text {
            None => Ok(PlaceId::Organisation(OrganisationId::from_uuid(self.tenant.uuid()))),
            Some(text) => match text.parse() {
                Ok(place) => Ok(place),
                Err(_) => self.organisation(text).await.map(PlaceId::Organisation),
            },
        }
    }

    /// A device, by its id here or its own.
    pub(super) async fn device(self, text: &str) -> Result<TenantDevice, Failure> {
        if let Ok(id) = text.parse::<TenantDeviceId>() {
            return Ok(self.client.tenant_device(self.tenant, id).await?);
        }
        let found = self.client.find_tenant_device(self.tenant, text).await?;
        found.ok_or_else(|| Failure::failed("not_found", format!("there is no device {text:?} here")))
    }
}

/// Every member of a tenant.
pub(super) async fn members(client: &Client, tenant: TenantId) -> Result<Vec<TenantMember>, RequestError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = client.tenant_members(tenant, after).await?;
        all.extend(page.members);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(all),
        }
    }
}

/// Why no name of a member is known here, and what goes without one.
fn unlisted(error: RequestError) -> Failure {
    let is_refusal = error.is(Code::Forbidden);
    let failure = Failure::from(error).in_whole_tenant();
    if is_refusal {
        failure.adding("Whom you name by an id (acc_…) need not be looked up.")
    } else {
        failure
    }
}

fn only<T>(what: &str, name: &str, mut named: Vec<T>) -> Result<T, Failure> {
    match (named.pop(), named.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => {
            Err(Failure::usage(format!("several are called {name:?}: name the {what} by its id")))
        }
        (None, _) => Err(Failure::failed("not_found", format!("there is no {what} {name:?} here"))),
    }
}

const BUILT_IN: [&str; 6] = ["owner", "admin", "auditor", "manager", "operator", "viewer"];
