//! What several middlewares do with an answer: headers on successes and failures alike, `Vary`, and the refusal that
//! hides no 405.

use http::header::{HeaderMap, HeaderName, HeaderValue, VARY};
use http::{Method, StatusCode, header};

use crate::context::Context;
use crate::error::{Error, Result, allow_value};
use crate::respond::{Fields, Response, Set};

/// The headers that the answer has or, for a failure, will get.
pub(super) fn headers_mut(answer: &mut Result<Response>) -> &mut HeaderMap {
    match answer {
        Ok(response) => response.headers_mut(),
        Err(error) => error.headers_mut(),
    }
}

/// The headers of an answer, to add to: without a map where there is none yet.
pub(super) enum Marks<'a> {
    Answer(&'a mut Fields),
    Failure(&'a mut HeaderMap),
}

impl<'a> Marks<'a> {
    /// Those that the answer has or, for a failure, will get.
    pub(super) fn of(answer: &'a mut Result<Response>) -> Self {
        match answer {
            Ok(response) => Self::Answer(response.fields_mut()),
            Err(error) => Self::Failure(error.headers_mut()),
        }
    }
    fn set(&self) -> Set<'_> {
        match self {
            Self::Answer(fields) => fields.set(),
            Self::Failure(map) => Set::Map(map),
        }
    }
    pub(super) fn has(&self, name: &HeaderName) -> bool {
        self.set().get(name).is_some()
    }
    /// Sets a header; it replaces those of its name.
    pub(super) fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        match self {
            Self::Answer(fields) => fields.insert(name, value),
            Self::Failure(map) => _ = map.insert(name, value),
        }
    }
    /// As [`vary`].
    pub(super) fn vary(&mut self, name: &'static str) {
        if varies(self.set(), name) {
            return;
        }
        match self {
            Self::Answer(fields) => fields.append(VARY, HeaderValue::from_static(name)),
            Self::Failure(map) => _ = map.append(VARY, HeaderValue::from_static(name)),
        }
    }
}

/// Adds to `Vary`, unless it says so already. `name` is a single field name, in any case.
pub(crate) fn vary(headers: &mut HeaderMap, name: &'static str) {
    Marks::Failure(headers).vary(name);
}

fn varies(set: Set<'_>, name: &str) -> bool {
    let says = |known: &str| known == "*" || known.eq_ignore_ascii_case(name);
    set.any(&VARY, |value| value.to_str().is_ok_and(|value| value.split(',').map(str::trim).any(says)))
}

/// What becomes of a request that a middleware does not let in. Where the path exists for other methods only, the
/// router's own word (405, or 204 for OPTIONS) is said here: a refusal must not hide it, and nothing further in may
/// run for a request that was refused.
pub(super) fn refuse(c: &Context, refusal: impl FnOnce() -> Error) -> Result<Response> {
    match c.other_methods() {
        None => Err(refusal()),
        Some(allow) if c.method() == Method::OPTIONS => {
            Ok(Response::new(StatusCode::NO_CONTENT, "").header(header::ALLOW, allow_value(allow)))
        }
        Some(allow) => Err(Error::method_not_allowed(allow)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &[&'static str], added: &'static str, after: &[&str]) {
        let mut headers: HeaderMap =
            before.iter().map(|value| (VARY, HeaderValue::from_static(value))).collect();
        vary(&mut headers, added);
        assert_eq!(headers.get_all(VARY).iter().collect::<Vec<_>>(), after);
    }

    #[test]
    fn vary_names_each_field_once() {
        check(&[], "Origin", &["Origin"]);
        check(&["Accept, origin"], "Origin", &["Accept, origin"]);
        check(&["Accept"], "Origin", &["Accept", "Origin"]);
        check(&["Accept", "Origin"], "Origin", &["Accept", "Origin"]);
    }
    #[test]
    fn a_star_says_it_all() {
        check(&["*"], "Origin", &["*"]);
    }
    #[test]
    fn a_longer_name_is_another() {
        check(&["Original"], "Origin", &["Original", "Origin"]);
    }
}
