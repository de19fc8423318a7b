// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The end that every sign-in and every step-up comes to, by whatever method: the home is entered, the proof is committed, its
//! try is forgiven, and the answer is made.

use access::{Action, Resource};
use identity::Charge;
use protocol::signin::{Session, SignedIn, SlowHash, SteppedUp, Unlocking};
use protocol::{AccountId, Code, DeviceId, MethodId, SessionId, TenantId};
use store::{Record, TenantId as Tenant, WriteTx};

use crate::caller::{Signed, Visitor};
use crate::error::ApiError;
use crate::gateway::Json;
use crate::routes::signin::kdf;
use crate::state::App;

/// Enters the home of whoever proves to be its owner.
pub(crate) async fn enter(app: &App, visitor: &Visitor, home: Tenant) -> Result<WriteTx, ApiError> {
    Ok(app.access.enter(&visitor.caller, home, Action::SessionCreate, Resource::Home).await?)
}

/// Commits a sign-in and sends its letter.
pub(crate) async fn signed_in(
    app: &App,
    tx: WriteTx,
    charge: Charge,
    signed_in: identity::SignedIn,
) -> Result<SignedIn, ApiError> {
    tx.commit(Record::about(signed_in.session.id)).await?;
    app.attempts.succeeded(app.now(), charge);
    app.post.send(signed_in.letter);
    let method = signed_in.method;
    Ok(SignedIn {
        account_number: signed_in.number.to_string(),
        method: MethodId::from_uuid(*method.id.uuid()),
        method_kind: method.kind.as_str().to_owned(),
        unlocking: method.unlocking.map(unlocking),
        identity: signed_in.identity_public.into(),
        new_device: signed_in.is_new_device,
        backup_codes_left: signed_in.backup_codes_left,
        address: signed_in.address.map(address),
        session: session(signed_in.account, signed_in.home, signed_in.session),
    })
}

fn address((email, salt): (keyring::Email, keyring::EmailSalt)) -> protocol::signin::Address {
    protocol::signin::Address {
        email: email.as_str().to_owned().into(),
        email_salt: (*salt.as_bytes()).into(),
    }
}

/// Counts how a sign-in went, and answers.
pub(crate) fn counted(app: &App, answer: Result<SignedIn, ApiError>) -> Result<Json<SignedIn>, ApiError> {
    app.metrics.signin(match &answer {
        Ok(_) => "signed_in",
        Err(error) if error.code() == Code::TooManyRequests => "limited",
        Err(_) => "refused",
    });
    answer.map(Json)
}

/// Enters the home of a session that proves itself again.
pub(crate) async fn enter_again(app: &App, signed: &Signed) -> Result<WriteTx, ApiError> {
    let resource = Resource::Session(*signed.session.id().uuid());
    Ok(app.access.enter(&signed.caller, signed.home(), Action::SessionStepUp, resource).await?)
}

/// Commits a step-up.
pub(crate) async fn stepped_up(
    app: &App,
    signed: &Signed,
    tx: WriteTx,
    charge: Charge,
    stepped_up: identity::SteppedUp,
) -> Result<Json<SteppedUp>, ApiError> {
    tx.commit(Record::about(signed.session.id())).await?;
    app.attempts.succeeded(app.now(), charge);
    let identity::SteppedUp { token, fresh_until, method, address: found } = stepped_up;
    Ok(Json(SteppedUp {
        token: token.expose().to_string().into(),
        fresh_until,
        address: found.map(address),
        method: MethodId::from_uuid(*method.id.uuid()),
        unlocking: method.unlocking.map(unlocking),
    }))
}

pub(crate) fn session(account: identity::AccountId, home: Tenant, session: identity::NewSession) -> Session {
    Session {
        token: session.token.expose().to_string().into(),
        id: SessionId::from_uuid(*session.id.uuid()),
        account: AccountId::from_uuid(*account.uuid()),
        home: TenantId::from_uuid(*home.uuid()),
        device: DeviceId::from_uuid(*session.device.uuid()),
        device_token: session.device_token.map(|token| token.expose().to_string().into()),
        expires_at: session.expires_at,
        fresh_until: session.fresh_until,
        server_half: (*session.server_half.expose()).into(),
    }
}

pub(crate) fn unlocking(unlocking: identity::Unlocking<Vec<u8>>) -> Unlocking {
    Unlocking {
        master_key_version: unlocking.master_key_version,
        sealed_master_key: unlocking.sealed_master_key.as_bytes().into(),
        public_key: unlocking.public_key.into(),
        method_tag: (*unlocking.tag.as_bytes()).into(),
        slow_hash: unlocking
            .slow_hash
            .map(|hash| SlowHash { salt: (*hash.salt.as_bytes()).into(), kdf: kdf(hash.kdf) }),
    }
}
