// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who acts here: this device's account, or an API key.

use serde_json::json;

use super::context::Context;
use super::failure::Failure;
use crate::output::{harmless, moment, size, table};

pub(super) async fn who_am_i(context: &mut Context) -> Result<(), Failure> {
    if let Some(key) = context.api_key()? {
        return which_key_am_i(context, &key).await;
    }
    let (client, stored) = context.client()?;
    let account = client.account().await?;
    if stored.is_locked {
        let document = json!({
            "account_id": account.number,
            "account": account.id,
            "home": account.home,
            "session": account.session,
            "device": stored.device,
            "server": stored.server,
            "locked": true,
        });
        context.output.result(&document, || {
            table(&[
                vec!["Account".to_owned(), account.number.clone()],
                vec!["Id".to_owned(), account.id.to_string()],
                vec!["Server".to_owned(), stored.server.clone()],
                vec!["Your data".to_owned(), "closed: another provider signed you in".to_owned()],
            ])
        });
        return Ok(());
    }
    let unlocked = context.profile.unlock(&client).await?;
    let is_own_identity = account.master_key_version == unlocked.master_key_version
        && account.identity.as_slice() == unlocked.identity().to_bytes();
    if !is_own_identity {
        context.output.warn(
            "the server shows other identity keys than this account's. If the master key was rotated on another device, \
             sign in again; otherwise do not go on, and tell the operator",
        );
    }
    let fingerprint = unlocked.identity().fingerprint(&crate::place::account(stored.account)).to_string();
    let document = json!({
        "account_id": account.number,
        "account": account.id,
        "home": account.home,
        "session": account.session,
        "device": stored.device,
        "server": stored.server,
        "created_at": account.created_at,
        "fresh_until": account.fresh_until,
        "master_key_version": account.master_key_version,
        "fingerprint": fingerprint,
        "identity_verified": is_own_identity,
        "key_kept_in": stored.key_kept_in,
        "backup_codes_left": account.backup_codes_left,
        "platform_roles": account.platform_roles,
        "usage": account.usage,
    });
    context.output.result(&document, || {
        let usage = &account.usage;
        let mut rows = vec![
            vec!["Account".to_owned(), account.number.clone()],
            vec!["Id".to_owned(), account.id.to_string()],
            vec!["Server".to_owned(), stored.server.clone()],
            vec!["Since".to_owned(), moment(account.created_at)],
            vec!["Fingerprint".to_owned(), fingerprint.clone()],
            vec!["Backup codes left".to_owned(), account.backup_codes_left.to_string()],
            vec!["Device key".to_owned(), stored.key_kept_in.to_string()],
            vec![
                "Stored".to_owned(),
                format!(
                    "{} of {}, {} of {} items",
                    size(usage.bytes),
                    size(usage.bytes_limit),
                    usage.items,
                    usage.items_limit
                ),
            ],
        ];
        if !account.platform_roles.is_empty() {
            rows.push(vec!["Roles".to_owned(), account.platform_roles.join(", ")]);
        }
        table(&rows)
    });
    Ok(())
}

/// Whom an API key acts for.
async fn which_key_am_i(context: &Context, key: &keyring::ApiKey) -> Result<(), Failure> {
    let client = context.key_client(key)?;
    let own = client.own_api_key().await?;
    let document = json!({
        "account_id": own.number,
        "account": own.account,
        "home": own.home,
        "api_key": own.id,
        "label": own.label,
        "server": client.server(),
        "scopes": own.scopes,
        "expires_at": own.expires_at,
        "unlocks": key.unlock().is_some() && own.unlocking.is_some(),
    });
    context.output.result(&document, || {
        table(&[
            vec!["Account".to_owned(), harmless(&own.number)],
            vec!["API key".to_owned(), format!("{} {}", own.id, harmless(&own.label))],
            vec!["Server".to_owned(), client.server().to_owned()],
            vec!["Scopes".to_owned(), harmless(&own.scopes.join(" "))],
            vec!["Expires".to_owned(), own.expires_at.map_or_else(|| "never".to_owned(), moment)],
        ])
    });
    Ok(())
}
