//! What a handler takes from the request: parameters, query, body.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use super::{BodyState, Context};
use crate::body::Body;
use crate::error::{Error, Result};
use crate::extract::{Json, Path, Query};
use crate::middleware::BodyLimit;

impl Context {
    /// A path parameter, percent-decoded once and parsed.
    ///
    /// # Errors
    /// 400 naming the parameter if its value does not parse; 500 if the route has no such parameter.
    pub fn param<T: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<T> {
        let found = self.params()?.find(|(known, _)| *known == name);
        let Some((_, value)) = found else {
            return Err(Error::internal(format!("this route has no parameter `{name}`")));
        };
        value.parse().map_err(|e| Error::bad_request("invalid path parameter").field(name.to_owned(), e))
    }

    /// Names and decoded values of the path parameters, in the order of the path; that of `*` is `*`.
    ///
    /// # Errors
    /// 400 if a value is not UTF-8 once decoded.
    pub(crate) fn params(&self) -> Result<impl Iterator<Item = (&str, Cow<'_, str>)>> {
        let matched = self.0.matched.get();
        let names = matched.map_or(&[][..], |matched| matched.chain.names());
        let spans = matched.map_or(&[][..], |matched| matched.params.spans());
        let mut decoded = smallvec::SmallVec::<[(&str, Cow<'_, str>); 4]>::new();
        for (name, &(start, end)) in names.iter().zip(spans) {
            let raw = &self.path()[start as usize..end as usize];
            let value = percent_decode_str(raw).decode_utf8();
            let not_text =
                |_| Error::bad_request("invalid path parameter").field(name.to_string(), "is not UTF-8");
            decoded.push((name, value.map_err(not_text)?));
        }
        Ok(decoded.into_iter())
    }

    /// The query, into a type of yours.
    ///
    /// # Errors
    /// 400 naming the field.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T> {
        Query::read(self).map(|Query(value)| value)
    }
    /// The path parameters, into a type of yours; see [`Path`].
    ///
    /// # Errors
    /// 400 naming the parameter.
    pub fn params_as<T: DeserializeOwned>(&self) -> Result<T> {
        Path::read(self).map(|Path(value)| value)
    }
    /// The JSON body, into a type of yours.
    ///
    /// # Errors
    /// 400 for what is no JSON, 413, 415, and 422 naming the field.
    pub async fn bind<T: DeserializeOwned>(&self) -> Result<T> {
        Json::read(self).await.map(|Json(value)| value)
    }

    /// The whole body. It stays readable, so that a middleware may peek, or run the rest of the chain again.
    ///
    /// # Errors
    /// 413 over the limit; 400 if the client broke it off; 500 if it is being streamed already.
    ///
    /// # Cancel safety
    /// Not safe: a body whose reading was cancelled is gone.
    pub async fn body(&self) -> Result<Bytes> {
        let body = match std::mem::replace(&mut *self.0.body.lock(), BodyState::Taken) {
            BodyState::Whole(bytes) => Body::whole(bytes),
            BodyState::Unread(body) => body.limited(self.body_limit()),
            BodyState::Taken => return Err(already_read()),
        };
        let bytes = body.collect().await?;
        *self.0.body.lock() = BodyState::Whole(bytes.clone());
        Ok(bytes)
    }

    /// The body as a stream. The first reader takes it, unless somebody has read all of it before.
    ///
    /// # Errors
    /// 500 if it is being streamed already.
    pub fn stream_body(&self) -> Result<Body> {
        let mut state = self.0.body.lock();
        match &*state {
            BodyState::Whole(bytes) => return Ok(Body::whole(bytes.clone())),
            BodyState::Taken => return Err(already_read()),
            BodyState::Unread(_) => {}
        }
        let BodyState::Unread(body) = std::mem::replace(&mut *state, BodyState::Taken) else {
            return Err(already_read());
        };
        Ok(body.limited(self.body_limit()))
    }

    fn body_limit(&self) -> usize {
        self.get::<BodyLimit>().map_or(self.0.shared.body_limit, BodyLimit::bytes)
    }
}

fn already_read() -> Error {
    Error::internal("the body is being read already, or its reader was cancelled")
}
