//! `seawall lab report`: a page out of what a lab command wrote as JSON.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use seawall_lab::artifact::Artifact;
use seawall_lab::report::lab::{lab_html, of_artifact};

use super::output::write_file;

/// Arguments of `seawall lab report`.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The JSON that a lab command wrote with `-o json=FILE`
    #[arg(value_name = "FILE")]
    artifact: PathBuf,
    /// Where the page goes [default: the same name, ending in .html]
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(super) fn run(args: &ReportArgs) -> Result<ExitCode> {
    let path = &args.artifact;
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let artifact: Artifact = serde_json::from_str(&text)
        .with_context(|| format!("{} is not what a lab command wrote", path.display()))?;
    let html = args.html.clone().unwrap_or_else(|| path.with_extension("html"));
    write_file(&html, &lab_html(&of_artifact(&artifact)))?;
    println!("{}", html.display());
    Ok(ExitCode::SUCCESS)
}
