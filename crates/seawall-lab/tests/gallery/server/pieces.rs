//! What the exhibits have in common: a socket, a runtime, and work.

use std::hint::black_box;
use std::net::TcpListener;

use axum::Router;
use axum::routing::MethodRouter;
use socket2::{Domain, Socket, Type};
use tokio::runtime::{Builder, Runtime};

/// A listening socket on a free port of loopback, with a queue of so many connections; its URL is printed.
pub(crate) fn listen(backlog: i32) -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(backlog).unwrap();
    let listener = TcpListener::from(socket);
    println!("http://{}/", listener.local_addr().unwrap());
    listener
}

/// A runtime with so many workers and blocking threads.
pub(crate) fn runtime(workers: usize, blocking: usize) -> Runtime {
    let mut builder = if workers == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.worker_threads(workers).max_blocking_threads(blocking).enable_all().build().unwrap()
}

pub(crate) fn serve(runtime: &Runtime, listener: TcpListener, handler: MethodRouter) {
    serve_router(runtime, listener, Router::new().route("/", handler));
}

pub(crate) fn serve_router(runtime: &Runtime, listener: TcpListener, router: Router) {
    listener.set_nonblocking(true).unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        axum::serve(listener, router).await.unwrap();
    });
}

/// Some hundred microseconds of CPU, `times` over.
pub(crate) fn burn(times: u64) -> u64 {
    (0..times * 60_000).fold(1, |sum: u64, i| black_box(sum.rotate_left(5) ^ i))
}

/// So many small pieces of memory, all alive at once.
pub(crate) fn allocate(pieces: usize) -> usize {
    let pieces: Vec<Vec<u8>> = (0..pieces).map(|i| Vec::with_capacity(40 + i % 1_500)).collect();
    black_box(&pieces).iter().map(Vec::capacity).sum()
}
