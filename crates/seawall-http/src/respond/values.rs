//! The types that are answers by themselves, and how they combine with a status and headers.

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
        Ok(typed(JSON, serde_json::to_vec(&self.0)?))
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
