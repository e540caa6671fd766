//! Header fields: names, values, and where lines end (RFC 9110, 5; RFC 9112, 2.2 and 5).

use crate::table::{accepted, post, refused};

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n")
}

const TOKEN_MARKS: &str = "!#$%&'*+-.^_`|~";

#[test]
fn a_name_is_a_token() {
    let names = (0..=0xff_u8).map(char::from).filter(|c| *c != ':');
    let (good, bad): (Vec<_>, Vec<_>) =
        names.partition(|c| c.is_ascii_alphanumeric() || TOKEN_MARKS.contains(*c));
    accepted(good.iter().map(|c| (get(&format!("x{c}y: z")), "GET / a []")));
    accepted(good.iter().map(|c| (get(&format!("{c}: z")), "GET / a []")));
    refused(&[400], bad.iter().map(|c| get(&format!("x{c}y: z"))));
    refused(&[400], bad.iter().map(|c| get(&format!("{c}x: z"))));
    refused(&[400], bad.iter().map(|c| get(&format!("x{c}: z"))));
}

#[test]
fn a_value_has_no_control_bytes() {
    let values = (0..=0xff_u8).map(char::from);
    let (bad, good): (Vec<_>, Vec<_>) =
        values.partition(|c| matches!(*c, '\0'..='\u{8}' | '\u{a}'..='\u{1f}' | '\u{7f}'));
    accepted(good.iter().map(|c| (get(&format!("x: y{c}z")), "GET / a []")));
    refused(&[400], bad.iter().map(|c| get(&format!("x: y{c}z"))));
    refused(&[400], bad.iter().map(|c| get(&format!("x: {c}z"))));
    // Before the end of the line, a CR is one of two.
    refused(&[400], bad.iter().map(|c| get(&format!("x: y{c}"))));
}

#[test]
fn space_around_a_value_is_not_part_of_it() {
    accepted([
        (get("x:y"), "GET / a []"),
        (get("x: \t y \t "), "GET / a []"),
        (get("x:"), "GET / a []"),
        (get("x: "), "GET / a []"),
        (get("x: \t"), "GET / a []"),
        (get("x: y: z:"), "GET / a []"),
        (get("x::"), "GET / a []"),
        ("GET / HTTP/1.1\r\nhOsT: \ta\t \r\n\r\n".to_owned(), "GET / a []"),
    ]);
}

#[test]
fn there_is_no_space_before_a_colon() {
    refused(
        &[400],
        [
            get("x : y"),
            get("x\t: y"),
            get("x  : y"),
            "GET / HTTP/1.1\r\nhost : a\r\n\r\n".to_owned(),
            post("content-length : 3", "abc"),
            post("content-length\t: 3", "abc"),
            post("transfer-encoding : chunked", "3\r\nabc\r\n0\r\n\r\n"),
            post("transfer-encoding\t: chunked", "3\r\nabc\r\n0\r\n\r\n"),
            post("transfer-encoding : chunked\r\ncontent-length: 3", "abc"),
        ],
    );
}

#[test]
fn a_field_has_a_name_and_a_colon() {
    refused(
        &[400],
        [
            get(": y"),
            get(":"),
            get("::"),
            get("x"),
            get("x y"),
            get("content-length 3"),
            get("x\r\ny: z"),
            "GET / HTTP/1.1\r\n:\r\nhost: a\r\n\r\n".to_owned(),
            "GET / HTTP/1.1\r\nhost\r\n\r\n".to_owned(),
            "GET / HTTP/1.1\r\nhost a\r\n\r\n".to_owned(),
            post("transfer-\r\nencoding: chunked\r\ncontent-length: 3", "abc"),
        ],
    );
}

/// RFC 9112, 5.2: refused, since others may join such lines, or not.
#[test]
fn lines_are_not_folded() {
    refused(
        &[400],
        [
            get("x: y\r\n z"),
            get("x: y\r\n\tz"),
            get("x: y\r\n z\r\n z"),
            get("x: y\r\n "),
            get("x:\r\n y"),
            get("x: y\r\n \r\nz: w"),
            "GET / HTTP/1.1\r\nhost:\r\n a\r\n\r\n".to_owned(),
            post("transfer-encoding:\r\n chunked", "3\r\nabc\r\n0\r\n\r\n"),
            post("transfer-encoding: x\r\n , chunked", "3\r\nabc\r\n0\r\n\r\n"),
            post("content-length: 3\r\n\t4", "abc"),
            post("x: y\r\n content-length: 3", "abc"),
        ],
    );
}

/// RFC 9112, 2.2: space between the request line and the first field.
#[test]
fn the_first_field_begins_at_once() {
    refused(
        &[400],
        [
            "GET / HTTP/1.1\r\n host: a\r\n\r\n",
            "GET / HTTP/1.1\r\n\thost: a\r\n\r\n",
            "GET / HTTP/1.1\r\n x: y\r\nhost: a\r\n\r\n",
            "GET / HTTP/1.1\r\n \r\nhost: a\r\n\r\n",
            "POST / HTTP/1.1\r\n\tcontent-length: 3\r\nhost: a\r\n\r\nabc",
        ],
    );
}

/// RFC 9112, 2.2: a recipient may take a bare LF for an end of line. Who does not differs from us then, so we do not.
#[test]
fn a_bare_lf_ends_no_line() {
    refused(
        &[400],
        [
            "GET / HTTP/1.1\nhost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\nx: y\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nx: y\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\n\n",
            "GET / HTTP/1.1\r\nhost: a\n\n",
            "GET / HTTP/1.1\nhost: a\n\n",
            "GET / HTTP/1.1\nhost: a\nconnection: close\n\n",
            "GET / HTTP/1.1\r\nhost: a\r\nx: y\nz\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nx:\n\nGET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nte\nst: y\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\nx: y\ncontent-length: 3\r\n\r\nabc",
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\n\r\nabc",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\n\r\n3\r\nabc\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding:\nchunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ],
    );
}

#[test]
fn a_bare_cr_ends_no_line() {
    refused(
        &[400],
        [
            "GET / HTTP/1.1\rhost: a\r\n\r\n",
            "GET / HTTP/1.1\r\rhost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\rx: y\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nx: y\rz\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nx: \ry\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nx\ry: z\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\n\rx: y\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\n\r\rGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\n\rZGET /evil: HTTP/1.1\r\nhost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\nx: y\rcontent-length: 3\r\n\r\nabc",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ],
    );
}

/// RFC 9112, 2.2: at least one, since some clients send one too many after a body.
#[test]
fn an_empty_line_before_a_request_is_skipped() {
    accepted([
        ("\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n", "GET / a []"),
        ("\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n", "GET / a []"),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc\r\n", "POST / a [abc]"),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n\r\n", "POST / a []"),
    ]);
}

#[test]
fn nothing_else_before_a_request_is_skipped() {
    refused(
        &[400],
        [
            "\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "\n\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "\rGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "\r\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            " \r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            " GET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "\tGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "\0GET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "\u{ef}\u{bb}\u{bf}GET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}\r\n\r\n", // TLS on the wrong port
            "SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        ],
    );
}
