//! `Expect: 100-continue` (RFC 9110, 10.1.1).

use bytes::Bytes;
use seawall_http::middleware::BodyLimit;
use seawall_http::{App, Body, RouteOptions as _, ServerConfig};

use crate::live::Live;
use crate::table::LAST;
use crate::wire::{Client, exchange};

fn start() -> Live {
    let read = async |body: Bytes| format!("{} read", body.len());
    let app = App::new()
        .post("/reads", read)
        .post("/early", async || "early")
        .post("/half", async |mut body: Body| match body.next().await {
            Some(Ok(piece)) => format!("{} of it", piece.len()),
            Some(Err(_)) | None => "nothing".to_owned(),
        })
        .post("/small", read.with(BodyLimit::new(2)))
        .get("/last", async || "last");
    Live::with(app, ServerConfig { workers: Some(1), ..ServerConfig::default() })
}

fn head(target: &str, version: &str, fields: &str) -> String {
    format!("POST {target} {version}\r\nhost: a\r\n{fields}\r\n\r\n")
}

const ASKS: &str = "expect: 100-continue\r\ncontent-length: 3";

#[test]
fn a_handler_that_reads_sends_for_the_body() {
    let server = start();
    for fields in
        [ASKS, "Expect: 100-Continue\r\ncontent-length: 3", "expect:  100-continue \r\ncontent-length: 3"]
    {
        let mut client = Client::new(&server);
        client.send(&head("/reads", "HTTP/1.1", fields));
        let answer = client.next().unwrap();
        assert_eq!((answer.status, answer.fields.len()), (100, 0), "{fields:?}");
        client.send("abc");
        let answer = client.next().unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "3 read"), "{fields:?}");
        client.send(LAST);
        assert_eq!(client.rest().texts(), ["last"], "{fields:?}");
    }
}

#[test]
fn chunks_are_sent_for_too() {
    let server = start();
    let mut client = Client::new(&server);
    client.send(&head("/reads", "HTTP/1.1", "expect: 100-continue\r\ntransfer-encoding: chunked"));
    assert_eq!(client.status(), Some(100));
    client.send("3\r\nabc\r\n0\r\n\r\n");
    assert_eq!(client.next().unwrap().text(), "3 read");
    client.send(LAST);
    assert_eq!(client.rest().texts(), ["last"]);
}

/// A body that will not be read is not sent for. The client may send it or not, so the connection cannot go on.
#[test]
fn a_handler_that_does_not_read_sends_for_nothing() {
    let server = start();
    for fields in [
        ASKS,
        "expect: 100-continue\r\ntransfer-encoding: chunked",
        "expect: 100-continue\r\ncontent-length: 99",
    ] {
        let mut client = Client::new(&server);
        client.send(&head("/early", "HTTP/1.1", fields));
        let heard = client.rest();
        assert_eq!((heard.statuses(), heard.texts()), (vec![200], vec!["early".to_owned()]), "{fields:?}");
        assert!(heard.answers[0].says_close() && !heard.reset, "{fields:?}: {heard:?}");
    }
}

#[test]
fn a_body_over_the_limit_is_not_sent_for() {
    let server = start();
    for (target, length) in [("/reads", "2097153"), ("/small", "3")] {
        let mut client = Client::new(&server);
        client.send(&head(target, "HTTP/1.1", &format!("expect: 100-continue\r\ncontent-length: {length}")));
        let heard = client.rest();
        assert_eq!((heard.statuses(), heard.answers[0].says_close()), (vec![413], true), "{target}");
    }
}

#[test]
fn a_path_that_is_not_there_sends_for_nothing() {
    let mut client = Client::new(&start());
    client.send(&head("/none", "HTTP/1.1", ASKS));
    assert_eq!(client.rest().statuses(), [404]);
}

#[test]
fn a_body_that_is_there_already_need_not_be_sent_for() {
    let server = start();
    let request = head("/reads", "HTTP/1.1", ASKS) + "abc" + LAST;
    let heard = exchange(&server, request.as_bytes()).unwrap();
    let finals: Vec<_> = heard.answers.iter().filter(|answer| answer.status != 100).collect();
    assert_eq!(finals.iter().map(|answer| answer.text()).collect::<Vec<_>>(), ["3 read", "last"]);
    assert!(heard.answers.len() <= 3, "{:?}", heard.statuses());
}

#[test]
fn it_is_sent_once() {
    let server = start();
    let mut client = Client::new(&server);
    client.send(&head("/reads", "HTTP/1.1", "expect: 100-continue\r\ncontent-length: 6"));
    assert_eq!(client.status(), Some(100));
    client.send("abc");
    client.send("def");
    client.send(LAST);
    assert_eq!(client.rest().texts(), ["6 read", "last"]);
}

#[test]
fn without_a_body_there_is_nothing_to_send_for() {
    let server = start();
    for fields in ["expect: 100-continue", "expect: 100-continue\r\ncontent-length: 0"] {
        let request = head("/reads", "HTTP/1.1", fields) + LAST;
        let heard = exchange(&server, request.as_bytes()).unwrap();
        let finals: Vec<_> =
            heard.answers.iter().filter(|answer| answer.status != 100).map(|a| a.text()).collect();
        assert_eq!(finals, ["0 read", "last"], "{fields:?}");
    }
}

/// RFC 9110, 10.1.1: from HTTP/1.0 it is ignored.
#[test]
fn http_1_0_gets_no_100() {
    let server = start();
    let request = head("/reads", "HTTP/1.0", ASKS) + "abc";
    let heard = exchange(&server, request.as_bytes()).unwrap();
    assert_eq!((heard.statuses(), heard.texts()), (vec![200], vec!["3 read".to_owned()]));
}

#[test]
fn other_expectations_are_417() {
    let server = start();
    for expectation in ["200-ok", "100-continued", "x", "100-continue=1", "100", "101-switch"] {
        let mut client = Client::new(&server);
        client.send(&head("/reads", "HTTP/1.1", &format!("expect: {expectation}\r\ncontent-length: 3")));
        let heard = client.rest();
        assert_eq!((heard.statuses(), heard.answers[0].says_close()), (vec![417], true), "{expectation}");
    }
}

#[test]
fn a_client_that_goes_while_it_is_sent_for_harms_nobody() {
    let server = start();
    for _ in 0..20 {
        let mut client = Client::new(&server);
        client.send(&head("/reads", "HTTP/1.1", ASKS));
        drop(client);
    }
    assert!(server.ask(LAST).ends_with("last"));
}

/// What is read of a body in part counts as sent for, whether or not the rest is awaited.
#[test]
fn a_handler_that_reads_a_part_answers() {
    let mut client = Client::new(&start());
    client.send(&head("/half", "HTTP/1.1", "expect: 100-continue\r\ncontent-length: 6"));
    assert_eq!(client.status(), Some(100));
    client.send("abc");
    assert_eq!(client.next().unwrap().text(), "3 of it");
}
