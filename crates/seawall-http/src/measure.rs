//! What is counted per request, under OpenTelemetry's names: duration by method, route, status and what went wrong;
//! errors by class; requests in flight.
//!
//! A route's timers are looked up in the registry once per combination, and found again without a lock.

use std::sync::OnceLock;
use std::time::Duration;

use http::{Method, StatusCode};
use seawall_core::Class;
use seawall_core::metrics::{Counter, Gauge, Registry, Timer};

/// More combinations of method, status and end than any sane route has; what is beyond is not looked up any faster.
const MAX_TIMERS: usize = 32;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Its whole answer was handed to the connection.
    Answered,
    /// Nobody waited for the end: the client left, or the server cut the connection.
    Aborted,
    /// The producer of its streamed body failed.
    BrokenBody,
}

/// How a request ended, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending {
    /// `None` if it ended before there was one.
    pub(crate) status: Option<StatusCode>,
    pub(crate) end: End,
}

impl Ending {
    fn status(&self) -> &str {
        self.status.as_ref().map_or("", StatusCode::as_str)
    }
    /// OpenTelemetry's `error.type`: the status where that says it all, and empty for what went well. A 4xx is the
    /// client's error, hence none of ours.
    pub(crate) fn error_type(&self) -> &str {
        match self.end {
            End::Aborted => "aborted",
            End::BrokenBody => "broken_body",
            End::Answered if self.status.is_some_and(|status| status.is_server_error()) => self.status(),
            End::Answered => "",
        }
    }
}

/// The timers of one route on one worker: an append-only list, so that reading takes no lock.
#[derive(Default)]
pub(crate) struct RouteTimers(OnceLock<Box<Entry>>);

struct Entry {
    method: Method,
    ending: Ending,
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
        ending: Ending,
        taken: Duration,
    ) {
        let method = known(method);
        let mut list = self;
        for _ in 0..MAX_TIMERS {
            let new = || Entry {
                timer: timer(registry, route, &method, ending),
                method: method.clone(),
                ending,
                next: Self::default(),
            };
            let entry = list.0.get_or_init(|| Box::new(new()));
            if entry.ending == ending && entry.method == method {
                return entry.timer.observe(taken);
            }
            list = &entry.next;
        }
        timer(registry, route, &method, ending).observe(taken);
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
    if KNOWN.contains(method) || method.as_str() == "QUERY" {
        method.clone()
    } else {
        Method::from_bytes(b"_OTHER").expect("a token")
    }
}

fn timer(registry: &Registry, route: &str, method: &Method, ending: Ending) -> Timer {
    registry.timer(
        "http_server_request_duration_seconds",
        "Time from the request's head to the end of its answer, streamed bodies included.",
        &[
            ("http_request_method", method.as_str()),
            ("http_route", route),
            ("http_response_status_code", ending.status()),
            ("error_type", ending.error_type()),
        ],
    )
}

/// Errors that became answers, by how to react to them.
pub(crate) struct ErrorCounters {
    transient: Counter,
    permanent: Counter,
    system: Counter,
}

impl ErrorCounters {
    pub(crate) fn new(registry: &Registry) -> Self {
        let counter = |class: Class| {
            registry.counter(
                "seawall_http_errors_total",
                "Errors that became answers, by class.",
                &[("class", class.as_str())],
            )
        };
        let [transient, permanent, system] = [Class::Transient, Class::Permanent, Class::System].map(counter);
        Self { transient, permanent, system }
    }

    pub(crate) fn count(&self, class: Class) {
        match class {
            Class::Transient => self.transient.inc(),
            Class::Permanent => self.permanent.inc(),
            Class::System => self.system.inc(),
        }
    }
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
