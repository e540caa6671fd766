//! Text values of a request, into types of the user's: one serde format for path, query, headers, cookies and forms,
//! so that they all read, and refuse, alike.
//!
//! A name may come several times and then fills a list. A value that does not fit is named with its place, and with
//! what it should have been; the text itself is repeated only where it is no secret. Nothing nests: JSON does that.

mod keyed;
mod value;

use std::borrow::Cow;
use std::fmt;

use serde::de;

use crate::error::Error;

pub(crate) use keyed::{Absent, Keyed};
pub(crate) use value::{Value, unparsed};

/// The most bytes of a client's text that an error repeats.
const QUOTED: usize = 64;

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Path,
    Query,
    Header,
    Cookie,
    /// A form in the body, of either kind.
    Form,
}

impl Source {
    /// The error that the fields are added to. What is wrong in the head is a 400, what is wrong in the body a 422.
    pub(crate) fn refuse(self) -> Error {
        match self {
            Self::Path => Error::bad_request("invalid path parameter"),
            Self::Query => Error::bad_request("invalid query"),
            Self::Header => Error::bad_request("invalid header"),
            Self::Cookie => Error::bad_request("invalid cookie"),
            Self::Form => Error::invalid("the form is not what was expected"),
        }
    }

    /// The word for all of it, where the problem is in no single value.
    pub(crate) fn whole(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
            Self::Form => "body",
        }
    }

    /// Headers and cookies carry tokens, and errors end in logs: their text is never repeated.
    fn is_secret(self) -> bool {
        matches!(self, Self::Header | Self::Cookie)
    }
}

/// One value with its name, decoded.
#[derive(Debug, Clone)]
pub(crate) struct Pair<'a> {
    pub(crate) source: Source,
    pub(crate) name: Cow<'a, str>,
    pub(crate) value: Cow<'a, [u8]>,
}

/// What is wrong, and where.
#[derive(Debug)]
pub(crate) struct Problem {
    /// The name of the value; `None` until the place is known, and where there is none.
    pub(crate) field: Option<String>,
    pub(crate) source: Option<Source>,
    message: Message,
}

#[derive(Debug)]
enum Message {
    /// Completes the words "must be".
    MustBe(String),
    Says(String),
}

impl Problem {
    /// `message` about the value called `field`.
    pub(crate) fn of(source: Source, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: Some(field.into()), source: Some(source), message: Message::Says(message.into()) }
    }
    pub(crate) fn missing(field: impl Into<String>) -> Self {
        Self { field: Some(field.into()), source: None, message: Message::Says("is missing".to_owned()) }
    }
    fn somewhere(message: Message) -> Self {
        Self { field: None, source: None, message }
    }

    /// The answer; `default` is the source of a value that is nowhere.
    pub(crate) fn into_error(self, default: Source) -> Error {
        let source = self.source.unwrap_or(default);
        self.add_to(source.refuse(), default)
    }
    /// The same problem as one more field of `error`.
    pub(crate) fn add_to(self, error: Error, default: Source) -> Error {
        let message = self.to_string();
        match (self.field, self.source.unwrap_or(default)) {
            (Some(field), Source::Header) => error.field(field.replace('_', "-"), message),
            (Some(field), _) => error.field(field, message),
            (None, source) => error.field(source.whole(), message),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Message::MustBe(kind) => write!(f, "must be {kind}"),
            Message::Says(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::somewhere(Message::Says(message.to_string()))
    }
    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::somewhere(Message::MustBe(expected.to_string()))
    }
    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::somewhere(Message::MustBe(expected.to_string()))
    }
    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::somewhere(Message::MustBe(one_of(expected)))
    }
    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let message = Message::Says(format!("is not known here; known is {}", one_of(expected)));
        Self { field: Some(shortened(field)), source: None, message }
    }
    fn missing_field(field: &'static str) -> Self {
        Self::missing(field)
    }
    fn duplicate_field(field: &'static str) -> Self {
        let message = Message::Says("is given under two names".to_owned());
        Self { field: Some(field.to_owned()), source: None, message }
    }
}

/// `` `a`, `b` or `c` ``.
fn one_of(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => "nothing".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}

/// A client's text, short enough for an error.
pub(crate) fn shortened(text: &str) -> String {
    match text.len() {
        0..=QUOTED => text.to_owned(),
        _ => format!("{}…", &text[..text.floor_char_boundary(QUOTED)]),
    }
}
