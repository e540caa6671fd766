//! The short ways to an answer: `c.json(200, &user)`.

use std::path::Path;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::Context;
use crate::error::Result;
use crate::respond::{
    BodyWriter, File, HTML, IntoResponse as _, JSON, Redirect, Response, TEXT, TemplateData, Templates,
    content_type_of, json, jsonp,
};

impl Context {
    /// Answers with JSON.
    ///
    /// # Errors
    /// 500 if `status` is no HTTP status or `value` does not serialise.
    pub fn json<T: Serialize + ?Sized>(&self, status: u16, value: &T) -> Result<Response> {
        answer(status, JSON, json(value)?)
    }
    /// Answers with JSON for people: indented by two spaces.
    ///
    /// # Errors
    /// As [`Context::json`].
    pub fn json_pretty<T: Serialize + ?Sized>(&self, status: u16, value: &T) -> Result<Response> {
        answer(status, JSON, serde_json::to_vec_pretty(value)?)
    }
    /// Answers with JSONP: a script that calls the function that `callback` names, for pages that cannot use CORS.
    ///
    /// # Errors
    /// 400 naming `callback` if it is no JavaScript identifier, with dots or without, of at most 128 characters; 500
    /// as [`Context::json`].
    pub fn jsonp<T: Serialize + ?Sized>(&self, status: u16, callback: &str, value: &T) -> Result<Response> {
        jsonp(StatusCode::from_u16(status)?, callback, value)
    }
    /// Answers with XML; the name of the type is the name of the outermost element.
    ///
    /// # Errors
    /// 500 if `status` is no HTTP status or `value` has no form in XML, as a bare list has none.
    #[cfg(feature = "xml")]
    pub fn xml<T: Serialize + ?Sized>(&self, status: u16, value: &T) -> Result<Response> {
        answer(status, crate::respond::XML, crate::respond::xml(value)?)
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
    /// Answers with bytes of a content type of yours: what Echo calls a blob. The name is that of the type that it
    /// takes, [`Bytes`].
    ///
    /// # Errors
    /// 500 if `status` is no HTTP status or `content_type` no header value.
    #[doc(alias = "blob")]
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
    /// Answers with a file, or the parts of it that were asked for, or 304 if the client has it; see [`File`].
    ///
    /// The path is yours. One that came with the request could name any file of the machine.
    ///
    /// # Errors
    /// 404 if there is no such file, 412 and 416 if the request's conditions or ranges do not fit, 500 if it may not
    /// be read.
    ///
    /// # Cancel safety
    /// Safe: nothing stays open.
    pub async fn file(&self, path: impl AsRef<Path>) -> Result<Response> {
        File::open(path).await?.answer(self)
    }
    /// As [`Context::file`], to be saved under `name`, of which folders are dropped.
    ///
    /// # Errors
    /// As [`Context::file`].
    pub async fn attachment(&self, path: impl AsRef<Path>, name: &str) -> Result<Response> {
        File::open(path).await?.attachment(name).answer(self)
    }
    /// As [`Context::file`], to be shown, and saved under `name` if the user asks for it.
    ///
    /// # Errors
    /// As [`Context::file`].
    pub async fn inline(&self, path: impl AsRef<Path>, name: &str) -> Result<Response> {
        File::open(path).await?.inline(name).answer(self)
    }
    /// Answers with a template of [`App::renderer`](crate::App::renderer). The content type is that of the template's
    /// extension; HTML without one.
    ///
    /// # Errors
    /// 500 if `status` is no HTTP status, the app has no renderer, or the template fails; the detail is for the log.
    pub fn render<T: Serialize>(&self, status: u16, template: &str, data: &T) -> Result<Response> {
        let text = self.state::<Templates>()?.0.render(template, TemplateData::new(data))?;
        answer(status, content_type_of(template)?, text)
    }
    /// Sends the client elsewhere; see [`Redirect`].
    ///
    /// # Errors
    /// 500 if `status` is none of 300, 301, 302, 303, 307 and 308.
    pub fn redirect(&self, status: u16, location: impl Into<String>) -> Result<Response> {
        Redirect::with_status(StatusCode::from_u16(status)?, location.into())?.into_response()
    }
    /// Answers 204, without a body.
    ///
    /// # Errors
    /// None; a `Result` only to read like its neighbours.
    pub fn no_content(&self) -> Result<Response> {
        StatusCode::NO_CONTENT.into_response()
    }

    /// The id of the last event that the client saw before it reconnected: where to go on with an
    /// [`Sse`](crate::Sse). `None` on its first connection.
    pub fn last_event_id(&self) -> Option<&str> {
        let id = self.headers().get("last-event-id")?;
        std::str::from_utf8(id.as_bytes()).ok().filter(|id| !id.is_empty())
    }
}

fn answer(status: u16, content_type: HeaderValue, body: impl Into<Bytes>) -> Result<Response> {
    Ok(Response::new(StatusCode::from_u16(status)?, body).header(header::CONTENT_TYPE, content_type))
}
