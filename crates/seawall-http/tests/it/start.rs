//! What runs when an app starts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use seawall_http::{App, Error, Result, ServerConfig, State};

use crate::check;

struct Shop(&'static str);

#[test]
fn on_start_gives_state() {
    let app = App::new().on_start(async || Ok(Shop("open"))).get("/", async |shop: State<Shop>| shop.0);
    check(app, "GET /", 200, "open");
}

#[test]
fn on_start_runs_on_a_runtime_that_lives_on() {
    let ticked = Arc::new(AtomicBool::new(false));
    let tick = Arc::clone(&ticked);
    let service = App::new()
        .on_start(async move || {
            tokio::spawn(async move {
                tokio::task::yield_now().await;
                tick.store(true, SeqCst);
            });
            Ok(Shop("open"))
        })
        .build()
        .unwrap();
    while !ticked.load(SeqCst) {
        std::thread::yield_now();
    }
    drop(service);
}

#[test]
fn an_app_may_be_built_inside_a_runtime() {
    crate::block_on(async {
        let app = App::new().on_start(async || Ok(Shop("open"))).get("/", async |_: State<Shop>| "");
        assert!(app.build().is_ok());
    });
}

#[test]
fn a_failed_start_is_the_apps_failure() {
    let app = App::new().on_start(async || -> Result<Shop> { Err(Error::internal("no database")) });
    assert!(format!("{:?}", app.build().unwrap_err()).contains("no database"));
}

#[test]
fn nothing_starts_when_the_app_is_wrong() {
    let started = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&started);
    let app = App::new().get("bad", async || "").on_start(async move || {
        flag.store(true, SeqCst);
        Ok(Shop("open"))
    });
    assert!(app.build().is_err());
    assert!(!started.load(SeqCst));
}

#[test]
fn a_bad_configuration_names_its_field() {
    let config = ServerConfig { max_headers: 0, ..ServerConfig::default() };
    let text = format!("{:?}", App::new().config(config).build().unwrap_err());
    assert!(text.contains("`server.max_headers` is 0, but must be 1 to 1000"), "{text}");
}
