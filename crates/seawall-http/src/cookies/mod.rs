//! Cookies that an answer sets: RFC 6265, with what browsers have added since (`SameSite`, `Partitioned`, name
//! prefixes: draft-ietf-httpbis-rfc6265bis).
//!
//! Values are written and read as they are. RFC 6265 has no escapes, so a value with a space or a semicolon needs an
//! encoding that its reader knows, and is refused here; a private cookie takes any text. Reading is in
//! `cookie_header.rs`, keys for signed and private cookies in `keys.rs`.

#[cfg(feature = "cookies")]
mod keys;

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime};

use http::{HeaderValue, header};

use crate::error::{Error, Result};
use crate::respond::Response;

#[cfg(feature = "cookies")]
pub use keys::CookieKeys;

type Text = Cow<'static, str>;

/// Browsers drop a cookie whose name and value are longer together.
const MAX_PAIR: usize = 4096;
/// Browsers ignore an attribute that is longer.
const MAX_ATTRIBUTE: usize = 1024;

/// A cookie for the client, put onto an answer with [`Response::set_cookie`].
///
/// The defaults are the careful ones, because the careless ones are seldom noticed: `Secure`, `HttpOnly`,
/// `SameSite=Lax`, `Path=/`, no `Domain` (this host alone), and gone when the browser is closed. `Secure` cookies work
/// on `http://localhost` in Chromium and Firefox; for another plain host use [`SetCookie::secure`]`(false)`.
///
/// ```
/// use seawall_http::{Context, Response, Result, SetCookie};
/// use std::time::Duration;
///
/// async fn remember(c: Context) -> Result<Response> {
///     let theme = SetCookie::new("theme", "dark").max_age(Duration::from_secs(86_400)).http_only(false);
///     c.text(200, "as you wish")?.set_cookie(&theme)
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SetCookie {
    name: Text,
    value: Text,
    path: Option<Text>,
    domain: Option<Text>,
    max_age: Option<Duration>,
    expires: Option<SystemTime>,
    same_site: SameSite,
    secure: bool,
    http_only: bool,
    partitioned: bool,
}

/// Which requests that another site causes carry a cookie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SameSite {
    /// None, not even a click on a link to this site.
    Strict,
    /// A click on a link, but no form and no script.
    #[default]
    Lax,
    /// All of them; the cookie must be `Secure`, and needs other protection against forged requests.
    None,
}

