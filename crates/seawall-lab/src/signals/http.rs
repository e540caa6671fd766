//! Fetches a small document over HTTP/1.1 from a service on this machine, and flattens JSON to named numbers.
//!
//! Enough for an admin listener: one GET, one answer of at most a mebibyte, one deadline for all of it. No TLS, no
//! redirects, no keep-alive.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clock;

/// An answer may be this long, head and body together.
const MAX_ANSWER: usize = 1 << 20;
/// JSON nested deeper than this is not followed.
const MAX_DEPTH: usize = 8;
/// The signals endpoint's path.
const SIGNALS: &str = "/debug/seawall/signals";

/// Why a document could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The connection failed or was too slow.
    #[error("cannot reach {at}: {source}")]
    Io {
        /// Which address.
        at: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The answer is not HTTP, or not complete.
    #[error("not an HTTP answer: {0}")]
    Malformed(&'static str),
    /// The answer has another status than 200.
    #[error("the answer has status {0}")]
    Status(u16),
    /// The body is not JSON.
    #[error("the body is not JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// GETs `path` and returns the body of a 200 answer.
///
/// # Errors
/// When the service cannot be reached within `timeout`, or answers with anything but a complete 200.
pub fn get(at: SocketAddr, path: &str, timeout: Duration) -> Result<Vec<u8>, FetchError> {
    request(at, &Request { path, bearer: None, max_bytes: MAX_ANSWER, timeout })
}

/// What to ask for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    /// Path and query.
    pub(crate) path: &'a str,
    /// A token for the `Authorization` field.
    pub(crate) bearer: Option<&'a str>,
    /// Longest answer, head and body together.
    pub(crate) max_bytes: usize,
    /// For all of it.
    pub(crate) timeout: Duration,
}

/// [`get`] with all that can be said.
pub(crate) fn request(at: SocketAddr, request: &Request<'_>) -> Result<Vec<u8>, FetchError> {
    let answer = exchange(at, request).map_err(|source| FetchError::Io { at, source })?;
    let (status, body) = parse(&answer)?;
    if status == 200 { Ok(body) } else { Err(FetchError::Status(status)) }
}

/// The numbers of the signals endpoint, named by their path in the document.
///
/// # Errors
/// See [`get`]; also when the body is not JSON.
pub fn signals(at: SocketAddr, timeout: Duration) -> Result<Vec<(String, f64)>, FetchError> {
    Ok(numbers(&serde_json::from_slice(&get(at, SIGNALS, timeout)?)?))
}

fn exchange(at: SocketAddr, request: &Request<'_>) -> io::Result<Vec<u8>> {
    let Request { path, bearer, max_bytes, timeout } = *request;
    let deadline = clock::now() + timeout;
    let mut stream = TcpStream::connect_timeout(&at, timeout)?;
    stream.set_write_timeout(Some(left(deadline)?))?;
    // In one write: a server may answer the first piece of a request and close before it has read the rest.
    let token = bearer.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nAccept: */*\r\n{token}\r\n");
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 16 * 1024]);
    loop {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut chunk)? {
            0 => return Ok(answer),
            n if answer.len() + n > max_bytes => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("the answer is longer than {max_bytes} bytes"),
                ));
            }
            n => answer.extend_from_slice(&chunk[..n]),
        }
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(clock::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Status and body of a whole answer, read to the connection's end.
fn parse(answer: &[u8]) -> Result<(u16, Vec<u8>), FetchError> {
    let end = answer
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .ok_or(FetchError::Malformed("no end of the head"))?;
    let head =
        std::str::from_utf8(&answer[..end]).map_err(|_| FetchError::Malformed("a head that is not text"))?;
    let body = &answer[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.")).and_then(|line| line.get(2..5));
    let status = status.and_then(|s| s.parse().ok()).ok_or(FetchError::Malformed("no status line"))?;
    let header = |name: &str| {
        let found = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        found.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    };
    if header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return Ok((status, unchunk(body)?));
    }
    let Some(length) = header("content-length") else { return Ok((status, body.to_vec())) };
    let length: usize = length.parse().map_err(|_| FetchError::Malformed("a length that is no number"))?;
    let body = body.get(..length).ok_or(FetchError::Malformed("the body is cut off"))?;
    Ok((status, body.to_vec()))
}

fn unchunk(mut rest: &[u8]) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    loop {
        let line = rest
            .windows(2)
            .position(|w| w == b"\r\n")
            .ok_or(FetchError::Malformed("a chunk without a size"))?;
        let size = std::str::from_utf8(&rest[..line]).ok().and_then(|text| text.split(';').next());
        let size = size.and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        let size = size.ok_or(FetchError::Malformed("a chunk's size is no number"))?;
        rest = &rest[line + 2..];
        if size == 0 {
            return Ok(body);
        }
        let whole = size.checked_add(2).ok_or(FetchError::Malformed("a chunk too large"))?;
        body.extend_from_slice(rest.get(..size).ok_or(FetchError::Malformed("a chunk is cut off"))?);
        rest = rest.get(whole..).ok_or(FetchError::Malformed("a chunk without its end"))?;
    }
}

/// All numbers (and truths, as 1 and 0) of a JSON document by path. An array's elements are named by their `name`
/// where they have one, else by their index.
pub fn numbers(value: &Value) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    walk(value, String::new(), 0, &mut found);
    found
}

fn walk(value: &Value, path: String, depth: usize, found: &mut Vec<(String, f64)>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Number(number) => found.extend(number.as_f64().map(|number| (path, number))),
        Value::Bool(truth) => found.push((path, f64::from(u8::from(*truth)))),
        Value::Object(fields) if depth < MAX_DEPTH => {
            for (key, value) in fields {
                walk(value, below(key), depth + 1, found);
            }
        }
        Value::Array(elements) if depth < MAX_DEPTH => {
            for (i, element) in elements.iter().enumerate() {
                let name = element.get("name").and_then(Value::as_str);
                walk(element, below(name.unwrap_or(&i.to_string())), depth + 1, found);
            }
        }
        Value::Null | Value::String(_) | Value::Object(_) | Value::Array(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn check(answer: &str, status: u16, body: &str) {
        assert_eq!(parse(answer.as_bytes()).unwrap(), (status, body.as_bytes().to_vec()));
    }

    #[test]
    fn reads_a_body_by_its_length() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}rest", 200, "{}");
    }
    #[test]
    fn reads_a_body_to_the_end() {
        check("HTTP/1.0 404 Not Found\r\n\r\ngone", 404, "gone");
    }
    #[test]
    fn reads_a_chunked_body() {
        check(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x=1\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
            200,
            "abc0123456789",
        );
    }

    fn refuses(answer: &str, words: &str) {
        let error = parse(answer.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    #[test]
    fn refuses_nothing() {
        refuses("", "no end of the head");
    }
    #[test]
    fn refuses_what_is_not_http() {
        refuses("SSH-2.0\r\n\r\n", "no status line");
    }
    #[test]
    fn refuses_a_status_cut_off() {
        refuses("HTTP/1.1 2\r\n\r\n", "no status line");
    }
    #[test]
    fn refuses_a_body_cut_off() {
        refuses("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", "cut off");
    }
    #[test]
    fn refuses_a_chunk_cut_off() {
        refuses("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nabc", "cut off");
    }
    #[test]
    fn refuses_a_chunk_as_large_as_the_address_space() {
        refuses("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nabc", "too large");
    }
    #[test]
    fn refuses_a_length_that_is_no_number() {
        refuses("HTTP/1.1 200 OK\r\ncontent-length: all\r\n\r\n", "no number");
    }

    #[test]
    fn numbers_are_named_by_their_path() {
        let value = json!({"queues": [{"name": "orders", "depth": 7}, {"depth": 1}], "ready": true, "text": "x", "none": null});
        let expected = [("queues.orders.depth", 7.0), ("queues.1.depth", 1.0), ("ready", 1.0)];
        assert_eq!(numbers(&value), expected.map(|(name, value)| (name.to_owned(), value)));
    }
    #[test]
    fn nesting_without_end_is_not_followed() {
        let deep = (0..100).fold(json!(1), |inner, _| json!({ "a": inner }));
        assert!(numbers(&deep).is_empty());
    }

    /// Serves `answer` to one connection.
    fn serve(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer.as_bytes());
        });
        at
    }

    #[test]
    fn fetches_signals_from_a_listener() {
        let at = serve("HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"pool\":{\"w\":3}}");
        let error = signals(at, Duration::from_secs(5)).unwrap_err();
        assert!(matches!(error, FetchError::Json(_)), "one byte short: {error}");
        let at = serve("HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{\"pool\":{\"w\":3}}");
        assert_eq!(signals(at, Duration::from_secs(5)).unwrap(), [("pool.w".to_owned(), 3.0)]);
    }
    #[test]
    fn another_status_is_an_error() {
        let at = serve("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
        assert!(matches!(get(at, "/", Duration::from_secs(5)), Err(FetchError::Status(503))));
    }
    #[test]
    fn nobody_there_is_an_error_that_names_the_address() {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0)); // port 0 is nobody's, and no other test can take it
        let error = get(nowhere, "/", Duration::from_secs(5)).unwrap_err().to_string();
        assert!(error.starts_with("cannot reach 127.0.0.1:0: "), "{error}");
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), chunked: bool) {
            let _ = parse(&bytes);
            let head = if chunked { "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" } else { "HTTP/1.1 200 OK\r\n\r\n" };
            let _ = parse(&[head.as_bytes(), &bytes].concat());
        }
    }
}
