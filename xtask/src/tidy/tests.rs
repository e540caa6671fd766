//! Each rule twice: on this repository, where it must find nothing, and on bad examples, where it must find them.

use std::path::Path;

use super::*;

// === the repository ===

/// Runs one rule on the repository and shows what it found.
#[track_caller]
fn check_repository(name: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let tree = Tree::read(root).unwrap();
    assert!(tree.sources.len() > 50, "only {} Rust files found below {}", tree.sources.len(), root.display());
    let (_, rule) = RULES.iter().find(|(rule, _)| *rule == name).unwrap();
    let findings: Vec<_> = rule(&tree).iter().map(Finding::to_string).collect();
    assert!(findings.is_empty(), "broken rule, {name}:\n{}", findings.join("\n"));
}

#[test]
fn crates_know_only_what_the_house_plan_allows() {
    check_repository("dependency edges");
}
#[test]
fn every_package_keeps_the_workspace_settings() {
    check_repository("manifest settings");
}
#[test]
fn functions_and_files_are_short() {
    check_repository("lengths");
}
#[test]
fn every_file_says_what_it_is_for() {
    check_repository("headers");
}
#[test]
fn nothing_is_named_where_it_must_not_be() {
    check_repository("absences");
}
#[test]
fn every_silenced_lint_has_a_reason() {
    check_repository("reasons");
}
#[test]
fn unsafe_code_is_listed() {
    check_repository("unsafe code");
}
#[test]
fn metrics_are_documented() {
    check_repository("metrics");
}
#[test]
fn the_readme_is_compiled() {
    check_repository("README");
}

#[test]
fn every_yes_names_a_test() {
    check_repository("features");
}
#[test]
fn every_middleware_is_listed_and_shown() {
    check_repository("middleware");
}

// === bad examples ===

/// Runs a rule on a small tree; `expected` are the findings, each as `path:line: ` and a part of the message.
#[track_caller]
fn check(rule: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)], expected: &[(&str, &str)]) {
    let mut tree = Tree::default();
    for (path, text) in files {
        tree.add((*path).to_owned(), (*text).to_owned());
    }
    let findings: Vec<_> = rule(&tree).iter().map(Finding::to_string).collect();
    assert_eq!(findings.len(), expected.len(), "{findings:#?}");
    for (finding, (place, message)) in findings.iter().zip(expected) {
        assert!(finding.starts_with(&format!("{place}: ")), "{finding} is not at {place}");
        assert!(finding.contains(message), "{finding} does not say {message}");
    }
}

/// Checks one line of product code, put into a file of its own as line 1.
#[track_caller]
fn check_absence(path: &str, code: &str, expected: &[&str]) {
    let place = format!("{path}:1");
    let expected: Vec<_> = expected.iter().map(|message| (place.as_str(), *message)).collect();
    check(absences::absences, &[(path, code)], &expected);
}

fn manifest(name: &str, rest: &str) -> String {
    format!("[package]\nname = \"{name}\"\n[lints]\nworkspace = true\n{rest}\n")
}

#[test]
fn an_edge_upward_is_found() {
    let text = manifest("seawall-guard", "[dependencies]\nseawall-http.workspace = true\n");
    let expected = [("crates/seawall-guard/Cargo.toml:6", "`seawall-guard` must not know `seawall-http`")];
    check(manifests::edges, &[("crates/seawall-guard/Cargo.toml", &text)], &expected);
}
#[test]
fn an_edge_of_the_tests_counts_too() {
    let text = manifest("flashsale", "[dev-dependencies]\nseawall-data = { path = \"../seawall-data\" }\n");
    check(
        manifests::edges,
        &[("f/Cargo.toml", &text)],
        &[("f/Cargo.toml:6", "must not know `seawall-data`")],
    );
}
#[test]
fn an_edge_under_another_name_is_found() {
    let text =
        manifest("seawall-lab", "[dependencies]\nweb = { package = \"seawall-http\", path = \"x\" }\n");
    check(
        manifests::edges,
        &[("l/Cargo.toml", &text)],
        &[("l/Cargo.toml:6", "must not know `seawall-http`")],
    );
}
#[test]
fn an_edge_for_one_target_is_found() {
    let text = manifest("seawall-core", "[target.'cfg(unix)'.dependencies]\ntokio = \"1\"\n");
    check(manifests::edges, &[("c/Cargo.toml", &text)], &[("c/Cargo.toml:6", "must not know `tokio`")]);
}
#[test]
fn an_allowed_edge_is_not_found() {
    let text = manifest("seawall-http", "[dependencies]\nseawall-guard.workspace = true\ntokio = \"1\"\n");
    check(manifests::edges, &[("h/Cargo.toml", &text)], &[]);
}
#[test]
fn a_crate_that_is_not_in_the_plan_is_found() {
    let text = manifest("seawall-misc", "");
    check(manifests::edges, &[("m/Cargo.toml", &text)], &[("m/Cargo.toml:1", "not in the house plan")]);
}
#[test]
fn a_package_with_lints_of_its_own_is_found() {
    let text = "[package]\nname = \"xtask\"\n";
    check(manifests::settings, &[("x/Cargo.toml", text)], &[("x/Cargo.toml:1", "workspace = true")]);
}
#[test]
fn a_profile_that_aborts_is_found() {
    let text = "[profile.release]\npanic = \"abort\"\n";
    check(manifests::settings, &[("Cargo.toml", text)], &[("Cargo.toml:2", "recover")]);
}

