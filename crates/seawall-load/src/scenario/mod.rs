//! Scenarios: users who do one thing after the other, written in TOML or in Rust.
//!
//! A [`Scenario`] makes [`User`]s; [`run_scenarios`] runs many of them, of several kinds by weight. A [`ScenarioFile`] is
//! a scenario of steps with templates, think times, expectations and extraction; what it cannot say, a Rust type can.
//!
//! ```toml
//! think = "500ms..2s"              # before each step, unless it says otherwise
//!
//! [[flow]]
//! name = "buy"
//! weight = 3                       # three of four visits, if the other flow has weight 1
//!
//! [[flow.step]]
//! name = "log in"
//! method = "POST"
//! path = "/login"
//! body = '{"user": "{{csv.user}}"}'
//! extract.token = { json = "/token" }
//!
//! [[flow.step]]
//! name = "order"
//! method = "POST"
//! path = "/orders"
//! headers = { Authorization = "Bearer {{token}}" }
//! expect = { status = [201], body_contains = "accepted" }
//! ```
//!
//! Left out: branches and loops inside of a flow, and requests side by side. Those are Rust.

mod compiled;
mod expect;
mod file;
mod user;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use seawall_core::ConfigError;

use crate::config::{in_range, in_time};
use crate::drive::Tick;
use crate::error::LoadError;
use crate::report::Report;
use crate::users::{MAX_USERS, User, UsersConfig, run_users};
use compiled::Compiled;
use user::FlowUser;

/// A kind of visitor.
pub trait Scenario {
    /// User number `number` of the run.
    fn user(&self, number: u64) -> Box<dyn User>;
}

/// Most kinds of users of one run.
const MAX_KINDS: usize = 1_000;

/// Runs `users` of these kinds, in the proportion of their weights, until the time limit or until all are done. They
/// arrive evenly over `ramp_up`. Blocks so long; the observer is called once per second and may end the run.
///
/// # Errors
/// The configuration cannot be used, the host has no address, or the generator itself could not work.
pub fn run_scenarios(
    config: &UsersConfig,
    kinds: &[(u32, &dyn Scenario)],
    users: usize,
    ramp_up: Duration,
    observer: &mut dyn FnMut(&Tick),
) -> Result<Report, LoadError> {
    in_range("scenario.users", users, MAX_USERS)?;
    in_range("scenario.kinds", kinds.len(), MAX_KINDS)?;
    in_time("scenario.ramp_up", ramp_up, Duration::ZERO)?;
    let weights: Vec<u32> = kinds.iter().map(|&(weight, _)| weight).collect();
    if weights.iter().all(|&weight| weight == 0) {
        return Err(ConfigError::new("scenario.weight", 0, "above 0 for one kind at least").into());
    }
    let mut turn = Turn::new(&weights);
    let arrive = |number: usize| {
        let arrival = ramp_up.mul_f64(number as f64 / users as f64);
        (arrival, kinds[turn.next()].1.user(number as u64))
    };
    let population = (0..users).map(arrive).collect();
    run_users(config, population, observer)
}

/// Takes turns by weight, each kind as evenly as can be (smooth weighted round robin).
#[derive(Debug)]
struct Turn {
    weights: Vec<i64>,
    credit: Vec<i64>,
}

impl Turn {
    fn new(weights: &[u32]) -> Self {
        let weights: Vec<i64> = weights.iter().map(|&weight| i64::from(weight)).collect();
        Self { credit: vec![0; weights.len()], weights }
    }

    /// Whose turn it is: of the one that is furthest behind.
    fn next(&mut self) -> usize {
        self.credit.iter_mut().zip(&self.weights).for_each(|(credit, weight)| *credit += weight);
        let best = (0..self.credit.len()).rev().max_by_key(|&at| self.credit[at]).unwrap_or(0);
        self.credit[best] -= self.weights.iter().sum::<i64>();
        best
    }
}

/// A scenario in TOML, checked and compiled. Its users visit again and again until the run ends.
#[derive(Debug, Clone)]
pub struct ScenarioFile {
    compiled: Arc<Compiled>,
    url: Option<String>,
    seed: u64,
}

impl ScenarioFile {
    /// Reads a file. Its data file is looked for beside it. `seed` is where random numbers begin.
    ///
    /// # Errors
    /// Names what in the file cannot be used, and what could be.
    pub fn read(path: &Path, seed: u64) -> Result<Self, ConfigError> {
        let text = file::read(path)?;
        Self::parse(&text, path.parent(), seed)
    }

    /// Parses a file's text; data files are looked for in `folder`.
    ///
    /// # Errors
    /// Names what in the text cannot be used, and what could be.
    pub fn parse(text: &str, folder: Option<&Path>, seed: u64) -> Result<Self, ConfigError> {
        let file = file::parse(text)?;
        let url = file.url.clone();
        let scenario = Self { compiled: Arc::new(Compiled::new(file, folder)?), url: None, seed };
        match url {
            Some(url) => scenario.against(&url),
            None => Ok(scenario),
        }
    }

    /// The target that the file names, if it does.
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// The same scenario against this target: its `Host` fields name it.
    ///
    /// # Errors
    /// The URL is none.
    pub fn against(mut self, url: &str) -> Result<Self, ConfigError> {
        let target = crate::target::Target::parse(url)?;
        Arc::make_mut(&mut self.compiled).host = target.host;
        self.url = Some(url.to_owned());
        Ok(self)
    }
}

impl Scenario for ScenarioFile {
    fn user(&self, number: u64) -> Box<dyn User> {
        Box::new(FlowUser::new(Arc::clone(&self.compiled), self.seed, number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_follow_the_weights_evenly() {
        let mut turn = Turn::new(&[5, 1, 2]);
        let turns: Vec<usize> = (0..8).map(|_| turn.next()).collect();
        assert_eq!(turns, [0, 2, 0, 0, 1, 0, 2, 0]);
    }
}
