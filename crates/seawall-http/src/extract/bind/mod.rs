//! One type out of several places of a request: path, query and body.
//!
//! `merge.rs` reads the head and a JSON body into one type; `derive.rs` is what `#[derive(Bind)]`
//! calls, where each field says where it comes from.

#[doc(hidden)]
pub mod derive;
mod merge;

use serde::de::{DeserializeOwned, Deserializer, Visitor};

use super::content_type::{self, Kind};
use super::values::{Keyed, Pair, Problem, Source, shortened};
use super::{Extract, ExtractOptional, WholeBody, form, path, query};
use crate::context::Context;
use crate::error::{Error, Result};

const WRONG: &str = "the request is not what was expected";

/// One type out of path, query and body, by name: Echo's order, in which a later place overwrites an earlier one, with
/// two defects repaired.
///
/// - **A path parameter is never overwritten.** Middleware and routing have decided by it already, so that another
///   value for the same field in query or body is a 400 that names the field and both places. A name that the path has
///   and the type has not is left alone.
/// - **The query is read for every method**, and a key that the body has too is the body's. Echo reads it for some
///   methods only, so that the same request means something else with another method. That the query fills what the
///   body leaves out gives a client no field that it could not send anyway; but a link can have a query, and be
///   followed by somebody else. Where that matters, derive [`Bind`](derive@crate::Bind) and say where each field comes
///   from, or take [`Json`](super::Json).
///
/// The body is read by its content type: JSON (also without a content type), a form, the text fields of a multipart
/// form (files are skipped; [`MultipartForm`](super::MultipartForm) has them). A request without a body has none, whatever it says; another
/// content type is a 415. A browser sends forms to other sites without asking, so a route that goes by a cookie needs
/// protection against that.
///
/// Text values read as in [`Query`](super::Query), those of JSON as in [`Json`](super::Json). An array is no struct where
/// path or query have values: it would fill fields past their names. Refusals: 400 for what is wrong in the head or is
/// no JSON, 422 for what is wrong in the body, 413 over the limit; each names the field.
///
/// ```
/// use seawall_http::{App, Bind};
///
/// #[derive(serde::Deserialize)]
/// struct Move {
///     id: u64,            // from the path, and only from there
///     by: i32,            // from the body
///     #[serde(default)]
///     dry_run: bool,      // from the body, or from `?dry_run=true`
/// }
///
/// let app = App::new().post("/things/:id/move", async |Bind(Move { id, by, dry_run }): Bind<Move>| {
///     format!("{id} by {by}, dry run: {dry_run}")
/// });
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Bind<T>(pub T);

impl<T: DeserializeOwned> Bind<T> {
    pub(crate) async fn read(c: &Context) -> Result<Self> {
        let body = c.body().await?;
        let head = Head { path: path::pairs(c)?, query: query::pairs(c)? };
        let value = match body_kind(c, &body)? {
            None => head.read(Vec::new(), false)?,
            Some(Kind::Json) => merge::read(head, &body)?,
            Some(_) => head.read(body_pairs(c, &body)?, true)?,
        };
        Ok(Self(value))
    }
}

impl<T: DeserializeOwned> Extract<WholeBody> for Bind<T> {
    async fn extract(c: &Context) -> Result<Self> {
        Self::read(c).await
    }
}

/// `None` without a body; path and query are not looked at then.
impl<T: DeserializeOwned + Send> ExtractOptional<WholeBody> for Bind<T> {
    async fn extract_optional(c: &Context) -> Result<Option<Self>> {
        if c.body().await?.is_empty() { Ok(None) } else { Self::read(c).await.map(Some) }
    }
}

/// How `body` is to be read; `None` if there is none.
fn body_kind(c: &Context, body: &[u8]) -> Result<Option<Kind>> {
    if body.is_empty() {
        return Ok(None);
    }
    match content_type::kind(c) {
        None => Ok(Some(Kind::Json)),
        Some((Kind::Other, kind)) => Err(unreadable(kind)),
        #[cfg(not(feature = "multipart"))]
        Some((Kind::Multipart, kind)) => Err(unreadable(kind)),
        Some((kind, _)) => Ok(Some(kind)),
    }
}

