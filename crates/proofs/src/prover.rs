// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Asks the solver.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{env, thread};

use cedar_policy::RequestEnv;
use cedar_policy_symcc::solver::LocalSolver;
use cedar_policy_symcc::term::Term;
use cedar_policy_symcc::{
    CedarSymCompiler, CompiledPolicy, CompiledPolicySet, SymEnv, always_denies_asserts, disjoint_asserts,
};
use tokio::process::Command;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::error::named;
use crate::{Counterexample, Model, ProofError, Property};

/// How long one question may take. They take milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A solver, and what speaks to it.
pub struct Prover {
    compiler: CedarSymCompiler<LocalSolver>,
    runtime: Runtime,
}

/// What came of one property for one kind of request.
pub enum Verdict {
    /// No request of this kind could be wrong in this way, whatever is allowed.
    Silent,
    /// Some could be wrong; none of those is allowed.
    Holds,
    /// This one is wrong and allowed.
    Broken(Box<Counterexample>),
}

/// A model compiled for one kind of request.
pub(crate) struct Compiled<'m> {
    model: &'m Model,
    kind: &'m RequestEnv,
    symbols: SymEnv,
    allowed: CompiledPolicySet,
}

impl<'m> Compiled<'m> {
    pub(crate) fn new(model: &'m Model, kind: &'m RequestEnv) -> Result<Self, ProofError> {
        let undecided = |error| ProofError::undecided(kind, error);
        let symbols = SymEnv::new(&model.schema, kind).map_err(undecided)?;
        let allowed = CompiledPolicySet::compile_with_custom_symenv(
            &model.policies,
            kind,
            &model.schema,
            symbols.clone(),
        )
        .map_err(undecided)?;
        Ok(Self { model, kind, symbols, allowed })
    }

    fn wrong(&self, property: &Property) -> Result<CompiledPolicy, ProofError> {
        CompiledPolicy::compile_with_custom_symenv(
            &property.wrong,
            self.kind,
            &self.model.schema,
            self.symbols.clone(),
        )
        .map_err(|error| ProofError::undecided(self.kind, error))
    }

    /// Whether no request could be wrong in this way, whatever is allowed.
    pub(crate) fn is_silent(&self, property: &Property) -> Result<bool, ProofError> {
        Ok(never(&self.wrong(property)?.into_compiled_policyset()))
    }

    /// Whether a property is the very same question here as there: then it has the same answer.
    pub(crate) fn asks_the_same(
        &self,
        other: &Compiled<'_>,
        property: &Property,
    ) -> Result<bool, ProofError> {
        let wrong = self.wrong(property)?.into_compiled_policyset();
        let other_wrong = other.wrong(property)?.into_compiled_policyset();
        let (here, there) =
            (disjoint_asserts(&self.allowed, &wrong), disjoint_asserts(&other.allowed, &other_wrong));
        Ok(here.symenv() == there.symenv() && here.asserts() == there.asserts())
    }
}

impl Prover {
    /// Starts the solver that `CVC5` names.
    ///
    /// # Errors
    /// When there is none.
    pub fn start() -> Result<Prover, ProofError> {
        let absent = |error: &dyn std::error::Error| ProofError::NoSolver(error.to_string());
        let solver = env::var_os("CVC5").ok_or_else(|| ProofError::NoSolver("it is not set".to_owned()))?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| absent(&error))?;
        let patience = format!("--tlimit-per={}", PATIENCE.as_millis());
        let mut command = Command::new(solver);
        command.args(["--lang", "smt", &patience]).kill_on_drop(true);
        let solver = {
            let _inside = runtime.enter();
            LocalSolver::from_command(&mut command).map_err(|error| absent(&error))?
        };
        let compiler = CedarSymCompiler::new(solver).map_err(|error| absent(&error))?;
        Ok(Prover { compiler, runtime })
    }

    /// What each property says of one kind of request.
    ///
    /// # Errors
    /// When one of them is not decided.
    pub fn verdicts(
        &mut self,
        model: &Model,
        kind: &RequestEnv,
        properties: &[Property],
    ) -> Result<Vec<Verdict>, ProofError> {
        let compiled = Compiled::new(model, kind)?;
        properties.iter().map(|property| self.verdict(&compiled, property)).collect()
    }

    pub(crate) fn verdict(
        &mut self,
        compiled: &Compiled<'_>,
        property: &Property,
    ) -> Result<Verdict, ProofError> {
        let Compiled { model, kind, allowed, .. } = compiled;
        let undecided = |error| ProofError::undecided(kind, error);
        let too_long = |_| ProofError::Undecided {
            kind: named(kind),
            problem: format!("{}: no answer after {} s", property.id, 2 * PATIENCE.as_secs()),
        };
        let wrong = compiled.wrong(property)?;
        let question = self.compiler.check_never_errors_opt(&wrong);
        let defined = self
            .runtime
            .block_on(async { timeout(2 * PATIENCE, question).await })
            .map_err(too_long)?
            .map_err(undecided)?;
        if !defined {
            return Err(ProofError::Undefined { property: property.id.clone(), kind: named(kind) });
        }
        let wrong = wrong.into_compiled_policyset();
        if never(&wrong) {
            return Ok(Verdict::Silent);
        }
        let question = self.compiler.check_disjoint_with_counterexample_opt(allowed, &wrong);
        let found = self
            .runtime
            .block_on(async { timeout(2 * PATIENCE, question).await })
            .map_err(too_long)?
            .map_err(undecided)?;
        match found {
            None => Ok(Verdict::Holds),
            Some(example) => {
                let example = Counterexample { request: example.request, entities: example.entities };
                example.is_one(model, property)?;
                Ok(Verdict::Broken(Box::new(example)))
            }
        }
    }
}

/// Whether it is plain without asking that this permits nothing.
fn never(permits: &CompiledPolicySet) -> bool {
    always_denies_asserts(permits).asserts().contains(&Term::from(false))
}

/// Does some work for each item, on as many threads as there are processors, each with a solver of its own.
///
/// # Errors
/// The first of the work's errors, in the order of the items.
pub fn each<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&mut Prover, &T) -> Result<R, ProofError> + Sync,
) -> Result<Vec<R>, ProofError> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(items.len().max(1));
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let run = || -> Result<(), ProofError> {
        let mut prover = Prover::start()?;
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return Ok(()) };
            let result = work(&mut prover, item);
            let failed = result.is_err();
            done.lock().map_err(|_| ProofError::GivenUp)?.push((index, result));
            if failed {
                // What else there is to do would not change that.
                next.store(items.len(), Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        started.into_iter().try_for_each(|thread| thread.join().map_err(|_| ProofError::GivenUp)?)
    })?;
    let mut done = done.into_inner().map_err(|_| ProofError::GivenUp)?;
    done.sort_by_key(|(index, _)| *index);
    let results = done.into_iter().map(|(_, result)| result).collect::<Result<Vec<_>, _>>()?;
    if results.len() == items.len() { Ok(results) } else { Err(ProofError::GivenUp) }
}
