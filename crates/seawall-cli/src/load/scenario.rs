//! `seawall load scenario`: users who go through the steps of a file.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use seawall_load::scenario::{Scenario, ScenarioFile, run_scenarios};
use seawall_load::users::UsersConfig;
use seawall_load::{ConfigError, SelfTestConfig};

use super::args::{ConnectArgs, TlsArgs};
use super::output::OutputArgs;
use super::{measure, values};

const EXAMPLES: &str = r#"A scenario:
  url = "http://127.0.0.1:8080"
  data = "users.csv"                       # beside this file; {{csv.COLUMN}}
  think = "500ms..2s"                      # before each step

  [[flow]]
  name = "buy"
  weight = 3                               # three of four visits, if another flow has weight 1

  [[flow.step]]
  name = "log in"
  method = "POST"
  path = "/login"
  body = '{"user": "{{csv.user}}"}'
  expect = { status = [200], body_contains = "token" }
  extract.token = { json = "/token" }      # or { regex = "t=(\w+)" } or { header = "X-Token" }

  [[flow.step]]
  name = "order"
  method = "POST"
  path = "/orders"
  headers = { Authorization = "Bearer {{token}}" }
  think = "0s"
  expect = { status = [201], json = { "/state" = "new" } }

Each user visits again and again; a visit takes the next row of the data. An answer that is not as expected is counted
as expect_failed and ends the visit; without an expectation a status of 400 or above does. Expectations also know
body_matches and headers."#;

/// Arguments of `seawall load scenario`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ScenarioArgs {
    /// The scenario, in TOML
    file: PathBuf,
    /// The target, instead of the file's
    url: Option<String>,
    /// Users at once; they share the connections
    #[arg(short = 'u', long, value_name = "N", default_value_t = 10)]
    users: usize,
    /// Users arrive evenly over this time
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = values::duration)]
    ramp_up: Duration,
    /// How long they visit
    #[arg(short = 'd', long, value_name = "TIME", default_value = "10s", value_parser = values::duration)]
    duration: Duration,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &ScenarioArgs) -> Result<ExitCode> {
    let mut config = UsersConfig {
        connections: args.connect.connections,
        threads: args.connect.threads,
        time_limit: args.duration,
        drain: args.connect.timeout,
        connect_timeout: args.connect.connect_timeout,
        cpus: args.connect.cpus(),
        connect: args.connect.connect(),
        tls: args.tls.config(),
        ..UsersConfig::default()
    };
    let scenario = ScenarioFile::read(&args.file, args.connect.seed).and_then(|file| match &args.url {
        Some(url) => file.against(url),
        None if file.url().is_some() => Ok(file),
        None => Err(ConfigError::new("scenario.url", "missing", "in the file or on the command line")),
    });
    if let Ok(scenario) = &scenario {
        config.url = scenario.url().unwrap_or_default().to_owned();
    }
    let client = SelfTestConfig {
        connections: config.connections,
        threads: config.threads,
        cpus: config.cpus.clone(),
        interrupt: Arc::clone(&config.interrupt),
    };
    measure(
        &args.output,
        &config.url,
        &client,
        || scenario,
        |scenario, observer| {
            run_scenarios(&config, &[(1, &scenario as &dyn Scenario)], args.users, args.ramp_up, observer)
        },
    )
}
