//! The cookies that a request brings. Setting them is the answer's affair: [`Response::set_cookie`].
//!
//! [`Response::set_cookie`]: crate::Response::set_cookie

use super::Context;
use crate::cookie_header;
#[cfg(feature = "cookies")]
use crate::cookies::CookieKeys;
#[cfg(feature = "cookies")]
use crate::error::{Error, Result};

impl Context {
    /// All cookies, in the order in which they were sent, as they were sent; at most 256. A name may come twice:
    /// browsers send the one with the longer path first.
    pub fn cookies(&self) -> impl Iterator<Item = (&str, &str)> {
        cookie_header::cookies(self.headers())
    }
    /// The first cookie of this name. The client may have written anything into it.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The value of a cookie that was set with [`SetCookie::signed`](crate::SetCookie::signed). One that is missing, or not
    /// signed by any of our keys, is `None`; the latter leaves a debug line.
    ///
    /// # Errors
    /// 500 if no [`App::cookie_keys`](crate::App::cookie_keys) gave a key.
    #[cfg(feature = "cookies")]
    pub fn signed_cookie(&self, name: &str) -> Result<Option<String>> {
        self.checked_cookie(name, CookieKeys::verify)
    }
    /// The value of a cookie that was set with [`SetCookie::private`](crate::SetCookie::private); as
    /// [`Context::signed_cookie`].
    ///
    /// # Errors
    /// 500 if no [`App::cookie_keys`](crate::App::cookie_keys) gave a key.
    #[cfg(feature = "cookies")]
    pub fn private_cookie(&self, name: &str) -> Result<Option<String>> {
        self.checked_cookie(name, CookieKeys::open)
    }

    /// The first cookie of this name that passes: a forged one in front must not hide it.
    #[cfg(feature = "cookies")]
    fn checked_cookie(
        &self,
        name: &str,
        check: fn(&CookieKeys, &str, &str) -> Option<String>,
    ) -> Result<Option<String>> {
        /// Each one costs an attempt per key; a browser sends one per path and domain.
        const MOST_OF_A_NAME: usize = 4;
        let keys = self.cookie_keys()?;
        let named = self.cookies().filter(|(known, _)| *known == name);
        for (_, sent) in named.take(MOST_OF_A_NAME) {
            match check(keys, name, sent) {
                Some(value) => return Ok(Some(value)),
                None => tracing::debug!(
                    cookie = name,
                    route = self.route(),
                    "a cookie was not written by our keys"
                ),
            }
        }
        Ok(None)
    }

    #[cfg(feature = "cookies")]
    pub(crate) fn cookie_keys(&self) -> Result<&CookieKeys> {
        let keys = self.shared().settings().cookie_keys.as_ref();
        keys.ok_or_else(|| Error::internal("no .cookie_keys(..) gave the app a key"))
    }
}
