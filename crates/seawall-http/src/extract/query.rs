//! The query string, into a type of the user's.

use serde::de::DeserializeOwned;

use super::{Extract, wrong_form};
use crate::context::Context;
use crate::error::{Error, Result};

/// The query, e.g. `?page=2&tag=a&tag=b`. A key that comes several times fills a `Vec`; a missing one an `Option`
/// or a `#[serde(default)]`. A bad value is a 400 that names the key.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> Query<T> {
    pub(crate) fn read(c: &Context) -> Result<Self> {
        let query = c.uri().query().unwrap_or_default();
        parse(query.as_bytes(), "query", || Error::bad_request("invalid query")).map(Query)
    }
}

/// Reads `key=value&..`; `whole` is the field's name when the problem is in no single one.
pub(super) fn parse<T: DeserializeOwned>(
    text: &[u8],
    whole: &'static str,
    refuse: impl FnOnce() -> Error,
) -> Result<T> {
    let reader = serde_html_form::Deserializer::from_bytes(text);
    serde_path_to_error::deserialize(reader)
        .map_err(|error| wrong_form(refuse(), &error.path().to_string(), whole, error.inner()))
}

impl<T: DeserializeOwned + Send> Extract for Query<T> {
    async fn extract(c: &Context) -> Result<Self> {
        Self::read(c)
    }
}
