//! What a browser keeps of an app's cookies, as far as a test of one host needs it: values, paths, removal. Domains,
//! `Secure` and the like are the browser's affair; a test looks at the header for them.

use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, header};
use parking_lot::Mutex;

/// More than browsers keep per site; the oldest goes first.
const MAX_COOKIES: usize = 256;

/// The cookies of one client.
#[derive(Debug, Default)]
pub(super) struct Jar(Mutex<Vec<Kept>>);

#[derive(Debug, PartialEq, Eq)]
struct Kept {
    name: String,
    path: String,
    value: String,
}

impl Jar {
    /// The value of the `Cookie` header for a request to `path`: longer paths first, then the older one.
    pub(super) fn header(&self, path: &str) -> Option<HeaderValue> {
        let kept = self.0.lock();
        let mut matching: Vec<_> = kept.iter().filter(|cookie| covers(&cookie.path, path)).collect();
        matching.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<_> =
            matching.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; ").try_into().ok())?
    }

    /// Takes what the answer to a request to `path` sets.
    pub(super) fn take(&self, headers: &HeaderMap, path: &str, now: SystemTime) {
        for line in headers.get_all(header::SET_COOKIE) {
            let Some((cookie, gone)) = line.to_str().ok().and_then(|line| read(line, path, now)) else {
                continue;
            };
            let mut kept = self.0.lock();
            let known =
                kept.iter().position(|known| (&known.name, &known.path) == (&cookie.name, &cookie.path));
            match (known, gone) {
                (Some(at), true) => _ = kept.remove(at),
                (Some(at), false) => kept[at] = cookie,
                (None, true) => {}
                (None, false) => {
                    if kept.len() == MAX_COOKIES {
                        kept.remove(0);
                    }
                    kept.push(cookie);
                }
            }
        }
    }
}

/// A `Set-Cookie` line, and whether it takes the cookie away. `Max-Age` goes before `Expires` (RFC 6265, 5.3).
fn read(line: &str, path: &str, now: SystemTime) -> Option<(Kept, bool)> {
    let mut pieces = line.split(';').map(str::trim);
    let (name, value) = pieces.next()?.split_once('=')?;
    let default_path = || path.rsplit_once('/').map_or("/", |(parent, _)| parent);
    let (mut own_path, mut by_age, mut by_date) = (None, None, false);
    for attribute in pieces {
        let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        match key.to_ascii_lowercase().as_str() {
            "path" if value.starts_with('/') => own_path = Some(value),
            "max-age" => by_age = value.parse::<i64>().ok().map(|age| age <= 0).or(by_age),
            "expires" => by_date = httpdate::parse_http_date(value).is_ok_and(|at| at <= now),
            _ => {}
        }
    }
    let path = own_path.unwrap_or_else(default_path).to_owned();
    let path = if path.is_empty() { "/".to_owned() } else { path };
    Some((Kept { name: name.to_owned(), path, value: value.to_owned() }, by_age.unwrap_or(by_date)))
}

/// RFC 6265, 5.1.4: the same, or below it.
fn covers(cookie: &str, path: &str) -> bool {
    let rest = path.strip_prefix(cookie);
    rest.is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Lines of `Set-Cookie` from `/shop/cart`, and what is sent back to `path`.
    #[track_caller]
    fn check(lines: &[&str], path: &str, expected: &str) {
        let jar = Jar::default();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let lines = lines.iter().map(|line| (header::SET_COOKIE, HeaderValue::from_str(line).unwrap()));
        jar.take(&lines.collect(), "/shop/cart", now);
        let sent = jar.header(path);
        assert_eq!(sent.as_ref().map_or("", |value| value.to_str().unwrap()), expected);
    }

    #[test]
    fn what_is_set_comes_back() {
        check(&["a=1; Path=/", "b=2; Path=/; HttpOnly"], "/", "a=1; b=2");
        check(&["a=1; Path=/", "a=2; Path=/"], "/", "a=2");
    }
    #[test]
    fn a_path_bounds_a_cookie() {
        check(&["a=1; Path=/shop", "b=2; Path=/"], "/shop/x", "a=1; b=2");
        check(&["a=1; Path=/shop"], "/shopping", "");
        check(&["a=1"], "/shop/other", "a=1");
        check(&["a=1"], "/", "");
    }
    #[test]
    fn a_removal_removes() {
        check(&["a=1; Path=/", "a=; Path=/; Max-Age=0"], "/", "");
        check(&["a=1; Path=/", "a=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], "/", "");
        check(&["a=1; Path=/; Max-Age=9; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], "/", "a=1");
        check(&["a=1; Path=/", "a=; Path=/shop; Max-Age=0"], "/", "a=1");
    }
    #[test]
    fn the_number_is_bound() {
        let lines: Vec<_> = (0..=MAX_COOKIES).map(|n| format!("c{n}=x; Path=/")).collect();
        let jar = Jar::default();
        let lines = lines.iter().map(|line| (header::SET_COOKIE, HeaderValue::from_str(line).unwrap()));
        jar.take(&lines.collect(), "/", SystemTime::UNIX_EPOCH);
        assert_eq!(jar.0.lock().len(), MAX_COOKIES);
    }
}
