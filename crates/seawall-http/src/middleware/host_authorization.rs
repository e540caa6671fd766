//! Only requests for hosts that are ours.

use std::collections::HashSet;
use std::net::IpAddr;

use seawall_core::ConfigError;
use serde::Deserialize;

use super::{Middleware, Next, Step, before};
use crate::app::{check_host, host_name};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::respond::Response;

/// Which hosts are ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostAuthorizationConfig {
    /// `shop.example`; `*.shop.example` for all below it, but not itself; an address. Without port, which does not
    /// matter. 1 to 1,024. Default: none, which is refused at start.
    pub hosts: Vec<String>,
}

/// Refuses requests for other hosts with 421, and those without one with 400.
///
/// A host is what the client says. Without this check it reaches every link, redirect, mail and cache key that is made
/// of it, and a page of an attacker whose name suddenly leads to this machine (DNS rebinding) may talk to a service that
/// thinks itself in private. The host is [`Context::host`]: behind a proxy, the one that the proxy vouches for if that
/// is configured.
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::{HostAuthorization, HostAuthorizationConfig};
///
/// let hosts = vec!["shop.example".to_owned(), "*.shop.example".to_owned()];
/// let ours = HostAuthorization::new(&HostAuthorizationConfig { hosts })?;
/// let app = App::new().with(ours.unless(|c| c.path() == "/livez")); // probes come by address
/// # use seawall_http::Middleware as _;
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct HostAuthorization {
    exact: HashSet<String>,
    /// What stands behind `*.`.
    suffixes: HashSet<String>,
}

impl HostAuthorization {
    /// Checks the configuration.
    ///
    /// # Errors
    /// If there is no host, too many, or one that is none.
    pub fn new(config: &HostAuthorizationConfig) -> Result<Self, ConfigError> {
        let HostAuthorizationConfig { hosts } = config;
        if !(1..=1024).contains(&hosts.len()) {
            return Err(ConfigError::new("host_authorization.hosts", hosts.len(), "1 to 1024 hosts"));
        }
        let (mut exact, mut suffixes) = (HashSet::new(), HashSet::new());
        for (at, host) in hosts.iter().enumerate() {
            let wrong = |must_be: String| {
                ConfigError::new(format!("host_authorization.hosts[{at}]"), format!("{host:?}"), must_be)
            };
            let written = host.to_ascii_lowercase();
            if let Ok(address) = written.parse::<IpAddr>() {
                exact.insert(address.to_string());
                continue;
            }
            let (set, name) = match written.strip_prefix("*.") {
                Some(suffix) => (&mut suffixes, suffix),
                None => (&mut exact, written.as_str()),
            };
            check_host(name).map_err(wrong)?;
            set.insert(name.to_owned());
        }
        Ok(Self { exact, suffixes })
    }

    fn look(&self, c: &Context) -> Result<Option<Response>> {
        let host = c.host().ok_or_else(|| Error::bad_request("this request has no host, or several"))?;
        match self.is_ours(host) {
            true => Ok(None),
            false => Err(Error::misdirected_request("this server does not answer for that host")),
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        let Some(name) = host_name(host) else { return false };
        if self.exact.contains(&*name) {
            return true;
        }
        if let Ok(address) = name.parse::<IpAddr>() {
            return self.exact.contains(&address.to_string()); // an address may be written in several ways
        }
        let mut behind_dots =
            name.match_indices('.').filter(|(at, _)| *at > 0).map(|(at, _)| &name[at + 1..]);
        behind_dots.any(|suffix| self.suffixes.contains(suffix))
    }
}

impl Middleware for HostAuthorization {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        match self.look(&c)? {
            Some(early) => Ok(early),
            None => next.run(c).await,
        }
    }
    fn into_step(self) -> Step {
        before(move |c| self.look(c)).into_step()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(hosts: &[&str]) -> Result<HostAuthorization, ConfigError> {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        HostAuthorization::new(&HostAuthorizationConfig { hosts })
    }
    #[track_caller]
    fn check(host: &str, expected: bool) {
        let ours = ours(&["shop.example", "*.Pages.example", "127.0.0.1", "::1"]).unwrap();
        assert_eq!(ours.is_ours(host), expected, "{host}");
    }

    #[test]
    fn case_port_and_final_dot_do_not_matter() {
        for host in
            ["shop.example", "SHOP.example:8080", "shop.example.", "127.0.0.1:80", "[::1]:80", "[0:0::1]"]
        {
            check(host, true);
        }
    }
    #[test]
    fn a_star_is_for_all_below() {
        check("a.pages.example", true);
        check("a.b.pages.example", true);
        check("pages.example", false);
        check(".pages.example", false);
        check("badpages.example", false);
    }
    #[test]
    fn everything_else_is_somebody_elses() {
        for host in [
            "",
            "evil.example",
            "shop.example.evil.example",
            "a.shop.example",
            "shop.example@evil",
            "[::2]",
            "[",
        ] {
            check(host, false);
        }
    }
    #[test]
    fn the_configuration_is_checked() {
        let problem = |hosts: &[&str]| ours(hosts).unwrap_err().field().to_owned();
        assert_eq!(problem(&[]), "host_authorization.hosts");
        assert_eq!(problem(&["a.example", "http://b.example"]), "host_authorization.hosts[1]");
        assert_eq!(problem(&["*"]), "host_authorization.hosts[0]");
        assert_eq!(problem(&["a.example:80"]), "host_authorization.hosts[0]");
    }
}