#[test]
fn a_function_of_71_lines_is_found() {
    let text = |lines: usize| format!("//! A.\nfn long(\n) {{\n{}}}\n", "    call();\n".repeat(lines - 3));
    check(lengths::lengths, &[("a.rs", &text(71))], &[("a.rs:2", "`long` has 71 lines")]);
    check(lengths::lengths, &[("a.rs", &text(70))], &[]);
}
#[test]
fn a_long_test_is_not_found() {
    let text = format!("#[cfg(test)]\nmod tests {{\nfn long() {{\n{}}}\n}}\n", "call();\n".repeat(600));
    check(lengths::lengths, &[("a.rs", &text)], &[]);
}
#[test]
fn a_file_of_501_lines_is_found() {
    check(lengths::lengths, &[("a.rs", &"use a;\n".repeat(502))], &[("a.rs:1", "at most 500")]);
    check(lengths::lengths, &[("src/tests.rs", &"use a;\n".repeat(502))], &[]);
}
#[test]
fn a_file_without_a_header_is_found() {
    let files = [
        ("a.rs", "use std::fmt;\n//! Late.\n"),
        ("b.rs", "\n//! Fine.\n"),
        ("c.rs", "#![doc = include_str!(\"a.md\")]\n"),
    ];
    check(lengths::headers, &files, &[("a.rs:1", "`//!` header")]);
}

