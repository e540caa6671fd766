//! Files as answers: what a client sees of conditions, ranges, names and failures.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use seawall_http::testing::{TestClient, TestResponse};
use seawall_http::{App, Context, File, Result};
use tempfile::TempDir;

use crate::block_on;

/// Larger than what is read in one go, and than two pieces.
const LARGE: usize = 150_000;

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

/// A folder with `small.txt` (10 bytes) and `large.bin`, both last changed a minute ago.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("small.txt", b"0123456789".to_vec()), ("large.bin", content(LARGE))] {
        fs::write(folder.path().join(name), bytes).unwrap();
        age(&folder.path().join(name), Duration::from_secs(60));
    }
    folder
}

#[expect(clippy::disallowed_methods, reason = "a file's age is counted from now")]
fn age(path: &Path, age: Duration) {
    let file = fs::File::options().append(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

/// Serves the files of `folder` by their names.
fn client(folder: &Path) -> TestClient {
    let folder: PathBuf = folder.into();
    let serve = move |c: Context| {
        let folder = folder.clone();
        async move { c.file(folder.join(c.param::<String>("name")?)).await }
    };
    TestClient::new(App::new().get("/:name", serve.clone()).post("/:name", serve)).unwrap()
}

#[track_caller]
fn get(client: &TestClient, target: &str, headers: &[(&str, &str)]) -> TestResponse {
    send(client, "GET", target, headers)
}

#[track_caller]
fn send(client: &TestClient, method: &str, target: &str, headers: &[(&str, &str)]) -> TestResponse {
    let mut request = client.request(method.parse().unwrap(), target);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    block_on(async { request.await })
}

#[test]
fn a_file_comes_with_what_clients_need_to_ask_better() {
    let folder = folder();
    let answer = get(&client(folder.path()), "/small.txt", &[]);
    assert_eq!((answer.status().as_u16(), answer.text()), (200, "0123456789"));
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("accept-ranges"), "bytes");
    assert!(answer.header("etag").starts_with("\"a-"), "{answer:?}");
    assert!(answer.header("last-modified").ends_with(" GMT"));
}

#[test]
fn a_large_file_comes_whole_and_with_its_length() {
    let folder = folder();
    let client = client(folder.path());
    assert_eq!(get(&client, "/large.bin", &[]).bytes(), &content(LARGE));
    let head = send(&client, "HEAD", "/large.bin", &[]);
    assert_eq!((head.header("content-length"), head.bytes().len()), ("150000", 0));
}

#[test]
fn head_says_what_get_would() {
    let folder = folder();
    let client = client(folder.path());
    let (get, head) = (get(&client, "/small.txt", &[]), send(&client, "HEAD", "/small.txt", &[]));
    assert_eq!((head.status().as_u16(), head.text(), head.header("content-length")), (200, "", "10"));
    for name in ["etag", "last-modified", "content-type", "accept-ranges"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
}

#[test]
fn a_range_is_answered_with_206() {
    let folder = folder();
    let client = client(folder.path());
    let answer = get(&client, "/small.txt", &[("range", "bytes=2-4")]);
    assert_eq!((answer.status().as_u16(), answer.text()), (206, "234"));
    assert_eq!(answer.header("content-range"), "bytes 2-4/10");
    let answer = get(&client, "/small.txt", &[("range", "bytes=-3")]);
    assert_eq!((answer.text(), answer.header("content-range")), ("789", "bytes 7-9/10"));
    let answer = get(&client, "/large.bin", &[("range", "bytes=65000-140000")]);
    assert_eq!(answer.bytes(), &content(LARGE)[65_000..=140_000]);
}

#[test]
fn several_ranges_come_as_parts() {
    let folder = folder();
    let client = client(folder.path());
    for (target, first, second) in [("/small.txt", 0..2, 8..10), ("/large.bin", 0..2, 70_000..140_000)] {
        let range = format!("bytes={}-{}, {}-{}", first.start, first.end - 1, second.start, second.end - 1);
        let answer = get(&client, target, &[("range", &range)]);
        let boundary = answer.header("content-type").strip_prefix("multipart/byteranges; boundary=").unwrap();
        let whole = fs::read(folder.path().join(&target[1..])).unwrap();
        let kind =
            if target == "/small.txt" { "text/plain; charset=utf-8" } else { "application/octet-stream" };
        let mut expected = Vec::new();
        for span in [first, second] {
            let place = format!("content-range: bytes {}-{}/{}", span.start, span.end - 1, whole.len());
            let head = format!("\r\n--{boundary}\r\ncontent-type: {kind}\r\n{place}\r\n\r\n");
            expected.extend_from_slice(head.as_bytes());
            expected.extend_from_slice(&whole[span]);
        }
        expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        assert!(answer.bytes() == &expected, "{target}");
    }
}

#[test]
fn a_range_behind_the_end_is_416_with_the_length() {
    let folder = folder();
    let answer = get(&client(folder.path()), "/small.txt", &[("range", "bytes=10-")]);
    assert_eq!((answer.status().as_u16(), answer.header("content-range")), (416, "bytes */10"));
}

#[test]
fn who_has_it_gets_304() {
    let folder = folder();
    let client = client(folder.path());
    let first = get(&client, "/small.txt", &[]);
    for (name, value) in [("if-none-match", "etag"), ("if-modified-since", "last-modified")] {
        let answer = get(&client, "/small.txt", &[(name, first.header(value))]);
        assert_eq!((answer.status().as_u16(), answer.text()), (304, ""), "{name}");
        assert_eq!(answer.header("etag"), first.header("etag"));
        assert_eq!(answer.header("content-type"), "");
    }
}

#[test]
fn a_change_is_noticed() {
    let folder = folder();
    let client = client(folder.path());
    let first = get(&client, "/small.txt", &[]);
    fs::write(folder.path().join("small.txt"), "9876543210").unwrap();
    let tag = first.header("etag");
    assert_eq!(get(&client, "/small.txt", &[("if-none-match", tag)]).text(), "9876543210");
    assert_eq!(get(&client, "/small.txt", &[("if-match", tag)]).status(), 412);
    let resumed = get(&client, "/small.txt", &[("range", "bytes=5-"), ("if-range", tag)]);
    assert_eq!((resumed.status().as_u16(), resumed.text()), (200, "9876543210"));
}

#[test]
fn a_download_is_continued_only_of_a_file_at_rest() {
    let folder = folder();
    let client = client(folder.path());
    let tag = get(&client, "/small.txt", &[]).header("etag").to_owned();
    let resumed = get(&client, "/small.txt", &[("range", "bytes=5-"), ("if-range", &tag)]);
    assert_eq!((resumed.status().as_u16(), resumed.text()), (206, "56789"));
    age(&folder.path().join("small.txt"), Duration::ZERO);
    let tag = get(&client, "/small.txt", &[]).header("etag").to_owned();
    assert!(tag.starts_with("W/"), "{tag}");
    let resumed = get(&client, "/small.txt", &[("range", "bytes=5-"), ("if-range", &tag)]);
    assert_eq!((resumed.status().as_u16(), resumed.text()), (200, "0123456789"));
}

#[test]
fn conditions_hold_for_other_methods_too() {
    let folder = folder();
    let client = client(folder.path());
    let tag = get(&client, "/small.txt", &[]).header("etag").to_owned();
    assert_eq!(send(&client, "POST", "/small.txt", &[("if-none-match", &tag)]).status(), 412);
    assert_eq!(
        send(&client, "POST", "/small.txt", &[("if-match", &tag), ("range", "bytes=0-1")]).status(),
        200
    );
}

#[test]
fn what_is_no_file_is_404() {
    let folder = folder();
    fs::create_dir(folder.path().join("sub")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap();
    assert!(made.success());
    let client = client(folder.path());
    for target in
        ["/none", "/sub", "/pipe", "/small.txt%2Finside", "/a%00b", &format!("/{}", "x".repeat(300))]
    {
        let answer = get(&client, target, &[]);
        assert_eq!(
            (answer.status().as_u16(), answer.text()),
            (404, r#"{"message":"Not Found"}"#),
            "{target}"
        );
    }
}

/// A link to itself stands for all that the system refuses: no permission would not stop a test that runs as root.
#[test]
fn what_cannot_be_opened_is_500_and_says_nothing_of_its_path() {
    let folder = folder();
    std::os::unix::fs::symlink("loop", folder.path().join("loop")).unwrap();
    let answer = get(&client(folder.path()), "/loop", &[]);
    assert_eq!((answer.status().as_u16(), answer.text()), (500, r#"{"message":"Internal Server Error"}"#));
}

#[test]
fn an_empty_file_is_an_answer() {
    let folder = folder();
    fs::write(folder.path().join("empty"), "").unwrap();
    let client = client(folder.path());
    assert_eq!(get(&client, "/empty", &[]).status(), 200);
    assert_eq!(get(&client, "/empty", &[("range", "bytes=0-")]).status(), 416);
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_breaks_off() {
    let folder = folder();
    let path = folder.path().join("large.bin");
    let shrinks = move || {
        let path = path.clone();
        async move {
            let file = File::open(&path).await?;
            fs::write(&path, "short")?;
            Ok::<_, seawall_http::Error>(file)
        }
    };
    let client = TestClient::new(App::new().get("/", shrinks)).unwrap();
    assert!(get(&client, "/", &[]).broken().is_some());
}

async fn named(c: Context) -> Result<seawall_http::Response> {
    let path: String = c.query_or("path", String::new())?;
    match c.path() {
        "/save" => c.attachment(path, "Übersicht \"2026\".txt").await,
        _ => c.inline(path, "../list.txt").await,
    }
}

#[test]
fn a_file_is_saved_or_shown_under_its_name() {
    let folder = folder();
    let client = TestClient::new(App::new().get("/save", named).get("/show", named)).unwrap();
    let path = folder.path().join("small.txt");
    let saved = get(&client, &format!("/save?path={}", path.display()), &[]);
    let name =
        "attachment; filename=\"_bersicht _2026_.txt\"; filename*=UTF-8''%C3%9Cbersicht%20%222026%22.txt";
    assert_eq!((saved.header("content-disposition"), saved.text()), (name, "0123456789"));
    assert_eq!(saved.header("x-content-type-options"), "nosniff");
    let shown = get(&client, &format!("/show?path={}", path.display()), &[("range", "bytes=0-0")]);
    assert_eq!((shown.header("content-disposition"), shown.text()), ("inline; filename=\"list.txt\"", "0"));
}

#[test]
fn a_file_is_an_answer_by_itself() {
    let folder = folder();
    let path = folder.path().join("small.txt");
    let whole = move || {
        let path = path.clone();
        async move { File::open(path).await?.content_type("text/csv") }
    };
    let client = TestClient::new(App::new().get("/", whole)).unwrap();
    let answer = get(&client, "/", &[("range", "bytes=0-1")]);
    assert_eq!(
        (answer.status().as_u16(), answer.text(), answer.header("content-type")),
        (200, "0123456789", "text/csv")
    );
}

#[test]
fn content_types_go_by_the_extension() {
    let folder = folder();
    let client = client(folder.path());
    for (name, expected) in [
        ("a.html", "text/html; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.png", "image/png"),
        ("a.svg", "image/svg+xml"),
        ("a.wasm", "application/wasm"),
        ("a", "application/octet-stream"),
        ("a.unknown", "application/octet-stream"),
    ] {
        fs::write(folder.path().join(name), "x").unwrap();
        assert_eq!(get(&client, &format!("/{name}"), &[]).header("content-type"), expected, "{name}");
    }
}
