//! What a lab command leaves behind: `-o json=FILE`, `-o html=FILE`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use seawall_lab::artifact::{Artifact, Found, SCHEMA};
use seawall_lab::report::lab::{lab_html, of_artifact};

use crate::demo::{clock, environment};

/// A file and what goes into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Out {
    /// The artifact.
    Json(PathBuf),
    /// The report.
    Html(PathBuf),
}

/// Reads `json=FILE` or `html=FILE`.
pub(super) fn parse(text: &str) -> Result<Out, String> {
    match text.split_once('=') {
        Some(("json", file)) if !file.is_empty() => Ok(Out::Json(file.into())),
        Some(("html", file)) if !file.is_empty() => Ok(Out::Html(file.into())),
        _ => Err(format!("`{text}` is no output: write json=FILE or html=FILE")),
    }
}

/// An artifact of now.
pub(super) fn artifact(target: &str, environment: Vec<seawall_lab::report::Fact>, found: Found) -> Artifact {
    let quoted = |word: String| {
        let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:=,+%@".contains(&b));
        if plain && !word.is_empty() { word } else { format!("'{}'", word.replace('\'', "'\\''")) }
    };
    let arguments: Vec<String> = std::env::args().skip(1).map(quoted).collect();
    Artifact {
        schema: SCHEMA,
        generator: format!("seawall {}", env!("CARGO_PKG_VERSION")),
        made_at: environment::utc(clock::since_epoch()),
        command: format!("seawall {}", arguments.join(" ")),
        target: target.to_owned(),
        environment,
        found,
    }
}

/// Writes all outputs and says where they are.
pub(super) fn write(outputs: &[Out], artifact: &Artifact) -> Result<()> {
    for out in outputs {
        match out {
            Out::Json(path) => write_file(path, &(serde_json::to_string(artifact)? + "\n"))?,
            Out::Html(path) => write_file(path, &lab_html(&of_artifact(artifact)))?,
        }
    }
    Ok(())
}

/// Writes a file.
pub(super) fn write_file(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_a_kind_and_a_file() {
        assert_eq!(parse("html=a=b.html"), Ok(Out::Html("a=b.html".into())));
        assert_eq!(parse("json=x"), Ok(Out::Json("x".into())));
        assert!(parse("html=").is_err() && parse("pdf=x").unwrap_err().contains("json=FILE or html=FILE"));
    }
}
