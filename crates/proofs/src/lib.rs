// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Proofs over the schema and the guardrails, as they are delivered: what no request is allowed, whatever else is permitted.
//!
//! # Words
//! - A [`Property`] is something that must never be, stated as the requests that would be wrong
//!   (`properties.cedar`). It names its actions one by one and does not quote the guardrails.
//! - A [`Model`] is the schema and the guardrails, with one policy more, which permits everything.
//! - A **kind of request** is a type of principal, an action and a type of resource that the schema
//!   lets meet.
//! - A [`Counterexample`] is one request that is allowed and wrong, told in words.
//! - A [`Mutant`] is a model that somebody spoiled: a guardrail taken away, a `==` turned round. A property has to notice it,
//!   or the property is worth nothing.
//!
//! # What is proved
//! For each kind of request: no principal, resource, attributes, roles, hierarchy and circumstances exist with which the
//! request is wrong and the model allows it. `cedar-policy-symcc` states that as SMT, by Cedar's own semantics as they are
//! modelled in Lean; cvc5 decides it. What is undecided, or takes longer than [`PATIENCE`], counts as broken.
//!
//! **For any policies of a tenant.** In Cedar a forbid wins over every permit. So what a set allows only shrinks when forbids
//! are added, and what permits are added allow is at most everything: the model, which permits everything, allows all that
//! the guardrails with any other policies would. `access::Policies::with_tenant` adds to the delivered set and takes nothing
//! away, which a test of that room holds. So a tenant's policy needs no solver when it is accepted.
//!
//! A guardrail that cannot be evaluated is left out by Cedar, and is left out here as well; the program itself refuses then.
//!
//! # What is not proved
//! - That attributes say what is so: that a member's `tenant` is the tenant whose member it is, that `suspended` is set, that
//!   a supporter's grant is live. Tests of `access` and the stranger test hold that.
//! - Anything of entities that the schema does not have. Hierarchies are taken as acyclic and transitive where a policy looks
//!   at them, as Cedar guarantees of the entities it is given.
//! - That people may do what is theirs. Tables in `access` hold that.

mod error;
mod model;
mod mutants;
mod properties;
mod prover;
mod words;

pub use error::ProofError;
pub use model::{Edit, Model, Sources};
pub use mutants::{Mutant, Noticed, mutants, notice};
pub use properties::Property;
pub use prover::{PATIENCE, Prover, Verdict, each};
pub use words::Counterexample;