#[test]
fn a_clock_in_guard_is_found() {
    check_absence("crates/seawall-guard/src/gate.rs", "use std::net::TcpStream;", &["std::net"]);
    let expected = ["decides, purely", "time is an argument"];
    check_absence("crates/seawall-guard/src/gate.rs", "let now = Instant::now();", &expected);
}
#[test]
fn a_clock_outside_of_clock_rs_is_found() {
    check_absence(
        "crates/seawall-http/src/app.rs",
        "let now = Instant::now();",
        &["only a crate's clock.rs"],
    );
    check_absence("crates/seawall-http/src/clock.rs", "Instant::now()", &[]);
}
#[test]
fn a_runtime_in_a_policy_is_found() {
    check_absence("crates/seawall-data/src/cache/policy.rs", "use tokio::time;", &["tokio"]);
    check_absence("crates/seawall-lab/src/search/mod.rs", "async fn probe() {}", &["async"]);
    check_absence("crates/seawall-data/src/cache/mod.rs", "use tokio::time;", &[]);
}
#[test]
fn a_second_door_to_the_engine_is_found() {
    check_absence("crates/seawall-http/src/app.rs", "use hyper::server::conn::http1;", &["hyper's server"]);
    check_absence("crates/seawall-http/src/server/h2.rs", "use hyper::server::conn::http1;", &[]);
}
#[test]
fn a_refusal_with_a_status_of_its_own_is_found() {
    let code = "return StatusCode::SERVICE_UNAVAILABLE;";
    check_absence("crates/seawall-http/src/middleware/limit.rs", code, &["SERVICE_UNAVAILABLE"]);
    check_absence("crates/seawall-http/src/error/status.rs", code, &[]);
    check_absence("crates/seawall-http/tests/limits.rs", code, &[]);
}
#[test]
fn exposition_outside_observe_is_found() {
    let code = "let line = \"# TYPE a counter\";";
    check_absence("crates/flashsale/src/a.rs", code, &["# TYPE"]);
    check_absence("crates/seawall-observe/src/exposition.rs", code, &[]);
}
#[test]
fn a_channel_without_a_bound_is_found() {
    check_absence("a.rs", "let (tx, rx) = tokio::sync::mpsc::unbounded_channel();", &["unbounded_channel"]);
    check_absence("a.rs", "let (tx, rx) = mpsc::channel();", &["channel()"]);
    check_absence("a.rs", "let (tx, rx) = mpsc::channel::<Vec<u8>>();", &["channel()"]);
    check_absence("a.rs", "let (tx, rx) = mpsc::channel(64);", &[]);
    check_absence("a.rs", "let (tx, rx) = oneshot::channel();", &[]);
}
#[test]
fn unfinished_code_is_found_even_in_tests() {
    check_absence("a/tests/b.rs", "fn later() { todo!() }", &["todo!"]);
    check_absence("a.rs", "let a = dbg!(b);", &["dbg!"]);
    check_absence("a.rs", "unimplemented!(\"later\")", &["unimplemented!"]);
    check_absence("a.rs", "assert!(\"todo!\".len() == 5);", &[]);
}
#[test]
fn a_note_to_oneself_is_found() {
    check_absence("a.rs", concat!("// TO", "DO: later"), &["an issue, not a comment"]);
    check_absence("a.rs", concat!("/* FIX", "ME */"), &["an issue, not a comment"]);
}
#[test]
fn a_sleep_is_found() {
    check_absence("a.rs", "std::thread::sleep(SECOND);", &["thread::sleep"]);
}
#[test]
fn an_unwrap_is_found_outside_tests_only() {
    check_absence("a.rs", "let a = b.unwrap();", &[".unwrap()"]);
    check_absence("a.rs", "/// let a = b.unwrap();", &[]);
    check_absence("a.rs", "#[cfg(test)] mod tests { fn a() { b.unwrap(); } }", &[]);
}
#[test]
fn a_module_of_odds_and_ends_is_found() {
    check_absence("a.rs", "mod util;", &["named after what is in it"]);
}
#[test]
fn a_silenced_lint_without_a_reason_is_found() {
    let text =
        "#[allow(dead_code)]\nfn a() {}\n#[expect(\n    dead_code,\n    reason = \"x\"\n)]\nfn b() {}\n";
    check(absences::reasons, &[("a.rs", text)], &[("a.rs:1", "say why")]);
}

#[test]
fn unlisted_unsafe_code_is_found_and_so_is_a_stale_row() {
    let files = [
        ("crates/a/src/sys.rs", "//! A.\nfn a() { unsafe { b() } }\n"),
        ("crates/a/src/safe.rs", "#![forbid(unsafe_code)] // no unsafe here\n"),
        ("docs/UNSAFE.md", "| file | why |\n|---|---|\n| `crates/b/src/sys.rs` | gone |\n"),
    ];
    let expected = [("crates/a/src/sys.rs:2", "is not listed"), ("docs/UNSAFE.md:3", "no longer")];
    check(listed::unsafe_code, &files, &expected);
}
#[test]
fn an_undocumented_metric_is_found_and_so_is_a_stale_row() {
    let source = "registry.counter(\n    \"seawall_a_total\", \"A.\", &[]);\n#[cfg(test)]\nmod tests { \"seawall_t\" }\n";
    let files = [
        ("crates/a/src/lib.rs", source),
        ("crates/b/src/lib.rs", "let table = \"seawall_queue\"; let known = gauge(\"seawall_depth\");"),
        (
            "docs/METRICS.md",
            "| `seawall_depth` | queue |\n| `seawall_gone_total` | - |\n| `queue` | label |\n",
        ),
    ];
    let expected =
        [("crates/a/src/lib.rs:2", "`seawall_a_total` is not listed"), ("docs/METRICS.md:2", "no longer")];
    check(listed::metrics, &files, &expected);
}
#[test]
fn a_readme_that_nobody_compiles_is_found() {
    let files = [
        ("crates/seawall/src/lib.rs", "//! Facade.\n"),
        ("README.md", "```rust,no_run\nfn main() {}\n```\n"),
        ("README.zh-CN.md", "```rust,no_run\nfn other() {}\n```\n"),
    ];
    let expected = [("crates/seawall/src/lib.rs:1", "doctest"), ("README.zh-CN.md:1", "differ")];
    check(listed::readme, &files, &expected);
}

