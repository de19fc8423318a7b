// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Making API keys, and listing them.

use std::fmt;
use std::str::FromStr;

use keyring::{ApiKeyAuth, ApiKeyId};
use store::{ReadTx, WriteTx, params};
use uuid::Uuid;

use super::address::{self, MOST_NETWORKS, SeenNetwork};
use super::{home_of, lookup_of};
use crate::MethodId;
use crate::account::ChangeError;
use crate::failure::Failure;
use crate::letter::Letter;
use crate::lookup::ReservedLookup;
use crate::method_change::NewMethod;
use crate::network::Network;
use crate::service::{Identity, in_home};
use crate::session::AuthenticatedSession;

/// An API key that is to be made.
pub struct NewApiKey {
    /// The login method that it is.
    pub method: NewMethod,
    /// The half that authenticates. It is hashed, and seals the key of the owner's address: here and not by the client, so
    /// that nobody makes a key of whose misuse the owner does not hear.
    pub auth: ApiKeyAuth,
    /// What it may be used for.
    pub scopes: Scopes,
    /// From where.
    pub networks: Vec<Network>,
    /// Until when, in milliseconds since the Unix epoch; for ever if there is no such time.
    pub expires_at: Option<i64>,
}

/// What a key may be used for: names of actions with spaces between them. Which names mean something, the room that decides
/// knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes(String);

impl Scopes {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Scopes {
    type Err = ScopesError;

    fn from_str(text: &str) -> Result<Self, ScopesError> {
        let is_name = |c: char| c.is_ascii_lowercase() || matches!(c, '_' | '.');
        let named = text.split(' ').all(|name| !name.is_empty() && name.chars().all(is_name));
        if named && text.len() <= MOST_SCOPES { Ok(Self(text.to_owned())) } else { Err(ScopesError) }
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not a list of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("scopes are names of actions with spaces between them, such as `item.read file.read`")]
pub struct ScopesError;

/// An API key in a list.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// The login method that it is.
    pub method: MethodId,
    /// What it is called where the key itself must not stand.
    pub public_id: ApiKeyId,
    /// Its name, given by its owner.
    pub label: String,
    /// Whether it unlocks.
    pub unlocks: bool,
    /// What it may be used for.
    pub scopes: String,
    /// From where.
    pub networks: Vec<Network>,
    /// Where it was refused.
    pub refused: Vec<SeenNetwork>,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// When it was last used, to the minute.
    pub last_used_at: Option<i64>,
    /// Until when it is good.
    pub expires_at: Option<i64>,
    /// When somebody reported it.
    pub reported_at: Option<i64>,
}

impl Identity {
    /// Makes an API key. In the home. Send the letter after the commit.
    ///
    /// # Errors
    /// As [`add_method`](Self::add_method); [`ChangeError::Field`] names what is not acceptable.
    pub async fn create_api_key(
        &self,
        tx: &mut WriteTx,
        session: &AuthenticatedSession,
        new: &NewApiKey,
    ) -> Result<Letter, ChangeError> {
        in_home(tx, session.home())?;
        if home_of(&new.auth) != session.home() {
            return Err(ChangeError::Field("auth"));
        }
        if new.networks.len() > MOST_NETWORKS {
            return Err(ChangeError::Field("networks"));
        }
        if new.expires_at.is_some_and(|end| end <= tx.now()) {
            return Err(ChangeError::Field("expires_at"));
        }
        let reserved = ReservedLookup::not_in_directory(lookup_of(&new.auth));
        let letter = self.add_method(tx, session, &new.method, &reserved).await?;
        let hash = new.auth.auth_hash();
        let made = tx
            .execute(
                "INSERT INTO api_key (secret_hash, method, public_id, account, scopes, networks, expires_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
                params![
                    &hash,
                    new.method.id.uuid(),
                    ApiKeyId::of_hash(&hash).as_str(),
                    session.account().uuid(),
                    new.scopes.as_str(),
                    &address::write(&new.networks),
                    new.expires_at,
                ],
            )
            .await?;
        if made == 1 { Ok(letter) } else { Err(ChangeError::Taken) }
    }

    /// The API keys of the session's account, the oldest first. In a view of the home.
    ///
    /// # Errors
    /// Only the server's own.
    pub async fn api_keys(
        &self,
        tx: &mut ReadTx,
        session: &AuthenticatedSession,
    ) -> Result<Vec<ApiKey>, Failure> {
        in_home(tx, session.home())?;
        let rows: Vec<Row> = tx
            .query(
                "SELECT api_key.method, api_key.public_id, login_method.label, login_method.public_key,
                        api_key.scopes, api_key.networks, login_method.created_at, login_method.last_used_at,
                        api_key.expires_at, api_key.reported_at
                 FROM api_key JOIN login_method ON login_method.id = api_key.method
                 ORDER BY login_method.created_at, login_method.id",
                params![],
            )
            .await?;
        let mut keys = Vec::with_capacity(rows.len());
        for row in rows {
            let (
                method,
                public_id,
                label,
                public_key,
                scopes,
                networks,
                created_at,
                last_used_at,
                expires_at,
                reported_at,
            ) = row;
            let method = MethodId::from_uuid(method);
            keys.push(ApiKey {
                method,
                public_id: public_id.parse().map_err(|_| Failure::Damaged("API key"))?,
                label,
                unlocks: public_key.is_some(),
                scopes,
                networks: address::read(&networks)?,
                refused: address::seen_networks(tx, method).await?,
                created_at,
                last_used_at,
                expires_at,
                reported_at,
            });
        }
        Ok(keys)
    }
}

type Row =
    (Uuid, String, String, Option<Vec<u8>>, String, String, i64, Option<i64>, Option<i64>, Option<i64>);

/// Bytes.
const MOST_SCOPES: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_names_and_never_everything() {
        assert_eq!("item.read file.read".parse::<Scopes>().unwrap().as_str(), "item.read file.read");
        for text in ["", " ", "*", "item.read ", "item.read  file.read", "item.read\n", "Item.Read"] {
            assert_eq!(text.parse::<Scopes>(), Err(ScopesError), "{text:?}");
        }
        assert!("a".repeat(1_025).parse::<Scopes>().is_err());
    }
}
