//! Routes by host: which tree answers for `api.example.com`.
//!
//! A host is written as `api.example.com` or `*.example.com`; the star stands for one label or more. The exact host
//! comes first, then the longest suffix. The cost is one look-up per label of the request's host, whatever the
//! number of hosts. A request for a host that nobody named goes to the routes that are bound to none.

use std::borrow::Cow;
use std::collections::HashMap;

use http::header;

use crate::context::Context;
use crate::head::Head;
use crate::router::Tree;

/// The longest name that DNS allows; a longer host is none that anybody registered.
const MAX_HOST: usize = 253;

/// The trees of all hosts.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    trees: Vec<Tree>,
    exact: HashMap<String, usize>,
    /// By what stands behind `*.`.
    suffixes: HashMap<String, usize>,
}

impl Hosts {
    /// The tree for `host`, which a further call with the same host gives again; what is wrong with it, otherwise.
    pub(super) fn tree_mut(&mut self, host: &str) -> Result<&mut Tree, String> {
        let written = host.to_ascii_lowercase();
        let (hosts, name) = match written.strip_prefix("*.") {
            Some(suffix) => (&mut self.suffixes, suffix),
            None => (&mut self.exact, written.as_str()),
        };
        check(name)?;
        let new = self.trees.len();
        let at = *hosts.entry(name.to_owned()).or_insert(new);
        if at == new {
            self.trees.push(Tree::new());
        }
        Ok(&mut self.trees[at])
    }

    /// Does now what the first request to each host would do.
    pub(super) fn pack(&self) {
        self.trees.iter().for_each(Tree::pack);
    }

    /// The tree that answers for this request, if its host has one of its own.
    pub(super) fn find(&self, c: &Context) -> Option<&Tree> {
        if self.trees.is_empty() {
            return None;
        }
        self.find_name(host_of(c)?).map(|at| &self.trees[at])
    }

    /// As [`find`](Self::find), before there is a context.
    pub(super) fn find_for(&self, head: &Head) -> Option<&Tree> {
        if self.trees.is_empty() {
            return None;
        }
        let authority = head.uri().authority().map(http::uri::Authority::host);
        let host = authority.or_else(|| std::str::from_utf8(head.field(header::HOST.as_str())?).ok());
        self.find_name(host?).map(|at| &self.trees[at])
    }

    fn find_name(&self, host: &str) -> Option<usize> {
        let host = name_of(host).filter(|name| name.len() <= MAX_HOST)?;
        if let Some(at) = self.exact.get(&*host) {
            return Some(*at);
        }
        let mut behind_dots =
            host.match_indices('.').filter(|(at, _)| *at > 0).map(|(at, _)| &host[at + 1..]);
        behind_dots.find_map(|suffix| self.suffixes.get(suffix)).copied()
    }
}

/// What the star of `pattern` stands for in the request's host.
pub(crate) fn subdomain<'a>(pattern: &str, host: &'a str) -> Option<Cow<'a, str>> {
    let suffix_len = pattern.strip_prefix('*')?.len();
    match name_of(host)? {
        Cow::Borrowed(name) => Some(Cow::Borrowed(&name[..name.len().checked_sub(suffix_len)?])),
        Cow::Owned(mut name) => {
            name.truncate(name.len().checked_sub(suffix_len)?);
            Some(Cow::Owned(name))
        }
    }
}

/// The host that the client asked for: the target's where it names one (HTTP/2, proxies), else the `Host` header's.
pub(crate) fn host_of(c: &Context) -> Option<&str> {
    let authority = c.uri().authority().map(http::uri::Authority::host);
    authority.or_else(|| c.header(header::HOST))
}

/// The host without the port and the dot that may end it, in lower case; `None` for half an address.
pub(crate) fn name_of(host: &str) -> Option<Cow<'_, str>> {
    let name = match host.strip_prefix('[') {
        Some(address) => address.split_once(']')?.0,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
    Some(if lower { Cow::Borrowed(name) } else { Cow::Owned(name.to_ascii_lowercase()) })
}

/// Whether a name is one that a host may have; what is wrong with it, otherwise.
pub(crate) fn check(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.split('.').any(|label| label.is_empty() || !label.bytes().all(plain)) {
        return Err("a host is `api.example.com` or `*.example.com`, without a port".to_owned());
    }
    if name.len() > MAX_HOST {
        return Err(format!("it is {} bytes long, but must be at most {MAX_HOST}", name.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The host pattern that answers for `asked`, or `none`.
    #[track_caller]
    fn check(patterns: &[&str], asked: &str, expected: &str) {
        let mut hosts = Hosts::default();
        for pattern in patterns {
            hosts.tree_mut(pattern).unwrap();
        }
        let found = hosts.find_name(asked).map_or("none", |at| patterns[at]);
        assert_eq!(found, expected, "{asked} on {patterns:?}");
    }

    const HOSTS: &[&str] = &["example.com", "api.example.com", "*.example.com", "*.eu.example.com"];

    #[test]
    fn the_exact_host_comes_first() {
        check(HOSTS, "api.example.com", "api.example.com");
    }
    #[test]
    fn then_the_longest_suffix() {
        check(HOSTS, "a.eu.example.com", "*.eu.example.com");
        check(HOSTS, "a.b.us.example.com", "*.example.com");
    }
    #[test]
    fn a_star_is_never_empty() {
        check(&["*.example.com"], "example.com", "none");
        check(&["*.example.com"], ".example.com", "none");
    }
    #[test]
    fn case_port_and_final_dot_do_not_matter() {
        check(HOSTS, "API.Example.COM:8080", "api.example.com");
        check(HOSTS, "api.example.com.", "api.example.com");
    }
    #[test]
    fn a_suffix_ends_at_a_dot() {
        check(HOSTS, "badexample.com", "none");
    }
    #[test]
    fn an_address_is_a_host_like_any_other() {
        check(&["127.0.0.1", "*.com"], "127.0.0.1:80", "127.0.0.1");
    }
    #[test]
    fn the_same_host_has_one_tree() {
        let mut hosts = Hosts::default();
        for host in ["a.com", "A.com", "*.a.com"] {
            hosts.tree_mut(host).unwrap();
        }
        assert_eq!(hosts.trees.len(), 2);
    }
    #[test]
    fn bad_hosts_are_refused() {
        for bad in ["", "*", "*.", "a..b", "a/b", "http://a", "a.*.b", "*a.b"] {
            assert!(Hosts::default().tree_mut(bad).is_err(), "{bad}");
        }
    }
    #[test]
    fn what_the_star_stands_for() {
        assert_eq!(subdomain("*.example.com", "a.b.example.com:80").as_deref(), Some("a.b"));
        assert_eq!(subdomain("*.example.com", "ANN.example.com").as_deref(), Some("ann"));
        assert_eq!(subdomain("example.com", "example.com"), None);
    }
}
