//! A bare hyper server, as a second opinion.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::thread;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::Log;

/// hyper's HTTP/1 with its defaults, on a thread of its own. It ends when this is dropped.
pub(super) struct Bare {
    addr: SocketAddr,
    log: Log,
    _stop: oneshot::Sender<()>,
}

impl Bare {
    pub(super) fn start() -> Self {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        socket.set_nonblocking(true).expect("a new socket takes it");
        let addr = socket.local_addr().expect("it is bound");
        let log = Log::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = log.clone();
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = accept(socket, served) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { addr, log, _stop: stop }
    }
    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }
    pub(super) fn log(&self) -> &Log {
        &self.log
    }
}

async fn accept(socket: std::net::TcpListener, log: Log) {
    let socket = TcpListener::from_std(socket).expect("inside a runtime");
    while let Ok((stream, _)) = socket.accept().await {
        let log = log.clone();
        let service = service_fn(move |request| answer(request, log.clone()));
        let connection =
            http1::Builder::new().half_close(true).serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            let _ = connection.await; // what a client does wrong is not of interest, only what was seen before
        });
    }
}

async fn answer(
    request: http::Request<hyper::body::Incoming>,
    log: Log,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let mut answer = http::Response::new(Full::new(Bytes::from_static(b"seen")));
    match body.collect().await {
        Ok(body) => log.add(&head.method, &head.uri, &body.to_bytes()),
        Err(_) => *answer.status_mut() = http::StatusCode::BAD_REQUEST,
    }
    Ok(answer)
}
