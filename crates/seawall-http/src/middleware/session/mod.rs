//! Sessions: values that follow a client from request to request, in a sealed cookie or in a store.
//!
//! | | in the cookie | in a store |
//! |---|---|---|
//! | the client has | all of it, encrypted and authenticated | an id of 256 random bits |
//! | it can be ended by the server | when it runs out, not before: a copy of the cookie stays good | at once |
//! | size | about 2,900 bytes of JSON | `max_bytes` |
//! | needs | [`App::cookie_keys`](crate::App::cookie_keys) | a [`SessionStore`] |
//!
//! Of two requests of one session at the same time the last one to end wins. What is changed while a streamed body is
//! being written comes too late.

mod data;
mod store;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{self, HeaderValue};
use parking_lot::Mutex;
use seawall_core::ConfigError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use self::data::{Data, Lifetime};
use self::store::AnyStore;
use super::answer::{headers_mut, vary};
use super::{Middleware, Next, seconds, secret};
use crate::clock;
use crate::context::Context;
use crate::cookies::{SameSite, SetCookie};
use crate::error::{Error, Result};
use crate::extract::Extract;
use crate::respond::Response;

pub use store::{MemorySessions, MemorySessionsConfig, SessionStore};

/// What fits into a cookie of 4,096 bytes, name included, once it is sealed and in base64.
#[cfg(feature = "cookies")]
const MOST_IN_COOKIE: usize = 2_900;

/// How long sessions live, and how their cookie looks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionConfig {
    /// The cookie. Default `__Host-session`: that prefix keeps subdomains from planting one. Over plain http it needs
    /// another name, and `cookie_secure = false`.
    pub cookie_name: String,
    /// Whether the cookie is sent over https only. Default true.
    pub cookie_secure: bool,
    /// `SameSite=Strict` instead of `Lax`: not even a link from elsewhere finds the session. Default false. Either
    /// keeps forms of other sites from using it; see also [`Csrf`](super::Csrf).
    pub same_site_strict: bool,
    /// A session that is not used for so long ends, in seconds. 1 s to 400 days. Default 30 minutes.
    #[serde(with = "seconds")]
    pub idle: Duration,
    /// A session ends after so long however much it is used, in seconds. `idle` to 400 days. Default 12 hours.
    #[serde(with = "seconds")]
    pub absolute: Duration,
    /// Bytes of a session as JSON; more is a 500 that names the size. In a cookie at most 2,900. 64 to 1 MiB. Default
    /// 2,900.
    pub max_bytes: usize,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            cookie_name: "__Host-session".to_owned(),
            cookie_secure: true,
            same_site_strict: false,
            idle: Duration::from_secs(1_800),
            absolute: Duration::from_secs(43_200),
            max_bytes: 2_900,
        }
    }
}

/// Gives requests a [`Session`], and keeps it once at the end if it was changed, on failures too. A client without one
/// gets neither cookie nor entry before something is set.
///
/// An id that a client made up is never taken over, so nobody can plant one. Call [`Session::rotate`] whenever
/// somebody signs in or gains rights.
///
/// ```
/// use seawall_http::middleware::{MemorySessions, Session, SessionConfig, Sessions};
/// use seawall_http::{App, Result};
///
/// async fn count(session: Session) -> Result<String> {
///     let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
///     session.set("visits", &visits)?;
///     Ok(format!("visit {visits}"))
/// }
///
/// let store = MemorySessions::new(&Default::default())?;
/// let app = App::new().with(Sessions::in_store(&SessionConfig::default(), store)?).get("/", count);
/// # Ok::<(), seawall_http::Error>(())
/// ```
///
/// # Cancel safety
/// A request that is cancelled leaves its session as it was.
#[derive(Clone)]
pub struct Sessions(Arc<Rules>);

struct Rules {
    config: SessionConfig,
    life: Lifetime,
    place: Place,
}

enum Place {
    #[cfg(feature = "cookies")]
    Cookie,
    Store(Box<dyn AnyStore>),
}

impl Sessions {
    /// Sessions in a sealed cookie; the app needs [`App::cookie_keys`](crate::App::cookie_keys), else each request that
    /// uses its session is a 500.
    ///
    /// # Errors
    /// If a field is outside its range.
    #[cfg(feature = "cookies")]
    pub fn in_cookie(config: &SessionConfig) -> Result<Self, ConfigError> {
        if config.max_bytes > MOST_IN_COOKIE {
            let allowed = format!("64 to {MOST_IN_COOKIE} in a cookie");
            return Err(ConfigError::new("session.max_bytes", config.max_bytes, allowed));
        }
        Self::new(config, Place::Cookie)
    }

