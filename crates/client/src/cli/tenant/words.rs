// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Names for ids, for people to read: as far as whoever asks may see them. What has no name is called by its id.

use std::collections::HashMap;

use protocol::tenants::grants::{HolderId, PlaceId};
use protocol::{AccountId, TenantId};

use super::Named;
use super::named::members;
use crate::cli::context::Context;
use crate::client::Client;
use crate::output::harmless;

/// What things of a tenant are called.
#[derive(Default)]
pub(in crate::cli) struct Words(HashMap<String, String>);

impl Words {
    /// What there is to read, when people read it.
    pub(in crate::cli) async fn for_people(context: &Context, client: &Client, tenant: TenantId) -> Words {
        let mut words = Words::default();
        if context.output.is_json() {
            return words;
        }
        // Whoever may not list one of these reads ids instead.
        let organisations =
            client.organisations(tenant).await.map(|all| all.organisations).unwrap_or_default();
        let whole = format!("org_{}", tenant.uuid().simple());
        words.0.extend(organisations.into_iter().map(|one| {
            let id = one.id.to_string();
            let name = if id == whole { format!("the whole of {}", one.name) } else { one.name };
            (id, name)
        }));
        let people = members(client, tenant).await.unwrap_or_default();
        let mut bearers: HashMap<String, u32> = HashMap::new();
        for one in &people {
            *bearers.entry(one.label.clone()).or_default() += 1;
        }
        words.0.extend(people.into_iter().map(|one| {
            let id = one.account.to_string();
            // Two of the same label are told apart.
            let is_ambiguous = bearers.get(&one.label).is_some_and(|bearers| *bearers > 1);
            let name = if is_ambiguous { format!("{} ({id})", one.label) } else { one.label };
            (id, name)
        }));
        let teams = client.teams(tenant).await.map(|all| all.teams).unwrap_or_default();
        words.0.extend(teams.into_iter().map(|one| (one.id.to_string(), format!("team {}", one.name))));
        let roles = client.roles(tenant).await.map(|all| all.roles).unwrap_or_default();
        words.0.extend(roles.into_iter().map(|one| (one.role, one.name)));
        let programs =
            client.service_accounts(tenant).await.map(|all| all.service_accounts).unwrap_or_default();
        words.0.extend(programs.into_iter().map(|one| (one.id.to_string(), one.name)));
        words
    }

    /// The same, with whoever asks called "you", and a device that is asked about by its name.
    pub(super) async fn of_question(
        mut self,
        named: Named<'_>,
        own: AccountId,
        on: Option<PlaceId>,
    ) -> Words {
        self.0.insert(own.to_string(), "you".to_owned());
        if let Some(PlaceId::Device(device)) = on
            && let Ok(device) = named.client.tenant_device(named.tenant, device).await
        {
            self.0.insert(device.id.to_string(), device.name);
        }
        self
    }

    pub(super) fn holder(&self, holder: HolderId) -> String {
        self.of(&holder.to_string())
    }

    pub(super) fn place(&self, place: PlaceId) -> String {
        self.of(&place.to_string())
    }

    /// What is called by this id, or the id itself.
    pub(super) fn of(&self, id: &str) -> String {
        harmless(self.name(id).unwrap_or(id))
    }

    /// What is called by this id, as somebody wrote it.
    pub(in crate::cli) fn name(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }
}
