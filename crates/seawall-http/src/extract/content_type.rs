//! What kind of body a request says it has.

use http::header;

use super::values::shortened;
use crate::context::Context;
use crate::error::Error;

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
pub(crate) const MULTIPART: &str = "multipart/form-data";

/// The kinds of bodies that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Json,
    Form,
    Multipart,
    Other,
}

/// The kind of the body, and the words in which the client says so; `None` if it does not say.
pub(crate) fn kind(c: &Context) -> Option<(Kind, &str)> {
    let value = c.headers().get(header::CONTENT_TYPE)?;
    Some(value.to_str().map_or((Kind::Other, "no visible text"), |text| (of(text), text)))
}

/// 415: `found` is what the body is, `expected` what it must be.
pub(crate) fn refuse(message: &'static str, found: &str, expected: &str) -> Error {
    let problem = format_args!("is `{}`, but must be {expected}", shortened(found));
    Error::unsupported_media_type(message).field("content-type", problem)
}

fn of(content_type: &str) -> Kind {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if is_json(kind) {
        Kind::Json
    } else if kind.eq_ignore_ascii_case(FORM) {
        Kind::Form
    } else if kind.eq_ignore_ascii_case(MULTIPART) {
        Kind::Multipart
    } else {
        Kind::Other
    }
}

/// `application/json`, and everything that ends in `+json` (RFC 6839).
fn is_json(kind: &str) -> bool {
    let suffix = kind.len().checked_sub(5).and_then(|at| kind.get(at..)).unwrap_or_default();
    let ends_with_json = kind.contains('/') && suffix.eq_ignore_ascii_case("+json");
    kind.eq_ignore_ascii_case("application/json") || ends_with_json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_several_names() {
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"] {
            assert_eq!(of(kind), Kind::Json, "{kind}");
        }
        for kind in ["text/plain", "+json", "json", "\u{e9}\u{e9}json", ""] {
            assert_eq!(of(kind), Kind::Other);
        }
    }
    #[test]
    fn forms_come_in_two_kinds() {
        assert_eq!(of("application/x-www-form-urlencoded;charset=UTF-8"), Kind::Form);
        assert_eq!(of("Multipart/Form-Data; boundary=x"), Kind::Multipart);
        assert_eq!(of("multipart/mixed; boundary=x"), Kind::Other);
    }
}
