//! The whole demo, as a user runs it: the built `seawall demo`, small, and the report it leaves in a real browser.
//!
//! Nothing about speed is asserted: the machine may be busy, and then the phases are rightly called invalid. What must
//! hold on any machine are the promises, the exit code that follows from them, and that nothing is left behind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../seawall-lab/tests/browser/mod.rs"]
mod browser;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

fn demo(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_seawall"))
        .arg("demo")
        .args(arguments)
        .current_dir(dir)
        .env("TMPDIR", dir)
        .output()
        .unwrap()
}

/// Processes whose command line speaks of `word`.
fn processes_with(word: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(word))
        .collect()
}

#[test]
fn the_demo_sells_what_there_is_and_shows_it() {
    let dir = tempfile::tempdir().unwrap();
    let output =
        demo(dir.path(), &["--seconds", "6", "--users", "300", "--units", "50", "--json", "result.json"]);
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));

    let json: Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("result.json")).expect(&said)).unwrap();
    let checker = json["checker"].as_object().unwrap();
    assert!(checker.len() >= 8 && checker.values().all(|result| result == "pass"), "{json:#}\n{said}");
    for (name, value) in
        [("oversold", 0), ("lost", 0), ("duplicated", 0), ("units_initial", 50), ("units_sold", 50)]
    {
        assert_eq!(json[name], value, "{name} in {json:#}");
    }
    assert_eq!(json["orders_confirmed"], 50, "300 buyers want 50 units, one each: {json:#}");
    assert!(json["orders_acked"].as_u64().unwrap() >= 50);
    assert!(json["error_rate"].as_f64().unwrap() <= 0.0003, "{json:#}");
    let code = if json["sale_valid"] == true { 0 } else { 4 };
    assert_eq!(output.status.code(), Some(code), "{said}");

    check_report(dir.path(), &json);
    let word = dir.path().display().to_string();
    assert_eq!(processes_with(&word), Vec::<String>::new(), "no service is left");
    let left =
        std::fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.file_name()).collect::<Vec<_>>();
    assert_eq!(left.len(), 3, "only result and report are left: {left:?}");
}

fn check_report(dir: &Path, json: &Value) {
    let report = Path::new(json["report_path"].as_str().unwrap());
    assert_eq!(report.canonicalize().unwrap(), dir.join("seawall-report.html").canonicalize().unwrap());
    let dom = browser::dom(report, 1280);
    let figures = dom.matches("<figure ").count();
    assert!(figures >= 12, "{figures} figures");
    assert!(dom.contains(&format!("data-ready=\"{}\"", dom.matches("class=\"chart-data\"").count())));
    for id in ["throughput", "latency", "against-load", "cpu", "memory", "answers", "order-latency"] {
        let figure =
            dom.split(&format!("id=\"chart-{id}\"")).nth(1).unwrap().split("</figure>").next().unwrap();
        assert!(figure.contains("<path class="), "{id} is drawn");
    }
}

/// Waits until `done`, at most 30 seconds; false if it never was.
fn wait_until(mut done: impl FnMut() -> bool) -> bool {
    (0..600).any(|_| {
        std::thread::park_timeout(std::time::Duration::from_millis(50));
        done()
    })
}

/// Starts a demo that would take a minute; returns once its service runs.
fn start(dir: &Path) -> Child {
    let demo = Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args(["demo", "--seconds", "60"])
        .current_dir(dir)
        .env("TMPDIR", dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let word = dir.display().to_string();
    assert!(wait_until(|| !processes_with(&word).is_empty()), "the service is started");
    demo
}

#[test]
fn a_demo_that_is_killed_takes_its_service_along() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = start(dir.path());
    demo.kill().unwrap(); // SIGKILL: no handler of ours can run
    demo.wait().unwrap();
    let word = dir.path().display().to_string();
    assert!(wait_until(|| processes_with(&word).is_empty()), "the service is left behind");
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = start(dir.path());
    // The line shows that the first phase is over, and with it that signals are listened for.
    let mut said = String::new();
    let mut lines = BufReader::new(demo.stdout.take().unwrap());
    while !said.contains("Warming up") {
        assert_ne!(lines.read_line(&mut said).unwrap(), 0, "{said}");
    }
    let pid = demo.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    lines.read_to_string(&mut said).unwrap();
    assert_eq!(demo.wait().unwrap().code(), Some(130), "{said}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "{said}");
    assert_eq!(processes_with(&dir.path().display().to_string()), Vec::<String>::new());
}

#[test]
fn an_argument_out_of_range_is_refused_before_anything_is_started() {
    let dir = tempfile::tempdir().unwrap();
    let output = demo(dir.path(), &["--users", "0"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
