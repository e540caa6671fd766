//! Configuration over the admin listener: who sees it, who may change it, and what is said when it is wrong.

#![cfg(all(feature = "admin", feature = "pprof"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use seawall_core::ConfigError;
use seawall_core::metrics::Registry;
use seawall_http::{App, LiveConfig};
use seawall_observe::{Admin, AdminConfig, PprofConfig, Token, exposition};
use serde_json::{Value, json};

/// Far more than anything here takes, so that a busy machine fails no test.
const PATIENCE: Duration = Duration::from_secs(60);

/// Status and body of one request.
fn send(addr: SocketAddr, request: &str, token: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let token = if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
    let fields = format!("host: t\r\nconnection: close\r\n{token}content-length: {length}\r\n");
    write!(stream, "{request} HTTP/1.1\r\n{fields}\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn start(token: Option<&str>, registry: &Registry) -> Admin {
    let pprof = PprofConfig { token: token.map(Token::new), ..PprofConfig::default() };
    let config =
        AdminConfig { addr: ([127, 0, 0, 1], 0).into(), pprof: Some(pprof), ..AdminConfig::default() };
    Admin::start(&config, registry).unwrap()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Discount {
    percent: u32,
}

fn discount() -> LiveConfig<Discount> {
    LiveConfig::new("discount", Discount { percent: 5 }, |config| match config.percent {
        0..=50 => Ok(()),
        more => Err(ConfigError::new("discount.percent", more, "0 to 50")),
    })
    .unwrap()
}

#[test]
fn a_configuration_is_listed_shown_and_changed() {
    let registry = Registry::new();
    let admin = start(None, &registry);
    let (addr, live) = (admin.local_addr(), discount());
    assert_eq!(send(addr, "GET /config", "", ""), (200, "[]".to_owned()));
    admin.show_config(&live);
    let (_, overload) = App::new().overload_control().unwrap();
    admin.show_config(&overload);
    assert_eq!(parsed(&send(addr, "GET /config", "", "").1), json!(["discount", "overload"]));
    assert_eq!(parsed(&send(addr, "GET /config/discount", "", "").1), json!({"percent": 5}));
    let (status, body) = send(addr, "PUT /config/discount", "", r#"{"percent": 9}"#);
    assert_eq!((status, parsed(&body)), (200, json!({"percent": 9})));
    assert_eq!(live.get().percent, 9);
    assert_eq!(send(addr, "PUT /config/overload", "", r#"{"limit": {"max": 50}}"#).0, 200);
    assert_eq!((overload.get().limit.max, overload.get().max_queued), (50, 1_024));
    assert_eq!(send(addr, "PUT /config/nothing", "", "{}").0, 404);
    assert_eq!(send(addr, "GET /config/nothing", "", "").0, 404);
    let text = exposition::text(&registry.snapshot());
    let counted = "seawall_config_reloads_total{config=\"discount\",outcome=\"applied\"} 1";
    assert!(text.contains(counted), "{text}");
}

#[test]
fn what_is_wrong_is_a_400_that_names_the_field() {
    let admin = start(None, &Registry::new());
    let live = discount();
    admin.show_config(&live);
    for (body, field, problem) in [
        (r#"{"percent": 51}"#, "discount.percent", "`discount.percent` is 51, but must be 0 to 50"),
        (r#"{"percnt": 5}"#, "discount.percnt", "unknown field `percnt`, expected `percent`"),
        (r#"{"percent": -1}"#, "discount.percent", "invalid value: integer `-1`, expected u32"),
        ("{", "body", "line 1: no JSON"),
    ] {
        let (status, answer) = send(admin.local_addr(), "PUT /config/discount", "", body);
        assert_eq!(status, 400, "{answer}");
        assert!(answer.contains(&json!(field).to_string()), "{field} in {answer}");
        let said = json!(problem).to_string();
        assert!(answer.contains(said.trim_matches('"')), "{problem} in {answer}");
    }
    assert_eq!(live.get().percent, 5);
}

#[test]
fn without_the_token_nothing_is_shown_and_nothing_changes() {
    let admin = start(Some("open"), &Registry::new());
    let (addr, live) = (admin.local_addr(), discount());
    admin.show_config(&live);
    let put = |token| send(addr, "PUT /config/discount", token, r#"{"percent": 9}"#).0;
    for token in ["", "wrong"] {
        assert_eq!(send(addr, "GET /config", token, "").0, 401);
        assert_eq!(send(addr, "GET /config/discount", token, "").0, 401);
        assert_eq!(put(token), 401);
    }
    assert_eq!(live.get().percent, 5);
    assert_eq!(put("open"), 200);
    assert_eq!(send(addr, "GET /config/discount", "open", "").0, 200);
    assert_eq!(live.get().percent, 9);
}
