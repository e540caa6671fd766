//! An answer as it is kept, and the answer that is made of it.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::respond::Response;

/// An answer as it is kept. The fields are public so that a store may write them down and read them again.
#[derive(Clone, PartialEq, Eq)]
pub struct CachedAnswer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, without those that concern one connection or one request. `Date` is among them, and a place for
    /// `Age`, which is told anew each time.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// When it was made, by the clock of whoever made it.
    pub made_at: SystemTime,
    /// For how long after that it may be used.
    pub fresh_for: Duration,
    /// The fields of the request that it depends on (`Vary`), with the values that they had.
    pub vary: Vec<(HeaderName, Vec<HeaderValue>)>,
    /// Whether it may be used for requests that say who sends them, by `Authorization` or `Cookie`.
    pub for_all: bool,
}

impl CachedAnswer {
    /// Whether it fits a request with these headers: all fields that it depends on have the same values.
    pub fn fits(&self, request: &HeaderMap) -> bool {
        self.vary.iter().all(|(name, values)| request.get_all(name).iter().eq(values))
    }
    /// How old it is; zero if the clock was set back meanwhile.
    pub fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.made_at).unwrap_or_default()
    }
    /// What it takes in memory, in bytes, roughly.
    pub fn size(&self) -> usize {
        /// Of a header in its map; of all the rest.
        const ENTRY: usize = 64;
        const REST: usize = 256;
        let field = |name: &HeaderName, len: usize| name.as_str().len() + len + ENTRY;
        let headers = self.headers.iter().map(|(name, value)| field(name, value.len()));
        let vary = self
            .vary
            .iter()
            .map(|(name, values)| field(name, values.iter().map(|value| value.len() + ENTRY).sum()));
        REST + self.body.len() + headers.sum::<usize>() + vary.sum::<usize>()
    }

    /// The answer to whoever asks now, with its `Age` in whole seconds (RFC 9111, 5.1).
    pub(super) fn response(&self, now: SystemTime) -> Response {
        let mut response = Response::new(self.status, self.body.clone());
        *response.headers_mut() = self.headers.clone();
        response.header(header::AGE, self.age(now).as_secs().into())
    }
}

/// Without headers and body, which may be private.
impl fmt::Debug for CachedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedAnswer").field("status", &self.status).field("bytes", &self.body.len()).finish()
    }
}
