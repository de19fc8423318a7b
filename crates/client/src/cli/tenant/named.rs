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
        let programs = seen(self.service_accounts(text).await)?.unwrap_or_default();
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

    /// A place: an organisation by its id or its name, or a device by its id here, its own id or its name. Without one, the
    /// whole tenant. Where an organisation and a device have the same name, the organisation is meant.
    pub(super) async fn place(self, text: Option<&str>) -> Result<PlaceId, Failure> {
        let Some(text) = text else {
            return Ok(PlaceId::Organisation(OrganisationId::from_uuid(self.tenant.uuid())));
        };
        if let Ok(place) = text.parse() {
            return Ok(place);
        }
        // Whoever may not see the one kind may still mean the other.
        let organisations = seen(self.client.organisations(self.tenant).await)?.map(|all| all.organisations);
        let organisations = organisations.unwrap_or_default().into_iter().filter(|one| one.name == text);
        let mut named: Vec<_> = organisations.map(|one| PlaceId::Organisation(one.id)).collect();
        let device = seen(self.client.find_tenant_device(self.tenant, text).await)?.flatten();
        named.extend(device.map(|device| PlaceId::Device(device.id)));
        if named.is_empty() {
            let devices = seen(self.devices_called(text).await)?.unwrap_or_default();
            named.extend(devices.into_iter().map(|device| PlaceId::Device(device.id)));
        }
        if named.is_empty() {
            let text = format!("there is no organisation or device {text:?} here that you may see");
            return Err(Failure::failed("not_found", text));
        }
        only("organisation or device", text, named)
    }

    /// A device, by its id here, its own id or its name.
    pub(super) async fn device(self, text: &str) -> Result<TenantDevice, Failure> {
        if let Ok(id) = text.parse::<TenantDeviceId>() {
            return Ok(self.client.tenant_device(self.tenant, id).await?);
        }
        if let Some(device) = self.client.find_tenant_device(self.tenant, text).await? {
            return Ok(device);
        }
        let named = self.devices_called(text).await?;
        if named.is_empty() {
            let text = format!("there is no device {text:?} here that you may see");
            return Err(Failure::failed("not_found", text));
        }
        only("device", text, named)
    }

    async fn devices_called(self, name: &str) -> Result<Vec<TenantDevice>, RequestError> {
        let all = devices(self.client, self.tenant).await?;
        Ok(all.into_iter().filter(|device| device.name == name).collect())
    }
}

/// What was found, or `None` when whoever asks may not see such things.
fn seen<T>(found: Result<T, RequestError>) -> Result<Option<T>, RequestError> {
    match found {
        Err(error) if error.is(Code::Forbidden) => Ok(None),
        found => found.map(Some),
    }
}

/// Every device of a tenant that one may see.
pub(super) async fn devices(client: &Client, tenant: TenantId) -> Result<Vec<TenantDevice>, RequestError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = client.tenant_devices(tenant, after).await?;
        all.extend(page.devices);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(all),
        }
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

pub(super) fn only<T>(what: &str, name: &str, mut named: Vec<T>) -> Result<T, Failure> {
    match (named.pop(), named.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => {
            Err(Failure::usage(format!("several are called {name:?}: name the {what} by its id")))
        }
        (None, _) => Err(Failure::failed("not_found", format!("there is no {what} {name:?} here"))),
    }
}

const BUILT_IN: [&str; 6] = ["owner", "admin", "auditor", "manager", "operator", "viewer"];
