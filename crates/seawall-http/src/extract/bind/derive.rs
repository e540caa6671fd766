//! What `#[derive(Bind)]` calls. It is public for the code that the derive writes, and for nobody else.
//!
//! Each field is read by itself, so that one answer names all that are wrong.

use serde::de::DeserializeOwned;
use smallvec::SmallVec;

use super::{WRONG, body_kind, body_pairs};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::extract::content_type::Kind;
use crate::extract::values::{Absent, Keyed, Pair, Problem, Source, Value};
use crate::extract::{cookie, header, json, path, query};

/// The body, by its content type; one that is not there is `None` for an `Option`.
///
/// # Errors
/// 400 for what is no JSON and for no body, 413, 415, and 422 naming the field.
pub async fn body<T: DeserializeOwned>(c: &Context) -> Result<T> {
    let bytes = c.body().await?;
    match body_kind(c, &bytes)? {
        None => T::deserialize(Absent("body")).map_err(|missing| missing.into_error(Source::Query)),
        Some(Kind::Json) => json::parse(&bytes),
        Some(_) => {
            let found = T::deserialize(Keyed(body_pairs(c, &bytes)?));
            found.map_err(|problem| problem.into_error(Source::Form))
        }
    }
}

/// Reads fields, and remembers what is wrong.
#[derive(Debug)]
pub struct Reader<'a> {
    c: &'a Context,
    path: Vec<Pair<'a>>,
    query: Vec<Pair<'a>>,
    problems: Vec<(Source, Problem)>,
    /// What is wrong with the body, or with the program.
    error: Option<Error>,
}

impl<'a> Reader<'a> {
    /// A reader of this request.
    ///
    /// # Errors
    /// 400 for a path parameter that is no text, and for a query of too many pairs.
    pub fn new(c: &'a Context) -> Result<Self> {
        let (path, query) = (path::pairs(c)?, query::pairs(c)?);
        Ok(Self { c, path, query, problems: Vec::new(), error: None })
    }

    /// A path parameter. That the route has none of this name is the program's mistake.
    pub fn path<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let found = of_name(&self.path, name);
        let missing = found.is_empty();
        let value = self.read(found, Source::Path, name);
        if missing && value.is_none() {
            self.error
                .get_or_insert_with(|| Error::internal(format!("this route has no parameter `{name}`")));
        }
        value
    }
    /// A key of the query.
    pub fn query<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        self.read(of_name(&self.query, name), Source::Query, name)
    }
    /// A key of the query, with what it is if it is missing.
    pub fn query_or<T: DeserializeOwned>(&mut self, name: &str, default: impl FnOnce() -> T) -> Option<T> {
        self.read_or(of_name(&self.query, name), Source::Query, name, default)
    }
    /// A header.
    pub fn header<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let c = self.c;
        self.read(header::pairs(c.headers(), name).collect(), Source::Header, name)
    }
    /// A header, with what it is if it is missing.
    pub fn header_or<T: DeserializeOwned>(&mut self, name: &str, default: impl FnOnce() -> T) -> Option<T> {
        let c = self.c;
        self.read_or(header::pairs(c.headers(), name).collect(), Source::Header, name, default)
    }
    /// A cookie.
    pub fn cookie<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        self.read(cookie::pairs(self.c).filter(|pair| pair.name == name).collect(), Source::Cookie, name)
    }
    /// A cookie, with what it is if it is missing.
    pub fn cookie_or<T: DeserializeOwned>(&mut self, name: &str, default: impl FnOnce() -> T) -> Option<T> {
        let found = cookie::pairs(self.c).filter(|pair| pair.name == name).collect();
        self.read_or(found, Source::Cookie, name, default)
    }
    /// What became of the body.
    pub fn keep<T>(&mut self, body: Result<T>) -> Option<T> {
        body.map_err(|error| self.error = Some(error)).ok()
    }

    fn read_or<T: DeserializeOwned>(
        &mut self,
        found: SmallVec<[Pair<'_>; 1]>,
        source: Source,
        name: &str,
        default: impl FnOnce() -> T,
    ) -> Option<T> {
        if found.is_empty() { Some(default()) } else { self.read(found, source, name) }
    }
    fn read<T: DeserializeOwned>(
        &mut self,
        found: SmallVec<[Pair<'_>; 1]>,
        source: Source,
        name: &str,
    ) -> Option<T> {
        let value = if found.is_empty() {
            T::deserialize(Absent(name))
        } else {
            T::deserialize(Value::several(found))
        };
        value.map_err(|problem| self.problems.push((source, problem))).ok()
    }

    /// The one error, with all fields. What is not about fields (413, 415, 500) stays what it is.
    pub fn into_error(self) -> Error {
        let about_fields =
            |error: &Error| !error.fields().is_empty() && matches!(error.status().as_u16(), 400 | 422);
        let body = match self.error {
            Some(error) if !about_fields(&error) => return error,
            body => body,
        };
        let in_head = !self.problems.is_empty();
        let broken = body.as_ref().is_some_and(|error| error.status().as_u16() == 400);
        let mut all = if in_head || broken { Error::bad_request(WRONG) } else { Error::invalid(WRONG) };
        for (source, problem) in self.problems {
            all = problem.add_to(all, source);
        }
        for field in body.iter().flat_map(Error::fields) {
            all = all.field(field.field.clone(), &field.message);
        }
        all
    }
}

fn of_name<'a>(pairs: &[Pair<'a>], name: &str) -> SmallVec<[Pair<'a>; 1]> {
    pairs.iter().filter(|pair| pair.name == name).cloned().collect()
}
