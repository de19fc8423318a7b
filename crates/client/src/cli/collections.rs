// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Collections of files: which one a command works on, and making, naming and removing them.

use std::sync::Arc;

use clap::{Args, Subcommand};
use protocol::CollectionId;
use serde_json::{Value, json};

use super::context::Context;
use super::failure::Failure;
use super::{prompt, sharing};
use crate::client::opened::Opened;
use crate::files::{
    self, CollectionName, DEFAULT_NAME, Drive, NamedCollection, create_collection, rename_collection,
};
use crate::output::{harmless, moment, table};
use crate::trust::Trust;

/// Which files a command works on: the account's own when nothing is said.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct WhereArgs {
    /// Work on this collection instead of the account's own files: `bailiwick collections` lists them
    #[arg(long, value_name = "NAME")]
    pub(super) collection: Option<String>,

    /// Work on what this account shares with you; by its number or its id (acc_…)
    #[arg(long, value_name = "ACCOUNT")]
    pub(super) shared: Option<String>,
}

/// Arguments of `collections`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  bailiwick collections add Holidays
  bailiwick put ./photos / --collection Holidays
  bailiwick share --with 7KQ3MXC --collection Holidays --write

Each collection has keys of its own: what is shared is that collection and nothing beside it.")]
pub struct CollectionsArgs {
    #[command(subcommand)]
    command: Option<CollectionsCommand>,
}

