//! Forged requests: a page of another site that lets its visitor's browser, cookies included, change something here.
//!
//! Three questions, the cheapest first; the first one that has an answer settles it:
//! 1. `Sec-Fetch-Site`, which all current browsers send over https and to localhost, and no script can set.
//! 2. `Origin`, for older browsers and plain http: it must be this host, or trusted.
//! 3. A token that the request brings twice, in a cookie and in a header or form field (double submit).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderName, Method, header};
use seawall_core::ConfigError;
use serde::Deserialize;

use super::answer::{headers_mut, refuse, vary};
use super::cors::Origins;
use super::{Middleware, Next, Step, before, seconds, secret};
use crate::context::Context;
use crate::cookies::SetCookie;
use crate::error::{Error, Result};
use crate::extract::Extract;
use crate::respond::Response;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who else may send changes here, and how the token travels.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CsrfConfig {
    /// Other origins whose pages may change things here: `https://app.example.com`, `https://*.example.com`.
    /// Default: none.
    pub trusted_origins: Vec<String>,
    /// Whether pages of the same site (`a.example.com` for `b.example.com`) may, where the browser says so. Default
    /// false: another team's subdomain is no friend yet.
    pub allow_same_site: bool,
    /// The header that brings the token. Default `X-CSRF-Token`.
    pub token_header: String,
    /// The field of a urlencoded form that brings it, if the header is missing. Where one is named, the body is read
    /// before the handler runs, and this middleware costs a future. Default: none.
    pub token_field: String,
    /// The cookie that brings it again. Default `__Host-csrf`: that prefix keeps subdomains from planting one. Over
    /// plain http it needs another name, and `cookie_secure = false`.
    pub cookie_name: String,
    /// How long the cookie is kept, in seconds; zero keeps it until the browser is closed. Default 0.
    #[serde(with = "seconds")]
    pub cookie_max_age: Duration,
    /// Whether the cookie is sent over https only. Default true.
    pub cookie_secure: bool,
    /// Whether the cookie is kept from scripts. A script that copies it into the header needs false. Default true.
    pub cookie_http_only: bool,
    /// Sets the cookie on the first answer to any request, not only when a handler asks for a [`CsrfToken`]. For
    /// scripts that take it from the cookie. Default false, so that answers without a form stay fit for caches.
    pub always_send_cookie: bool,
}

impl Default for CsrfConfig {
    fn default() -> Self {
        Self {
            trusted_origins: Vec::new(),
            allow_same_site: false,
            token_header: "X-CSRF-Token".to_owned(),
            token_field: String::new(),
            cookie_name: "__Host-csrf".to_owned(),
            cookie_max_age: Duration::ZERO,
            cookie_secure: true,
            cookie_http_only: true,
            always_send_cookie: false,
        }
    }
}

/// Refuses forged requests with 403, code `csrf`. GET, HEAD, OPTIONS, TRACE and QUERY pass, since they change
/// nothing; the handshake of a WebSocket is a GET that browsers send anywhere with cookies, so it is checked, too.
///
/// A hook, unless the token may stand in a form. What the path does not know stays a 404 or 405.
///
/// ```
/// use seawall_http::middleware::{Csrf, CsrfConfig, CsrfToken};
/// use seawall_http::{App, Context, Response, Result};
///
/// async fn form(c: Context, token: CsrfToken) -> Result<Response> {
///     c.html(200, format!("<form method=post><input type=hidden name=csrf value={token}><button>Buy</button></form>"))
/// }
///
/// let config = CsrfConfig { token_field: "csrf".into(), ..CsrfConfig::default() };
/// let app = App::new().with(Csrf::new(&config)?).get("/buy", form);
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Csrf(Arc<Rules>);

#[derive(Debug)]
struct Rules {
    trusted: Origins,
    same_site: bool,
    header: HeaderName,
    field: Option<String>,
    cookie: Cookie,
    always: bool,
}

#[derive(Debug)]
struct Cookie {
    name: String,
    max_age: Duration,
    secure: bool,
    http_only: bool,
}

