//! The token that opens the profiler: as a bearer, or as the password of basic authentication, which is the one form that
//! `go tool pprof http://any:TOKEN@host/...` can send.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq as _;

/// A secret. It is not shown when it is formatted.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// This text. An empty one lets nobody in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether a request carries it.
    pub(crate) fn is_in(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
            return false;
        };
        let Some((scheme, value)) = value.split_once(' ') else { return false };
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.is(value.trim().as_bytes());
        }
        let decoded = STANDARD.decode(value.trim()).unwrap_or_default();
        let password = decoded.iter().position(|byte| *byte == b':').map(|at| &decoded[at + 1..]);
        scheme.eq_ignore_ascii_case("basic") && password.is_some_and(|password| self.is(password))
    }

    fn is(&self, given: &[u8]) -> bool {
        // In the same time wherever they differ.
        !self.0.is_empty() && bool::from(self.0.as_bytes().ct_eq(given))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(token: &str, header: &str, expected: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, header.parse().unwrap());
        assert_eq!(Token::new(token).is_in(&headers), expected, "{header}");
    }

    #[test]
    fn it_comes_as_bearer_or_as_password() {
        check("open", "Bearer open", true);
        check("open", "bearer open", true);
        check("open", &format!("Basic {}", STANDARD.encode("any:open")), true);
    }
    #[test]
    fn anything_else_is_refused() {
        check("open", "Bearer opens", false);
        check("open", "open", false);
        check("open", &format!("Basic {}", STANDARD.encode("open")), false);
        check("open", "Basic ???", false);
        check("", "Bearer ", false);
        assert!(!Token::new("open").is_in(&HeaderMap::new()));
    }
    #[test]
    fn it_is_not_shown() {
        assert_eq!(format!("{:?}", Token::new("open")), "Token(..)");
    }
}
