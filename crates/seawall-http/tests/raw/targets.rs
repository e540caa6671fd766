//! Request targets: the four forms, and what is in them (RFC 9112, 3.2).

use seawall_http::{App, Context, ServerConfig};

use crate::live::Live;
use crate::table::{LAST, accepted, framed_or_refused, refused};
use crate::wire::{exchange, latin1};

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n")
}

#[test]
fn the_origin_form_is_a_path_and_perhaps_a_query() {
    accepted([
        (get("/"), "GET / a []"),
        (get("/a/b?c=d&e"), "GET /a/b?c=d&e a []"),
        (get("/?"), "GET /? a []"),
        (get("//a"), "GET //a a []"),
        (get("/a//b/"), "GET /a//b/ a []"),
        (get("/%41%20"), "GET /%41%20 a []"),
        (get("/a;b=c,d:@!$&'()*+-._~"), "GET /a;b=c,d:@!$&'()*+-._~ a []"),
        (get("/*"), "GET /* a []"),
        (get("/http://b/"), "GET /http://b/ a []"),
        (get("/?a=/?b"), "GET /?a=/?b a []"),
        (get("/../x"), "GET /../x a []"),
        (get("/HTTP/1.1"), "GET /HTTP/1.1 a []"),
    ]);
}

/// RFC 9112, 3.2.2: the target names the host then, whatever `Host` says.
#[test]
fn the_absolute_form_names_the_host() {
    let with = |target: &str| format!("GET {target} HTTP/1.1\r\nhost: other\r\n\r\n");
    accepted([
        (with("http://a/x"), "GET /x a []"),
        (with("http://a/x?y=z"), "GET /x?y=z a []"),
        (with("http://a"), "GET / a []"),
        (with("http://a/"), "GET / a []"),
        (with("http://a:8080/x"), "GET /x a:8080 []"),
        (with("http://[::1]:80/x"), "GET /x [::1]:80 []"),
        (with("HTTP://a/x"), "GET /x a []"),
        ("GET http://a/x HTTP/1.0\r\nconnection: keep-alive\r\n\r\n".to_owned(), "GET /x a []"),
    ]);
    framed_or_refused(
        &[400],
        [
            (with("https://a/x"), "GET /x a []"),
            (with("http://a?x"), "GET /?x a []"),
            (with("http://a:/x"), "GET /x a: []"),
            (with("ftp://a/x"), "GET /x a []"),
            (with("http://u@a/x"), "GET /x a []"),
            (with("http://u:p@a/x"), "GET /x a []"),
        ],
    );
}

