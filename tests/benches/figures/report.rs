// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The table: one line for each figure, and one JSON object in `BENCH_JSON` when that is set.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::ExitCode;

use serde_json::json;

/// Collects what was measured.
#[derive(Default)]
pub struct Report {
    theme: &'static str,
    met: usize,
    missed: Vec<String>,
    failed: Vec<&'static str>,
}

/// What a figure is to be.
#[derive(Clone, Copy)]
pub enum Goal {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

/// One figure. The goal is about the ratio when there is one, and about the value otherwise.
pub struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    against: Option<(String, f64)>,
    ratio: Option<f64>,
    goal: Option<Goal>,
}

impl Figure {
    /// What was measured.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, against: None, ratio: None, goal: None }
    }

    /// How many times the other side's value this is.
    pub fn times(self, what: impl Into<String>, value: f64) -> Self {
        let ratio = self.value / value;
        self.against(what, value, ratio)
    }

    /// How many times the other side's value goes into this, or whatever else the ratio is to be.
    pub fn against(mut self, what: impl Into<String>, value: f64, ratio: f64) -> Self {
        self.against = Some((what.into(), value));
        self.ratio = Some(ratio);
        self
    }

    /// What it is to be.
    pub fn goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }

    fn is_met(&self) -> Option<bool> {
        let judged = self.ratio.unwrap_or(self.value);
        self.goal.map(|goal| match goal {
            Goal::AtMost(most) => judged <= most,
            Goal::AtLeast(least) => judged >= least,
        })
    }
}

impl Report {
    /// Begins a theme.
    pub fn theme(&mut self, theme: &'static str) {
        self.theme = theme;
        println!("\n## {theme}");
    }

    /// Prints a figure and keeps the score.
    pub fn add(&mut self, figure: Figure) {
        let met = figure.is_met();
        match met {
            Some(true) => self.met += 1,
            Some(false) => self.missed.push(format!("{}: {}", self.theme, figure.name)),
            None => {}
        }
        let measured = format!("{} {}", short(figure.value), figure.unit);
        let against = figure
            .against
            .as_ref()
            .map_or(String::new(), |(what, value)| format!("{what}: {} {}", short(*value), figure.unit));
        let ratio = figure.ratio.map_or(String::new(), |ratio| format!("{}×", short(ratio)));
        let goal = figure.goal.map_or(String::new(), |goal| goal.text(figure.ratio.is_some()));
        let verdict = met.map_or("", |met| if met { "met" } else { "MISSED" });
        println!("{:<58} {measured:>18}  {against:<48} {ratio:>9}  {goal:<8} {verdict}", figure.name);
        self.append(&figure, met);
    }

    /// This theme came to no end.
    pub fn failed(&mut self) {
        println!("FAILED: {}", self.theme);
        self.failed.push(self.theme);
    }

    /// Prints the score. Goals that are missed are for people to judge; what could not be measured is a failure.
    pub fn close(self) -> ExitCode {
        println!("\n{} goals met, {} missed", self.met, self.missed.len());
        for missed in &self.missed {
            println!("  missed: {missed}");
        }
        for failed in &self.failed {
            println!("  not measured: {failed}");
        }
        if self.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn append(&self, figure: &Figure, met: Option<bool>) {
        let Some(path) = env::var_os("BENCH_JSON") else { return };
        let goal = figure.goal.map(|goal| match goal {
            Goal::AtMost(most) => json!({ "at_most": most }),
            Goal::AtLeast(least) => json!({ "at_least": least }),
        });
        let line = json!({
            "theme": self.theme,
            "name": figure.name,
            "value": figure.value,
            "unit": figure.unit,
            "against": figure.against.as_ref().map(|(what, _)| what),
            "against_value": figure.against.as_ref().map(|(_, value)| value),
            "ratio": figure.ratio,
            "goal": goal,
            "met": met,
        });
        let mut file =
            OpenOptions::new().create(true).append(true).open(path).expect("BENCH_JSON can be written");
        writeln!(file, "{line}").expect("BENCH_JSON can be written");
    }
}

impl Goal {
    fn text(self, ratio: bool) -> String {
        let times = if ratio { "×" } else { "" };
        match self {
            Self::AtMost(most) => format!("≤ {}{times}", short(most)),
            Self::AtLeast(least) => format!("≥ {}{times}", short(least)),
        }
    }
}

/// Three significant digits, whole numbers from a hundred on.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        magnitude if magnitude >= 100.0 || magnitude.fract() == 0.0 => 0,
        magnitude if magnitude >= 10.0 => 1,
        magnitude if magnitude >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}
