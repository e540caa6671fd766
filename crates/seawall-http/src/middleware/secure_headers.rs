//! Headers that make browsers careful: HSTS, content sniffing, framing, content security policy and their kin.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::header;
use http::header::{HeaderName, HeaderValue};
use seawall_core::ConfigError;
use serde::Deserialize;

use super::answer::headers_mut;
use super::{Middleware, Next, Step, after, seconds};
use crate::context::Context;
use crate::error::Result;
use crate::respond::Response;

type Text = Cow<'static, str>;

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const EMBEDDER_POLICY: HeaderName = HeaderName::from_static("cross-origin-embedder-policy");

/// The shortest age with which browsers take a host into their list of preloaded ones.
const PRELOAD_AGE: Duration = Duration::from_secs(31_536_000);

/// What [`SecureHeaders`] sends. An empty text sends nothing; a header that the handler has set stays.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecureHeadersConfig {
    /// `X-Content-Type-Options`. Default `nosniff`.
    pub content_type_options: Text,
    /// `X-Frame-Options`: `DENY` or `SAMEORIGIN`. Default `SAMEORIGIN`.
    pub frame_options: Text,
    /// `X-XSS-Protection`. Default `0`, unlike Echo's `1; mode=block`: the filter of old browsers could be turned
    /// against the page, and new ones have none.
    pub xss_protection: Text,
    /// `Referrer-Policy`, for example `strict-origin-when-cross-origin`. Default: none.
    pub referrer_policy: Text,
    /// `Content-Security-Policy`. Default: none.
    pub content_security_policy: Text,
    /// Sends the policy as `Content-Security-Policy-Report-Only`: browsers tell, but enforce nothing. Default false.
    pub content_security_policy_report_only: bool,
    /// `Permissions-Policy`, for example `camera=(), geolocation=()`. Default: none.
    pub permissions_policy: Text,
    /// `Cross-Origin-Opener-Policy`, for example `same-origin`. Default: none.
    pub cross_origin_opener_policy: Text,
    /// `Cross-Origin-Resource-Policy`, for example `same-site`. Default: none.
    pub cross_origin_resource_policy: Text,
    /// `Cross-Origin-Embedder-Policy`, for example `require-corp`. Default: none.
    pub cross_origin_embedder_policy: Text,
    /// How long browsers shall use https only (`Strict-Transport-Security`, RFC 6797), in seconds. Sent over https
    /// alone, by the word of [`Context::scheme`]. Zero sends nothing. Default 0.
    #[serde(with = "seconds")]
    pub hsts_max_age: Duration,
    /// Whether that is meant for subdomains too. Default true.
    pub hsts_include_subdomains: bool,
    /// Asks browsers to build the host into their list, which is hard to undo. It needs a year of age and the
    /// subdomains. Default false.
    pub hsts_preload: bool,
}

impl Default for SecureHeadersConfig {
    fn default() -> Self {
        Self {
            content_type_options: Cow::Borrowed("nosniff"),
            frame_options: Cow::Borrowed("SAMEORIGIN"),
            xss_protection: Cow::Borrowed("0"),
            referrer_policy: Cow::Borrowed(""),
            content_security_policy: Cow::Borrowed(""),
            content_security_policy_report_only: false,
            permissions_policy: Cow::Borrowed(""),
            cross_origin_opener_policy: Cow::Borrowed(""),
            cross_origin_resource_policy: Cow::Borrowed(""),
            cross_origin_embedder_policy: Cow::Borrowed(""),
            hsts_max_age: Duration::ZERO,
            hsts_include_subdomains: true,
            hsts_preload: false,
        }
    }
}

/// Sends headers that make browsers careful, on failures too. A hook: nothing is made per request.
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::{SecureHeaders, SecureHeadersConfig};
/// use std::time::Duration;
///
/// let config = SecureHeadersConfig {
///     content_security_policy: "default-src 'self'".into(),
///     hsts_max_age: Duration::from_secs(31_536_000),
///     ..SecureHeadersConfig::default()
/// };
/// let app = App::new().with(SecureHeaders::new(&config)?);
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SecureHeaders(Arc<Set>);

#[derive(Debug)]
struct Set {
    always: Vec<(HeaderName, HeaderValue)>,
    /// Over https only.
    hsts: Option<HeaderValue>,
}

