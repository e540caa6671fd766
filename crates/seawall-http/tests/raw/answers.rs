//! What an answer looks like on the wire: which have no body, and the fields that frame one (RFC 9112, 6.3).

use bytes::Bytes;
use http::{HeaderName, StatusCode};
use seawall_http::{App, Context, Error, Response};

use crate::live::Live;
use crate::table::LAST;
use crate::wire::{Answer, Heard, exchange};

fn status(c: Context) -> Result<Response, Error> {
    let code = StatusCode::from_u16(c.param("code")?)?;
    Ok(Response::new(code, Bytes::from_static(b"text")))
}

fn app() -> App {
    App::new()
        .get("/", async || "hello")
        .get("/last", async || "last")
        .get("/empty", async |c: Context| c.text(200, ""))
        .get("/stream", async |c: Context| {
            c.stream(200, "text/plain", async |mut out| {
                out.write("one ").await?;
                out.write("two").await
            })
        })
        .get("/silent", async |c: Context| c.stream(200, "text/plain", async |_| Ok(())))
        .get("/known", async |c: Context| {
            c.stream(200, "text/plain", async |mut out| out.write("1234567").await)
                .map(|answer| answer.length(7))
        })
        .get("/status/:code", async |c: Context| status(c))
        .get("/own/:name/:value", async |c: Context| {
            let name: HeaderName = c.param("name")?;
            let mut answer = c.text(200, "hello")?;
            answer.headers_mut().insert(name, c.param::<String>("value")?.parse()?);
            Ok::<_, Error>(answer)
        })
}

#[track_caller]
fn ask(method: &str, target: &str) -> Heard {
    let server = Live::start(app());
    exchange(&server, format!("{method} {target} HTTP/1.1\r\nhost: a\r\n\r\n{LAST}").as_bytes()).unwrap()
}

/// The first of two answers: that the second is read means that the first had the length it said.
#[track_caller]
fn first_of_two(method: &str, target: &str) -> Answer {
    let heard = ask(method, target);
    assert_eq!(heard.answers.len(), 2, "{method} {target}: {heard:?}");
    assert_eq!(heard.answers[1].text(), "last", "{method} {target}");
    heard.answers[0].clone()
}

#[track_caller]
fn framed(method: &str, target: &str, lengths: &[&str], codings: &[&str], body: &str) {
    let answer = first_of_two(method, target);
    let framing = (answer.values("content-length"), answer.values("transfer-encoding"));
    assert_eq!(
        (framing, answer.text().as_str()),
        ((lengths.to_vec(), codings.to_vec()), body),
        "{method} {target}"
    );
}

#[test]
fn a_body_has_a_length_or_chunks() {
    framed("GET", "/", &["5"], &[], "hello");
    framed("GET", "/empty", &["0"], &[], "");
    framed("GET", "/stream", &[], &["chunked"], "one two");
    framed("GET", "/silent", &[], &["chunked"], "");
    framed("GET", "/known", &["7"], &[], "1234567");
    framed("GET", "/none", &["23"], &[], &first_of_two("GET", "/none").text());
}

#[test]
fn head_says_what_get_would_and_sends_no_body() {
    framed("HEAD", "/", &["5"], &[], "");
    framed("HEAD", "/known", &["7"], &[], "");
    framed("HEAD", "/empty", &["0"], &[], "");
    let stream = first_of_two("HEAD", "/stream");
    assert_eq!((stream.status, stream.values("content-length")), (200, vec![]), "its length is not known");
    assert_eq!(first_of_two("HEAD", "/none").status, 404);
}

#[test]
fn no_content_has_no_length() {
    for method in ["GET", "HEAD"] {
        let answer = first_of_two(method, "/status/204");
        let framing = (answer.values("content-length"), answer.values("transfer-encoding"));
        assert_eq!((answer.status, framing), (204, (vec![], vec![])), "{method}");
    }
}

/// Its length, if it says one, is that of the answer it stands for, never that of a body of its own.
#[test]
fn not_modified_has_no_body() {
    for method in ["GET", "HEAD"] {
        let answer = first_of_two(method, "/status/304");
        assert_eq!((answer.status, answer.values("transfer-encoding")), (304, vec![]), "{method}");
        assert!(answer.values("content-length").iter().all(|length| *length != "0"), "{answer:?}");
    }
}

#[test]
fn reset_content_has_an_empty_body() {
    let answer = first_of_two("GET", "/status/205");
    assert_eq!((answer.status, answer.text().as_str()), (205, ""));
}

/// A handler cannot answer with what is no answer yet.
#[test]
fn a_handlers_1xx_is_a_500() {
    let first = |code| ask("GET", &format!("/status/{code}")).statuses().first().copied();
    assert_eq!([100, 101, 102, 103, 199].map(first), [Some(500); 5]);
}

#[test]
fn unusual_codes_are_sent_as_they_are() {
    for code in [200, 299, 418, 499, 599, 999] {
        let answer = first_of_two("GET", &format!("/status/{code}"));
        assert_eq!((answer.status, answer.text().as_str()), (code, "text"));
    }
}

/// The server alone frames answers: what a handler says of it cannot put a client out of step.
#[test]
fn a_handler_cannot_break_the_framing() {
    for (name, value) in [
        ("content-length", "3"),
        ("content-length", "7"),
        ("content-length", "-1"),
        ("content-length", "x"),
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", "gzip"),
        ("transfer-encoding", "identity"),
        ("trailer", "x"),
        ("connection", "transfer-encoding"),
        ("connection", "keep-alive"),
        ("upgrade", "websocket"),
        ("keep-alive", "timeout=1"),
    ] {
        let server = Live::start(app());
        let request = format!("GET /own/{name}/{value} HTTP/1.1\r\nhost: a\r\n\r\n{LAST}");
        let heard = exchange(&server, request.as_bytes())
            .unwrap_or_else(|problem| panic!("{name}: {value}: {problem}"));
        let first = &heard.answers[0];
        assert!(first.status == 500 || first.text() == "hello", "{name}: {value}: {heard:?}");
        assert!(heard.answers.len() == 1 || heard.answers[1].text() == "last", "{name}: {value}: {heard:?}");
    }
}

#[test]
fn every_answer_has_one_date() {
    for target in ["/", "/stream", "/none", "/status/204", "/status/500"] {
        let heard = ask("GET", target);
        for answer in &heard.answers {
            let dates = answer.values("date");
            assert!(dates.len() == 1 && httpdate::parse_http_date(dates[0]).is_ok(), "{target}: {dates:?}");
        }
    }
}

#[test]
fn a_date_of_the_handlers_own_is_kept() {
    let answer = first_of_two("GET", "/own/date/Thu,%2001%20Jan%201970%2000:00:00%20GMT");
    assert_eq!(answer.values("date"), ["Thu, 01 Jan 1970 00:00:00 GMT"]);
}