    /// Sessions in a store; the cookie has only their id.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn in_store(config: &SessionConfig, store: impl SessionStore) -> Result<Self, ConfigError> {
        Self::new(config, Place::Store(Box::new(store)))
    }

    fn new(config: &SessionConfig, place: Place) -> Result<Self, ConfigError> {
        const LONGEST: Duration = Duration::from_secs(400 * 86_400);
        let SessionConfig { cookie_name, cookie_secure: _, same_site_strict: _, idle, absolute, max_bytes } =
            config;
        if !(Duration::from_secs(1)..=LONGEST).contains(idle) {
            return Err(ConfigError::new("session.idle", format!("{idle:?}"), "1 second to 400 days"));
        }
        if !(*idle..=LONGEST).contains(absolute) {
            return Err(ConfigError::new(
                "session.absolute",
                format!("{absolute:?}"),
                "session.idle to 400 days",
            ));
        }
        if !(64..=1 << 20).contains(max_bytes) {
            return Err(ConfigError::new("session.max_bytes", max_bytes, "64 to 1048576"));
        }
        let life = Lifetime { idle: *idle, absolute: *absolute };
        let rules = Rules { config: config.clone(), life, place };
        if rules.cookie(String::new(), Duration::ZERO).to_header().is_err() {
            let allowed = "a token; with the prefix `__Host-` or `__Secure-` only if cookie_secure is true";
            return Err(ConfigError::new("session.cookie_name", format!("{cookie_name:?}"), allowed));
        }
        Ok(Self(Arc::new(rules)))
    }
}

impl Rules {
    fn cookie(&self, value: String, age: Duration) -> SetCookie {
        let same_site = if self.config.same_site_strict { SameSite::Strict } else { SameSite::Lax };
        SetCookie::new(self.config.cookie_name.clone(), value)
            .secure(self.config.cookie_secure)
            .same_site(same_site)
            .max_age(age)
    }

    /// The session that the request brings, if it is one of ours and not over.
    async fn load(&self, c: &Context, now: u64) -> Result<Known> {
        let none = Known::default();
        let (id, bytes) = match &self.place {
            #[cfg(feature = "cookies")]
            Place::Cookie => {
                if c.cookie(&self.config.cookie_name).is_none() {
                    return Ok(none);
                }
                let text = c.private_cookie(&self.config.cookie_name)?;
                (None, text.map(bytes::Bytes::from))
            }
            Place::Store(store) => {
                let Some(id) = c.cookie(&self.config.cookie_name).filter(|id| secret::looks_random(id))
                else {
                    return Ok(none);
                };
                (Some(id.to_owned()), store.load(key(id)).await?)
            }
        };
        let data = bytes.and_then(|bytes| serde_json::from_slice::<Data>(&bytes).ok());
        match data.filter(|data| self.life.left(data, now).is_some()) {
            Some(data) => Ok(Known { id, data: Some(data) }),
            None => Ok(none),
        }
    }

    /// Keeps what was changed; the cookie for the answer, if it needs one.
    async fn keep(&self, c: &Context, known: Known, mut left: Work, now: u64) -> Result<Option<SetCookie>> {
        let due = known.data.as_ref().is_some_and(|data| self.life.is_due(data, now));
        if left.destroyed {
            return self.forget(known).await;
        }
        if !(left.changed || left.rotated || due) {
            return Ok(None);
        }
        left.data.seen = now;
        let Some(keep) = self.life.left(&left.data, now) else { return self.forget(known).await };
        let json = serde_json::to_vec(&left.data)?;
        if json.len() > self.config.max_bytes {
            let most = self.config.max_bytes;
            return Err(Error::internal(format!(
                "the session has {} bytes, but must have at most {most}",
                json.len()
            )));
        }
        match &self.place {
            #[cfg(feature = "cookies")]
            Place::Cookie => {
                let text = String::from_utf8(json).expect("JSON is UTF-8");
                self.cookie(text, keep).private(c).map(Some)
            }
            Place::Store(store) => {
                let _ = c;
                let fresh = match (&known.id, left.rotated) {
                    (Some(id), false) => id.clone(),
                    _ => secret::random()?,
                };
                store.save(key(&fresh), json.into(), keep).await?;
                // The new one is safe; only now the old one goes.
                if let Some(old) = known.id.filter(|old| *old != fresh) {
                    store.delete(key(&old)).await?;
                }
                Ok(Some(self.cookie(fresh, keep)))
            }
        }
    }

