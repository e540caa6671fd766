//! What the fuzzer calls: one function per parser, each with bytes that a client could send. A finding is a panic: of
//! ours, or of an assertion here.
//!
//! The files of `fuzz/corpus` go through the same functions in `corpus.rs`, as ordinary tests.

use std::cell::OnceCell;
use std::sync::OnceLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri};
use seawall_http::routing::RouteTable;
use seawall_http::{
    App, Bind, Body, ClientHeader, Context, Cookie, Error, Form, ProxyConfig, Query, Service, TrustedProxies,
};
use serde::Deserialize;
use tokio::runtime::{Builder, Runtime};

use crate::live::{LIMIT, Live};
use crate::wire::shown;

/// What one input goes through.
type Target = fn(&[u8]);

/// All targets, by their name: that of their folder in the corpus.
pub(crate) const TARGETS: [(&str, Target); 9] = [
    ("http1", http1),
    ("differential", differential),
    ("path", path),
    ("query", query),
    ("form", form),
    ("multipart", multipart),
    ("range", range),
    ("cookie", cookie),
    ("fields", fields),
];

/// A stream of requests to a server: it answers or closes, and its answers can be read.
pub(crate) fn http1(data: &[u8]) {
    use std::io::Write as _;
    static SERVER: OnceLock<Live> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        let read = async |c: Context| {
            let body = c.body().await?;
            c.text(200, body.len().to_string())
        };
        let stream = async |c: Context| c.stream(200, "text/plain", async |mut out| out.write("piece").await);
        Live::start(App::new().get("/stream", stream).post("/early", async || "early").fallback(read))
    });
    let mut stream = server.connect();
    stream.set_read_timeout(Some(LIMIT)).expect("it is open");
    let _ = stream.write_all(data);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let (answers, _) = crate::wire::read_all(&mut stream).unwrap_or_else(|problem| panic!("{problem}"));
    assert!(answers.is_empty() || answers.starts_with(b"HTTP/1.") || is_http2(data), "{}", shown(&answers));
}

fn is_http2(data: &[u8]) -> bool {
    data.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
}

/// The same, beside hyper.
pub(crate) fn differential(data: &[u8]) {
    if !is_http2(data) {
        crate::differential::compare_on_shared(data);
    }
}

/// Runs a request through a service. A panic of ours is a 500 by then, which no input may cause; a 504 it may, by leaving
/// no time.
fn ask(service: &Service, request: http::Request<Body>) {
    thread_local!(static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() });
    let shown_request = format!("{} {} {:?}", request.method(), request.uri(), request.headers());
    let answer = RUNTIME.with(|runtime| {
        let runtime =
            runtime.get_or_init(|| Builder::new_current_thread().enable_all().build().expect("a runtime"));
        runtime.block_on(service.handle(request))
    });
    assert_ne!(answer.status(), 500, "{shown_request}");
}

