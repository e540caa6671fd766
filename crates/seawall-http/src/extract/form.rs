//! Bodies of HTML forms.

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::content_type::{self, Kind};
use super::urlencoded::{self, MOST_PAIRS, TooMany};
use super::values::{Keyed, Pair, Source};
use super::{Extract, WholeBody};
use crate::context::Context;
use crate::error::{Error, Result};

/// The body of a form, `application/x-www-form-urlencoded`; it reads as [`Query`](super::Query) does.
///
/// Refusals: 415 for another content type, 422 naming the field for a bad value, 413 over the limit of the body or of
/// 1,000 fields. A form with files is [`MultipartForm`](super::MultipartForm).
#[derive(Debug, Clone, Copy)]
pub struct Form<T>(pub T);

impl<T: DeserializeOwned> Form<T> {
    pub(crate) async fn read(c: &Context) -> Result<Self> {
        let body = body(c).await?;
        let found = T::deserialize(Keyed(pairs(&body)?)).map(Form);
        found.map_err(|problem| problem.into_error(Source::Form))
    }
}

/// The body, if it is a form or does not say what it is.
pub(crate) async fn body(c: &Context) -> Result<Bytes> {
    match content_type::kind(c) {
        None | Some((Kind::Form, _)) => c.body().await,
        Some((_, kind)) => Err(content_type::refuse("the body must be a form", kind, content_type::FORM)),
    }
}

/// What the form has.
pub(crate) fn pairs(body: &[u8]) -> Result<Vec<Pair<'_>>> {
    urlencoded::pairs(body, Source::Form).map_err(|TooMany| {
        let problem = format_args!("has more than {MOST_PAIRS} fields");
        Error::content_too_large("the form has too many fields").field("body", problem)
    })
}

impl<T: DeserializeOwned> Extract<WholeBody> for Form<T> {
    async fn extract(c: &Context) -> Result<Self> {
        Self::read(c).await
    }
}
