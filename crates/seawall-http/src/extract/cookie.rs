//! Cookies, into a struct of the user's; as they were sent, neither signed nor decoded.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use super::Extract;
use super::values::{Keyed, Pair, Source};
use crate::context::Context;
use crate::cookie_header::cookies;
use crate::error::Result;

/// Cookies, into a struct whose fields are named as the cookies, or a map.
///
/// A client may send any cookie: this reads what it says, and proves nothing. Of several cookies of one name the first
/// counts, which is that with the longest path, unless the field is a `Vec`; a missing one fills an `Option` or a
/// `#[serde(default)]`. A bad value is a 400 that names the cookie and what it should be, without the value.
#[derive(Debug, Clone, Copy)]
pub struct Cookie<T>(pub T);

impl<T: DeserializeOwned> Cookie<T> {
    pub(crate) fn read(c: &Context) -> Result<Self> {
        let found = T::deserialize(Keyed(pairs(c).collect())).map(Cookie);
        found.map_err(|problem| problem.into_error(Source::Cookie))
    }
}

/// All cookies.
pub(crate) fn pairs(c: &Context) -> impl Iterator<Item = Pair<'_>> {
    cookies(c.headers()).map(|(name, value)| Pair {
        source: Source::Cookie,
        name: Cow::Borrowed(name),
        value: Cow::Borrowed(value.as_bytes()),
    })
}

impl<T: DeserializeOwned + Send> Extract for Cookie<T> {
    async fn extract(c: &Context) -> Result<Self> {
        Self::read(c)
    }
}
