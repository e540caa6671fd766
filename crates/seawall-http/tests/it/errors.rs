//! Everything that fails ends in one place.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use proptest::prelude::*;
use seawall_core::metrics::Value;
use seawall_http::middleware::BodyLimit;
use seawall_http::testing::TestClient;
use seawall_http::{
    App, Body, Context, Error, Next, Response, Result, RouteOptions as _, ServerConfig, after,
};

use crate::{block_on, check, send};

#[derive(Debug)]
enum ShopError {
    SoldOut,
    Unknown(u32),
}

impl std::error::Error for ShopError {}
impl std::fmt::Display for ShopError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

fn status(error: &ShopError) -> Error {
    match error {
        ShopError::SoldOut => Error::conflict("sold out").code("sold_out"),
        ShopError::Unknown(id) => Error::not_found(format!("no user {id}")),
    }
}

fn shop() -> App {
    async fn sold_out() -> Result<&'static str> {
        Err(ShopError::SoldOut)?
    }
    async fn unknown() -> Result<&'static str, ShopError> {
        Err(ShopError::Unknown(7))
    }
    async fn other() -> Result<String> {
        Ok(std::fs::read_to_string("/does/not/exist")?)
    }
    App::new().get("/sold-out", sold_out).get("/unknown", unknown).get("/other", other).map_error(status)
}