#[test]
fn an_absolute_form_without_a_host_is_refused() {
    let targets = [
        "http://",
        "http:///x",
        "http:/x",
        "http:x",
        "http:",
        "http://:80/",
        "http://?x",
        "://a/",
        "//",
        "http//a/",
        "http://a b/",
        "http://a/#x",
        "http://[::1/",
        "http://a:b/",
        "http://a@/",
    ];
    let targets = targets.into_iter().filter(|target| *target != "//"); // a path
    // A space within makes the rest a version, and not ours.
    refused(&[400, 505], targets.map(|target| format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n")));
}

/// RFC 9112, 3.2: the field must be there in any case.
#[test]
fn an_absolute_form_needs_a_host_field_too() {
    refused(
        &[400],
        [
            "GET http://a/ HTTP/1.1\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\nhost: a b\r\n\r\n",
        ],
    );
}

#[test]
fn the_asterisk_is_for_options() {
    accepted([("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n", "OPTIONS * a []")]);
    refused(
        &[400],
        [
            "GET * HTTP/1.1\r\nhost: a\r\n\r\n",
            "POST * HTTP/1.1\r\nhost: a\r\n\r\n",
            "HEAD * HTTP/1.1\r\nhost: a\r\n\r\n",
            "OPTIONS ** HTTP/1.1\r\nhost: a\r\n\r\n",
            "OPTIONS *x HTTP/1.1\r\nhost: a\r\n\r\n",
            "OPTIONS *?x HTTP/1.1\r\nhost: a\r\n\r\n",
        ],
    );
}

#[test]
fn the_authority_form_is_for_connect() {
    let methods = ["GET", "POST", "OPTIONS", "HEAD"];
    refused(&[400], methods.map(|method| format!("{method} a:80 HTTP/1.1\r\nhost: a\r\n\r\n")));
    refused(
        &[400, 405, 501],
        ["/", "/x", "*", "http://a/", "a", "a:", ":80", "a:b", "u@a:80", "a:80/", "a:80?x", "a:80#x"]
            .map(|target| format!("CONNECT {target} HTTP/1.1\r\nhost: a\r\n\r\n")),
    );
}

/// Nobody asked for a tunnel, so there is none: what follows is no longer read, or read as requests.
#[test]
fn connect_opens_no_tunnel() {
    let app = App::new().get("/last", async |c: Context| c.text(200, "last")).any("/", async || "root");
    let server = Live::with(app, ServerConfig { workers: Some(1), ..ServerConfig::default() });
    let heard =
        exchange(&server, &latin1(&format!("CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n{LAST}"))).unwrap();
    let first = heard.answers[0].status;
    assert!([400, 404, 405, 501].contains(&first), "{:?}", heard.statuses());
    assert!(heard.answers.len() == 1 || heard.answers[1].text() == "last", "{heard:?}");
}

#[test]
fn other_targets_are_refused() {
    let targets = [
        "a",
        "a/b",
        "?x",
        "#x",
        "/#",
        "/a#b",
        "/?a#b",
        ".",
        "..",
        "-",
        "!",
        "\\",
        "\\x",
        "&",
        "@",
        "@a",
        ":",
        ":80",
        "%2f",
        "a:80/",
        "/a b",
        "/\u{1}",
        "/\u{8}",
        "/\t",
        "/\u{b}",
        "/\u{1f}",
        "/\u{7f}",
        "/\0",
        "/a?\u{1}",
        "/a?b\0",
        "/a?\u{7f}",
    ];
    refused(&[400, 505], targets.map(get));
}

#[test]
fn a_target_is_ascii() {
    refused(&[400], (0x80..=0xff_u8).map(char::from).map(|c| get(&format!("/{c}"))));
    refused(&[400], ["/\u{c3}\u{a9}", "/?\u{c3}\u{a9}", "/a?b=\u{ff}", "\u{ff}", "http://\u{e9}/"].map(get));
}

/// No target by the grammar, but old clients send them, and they can be read in one way only.
#[test]
fn marks_that_should_be_escaped_are_kept_or_refused() {
    framed_or_refused(
        &[400],
        [
            (get("/\""), "GET /\" a []"),
            (get("/<>"), "GET /<> a []"),
            (get("/\\"), "GET /\\ a []"),
            (get("/^"), "GET /^ a []"),
            (get("/`"), "GET /` a []"),
            (get("/{}"), "GET /{} a []"),
            (get("/|"), "GET /| a []"),
            (get("/[]"), "GET /[] a []"),
            (get("/%"), "GET /% a []"),
            (get("/%zz"), "GET /%zz a []"),
            (get("/%00"), "GET /%00 a []"),
            (get("/?\"<>\\^`{}|"), "GET /?\"<>\\^`{}| a []"),
        ],
    );
}

#[test]
fn a_target_that_is_too_long_is_414_or_431() {
    for length in [40 << 10, 60 << 10] {
        refused(
            &[414, 431],
            [get(&format!("/{}", "x".repeat(length))), get(&format!("/?{}", "x".repeat(length)))],
        );
    }
}

/// The limits of a head may be wide; that of a target then is the URI's own.
#[test]
fn a_target_that_no_uri_can_hold_is_refused() {
    let config = ServerConfig { workers: Some(1), max_head_bytes: 1 << 20, ..ServerConfig::default() };
    let server = Live::with(App::new().fallback(async || "found"), config);
    let heard = exchange(&server, get(&format!("/{}", "x".repeat(70_000))).as_bytes()).unwrap();
    assert!([400, 414, 431].contains(&heard.answers[0].status), "{:?}", heard.statuses());
    assert_eq!((heard.answers.len(), heard.answers[0].says_close()), (1, true));
}
