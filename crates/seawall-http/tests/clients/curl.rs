//! curl: files with ranges, conditions and resumption, names, uploads, events, HTTP/2.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use seawall_http::{App, Body, Context, Event, Sse};
use tempfile::TempDir;

use crate::live::Live;

const LARGE: usize = 3_000_000;

/// A server of the files of a folder, where `large.bin` is at rest.
struct Files {
    folder: TempDir,
    server: Live,
    large: Vec<u8>,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let large: Vec<u8> = (0..LARGE).map(|at| (at % 251) as u8).collect();
        write(&folder.path().join("large.bin"), &large);
        write(&folder.path().join("small.txt"), b"0123456789");
        let path = folder.path().to_path_buf();
        let file = move |c: Context| {
            let path = path.clone();
            async move {
                let path = path.join(c.param::<String>("name")?);
                if c.path().starts_with("/save/") {
                    c.attachment(path, "grüße.txt").await
                } else {
                    c.file(path).await
                }
            }
        };
        let app = App::new()
            .get("/files/:name", file.clone())
            .get("/save/:name", file)
            .post("/upload", async |mut body: Body| {
                let (mut bytes, mut sum) = (0, 0_u64);
                while let Some(piece) = body.next().await {
                    let piece = piece?;
                    bytes += piece.len();
                    sum += piece.iter().map(|byte| u64::from(*byte)).sum::<u64>();
                }
                Ok::<_, seawall_http::Error>(format!("{bytes} {sum}"))
            })
            .get("/away", async |c: Context| c.redirect(302, "/files/small.txt"))
            .get("/events", async || {
                Sse::new(async |events| {
                    for number in 0..3 {
                        events
                            .send(Event::data(format!("line one\nline {number}")).id(number.to_string()))
                            .await?;
                    }
                    Ok(())
                })
            });
        let config =
            seawall_http::ServerConfig { body_limit: 8 << 20, ..seawall_http::ServerConfig::default() };
        Self { folder, server: Live::with(app, config), large }
    }

    /// `curl --silent` with these arguments and the URL of `path`.
    #[track_caller]
    fn curl(&self, path: &str, arguments: &[&str]) -> String {
        let url = self.server.url(path);
        let common = ["--silent", "--show-error", "--max-time", "30", &url];
        crate::run("curl", &[&common, arguments].concat())
    }
    fn out(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

/// A file that has been at rest for a minute.
#[expect(clippy::disallowed_methods, reason = "a file's age is counted from now")]
fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    let file = fs::File::options().append(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
}

const STATUS: [&str; 2] = ["--write-out", "%{http_code} %{size_download}"];

#[test]
fn a_file_arrives_whole() {
    let files = Files::new();
    let out = files.out("whole");
    assert_eq!(files.curl("/files/large.bin", &["--output", &out, STATUS[0], STATUS[1]]), "200 3000000");
    assert!(fs::read(out).unwrap() == files.large);
}

#[test]
fn ranges_arrive() {
    let files = Files::new();
    assert_eq!(files.curl("/files/small.txt", &["--range", "2-4"]), "234");
    assert_eq!(files.curl("/files/small.txt", &["--range", "-2"]), "89");
    let parts = files.curl("/files/small.txt", &["--range", "0-1,8-"]);
    assert!(
        parts.contains("bytes 0-1/10\r\n\r\n01\r\n--") && parts.contains("bytes 8-9/10\r\n\r\n89\r\n--"),
        "{parts}"
    );
    let out = files.out("range");
    assert_eq!(
        files.curl("/files/large.bin", &["--range", "10-2000009", "--output", &out, STATUS[0], STATUS[1]]),
        "206 2000000"
    );
    assert!(fs::read(out).unwrap() == files.large[10..2_000_010]);
    assert_eq!(
        files.curl(
            "/files/small.txt",
            &["--range", "10-", "--output", "/dev/null", "--write-out", "%{http_code}"]
        ),
        "416"
    );
}

#[test]
fn a_broken_download_is_resumed() {
    let files = Files::new();
    let out = files.out("resumed");
    fs::write(&out, &files.large[..1_234_567]).unwrap();
    let status =
        files.curl("/files/large.bin", &["--continue-at", "-", "--output", &out, STATUS[0], STATUS[1]]);
    assert_eq!(status, format!("206 {}", LARGE - 1_234_567));
    assert!(fs::read(out).unwrap() == files.large);
}

#[test]
fn what_curl_has_it_does_not_get_again() {
    let files = Files::new();
    let (out, tag) = (files.out("kept"), files.out("tag"));
    let ask = |with: &[&str]| {
        files.curl("/files/large.bin", &[&["--output", &out, STATUS[0], STATUS[1]], with].concat())
    };
    assert_eq!(ask(&["--etag-save", &tag, "--remote-time"]), "200 3000000");
    assert_eq!(ask(&["--etag-compare", &tag]), "304 0");
    assert_eq!(ask(&["--time-cond", &out]), "304 0");
    assert_eq!(ask(&["--time-cond", "Thu, 01 Jan 1970 00:00:00 GMT"]), "200 3000000");
    assert_eq!(ask(&["--time-cond", "-Thu, 01 Jan 1970 00:00:00 GMT"]).split(' ').next(), Some("412"));
    write(&files.folder.path().join("large.bin"), &files.large[1..]);
    assert_eq!(ask(&["--etag-compare", &tag]), "200 2999999");
}

#[test]
fn head_has_the_length_and_no_body() {
    let files = Files::new();
    let head = files.curl("/files/large.bin", &["--head"]);
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("\r\ncontent-length: 3000000\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\naccept-ranges: bytes\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn an_attachment_is_saved_under_its_name() {
    let files = Files::new();
    let folder = files.out("downloads");
    fs::create_dir(&folder).unwrap();
    files.curl("/save/small.txt", &["--remote-name", "--remote-header-name", "--output-dir", &folder]);
    // curl reads `filename`, the plain form, and not `filename*`.
    assert_eq!(fs::read_to_string(Path::new(&folder).join("gr__e.txt")).unwrap(), "0123456789");
}

#[test]
fn http2_with_prior_knowledge_gets_the_same() {
    let files = Files::new();
    let out = files.out("h2");
    let status = ["--write-out", "%{http_version} %{http_code} %{size_download}"];
    let whole =
        files.curl("/files/large.bin", &["--http2-prior-knowledge", "--output", &out, status[0], status[1]]);
    assert_eq!(whole, "2 200 3000000");
    assert!(fs::read(&out).unwrap() == files.large);
    let ranges = ["--http2-prior-knowledge", "--range", "5-6"];
    assert_eq!(files.curl("/files/small.txt", &ranges), "56");
    let events = files.curl("/events", &["--http2-prior-knowledge", "--no-buffer"]);
    assert_eq!(events.matches("data: line one\n").count(), 3);
}

#[test]
fn uploads_arrive_with_a_length_and_without_one() {
    let files = Files::new();
    let (path, sum) = (files.out("large.bin"), files.large.iter().map(|byte| u64::from(*byte)).sum::<u64>());
    let expected = format!("{LARGE} {sum}");
    assert_eq!(files.curl("/upload", &["--data-binary", &format!("@{path}")]), expected);
    let chunked = ["--request", "POST", "--upload-file", &path, "--header", "transfer-encoding: chunked"];
    assert_eq!(files.curl("/upload", &chunked), expected);
    let with_permission = ["--data-binary", &format!("@{path}"), "--header", "expect: 100-continue"];
    assert_eq!(files.curl("/upload", &with_permission), expected);
    assert_eq!(
        files.curl("/upload", &["--http2-prior-knowledge", "--data-binary", &format!("@{path}")]),
        expected
    );
}

#[cfg(feature = "multipart")]
#[test]
fn a_form_arrives_with_its_file() {
    use seawall_http::Multipart;
    let parts = async |mut parts: Multipart| {
        let mut lines = Vec::new();
        while let Some(mut part) = parts.next_part().await? {
            let (name, file) = (part.name().to_owned(), part.file_name().unwrap_or_default().to_owned());
            let mut size = 0;
            while let Some(chunk) = part.chunk().await? {
                size += chunk.len();
            }
            lines.push(format!("{name} {file} {size}"));
        }
        Ok::<_, seawall_http::Error>(lines.join("\n"))
    };
    let config = seawall_http::ServerConfig { body_limit: 8 << 20, ..seawall_http::ServerConfig::default() };
    let (files, server) = (Files::new(), Live::with(App::new().post("/", parts), config));
    let upload = format!("file=@{};filename=größe.bin", files.out("large.bin"));
    let url = server.url("/");
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let arguments =
            ["--silent", "--show-error", version, "--form", "title=two words", "--form", &upload, &url];
        assert_eq!(crate::run("curl", &arguments), "title  9\nfile größe.bin 3000000");
    }
}

#[test]
fn a_redirect_is_followed() {
    let files = Files::new();
    assert_eq!(files.curl("/away", &["--location"]), "0123456789");
}

#[test]
fn events_arrive_as_they_are() {
    let files = Files::new();
    let events = files.curl("/events", &["--no-buffer", "--header", "accept: text/event-stream"]);
    let expected: String = (0..3).map(|n| format!("id: {n}\ndata: line one\ndata: line {n}\n\n")).collect();
    assert_eq!(events, expected);
}

#[test]
fn a_plain_request_is_told_to_upgrade() {
    #[cfg(feature = "websocket")]
    {
        use seawall_http::websocket::WebSocketUpgrade;
        let app = App::new().get("/", async |ws: WebSocketUpgrade| ws.on_upgrade(async |_| Ok(())));
        let server = Live::start(app);
        let ask = |version| {
            let url = server.url("/");
            crate::run(
                "curl",
                &["--silent", version, "--output", "/dev/null", "--write-out", "%{http_code}", &url],
            )
        };
        assert_eq!(ask("--http1.1"), "426");
        assert_eq!(ask("--http2-prior-knowledge"), "400");
    }
}
