//! Redirects, with a `Location` that is safe to send.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::{IntoResponse, Response};
use crate::error::{Error, Result};

/// What may not stand in a URI as it is (RFC 3986, appendix A); `%` may, because it begins an escape.
const NO_URI: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Sends the client elsewhere.
///
/// What may not stand in a URI (spaces, line breaks, text that is not ASCII) is percent-encoded, so that nothing can
/// end the header. Where the client is sent is yours to judge; a target that came with the request belongs into
/// [`Redirect::local`].
#[derive(Debug, Clone)]
pub struct Redirect {
    status: StatusCode,
    location: Cow<'static, str>,
}

impl Redirect {
    /// 302: elsewhere, this time.
    pub fn found(location: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::FOUND, location: location.into() }
    }
    /// 303: look for the result there, with GET.
    pub fn see_other(location: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::SEE_OTHER, location: location.into() }
    }
    /// 307: elsewhere, this time, with the same method.
    pub fn temporary(location: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::TEMPORARY_REDIRECT, location: location.into() }
    }
    /// 308: elsewhere, from now on, with the same method.
    pub fn permanent(location: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::PERMANENT_REDIRECT, location: location.into() }
    }
    /// 303 to a path of this server. It refuses whatever a browser would read as another host: `https://elsewhere`,
    /// `//elsewhere`, `/\elsewhere`. For targets that came with the request, such as `?next=/orders`.
    ///
    /// # Errors
    /// 400 naming `field` if it is no such path.
    pub fn local(field: &'static str, path: impl Into<Cow<'static, str>>) -> Result<Self> {
        let path = path.into();
        // Browsers drop tabs and line breaks before they read a URL, and take `\` for `/`.
        let plain = |c: char| !c.is_control() && c != '\\';
        if path.starts_with('/') && !path.starts_with("//") && path.chars().all(plain) {
            return Ok(Self::see_other(path));
        }
        Err(Error::bad_request("the target of the redirect is refused")
            .field(field, "must be a path of this server, such as `/orders`"))
    }
    /// With a status of your own.
    ///
    /// # Errors
    /// 500 if it is none of 300, 301, 302, 303, 307 and 308: a client follows no other.
    pub fn with_status(status: StatusCode, location: impl Into<Cow<'static, str>>) -> Result<Self> {
        if !matches!(status.as_u16(), 300..=303 | 307 | 308) {
            let problem = format!("a redirect's status is {status}, but must be 300 to 303, 307 or 308");
            return Err(Error::internal(problem));
        }
        Ok(Self { status, location: location.into() })
    }
}

impl IntoResponse for Redirect {
    fn into_response(self) -> Result<Response> {
        let location: Cow<'_, str> = utf8_percent_encode(&self.location, NO_URI).into();
        let location = HeaderValue::try_from(&*location)?;
        Ok(Response::new(self.status, Bytes::new()).header(header::LOCATION, location))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(location: &'static str, sent: &str) {
        let response = Redirect::found(location).into_response().unwrap();
        assert_eq!(response.headers()[header::LOCATION], sent);
    }

    #[test]
    fn a_plain_target_is_sent_as_it_is() {
        check("/orders?page=2&of=%2F#end", "/orders?page=2&of=%2F#end");
    }
    #[test]
    fn text_that_is_not_ascii_is_encoded() {
        check("/straße", "/stra%C3%9Fe");
    }
    #[test]
    fn a_line_break_cannot_end_the_header() {
        check("/a\r\nset-cookie: a=b", "/a%0D%0Aset-cookie:%20a=b");
    }

    #[test]
    fn only_paths_of_this_server_are_local() {
        assert!(Redirect::local("next", "/orders?page=2").is_ok());
        for target in
            ["", "orders", "//evil", "/\\evil", "\\\\evil", "https://evil", "/\t/evil", "javascript:x"]
        {
            let error = Redirect::local("next", target).unwrap_err();
            assert_eq!((error.status().as_u16(), &*error.fields()[0].field), (400, "next"), "{target:?}");
        }
    }
    #[test]
    fn not_every_3xx_is_a_redirect() {
        for status in [200, 304, 305, 306, 404] {
            assert!(Redirect::with_status(StatusCode::from_u16(status).unwrap(), "/").is_err(), "{status}");
        }
        assert!(Redirect::with_status(StatusCode::MOVED_PERMANENTLY, "/").is_ok());
    }
}
