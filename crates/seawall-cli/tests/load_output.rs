//! What `seawall load` leaves behind: objectives with exit codes, CSV, HdrHistogram, time series, Prometheus, the sink.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod load_support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use load_support::{OK, check_refused, load, report_of, serve, text};
use serde_json::Value;

#[test]
fn objectives_decide_the_exit_code() {
    let url = serve(OK);
    let run = ["-R", "50", "-d", "500ms", "--warmup", "0s", "--slo"];
    let (code, out, json) = report_of(&[&[url.as_str()], &run[..], &["p99<60s,err<1%,rps>1"]].concat());
    // A busy machine may make an open loop invalid, and then no objective counts.
    assert!(code == 0 || (code == 4 && out.contains("INVALID")), "{code} {out}");
    assert_eq!(json["slo"].as_array().unwrap().len(), 3);
    assert!(json["slo"].as_array().unwrap().iter().all(|slo| slo["met"] == true), "{json}");
    let (code, out, json) = report_of(&[&[url.as_str()], &run[..], &["p50<1us", "--slo", "rps>1"]].concat());
    assert!(code == 3 || code == 4, "{code} {out}");
    assert!(out.contains("BROKEN: p50<1us (measured"), "{out}");
    assert_eq!((&json["slo"][0]["met"], &json["slo"][1]["met"]), (&Value::Bool(false), &Value::Bool(true)));
}

#[test]
fn errors_break_an_objective() {
    let url = serve("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
    let (code, out, _) = report_of(&[&url, "-R", "50", "-d", "300ms", "--warmup", "0s", "--slo", "err<50%"]);
    assert!(code == 3 || code == 4, "{code} {out}");
    assert!(out.contains("BROKEN: err<50% (measured 100.000 %)"), "{out}");
}

#[test]
fn what_is_only_a_lower_bound_meets_no_objective() {
    // Nine answers come, the tenth request of each connection never gets one.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        use std::io::Write;
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                for _ in 0..9 {
                    let _ = stream.read(&mut [0; 4096]);
                    let _ = stream.write_all(OK.as_bytes());
                }
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.read(&mut [0; 4096]); // until the client gives up
            });
        }
    });
    let arguments = ["-R", "100", "-n", "10", "-c", "1", "--timeout", "200ms", "--slo", "max<10s"];
    let (code, out, json) = report_of(&[&[url.as_str()], &arguments[..]].concat());
    assert!(code == 3 || code == 4, "{code} {out}");
    assert!(out.contains("BROKEN: max<10s (measured at least"), "{out}");
    assert_eq!((json["censored"].as_u64(), &json["slo"][0]["lower_bound"]), (Some(1), &Value::Bool(true)));
}

#[test]
fn every_output_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (csv, hdr, series, prom) = (path("a.csv"), path("a.hlog"), path("a.ndjson"), path("a.prom"));
    let url = serve(OK);
    let files = ["--csv", &csv, "--hdr", &hdr, "--timeseries", &series, "--prom", &prom];
    let run = [url.as_str(), "-R", "100", "-d", "1500ms", "--warmup", "0s"];
    let (_, out, json) = report_of(&[&run[..], &files[..]].concat());
    report_of(&[&run[..5], &["--warmup", "0s", "--csv", &csv]].concat());

    let csv = std::fs::read_to_string(csv).unwrap();
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 3, "one line of names, one row per run: {csv}");
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{csv}");
    let column = rows[0].iter().position(|name| *name == "sent_total").unwrap();
    assert_eq!(rows[1][column], json["sent_total"].to_string(), "{out}");

    let series = std::fs::read_to_string(series).unwrap();
    let series: Vec<Value> = series.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(&Value::Array(series), &json["series"]);

    let hdr = std::fs::read_to_string(hdr).unwrap();
    assert!(hdr.contains("Tag=due,") && hdr.contains("Tag=send,") && hdr.contains("HISTF"), "{hdr}");

    let prom = std::fs::read_to_string(prom).unwrap();
    let answers = format!("seawall_load_answers_total{{code=\"200\"}} {}", json["requests"]);
    assert!(prom.contains(&answers), "{prom}");
    assert!(prom.contains("seawall_load_latency_seconds_bucket{from=\"due\",le=\"0.0001\"}"), "{prom}");
}

