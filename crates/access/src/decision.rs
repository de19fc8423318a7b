// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Yes, or which kind of no, and why.

use std::fmt;

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allowed,
    /// No.
    Refused(Refusal),
}

/// How a caller is told no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// As if there were nothing: it is someone else's, or it is not there.
    NotFound,
    /// The caller may not do this.
    Forbidden,
    /// The caller may do this after proving again who they are.
    StepUpRequired,
    /// The account, or what it is in this tenant, is suspended.
    Suspended,
    /// The tenant is suspended.
    TenantSuspended,
}

impl Refusal {
    pub(crate) fn from_annotation(text: &str) -> Option<Self> {
        match text {
            "not_found" => Some(Self::NotFound),
            "step_up_required" => Some(Self::StepUpRequired),
            "suspended" => Some(Self::Suspended),
            "tenant_suspended" => Some(Self::TenantSuspended),
            _ => None,
        }
    }
}

/// A decision with the policies that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What was decided.
    pub decision: Decision,
    /// The policies that decided, by id: those that allow, or those that forbid. None for a
    /// refusal means that nothing allows it.
    pub reasons: Vec<Reason>,
    /// Why the question could not be put to the policies, when it could not. That refuses too.
    pub fault: Option<String>,
}

/// A policy that took part in a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The policy's id.
    pub policy: String,
    /// What it says.
    pub says: String,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.decision {
            Decision::Allowed => "allowed",
            Decision::Refused(Refusal::NotFound) => "refused as if it were not there",
            Decision::Refused(Refusal::Forbidden) => "refused",
            Decision::Refused(Refusal::StepUpRequired) => "refused until a fresh proof of identity",
            Decision::Refused(Refusal::Suspended) => "refused: the account or membership is suspended",
            Decision::Refused(Refusal::TenantSuspended) => "refused: the tenant is suspended",
        })?;
        for Reason { policy, says } in &self.reasons {
            write!(f, "\n  {policy}: {says}")?;
        }
        if let Some(fault) = &self.fault {
            write!(f, "\n  the question does not apply: {fault}")?;
        } else if self.reasons.is_empty() {
            write!(f, "\n  no policy allows it")?;
        }
        Ok(())
    }
}
