//! What the code has and a document lists must be the same: unsafe code, metrics, the README's example.

use std::collections::BTreeMap;

use super::scan::has_word;
use super::{Finding, Tree};

const UNSAFE_LIST: &str = "docs/UNSAFE.md";
const METRIC_LIST: &str = "docs/METRICS.md";

/// A metric's name begins with one of these.
const METRIC_PREFIXES: [&str; 4] = ["seawall_", "http_server_", "process_", "flashsale_"];

/// Files with `unsafe` are listed in docs/UNSAFE.md, and only they.
pub(super) fn unsafe_code(tree: &Tree) -> Vec<Finding> {
    let mut found = BTreeMap::new();
    for source in &tree.sources {
        let first = source.all_lines().find(|(_, line)| has_word(&line.code, "unsafe"));
        if let Some((number, _)) = first {
            found.insert(source.path.clone(), (source.path.clone(), number));
        }
    }
    compare(tree, UNSAFE_LIST, &found, |name| name.ends_with(".rs"), "unsafe code in")
}

/// Metrics are listed in docs/METRICS.md, and only they.
pub(super) fn metrics(tree: &Tree) -> Vec<Finding> {
    let mut found = BTreeMap::new();
    for source in tree.sources.iter().filter(|source| source.path.starts_with("crates/")) {
        let mut before = "";
        for (number, line) in source.product_lines() {
            // The piece of code before each string: where the string is the first argument, it ends with the call.
            for (name, piece) in line.strings.iter().zip(line.code.split("\"\"")) {
                let call = if piece.trim().is_empty() { before } else { piece };
                // The process's own metrics are not registered but written.
                if is_metric(name) && (is_registration(call) || name.starts_with("process_")) {
                    found.entry(name.clone()).or_insert_with(|| (source.path.clone(), number));
                }
            }
            before = &line.code;
        }
    }
    compare(tree, METRIC_LIST, &found, is_metric, "the metric")
}

/// The README's example is compiled by the facade, and the Chinese page shows the same one.
pub(super) fn readme(tree: &Tree) -> Vec<Finding> {
    let facade = tree.sources.iter().find(|source| source.path == "crates/seawall/src/lib.rs");
    let included = facade.is_some_and(|facade| {
        facade.lines.iter().any(|line| line.strings.iter().any(|text| text.ends_with("/README.md")))
    });
    let mut findings = Vec::new();
    if !included {
        let message = "include README.md as a doctest: `#[doc = include_str!(\"../../../README.md\")]`";
        findings.push(Finding::new("crates/seawall/src/lib.rs", 1, message));
    }
    let [english, chinese] = ["README.md", "README.zh-CN.md"].map(|path| rust_blocks(tree.document(path)));
    if english.is_empty() {
        findings.push(Finding::new("README.md", 1, "show a service in a ```rust block"));
    }
    if english != chinese {
        findings.push(Finding::new("README.zh-CN.md", 1, "the Rust examples differ from README.md's"));
    }
    findings
}

/// Compares what was found (name, with the place of one) with the rows of a list.
fn compare(
    tree: &Tree,
    list: &str,
    found: &BTreeMap<String, (String, usize)>,
    of_interest: fn(&str) -> bool,
    what: &str,
) -> Vec<Finding> {
    let rows: BTreeMap<_, _> = rows(tree.document(list).unwrap_or_default())
        .filter(|(name, _)| of_interest(name))
        .map(|(name, line)| (name.to_owned(), line))
        .collect();
    let missing = found.iter().filter(|(name, _)| !rows.contains_key(*name));
    let missing = missing.map(|(name, (path, line))| {
        Finding::new(path, *line, format!("{what} `{name}` is not listed in {list}"))
    });
    let stale = rows.iter().filter(|(name, _)| !found.contains_key(*name));
    let stale =
        stale.map(|(name, line)| Finding::new(list, *line, format!("there is no longer {what} `{name}`")));
    missing.chain(stale).collect()
}

/// The first cell of each table row, where it is a name in backticks.
fn rows(document: &str) -> impl Iterator<Item = (&str, usize)> {
    document.lines().enumerate().filter_map(|(at, line)| {
        let name = line.strip_prefix("| `")?.split('`').next()?;
        Some((name, at + 1))
    })
}

fn is_metric(text: &str) -> bool {
    let named = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let prefixed = METRIC_PREFIXES.iter().any(|prefix| text.starts_with(prefix) && text.len() > prefix.len());
    named && prefixed
}

fn is_registration(call: &str) -> bool {
    ["counter(", "gauge(", "timer("].iter().any(|call_end| call.trim_end().ends_with(call_end))
}

fn rust_blocks(document: Option<&str>) -> Vec<String> {
    let blocks = document.unwrap_or_default().split("```rust").skip(1);
    blocks.filter_map(|block| Some(block.split_once('\n')?.1.split("```").next()?.to_owned())).collect()
}
