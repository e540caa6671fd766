//! Until when an answer is wanted, and the news that it is not wanted any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use seawall_http::testing::{TestClient, TestResponse};
use seawall_http::{App, Context, Error, Next, Result, RouteOptions as _};
use tokio::sync::Notify;

use crate::block_on;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// Says in which range the time that is left is, or that there is no deadline.
async fn left(c: Context) -> &'static str {
    match c.time_left() {
        None => "none",
        Some(left) if left <= Duration::from_secs(1) => "a second",
        Some(left) if left <= MINUTE => "a minute",
        Some(_) => "more",
    }
}

#[track_caller]
fn check(app: App, headers: &[(&str, &str)], status: u16, body: &str) -> TestResponse {
    let client = TestClient::new(app).unwrap();
    let request = headers.iter().fold(client.get("/"), |request, (name, value)| request.header(name, value));
    let answer = block_on(async { request.await });
    assert_eq!((answer.status().as_u16(), answer.text()), (status, body), "{headers:?}");
    answer
}

const LATE: &str = r#"{"message":"the answer took too long"}"#;

#[test]
fn there_is_no_deadline_where_nobody_set_one() {
    let both = [("grpc-timeout", "1S"), ("seawall-timeout-ms", "0")];
    check(App::new().get("/", left).ignore_timeouts(), &both, 200, "none");
    check(App::new().get("/", left), &both[..1], 200, "a second");
    check(App::new().get("/", left).accept_timeouts(HOUR), &[], 200, "none");
}
#[test]
fn a_callers_time_is_the_deadline() {
    let app = || App::new().get("/", left).accept_timeouts(HOUR);
    check(app(), &[("grpc-timeout", "1M")], 200, "a minute");
    check(app(), &[("seawall-timeout-ms", "60000")], 200, "a minute");
    check(app(), &[("seawall-timeout-ms", "3600000")], 200, "more");
    check(app(), &[("grpc-timeout", "1H"), ("seawall-timeout-ms", "1000")], 200, "a second");
}
#[test]
fn it_is_bounded() {
    check(
        App::new().get("/", left).accept_timeouts(MINUTE),
        &[("grpc-timeout", "99999999H")],
        200,
        "a minute",
    );
}
#[test]
fn another_form_is_a_400_that_says_which() {
    let body = concat!(
        r#"{"message":"invalid timeout","fields":[{"field":"seawall-timeout-ms","#,
        r#""message":"is `1s`, but must be 1 to 8 digits, milliseconds"}]}"#
    );
    check(App::new().get("/", left).accept_timeouts(MINUTE), &[("seawall-timeout-ms", "1s")], 400, body);
}
#[test]
fn no_time_left_is_a_504_before_anything_runs() {
    let ran = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ran);
    let app = App::new().get("/", left).with(seawall_http::before(move |_| {
        flag.store(true, SeqCst);
        Ok(None)
    }));
    check(app.accept_timeouts(MINUTE), &[("grpc-timeout", "0n")], 504, LATE);
    assert!(!ran.load(SeqCst));
}

