//! `GET /` with JSON on plain hyper, on a current-thread runtime: no routing, no middleware, no timeouts.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let addr = std::env::args().nth(1).expect("usage: hello-hyper ADDR");
    let listener = tokio::net::TcpListener::bind(&addr).await.expect("the address is free");
    loop {
        let (stream, _) = listener.accept().await.expect("accepting does not fail");
        tokio::spawn(async move {
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(hello)).await;
        });
    }
}

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = serde_json::to_vec(&json!({"message": "Hello from Seawall!"})).expect("a literal serialises");
    let response = Response::builder().header(header::CONTENT_TYPE, "application/json").body(Full::from(body));
    Ok(response.expect("a valid response"))
}
