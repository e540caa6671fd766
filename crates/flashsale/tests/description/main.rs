//! The service does what its description at `/openapi.json` says: Schemathesis sends what that allows and what it does
//! not, and looks at the answers.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// The real server as a child process, which does not outlive its test.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// Starts it on free ports, and waits until it says that it listens.
    fn start(data_dir: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flashsale"));
        command
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.strip_prefix("listening on ").and_then(|rest| rest.split(' ').next());
        let url = url.unwrap_or_else(|| panic!("the server said {line:?}")).to_owned();
        Self { child, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Runs Schemathesis with the same requests every time. One check is left out, that what the description allows is not
/// refused: an idempotency key may have been used, and `19.0`, an integer to JSON Schema, is none to us.
fn schemathesis(server: &Server, arguments: &[&str]) -> Output {
    let tools =
        Path::new(env!("CARGO_TARGET_TMPDIR")).parent().map(|target| target.join("tools/schemathesis"));
    let tools = tools.unwrap();
    assert!(tools.is_dir(), "Schemathesis is missing; `cargo xtask setup` puts it into {}", tools.display());
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-m", "schemathesis.cli", "run", &format!("{}/openapi.json", server.url)]);
    command.args([
        "--seed",
        "1",
        "--max-examples",
        "25",
        "--no-color",
        "--generation-database",
        "none",
        "--exclude-checks",
        "positive_data_acceptance",
    ]);
    command.args(arguments).env("PYTHONPATH", &tools).current_dir(folder.path()).stdin(Stdio::null());
    command.output().unwrap()
}

#[track_caller]
fn passes(output: &Output) {
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(said.contains("12 selected / 12 total"), "all operations were to be tested: {said}");
}

#[test]
fn answers_are_as_described_whatever_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    passes(&schemathesis(&server, &["--phases", "coverage,fuzzing"]));
}

/// Orders for users that were made before, and so on.
#[test]
fn chains_of_requests_are_answered_as_described() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    passes(&schemathesis(&server, &["--phases", "stateful"]));
}