impl SecureHeaders {
    /// Headers as the configuration says.
    ///
    /// # Errors
    /// If a value is no header value, `frame_options` is neither of its two words, or the preload list would refuse
    /// the host.
    pub fn new(config: &SecureHeadersConfig) -> Result<Self, ConfigError> {
        let SecureHeadersConfig {
            content_type_options,
            frame_options,
            xss_protection,
            referrer_policy,
            content_security_policy,
            content_security_policy_report_only,
            permissions_policy,
            cross_origin_opener_policy,
            cross_origin_resource_policy,
            cross_origin_embedder_policy,
            hsts_max_age: _,
            hsts_include_subdomains: _,
            hsts_preload: _,
        } = config;
        if !["", "DENY", "SAMEORIGIN"].contains(&&**frame_options) {
            let allowed = "DENY, SAMEORIGIN or empty";
            return Err(ConfigError::new("secure_headers.frame_options", frame_options, allowed));
        }
        let csp = match content_security_policy_report_only {
            true => header::CONTENT_SECURITY_POLICY_REPORT_ONLY,
            false => header::CONTENT_SECURITY_POLICY,
        };
        let all = [
            (header::X_CONTENT_TYPE_OPTIONS, "content_type_options", content_type_options),
            (header::X_FRAME_OPTIONS, "frame_options", frame_options),
            (header::X_XSS_PROTECTION, "xss_protection", xss_protection),
            (header::REFERRER_POLICY, "referrer_policy", referrer_policy),
            (csp, "content_security_policy", content_security_policy),
            (PERMISSIONS_POLICY, "permissions_policy", permissions_policy),
            (OPENER_POLICY, "cross_origin_opener_policy", cross_origin_opener_policy),
            (RESOURCE_POLICY, "cross_origin_resource_policy", cross_origin_resource_policy),
            (EMBEDDER_POLICY, "cross_origin_embedder_policy", cross_origin_embedder_policy),
        ];
        let set = all.into_iter().filter(|(_, _, text)| !text.is_empty());
        let always = set.map(|(name, field, text)| Ok((name, value(field, text)?)));
        Ok(Self(Arc::new(Set { always: always.collect::<Result<_, ConfigError>>()?, hsts: hsts(config)? })))
    }

    fn mark(&self, c: &Context, answer: &mut Result<Response>) {
        let Set { always, hsts } = &*self.0;
        let headers = headers_mut(answer);
        headers.reserve(always.len() + 1);
        for (name, value) in always {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        if let Some(hsts) = hsts
            && c.scheme() == "https"
        {
            headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert_with(|| hsts.clone());
        }
    }
}

/// Text that is compiled in is not counted per request.
fn value(field: &str, text: &Text) -> Result<HeaderValue, ConfigError> {
    let value = match text {
        Cow::Borrowed(text) if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) => {
            return Ok(HeaderValue::from_static(text));
        }
        text => HeaderValue::from_str(text),
    };
    value.map_err(|_| {
        ConfigError::new(format!("secure_headers.{field}"), format!("{text:?}"), "visible ASCII and spaces")
    })
}

fn hsts(config: &SecureHeadersConfig) -> Result<Option<HeaderValue>, ConfigError> {
    let SecureHeadersConfig { hsts_max_age, hsts_include_subdomains, hsts_preload, .. } = config;
    if *hsts_preload && !(*hsts_max_age >= PRELOAD_AGE && *hsts_include_subdomains) {
        let allowed = "false unless hsts_max_age is at least a year and hsts_include_subdomains is true";
        return Err(ConfigError::new("secure_headers.hsts_preload", hsts_preload, allowed));
    }
    if hsts_max_age.is_zero() {
        return Ok(None);
    }
    let subdomains = if *hsts_include_subdomains { "; includeSubDomains" } else { "" };
    let preload = if *hsts_preload { "; preload" } else { "" };
    let text = format!("max-age={}{subdomains}{preload}", hsts_max_age.as_secs());
    Ok(Some(HeaderValue::try_from(text).expect("digits and words are visible ASCII")))
}

impl Middleware for SecureHeaders {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        let mut answer = next.run(c.clone()).await;
        self.mark(&c, &mut answer);
        answer
    }
    fn into_step(self) -> Step {
        after(move |c, answer| self.mark(c, answer)).into_step()
    }
}
