//! The types that are answers by themselves, and how they combine with a status and headers.

use std::cell::Cell;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use super::{BYTES, HTML, IntoError, IntoResponse, JSON, Response, TEXT, typed};
use crate::error::{Error, Result};
use crate::extract::Json;

/// A body that is HTML.
#[derive(Debug, Clone)]
pub struct Html<T>(pub T);

/// A body that is JSON for people: indented by two spaces.
#[derive(Debug, Clone)]
pub struct Pretty<T>(pub T);

/// A body that is XML; the name of the type is the name of the outermost element.
#[cfg(feature = "xml")]
#[derive(Debug, Clone)]
pub struct Xml<T>(pub T);

/// The document, with its declaration.
#[cfg(feature = "xml")]
pub(crate) fn xml<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    quick_xml::se::to_writer(&mut text, value)?;
    Ok(text.into_bytes())
}

/// JSON up to this size is copied into memory of just its size. It is made in memory that the thread keeps for it.
const COPIED: usize = 4 << 10;

/// A value as JSON.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Bytes> {
    thread_local!(static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) });
    // Taken out, because what a value does while it is written may come here again.
    let mut scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
    scratch.clear();
    serde_json::to_writer(&mut scratch, value)?;
    if scratch.len() > COPIED {
        return Ok(scratch.into());
    }
    let bytes = Bytes::copy_from_slice(&scratch);
    let _ = SCRATCH.try_with(|kept| kept.set(scratch)); // a thread that ends keeps nothing
    Ok(bytes)
}

impl IntoResponse for Response {
    fn into_response(self) -> Result<Response> {
        Ok(self)
    }
}
impl IntoResponse for &'static str {
    fn into_response(self) -> Result<Response> {
        Ok(typed(TEXT, self))
    }
}
impl IntoResponse for String {
    fn into_response(self) -> Result<Response> {
        Ok(typed(TEXT, self))
    }
}
impl IntoResponse for Bytes {
    fn into_response(self) -> Result<Response> {
        Ok(typed(BYTES, self))
    }
}
impl IntoResponse for Vec<u8> {
    fn into_response(self) -> Result<Response> {
        Ok(typed(BYTES, self))
    }
}
impl<T: Into<Bytes>> IntoResponse for Html<T> {
    fn into_response(self) -> Result<Response> {
        Ok(typed(HTML, self.0))
    }
}
impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Result<Response> {
        Ok(typed(JSON, json(&self.0)?))
    }
}
impl<T: Serialize> IntoResponse for Pretty<T> {
    fn into_response(self) -> Result<Response> {
        Ok(typed(JSON, serde_json::to_vec_pretty(&self.0)?))
    }
}
#[cfg(feature = "xml")]
impl<T: Serialize> IntoResponse for Xml<T> {
    fn into_response(self) -> Result<Response> {
        Ok(typed(super::XML, xml(&self.0)?))
    }
}
impl IntoResponse for StatusCode {
    fn into_response(self) -> Result<Response> {
        Ok(Response::new(self, Bytes::new()))
    }
}
impl<T: IntoResponse> IntoResponse for (StatusCode, T) {
    fn into_response(self) -> Result<Response> {
        Ok(Response { status: self.0, ..self.1.into_response()? })
    }
}

/// The headers replace those of their names that the answer has already: `([("cache-control", "no-store")], Json(x))`.
/// A name or a value that is none is a 500.
#[diagnostic::do_not_recommend]
impl<K, V, T, const N: usize> IntoResponse for ([(K, V); N], T)
where
    K: TryInto<HeaderName, Error: Into<Error>>,
    V: TryInto<HeaderValue, Error: Into<Error>>,
    T: IntoResponse,
{
    fn into_response(self) -> Result<Response> {
        let mut response = self.1.into_response()?;
        for (name, value) in self.0 {
            let name = name.try_into().map_err(Into::into)?;
            let value = value.try_into().map_err(Into::into)?;
            response.headers_mut().insert(name, value);
        }
        Ok(response)
    }
}
#[diagnostic::do_not_recommend]
impl<K, V, T, const N: usize> IntoResponse for (StatusCode, [(K, V); N], T)
where
    K: TryInto<HeaderName, Error: Into<Error>>,
    V: TryInto<HeaderValue, Error: Into<Error>>,
    T: IntoResponse,
{
    fn into_response(self) -> Result<Response> {
        (self.0, (self.1, self.2)).into_response()
    }
}

impl<T: IntoResponse, E: IntoError> IntoResponse for Result<T, E> {
    fn into_response(self) -> Result<Response> {
        self.map_err(Into::into)?.into_response()
    }
}
