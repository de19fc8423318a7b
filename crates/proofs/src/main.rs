// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `make prove`: proves every property for every kind of request, then shows that each would notice a spoiled guardrail.
//!
//! Ends with 0 when all holds and everything is noticed, with 1 when not, having said in words what is allowed that must not
//! be, and with 2 when that could not be told.

use std::process::ExitCode;

use proofs::{Model, Noticed, ProofError, Property, Sources, Verdict, each, mutants, notice};

fn main() -> ExitCode {
    match proved() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("prove: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether all is as it must be. Mutants are tried only on a model that holds.
fn proved() -> Result<bool, ProofError> {
    let model = Sources::delivered().model()?;
    Ok(properties_hold(&model)? && mutants_are_noticed(&model)?)
}

fn properties_hold(model: &Model) -> Result<bool, ProofError> {
    let (kinds, properties) = (model.kinds(), Property::all(model)?);
    println!(
        "{} guardrails, whatever else is permitted; {} kinds of request.",
        model.guardrails().len(),
        kinds.len()
    );
    let verdicts = each(&kinds, |prover, kind| prover.verdicts(model, kind, &properties))?;
    let mut sound = true;
    for (index, property) in properties.iter().enumerate() {
        let told: Vec<_> = verdicts.iter().filter_map(|verdicts| verdicts.get(index)).collect();
        let broken: Vec<_> = told
            .iter()
            .filter_map(|verdict| if let Verdict::Broken(example) = verdict { Some(example) } else { None })
            .collect();
        let spoken = told.iter().filter(|verdict| !matches!(verdict, Verdict::Silent)).count();
        if let Some(example) = broken.first() {
            sound = false;
            println!("  BROKEN  {}: {}", property.id, property.says);
            println!("          but {example}.");
            println!("          So for {} of the {spoken} kinds of request that it speaks of.", broken.len());
        } else if spoken == 0 {
            println!("  holds   {}: the schema has no such request", property.id);
        } else {
            println!("  holds   {}: for each of {spoken} kinds of request", property.id);
        }
    }
    Ok(sound)
}

fn mutants_are_noticed(model: &Model) -> Result<bool, ProofError> {
    let mutants = mutants();
    println!("{} spoiled models, each with the request that gives it away.", mutants.len());
    let noticed = each(&mutants, |prover, mutant| notice(prover, model, mutant))?;
    let mut sound = true;
    for (mutant, noticed) in mutants.iter().zip(&noticed) {
        match noticed {
            Noticed::Yes(example) => {
                println!("  noticed  {}, by {}:\n           {example}.", mutant.name, mutant.noticed_by);
            }
            Noticed::No => {
                sound = false;
                println!("  MISSED   {}: {} holds all the same", mutant.name, mutant.noticed_by);
            }
            Noticed::Before(example) => {
                sound = false;
                println!("  MISSED   {}: {} is broken without it: {example}", mutant.name, mutant.noticed_by);
            }
        }
    }
    Ok(sound)
}