impl Cookie {
    fn with(&self, token: String) -> SetCookie {
        let cookie = SetCookie::new(self.name.clone(), token).secure(self.secure).http_only(self.http_only);
        if self.max_age.is_zero() { cookie } else { cookie.max_age(self.max_age) }
    }
}

impl Csrf {
    /// Rules as the configuration says.
    ///
    /// # Errors
    /// For what is no origin, no header name, or no cookie that a browser would keep.
    pub fn new(config: &CsrfConfig) -> Result<Self, ConfigError> {
        let CsrfConfig {
            trusted_origins,
            allow_same_site,
            token_header,
            token_field,
            cookie_name,
            cookie_max_age,
            cookie_secure,
            cookie_http_only,
            always_send_cookie,
        } = config;
        let trusted = Origins::new("csrf.trusted_origins", trusted_origins)?;
        if trusted.any || trusted.has_null() {
            let allowed = "origins by name: `*` and `null` are everybody";
            return Err(ConfigError::new("csrf.trusted_origins", format!("{trusted_origins:?}"), allowed));
        }
        let header = token_header.parse().map_err(|_| {
            ConfigError::new("csrf.token_header", format!("{token_header:?}"), "a header name")
        })?;
        let cookie = Cookie {
            name: cookie_name.clone(),
            max_age: *cookie_max_age,
            secure: *cookie_secure,
            http_only: *cookie_http_only,
        };
        if cookie.with("x".repeat(secret::RANDOM_LEN)).to_header().is_err() {
            let allowed = "a token; with the prefix `__Host-` or `__Secure-` only if cookie_secure is true";
            return Err(ConfigError::new("csrf.cookie_name", format!("{cookie_name:?}"), allowed));
        }
        let field = Some(token_field.clone()).filter(|field| !field.is_empty());
        let (same_site, always) = (*allow_same_site, *always_send_cookie);
        Ok(Self(Arc::new(Rules { trusted, same_site, header, field, cookie, always })))
    }

    /// What can be said without the body.
    fn look(&self, c: &Context) -> Result<Option<Response>> {
        match self.0.judge(c) {
            Verdict::Pass => {}
            Verdict::NeedsToken if self.0.has_token(c, c.header(&self.0.header)) => {}
            Verdict::NeedsToken => {
                return refuse(c, || forged("the CSRF token is missing or wrong")).map(Some);
            }
            Verdict::Refused(why) => return refuse(c, || forged(why)).map(Some),
        }
        self.offer(c);
        Ok(None)
    }

    /// Lets handlers have a token.
    fn offer(&self, c: &Context) {
        let rules = &*self.0;
        let sent = c.cookie(&rules.cookie.name).filter(|sent| secret::looks_random(sent));
        let offer = Offer { made: OnceLock::new(), known: sent.map(Into::into) };
        c.set(offer);
    }

    /// Sets the cookie if there is a new token.
    fn mark(&self, c: &Context, answer: &mut Result<Response>) {
        let Some(offer) = c.get::<Offer>() else { return };
        if self.0.always && offer.known.is_none() {
            let _ = offer.token(); // without randomness there is no cookie, and the handler was told
        }
        let Some(made) = offer.made.get() else { return };
        if let Ok(cookie) = self.0.cookie.with(made.to_string()).to_header() {
            let headers = headers_mut(answer);
            headers.append(header::SET_COOKIE, cookie);
            vary(headers, "Cookie");
        }
    }
}

enum Verdict {
    Pass,
    NeedsToken,
    Refused(&'static str),
}

impl Rules {
    fn judge(&self, c: &Context) -> Verdict {
        let websocket = c.headers().contains_key(header::UPGRADE) || *c.method() == Method::CONNECT;
        if is_safe(c.method()) && !websocket {
            return Verdict::Pass;
        }
        let origin = c.headers().get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("null"));
        let trusted = origin.is_some_and(|origin| self.trusted.name(origin));
        match c.headers().get(FETCH_SITE).map(|site| site.as_bytes()) {
            Some(b"same-origin" | b"none") => return Verdict::Pass,
            Some(b"same-site") if self.same_site => return Verdict::Pass,
            Some(_) if trusted => return Verdict::Pass,
            Some(_) => return Verdict::Refused("a page of another site sent this request"),
            None => {}
        }
        match origin {
            Some(origin) if trusted || is_this_host(c, origin) => Verdict::Pass,
            Some(_) => Verdict::Refused("a page of another origin sent this request"),
            // A browser names the origin of every WebSocket, so this client is none.
            None if websocket && is_safe(c.method()) => Verdict::Pass,
            None => Verdict::NeedsToken,
        }
    }

