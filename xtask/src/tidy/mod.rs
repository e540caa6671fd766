//! House rules that no compiler checks. Each rule is a function from the [`Tree`] to [`Finding`]s.
//!
//! Line-based on purpose: [`scan`] tells code, strings and comments apart, and that is all the rules need. Every rule
//! runs twice in the tests, on the repository (nothing may be found) and on a bad example (something must be).

mod absences;
mod lengths;
mod listed;
mod manifests;
mod scan;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use scan::Line;

/// One broken rule, printed as `file:line: what and why`.
#[derive(Debug)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// All files that the rules look at, in memory; paths are relative to the root, with `/`.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    sources: Vec<Source>,
    manifests: Vec<(String, String)>,
    documents: Vec<(String, String)>,
}

/// A Rust file, scanned.
#[derive(Debug)]
struct Source {
    path: String,
    lines: Vec<Line>,
}

/// A rule's name and the rule.
type Rule = (&'static str, fn(&Tree) -> Vec<Finding>);

const RULES: [Rule; 11] = [
    ("dependency edges", manifests::edges),
    ("manifest settings", manifests::settings),
    ("lengths", lengths::lengths),
    ("headers", lengths::headers),
    ("absences", absences::absences),
    ("reasons", absences::reasons),
    ("unsafe code", listed::unsafe_code),
    ("metrics", listed::metrics),
    ("README", listed::readme),
    ("features", listed::features),
    ("middleware", listed::middleware),
];

/// Everything that breaks a rule, rule by rule.
pub(crate) fn check_all(tree: &Tree) -> Vec<Finding> {
    RULES.iter().flat_map(|(_, rule)| rule(tree)).collect()
}

impl Tree {
    /// Reads the repository at `root`.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for path in entries(&folder)? {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    tree.read_file(root, &path)?;
                }
            }
        }
        Ok(tree)
    }

    fn read_file(&mut self, root: &Path, path: &Path) -> Result<()> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        if !matches!(extension, Some("rs" | "toml" | "md")) {
            return Ok(());
        }
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let relative = path.strip_prefix(root).expect("found below the root").to_string_lossy().into_owned();
        self.add(relative, text);
        Ok(())
    }

    fn add(&mut self, path: String, text: String) {
        match path.rsplit('.').next() {
            Some("rs") => self.sources.push(Source { lines: scan::lines(&text), path }),
            Some("toml") => self.manifests.push((path, text)),
            _ => self.documents.push((path, text)),
        }
    }

    fn document(&self, path: &str) -> Option<&str> {
        self.documents.iter().find(|(at, _)| at == path).map(|(_, text)| text.as_str())
    }
}

/// The folder's entries in a fixed order, without build products and hidden folders (but `.cargo`).
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let listing = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths = Vec::new();
    for entry in listing {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let hidden = name.starts_with('.') && name != ".cargo";
        if !hidden && !name.starts_with("target") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

impl Source {
    /// Whether the whole file is test code.
    fn is_test(&self) -> bool {
        let folders = ["tests/", "benches/", "/tests/", "/benches/"];
        self.path.ends_with("/tests.rs")
            || folders[..2].iter().any(|folder| self.path.starts_with(folder))
            || folders[2..].iter().any(|folder| self.path.contains(folder))
    }

    /// The lines outside test code, numbered from 1.
    fn product_lines(&self) -> impl Iterator<Item = (usize, &Line)> {
        let is_test = self.is_test();
        let lines = self.lines.iter().enumerate();
        lines.filter(move |(_, line)| !is_test && !line.in_test).map(|(at, line)| (at + 1, line))
    }

    /// All lines, numbered from 1.
    fn all_lines(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.lines.iter().enumerate().map(|(at, line)| (at + 1, line))
    }
}
