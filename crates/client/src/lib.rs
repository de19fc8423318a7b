// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The Rust SDK and the command line.
//!
//! Everything that a person or a program does with Bailiwick from their own machine: sign up and in, keep files that
//! only they can read, and check that nobody rewrote the history. All cryptography is [`keyring`]'s and [`ledger`]'s;
//! what goes over the wire is [`protocol`]'s.
//!
//! # The words
//!
//! - A [`Client`] talks to one server; with a session's token it acts for an account.
//! - An [`Unlocked`] account is a session together with the master key: what signing up and signing in give.
//! - An [`Opened`] account is the key that its content stands on, with whatever is shown to the server: a session, an API key
//!   that unlocks ([`open_by_api_key`]), or the short session of a public computer ([`PublicAccount`]).
//! - A [`Drive`] is a collection of files: the account's own, another that it named, or one that somebody shares. A
//!   [`RemotePath`] names one of its files.
//! - [`Trust`] is what a device believes of other accounts and of collections: what it proved, and what it saw before.
//! - A [`Profile`] is the folder in which a device keeps its session, and the master key under a key of which it holds
//!   only half. [`Pins`] are what it knows of a server from before.
//! - A [`Verification`](verify::Verified) holds a log against its signed checkpoint; an [export](export) carries all of
//!   that along, so that it works with no server.
//!
//! # What is guaranteed
//!
//! - Passwords, master keys and contents never leave the process unsealed. A server that asks for a weaker
//!   password hash than the floor, shows a login method that the account did not vouch for, or another log key than
//!   before, is refused.
//! - What was stored for another place, owner or version does not open; neither does a file of which a byte is missing.
//! - Only calls that may be repeated are repeated, a few times, and as late as the server asks for.
//! - What is written to disk appears whole or not at all, and never outside the folder that was named.
//!
//! # Example
//!
//! ```no_run
//! use client::{Client, Drive, Options, RemotePath};
//! use protocol::Secret;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new("https://bailiwick.example", &Options::default())?;
//! let device = client::this_device(None);
//! let login = client::SignIn::start(&client, "ada@example.com", "correct horse battery staple", None).await?;
//! let account = login.finish(client::Proof::Totp(Secret::from("123456".to_owned())), device).await?.account;
//! let drive = Drive::open(&account).await?;
//! for file in drive.list().await? {
//!     println!("{} {}", file.content.size, file.content.path);
//! }
//! # Ok(())
//! # }
//! ```

mod account_name;
#[cfg(not(target_family = "wasm"))]
pub mod cli;
mod client;
pub mod export;
pub mod files;
mod history;
mod keychain;
#[cfg(not(target_family = "wasm"))]
mod output;
mod pause;
mod pins;
mod place;
mod profile;
pub mod requests;
mod seen;
mod sharing;
mod tenant_drive;
mod trust;
pub mod verify;

pub use account_name::{AccountName, NotAnAccount};
pub use client::account::{AccountError, Proof};
pub use client::api_keys::{KeyWish, MadeKey, open_by_api_key};
#[cfg(not(target_family = "wasm"))]
pub use client::events::{ChangeEvents, EventsError};
pub use client::federation;
pub use client::methods::MadeRecoveryKey;
pub use client::opened::Opened;
pub use client::pairing::{Answered, Approval, Outcome, Pairing, PairingError, PublicAccount, WayIn};
pub use client::passkey;
pub use client::signin::{NewAccount, SignIn, SignInError, SignUp, SignedIn, Unlocked, this_device};
pub use client::unlocking;
pub use client::{Client, ConnectError, Options, RequestError};
pub use files::{Drive, RemotePath};
pub use history::{Proof as RecordProof, ProvenRecord};
pub use keychain::{KeyPlace, Keychain, KeychainError};
pub use pins::{AccountPins, CollectionPins, Newer, OtherPins, PinStore, Pins, TenantCollectionPins};
pub use profile::{Profile, ProfileError, Stored};
pub use protocol::sharing::Permission;
pub use protocol::tenants::collections::Protection;
pub use sharing::{KnownAccount, SharingError, Standing};
pub use tenant_drive::{OpenTenantCollection, OpenTenantItem, TenantDrive, TenantDriveError};
pub use trust::Trust;
