//! What an app says about how its requests are read and answered.

use std::time::Duration;

#[cfg(feature = "cookies")]
use crate::cookies::CookieKeys;
use crate::proxies::TrustedProxies;

/// Settings that concern single requests. Each worker has a copy, so that reading them costs nothing.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    /// Failures are told as `application/problem+json`.
    pub(crate) problem_json: bool,
    /// The most time that a caller's header may give; `None` if such headers are not looked at.
    pub(crate) longest_timeout: Option<Duration>,
    /// Whom to believe about the client.
    pub(crate) proxies: Option<TrustedProxies>,
    /// For signed and private cookies.
    #[cfg(feature = "cookies")]
    pub(crate) cookie_keys: Option<CookieKeys>,
}
