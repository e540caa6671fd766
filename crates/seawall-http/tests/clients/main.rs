//! Against what we did not write: curl, openssl, wrk, h2load, Go's and Python's own clients, httpx, Python's websockets,
//! Node's ws, Autobahn's cases; nginx and HAProxy in front.
//!
//! `cargo xtask setup` installs them. One that is missing fails its tests and says so: a test that skips itself proves
//! nothing.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod curl;
mod fronts;
mod languages;
#[path = "../live/mod.rs"]
mod live;
mod loads;
#[cfg(feature = "tls")]
mod proxies;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "websocket")]
mod websocket;

use std::process::{Command, Output};

/// Runs a program to its end; its output. The program must succeed.
#[track_caller]
fn run(program: &str, arguments: &[&str]) -> String {
    let output = try_run(program, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn try_run(program: &str, arguments: &[&str]) -> Output {
    let started = Command::new(program).args(arguments).output();
    started
        .unwrap_or_else(|error| panic!("{program} does not start ({error}); `cargo xtask setup` installs it"))
}
