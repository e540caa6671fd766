//! Compressed answers and requests, read and written by the coders themselves.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use proptest::prelude::*;
use seawall_http::middleware::{BodyLimit, Compress, CompressConfig, Decompress, DecompressConfig};
use seawall_http::testing::{TestClient, TestResponse};
use seawall_http::{App, Event, Response, Result, Sse};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::block_on;

fn compress(config: CompressConfig) -> App {
    App::new().with(Compress::new(&config).unwrap())
}

fn text(length: usize) -> String {
    "the quick brown fox ".chars().cycle().take(length).collect()
}

fn ask(app: App, method: &str, accept: &str) -> TestResponse {
    let client = TestClient::new(app).unwrap();
    let request = client.request(method.parse().unwrap(), "/").header("accept-encoding", accept);
    block_on(async { request.await })
}

fn decode(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    match coding {
        "gzip" => flate2::read::GzDecoder::new(bytes).read_to_end(&mut decoded).map(|_| ()),
        "br" => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut decoded).map(|_| ()),
        "zstd" => zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut decoded).map(|_| ()),
        "" => std::io::Write::write_all(&mut decoded, bytes),
        other => panic!("nobody asked for {other}"),
    }
    .unwrap();
    decoded
}

fn encode(coding: &str, bytes: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "deflate" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "br" => {
            let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 20);
            encoder.write_all(bytes).unwrap();
            encoder.into_inner()
        }
        _ => zstd::stream::encode_all(bytes, 3).unwrap(),
    }
}

/// Checks that a text of this length arrives, and how it is coded.
#[track_caller]
fn check(length: usize, accept: &str, coding: &str) {
    let answer =
        ask(compress(CompressConfig::default()).get("/", move || async move { text(length) }), "GET", accept);
    assert_eq!((answer.status().as_u16(), answer.header("content-encoding")), (200, coding));
    assert_eq!(decode(coding, answer.bytes()), text(length).as_bytes());
}

#[test]
fn a_text_arrives_in_each_coding() {
    check(5_000, "gzip", "gzip");
    check(5_000, "br", "br");
    check(5_000, "zstd", "zstd");
    check(5_000, "gzip, deflate, br, zstd", "zstd");
}
#[test]
fn a_long_text_arrives_in_each_coding() {
    check(1_000_000, "gzip", "gzip");
    check(1_000_000, "br", "br");
    check(1_000_000, "zstd", "zstd");
}
#[test]
fn who_does_not_ask_gets_the_text_as_it_is() {
    check(5_000, "", "");
    check(5_000, "gzip;q=0", "");
}
#[test]
fn a_short_text_stays_as_it_is() {
    check(1_023, "gzip", "");
    check(1_024, "gzip", "gzip");
}

#[test]
fn caches_are_told_what_the_answer_depends_on() {
    let app = || compress(CompressConfig::default()).get("/", async || text(5_000));
    assert_eq!(ask(app(), "GET", "gzip").header("vary"), "Accept-Encoding");
    assert_eq!(ask(app(), "GET", "").header("vary"), "Accept-Encoding");
}

/// Checks that an answer is sent as it is although the client accepts gzip.
#[track_caller]
fn check_left(change: fn(Response) -> Response) {
    let answer = move || async move {
        let whole = Response::new(StatusCode::OK, text(5_000));
        change(whole.header(header::CONTENT_TYPE, HeaderValue::from_static("text/plain")))
    };
    let answer = ask(compress(CompressConfig::default()).get("/", answer), "GET", "gzip");
    assert_ne!(answer.header("content-encoding"), "gzip");
    assert_eq!(answer.bytes().len(), 5_000);
}

#[test]
fn what_must_not_be_compressed_is_left_alone() {
    check_left(|answer| answer.header(header::CONTENT_TYPE, HeaderValue::from_static("image/png")));
    check_left(|answer| answer.header(header::CONTENT_ENCODING, HeaderValue::from_static("br")));
    check_left(|answer| {
        answer.header(header::CACHE_CONTROL, HeaderValue::from_static("public, No-Transform"))
    });
    check_left(|answer| answer.header(header::CONTENT_RANGE, HeaderValue::from_static("bytes 0-9/10")));
    check_left(|mut answer| {
        answer.set_status(StatusCode::PARTIAL_CONTENT);
        answer
    });
    check_left(|mut answer| {
        answer.headers_mut().remove(header::CONTENT_TYPE);
        answer
    });
}

#[test]
fn events_do_not_wait_for_a_window() {
    let events = async || Sse::new(async |events| events.send(Event::data(text(5_000))).await);
    let answer = ask(compress(CompressConfig::default()).get("/", events), "GET", "gzip");
    assert_eq!(answer.header("content-encoding"), "");
    assert!(answer.text().contains("fox"));
}