impl SetCookie {
    /// A cookie with the careful defaults.
    pub fn new(name: impl Into<Text>, value: impl Into<Text>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            path: Some(Cow::Borrowed("/")),
            domain: None,
            max_age: None,
            expires: None,
            same_site: SameSite::default(),
            secure: true,
            http_only: true,
            partitioned: false,
        }
    }
    /// Tells the client to forget a cookie. Path and domain must be those that it was set with.
    pub fn removal(name: impl Into<Text>) -> Self {
        Self::new(name, "").max_age(Duration::ZERO).expires(SystemTime::UNIX_EPOCH)
    }

    /// The paths that get it: this one and those below it. Default `/`.
    #[must_use]
    pub fn path(self, path: impl Into<Text>) -> Self {
        Self { path: Some(path.into()), ..self }
    }
    /// The domain that gets it, with all its hosts. Default: this host alone.
    #[must_use]
    pub fn domain(self, domain: impl Into<Text>) -> Self {
        Self { domain: Some(domain.into()), ..self }
    }
    /// How long it is kept, in whole seconds; browsers cut it to 400 days. It goes before [`SetCookie::expires`].
    #[must_use]
    pub fn max_age(self, age: Duration) -> Self {
        Self { max_age: Some(age), ..self }
    }
    /// Until when it is kept, by the client's clock.
    #[must_use]
    pub fn expires(self, at: SystemTime) -> Self {
        Self { expires: Some(at), ..self }
    }
    /// Which requests from other sites carry it. Default `Lax`.
    #[must_use]
    pub fn same_site(self, same_site: SameSite) -> Self {
        Self { same_site, ..self }
    }
    /// Whether it is sent over TLS only. Default true.
    #[must_use]
    pub fn secure(self, secure: bool) -> Self {
        Self { secure, ..self }
    }
    /// Whether scripts are kept from it. Default true.
    #[must_use]
    pub fn http_only(self, http_only: bool) -> Self {
        Self { http_only, ..self }
    }
    /// Whether a page that is embedded elsewhere has one per site that embeds it (CHIPS). Default false.
    #[must_use]
    pub fn partitioned(self, partitioned: bool) -> Self {
        Self { partitioned, ..self }
    }
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The value, as it is sent.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The value of the `Set-Cookie` header.
    ///
    /// # Errors
    /// 500, naming what is wrong for the log: browsers would drop such a cookie without a word.
    pub fn to_header(&self) -> Result<HeaderValue> {
        if let Some(problem) = self.problem() {
            return Err(Error::internal(format!("the cookie `{}` {problem}", self.name.escape_default())));
        }
        let mut text = format!("{}={}", self.name, self.value);
        self.attributes(&mut text).expect("writing to a string never fails");
        Ok(HeaderValue::try_from(text)?)
    }

    fn attributes(&self, text: &mut String) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(text, "; Path={path}")?;
        }
        if let Some(domain) = &self.domain {
            write!(text, "; Domain={}", domain.trim_start_matches('.'))?;
        }
        if let Some(age) = self.max_age {
            write!(text, "; Max-Age={}", age.as_secs())?;
        }
        if let Some(at) = self.expires {
            write!(text, "; Expires={}", httpdate::fmt_http_date(at))?;
        }
        text.push_str(match self.same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        });
        for (set, flag) in
            [(self.secure, "; Secure"), (self.http_only, "; HttpOnly"), (self.partitioned, "; Partitioned")]
        {
            text.push_str(if set { flag } else { "" });
        }
        Ok(())
    }

    /// Why a browser would not keep it.
    fn problem(&self) -> Option<&'static str> {
        let in_attribute = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b';';
        let attribute = |text: &Text| text.len() <= MAX_ATTRIBUTE && text.bytes().all(in_attribute);
        let host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if self.name.is_empty() || !self.name.bytes().all(is_token) {
            return Some("has a name that is no token (letters, digits, and !#$%&'*+-.^_`|~)");
        }
        if !self.value.bytes().all(is_in_value) {
            return Some(
                "has a value with a space, quote, comma, semicolon, backslash or no ASCII: encode it",
            );
        }
        if self.name.len() + self.value.len() > MAX_PAIR {
            return Some("is longer than 4096 bytes, name and value together");
        }
        if self.path.as_ref().is_some_and(|path| !path.starts_with('/') || !attribute(path)) {
            return Some("has a path that does not start with `/`, or contains `;` or no ASCII");
        }
        if self.domain.as_ref().is_some_and(|domain| domain.is_empty() || !domain.bytes().all(host)) {
            return Some("has a domain that is no host name");
        }
        if self.expires.is_some_and(|at| !in_four_digit_years(at)) {
            return Some("expires before 1970 or after 9999");
        }
        if !self.secure && (self.partitioned || self.same_site == SameSite::None) {
            return Some("is not Secure, but SameSite=None and Partitioned need that");
        }
        self.prefix_problem()
    }

    /// What the name promises (rfc6265bis, 4.1.3). Browsers compare without case.
    fn prefix_problem(&self) -> Option<&'static str> {
        let begins = |prefix: &str| {
            self.name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
        };
        let bound_to_host = self.secure && self.path.as_deref() == Some("/") && self.domain.is_none();
        if begins("__Secure-") && !self.secure {
            return Some("is called __Secure-, but is not Secure");
        }
        if begins("__Host-") && !bound_to_host {
            return Some("is called __Host-, which needs Secure, Path=/ and no Domain");
        }
        if begins("__Http-") && !(self.secure && self.http_only) {
            return Some("is called __Http-, which needs Secure and HttpOnly");
        }
        if begins("__Host-Http-") && !self.http_only {
            return Some("is called __Host-Http-, which needs HttpOnly");
        }
        None
    }
}

/// Without the value, which may be a secret.
impl fmt::Debug for SetCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.attributes(&mut text)?;
        write!(f, "SetCookie({}=..{text})", self.name)
    }
}

impl Response {
    /// Sets a cookie; each call adds one.
    ///
    /// # Errors
    /// As [`SetCookie::to_header`].
    pub fn set_cookie(mut self, cookie: &SetCookie) -> Result<Self> {
        self.headers_mut().append(header::SET_COOKIE, cookie.to_header()?);
        Ok(self)
    }
}

impl Error {
    /// Sets a cookie with the answer, for example to remove one that is not valid any more.
    ///
    /// # Errors
    /// As [`SetCookie::to_header`].
    pub fn set_cookie(mut self, cookie: &SetCookie) -> Result<Self> {
        self.headers_mut().append(header::SET_COOKIE, cookie.to_header()?);
        Ok(self)
    }
}

/// What the date format of HTTP has room for.
fn in_four_digit_years(at: SystemTime) -> bool {
    const YEAR_10000: u64 = 253_402_300_800;
    at.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|since| since.as_secs() < YEAR_10000)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `cookie-octet` of RFC 6265, 4.1.1.
