//! A service that the lab may start: a command with capacities to fill in, and the trials of them.
//!
//! `server --readers {pool} --workers {workers}` with a pool of 1 to be tried at 2: the lab starts it with 1 and, when a
//! cause that names the pool was found, again with 2, in pairs of blocks.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, anyhow, bail, ensure};
use clap::Args;
use seawall_lab::compare::Metric;
use seawall_lab::diagnose::Finding;
use seawall_lab::diagnose::elasticity::{Capacity, Trial};
use seawall_load::WarmUp;

use super::blocks::BlockPlan;
use super::server::Launch;
use crate::demo::progress::Progress;

/// Pairs of blocks of one trial. If chance decided, five pairs would all move the same way once in sixteen times.
const PAIRS: usize = 5;
/// Fewer pairs that count say nothing.
const MIN_PAIRS: usize = 3;
/// A capacity at most.
const MAX: u32 = 1_000_000;

/// Now, and to be tried.
pub(crate) type Values = BTreeMap<Capacity, [u32; 2]>;

/// A service that the lab starts by itself.
#[derive(Debug, Args)]
#[command(next_help_heading = "Starting the service")]
pub(super) struct StartArgs {
    /// Start the service by this command (`sh -c`), and end it. With {pool}, {workers} or {limit} in it, and their
    /// values below, or with {cache} (off, tried on), a cause that names one of them is put to the proof
    #[arg(long, value_name = "CMD")]
    pub(super) start: Option<String>,
    /// The size of the pool, and the one to try: {pool} in the command
    #[arg(long, value_name = "NOW:TRY", requires = "start", value_parser = pair)]
    pool: Option<[u32; 2]>,
    /// Threads that serve, and how many to try: {workers} in the command
    #[arg(long, value_name = "NOW:TRY", requires = "start", value_parser = pair)]
    workers: Option<[u32; 2]>,
    /// The limit, and the one to try: {limit} in the command
    #[arg(long, value_name = "NOW:TRY", requires = "start", value_parser = pair)]
    limit: Option<[u32; 2]>,
}

impl StartArgs {
    pub(super) fn values(&self) -> Values {
        let all =
            [(Capacity::Pool, self.pool), (Capacity::Workers, self.workers), (Capacity::Limit, self.limit)];
        all.into_iter().filter_map(|(capacity, values)| Some((capacity, values?))).collect()
    }
}

fn pair(text: &str) -> Result<[u32; 2], String> {
    let parts = text.split_once(':').and_then(|(now, to)| Some([now.parse().ok()?, to.parse().ok()?]));
    parts.ok_or_else(|| "two numbers, such as 1:2".to_owned())
}

/// A command with its capacities.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    command: String,
    values: Values,
}

impl Template {
    /// # Errors
    /// When a capacity has no place in the command, a place no value, or a value is out of range.
    pub(crate) fn new(command: &str, mut values: Values) -> Result<Self> {
        if command.contains("{cache}") {
            values.insert(Capacity::Cache, [0, 1]); // off, and tried on: there is nothing else to it
        }
        for capacity in Capacity::ALL {
            let (name, place) = (capacity.name(), format!("{{{}}}", capacity.name()));
            match (values.get(&capacity), command.contains(&place)) {
                (Some(_), false) => bail!("there are values for `{name}`, but no {place} in `{command}`"),
                (None, true) => bail!("there is {place} in `{command}`, but no values for `{name}`"),
                (Some(_), true) if capacity == Capacity::Cache => {}
                (Some([now, to]), true) => ensure!(
                    now != to && (1..=MAX).contains(now) && (1..=MAX).contains(to),
                    "`{name}` is {now}:{to}, but must be two different numbers, 1 to {MAX}"
                ),
                (None, false) => {}
            }
        }
        Ok(Self { command: command.to_owned(), values })
    }

    /// The command, with this capacity changed.
    pub(crate) fn command(&self, changed: Option<Capacity>) -> String {
        self.values.iter().fold(self.command.clone(), |command, (capacity, [now, to])| {
            let value = if changed == Some(*capacity) { to } else { now };
            command.replace(&format!("{{{}}}", capacity.name()), &capacity.value(*value))
        })
    }

