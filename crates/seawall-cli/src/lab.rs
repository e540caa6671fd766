//! `seawall lab`: what surrounds the load: the knee, how a service grows, where its time goes, and why it is slow.
//!
//! Here is only which command runs. Each is a module; what they decide is seawall-lab's.

mod common;
mod diagnose;
mod doctor;
mod find_max;
mod profile;
mod scale;
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
/// Exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;

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
    /// What can the lab see on this machine, and what would help?
    Doctor(doctor::DoctorArgs),
}

/// Runs a lab command and says how the process should exit.
///
/// # Errors
/// A target that does not answer, a file that cannot be read or written.
pub(crate) fn run(args: &LabArgs) -> Result<ExitCode> {
    match &args.command {
        LabCommand::FindMax(args) => find_max::run(args),
        LabCommand::Scale(args) => scale::run(args),
        LabCommand::Profile(args) => profile::run(args),
        LabCommand::Diagnose(args) => diagnose::run(args),
        LabCommand::Doctor(args) => doctor::run(args),
    }
}

/// A wrong value: what is wrong, and where help is.
fn usage(error: &dyn std::fmt::Display, command: &str) -> ExitCode {
    eprintln!("error: {error}\n\nFor more, try `seawall lab {command} --help`.");
    ExitCode::from(USAGE)
}