#[test]
fn random_bytes_that_would_grow_stay_as_they_are() {
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(4_096)
    .collect();
    let sent = Bytes::from(noise.clone());
    let answer = move || {
        let answer = Response::new(StatusCode::OK, sent.clone());
        let answer = answer.header(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        async move { answer }
    };
    let answer = ask(compress(CompressConfig::default()).get("/", answer), "GET", "gzip");
    assert_eq!((answer.header("content-encoding"), &answer.bytes()[..]), ("", &noise[..]));
}

#[test]
fn a_strong_tag_becomes_weak_and_ranges_go() {
    let tagged = async || {
        let answer = Response::new(StatusCode::OK, text(5_000));
        let answer = answer.header(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        let answer = answer.header(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        answer.header(header::ETAG, HeaderValue::from_static("\"a\""))
    };
    let answer = ask(compress(CompressConfig::default()).get("/", tagged), "GET", "gzip");
    assert_eq!((answer.header("etag"), answer.header("accept-ranges")), ("W/\"a\"", ""));
}

#[test]
fn head_has_the_headers_of_get_and_no_wrong_length() {
    let app = || compress(CompressConfig::default()).get("/", async || text(5_000));
    let (head, get) = (ask(app(), "HEAD", "gzip"), ask(app(), "GET", "gzip"));
    for name in ["content-encoding", "content-type", "vary"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
    assert_eq!((head.header("content-length"), head.bytes().len()), ("", 0));
}

#[test]
fn a_failure_is_not_compressed() {
    let app = compress(CompressConfig { min_length: 0, ..Default::default() });
    let answer = ask(app, "GET", "gzip");
    assert_eq!((answer.status().as_u16(), answer.header("content-encoding")), (404, ""));
}

#[test]
fn a_stream_is_flushed_whenever_its_producer_waits() {
    let stream = async || {
        Response::stream(StatusCode::OK, HeaderValue::from_static("text/plain"), async |mut out| {
            out.write("first").await?;
            std::future::pending::<()>().await;
            Ok(())
        })
    };
    for coding in ["gzip", "br", "zstd"] {
        let app = compress(CompressConfig::default()).get("/", stream);
        let piece = block_on(async {
            tokio::select! {
                piece = first_chunk(app, coding) => piece,
                () = tokio::time::sleep(LIMIT) => panic!("{coding} was not flushed"),
            }
        });
        let mut decoded = [0; 5];
        let reader: Box<dyn std::io::Read> = match coding {
            "gzip" => Box::new(flate2::read::GzDecoder::new(&piece[..])),
            "br" => Box::new(brotli::Decompressor::new(&piece[..], 4096)),
            _ => Box::new(zstd::stream::read::Decoder::new(&piece[..]).unwrap()),
        };
        { reader }.read_exact(&mut decoded).unwrap();
        assert_eq!(&decoded, b"first", "{coding}");
    }
}

/// Longer than anything here should take on a busy machine; only a hang waits for it.
const LIMIT: Duration = Duration::from_secs(20);

/// Serves `app` on a socket, and reads the first chunk of its answer.
async fn first_chunk(app: App, coding: &str) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let serve = app.serve_until(listener, std::future::pending());
    let read = async {
        let request = format!("GET / HTTP/1.1\r\nhost: a\r\naccept-encoding: {coding}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            lines.read_line(&mut line).await.unwrap();
        }
        line.clear();
        lines.read_line(&mut line).await.unwrap();
        let mut chunk = vec![0; usize::from_str_radix(line.trim(), 16).unwrap()];
        lines.read_exact(&mut chunk).await.unwrap();
        chunk
    };
    tokio::select! {
        chunk = read => chunk,
        ended = serve => panic!("the server ended: {ended:?}"),
    }
}

#[test]
fn a_stream_that_fails_breaks_off() {
    let stream = async || {
        Response::stream(StatusCode::OK, HeaderValue::from_static("text/plain"), async |mut out| {
            out.write("first").await?;
            Err(seawall_http::Error::internal("the disk is gone"))
        })
    };
    let answer = ask(compress(CompressConfig::default()).get("/", stream), "GET", "gzip");
    assert!(answer.broken().is_some());
}

fn decompress(config: DecompressConfig) -> App {
    App::new().with(Decompress::new(&config).unwrap()).post("/", async |body: Bytes| body)
}

fn post(app: App, coding: &str, chunks: Vec<Bytes>) -> TestResponse {
    let client = TestClient::new(app).unwrap();
    block_on(async { client.post("/").header("content-encoding", coding).chunks(chunks).await })
}

const CODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

#[test]
fn a_compressed_request_is_read_as_it_was() {
    for coding in CODINGS {
        let sent = encode(coding, text(100_000).as_bytes());
        let answer = post(decompress(DecompressConfig::default()), coding, vec![sent.into()]);
        assert_eq!((answer.status().as_u16(), answer.text()), (200, &*text(100_000)), "{coding}");
    }
}

#[test]
fn a_request_without_a_body_has_none() {
    for coding in CODINGS {
        let answer = post(decompress(DecompressConfig::default()), coding, vec![]);
        assert_eq!((answer.status().as_u16(), answer.text()), (200, ""), "{coding}");
    }
}

#[test]
fn a_plain_request_stays_as_it_is() {
    let answer = post(decompress(DecompressConfig::default()), "identity", vec![Bytes::from("plain")]);
    assert_eq!(answer.text(), "plain");
}

#[test]
fn a_bomb_ends_at_the_first_limit() {
    // 16 MiB of zeros; brotli and zstd make some dozen bytes of it.
    let zeros = vec![0; 16 << 20];
    for coding in CODINGS {
        let bomb = Bytes::from(encode(coding, &zeros));
        let limits = || DecompressConfig { max_bytes: 1 << 30, max_ratio: u64::MAX };
        let by_body_limit = post(decompress(limits()), coding, vec![bomb.clone()]);
        assert_eq!(by_body_limit.status(), 413, "{coding}");
        let wide = |config| decompress(config).with(BodyLimit::new(1 << 30));
        let by_size =
            post(wide(DecompressConfig { max_bytes: 1 << 20, ..limits() }), coding, vec![bomb.clone()]);
        assert_eq!(
            by_size.text(),
            r#"{"message":"the body is larger than 1048576 bytes once decoded"}"#,
            "{coding}"
        );
        let by_ratio = post(wide(DecompressConfig { max_ratio: 200, ..limits() }), coding, vec![bomb]);
        assert_eq!(
            by_ratio.text(),
            r#"{"message":"the body grows more than 200 times when it is decoded"}"#,
            "{coding}"
        );
    }
}

#[test]
fn an_unknown_coding_is_refused_with_those_that_are_known() {
    for coding in ["compress", "gzip, br", "aes128gcm"] {
        let answer = post(decompress(DecompressConfig::default()), coding, vec![Bytes::from("x")]);
        assert_eq!(
            (answer.status().as_u16(), answer.header("accept-encoding")),
            (415, "zstd, br, gzip, deflate"),
            "{coding}"
        );
    }
}

#[test]
fn what_is_not_coded_as_it_says_is_a_400() {
    for coding in CODINGS {
        let garbage = post(
            decompress(DecompressConfig::default()),
            coding,
            vec![Bytes::from("\u{7}no such stream, sorry")],
        );
        assert_eq!(garbage.status(), 400, "{coding}");
        let whole = encode(coding, text(100_000).as_bytes());
        let cut = post(
            decompress(DecompressConfig::default()),
            coding,
            vec![Bytes::from(whole[..whole.len() - 9].to_vec())],
        );
        assert_eq!(cut.status(), 400, "{coding}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_body_survives_any_chunks(body in proptest::collection::vec(any::<u8>(), 0..5_000), size in 1_usize..600) {
        for coding in CODINGS {
            let sent = encode(coding, &body);
            let chunks = sent.chunks(size).map(Bytes::copy_from_slice).collect();
            let answer = post(decompress(DecompressConfig::default()), coding, chunks);
            prop_assert_eq!((answer.status().as_u16(), &answer.bytes()[..]), (200, &body[..]), "{}", coding);
        }
    }
    #[test]
    fn any_bytes_are_decoded_or_refused(body in proptest::collection::vec(any::<u8>(), 1..300)) {
        for coding in CODINGS {
            let answer = post(decompress(DecompressConfig::default()), coding, vec![body.clone().into()]);
            prop_assert!([200, 400, 413].contains(&answer.status().as_u16()), "{}", answer.status());
        }
    }
}

#[test]
fn what_was_compressed_here_is_decompressed_here() -> Result<()> {
    let app = compress(CompressConfig::default()).post("/", async |body: String| body);
    let client = TestClient::new(app.with(Decompress::new(&DecompressConfig::default())?))?;
    let sent = encode("zstd", text(50_000).as_bytes());
    let request = client.post("/").header("content-encoding", "zstd").header("accept-encoding", "br");
    let answer = block_on(async { request.body(sent).await });
    assert_eq!(decode("br", answer.bytes()), text(50_000).as_bytes());
    Ok(())
}
