//! The route that a request found, and the way to others.

use std::borrow::Cow;
use std::fmt;

use super::Context;
use crate::error::Result;

impl Context {
    /// The path of the route that was called `name` with [`RouteOptions::name`](crate::RouteOptions::name):
    /// `c.url("user", &[("id", &7)])` gives `/users/7`. Values are percent-encoded; that of `*` keeps its slashes.
    ///
    /// # Errors
    /// 500, with the reason for the log, if there is no such route, or if it has other parameters, or if a value does
    /// not fit its parameter.
    pub fn url(&self, name: &str, params: &[(&str, &dyn fmt::Display)]) -> Result<String> {
        self.shared().names().url(name, params)
    }

    /// What the star of [`App::host`](crate::App::host) stands for in this request's host, in lower case:
    /// `ann` for `ann.example.com` on `*.example.com`. `None` where the route is bound to no such host.
    pub fn subdomain(&self) -> Option<Cow<'_, str>> {
        let pattern = self.matched()?.chain.host()?;
        crate::app::subdomain(pattern, crate::app::host_of(self)?)
    }
}
