//! The target's URL: where to connect, and what to ask for.
//!
//! Left out: other schemes. They are refused by name, not misunderstood.

use seawall_core::ConfigError;

/// A parsed `http://` or `https://` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The whole URL as given.
    pub(crate) url: String,
    pub(crate) tls: bool,
    /// Value of the `Host` field: name or address, and the port if it is not the scheme's.
    pub(crate) host: String,
    /// Name or address without brackets.
    pub(crate) name: String,
    pub(crate) port: u16,
    /// Path and query, at least `/`.
    pub(crate) path: String,
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, ConfigError> {
        let refuse = |allowed: &str| ConfigError::new("load.url", format!("`{url}`"), allowed.to_owned());
        const EXAMPLE: &str = "an http:// or https:// URL such as http://127.0.0.1:8080/path";
        let Some((scheme, rest)) = url.split_once("://") else { return Err(refuse(EXAMPLE)) };
        let (tls, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" | "ws" => (false, 80),
            "https" | "wss" => (true, 443),
            "unix" => return Err(refuse("an http:// URL, with the socket's path apart (--unix)")),
            _ => return Err(refuse(EXAMPLE)),
        };
        // Spaces inside of a template's braces are judged with the template.
        let blank = |byte: u8| byte == b' ' && url.contains("{{");
        if !url.bytes().all(|byte| byte.is_ascii_graphic() || blank(byte)) {
            return Err(refuse("a URL without spaces or other than ASCII characters (percent-encode them)"));
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(refuse("a URL without a user name: put credentials into a header (-H)"));
        }
        let (name, port) = split_port(authority, default_port)
            .filter(|(name, _)| name.bytes().all(|byte| byte.is_ascii_graphic()))
            .ok_or_else(|| refuse(EXAMPLE))?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let bracketed = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
        let host = if port == default_port { bracketed } else { format!("{bracketed}:{port}") };
        Ok(Self { url: url.to_owned(), tls, host, name: name.to_owned(), port, path })
    }
}

/// Host and port of `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split_port(authority: &str, default: u16) -> Option<(&str, u16)> {
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
        None => default,
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
        check("https://example", "example", "/");
        check("https://example:443/", "example", "/");
        check("https://example:80/", "example:80", "/");
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
        check_refused("http://::1/", "an http:// or https:// URL such as");
    }

    #[test]
    fn what_this_version_has_not_is_said() {
        check_refused("unix:///run/x.sock", "--unix");
        check_refused("h2c://example/", "an http:// or https:// URL such as");
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
            check_refused(url, "an http:// or https:// URL such as");
        }
        check_refused("http://h/a b", "without spaces");
        check_refused("http://u:p@h/", "without a user name");
    }
}
