// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The account, and what changes it. Every change asks for a fresh proof and is told by mail.

use access::{Action, Resource};
use axum::extract::State;
use axum::http::StatusCode;
use identity::ChangeError;
use objects::Resealed;
use protocol::account::{
    Account, BackupCodes, FormerAccountKey, FormerAccountKeys, MasterKeyRotation, PasswordChangeFinish,
    PasswordChangeStart, PasswordChangeStarted, TotpFinish, TotpStarted,
};
use protocol::{AccountId, Code, MethodId, Problem, SessionId, TenantId};
use store::{Record, TenantId as Tenant, WriteTx};

use crate::caller::Signed;
use crate::error::ApiError;
use crate::gateway::Json;
use crate::key_directory;
use crate::routes::collections;
use crate::routes::signin::{self, array, key, parsed};
use crate::routes::tenants;
use crate::state::App;

/// Says who is signed in.
#[utoipa::path(get, path = "/api/v1/account", tag = "account", operation_id = "read_account", security(("session" = [])), responses((status = 200, body = Account)))]
pub(crate) async fn read(State(app): State<App>, signed: Signed) -> Result<Json<Account>, ApiError> {
    let mut tx = app.access.view(&signed.caller, signed.home(), Action::AccountRead, Resource::Home).await?;
    let account = app.identity.account(&mut tx, &signed.session).await?;
    let usage = app.objects.usage(&mut tx).await?;
    Ok(Json(Account {
        id: AccountId::from_uuid(*account.id.uuid()),
        number: account.number.to_string(),
        home: TenantId::from_uuid(*signed.home().uuid()),
        created_at: account.created_at,
        session: SessionId::from_uuid(*signed.session.id().uuid()),
        fresh_until: signed.session.is_fresh(app.now()).then(|| signed.session.fresh_until()),
        master_key_version: account.master_key_version,
        identity: account.identity_public.to_bytes().into(),
        backup_codes_left: account.backup_codes_left,
        platform_roles: signed.roles.iter().map(|role| role.name().to_owned()).collect(),
        usage: collections::to_usage(&app, usage),
    }))
}

/// Begins a change of password.
#[utoipa::path(post, path = "/api/v1/account/password/start", tag = "account", operation_id = "change_password_start", request_body = PasswordChangeStart, security(("session" = [])),
    responses((status = 200, body = PasswordChangeStarted), (status = 403, body = Problem)))]
pub(crate) async fn password_start(
    State(app): State<App>,
    signed: Signed,
    Json(body): Json<PasswordChangeStart>,
) -> Result<Json<PasswordChangeStarted>, ApiError> {
    let entry = Resource::DirectoryEntry { account: *signed.session.account().uuid() };
    let mut tx = app.access.view(&signed.caller, Tenant::PLATFORM, Action::AccountRead, entry).await?;
    let old = app.identity.password_named(&mut tx, &signed.session).await?;
    drop(tx);
    let mut tx = enter(&app, &signed, Action::PasswordChange).await?;
    let started =
        app.identity.password_start(&mut tx, &signed.session, old, body.opaque_request.as_slice()).await?;
    Ok(Json(PasswordChangeStarted {
        state: started.state,
        method: MethodId::from_uuid(*started.method.uuid()),
        opaque_response: started.opaque_response.into(),
        kdf: signin::kdf(started.kdf),
    }))
}

/// Finishes a change of password: the old one is dead, every other session ends.
#[utoipa::path(post, path = "/api/v1/account/password/finish", tag = "account", operation_id = "change_password_finish", request_body = PasswordChangeFinish, security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn password_finish(
    State(app): State<App>,
    signed: Signed,
    Json(body): Json<PasswordChangeFinish>,
) -> Result<StatusCode, ApiError> {
    let finish = identity::PasswordFinish {
        opaque_record: body.opaque_upload.into_vec(),
        public_key: parsed("public_key", keyring::MethodPublicKey::from_bytes(body.public_key.as_slice()))?,
        sealed_master_key: parsed(
            "sealed_master_key",
            keyring::SealedMasterKey::parse(body.sealed_master_key.into_vec()),
        )?,
        tag: keyring::MethodTag::from_bytes(array("method_tag", &body.method_tag)?),
        master_key_version: body.master_key_version,
    };
    let account = signed.session.account();
    let mut tx = enter(&app, &signed, Action::PasswordChange).await?;
    let prepared = app.identity.password_prepare(&mut tx, &signed.session, &body.state, &finish).await?;
    tx.commit(Record::about(account)).await?;

    let entry = Resource::DirectoryEntry { account: *account.uuid() };
    let mut tx = app.access.enter(&signed.caller, Tenant::PLATFORM, Action::PasswordChange, entry).await?;
    app.identity.password_switch(&mut tx, &prepared).await?;
    tx.commit(Record::about(account)).await?;

    let mut tx = enter(&app, &signed, Action::PasswordChange).await?;
    let letter = app.identity.password_settle(&mut tx, &signed.session, prepared).await?;
    tx.commit(Record::about(account)).await?;
    app.post.send(Some(letter));
    Ok(StatusCode::NO_CONTENT)
}

