//! The service of `calling.rs`: what comes of its callers' deadline, and of prices that cannot be read.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[allow(dead_code, reason = "its `main` is not run here")]
#[path = "../calling.rs"]
mod calling;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use calling::app;
use seawall::client::Address;
use seawall::prelude::*;
use seawall::testing::TestClient;

/// Prices that can be switched off, and say what time they were given and which trace they belong to.
async fn prices(good: &Arc<AtomicBool>) -> Address {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap());
    let good = Arc::clone(good);
    let show = move |c: Context, Path(id): Path<u64>| {
        let good = good.load(SeqCst);
        async move {
            let left: u64 = c.headers().get("seawall-timeout-ms").unwrap().to_str().unwrap().parse().unwrap();
            assert!(left <= 5_000);
            assert!(c.headers().contains_key("traceparent"));
            if good { c.json(200, &(id * 100 + 99)) } else { Err(Error::unavailable("no prices")) }
        }
    };
    tokio::spawn(App::new().get("/:id", show).serve(listener));
    address
}

#[tokio::test]
async fn an_old_price_stands_in_for_one_that_cannot_be_read() {
    let good = Arc::new(AtomicBool::new(true));
    let client = TestClient::new(app(prices(&good).await).unwrap()).unwrap();
    assert_eq!(client.get("/products/7").await.text(), "7.99\n");
    good.store(false, SeqCst);
    assert_eq!(client.get("/products/7").await.text(), "7.99\n");
    let unknown = client.get("/products/8").await;
    assert_eq!((unknown.status().as_u16(), unknown.text().contains("prices cannot be read")), (502, true));
}

#[tokio::test]
async fn what_the_caller_has_left_is_all_there_is() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap()); // it listens, and never answers
    let client = TestClient::new(app(address).unwrap()).unwrap();
    let answer = client.get("/products/7").header("seawall-timeout-ms", "100").await;
    assert_eq!(answer.status(), 504);
}
