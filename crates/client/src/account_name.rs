// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How people name accounts.

use std::fmt;
use std::str::FromStr;

use keyring::AccountNumber;
use protocol::{AccountId, Code};

use crate::client::{Client, RequestError};

/// An account as people name it: by its number or by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountName {
    /// Seven characters, as `bailiwick whoami` shows them.
    Number(AccountNumber),
    /// `acc_…`
    Id(AccountId),
}

/// A text that names no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "that names no account: give its number, seven of the characters 23456789CDFGHJKMNPQRTVWXY, or its id (acc_…), as \
     `bailiwick whoami` shows them"
)]
pub struct NotAnAccount;

impl AccountName {
    /// The account's id; a number is looked up in the server's directory. Who relies on whose account it is, proves it:
    /// [`KnownAccount::look_up`](crate::KnownAccount::look_up).
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn id(self, client: &Client) -> Result<AccountId, RequestError> {
        match self {
            AccountName::Id(id) => Ok(id),
            AccountName::Number(number) => {
                let found = client.account_keys(number.as_str()).await;
                Ok(found.map_err(|error| naming(error, number.as_str()))?.account)
            }
        }
    }

    /// The account's number; of an id it is looked up.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn number(self, client: &Client) -> Result<String, RequestError> {
        match self {
            AccountName::Number(number) => Ok(number.to_string()),
            AccountName::Id(id) => {
                let found = client.account_keys(&id.to_string()).await;
                Ok(found.map_err(|error| naming(error, &id.to_string()))?.account_number)
            }
        }
    }
}

/// The same error; of an account that is not there it says which.
pub(crate) fn naming(error: RequestError, who: &str) -> RequestError {
    match error {
        RequestError::Refused(mut problem) if problem.code == Code::NotFound => {
            problem.detail = Some(format!("there is no account {who}"));
            RequestError::Refused(problem)
        }
        other => other,
    }
}

impl FromStr for AccountName {
    type Err = NotAnAccount;

    fn from_str(text: &str) -> Result<Self, NotAnAccount> {
        let text = text.trim();
        match text.parse::<AccountId>() {
            Ok(id) => Ok(AccountName::Id(id)),
            Err(_) => AccountNumber::parse(text).map(AccountName::Number).map_err(|_| NotAnAccount),
        }
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccountName::Number(number) => number.fmt(f),
            AccountName::Id(id) => id.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_named_by_its_number_or_its_id() {
        let number = AccountName::Number(AccountNumber::parse("7KQ3MXC").unwrap());
        for text in ["7KQ3MXC", "7kq-3mxc", " 7KQ3MXC "] {
            assert_eq!(text.parse(), Ok(number), "{text}");
        }
        let id = AccountId::random();
        assert_eq!(id.to_string().parse(), Ok(AccountName::Id(id)));
        for text in ["", "acc_", "acc_12", "7KQ3MX", "7KQ3MXA", "7KQ3MXCC", "ada@example.org"] {
            assert_eq!(text.parse::<AccountName>(), Err(NotAnAccount), "{text}");
        }
    }
}
