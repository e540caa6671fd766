//! ETag: tags for answers that have none, and 304.

use http::{HeaderValue, StatusCode, header};
use seawall_http::middleware::{ETag, ETagConfig};
use seawall_http::testing::{TestClient, TestResponse};
use seawall_http::{App, Response};

use crate::block_on;

fn tagged(config: ETagConfig) -> App {
    App::new().with(ETag::new(&config).unwrap()).get("/", async || "hello").post("/", async || "posted")
}

fn ask(app: App, method: &str, known: &str) -> TestResponse {
    let client = TestClient::new(app).unwrap();
    let request = client.request(method.parse().unwrap(), "/").header("if-none-match", known);
    block_on(async { request.await })
}

/// Of `hello`.
const TAG: &str = "\"2cf24dba5fb0a30e26e83b2ac5b9e29e\"";

#[test]
fn an_answer_gets_the_hash_of_its_body() {
    let answer = ask(tagged(ETagConfig::default()), "GET", "");
    assert_eq!((answer.header("etag"), answer.text()), (TAG, "hello"));
    let head = ask(tagged(ETagConfig::default()), "HEAD", "");
    assert_eq!((head.header("etag"), head.header("content-length")), (TAG, "5"));
}

#[test]
fn a_client_that_has_it_gets_304_without_a_body() {
    for known in [TAG, &format!("W/{TAG}"), &format!("\"x\", {TAG}"), "*"] {
        let answer = ask(tagged(ETagConfig::default()), "GET", known);
        assert_eq!(
            (answer.status().as_u16(), answer.text(), answer.header("etag")),
            (304, "", TAG),
            "{known}"
        );
        assert_eq!(answer.header("content-type"), "");
    }
    assert_eq!(ask(tagged(ETagConfig::default()), "GET", "\"other\"").status(), 200);
}

#[test]
fn a_weak_tag_says_so() {
    let config = ETagConfig { strong: false, ..ETagConfig::default() };
    assert_eq!(ask(tagged(config), "GET", "").header("etag"), format!("W/{TAG}"));
    assert_eq!(ask(tagged(config), "GET", TAG).status(), 304);
}

#[test]
fn what_changes_something_gets_no_tag() {
    let answer = ask(tagged(ETagConfig::default()), "POST", "*");
    assert_eq!((answer.status().as_u16(), answer.header("etag")), (200, ""));
}

#[test]
fn failures_and_long_bodies_get_no_tag() {
    let config = ETagConfig { max_length: 4, ..ETagConfig::default() };
    assert_eq!(ask(tagged(config), "GET", "").header("etag"), "");
    assert_eq!(ask(App::new().with(ETag::new(&config).unwrap()), "GET", "").header("etag"), "");
}

#[test]
fn the_handlers_own_tag_counts_for_streams_too() {
    let own = async || {
        let stream =
            Response::stream(StatusCode::OK, HeaderValue::from_static("text/plain"), async |mut out| {
                out.write("never sent").await
            });
        stream.header(header::ETAG, HeaderValue::from_static("\"own\""))
    };
    let app = App::new().with(ETag::new(&ETagConfig::default()).unwrap()).get("/", own);
    let answer = ask(app, "GET", "\"own\"");
    assert_eq!((answer.status().as_u16(), answer.text()), (304, ""));
}
