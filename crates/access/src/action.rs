// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What can be done.

use std::fmt;
use std::str::FromStr;

macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $action:ident = $name:literal,)+) => {
        /// Something that can be done, by the name that stands in the Cedar schema, in the API's
        /// errors and scopes, and in records.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Action { $($(#[doc = $doc])+ $action,)+ }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Action] = &[$(Action::$action,)+];

            /// The action's name, such as `item.write`.
            pub const fn name(self) -> &'static str {
                match self { $(Action::$action => $name,)+ }
            }
        }
    };
}

actions! {
    /// Sign up. The home itself is made by [`Access::found`](crate::Access::found) alone.
    AccountCreate = "account.create",
    /// Sign in.
    SessionCreate = "session.create",
    /// Show a session's token and learn whose it is.
    SessionAuthenticate = "session.authenticate",

    /// Prove again who one is.
    SessionStepUp = "session.step_up",
    /// Fetch the server's half of the device's split key.
    SessionUnlock = "session.unlock",
    /// See where one is signed in.
    SessionList = "session.list",
    /// End a session: this one, another, all others.
    SessionEnd = "session.end",
    /// See the devices one signed in from.
    DeviceList = "device.list",
    /// Get an access token.
    TokenIssue = "token.issue",

    /// Ask for a device to be let in, and talk with whoever approves it.
    PairingAsk = "pairing.ask",
    /// See which device asks, and take its answers.
    PairingRead = "pairing.read",
    /// Let a device in.
    PairingApprove = "pairing.approve",

    /// See one's own account.
    AccountRead = "account.read",
    /// Delete the account and shred its keys.
    AccountDelete = "account.delete",
    /// Replace the password.
    PasswordChange = "password.change",
    /// Replace the backup codes.
    BackupCodesReplace = "backup_codes.replace",
    /// Replace the authenticator app's seed.
    TotpReplace = "totp.replace",
    /// Add a login method: a recovery key, a passkey, an API key.
    MethodAdd = "method.add",
    /// Give a login method another name.
    MethodRename = "method.rename",
    /// Take a login method away.
    MethodRevoke = "method.revoke",
    /// Replace the master key.
    MasterKeyRotate = "master_key.rotate",

    /// Make an API key.
    ApiKeyCreate = "api_key.create",
    /// See the API keys and where they were used from; for a key itself, what it is.
    ApiKeyRead = "api_key.read",
    /// Decide from which addresses an API key may be used.
    ApiKeyApprove = "api_key.approve",
    /// Refuse an API key that was shown from an address nobody approved.
    ApiKeyRefuse = "api_key.refuse",
    /// Refuse a passkey of which there may be a copy.
    PasskeyRefuse = "passkey.refuse",
    /// Report an API key that was found where it should not be.
    ApiKeyReport = "api_key.report",

    /// Make a collection.
    CollectionCreate = "collection.create",
    /// See which collections there are.
    CollectionList = "collection.list",
    /// Read a collection and what it lists.
    CollectionRead = "collection.read",
    /// Change a collection itself.
    CollectionWrite = "collection.write",
    /// Delete a collection with all that is in it.
    CollectionDelete = "collection.delete",
    /// Share a collection with others, and end that.
    CollectionShare = "collection.share",
    /// Hand the key of a tenant's collection to members whose roles entitle them to it, and give it its next key.
    CollectionAdmit = "collection.admit",
    /// Read items.
    ItemRead = "item.read",
    /// Write items.
    ItemWrite = "item.write",
    /// Delete items.
    ItemDelete = "item.delete",
    /// Read a file. Always recorded.
    FileRead = "file.read",
    /// Write a file.
    FileWrite = "file.write",
    /// Delete a file.
    FileDelete = "file.delete",
    /// Follow changes as they happen.
    ChangesFollow = "changes.follow",
    /// See how much is used of what is allowed.
    UsageRead = "usage.read",
    /// Take everything out.
    ExportCreate = "export.create",

    /// Make a tenant for a customer, as its first owner.
    TenantCreate = "tenant.create",
    /// See the tenants that one is in.
    TenantList = "tenant.list",
    /// Make a tenant's own rows. The server does, for who may [`TenantCreate`](Action::TenantCreate).
    TenantFound = "tenant.found",
    /// See a tenant: its name, state and settings.
    TenantRead = "tenant.read",
    /// Change a tenant's name and settings.
    TenantUpdate = "tenant.update",
    /// Suspend a tenant, and end that.
    TenantSuspend = "tenant.suspend",
    /// Hand a tenant on to another owner.
    TenantTransfer = "tenant.transfer",
    /// Have a tenant deleted, and take that back while there is time.
    TenantDelete = "tenant.delete",
    /// Leave a tenant.
    TenantLeave = "tenant.leave",
    /// Become a member by an invitation.
    TenantJoin = "tenant.join",
    /// See the organisations of a tenant.
    OrganisationRead = "organisation.read",
    /// Make, name, move and delete organisations.
    OrganisationWrite = "organisation.write",
    /// See who is a member.
    MemberRead = "member.read",
    /// Invite people, and take that back.
    MemberInvite = "member.invite",
    /// Suspend a member, and end that.
    MemberSuspend = "member.suspend",
    /// Take a member out.
    MemberRemove = "member.remove",
    /// See teams and who is in them.
    TeamRead = "team.read",
    /// Make, name and delete teams, and say who is in them.
    TeamWrite = "team.write",
    /// See the roles that there are, and who holds which.
    RoleRead = "role.read",
    /// Make, change and delete roles of the tenant's own.
    RoleWrite = "role.write",
    /// Give a role, and take it away. Never more than one may oneself.
    RoleGrant = "role.grant",
    /// See devices.
    DeviceRead = "device.read",
    /// Register devices, name them, assign them to an organisation.
    DeviceWrite = "device.write",
    /// Remove devices.
    DeviceDelete = "device.delete",
    /// See a tenant's own policies.
    PolicyRead = "policy.read",
    /// Change a tenant's own policies.
    PolicyWrite = "policy.write",
    /// See service accounts and their keys.
    ServiceAccountRead = "service_account.read",
    /// Make, change and remove service accounts and their keys.
    ServiceAccountWrite = "service_account.write",
    /// Refuse a service account's key that was shown where it may not be used.
    ServiceAccountRefuse = "service_account.refuse",
    /// See the applications of a tenant (OAuth clients), and what they may ask for.
    ClientRead = "client.read",
    /// Make, change and remove applications and their secrets.
    ClientWrite = "client.write",
    /// Get tokens of a tenant through one of its applications: what its people consent to and its programs ask for.
    ClientUse = "client.use",
    /// End what an application was granted, because its code or refresh token was shown twice.
    ClientRefuse = "client.refuse",
    /// See by which other providers people come in, and the tenant's domains.
    ProviderRead = "provider.read",
    /// Set up, change and remove providers, their roles and the tenant's domains.
    ProviderWrite = "provider.write",
    /// Let old clients in by plain passwords, import and take away those of members, and end that.
    PlainPasswordWrite = "plain_password.write",
    /// Set and take away one's own plain password.
    PlainPasswordSet = "plain_password.set",
    /// Make a member of somebody whom the tenant's provider vouches for, and give them its roles.
    MemberProvision = "member.provision",
    /// Tell a tenant who its people are and in which groups: by a service account that another system provisions with (SCIM).
    MemberSync = "member.sync",
    /// See support grants.
    SupportRead = "support.read",
    /// Let an operator in for a time, and end that.
    SupportGrant = "support.grant",
    /// Note in the platform's history that a tenant let an operator in, or no longer does.
    SupportNote = "support.note",
    /// Ask why somebody may or may not do something.
    DecisionExplain = "decision.explain",

    /// Read the history: a tenant's, or the platform's.
    LogRead = "log.read",
    /// Read which requests were made: of a tenant, or of the platform.
    RequestRead = "request.read",
    /// Record which requests were made. The server does.
    RequestRecord = "request.record",

    /// See the platform's state.
    PlatformRead = "platform.read",
    /// Change the platform: its roles, its settings.
    PlatformAdminister = "platform.administer",
    /// Suspend an account, and end that.
    AccountSuspend = "account.suspend",
    /// Replace the key that signs access tokens.
    SigningKeyRotate = "signing_key.rotate",
    /// Replace the root key and re-seal what stands under it.
    RootKeyRotate = "root_key.rotate",
    /// Note in a home that something was shared with its account, or no longer is.
    ShareReceive = "share.receive",
    /// Sweep, expire, repair.
    MaintenanceRun = "maintenance.run",
}

// `Scopes` keeps one bit for each.
const _: () = assert!(Action::ALL.len() <= 128);

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no action.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no action of this name")]
pub struct UnknownAction;

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(name: &str) -> Result<Self, UnknownAction> {
        Action::ALL.iter().copied().find(|action| action.name() == name).ok_or(UnknownAction)
    }
}
