//! Layers and services of tower, taken from tower-http as users would.

use std::convert::Infallible;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use seawall_http::tower::{from_tower, tower_service};
use seawall_http::{App, Body, Context, Error, Response, Result};
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use tower_layer::Layer;
use tower_service::Service;

use crate::{block_on, check, send};

fn marked() -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::overriding(HeaderName::from_static("x-mark"), HeaderValue::from_static("yes"))
}

#[test]
fn a_layer_sets_a_header() {
    let answer = send(App::new().get("/", async || "hello").with(from_tower(marked())), "GET /");
    assert_eq!((answer.text(), answer.header("x-mark")), ("hello", "yes"));
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
}

#[test]
fn a_layer_compresses() {
    let app = App::new().get("/", async || "a".repeat(10_000)).with(from_tower(CompressionLayer::new()));
    let client = seawall_http::testing::TestClient::new(app).unwrap();
    let answer = block_on(async { client.get("/").header("accept-encoding", "gzip").await });
    assert_eq!(answer.header("content-encoding"), "gzip");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&answer.bytes()[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, "a".repeat(10_000));
}

#[test]
fn a_layer_gives_up_in_time() {
    let layer = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_millis(50));
    let hang = async || -> Result<&str> { std::future::pending().await };
    assert_eq!(send(App::new().get("/", hang).with(from_tower(layer)), "GET /").status(), 504);
}

#[test]
fn layers_may_stand_around_each_other_and_in_groups() {
    let inner = SetResponseHeaderLayer::if_not_present(
        HeaderName::from_static("x-mark"),
        HeaderValue::from_static("inner"),
    );
    let app = App::new().get("/", async || "out").group("/in", |group| {
        group.get("/side", async || "in").with(from_tower(marked())).with(from_tower(inner))
    });
    let client = seawall_http::testing::TestClient::new(app).unwrap();
    let ask = |target: &'static str| block_on(async { client.get(target).await });
    assert_eq!(ask("/in/side").header("x-mark"), "yes");
    assert_eq!(ask("/").header("x-mark"), "");
}

#[test]
fn a_failure_passes_a_layer_as_it_is() {
    let app = App::new().get("/", async || Err::<&str, _>(Error::conflict("no").code("taken")));
    check(app.with(from_tower(marked())), "GET /", 409, r#"{"message":"no","code":"taken"}"#);
}

#[test]
fn the_body_of_a_request_passes_under_its_limit() {
    let app = || App::new().post("/", async |text: String| text).with(from_tower(marked()));
    check(app(), "POST / hello", 200, "hello");
    let small = app().with(seawall_http::middleware::BodyLimit::new(3));
    assert_eq!(send(small, "POST / hello").status(), 413);
}

#[test]
fn a_stream_passes_piece_by_piece_and_keeps_its_length() {
    let stream = async || {
        let kind = HeaderValue::from_static("text/plain");
        Response::stream(StatusCode::OK, kind, async |mut out| out.write("123").await).length(3)
    };
    let app = || App::new().get("/", stream).with(from_tower(marked()));
    assert_eq!(send(app(), "GET /").text(), "123");
    assert_eq!(send(app(), "HEAD /").header("content-length"), "3");
}

/// Counts calls in state that its clones share.
#[derive(Clone)]
struct Count<S>(S, Arc<AtomicU32>);

impl<S: Service<R>, R> Service<R> for Count<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;
    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }
    fn call(&mut self, request: R) -> S::Future {
        self.1.fetch_add(1, SeqCst);
        self.0.call(request)
    }
}

struct CountLayer(Arc<AtomicU32>);
impl<S> Layer<S> for CountLayer {
    type Service = Count<S>;
    fn layer(&self, inner: S) -> Count<S> {
        Count(inner, Arc::clone(&self.0))
    }
}

#[test]
fn what_a_layer_shares_is_shared_by_all_requests() {
    let calls = Arc::new(AtomicU32::new(0));
    let app = App::new().get("/", async || "hello").with(from_tower(CountLayer(Arc::clone(&calls))));
    let service = app.build().unwrap();
    for copy in [service.replicate(), service.replicate(), service] {
        let request = http::Request::builder().uri("/").body(Body::whole("")).unwrap();
        assert_eq!(block_on(copy.handle(request)).status(), 200);
    }
    assert_eq!(calls.load(SeqCst), 3);
}

/// A service as other frameworks have them: it echoes method, path and body.
#[derive(Clone)]
struct Echo;

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = futures_util::future::BoxFuture<'static, Result<Self::Response, Infallible>>;
    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let route = request.extensions().get::<Context>().and_then(|c| c.route().map(str::to_owned));
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap_or_default();
            let text = format!("{} {} {route:?} {body:?}", head.method, head.uri);
            let mut answer = http::Response::new(Body::chunks([Bytes::from(text)]));
            *answer.status_mut() = StatusCode::CREATED;
            Ok(answer)
        })
    }
}

#[test]
fn a_service_is_a_handler() {
    let app = App::new().any("/legacy/*", tower_service(Echo)).with(from_tower(marked()));
    let answer = send(app, "PUT /legacy/a/b?c hello");
    assert_eq!((answer.status().as_u16(), answer.header("x-mark")), (201, "yes"));
    assert_eq!(answer.text(), "PUT /legacy/a/b?c Some(\"/legacy/*\") b\"hello\"");
}

#[test]
fn the_app_is_a_service() {
    let mut service = marked().layer(App::new().get("/", async || "hello").build().unwrap());
    block_on(async {
        for (target, status, text) in [("/", 200, "hello"), ("/nowhere", 404, r#"{"message":"Not Found"}"#)] {
            let request =
                http::Request::builder().uri(target).body(http_body_util::Empty::<Bytes>::new()).unwrap();
            std::future::poll_fn(|cx| {
                Service::<http::Request<http_body_util::Empty<Bytes>>>::poll_ready(&mut service, cx)
            })
            .await
            .unwrap();
            let answer = service.call(request).await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), &answer.headers()["x-mark"]),
                (status, &HeaderValue::from_static("yes"))
            );
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), text);
        }
    });
}
