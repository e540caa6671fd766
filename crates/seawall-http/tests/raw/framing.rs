//! How long a body is: `Content-Length` and `Transfer-Encoding` (RFC 9112, 6).

use crate::table::{accepted, framed_or_refused, post, refused};

#[test]
fn a_length_and_a_coding_together_are_refused() {
    let chunks = "3\r\nabc\r\n0\r\n\r\n";
    refused(
        &[400],
        [
            post("content-length: 13\r\ntransfer-encoding: chunked", chunks),
            post("transfer-encoding: chunked\r\ncontent-length: 13", chunks),
            post("content-length: 0\r\ntransfer-encoding: chunked", chunks),
            post("transfer-encoding: chunked\r\nContent-Length: 3", chunks),
            post("Transfer-Encoding: Chunked\r\nx: y\r\nCONTENT-LENGTH: 13", chunks),
            post("content-length: 5\r\ntransfer-encoding: ,chunked", "0\r\n\r\n"),
            post("content-length: 3\r\ntransfer-encoding: identity", "abc"),
            post("content-length: 3\r\ntransfer-encoding: ", "abc"),
            post("content-length: 3\r\ntransfer-encoding: x", "abc"),
        ],
    );
}

#[test]
fn several_lengths_are_refused_even_if_they_agree() {
    refused(
        &[400],
        [
            post("content-length: 3\r\ncontent-length: 4", "abcd"),
            post("content-length: 4\r\ncontent-length: 3", "abcd"),
            post("content-length: 0\r\ncontent-length: 3", "abc"),
            post("content-length: 3\r\ncontent-length: 3", "abc"),
            post("content-length: 3\r\nx: y\r\nContent-Length: 3", "abc"),
            post("content-length: 3, 4", "abcd"),
            post("content-length: 3, 3", "abc"),
            post("content-length: 3,3", "abc"),
            post("content-length: 3,", "abc"),
            post("content-length: ,3", "abc"),
            post("content-length: \r\ncontent-length: 3", "abc"),
            post("content-length: 3\r\ncontent-length:", "abc"),
        ],
    );
}

#[test]
fn a_length_is_digits() {
    let odd = [
        "+3", "-3", "-0", "+0", "0x3", "0X3", "3 3", "3\t3", "3;", "3.0", "3e0", "3_0", "3Z", "Z3", "\"3\"",
        "(3)", "\u{a0}3", "3\u{a0}", "\u{85}3", "\u{b2}", "", " ", "\t", "3 abc", "three", "3-", "- 3",
        "0b11", "\u{b}3",
    ];
    refused(&[400], odd.map(|length| post(&format!("content-length: {length}"), "abc")));
}

#[test]
fn a_length_that_no_machine_can_count_is_refused() {
    let long = "9".repeat(100);
    refused(
        &[400, 413],
        [
            "18446744073709551616",
            "18446744073709551615",
            "99999999999999999999",
            "9223372036854775808",
            &long,
        ]
        .map(|length| post(&format!("content-length: {length}"), "abc")),
    );
}

#[test]
fn a_length_over_the_limit_is_413() {
    refused(&[413], ["2097153", "4294967299"].map(|n| post(&format!("content-length: {n}"), "abc")));
}

#[test]
fn a_length_is_decimal_and_may_have_space_around() {
    accepted([
        (post("content-length: 3", "abc"), "POST / a [abc]"),
        (post("content-length:3", "abc"), "POST / a [abc]"),
        (post("content-length:  \t3 \t", "abc"), "POST / a [abc]"),
        (post("CONTENT-length: 3", "abc"), "POST / a [abc]"),
        (post("content-length: 003", "abc"), "POST / a [abc]"),
        (post("content-length: 010", "0123456789"), "POST / a [0123456789]"),
        (post("content-length: 0", ""), "POST / a []"),
        (post("content-length: 00", ""), "POST / a []"),
        (post("x-content-length: 3", ""), "POST / a []"),
    ]);
}

