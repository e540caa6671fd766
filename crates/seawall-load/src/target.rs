//! The target's URL: where to connect, and what to ask for.
//!
//! Left out: `https`, `unix`, HTTP/2. They are refused by name, not misunderstood.

use std::net::{SocketAddr, ToSocketAddrs};

use seawall_core::ConfigError;

use crate::error::LoadError;

/// A parsed `http://` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The whole URL as given.
    pub(crate) url: String,
    /// Value of the `Host` field: name or address, and the port if it is not 80.
    pub(crate) host: String,
    /// Name or address without brackets.
    name: String,
    port: u16,
    /// Path and query, at least `/`.
    pub(crate) path: String,
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, ConfigError> {
        let refuse = |allowed: &str| ConfigError::new("load.url", format!("`{url}`"), allowed.to_owned());
        const EXAMPLE: &str = "an http:// URL such as http://127.0.0.1:8080/path";
        let Some((scheme, rest)) = url.split_once("://") else { return Err(refuse(EXAMPLE)) };
        match scheme.to_ascii_lowercase().as_str() {
            "http" => {}
            "https" => return Err(refuse("an http:// URL: this version has no TLS yet")),
            "unix" => return Err(refuse("an http:// URL: this version has no unix sockets yet")),
            "h2" | "h2c" => return Err(refuse("an http:// URL: this version speaks HTTP/1.1 only")),
            _ => return Err(refuse(EXAMPLE)),
        }
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refuse("a URL without spaces or other than ASCII characters (percent-encode them)"));
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(refuse("a URL without a user name: put credentials into a header (-H)"));
        }
        let (name, port) = split_port(authority).ok_or_else(|| refuse(EXAMPLE))?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let bracketed = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
        let host = if port == 80 { bracketed } else { format!("{bracketed}:{port}") };
        Ok(Self { url: url.to_owned(), host, name: name.to_owned(), port, path })
    }

    /// The first address of the host. Blocks while the name is looked up.
    pub(crate) fn resolve(&self) -> Result<SocketAddr, LoadError> {
        let nothing = || std::io::Error::new(std::io::ErrorKind::NotFound, "no address found");
        (self.name.as_str(), self.port)
            .to_socket_addrs()
            .and_then(|mut addresses| addresses.next().ok_or_else(nothing))
            .map_err(|source| LoadError::Resolve { host: self.name.clone(), source })
    }
}

/// Host and port of `host`, `host:port`, `[v6]` or `[v6]:port`; the port is 80 if not given.
fn split_port(authority: &str) -> Option<(&str, u16)> {
    let (name, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (name, after) = rest.split_once(']')?;
            (name, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => match authority.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        None => 80,
        Some(port) => port.parse().ok().filter(|&port| port != 0)?,
    };
    (!name.is_empty()).then_some((name, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, host: &str, path: &str) {
        let target = Target::parse(url).unwrap();
        assert_eq!((target.host.as_str(), target.path.as_str()), (host, path), "{url}");
    }

    fn check_refused(url: &str, allowed: &str) {
        let error = Target::parse(url).unwrap_err().to_string();
        assert!(error.contains(allowed), "{error}");
    }

    #[test]
    fn port_and_path_have_defaults() {
        check("http://example", "example", "/");
        check("http://example:80", "example", "/");
        check("HTTP://example:8080?a=b", "example:8080", "/?a=b");
    }

    #[test]
    fn the_fragment_stays_at_home() {
        check("http://h:1/a/b?c=d#e", "h:1", "/a/b?c=d");
    }

    #[test]
    fn v6_addresses_need_brackets() {
        check("http://[::1]:8080/x", "[::1]:8080", "/x");
        check("http://[::1]", "[::1]", "/");
        check_refused("http://::1/", "an http:// URL such as");
    }

    #[test]
    fn what_this_version_has_not_is_said() {
        check_refused("https://example/", "no TLS yet");
        check_refused("unix:///run/x.sock", "no unix sockets yet");
        check_refused("h2c://example/", "HTTP/1.1 only");
    }

    #[test]
    fn nonsense_is_refused() {
        for url in [
            "",
            "example",
            "http://",
            "http://:80/",
            "http://h:0/",
            "http://h:99999/",
            "http://h:x/",
            "ftp://h/",
        ] {
            check_refused(url, "an http:// URL such as");
        }
        check_refused("http://h/a b", "without spaces");
        check_refused("http://u:p@h/", "without a user name");
    }
}
