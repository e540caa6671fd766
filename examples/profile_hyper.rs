//! `/debug/pprof` of a service that does not use Seawall: bare hyper here, and the same three lines in axum.
//!
//! With `default-features = false, features = ["pprof"]` seawall-observe brings no framework and no runtime.

use std::convert::Infallible;
use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use seawall_observe::{Pprof, PprofConfig};
use tokio::net::TcpListener;

/// A list of addresses to `symbol` is all that anybody has to send.
const LONGEST_BODY: usize = 64 << 10;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addr: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:6060").parse()?;
    let pprof = Pprof::new(&PprofConfig::default())?;
    let listener = TcpListener::bind(addr).await?;
    println!("go tool pprof http://{}/debug/pprof/profile?seconds=5", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let pprof = pprof.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| profile(pprof.clone(), request));
            if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
                eprintln!("a connection broke: {error}");
            }
        });
    }
}

/// A profile takes as long as it is asked to, so it runs where blocking is allowed.
async fn profile(pprof: Pprof, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body =
        Limited::new(body, LONGEST_BODY).collect().await.map(|whole| whole.to_bytes()).unwrap_or_default();
    let request = Request::from_parts(head, body);
    let answer = tokio::task::spawn_blocking(move || pprof.handle(&request)).await;
    Ok(answer.map(|answer| answer.map(Full::new)).unwrap_or_default())
}
