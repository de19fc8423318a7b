// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Passkeys, as far as a program without an authenticator goes: which there are.

use keyring::MethodKind;
use protocol::methods::{Method, Methods};

use super::context::Context;
use super::failure::Failure;
use crate::output::{harmless, moment, table};

pub(super) async fn list(context: &mut Context) -> Result<(), Failure> {
    let (client, _) = context.client()?;
    let methods = client.methods().await?.methods;
    let is_passkey = |method: &Method| method.kind == MethodKind::Passkey.as_str();
    let passkeys = Methods { methods: methods.into_iter().filter(is_passkey).collect() };
    context.output.result(&passkeys, || {
        if passkeys.methods.is_empty() {
            return "No passkeys. They are added where there is an authenticator: in a browser.".to_owned();
        }
        let mut rows = vec![["PASSKEY", "NAME", "ADDED", "LAST USED", "OPENS"].map(str::to_owned).to_vec()];
        for passkey in &passkeys.methods {
            rows.push(vec![
                passkey.id.to_string(),
                harmless(&passkey.label),
                moment(passkey.created_at),
                passkey.last_used_at.map(moment).unwrap_or_default(),
                opens(passkey).to_owned(),
            ]);
        }
        table(&rows)
    });
    Ok(())
}

/// What a passkey does for its owner.
fn opens(passkey: &Method) -> &'static str {
    if passkey.unlocking.is_some() { "the account and its data" } else { "the account; its data stay locked" }
}
