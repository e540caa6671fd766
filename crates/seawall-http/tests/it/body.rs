//! The limit on bodies, and reading them more than once.

use bytes::Bytes;
use http::StatusCode;
use seawall_http::middleware::BodyLimit;
use seawall_http::testing::TestClient;
use seawall_http::{App, Body, Context, Next, Response, Result, RouteOptions as _, ServerConfig};

use crate::{block_on, check};

async fn len(body: Bytes) -> String {
    body.len().to_string()
}

/// Sends a body in pieces, without a declared length, and gives the status.
#[track_caller]
fn chunked(app: App, pieces: usize) -> StatusCode {
    let client = TestClient::new(app).unwrap();
    let pieces = std::iter::repeat_n(Bytes::from_static(b"0123456789"), pieces);
    block_on(async { client.post("/").chunks(pieces).await }).status()
}

fn at_most(bytes: usize) -> App {
    App::new().post("/", len).config(ServerConfig { body_limit: bytes, ..ServerConfig::default() })
}

#[test]
fn a_body_of_exactly_the_limit_passes() {
    check(at_most(5), "POST / 12345", 200, "5");
    assert_eq!(chunked(at_most(30), 3), 200);
}
#[test]
fn one_byte_more_is_413() {
    check(at_most(4), "POST / 12345", 413, r#"{"message":"the body is larger than 4 bytes"}"#);
}
#[test]
fn a_chunked_body_is_bound_as_well() {
    assert_eq!(chunked(at_most(29), 3), 413);
}
#[test]
fn a_route_may_have_another_limit() {
    let app = || App::new().post("/", len.with(BodyLimit::new(4)));
    check(app(), "POST / 1234", 200, "4");
    check(app(), "POST / 12345", 413, r#"{"message":"the body is larger than 4 bytes"}"#);
}
#[test]
fn the_innermost_limit_counts() {
    check(
        App::new().post("/", len.with(BodyLimit::new(9))).with(BodyLimit::new(1)),
        "POST / 12345",
        200,
        "5",
    );
}
#[test]
fn a_stream_is_bound_too() {
    let read = async |mut body: Body| -> Result<String> {
        let mut sum = 0;
        while let Some(piece) = body.next().await {
            sum += piece?.len();
        }
        Ok(sum.to_string())
    };
    assert_eq!(chunked(App::new().post("/", read.with(BodyLimit::new(25))), 3), 413);
}
#[test]
fn a_body_that_nobody_reads_is_not_judged() {
    check(App::new().post("/", (async || "x").with(BodyLimit::new(1))), "POST / 12345", 200, "x");
}

#[test]
fn a_whole_body_may_be_read_again() {
    let peek = async |c: Context, next: Next| -> Result<Response> {
        let seen = c.body().await?.len();
        assert_eq!(seen, 5);
        next.run(c).await
    };
    check(App::new().post("/", len).with(peek), "POST / 12345", 200, "5");
}
#[test]
fn a_stream_is_read_once() {
    let greedy = async |c: Context, next: Next| -> Result<Response> {
        drop(c.stream_body()?);
        next.run(c).await
    };
    check(
        App::new().post("/", len).with(greedy),
        "POST / 12345",
        500,
        r#"{"message":"Internal Server Error"}"#,
    );
}
