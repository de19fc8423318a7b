// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Somebody with a machine of their own.

use std::path::PathBuf;

use client::{Client, Drive, Options, Profile, RemotePath, SignUp, Unlocked, this_device};
use protocol::Secret;
use protocol::tenants::invitations::{InvitedRole, Join, NewInvitation};
use protocol::tenants::{NewTenant, Tenant};
use protocol::{OrganisationId, TenantId};

use super::DemoError;
use super::stage::{Stage, failed};
use super::telling::Telling;

/// Somebody, signed in on their machine.
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) account: Unlocked,
    config: PathBuf,
}

/// What a command said.
pub(super) struct Said {
    pub(super) status: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Person {
    /// Signs somebody up, and keeps the session in a profile of their own, as the command line finds it.
    pub(super) async fn new(stage: &Stage, name: &'static str) -> Result<Person, DemoError> {
        let client = Client::new(&stage.url(), &Options::default())
            .map_err(|error| DemoError::Wrong(error.to_string()))?;
        let refused = |error| DemoError::SignUp(name, error);
        let email = format!("{name}@{}.example", if name == "gil" { "globex" } else { "acme" });
        let password = format!("{name} has a password that is only for this demo");
        let sign_up = SignUp::start(&client, &email, &password).await.map_err(refused)?;
        let new = sign_up.finish(None, this_device(None)).await.map_err(refused)?;

        let config = stage.config_of(name);
        std::fs::create_dir_all(&config).map_err(|error| failed(&config, error))?;
        let profile = Profile::at(&config);
        if let Some(token) = &new.session.device_token {
            profile.keep_device_token(token)?;
        }
        let half = new.session.server_half.to_array().map(keyring::ServerHalf::from_bytes);
        let half =
            half.ok_or_else(|| DemoError::Wrong("the server's half of a key is not one".to_owned()))?;
        profile.keep(&new.account, &half)?;
        Ok(Person { name, account: new.account, config })
    }

    /// Founds a tenant.
    pub(super) async fn founds(&self, name: &str, label: &str) -> Result<Tenant, DemoError> {
        let new = NewTenant { name: name.to_owned(), label: label.to_owned(), region: None };
        Ok(self.account.client.create_tenant(&new).await?)
    }

    /// Lets somebody in, with a role in an organisation.
    pub(super) async fn lets_in(
        &self,
        tenant: TenantId,
        other: &Person,
        label: &str,
        role: &str,
        organisation: OrganisationId,
    ) -> Result<(), DemoError> {
        let place = protocol::tenants::grants::PlaceId::Organisation(organisation);
        let new = NewInvitation {
            label: Some(label.to_owned()),
            roles: vec![InvitedRole { role: role.to_owned(), place }],
            ..NewInvitation::default()
        };
        let made = self.account.client.create_invitation(tenant, &new).await?;
        let link = made.link.as_ref().map(Secret::expose).unwrap_or_default();
        let token = link.rsplit_once("#invite=").map_or(link, |(_, token)| token);
        let join = Join { token: Secret::from(token.to_owned()), label: None };
        other.account.client.join_tenant(&join).await?;
        Ok(())
    }

    /// Keeps a text as a file, sealed on this machine.
    pub(super) async fn keeps(&self, name: &str, text: &'static str) -> Result<(), DemoError> {
        let unkept = |error: &dyn std::fmt::Display| DemoError::Drive(error.to_string());
        let path = RemotePath::parse(name).map_err(|error| unkept(&error))?;
        let mut drive = Drive::open(&self.account).await.map_err(|error| unkept(&error))?;
        drive.ensure().await.map_err(|error| unkept(&error))?;
        let put = drive.put_stream(text.as_bytes(), &path, &self.config, &|_| {}).await;
        put.map(drop).map_err(|error| unkept(&error))
    }

    /// Types a command on their machine, in front of whoever watches.
    pub(super) fn types(
        &self,
        stage: &Stage,
        telling: &mut Telling,
        words: &[&str],
    ) -> Result<Said, DemoError> {
        let mut command = stage.command();
        command.args(words).env("BAILIWICK_CONFIG_DIR", &self.config).env("BAILIWICK_KEYCHAIN", "off");
        let output =
            command.output().map_err(|error| DemoError::Io("this program does not run".to_owned(), error))?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let said =
            Said { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
        telling.typed(self.name, words, &said);
        Ok(said)
    }
}

impl Said {
    /// What has to be so; if it is not, the demo ends.
    pub(super) fn has_to_be(self, status: i32, words: &[&str], what: &str) -> Result<Said, DemoError> {
        let missing =
            words.iter().find(|word| !self.stdout.contains(**word) && !self.stderr.contains(**word));
        if self.status == Some(status) && missing.is_none() {
            return Ok(self);
        }
        let missing = missing.map_or_else(String::new, |word| format!(", without {word:?}"));
        Err(DemoError::Wrong(format!("{what}: it ended with {:?}{missing}", self.status)))
    }
}
