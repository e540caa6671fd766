//! What is below HTTP, from outside: listeners, TLS, the PROXY protocol, the spread over workers, limits of the system,
//! signals. What needs a process of its own gets one: this binary, started again for one ignored test.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[cfg(feature = "acme")]
mod acme;
mod age;
#[cfg(feature = "tls")]
mod certificates;
mod child;
mod files;
mod listeners;
#[path = "../live/mod.rs"]
mod live;
mod proxy_protocol;
mod signals;
mod spread;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod tls_files;

use std::io::{Read, Write};

use seawall_core::metrics::{Registry, Value};
use seawall_http::ServerConfig;

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const GET_AND_CLOSE: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

fn workers(count: usize) -> ServerConfig {
    ServerConfig { workers: Some(count), ..ServerConfig::default() }
}

/// Sends a request that asks to close; the body of the answer.
#[track_caller]
fn ask(stream: &mut (impl Read + Write)) -> String {
    stream.write_all(GET_AND_CLOSE.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.rsplit("\r\n\r\n").next().unwrap().to_owned()
}

/// The numbers of a metric, one for each combination of labels, as `label=value`.
fn samples(registry: &Registry, name: &str) -> Vec<(String, i64)> {
    let families = registry.snapshot();
    let Some(family) = families.iter().find(|family| family.name == name) else { return Vec::new() };
    let sample = |sample: &seawall_core::metrics::Sample| {
        let labels: Vec<_> = sample.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let value = match &sample.value {
            Value::Gauge(value) => *value,
            Value::Counter(value) => i64::try_from(*value).unwrap(),
            Value::Timer(_) => panic!("{name} is a timer"),
        };
        (labels.join(","), value)
    };
    family.samples.iter().map(sample).collect()
}

/// One of them; zero as long as nobody has registered it.
fn sample(registry: &Registry, name: &str, labels: &str) -> i64 {
    samples(registry, name).into_iter().find(|sample| sample.0 == labels).map_or(0, |sample| sample.1)
}
