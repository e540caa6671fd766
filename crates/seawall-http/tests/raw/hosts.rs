//! The `Host` field (RFC 9112, 3.2; RFC 9110, 7.2).

use crate::table::{accepted, framed_or_refused, refused};

fn with(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n")
}

#[test]
fn http_1_1_has_exactly_one_host() {
    refused(
        &[400],
        [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nx: y\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc",
            "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nx: y\r\nHOST: a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost:\r\nhost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nhost:\r\n\r\n",
        ],
    );
}

#[test]
fn http_1_0_has_at_most_one() {
    accepted([
        ("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", "GET / - []"),
        ("GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n", "GET / a []"),
    ]);
    refused(
        &[400],
        [
            "GET / HTTP/1.0\r\nhost: a\r\nhost: b\r\nconnection: keep-alive\r\n\r\n",
            "GET / HTTP/1.0\r\nhost: a b\r\nconnection: keep-alive\r\n\r\n",
        ],
    );
}

#[test]
fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
    accepted([
        (with("a"), "GET / a []"),
        (with("a.example"), "GET / a.example []"),
        (with("A.Example."), "GET / A.Example. []"),
        (with("a:80"), "GET / a:80 []"),
        (with("a:0"), "GET / a:0 []"),
        (with("a:65535"), "GET / a:65535 []"),
        (with("127.0.0.1"), "GET / 127.0.0.1 []"),
        (with("127.0.0.1:8080"), "GET / 127.0.0.1:8080 []"),
        (with("[::1]"), "GET / [::1] []"),
        (with("[::1]:80"), "GET / [::1]:80 []"),
        (with("[2001:db8::7]:80"), "GET / [2001:db8::7]:80 []"),
        (with("a-b_c~d"), "GET / a-b_c~d []"),
        (with("xn--bcher-kva.example"), "GET / xn--bcher-kva.example []"),
        (with("  a  "), "GET / a []"),
    ]);
}

/// Allowed by the grammar, and seldom meant.
#[test]
fn odd_hosts_are_kept_or_refused() {
    framed_or_refused(
        &[400],
        [
            (with(""), "GET / - []"),
            (with(" "), "GET / - []"),
            (with(":80"), "GET / :80 []"),
            (with("a:"), "GET / a: []"),
            (with("a:99999"), "GET / a:99999 []"),
            (with("a:00080"), "GET / a:00080 []"),
            (with("a%41"), "GET / a%41 []"),
            (with("!$&'()*+;="), "GET / !$&'()*+;= []"),
            (with("[v1.x]"), "GET / [v1.x] []"),
            (with("1.2.3"), "GET / 1.2.3 []"),
            (with("a..b"), "GET / a..b []"),
        ],
    );
}

#[test]
fn what_is_no_host_is_refused() {
    let hosts = [
        "a b",
        "a\tb",
        "a, b",
        "a,b c",
        "a/b",
        "a/",
        "/",
        "a\\b",
        "a?b",
        "a#b",
        "a@b",
        "@a",
        "u:p@a",
        "http://a",
        "http://a/",
        "//a",
        "a:b",
        "a:80x",
        "a:x80",
        "a:-1",
        "a:+80",
        "a:80:80",
        "a::80",
        "::1",
        "[",
        "]",
        "[]",
        "[::1",
        "::1]",
        "[::1]x",
        "[::1]:",
        "[::1]80",
        "[::1]:x",
        "[[::1]]",
        "[a]",
        "[::g]",
        "<a>",
        "\"a\"",
        "a\"",
        "{a}",
        "a|b",
        "a^b",
        "`",
        "%",
        "a%",
        "a%4",
        "a%zz",
        "*\u{e9}",
        "\u{e9}",
        "a\u{ff}",
        "\u{a0}a",
        "a\u{85}",
    ];
    let hosts = hosts.into_iter().filter(|host| *host != "[::1]:"); // an empty port
    refused(&[400], hosts.map(with));
}

#[test]
fn a_host_holds_no_control_byte() {
    let bytes = (0..=0x1f_u8).chain([0x7f]).map(char::from).filter(|c| *c != '\t');
    refused(&[400], bytes.map(|c| with(&format!("a{c}b"))));
}
