//! Builds what is measured, and what measures: release, each peer with its own features alone.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::generator::Generator;
use crate::{clock, setup};

/// Where cargo builds.
pub(super) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// The load generator.
pub(super) fn generator(root: &Path, target: &Path) -> Result<Generator> {
    cargo(root, target, "the generator", &["--package", "seawall-cli"])?;
    Ok(Generator(target.join("release/seawall")))
}

/// A program of examples/.
pub(super) fn example(root: &Path, target: &Path, name: &str) -> Result<PathBuf> {
    cargo(root, target, name, &["--package", "seawall-examples", "--example", name])?;
    Ok(target.join("release/examples").join(name))
}

/// A program of the bench workspace, built with one of its features: with those of others it would be another program,
/// since cargo unites the features of what is built together.
pub(super) fn peer(root: &Path, target: &Path, program: &str, feature: &str) -> Result<PathBuf> {
    let arguments = [
        "--manifest-path",
        "bench/Cargo.toml",
        "--no-default-features",
        "--features",
        feature,
        "--bin",
        program,
    ];
    let target = target.join("peers");
    cargo(root, &target, program, &arguments)?;
    Ok(target.join("release").join(program))
}

/// The lock file of the peers.
pub(super) fn lock(root: &Path) -> Result<String> {
    std::fs::read_to_string(root.join("bench/Cargo.lock")).context("cannot read bench/Cargo.lock")
}

/// The version of the package `name` in a lock file; of several the first.
pub(super) fn version<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = lock.lines().skip_while(|line| *line != format!("name = \"{name}\""));
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')
}

fn cargo(root: &Path, target: &Path, what: &str, arguments: &[&str]) -> Result<()> {
    println!("building {what}");
    let start = clock::now();
    let mut command = Command::new(setup::cargo());
    command.current_dir(root).args(["build", "--release", "--quiet"]).args(arguments);
    command.env("CARGO_TARGET_DIR", target).stdin(Stdio::null());
    let status = command.status().context("cannot start cargo")?;
    if !status.success() {
        bail!("{what} does not build; to see it again:\n  cargo build --release {}", arguments.join(" "));
    }
    let took = (clock::now() - start).as_secs();
    if took > 2 {
        println!("building {what}: {took} s");
    }
    Ok(())
}
