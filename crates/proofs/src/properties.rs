// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What must never be.

use cedar_policy::{Effect, Policy};

use crate::model::read;
use crate::{Model, ProofError};

const TEXT: &str = include_str!("../properties.cedar");

/// Something that must never be allowed.
#[derive(Clone)]
pub struct Property {
    /// Its name.
    pub id: String,
    /// What holds, in a sentence.
    pub says: String,
    /// A permit of exactly those requests that would be wrong.
    pub(crate) wrong: Policy,
}

impl Property {
    /// All of them, in the order of the file, for a model's schema.
    ///
    /// # Errors
    /// When the file does not read, or speaks of what the schema does not have.
    pub fn all(model: &Model) -> Result<Vec<Property>, ProofError> {
        let set = read("properties.cedar", TEXT, &model.schema)?;
        let mut properties = set.policies().map(Self::of).collect::<Result<Vec<_>, _>>()?;
        properties.sort_by_key(|property| TEXT.find(&format!("@id(\"{}\")", property.id)));
        Ok(properties)
    }

    fn of(policy: &Policy) -> Result<Property, ProofError> {
        let id = policy.id().to_string();
        let problem = |problem: &str| ProofError::Policies {
            what: "properties.cedar",
            problem: format!("{id}: {problem}"),
        };
        if policy.effect() == Effect::Forbid {
            return Err(problem("what would be wrong is written as a permit"));
        }
        let says = policy.annotation("says").ok_or_else(|| problem("no @says"))?.to_owned();
        Ok(Property { id, says, wrong: policy.clone() })
    }
}
