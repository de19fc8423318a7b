// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The ids of this room.

store::id! {
    /// An account: one person or service that can sign in.
    AccountId = "acc_";
    /// One login method of an account.
    MethodId = "mth_";
    /// A session, as lists and records name it. It opens nothing: that takes the [`SessionToken`](crate::SessionToken).
    SessionId = "ses_";
    /// A device that an account signed in from.
    DeviceId = "dev_";
}

impl From<AccountId> for keyring::AccountId {
    fn from(id: AccountId) -> Self {
        keyring::AccountId::from_bytes(*id.as_bytes())
    }
}
