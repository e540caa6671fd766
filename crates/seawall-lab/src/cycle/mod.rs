//! The cycle as a file: a baseline, changes to it, how they are judged, and what CI shall fail on. Plain and pure.
//!
//! Left out: running it, which the `seawall` command does.

mod verdict;

use std::collections::BTreeMap;

use seawall_core::ConfigError;
use serde::{Deserialize, Serialize};

pub use verdict::{CycleVerdict, GateResult, judge};

use crate::compare::{CompareConfig, Metric};
use crate::diagnose::elasticity::Capacity;

/// Changes of one cycle at most.
pub const MAX_CHANGES: usize = 20;

/// A whole cycle, as `lab.toml` has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CycleConfig {
    /// For the report. Default the URL.
    pub title: Option<String>,
    /// Where each build answers.
    pub url: String,
    /// The build that is there.
    pub baseline: Build,
    /// What is tried, one after the other. A change that is proven better becomes what the next one is compared with.
    #[serde(default, rename = "change")]
    pub changes: Vec<Build>,
    /// What is sent.
    #[serde(default)]
    pub load: CycleLoad,
    /// How builds are compared.
    #[serde(default)]
    pub compare: CompareConfig,
    /// What CI fails on.
    #[serde(default)]
    pub gate: Gate,
    /// Whether and how the baseline is diagnosed.
    #[serde(default)]
    pub diagnose: DiagnoseConfig,
}

/// A build: a command that serves until it is ended.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// For people.
    pub name: String,
    /// Run by `sh -c`, in the file's directory.
    pub command: String,
    /// Added to its environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// What is sent to each build.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CycleLoad {
    /// Connections, 1 to 60,000. Default 64.
    pub connections: usize,
    /// Requests per second; without it, as fast as the answers come. Default none.
    pub rate: Option<f64>,
    /// Length of a block, such as `5s`. Default `10s`.
    pub block: String,
    /// Warm-up before each block. Default `2s`.
    pub warmup: String,
    /// The method. Default `GET`.
    pub method: String,
    /// Fields, such as `Content-Type`. Default none.
    pub headers: BTreeMap<String, String>,
    /// The body. Default empty.
    pub body: String,
}

impl Default for CycleLoad {
    fn default() -> Self {
        Self {
            connections: 64,
            rate: None,
            block: "10s".into(),
            warmup: "2s".into(),
            method: "GET".into(),
            headers: BTreeMap::new(),
            body: String::new(),
        }
    }
}

/// What CI fails on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gate {
    /// Objectives of the last build that was kept, such as `p99<50ms,err<0.1%`. Default none.
    pub slo: String,
    /// What must be proven of each change.
    pub require: Require,
}

impl Default for Gate {
    fn default() -> Self {
        Self { slo: String::new(), require: Require::NoRegression }
    }
}

/// What must be proven of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Require {
    /// It may make nothing worse.
    NoRegression,
    /// It must make something better, and nothing worse.
    Improvement,
}

/// How the baseline is diagnosed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiagnoseConfig {
    /// Whether it is. Default true.
    pub enabled: bool,
    /// Seconds for it, 5 to 600. Default 20.
    pub seconds: u64,
    /// Address of the service's admin listener (`/debug/pprof`, `/debug/seawall/signals`), such as `127.0.0.1:9090`. Default
    /// none.
    pub admin: Option<String>,
    /// Capacities that the baseline's command has a place for (`{pool}`, `{workers}`, `{limit}`): the value that it is started
    /// with, and the one to try when a cause names it. Default none.
    #[serde(rename = "try")]
    pub capacities: BTreeMap<Capacity, [u32; 2]>,
}

impl Default for DiagnoseConfig {
    fn default() -> Self {
        Self { enabled: true, seconds: 20, admin: None, capacities: BTreeMap::new() }
    }
}

impl CycleConfig {
    /// Reads and checks a file's text.
    ///
    /// # Errors
    /// Names the field that is missing, unknown or out of range.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.compare.check()?;
        if self.changes.len() > MAX_CHANGES {
            return Err(ConfigError::new("change", self.changes.len(), format!("at most {MAX_CHANGES}")));
        }
        let mut names: Vec<&str> = self.builds().map(|build| build.name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ConfigError::new("name", twice[0], "a name of its own for each build"));
        }
        if let Some(empty) =
            self.builds().find(|build| build.command.trim().is_empty() || build.name.is_empty())
        {
            return Err(ConfigError::new(
                "command",
                format!("empty (build `{}`)", empty.name),
                "a command and a name",
            ));
        }
        if !(5..=600).contains(&self.diagnose.seconds) {
            return Err(ConfigError::new("diagnose.seconds", self.diagnose.seconds, "5 to 600"));
        }
        Ok(())
    }

    /// The baseline and the changes.
    pub fn builds(&self) -> impl Iterator<Item = &Build> {
        std::iter::once(&self.baseline).chain(&self.changes)
    }

    /// Metrics by which a change is judged; empty means all.
    pub fn metrics(&self) -> &[Metric] {
        &self.compare.gate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
        url = "http://127.0.0.1:8080/"
        [baseline]
        name = "one reader"
        command = "./server --readers 1"
        [[change]]
        name = "eight readers"
        command = "./server --readers 8"
        env = { LOG = "off" }
        [load]
        rate = 2000
        block = "5s"
        [compare]
        pairs = 12
        gate = ["p99", "throughput"]
        [gate]
        slo = "p99<50ms"
        require = "improvement"
    "#;

    #[test]
    fn a_small_file_has_defaults_for_the_rest() {
        let config = CycleConfig::parse(SMALL).unwrap();
        assert_eq!((config.changes.len(), config.load.connections, config.compare.pairs), (1, 64, 12));
        assert_eq!(config.metrics(), [Metric::P99, Metric::Throughput]);
        assert_eq!(config.gate.require, Require::Improvement);
        assert_eq!(config.changes[0].env["LOG"], "off");
        assert!(config.diagnose.enabled && config.title.is_none());
    }

    #[test]
    fn capacities_to_try_have_two_values() {
        let config = CycleConfig::parse(&format!("{SMALL}[diagnose.try]\npool = [1, 2]")).unwrap();
        assert_eq!(config.diagnose.capacities, [(Capacity::Pool, [1, 2])].into());
        check(&format!("{SMALL}[diagnose.try]\nluck = [1, 2]"), "unknown variant `luck`");
    }

    fn check(text: &str, part: &str) {
        let error = CycleConfig::parse(text).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    #[test]
    fn a_misspelt_field_is_named() {
        check(&SMALL.replace("pairs", "pair"), "unknown field `pair`");
    }
    #[test]
    fn a_missing_command_is_named() {
        check("url = 'http://x/'\n[baseline]\nname = 'a'", "missing field `command`");
    }
    #[test]
    fn a_value_out_of_range_is_named() {
        check(&SMALL.replace("12", "3"), "`compare.pairs` is 3");
    }
    #[test]
    fn two_builds_of_one_name_are_refused() {
        check(&SMALL.replace("eight readers", "one reader"), "`name` is one reader");
    }
    #[test]
    fn an_empty_command_is_refused() {
        check(&SMALL.replace("./server --readers 8", " "), "build `eight readers`");
    }
}
