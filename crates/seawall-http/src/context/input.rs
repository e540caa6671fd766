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
use crate::extract::values::{Pair, Source, unparsed};
use crate::extract::{self, Bind, Path, Query};
use crate::middleware::BodyLimit;
use crate::router::{is_called, own_name};

impl Context {
    /// A path parameter, percent-decoded once and parsed. That of `*path` is called `path`, and `*` too.
    ///
    /// # Errors
    /// 400 naming the parameter if its value does not parse; 500 if the route has no such parameter.
    pub fn param<T: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<T> {
        let found = self.params()?.find(|(known, _)| is_called(known, name));
        let Some((_, value)) = found else {
            return Err(Error::internal(format!("this route has no parameter `{name}`")));
        };
        let unfit = |e| {
            let problem = unparsed::<T>(Source::Path, &value, &e);
            Source::Path.refuse().field(name.to_owned(), problem)
        };
        value.parse().map_err(unfit)
    }

    /// Names and decoded values of the path parameters, in the order of the path; that of a rest is
    /// `*` or `*name`.
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
            let not_text = |_| {
                Error::bad_request("invalid path parameter").field(own_name(name).to_owned(), "is not UTF-8")
            };
            decoded.push((name, value.map_err(not_text)?));
        }
        Ok(decoded.into_iter())
    }

    /// One value of the query, parsed; `None` if the key is not there.
    ///
    /// ```
    /// # use seawall_http::{Context, Response, Result};
    /// async fn list(c: Context) -> Result<Response> {
    ///     let limit = c.query_or("limit", 20_u32)?;
    ///     let after = c.query_param::<u64>("after")?;
    ///     let tags = c.query_all::<String>("tag")?;
    ///     c.text(200, format!("{limit} after {after:?} of {tags:?}"))
    /// }
    /// ```
    ///
    /// # Errors
    /// 400 naming the key if the value does not parse, or if the key comes more than once.
    pub fn query_param<T: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<Option<T>> {
        single(self.query_pairs(name)?, Source::Query)
    }
    /// One value of the query, or `default` if the key is not there.
    ///
    /// # Errors
    /// As [`Context::query_param`]: a value that does not parse is refused, not replaced.
    pub fn query_or<T: FromStr<Err: fmt::Display>>(&self, name: &str, default: T) -> Result<T> {
        self.query_param(name).map(|found| found.unwrap_or(default))
    }
    /// All values of a key of the query, in their order.
    ///
    /// # Errors
    /// 400 naming the key and the place of the first value that does not parse.
    pub fn query_all<T: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<Vec<T>> {
        let found = self.query_pairs(name)?.into_iter().enumerate();
        found.map(|(at, pair)| parsed(&pair, format!("{name}[{at}]"))).collect()
    }
    fn query_pairs(&self, name: &str) -> Result<Vec<Pair<'_>>> {
        let mut pairs = extract::query::pairs(self)?;
        pairs.retain(|pair| pair.name == name);
        Ok(pairs)
    }
    /// One field of the form in the body, parsed; `None` if it is not there. Each call reads the whole form again:
    /// for more than a few fields take
    /// [`Form`](crate::Form).
    ///
    /// # Errors
    /// 422 naming the field if the value does not parse or comes more than once; 413 and 415 as there.
    ///
    /// # Cancel safety
    /// As [`Context::body`].
    pub async fn form_value<T: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<Option<T>> {
        let body = extract::form::body(self).await?;
        let mut pairs = extract::form::pairs(&body)?;
        pairs.retain(|pair| pair.name == name);
        single(pairs, Source::Form)
    }
    /// A header, parsed; `None` if it is missing. The error does not repeat the value, because headers carry tokens.
    ///
    /// # Errors
    /// 400 naming the header if it does not parse, is no UTF-8, or comes more than once.
    pub fn header_as<T: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<Option<T>> {
        single(extract::header::pairs(self.headers(), name).collect(), Source::Header)
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
    /// Path, query and body into one type of yours, by name; see [`Bind`](struct@crate::Bind) for what goes before what. For
    /// the body alone take [`Json`](crate::Json) or [`Form`](crate::Form) as an argument.
    ///
    /// # Errors
    /// 400 for what is wrong in the head or is no JSON, 422 for what is wrong in the body, each naming the field; 413,
    /// 415.
    ///
    /// # Cancel safety
    /// As [`Context::body`].
    pub async fn bind<T: DeserializeOwned>(&self) -> Result<T> {
        Bind::read(self).await.map(|Bind(value)| value)
    }

    /// The whole body. It stays readable, for whoever comes later and however often: a middleware may look at it and
    /// run the rest of the chain, which then reads, binds or streams it as if nobody had. It is judged by the limit of
    /// its first reader.
    ///
    /// # Errors
    /// 413 over the limit and 400 if the client broke it off, both for every later reader too; 500 if it is being
    /// streamed already.
    ///
    /// # Cancel safety
    /// Not safe: a body whose reading was cancelled is gone.
    pub async fn body(&self) -> Result<Bytes> {
        let limit = self.body_limit();
        // A statement of its own: a lock that a `match` looks at is held to the end of the `match`.
        let state = std::mem::replace(&mut *self.0.body.lock(), BodyState::Taken);
        let body = match state {
            BodyState::Whole(bytes) => Body::whole(bytes),
            BodyState::Unread(body) => body.limited(limit),
            BodyState::Taken => return Err(already_read()),
            BodyState::Refused { over } => {
                *self.0.body.lock() = BodyState::Refused { over };
                return Err(refused(over));
            }
        };
        let read = body.collect().await;
        *self.0.body.lock() = match &read {
            Ok(bytes) => BodyState::Whole(bytes.clone()),
            Err(error) => {
                let too_large = error.status() == refused(Some(limit)).status();
                BodyState::Refused { over: too_large.then_some(limit) }
            }
        };
        read
    }

    /// The body as a stream. The first reader takes it and nobody has it afterwards, because what was streamed is kept
    /// nowhere; unless somebody has read all of it before, by [`Context::body`]: then there are as many streams as are
    /// asked for. Whoever wants to share a body therefore reads it whole, within its limit.
    ///
    /// # Errors
    /// 500 if it is being streamed already; 413 and 400 if somebody could not read all of it.
    pub fn stream_body(&self) -> Result<Body> {
        let mut state = self.0.body.lock();
        match &*state {
            BodyState::Whole(bytes) => return Ok(Body::whole(bytes.clone())),
            BodyState::Taken => return Err(already_read()),
            BodyState::Refused { over } => return Err(refused(*over)),
            BodyState::Unread(_) => {}
        }
        let BodyState::Unread(body) = std::mem::replace(&mut *state, BodyState::Taken) else {
            return Err(already_read());
        };
        Ok(body.limited(self.body_limit()))
    }
    /// The body as a stream, with another limit than its own if one is given.
    #[cfg(feature = "multipart")]
    pub(crate) fn stream_body_within(&self, limit: Option<usize>) -> Result<Body> {
        let body = self.stream_body()?;
        Ok(match limit {
            Some(limit) => body.limited(limit),
            None => body,
        })
    }
    /// Whether it is certain that no body was sent.
    #[cfg(feature = "multipart")]
    pub(crate) fn has_no_body(&self) -> bool {
        match &*self.0.body.lock() {
            BodyState::Unread(body) => body.is_empty(),
            BodyState::Whole(bytes) => bytes.is_empty(),
            BodyState::Taken | BodyState::Refused { .. } => false,
        }
    }

    /// Puts another body in place of the one that [`Context::stream_body`] took: for middleware that reads along, or
    /// turns it into something else.
    pub(crate) fn put_body(&self, body: Body) {
        *self.0.body.lock() = BodyState::Unread(body);
    }

    fn body_limit(&self) -> usize {
        self.get::<BodyLimit>().map_or(self.0.shared.body_limit, BodyLimit::bytes)
    }
}

