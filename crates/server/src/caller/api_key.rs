// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Callers with an API key: a key is looked up with each request, is used from where its owner approved it, and does no more
//! than it says and than keys may.

use access::{Action, Caller, PlatformRoles, Resource, Scopes, SignedIn, Via};
use identity::{AuthenticatedKey, RefusedKey};
use keyring::ApiKeyAuth;
use protocol::{Code, Problem};
use store::Record;

use super::{Visitor, look};
use crate::error::ApiError;
use crate::gateway::Once;
use crate::state::App;
use crate::workers::Used;

/// An account with a live API key, shown from where it may be used.
pub(crate) struct Keyed {
    pub(crate) caller: Caller,
    pub(crate) key: AuthenticatedKey,
    /// When the request is to happen once.
    pub(super) once: Option<Once>,
}

impl Keyed {
    /// Whether the key still lives, for what goes on after its request was let in.
    pub(super) async fn lives(&self, app: &App, tx: &mut store::ReadTx) -> Result<(), ApiError> {
        if app.identity.key_again(tx, &self.key).await?.is_suspended() {
            return Err(ApiError::new(Code::Suspended));
        }
        Ok(())
    }
}

/// A key is looked up each time too: one that was revoked is refused at once.
pub(super) async fn by_key(
    app: &App,
    visitor: Visitor,
    token: &str,
    once: Option<Once>,
) -> Result<Keyed, ApiError> {
    let auth: ApiKeyAuth = token.parse().map_err(|error| match error {
        keyring::api_key::ApiKeyError::Unlocks => Problem::new(Code::UnlockingHalfSent),
        error => Problem::new(Code::TokenMalformed).detail(error),
    })?;
    let mut tx = match look(&app.access, &visitor, identity::home_of(&auth)).await {
        Err(error) if error.code() == Code::SessionEnded => return Err(ApiError::new(Code::ApiKeyUnknown)),
        other => other?,
    };
    let key = match app.identity.authenticate_key(&mut tx, &auth, visitor.address.ip()).await {
        Ok(key) => key,
        Err(identity::ApiKeyError::Address(refused)) => {
            drop(tx);
            return Err(refuse(app, &visitor, &refused).await);
        }
        Err(error) => return Err(error.into()),
    };
    if key.needs_touch(app.now()) {
        app.touches.note(Used::Key(key.clone()));
    }
    // A key holds no role and is never fresh: it works on what is kept, and changes nothing about how one gets in.
    let account = SignedIn {
        account: *key.account().uuid(),
        home: key.home(),
        via: Via::ApiKey(*key.method().uuid()),
        fresh_until: None,
        suspended: key.is_suspended(),
        platform_roles: PlatformRoles::NONE,
    };
    let caller = Caller::account(account, visitor.caller.request()).within(scopes_of(key.scopes()));
    let caller = visitor.known_as(caller);
    Ok(Keyed { caller, key, once })
}

/// Notes that a key was shown from where nobody approved it, tells its owner, and says so.
async fn refuse(app: &App, visitor: &Visitor, refused: &RefusedKey) -> ApiError {
    if refused.needs_note()
        && let Err(error) = note(app, visitor, refused).await
    {
        return error;
    }
    let detail = format!(
        "this API key is not approved for {}: its owner can let it in with `bailiwick api-keys approve {} {}`",
        refused.network(),
        refused.method(),
        refused.network(),
    );
    Problem::new(Code::AddressNotApproved).detail(detail).into()
}

async fn note(app: &App, visitor: &Visitor, refused: &RefusedKey) -> Result<(), ApiError> {
    let worker = Caller::system("api-keys", visitor.caller.request());
    let mut tx = app.access.enter(&worker, refused.home(), Action::ApiKeyRefuse, Resource::Home).await?;
    let letter = app.identity.note_refused_key(&mut tx, refused).await?;
    tx.commit(Record::about(refused.method())).await?;
    app.post.send(letter);
    Ok(())
}

/// What an API key may be used for at the most: in the home, what is kept there; in a customer's tenant, what its account may
/// there, but for what needs a fresh proof.
pub(crate) const FOR_API_KEYS: [Action; 30] = [
    Action::CollectionCreate,
    Action::CollectionList,
    Action::CollectionRead,
    Action::CollectionWrite,
    Action::CollectionDelete,
    Action::ItemRead,
    Action::ItemWrite,
    Action::ItemDelete,
    Action::FileRead,
    Action::FileWrite,
    Action::FileDelete,
    Action::ChangesFollow,
    Action::UsageRead,
    Action::LogRead,
    Action::ApiKeyRead,
    Action::TenantList,
    Action::TenantRead,
    Action::TenantUpdate,
    Action::OrganisationRead,
    Action::OrganisationWrite,
    Action::MemberRead,
    Action::TeamRead,
    Action::TeamWrite,
    Action::RoleRead,
    Action::DeviceRead,
    Action::DeviceWrite,
    Action::DeviceDelete,
    Action::PolicyRead,
    Action::ServiceAccountRead,
    Action::DecisionExplain,
];

/// What a key says, and never more than keys may; and whatever it says, what it is itself.
fn scopes_of(said: &str) -> Scopes {
    let said: Vec<Action> = said.split_ascii_whitespace().filter_map(|name| name.parse().ok()).collect();
    let may = |action: &Action| *action == Action::ApiKeyRead || said.contains(action);
    FOR_API_KEYS.into_iter().filter(may).collect()
}

impl From<identity::ApiKeyError> for ApiError {
    fn from(error: identity::ApiKeyError) -> Self {
        use identity::ApiKeyError as E;
        match error {
            E::Unknown => ApiError::new(Code::ApiKeyUnknown),
            E::Expired => ApiError::new(Code::ApiKeyExpired),
            E::Address(_) => ApiError::new(Code::AddressNotApproved),
            E::Failed(failure) => failure.into(),
            other => ApiError::internal(other),
        }
    }
}

/// How API keys begin.
pub(super) const PREFIX: &str = "bwk_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_key_never_does_more_than_keys_may() {
        let everything: Vec<_> = Action::ALL.iter().map(|action| action.name()).collect();
        let all = scopes_of(&everything.join(" "));
        for action in Action::ALL {
            assert_eq!(all.contains(*action), FOR_API_KEYS.contains(action), "{action}");
            // What a stolen key could make itself at home with.
            let name = action.name();
            let is_about_access =
                ["session.", "account.", "password.", "token.", "platform.", "master_key.", "totp."]
                    .iter()
                    .any(|room| name.starts_with(room));
            assert!(!(is_about_access && all.contains(*action)), "{action}");
        }
        assert_eq!(
            scopes_of("item.read item.later *"),
            [Action::ItemRead, Action::ApiKeyRead].into_iter().collect()
        );
        assert_eq!(scopes_of(""), [Action::ApiKeyRead].into_iter().collect());
    }
}
