//! The framework from outside: requests in, answers out. One binary, so that it links once.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_arguments,
    reason = "helpers of tests, and the most arguments there can be"
)]

// The name that users know it by, and that the derives write.
extern crate seawall_http as seawall;

mod aborted;
mod access_lines;
mod admission;
mod answers;
mod binding;
mod body;
mod body_dump;
mod client_ip;
#[cfg(feature = "compression")]
mod compression;
mod cookies;
mod deadline;
mod derive;
mod errors;
mod etag;
mod extractors;
mod files;
mod groups;
mod handlers;
mod hosts;
#[path = "../live/mod.rs"]
mod live;
mod live_config;
mod messages;
mod middleware;
#[cfg(feature = "multipart")]
mod multipart;
mod named;
#[cfg(feature = "openapi")]
mod openapi;
mod pre_routing;
mod routing;
mod server;
mod sources;
mod spans;
mod sse;
mod start;
mod static_files;
mod swap;
mod tasks;
mod testing;
mod timeouts;
#[cfg(feature = "tower")]
mod tower;
mod tracing;
#[cfg(feature = "garde")]
mod validation;
mod watchdog;
#[cfg(feature = "websocket")]
mod websocket;

use seawall_core::metrics::{Registry, Value};
use seawall_http::App;
use seawall_http::testing::{TestClient, TestResponse};

/// A runtime for one test, with timers.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A number of a metric, by its labels as `label=value`; zero as long as nobody has registered it.
fn sample(registry: &Registry, name: &str, labels: &str) -> i64 {
    let families = registry.snapshot();
    let samples = families.iter().filter(|family| family.name == name).flat_map(|family| &family.samples);
    let label = |(name, value): &(_, _)| format!("{name}={value}");
    let mut ours =
        samples.filter(|sample| sample.labels.iter().map(label).collect::<Vec<_>>().join(",") == labels);
    match ours.next().map(|sample| &sample.value) {
        Some(Value::Gauge(value)) => *value,
        Some(Value::Counter(value)) => i64::try_from(*value).unwrap(),
        Some(Value::Timer(_)) => panic!("{name} is a timer"),
        None => 0,
    }
}

/// Sends `METHOD /target [body]` to `app`; the answer.
#[track_caller]
fn send(app: App, request: &str) -> TestResponse {
    let mut parts = request.splitn(3, ' ');
    let method = parts.next().unwrap().parse().unwrap();
    let client = TestClient::new(app).unwrap();
    let target = parts.next().unwrap();
    let body = parts.next().unwrap_or_default().to_owned();
    block_on(async { client.request(method, target).body(body).await })
}

/// Sends a request and compares status and body.
#[track_caller]
fn check(app: App, request: &str, status: u16, body: &str) {
    let answer = send(app, request);
    assert_eq!((answer.status().as_u16(), answer.text()), (status, body), "{request}");
}