fn unreadable(kind: &str) -> Error {
    let expected = "application/json, application/x-www-form-urlencoded or multipart/form-data";
    content_type::refuse("a body of this kind is not read here", kind, expected)
}

/// The fields of a body that is a form of either kind.
fn body_pairs<'a>(c: &Context, body: &'a bytes::Bytes) -> Result<Vec<Pair<'a>>> {
    #[cfg(feature = "multipart")]
    if let Some((Kind::Multipart, kind)) = content_type::kind(c) {
        return super::multipart::texts(c, kind, body);
    }
    let _ = c;
    form::pairs(body)
}

/// What the head says by name.
struct Head<'a> {
    path: Vec<Pair<'a>>,
    query: Vec<Pair<'a>>,
}

impl<'a> Head<'a> {
    /// Head and form into one type.
    fn read<T: DeserializeOwned>(self, body: Vec<Pair<'a>>, has_body: bool) -> Result<T> {
        T::deserialize(Merged { head: self, body }).map_err(|problem| refuse(problem, has_body))
    }

    /// Forgets the parameters that the type does not know: they are not meant for it.
    fn keep(&mut self, fields: &[&str]) {
        self.path.retain(|pair| fields.contains(&&*pair.name));
    }
    /// The parameter that decides the field `name`.
    fn parameter(&self, name: &str) -> Option<&Pair<'a>> {
        self.path.iter().find(|pair| pair.name == name)
    }
    /// Whether `pair` may be taken. It may not if the path has its name: then it is superfluous if it says the same,
    /// else an error.
    fn admits(&self, pair: &Pair<'a>) -> Result<bool, Problem> {
        match self.parameter(&pair.name) {
            None => Ok(true),
            Some(parameter) if parameter.value == pair.value => Ok(false),
            Some(parameter) => {
                Err(contradiction(parameter, &String::from_utf8_lossy(&pair.value), pair.source))
            }
        }
    }
}

/// 400: path and another place do not agree.
fn contradiction(parameter: &Pair<'_>, found: &str, place: Source) -> Problem {
    let (found, path) = (shortened(found), shortened(&String::from_utf8_lossy(&parameter.value)));
    let message = format!("is `{found}` in the {}, but `{path}` in the path", place.whole());
    Problem::of(Source::Path, parameter.name.as_ref(), message)
}

/// What is nowhere should have been in the body, if there is one.
fn refuse(problem: Problem, has_body: bool) -> Error {
    let source = problem.source.unwrap_or(if has_body { Source::Form } else { Source::Query });
    let error = if source == Source::Form { Error::invalid(WRONG) } else { Error::bad_request(WRONG) };
    problem.add_to(error, source)
}

/// Texts only: head and form.
struct Merged<'a> {
    head: Head<'a>,
    body: Vec<Pair<'a>>,
}

impl<'a> Merged<'a> {
    fn keyed(self) -> Result<Keyed<'a>, Problem> {
        let Self { head, body } = self;
        let mut in_body: Vec<&str> = body.iter().map(|pair| &*pair.name).collect();
        in_body.sort_unstable();
        let mut pairs = Vec::with_capacity(head.path.len() + head.query.len() + body.len());
        for pair in &head.query {
            if head.admits(pair)? && in_body.binary_search(&&*pair.name).is_err() {
                pairs.push(pair.clone());
            }
        }
        for pair in &body {
            if head.admits(pair)? {
                pairs.push(pair.clone());
            }
        }
        pairs.extend(head.path);
        Ok(Keyed(pairs))
    }
}

impl<'de> Deserializer<'de> for Merged<'de> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.keyed()?.deserialize_any(visitor)
    }
    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.head.keep(fields);
        self.keyed()?.deserialize_struct(name, fields, visitor)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! { bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes
    byte_buf unit_struct seq tuple tuple_struct map enum identifier ignored_any }
}
