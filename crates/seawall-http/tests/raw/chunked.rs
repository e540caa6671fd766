//! Chunked bodies (RFC 9112, 7.1).

use crate::table::{accepted, framed_or_refused, post, refused};

/// A request with these chunks.
fn chunks(chunks: &str) -> String {
    post("transfer-encoding: chunked", chunks)
}

#[test]
fn chunks_are_joined() {
    accepted([
        (chunks("0\r\n\r\n"), "POST / a []"),
        (chunks("3\r\nabc\r\n0\r\n\r\n"), "POST / a [abc]"),
        (chunks("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"), "POST / a [abc]"),
        (chunks("a\r\n0123456789\r\n0\r\n\r\n"), "POST / a [0123456789]"),
        (chunks("A\r\n0123456789\r\n0\r\n\r\n"), "POST / a [0123456789]"),
        (chunks("003\r\nabc\r\n000\r\n\r\n"), "POST / a [abc]"),
        (chunks("0000000000000003\r\nabc\r\n0\r\n\r\n"), "POST / a [abc]"),
        (chunks("5\r\n\r\n0\r\n\r\n0\r\n\r\n"), "POST / a [\r\n0\r\n]"),
    ]);
}

#[test]
fn extensions_are_ignored() {
    accepted([
        (chunks("3;a\r\nabc\r\n0\r\n\r\n"), "POST / a [abc]"),
        (chunks("3;a=b\r\nabc\r\n0;c=d\r\n\r\n"), "POST / a [abc]"),
        (chunks("3;a=\"b\"\r\nabc\r\n0\r\n\r\n"), "POST / a [abc]"),
        (chunks("3;a=\"b;c=d\"\r\nabc\r\n0\r\n\r\n"), "POST / a [abc]"),
        (chunks("3;a;b=c;d\r\nabc\r\n0\r\n\r\n"), "POST / a [abc]"),
    ]);
}

/// The grammar allows bad whitespace around extensions, and a lenient reader takes it without one.
#[test]
fn space_behind_a_size_changes_no_size() {
    framed_or_refused(
        &[400],
        [
            (chunks("3 \r\nabc\r\n0\r\n\r\n"), "POST / a [abc]"),
            (chunks("3\t\r\nabc\r\n0\r\n\r\n"), "POST / a [abc]"),
            (chunks("3 ;a\r\nabc\r\n0\r\n\r\n"), "POST / a [abc]"),
            (chunks("3; a = b\r\nabc\r\n0\r\n\r\n"), "POST / a [abc]"),
            (chunks("3;\r\nabc\r\n0\r\n\r\n"), "POST / a [abc]"),
            (chunks("3;a=\u{e9}\r\nabc\r\n0\r\n\r\n"), "POST / a [abc]"),
        ],
    );
}

#[test]
fn a_size_is_hex_digits() {
    let sizes = [
        "", "+3", "-3", "-0", "0x3", "0X3", "x3", "g", "3g", " 3", "\t3", "3 3", "3_0", "0_3", "3.", "3.0",
        "3h", "\"3\"", "\u{ff}3", "3\u{a0}", "\u{b2}", "3,", "=3", "3=", "3 x", "three", ";a", "\u{b}3",
        "3\0", "3\u{7f}", "#3", "%33",
    ];
    refused(&[400], sizes.map(|size| chunks(&format!("{size}\r\nabc\r\n0\r\n\r\n"))));
}

#[test]
fn a_size_that_no_machine_can_count_is_refused() {
    let zeros = format!("{}3", "0".repeat(4096));
    let sizes = ["10000000000000003", "10000000000000000", "fffffffffffffffff", "100000000000000000000003"];
    refused(&[400, 413], sizes.map(|size| chunks(&format!("{size}\r\nabc\r\n0\r\n\r\n"))));
    refused(&[400, 413, 431], [chunks(&format!("{zeros}\r\nabc\r\n0\r\n\r\n"))]);
}

#[test]
fn a_size_line_ends_in_crlf() {
    refused(
        &[400],
        [
            chunks("3\nabc\r\n0\r\n\r\n"),
            chunks("3\n\r\nabc\r\n0\r\n\r\n"),
            chunks("3\r\r\nabc\r\n0\r\n\r\n"),
            chunks("3\rXabc\r\n0\r\n\r\n"),
            chunks("3\r\r;ABCD\r\n0\r\n\r\n"),
            chunks("5\r\r;ABCD\r\n34\r\nE\r\n0\r\n\r\n"),
            chunks("3\r abc\r\n0\r\n\r\n"),
        ],
    );
}

