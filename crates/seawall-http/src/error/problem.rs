//! The two forms of an error's answer: Echo's `{"message": ..}`, and RFC 9457's `application/problem+json`.

use http::{HeaderValue, header};
use serde::Serialize;

use super::{Error, Field, Told, whole_seconds};
use crate::context::Context;
use crate::respond::{JSON, Response};

const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    fields: &'a [Field],
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    fields: &'a [Field],
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
}

impl Error {
    /// The default answer, `{"message": ..}` as in Echo, with `code` and `fields` where there are any. It is what an
    /// `on_error` of your own may fall back to.
    ///
    /// `Content-Type` is `application/json`, without a charset: JSON is UTF-8, and the type has no such parameter
    /// (RFC 8259, 8.1 and 11).
    pub fn response(&self) -> Response {
        let Told { message, code, fields, .. } = &self.0.told;
        let answer = Message { message, code: code.as_deref(), fields };
        self.answer(JSON, serde_json::to_vec(&answer).expect("strings always serialise"))
    }

    /// The answer as [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) `application/problem+json`; with
    /// [`App::problem_json`](crate::App::problem_json) the default one.
    ///
    /// `type` is [`Error::type_uri`] or `about:blank`, `title` the status in words, `detail` the message where it
    /// says more than that. `code` and `fields` are there where there are any; `request_id` always, `trace_id` where
    /// the client sent one or somebody asked for it. The id of the request is what names the occurrence, so there is
    /// no `instance`: the path would only tell the client what it asked for.
    pub fn problem(&self, c: &Context) -> Response {
        let Told { status, message, code, fields, type_uri, .. } = &self.0.told;
        let title = status.canonical_reason().unwrap_or("Error");
        let answer = Problem {
            r#type: type_uri.as_deref().unwrap_or("about:blank"),
            title,
            status: status.as_u16(),
            detail: Some(&**message).filter(|message| !message.is_empty() && *message != title),
            code: code.as_deref(),
            fields,
            request_id: c.request_id(),
            trace_id: c.known_trace_id(),
        };
        self.answer(PROBLEM, serde_json::to_vec(&answer).expect("strings always serialise"))
    }

    fn answer(&self, content_type: HeaderValue, body: Vec<u8>) -> Response {
        let Told { status, headers, retry_after, .. } = &self.0.told;
        let mut response = Response::new(*status, body).header(header::CONTENT_TYPE, content_type);
        response.headers_mut().extend(headers.clone());
        match retry_after {
            Some(after) => response.header(header::RETRY_AFTER, whole_seconds(*after).into()),
            None => response,
        }
    }
}