#[test]
fn a_domain_error_gets_its_status_in_one_place() {
    check(shop(), "GET /sold-out", 409, r#"{"message":"sold out","code":"sold_out"}"#);
    check(shop(), "GET /unknown", 404, r#"{"message":"no user 7"}"#);
}
#[test]
fn any_other_error_is_a_500_without_its_detail() {
    check(shop(), "GET /other", 500, r#"{"message":"Internal Server Error"}"#);
}
#[test]
fn middleware_sees_the_status_of_the_domain() {
    let seen = after(|_, answer| {
        if let Err(error) = answer {
            assert_eq!(error.status(), 409);
            assert!(matches!(error.cause(), Some(ShopError::SoldOut)));
        }
    });
    check(shop().with(seen), "GET /sold-out", 409, r#"{"message":"sold out","code":"sold_out"}"#);
}
#[test]
fn a_panic_is_a_500() {
    check(
        App::new().get("/", async || -> &str { panic!("oh") }),
        "GET /",
        500,
        r#"{"message":"Internal Server Error"}"#,
    );
}
#[test]
fn a_panic_in_a_middleware_is_one_too() {
    let app = App::new().with(async |_: Context, _: Next| -> Result<Response> { panic!("oh") });
    check(app, "GET /nowhere", 500, r#"{"message":"Internal Server Error"}"#);
}
#[test]
fn a_panic_in_on_error_still_answers() {
    check(App::new().on_error(|_, _| panic!("oh")), "GET /", 500, r#"{"message":"Internal Server Error"}"#);
}
#[test]
fn on_error_decides_what_the_client_reads() {
    let app = || {
        App::new()
            .get("/users/:id", async |c: Context| c.param::<u8>("id").map(|id| id.to_string()))
            .on_error(|c, e| Response::new(e.status(), format!("{} at {}", e.message(), c.path())))
    };
    check(app(), "GET /x", 404, "Not Found at /x");
    check(app(), "POST /users/1", 405, "Method Not Allowed at /users/1");
    check(app(), "GET /users/x", 400, "invalid path parameter at /users/x");
}
#[test]
fn a_timeout_is_504() {
    let slow = (async || std::future::pending::<&str>().await).timeout(Duration::from_millis(1));
    check(App::new().get("/", slow), "GET /", 504, r#"{"message":"the answer took too long"}"#);
}
#[test]
fn headers_of_an_error_reach_the_client() {
    let app = App::new().get("/", async || -> Result<&str> {
        Err(Error::unauthorized("who?").header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
    });
    assert_eq!(send(app, "GET /").header("www-authenticate"), "Bearer");
}
#[test]
fn a_413_stays_one_through_bind() {
    let bind = async |c: Context| c.bind::<u32>().await.map(|n| n.to_string());
    let app = App::new().post("/", bind.with(BodyLimit::new(2)));
    assert_eq!(send(app, "POST / 12345").status(), StatusCode::PAYLOAD_TOO_LARGE);
}
#[test]
fn requests_are_counted_by_route_method_and_status() {
    let app = shop();
    let registry = app.metrics();
    let client = TestClient::new(app).unwrap();
    block_on(async {
        client.get("/sold-out").await;
        client.get("/sold-out?x=1").await;
        client.get("/nowhere").await;
    });
    let families = registry.snapshot();
    let durations =
        families.iter().find(|family| family.name == "http_server_request_duration_seconds").unwrap();
    let labels: Vec<_> =
        durations.samples.iter().map(|s| (s.labels[1].1.as_str(), s.labels[2].1.as_str())).collect();
    assert_eq!(labels, [("", "404"), ("/sold-out", "409")]);
}
#[test]
fn errors_are_counted_by_class() {
    let app = shop().get("/busy", async || Err::<&str, _>(Error::unavailable("full")));
    let registry = app.metrics();
    let client = TestClient::new(app).unwrap();
    block_on(async {
        for target in ["/sold-out", "/nowhere", "/busy", "/other", "/other"] {
            client.get(target).await;
        }
    });
    let families = registry.snapshot();
    let errors = families.iter().find(|family| family.name == "seawall_http_errors_total").unwrap();
    let counts: Vec<_> = errors.samples.iter().map(|s| (s.labels[0].1.as_str(), s.value.clone())).collect();
    let expected = [("permanent", 2), ("system", 2), ("transient", 1)];
    assert_eq!(counts, expected.map(|(class, count)| (class, Value::Counter(count))));
}

// Problems.

/// Sends a request to an app that tells problems; status and body, without the request's id.
#[track_caller]
fn problem(app: App, request: &str, status: u16, expected: &str) {
    let answer = send(app.problem_json(), request);
    assert_eq!(answer.status(), status);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let mut body: serde_json::Value = answer.json();
    let id = body.as_object_mut().unwrap().remove("request_id").unwrap();
    assert_eq!(id.as_str().unwrap().len(), 32);
    assert_eq!(body, serde_json::from_str::<serde_json::Value>(expected).unwrap());
}

#[test]
fn a_problem_has_type_title_status_and_detail() {
    let text =
        r#"{"type":"about:blank","title":"Conflict","status":409,"detail":"sold out","code":"sold_out"}"#;
    problem(shop(), "GET /sold-out", 409, text);
}
#[test]
fn a_problem_names_its_fields() {
    let text = r#"{"type":"about:blank","title":"Bad Request","status":400,"detail":"invalid path parameter",
        "fields":[{"field":"id","message":"invalid digit found in string"}]}"#;
    let app = App::new().get("/users/:id", async |c: Context| {
        let id = c.param::<String>("id")?;
        id.parse::<u8>()
            .map(|id| id.to_string())
            .map_err(|error| Error::bad_request("invalid path parameter").field("id", error))
    });
    problem(app, "GET /users/x", 400, text);
}
#[test]
fn a_problem_may_have_a_type_of_its_own() {
    let broke =
        async || Err::<&str, _>(Error::payment_required("").type_uri("https://example.com/no-credit"));
    let text = r#"{"type":"https://example.com/no-credit","title":"Payment Required","status":402}"#;
    problem(App::new().get("/", broke), "GET /", 402, text);
}
#[test]
fn what_the_router_and_the_limits_refuse_is_a_problem_too() {
    problem(shop(), "GET /nowhere", 404, r#"{"type":"about:blank","title":"Not Found","status":404}"#);
    problem(
        shop(),
        "POST /sold-out",
        405,
        r#"{"type":"about:blank","title":"Method Not Allowed","status":405}"#,
    );
    let text = r#"{"type":"about:blank","title":"Payload Too Large","status":413,"detail":"the body is larger than 2 bytes"}"#;
    let bind = async |c: Context| c.bind::<u32>().await.map(|n| n.to_string());
    problem(App::new().post("/", bind.with(BodyLimit::new(2))), "POST / 12345", 413, text);
}
#[test]
fn a_panic_is_a_problem_and_says_no_more() {
    let text = r#"{"type":"about:blank","title":"Internal Server Error","status":500}"#;
    problem(App::new().get("/", async || -> &str { panic!("hunter2") }), "GET /", 500, text);
    problem(App::new().on_error(|_, _| panic!("hunter2")), "GET /", 500, text);
}
#[test]
fn a_problem_carries_the_trace_that_the_client_sent() {
    let client = TestClient::new(App::new().problem_json()).unwrap();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = client.get("/").header("traceparent", parent).header("x-request-id", "id-7");
    let body: serde_json::Value = block_on(async { request.await }).json();
    assert_eq!(body["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(body["request_id"], "id-7");
}
#[test]
fn on_error_may_answer_in_both_forms() {
    let app = || {
        shop().on_error(|c, error| match c.header("accept") {
            Some("application/problem+json") => error.problem(c),
            _ => error.response(),
        })
    };
    let client = TestClient::new(app()).unwrap();
    let plain = block_on(async { client.get("/unknown").await });
    assert_eq!(
        (plain.header("content-type"), plain.text()),
        ("application/json", r#"{"message":"no user 7"}"#)
    );
    let problem =
        block_on(async { client.get("/unknown").header("accept", "application/problem+json").await });
    assert_eq!(problem.header("content-type"), "application/problem+json");
}

// What stays as it is.

#[test]
fn head_answers_have_no_body_on_failures_either() {
    for problem_json in [false, true] {
        let app = if problem_json { shop().problem_json() } else { shop() };
        let client = TestClient::new(app).unwrap();
        for (target, status) in [("/sold-out", 409), ("/nowhere", 404), ("/other", 500)] {
            let answer = block_on(async { client.head(target).await });
            assert_eq!((answer.status().as_u16(), answer.bytes().len()), (status, 0), "{target}");
            let would_be: usize = answer.header("content-length").parse().unwrap();
            assert!(would_be > 0, "{target} says how long the body would have been");
        }
    }
}
#[test]
fn a_413_stays_one_through_whatever_reads_the_body() {
    /// How a stream adaptor hands on what it read.
    async fn as_io(mut body: Body) -> io::Result<usize> {
        let mut length = 0;
        while let Some(piece) = body.next().await {
            length += piece.map_err(io::Error::other)?.len();
        }
        Ok(length)
    }
    async fn through_io(c: Context) -> Result<String> {
        Ok(as_io(c.stream_body()?).await?.to_string())
    }
    async fn wrapped(c: Context) -> Result<String> {
        let read = as_io(c.stream_body()?).await;
        read.map(|n| n.to_string()).map_err(|error| Error::bad_request("the upload failed").source(error))
    }
    async fn boxed(c: Context) -> Result<String> {
        let read =
            async { Ok::<_, Box<dyn std::error::Error + Send + Sync>>(as_io(c.stream_body()?).await?) };
        read.await.map(|n| n.to_string()).map_err(Error::from_boxed)
    }
    let app = App::new().post("/io", through_io).post("/wrapped", wrapped).post("/boxed", boxed);
    let client =
        TestClient::new(app.config(ServerConfig { body_limit: 8, ..ServerConfig::default() })).unwrap();
    block_on(async {
        for target in ["/io", "/wrapped", "/boxed"] {
            let small = client.post(target).chunks([Bytes::from("1234"), Bytes::from("5678")]).await;
            assert_eq!((small.status().as_u16(), small.text()), (200, "8"), "{target}");
            let large = client.post(target).chunks([Bytes::from("12345"), Bytes::from("67890")]).await;
            let expected = r#"{"message":"the body is larger than 8 bytes"}"#;
            assert_eq!((large.status().as_u16(), large.text()), (413, expected), "{target}");
        }
    });
}
#[test]
fn a_domain_error_is_known_behind_a_wrapper() {
    let wrapped = async || Err::<&str, _>(io::Error::other(ShopError::SoldOut));
    check(
        shop().get("/wrapped", wrapped),
        "GET /wrapped",
        409,
        r#"{"message":"sold out","code":"sold_out"}"#,
    );
}
#[test]
fn retry_after_is_carried_and_can_be_read() {
    let busy = async || Err::<&str, _>(Error::unavailable("full").retry_after(Duration::from_millis(2_100)));
    let seen = || {
        after(|_, answer| {
            let delay = answer.as_ref().err().and_then(Error::retry_delay);
            assert_eq!(delay, Some(Duration::from_millis(2_100)));
        })
    };
    for app in [App::new(), App::new().problem_json()] {
        assert_eq!(send(app.get("/", busy).with(seen()), "GET /").header("retry-after"), "3");
    }
}

proptest! {
    /// Whatever the cause says, no form of the answer says it.
    #[test]
    fn no_answer_leaks_its_cause(secret in "secret-[a-z0-9]{8}", status in 400_u16..600) {
        let status = StatusCode::from_u16(status).unwrap();
        let (one, two) = (secret.clone(), secret);
        let failing = move || {
            let cause = io::Error::other(one.clone());
            async move { Err::<&str, _>(Error::new(status, "public").source(cause)) }
        };
        for problem_json in [false, true] {
            let app = App::new().get("/", failing.clone());
            let app = if problem_json { app.problem_json() } else { app };
            let answer = send(app, "GET /");
            prop_assert_eq!(answer.status(), status);
            prop_assert!(!answer.text().contains(&two));
            let headers = format!("{:?}", answer.headers());
            prop_assert!(!headers.contains(&two));
        }
    }
}
