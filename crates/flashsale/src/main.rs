//! The service as a program of its own; everything is in the library.

use std::process::ExitCode;

use seawall::observe::{LogConfig, init_logging};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flashsale: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let Some(config) = flashsale::args::parse(std::env::args().skip(1))? else {
        print!("{}", flashsale::args::HELP);
        return Ok(());
    };
    init_logging(&LogConfig { level: "warn".to_owned() })?;
    flashsale::serve(&config)
}
