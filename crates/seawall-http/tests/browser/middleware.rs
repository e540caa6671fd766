//! What browsers make of middleware: CORS, CSRF, compression, static files. The server counts what reaches it, so that
//! a test knows that the browser was refused and not that it never asked.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use seawall_http::middleware::{
    Coding, Compress, CompressConfig, Cors, CorsConfig, Csrf, CsrfConfig, Decompress, DecompressConfig,
};
use seawall_http::static_files::{Static, StaticConfig};
use seawall_http::{App, Context, Error, Group, Response, Result, ServerConfig, before};
use serde_json::json;
use tempfile::TempDir;

use crate::chromium::Chromium;
use crate::live::Live;

/// How often something happened.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn up(&self) {
        self.0.fetch_add(1, SeqCst);
    }
    fn read(&self) -> usize {
        self.0.load(SeqCst)
    }
}

fn page() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/page"))
}

/// The page at `/static/`, beside the rest of `app`.
fn serve(app: App, root: &Path) -> Live {
    let config = StaticConfig {
        root: root.to_owned(),
        spa: "index.html".to_owned(),
        precompressed: true,
        cache_control: "no-cache".to_owned(),
        ..StaticConfig::default()
    };
    let app = app.get("/static/*", Static::new(&config).unwrap());
    Live::with(app, ServerConfig { workers: Some(2), ..ServerConfig::default() })
}

/// Runs one part of the page's script.
fn show(server: &Live, part: &str) -> Chromium {
    Chromium::open(&server.url(&format!("/static/index.html?part={part}")))
}

#[track_caller]
fn check(server: &Live, part: &str, expected: &serde_json::Value) {
    let browser = show(server, part);
    assert_eq!(&browser.report(), expected);
    assert_eq!(browser.console(), Vec::<String>::new());
}

/// A group that pages at `http://127.0.0.1` may read, whatever their port, or nobody.
fn api(open: bool, handled: &Count) -> Group {
    let config = CorsConfig {
        expose_headers: vec!["x-total".to_owned()],
        allow_credentials: true,
        ..CorsConfig::default()
    };
    let cors =
        Cors::allow_origin_if(&config, move |_, origin| open && origin.starts_with("http://127.0.0.1:"));
    let handled = handled.clone();
    let change = move |text: String| {
        handled.up();
        async move {
            let total = (HeaderName::from_static("x-total"), HeaderValue::from(text.len()));
            Response::new(http::StatusCode::OK, text).header(total.0, total.1)
        }
    };
    Group::new()
        .with(cors.unwrap())
        .get("/read", async || "read")
        .put("/change", change)
        .get("/fails", async || Err::<&str, _>(Error::conflict("taken")))
}

#[test]
fn a_page_of_an_allowed_origin_reads_answers_and_failures() {
    let handled = Count::default();
    let server = serve(App::new().mount("/open", api(true, &handled)), page());
    let browser = show(&server, "cors");
    let expected = json!({
        "read": "read",
        "change": ["boots", "5"],
        "credentials": "read",
        "fails": 409,
        "missing": 404,
        "method": 405,
        "unlisted": "not even asked",
    });
    assert_eq!(browser.report(), expected, "{:#?}", browser.console());
    assert_eq!(handled.read(), 1);
}

#[test]
fn a_page_of_another_origin_reads_nothing_and_changes_nothing() {
    let (handled, asked) = (Count::default(), Count::default());
    let counted = asked.clone();
    let count = before(move |c| {
        if c.path().starts_with("/closed/") {
            counted.up();
        }
        Ok(None)
    });
    let server = serve(App::new().with(count).mount("/closed", api(false, &handled)), page());
    let browser = show(&server, "closed");
    assert_eq!(browser.report(), json!({ "read": "refused", "change": "refused" }));
    let refused = browser.console().iter().filter(|line| line.contains("CORS policy")).count();
    assert_eq!((refused, asked.read(), handled.read()), (2, 2, 0));
}

