//! A key in every request: in a header, the query, a cookie or a form.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{HeaderValue, header};
use seawall_core::ConfigError;
use serde::Deserialize;

use super::challenge::challenge;
use super::source::{CredentialSource, Form, Sources};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::extract::Extract;
use crate::middleware::answer::refuse;
use crate::middleware::secret::Secret;
use crate::middleware::{Middleware, Next, Step, before};
use crate::respond::Response;

const MOST_KEYS: usize = 1000;
/// Shorter keys can be guessed.
const SHORTEST_KEY: usize = 16;

/// Which keys there are, and where they stand.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyAuthConfig {
    /// Keys by the name of their holder, at least 16 characters each, 1 to 1000 of them; none where a function
    /// validates. All are compared for every request, in a time that tells nothing. Default: none.
    pub keys: BTreeMap<String, Secret>,
    /// Where a key may stand, in this order. Default: `Authorization: Bearer ..`.
    pub sources: Vec<CredentialSource>,
    /// What the challenge names. Default `Restricted`.
    pub realm: String,
    /// How many keys of one request are looked at, 1 to 10. Default 1.
    pub max_credentials: usize,
}

impl Default for KeyAuthConfig {
    fn default() -> Self {
        Self {
            keys: BTreeMap::new(),
            sources: vec![CredentialSource::bearer()],
            realm: "Restricted".to_owned(),
            max_credentials: 1,
        }
    }
}

type Validate = dyn Fn(Context, Secret) -> BoxFuture<'static, Result<Option<String>>> + Send + Sync;

/// Lets in who brings a key, else 401. Handlers get its holder's name as an [`ApiKey`].
///
/// A hook, unless a function validates or a key may stand in a form.
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::{ApiKey, CredentialSource, KeyAuth, KeyAuthConfig};
///
/// let config = KeyAuthConfig {
///     keys: [("billing".to_owned(), "4f1c8e6a90b24d0f".into())].into(),
///     sources: vec![CredentialSource::Header { header: "X-Api-Key".into(), scheme: String::new() }],
///     ..KeyAuthConfig::default()
/// };
/// let app = App::new().with(KeyAuth::new(&config)?).get("/", async |key: ApiKey| format!("hello, {}", key.name()));
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Clone)]
pub struct KeyAuth(Arc<Rules>);

struct Rules {
    keys: Vec<(Arc<str>, Secret)>,
    sources: Sources,
    validate: Option<Box<Validate>>,
    challenge: HeaderValue,
}

impl KeyAuth {
    /// Lets in the keys of the configuration.
    ///
    /// # Errors
    /// If there are no keys, or too many, or one is too short; or a field is outside its range.
    pub fn new(config: &KeyAuthConfig) -> Result<Self, ConfigError> {
        let found = config.keys.len();
        if found == 0 || found > MOST_KEYS {
            let allowed = format!("1 to {MOST_KEYS}; with a function, use KeyAuth::with_validator");
            return Err(ConfigError::new("key_auth.keys", format!("{found} keys"), allowed));
        }
        Ok(Self(Arc::new(Rules::new(config)?)))
    }

    /// Lets in the keys that `validate` knows: it gives their holder's name, or `None`. An error ends the request as it
    /// is: for a key store that is down. Keys of the configuration are let in without asking.
    ///
    /// Look a key up by its hash, so that the look-up's time tells nothing of the key.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn with_validator<F, Fut>(config: &KeyAuthConfig, validate: F) -> Result<Self, ConfigError>
    where
        F: Fn(Context, Secret) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<String>>> + Send + 'static,
    {
        let mut rules = Rules::new(config)?;
        rules.validate = Some(Box::new(move |c, key| Box::pin(validate(c, key))));
        Ok(Self(Arc::new(rules)))
    }
}

impl Rules {
    fn new(config: &KeyAuthConfig) -> Result<Self, ConfigError> {
        let KeyAuthConfig { keys, sources, realm, max_credentials } = config;
        if let Some((name, _)) = keys.iter().find(|(_, key)| key.expose().len() < SHORTEST_KEY) {
            let allowed = format!("at least {SHORTEST_KEY} characters long");
            return Err(ConfigError::new("key_auth.keys", format!("shorter for {name:?}"), allowed));
        }
        if !(1..=10).contains(max_credentials) {
            return Err(ConfigError::new("key_auth.max_credentials", max_credentials, "1 to 10"));
        }
        let sources = Sources::new("key_auth.sources", sources, *max_credentials)?;
        Ok(Self {
            keys: keys.iter().map(|(name, key)| (name.as_str().into(), key.clone())).collect(),
            validate: None,
            challenge: challenge("key_auth.realm", sources.scheme(), realm, "")?,
            sources,
        })
    }

    /// The holder, after comparing with all keys, however early one fits.
    fn holder(&self, key: &str) -> Option<ApiKey> {
        let fitting = |holder, (name, secret): &(Arc<str>, Secret)| match secret.matches(key) {
            true => Some(ApiKey(Arc::clone(name))),
            false => holder,
        };
        self.keys.iter().fold(None, fitting)
    }

    fn look(&self, c: &Context) -> Result<Option<Response>> {
        match self.sources.find(c, &Form::new()).find_map(|key| self.holder(&key)) {
            Some(holder) => {
                c.set(holder);
                Ok(None)
            }
            None => refuse(c, || self.refusal()).map(Some),
        }
    }

    fn refusal(&self) -> Error {
        Error::unauthorized("the key is missing or wrong")
            .header(header::WWW_AUTHENTICATE, self.challenge.clone())
    }

    /// As `look`, with all that may take time.
    async fn ask(&self, c: &Context) -> Result<Option<ApiKey>> {
        let form = self.sources.read_form(c).await?;
        let sent: Vec<String> = self.sources.find(c, &form).map(Into::into).collect();
        for key in sent {
            let holder = match (self.holder(&key), &self.validate) {
                (None, Some(validate)) => {
                    validate(c.clone(), key.into()).await?.map(|name| ApiKey(name.into()))
                }
                (holder, _) => holder,
            };
            if holder.is_some() {
                return Ok(holder);
            }
        }
        Ok(None)
    }
}

/// The holder of the key that [`KeyAuth`] let in, as an argument of a handler; 401 where none was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey(Arc<str>);

impl ApiKey {
    /// The holder's name; never the key.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl Extract for ApiKey {
    async fn extract(c: &Context) -> Result<Self> {
        c.get().cloned().ok_or_else(|| Error::unauthorized("a key is needed"))
    }
}

impl Middleware for KeyAuth {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        // A path without a handler for this method is no reason to read a body.
        let holder = if c.other_methods().is_none() || !self.0.sources.reads_forms() {
            self.0.ask(&c).await?
        } else {
            None
        };
        if let Some(holder) = holder {
            c.set(holder);
            return next.run(c).await;
        }
        refuse(&c, || self.0.refusal())
    }
    fn into_step(self) -> Step {
        if self.0.validate.is_some() || self.0.sources.reads_forms() {
            return Step::around(self);
        }
        before(move |c| self.0.look(c)).into_step()
    }
}

impl fmt::Debug for KeyAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyAuth").field("keys", &self.0.keys.len()).finish_non_exhaustive()
    }
}
