//! Files of a folder and of the program: what is found, how it is sent, and that nothing leads out.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime};

use seawall_http::static_files::{Embedded, EmbeddedConfig, Static, StaticConfig};
use seawall_http::testing::{TestClient, TestResponse};
use seawall_http::{App, ServerConfig};
use tempfile::TempDir;

use crate::block_on;

/// A folder `public` with a few files, and a secret beside it.
fn site() -> TempDir {
    let outer = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = outer.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        rest(&path);
    };
    put("secret.txt", "SECRET");
    put("public-other/secret.txt", "SECRET");
    put("public/.env", "SECRET");
    put("public/.git/config", "SECRET");
    put("public/sub/.hidden", "SECRET");
    put("public/a.txt", "0123456789");
    put("public/a b.txt", "with a space");
    put("public/index.html", "<h1>home</h1>");
    put("public/app.css", "h1 { color: red }");
    put("public/app.css.br", "as brotli");
    put("public/app.css.gz", "as gzip");
    put("public/sub/b.txt", "in a folder");
    put("public/.well-known/security.txt", "Contact: us");
    outer
}

/// As if nobody had touched it for a minute, so that its tag is strong.
#[expect(clippy::disallowed_methods, reason = "a file's age is counted from now")]
fn rest(path: &Path) {
    let file = fs::File::options().append(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
}

fn config(site: &TempDir) -> StaticConfig {
    StaticConfig { root: site.path().join("public"), ..StaticConfig::default() }
}

fn client(config: &StaticConfig) -> TestClient {
    TestClient::new(App::new().get("/static/*", Static::new(config).unwrap())).unwrap()
}

fn get(client: &TestClient, target: &str, headers: &[(&str, &str)]) -> TestResponse {
    let request =
        headers.iter().fold(client.get(target), |request, (name, value)| request.header(name, value));
    block_on(async { request.await })
}

#[track_caller]
fn check(config: &StaticConfig, target: &str, status: u16, text: &str) {
    let answer = get(&client(config), target, &[]);
    assert_eq!((answer.status().as_u16(), answer.text()), (status, text), "{target}");
}

const NOT_FOUND: &str = r#"{"message":"Not Found"}"#;

#[test]
fn files_are_found_by_their_names() {
    let site = site();
    check(&config(&site), "/static/a.txt", 200, "0123456789");
    check(&config(&site), "/static/a%20b.txt", 200, "with a space");
    check(&config(&site), "/static/sub/b.txt", 200, "in a folder");
    check(&config(&site), "/static/nothing.txt", 404, NOT_FOUND);
    check(&config(&site), "/static/.well-known/security.txt", 200, "Contact: us");
}

#[test]
fn a_file_has_its_type_tag_and_date() {
    let site = site();
    let answer = get(&client(&config(&site)), "/static/app.css", &[]);
    assert_eq!(answer.header("content-type"), "text/css; charset=utf-8");
    assert!(answer.header("etag").starts_with('"') && !answer.header("last-modified").is_empty());
    let again = get(&client(&config(&site)), "/static/app.css", &[("if-none-match", answer.header("etag"))]);
    assert_eq!((again.status().as_u16(), again.text()), (304, ""));
}

#[test]
fn ranges_are_sent() {
    let site = site();
    let answer = get(&client(&config(&site)), "/static/a.txt", &[("range", "bytes=2-4")]);
    assert_eq!((answer.status().as_u16(), answer.text()), (206, "234"));
    assert_eq!(answer.header("content-range"), "bytes 2-4/10");
    assert_eq!(get(&client(&config(&site)), "/static/a.txt", &[("range", "bytes=90-")]).status(), 416);
}

#[test]
fn only_get_and_head_read_files() {
    let site = site();
    let app = App::new().any("/static/*", Static::new(&config(&site)).unwrap());
    let client = TestClient::new(app).unwrap();
    let head = block_on(async { client.head("/static/a.txt").await });
    assert_eq!((head.status().as_u16(), head.header("content-length"), head.text()), (200, "10", ""));
    let post = block_on(async { client.post("/static/a.txt").await });
    assert_eq!((post.status().as_u16(), post.header("allow")), (405, "GET, HEAD"));
}

#[test]
fn a_folder_is_its_index() {
    let site = site();
    check(&config(&site), "/static/", 200, "<h1>home</h1>");
    check(&StaticConfig { index: String::new(), ..config(&site) }, "/static/", 404, NOT_FOUND);
    check(&config(&site), "/static/sub/", 404, NOT_FOUND);
}

#[test]
fn a_folder_without_its_slash_is_redirected_on_this_host() {
    let site = site();
    let answer = get(&client(&config(&site)), "/static/sub?a=b", &[]);
    assert_eq!((answer.status().as_u16(), answer.header("location")), (308, "/static/sub/?a=b"));
    let app = App::new().fallback(Static::new(&config(&site)).unwrap());
    let answer = get(&TestClient::new(app).unwrap(), "//sub", &[]);
    assert_eq!(answer.status(), 404);
}

#[test]
fn a_listing_shows_names_as_text() {
    let site = site();
    fs::write(site.path().join("public/sub/<img src=x onerror=alert(1)>"), "").unwrap();
    let config = StaticConfig { listing: true, ..config(&site) };
    let answer = get(&client(&config), "/static/sub/", &[]);
    assert_eq!((answer.status().as_u16(), answer.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(answer.text().contains("&lt;img src=x onerror=alert(1)&gt;") && !answer.text().contains("<img"));
    assert!(answer.text().contains("href=\"./b.txt\"") && !answer.text().contains("hidden"));
    assert_eq!(answer.header("content-security-policy"), "default-src 'none'");
}

#[test]
fn a_page_that_routes_by_itself_is_answered_for_every_page() {
    let site = site();
    let config = StaticConfig { spa: "index.html".to_owned(), ..config(&site) };
    check(&config, "/static/users/7", 200, "<h1>home</h1>");
    check(&config, "/static/app.js", 404, NOT_FOUND);
    check(&config, "/static/..%2fsecret", 404, NOT_FOUND);
}

#[test]
fn the_whole_site_may_stand_behind_the_routes() {
    let site = site();
    let app = App::new().get("/api", async || "api").fallback(Static::new(&config(&site)).unwrap());
    let client = TestClient::new(app).unwrap();
    for (target, text) in [("/api", "api"), ("/", "<h1>home</h1>"), ("/sub/b.txt", "in a folder")] {
        assert_eq!(get(&client, target, &[]).text(), text);
    }
    assert_eq!(block_on(async { client.post("/api").await }).status(), 405);
}

#[test]
fn what_was_compressed_before_is_sent_to_who_accepts_it() {
    let site = site();
    let config = StaticConfig { precompressed: true, ..config(&site) };
    let ask = |accept: &str| get(&client(&config), "/static/app.css", &[("accept-encoding", accept)]);
    let br = ask("gzip, br");
    assert_eq!((br.text(), br.header("content-encoding")), ("as brotli", "br"));
    assert_eq!(
        (br.header("content-type"), br.header("vary")),
        ("text/css; charset=utf-8", "Accept-Encoding")
    );
    assert!(br.header("etag").ends_with("-br\""));
    let gzip = ask("gzip, br;q=0.5");
    assert_eq!((gzip.text(), gzip.header("content-encoding")), ("as gzip", "gzip"));
    let zstd_is_not_there = ask("zstd, gzip;q=0.1");
    assert_eq!(zstd_is_not_there.header("content-encoding"), "gzip");
    let plain = ask("");
    assert_eq!((plain.text(), plain.header("content-encoding")), ("h1 { color: red }", ""));
    assert_eq!(plain.header("vary"), "Accept-Encoding");
}

#[test]
fn the_answer_may_be_kept() {
    let site = site();
    let config = StaticConfig { cache_control: "public, max-age=60".to_owned(), ..config(&site) };
    assert_eq!(get(&client(&config), "/static/a.txt", &[]).header("cache-control"), "public, max-age=60");
}

#[test]
fn what_cannot_work_is_refused_at_start() {
    let site = site();
    let refused = |config: StaticConfig| Static::new(&config).unwrap_err().field().to_owned();
    assert_eq!(refused(StaticConfig { root: site.path().join("nowhere"), ..config(&site) }), "static.root");
    assert_eq!(
        refused(StaticConfig { root: site.path().join("secret.txt"), ..config(&site) }),
        "static.root"
    );
    assert_eq!(refused(StaticConfig { index: "../secret.txt".to_owned(), ..config(&site) }), "static.index");
    assert_eq!(refused(StaticConfig { spa: "../secret.txt".to_owned(), ..config(&site) }), "static.spa");
    assert_eq!(
        refused(StaticConfig { cache_control: "\n".to_owned(), ..config(&site) }),
        "static.cache_control"
    );
}

/// Every line of the corpus over a real socket, as a client may write it that cares for no standard.
#[test]
fn no_path_of_the_corpus_leads_out() {
    let site = site();
    let public = site.path().join("public");
    symlink(site.path(), public.join("out")).unwrap();
    symlink(site.path().join("secret.txt"), public.join("absolute.txt")).unwrap();
    symlink("../secret.txt", public.join("relative.txt")).unwrap();
    symlink("relative.txt", public.join("chain.txt")).unwrap();
    symlink("loop", public.join("loop")).unwrap();
    symlink("../..", public.join("sub/up")).unwrap();
    symlink("a.txt", public.join("inside.txt")).unwrap();
    assert!(Command::new("mkfifo").arg(public.join("pipe")).status().unwrap().success());
    for listing in [false, true] {
        let config = StaticConfig { index: String::new(), listing, precompressed: true, ..config(&site) };
        let app = App::new().get("/static/*", Static::new(&config).unwrap());
        let config = ServerConfig { workers: Some(1), ..ServerConfig::default() };
        let server = app.config(config).bind("127.0.0.1:0").unwrap();
        let (addr, handle) = (server.local_addr(), server.handle());
        let running = thread::spawn(move || server.run());
        let ask = |target: &str| {
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            String::from_utf8_lossy(&answer).into_owned()
        };
        // What is inside is there, through a link that stays inside, too; else the rest would prove nothing.
        assert!(
            ask("/static/a.txt").ends_with("0123456789") && ask("/static/inside.txt").ends_with("0123456789")
        );
        for target in include_str!("traversal.txt").lines() {
            let answer = ask(target);
            let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
            let is_root = target.split('?').next() == Some("/static/");
            assert!(["400", "404", "414"].contains(&&*status) || listing && is_root, "{target}: {answer}");
            assert!(!answer.contains("SECRET") && !answer.contains("root:"), "{target}: {answer}");
        }
        handle.shutdown();
        running.join().unwrap().unwrap();
    }
}

fn embedded(config: &EmbeddedConfig) -> TestClient {
    let files = [
        ("index.html", "<h1>home</h1>".as_bytes()),
        ("css/app.css", b"h1 { color: red }"),
        ("docs/index.html", b"docs"),
    ];
    TestClient::new(App::new().fallback(Embedded::new(files, config).unwrap())).unwrap()
}

#[test]
fn files_of_the_program_are_sent_as_those_of_a_folder() {
    let client = embedded(&EmbeddedConfig::default());
    let css = get(&client, "/css/app.css", &[]);
    assert_eq!((css.text(), css.header("content-type")), ("h1 { color: red }", "text/css; charset=utf-8"));
    assert_eq!(get(&client, "/", &[]).text(), "<h1>home</h1>");
    assert_eq!(get(&client, "/css/app.css", &[("if-none-match", css.header("etag"))]).status(), 304);
    assert_eq!(get(&client, "/css/app.css", &[("range", "bytes=0-1")]).text(), "h1");
    assert_eq!(get(&client, "/nothing", &[]).status(), 404);
    assert_eq!(get(&client, "/docs", &[]).redirect(), Some("/docs/"));
    assert_eq!(get(&client, "/docs/", &[]).text(), "docs");
    assert_eq!(get(&client, "/css/../index.html", &[]).status(), 404);
}

#[test]
fn a_page_of_the_program_may_route_by_itself() {
    let client = embedded(&EmbeddedConfig { spa: "index.html".to_owned(), ..EmbeddedConfig::default() });
    assert_eq!(get(&client, "/users/7", &[]).text(), "<h1>home</h1>");
    assert_eq!(get(&client, "/users/7.js", &[]).status(), 404);
}

#[test]
fn names_that_nobody_could_ask_for_are_refused_at_start() {
    for name in ["/a", "a//b", "../a", "a/", ""] {
        let refused = Embedded::new([(name, b"x".as_slice())], &EmbeddedConfig::default());
        assert_eq!(refused.unwrap_err().field(), "embedded.files", "{name:?}");
    }
    let config = EmbeddedConfig { spa: "app.html".to_owned(), ..EmbeddedConfig::default() };
    assert_eq!(Embedded::new([("a", b"x".as_slice())], &config).unwrap_err().field(), "embedded.spa");
}
