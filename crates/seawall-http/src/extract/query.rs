//! The query string, into a type of the user's.

use serde::de::DeserializeOwned;

use super::Extract;
use super::urlencoded::{self, MOST_PAIRS, TooMany};
use super::values::{Keyed, Pair, Source};
use crate::context::Context;
use crate::error::{Error, Result};

/// The query, e.g. `?page=2&tag=a&tag=b`, into a struct, a map, or a list of pairs.
///
/// A key that comes several times fills a `Vec`; for anything else it is a 400, so that no two readers of one request
/// take different ones. A missing key fills an `Option`, or a `#[serde(default)]`, which a `Vec` needs too. An empty
/// value is `None` for an `Option` of a number or a `bool`. Enums read the names of their variants, a `bool` reads
/// `true`, `false` and `on`.
///
/// A bad value is a 400 that names the key, the value and what it should be; so are more than 1,000 pairs.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> Query<T> {
    pub(crate) fn read(c: &Context) -> Result<Self> {
        let found = T::deserialize(Keyed(pairs(c)?)).map(Query);
        found.map_err(|problem| problem.into_error(Source::Query))
    }
}

/// What the query has.
pub(crate) fn pairs(c: &Context) -> Result<Vec<Pair<'_>>> {
    let query = c.uri().query().unwrap_or_default();
    urlencoded::pairs(query.as_bytes(), Source::Query).map_err(|TooMany| {
        Error::bad_request("invalid query").field("query", format_args!("has more than {MOST_PAIRS} pairs"))
    })
}

impl<T: DeserializeOwned + Send> Extract for Query<T> {
    async fn extract(c: &Context) -> Result<Self> {
        Self::read(c)
    }
}
