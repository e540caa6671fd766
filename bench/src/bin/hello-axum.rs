//! `GET /` with JSON on axum, on its usual multi-thread runtime with one worker.

use axum::{Json, Router, routing::get};
use serde_json::{Value, json};

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    let addr = std::env::args().nth(1).expect("usage: hello-axum ADDR");
    let listener = tokio::net::TcpListener::bind(&addr).await.expect("the address is free");
    axum::serve(listener, Router::new().route("/", get(hello))).await.expect("serving does not fail");
}

async fn hello() -> Json<Value> {
    Json(json!({"message": "Hello from Seawall!"}))
}
