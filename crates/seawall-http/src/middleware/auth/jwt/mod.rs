//! JSON Web Tokens ([RFC 7519](https://www.rfc-editor.org/rfc/rfc7519)), signed ones. The cryptography is that of the
//! `jsonwebtoken` crate, which this folder hides; which key a token may be checked with, and what its claims must say,
//! is decided here.
//!
//! `token.rs` reads and judges, `keys.rs` binds keys to algorithms, `file.rs` follows a file of keys.

mod file;
mod keys;
mod token;

use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderValue, header};
use quick_cache::sync::Cache;
use seawall_core::ConfigError;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use self::file::{KeyRing, SHORTEST_PAUSE};
use self::keys::{KeySet, MOST_KEYS};
use self::token::{Refused, Registered, Rules, Token};
use super::challenge::challenge;
use super::source::{CredentialSource, Form, Sources};
use crate::clock;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::extract::Extract;
use crate::middleware::answer::refuse;
use crate::middleware::secret::Secret;
use crate::middleware::{Middleware, Next, Step, before, seconds};
use crate::respond::Response;

/// How a token is signed. Those that are missing are missing on purpose: `none` is no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256; issuer and audience share a secret.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519 (RFC 8037).
    EdDSA,
}

/// A key, for one algorithm.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtKey {
    /// Its id, if tokens name one.
    pub kid: Option<String>,
    /// What it is for.
    pub algorithm: JwtAlgorithm,
    /// The secret of an HMAC, at least as long as its hash (32, 48 or 64 bytes); else the public key in PEM.
    pub key: Secret,
}

/// Whose tokens are believed, and which.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JwtConfig {
    /// Keys, each for one algorithm. At most 100 in all. Default: none.
    pub keys: Vec<JwtKey>,
    /// A JWK set (RFC 7517) as JSON: keys with ids, and binary secrets. Default: none.
    pub jwks: Option<Secret>,
    /// A JWK set in a file, at most 1 MiB, which is read again while the server runs. Default: none.
    pub jwks_file: Option<PathBuf>,
    /// How often the file is read, in seconds: how long a key that was taken away may still be believed. 5 s to a day.
    /// A token with an unknown key has it read at once, at most every 5 s. Default 60.
    #[serde(with = "seconds")]
    pub reload_every: Duration,
    /// Where the token stands. Default: `Authorization: Bearer ..`.
    pub sources: Vec<CredentialSource>,
    /// Issuers whose tokens are believed, by `iss`. Empty does not look at it. Default: empty.
    pub issuers: Vec<String>,
    /// Who we are, by `aud`. A token for an audience must name one of these. Default: empty, so that only tokens for
    /// no audience pass.
    pub audiences: Vec<String>,
    /// How far clocks may be apart, in seconds; at most 10 minutes. Default 30.
    #[serde(with = "seconds")]
    pub leeway: Duration,
    /// Whether a token must have an end. Default true.
    pub require_exp: bool,
    /// Bytes of a token; longer ones are refused unread. 256 to 65,536. Default 8,192.
    pub max_token_bytes: usize,
    /// Tokens that are remembered once their signature was checked; zero remembers none. What time can change is
    /// judged each time, so none is believed beyond its end, and none beyond its key. At most 1,000,000. Default 1,024.
    pub cached_tokens: usize,
    /// Lets requests without any token pass, without [`Claims`]. A wrong token is refused all the same. Default false.
    pub optional: bool,
    /// What the challenge names. Default `Restricted`.
    pub realm: String,
}

impl Default for JwtConfig {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            jwks: None,
            jwks_file: None,
            reload_every: Duration::from_secs(60),
            sources: vec![CredentialSource::bearer()],
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway: Duration::from_secs(30),
            require_exp: true,
            max_token_bytes: 8_192,
            cached_tokens: 1_024,
            optional: false,
            realm: "Restricted".to_owned(),
        }
    }
}