    /// Whether the request brings one token twice.
    fn has_token(&self, c: &Context, given: Option<&str>) -> bool {
        let sent = c.cookie(&self.cookie.name).filter(|sent| secret::looks_random(sent));
        match (given, sent) {
            (Some(given), Some(sent)) => secret::same(given.as_bytes(), sent.as_bytes()).into(),
            _ => false,
        }
    }

    /// The token of a form, if this is one.
    async fn field(&self, c: &Context) -> Result<Option<String>> {
        let Some(field) = &self.field else { return Ok(None) };
        let kind = c.header(header::CONTENT_TYPE).unwrap_or_default();
        if !kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
            return Ok(None);
        }
        let body = c.body().await?;
        let pairs: Vec<(String, String)> = serde_html_form::from_bytes(&body).unwrap_or_default();
        Ok(pairs.into_iter().find(|(name, _)| name == field).map(|(_, value)| value))
    }
}

fn forged(why: &'static str) -> Error {
    Error::forbidden(why).code("csrf")
}

/// RFC 9110, 9.2.1, and QUERY (RFC 10008).
fn is_safe(method: &Method) -> bool {
    matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE" | "QUERY")
}

/// Whether the page came from here. The scheme is left out, because a proxy in front may end TLS; browsers that matter
/// over https have sent `Sec-Fetch-Site`.
fn is_this_host(c: &Context, origin: &str) -> bool {
    let host = origin.split_once("://").map(|(_, host)| host);
    host.zip(c.host()).is_some_and(|(theirs, ours)| theirs.eq_ignore_ascii_case(ours))
}

/// The token of one request.
struct Offer {
    /// From the cookie.
    known: Option<Box<str>>,
    /// Made for this request, because somebody asked.
    made: OnceLock<Box<str>>,
}

impl Offer {
    fn token(&self) -> Result<&str> {
        if let Some(token) = self.known.as_ref().or_else(|| self.made.get()) {
            return Ok(token);
        }
        let token = secret::random()?.into();
        Ok(self.made.get_or_init(|| token))
    }
}

/// The token to put into a form or a script's header; as an argument of a handler. Asking for it makes one, and sets
/// its cookie, if the client has none yet. 500 where no [`Csrf`] is around the handler.
#[derive(Clone, PartialEq, Eq)]
pub struct CsrfToken(Box<str>);

impl CsrfToken {
    /// The token: letters, digits, `-` and `_`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Extract for CsrfToken {
    async fn extract(c: &Context) -> Result<Self> {
        let offer = c.get::<Offer>();
        let offer = offer.ok_or_else(|| Error::internal("no Csrf middleware is around this handler"))?;
        Ok(Self(offer.token()?.into()))
    }
}

impl std::fmt::Display for CsrfToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Debug for CsrfToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CsrfToken(..)")
    }
}

impl Middleware for Csrf {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        let rules = &*self.0;
        let early = match rules.judge(&c) {
            Verdict::NeedsToken if c.header(&rules.header).is_none() && c.other_methods().is_none() => {
                let field = rules.field(&c).await?;
                if !rules.has_token(&c, field.as_deref()) {
                    return Err(forged("the CSRF token is missing or wrong"));
                }
                self.offer(&c);
                None
            }
            _ => self.look(&c)?,
        };
        let mut answer = match early {
            Some(early) => Ok(early),
            None => next.run(c.clone()).await,
        };
        self.mark(&c, &mut answer);
        answer
    }
    fn into_step(self) -> Step {
        if self.0.field.is_some() {
            return Step::around(self);
        }
        let marks = self.clone();
        before(move |c| self.look(c)).and_after(move |c, answer| marks.mark(c, answer)).into_step()
    }
}
