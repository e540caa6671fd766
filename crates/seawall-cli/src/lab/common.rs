//! Arguments and output that the lab's commands have in common: the target, its process, `-o json=FILE`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use seawall_lab::artifact::Found;
use seawall_lab::profile::fetch::{Endpoint, Secret};
use seawall_load::LoadConfig;

use super::facts;
use super::output::{self, Out};
use crate::load::args::{RequestArgs, TlsArgs};
use crate::load::{stop_on_signals, values};

/// What is loaded.
#[derive(Debug, Args)]
pub(super) struct TargetArgs {
    /// The target, such as http://127.0.0.1:8080/path
    pub(super) url: String,
    #[command(flatten)]
    more: MoreArgs,
}

/// How it is loaded.
#[derive(Debug, Args)]
pub(super) struct MoreArgs {
    #[command(flatten)]
    request: RequestArgs,
    /// Generator threads
    #[arg(short = 't', long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// How long an answer may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::duration)]
    timeout: Duration,
    #[command(flatten)]
    tls: TlsArgs,
}

impl TargetArgs {
    /// The load, which Ctrl-C ends.
    pub(super) fn load(&self) -> Result<LoadConfig> {
        self.more.load(&self.url)
    }
}

impl MoreArgs {
    /// The load of `url`, which Ctrl-C ends.
    pub(super) fn load(&self, url: &str) -> Result<LoadConfig> {
        let mut config = LoadConfig {
            url: url.to_owned(),
            threads: self.threads,
            timeout: self.timeout,
            tls: self.tls.config(),
            ..LoadConfig::default()
        };
        self.request.put_into(&mut config)?;
        stop_on_signals(&config.interrupt)?;
        Ok(config)
    }
}

/// Whose inside is looked at.
#[derive(Debug, Args)]
#[command(next_help_heading = "Looking inside")]
pub(super) struct InsideArgs {
    /// The service's first process [default: whoever listens at the target's port on this machine]
    #[arg(long, value_name = "N")]
    pub(super) pid: Option<u32>,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Where a Seawall service says itself what it does.
#[derive(Debug, Args)]
#[command(next_help_heading = "Looking inside")]
pub(super) struct AdminArgs {
    /// The admin listener of a Seawall service, for its own signals and profiles
    #[arg(long, value_name = "IP:PORT")]
    admin: Option<SocketAddr>,
    /// The environment variable that holds the token of its profiler
    #[arg(long, value_name = "NAME", requires = "admin")]
    token_env: Option<String>,
}

impl InsideArgs {
    /// The service's own endpoint, if it was given.
    pub(super) fn endpoint(&self) -> Result<Option<Endpoint>> {
        self.admin.endpoint()
    }
}

/// At least one whole second.
pub(super) fn whole_seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX).max(1)
}

impl AdminArgs {
    /// The service's own endpoint, if it was given.
    pub(super) fn endpoint(&self) -> Result<Option<Endpoint>> {
        let Some(admin) = self.admin else { return Ok(None) };
        let token = match &self.token_env {
            None => None,
            Some(name) => Some(Secret(std::env::var(name).with_context(|| format!("--token-env {name}"))?)),
        };
        Ok(Some(Endpoint { admin, token }))
    }
}

/// What is written besides the text.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutArgs {
    /// Also write the result: json=FILE, or html=FILE for a report; repeat for more
    #[arg(short = 'o', long = "out", value_name = "KIND=FILE", value_parser = output::parse)]
    out: Vec<Out>,
}

impl OutArgs {
    /// Something is to be written.
    pub(super) fn is_wanted(&self) -> bool {
        !self.out.is_empty()
    }

    /// Files that cannot be written are known before the run begins.
    pub(super) fn check(&self) -> Result<()> {
        for Out::Json(path) | Out::Html(path) in &self.out {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            if folder.is_some_and(|folder| !folder.is_dir()) {
                bail!("cannot write {}: its folder is not there", path.display());
            }
        }
        Ok(())
    }

    /// Writes the result of a run with `target`.
    pub(super) fn write(&self, target: &str, found: Found) -> Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let environment = facts::environment(&std::env::current_dir()?);
        output::write(&self.out, &output::artifact(target, environment, found))
    }
}

/// The run was ended by Ctrl-C.
pub(super) fn is_interrupted(load: &LoadConfig) -> bool {
    Arc::clone(&load.interrupt).load(std::sync::atomic::Ordering::Relaxed)
}
