//! One address for each page: `https` in place of `http`, with `www.` or without.

use std::net::Ipv4Addr;

use seawall_core::ConfigError;
use serde::Deserialize;

use super::{Middleware, Next, Step, before};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::respond::Response;

/// Where requests belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CanonicalRedirectConfig {
    /// What the address looks like. Default: `https`.
    pub to: CanonicalUrl,
    /// The status: 301, 302, 303, 307 or 308. Default 301, after which a browser sends GET; with 308 the method and the
    /// body stay.
    pub code: u16,
    /// The port of `https`. Default 443, which is left out of the address. Where the scheme changes, the port of the
    /// old one means nothing and is dropped.
    pub https_port: u16,
}

/// What an address looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CanonicalUrl {
    /// `https://`, and the host as it is.
    #[default]
    Https,
    /// `https://www.`
    HttpsWww,
    /// `https://`, without `www.`
    HttpsNonWww,
    /// `www.`, whatever the scheme.
    Www,
    /// Without `www.`, whatever the scheme.
    NonWww,
}

impl Default for CanonicalRedirectConfig {
    fn default() -> Self {
        Self { to: CanonicalUrl::Https, code: 301, https_port: 443 }
    }
}

/// Sends whoever comes to another address to the right one, with path and query.
///
/// The scheme is [`Context::scheme`], the host [`Context::host`]: behind a proxy that ends TLS, say so with
/// [`App::trust_proxies`](crate::App::trust_proxies), or every request is sent in circles. The host is the client's
/// word; one that is no host is a 400. Addresses of machines and names without a dot (`localhost`) get no `www.`.
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::{CanonicalRedirect, CanonicalRedirectConfig, CanonicalUrl};
///
/// let config = CanonicalRedirectConfig { to: CanonicalUrl::HttpsNonWww, code: 308, ..Default::default() };
/// let app = App::new().with(CanonicalRedirect::new(&config)?);
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct CanonicalRedirect(CanonicalRedirectConfig);

impl CanonicalRedirect {
    /// Checks the configuration.
    ///
    /// # Errors
    /// If the code is no redirect's, or the port is 0.
    pub fn new(config: &CanonicalRedirectConfig) -> Result<Self, ConfigError> {
        let CanonicalRedirectConfig { to: _, code, https_port } = *config;
        check_code("canonical_redirect.code", code)?;
        if https_port == 0 {
            return Err(ConfigError::new("canonical_redirect.https_port", 0, "1 to 65535"));
        }
        Ok(Self(*config))
    }

    fn look(&self, c: &Context) -> Result<Option<Response>> {
        let Some(host) = c.host() else { return Ok(None) }; // HTTP/1.0: there is nothing to compare
        let here = Address::read(c.scheme(), host)?;
        let there = here.canonical(&self.0);
        if there == here {
            return Ok(None);
        }
        let target = c.uri().path_and_query().map_or("/", |target| target.as_str());
        let target = if target.starts_with('/') { target } else { "/" }; // `*` is no place to go
        c.redirect(self.0.code, format!("{}{target}", there.text())).map(Some)
    }
}

/// Scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Address<'a> {
    https: bool,
    www: bool,
    /// Without `www.`.
    name: &'a str,
    port: Option<u16>,
}

impl<'a> Address<'a> {
    fn read(scheme: &str, host: &'a str) -> Result<Self> {
        let no_host = || Error::bad_request("the request's host is none");
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, Some(port.parse().map_err(|_| no_host())?)),
            _ => (host, None),
        };
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let in_brackets = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let sane = match in_brackets {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !name.is_empty() && name.bytes().all(fits),
        };
        if !sane {
            return Err(no_host());
        }
        let www = name.len() > 4 && name[..4].eq_ignore_ascii_case("www.");
        Ok(Self { https: scheme == "https", www, name: if www { &name[4..] } else { name }, port })
    }

    fn canonical(&self, config: &CanonicalRedirectConfig) -> Self {
        let (https, www) = match config.to {
            CanonicalUrl::Https => (true, self.www),
            CanonicalUrl::HttpsWww => (true, true),
            CanonicalUrl::HttpsNonWww => (true, false),
            CanonicalUrl::Www => (self.https, true),
            CanonicalUrl::NonWww => (self.https, false),
        };
        let may_have_www = self.name.contains('.') && self.name.parse::<Ipv4Addr>().is_err();
        let www = www && (self.www || may_have_www);
        let port = match https == self.https {
            true => self.port,
            false => Some(config.https_port).filter(|port| *port != 443),
        };
        Self { https, www, name: self.name, port }
    }

    fn text(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        let www = if self.www { "www." } else { "" };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}://{www}{}{port}", self.name)
    }
}