/// The only value of `pairs`, which have one name.
fn single<T: FromStr<Err: fmt::Display>>(pairs: Vec<Pair<'_>>, source: Source) -> Result<Option<T>> {
    match &pairs[..] {
        [] => Ok(None),
        [pair] => parsed(pair, pair.name.to_string()).map(Some),
        [pair, ..] => {
            let problem = format_args!("is given {} times, but may be given once", pairs.len());
            Err(source.refuse().field(pair.name.to_string(), problem))
        }
    }
}

/// The value of `pair`, which stands at `field`.
fn parsed<T: FromStr<Err: fmt::Display>>(pair: &Pair<'_>, field: String) -> Result<T> {
    let refuse = |problem: String| pair.source.refuse().field(field, problem);
    match std::str::from_utf8(&pair.value) {
        Ok(text) => text.parse().map_err(|e| refuse(unparsed::<T>(pair.source, text, &e))),
        Err(_) => Err(refuse("is not UTF-8".to_owned())),
    }
}

/// What the first reader was told.
fn refused(over: Option<usize>) -> Error {
    match over {
        Some(limit) => Error::too_large(limit),
        None => Error::bad_request("the body ended before its end"),
    }
}

fn already_read() -> Error {
    Error::internal("the body is being read already, or its reader was cancelled")
}
