//! Timeout: 504 before the head, a broken body after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use seawall_http::middleware::{Timeout, TimeoutConfig};
use seawall_http::testing::TestResponse;
use seawall_http::{App, BodyWriter, Context, Response, Result};

fn send(app: App) -> TestResponse {
    crate::send(app, "GET /")
}

fn limited(answer_ms: Option<u64>, gap_ms: Option<u64>, total_ms: Option<u64>) -> App {
    App::new().with(Timeout::new(&TimeoutConfig { answer_ms, gap_ms, total_ms }).unwrap())
}

fn stream<Fut: Future<Output = Result<()>> + Send + 'static>(write: fn(BodyWriter) -> Fut) -> Response {
    Response::stream(StatusCode::OK, HeaderValue::from_static("text/plain"), write)
}

async fn hang() -> Result<Response> {
    std::future::pending().await
}

#[test]
fn no_answer_in_time_is_a_504() {
    assert_eq!(send(limited(Some(50), None, None).get("/", hang)).status(), 504);
    assert_eq!(send(limited(None, None, Some(50)).get("/", hang)).status(), 504);
}

#[test]
fn an_answer_in_time_passes() {
    assert_eq!(
        send(limited(Some(60_000), Some(60_000), Some(60_000)).get("/", async || "fine")).text(),
        "fine"
    );
}

/// Says so when it is dropped.
struct Dropped(Arc<AtomicBool>);
impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[test]
fn the_handler_is_dropped_before_the_504_is_sent() {
    let dropped = Arc::new(AtomicBool::new(false));
    let inner = Arc::clone(&dropped);
    let handler = move || {
        let guard = Dropped(Arc::clone(&inner));
        async move {
            let _guard = guard;
            hang().await
        }
    };
    assert_eq!(send(limited(Some(50), None, None).get("/", handler)).status(), 504);
    assert!(dropped.load(SeqCst));
}

#[test]
fn the_handler_knows_its_deadline() {
    let app = limited(Some(60_000), None, None);
    let left =
        async |c: Context| c.time_left().is_some_and(|left| left <= Duration::from_secs(60)).to_string();
    assert_eq!(send(app.get("/", left)).text(), "true");
}

#[test]
fn a_producer_that_is_silent_too_long_is_cut() {
    let silent = async || {
        stream(|mut out| async move {
            out.write("first").await?;
            std::future::pending().await
        })
    };
    let answer = send(limited(None, Some(50), None).get("/", silent));
    assert_eq!(answer.status(), 200);
    assert!(answer.broken().is_some_and(|why| why.contains("silent too long")), "{answer:?}");
}

#[test]
fn a_whole_stream_in_time_passes() {
    let busy = async || {
        stream(|mut out| async move {
            for _ in 0..100 {
                out.write("x").await?;
            }
            Ok(())
        })
    };
    assert_eq!(send(limited(None, Some(60_000), Some(60_000)).get("/", busy)).text(), "x".repeat(100));
}

#[test]
fn a_stream_that_never_ends_is_cut_in_the_end() {
    let endless = async || {
        stream(|mut out| async move {
            loop {
                out.write("x").await?;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    };
    let answer = send(limited(None, Some(60_000), Some(50)).get("/", endless));
    assert!(answer.broken().is_some_and(|why| why.contains("took too long")), "{answer:?}");
}

#[test]
fn it_holds_for_what_is_not_found() {
    let slow = async || -> Result<&str> { std::future::pending().await };
    assert_eq!(send(limited(Some(50), None, None).fallback(slow)).status(), 504);
}
