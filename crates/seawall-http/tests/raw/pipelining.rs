//! Requests behind one another on a connection (RFC 9112, 9.3.2).

use std::io::{ErrorKind, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use seawall_http::{App, Context};

use crate::live::Live;
use crate::table::{Echo, LAST, LAST_READ};
use crate::wire::{Client, exchange, latin1, listen};

const GET: &str = "GET /n HTTP/1.1\r\nhost: a\r\n\r\n";

#[test]
fn kinds_of_requests_may_follow_one_another() {
    let server = Echo::start();
    let batch = [
        GET,
        "POST / HTTP/1.1\r\nhost: b\r\ncontent-length: 4\r\n\r\nabc\n",
        "HEAD /h HTTP/1.1\r\nhost: c\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: d\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: e\r\ncontent-length: 0\r\n\r\n",
        "\r\nGET /f HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
        LAST,
    ];
    let heard = exchange(&server.live, &latin1(&batch.concat())).unwrap();
    let read = [
        "GET /n a []",
        "POST / b [abc\n]",
        "HEAD /h c []",
        "POST / d [abc]",
        "POST / e []",
        "GET /f - []",
        LAST_READ,
    ];
    assert_eq!(server.take_seen(), read);
    let texts = heard.texts();
    assert_eq!((texts.len(), texts[2].as_str(), texts[6].as_str()), (7, "", LAST_READ));
}

#[test]
fn a_bad_request_ends_the_batch() {
    let server = Echo::start();
    for bad in [
        "GET / HTTP/1.1\r\nhost : a\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
        "x\r\n\r\n",
    ] {
        let heard = exchange(&server.live, &latin1(&format!("{GET}{GET}{bad}{GET}{GET}"))).unwrap();
        assert_eq!(heard.statuses(), [200, 200, 400], "{bad:?}");
        assert_eq!(server.take_seen(), ["GET /n a []"; 2], "{bad:?}");
    }
}

#[test]
fn what_follows_a_request_that_closes_is_not_read() {
    let server = Echo::start();
    let heard = exchange(&server.live, &latin1(&format!("{GET}{LAST}{GET}{GET}"))).unwrap();
    assert_eq!(heard.texts(), ["GET /n a []", LAST_READ]);
    assert_eq!(server.take_seen(), ["GET /n a []", LAST_READ]);
    let heard = exchange(&server.live, &latin1(&format!("{LAST}not a request at all\r\n\r\n"))).unwrap();
    assert_eq!((heard.statuses(), heard.reset), (vec![200], false));
}

#[test]
fn many_are_answered_in_order() {
    let server = Echo::start();
    let batch: String = (0..2_000).map(|n| format!("GET /{n} HTTP/1.1\r\nhost: a\r\n\r\n")).collect();
    let heard = exchange(&server.live, &latin1(&format!("{batch}{LAST}"))).unwrap();
    let expected: Vec<_> =
        (0..2_000).map(|n| format!("GET /{n} a []")).chain([LAST_READ.to_owned()]).collect();
    assert_eq!(heard.texts(), expected);
}

/// A request starts when the one before it has its answer: handlers of one client cannot overtake each other.
#[test]
fn one_is_served_at_a_time() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&log);
    let app = App::new().get("/:n", move |c: Context| {
        let lines = Arc::clone(&lines);
        async move {
            let n: u32 = c.param("n")?;
            lines.lock().unwrap().push(format!("{n} starts"));
            for _ in n..100 {
                tokio::task::yield_now().await; // the earlier, the slower
            }
            lines.lock().unwrap().push(format!("{n} ends"));
            Ok::<_, seawall_http::Error>(n.to_string())
        }
    });
    let server = Live::start(app);
    let batch: String = (0..10).map(|n| format!("GET /{n} HTTP/1.1\r\nhost: a\r\n\r\n")).collect();
    let heard = exchange(
        &server,
        format!("{batch}GET /10 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes(),
    );
    let numbers: Vec<_> = (0..=10).map(|n| n.to_string()).collect();
    assert_eq!(heard.unwrap().texts(), numbers);
    let expected: Vec<_> = (0..=10).flat_map(|n| [format!("{n} starts"), format!("{n} ends")]).collect();
    assert_eq!(*log.lock().unwrap(), expected);
}

/// A client that sends and does not read is not served on and on: the server stops reading, and goes on when it can.
#[test]
fn depth_is_bounded_by_what_the_client_reads() {
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    let app = App::new().get("/", move || {
        count.fetch_add(1, SeqCst);
        async { Bytes::from_static(&[b'x'; 1000]) }
    });
    let server = Live::start(app);
    let mut client = Client::new(&server);
    let batch = "GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(1000);
    client.stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let sent = fill(&mut client, batch.as_bytes());
    let whole = sent / (batch.len() / 1000);
    let before = served.load(SeqCst);
    assert!(before < whole, "{before} of {whole} requests were served, although no answer was read");
    client.end_writing();
    let heard = listen(&mut client.stream, &[]).unwrap();
    let answered = heard.statuses().iter().filter(|status| **status == 200).count();
    assert_eq!((answered, served.load(SeqCst)), (whole, whole));
}

/// Writes until the server takes nothing more for a while; how many bytes it took.
fn fill(client: &mut Client, batch: &[u8]) -> usize {
    let mut sent = 0;
    while sent < 1 << 30 {
        match client.stream.write(&batch[sent % batch.len()..]) {
            Ok(written) => sent += written,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return sent,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the server took a gibibyte of requests whose answers nobody read");
}