    /// Tries the capacities that the findings name, with blocks of `plan`. The service must not run meanwhile.
    pub(crate) fn attempt(
        &self,
        launch: &Launch,
        plan: &BlockPlan,
        findings: &[Finding],
        progress: &Progress,
    ) -> Vec<Result<Trial, String>> {
        let named = |capacity: &Capacity| findings.iter().any(|finding| capacity.helps(finding.cause));
        let wanted = self.values.keys().copied().filter(named);
        let one = |capacity: Capacity| {
            let tried = self.trial(capacity, launch, plan, progress);
            tried.map_err(|error| format!("the {} was not tried: {error:#}", capacity.name()))
        };
        wanted.map(one).collect()
    }

    fn trial(
        &self,
        capacity: Capacity,
        launch: &Launch,
        plan: &BlockPlan,
        progress: &Progress,
    ) -> Result<Trial> {
        let [from, to] = self.values.get(&capacity).copied().ok_or_else(|| anyhow!("it has no values"))?;
        let value = |value| capacity.value(value);
        let phase =
            progress.phase(&format!("Trying {} {} in place of {}", capacity.name(), value(to), value(from)));
        let with = |changed| Launch { command: self.command(changed), ..launch.clone() };
        let (before, after) = (with(None), with(Some(capacity)));
        let mut pairs = Vec::new();
        for i in 0..PAIRS {
            phase.at(i as f64 / PAIRS as f64, format!("pair {} of {PAIRS}", i + 1));
            // In turn, so that what drifts favours neither.
            let pair = if i % 2 == 0 {
                let first = throughput(plan, &before)?;
                (first, throughput(plan, &after)?)
            } else {
                let first = throughput(plan, &after)?;
                (throughput(plan, &before)?, first)
            };
            pairs.extend(pair.0.zip(pair.1));
        }
        ensure!(pairs.len() >= MIN_PAIRS, "only {} of {PAIRS} pairs of blocks count", pairs.len());
        let trial = Trial { capacity, from, to, pairs };
        phase.done(&trial.result().map_or_else(
            || "nothing was answered".to_owned(),
            |result| format!("{:.0} requests/s, without it {:.0}", result.after, result.before),
        ));
        Ok(trial)
    }
}

/// Answers per second of one block; none if it does not count.
fn throughput(plan: &BlockPlan, launch: &Launch) -> Result<Option<f64>> {
    let block = plan.run(launch)?.block;
    ensure!(!plan.interrupt.load(std::sync::atomic::Ordering::Relaxed), "interrupted");
    Ok(block.values.get(&Metric::Throughput).copied().filter(|_| block.invalid.is_empty()))
}

/// What blocks of a trial are like beside levels of this length.
pub(crate) fn block(level: Duration) -> (Duration, WarmUp) {
    (level.min(Duration::from_secs(1)), WarmUp::Fixed(Duration::from_millis(200)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        [(Capacity::Pool, [1, 2]), (Capacity::Workers, [3, 4])].into()
    }

    #[test]
    fn one_capacity_is_changed_at_a_time() {
        let template = Template::new("s -r {pool} -w {workers}", values()).unwrap();
        assert_eq!(template.command(None), "s -r 1 -w 3");
        assert_eq!(template.command(Some(Capacity::Pool)), "s -r 2 -w 3");
        assert_eq!(template.command(Some(Capacity::Workers)), "s -r 1 -w 4");
    }

    #[test]
    fn a_cache_is_off_and_tried_on() {
        let template = Template::new("s --cache {cache}", Values::new()).unwrap();
        assert_eq!(template.command(None), "s --cache off");
        assert_eq!(template.command(Some(Capacity::Cache)), "s --cache on");
    }

    #[track_caller]
    fn refused(command: &str, values: Values, words: &str) {
        let error = Template::new(command, values).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    #[test]
    fn a_capacity_without_a_place_is_refused() {
        refused("s -r {pool}", values(), "no {workers} in");
    }
    #[test]
    fn a_place_without_values_is_refused() {
        refused("s -l {limit}", Values::new(), "no values for `limit`");
    }
    #[test]
    fn a_change_that_is_none_is_refused() {
        refused("s -r {pool}", [(Capacity::Pool, [2, 2])].into(), "`pool` is 2:2");
        refused("s -r {pool}", [(Capacity::Pool, [0, 2])].into(), "`pool` is 0:2");
    }
    #[test]
    fn values_are_two_numbers() {
        assert_eq!(pair("1:2"), Ok([1, 2]));
        assert!(pair("1").is_err() && pair("1:x").is_err());
    }
}