    async fn forget(&self, known: Known) -> Result<Option<SetCookie>> {
        if let (Place::Store(store), Some(id)) = (&self.place, &known.id) {
            store.delete(key(id)).await?;
        }
        let gone = self.cookie(String::new(), Duration::ZERO).expires(SystemTime::UNIX_EPOCH);
        Ok(known.data.is_some().then_some(gone))
    }
}

/// What the store sees of an id.
fn key(id: &str) -> [u8; 32] {
    Sha256::digest(id).into()
}

/// The session that came with the request.
#[derive(Default)]
struct Known {
    /// In a store.
    id: Option<String>,
    data: Option<Data>,
}

/// What became of it.
#[derive(Debug, Clone, Default)]
struct Work {
    data: Data,
    /// Somebody looked: the answer depends on the cookie.
    used: bool,
    changed: bool,
    rotated: bool,
    destroyed: bool,
}

/// The session of a request, as an argument of a handler; middleware has it by [`Context::session`]. A handle: clones
/// are the same session. Its `Debug` shows no value.
#[derive(Clone)]
pub struct Session(Arc<Mutex<Work>>);

impl Session {
    /// The value of this name.
    ///
    /// # Errors
    /// 500 if it is there but no `T`: an older version of the service may have written it.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let mut work = self.0.lock();
        work.used = true;
        let value = work.data.values.get(name).cloned();
        drop(work);
        value
            .map(serde_json::from_value)
            .transpose()
            .map_err(|error| Error::internal(format!("the session's `{name}` is of another type: {error}")))
    }
    /// Sets a value; `T` becomes JSON.
    ///
    /// # Errors
    /// 500 if it does not serialise.
    pub fn set<T: Serialize + ?Sized>(&self, name: impl Into<String>, value: &T) -> Result<()> {
        let value = serde_json::to_value(value)?;
        self.change(|data| _ = data.values.insert(name.into(), value));
        Ok(())
    }
    /// Removes a value.
    pub fn remove(&self, name: &str) {
        self.change(|data| _ = data.values.remove(name));
    }
    /// Removes all values; the session goes on.
    pub fn clear(&self) {
        self.change(|data| data.values.clear());
    }
    /// Goes on under a new id, and ends the old one, so that whoever knew that gains nothing: for sign-in and every
    /// other change of rights. The time to live begins anew.
    pub fn rotate(&self) {
        let mut work = self.0.lock();
        (work.used, work.rotated, work.destroyed) = (true, true, false);
        work.data.created = since_1970();
    }
    /// Ends the session: sign-out. What is set after this begins another one.
    pub fn destroy(&self) {
        let mut work = self.0.lock();
        let created = since_1970();
        *work = Work {
            destroyed: true,
            used: true,
            data: Data { created, ..Data::default() },
            ..Work::default()
        };
    }

    fn change(&self, change: impl FnOnce(&mut Data)) {
        let mut work = self.0.lock();
        change(&mut work.data);
        // After an end, it is a new session under a new id.
        work.rotated |= work.destroyed;
        (work.used, work.changed, work.destroyed) = (true, true, false);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.lock().data.values.keys().cloned().collect();
        f.debug_tuple("Session").field(&names).finish()
    }
}

impl Context {
    /// The session of this request.
    ///
    /// # Errors
    /// 500 where no [`Sessions`] is around the handler.
    pub fn session(&self) -> Result<&Session> {
        self.get().ok_or_else(|| Error::internal("no Sessions middleware is around this handler"))
    }
}

impl Extract for Session {
    async fn extract(c: &Context) -> Result<Self> {
        c.session().cloned()
    }
}

fn since_1970() -> u64 {
    clock::wall().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Middleware for Sessions {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        let rules = &*self.0;
        let known = rules.load(&c, since_1970()).await?;
        let new = || Data { created: since_1970(), ..Data::default() };
        let data = known.data.clone().unwrap_or_else(new);
        let session = Session(Arc::new(Mutex::new(Work { data, ..Work::default() })));
        c.set(session.clone());
        let mut answer = next.run(c.clone()).await;
        let work = std::mem::take(&mut *session.0.lock());
        let used = work.used;
        let cookie = rules.keep(&c, known, work, since_1970()).await?;
        let headers = headers_mut(&mut answer);
        if used {
            vary(headers, "Cookie");
        }
        if let Some(cookie) = cookie {
            headers.append(header::SET_COOKIE, cookie.to_header()?);
            // No shared cache may hand this cookie to others.
            headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private"));
        }
        answer
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("config", &self.0.config).finish_non_exhaustive()
    }
}