#[test]
fn an_extension_hides_no_line_end() {
    refused(
        &[400],
        [
            chunks("3;a\nabc\r\n0\r\n\r\n"),
            chunks("3;\nabc\r\n0\r\n\r\n"),
            chunks("3;a\nb\r\nabc\r\n0\r\n\r\n"),
            chunks("3;a=\"\n\"\r\nabc\r\n0\r\n\r\n"),
            chunks("3;a=\"\r\n\"\r\nabc\r\n0\r\n\r\n"),
            chunks("3;a\rb\r\nabc\r\n0\r\n\r\n"),
            chunks("3;a=b\r\rXabc\r\n0\r\n\r\n"),
            chunks("3;a\0\r\nabc\r\n0\r\n\r\n"),
            chunks("3;a\u{1}\r\nabc\r\n0\r\n\r\n"),
            chunks("0;a\n\r\n"),
        ],
    );
}

#[test]
fn a_chunk_ends_in_crlf() {
    refused(
        &[400],
        [
            chunks("3\r\nabc0\r\n\r\n"),
            chunks("3\r\nabcX\r\n0\r\n\r\n"),
            chunks("3\r\nabcXX0\r\n\r\n"),
            chunks("3\r\nabc\n0\r\n\r\n"),
            chunks("3\r\nabc\r0\r\n\r\n"),
            chunks("3\r\nabc\r\r\n0\r\n\r\n"),
            chunks("3\r\nabc\n\n0\r\n\r\n"),
            chunks("3\r\nabc\r\n\r\n0\r\n\r\n"),
            chunks("3\r\nabcd\r\n0\r\n\r\n"),
            chunks("2\r\nabc\r\n0\r\n\r\n"),
            chunks("3\r\nabc \r\n0\r\n\r\n"),
        ],
    );
}

#[test]
fn a_body_ends_in_an_empty_line() {
    refused(
        &[400],
        [
            chunks("0\r\nXX"),
            chunks("0\r\n\n"),
            chunks("0\n\r\n"),
            chunks("0\n\n"),
            chunks("0\r\n\rX"),
            chunks("0\r\r\n\r\n"),
            chunks("00\r\n \r\n"),
            chunks("0\r\nX:POST / HTTP/1.1\n\r\n"),
        ],
    );
}

#[test]
fn trailers_are_taken_and_change_nothing() {
    let with = |trailers: &str| chunks(&format!("3\r\nabc\r\n0\r\n{trailers}\r\n\r\n"));
    accepted([
        (with("x: y"), "POST / a [abc]"),
        (with("x: y\r\nz: w"), "POST / a [abc]"),
        (with("x:"), "POST / a [abc]"),
        (with("x: \u{e9}"), "POST / a [abc]"),
    ]);
}

/// RFC 9110, 6.5.1: they are ignored, since they come too late. Refusing them is as safe.
#[test]
fn trailers_frame_route_and_sign_nothing() {
    let fields = [
        "content-length: 100",
        "transfer-encoding: chunked",
        "transfer-encoding: identity",
        "host: evil",
        "host:",
        "connection: close",
        "authorization: Basic YTpi",
        "content-encoding: gzip",
        "trailer: x",
        "te: trailers",
        "expect: 100-continue",
        "upgrade: websocket",
        "cookie: a=b",
        "content-type: text/html",
        "range: bytes=0-0",
    ];
    framed_or_refused(
        &[400],
        fields.map(|field| (chunks(&format!("3\r\nabc\r\n0\r\n{field}\r\n\r\n")), "POST / a [abc]")),
    );
}

#[test]
fn trailers_are_fields() {
    refused(
        &[400],
        [
            "no colon",
            "x : y",
            " x: y",
            "\tx: y",
            ": y",
            "x: y\r\n z",
            "x: a\nb: c",
            "x: a\rb",
            "x: a\0",
            "x\0: a",
            "x(: y",
            "x: y\n",
            "GET / HTTP/1.1",
            "\u{e9}: y",
            "x: \u{1}",
            "x: \u{7f}",
        ]
        .map(|trailer| chunks(&format!("3\r\nabc\r\n0\r\n{trailer}\r\n\r\n"))),
    );
}
