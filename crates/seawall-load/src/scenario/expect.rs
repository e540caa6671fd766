//! What an answer must be, and what is taken from it: pure functions of the answer.

use regex::bytes::Regex;
use seawall_core::ConfigError;
use serde_json::Value;

use super::file;
use crate::users::{Answer, Opinion};

/// Most bytes of a compiled regular expression.
const MAX_REGEX: usize = 1 << 20;
/// Most bytes of an extracted value.
const MAX_VALUE: usize = 64 << 10;

/// A compiled expectation.
#[derive(Debug, Clone)]
pub(super) struct Expect {
    status: Vec<u16>,
    contains: Option<Vec<u8>>,
    matches: Option<Regex>,
    headers: Vec<(String, String)>,
    json: Vec<(String, Value)>,
}

/// A compiled extraction.
#[derive(Debug, Clone)]
pub(super) enum Extract {
    Json(String),
    Regex(Regex),
    Header(String),
}

impl Expect {
    pub(super) fn new(expect: file::Expect) -> Result<Self, ConfigError> {
        let file::Expect { status, body_contains, body_matches, headers, json } = expect;
        if let Some(wrong) = status.iter().find(|status| !(100..=999).contains(*status)) {
            return Err(ConfigError::new("scenario.expect.status", wrong, "a status such as 201"));
        }
        let json = json.into_iter().map(|(at, value)| {
            let value = serde_json::to_value(&value).map_err(|error| {
                ConfigError::new("scenario.expect.json", error, "a text, number, boolean, list or table")
            })?;
            Ok((pointer("scenario.expect.json", at)?, value))
        });
        Ok(Self {
            status,
            contains: body_contains.map(String::into_bytes),
            matches: body_matches
                .as_deref()
                .map(|text| regex("scenario.expect.body_matches", text))
                .transpose()?,
            headers: headers.into_iter().collect(),
            json: json.collect::<Result<_, ConfigError>>()?,
        })
    }

    pub(super) fn judge(&self, answer: &Answer<'_>) -> Opinion {
        let status =
            if self.status.is_empty() { answer.status < 400 } else { self.status.contains(&answer.status) };
        let contains = |wanted: &Vec<u8>| memchr::memmem::find(answer.body, wanted).is_some();
        let has = |(name, value): &(String, String)| answer.header(name) == Some(value);
        let met = status
            && self.contains.as_ref().is_none_or(contains)
            && self.matches.as_ref().is_none_or(|matches| matches.is_match(answer.body))
            && self.headers.iter().all(has)
            && self.json_is_met(answer.body);
        if met { Opinion::Expected } else { Opinion::Unexpected }
    }

    fn json_is_met(&self, body: &[u8]) -> bool {
        if self.json.is_empty() {
            return true;
        }
        let body: Option<Value> = serde_json::from_slice(body).ok();
        body.is_some_and(|body| self.json.iter().all(|(at, wanted)| body.pointer(at) == Some(wanted)))
    }
}

impl Extract {
    pub(super) fn new(extract: &file::Extract) -> Result<Self, ConfigError> {
        let file::Extract { json, regex: expression, header } = extract;
        match (json, expression, header) {
            (Some(at), None, None) => Ok(Self::Json(pointer("scenario.extract.json", at.clone())?)),
            (None, Some(text), None) => Ok(Self::Regex(regex("scenario.extract.regex", text)?)),
            (None, None, Some(name)) => Ok(Self::Header(name.clone())),
            _ => {
                let allowed = "exactly one of json, regex and header";
                Err(ConfigError::new("scenario.extract", "none or several", allowed))
            }
        }
    }