/// Replaces the backup codes; the old ones end.
#[utoipa::path(put, path = "/api/v1/account/backup-codes", tag = "account", operation_id = "replace_backup_codes", request_body = BackupCodes, security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn backup_codes(
    State(app): State<App>,
    signed: Signed,
    Json(body): Json<BackupCodes>,
) -> Result<StatusCode, ApiError> {
    let codes = body
        .backup_codes
        .iter()
        .map(|code| key("backup_codes", code, keyring::Lookup::from_bytes))
        .collect::<Result<Vec<_>, _>>()?;
    let mut tx = enter(&app, &signed, Action::BackupCodesReplace).await?;
    let letter = app.identity.replace_backup_codes(&mut tx, &signed.session, &codes).await?;
    tx.commit(Record::about(signed.session.account())).await?;
    app.post.send(Some(letter));
    Ok(StatusCode::NO_CONTENT)
}

/// Begins the replacement of the authenticator app's secret.
#[utoipa::path(post, path = "/api/v1/account/totp/start", tag = "account", operation_id = "replace_totp_start", security(("session" = [])),
    responses((status = 200, body = TotpStarted), (status = 403, body = Problem)))]
pub(crate) async fn totp_start(
    State(app): State<App>,
    signed: Signed,
) -> Result<Json<TotpStarted>, ApiError> {
    let mut tx = enter(&app, &signed, Action::TotpReplace).await?;
    let started = app.identity.totp_start(&mut tx, &signed.session).await?;
    Ok(Json(TotpStarted {
        state: started.state,
        totp_secret: started.secret.base32().to_string().into(),
        totp_uri: started.uri.to_string().into(),
    }))
}

/// Finishes it: the new secret takes over once a code of it is right.
#[utoipa::path(post, path = "/api/v1/account/totp/finish", tag = "account", operation_id = "replace_totp_finish", request_body = TotpFinish, security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn totp_finish(
    State(app): State<App>,
    signed: Signed,
    Json(body): Json<TotpFinish>,
) -> Result<StatusCode, ApiError> {
    let mut tx = enter(&app, &signed, Action::TotpReplace).await?;
    let letter = app.identity.totp_confirm(&mut tx, &signed.session, &body.state, body.code.expose()).await?;
    tx.commit(Record::about(signed.session.account())).await?;
    app.post.send(Some(letter));
    Ok(StatusCode::NO_CONTENT)
}

/// Replaces the master key: every method, every collection key and the identity keys in one transaction.
#[utoipa::path(post, path = "/api/v1/account/master-key", tag = "account", operation_id = "rotate_master_key", request_body = MasterKeyRotation, security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn rotate_master_key(
    State(app): State<App>,
    signed: Signed,
    Json(body): Json<MasterKeyRotation>,
) -> Result<StatusCode, ApiError> {
    let methods = body.methods.into_iter().map(|method| {
        Ok(identity::ResealedMethod {
            id: identity::MethodId::from_uuid(method.id.uuid()),
            sealed_master_key: parsed(
                "methods.sealed_master_key",
                keyring::SealedMasterKey::parse(method.sealed_master_key.into_vec()),
            )?,
            tag: keyring::MethodTag::from_bytes(array("methods.tag", &method.tag)?),
        })
    });
    let identity_rotation = keyring::IdentityRotation::from_bytes(body.identity_rotation.as_slice());
    let rotation = identity::MasterKeyRotation {
        from_version: body.from_version,
        methods: methods.collect::<Result<_, ApiError>>()?,
        identity: parsed("identity_rotation", identity_rotation)?,
        former_account_key: parsed(
            "former_account_key",
            keyring::Sealed::parse(body.former_account_key.into_vec()),
        )?,
    };
    let keys: Vec<_> = body
        .collections
        .iter()
        .map(|collection| Resealed {
            collection: collections::id(collection.id),
            expected_key_version: collection.from_key_version,
            sealed_key: collection.sealed_key.as_slice(),
        })
        .collect();
    // Whoever may not do this at all announces nothing.
    drop(enter(&app, &signed, Action::MasterKeyRotate).await?);
    let due = key_directory::Due::of(&signed, body.from_version.saturating_add(1));
    due.announce(&app).await?;
    let mut tx = enter(&app, &signed, Action::MasterKeyRotate).await?;
    let letter = app.identity.rotate_master_key(&mut tx, &signed.session, &rotation).await?;
    app.objects.replace_sealed_keys(&mut tx, &keys).await?;
    tx.commit(Record::about(signed.session.account())).await?;
    app.post.send(Some(letter));
    // From here on the rotation is done. Should this fail, upkeep goes on from here.
    if let Err(error) = due.publish(&app).await {
        tracing::error!(error = error.internal_message(), "new keys are not published yet");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the account keys that were replaced, each sealed under the one after it: what was sealed for them by others still opens.
#[utoipa::path(get, path = "/api/v1/account/former-keys", tag = "account", operation_id = "read_former_keys", security(("session" = [])),
    responses((status = 200, body = FormerAccountKeys)))]
