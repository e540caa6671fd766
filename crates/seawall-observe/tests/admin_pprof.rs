//! The profiler on the admin listener, over a real socket: fetched by `go tool pprof` itself.

#![cfg(all(feature = "admin", feature = "pprof"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use seawall_core::metrics::Registry;
use seawall_observe::{Admin, AdminConfig, PprofConfig, Section, Token, tokio_runtime};
use seawall_tasks::Tasks;
use support::*;

fn start(pprof: Option<PprofConfig>) -> Admin {
    let config = AdminConfig { addr: ([127, 0, 0, 1], 0).into(), pprof, ..AdminConfig::default() };
    Admin::start(&config, &Registry::new()).unwrap()
}

/// Head, in lower case, and body of one request.
fn fetch(addr: SocketAddr, request: &str, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    write!(
        stream,
        "{request} HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

#[test]
fn gos_tool_fetches_every_profile_from_the_listener() {
    let _alone = alone();
    let _work = [Work::start("cruncher", busy_outside), Work::start("sleeper", asleep)];
    let admin = start(Some(PprofConfig::default()));
    let tasks = Tasks::default();
    admin.show_tasks(&tasks);
    let url = |target: &str| format!("http://{}/debug/pprof/{target}", admin.local_addr());
    for target in [
        "profile?seconds=1",
        "wall?seconds=1",
        "offcpu?seconds=1",
        "goroutine",
        "threadcreate",
        "block",
        "mutex",
    ] {
        go_tool_pprof(&["-top", &url(target)]);
        go_tool_pprof(&["-raw", &url(target)]);
    }
    // As people call it: the tool adds the seconds itself.
    assert!(go_tool_pprof(&["-seconds", "1", "-top", &url("profile")]).contains("busy_inside"));
}

#[test]
fn gos_tool_shows_the_reason_of_what_is_not_there() {
    let admin = start(Some(PprofConfig::default()));
    let url = format!("http://{}/debug/pprof/trace", admin.local_addr());
    let shown = std::panic::catch_unwind(|| go_tool_pprof(&["-top", &url])).unwrap_err();
    let shown = shown.downcast_ref::<String>().unwrap();
    assert!(shown.contains("501") && shown.contains("no counterpart"), "{shown}");
}

#[test]
fn gos_tool_sends_the_token_as_a_password() {
    let admin = start(Some(PprofConfig { token: Some(Token::new("open")), ..PprofConfig::default() }));
    let url = format!("http://any:open@{}/debug/pprof/threadcreate", admin.local_addr());
    assert!(go_tool_pprof(&["-top", &url]).contains("seawall-admin"));
    let (head, _) = fetch(admin.local_addr(), "GET /debug/pprof/", "");
    assert!(head.starts_with("http/1.1 401 ") && head.contains("www-authenticate: basic"), "{head}");
    assert!(
        fetch(admin.local_addr(), "GET /metrics", "").0.starts_with("http/1.1 200 "),
        "the rest has no token"
    );
}

#[test]
fn without_a_configuration_profiling_is_off_and_says_so() {
    let admin = start(None);
    for path in ["/debug/pprof/", "/debug/pprof/profile", "/debug/seawall/threads", "/debug/seawall/pools"] {
        let (head, body) = fetch(admin.local_addr(), &format!("GET {path}"), "");
        assert!(
            head.starts_with("http/1.1 501 ") && body.contains("AdminConfig::pprof"),
            "{path}: {head} {body}"
        );
    }
    assert!(admin.pprof().is_none());
}

#[test]
fn symbols_may_be_posted() {
    let admin = start(Some(PprofConfig::default()));
    let address = format!("{:#x}", busy_outside as *const () as usize);
    let (head, body) = fetch(admin.local_addr(), "POST /debug/pprof/symbol", &address);
    assert!(head.starts_with("http/1.1 200 ") && body.contains("busy_outside"), "{head} {body}");
}

#[test]
fn a_runtime_fills_its_section() {
    let admin = start(Some(PprofConfig::default()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    admin.pprof().unwrap().show(Section::Runtime, "background", tokio_runtime(runtime.handle()));
    let (head, body) = fetch(admin.local_addr(), "GET /debug/seawall/runtime", "");
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(json["background"]["workers"].as_array().map(Vec::len), Some(2), "{json}");
}

#[test]
fn pools_limits_and_workers_are_filled_from_the_metrics() {
    let registry = Registry::new();
    let config = AdminConfig {
        addr: ([127, 0, 0, 1], 0).into(),
        pprof: Some(PprofConfig::default()),
        ..AdminConfig::default()
    };
    let admin = Admin::start(&config, &registry).unwrap();
    let page = |name: &str| fetch(admin.local_addr(), &format!("GET /debug/seawall/{name}"), "");
    assert!(page("pools").0.starts_with("http/1.1 501 "), "there is no pool yet");
    registry.gauge("seawall_sql_waiters", "W.", &[("side", "read")]).set(3);
    registry.counter("seawall_http_refused_total", "R.", &[("reason", "in_flight")]).inc();
    registry.gauge("seawall_connections", "C.", &[("worker", "1")]).set(5);
    let json = |name| serde_json::from_str::<serde_json::Value>(&page(name).1).unwrap();
    assert_eq!(json("pools")["metrics"]["sql"]["waiters"]["side=read"], 3);
    assert_eq!(json("limits")["metrics"]["seawall_http_refused_total"]["reason=in_flight"], 1);
    let runtime = json("runtime");
    assert_eq!(runtime["workers"]["1"]["seawall_connections"], 5, "{runtime}");
    assert_eq!(runtime["admin"]["workers"].as_array().map(Vec::len), Some(1), "{runtime}");
    let other = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    admin.show_runtime("background", other.handle());
    assert_eq!(json("runtime")["background"]["workers"].as_array().map(Vec::len), Some(2));
}

#[test]
fn stopping_the_listener_does_not_wait_for_a_profile() {
    let _alone = alone();
    let admin = start(Some(PprofConfig::default()));
    let addr = admin.local_addr();
    // Whoever asks whether it is refused may have been the first, and then this one is.
    let fetching = std::thread::spawn(move || {
        let limit = now() + PATIENCE;
        loop {
            let mut stream = TcpStream::connect(addr).unwrap();
            write!(
                stream,
                "GET /debug/pprof/profile?seconds=300 HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n"
            )
            .unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer); // cut, or not: both end
            if !answer.starts_with(b"HTTP/1.1 500 ") || now() > limit {
                return;
            }
        }
    });
    eventually("the profile is under way", || {
        fetch(addr, "GET /debug/pprof/wall?seconds=0.001", "").0.starts_with("http/1.1 500 ")
    });
    let begun = now();
    admin.stop();
    assert!(begun.elapsed() < PATIENCE, "it waited for the profile");
    fetching.join().unwrap();
}
