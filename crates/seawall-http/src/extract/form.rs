//! Bodies of HTML forms.

use http::header;
use serde::de::DeserializeOwned;

use super::{Extract, WholeBody, query};
use crate::context::Context;
use crate::error::{Error, Result};

const KIND: &str = "application/x-www-form-urlencoded";

/// The body of a form, `application/x-www-form-urlencoded`. Refusals: 415 for another content type, 422 naming the
/// field for a bad value, 413 over the limit.
#[derive(Debug, Clone, Copy)]
pub struct Form<T>(pub T);

impl<T: DeserializeOwned> Extract<WholeBody> for Form<T> {
    async fn extract(c: &Context) -> Result<Self> {
        let kind = c.header(header::CONTENT_TYPE).unwrap_or(KIND);
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(KIND) {
            return Err(Error::unsupported_media_type("the body must be a form")
                .field("content-type", format_args!("is `{kind}`, but must be {KIND}")));
        }
        let body = c.body().await?;
        query::parse(&body, "body", || Error::invalid("the form is not what was expected")).map(Form)
    }
}