/// Lets in who brings a token that one of our keys has signed, else 401. Handlers get its claims as a [`Claims<T>`];
/// a token whose claims do not fit `T` is refused.
///
/// A key has its algorithms from the configuration, never from the token. A hook, unless keys come from a file or the
/// token may stand in a form.
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::{Claims, Jwt, JwtAlgorithm, JwtConfig, JwtKey};
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     sub: String,
/// }
///
/// let key = JwtKey { kid: None, algorithm: JwtAlgorithm::HS256, key: "0123456789abcdef0123456789abcdef".into() };
/// let jwt = Jwt::<User>::new(&JwtConfig { keys: vec![key], ..JwtConfig::default() })?;
/// let app = App::new().with(jwt).get("/", async |user: Claims<User>| user.sub.clone());
/// # Ok::<(), seawall_http::Error>(())
/// ```
pub struct Jwt<T = serde_json::Value>(Arc<Checker<T>>);

struct Checker<T> {
    ring: KeyRing,
    sources: Sources,
    rules: Rules,
    max_token_bytes: usize,
    cache: Option<Cache<Box<str>, Arc<Known<T>>>>,
    optional: bool,
    /// Without and with a word on what was wrong (RFC 6750, 3.1).
    challenges: [HeaderValue; 2],
}

/// A token whose signature was checked.
struct Known<T> {
    registered: Registered,
    edition: u64,
    claims: Arc<T>,
}

impl<T: DeserializeOwned + Send + Sync + 'static> Jwt<T> {
    /// Reads the keys, the file included.
    ///
    /// # Errors
    /// If there are no keys, or weak or broken ones, or a field is outside its range. No key is shown.
    pub fn new(config: &JwtConfig) -> Result<Self, ConfigError> {
        let JwtConfig { leeway, reload_every, max_token_bytes, cached_tokens, .. } = config;
        let within = |field, value: usize, least: usize, most: usize| match (least..=most).contains(&value) {
            true => Ok(()),
            false => Err(ConfigError::new(field, value, format!("{least} to {most}"))),
        };
        within("jwt.max_token_bytes", *max_token_bytes, 256, 65_536)?;
        within("jwt.cached_tokens", *cached_tokens, 0, 1_000_000)?;
        if *leeway > Duration::from_secs(600) {
            return Err(ConfigError::new("jwt.leeway", format!("{leeway:?}"), "0 to 600 seconds"));
        }
        if !(SHORTEST_PAUSE..=Duration::from_secs(86_400)).contains(reload_every) {
            return Err(ConfigError::new(
                "jwt.reload_every",
                format!("{reload_every:?}"),
                "5 to 86400 seconds",
            ));
        }
        let sources = Sources::new("jwt.sources", &config.sources, 1)?;
        let challenge = |rest| challenge("jwt.realm", "Bearer", &config.realm, rest);
        let challenges = [challenge("")?, challenge(", error=\"invalid_token\"")?];
        Ok(Self(Arc::new(Checker {
            ring: ring(config, clock::now())?,
            sources,
            rules: Rules {
                issuers: config.issuers.clone(),
                audiences: config.audiences.clone(),
                leeway: *leeway,
                require_exp: config.require_exp,
            },
            max_token_bytes: *max_token_bytes,
            cache: (*cached_tokens > 0).then(|| Cache::new(*cached_tokens)),
            optional: config.optional,
            challenges,
        })))
    }
}

