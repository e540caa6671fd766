//! BodyDump: what passed, and that nothing waits for it.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use seawall_http::middleware::{BodyDump, BodyDumpConfig, Dump};
use seawall_http::testing::TestClient;
use seawall_http::{App, Error, Response};

use crate::{block_on, send};

type Dumps = Arc<Mutex<Vec<Dump>>>;

fn dumping(config: BodyDumpConfig) -> (App, Dumps) {
    let dumps = Dumps::default();
    let into = Arc::clone(&dumps);
    let dump = BodyDump::new(&config, move |_, dump| into.lock().unwrap().push(dump)).unwrap();
    (App::new().with(dump), dumps)
}

#[track_caller]
fn only(dumps: &Dumps) -> Dump {
    let dumps = dumps.lock().unwrap();
    assert_eq!(dumps.len(), 1);
    dumps[0].clone()
}

#[test]
fn both_bodies_are_shown_and_the_handler_has_its_own() {
    let (app, dumps) = dumping(BodyDumpConfig::default());
    let app = app.post("/", async |text: String| text.to_uppercase());
    assert_eq!(send(app, "POST / hello").text(), "HELLO");
    let dump = only(&dumps);
    assert_eq!(
        (&dump.request.bytes[..], &dump.response.bytes[..], dump.status.as_u16()),
        (&b"hello"[..], &b"HELLO"[..], 200)
    );
    assert!(dump.request.is_whole() && dump.response.is_whole());
}

#[test]
fn copies_have_a_limit_and_the_bodies_none() {
    let (app, dumps) = dumping(BodyDumpConfig { max_request_bytes: 2, max_response_bytes: 3 });
    let client = TestClient::new(app.post("/", async |text: String| text)).unwrap();
    let pieces = ["ab", "cd", "ef"].map(Bytes::from);
    assert_eq!(block_on(async { client.post("/").chunks(pieces).await }).text(), "abcdef");
    let dump = only(&dumps);
    assert_eq!((&dump.request.bytes[..], dump.request.total), (&b"ab"[..], 6));
    assert_eq!((&dump.response.bytes[..], dump.response.total), (&b"abc"[..], 6));
}

#[test]
fn a_stream_is_shown_when_it_has_ended() {
    let (app, dumps) = dumping(BodyDumpConfig::default());
    let seen = Arc::clone(&dumps);
    let stream = move || {
        let seen = Arc::clone(&seen);
        async move {
            Response::stream(StatusCode::OK, HeaderValue::from_static("text/plain"), async move |mut out| {
                out.write("one").await?;
                out.write("two").await?;
                assert!(seen.lock().unwrap().is_empty());
                Ok(())
            })
        }
    };
    let answer = send(app.get("/", stream), "GET /");
    assert_eq!(answer.text(), "onetwo");
    assert_eq!(only(&dumps).response.bytes, b"onetwo");
}

#[test]
fn a_declared_length_still_holds() {
    let (app, _) = dumping(BodyDumpConfig::default());
    let stream = async || {
        let kind = HeaderValue::from_static("text/plain");
        Response::stream(StatusCode::OK, kind, async |mut out| out.write("123").await).length(3)
    };
    let answer = send(app.get("/", stream), "HEAD /");
    assert_eq!(answer.header("content-length"), "3");
}

#[test]
fn a_failure_is_shown_with_its_status() {
    let (app, dumps) = dumping(BodyDumpConfig::default());
    let app = app.post("/", async |_: String| Err::<(), _>(Error::conflict("no")).map(|()| "never"));
    assert_eq!(send(app, "POST / hello").status(), 409);
    let dump = only(&dumps);
    assert_eq!((dump.status.as_u16(), &dump.request.bytes[..], dump.response.total), (409, &b"hello"[..], 0));
}

#[test]
fn the_body_limit_still_holds() {
    let (app, dumps) = dumping(BodyDumpConfig::default());
    let app = app.post("/", async |text: String| text).with(seawall_http::middleware::BodyLimit::new(4));
    assert_eq!(send(app, "POST / hello").status(), 413);
    assert_eq!(only(&dumps).status, 413);
}
