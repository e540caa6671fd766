//! Middleware of all forms, and the ones that come with the framework.

mod auth;
mod cors;
mod csrf;
mod early_data;
mod host_authorization;
mod idempotency;
#[cfg(feature = "jwt")]
mod jwt;
mod limits;
mod response_cache;
mod secure_headers;
mod server_timing;
mod session;
mod unless;

use std::io;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use seawall_core::Class;
use seawall_http::middleware::{AccessLog, RequestId};
use seawall_http::testing::TestClient;
use seawall_http::{
    App, Context, Error, Middleware, Next, Response, Result, RouteOptions as _, State, after, around, before,
};
use tracing_subscriber::fmt::MakeWriter;

use crate::{block_on, check, send};

async fn hello() -> &'static str {
    "hello"
}

#[test]
fn a_hook_may_answer() {
    let early = before(|c| c.text(200, "early").map(Some));
    check(App::new().get("/", hello).with(early), "GET /", 200, "early");
}

#[test]
fn hooks_further_in_do_not_see_an_early_answer() {
    let ran = Arc::new(AtomicU32::new(0));
    let inner = Arc::clone(&ran);
    let app = App::new()
        .get("/", hello)
        .with(before(|_| Err(Error::conflict("no"))))
        .with(after(move |_, _| _ = inner.fetch_add(1, Relaxed)));
    assert_eq!(send(app, "GET /").status(), 409);
    assert_eq!(ran.load(Relaxed), 0);
}

#[test]
fn after_hooks_run_inside_out() {
    let push = |text: &'static str| {
        after(move |_, answer| {
            if let Ok(response) = answer {
                let body = format!("{}{text}", std::str::from_utf8(response.bytes().unwrap()).unwrap());
                response.set_body(body);
            }
        })
    };
    check(App::new().get("/", hello).with(push("2")).with(push("1")), "GET /", 200, "hello12");
}

#[test]
fn next_may_run_again() {
    let calls = AtomicU32::new(0);
    let flaky = move || {
        let call = calls.fetch_add(1, Relaxed);
        async move { if call < 2 { Err(Error::unavailable("busy")) } else { Ok("done") } }
    };
    let retry = async |c: Context, next: Next| loop {
        match next.clone().run(c.clone()).await {
            Err(e) if e.class() == Class::Transient => {}
            answer => return answer,
        }
    };
    check(App::new().get("/", flaky).with(retry), "GET /", 200, "done");
}

/// A configured middleware with state of its own and a need.
struct Greet(&'static str);

impl Middleware for Greet {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        let mut answer = next.run(c.clone()).await?;
        answer.set_body(format!("{} {}", self.0, c.state::<u8>()?));
        Ok(answer)
    }
    fn needs(&self, needs: &mut seawall_http::extract::Needs) {
        needs.state::<u8>();
    }
}

#[test]
fn a_type_may_be_a_middleware() {
    check(App::new().state(7_u8).get("/", hello.with(Greet("hi"))), "GET /", 200, "hi 7");
}

#[test]
fn what_a_middleware_needs_is_checked_at_start() {
    let text = format!("{:?}", App::new().with(Greet("hi")).build().unwrap_err());
    assert!(text.contains("no .state(..) gave a u8; needed by a middleware of the app"), "{text}");
}

#[test]
fn values_travel_inwards() {
    #[derive(Clone)]
    struct User(&'static str);
    let sign_in = around(|c: Context, next: Next| async move {
        c.set(User("bob"));
        c.set(User("ann"));
        next.run(c).await
    });
    let show = async |c: Context| c.get::<User>().map(|user| user.0).ok_or_else(|| Error::unauthorized("no"));
    check(App::new().get("/", show).with(sign_in), "GET /", 200, "ann");
}

#[test]
fn state_reaches_closures_of_middleware() {
    let app = App::new().state(3_u16).get("/", async |n: State<u16>| n.to_string());
    check(app, "GET /", 200, "3");
}

#[test]
fn a_request_id_comes_back() {
    let client = TestClient::new(App::new().get("/", hello).with(RequestId)).unwrap();
    let given = block_on(async { client.get("/").header("x-request-id", "abc-1").await });
    assert_eq!(given.header("x-request-id"), "abc-1");
    let made = block_on(async { client.get("/nowhere").await });
    assert_eq!((made.status().as_u16(), made.header("x-request-id").len()), (404, 32));
}

/// Where a test's log goes.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

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
    fn collect(run: impl FnOnce()) -> String {
        let lines = Self::default();
        let subscriber = tracing_subscriber::fmt().with_writer(lines.clone()).with_ansi(false).finish();
        tracing::subscriber::with_default(subscriber, run);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }
}

#[test]
fn the_access_log_has_a_line_per_request() {
    let client = TestClient::new(App::new().get("/u/:id", hello).with(AccessLog)).unwrap();
    let log = Lines::collect(|| block_on(async { _ = client.get("/u/7?password=secret").await }));
    for part in [
        "seawall::access",
        "method=GET",
        "path=\"/u/7\"",
        "route=\"/u/:id\"",
        "status=200",
        "micros=",
        "request_id=",
    ] {
        assert!(log.contains(part), "{part} is not in {log}");
    }
    assert!(!log.contains("secret"), "{log}");
}

#[test]
fn a_500_is_logged_once_with_its_cause() {
    let app = App::new().get("/", async || Err::<&str, _>(Error::internal("the disk is full")));
    let client = TestClient::new(app).unwrap();
    let log = Lines::collect(|| block_on(async { _ = client.get("/").await }));
    assert_eq!(log.matches("the disk is full").count(), 1, "{log}");
    assert!(log.contains("ERROR"), "{log}");
}

#[test]
fn a_clients_mistake_is_not_logged_as_ours() {
    let client = TestClient::new(App::new()).unwrap();
    let log = Lines::collect(|| block_on(async { _ = client.get("/nowhere").await }));
    assert_eq!(log, "");
}