#[derive(Subcommand, Debug)]
enum CollectionsCommand {
    /// List the collections
    List,
    /// Make a collection
    Add {
        /// What to call it
        name: CollectionName,
    },
    /// Call a collection something else
    Rename {
        /// What it is called, or its id
        name: String,
        /// What to call it
        new: CollectionName,
    },
    /// Say how many versions of each file are kept beside the current one
    Keep {
        /// What the collection is called, or its id
        name: String,
        /// How many, 0 to 100; with 0 those that there are go at once
        #[arg(value_parser = clap::value_parser!(u32).range(..=100))]
        versions: u32,
        /// Do not ask once more
        #[arg(long)]
        yes: bool,
    },
    /// Remove a collection with all that is in it
    Rm {
        /// What it is called, or its id
        name: String,
        /// Do not ask once more
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn collections(context: &mut Context, arguments: CollectionsArgs) -> Result<(), Failure> {
    let opened = context.opened().await?;
    match arguments.command.unwrap_or(CollectionsCommand::List) {
        CollectionsCommand::List => list(context, &opened).await,
        CollectionsCommand::Add { name } => {
            check_free(&opened, &name).await?;
            let id = create_collection(&opened, &name).await?;
            context.remember_change(&opened.client)?;
            context.output.result(&json!({ "added": id, "name": name.as_str() }), || {
                format!("The collection {name} is there: put files into it with --collection.")
            });
            Ok(())
        }
        CollectionsCommand::Rename { name, new } => {
            let found = find(&opened, &name).await?;
            if found.is_default {
                let text = format!("the account's own files are always called {DEFAULT_NAME}");
                return Err(Failure::usage(text));
            }
            check_free(&opened, &new).await?;
            rename_collection(&opened, found.id, &new).await?;
            context.remember_change(&opened.client)?;
            let document = json!({ "renamed": found.id, "name": new.as_str() });
            context.output.result(&document, || format!("It is called {new} now."));
            Ok(())
        }
        CollectionsCommand::Keep { name, versions, yes } => {
            let found = find(&opened, &name).await?;
            let called = harmless(&found.name);
            if versions == 0 && found.kept_versions > 0 && !yes {
                let question = format!("All earlier versions of the files in {called} will be gone. Go on?");
                if !prompt::confirm(context.output, &question, "--yes to remove them")? {
                    return Err(Failure::failed("not_confirmed", "nothing was changed"));
                }
            }
            opened.client.keep_versions(found.id, versions).await?;
            context.remember_change(&opened.client)?;
            let document = json!({ "collection": found.id, "kept_versions": versions });
            context.output.result(&document, || match versions {
                0 => format!("{called} keeps no earlier versions."),
                _ => format!("{called} keeps {versions} earlier versions of each file."),
            });
            Ok(())
        }
        CollectionsCommand::Rm { name, yes } => {
            let found = find(&opened, &name).await?;
            let called = harmless(&found.name);
            let question = format!("All files of the collection {called} will be gone. Go on?");
            if !yes && !prompt::confirm(context.output, &question, "--yes to remove the collection")? {
                return Err(Failure::failed("not_confirmed", "nothing was removed"));
            }
            opened.client.delete_collection(found.id).await?;
            context.remember_change(&opened.client)?;
            let _ = std::fs::remove_file(context.profile.names_of(found.id));
            context.output.result(&json!({ "removed": found.id }), || format!("Removed {called}."));
            Ok(())
        }
    }
}

async fn list(context: &Context, opened: &Opened) -> Result<(), Failure> {
    let all = files::collections(opened).await?;
    let documents: Vec<Value> = all
        .iter()
        .map(|one| {
            json!({
                "id": one.id, "name": one.name, "default": one.is_default, "created_at": one.created_at,
                "generation": one.generation, "kept_versions": one.kept_versions,
            })
        })
        .collect();
    context.output.result(&json!({ "collections": documents }), || {
        let mut rows = vec![["NAME", "SINCE", "ID"].map(str::to_owned).to_vec()];
        rows.extend(all.iter().map(|one| {
            let own = if one.is_default { " (your own files)" } else { "" };
            vec![harmless(&one.name) + own, moment(one.created_at), one.id.to_string()]
        }));
        if all.is_empty() { "There are no collections.".to_owned() } else { table(&rows) }
    });
    Ok(())
}

async fn check_free(opened: &Opened, name: &CollectionName) -> Result<(), Failure> {
    let is_taken = name.as_str() == DEFAULT_NAME
        || files::collections(opened).await?.iter().any(|one| one.name == name.as_str());
    if is_taken {
        return Err(Failure::failed("name_taken", format!("there is a collection {name} already")));
    }
    Ok(())
}

/// A collection of the account's by its name or its id.
pub(super) async fn find(opened: &Opened, name: &str) -> Result<NamedCollection, Failure> {
    let all = files::collections(opened).await?;
    let id = name.parse::<CollectionId>().ok();
    let mut found = all.into_iter().filter(|one| Some(one.id) == id || one.name == name);
    let first = found
        .next()
        .ok_or_else(|| Failure::failed("not_found", format!("there is no collection {}", harmless(name))))?;
    if found.next().is_some() {
        let text = format!("several collections are called {}: give the id", harmless(name));
        return Err(Failure::failed("ambiguous", text));
    }
    Ok(first)
}

impl Context {
    /// The files that a command works on. When the list of them is older than this device saw it before, that is said.
    pub(super) async fn drive_at(&self, at: &WhereArgs) -> Result<Drive, Failure> {
        let drive = self.named_drive(at).await?;
        self.hold_against_seen(&drive)?;
        Ok(drive)
    }

    async fn named_drive(&self, at: &WhereArgs) -> Result<Drive, Failure> {
        if let Some(owner) = &at.shared {
            return sharing::drive(self, owner, at.collection.as_deref()).await;
        }
        let Some(name) = &at.collection else { return self.drive().await };
        let opened = self.opened().await?;
        let trust = self.trust(&opened.client);
        // Its own files are made when they are first needed.
        if name == DEFAULT_NAME {
            return Ok(Drive::open_files(opened, trust).await?);
        }
        let found = find(&opened, name).await?;
        Ok(Drive::open_named(opened, trust, found.id).await?)
    }

    /// What this device believes of other accounts and of collections.
    pub(super) fn trust(&self, client: &crate::Client) -> Arc<Trust> {
        // A public computer keeps nothing.
        Arc::new(match self.is_public() {
            true => Trust::at_first_sight(client),
            false => Trust::kept_in(&self.profile, client),
        })
    }

    /// Where the names of a drive's files are remembered.
    pub(super) fn names_of(&self, drive: &Drive) -> std::path::PathBuf {
        match drive.collection().filter(|_| !drive.is_default()) {
            Some(collection) => self.profile.names_of(collection),
            None => self.profile.names(),
        }
    }

    /// Where uploads to a drive's server are remembered that broke off.
    pub(super) fn uploads_of(&self, drive: &Drive) -> std::path::PathBuf {
        let account = drive.account();
        self.profile.uploads(account.client.server(), account.account)
    }

    /// Where the state of folders is that are synchronised with a drive.
    pub(super) fn sync_of(&self, drive: &Drive) -> std::path::PathBuf {
        let account = drive.account();
        self.profile.sync(account.client.server(), account.account)
    }
}
