//! The gallery: small servers with one planted bottleneck each, and a healthy one, to put the lab's diagnosis to the test.
//!
//! `cargo run -p seawall-lab --example gallery -- mutex`, then `seawall lab diagnose` with the URL that it prints. Each ends
//! when its standard input does, so that none outlives a test. Nothing here is a model for a service.
#![expect(clippy::disallowed_methods, reason = "sleeping where one must not is what some of these are for")]
#![expect(clippy::unwrap_used, reason = "a broken exhibit fails by panicking")]

mod pieces;
mod threads;

use std::fs::File;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use pieces::{allocate, burn, listen, runtime, serve};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("", String::as_str).to_owned();
    let argument = arguments.get(1).cloned();
    std::thread::Builder::new().name("exhibit".into()).spawn(move || exhibit(&name, argument)).unwrap();
    let _ = std::io::stdin().read_to_end(&mut Vec::new()); // until whoever started it is gone
}

fn exhibit(name: &str, argument: Option<String>) {
    match name {
        "healthy" => serve(&runtime(2, 8), listen(1024), get(|| async { "hello" })),
        "mutex" => mutex(),
        "deadlock" => deadlock(),
        "sleep" => serve(&runtime(2, 8), listen(1024), get(sleep_on_the_loop)),
        "pool" => serve(&runtime(2, 2), listen(1024), get(wait_in_the_pool)),
        "backlog" => serve(&runtime(1, 8), listen(1), get(|| async { burn(1).to_string() })),
        "alloc" => serve(&runtime(2, 8), listen(1024), get(|| async { allocate(4_000).to_string() })),
        "log" => log(&argument.expect("log FILE")),
        "backend" => serve(&runtime(1, 8), listen(1024), get(slow_answer)),
        "downstream" => downstream(argument.expect("downstream HOST:PORT").parse().unwrap()),
        "nagle" => threads::nagle(),
        "hot" => threads::hot(),
        other => panic!("`{other}` is not in the gallery: see main.rs"),
    }
}

/// All work under one lock of the standard library: some CPU, and a wait for a device.
fn mutex() {
    let lock: Arc<Mutex<u64>> = Arc::default();
    let handler = move || {
        let lock = Arc::clone(&lock);
        async move {
            let mut sum = lock.lock().unwrap();
            *sum = sum.wrapping_add(burn(1));
            std::thread::sleep(Duration::from_millis(1));
            sum.to_string()
        }
    };
    serve(&runtime(4, 8), listen(1024), get(handler));
}

/// Two locks, taken in either order.
fn deadlock() {
    let locks: Arc<(Mutex<u64>, Mutex<u64>, Mutex<u64>)> = Arc::default();
    let handler = move || {
        let locks = Arc::clone(&locks);
        async move {
            let turn = {
                let mut turns = locks.2.lock().unwrap();
                *turns += 1;
                *turns
            };
            let (first, second) =
                if turn.is_multiple_of(2) { (&locks.0, &locks.1) } else { (&locks.1, &locks.0) };
            let first = first.lock().unwrap();
            std::thread::sleep(Duration::from_millis(1));
            (*first + *second.lock().unwrap()).to_string()
        }
    };
    serve(&runtime(4, 8), listen(1024), get(handler));
}

async fn sleep_on_the_loop() -> &'static str {
    std::thread::sleep(Duration::from_millis(10));
    "slept"
}

async fn wait_in_the_pool() -> &'static str {
    tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(20))).await.unwrap();
    "waited"
}

async fn slow_answer() -> &'static str {
    tokio::time::sleep(Duration::from_millis(60)).await;
    "at last"
}

/// Forty lines of log per request, each a write of its own.
fn log(path: &str) {
    let file = Arc::new(Mutex::new(File::create(path).unwrap()));
    let handler = move || {
        let file = Arc::clone(&file);
        async move {
            for line in 0..40 {
                let mut file = file.lock().unwrap();
                writeln!(
                    file,
                    "DEBUG request handler reached step {line} with state Ready and nothing to report"
                )
                .unwrap();
            }
            "logged"
        }
    };
    serve(&runtime(2, 8), listen(1024), get(handler));
}

/// Asks a slow service on a connection of its own for each request.
fn downstream(backend: SocketAddr) {
    let handler = move || async move {
        let mut stream = tokio::net::TcpStream::connect(backend).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: backend\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer.len().to_string()
    };
    let router = Router::new().route("/", get(handler));
    pieces::serve_router(&runtime(2, 8), listen(1024), router);
}
