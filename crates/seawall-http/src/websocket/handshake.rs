//! The opening handshake: is it one, may it, and what is answered (RFC 6455, 4.2). Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::error::{Error, Result};

pub(super) const WEBSOCKET: &str = "websocket";

/// The value of `Sec-WebSocket-Accept`.
///
/// # Errors
/// 426 for a request that asks for no WebSocket or another version of it, 400 naming the header for one that is not as
/// it should be.
pub(super) fn check(method: &Method, version: Version, headers: &HeaderMap) -> Result<HeaderValue> {
    if method != Method::GET || version != Version::HTTP_11 {
        return Err(refused("a WebSocket is asked for with GET and HTTP/1.1"));
    }
    if !lists(headers, &header::UPGRADE, WEBSOCKET) {
        return Err(upgrade_required());
    }
    if !lists(headers, &header::CONNECTION, "upgrade") {
        return Err(refused("not a WebSocket handshake").field("Connection", "must list `upgrade`"));
    }
    if text(headers, &header::SEC_WEBSOCKET_VERSION) != Some("13") {
        let error = upgrade_required().header(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return Err(error.field("Sec-WebSocket-Version", "must be 13"));
    }
    let has_body = headers.contains_key(header::TRANSFER_ENCODING)
        || text(headers, &header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    if has_body {
        return Err(refused("a WebSocket handshake has no body"));
    }
    let key = text(headers, &header::SEC_WEBSOCKET_KEY).unwrap_or_default();
    if STANDARD.decode(key).map_or(0, |bytes| bytes.len()) != 16 {
        return Err(
            refused("not a WebSocket handshake").field("Sec-WebSocket-Key", "must be 16 bytes in base64")
        );
    }
    Ok(HeaderValue::try_from(derive_accept_key(key.as_bytes())).expect("base64 is visible ASCII"))
}

fn upgrade_required() -> Error {
    Error::upgrade_required(HeaderValue::from_static(WEBSOCKET))
}

fn refused(message: &'static str) -> Error {
    Error::bad_request(message)
}

/// Whether one of the fields of this name has `token` in its list.
fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    list(headers, name).any(|listed| listed.eq_ignore_ascii_case(token))
}

fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let fields = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    fields.flat_map(|field| field.split(',')).map(str::trim)
}

/// The field's text, if it was sent once.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?;
    if all.next().is_some() { None } else { first.to_str().ok() }
}

/// Of the subprotocols known here, the first one that the client offers.
pub(super) fn select_protocol<'a>(
    headers: &HeaderMap,
    known: impl IntoIterator<Item = &'a str>,
) -> Result<Option<HeaderValue>> {
    let mut selected = None;
    for protocol in known {
        let is_token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
        if protocol.is_empty() || !protocol.bytes().all(is_token) {
            return Err(Error::internal(format!("the subprotocol {protocol:?} is no token")));
        }
        // Names of subprotocols are compared as they are (11.5).
        let offered = || list(headers, &header::SEC_WEBSOCKET_PROTOCOL).any(|offered| offered == protocol);
        if selected.is_none() && offered() {
            selected = Some(HeaderValue::try_from(protocol)?);
        }
    }
    Ok(selected)
}

/// The pages that may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origins {
    /// Those of the host that the request names.
    Same,
    Listed(Vec<String>),
    Any,
}

