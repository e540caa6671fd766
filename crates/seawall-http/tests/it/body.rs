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

/// Reads a stream to its end.
async fn streamed(c: &Context) -> Result<usize> {
    let mut body = c.stream_body()?;
    let mut sum = 0;
    while let Some(piece) = body.next().await {
        sum += piece?.len();
    }
    Ok(sum)
}

#[test]
fn what_was_read_whole_can_be_streamed_bound_and_read_as_often_as_one_likes() {
    let all = async |c: Context| -> Result<String> {
        let whole = c.body().await?.len();
        let (first, second) = (streamed(&c).await?, streamed(&c).await?);
        let bound: Vec<u8> = c.bind().await?;
        Ok(format!("{whole} {first} {second} {bound:?} {}", c.body().await?.len()))
    };
    check(App::new().post("/", all), "POST / [1,2]", 200, "5 5 5 [1, 2] 5");
}
#[test]
fn a_whole_body_is_judged_by_the_limit_of_its_first_reader() {
    let peek = async |c: Context, next: Next| -> Result<Response> {
        c.body().await?;
        next.run(c).await
    };
    check(App::new().post("/", len.with(BodyLimit::new(1))).with(peek), "POST / 12345", 200, "5");
}
#[test]
fn nobody_has_what_was_streamed() {
    let both = async |c: Context| -> Result<String> {
        let sum = streamed(&c).await?;
        let (whole, again) = (c.body().await.is_err(), c.stream_body().is_err());
        Ok(format!("{sum} {whole} {again}"))
    };
    check(App::new().post("/", both), "POST / 12345", 200, "5 true true");
}
#[test]
fn a_413_stays_one_for_every_later_reader() {
    let ask = async |c: Context| -> Result<String> {
        let first = c.body().await.unwrap_err().status();
        let stream = c.stream_body().unwrap_err().status();
        let bound = c.bind::<u8>().await.unwrap_err().status();
        Ok(format!("{first} {stream} {bound}"))
    };
    let four = BodyLimit::new(4);
    let too_large = "413 Payload Too Large";
    check(App::new().post("/", ask.with(four)), "POST / 12345", 200, &[too_large; 3].join(" "));
    let forgiving = async |c: Context, next: Next| -> Result<Response> {
        let _ = c.body().await;
        next.run(c).await
    };
    check(
        App::new().post("/", len.with(forgiving).with(four)).with(four),
        "POST / 12345",
        413,
        r#"{"message":"the body is larger than 4 bytes"}"#,
    );
}
