//! Every way in which a request can fail has its own class, and a run keeps nothing per request.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the message")]

mod support;

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use seawall_load::{ConnectConfig, ErrorClass, Load, LoadConfig, LoadError};
use socket2::{Domain, SockAddr, Socket, Type};
use support::{OK, Server, Then, config, run, work_for};

/// What a server says to each request, and what becomes of the connection.
fn against(answer: &'static str, then: Then) -> LoadConfig {
    let server = Server::start(move |stream, _| {
        let _ = stream.write_all(answer.as_bytes());
        then
    });
    config(&server.url())
}

/// An address at which nobody listens; it is taken, so that no other process can begin to.
fn nobody() -> LoadConfig {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SockAddr::from(SocketAddr::from(([127, 0, 0, 1], 0)))).unwrap();
    let taken = Box::leak(Box::new(socket));
    config(&format!("http://{}/", taken.local_addr().unwrap().as_socket().unwrap()))
}

/// A unix socket whose backlog is full: the kernel says so at once.
fn full(dir: &std::path::Path) -> LoadConfig {
    let path = dir.join("full");
    let _lives_as_long_as_the_process = Box::leak(Box::new(UnixListener::bind(&path).unwrap()));
    let connect = ConnectConfig { unix: Some(path), ..ConnectConfig::default() };
    LoadConfig { connect, connections: 6_000, duration: Duration::from_millis(200), ..config("http://h/") }
}

/// Nothing of a request is read, and the connection is cut while it is written.
fn cut_while_written() -> LoadConfig {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                work_for(Duration::from_millis(20));
                let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            });
        }
    });
    LoadConfig { method: "POST".to_owned(), body: vec![b'x'; 32 << 20], ..config(&url) }
}

/// Every connection is cut as soon as the kernel has made it: mostly before the client has looked.
fn cut_while_made() -> LoadConfig {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
    });
    // Made in one go, before the first of them is looked at.
    LoadConfig { connections: 256, duration: Duration::from_millis(200), ..config(&url) }
}

/// Who comes first is the scheduler's business, so it is tried until the connection was cut before the look.
#[test]
fn connections_that_are_cut_while_they_are_made_are_counted_as_connect_reset() {
    let reset = |_| run(&cut_while_made()).errors.get(&ErrorClass::ConnectReset).copied();
    let counted = (0..50).find_map(reset);
    assert!(counted.is_some_and(|count| count > 0), "{counted:?}");
}

#[test]
fn every_class_of_failure_is_counted_as_itself() {
    const CUT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx";
    let dir = tempfile::tempdir().unwrap();
    let large: &'static str =
        Box::leak(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(64 << 10)).into_boxed_str());
    let short = Duration::from_millis(100);
    let nowhere = ConnectConfig { unix: Some(dir.path().join("none")), ..ConnectConfig::default() };
    for (class, config) in [
        (ErrorClass::ConnectRefused, nobody()),
        (ErrorClass::ConnectUnreachable, LoadConfig { connect: nowhere, ..config("http://h/") }),
        (ErrorClass::ConnectTimeout, full(dir.path())),
        (ErrorClass::EofBeforeResponse, against("", Then::Close)),
        (ErrorClass::EofEarly, against(CUT, Then::Close)),
        (ErrorClass::TimeoutFirstByte, LoadConfig { timeout: short, ..against("", Then::Keep) }),
        (ErrorClass::TimeoutBody, LoadConfig { timeout: short, ..against(CUT, Then::Keep) }),
        (ErrorClass::UnansweredAtEnd, LoadConfig { timeout: short * 9, ..against("", Then::Keep) }),
        (ErrorClass::Malformed, against("SSH-2.0-x\r\n", Then::Keep)),
        (ErrorClass::TooLarge, against(large, Then::Keep)),
        (ErrorClass::Status4xx, against("HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n", Then::Keep)),
        (ErrorClass::Status5xx, against("HTTP/1.1 500 N\r\nContent-Length: 0\r\n\r\n", Then::Keep)),
    ] {
        let report = run(&config);
        assert!(report.errors.contains_key(&class), "{class}: {:?}", report.errors);
        assert_eq!(report.requests > 0, !class.is_transport(), "{class}: {}", report.requests);
    }
    // The kernel tells of a cut while we write or when we read next: both are right.
    let report = run(&cut_while_written());
    let cut = [ErrorClass::Write, ErrorClass::ReadReset];
    assert!(report.errors.keys().any(|class| cut.contains(class)), "{:?}", report.errors);
}

#[test]
fn a_name_without_an_address_is_said_before_the_run() {
    let error = Load::new(&config("http://no-such-host.invalid/")).unwrap().run(&mut |_| {}).unwrap_err();
    assert!(matches!(error, LoadError::Resolve { .. }), "{error}");
    assert!(error.to_string().contains("`no-such-host.invalid` has no address"), "{error}");
}

#[test]
fn a_run_keeps_a_row_per_second_and_nothing_per_request() {
    let size = |seconds: u64| {
        let server = Server::saying(OK);
        let report = run(&LoadConfig {
            duration: Duration::from_secs(seconds),
            connections: 2,
            ..config(&server.url())
        });
        assert_eq!(report.series.len() as u64, seconds);
        assert!(report.requests > 10, "{}", report.requests);
        serde_json::to_string(&report).unwrap().len() - report.latency_hdr.len() - report.service_hdr.len()
    };
    let (short, long) = (size(1), size(3));
    // Rows of the series and some points of the percentile curve; requests would be thousands.
    assert!(long < short + 4_000, "{short} bytes after 1 s, {long} after 3 s");
}