#[test]
fn a_form_of_another_site_is_refused_and_our_own_is_not() {
    let (asked, handled) = (Count::default(), Count::default());
    let (counted, done) = (asked.clone(), handled.clone());
    let count = before(move |c| {
        if c.path() == "/pay" {
            counted.up();
        }
        Ok(None)
    });
    let pay = move || {
        done.up();
        async { "paid" }
    };
    let csrf = Csrf::new(&CsrfConfig::default()).unwrap();
    let server = serve(App::new().with(count).with(csrf).post("/pay", pay), page());
    // Its own script and form; then a script and a form that go to the same server under another name, as those of a
    // stranger's page would.
    let browser = show(&server, "csrf");
    assert_eq!(
        browser.report(),
        json!({ "own": "paid", "form": "paid", "stranger": "sent", "strangers_form": "sent" })
    );
    assert_eq!((asked.read(), handled.read()), (4, 2));
}

fn text() -> String {
    (0..20_000).map(|number| format!("line {number}\n")).collect()
}

#[test]
fn a_browser_reads_what_is_compressed_and_compresses_itself() {
    let compressed = |coding| {
        let config = CompressConfig { codings: vec![coding], ..CompressConfig::default() };
        let streamed = async |c: Context| {
            c.stream(200, "text/plain", |mut body| async move {
                for number in 0..20_000 {
                    body.write(Bytes::from(format!("line {number}\n"))).await?;
                }
                Ok(())
            })
        };
        Group::new()
            .with(Compress::new(&config).unwrap())
            .get("/whole", async || text())
            .get("/stream", streamed)
            .get("/short", async || "short")
    };
    let decompress = Decompress::new(&DecompressConfig::default()).unwrap();
    let upload = Group::new().with(decompress).post("", async |text: String| text.len().to_string());
    let app = App::new()
        .mount("/gzip", compressed(Coding::Gzip))
        .mount("/br", compressed(Coding::Br))
        .mount("/zstd", compressed(Coding::Zstd))
        .mount("/upload", upload);
    let length = text().len();
    let of = |coding: &str| json!({ "whole": [coding, length, true], "stream": [coding, length, true], "short": [null, 5, false] });
    check(
        &serve(app, page()),
        "compression",
        &json!({ "gzip": of("gzip"), "br": of("br"), "zstd": of("zstd"), "upload": length.to_string() }),
    );
}

/// The page's files, one that was compressed before, and a secret beside them.
fn site() -> Result<TempDir, std::io::Error> {
    let outer = tempfile::tempdir()?;
    fs::write(outer.path().join("secret.txt"), "SECRET")?;
    let root = outer.path().join("site");
    fs::create_dir(&root)?;
    for name in ["index.html", "script.js", "style.css"] {
        fs::copy(page().join(name), root.join(name))?;
    }
    fs::write(root.join("notes.txt"), "0123456789")?;
    let mut br = fs::File::create(root.join("notes.txt.br"))?;
    brotli::BrotliCompress(&mut &b"as brotli"[..], &mut br, &brotli::enc::BrotliEncoderParams::default())?;
    Ok(outer)
}

#[test]
fn a_browser_shows_a_site_of_static_files() {
    let (site, revalidated) = (site().unwrap(), Count::default());
    let counted = revalidated.clone();
    let count = seawall_http::after(move |_, answer| {
        if answer.as_ref().is_ok_and(|answer| answer.status() == 304) {
            counted.up();
        }
    });
    let server = serve(App::new().with(count), &site.path().join("site"));
    check(
        &server,
        "static",
        &json!({
            "color": "rgb(1, 2, 3)",
            "types": ["text/css; charset=utf-8", "text/javascript; charset=utf-8"],
            "again": [200, true],
            "range": [206, "bytes 2-4/10", "234"],
            "precompressed": ["br", "as brotli"],
            "route": [200, "text/html; charset=utf-8"],
            "missing": 404,
            "outside": [404, 404, 404],
        }),
    );
    assert!(revalidated.read() >= 1, "the second look at the style asked whether it has changed");
}
