//! The short ways to an answer: `c.json(200, &user)`.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::Context;
use crate::error::Result;
use crate::respond::{BodyWriter, HTML, IntoResponse as _, JSON, Redirect, Response, TEXT};

impl Context {
    /// Answers with JSON.
    ///
    /// # Errors
    /// 500 if `status` is no HTTP status or `value` does not serialise.
    pub fn json<T: Serialize + ?Sized>(&self, status: u16, value: &T) -> Result<Response> {
        answer(status, JSON, serde_json::to_vec(value)?)
    }
    /// Answers with plain text.
    ///
    /// # Errors
    /// 500 if `status` is no HTTP status.
    pub fn text(&self, status: u16, text: impl Into<Bytes>) -> Result<Response> {
        answer(status, TEXT, text)
    }
    /// Answers with HTML.
    ///
    /// # Errors
    /// 500 if `status` is no HTTP status.
    pub fn html(&self, status: u16, html: impl Into<Bytes>) -> Result<Response> {
        answer(status, HTML, html)
    }
    /// Answers with bytes of a content type of yours.
    ///
    /// # Errors
    /// 500 if `status` is no HTTP status or `content_type` no header value.
    pub fn bytes(&self, status: u16, content_type: &str, bytes: impl Into<Bytes>) -> Result<Response> {
        answer(status, HeaderValue::from_str(content_type)?, bytes)
    }
    /// Answers with a body that is written while it is sent; see [`Response::stream`].
    ///
    /// # Errors
    /// 500 if `status` is no HTTP status or `content_type` no header value.
    pub fn stream<W, Fut>(&self, status: u16, content_type: &str, write: W) -> Result<Response>
    where
        W: FnOnce(BodyWriter) -> Fut,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        Ok(Response::stream(StatusCode::from_u16(status)?, HeaderValue::from_str(content_type)?, write))
    }
    /// Sends the client elsewhere.
    ///
    /// # Errors
    /// 500 if `status` is no redirect or `location` no header value.
    pub fn redirect(&self, status: u16, location: impl Into<String>) -> Result<Response> {
        Redirect::with_status(StatusCode::from_u16(status)?, location)?.into_response()
    }
    /// Answers with 204 and nothing else.
    ///
    /// # Errors
    /// None; a `Result` only to read like its neighbours.
    pub fn no_content(&self) -> Result<Response> {
        StatusCode::NO_CONTENT.into_response()
    }
}

fn answer(status: u16, content_type: HeaderValue, body: impl Into<Bytes>) -> Result<Response> {
    Ok(Response::new(StatusCode::from_u16(status)?, body).header(header::CONTENT_TYPE, content_type))
}