#[test]
fn a_feature_without_its_test_is_found_and_so_is_a_chapter_that_nobody_compiles() {
    let features = "| a | yes: [`it_works`](../crates/a/tests/it.rs) |\n| b | yes: [`gone`](../crates/a/tests/it.rs) |\n";
    let files = [
        ("crates/a/tests/it.rs", "fn it_works() {}\nfn gone_too() {}\n"),
        ("docs/FEATURES.md", features),
        ("examples/guide.rs", "chapters! { one \"one.md\" }\n"),
        ("guide/src/SUMMARY.md", "- [One](one.md)\n- [Two](two.md)\n"),
        ("guide/src/one.md", "# One\n"),
        ("guide/src/two.md", "# Two\n"),
    ];
    let expected = [("docs/FEATURES.md:2", "no test `gone`"), ("guide/src/two.md:1", "list the chapter")];
    check(listed::features, &files, &expected);
}

#[test]
fn a_middleware_without_example_or_row_is_found() {
    let shown = "/// Says `hello`.\n///\n/// ```\n/// app.with(Shown);\n/// ```\n#[derive(Debug)]\npub struct Shown<S>(S);\nimpl<S: Store> Middleware for Shown<S> {}\n";
    let bare = "/// Says nothing.\npub struct Bare;\nimpl Middleware for Bare {}\npub struct Around;\nimpl Middleware for Around {}\n";
    let files = [
        ("crates/seawall-http/src/middleware/shown.rs", shown),
        ("crates/seawall-http/src/middleware/bare.rs", bare),
        ("crates/seawall-http/src/bare.rs", bare),
        ("docs/MIDDLEWARE.md", "| `Shown`, `Other` | why |\n| a | `Bare` |\n"),
    ];
    let expected = [
        ("crates/seawall-http/src/middleware/bare.rs:2", "show in an example how `Bare`"),
        ("crates/seawall-http/src/middleware/bare.rs:2", "`Bare` has no row"),
    ];
    check(listed::middleware, &files, &expected);
}

// === the scanner ===

/// Scans one line and checks what is left as code.
#[track_caller]
fn check_code(text: &str, code: &str) {
    assert_eq!(scan::lines(text)[0].code, code);
}

#[test]
fn strings_are_not_code() {
    check_code(r#"a("x // \" y", b"z")"#, r#"a("", b"")"#);
}
#[test]
fn raw_strings_end_where_their_hashes_say() {
    check_code(r###"a(r#"x " y"#, br"z\", for_r)"###, r#"a("", b"", for_r)"#);
}
#[test]
fn comments_nest() {
    check_code("a /* b /* c */ d */ e // f", "a  e ");
}
#[test]
fn a_lifetime_is_code_and_a_character_is_not() {
    check_code(
        "fn a<'a>(b: &'a str) { c('\"', '\\'', '{', 'x') }",
        "fn a<'a>(b: &'a str) { c('', '', '', '') }",
    );
}
#[test]
fn a_string_over_two_lines_belongs_to_the_first() {
    let lines = scan::lines("a(\"b\nc\") d\n");
    assert_eq!((lines[0].code.as_str(), lines[0].strings[0].as_str()), ("a(\"\"", "b\nc"));
    assert_eq!(lines[1].code, ") d");
}
#[test]
fn a_word_is_a_whole_word() {
    assert!(scan::has_word("a tokio::b", "tokio"));
    assert!(!scan::has_word("my_tokio", "tokio"));
    assert!(!scan::has_word("tokio_util", "tokio"));
    assert!(scan::has_word("dbg!(a)", "dbg!"));
}
#[test]
fn code_after_a_test_module_is_product_again() {
    let text = "#[cfg(test)]\nmod tests {\n    fn a() { \"}\"; }\n}\nfn product() {}\n#[cfg(test)]\nmod more;\nfn b() {}\n";
    let marks: Vec<_> = scan::lines(text).iter().map(|line| line.in_test).collect();
    assert_eq!(marks, [true, true, true, true, false, true, true, false, false]);
}
