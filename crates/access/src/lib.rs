// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who may do what, and the one way into a transaction.
//!
//! # Words
//! - A [`Caller`] is who asks: a visitor, an account that showed a live session or token, or a
//!   part of the server itself.
//! - An [`Action`] is what can be done; a [`Resource`] is what it is done to. Both are declared
//!   once, in the Cedar schema, and have the same names in the API and in records.
//! - The **policies** (`policies/*.cedar`) say who may. The guardrails among them forbid, and no
//!   other policy can allow what they forbid.
//! - [`Scopes`] are a ceiling on what a token may be used for; they grant nothing.
//! - A **fresh proof** is one that is moments old. What a stolen session must not be enough for
//!   needs it.
//!
//! # Guarantees
//! - *No decision, no door.* [`Access`] owns the store's door. A transaction comes from
//!   [`enter`](Access::enter), [`view`](Access::view) or [`found`](Access::found), which ask the
//!   policies first.
//! - *Nobody reaches across tenants.* What is acted upon belongs to the tenant that is entered,
//!   whatever the caller says; an account enters its own home and, about itself, the directory.
//! - *Doubt refuses.* A question that does not apply, or a policy that cannot be evaluated, is a no.
//! - *A no gives nothing away.* What is someone else's is answered like what is not there.
//!
//! # Example
//! ```
//! use access::{Access, Action, Caller, Refused, Resource};
//! use store::{Record, TenantId, params};
//!
//! async fn rename(access: &Access, caller: &Caller, home: TenantId) -> Result<(), Refused> {
//!     let mut tx = access.enter(caller, home, Action::ItemWrite, Resource::Collection(uuid::Uuid::nil())).await?;
//!     tx.execute("UPDATE note SET title = $1", params!["sealed"]).await?;
//!     tx.commit(Record::about("note")).await?;
//!     Ok(())
//! }
//! ```
//!
//! # What does not compile
//! Having `Access` is not having its door: the only ways in are the ones that decide.
//! ```compile_fail,E0616
//! # use store::{Entry, StoreError, TenantId, WriteTx};
//! async fn around(access: &access::Access, tenant: TenantId, entry: Entry) -> Result<WriteTx, StoreError> {
//!     access.door.write(tenant, entry).await // error: the field is private
//! }
//! ```
//! A transaction cannot be made any other way either: it has no constructor.
//! ```compile_fail
//! fn conjure(view: store::ReadTx, entry: store::Entry) -> store::WriteTx {
//!     store::WriteTx { view, entry } // error: the fields are private
//! }
//! ```
//! A door is not copied on its way here.
//! ```compile_fail,E0277
//! fn copies<T: Clone>() {}
//! copies::<store::Door>(); // error: `Door` is not `Clone`
//! ```
//! ```
//! fn moves<T: Send + Sync>() {}
//! moves::<store::Door>(); // the same, with what it is
//! ```
//! And a transaction ends with a record, or is undone.
//! ```compile_fail,E0061
//! async fn unrecorded(tx: store::WriteTx) {
//!     let _ = tx.commit().await; // error: an argument is missing
//! }
//! ```
//! ```
//! async fn recorded(tx: store::WriteTx) {
//!     let _ = tx.commit(store::Record::about("note")).await;
//! }
//! ```

mod action;
mod bounded;
mod caller;
#[cfg(test)]
mod customers;
mod decision;
mod enter;
mod memo;
mod pace;
mod passage;
mod people;
mod platform_role;
mod policies;
mod policy_change;
mod resource;
mod scopes;
mod slice;
mod standing;
pub mod tenancy;
mod tenant_policies;
mod trial;
mod visible;
mod visible_collections;
mod vocabulary;
mod why;

pub use action::{Action, UnknownAction};
pub use caller::{Caller, Invited, Service, Share, SignedIn, Via};
pub use decision::{Decision, Explanation, Reason, Refusal};
pub use enter::{Access, Refused};
pub use passage::{Passage, Passed, Who};
pub use platform_role::{PlatformGrant, PlatformRole, PlatformRoles, UnknownPlatformRole};
pub use policies::{CustomRole, Policies, PolicyError};
pub use resource::Resource;
pub use scopes::Scopes;
pub use standing::{MAX_DEPTH, Place};
pub use tenancy::{Tenancy, TenancyError};
pub use tenant_policies::{MAX_POLICIES, MAX_TENANT_POLICIES, PolicyProblem};
pub use trial::{
    Effect, MAX_EFFECTS, MAX_TRIED_DEVICES, MAX_TRIED_ORGANISATIONS, MAX_TRIED_PEOPLE, Trial, Tried,
};
pub use visible::Visible;
pub use visible_collections::VisibleCollections;
pub use vocabulary::{BuiltInRole, SCHEMA, UnknownRole};
pub use why::{Can, MAX_PLACES, Somebody, Way, WhatCan, WhoCan, Why};

/// This room's tables.
pub const MIGRATIONS: &[store::Migration] = &{
    let [directory, customer, policies, providers] = tenancy::MIGRATIONS;
    let (roles, founding) = (platform_role::PLATFORM_ROLES, enter::FOUNDING);
    [roles, founding, directory, customer, policies, tenancy::COLLECTIONS, providers]
};
