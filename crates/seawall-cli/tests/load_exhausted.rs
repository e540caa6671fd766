//! `seawall load` on a machine that has run out of what connections are made of: descriptors, and ports.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod load_support;

use std::path::Path;
use std::process::{Command, Stdio};

use load_support::{OK, json, serve, text};
use serde_json::Value;

/// A short run with this many connections, by its words for a shell.
fn words(url: &str, connections: u32, file: &Path) -> String {
    let program = env!("CARGO_BIN_EXE_seawall");
    let file = file.display();
    format!("{program} load {url} -c {connections} -d 500ms --warmup 0s --no-self-test --json {file}")
}

/// Runs a script, and gives what the program in it said, and its JSON.
fn run(wrapper: &[&str], script: &str, file: &Path) -> (String, Value) {
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).args(["sh", "-c", script]).stdin(Stdio::null());
    let output = command.output().unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(file.exists(), "{wrapper:?} ended with {}: {said}", output.status);
    (said, json(file))
}

/// The connections that could be made carry requests; all others are counted as this, and as nothing else. What so few
/// have reached is no capacity.
#[track_caller]
fn check(said: &str, json: &Value, class: &str, advice: &str) {
    let errors = json["errors"].as_object().unwrap();
    assert_eq!(errors.keys().collect::<Vec<_>>(), [class], "{said}");
    assert!(errors[class].as_u64().unwrap() >= 8 && json["requests"].as_u64().unwrap() > 0, "{json}");
    assert!(said.contains(class) && said.contains(advice), "{said}");
    assert_eq!(
        json["validity"]["verdict"], "generator_bound",
        "fewer connections than were asked for: {said}"
    );
}

#[test]
fn without_descriptors_connections_are_counted_as_no_fds() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("result.json");
    let script = words(&serve(OK), 64, &file);
    // The hard limit too: the program raises the other one.
    let (said, json) = run(&["prlimit", "--nofile=32:32"], &script, &file);
    check(&said, &json, "no_fds", "ulimit -n");
}

/// In a network of its own, which has four ports.
#[test]
fn without_ports_connections_are_counted_as_no_ports() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("result.json");
    let log = dir.path().join("sink.log");
    let script = format!(
        "set -e; ip link set lo up; echo 40000 40003 > /proc/sys/net/ipv4/ip_local_port_range
         {program} load sink --addr 127.0.0.1:8080 > {log} & sink=$!
         while ! grep -q http {log}; do kill -0 $sink; done
         {load} || true; kill $sink",
        program = env!("CARGO_BIN_EXE_seawall"),
        log = log.display(),
        load = words("http://127.0.0.1:8080/", 32, &file),
    );
    let (said, json) = run(&["unshare", "--user", "--map-root-user", "--net"], &script, &file);
    check(&said, &json, "no_ports", "--laddr");
}