impl Origins {
    /// Whether a request with these headers may connect. One without `Origin` comes from no page.
    pub(super) fn allow(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let Ok(origin) = origin.to_str() else { return *self == Self::Any };
        match self {
            Self::Any => true,
            Self::Listed(listed) => listed.iter().any(|listed| listed.eq_ignore_ascii_case(origin)),
            Self::Same => {
                let host = text(headers, &header::HOST);
                let authority = origin.split_once("://").map(|(_, authority)| authority);
                authority.zip(host).is_some_and(|(page, here)| page.eq_ignore_ascii_case(here))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455, 1.3, with changes: a header that is given replaces the one of its name, and an empty
    /// value removes it.
    fn request(changes: &[(&str, &str)]) -> HeaderMap {
        let plain = [
            ("host", "server.example.com"),
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", "13"),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in plain.iter().chain(changes) {
            let name: HeaderName = name.parse().unwrap();
            headers.remove(&name);
            if !value.is_empty() {
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
        }
        headers
    }

    #[test]
    fn the_example_of_the_standard_is_accepted() {
        let accept = check(&Method::GET, Version::HTTP_11, &request(&[])).unwrap();
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
    #[test]
    fn lists_and_cases_are_read_as_http_has_them() {
        let headers = request(&[("connection", "keep-alive, UPGRADE"), ("upgrade", "h2c, WebSocket")]);
        assert!(check(&Method::GET, Version::HTTP_11, &headers).is_ok());
    }

    #[track_caller]
    fn refused(changes: &[(&str, &str)], status: u16, field: Option<&str>) {
        let error = check(&Method::GET, Version::HTTP_11, &request(changes)).unwrap_err();
        let named = error.fields().first().map(|field| &*field.field);
        assert_eq!((error.status().as_u16(), named), (status, field), "{changes:?}");
    }

    #[test]
    fn what_asks_wrong_hears_what_is_wrong() {
        refused(&[("upgrade", "")], 426, None);
        refused(&[("upgrade", "h2c")], 426, None);
        refused(&[("connection", "")], 400, Some("Connection"));
        refused(&[("connection", "close")], 400, Some("Connection"));
        refused(&[("sec-websocket-version", "")], 426, Some("Sec-WebSocket-Version"));
        refused(&[("sec-websocket-version", "8")], 426, Some("Sec-WebSocket-Version"));
        for key in ["", "short", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZSBpcyBsb25n", "!!!!"] {
            refused(&[("sec-websocket-key", key)], 400, Some("Sec-WebSocket-Key"));
        }
        refused(&[("content-length", "5")], 400, None);
        refused(&[("transfer-encoding", "chunked")], 400, None);
    }
    #[test]
    fn an_answer_of_426_says_what_to_upgrade_to() {
        let error =
            check(&Method::GET, Version::HTTP_11, &request(&[("sec-websocket-version", "8")])).unwrap_err();
        let answer = error.response();
        assert_eq!(answer.headers()[header::UPGRADE], "websocket");
        assert_eq!(answer.headers()[header::SEC_WEBSOCKET_VERSION], "13");
    }
    #[test]
    fn other_methods_and_versions_are_refused() {
        let refused = |method, version| check(&method, version, &request(&[])).unwrap_err().status();
        assert_eq!(refused(Method::POST, Version::HTTP_11), 400);
        assert_eq!(refused(Method::GET, Version::HTTP_10), 400);
        assert_eq!(refused(Method::GET, Version::HTTP_2), 400);
    }

    #[track_caller]
    fn selects(offered: &str, known: &[&str], expected: Option<&str>) {
        let headers = request(&[("sec-websocket-protocol", offered)]);
        let selected = select_protocol(&headers, known.iter().copied()).unwrap();
        assert_eq!(selected.as_ref().map(|value| value.to_str().unwrap()), expected);
    }

    #[test]
    fn our_order_of_subprotocols_counts() {
        selects("v1, v2", &["v2", "v1"], Some("v2"));
        selects("v1", &["v2", "v1"], Some("v1"));
        selects("V1", &["v1"], None);
        selects("", &["v1"], None);
    }
    #[test]
    fn a_subprotocol_that_is_no_token_is_our_mistake() {
        assert_eq!(select_protocol(&request(&[]), ["a b"]).unwrap_err().status(), 500);
    }

    #[track_caller]
    fn allows(origins: &Origins, origin: &str, expected: bool) {
        let headers = request(&[("origin", origin)]);
        assert_eq!(origins.allow(&headers), expected, "{origins:?} {origin:?}");
    }

    #[test]
    fn by_default_only_pages_of_this_host_may_connect() {
        allows(&Origins::Same, "", true);
        allows(&Origins::Same, "https://server.example.com", true);
        allows(&Origins::Same, "http://SERVER.example.com", true);
        allows(&Origins::Same, "https://server.example.com.evil.example", false);
        allows(&Origins::Same, "https://server.example.com:8443", false);
        allows(&Origins::Same, "null", false);
        allows(&Origins::Same, "server.example.com", false);
    }
    #[test]
    fn a_list_of_origins_is_taken_at_its_word() {
        let listed = Origins::Listed(vec!["https://shop.example".to_owned()]);
        allows(&listed, "https://shop.example", true);
        allows(&listed, "http://shop.example", false);
        allows(&listed, "https://server.example.com", false);
        allows(&Origins::Any, "null", true);
    }
}
