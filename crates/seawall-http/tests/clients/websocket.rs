//! WebSocket clients in other languages, and the cases of Autobahn's test suite.

use std::path::{Path, PathBuf};

use seawall_http::websocket::{Close, CloseCode, Message, WebSocket, WebSocketUpgrade, WsConfig};
use seawall_http::{App, Response, Result};
use serde::Deserialize;

use crate::live::Live;
use crate::run;

/// The one for which Debian packages modules; another one earlier on the path would not find them.
const PYTHON: &str = "/usr/bin/python3";

async fn echo(ws: WebSocketUpgrade) -> Result<Response> {
    let config = WsConfig { max_message: 64 << 20, max_frame: 64 << 20, ..WsConfig::default() };
    let ws = ws.config(&config)?.protocols(["v2", "v1"])?;
    ws.on_upgrade(async |mut socket: WebSocket| {
        while let Some(message) = socket.recv().await {
            let message = message?;
            if message.as_text() == Some("close 4321") {
                socket.close(Close::new(CloseCode::new(4321)?, "as you wish")).await?;
                break;
            }
            socket.send(message).await?;
        }
        while let Some(Ok(Message::Text(_) | Message::Binary(_))) = socket.recv().await {}
        Ok(())
    })
}

async fn small(ws: WebSocketUpgrade) -> Result<Response> {
    let config = WsConfig { max_message: 1000, ..WsConfig::default() };
    ws.config(&config)?.on_upgrade(async |mut socket: WebSocket| {
        while let Some(message) = socket.recv().await {
            socket.send(message?).await?;
        }
        Ok(())
    })
}

fn server() -> Live {
    Live::start(App::new().get("/echo", echo).get("/small", small))
}

fn script(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    folder.join(name).to_str().unwrap().to_owned()
}

#[test]
fn pythons_websockets_talks_to_us() {
    let server = server();
    let said = run(PYTHON, &[&script("websockets_client.py"), &server.addr.to_string()]);
    assert_eq!(said, "all went well\n");
}

#[test]
fn nodes_ws_talks_to_us() {
    let server = server();
    let said = run("node", &[&script("ws_client.js"), &server.addr.to_string()]);
    assert_eq!(said, "all went well\n");
}

#[derive(Debug, Deserialize)]
struct Case {
    id: String,
    behavior: String,
    close: String,
    result: String,
}

/// Where the standard leaves two ways, the suite calls one of them strict. Taking the other is no failure: a message
/// before a broken frame need not be answered, and bad text need not be noticed in the middle of a frame.
const MAY_BE_NON_STRICT: [&str; 9] =
    ["3.2", "3.3", "4.1.3", "4.1.4", "4.2.3", "4.2.4", "5.15", "6.4.3", "6.4.4"];

#[test]
fn all_cases_of_autobahn_pass() {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().map(|target| target.join("tools/python"));
    let package: PathBuf = tools.unwrap();
    assert!(
        package.join("autobahntestsuite").is_dir(),
        "{} has no autobahntestsuite; `cargo xtask setup` installs it",
        package.display()
    );
    let server = server();
    let (host, port) = (server.addr.ip().to_string(), server.addr.port().to_string());
    let said = run(PYTHON, &[&script("conformance.py"), package.to_str().unwrap(), &host, &port]);
    let cases: Vec<Case> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(cases.len(), 301, "all of the suite but its sections on compression");
    let fails = |case: &&Case| {
        let behavior = match case.behavior.as_str() {
            "OK" | "INFORMATIONAL" => true,
            "NON-STRICT" => MAY_BE_NON_STRICT.contains(&case.id.as_str()),
            _ => false,
        };
        !behavior || !matches!(case.close.as_str(), "OK" | "INFORMATIONAL")
    };
    let failed: Vec<_> = cases.iter().filter(fails).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    // So that the result is read by somebody.
    assert!(cases.iter().all(|case| !case.result.is_empty()));
}