#[test]
fn any_method_may_have_a_body_and_none_is_there_unless_announced() {
    let with = |method| format!("{method} / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc");
    accepted([
        (with("GET"), "GET / a [abc]"),
        (with("DELETE"), "DELETE / a [abc]"),
        (with("OPTIONS"), "OPTIONS / a [abc]"),
        (with("TRACE"), "TRACE / a [abc]"),
        (with("X-OWN"), "X-OWN / a [abc]"),
        ("POST / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), "POST / a []"),
        ("PUT / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), "PUT / a []"),
    ]);
}

#[test]
fn a_coding_is_chunked_once() {
    accepted(["chunked", "Chunked", "CHUNKED", " \tchunked\t "].map(|coding| {
        (post(&format!("transfer-encoding:{coding}"), "3\r\nabc\r\n0\r\n\r\n"), "POST / a [abc]")
    }));
}

#[test]
fn any_other_coding_is_refused() {
    let codings = [
        "gzip",
        "chunked, gzip",
        "gzip, chunked",
        "gzip,chunked",
        "identity",
        "chunked, identity",
        "identity, chunked",
        "chunked, chunked",
        "chunked,chunked",
        "xchunked",
        "chunkedx",
        "x-chunked",
        "chunked-x",
        "cow",
        "trailers",
        "\"chunked\"",
        "'chunked'",
        "chunked;",
        "chunked;a=b",
        "chunked; q=0.5",
        "chunk ed",
        "chun\tked",
        "chunked chunked",
        "chunked x",
        "\u{a0}chunked",
        "chunked\u{a0}",
        "chunked\u{85}",
        "\u{ff}chunked\u{ff}",
        "ch\u{fc}nked",
        "",
        " ",
        "0",
    ];
    refused(
        &[400, 501],
        codings.map(|coding| post(&format!("transfer-encoding: {coding}"), "3\r\nabc\r\n0\r\n\r\n")),
    );
}

#[test]
fn a_control_byte_hides_no_coding() {
    let codings = [
        "\u{b}chunked",
        "chunked\u{b}",
        "\u{c}chunked",
        "chunked\0",
        "\0chunked",
        "chunked\u{7f}",
        "\u{8}chunked",
    ];
    refused(
        &[400, 501],
        codings.map(|coding| post(&format!("transfer-encoding: {coding}"), "3\r\nabc\r\n0\r\n\r\n")),
    );
}

#[test]
fn two_codings_are_refused() {
    let chunks = "3\r\nabc\r\n0\r\n\r\n";
    refused(
        &[400, 501],
        [
            post("transfer-encoding: chunked\r\ntransfer-encoding: chunked", chunks),
            post("transfer-encoding: chunked\r\ntransfer-encoding: identity", chunks),
            post("transfer-encoding: identity\r\ntransfer-encoding: chunked", chunks),
            post("transfer-encoding: x\r\ntransfer-encoding: chunked", chunks),
            post("transfer-encoding:\r\ntransfer-encoding: chunked", chunks),
            post("transfer-encoding: chunked\r\nTransfer-encoding: cow", chunks),
        ],
    );
}

/// RFC 9110, 5.6.1.2: empty elements of a list are to be ignored; refusing is as safe.
#[test]
fn empty_elements_hide_no_coding() {
    let chunks = "3\r\nabc\r\n0\r\n\r\n";
    framed_or_refused(
        &[400, 501],
        [",chunked", "chunked,", ", chunked", "chunked ,", ",,chunked", " , chunked , "]
            .map(|coding| (post(&format!("transfer-encoding: {coding}"), chunks), "POST / a [abc]")),
    );
}

/// RFC 9112, 6.1: such a message's framing is faulty.
#[test]
fn http_1_0_has_no_codings() {
    let request =
        |fields: &str| format!("POST / HTTP/1.0\r\nhost: a\r\n{fields}\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    refused(
        &[400, 501],
        [
            request("transfer-encoding: chunked"),
            request("transfer-encoding: chunked\r\nconnection: keep-alive"),
            request("content-length: 13\r\ntransfer-encoding: chunked"),
            request("transfer-encoding: identity"),
        ],
    );
}

/// Names that only look like the ones that frame a body.
#[test]
fn names_that_look_alike_frame_nothing() {
    accepted([
        (post("content_length: 3", ""), "POST / a []"),
        (post("transfer_encoding: chunked", ""), "POST / a []"),
        (post("te: chunked", ""), "POST / a []"),
        (post("content-encoding: chunked", ""), "POST / a []"),
        (post("xtransfer-encoding: chunked", ""), "POST / a []"),
        (post("x: y, transfer-encoding: chunked", ""), "POST / a []"),
    ]);
}

/// RFC 9110, 7.6.1: what frames a message is no field of the connection, whoever says so.
#[test]
fn connection_takes_no_framing_away() {
    accepted([
        (post("connection: content-length\r\ncontent-length: 3", "abc"), "POST / a [abc]"),
        (
            post("connection: transfer-encoding\r\ntransfer-encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"),
            "POST / a [abc]",
        ),
        (post("connection: host", ""), "POST / a []"),
    ]);
}
