//! Where a host is: a socket address or a unix socket. And what of a URL says where to go.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use http::uri::{Authority, Scheme};
use http::{HeaderValue, Uri};

/// One place at which a host answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// A unix socket, by its path.
    Unix(PathBuf),
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A URL, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) secure: bool,
    /// In lower case, without brackets and port.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Name and port as the `Host` field and errors show them; the port only where it is not the usual one.
    pub(crate) authority: HeaderValue,
    /// The whole, as HTTP/2 sends it.
    pub(crate) uri: Uri,
}

/// Tells hosts apart: two URLs with the same key share everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct HostKey {
    pub(crate) secure: bool,
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
}

impl Target {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// What is wrong with it. The text never repeats the URL, which may carry secrets.
    pub(crate) fn parse(url: &str) -> Result<Self, &'static str> {
        // RFC 9110, section 4.2.4: never sent on, and a secret in a log if it were repeated.
        const USERINFO: &str = "the URL carries a user name or a password: use `basic_auth`";
        let without_fragment = url.split('#').next().unwrap_or_default();
        let uri: Uri = without_fragment.parse().map_err(|_| "the URL is not valid")?;
        let secure = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err("the URL has to begin with `http://` or `https://`"),
        };
        let authority = uri.authority().ok_or("the URL names no host")?;
        if authority.as_str().contains('@') {
            return Err(USERINFO);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if host.is_empty() {
            return Err("the URL names no host");
        }
        let usual = if secure { 443 } else { 80 };
        // `Authority::port` says none for one that is no number below 65,536, too.
        let port = match authority.as_str().strip_prefix(authority.host()).unwrap_or_default() {
            "" | ":" => usual,
            port => port[1..].parse().unwrap_or(0),
        };
        if port == 0 {
            return Err("the URL's port is not 1 to 65535");
        }
        let shown = shown(authority, port, usual);
        let authority = HeaderValue::try_from(shown).map_err(|_| "the URL's host is not valid")?;
        Ok(Self { secure, host, port, authority, uri })
    }

    pub(crate) fn key(&self) -> HostKey {
        HostKey { secure: self.secure, host: self.host.as_str().into(), port: self.port }
    }

    /// The host as an address, if it is one.
    pub(crate) fn literal(&self) -> Option<SocketAddr> {
        let ip: IpAddr = self.host.parse().ok()?;
        Some(SocketAddr::new(ip, self.port))
    }

    /// Path and query, as HTTP/1 sends them.
    pub(crate) fn origin_form(&self) -> Uri {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        // A URL may begin its query right behind the host.
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        path.parse().unwrap_or_else(|_| Uri::from_static("/"))
    }
}

fn shown(authority: &Authority, port: u16, usual: u16) -> String {
    let host = authority.host().to_ascii_lowercase();
    if port == usual { host } else { format!("{host}:{port}") }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, secure: bool, host: &str, port: u16, authority: &str, path: &str) {
        let target = Target::parse(url).unwrap();
        assert_eq!((target.secure, target.host.as_str(), target.port), (secure, host, port));
        assert_eq!(target.authority, authority);
        assert_eq!(target.origin_form().to_string(), path);
    }

    #[test]
    fn a_url_is_taken_apart() {
        check("http://Orders/a?b=c#d", false, "orders", 80, "orders", "/a?b=c");
        check("https://orders:443", true, "orders", 443, "orders", "/");
        check("http://orders:8080/", false, "orders", 8080, "orders:8080", "/");
        check("http://[::1]:8080/x", false, "::1", 8080, "[::1]:8080", "/x");
        check("http://orders?b=c", false, "orders", 80, "orders", "/?b=c");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_url() {
        for url in
            ["ftp://x/", "/x", "http://", "http://u:secret@x/", "http://x:0/", "http://x:99999/", "x y"]
        {
            let error = Target::parse(url).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn an_address_is_no_name() {
        let literal = |url: &str| Target::parse(url).unwrap().literal();
        assert_eq!(literal("http://127.0.0.1:1/"), Some("127.0.0.1:1".parse().unwrap()));
        assert_eq!(literal("http://[::1]/"), Some("[::1]:80".parse().unwrap()));
        assert_eq!(literal("http://localhost/"), None);
    }
}
