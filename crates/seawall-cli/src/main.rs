//! The `seawall` command: `load` measures any HTTP service, `lab` finds its limits and compares builds, `demo` shows everything Seawall can do on its own one, `new`
//! begins another, `routes` explains a route table.
//!
//! Each subcommand is a module; here is only which one runs, and how an error becomes text and an exit code.

mod demo;
mod lab;
mod load;
mod new;
mod routes;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit code of a run that failed.
const FAILED: u8 = 1;

#[derive(Debug, Parser)]
#[command(name = "seawall", version, about = "Services that hold at peak, and the lab that proves it")]
#[command(after_help = "Start with `seawall demo`; then measure your own service with `seawall load URL`.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Puts load on an HTTP service and measures it honestly
    Load(Box<load::LoadArgs>),
    /// Finds limits, names causes, compares builds, shows it
    Lab(Box<lab::LabArgs>),
    /// Says which route of a table each request finds, and why
    Routes(routes::RoutesArgs),
    /// Starts a flash sale, finds its knee, sells it out, checks every order, and shows a report
    Demo(demo::DemoArgs),
    /// Writes a small service that builds, runs and has tests
    New(new::NewArgs),
    /// The service that the demo starts
    #[command(name = demo::SUBCOMMAND, hide = true)]
    ServeFlashsale(demo::ServeArgs),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Load(args) => load::run(&args),
        Command::Lab(args) => lab::run(&args),
        Command::Routes(args) => routes::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::New(args) => new::run(&args),
        Command::ServeFlashsale(args) => demo::serve(args).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(FAILED)
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }
}
