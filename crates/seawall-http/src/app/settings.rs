//! Settings of an app that concern what a request says about itself, and how its failure is told.

use std::sync::Arc;
use std::time::Duration;

use super::App;
#[cfg(feature = "cookies")]
use crate::cookies::CookieKeys;
use crate::proxies::TrustedProxies;
use crate::standing::{RequestHead, Standing};

impl App {
    /// Tells every failure as [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) `application/problem+json`, see
    /// [`Error::problem`](crate::Error::problem), in place of `{"message": ..}`: those of handlers and extractors,
    /// 404, 405, 413 and panics. An [`App::on_error`] still decides; it may call either.
    ///
    /// What the HTTP engine itself refuses before there is a request (a malformed head, a head over its limit) has no
    /// body in either form.
    pub fn problem_json(mut self) -> Self {
        self.shared.settings.problem_json = true;
        self
    }

    /// Takes over at most `longest` of the time that a caller says it has left, in `grpc-timeout` or in
    /// `Seawall-Timeout-Ms` (one to eight digits, milliseconds). Once it is up, the answer is a 504 and the handler is
    /// dropped; a caller that has no time left gets its 504 before any middleware runs, or waits for nothing in the
    /// queue; a header of another form is a 400.
    ///
    /// By default any such time is taken over that is shorter than the configured deadline: it can only be tightened.
    /// It does not cover a streamed body; its producer may look at [`Context::deadline`](crate::Context::deadline).
    pub fn accept_timeouts(mut self, longest: Duration) -> Self {
        self.shared.settings.longest_timeout = Some(longest);
        self
    }
    /// Does not look at the time that a caller says it has left. Whoever may send the header may have 504s counted
    /// against this service; where that matters more than the work that is saved, switch it off.
    pub fn ignore_timeouts(mut self) -> Self {
        self.shared.settings.longest_timeout = None;
        self
    }

    /// Says how requests stand when not all can be served: their class, their tenant, their part of the users. It is
    /// asked only of those that have to queue, before there is a [`Context`](crate::Context), and must be quick. A
    /// route's own [`priority`](crate::RouteOptions::priority) counts more.
    ///
    /// ```
    /// use seawall_http::{App, RequestHead, Standing};
    ///
    /// let app = App::new().classify(|head: &RequestHead<'_>| match head.header("x-api-key") {
    ///     Some(key) => Standing::default().of_tenant(key),
    ///     None => Standing::default(),
    /// });
    /// ```
    pub fn classify(
        mut self,
        classify: impl Fn(&RequestHead<'_>) -> Standing + Send + Sync + 'static,
    ) -> Self {
        self.shared.settings.classify = Some(Arc::new(classify));
        self
    }

    /// Believes these proxies about who their client is: [`Context::client_ip`](crate::Context::client_ip),
    /// [`scheme`](crate::Context::scheme) and [`host`](crate::Context::host). Without it no header is believed, and
    /// the client is the peer.
    ///
    /// ```
    /// use seawall_http::{App, ProxyConfig, TrustedProxies};
    ///
    /// let config = ProxyConfig { trusted: vec!["private".to_owned()], ..ProxyConfig::default() };
    /// let app = App::new().trust_proxies(&TrustedProxies::new(&config)?);
    /// # Ok::<(), seawall_http::Error>(())
    /// ```
    pub fn trust_proxies(mut self, proxies: &TrustedProxies) -> Self {
        self.shared.settings.proxies = Some(proxies.clone());
        self
    }

    /// The secrets for signed and private cookies; see [`SetCookie::private`](crate::SetCookie::private).
    #[cfg(feature = "cookies")]
    pub fn cookie_keys(mut self, keys: CookieKeys) -> Self {
        self.shared.settings.cookie_keys = Some(keys);
        self
    }
}
