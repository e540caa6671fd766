//! `cargo xtask fuzz`: libFuzzer on the parsers that meet a client's bytes.
//!
//! The instrumentation is asked of the stable compiler by plain flags, so nothing here needs nightly or another tool;
//! libFuzzer itself comes with a crate and wants a C++ compiler. What is found is kept in `fuzz/corpus`, whose files are
//! replayed by ordinary tests (`crates/seawall-http/tests/raw/corpus.rs`), which is what CI runs of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::setup;

/// What to fuzz, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct FuzzArgs {
    /// The target, a folder of `fuzz/corpus`. Default: each of them in turn.
    target: Option<String>,
    /// Seconds per target.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
}

/// How sancov counts edges and compares operands; what `cargo fuzz` asks for as well.
const FLAGS: [&str; 8] = [
    "-C force-frame-pointers=yes",
    "-C passes=sancov-module",
    "-C llvm-args=-sanitizer-coverage-level=4",
    "-C llvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-C llvm-args=-sanitizer-coverage-pc-table",
    "-C llvm-args=-sanitizer-coverage-trace-compares",
    "-C llvm-args=-simplifycfg-branch-fold-threshold=0",
    "--cfg fuzzing",
];

/// Builds the targets, and runs them.
pub(crate) fn run(root: &Path, args: &FuzzArgs) -> Result<()> {
    let corpus = root.join("fuzz/corpus");
    let targets = match &args.target {
        Some(target) if corpus.join(target).is_dir() => vec![target.clone()],
        Some(target) => bail!("there is no target `{target}`; there are {}", folders(&corpus)?.join(", ")),
        None => folders(&corpus)?,
    };
    let program = build(root)?;
    for target in &targets {
        fuzz(root, &program, target, args.seconds)?;
    }
    println!("nothing was found");
    Ok(())
}

fn folders(corpus: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(corpus).with_context(|| format!("cannot list {}", corpus.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// With a target named, cargo instruments only what runs on it, not build scripts.
fn build(root: &Path) -> Result<PathBuf> {
    let (host, folder) = (host()?, target_folder(root));
    let mut command = Command::new(setup::cargo());
    command.args(["build", "--release", "--quiet", "--manifest-path", "fuzz/Cargo.toml", "--target", &host]);
    command.current_dir(root).env("CARGO_TARGET_DIR", &folder).stdin(Stdio::null());
    command.env("RUSTFLAGS", FLAGS.join(" "));
    let status = command.status().context("cannot start cargo")?;
    if !status.success() {
        bail!("the fuzzer does not build ({status})");
    }
    Ok(folder.join(host).join("release/seawall-fuzz"))
}

fn target_folder(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    target.join("fuzz")
}

fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot start rustc")?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say its host")?.to_owned())
}

/// New inputs go below the target folder; those that find something new may be moved to the corpus by hand, with a name
/// that says what they are.
fn fuzz(root: &Path, program: &Path, target: &str, seconds: u32) -> Result<()> {
    let kept = target_folder(root).join("inputs").join(target);
    let found = target_folder(root).join("found").join(target);
    for folder in [&kept, &found] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    println!("fuzzing {target} for {seconds} s");
    let mut command = Command::new(program);
    command.arg(&kept).arg(root.join("fuzz/corpus").join(target));
    command.args([
        &format!("-max_total_time={seconds}"),
        "-max_len=2048",
        "-timeout=60",
        "-rss_limit_mb=2048",
    ]);
    command.args(["-print_final_stats=1", &format!("-artifact_prefix={}/", found.display())]);
    let log = found.join("log");
    let file = fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    command.env("SEAWALL_FUZZ", target).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
    let status = command.status().with_context(|| format!("cannot start {}", program.display()))?;
    if !status.success() {
        bail!(
            "`{target}` found something: the input is in {}, the story in {}",
            found.display(),
            log.display()
        );
    }
    Ok(())
}
