//! A small server and the built program, for the tests of `seawall load`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test binary uses a part")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A server on a free port that answers every read with `answer`; lives as long as the test's process.
pub(crate) fn serve(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(1..) = stream.read(&mut buffer) {
                    let _ = stream.write_all(answer.as_bytes());
                }
            });
        }
    });
    url
}

/// Runs `seawall load` with these arguments to its end, without a self-test.
pub(crate) fn load(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
    command.arg("load").args(arguments);
    let runs = !arguments.is_empty() && !arguments.contains(&"--help");
    command.args(runs.then_some("--no-self-test")).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Runs to the end, without progress and warm-up unless given, and gives the exit code, the text and the JSON.
pub(crate) fn report_of(arguments: &[&str]) -> (i32, String, Value) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("result.json");
    let output = load(&[arguments, &["--json", file.to_str().unwrap()]].concat());
    let out = text(&output.stdout) + &text(&output.stderr);
    let code = output.status.code().unwrap();
    assert!(file.exists(), "exit {code}: {out}");
    (code, out, json(&file))
}

/// Wrong arguments: exit 2, and an error that says this.
pub(crate) fn check_refused(arguments: &[&str], part: &str) {
    let output = load(arguments);
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {err}");
    assert!(err.contains(part), "{arguments:?}: {err}");
}

/// A connection of either kind.
pub(crate) trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A request as it came: number of its connection, head (its empty line included), body.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) connection: usize,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// Everything that a server has seen.
pub(crate) type Log = std::sync::Arc<std::sync::Mutex<Vec<Seen>>>;

/// Reads request after request off a connection, notes each, and answers it with `ok`.
pub(crate) fn answer_all(stream: &mut dyn Stream, connection: usize, log: &Log) {
    let mut buffer = Vec::new();
    let mut piece = [0; 65_536];
    loop {
        let end = buffer.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(end) = end.map(|at| at + 4) else {
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => return,
                Ok(count) => buffer.extend_from_slice(&piece[..count]),
            }
            continue;
        };
        let head = text(&buffer[..end]);
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        while buffer.len() < end + length {
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => return,
                Ok(count) => buffer.extend_from_slice(&piece[..count]),
            }
        }
        let body = buffer[end..end + length].to_vec();
        buffer.drain(..end + length);
        let close = head.contains("\r\nConnection: close\r\n");
        log.lock().unwrap().push(Seen { connection, head, body });
        if stream.write_all(OK.as_bytes()).and_then(|()| stream.flush()).is_err() || close {
            return;
        }
    }
}

/// A server that notes every request; its URL and its log.
pub(crate) fn recorder() -> (String, Log) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let log = Log::default();
    let written = log.clone();
    std::thread::spawn(move || {
        for (number, mut stream) in listener.incoming().flatten().enumerate() {
            let log = written.clone();
            std::thread::spawn(move || answer_all(&mut stream, number, &log));
        }
    });
    (url, log)
}