fn is_in_value(byte: u8) -> bool {
    (b'!'..=b'~').contains(&byte) && !b"\",;\\".contains(&byte)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(cookie: &SetCookie, expected: &str) {
        assert_eq!(cookie.to_header().unwrap(), expected);
    }
    #[track_caller]
    fn refused(cookie: &SetCookie, problem: &str) {
        let error = cookie.to_header().unwrap_err();
        assert_eq!(error.status(), 500);
        assert!(format!("{error:?}").contains(problem), "{error:?}");
    }

    #[test]
    fn the_defaults_are_careful() {
        check(&SetCookie::new("a", "1"), "a=1; Path=/; SameSite=Lax; Secure; HttpOnly");
    }
    #[test]
    fn each_attribute_has_its_place() {
        let cookie = SetCookie::new("a", "1")
            .path("/shop")
            .domain(".example.com")
            .max_age(Duration::from_millis(1_500))
            .expires(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777))
            .same_site(SameSite::Strict)
            .secure(false)
            .http_only(false);
        check(
            &cookie,
            "a=1; Path=/shop; Domain=example.com; Max-Age=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT; SameSite=Strict",
        );
        check(
            &SetCookie::new("a", "").same_site(SameSite::None).partitioned(true),
            "a=; Path=/; SameSite=None; Secure; HttpOnly; Partitioned",
        );
    }
    #[test]
    fn a_removal_has_expired_in_both_ways() {
        check(
            &SetCookie::removal("a").path("/x"),
            "a=; Path=/x; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; SameSite=Lax; Secure; HttpOnly",
        );
    }
    #[test]
    fn what_a_browser_would_drop_is_refused() {
        for name in ["", "a b", "a=b", "a;b", "\u{e9}", "a\n"] {
            refused(&SetCookie::new(name, "1"), "no token");
        }
        for value in ["a b", "a;b", "a,b", "\"a\"", "a\\b", "\u{e9}", "a\r\nSet-Cookie: b=2"] {
            refused(&SetCookie::new("a", value), "encode it");
        }
        refused(&SetCookie::new("a", "x".repeat(4096)), "4096");
        refused(&SetCookie::new("a", "1").path("shop"), "start with `/`");
        refused(&SetCookie::new("a", "1").path("/;Domain=evil"), "contains `;`");
        refused(&SetCookie::new("a", "1").path(format!("/{}", "x".repeat(1024))), "path");
        refused(&SetCookie::new("a", "1").domain("a.example; Secure"), "no host name");
        refused(&SetCookie::new("a", "1").same_site(SameSite::None).secure(false), "SameSite=None");
        let epoch = SystemTime::UNIX_EPOCH;
        refused(&SetCookie::new("a", "1").expires(epoch - Duration::from_secs(1)), "before 1970");
        refused(&SetCookie::new("a", "1").expires(epoch + Duration::from_secs(1 << 40)), "after 9999");
        refused(&SetCookie::new("a", "1").partitioned(true).secure(false), "Partitioned");
    }
    #[test]
    fn a_prefix_keeps_its_promise() {
        check(&SetCookie::new("__Host-a", "1"), "__Host-a=1; Path=/; SameSite=Lax; Secure; HttpOnly");
        refused(&SetCookie::new("__Host-a", "1").secure(false), "__Host-");
        refused(&SetCookie::new("__Host-a", "1").path("/x"), "__Host-");
        refused(&SetCookie::new("__host-a", "1").domain("a.example"), "__Host-");
        refused(&SetCookie::new("__Secure-a", "1").secure(false), "__Secure-");
        refused(&SetCookie::new("__Http-a", "1").http_only(false), "__Http-");
        refused(&SetCookie::new("__Host-Http-a", "1").http_only(false), "__Host-Http-");
    }
    #[test]
    fn debug_does_not_show_the_value() {
        let text = format!("{:?}", SetCookie::new("session", "hunter2"));
        assert_eq!(text, "SetCookie(session=..; Path=/; SameSite=Lax; Secure; HttpOnly)");
    }

    proptest! {
        /// Whatever is accepted is one header that a client reads as name and value, with no attribute of its own.
        #[test]
        fn no_text_breaks_out_of_its_place(name in ".{0,12}", value in ".{0,12}", path in "/.{0,12}") {
            let cookie = SetCookie::new(name.clone(), value.clone()).path(path.clone());
            if let Ok(header) = cookie.to_header() {
                let text = header.to_str().unwrap();
                let pieces: Vec<_> = text.split("; ").collect();
                let path = format!("Path={path}");
                prop_assert_eq!(&pieces[..], &[&*format!("{name}={value}"), &*path, "SameSite=Lax", "Secure", "HttpOnly"]);
                let back: HeaderMap =
                    [(header::COOKIE, HeaderValue::from_str(pieces[0]).unwrap())].into_iter().collect();
                let read: Vec<_> = crate::cookie_header::cookies(&back).collect();
                prop_assert_eq!(read, [(&*name, &*value)]);
            }
        }
    }
}
