//! Trace: a span per request with OpenTelemetry's names.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use ::tracing::field::{Field, Visit};
use ::tracing::span::{Attributes, Id, Record};
use ::tracing::{Event, Metadata, Subscriber};
use seawall_http::middleware::Trace;
use seawall_http::testing::TestClient;
use seawall_http::{App, Error};

use crate::block_on;

/// Keeps every field of every span of requests, and which events came inside of one.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    fields: Vec<String>,
    inside: u32,
    events_inside: u32,
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.push(format!("{}={value:?}", field.name()));
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "seawall::trace" || metadata.is_event()
    }
    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        attributes.record(&mut *self.0.lock().unwrap());
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut *self.0.lock().unwrap());
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {
        let mut seen = self.0.lock().unwrap();
        seen.events_inside += u32::from(seen.inside > 0);
    }
    fn enter(&self, _: &Id) {
        self.0.lock().unwrap().inside += 1;
    }
    fn exit(&self, _: &Id) {
        self.0.lock().unwrap().inside -= 1;
    }
}

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The fields of the span of one request, and how many events came inside.
fn trace(target: &str) -> (Vec<String>, u32) {
    let app = App::new()
        .with(Trace)
        .get("/u/:id", async || {
            ::tracing::info!("inside");
            "hello"
        })
        .get("/fail", async || Err::<&str, _>(Error::internal("broken")));
    let client = TestClient::new(app).unwrap().with_peer("192.0.2.7:9");
    let spans = Spans::default();
    ::tracing::subscriber::with_default(spans.clone(), || {
        block_on(async {
            client.get(target).header("traceparent", PARENT).header("host", "a.example").await
        });
    });
    let seen = spans.0.lock().unwrap();
    (seen.fields.clone(), seen.events_inside)
}

#[track_caller]
fn check(target: &str, expected: &[&str]) {
    let (fields, _) = trace(target);
    for field in expected {
        assert!(fields.iter().any(|found| found == field), "{field} is not in {fields:?}");
    }
}

#[test]
fn a_span_has_the_names_of_opentelemetry() {
    let expected = [
        "otel.name=GET /u/:id",
        "otel.kind=\"server\"",
        "http.request.method=\"GET\"",
        "http.route=\"/u/:id\"",
        "url.path=\"/u/7\"",
        "server.address=\"a.example\"",
        "client.address=192.0.2.7",
        "http.response.status_code=200",
        "trace_id=\"0af7651916cd43dd8448eb211c80319c\"",
        "parent_id=\"b7ad6b7169203331\"",
    ];
    check("/u/7?password=secret", &expected);
    assert!(!format!("{:?}", trace("/u/7?password=secret")).contains("secret"));
}

#[test]
fn a_failure_of_ours_is_an_error_and_a_clients_is_none() {
    check("/fail", &["http.response.status_code=500", "error.type=\"500\"", "otel.status_code=\"ERROR\""]);
    let (fields, _) = trace("/nowhere");
    assert!(fields.contains(&"http.response.status_code=404".to_owned()), "{fields:?}");
    assert!(!fields.iter().any(|field| field.starts_with("error.type")), "{fields:?}");
}

#[test]
fn what_the_handler_logs_belongs_to_the_span() {
    assert_eq!(trace("/u/7").1, 1);
}
