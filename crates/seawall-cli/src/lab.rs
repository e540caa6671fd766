//! `seawall lab`: what surrounds the load: the knee, how a service grows, where its time goes, why it is slow, builds against
//! each other, the whole cycle, the history of runs, reports.
//!
//! Here is only which command runs. Each is a module; what they decide is seawall-lab's.

pub(crate) mod blocks;
pub(crate) mod capacities;
mod common;
mod compare;
mod comparison;
mod course;
mod cycle;
mod diagnose;
mod doctor;
mod facts;
mod find_max;
mod history;
mod inside;
mod output;
mod profile;
mod report;
mod scale;
pub(crate) mod server;
mod text;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

/// Exit code of a run that failed.
const FAILED: u8 = 1;
/// Exit code of a wrong command line.
const USAGE: u8 = 2;
/// Exit code of a broken objective.
const SLO_BROKEN: u8 = 3;
/// Exit code of a measurement that does not count.
const INVALID: u8 = 4;
/// Exit code of a regression that is proven.
const REGRESSION: u8 = 5;
/// Exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;

const EXIT_CODES: &str = "Exit codes:
  0 nothing is worse   1 the run failed, or a gain that was required is not proven   2 wrong arguments
  3 an objective is broken   4 INVALID: too few blocks count   5 a regression is proven   130 interrupted";

/// Arguments of `seawall lab`.
#[derive(Debug, Args)]
pub(crate) struct LabArgs {
    #[command(subcommand)]
    command: LabCommand,
}

#[derive(Debug, Subcommand)]
enum LabCommand {
    /// How much can it take? The highest load that holds the objectives, as an interval
    FindMax(Box<find_max::FindMaxArgs>),
    /// How does it grow? Throughput over connections, and the law behind it
    Scale(Box<scale::ScaleArgs>),
    /// Where does its time go? CPU, heap, lock and off-CPU profiles under load
    Profile(Box<profile::ProfileArgs>),
    /// Why is it slow? Load, signals and profiles in, ranked causes out
    Diagnose(Box<diagnose::DiagnoseArgs>),
    /// Which of two builds is better, and is that proven?
    Compare(Box<compare::CompareArgs>),
    /// Baseline, diagnosis, changes, comparison, report, out of one file, with an exit code for CI
    Cycle(cycle::CycleArgs),
    /// Stored runs, and where the service changed
    History(history::HistoryArgs),
    /// Makes a page out of the JSON that a lab command wrote
    Report(report::ReportArgs),
    /// What can the lab see on this machine, and what would help?
    Doctor(doctor::DoctorArgs),
}

/// Runs a lab command and says how the process should exit.
///
/// # Errors
/// A target that does not answer, a command that cannot be started, a file that cannot be read or written.
pub(crate) fn run(args: &LabArgs) -> Result<ExitCode> {
    match &args.command {
        LabCommand::FindMax(args) => find_max::run(args),
        LabCommand::Scale(args) => scale::run(args),
        LabCommand::Profile(args) => profile::run(args),
        LabCommand::Diagnose(args) => diagnose::run(args),
        LabCommand::Compare(args) => compare::run(args),
        LabCommand::Cycle(args) => cycle::run(args),
        LabCommand::History(args) => history::run(args),
        LabCommand::Report(args) => report::run(args),
        LabCommand::Doctor(args) => doctor::run(args),
    }
}

/// A wrong value: what is wrong, and where help is.
fn usage(error: &dyn std::fmt::Display, command: &str) -> ExitCode {
    eprintln!("error: {error}\n\nFor more, try `seawall lab {command} --help`.");
    ExitCode::from(USAGE)
}
