// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why there is no proof.

use cedar_policy::RequestEnv;

/// Why something could not be proved or refuted. Whoever asks takes it for broken.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The schema does not read.
    #[error("the schema does not read: {0}")]
    Schema(String),
    /// Policies do not read, or do not fit the schema.
    #[error("{what}: {problem}")]
    Policies {
        /// Which policies.
        what: &'static str,
        /// What is wrong with them.
        problem: String,
    },
    /// An edit does not fit the texts: what it replaces stands there not once.
    #[error("an edit does not fit: {0}")]
    Edit(String),
    /// There is no solver.
    #[error("no solver: CVC5 names none that starts (scripts/with-cvc5 sets it): {0}")]
    NoSolver(String),
    /// The question was not decided.
    #[error("undecided for {kind}: {problem}")]
    Undecided {
        /// The kind of request.
        kind: String,
        /// What the solver or the translation said.
        problem: String,
    },
    /// What would be wrong cannot be evaluated for some request, so the proof would say less than it seems.
    #[error("property {property} cannot be evaluated for every {kind}")]
    Undefined {
        /// The property.
        property: String,
        /// The kind of request.
        kind: String,
    },
    /// The solver's example is none: Cedar itself says something else of it.
    #[error("Cedar does not agree with the solver: {0}")]
    Disagreement(String),
    /// A thread ended before its work was done.
    #[error("a proof was given up half-way")]
    GivenUp,
}

impl ProofError {
    pub(crate) fn undecided(kind: &RequestEnv, error: cedar_policy_symcc::err::Error) -> Self {
        use cedar_policy_symcc::err::Error;
        let problem = match error {
            Error::PolicyNotWellTyped { errs } => {
                errs.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            }
            Error::SolverError(error) => format!("{error:?}"),
            error => error.to_string(),
        };
        Self::Undecided { kind: named(kind), problem }
    }
}

/// A kind of request in words.
pub(crate) fn named(kind: &RequestEnv) -> String {
    format!("{} by {} on {}", kind.action().id().unescaped(), kind.principal(), kind.resource())
}
