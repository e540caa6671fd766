//! The request line: methods, separators, versions (RFC 9112, 3 and 2.3).

use crate::table::{accepted, framed_or_refused, refused};

#[test]
fn a_method_is_a_token_in_its_case() {
    let line = |method| format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n");
    accepted([
        (line("GET"), "GET / a []"),
        (line("get"), "get / a []"),
        (line("Get"), "Get / a []"),
        (line("X"), "X / a []"),
        (line("M-SEARCH"), "M-SEARCH / a []"),
        (line("PROPFIND"), "PROPFIND / a []"),
        (line("GETS"), "GETS / a []"),
        (line("!#$%&'*+-.^_`|~09"), "!#$%&'*+-.^_`|~09 / a []"),
    ]);
    let marks = (0..=0xff_u8).map(char::from);
    let bad = marks.filter(|c| !c.is_ascii_alphanumeric() && !"!#$%&'*+-.^_`|~ ".contains(*c));
    refused(&[400], bad.map(|c| format!("G{c}T / HTTP/1.1\r\nhost: a\r\n\r\n")));
}

#[test]
fn one_space_separates() {
    refused(
        &[400, 505],
        [
            "GET  / HTTP/1.1",
            "GET /  HTTP/1.1",
            "GET\t/ HTTP/1.1",
            "GET /\tHTTP/1.1",
            "GET / HTTP/1.1 ",
            "GET / HTTP/1.1\t",
            "GET/ HTTP/1.1",
            "GET /HTTP/1.1",
            " / HTTP/1.1",
            "/ HTTP/1.1",
            "GET HTTP/1.1",
            "GET  HTTP/1.1",
            "HTTP/1.1",
            "GET / HTTP/1.1 HTTP/1.1",
            "GET / x HTTP/1.1",
            "GET / a b HTTP/1.1",
            "GET /\u{b}HTTP/1.1",
            "GET\u{c}/ HTTP/1.1",
            "GET\u{a0}/\u{a0}HTTP/1.1",
            "GET\0/ HTTP/1.1",
            "GET /\0HTTP/1.1",
            "GET\n/ HTTP/1.1",
            "GET /\nHTTP/1.1",
            "GET\r/ HTTP/1.1",
            "GET /\rHTTP/1.1",
            "GET\r\n/ HTTP/1.1",
            "GET /\r\nHTTP/1.1",
            "GET / HTTP/1.1\r",
            "Extra lineGET / HTTP/1.1",
        ]
        .map(|line| format!("{line}\r\nhost: a\r\n\r\n")),
    );
}

#[test]
fn http_0_9_is_refused() {
    refused(
        &[400, 505],
        ["GET /\r\n\r\n", "GET /\r\nhost: a\r\n\r\n", "GET / \r\n\r\n", "GET\r\n\r\n", "GET \r\n\r\n"],
    );
}

#[test]
fn other_major_versions_are_505() {
    refused(&[505], ["HTTP/2.0", "HTTP/3.0"].map(|version| format!("GET / {version}\r\nhost: a\r\n\r\n")));
    refused(
        &[400, 505],
        ["HTTP/0.9", "HTTP/0.0", "HTTP/9.9", "HTTP/2.1"]
            .map(|version| format!("GET / {version}\r\nhost: a\r\n\r\n")),
    );
}

/// RFC 9110, 2.5: a higher minor version is read as the highest one that is known.
#[test]
fn a_higher_minor_version_is_1_1_or_505() {
    framed_or_refused(
        &[400, 505],
        ["HTTP/1.2", "HTTP/1.9"].map(|version| (format!("GET / {version}\r\nhost: a\r\n\r\n"), "GET / a []")),
    );
}

#[test]
fn a_version_is_two_digits_behind_a_name_in_capitals() {
    let versions = [
        "http/1.1",
        "Http/1.1",
        "HTTP/1.10",
        "HTTP/1.01",
        "HTTP/01.1",
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/11",
        "HTTP/1,1",
        "HTTP/+1.1",
        "HTTP/1.+1",
        "HTTP/-1.1",
        "HTTP/1.1x",
        "xHTTP/1.1",
        "HTTQ/1.1",
        "HTTP /1.1",
        "HTTP/ 1.1",
        "HTTP1.1",
        "HTTP//1.1",
        "HTTP\\1.1",
        "HTTP/1.1.1",
        "HTTP/4294967297.1",
        "HTTP/1.4294967297",
        "HTTP/1.32",
        "HTTP/257.1",
        "HTTP/x.y",
        "HTTP/",
        "HTTP",
        "H",
        "HTTP/1.1\0",
        "\0HTTP/1.1",
        "HTTP/1.\u{b9}",
        "HTTPS/1.1",
        "RTSP/1.0",
        "ICAP/1.0",
        "HTTP/\r1.1",
    ];
    refused(&[400, 505], versions.map(|version| format!("GET / {version}\r\nhost: a\r\n\r\n")));
}

#[test]
fn http_1_0_is_read_too() {
    accepted([
        ("GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n", "GET / a []"),
        (
            "POST / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\ncontent-length: 3\r\n\r\nabc",
            "POST / a [abc]",
        ),
    ]);
}

/// The preface of HTTP/2 (RFC 9113, 3.4) is no request of HTTP/1, and half of it is nothing at all.
#[test]
fn what_only_begins_like_the_preface_is_refused() {
    refused(
        &[400, 505],
        [
            "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
            "PRI * HTTP/2.0\r\nhost: a\r\n\r\n",
            "PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "PRI * HTTP/1.1\r\nhost: a\r\n\r\n",
            "\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "GET * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ],
    );
}