    /// Puts the value into `out`; false if the answer has none, or one above 64 KiB.
    pub(super) fn take(&self, answer: &Answer<'_>, out: &mut Vec<u8>) -> bool {
        out.clear();
        match self {
            Self::Json(at) => {
                let body: Option<Value> = serde_json::from_slice(answer.body).ok();
                match body.as_ref().and_then(|body| body.pointer(at)) {
                    None | Some(Value::Null) => return false,
                    Some(Value::String(text)) => out.extend_from_slice(text.as_bytes()),
                    Some(value) => out.extend_from_slice(value.to_string().as_bytes()),
                }
            }
            Self::Regex(regex) => {
                let found = regex.captures(answer.body);
                let Some(found) = found.and_then(|found| found.get(1).or_else(|| found.get(0))) else {
                    return false;
                };
                out.extend_from_slice(found.as_bytes());
            }
            Self::Header(name) => match answer.header(name) {
                None => return false,
                Some(value) => out.extend_from_slice(value.as_bytes()),
            },
        }
        out.len() <= MAX_VALUE
    }
}

fn pointer(field: &'static str, at: String) -> Result<String, ConfigError> {
    if at.is_empty() || at.starts_with('/') {
        return Ok(at);
    }
    Err(ConfigError::new(field, format!("`{at}`"), "a JSON pointer (RFC 6901), such as /items/0/id"))
}

fn regex(field: &'static str, text: &str) -> Result<Regex, ConfigError> {
    regex::bytes::RegexBuilder::new(text)
        .size_limit(MAX_REGEX)
        .build()
        .map_err(|error| ConfigError::new(field, format!("`{text}` ({error})"), "a regular expression"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 201 Created\r\nLocation: /orders/7\r\n\r\n";
    const BODY: &[u8] = br#"{"id": 7, "state": "new", "tags": ["a"], "none": null}"#;

    fn answer(status: u16) -> Answer<'static> {
        Answer::new(status, Duration::ZERO, HEAD, BODY)
    }

    fn check(expect: &str, met: bool) {
        let expect = Expect::new(toml::from_str(expect).unwrap()).unwrap();
        let wanted = if met { Opinion::Expected } else { Opinion::Unexpected };
        assert_eq!(expect.judge(&answer(201)), wanted);
    }

    fn check_taken(extract: &str, value: Option<&str>) {
        let extract = Extract::new(&toml::from_str(extract).unwrap()).unwrap();
        let mut out = Vec::new();
        let taken = extract.take(&answer(201), &mut out).then(|| String::from_utf8(out).unwrap());
        assert_eq!(taken.as_deref(), value);
    }

    #[test]
    fn everything_that_is_given_must_hold() {
        check("", true);
        check("status = [200, 201]", true);
        check("status = [200]", false);
        check("body_contains = 'new'", true);
        check("body_matches = '\"id\": \\d+'", true);
        check("body_matches = '^x'", false);
        check("headers = { location = '/orders/7' }", true);
        check("headers = { location = '/' }", false);
        check("json = { '/id' = 7, '/tags' = ['a'] }", true);
        check("json = { '/id' = 8 }", false);
        check("status = [201]\nbody_contains = 'old'", false);
    }

    #[test]
    fn a_status_of_400_is_unexpected_unless_it_is_expected() {
        let expect = |text| Expect::new(toml::from_str(text).unwrap()).unwrap();
        assert_eq!(expect("").judge(&answer(404)), Opinion::Unexpected);
        assert_eq!(expect("status = [404]").judge(&answer(404)), Opinion::Expected);
    }

    #[test]
    fn values_are_taken_from_json_text_and_fields() {
        check_taken("json = '/state'", Some("new"));
        check_taken("json = '/id'", Some("7"));
        check_taken("json = '/tags'", Some("[\"a\"]"));
        check_taken("json = '/none'", None);
        check_taken("regex = 'state\": \"(\\w+)'", Some("new"));
        check_taken("regex = 'ne.'", Some("new"));
        check_taken("regex = 'zzz'", None);
        check_taken("header = 'location'", Some("/orders/7"));
        check_taken("header = 'etag'", None);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused = |text: &str| Extract::new(&toml::from_str(text).unwrap()).unwrap_err().to_string();
        assert!(refused("json = 'id'").contains("`id`, but must be a JSON pointer"));
        assert!(refused("regex = '('").contains("a regular expression"));
        assert!(refused("").contains("exactly one of"));
    }
}
