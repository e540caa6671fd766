//! Which origins are let in: a pure comparison of texts, as RFC 6454 serialises them.

use seawall_core::ConfigError;

/// A list of origins, checked.
#[derive(Debug, Clone, Default)]
pub(in crate::middleware) struct Origins {
    pub(in crate::middleware) any: bool,
    exact: Vec<Box<str>>,
    /// `https://` and `.example.com:8443`.
    below: Vec<(Box<str>, Box<str>)>,
}

const ALLOWED: &str = "`*`, `null`, `scheme://host`, `scheme://host:port` or `scheme://*.host`, in lower case and without a path";

impl Origins {
    pub(in crate::middleware) fn new(field: &'static str, texts: &[String]) -> Result<Self, ConfigError> {
        let mut origins = Self::default();
        for text in texts {
            origins.add(text).ok_or_else(|| ConfigError::new(field, format!("{text:?}"), ALLOWED))?;
        }
        Ok(origins)
    }

    fn add(&mut self, text: &str) -> Option<()> {
        match text {
            "*" => self.any = true,
            "null" => self.exact.push(text.into()),
            text => {
                let (scheme, host) = text.split_once("://")?;
                let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
                let in_scheme = |byte: u8| plain(byte) || b"+-.".contains(&byte);
                if scheme.is_empty() || !scheme.bytes().all(in_scheme) {
                    return None;
                }
                match host.strip_prefix("*.") {
                    // Below a top level domain is everybody.
                    Some(parent) if is_host(parent) && parent.contains('.') => {
                        self.below.push((format!("{scheme}://").into(), format!(".{parent}").into()));
                    }
                    None if is_host(host) => self.exact.push(text.into()),
                    _ => return None,
                }
            }
        }
        Some(())
    }

    pub(in crate::middleware) fn has_null(&self) -> bool {
        self.exact.iter().any(|exact| **exact == *"null")
    }
    pub(in crate::middleware) fn is_empty(&self) -> bool {
        !self.any && self.exact.is_empty() && self.below.is_empty()
    }

    /// Whether the list names `origin`, or has a star for a domain above it, any number of labels below.
    pub(in crate::middleware) fn name(&self, origin: &str) -> bool {
        self.exact.iter().any(|exact| **exact == *origin)
            || self.below.iter().any(|(scheme, parent)| {
                let host = origin.strip_prefix(&**scheme).and_then(|rest| rest.strip_suffix(&**parent));
                host.is_some_and(is_labels)
            })
    }
}

/// Labels with dots between them, no port and no user in front.
fn is_labels(text: &str) -> bool {
    let in_label = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    text.split('.').all(|label| !label.is_empty() && label.bytes().all(in_label))
}

/// A host with or without a port; an IPv6 address stands in brackets.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_v6 = || {
        let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
    };
    let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    lower && port.is_none_or(|port| port.parse::<u16>().is_ok()) && (is_labels(host) || is_v6())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origins(texts: &[&str]) -> Result<Origins, ConfigError> {
        let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        Origins::new("cors.allow_origins", &texts)
    }
    #[track_caller]
    fn check(list: &str, origin: &str, named: bool) {
        assert_eq!(origins(&[list]).unwrap().name(origin), named, "{origin} of {list}");
    }
    #[track_caller]
    fn refused(text: &str) {
        let error = origins(&[text]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`cors.allow_origins` is {text:?}, but must be `*`")), "{error}");
    }

    #[test]
    fn an_exact_origin_is_all_of_it() {
        check("https://a.example", "https://a.example", true);
        check("https://a.example", "http://a.example", false);
        check("https://a.example", "https://a.example:8443", false);
        check("https://a.example", "https://a.example.evil", false);
        check("https://a.example:8443", "https://a.example:8443", true);
        check("http://[::1]:80", "http://[::1]:80", true);
        check("null", "null", true);
    }
    #[test]
    fn a_star_is_for_what_is_below() {
        check("https://*.example.com", "https://a.example.com", true);
        check("https://*.example.com", "https://a.b.example.com", true);
        check("https://*.example.com", "https://example.com", false);
        check("https://*.example.com", "https://evilexample.com", false);
        check("https://*.example.com", "https://.example.com", false);
        check("https://*.example.com", "http://a.example.com", false);
        check("https://*.example.com", "https://a.example.com:81", false);
        check("https://*.example.com:81", "https://a.example.com:81", true);
    }
    #[test]
    fn nothing_may_hide_before_the_star_s_domain() {
        check("https://*.example.com", "https://evil.test/.example.com", false);
        check("https://*.example.com", "https://evil.test:1.example.com", false);
        check("https://*.example.com", "https://user@.example.com", false);
        check("https://*.example.com", "https://evil.test#.example.com", false);
    }
    #[test]
    fn what_no_browser_sends_is_refused() {
        for text in
            ["", "example.com", "*.example.com", "https://", "https://a.example/", "https://A.example"]
        {
            refused(text);
        }
        for text in ["https://*", "https://*.com", "https://a.*.com", "HTTPS://a.example", "https://a:x"] {
            refused(text);
        }
        for text in ["https://[::1", "https://a..b", "https://a b"] {
            refused(text);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,24}", origin in ".{0,24}") {
            if let Ok(origins) = origins(&[&text]) {
                let _ = origins.name(&origin);
            }
        }
        /// What a star lets in ends in the domain and begins with the scheme, and has only labels between.
        #[test]
        fn a_star_lets_in_hosts_only(between in "[a-z.:/@#-]{0,8}") {
            let named = origins(&["https://*.example.com"]).unwrap().name(&format!("https://{between}.example.com"));
            let labels = between.split('.').all(|label| !label.is_empty() && !label.contains([':', '/', '@', '#']));
            prop_assert_eq!(named, labels);
        }
    }
}
