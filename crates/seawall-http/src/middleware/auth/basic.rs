//! Name and password in every request ([RFC 7617](https://www.rfc-editor.org/rfc/rfc7617)). Only over TLS: it is
//! plain text in another coat.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, engine::DecodePaddingMode};
use futures_util::future::BoxFuture;
use http::{HeaderValue, header};
use seawall_core::ConfigError;
use serde::Deserialize;
use subtle::Choice;

use super::challenge::challenge;
use super::source::after_scheme;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::extract::Extract;
use crate::middleware::answer::refuse;
use crate::middleware::secret::{Secret, same};
use crate::middleware::{Middleware, Next, Step, before};
use crate::respond::Response;

/// With padding or without: clients differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
const MOST_USERS: usize = 1000;

/// Who may come in, and how the place is called.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BasicAuthConfig {
    /// Names and passwords, 1 to 1000; none where a function validates. All are compared for every request, so that
    /// the time tells nobody which names exist: for a few operators, not for customers. Default: none.
    pub users: BTreeMap<String, Secret>,
    /// What browsers show in their dialog. Default `Restricted`.
    pub realm: String,
    /// How many `Authorization` headers of one request are looked at, 1 to 10. Default 1.
    pub max_credentials: usize,
}

impl Default for BasicAuthConfig {
    fn default() -> Self {
        Self { users: BTreeMap::new(), realm: "Restricted".to_owned(), max_credentials: 1 }
    }
}

type Validate = dyn Fn(Context, String, Secret) -> BoxFuture<'static, Result<bool>> + Send + Sync;

/// Lets in who knows a name and its password, else 401. Names and passwords are UTF-8, as the challenge says.
///
/// Handlers get the name as a [`BasicUser`]. With users from the configuration it is a hook; with
/// [`BasicAuth::with_validator`] it costs two futures.
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::{BasicAuth, BasicAuthConfig, BasicUser};
///
/// let users = [("ann".to_owned(), "correct horse".into())].into();
/// let auth = BasicAuth::new(&BasicAuthConfig { users, ..BasicAuthConfig::default() })?;
/// let app = App::new().with(auth).get("/", async |user: BasicUser| format!("hello, {}", user.name()));
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Clone)]
pub struct BasicAuth(Arc<Rules>);

struct Rules {
    users: Vec<(String, Secret)>,
    validate: Option<Box<Validate>>,
    challenge: HeaderValue,
    most: usize,
}

impl BasicAuth {
    /// Lets in the users of the configuration.
    ///
    /// # Errors
    /// If there are no users, or too many, or a name has a colon, which the scheme cannot carry; or a field is
    /// outside its range.
    pub fn new(config: &BasicAuthConfig) -> Result<Self, ConfigError> {
        let found = config.users.len();
        if found == 0 || found > MOST_USERS {
            let allowed = format!("1 to {MOST_USERS}; with a function, use BasicAuth::with_validator");
            return Err(ConfigError::new("basic_auth.users", format!("{found} users"), allowed));
        }
        Ok(Self(Arc::new(Rules::new(config)?)))
    }

    /// Lets in whom `validate` says so of, given the request, the name and the password. An error ends the request as
    /// it is: for a user store that is down. Users of the configuration are let in without asking.
    ///
    /// Hash the passwords that you keep (Argon2), and compare in a task of [`tokio::task::spawn_blocking`].
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn with_validator<F, Fut>(config: &BasicAuthConfig, validate: F) -> Result<Self, ConfigError>
    where
        F: Fn(Context, String, Secret) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<bool>> + Send + 'static,
    {
        let mut rules = Rules::new(config)?;
        rules.validate = Some(Box::new(move |c, user, password| Box::pin(validate(c, user, password))));
        Ok(Self(Arc::new(rules)))
    }
}

impl Rules {
    fn new(config: &BasicAuthConfig) -> Result<Self, ConfigError> {
        let BasicAuthConfig { users, realm, max_credentials } = config;
        if let Some(name) = users.keys().find(|name| name.is_empty() || name.contains(':')) {
            return Err(ConfigError::new("basic_auth.users", format!("{name:?}"), "names without a colon"));
        }
        if !(1..=10).contains(max_credentials) {
            return Err(ConfigError::new("basic_auth.max_credentials", max_credentials, "1 to 10"));
        }
        Ok(Self {
            users: users.iter().map(|(name, password)| (name.clone(), password.clone())).collect(),
            validate: None,
            challenge: challenge("basic_auth.realm", "Basic", realm, ", charset=\"UTF-8\"")?,
            most: *max_credentials,
        })
    }

