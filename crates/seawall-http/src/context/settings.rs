//! What an app says about how its requests are read and answered.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "cookies")]
use crate::cookies::CookieKeys;
use crate::proxies::TrustedProxies;
use crate::standing::Classify;

/// Settings that concern single requests. Each worker has a copy, so that reading them costs nothing.
#[derive(Clone)]
pub(crate) struct Settings {
    /// Failures are told as `application/problem+json`.
    pub(crate) problem_json: bool,
    /// The most time that a caller's header may give; `None` if such headers are not looked at.
    pub(crate) longest_timeout: Option<Duration>,
    /// How a request stands that has to queue.
    pub(crate) classify: Option<Arc<Classify>>,
    /// Whom to believe about the client.
    pub(crate) proxies: Option<TrustedProxies>,
    /// For signed and private cookies.
    #[cfg(feature = "cookies")]
    pub(crate) cookie_keys: Option<CookieKeys>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            problem_json: false,
            // It is tightened only: by what is configured for the app, or for the route.
            longest_timeout: Some(Duration::MAX),
            classify: None,
            proxies: None,
            #[cfg(feature = "cookies")]
            cookie_keys: None,
        }
    }
}
