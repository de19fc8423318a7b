// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sessions and devices: listing and ending them.

use clap::{Args, Subcommand};
use protocol::{DeviceId, SessionId};
use serde_json::json;

use super::context::Context;
use super::failure::Failure;
use crate::client::Client;
use crate::output::{Output, harmless, moment, table};

/// Arguments of `sessions`.
#[derive(Args, Debug)]
pub struct SessionsArgs {
    #[command(subcommand)]
    command: Option<SessionsCommand>,
}

#[derive(Subcommand, Debug)]
enum SessionsCommand {
    /// List the live sessions
    List,
    /// End a session
    End {
        /// Its id, as listed
        session: SessionId,
    },
    /// End every session but this
    EndOthers,
}

/// Arguments of `devices`.
#[derive(Args, Debug)]
pub struct DevicesArgs {
    #[command(subcommand)]
    command: Option<DevicesCommand>,
}

#[derive(Subcommand, Debug)]
enum DevicesCommand {
    /// List the devices that signed in
    List,
    /// Sign a device out: all its sessions end, and what it keeps is worthless. This device forgets, too, how far
    /// `put` and `sync` came
    End {
        /// Its id, as listed
        device: DeviceId,
    },
}

pub(super) async fn sessions(context: &mut Context, arguments: SessionsArgs) -> Result<(), Failure> {
    let (client, stored) = context.client()?;
    match arguments.command {
        None | Some(SessionsCommand::List) => list_sessions(context.output, &client).await,
        Some(SessionsCommand::End { session }) => {
            client.end_session(session).await?;
            if session == stored.session {
                context.profile.forget()?;
            }
            context.output.result(&json!({ "ended": [session] }), || format!("Ended {session}."));
            Ok(())
        }
        Some(SessionsCommand::EndOthers) => {
            client.end_other_sessions().await?;
            context.output.result(&json!({ "ended": "others" }), || "Ended every other session.".to_owned());
            Ok(())
        }
    }
}

async fn list_sessions(output: Output, client: &Client) -> Result<(), Failure> {
    let sessions = client.sessions().await?;
    output.result(&sessions, || {
        let mut rows =
            vec![["SESSION", "DEVICE", "PLATFORM", "FROM", "LAST USED", ""].map(str::to_owned).to_vec()];
        for session in &sessions.sessions {
            rows.push(vec![
                session.id.to_string(),
                harmless(&session.device_name),
                harmless(&session.platform),
                harmless(&session.address),
                moment(session.last_used_at),
                if session.current { "this one".to_owned() } else { String::new() },
            ]);
        }
        table(&rows)
    });
    Ok(())
}

pub(super) async fn devices(context: &mut Context, arguments: DevicesArgs) -> Result<(), Failure> {
    let (client, stored) = context.client()?;
    let Some(DevicesCommand::End { device }) = arguments.command else {
        let devices = client.devices().await?;
        context.output.result(&devices, || {
            let mut rows = vec![
                ["DEVICE", "NAME", "PLATFORM", "FROM", "LAST SEEN", "SESSIONS", ""]
                    .map(str::to_owned)
                    .to_vec(),
            ];
            for device in &devices.devices {
                rows.push(vec![
                    device.id.to_string(),
                    harmless(&device.name),
                    harmless(&device.platform),
                    harmless(&device.address),
                    moment(device.last_seen_at),
                    device.sessions.to_string(),
                    if device.id == stored.device {
                        format!("this one; its key is {}", stored.key_kept_in)
                    } else {
                        String::new()
                    },
                ]);
            }
            table(&rows)
        });
        return Ok(());
    };
    client.end_device(device).await?;
    if device == stored.device {
        context.profile.forget_account()?;
    }
    context.output.result(&json!({ "ended": [device] }), || format!("Signed {device} out."));
    Ok(())
}
