//! Exhibits without an event loop: plain threads and sockets.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::mpsc;

use axum::routing::get;

use crate::pieces::{burn, listen, runtime, serve};

/// Writes head and body in two pieces, with Nagle's algorithm on: the second waits until the first is acknowledged.
pub(crate) fn nagle() {
    for stream in listen(1024).incoming().flatten() {
        std::thread::spawn(move || answer_in_two_pieces(&stream));
    }
}

fn answer_in_two_pieces(mut stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|n| n > 0) {
        if line == "\r\n" {
            let head = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
            if head.and_then(|()| stream.write_all(b"hello")).is_err() {
                return;
            }
        }
        line.clear();
    }
}

/// Two workers that hand all work to one thread.
pub(crate) fn hot() {
    let (jobs, queue) = mpsc::channel::<tokio::sync::oneshot::Sender<u64>>();
    let work = move || {
        queue.into_iter().for_each(|answer| {
            let _ = answer.send(burn(1)); // whoever asked may be gone
        })
    };
    std::thread::Builder::new().name("pricing".into()).spawn(work).unwrap();
    let handler = move || {
        let jobs = jobs.clone();
        async move {
            let (answer, done) = tokio::sync::oneshot::channel();
            jobs.send(answer).unwrap();
            done.await.unwrap().to_string()
        }
    };
    serve(&runtime(2, 8), listen(1024), get(handler));
}