#[test]
fn a_file_that_cannot_be_written_is_named_before_the_run() {
    let output = load(&[&serve(OK), "-d", "1h", "--timeseries", "/nowhere/x"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cannot write /nowhere/x"), "{}", text(&output.stderr));
}

/// Runs under a pseudo-terminal, and answers what a terminal is asked: where its cursor is.
fn on_a_terminal(arguments: &str) -> String {
    let command = format!("stty rows 30 cols 100; {} load {arguments}", env!("CARGO_BIN_EXE_seawall"));
    let mut child = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut shown, mut piece, mut asked) = (Vec::new(), [0; 4096], 0);
    while let Ok(count @ 1..) = screen.read(&mut piece) {
        shown.extend_from_slice(&piece[..count]);
        let asks = shown.windows(4).filter(|four| four == b"\x1b[6n").count();
        for _ in asked..asks {
            let _ = std::io::Write::write_all(&mut keys, b"\x1b[1;1R");
        }
        asked = asks;
    }
    child.wait().unwrap();
    letters(&text(&shown))
}

/// What is shown without the terminal's commands and without spaces, over which it jumps with commands.
fn letters(shown: &str) -> String {
    let mut letters = String::new();
    let mut rest = shown.chars();
    while let Some(letter) = rest.next() {
        if letter == '\u{1b}' {
            let _ = rest.by_ref().skip(1).find(|c| c.is_ascii_alphabetic());
        } else if !letter.is_whitespace() {
            letters.push(letter);
        }
    }
    letters
}

#[test]
fn a_terminal_gets_a_live_view_and_then_the_report() {
    let url = serve(OK);
    let shown = on_a_terminal(&format!("{url} -R 50 -d 2s --warmup 0s"));
    assert!(shown.contains("req/sof50due") && shown.contains("(bars)"), "{shown}");
    assert!(shown.contains("verdict"), "{shown}");
    assert!(!shown.contains("measure1/2s"), "no plain lines: {shown}");
    let plain = on_a_terminal(&format!("{url} -R 50 -d 2s --warmup 0s --no-tui"));
    assert!(plain.contains("measure1/2s") && !plain.contains("(bars)"), "{plain}");
}

#[test]
fn wrong_objectives_are_refused() {
    check_refused(&["http://h/", "--slo", "p99<50"], "`load.slo` is `p99<50`, but must be a list such as");
}

/// `seawall load sink` as a process, and its URL.
fn sink(arguments: &[&str]) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args(["load", "sink", "--addr", "127.0.0.1:0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned();
    child.stdout = Some(out.into_inner());
    (child, url)
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn the_sink_shows_the_clients_ceiling_and_says_what_it_saw() {
    let (mut child, url) = sink(&["--body", "100"]);
    let (code, out, json) = report_of(&[&url, "-n", "2000", "-c", "8"]);
    assert_eq!((code, json["requests"].as_u64()), (0, Some(2_000)), "{out}");
    signal(&child, "-INT");
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(said.contains("2,000 requests answered"), "{said}");
}

/// The test that honest generators pass: the server stands still for 5 s of 10 s. With latency from the intended time a
/// request that is due `s` seconds before the end of the stall waits `s`: half of all requests wait evenly from 0 to 5 s,
/// so p75 is 2.5 s and p99 is 4.9 s, while the median of the other half knows nothing of it.
#[test]
fn five_seconds_of_standing_still_show_as_theory_says() {
    let (child, url) = sink(&[]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("result.json");
    let arguments = ["-R", "200", "-c", "4", "-d", "10s", "--warmup", "0s", "--timeout", "9s"];
    let mut run = Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args(["load", &url])
        .args(arguments)
        .args(["--json", file.to_str().unwrap()])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Progress is one line per second: after the second one it is stopped, after the seventh it goes on.
    let mut progress = BufReader::new(run.stderr.take().unwrap()).lines();
    assert!(progress.by_ref().take(2).all(|line| line.is_ok()));
    signal(&child, "-STOP");
    assert!(progress.by_ref().take(5).all(|line| line.is_ok()));
    signal(&child, "-CONT");
    progress.for_each(drop);
    run.wait().unwrap();
    signal(&child, "-INT");
    let json = load_support::json(&file);
    let latency = |name: &str| json["latency_us"][name].as_f64().unwrap() / 1e6;
    let at = |q: f64| {
        let curve = json["percentiles"].as_array().unwrap();
        let point = curve.iter().find(|point| point["q"].as_f64().unwrap() >= q).unwrap();
        point["latency_us"].as_f64().unwrap() / 1e6
    };
    let sent = json["sent_total"].as_u64().unwrap() + json["backlog_at_end"].as_u64().unwrap();
    assert_eq!(sent, 2_000);
    assert!((2.2..2.9).contains(&at(0.75)), "p75 {}: {json}", at(0.75));
    assert!((4.7..5.4).contains(&latency("p99")), "p99 {}", latency("p99"));
    assert!(json["service_us"]["p90"].as_f64().unwrap() < 1e6, "from the send 4 of 2,000 are slow: {json}");
}
