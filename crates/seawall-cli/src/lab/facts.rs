//! Where a run was made, for stored runs and reports: machine, kernel, commit, compiler.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use seawall_lab::report::Fact;

use crate::demo::environment::{fact, memory, processor};

/// The facts that can be found out; the rest is absent. `dir` is where the build under test lives.
pub(super) fn environment(dir: &Path) -> Vec<Fact> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let mut facts = vec![
        fact("Processor", processor(&read("/proc/cpuinfo"))),
        fact("Memory", memory(&read("/proc/meminfo"))),
        fact("Kernel", format!("{} {}", std::env::consts::OS, read("/proc/sys/kernel/osrelease").trim())),
    ];
    let governor = read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    if !governor.trim().is_empty() {
        facts.push(fact("CPU governor", governor.trim()));
    }
    if let Some(commit) = output(dir, "git", &["rev-parse", "--short=10", "HEAD"]) {
        let dirty = output(dir, "git", &["status", "--porcelain", "--untracked-files=no"]).is_some();
        facts.push(fact("Git commit", format!("{commit}{}", if dirty { ", with changes" } else { "" })));
    }
    if let Some(version) = output(dir, "rustc", &["--version"]) {
        facts.push(fact("rustc", version.trim_start_matches("rustc ")));
    }
    let build = if cfg!(debug_assertions) { "debug build" } else { "release build" };
    facts.push(fact("Seawall", format!("{}, {build}", env!("CARGO_PKG_VERSION"))));
    facts
}

/// What a command prints, without the line's end; `None` if it fails or prints nothing.
fn output(dir: &Path, program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).current_dir(dir).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// The commit, or else "working copy", as a run's label.
pub(super) fn label(facts: &[Fact]) -> String {
    let commit = facts.iter().find(|fact| fact.name == "Git commit");
    commit.map_or_else(|| "working copy".to_owned(), |fact| fact.value.clone())
}
