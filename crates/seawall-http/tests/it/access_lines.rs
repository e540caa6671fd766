//! The access log as lines of a file.

use std::fs;

use seawall_core::metrics::{Registry, Value};
use seawall_http::middleware::{AccessLines, AccessLogConfig, LogField, LogFormat, LogTarget};
use seawall_http::testing::TestClient;
use seawall_http::{App, Error};
use tempfile::TempDir;

use crate::block_on;

/// Sends these requests to an app that logs, ends the app, and reads the file.
fn log(config: AccessLogConfig, targets: &[&str]) -> Vec<String> {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let lines = AccessLines::new(&AccessLogConfig { to: LogTarget::File(path.clone()), ..config }).unwrap();
    let app = App::new()
        .with(lines)
        .get("/u/:id", async || "hello")
        .get("/fail", async || Err::<&str, _>(Error::internal("broken")))
        .get("/panic", async || -> &'static str { panic!("at the disco") });
    let client = TestClient::new(app).unwrap().with_peer("192.0.2.7:9");
    for target in targets {
        block_on(async { client.get(target).header("user-agent", "it \"is\" me").await });
    }
    drop(client);
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_request_is_a_line_of_text() {
    use LogField::{Client, Method, Path, Route, Status, UserAgent};
    let fields = vec![Method, Path, Route, Status, Client, UserAgent];
    let lines = log(AccessLogConfig { fields, ..Default::default() }, &["/u/7?password=secret", "/nowhere"]);
    let agent = "client=192.0.2.7 user_agent=\"it \\\"is\\\" me\"";
    let expected = [
        format!("method=GET path=/u/7 route=/u/:id status=200 {agent}"),
        format!("method=GET path=/nowhere status=404 {agent}"),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_request_is_a_line_of_json() {
    let lines = log(AccessLogConfig { format: LogFormat::Json, ..Default::default() }, &["/u/7"]);
    let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(
        (&line["method"], &line["status"], &line["route"]),
        (&"GET".into(), &200.into(), &"/u/:id".into())
    );
    assert!(line["micros"].is_u64() && line["request_id"].as_str().unwrap().len() == 32);
    assert!(line["time"].as_str().unwrap().ends_with('Z') && line.get("slow").is_none());
}

#[test]
fn one_of_so_many_is_logged_and_every_failure() {
    let fields = vec![LogField::Path, LogField::ErrorType];
    let config = AccessLogConfig { fields, sample_every: 3, ..Default::default() };
    let lines = log(config, &["/u/0", "/u/1", "/fail", "/u/2", "/u/3", "/panic"]);
    let expected = ["path=/u/0", "path=/fail error_type=500", "path=/u/3", "path=/panic error_type=500"];
    assert_eq!(lines, expected);
}

#[test]
fn what_is_slow_is_always_logged_and_says_so() {
    let fields = vec![LogField::Path, LogField::Slow];
    let config = AccessLogConfig { fields, sample_every: 1_000, slow_ms: Some(0), ..Default::default() };
    assert_eq!(log(config, &["/u/0", "/u/1"]), ["path=/u/0 slow=true", "path=/u/1 slow=true"]);
}

#[test]
fn what_is_refused_further_in_has_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let fields = vec![LogField::Method, LogField::Status, LogField::Class];
    let config = AccessLogConfig { to: LogTarget::File(path.clone()), fields, ..Default::default() };
    let app = App::new().with(AccessLines::new(&config).unwrap()).get("/", async || "hello");
    let client = TestClient::new(app).unwrap();
    block_on(async { (client.delete("/").await, client.options("/").await) });
    drop(client);
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(text, "method=DELETE status=405 class=permanent\nmethod=OPTIONS status=204\n");
}

/// A reader that never reads: the pipe is full after 64 KiB, the buffer after as much again, and the rest is counted.
#[test]
fn a_reader_that_hangs_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let reader = fs::File::options().read(true).write(true).open(&path).unwrap(); // both, so that it never waits
    let registry = Registry::new();
    let config = AccessLogConfig { to: LogTarget::File(path), buffer_bytes: 64 << 10, ..Default::default() };
    let app =
        App::new().registry(&registry).with(AccessLines::new(&config).unwrap()).get("/*", async || "hello");
    let client = TestClient::new(app).unwrap();
    let target = format!("/{}", "x".repeat(900));
    for _ in 0..1_000 {
        assert_eq!(block_on(async { client.get(&target).await }).status(), 200);
    }
    let dropped =
        registry.snapshot().into_iter().find(|family| family.name == "seawall_access_log_dropped_total");
    let Value::Counter(dropped) = dropped.unwrap().samples[0].value else { panic!("it is a counter") };
    assert!(dropped > 100, "{dropped}");
    drop(client); // gives up on the writer after a second
    drop(reader);
}
