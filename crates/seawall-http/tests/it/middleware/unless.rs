//! Middleware with exceptions, and hooks that look at both ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use seawall_http::extract::Needs;
use seawall_http::{
    App, Context, Error, Middleware, Next, Response, Result, RouteOptions as _, after, around, before,
};

use crate::{block_on, check, send};

async fn hello() -> &'static str {
    "hello"
}

async fn refuse(_: Context, _: Next) -> Result<Response> {
    Err(Error::forbidden("no"))
}

fn health(c: &Context) -> bool {
    c.path() == "/health"
}

fn refuse_at_once() -> seawall_http::middleware::Hook {
    before(|_| Err(Error::forbidden("no")))
}

#[test]
fn a_function_may_have_exceptions() {
    let app = || App::new().get("/health", hello).get("/", hello).with(refuse.unless(health));
    check(app(), "GET /health", 200, "hello");
    assert_eq!(send(app(), "GET /").status(), 403);
}

#[test]
fn a_hook_may_have_exceptions() {
    let app = || App::new().get("/health", hello).get("/", hello).with(refuse_at_once().unless(health));
    check(app(), "GET /health", 200, "hello");
    assert_eq!(send(app(), "GET /").status(), 403);
}

#[test]
fn exceptions_add_up() {
    let twice = || refuse_at_once().unless(health).unless(|c| c.path() == "/x");
    let app =
        || App::new().get("/health", hello).get("/", hello).get("/x", hello.with(twice())).with(twice());
    check(app(), "GET /health", 200, "hello");
    check(app(), "GET /x", 200, "hello");
    assert_eq!(send(app(), "GET /").status(), 403);
    let twice = refuse.unless(health).unless(|c| c.path() == "/x");
    check(App::new().get("/x", hello).with(twice), "GET /x", 200, "hello");
}

#[test]
fn an_exception_is_asked_once_and_holds_for_the_answer() {
    let (asked, after_ran) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (asks, runs) = (Arc::clone(&asked), Arc::clone(&after_ran));
    let hook = before(|_| Ok(None)).and_after(move |_, _| _ = runs.fetch_add(1, Relaxed));
    // It says yes to the first question and no to any other.
    let hook = hook.unless(move |_| asks.fetch_add(1, Relaxed) == 0);
    check(App::new().get("/", hello).with(hook), "GET /", 200, "hello");
    assert_eq!((asked.load(Relaxed), after_ran.load(Relaxed)), (1, 0));
}

#[test]
fn a_hook_sees_its_own_answer() {
    let mark = before(|c| c.text(200, "early").map(Some)).and_after(|_, answer| {
        if let Ok(response) = answer {
            response.set_body("marked");
        }
    });
    check(App::new().get("/", hello).with(mark), "GET /", 200, "marked");
}

#[test]
fn what_a_middleware_needs_is_needed_with_exceptions_too() {
    struct Needy;
    impl Middleware for Needy {
        async fn handle(&self, c: Context, next: Next) -> Result<Response> {
            next.run(c).await
        }
        fn needs(&self, needs: &mut Needs) {
            needs.state::<u8>();
        }
    }
    let problems = format!("{:?}", App::new().with(Needy.unless(health)).build().unwrap_err());
    assert!(problems.contains("u8"), "{problems}");
}

#[test]
fn it_runs_inside_another_middleware_as_well() {
    let inner = Arc::new(refuse_at_once().unless(health));
    let outer = around(move |c, next| {
        let inner = Arc::clone(&inner);
        async move { inner.handle(c, next).await }
    });
    let app = App::new().get("/health", hello).get("/", hello).with(outer);
    let client = seawall_http::testing::TestClient::new(app).unwrap();
    assert_eq!(block_on(async { client.get("/health").await }).status(), 200);
    assert_eq!(block_on(async { client.get("/").await }).status(), 403);
}

#[test]
fn any_number_of_hooks_may_stand_in_a_row() {
    let count = Arc::new(AtomicU32::new(0));
    let mut app = App::new().get("/", hello);
    for at in 0..200 {
        let (before_count, after_count) = (Arc::clone(&count), Arc::clone(&count));
        let look = before(move |_| {
            before_count.fetch_add(1, Relaxed);
            Ok(None)
        });
        app = app.with(
            look.and_after(move |_, _| _ = after_count.fetch_add(1, Relaxed)).unless(move |_| at % 2 == 1),
        );
    }
    let order = after(|_, answer| {
        if let Ok(response) = answer {
            response.set_body("inner");
        }
    });
    check(app.with(order), "GET /", 200, "inner");
    assert_eq!(count.load(Relaxed), 200);
}
