//! Answers as Go's `net/http/pprof` gives them: the same headers, so that its clients understand.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_DISPOSITION, CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};

/// Why there is no profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The token is missing or wrong.
    Unauthorized,
    /// There is no such page.
    Unknown,
    /// Neither GET nor POST.
    Method,
    /// A parameter is wrong.
    Bad(String),
    /// Another one is being taken.
    Busy(&'static str),
    /// It cannot be made here; the reason.
    Unavailable(String),
}

impl Refusal {
    pub(crate) fn answer(self) -> Response<Bytes> {
        let (status, text) = match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "this needs the token".to_owned()),
            Self::Unknown => (StatusCode::NOT_FOUND, "Unknown profile".to_owned()),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "GET, and POST for symbol".to_owned()),
            Self::Bad(text) => (StatusCode::BAD_REQUEST, text),
            Self::Busy(text) => (StatusCode::INTERNAL_SERVER_ERROR, text.to_owned()),
            Self::Unavailable(text) => (StatusCode::NOT_IMPLEMENTED, text),
        };
        let mut answer = with(status, "text/plain; charset=utf-8", format!("{text}\n"));
        let headers = answer.headers_mut();
        headers.insert("x-go-pprof", HeaderValue::from_static("1"));
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"pprof\""));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
            }
            _ => {}
        }
        answer
    }
}

pub(crate) fn text(body: impl Into<Bytes>) -> Response<Bytes> {
    with(StatusCode::OK, "text/plain; charset=utf-8", body)
}

pub(crate) fn html(body: String) -> Response<Bytes> {
    with(StatusCode::OK, "text/html; charset=utf-8", body)
}

pub(crate) fn svg(body: String) -> Response<Bytes> {
    with(StatusCode::OK, "image/svg+xml", body)
}

pub(crate) fn json(value: &impl serde::Serialize) -> Response<Bytes> {
    match serde_json::to_vec_pretty(value) {
        Ok(body) => with(StatusCode::OK, "application/json", body),
        // A section's value comes from elsewhere; a map with keys that are no text, for one.
        Err(error) => Refusal::Unavailable(format!("cannot be written as JSON: {error}")).answer(),
    }
}

/// A file to keep; `name` is one of ours.
pub(crate) fn attachment(name: &str, body: Vec<u8>) -> Response<Bytes> {
    let mut answer = with(StatusCode::OK, "application/octet-stream", body);
    let value = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    let value = value.expect("names of profiles are plain words");
    answer.headers_mut().insert(CONTENT_DISPOSITION, value);
    answer
}

fn with(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