/// The keys of a configuration.
fn ring(config: &JwtConfig, now: Instant) -> Result<KeyRing, ConfigError> {
    let (keys, jwks) = (config.keys.clone(), config.jwks.clone());
    let fixed = move || -> Result<KeySet, ConfigError> {
        let mut set = KeySet::of(&keys)?;
        if let Some(jwks) = &jwks {
            let more = KeySet::of_jwks(jwks.expose());
            set.extend(more.map_err(|problem| ConfigError::new("jwt.jwks", problem, "a JWK set"))?);
        }
        Ok(set)
    };
    let set = fixed()?;
    let file = config.jwks_file.clone();
    if set.len() > MOST_KEYS || (set.len() == 0 && file.is_none()) {
        let allowed = format!("1 to {MOST_KEYS}, in keys, jwks or jwks_file");
        return Err(ConfigError::new("jwt.keys", format!("{} keys", set.len()), allowed));
    }
    let Some(path) = file else { return Ok(KeyRing::fixed(set)) };
    let again = move || fixed().expect("it was read once already");
    let ring = KeyRing::with_file(path, config.reload_every, again, now);
    ring.map_err(|problem| ConfigError::new("jwt.jwks_file", problem, "a file with a JWK set"))
}

impl<T: DeserializeOwned + Send + Sync + 'static> Checker<T> {
    /// Checks a token with the keys that there are.
    fn check(&self, text: &str, now: Duration) -> Result<Arc<T>, (Refused, u64)> {
        let keys = self.ring.current();
        let refuse = |refused| (refused, keys.edition);
        if text.len() > self.max_token_bytes {
            return Err(refuse(Refused::TooLong));
        }
        let remembered = self.cache.as_ref().and_then(|cache| cache.get(text));
        if let Some(known) = remembered.filter(|known| known.edition == keys.edition) {
            self.rules.judge_time(&known.registered, now).map_err(refuse)?;
            return Ok(Arc::clone(&known.claims));
        }
        let token = Token::parse(text).map_err(refuse)?;
        keys.set.check(&token.header, token.signed, token.signature).map_err(refuse)?;
        let incomplete = |_| refuse(Refused::Incomplete);
        let registered: Registered = serde_json::from_slice(&token.payload).map_err(incomplete)?;
        self.rules.judge(&registered, now).map_err(refuse)?;
        let claims: Arc<T> = Arc::new(serde_json::from_slice(&token.payload).map_err(incomplete)?);
        if let Some(cache) = &self.cache {
            let known = Known { registered, edition: keys.edition, claims: Arc::clone(&claims) };
            cache.insert(text.into(), Arc::new(known));
        }
        Ok(claims)
    }

    fn look(&self, c: &Context) -> Result<Option<Response>> {
        let form = Form::new();
        let sent = self.sources.find(c, &form).next();
        let checked = sent.map(|text| self.check(&text, since_1970(clock::wall())));
        self.admit(c, checked.map(|checked| checked.map_err(|(refused, _)| refused)))
    }

    fn admit(&self, c: &Context, checked: Option<Result<Arc<T>, Refused>>) -> Result<Option<Response>> {
        let refused = match checked {
            Some(Ok(claims)) => {
                c.set(Claims(claims));
                return Ok(None);
            }
            None if self.optional => return Ok(None),
            None => Refused::Missing,
            Some(Err(refused)) => refused,
        };
        tracing::debug!(?refused, route = c.route(), "a token was refused");
        let challenge = &self.challenges[usize::from(refused != Refused::Missing)];
        let refusal =
            || Error::unauthorized(refused.message()).header(header::WWW_AUTHENTICATE, challenge.clone());
        refuse(c, refusal).map(Some)
    }

    /// As `look`, with all that may take time.
    async fn ask(&self, c: &Context) -> Result<Option<Response>> {
        self.ring.refresh(clock::now()).await;
        let form = match c.other_methods() {
            None => self.sources.read_form(c).await?,
            Some(_) => Form::new(), // nobody will read the body of a 405
        };
        let sent = self.sources.find(c, &form).next();
        let Some(text) = sent else { return self.admit(c, None) };
        let now = since_1970(clock::wall());
        let checked = match self.check(&text, now) {
            Err((Refused::UnknownKey, edition)) if self.ring.look_for_more(edition, clock::now()).await => {
                self.check(&text, now)
            }
            checked => checked,
        };
        self.admit(c, Some(checked.map_err(|(refused, _)| refused)))
    }
}

