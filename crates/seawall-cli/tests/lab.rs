//! `seawall lab`, as a user runs it: the built command against servers of this test. Nothing about speed is asserted.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

/// Answers every request of every connection, each after `delay`, until the test ends.
fn server(delay: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut stream, mut line) = (stream, String::new());
                while reader.read_line(&mut line).is_ok_and(|n| n > 0) {
                    if line == "\r\n" {
                        if !delay.is_zero() {
                            std::thread::park_timeout(delay);
                        }
                        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                            return;
                        }
                    }
                    line.clear();
                }
            });
        }
    });
    url
}

fn lab(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_seawall")).arg("lab").args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn json(path: &Path, kind: &str) -> Value {
    let artifact: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(
        (artifact["schema"].as_u64(), artifact["found"]["kind"].as_str()),
        (Some(1), Some(kind)),
        "{artifact:#}"
    );
    assert!(artifact["command"].as_str().unwrap().starts_with("seawall lab "));
    assert!(!artifact["environment"].as_array().unwrap().is_empty());
    artifact["found"]["data"].clone()
}

fn check_refused(arguments: &[&str], words: &str) {
    let output = lab(arguments);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains(words), "{}", said(&output));
}

#[test]
fn wrong_arguments_are_named_with_what_is_allowed() {
    let url = "http://127.0.0.1:1/";
    check_refused(&["find-max", url, "--slo", "p99<20"], "such as p99<20ms");
    check_refused(&["diagnose", url, "--levels", "8,1"], "rising numbers of connections");
    check_refused(&["scale", url, "--at", "4,2"], "rising numbers");
    check_refused(&["diagnose", url, "-o", "pdf=x"], "json=FILE");
    check_refused(&["profile"], "--pid");
    check_refused(&["compare", "--a", "x", "--b", "y", url, "--profile-for", "soon"], "soon");
}

#[test]
fn nobody_there_is_exit_code_1() {
    for command in ["find-max", "scale", "diagnose"] {
        let output = lab(&[command, "http://127.0.0.1:1/", "-d", "500ms"]);
        assert_eq!(output.status.code(), Some(1), "{command}: {}", said(&output));
        assert!(said(&output).contains("nothing was answered"), "{}", said(&output));
    }
}

#[test]
fn a_knee_is_found_on_a_real_server_and_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("knee.json");
    let (url, out) = (server(Duration::ZERO), format!("json={}", file.display()));
    let arguments = [
        "find-max",
        &url,
        "--slo",
        "p50<500ms,err<1%",
        "-d",
        "300ms",
        "--budget",
        "4s",
        "-c",
        "8",
        "--profile-for",
        "1s",
        "-o",
        &out,
    ];
    let output = lab(&arguments);
    let knee = json(&file, "knee");
    let probes = knee["probes"].as_array().unwrap();
    assert!(!probes.is_empty() && knee["axis"] == "rate", "{knee:#}");
    // A busy machine may disturb it; then it says so, and exits accordingly.
    let expected = if knee["valid"] == true { 0 } else { 4 };
    assert_eq!(output.status.code(), Some(expected), "{}\n{knee:#}", said(&output));
    assert_eq!(knee["slo"], "p50<500ms,err<1%");
    let seen = &knee["seen"];
    assert_eq!(seen["phases"].as_array().unwrap().len(), probes.len(), "each probe is a phase of the page");
    for part in ["load", "heat", "spectrum"] {
        assert!(!seen[part]["data"].as_array().unwrap().is_empty(), "{part}");
    }
    assert!(!seen["signals"]["data"]["resources"].as_array().unwrap().is_empty(), "the process was watched");
    // Two profiles where both ends were found, and else the reason.
    let has_both = knee["lo"].is_f64() && knee["hi"].is_f64();
    assert_eq!(seen["differences"]["data"].is_array(), has_both, "{}", said(&output));
}

#[test]
fn by_connections_the_answer_is_a_number_of_clients() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("knee.json");
    let (url, out) = (server(Duration::from_millis(5)), format!("json={}", file.display()));
    lab(&[
        "find-max",
        &url,
        "--by",
        "conns",
        "--slo",
        "p50<1s,err<1%",
        "-d",
        "200ms",
        "--budget",
        "2s",
        "-o",
        &out,
    ]);
    let knee = json(&file, "knee");
    assert_eq!(knee["axis"], "connections");
    assert!(
        knee["probes"].as_array().unwrap().iter().all(|probe| probe["load"].as_f64().unwrap().fract() == 0.0)
    );
}

#[test]
fn growth_is_measured_at_each_number_of_connections() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scale.json");
    let (url, out) = (server(Duration::from_millis(5)), format!("json={}", file.display()));
    let output = lab(&["scale", &url, "--at", "1,2,3,4,6,8", "-d", "300ms", "-o", &out]);
    let scale = json(&file, "scale");
    assert_eq!(scale["points"].as_array().unwrap().len(), 6);
    assert_eq!(scale["seen"]["phases"].as_array().unwrap().len(), 6);
    assert!(!scale["seen"]["signals"]["data"]["threads"].as_array().unwrap().is_empty());
    let expected = if scale["fit"].is_null() { 4 } else { 0 };
    assert_eq!(output.status.code(), Some(expected), "{}", said(&output));
    assert!(said(&output).contains("connections"), "{}", said(&output));
}

#[test]
fn a_diagnosis_finds_the_process_by_its_port_and_says_what_it_saw() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("why.json");
    let (url, out) = (server(Duration::ZERO), format!("json={}", file.display()));
    let output = lab(&["diagnose", &url, "--levels", "1,4", "-d", "600ms", "--no-churn", "-o", &out]);
    let diagnosis = json(&file, "diagnosis");
    let text = said(&output);
    assert!(text.contains(&format!("(process {})", std::process::id())), "{text}");
    assert!(text.contains("evidence L1") || text.contains("evidence L2"), "{text}");
    assert_eq!(diagnosis["levels"].as_array().unwrap().len(), 2, "{text}");
    assert!(!diagnosis["signals"]["resources"].as_array().unwrap().is_empty());
    assert!(!diagnosis["signals"]["threads"].as_array().unwrap().is_empty());
    let expected = if diagnosis["verdict"] == "invalid" { 4 } else { 0 };
    assert_eq!(output.status.code(), Some(expected), "{text}");
}

#[test]
fn threads_of_a_process_are_profiled_without_any_load() {
    let folder = tempfile::tempdir().unwrap();
    let pid = std::process::id().to_string();
    let stacks = folder.path().join("folded");
    let arguments =
        ["profile", "--pid", &pid, "-d", "1s", "--kinds", "off-cpu", "--folded", stacks.to_str().unwrap()];
    let output = lab(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let folded = std::fs::read_to_string(stacks.join("offcpu.folded")).unwrap();
    assert!(
        folded.lines().all(|line| line.rsplit_once(' ').is_some_and(|(_, n)| n.parse::<u64>().is_ok())),
        "{folded}"
    );
    assert!(folded.contains(';'), "{folded}");
}

#[test]
fn what_only_the_service_knows_is_asked_for() {
    let output = lab(&["profile", "--pid", &std::process::id().to_string(), "-d", "1s", "--kinds", "heap"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("--admin"), "{}", said(&output));
}

#[test]
fn the_doctor_names_the_evidence_level_of_this_machine() {
    let output = lab(&["doctor"]);
    let text = said(&output);
    assert!(text.contains("Evidence level L"), "{text}");
    assert_eq!(output.status.code(), Some(if text.contains("Evidence level L0") { 1 } else { 0 }), "{text}");
}
