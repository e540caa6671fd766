//! HTTP/2 frames by hand: floods that cost a client little, and a server much (RFC 9113, 10.5).

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use seawall_http::{App, ServerConfig};

use crate::live::Live;
use crate::table::LAST;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET /` of host `a`, from the static table of RFC 7541.
const REQUEST: &[u8] = &[0x82, 0x84, 0x86, 0x41, 1, b'a'];

fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, REQUEST)
}

fn started(served: &Arc<AtomicUsize>) -> Live {
    let count = Arc::clone(served);
    let app = App::new().get("/last", async || "last").any("/", move || {
        count.fetch_add(1, SeqCst);
        async { "hello" }
    });
    Live::with(app, ServerConfig { workers: Some(1), ..ServerConfig::default() })
}

fn server() -> Live {
    started(&Arc::default())
}

fn connect(server: &Live) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).unwrap();
    stream
}

/// The frames that a connection brought until it ended: kind, stream, payload.
type Frames = Vec<(u8, u32, Vec<u8>)>;

fn frames(bytes: &[u8]) -> Frames {
    let (mut frames, mut rest) = (Vec::new(), bytes);
    while rest.len() >= 9 {
        let length = u32::from_be_bytes([0, rest[0], rest[1], rest[2]]) as usize;
        let Some(payload) = rest.get(9..9 + length) else { break };
        frames.push((rest[3], u32::from_be_bytes([rest[5], rest[6], rest[7], rest[8]]), payload.to_vec()));
        rest = &rest[9 + length..];
    }
    frames
}

/// Reads to the end beside a writer, as a client does; how it ended does not matter.
fn reader(stream: &TcpStream) -> JoinHandle<Frames> {
    let mut stream = stream.try_clone().unwrap();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        frames(&bytes)
    })
}

/// Sends `piece(n)` for rising n, until the server ends the connection or `most` have gone; how many went.
fn pour(stream: &mut TcpStream, most: u32, piece: impl Fn(u32) -> Vec<u8>) -> u32 {
    const AT_ONCE: u32 = 64;
    for begin in (0..most).step_by(AT_ONCE as usize) {
        let bytes: Vec<u8> = (begin..begin + AT_ONCE).flat_map(&piece).collect();
        if stream.write_all(&bytes).is_err() {
            return begin;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
    most
}

fn error_of_goaway(frames: &Frames) -> Option<u32> {
    let last = frames.iter().rfind(|(kind, ..)| *kind == GOAWAY)?;
    Some(u32::from_be_bytes(last.2.get(4..8)?.try_into().ok()?))
}

/// The others are served as before.
#[track_caller]
fn serves(server: &Live) {
    assert!(server.ask(LAST).ends_with("last"));
}

/// Reads until `found` says that it is there, or the server ends the connection.
#[track_caller]
fn read_until(stream: &mut TcpStream, found: impl Fn(&Frames) -> bool) -> Frames {
    let (mut bytes, mut room) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut room) {
            Ok(0) => return frames(&bytes),
            Ok(read) => bytes.extend_from_slice(&room[..read]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return frames(&bytes),
            Err(error) => panic!("neither answered nor closed ({error}): {:?}", frames(&bytes)),
        }
        let so_far = frames(&bytes);
        if found(&so_far) {
            return so_far;
        }
    }
}

/// Sends a request's head, and waits until the server has done with it whatever it does.
#[track_caller]
fn settled(server: &Live, block: &[u8]) {
    let mut stream = connect(server);
    let ping = frame(PING, 0, 0, &[7; 8]);
    stream.write_all(&[frame(HEADERS, END_STREAM | END_HEADERS, 1, block), ping].concat()).unwrap();
    read_until(&mut stream, |frames| {
        frames.iter().any(|(kind, _, payload)| *kind == PING && payload == &[7; 8])
    });
    serves(server); // by the same worker, behind whatever it had begun
}

#[test]
fn a_request_by_hand_is_answered() {
    let served = Arc::new(AtomicUsize::new(0));
    let server = started(&served);
    let mut stream = connect(&server);
    stream.write_all(&get(1)).unwrap();
    let body =
        |(kind, stream, payload): &(u8, u32, Vec<u8>)| (*kind, *stream) == (DATA, 1) && payload == b"hello";
    let frames = read_until(&mut stream, |frames| frames.iter().any(body));
    assert!(frames.iter().any(body), "{frames:?}");
    // So that those below, which must not be served, are known to be waited for.
    settled(&server, REQUEST);
    assert_eq!(served.load(SeqCst), 2);
}

/// Requests that are taken back at once (CVE-2023-44487): the connection ends long before the last one.
#[test]
fn rapid_resets_end_the_connection() {
    const MOST: u32 = 2_000_000;
    let served = Arc::new(AtomicUsize::new(0));
    let server = started(&served);
    let mut stream = connect(&server);
    let reader = reader(&stream);
    let sent = pour(&mut stream, MOST, |n| {
        [get(2 * n + 1), frame(RST_STREAM, 0, 2 * n + 1, &8_u32.to_be_bytes())].concat()
    });
    let frames = reader.join().unwrap();
    assert!(sent < MOST && served.load(SeqCst) < MOST as usize, "all {sent} were taken, {served:?} served");
    assert!(error_of_goaway(&frames).is_none_or(|error| error != 0), "{:?}", error_of_goaway(&frames));
    serves(&server);
}

/// Requests that the server itself must reset, since each breaks a rule ("MadeYouReset").
#[test]
fn resets_that_the_client_provokes_end_the_connection() {
    const MOST: u32 = 2_000_000;
    let server = server();
    let mut stream = connect(&server);
    let reader = reader(&stream);
    // A window that grows by nothing is an error of its stream.
    let sent =
        pour(&mut stream, MOST, |n| [get(2 * n + 1), frame(WINDOW_UPDATE, 0, 2 * n + 1, &[0; 4])].concat());
    reader.join().unwrap();
    assert!(sent < MOST, "all {sent} were taken");
    serves(&server);
}

/// A head that never ends (CVE-2024-27316 and its kin): no more of it is taken than a head may have.
#[test]
fn a_head_without_an_end_ends_the_connection() {
    let server = server();
    for piece in
        [vec![], vec![0x82; 4096], [&[0, 1, b'x', 0x7f][..], &encoded(4000 - 127), &[b'y'; 4000]].concat()]
    {
        let mut stream = connect(&server);
        let reader = reader(&stream);
        stream.write_all(&frame(HEADERS, END_STREAM, 1, REQUEST)).unwrap();
        // More than the buffers of both sockets can hold, so that an end is noticed.
        let most = (64 << 20) / (9 + u32::try_from(piece.len()).unwrap());
        let sent = pour(&mut stream, most, |_| frame(CONTINUATION, 0, 1, &piece));
        let frames = reader.join().unwrap();
        assert!(sent < most, "all {sent} pieces of {} bytes were taken", piece.len());
        assert_ne!(error_of_goaway(&frames), Some(0));
    }
    serves(&server);
}

#[test]
fn a_head_over_the_limit_is_refused() {
    let server = server();
    let mut stream = connect(&server);
    let reader = reader(&stream);
    // 40 fields of 1,000 bytes: a literal without indexing, a name of one byte, a value whose length takes two more.
    let value = [&[0x7f][..], &encoded(1000 - 127), &[b'y'; 1000]].concat();
    let fields: Vec<u8> = (0..40).flat_map(|_| [&[0, 1, b'x'][..], &value].concat()).collect();
    let block = [REQUEST, &fields].concat();
    let mut pieces = block.chunks(16 << 10).peekable();
    stream.write_all(&frame(HEADERS, END_STREAM, 1, pieces.next().unwrap())).unwrap();
    while let Some(piece) = pieces.next() {
        let flags = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        let _ = stream.write_all(&frame(CONTINUATION, flags, 1, piece));
    }
    let _ = stream.shutdown(Shutdown::Write);
    let frames = reader.join().unwrap();
    // A refusal may be lost, because we have closed our side already; an answer of the handler may not be there.
    let served = frames.iter().any(|(kind, _, payload)| *kind == DATA && payload == b"hello");
    assert!(!served, "{frames:?}");
    serves(&server);
}

/// The rest of an integer that did not fit its prefix (RFC 7541, 5.1).
fn encoded(mut rest: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// Frames that each want an answer, from a client that reads none: the server stops taking them, or ends it.
#[track_caller]
fn unread_answers_stop_the_flood(piece: &[u8]) {
    let server = server();
    let mut stream = connect(&server);
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let batch = piece.repeat((64 << 10) / piece.len());
    let mut sent = 0;
    let stopped = loop {
        match stream.write(&batch[sent % batch.len()..]) {
            Ok(written) => sent += written,
            Err(error) => break error.kind(),
        }
        assert!(sent < 1 << 28, "the server took {sent} bytes of frames whose answers nobody read");
    };
    let ended =
        [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    assert!(ended.contains(&stopped), "{stopped:?}");
    serves(&server);
}

#[test]
fn a_flood_of_settings_is_bounded() {
    unread_answers_stop_the_flood(&frame(SETTINGS, 0, 0, &[]));
}

#[test]
fn a_flood_of_pings_is_bounded() {
    unread_answers_stop_the_flood(&frame(PING, 0, 0, &[7; 8]));
}

/// Frames that want no answer and say nothing: they may go on, but others are served, and memory stays.
#[test]
fn a_flood_of_nothing_harms_nobody() {
    let server = server();
    for piece in [
        frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
        frame(0xbe, 0, 0, &[1; 64]),
        frame(2, 0, 1, &[0, 0, 0, 0, 9]),
    ] {
        let mut stream = connect(&server);
        let reader = reader(&stream);
        let _ = pour(&mut stream, 100_000, |_| piece.clone());
        serves(&server);
        reader.join().unwrap();
    }
}

#[test]
fn what_is_no_frame_ends_the_connection() {
    let server = server();
    for bytes in [
        frame(DATA, 0, 0, b"x"),                                              // of no stream
        frame(DATA, 0, 1, b"x"),                                              // of a stream that is not open
        frame(HEADERS, END_HEADERS, 0, REQUEST),                              // of no stream
        frame(HEADERS, END_HEADERS, 2, REQUEST), // of a stream that is the server's to open
        frame(HEADERS, END_HEADERS, 1, &[0xff, 0xff, 0xff]), // an integer without an end
        frame(HEADERS, END_HEADERS, 1, &[0xbe]), // an index that is not there
        frame(SETTINGS, 0, 1, &[]),              // of a stream
        frame(SETTINGS, 0, 0, &[0]),             // of an odd length
        frame(SETTINGS, 1, 0, &[0; 6]),          // an acknowledgement that says something
        frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff]), // a window above 2^31 - 1
        frame(PING, 0, 0, &[0]),                 // of a wrong length
        frame(PING, 0, 1, &[0; 8]),              // of a stream
        frame(WINDOW_UPDATE, 0, 0, &[0; 4]),     // by nothing
        frame(WINDOW_UPDATE, 0, 0, &[0; 3]),     // of a wrong length
        frame(RST_STREAM, 0, 1, &[0; 4]),        // of a stream that is not open
        frame(CONTINUATION, END_HEADERS, 1, REQUEST), // of nothing
        frame(5, END_HEADERS, 1, &[0; 8]),       // a push, from a client
        [&[0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1][..], &[0; 64]].concat(), // longer than was agreed
        [frame(HEADERS, 0, 1, REQUEST), frame(PING, 0, 0, &[0; 8])].concat(), // amid a head
        [frame(HEADERS, 0, 1, REQUEST), frame(CONTINUATION, END_HEADERS, 3, &[])].concat(),
    ] {
        let mut stream = connect(&server);
        let reader = reader(&stream);
        stream.write_all(&bytes).unwrap();
        let frames = reader.join().unwrap();
        assert!(error_of_goaway(&frames).is_none_or(|error| error != 0), "{bytes:?}: {frames:?}");
        assert!(!frames.iter().any(|(kind, ..)| *kind == HEADERS), "{bytes:?} was answered: {frames:?}");
    }
    serves(&server);
}

/// Heads that HTTP/1 would refuse: names in capitals, fields of the connection, pseudo-fields twice or missing, and
/// bytes that would end a line once such a request is passed on as HTTP/1.
#[test]
fn a_head_that_is_none_is_refused() {
    let literal = |name: &str, value: &str| {
        let (name, value) = (name.as_bytes(), value.as_bytes());
        let lengths = [u8::try_from(name.len()).unwrap(), u8::try_from(value.len()).unwrap()];
        [&[0, lengths[0]], name, &[lengths[1]], value].concat()
    };
    let served = Arc::new(AtomicUsize::new(0));
    let server = started(&served);
    for extra in [
        literal("X", "y"),
        literal("x y", "z"),
        literal("x:", "y"),
        literal("", "y"),
        literal("x\r\ny", "z"),
        literal("x", "y\r\nz: w"),
        literal("x", "y\nz"),
        literal("x", "y\0"),
        literal("connection", "close"),
        literal("transfer-encoding", "chunked"),
        literal("keep-alive", "x"),
        literal("upgrade", "h2c"),
        literal("proxy-connection", "x"),
        literal("te", "gzip"),
        literal(":method", "POST"),
        literal(":path", "/b"),
        literal(":x", "y"),
        literal(":status", "200"),
        [literal("x", "y"), vec![0x84]].concat(),
        literal("content-length", "3"), // and no body
        literal("content-length", "x"),
        [literal("content-length", "0"), literal("content-length", "3")].concat(),
    ] {
        settled(&server, &[REQUEST, &extra].concat());
        assert_eq!(served.load(SeqCst), 0, "served with {}", crate::wire::shown(&extra));
    }
    serves(&server);
}

#[test]
fn a_head_without_what_it_needs_is_refused() {
    let served = Arc::new(AtomicUsize::new(0));
    let server = started(&served);
    for block in [&[][..], &[0x82], &[0x84, 0x86], &[0x82, 0x86], &[0x82, 0x84], &[0x82, 0x04, 0, 0x86]] {
        settled(&server, block);
        assert_eq!(served.load(SeqCst), 0, "served with {block:?}");
    }
    serves(&server);
}

#[test]
fn more_streams_than_agreed_are_refused() {
    let app = App::new().get("/last", async || "last").any("/", std::future::pending::<&str>);
    let server = Live::with(app, ServerConfig { workers: Some(1), ..ServerConfig::default() });
    let mut stream = connect(&server);
    let reader = reader(&stream);
    let all: Vec<u8> = (0..1_000).flat_map(|n| get(2 * n + 1)).collect();
    stream.write_all(&all).unwrap();
    // Those that are served will never end, so the client ends it all.
    let _ = stream.write_all(&frame(GOAWAY, 0, 0, &[0; 7])); // of a wrong length: an error
    let frames = reader.join().unwrap();
    let refused = frames.iter().filter(|(kind, ..)| *kind == RST_STREAM).count();
    assert!(refused > 500 || error_of_goaway(&frames).is_some_and(|error| error != 0), "{refused} refused");
    serves(&server);
}

/// A client that lives, and takes nothing of one answer: only that stream ends.
#[test]
fn an_answer_that_nobody_takes_ends_its_stream() {
    let config = ServerConfig {
        workers: Some(1),
        write_stall_timeout: Duration::from_millis(200),
        ..ServerConfig::default()
    };
    let server = Live::with(App::new().any("/", async || "hello"), config);
    let mut stream = server.connect();
    // An initial window of 0, and more for stream 3 alone.
    let no_window = [0, 4, 0, 0, 0, 0];
    let window = frame(WINDOW_UPDATE, 0, 3, &100u32.to_be_bytes());
    let all = [PREFACE, &frame(SETTINGS, 0, 0, &no_window), &get(1), &get(3), &window];
    stream.write_all(&all.concat()).unwrap();
    let is_reset = |frame: &(u8, u32, Vec<u8>)| frame.0 == RST_STREAM && frame.1 == 1;
    let frames = read_until(&mut stream, |frames| frames.iter().any(is_reset));
    let of = |kind, number| frames.iter().filter(move |frame| frame.0 == kind && frame.1 == number);
    assert_eq!(of(DATA, 3).map(|frame| frame.2.as_slice()).collect::<Vec<_>>().concat(), b"hello");
    assert_eq!(of(DATA, 1).count(), 0);
    stream.write_all(&[get(5), frame(WINDOW_UPDATE, 0, 5, &100u32.to_be_bytes())].concat()).unwrap();
    read_until(&mut stream, |frames| frames.iter().any(|frame| frame.0 == DATA && frame.1 == 5));
}
