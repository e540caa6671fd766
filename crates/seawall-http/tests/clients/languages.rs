//! The HTTP clients that other languages come with: Go's, Python's, and httpx.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use seawall_http::{App, Context, ServerConfig};

use crate::live::Live;
use crate::run;

/// The one for which Debian packages modules; another one earlier on the path would not find them.
const PYTHON: &str = "/usr/bin/python3";

/// What the programs beside this file expect to find.
fn server() -> Live {
    let app = App::new()
        .get("/", async || "hello")
        .post("/echo", async |body: Bytes| body)
        .post("/early", async |c: Context| c.text(403, "not for you"))
        .get("/empty", async |c: Context| c.no_content())
        .get("/agent", async |c: Context| c.header("user-agent").unwrap_or("none").to_owned())
        .get("/stream", async |c: Context| {
            c.stream(200, "text/plain", async |mut out| {
                for number in 0..50 {
                    out.write(format!("line {number}\n")).await?;
                }
                Ok(())
            })
        });
    let config =
        ServerConfig { workers: Some(1), idle_timeout: Duration::from_secs(60), ..ServerConfig::default() };
    Live::with(app, config)
}

fn beside(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    folder.join(name).to_str().unwrap().to_owned()
}

/// Go's compiler wants a folder for what it builds, and no network.
#[test]
fn gos_client_talks_to_us() {
    let (server, cache) = (server(), tempfile::tempdir().unwrap());
    let mut go = Command::new("go");
    go.args(["run", &beside("client.go"), &server.addr.to_string()]);
    go.env("GOCACHE", cache.path())
        .env("GOFLAGS", "-mod=mod")
        .env("GOPROXY", "off")
        .env("GO111MODULE", "off");
    let output = go.output();
    let output =
        output.unwrap_or_else(|error| panic!("go does not start ({error}); `cargo xtask setup` installs it"));
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&said), "all went well\n");
}

#[test]
fn pythons_http_client_talks_to_us() {
    assert_eq!(run(PYTHON, &[&beside("http_client.py"), &server().addr.to_string()]), "all went well\n");
}

#[test]
fn httpx_talks_to_us() {
    assert_eq!(run(PYTHON, &[&beside("httpx_client.py"), &server().addr.to_string()]), "all went well\n");
}
