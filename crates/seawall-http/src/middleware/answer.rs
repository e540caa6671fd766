//! What several middlewares do with an answer: headers on successes and failures alike, and `Vary`.

use http::header::{HeaderMap, HeaderValue, VARY};

use crate::error::Result;
use crate::respond::Response;

/// The headers that the answer has or, for a failure, will get.
pub(super) fn headers_mut(answer: &mut Result<Response>) -> &mut HeaderMap {
    match answer {
        Ok(response) => response.headers_mut(),
        Err(error) => error.headers_mut(),
    }
}

/// Adds to `Vary`, unless it says so already. `name` is a single field name, in any case.
pub(super) fn vary(headers: &mut HeaderMap, name: &'static str) {
    let known = headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok());
    let mut names = known.flat_map(|value| value.split(',')).map(str::trim);
    if !names.any(|known| known == "*" || known.eq_ignore_ascii_case(name)) {
        headers.append(VARY, HeaderValue::from_static(name));
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
