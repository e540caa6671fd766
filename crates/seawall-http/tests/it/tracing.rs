//! The trace that a request belongs to, and what the log says of it.

use std::io;
use std::sync::{Arc, Mutex};

use http::HeaderMap;
use seawall_http::middleware::{AccessLog, RequestId};
use seawall_http::testing::TestClient;
use seawall_http::{App, Context, Error, Next, Response, Result, RouteOptions as _};
use tracing_subscriber::fmt::MakeWriter;

use crate::block_on;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Where a test's log goes.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Lines {
    /// Takes what is logged while `run` runs on this thread.
    pub(crate) fn hear<R>(&self, run: impl FnOnce() -> R) -> R {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(self.clone())
            .with_ansi(false)
            .finish();
        tracing::subscriber::with_default(subscriber, run)
    }
    /// What was logged so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
    /// What is logged while `run` runs on this thread.
    pub(crate) fn collect(run: impl FnOnce()) -> String {
        let lines = Self::default();
        lines.hear(run);
        lines.text()
    }
    /// The lines of the access log.
    pub(crate) fn access(run: impl FnOnce()) -> Vec<String> {
        let all = Self::collect(run);
        all.lines().filter(|line| line.contains("seawall::access")).map(str::to_owned).collect()
    }
}

/// Answers with what it would send to the next service.
async fn call_out(c: Context) -> Result<Response> {
    let mut headers = HeaderMap::new();
    c.trace().child().inject(&mut headers);
    let text = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap_or("?"));
    c.text(200, format!("{} {} {}", c.trace_id(), text("traceparent"), text("tracestate")))
}

#[test]
fn a_trace_goes_through_a_request() {
    let client = TestClient::new(App::new().get("/", call_out)).unwrap();
    let request = client.get("/").header("traceparent", PARENT).header("tracestate", "a=1, b=2");
    let answer = block_on(async { request.await });
    let words: Vec<_> = answer.text().split(' ').collect();
    assert_eq!(words[0], TRACE);
    assert!(words[1].starts_with(&format!("00-{TRACE}-")) && words[1].ends_with("-01"), "{words:?}");
    assert!(!words[1].contains("b7ad6b7169203331"), "the caller's span is not ours");
    assert_eq!(words[2], "a=1,b=2");
}
#[test]
fn without_one_a_trace_begins_here() {
    let client = TestClient::new(App::new().get("/", call_out)).unwrap();
    let ask = |parent: &'static str| {
        let answer = block_on(async {
            client.get("/").header("traceparent", parent).header("tracestate", "a=1").await
        });
        let words: Vec<_> = answer.text().split(' ').map(str::to_owned).collect();
        assert_eq!(words[2], "", "the state belongs to a trace that we do not know");
        assert!(words[1].ends_with("-00"));
        words[0].clone()
    };
    let (first, second) = (ask("garbage"), ask("00-00000000000000000000000000000000-b7ad6b7169203331-01"));
    assert_eq!((first.len(), second.len()), (32, 32));
    assert_ne!(first, second);
}
#[test]
fn it_is_the_same_for_everybody_in_a_request() {
    let app = App::new().get("/", async |c: Context| c.trace().span_id().to_owned()).with(
        async |c: Context, next: Next| {
            let own = c.trace().span_id().to_owned();
            let mut answer = next.run(c).await?;
            let seen = String::from_utf8_lossy(answer.bytes().unwrap()).into_owned();
            answer.set_body(format!("{}", own == seen));
            Ok(answer)
        },
    );
    let client = TestClient::new(app).unwrap();
    assert_eq!(block_on(async { client.get("/").await }).text(), "true");
}

/// The access log's line for one request.
#[track_caller]
fn line(app: App, headers: &[(&str, &str)]) -> String {
    let client = TestClient::new(app.with(AccessLog)).unwrap().with_peer("192.0.2.1:7");
    let request = headers.iter().fold(client.get("/"), |request, (name, value)| request.header(name, value));
    let mut lines = Lines::access(|| block_on(async { _ = request.await }));
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}
#[track_caller]
fn has(line: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(line.contains(part), "{part} is not in {line}"));
}

#[test]
fn the_access_log_names_request_and_trace() {
    let app = || App::new().get("/", async || "hi");
    let traced = line(app(), &[("traceparent", PARENT), ("x-request-id", "id-7")]);
    has(
        &traced,
        &["status=200", "request_id=\"id-7\"", &format!("trace_id=\"{TRACE}\""), "client=192.0.2.1"],
    );
    let untraced = line(app(), &[]);
    assert!(!untraced.contains("trace_id") && untraced.contains("request_id"), "{untraced}");
    let asked = line(App::new().get("/", async |c: Context| c.trace_id().to_owned()), &[]);
    has(&asked, &["trace_id="]);
}
#[test]
fn the_access_log_names_the_class_of_an_error() {
    let failing = |error: fn() -> Error| App::new().get("/", move || async move { Err::<&str, _>(error()) });
    has(&line(failing(|| Error::conflict("no")), &[]), &["status=409", "class=\"permanent\""]);
    has(
        &line(failing(|| Error::unavailable("no")), &[]),
        &["status=503", "class=\"transient\"", "error_type=\"503\""],
    );
    has(&line(failing(|| Error::internal("no")), &[]), &["status=500", "class=\"system\""]);
}
#[test]
fn a_panic_and_a_timeout_have_their_lines_and_ids_too() {
    let panicking = App::new().get("/", async || -> &str { panic!("oh") });
    has(&line(panicking, &[]), &["status=500", "class=\"system\""]);
    let slow = (async || std::future::pending::<&str>().await).timeout(std::time::Duration::from_millis(1));
    has(&line(App::new().get("/", slow), &[]), &["status=504", "class=\"transient\""]);
    let app = App::new().get("/", async || -> &str { panic!("oh") }).with(RequestId);
    let client = TestClient::new(app).unwrap();
    let answer = block_on(async { client.get("/").header("x-request-id", "id-7").await });
    assert_eq!((answer.status().as_u16(), answer.header("x-request-id")), (500, "id-7"));
}
#[test]
fn the_error_log_names_request_trace_and_class() {
    let app = App::new().get("/", async || Err::<&str, _>(Error::internal("the disk is full")));
    let client = TestClient::new(app).unwrap();
    let log = Lines::collect(|| {
        block_on(async {
            _ = client.get("/").header("traceparent", PARENT).header("x-request-id", "id-7").await
        });
    });
    let line = log.lines().find(|line| line.contains("ERROR")).unwrap();
    has(line, &["id-7", TRACE, "class=\"system\"", "status=500", "the disk is full"]);
}
#[test]
fn a_streamed_answer_is_logged_when_it_has_ended() {
    let app = App::new().get("/", async |c: Context| {
        c.stream(200, "text/plain", async |mut out| {
            tracing::info!("streaming");
            out.write("one").await
        })
    });
    let client = TestClient::new(app.with(AccessLog)).unwrap();
    let log = Lines::collect(|| block_on(async { _ = client.get("/").await }));
    assert!(log.find("streaming").unwrap() < log.find("seawall::access").unwrap(), "{log}");
    assert!(!log.contains("error_type"), "{log}");
}
#[test]
fn a_body_that_breaks_off_is_logged_as_such() {
    let app = App::new().get("/", async |c: Context| {
        c.stream(200, "text/plain", async |mut out| {
            out.write("one").await?;
            Err(Error::internal("the disk is full"))
        })
    });
    has(&line(app, &[]), &["status=200", "error_type=\"broken_body\""]);
}
