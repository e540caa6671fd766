//! Real signals to a real process: what each phase of the end looks like from outside.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustix::process::Signal;

use crate::child::Child;
use crate::live::{LIMIT, read_until, wait_until};
use crate::{GET, ask};

fn connect(child: &Child) -> TcpStream {
    let stream = TcpStream::connect(child.addr).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

fn request(child: &Child, path: &str) -> TcpStream {
    let mut stream = connect(child);
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let headers = if path == "/ws" { upgrade } else { "" };
    write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\n{headers}\r\n").unwrap();
    stream
}

fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest); // a connection that is cut may be reset
    rest
}

fn refuses(child: &Child) -> bool {
    TcpStream::connect(child.addr).is_err()
}

#[test]
fn a_signal_ends_a_server_that_has_nothing_to_do() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut child = Child::start("plain");
        let mut idle = connect(&child);
        idle.write_all(GET.as_bytes()).unwrap();
        read_until(&mut idle, "hello");
        child.signal(signal);
        child.says("not ready");
        assert_eq!(child.wait_for_end(), 0);
        assert_eq!(rest(&mut idle), b"");
    }
}

#[test]
fn a_drain_waits_for_bodies() {
    let mut child = Child::start("plain");
    let mut slow = request(&child, "/slow");
    read_until(&mut slow, "one ");
    child.signal(Signal::TERM);
    child.says("not ready");
    wait_until(|| refuses(&child));
    assert!(String::from_utf8(rest(&mut slow)).unwrap().contains("two"), "the body comes whole");
    assert_eq!(child.wait_for_end(), 0);
}

#[test]
fn it_says_that_it_leaves_while_it_still_accepts() {
    let mut child = Child::start("briefly delayed");
    child.signal(Signal::TERM);
    child.says("not ready");
    assert_eq!(ask(&mut connect(&child)), "hello", "a balancer has not heard yet");
    assert_eq!(child.wait_for_end(), 0);
}

#[test]
fn a_second_signal_does_not_wait_for_the_delay() {
    let mut child = Child::start("delayed");
    let mut idle = connect(&child);
    idle.write_all(GET.as_bytes()).unwrap();
    read_until(&mut idle, "hello");
    let mut stuck = request(&child, "/stuck");
    child.signal(Signal::TERM);
    child.says("not ready");
    assert_eq!(ask(&mut connect(&child)), "hello");
    child.signal(Signal::TERM);
    let cut = child.wait_for_end();
    assert!(cut >= 1, "the stuck one, and whatever had not ended yet");
    assert_eq!(rest(&mut stuck), b"");
}

#[test]
fn a_second_signal_cuts_what_is_under_way() {
    let mut child = Child::start("plain");
    let mut stuck = request(&child, "/stuck");
    // It is being served once another one that came later is, on each of the two workers.
    for _ in 0..4 {
        assert_eq!(ask(&mut connect(&child)), "hello");
    }
    child.signal(Signal::TERM);
    child.says("not ready");
    wait_until(|| refuses(&child));
    child.signal(Signal::INT);
    assert_eq!(child.wait_for_end(), 1);
    assert_eq!(rest(&mut stuck), b"");
}

#[test]
fn what_does_not_end_in_time_is_cut_and_counted() {
    let mut child = Child::start("impatient");
    let mut stuck: Vec<_> = (0..3).map(|_| request(&child, "/stuck")).collect();
    for _ in 0..4 {
        assert_eq!(ask(&mut connect(&child)), "hello");
    }
    child.signal(Signal::TERM);
    child.says("not ready");
    assert_eq!(child.wait_for_end(), 3);
    assert!(stuck.iter_mut().all(|stream| rest(stream).is_empty()));
}

#[test]
fn a_drain_ends_event_streams() {
    let child = Child::start("plain");
    let mut events = request(&child, "/events");
    read_until(&mut events, "data: first\n\n");
    child.signal(Signal::TERM);
    rest(&mut events);
    assert_eq!(child.wait_for_end(), 0);
}

#[cfg(feature = "websocket")]
#[test]
fn a_drain_says_1001_to_websockets_and_waits_for_their_answer() {
    let child = Child::start("plain");
    let mut socket = request(&child, "/ws");
    read_until(&mut socket, "\r\n\r\n");
    child.signal(Signal::TERM);
    let mut frame = [0; 4];
    socket.read_exact(&mut frame).unwrap();
    assert_eq!((frame[0], u16::from_be_bytes([frame[2], frame[3]])), (0x88, 1001), "{frame:?}");
    let mut reason = vec![0; usize::from(frame[1]) - 2];
    socket.read_exact(&mut reason).unwrap();
    // The same code back, under a mask of zeros.
    socket.write_all(&[0x88, 0x82, 0, 0, 0, 0, frame[2], frame[3]]).unwrap();
    assert_eq!(rest(&mut socket), b"");
    assert_eq!(child.wait_for_end(), 0);
}
