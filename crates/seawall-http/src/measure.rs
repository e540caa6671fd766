//! What is counted per request, under OpenTelemetry's names: duration by method, route and status; requests in
//! flight.
//!
//! A route's timers are looked up in the registry once per method and status, and found again without a lock.

use std::sync::OnceLock;
use std::time::Duration;

use http::{Method, StatusCode};
use seawall_core::metrics::{Gauge, Registry, Timer};

/// More combinations of method and status than any sane route has; what is beyond is not looked up any faster.
const MAX_TIMERS: usize = 32;

/// The timers of one route on one worker: an append-only list, so that reading takes no lock.
#[derive(Default)]
pub(crate) struct RouteTimers(OnceLock<Box<Entry>>);

struct Entry {
    method: Method,
    status: StatusCode,
    timer: Timer,
    next: RouteTimers,
}

impl RouteTimers {
    /// Counts one request.
    pub(crate) fn observe(
        &self,
        registry: &Registry,
        route: &str,
        method: &Method,
        status: StatusCode,
        taken: Duration,
    ) {
        let method = known(method);
        let mut list = self;
        for _ in 0..MAX_TIMERS {
            let new = || Entry {
                timer: timer(registry, route, &method, status),
                method: method.clone(),
                status,
                next: Self::default(),
            };
            let entry = list.0.get_or_init(|| Box::new(new()));
            if entry.status == status && entry.method == method {
                return entry.timer.observe(taken);
            }
            list = &entry.next;
        }
        timer(registry, route, &method, status).observe(taken);
    }
}

/// Methods that nobody registered would let a client make as many series as it likes.
fn known(method: &Method) -> Method {
    const KNOWN: [Method; 9] = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::HEAD,
        Method::PATCH,
        Method::OPTIONS,
        Method::CONNECT,
        Method::TRACE,
    ];
    if KNOWN.contains(method) { method.clone() } else { Method::from_bytes(b"_OTHER").expect("a token") }
}

fn timer(registry: &Registry, route: &str, method: &Method, status: StatusCode) -> Timer {
    registry.timer(
        "http_server_request_duration_seconds",
        "Time from the request's head to its answer, streamed bodies included.",
        &[
            ("http_request_method", method.as_str()),
            ("http_route", route),
            ("http_response_status_code", status.as_str()),
        ],
    )
}

/// One more on a gauge, until it is dropped: a request in flight, an open connection.
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn start(gauge: &Gauge) -> Self {
        gauge.add(1);
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.sub(1);
    }
}
