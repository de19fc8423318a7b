// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Teams of a tenant.

use protocol::tenants::teams::{NewTeam, Team, TeamChange, TeamMembers, Teams};
use protocol::{AccountId, TeamId, TenantId};
use reqwest::Method;

use crate::client::{Call, Client, RequestError};

impl Client {
    /// The teams, the oldest first.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn teams(&self, tenant: TenantId) -> Result<Teams, RequestError> {
        self.get(&format!("/api/v1/tenants/{tenant}/teams")).await
    }

    /// Makes a team.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn create_team(&self, tenant: TenantId, new: &NewTeam) -> Result<Team, RequestError> {
        self.post(&format!("/api/v1/tenants/{tenant}/teams"), new).await
    }

    /// Gives a team another name.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn change_team(
        &self,
        tenant: TenantId,
        team: TeamId,
        change: &TeamChange,
    ) -> Result<Team, RequestError> {
        self.fetch(Call::new(Method::PATCH, &format!("/api/v1/tenants/{tenant}/teams/{team}")).json(change)?)
            .await
    }

    /// Deletes a team, with the roles that it held.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn delete_team(&self, tenant: TenantId, team: TeamId) -> Result<(), RequestError> {
        self.done(Call::new(Method::DELETE, &format!("/api/v1/tenants/{tenant}/teams/{team}"))).await
    }

    /// Who is in a team.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn team_members(&self, tenant: TenantId, team: TeamId) -> Result<TeamMembers, RequestError> {
        self.get(&format!("/api/v1/tenants/{tenant}/teams/{team}/members")).await
    }

    /// Puts a member into a team.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn put_team_member(
        &self,
        tenant: TenantId,
        team: TeamId,
        account: AccountId,
    ) -> Result<(), RequestError> {
        self.done(Call::new(Method::PUT, &format!("/api/v1/tenants/{tenant}/teams/{team}/members/{account}")))
            .await
    }

    /// Takes a member out of a team.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn delete_team_member(
        &self,
        tenant: TenantId,
        team: TeamId,
        account: AccountId,
    ) -> Result<(), RequestError> {
        self.done(Call::new(
            Method::DELETE,
            &format!("/api/v1/tenants/{tenant}/teams/{team}/members/{account}"),
        ))
        .await
    }
}