pub(crate) async fn former_keys(
    State(app): State<App>,
    signed: Signed,
) -> Result<Json<FormerAccountKeys>, ApiError> {
    let mut tx = app.access.view(&signed.caller, signed.home(), Action::AccountRead, Resource::Home).await?;
    let keys = app.identity.former_account_keys(&mut tx).await?;
    let keys = keys
        .into_iter()
        .map(|key| FormerAccountKey { key_version: key.key_version, sealed_key: key.sealed_key.into() });
    Ok(Json(FormerAccountKeys { keys: keys.collect() }))
}

/// Deletes the account: its keys are destroyed, its sessions end, its records stay.
#[utoipa::path(delete, path = "/api/v1/account", tag = "account", operation_id = "delete_account", security(("session" = [])),
    responses((status = 204), (status = 403, body = Problem)))]
pub(crate) async fn delete(State(app): State<App>, signed: Signed) -> Result<StatusCode, ApiError> {
    let (caller, account) = (&signed.caller, signed.session.account());
    let mut tx = enter(&app, &signed, Action::AccountDelete).await?;
    let deletion = app.identity.delete_start(&mut tx, &signed.session).await?;
    drop(tx);
    tenants::members::leave_all(&app, &signed).await?;
    let entry = Resource::DirectoryEntry { account: *account.uuid() };
    let mut tx = app.access.enter(caller, Tenant::PLATFORM, Action::AccountDelete, entry).await?;
    app.identity.delete_begin(&mut tx, &deletion).await?;
    app.objects.forget_shares(&mut tx, *account.uuid(), signed.home()).await?;
    tx.commit(Record::about(account)).await?;

    let mut tx = enter(&app, &signed, Action::AccountDelete).await?;
    app.identity.delete_home(&mut tx, account).await?;
    app.objects.erase(&mut tx).await?;
    tx.commit(Record::about(account)).await?;
    // From here on the account is gone for its owner. Should anything below fail, upkeep goes on from here.
    app.blobs.remove_tenant(signed.home()).await.map_err(ApiError::internal)?;

    let mut tx = app.access.enter(caller, Tenant::PLATFORM, Action::AccountDelete, entry).await?;
    app.identity.delete_finish(&mut tx, account).await?;
    tx.commit(Record::about(account)).await?;
    app.post.send(Some(deletion.letter));
    Ok(StatusCode::NO_CONTENT)
}

async fn enter(app: &App, signed: &Signed, action: Action) -> Result<WriteTx, ApiError> {
    Ok(app.access.enter(&signed.caller, signed.home(), action, Resource::Home).await?)
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::StepUpRequired => ApiError::new(Code::StepUpRequired),
            ChangeError::Field(field) => ApiError::field(field, "not valid"),
            ChangeError::Restart => ApiError::field("state", error),
            ChangeError::WrongCode => Problem::new(Code::InvalidCode).field("code").into(),
            ChangeError::Conflict { .. } => Problem::new(Code::Conflict).detail(error).into(),
            ChangeError::Taken => Problem::new(Code::Conflict).detail(error).field("id").into(),
            ChangeError::TooManyMethods => Problem::new(Code::Conflict).detail(error).into(),
            ChangeError::NoSecondFactor => ApiError::new(Code::NoSecondFactor),
            ChangeError::LastMethod => ApiError::new(Code::LastMethod),
            ChangeError::Gone | ChangeError::NoSuchMethod => ApiError::new(Code::NotFound),
            ChangeError::Failed(failure) => failure.into(),
            other => ApiError::internal(other),
        }
    }
}
