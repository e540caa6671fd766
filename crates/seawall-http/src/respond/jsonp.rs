//! JSONP: JSON as a call of a function that the client names, for pages that cannot use CORS.
//!
//! The name is the one thing of a request that comes back as code, so it must be a plain identifier path. The comment
//! in front keeps the name from being the first bytes of the answer, which old plug-ins took for a format of theirs
//! (Rosetta Flash, CVE-2014-4671).

use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::{NOSNIFF, Response};
use crate::error::{Error, Result};

/// RFC 9239.
const SCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");

/// Bytes of a callback's name.
const LONGEST_NAME: usize = 128;

pub(crate) fn jsonp<T: Serialize + ?Sized>(
    status: StatusCode,
    callback: &str,
    value: &T,
) -> Result<Response> {
    if !is_callback(callback) {
        let rule = format!(
            "must be a JavaScript identifier such as `app.show`, of at most {LONGEST_NAME} letters, digits, `_`, `$`"
        );
        return Err(Error::bad_request("invalid callback").field("callback", rule));
    }
    let json = serde_json::to_string(value)?;
    // Both are line ends in JavaScript before ES2019, and plain characters in JSON.
    let json = json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    let response = Response::new(status, format!("/**/{callback}({json});"));
    Ok(response.header(header::CONTENT_TYPE, SCRIPT).header(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF))
}

/// `name` or `name.name`, in ASCII.
fn is_callback(text: &str) -> bool {
    let first = |c: u8| c.is_ascii_alphabetic() || c == b'_' || c == b'$';
    let identifier = |name: &str| {
        let mut bytes = name.bytes();
        bytes.next().is_some_and(first) && bytes.all(|c| first(c) || c.is_ascii_digit())
    };
    text.len() <= LONGEST_NAME && text.split('.').all(identifier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_the_function_that_was_named() {
        let answer = jsonp(StatusCode::OK, "app.show", &["<\u{2028}>"]).unwrap();
        assert_eq!(answer.bytes().unwrap(), "/**/app.show([\"<\\u2028>\"]);");
        assert_eq!(answer.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }

    #[test]
    fn identifiers_are_callbacks() {
        for name in ["a", "_", "$", "jQuery1_2", "a.b.$c", &"x".repeat(128)] {
            assert!(is_callback(name), "{name}");
        }
    }
    #[test]
    fn nothing_else_is() {
        let long = "x".repeat(129);
        for name in
            ["", ".", "a.", ".a", "a..b", "1a", "a b", "a(b)", "a;b", "a[0]", "é", "a\n", "<a>", &long]
        {
            assert!(!is_callback(name), "{name}");
            assert_eq!(jsonp(StatusCode::OK, name, &1).unwrap_err().status(), 400);
        }
    }
}
