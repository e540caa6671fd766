//! What may be a handler, and what crosses threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use futures_util::future::BoxFuture;
use seawall_http::{App, Context, Error, Group, Next, Path, Query, Response, Result, Service, State};

use crate::check;

#[test]
fn functions_closures_and_boxes() {
    type Boxed = Box<dyn Fn(Context) -> BoxFuture<'static, Result<Response>> + Send + Sync>;
    async fn function(c: Context) -> Result<Response> {
        c.text(200, "function")
    }
    let count = Arc::new(AtomicU32::new(0));
    let closure = move || {
        let count = count.fetch_add(1, Relaxed);
        async move { count.to_string() }
    };
    let boxed: Boxed = Box::new(|c| Box::pin(async move { c.text(200, "boxed") }));
    let app = || App::new().get("/function", function);
    check(app(), "GET /function", 200, "function");
    check(App::new().get("/", closure), "GET /", 200, "0");
    check(App::new().get("/", boxed), "GET /", 200, "boxed");
}

#[test]
fn eight_arguments_in_any_order() {
    type Q = Query<()>;
    async fn all(_: Q, _: Path<u8>, _: Context, _: State<u8>, _: Q, _: Q, _: Q, body: String) -> String {
        body
    }
    check(App::new().state(1_u8).post("/:id", all), "POST /7 body", 200, "body");
}

#[test]
fn all_may_cross_threads_and_awaits() {
    fn holds<T: Send + Sync + 'static>() {}
    holds::<(Context, Next, Response, Error, Service)>();
    fn sends<T: Send + 'static>() {}
    sends::<(App, Group, seawall_http::Body)>();
}

#[test]
fn one_word_wide_where_it_matters() {
    assert_eq!(size_of::<Context>(), size_of::<usize>());
    assert_eq!(size_of::<Error>(), size_of::<usize>());
}
