//! `seawall load` as a user runs it: the built program against a small server, its text, its JSON, its exit codes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod load_support;

use std::io::Read;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use load_support::{OK, check_refused, json, load, serve, text};

#[test]
fn a_run_prints_its_report_and_writes_its_json() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("result.json");
    let url = serve(OK);
    let output = load(&[
        &url,
        "-c",
        "4",
        "-t",
        "2",
        "-d",
        "1s",
        "--warmup",
        "300ms",
        "--json",
        file.to_str().unwrap(),
    ]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    for part in ["closed loop, 4 connections, 2 threads", "requests", "p99.9", "errors     none", "verdict"] {
        assert!(out.contains(part), "no {part} in {out}");
    }
    assert!(err.contains("req/s"), "one plain line per second: {err}");
    let json = json(&file);
    assert!(json["requests"].as_u64().unwrap() > 0);
    assert!(json["sent_total"].as_u64() > json["requests"].as_u64(), "the warm-up was sent too");
    assert_eq!(json["duration_s"], 1.0);
}

#[test]
fn an_open_loop_says_what_was_due() {
    let output = load(&[&serve(OK), "-c", "4", "-d", "500ms", "-R", "0.2k", "--warmup", "0s"]);
    let out = text(&output.stdout);
    assert!(out.contains("open loop, 200 req/s due") && out.contains("from due"), "{out}");
    // A busy machine may make the run invalid, which is said.
    let invalid = output.status.code() == Some(4) && out.contains("INVALID");
    assert!(output.status.success() || invalid, "{out}");
}

#[test]
fn nobody_listening_fails_at_once_with_advice_and_json() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("result.json");
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", free.local_addr().unwrap());
    drop(free);
    let output = load(&[&url, "-d", "1h", "--json", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("nobody listens there"), "{}", text(&output.stdout));
    assert_eq!(json(&file)["errors"]["connect_refused"], 64);
    assert_eq!(json(&file)["validity"]["verdict"], "invalid");
}

#[test]
fn wrong_arguments_are_2_and_say_what_is_allowed() {
    check_refused(&["http://h/", "-c", "0"], "`load.connections` is 0, but must be 1 to");
    check_refused(&["http://h/", "-d", "soon"], "500ms, 10s");
    check_refused(&["http://h/", "--max-conns", "9"], "--rate");
    check_refused(&["http://h/", "-H", "no colon"], "Name: value");
    check_refused(&[], "Usage");
}

#[test]
fn method_fields_and_body_are_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/a?b=c", listener.local_addr().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let body = dir.path().join("body.txt");
    std::fs::write(&body, "from a file").unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 4096];
        let mut seen = String::new();
        while !seen.ends_with("from a file") {
            let count = stream.read(&mut buffer).unwrap();
            seen.push_str(&text(&buffer[..count]));
        }
        seen
    });
    let body = format!("@{}", body.display());
    load(&[&url, "-c", "1", "-n", "1", "--timeout", "100ms", "-H", "X-A: b", "-b", &body]);
    let seen = server.join().unwrap();
    assert!(seen.starts_with("POST /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:"), "{seen}");
    assert!(seen.contains("\r\nX-A: b\r\nContent-Length: 11\r\n\r\nfrom a file"), "{seen}");
}

#[test]
fn ctrl_c_still_reports() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("result.json");
    let mut child = Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args(["load", &serve(OK), "-d", "1h", "--warmup", "0s", "--json", file.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Its first line of progress says that it is running.
    let mut first = [0; 10];
    child.stderr.as_mut().unwrap().read_exact(&mut first).unwrap();
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(text(&output.stdout).contains("the run was ended early"), "{}", text(&output.stdout));
    assert_eq!(json(&file)["interrupted"], true);
    assert!(json(&file)["requests"].as_u64().unwrap() > 0);
}

#[test]
fn the_help_teaches() {
    let help = text(&load(&["--help"]).stdout);
    for part in ["Examples:", "-R 5000", "open loop", "closed loop", "Exit codes:", "@order.json"] {
        assert!(help.contains(part), "no {part} in {help}");
    }
}