pub(super) fn check_code(field: &'static str, code: u16) -> Result<(), ConfigError> {
    let known = matches!(code, 301 | 302 | 303 | 307 | 308);
    known.then_some(()).ok_or_else(|| ConfigError::new(field, code, "301, 302, 303, 307 or 308"))
}

/// A target as a place on this host: `//elsewhere/` would be another host, and browsers read `\` as `/`.
pub(super) fn local(target: &str) -> String {
    format!("/{}", target.trim_start_matches(['/', '\\']))
}

impl Middleware for CanonicalRedirect {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        match self.look(&c)? {
            Some(elsewhere) => Ok(elsewhere),
            None => next.run(c).await,
        }
    }
    fn into_step(self) -> Step {
        before(move |c| self.look(c)).into_step()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Where `address` is sent to; nowhere if it is right.
    #[track_caller]
    fn check(to: CanonicalUrl, address: &str, expected: Option<&str>) {
        let (scheme, host) = address.split_once("://").unwrap();
        let here = Address::read(scheme, host).unwrap();
        let there = here.canonical(&CanonicalRedirectConfig { to, ..Default::default() });
        assert_eq!((there != here).then(|| there.text()).as_deref(), expected, "{address}");
    }

    #[test]
    fn http_is_sent_to_https() {
        check(CanonicalUrl::Https, "http://a.example", Some("https://a.example"));
        check(CanonicalUrl::Https, "http://www.a.example", Some("https://www.a.example"));
        check(CanonicalUrl::Https, "https://a.example", None);
    }
    #[test]
    fn the_port_of_http_is_none_of_https() {
        check(CanonicalUrl::Https, "http://a.example:8080", Some("https://a.example"));
        check(CanonicalUrl::Https, "https://a.example:8443", None);
        let here = Address::read("http", "[::1]:80").unwrap();
        let config = CanonicalRedirectConfig { https_port: 8443, ..Default::default() };
        assert_eq!(here.canonical(&config).text(), "https://[::1]:8443");
    }
    #[test]
    fn www_is_added() {
        check(CanonicalUrl::Www, "http://a.example:8080", Some("http://www.a.example:8080"));
        check(CanonicalUrl::HttpsWww, "http://a.example", Some("https://www.a.example"));
        check(CanonicalUrl::HttpsWww, "https://a.example", Some("https://www.a.example"));
        check(CanonicalUrl::HttpsWww, "https://WWW.a.example", None);
    }
    #[test]
    fn www_is_removed() {
        check(CanonicalUrl::NonWww, "http://www.a.example", Some("http://a.example"));
        check(CanonicalUrl::HttpsNonWww, "http://www.a.example", Some("https://a.example"));
        check(CanonicalUrl::HttpsNonWww, "https://a.example", None);
    }
    #[test]
    fn what_is_no_name_gets_no_www() {
        check(CanonicalUrl::Www, "http://localhost:3000", None);
        check(CanonicalUrl::Www, "http://127.0.0.1", None);
        check(CanonicalUrl::Www, "http://[::1]:80", None);
    }
    #[test]
    fn what_is_no_host_goes_nowhere() {
        for host in ["a b", "a/b", "a@b", "", "a:x", ":80", "[::1", "a\\b", "a:99999"] {
            assert_eq!(Address::read("http", host).unwrap_err().status(), 400, "{host}");
        }
    }
    #[test]
    fn a_redirect_stays_on_its_host() {
        assert_eq!(local("//elsewhere.example/a"), "/elsewhere.example/a");
        assert_eq!(local("/\\elsewhere.example"), "/elsewhere.example");
        assert_eq!(local("/a//b"), "/a//b");
    }
    #[test]
    fn the_configuration_is_checked() {
        let refused = |config| CanonicalRedirect::new(&config).unwrap_err().to_string();
        let text = refused(CanonicalRedirectConfig { code: 200, ..Default::default() });
        assert_eq!(text, "`canonical_redirect.code` is 200, but must be 301, 302, 303, 307 or 308");
        let text = refused(CanonicalRedirectConfig { https_port: 0, ..Default::default() });
        assert_eq!(text, "`canonical_redirect.https_port` is 0, but must be 1 to 65535");
    }

    proptest! {
        #[test]
        fn any_host_is_read_or_refused_and_the_right_address_stays(host in "\\PC{0,30}") {
            for to in [CanonicalUrl::Https, CanonicalUrl::HttpsWww, CanonicalUrl::HttpsNonWww] {
                let config = CanonicalRedirectConfig { to, ..Default::default() };
                if let Ok(here) = Address::read("http", &host) {
                    let there = here.canonical(&config);
                    prop_assert_eq!(there.canonical(&config), there.clone());
                }
            }
        }
    }
}