fn since_1970(wall: SystemTime) -> Duration {
    wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// The claims of the token that [`Jwt`] let in, as an argument of a handler; 401 where none was. Used as a `&T`.
pub struct Claims<T = serde_json::Value>(Arc<T>);

impl<T> Clone for Claims<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Claims<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Claims<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Claims").field(&self.0).finish()
    }
}

impl<T: Send + Sync + 'static> Extract for Claims<T> {
    async fn extract(c: &Context) -> Result<Self> {
        c.get::<Self>().cloned().ok_or_else(|| Error::unauthorized(Refused::Missing.message()))
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Middleware for Jwt<T> {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        match self.0.ask(&c).await? {
            Some(early) => Ok(early),
            None => next.run(c).await,
        }
    }
    fn into_step(self) -> Step {
        if self.0.ring.may_change() || self.0.sources.reads_forms() {
            return Step::around(self);
        }
        before(move |c| self.0.look(c)).into_step()
    }
}

impl<T> Clone for Jwt<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Jwt<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt").field("keys", &self.0.ring.current().set.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use super::*;

    /// RFC 7515, A.1: valid until 1300819380.
    const TOKEN: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const KEY: &str =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";

    fn jwt(cached_tokens: usize) -> Jwt {
        let jwks = format!(r#"{{"keys":[{{"kty":"oct","k":"{KEY}"}}]}}"#);
        let config = JwtConfig {
            jwks: Some(jwks.into()),
            leeway: Duration::ZERO,
            cached_tokens,
            ..JwtConfig::default()
        };
        Jwt::new(&config).unwrap()
    }
    #[track_caller]
    fn check(jwt: &Jwt, at: u64, expected: Result<(), Refused>) {
        let checked = jwt.0.check(TOKEN, Duration::from_secs(at));
        assert_eq!(
            checked.map(|claims| assert_eq!(claims["iss"], "joe")).map_err(|(refused, _)| refused),
            expected
        );
    }

    #[test]
    fn a_remembered_token_ends_all_the_same() {
        let jwt = jwt(10);
        check(&jwt, 1_300_819_379, Ok(()));
        assert_eq!(jwt.0.cache.as_ref().unwrap().len(), 1);
        check(&jwt, 1_300_819_379, Ok(()));
        check(&jwt, 1_300_819_380, Err(Refused::Expired));
    }
    #[test]
    fn a_refused_token_is_not_remembered() {
        let jwt = jwt(10);
        check(&jwt, 1_300_819_380, Err(Refused::Expired));
        assert_eq!(jwt.0.cache.as_ref().unwrap().len(), 0);
    }
    #[test]
    fn a_remembered_token_ends_with_its_key() {
        let jwt = jwt(10);
        check(&jwt, 0, Ok(()));
        let known = jwt.0.cache.as_ref().unwrap().get(TOKEN).unwrap();
        let older = Known {
            edition: 7,
            registered: known.registered.clone(),
            claims: Arc::new(serde_json::json!({"iss": "eve"})),
        };
        jwt.0.cache.as_ref().unwrap().insert(TOKEN.into(), Arc::new(older));
        check(&jwt, 0, Ok(())); // checked anew: joe, not eve
    }
    #[test]
    fn the_memory_has_a_bound() {
        let jwt = jwt(10);
        let secret = BASE64_URL_SAFE_NO_PAD.decode(KEY).unwrap();
        let key = jsonwebtoken::EncodingKey::from_secret(&secret);
        for n in 0..100 {
            let claims = serde_json::json!({"n": n, "exp": 10});
            let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
            assert!(jwt.0.check(&token, Duration::ZERO).is_ok());
        }
        assert!(jwt.0.cache.as_ref().unwrap().len() <= 10);
    }
    #[test]
    fn without_a_memory_it_is_checked_each_time() {
        check(&jwt(0), 0, Ok(()));
    }
}