fn request(uri: Uri, fields: &[(&'static str, &[u8])], body: Body) -> Option<http::Request<Body>> {
    let mut request = http::Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    for (name, value) in fields {
        request.headers_mut().append(*name, HeaderValue::from_bytes(value).ok()?);
    }
    Some(request)
}

/// Cuts the body in two, as a connection may.
fn torn(data: &[u8]) -> Body {
    let Some((first, rest)) = data.split_first() else { return Body::whole(Bytes::new()) };
    let (begin, end) = rest.split_at(usize::from(*first).min(rest.len()));
    Body::chunks([Bytes::copy_from_slice(begin), Bytes::copy_from_slice(end)])
}

/// A path through a router of every kind of route, and the decoding of its parameters.
pub(crate) fn path(data: &[u8]) {
    static ROUTES: OnceLock<(RouteTable, Service)> = OnceLock::new();
    let (table, service) = ROUTES.get_or_init(|| {
        let patterns = [
            "/",
            "/a",
            "/a/:x",
            "/a/:n:int",
            "/a/:x/b",
            "/a/*",
            "/:y/b/:z",
            "/f/:name.txt",
            "/u/:id:uuid",
            "/r/:w{[a-c]+}",
            "/%41/é",
        ];
        let mut table = RouteTable::new();
        let known =
            patterns.into_iter().filter(|pattern| table.add(None, pattern).is_ok()).collect::<Vec<_>>();
        let show = async |c: Context| {
            let all: Vec<(String, String)> = c.params_as()?;
            c.text(200, format!("{all:?}"))
        };
        let app = known.iter().fold(App::new(), |app, pattern| app.any(pattern, show));
        (table, app.build().expect("the patterns were added before"))
    });
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(found) = table.find(&Method::GET, text) {
        for (name, value) in found.params() {
            assert!(!name.is_empty() && text.contains(value), "{name}={value:?} of {text:?}");
        }
    }
    if let Some(request) = text.parse().ok().and_then(|uri| request(uri, &[], Body::whole(Bytes::new()))) {
        ask(service, request);
    }
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only that it is filled matters")]
struct Everything {
    n: Option<i64>,
    f: Option<f64>,
    b: Option<bool>,
    text: Option<String>,
    #[serde(default)]
    many: Vec<String>,
}

pub(crate) fn query(data: &[u8]) {
    static SERVICE: OnceLock<Service> = OnceLock::new();
    let service = SERVICE.get_or_init(|| {
        let read = async |c: Context, Query(_): Query<Everything>| {
            let all: Vec<String> = c.query_all("many")?;
            let n: Option<u8> = c.query_param("n")?;
            c.text(200, format!("{all:?} {n:?}"))
        };
        App::new().any("/", read).build().expect("a good app")
    });
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(request) =
        format!("/?{text}").parse().ok().and_then(|uri| request(uri, &[], Body::whole(Bytes::new())))
    {
        ask(service, request);
    }
}

pub(crate) fn form(data: &[u8]) {
    static SERVICE: OnceLock<Service> = OnceLock::new();
    let service = SERVICE.get_or_init(|| {
        let bound = async |Bind(_): Bind<Everything>| "bound";
        App::new()
            .any("/", async |Form(_): Form<Everything>| "read")
            .any("/bind", bound)
            .build()
            .expect("a good app")
    });
    for target in ["/", "/bind"] {
        let kind: (&str, &[u8]) = ("content-type", b"application/x-www-form-urlencoded");
        ask(service, request(Uri::from_static(target), &[kind], torn(data)).expect("good fields"));
    }
}

pub(crate) fn multipart(data: &[u8]) {
    use seawall_http::Multipart;
    static SERVICE: OnceLock<Service> = OnceLock::new();
    let service = SERVICE.get_or_init(|| {
        let read = async |mut parts: Multipart| {
            let mut all = 0;
            while let Some(mut part) = parts.next_part().await? {
                all += part.name().len() + part.safe_file_name().unwrap_or_default().len();
                while let Some(chunk) = part.chunk().await? {
                    all += chunk.len();
                }
            }
            Ok::<_, Error>(all.to_string())
        };
        App::new()
            .any("/", read)
            .any("/bind", async |Bind(_): Bind<Everything>| "bound")
            .build()
            .expect("a good app")
    });
    for target in ["/", "/bind"] {
        let kind: (&str, &[u8]) = ("content-type", b"multipart/form-data; boundary=x");
        ask(service, request(Uri::from_static(target), &[kind], torn(data)).expect("good fields"));
    }
}

/// `Range` and what goes with it, on a file.
pub(crate) fn range(data: &[u8]) {
    static SERVICE: OnceLock<(tempfile::TempDir, Service)> = OnceLock::new();
    let (_, service) = SERVICE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("digits.txt");
        std::fs::write(&file, "0123456789".repeat(10)).expect("a file");
        let send = move |c: Context| {
            let file = file.clone();
            async move { c.file(file).await }
        };
        (folder, App::new().any("/", send).build().expect("a good app"))
    });
    let (range, condition) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len()));
    let condition = condition.strip_prefix(b"\n").unwrap_or_default();
    let names = ["if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];
    for name in names {
        if let Some(mut request) =
            request(Uri::from_static("/"), &[("range", range), (name, condition)], Body::whole(Bytes::new()))
        {
            *request.method_mut() = Method::GET;
            ask(service, request);
        }
    }
}

pub(crate) fn cookie(data: &[u8]) {
    static SERVICE: OnceLock<Service> = OnceLock::new();
    let service = SERVICE.get_or_init(|| {
        let read = async |c: Context, Cookie(_): Cookie<Everything>| {
            let all: usize = c.cookies().map(|(name, value)| name.len() + value.len()).sum();
            c.text(200, format!("{all} {:?}", c.cookie("a")))
        };
        App::new().any("/", read).build().expect("a good app")
    });
    let lines: Vec<(&str, &[u8])> =
        data.split(|byte| *byte == b'\n').take(4).map(|line| ("cookie", line)).collect();
    if let Some(request) = request(Uri::from_static("/"), &lines, Body::whole(Bytes::new())) {
        ask(service, request);
    }
}

/// Each line is the value of another field that something in the framework parses.
pub(crate) fn fields(data: &[u8]) {
    const NAMES: [&str; 9] = [
        "traceparent",
        "tracestate",
        "grpc-timeout",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "content-type",
        "host",
    ];
    static SERVICE: OnceLock<Service> = OnceLock::new();
    let service = SERVICE.get_or_init(|| {
        let read = async |c: Context| {
            let (trace, ip) = (c.trace().clone(), c.client_ip());
            let bound = c.bind::<Everything>().await.is_ok();
            c.text(200, format!("{trace:?} {ip:?} {:?} {} {:?} {bound}", c.host(), c.scheme(), c.subdomain()))
        };
        let config = ProxyConfig {
            trusted: vec!["loopback".to_owned(), "private".to_owned()],
            client: ClientHeader::Forwarded,
            forwarded_proto: true,
            forwarded_host: true,
        };
        let proxies = TrustedProxies::new(&config).expect("good proxies");
        App::new().any("/", read).trust_proxies(&proxies).accept_timeouts(LIMIT).build().expect("a good app")
    });
    let lines = data.split(|byte| *byte == b'\n');
    let mut headers = HeaderMap::new();
    for (name, line) in NAMES.into_iter().zip(lines) {
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        headers.append(name, value);
    }
    let mut request = http::Request::new(Body::whole("n=1"));
    (*request.method_mut(), *request.headers_mut()) = (Method::POST, headers);
    ask(service, request);
}
