// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Applications of a tenant that get tokens, and people's consent to them.

use protocol::oauth::{
    Answered, Asked, Authorizations, Client as Application, ClientChange, ClientSecret, ClientTokenKey,
    Clients, ConsentRequest, MadeClient, NewClient,
};
use protocol::{ClientId, TenantId};
use reqwest::Method;

use super::{Call, Client, RequestError};

impl Client {
    /// The clients of a tenant.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn clients(&self, tenant: TenantId) -> Result<Clients, RequestError> {
        self.get(&clients(tenant)).await
    }

    /// One of them.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn client_of(&self, tenant: TenantId, client: ClientId) -> Result<Application, RequestError> {
        self.get(&format!("{}/{client}", clients(tenant))).await
    }

    /// Makes a client. Its secret is shown this once.
    ///
    /// # Errors
    /// [`RequestError`]; the server asks for a fresh proof first.
    pub async fn create_client(&self, tenant: TenantId, new: &NewClient) -> Result<MadeClient, RequestError> {
        self.post(&clients(tenant), new).await
    }

    /// Changes a client.
    ///
    /// # Errors
    /// [`RequestError`]; the server asks for a fresh proof first.
    pub async fn change_client(
        &self,
        tenant: TenantId,
        client: ClientId,
        change: &ClientChange,
    ) -> Result<Application, RequestError> {
        let path = format!("{}/{client}", clients(tenant));
        self.fetch(Call::new(Method::PATCH, &path).json(change)?).await
    }

    /// Gives a client another secret.
    ///
    /// # Errors
    /// [`RequestError`]; the server asks for a fresh proof first.
    pub async fn rotate_client_secret(
        &self,
        tenant: TenantId,
        client: ClientId,
    ) -> Result<ClientSecret, RequestError> {
        let path = format!("{}/{client}/secret", clients(tenant));
        self.fetch(Call::new(Method::POST, &path)).await
    }

    /// Gives a client another key for its access tokens (`HS256`).
    ///
    /// # Errors
    /// [`RequestError`]; the server asks for a fresh proof first.
    pub async fn rotate_client_token_key(
        &self,
        tenant: TenantId,
        client: ClientId,
    ) -> Result<ClientTokenKey, RequestError> {
        let path = format!("{}/{client}/token-key", clients(tenant));
        self.fetch(Call::new(Method::POST, &path)).await
    }

    /// Deletes a client with all its tokens.
    ///
    /// # Errors
    /// [`RequestError`]; the server asks for a fresh proof first.
    pub async fn delete_client(&self, tenant: TenantId, client: ClientId) -> Result<(), RequestError> {
        self.done(Call::new(Method::DELETE, &format!("{}/{client}", clients(tenant)))).await
    }

    /// What an application asks for.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn consent_request(&self, asked: &Asked) -> Result<ConsentRequest, RequestError> {
        self.post("/api/v1/authorize/read", asked).await
    }

    /// Allows it.
    ///
    /// # Errors
    /// [`RequestError`]; the server may ask for a fresh proof first.
    pub async fn approve_consent(&self, asked: &Asked) -> Result<Answered, RequestError> {
        self.post("/api/v1/authorize/approve", asked).await
    }

    /// Refuses it.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn deny_consent(&self, asked: &Asked) -> Result<Answered, RequestError> {
        self.post("/api/v1/authorize/deny", asked).await
    }

    /// What the account allows applications.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn authorizations(&self) -> Result<Authorizations, RequestError> {
        self.get("/api/v1/authorizations").await
    }

    /// Takes that back from one of them.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn revoke_authorization(&self, tenant: TenantId, client: ClientId) -> Result<(), RequestError> {
        let path = format!("/api/v1/tenants/{tenant}/authorizations/{client}");
        self.done(Call::new(Method::DELETE, &path)).await
    }
}

fn clients(tenant: TenantId) -> String {
    format!("/api/v1/tenants/{tenant}/clients")
}