/// Sets a flag when it is dropped.
struct Dropped(Arc<AtomicBool>);
impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[test]
fn past_the_deadline_the_handler_is_dropped() {
    let dropped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&dropped);
    let never = move || {
        let guard = Dropped(Arc::clone(&flag));
        async move {
            let _guard = guard;
            std::future::pending::<&str>().await
        }
    };
    check(App::new().get("/", never).accept_timeouts(HOUR), &[("seawall-timeout-ms", "5")], 504, LATE);
    assert!(dropped.load(SeqCst));
}
#[test]
fn a_timeout_tightens_what_runs_inside_it_and_only_that() {
    let outside = async |c: Context, next: Next| {
        assert!(c.time_left().is_none());
        let answer = next.run(c.clone()).await;
        assert!(c.time_left().is_none());
        answer
    };
    check(App::new().get("/", left.timeout(Duration::from_secs(1))).with(outside), &[], 200, "a second");
    let app = || App::new().get("/", left.timeout(HOUR)).accept_timeouts(HOUR);
    check(app(), &[("seawall-timeout-ms", "1000")], 200, "a second");
    let nested = left.timeout(Duration::from_secs(1)).timeout(HOUR);
    check(App::new().get("/", nested), &[], 200, "a second");
}
#[test]
fn each_attempt_has_a_timeout_of_its_own() {
    let retry = async |c: Context, next: Next| {
        let _ = next.clone().run(c.clone()).await;
        next.run(c).await
    };
    let attempts = async |c: Context| -> Result<&'static str> {
        let first = c.get::<()>().is_none();
        c.set(());
        if first {
            std::future::pending::<()>().await
        }
        assert!(!c.time_left().ok_or_else(|| Error::internal("no deadline"))?.is_zero());
        Ok("second")
    };
    let app = App::new().get("/", attempts.timeout(Duration::from_millis(50))).with(retry);
    check(app, &[], 200, "second");
}

// cancelled

/// An app whose handler spawns work that waits for its end; `ended` is notified then.
fn spawning(
    ended: &Arc<Notify>,
    answer: impl Fn(Context) -> Result<seawall_http::Response> + Clone + Send + Sync + 'static,
) -> App {
    let ended = Arc::clone(ended);
    App::new().get("/", move |c: Context| {
        let (ended, answer) = (Arc::clone(&ended), answer.clone());
        async move {
            let cancelled = c.cancelled();
            tokio::spawn(async move {
                cancelled.await;
                ended.notify_one();
            });
            tokio::task::yield_now().await; // so that it waits before the answer is there
            answer(c)
        }
    })
}

#[test]
fn work_hears_that_its_request_is_over() {
    let ended = Arc::new(Notify::new());
    let client = TestClient::new(spawning(&ended, |c| c.text(200, "ok"))).unwrap();
    block_on(async {
        assert_eq!(client.get("/").await.text(), "ok");
        ended.notified().await;
    });
}
#[test]
fn a_request_is_not_over_before_its_streamed_body_is() {
    let ended = Arc::new(Notify::new());
    let seen = Arc::clone(&ended);
    let app = spawning(&ended, move |c| {
        let seen = Arc::clone(&seen);
        c.stream(200, "text/plain", async move |mut out| {
            tokio::task::yield_now().await;
            let early = futures_util::FutureExt::now_or_never(seen.notified()).is_some();
            out.write(if early { "over too early" } else { "still on" }).await
        })
    });
    let client = TestClient::new(app).unwrap();
    block_on(async {
        assert_eq!(client.get("/").await.text(), "still on");
        ended.notified().await;
    });
}
#[test]
fn who_asks_when_it_is_over_hears_so_at_once() {
    let kept = Arc::new(std::sync::Mutex::new(None));
    let keep = Arc::clone(&kept);
    let app = App::new().get("/", move |c: Context| {
        *keep.lock().unwrap() = Some(c);
        async { "ok" }
    });
    let client = TestClient::new(app).unwrap();
    block_on(async {
        client.get("/").await;
        let c = kept.lock().unwrap().take().unwrap();
        c.cancelled().await;
        c.cancelled().await;
    });
}
#[test]
fn a_streamed_answer_outlives_the_deadline_but_hears_of_it() {
    let app = App::new().get("/", async |c: Context| {
        let producer = c.clone();
        c.stream(200, "text/plain", async move |mut out| {
            producer.cancelled().await;
            let left = producer.time_left().ok_or_else(|| Error::internal("no deadline"))?;
            out.write(if left.is_zero() { "the deadline passed" } else { "woken too early" }).await
        })
    });
    check(app.accept_timeouts(HOUR), &[("seawall-timeout-ms", "5")], 200, "the deadline passed");
}
