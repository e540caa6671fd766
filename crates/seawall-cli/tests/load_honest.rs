//! `seawall load` about itself: the self-test before a run, and runs in which the generator was the limit.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod load_support;

use std::process::{Command, Stdio};

use load_support::{OK, check_refused, json, report_of, serve, text};
use seawall_load::{Sink, SinkConfig};
use serde_json::Value;

#[test]
fn a_run_begins_with_a_test_of_the_client() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("result.json");
    let arguments = ["load", &serve(OK), "-n", "20", "-c", "2", "--json", file.to_str().unwrap()];
    let output = Command::new(env!("CARGO_BIN_EXE_seawall")).args(arguments).output().unwrap();
    let (out, json) = (text(&output.stdout), json(&file));
    assert!(out.contains("self-test  this client sends up to"), "{out}");
    for name in ["ceiling_rps", "cpu_us_per_request", "floor_us"] {
        assert!(json["self_test"][name].as_f64().unwrap() > 0.0, "{json}");
    }
    let (_, out, json) = report_of(&[&serve(OK), "-n", "20", "-c", "2"]); // with --no-self-test
    assert!(!out.contains("self-test") && json["self_test"].is_null(), "{out}");
}

/// A run against the sink whose generator shares its only CPU with three busy shells.
fn crowded(arguments: &[&str]) -> (Option<i32>, String, Value) {
    let sink = Sink::start(&SinkConfig::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("result.json");
    let script = format!(
        "for n in 1 2 3; do (while :; do :; done) & busy=\"$busy $!\"; done; {} load http://{}/ {} --warmup 0s --no-self-test --json {}; code=$?; kill $busy 2>/dev/null; exit $code",
        env!("CARGO_BIN_EXE_seawall"),
        sink.address(),
        arguments.join(" "),
        file.display()
    );
    let mut command = Command::new("taskset");
    command.args(["-c", "0", "sh", "-c", &script]).stdin(Stdio::null());
    let output = command.output().unwrap();
    let out = text(&output.stdout) + &text(&output.stderr);
    assert!(file.exists(), "{:?}: {out}", output.status);
    (output.status.code(), out, json(&file))
}

#[test]
fn an_open_loop_whose_generator_was_the_limit_is_invalid_and_exits_with_4() {
    let (code, out, json) = crowded(&["-R", "5M", "-c", "64", "-d", "1s", "--slo", "'p99<60s'"]);
    assert_eq!((code, &json["validity"]["verdict"]), (Some(4), &Value::from("invalid")), "{out}");
    let reasons = ["a generator thread had no reserve", "nobody knows who was slow", "us late"];
    assert!(out.contains("INVALID") && reasons.iter().any(|reason| out.contains(reason)), "{out}");
}

#[test]
fn a_closed_loop_whose_generator_was_the_limit_is_a_floor_and_exits_with_0() {
    let (code, out, json) = crowded(&["-c", "64", "-d", "1s"]);
    assert_eq!((code, &json["validity"]["verdict"]), (Some(0), &Value::from("generator_bound")), "{out}");
    assert!(out.contains("the rate is a floor, not the server's capacity"), "{out}");
}

#[test]
fn threads_stay_on_the_given_cpus() {
    let (code, out, json) = report_of(&[&serve(OK), "-n", "20", "-c", "2", "--cpus", "0", "--busy-poll"]);
    assert_eq!((code, json["requests"].as_u64()), (0, Some(20)), "{out}");
    check_refused(&["http://h/", "--cpus", "first"], "is no CPU");
    let output = load_support::load(&[&serve(OK), "-n", "20", "-c", "2", "--cpus", "1000"]);
    assert!(text(&output.stderr).contains("could not start"), "{}", text(&output.stderr));
}

#[test]
fn the_report_is_a_page_that_needs_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report.html");
    let url = serve(OK) + "?a=<script>";
    let (_, out, _) =
        report_of(&[&url, "-R", "50", "-d", "2s", "--warmup", "0s", "--html", file.to_str().unwrap()]);
    let page = std::fs::read_to_string(&file).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"), "{out}");
    assert_eq!(
        (page.matches("<figure>").count(), page.matches("<polyline").count() >= 5),
        (3, true),
        "{page}"
    );
    assert!(page.contains("?a=&lt;script&gt;") && !page.contains("<script"), "text is text");
    assert!(
        !page.contains("src=") && !page.contains("@import") && !page.contains("href="),
        "nothing is fetched"
    );
}
