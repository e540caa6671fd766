//! The steps of `cargo xtask test`, in the order in which a mistake is found soonest.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::{clock, setup, tidy};

/// One child process of the check.
struct Step {
    name: &'static str,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

/// Where cargo builds; the value given in a [`Step`] is a folder inside of it.
const TARGET: &str = "CARGO_TARGET_DIR";

const STEPS: [Step; 9] = [
    Step { name: "format", arguments: &["fmt", "--all", "--check"], environment: &[] },
    Step {
        name: "clippy",
        arguments: &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ],
        environment: &[],
    },
    Step {
        name: "tests",
        // The house rules are among them, as tests of this crate.
        arguments: &["nextest", "run", "--workspace", "--all-features", "--cargo-quiet", "--no-fail-fast"],
        environment: &[],
    },
    Step {
        name: "features",
        // Every optional part may be left out: of the framework, and TLS of the client.
        arguments: &[
            "check",
            "--quiet",
            "--package",
            "seawall-http",
            "--package",
            "seawall-client",
            "--no-default-features",
        ],
        environment: &[],
    },
    Step {
        name: "alone",
        // The profiler without the framework, as a service on axum or hyper has it.
        arguments: &[
            "check",
            "--quiet",
            "--package",
            "seawall-observe",
            "--no-default-features",
            "--features",
            "pprof",
        ],
        environment: &[],
    },
    Step {
        name: "models",
        arguments: &["test", "--quiet", "--package", "seawall-guard", "--lib", "model"],
        // Another cfg rebuilds everything below it: in a folder of its own, so that the others stay built.
        environment: &[("RUSTFLAGS", "--cfg loom"), (TARGET, "loom")],
    },
    Step {
        name: "peers",
        // The bench workspace is none of ours to lint, but it must go on to build on our API. Peers that take long are
        // not among its default features.
        arguments: &["check", "--quiet", "--manifest-path", "bench/Cargo.toml"],
        environment: &[(TARGET, "peers")],
    },
    Step {
        name: "doctests",
        arguments: &["test", "--doc", "--workspace", "--all-features", "--quiet"],
        environment: &[],
    },
    Step {
        name: "docs",
        // Private items too: module headers point at them, and a link that rots should be seen.
        arguments: &[
            "doc",
            "--workspace",
            "--all-features",
            "--no-deps",
            "--document-private-items",
            "--quiet",
        ],
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
    },
];

/// The whole check.
pub(crate) fn test(root: &Path) -> Result<()> {
    let start = clock::now();
    let mut times = vec![timed("setup", || setup::run(root))?, timed("tidy", || tidy(root))?];
    for step in &STEPS {
        times.push(timed(step.name, || step.run(root))?);
    }
    println!("\nall steps passed");
    for (name, time) in times {
        println!("  {name:<10} {:>7.1} s", time.as_secs_f64());
    }
    println!("  {:<10} {:>7.1} s", "together", (clock::now() - start).as_secs_f64());
    Ok(())
}

/// The house rules alone.
pub(crate) fn tidy(root: &Path) -> Result<()> {
    let findings = tidy::check_all(&tidy::Tree::read(root)?);
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => bail!("tidy: one rule is broken (above)"),
        many => bail!("tidy: rules are broken in {many} places (above)"),
    }
}

/// Formats everything.
pub(crate) fn fmt(root: &Path) -> Result<()> {
    Step { name: "fmt", arguments: &["fmt", "--all"], environment: &[] }.run(root)
}

fn timed(name: &'static str, step: impl FnOnce() -> Result<()>) -> Result<(&'static str, Duration)> {
    println!("\n== {name}");
    let start = clock::now();
    step()?;
    let took = clock::now() - start;
    println!("== {name}: passed in {:.1} s", took.as_secs_f64());
    Ok((name, took))
}

impl Step {
    fn run(&self, root: &Path) -> Result<()> {
        let mut command = Command::new(setup::cargo());
        command.args(self.arguments).current_dir(root).stdin(Stdio::null());
        command.envs(self.environment(root));
        let status = command.status().with_context(|| format!("{}: cannot start cargo", self.name))?;
        if !status.success() {
            bail!("{} ({status}); to repeat this step alone:\n  {}", self.name, self.command_line());
        }
        Ok(())
    }

    fn environment(&self, root: &Path) -> Vec<(&str, OsString)> {
        let target = std::env::var_os(TARGET).map_or_else(|| root.join("target"), PathBuf::from);
        let value = |name: &str, value: &str| match name {
            TARGET => target.join(value).into_os_string(),
            _ => value.into(),
        };
        self.environment.iter().map(|(name, text)| (*name, value(name, text))).collect()
    }

    fn command_line(&self) -> String {
        let flags = self.environment.iter().filter(|(name, _)| *name != TARGET);
        let environment = flags.map(|(name, value)| format!("{name}='{value}' "));
        format!("{}cargo {}", environment.collect::<String>(), self.arguments.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_says_how_to_repeat_it() {
        let step = Step { name: "docs", arguments: &["doc", "--quiet"], environment: &[("FLAGS", "-D x")] };
        assert_eq!(step.command_line(), "FLAGS='-D x' cargo doc --quiet");
    }

    #[test]
    fn every_step_looks_at_the_whole_workspace_or_names_what_it_looks_at() {
        for step in &STEPS {
            let whole = ["--workspace", "--all", "--package", "--manifest-path"];
            assert!(step.arguments.iter().any(|argument| whole.contains(argument)), "{}", step.name);
        }
    }
}
