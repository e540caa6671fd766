//! A span per request, for whoever collects `tracing` spans: names and fields are OpenTelemetry's.

use http::{Version, header};
use tracing::field::{Empty, display};
use tracing::{Instrument as _, Span};

use super::{Middleware, Next};
use crate::context::Context;
use crate::error::Result;
use crate::respond::Response;

/// Runs everything further in inside of a span: `request`, target `seawall::trace`, level `info`, with the fields of
/// OpenTelemetry's conventions for HTTP servers (`http.request.method`, `url.path`, `http.route`,
/// `http.response.status_code`, `client.address`, ...) and `otel.name`, `otel.kind` and `otel.status_code` as
/// tracing-opentelemetry reads them. `trace_id`, `span_id` and `parent_id` are those of [`Context::trace`], so that lines
/// and calls out carry the same ids. What is logged further in belongs to the span.
///
/// The query is left out, because it may carry secrets. A 4xx is no error of this service. The span ends with the answer's
/// head, or where the request is dropped; a streamed body runs outside of it. If nobody listens, it costs one check.
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::Trace;
///
/// let app = App::new().with(Trace).get("/", async || "hello");
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Trace;

impl Middleware for Trace {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        let span = span();
        if span.is_disabled() {
            return next.run(c).await;
        }
        describe(&span, &c);
        let answer = next.run(c).instrument(span.clone()).await;
        let status = match &answer {
            Ok(response) => response.status(),
            Err(error) => error.status(),
        };
        span.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            span.record("error.type", status.as_str()).record("otel.status_code", "ERROR");
        }
        answer
    }
}

fn span() -> Span {
    tracing::info_span!(
        target: "seawall::trace",
        "request",
        "otel.name" = Empty,
        "otel.kind" = "server",
        "otel.status_code" = Empty,
        "http.request.method" = Empty,
        "http.route" = Empty,
        "http.response.status_code" = Empty,
        "error.type" = Empty,
        "url.path" = Empty,
        "url.scheme" = Empty,
        "server.address" = Empty,
        "client.address" = Empty,
        "network.protocol.version" = Empty,
        "user_agent.original" = Empty,
        request_id = Empty,
        trace_id = Empty,
        span_id = Empty,
        parent_id = Empty,
    )
}

fn describe(span: &Span, c: &Context) {
    match c.route() {
        Some(route) => {
            span.record("otel.name", display(format_args!("{} {route}", c.method())))
                .record("http.route", route);
        }
        None => _ = span.record("otel.name", c.method().as_str()),
    }
    span.record("http.request.method", c.method().as_str())
        .record("url.path", c.path())
        .record("url.scheme", c.scheme())
        .record("server.address", c.host())
        .record("client.address", c.client_ip().map(display))
        .record("network.protocol.version", if c.version() == Version::HTTP_2 { "2" } else { "1.1" })
        .record("user_agent.original", c.header(header::USER_AGENT))
        .record("request_id", c.request_id())
        .record("trace_id", c.trace_id())
        .record("span_id", c.trace().span_id())
        .record("parent_id", c.trace().parent_id());
}