    fn sent(&self, c: &Context) -> impl Iterator<Item = (String, Secret)> {
        let headers = c.headers().get_all(header::AUTHORIZATION).into_iter().take(self.most);
        headers.filter_map(|value| credentials(value.to_str().ok()?))
    }

    /// Compares with all users, however early one fits.
    fn knows(&self, user: &str, password: &Secret) -> bool {
        let mut known = Choice::from(0);
        for (name, secret) in &self.users {
            known |= same(user.as_bytes(), name.as_bytes())
                & same(password.expose().as_bytes(), secret.expose().as_bytes());
        }
        known.into()
    }

    fn look(&self, c: &Context) -> Result<Option<Response>> {
        match self.sent(c).find(|(user, password)| self.knows(user, password)) {
            Some((user, _)) => {
                c.set(BasicUser(user.into()));
                Ok(None)
            }
            None => refuse(c, || self.refusal()).map(Some),
        }
    }

    fn refusal(&self) -> Error {
        Error::unauthorized("name and password are missing or wrong")
            .header(header::WWW_AUTHENTICATE, self.challenge.clone())
    }
}

/// Name and password of one header.
fn credentials(value: &str) -> Option<(String, Secret)> {
    let bytes = BASE64.decode(after_scheme(value, "Basic")?).ok()?;
    let mut text = String::from_utf8(bytes).ok()?;
    let colon = text.find(':')?;
    // RFC 7617, 2: neither part may have control characters.
    if text.chars().any(char::is_control) {
        return None;
    }
    let password = text.split_off(colon + 1);
    text.pop();
    Some((text, Secret::new(password)))
}

/// The name of whom [`BasicAuth`] let in, as an argument of a handler; 401 where nobody was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasicUser(Arc<str>);

impl BasicUser {
    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl Extract for BasicUser {
    async fn extract(c: &Context) -> Result<Self> {
        c.get().cloned().ok_or_else(|| Error::unauthorized("sign in first"))
    }
}

impl Middleware for BasicAuth {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        let rules = &*self.0;
        let sent: Vec<_> = rules.sent(&c).collect();
        for (user, password) in sent {
            let known = rules.knows(&user, &password);
            let valid = match &rules.validate {
                Some(validate) if !known => validate(c.clone(), user.clone(), password).await?,
                Some(_) | None => known,
            };
            if valid {
                c.set(BasicUser(user.into()));
                return next.run(c).await;
            }
        }
        refuse(&c, || rules.refusal())
    }
    fn into_step(self) -> Step {
        if self.0.validate.is_some() {
            return Step::around(self);
        }
        before(move |c| self.0.look(c)).into_step()
    }
}

impl fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicAuth").field("users", &self.0.users.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(value: &str, expected: Option<(&str, &str)>) {
        let found = credentials(value);
        let found = found.as_ref().map(|(user, password)| (&**user, password.expose()));
        assert_eq!(found, expected, "{value}");
    }

    #[test]
    fn the_examples_of_rfc_7617() {
        check("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Some(("Aladdin", "open sesame")));
        check("Basic dGVzdDoxMjPCow==", Some(("test", "123\u{a3}")));
    }
    #[test]
    fn padding_may_be_missing_and_the_password_may_have_colons() {
        check("basic dGVzdDoxMjPCow", Some(("test", "123\u{a3}")));
        check("Basic YTpiOmM=", Some(("a", "b:c")));
        check("Basic Og==", Some(("", "")));
    }
    #[test]
    fn what_is_no_pair_is_none() {
        for value in
            ["Basic", "Basic ", "Basic !", "Basic YWJj", "Basic YTr/", "Bearer YTpi", "Basic YTpiCg=="]
        {
            check(value, None);
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_a_panic(value in ".{0,40}") {
            credentials(&value);
            credentials(&format!("Basic {value}"));
        }
        #[test]
        fn what_a_client_writes_is_read(user in "[^:\\pC]{0,9}", password in "[^\\pC]{0,9}") {
            let value = format!("Basic {}", BASE64.encode(format!("{user}:{password}")));
            check(&value, Some((&*user, &*password)));
        }
    }
}
