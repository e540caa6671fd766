//! One server-sent event, and how it is written (WHATWG HTML, 9.2.5 "Parsing an event stream").

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::error::{Error, Result};

/// One server-sent event: `Event::data("42").event("price").id("7")`.
///
/// Data of several lines is sent as several `data:` lines, and the browser puts them together again. An `id` or an
/// `event` with a line break is refused when the event is sent: it could make further fields, or further events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    id: Option<Cow<'static, str>>,
    event: Option<Cow<'static, str>>,
    data: Option<Cow<'static, str>>,
    retry: Option<Duration>,
    comment: Option<Cow<'static, str>>,
}

impl Event {
    /// An event with this text.
    pub fn data(text: impl Into<Cow<'static, str>>) -> Self {
        Self { data: Some(text.into()), ..Self::default() }
    }
    /// An event with this value as JSON.
    ///
    /// # Errors
    /// 500 if it does not serialise.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        Ok(Self::data(serde_json::to_string(value)?))
    }
    /// A comment, which the browser drops; it may carry an id or a retry time.
    pub fn comment(text: impl Into<Cow<'static, str>>) -> Self {
        Self { comment: Some(text.into()), ..Self::default() }
    }

    /// The id that the browser sends back as `Last-Event-ID` when it reconnects; see
    /// [`Context::last_event_id`](crate::Context::last_event_id). Without line breaks and NUL.
    #[must_use]
    pub fn id(self, id: impl Into<Cow<'static, str>>) -> Self {
        Self { id: Some(id.into()), ..self }
    }
    /// The type of the event: whom it goes to in the page. Default `message`. Without line breaks.
    #[must_use]
    pub fn event(self, event: impl Into<Cow<'static, str>>) -> Self {
        Self { event: Some(event.into()), ..self }
    }
    /// How long the browser waits before it reconnects; sent in whole milliseconds.
    #[must_use]
    pub fn retry(self, after: Duration) -> Self {
        Self { retry: Some(after), ..self }
    }

    /// As it stands on the wire, with the empty line that ends it.
    pub(super) fn encode(&self) -> Result<Bytes> {
        let Self { id, event, data, retry, comment } = self;
        let mut text = String::new();
        for line in comment.as_deref().into_iter().flat_map(lines) {
            field(&mut text, "", line);
        }
        for (name, value) in [("event", event), ("id", id)] {
            let Some(value) = value else { continue };
            if value.contains(['\r', '\n', '\0']) {
                return Err(Error::internal(format!(
                    "an event's {name} has a line break or a NUL: {value:?}"
                )));
            }
            field(&mut text, name, value);
        }
        if let Some(retry) = retry {
            field(&mut text, "retry", &retry.as_millis().to_string());
        }
        for line in data.as_deref().into_iter().flat_map(lines) {
            field(&mut text, "data", line);
        }
        text.push('\n');
        Ok(text.into())
    }
}

fn field(text: &mut String, name: &str, value: &str) {
    text.extend([name, ": ", value, "\n"]);
}

/// The lines of a text as a browser cuts them: at CR LF, LF and CR. A text without one is one line, an empty one too.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(at) = text.find(['\r', '\n']) else { return rest.take() };
        let end = if text[at..].starts_with("\r\n") { at + 2 } else { at + 1 };
        rest = Some(&text[end..]);
        Some(&text[..at])
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(event: Event, wire: &str) {
        assert_eq!(event.encode().unwrap(), wire);
    }

    #[test]
    fn data_alone_is_one_line() {
        check(Event::data("hello"), "data: hello\n\n");
        check(Event::data(""), "data: \n\n");
    }
    #[test]
    fn every_field_has_its_line() {
        let event = Event::data("x").id("7").event("price").retry(Duration::from_millis(1500));
        check(event, "event: price\nid: 7\nretry: 1500\ndata: x\n\n");
        check(Event::comment("hi").id("8"), ": hi\nid: 8\n\n");
        check(Event::json(&[1, 2]).unwrap(), "data: [1,2]\n\n");
    }
    #[test]
    fn lines_become_fields_of_their_own() {
        check(Event::data("a\nb\r\nc\rd\n"), "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n");
        check(Event::comment("a\n\nevent: b"), ": a\n: \n: event: b\n\n");
    }
    #[test]
    fn nothing_slips_in_through_an_id_or_a_type() {
        for text in ["a\nb", "a\r", "\0"] {
            assert!(Event::data("x").id(text).encode().is_err());
            assert!(Event::data("x").event(text).encode().is_err());
        }
    }

    /// A naive reading of the standard: what a browser makes of the bytes.
    fn parse(wire: &str) -> (String, Vec<String>) {
        let unified = wire.replace("\r\n", "\n").replace('\r', "\n");
        let (mut data, mut others) = (Vec::new(), Vec::new());
        for line in unified.strip_suffix("\n\n").unwrap().split('\n') {
            match line.split_once(": ").unwrap() {
                ("data", value) => data.push(value.to_owned()),
                (name, value) => others.push(format!("{name}={value}")),
            }
        }
        (data.join("\n"), others)
    }

    proptest! {
        #[test]
        fn any_data_comes_back_and_adds_no_field(text in "(?s).*", id in "[a-z]*") {
            let wire = Event::data(text.clone()).id(id.clone()).encode().unwrap();
            let (data, others) = parse(std::str::from_utf8(&wire).unwrap());
            prop_assert_eq!(data, text.replace("\r\n", "\n").replace('\r', "\n"));
            prop_assert_eq!(others, vec![format!("id={id}")]);
        }
    }
}
