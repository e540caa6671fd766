//! `seawall load scenario` and `seawall load replay` against real servers that look at what comes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod load_support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;

use load_support::{check_refused, recorder, report_of, text};

/// Gives a token for `POST /login`, and takes only that token for `POST /orders`: 201 and where the order is.
fn shop() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = [0; 8192];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    let answer = answer(&text(&buffer[..count]));
                    let _ = stream.write_all(answer.as_bytes());
                }
            });
        }
    });
    url
}

fn answer(request: &str) -> String {
    let body = request.split("\r\n\r\n").nth(1).unwrap_or_default();
    let with = |status: &str, fields: &str, body: String| {
        format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    match request.lines().next().unwrap() {
        "POST /login HTTP/1.1" => with("200 OK", "", format!(r#"{{"token": "t-{body}"}}"#)),
        "POST /orders HTTP/1.1" if request.contains("Authorization: Bearer t-ann\r\n") => {
            with("201 Created", "Location: /orders/7\r\n", "id=7;".to_owned())
        }
        "GET /orders/7 HTTP/1.1" => with("404 Not Found", "", String::new()),
        _ => with("400 Bad", "", String::new()),
    }
}

fn file(name: &str, content: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::write(dir.path().join("users.csv"), "user\nann\n").unwrap();
    (dir, path)
}

const SHOP: &str = r#"
data = "users.csv"
think = "1ms..3ms"

[[flow]]
name = "buy"
weight = 3
[[flow.step]]
name = "log in"
path = "/login"
body = "{{csv.user}}"
expect = { status = [200], body_contains = "token" }
extract.token = { json = "/token" }
[[flow.step]]
name = "order"
method = "POST"
path = "/orders"
headers = { Authorization = "Bearer {{token}}" }
expect = { status = [201] }
extract = { place = { header = "location" }, id = { regex = 'id=(\d+)' } }
[[flow.step]]
name = "look"
path = "/orders/{{id}}"
expect = { status = [404] }

[[flow]]
name = "stranger"
[[flow.step]]
name = "order"
method = "POST"
path = "/orders"
think = "0s"
expect = { status = [201] }
[[flow.step]]
name = "never"
path = "/never"
"#;

#[test]
fn users_go_through_their_steps() {
    let (_dir, path) = file("shop.toml", SHOP);
    let path = path.to_str().unwrap();
    let (code, out, json) = report_of(&["scenario", path, &shop(), "-u", "5", "-d", "1s", "-c", "5"]);
    // A busy machine may make the run invalid.
    assert!(code == 0 || code == 4, "{code} {out}");
    let answers = |label: &str| json["labels"][label]["requests"].as_u64().unwrap_or(0);
    let (logins, orders, looks) = (answers("buy: log in"), answers("buy: order"), answers("buy: look"));
    assert!(looks > 5 && logins >= orders && orders >= looks && logins <= looks + 10, "{json}");
    let strangers = answers("stranger: order");
    assert!(strangers > 0 && strangers < logins * 2, "weights 3 to 1: {strangers} of {logins}");
    assert_eq!(answers("stranger: never"), 0, "the step before fails");
    // A 404 that is expected is no error, a 400 that is not is one of its own class.
    let measured = json["errors"]["expect_failed"].as_u64().unwrap();
    assert!(measured > 0 && measured <= strangers + 5, "{json}");
    assert!(json["errors"]["status_4xx"].is_null(), "{json}");
    assert!(out.contains("buy: look") && out.contains("compare one with its `expect`"), "{out}");
}

#[test]
fn what_is_wrong_in_a_scenario_is_named() {
    let refused = |content: &str, part: &str| {
        let (_dir, path) = file("x.toml", content);
        check_refused(&["scenario", path.to_str().unwrap(), "http://h"], part);
    };
    refused("flow = []", "`scenario.flow` is 0, but must be 1 to 100");
    refused("[[flow]]\nname = 'a'\nstep = []", "`scenario.flow.step` is 0");
    refused(
        "[[flow]]\nname = 'a'\n[[flow.step]]\nname = 'b'\npath = '/{{token}}'",
        "`{{token}}`, but must be csv.COLUMN",
    );
    refused("[[flow]]\nname = 'a'\n[[flow.step]]\nname = 'b'\npath = 'x'", "a path that starts with /");
    refused("[[flow]]\nname = 'a'\nwait = 1", "unknown field `wait`");
    refused("think = '2s..1s'\nflow = []", "the shorter time comes first");
    let (_dir, path) = file("x.toml", "[[flow]]\nname = 'a'\n[[flow.step]]\nname = 'b'\npath = '/'");
    let path = path.to_str().unwrap();
    check_refused(&["scenario", path], "`scenario.url` is missing");
    check_refused(
        &["scenario", path, "http://h", "-u", "0"],
        "`scenario.users` is 0, but must be 1 to 1000000",
    );
    check_refused(&["scenario", "/nowhere.toml"], "`scenario` is /nowhere.toml");
}

#[test]
fn a_log_is_sent_again_at_its_times() {
    let log = r#"h - - [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.1" 200 1
h - - [10/Oct/2000:13:55:36 -0700] "HEAD /b HTTP/1.1" 200 1 "r" "agent"
h - - [10/Oct/2000:13:55:37 -0700] "POST /c HTTP/1.1" 200 1
h - - [10/Oct/2000:13:55:38 -0700] "GET /d HTTP/1.1" 200 1
"#;
    let (_dir, path) = file("access.log", log);
    let (url, seen) = recorder();
    let (code, out, json) = report_of(&[
        "replay",
        path.to_str().unwrap(),
        &url,
        "--speed",
        "4",
        "-H",
        "X-Replay: yes",
        "-c",
        "1",
    ]);
    // The recorder answers HEAD with a body, which is counted as an error of the server.
    assert!(code == 0 || code == 4, "{code} {out}");
    assert!(out.contains("3 requests to replay") && out.contains("1 left out"), "{out}");
    let lines: Vec<String> =
        seen.lock().unwrap().iter().map(|seen| seen.head.lines().next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["GET /a HTTP/1.1", "HEAD /b HTTP/1.1", "GET /d HTTP/1.1"]);
    assert!(seen.lock().unwrap().iter().all(|seen| seen.head.contains("\r\nX-Replay: yes\r\n")));
    // The last one is due after 2 s, at four times the speed after half a second.
    assert!((json["duration_s"].as_f64().unwrap() - 0.5).abs() < 0.2, "{json}");
    assert_eq!(json["sent_total"], 3);
}

#[test]
fn a_har_file_is_sent_with_its_bodies() {
    let har = r#"{"log": {"version": "1.2", "entries": [{"startedDateTime": "2026-11-24T14:00:01.000Z",
        "request": {"method": "POST", "url": "https://shop.test/o?x=1", "headers": [{"name": "accept", "value": "a/b"}],
                    "postData": {"text": "hello"}}}]}}"#;
    let (_dir, path) = file("x.har", har);
    let (url, seen) = recorder();
    let (code, out, _) = report_of(&["replay", path.to_str().unwrap(), &url]);
    assert!(code == 0 || code == 4, "{code} {out}");
    let seen = seen.lock().unwrap();
    assert!(
        seen[0].head.starts_with("POST /o?x=1 HTTP/1.1\r\n") && seen[0].head.contains("\r\naccept: a/b\r\n")
    );
    assert_eq!(seen[0].body, b"hello");
}

#[test]
fn wrong_recordings_are_refused() {
    let (_dir, path) = file("x.log", "hello\n");
    let path = path.to_str().unwrap();
    check_refused(&["replay", path, "http://h"], "1 lines not understood");
    check_refused(&["replay", "/nowhere", "http://h"], "`replay` is /nowhere");
    let (_dir, path) = file("y.log", "h - - [10/Oct/2000:13:55:36 -0700] \"GET /a HTTP/1.1\" 200 1\n");
    check_refused(
        &["replay", path.to_str().unwrap(), "http://h", "--speed", "0"],
        "`replay.speed` is 0, but must be",
    );
}
