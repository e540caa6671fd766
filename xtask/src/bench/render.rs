//! `cargo xtask bench render`: measurements as the tables of docs/PERFORMANCE.md, between their markers.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::machine::Machine;
use super::{defaults, http, load, overload};

const DOCUMENT: &str = "docs/PERFORMANCE.md";

/// What is put into the document.
#[derive(Debug, clap::Args)]
pub(crate) struct RenderArgs {
    /// Files that `cargo xtask bench http`, `defaults`, `load` or `overload` wrote with --json.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Also takes numbers from a machine that had other work, and says so beside them.
    #[arg(long)]
    even_if_noisy: bool,
}

/// What all such files have.
#[derive(Debug, Deserialize)]
struct Any {
    kind: String,
    machine: Machine,
}

/// Replaces the tables of the kinds that the files have.
pub(crate) fn render(root: &Path, args: &RenderArgs) -> Result<()> {
    let path = root.join(DOCUMENT);
    let mut document = std::fs::read_to_string(&path).with_context(|| format!("cannot read {DOCUMENT}"))?;
    for file in &args.files {
        let name = file.display();
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
        let any: Any =
            serde_json::from_str(&text).with_context(|| format!("{name} is no result of a bench"))?;
        if !any.machine.is_quiet() && !args.even_if_noisy {
            bail!(
                "{name}: the machine had other work ({:.2} cores of it); measure again, or add --even-if-noisy",
                any.machine.busy
            );
        }
        let tables = match any.kind.as_str() {
            http::KIND => {
                http::render(&serde_json::from_str(&text).with_context(|| format!("reading {name}"))?)
            }
            defaults::KIND => {
                defaults::render(&serde_json::from_str(&text).with_context(|| format!("reading {name}"))?)
            }
            load::KIND => {
                load::render(&serde_json::from_str(&text).with_context(|| format!("reading {name}"))?)
            }
            overload::KIND => {
                let results = serde_json::from_str(&text).with_context(|| format!("reading {name}"))?;
                std::fs::write(root.join(overload::PICTURE), overload::draw(&results))
                    .with_context(|| format!("cannot write {}", overload::PICTURE))?;
                overload::render(&results)
            }
            other => bail!("{name}: there are no tables for `{other}`"),
        };
        document = replaced(&document, &any.kind, &tables)?;
        println!("{DOCUMENT}: tables of `{}` from {name}", any.kind);
    }
    std::fs::write(&path, document).with_context(|| format!("cannot write {DOCUMENT}"))
}

/// The document with `tables` between the markers of `kind`.
fn replaced(document: &str, kind: &str, tables: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- {kind}: begin -->\n"), format!("<!-- {kind}: end -->"));
    let cut = document.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let (before, after) =
        cut.with_context(|| format!("{DOCUMENT} has no lines `{}` and `{end}`", begin.trim_end()))?;
    Ok(format!("{before}{begin}{}\n{end}{after}", tables.trim_end()))
}

/// Where numbers come from, in a sentence that stands above their tables.
pub(super) fn origin(command: &str, machine: &Machine) -> String {
    let Machine { cpu, cores, kernel, date, rustc, busy } = machine;
    let noisy = if machine.is_quiet() {
        String::new()
    } else {
        format!("; **{busy:.1} cores of it had other work: only ratios mean something**")
    };
    format!("`{command}` ({date}, {cores} cores of {cpu}, Linux {kernel}, Rust {rustc}{noisy})\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_between_the_markers_changes() {
        let document = "a\n<!-- http: begin -->\nold\n<!-- http: end -->\nb\n";
        let new = "a\n<!-- http: begin -->\nnew\n<!-- http: end -->\nb\n";
        assert_eq!(replaced(document, "http", "new\n").unwrap(), new);
        assert_eq!(replaced(new, "http", "new\n").unwrap(), new);
        let error = replaced(document, "defaults", "x").unwrap_err();
        assert_eq!(
            error.to_string(),
            "docs/PERFORMANCE.md has no lines `<!-- defaults: begin -->` and `<!-- defaults: end -->`"
        );
    }

    #[test]
    fn the_document_has_all_markers() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let document = std::fs::read_to_string(root.join(DOCUMENT)).unwrap();
        for kind in [http::KIND, defaults::KIND, load::KIND, overload::KIND] {
            replaced(&document, kind, "x").unwrap();
        }
    }
}
