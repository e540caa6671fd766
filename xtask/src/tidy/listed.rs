//! What the code has and a document lists must be the same: unsafe code, metrics, the README's example.

use std::collections::BTreeMap;

use super::scan::has_word;
use super::{Finding, Tree};

const UNSAFE_LIST: &str = "docs/UNSAFE.md";
const METRIC_LIST: &str = "docs/METRICS.md";
const FEATURE_LIST: &str = "docs/FEATURES.md";
const MIDDLEWARE_LIST: &str = "docs/MIDDLEWARE.md";
const MIDDLEWARE_FOLDER: &str = "crates/seawall-http/src/middleware/";
/// What any middleware may be made of or wrapped in.
const FORMS_OF_MIDDLEWARE: [&str; 4] = ["Around", "F", "Hook", "Unless"];

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

/// Every test that docs/FEATURES.md links to is there; and so is every chapter of the guide, in its table of contents
/// and among the doctests.
pub(super) fn features(tree: &Tree) -> Vec<Finding> {
    let links = tree.document(FEATURE_LIST).unwrap_or_default().lines().enumerate().flat_map(|(at, line)| {
        let links = line.split("[`").skip(1).filter_map(|link| link.split_once("`](../"));
        links.filter_map(move |(name, rest)| Some((at + 1, name, rest.split(')').next()?)))
    });
    let missing = links.filter(|(_, name, path)| {
        let source = tree.sources.iter().find(|source| source.path == *path);
        let head = format!("fn {name}(");
        !source.is_some_and(|source| source.lines.iter().any(|line| line.code.contains(&head)))
    });
    let missing = missing
        .map(|(line, name, path)| Finding::new(FEATURE_LIST, line, format!("no test `{name}` in {path}")));
    missing.chain(chapters(tree)).collect()
}

fn chapters(tree: &Tree) -> impl Iterator<Item = Finding> {
    let contents = tree.document("guide/src/SUMMARY.md").unwrap_or_default();
    let doctests = tree.sources.iter().find(|source| source.path == "examples/guide.rs");
    let is_tested = move |name: &str| {
        doctests.is_some_and(|source| {
            source.lines.iter().any(|line| line.strings.iter().any(|text| text == name))
        })
    };
    let pages = tree
        .documents
        .iter()
        .filter_map(|(path, _)| path.strip_prefix("guide/src/").map(|name| (path, name)));
    pages.filter(|(_, name)| *name != "SUMMARY.md").filter_map(move |(path, name)| {
        let listed = contents.contains(&format!("]({name})"));
        (!listed || !is_tested(name)).then(|| {
            Finding::new(path, 1, "list the chapter in guide/src/SUMMARY.md and in examples/guide.rs")
        })
    })
}

/// Every middleware of the framework has a row in docs/MIDDLEWARE.md and shows in its documentation how to use it.
pub(super) fn middleware(tree: &Tree) -> Vec<Finding> {
    let table: Vec<&str> = tree
        .document(MIDDLEWARE_LIST)
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .collect();
    let sources = tree.sources.iter().filter(|source| source.path.starts_with(MIDDLEWARE_FOLDER));
    let mut findings = Vec::new();
    for source in sources.filter(|source| !source.is_test()) {
        let code = source.product_lines().map(|(_, line)| line.code.as_str());
        let names = code.filter_map(|code| code.split_once(" Middleware for ")?.1.split(['<', ' ']).next());
        for name in names.filter(|name| !FORMS_OF_MIDDLEWARE.contains(name)) {
            let head = format!("pub struct {name}");
            let at = source.lines.iter().position(|line| {
                line.code.strip_prefix(&head).is_some_and(|rest| rest.starts_with(['<', '(', ';', ' ']))
            });
            let Some(at) = at else { continue };
            let above = source.lines[..at].iter().rev();
            let mut about = above.take_while(|line| !line.comment.is_empty() || line.code.starts_with("#["));
            if !about.any(|line| line.comment.contains("```")) {
                let message = format!("show in an example how `{name}` is used");
                findings.push(Finding::new(&source.path, at + 1, message));
            }
            if !table.iter().any(|cell| cell.contains(&format!("`{name}`"))) {
                let message = format!("`{name}` has no row in {MIDDLEWARE_LIST}");
                findings.push(Finding::new(&source.path, at + 1, message));
            }
        }
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
