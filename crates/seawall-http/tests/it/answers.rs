//! What handlers answer with.

use bytes::Bytes;
use http::StatusCode;
use seawall_http::testing::TestClient;
use seawall_http::{App, Context, Error, Html, Json, Redirect, Response, Result};

use crate::{block_on, check, send};

#[track_caller]
fn answers<M>(handler: impl seawall_http::Handler<M>, status: u16, content_type: &str, body: &str) {
    let answer = send(App::new().get("/", handler), "GET /");
    let found = (answer.status().as_u16(), answer.header("content-type"), answer.text());
    assert_eq!(found, (status, content_type, body));
}

#[test]
fn values_become_responses() {
    answers(async || "text", 200, "text/plain; charset=utf-8", "text");
    answers(async || "text".to_owned(), 200, "text/plain; charset=utf-8", "text");
    answers(async || Bytes::from_static(b"x"), 200, "application/octet-stream", "x");
    answers(async || Html("<p>"), 200, "text/html; charset=utf-8", "<p>");
    answers(async || Json([1, 2]), 200, "application/json", "[1,2]");
    answers(async || StatusCode::NO_CONTENT, 204, "", "");
    answers(async || (StatusCode::CREATED, Json("x")), 201, "application/json", "\"x\"");
    answers(async || Ok::<_, Error>("fine"), 200, "text/plain; charset=utf-8", "fine");
}

#[test]
fn a_context_has_the_short_ways() {
    answers(async |c: Context| c.json(201, &[1]), 201, "application/json", "[1]");
    answers(async |c: Context| c.text(202, "t"), 202, "text/plain; charset=utf-8", "t");
    answers(async |c: Context| c.html(200, "<b>"), 200, "text/html; charset=utf-8", "<b>");
    answers(async |c: Context| c.bytes(200, "image/png", "p"), 200, "image/png", "p");
    answers(async |c: Context| c.no_content(), 204, "", "");
}

#[test]
fn redirects_name_their_place() {
    let app = App::new().get("/", async |c: Context| c.redirect(302, "/there"));
    let answer = send(app, "GET /");
    assert_eq!((answer.status().as_u16(), answer.header("location")), (302, "/there"));
    let answer = send(App::new().get("/", async || Redirect::see_other("/x")), "GET /");
    assert_eq!((answer.status().as_u16(), answer.header("location")), (303, "/x"));
}

#[test]
fn a_redirect_must_be_one() {
    check(
        App::new().get("/", async |c: Context| c.redirect(200, "/")),
        "GET /",
        500,
        r#"{"message":"Internal Server Error"}"#,
    );
}

#[test]
fn a_streamed_body_comes_whole() {
    let stream = async |c: Context| {
        c.stream(200, "text/csv", async |mut out| {
            for row in 0..1000 {
                out.write(format!("{row}\n")).await?;
            }
            Ok(())
        })
    };
    let answer = send(App::new().get("/", stream), "GET /");
    assert_eq!(answer.header("content-type"), "text/csv");
    assert_eq!(answer.text().lines().count(), 1000);
    assert!(answer.text().ends_with("999\n"));
}

#[test]
fn a_stream_that_fails_breaks_off() {
    let stream = async |c: Context| {
        c.stream(200, "text/plain", async |mut out| {
            out.write("half").await?;
            Err(Error::internal("the other half is gone"))
        })
    };
    let answer = send(App::new().get("/", stream), "GET /");
    assert!(answer.broken().unwrap().contains("the other half is gone"));
}

#[test]
fn a_permit_lives_as_long_as_the_body() {
    use std::sync::Arc;
    let permit = Arc::new(());
    let held = Arc::clone(&permit);
    let app = App::new().get("/", move || {
        let permit = Arc::clone(&held);
        async move { Ok::<_, Error>(Response::new(StatusCode::OK, "x").hold(permit)) }
    });
    let client = TestClient::new(app).unwrap();
    let request = http::Request::get("/").body(seawall_http::Body::whole("")).unwrap();
    let answer = block_on(client.service().handle(request));
    assert_eq!(Arc::strong_count(&permit), 3);
    drop(answer);
    assert_eq!(Arc::strong_count(&permit), 2);
}

#[test]
fn what_does_not_serialise_is_500() {
    let bad =
        async || -> Result<Json<std::collections::HashMap<(u8, u8), u8>>> { Ok(Json([((1, 2), 3)].into())) };
    check(App::new().get("/", bad), "GET /", 500, r#"{"message":"Internal Server Error"}"#);
}
