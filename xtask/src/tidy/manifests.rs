//! The house plan, read from the manifests: which crate may know which.

use toml::{Table, Value};

use super::{Finding, Tree};

/// What each crate may depend on, of ours. Allowed, not required; tests may use no more.
const EDGES: [(&str, &[&str]); 17] = [
    ("seawall-core", &[]),
    ("seawall-guard", &["seawall-core"]),
    ("seawall-macros", &[]),
    ("seawall-tasks", &["seawall-core"]),
    ("seawall-http", &["seawall-core", "seawall-guard", "seawall-macros", "seawall-tasks"]),
    ("seawall-client", &["seawall-core", "seawall-guard"]),
    ("seawall-data", &["seawall-core", "seawall-guard"]),
    ("seawall-observe", &["seawall-core", "seawall-tasks", "seawall-http"]),
    ("seawall-gateway", &["seawall-core", "seawall-guard", "seawall-http", "seawall-client"]),
    (
        "seawall",
        &[
            "seawall-core",
            "seawall-guard",
            "seawall-tasks",
            "seawall-http",
            "seawall-client",
            "seawall-data",
            "seawall-observe",
            "seawall-gateway",
        ],
    ),
    ("flashsale", &["seawall"]),
    ("seawall-load", &["seawall-core", "seawall-load-h2"]),
    ("seawall-load-h2", &[]),
    ("seawall-lab", &["seawall-core", "seawall-load"]),
    ("seawall-cli", &["seawall", "seawall-load", "seawall-lab", "flashsale"]),
    ("xtask", &[]),
    // seawall-observe, because one example shows it alone.
    ("seawall-examples", &["seawall", "seawall-observe"]),
];

/// What a crate must not know of the outside, because its absence is the reason for the boundary.
const STRANGERS: [(&str, &[&str]); 6] = [
    ("seawall-core", &["tokio", "hyper", "http", "rand", "fastrand"]),
    ("seawall-guard", &["tokio", "hyper", "http", "rand", "fastrand"]),
    ("seawall-data", &["hyper", "http", "http-body"]),
    ("seawall-tasks", &["hyper", "http"]),
    ("seawall-load", &["tokio", "hyper"]),
    ("flashsale", &["tokio", "hyper", "http", "rusqlite", "tracing"]),
];

const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Only the edges that the architecture allows.
pub(super) fn edges(tree: &Tree) -> Vec<Finding> {
    packages(tree).flat_map(|package| package.forbidden_edges()).collect()
}

/// Every package inherits the workspace's lints, and nothing turns unwinding off.
pub(super) fn settings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages(tree) {
        let inherits = package.table.get("lints").and_then(|lints| lints.get("workspace"));
        if inherits != Some(&Value::Boolean(true)) {
            findings.push(Finding::new(package.path, 1, "add `[lints]` with `workspace = true`"));
        }
    }
    for (path, text) in &tree.manifests {
        let aborts = |line: &str| line.trim_start().starts_with("panic") && line.contains("\"abort\"");
        for (at, _) in text.lines().enumerate().filter(|(_, line)| aborts(line)) {
            let message = "`panic = \"abort\"` would end the process where recover answers 500";
            findings.push(Finding::new(path, at + 1, message));
        }
    }
    findings
}

struct Package<'a> {
    path: &'a str,
    text: &'a str,
    name: String,
    table: Table,
}

/// All manifests that describe a package. One that cannot be read is cargo's to report.
fn packages(tree: &Tree) -> impl Iterator<Item = Package<'_>> {
    let manifests = tree.manifests.iter().filter(|(path, _)| path.ends_with("Cargo.toml"));
    manifests.filter_map(|(path, text)| {
        let table: Table = text.parse().ok()?;
        if table.contains_key("workspace") {
            return None; // a house of its own, such as the benchmarks against other frameworks
        }
        let name = table.get("package")?.get("name")?.as_str()?.to_owned();
        Some(Package { path, text, name, table })
    })
}

impl Package<'_> {
    fn forbidden_edges(&self) -> Vec<Finding> {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == self.name) else {
            let message =
                format!("`{}` is not in the house plan: add it there and to tidy's EDGES", self.name);
            return vec![Finding::new(self.path, 1, message)];
        };
        let strangers =
            STRANGERS.iter().find(|(name, _)| *name == self.name).map_or(&[][..], |(_, names)| names);
        let ours = |name: &str| EDGES.iter().any(|(ours, _)| *ours == name);
        let forbidden = |name: &String| {
            ours(name) && !allowed.contains(&name.as_str()) || strangers.contains(&name.as_str())
        };
        let names = self.dependencies().into_iter().filter(forbidden);
        let message = |name: &str| format!("`{}` must not know `{name}` (docs/ARCHITECTURE.md)", self.name);
        names.map(|name| Finding::new(self.path, self.line_of(&name), message(&name))).collect()
    }

    /// The real names of all dependencies, of any kind, for any target.
    fn dependencies(&self) -> Vec<String> {
        let targets = self.table.get("target").and_then(Value::as_table);
        let targets = targets.into_iter().flat_map(|targets| targets.values().filter_map(Value::as_table));
        let tables = std::iter::once(&self.table).chain(targets);
        let kinds = tables.flat_map(|table| KINDS.iter().filter_map(|kind| table.get(*kind)?.as_table()));
        kinds.flat_map(|dependencies| dependencies.iter().map(real_name)).collect()
    }

    fn line_of(&self, dependency: &str) -> usize {
        self.text.lines().position(|line| line.contains(dependency)).map_or(1, |at| at + 1)
    }
}

fn real_name((key, value): (&String, &Value)) -> String {
    value.get("package").and_then(Value::as_str).unwrap_or(key).to_owned()
}
