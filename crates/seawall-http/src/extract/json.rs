//! JSON bodies, in and out.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::content_type::{self, Kind};
use super::{Extract, WholeBody, wrong_form};
use crate::context::Context;
use crate::error::{Error, Result};

/// The body, which is JSON; as an answer, JSON with status 200.
///
/// Refusals: 415 if `Content-Type` says something else, 400 for what is no JSON (with line and column), 422 for JSON
/// of another shape (naming the field), 413 over the limit.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> Json<T> {
    pub(crate) async fn read(c: &Context) -> Result<Self> {
        match content_type::kind(c) {
            None | Some((Kind::Json, _)) => parse(&c.body().await?).map(Json),
            Some((_, kind)) => Err(content_type::refuse("the body must be JSON", kind, "application/json")),
        }
    }
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        refuse(&path, error.inner())
    })?;
    reader.end().map_err(|error| refuse("", &error))?;
    Ok(value)
}

pub(super) fn refuse(path: &str, error: &serde_json::Error) -> Error {
    match error.classify() {
        Category::Data => {
            wrong_form(Error::invalid("the body is not what was expected"), path, "body", error)
        }
        Category::Syntax | Category::Eof | Category::Io => {
            Error::bad_request("the body is not valid JSON").field("body", error)
        }
    }
}

impl<T: DeserializeOwned> Extract<WholeBody> for Json<T> {
    async fn extract(c: &Context) -> Result<Self> {
        Self::read(c).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, status: u16, field: &str, problem: &str) {
        #[derive(Debug, serde::Deserialize)]
        struct Order {
            #[expect(dead_code, reason = "only its form matters here")]
            lines: Vec<u8>,
        }
        let error = parse::<Order>(body.as_bytes()).unwrap_err();
        assert_eq!(error.status(), status);
        assert_eq!(error.fields()[0].field, field);
        assert!(error.fields()[0].message.contains(problem), "{error:?}");
    }

    #[test]
    fn what_is_no_json_is_400_with_its_place() {
        check(r#"{"lines": [1,}"#, 400, "body", "line 1 column 14");
        check("", 400, "body", "EOF");
        check(r#"{"lines": []} x"#, 400, "body", "trailing characters");
    }
    #[test]
    fn a_missing_field_is_named_with_its_place() {
        #[derive(Debug, serde::Deserialize)]
        struct Line {
            #[expect(dead_code, reason = "only its form matters here")]
            sku: String,
        }
        #[derive(Debug, serde::Deserialize)]
        struct Cart {
            #[expect(dead_code, reason = "only its form matters here")]
            lines: Vec<Line>,
        }
        let error = parse::<Cart>(br#"{"lines": [{"sku": "a"}, {}]}"#).unwrap_err();
        assert_eq!(error.fields()[0].field, "lines[1].sku");
    }
    #[test]
    fn another_shape_is_422_with_its_field() {
        check(r#"{"lines": [1, 300]}"#, 422, "lines[1]", "expected u8");
        check("{}", 422, "lines", "is missing");
        check("[]", 422, "body", "invalid length 0");
    }
}
