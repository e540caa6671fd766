//! Too much of anything: every part of a request has a bound, and memory does not grow with what is refused.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread;

use seawall_http::ServerConfig;

use crate::live::Live;
use crate::table::{Echo, LAST, LAST_READ, accepted, post, refused};
use crate::wire::{exchange, listen};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n";

#[test]
fn fields_are_counted() {
    accepted([(format!("{GET}{}\r\n", "x: y\r\n".repeat(99)), "GET / a []")]);
    refused(&[431], [100, 101, 500, 5_000].map(|count| format!("{GET}{}\r\n", "x: y\r\n".repeat(count))));
}

#[test]
fn bytes_of_a_head_are_counted() {
    accepted([(format!("{GET}x: {}\r\n\r\n", "y".repeat(30_000)), "GET / a []")]);
    refused(
        &[431],
        [
            format!("{GET}x: {}\r\n\r\n", "y".repeat(33_000)),
            format!("{GET}{}: y\r\n\r\n", "x".repeat(33_000)),
            format!("{GET}{}\r\n", format!("x: {}\r\n", "y".repeat(1_000)).repeat(40)),
            format!("{GET}x: {}", "y".repeat(60_000)),
            format!("{GET}{}", "x".repeat(60_000)),
            format!("{GET}{}\r\n", format!("{}: y\r\n", "x".repeat(1_000)).repeat(40)),
        ],
    );
}

#[test]
fn bytes_of_a_request_line_are_counted() {
    refused(
        &[400, 414, 431, 501],
        [
            format!("{} / HTTP/1.1\r\nhost: a\r\n\r\n", "M".repeat(40_000)),
            "M".repeat(60_000),
            format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(40_000)),
            format!("GET /{}", "x".repeat(60_000)),
            format!("GET / HTTP/1.1{}\r\nhost: a\r\n\r\n", "1".repeat(40_000)),
        ],
    );
}

#[test]
fn empty_lines_before_a_request_are_counted() {
    refused(&[400, 431], ["\r\n".repeat(30_000)]);
}

#[test]
fn extensions_of_chunks_are_counted() {
    let body = |chunks: String| post("transfer-encoding: chunked", &format!("{chunks}0\r\n\r\n"));
    refused(
        &[400, 413, 431],
        [
            body(format!("1;{}\r\na\r\n", "x".repeat(60_000))),
            body(format!("1;x=\"{}\"\r\na\r\n", "y".repeat(60_000))),
            post("transfer-encoding: chunked", &format!("1;{}", "x".repeat(60_000))),
            // Each is short; all together they are many times the body.
            body(format!("1;{}\r\na\r\n", "x".repeat(250)).repeat(2_000)),
        ],
    );
}

#[test]
fn trailers_are_counted() {
    let with =
        |trailers: String| post("transfer-encoding: chunked", &format!("1\r\na\r\n0\r\n{trailers}\r\n"));
    refused(
        &[400, 413, 431],
        [
            with("x: y\r\n".repeat(5_000)),
            with(format!("x: {}\r\n", "y".repeat(60_000))),
            with(format!("{}: y\r\n", "x".repeat(60_000))),
            post("transfer-encoding: chunked", &format!("1\r\na\r\n0\r\nx: {}", "y".repeat(60_000))),
        ],
    );
}

#[test]
fn many_small_chunks_are_a_body() {
    let chunks = "1\r\na\r\n".repeat(100_000);
    accepted([(
        post("transfer-encoding: chunked", &format!("{chunks}0\r\n\r\n")),
        "POST / a [100000 bytes]",
    )]);
}

#[test]
fn a_chunked_body_is_limited_by_what_comes() {
    let server = Echo::with(ServerConfig { workers: Some(1), body_limit: 8, ..ServerConfig::default() });
    let ask = |chunks: &str| {
        let request = post("transfer-encoding: chunked", chunks) + LAST;
        exchange(&server.live, request.as_bytes()).unwrap()
    };
    assert_eq!(ask("8\r\n12345678\r\n0\r\n\r\n").texts(), ["POST / a [12345678]", LAST_READ]);
    for chunks in ["9\r\n123456789\r\n0\r\n\r\n", "8\r\n12345678\r\n1\r\n9\r\n0\r\n\r\n", "ff\r\n123456789"] {
        assert_eq!(ask(chunks).statuses()[0], 413, "{chunks:?}");
    }
}

/// Kilobytes that this process has resident. Every test has a process of its own, and the client keeps nothing.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Sends `begin`, then `piece` again and again up to 64 MiB: until the server has had enough.
fn pour(mut stream: TcpStream, begin: &str, piece: &str) {
    if stream.write_all(begin.as_bytes()).is_err() {
        return;
    }
    let piece = piece.repeat((64 << 10) / piece.len());
    for _ in 0..(64 << 20) / piece.len() {
        if stream.write_all(piece.as_bytes()).is_err() {
            return;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
}

/// One flood: the server ends the connection, and what it said, if the client could see it, was a refusal.
#[track_caller]
fn flood(server: &Live, begin: &'static str, piece: &'static str) {
    let mut stream = server.connect();
    let writer = stream.try_clone().unwrap();
    let writer = thread::spawn(move || pour(writer, begin, piece));
    let heard = listen(&mut stream, &[]).unwrap();
    assert!(
        heard.statuses().iter().all(|status| (400..500).contains(status)),
        "{begin:?} {:?}",
        heard.statuses()
    );
    let _ = stream.shutdown(Shutdown::Both);
    writer.join().unwrap();
}

const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";

#[test]
fn memory_does_not_grow_with_what_is_refused() {
    let server = Echo::start();
    let round = || {
        flood(&server.live, GET, "x: y\r\n");
        flood(&server.live, GET, "x");
        flood(&server.live, "GET / HTTP/1.1\r\nhost: a\r\nx: ", "yyyyyyyy");
        flood(&server.live, "GET /", "xxxxxxxx");
        flood(&server.live, "", "M");
        flood(&server.live, "", "\r\n");
        flood(&server.live, POST, "1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\na\r\n");
        flood(
            &server.live,
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
            "x: y\r\n",
        );
        flood(&server.live, POST, "8\r\n12345678\r\n");
        flood(&server.live, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9000000000\r\n\r\n", "x");
    };
    round(); // so that the allocator has what it keeps
    let before = resident();
    for _ in 0..3 {
        round();
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB more after floods that were all refused");
    assert!(exchange(&server.live, LAST.as_bytes()).unwrap().texts() == [LAST_READ]);
}

/// Connections that never say anything useful, many at once.
#[test]
fn memory_does_not_grow_with_connections_that_came_and_went() {
    let server = Echo::start();
    let round = || {
        let streams: Vec<_> = (0..200)
            .map(|number| {
                let mut stream = server.live.connect();
                stream.write_all(&GET.as_bytes()[..number % GET.len()]).unwrap();
                stream
            })
            .collect();
        for mut stream in streams {
            stream.shutdown(Shutdown::Write).unwrap();
            let _ = stream.read(&mut [0; 512]);
        }
    };
    round();
    let before = resident();
    for _ in 0..10 {
        round();
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB more after 2,000 connections that came and went");
}
