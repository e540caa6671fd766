//! Where answers are kept: the trait through which a store plugs in.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use super::stored::CachedAnswer;
use crate::error::Result;

/// What a store has for a request.
#[derive(Clone)]
pub enum CacheLookup<C> {
    /// This answer, which is fresh and fits the request.
    Kept(Arc<CachedAnswer>),
    /// Nothing. Whoever gets this runs the handler, and then brings the claim back: with the answer
    /// ([`CacheStore::fill`]), or because there is none to keep ([`CacheStore::not_kept`]). A claim that is dropped
    /// says that the request failed, or that its client has gone.
    Missing(C),
}

/// Without the answer, which may be private.
impl<C> fmt::Debug for CacheLookup<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept(_) => "Kept(..)",
            Self::Missing(_) => "Missing(..)",
        })
    }
}

/// Keeps answers by key; a key has one answer per variant ([`CachedAnswer::fits`]). Whether several requests for the
/// same missing answer wait for the first one (single flight) is the store's affair, and so is what makes room.
///
/// A store that fails costs its hits, not the requests: they go on to the handler, and the log has a warning.
pub trait CacheStore: Send + Sync + 'static {
    /// The right to fill what was missing. A store without single flight uses the key.
    type Claim: Send + 'static;
    /// What is kept, fresh, and fits a request with these headers.
    ///
    /// # Errors
    /// If the store cannot say.
    fn get(
        &self,
        key: [u8; 32],
        request: &HeaderMap,
    ) -> impl Future<Output = Result<Option<Arc<CachedAnswer>>>> + Send;
    /// The same, or the right to fill. It may wait for somebody who has that right already; how long is bound by the
    /// store.
    ///
    /// # Errors
    /// If the store cannot say.
    ///
    /// # Cancel safety
    /// Dropping the future leaves no claim behind.
    fn get_or_claim(
        &self,
        key: [u8; 32],
        request: &HeaderMap,
    ) -> impl Future<Output = Result<CacheLookup<Self::Claim>>> + Send;
    /// Keeps an answer for `keep` from now, in place of the one that fits the same requests. If the key was
    /// [invalidated](CacheStore::invalidate) since the claim was given, it must not be kept: it may show what was
    /// there before the change.
    ///
    /// # Errors
    /// If the store cannot keep it.
    fn fill(
        &self,
        claim: Self::Claim,
        answer: Arc<CachedAnswer>,
        keep: Duration,
    ) -> impl Future<Output = Result<()>> + Send;
    /// The request succeeded with an answer that must not be kept. A store with single flight can learn from it that
    /// waiting for this key is in vain.
    fn not_kept(&self, claim: Self::Claim) {
        drop(claim);
    }
    /// Forgets all variants of a key.
    ///
    /// # Errors
    /// If the store cannot; the old answers stay until they run out.
    fn invalidate(&self, key: [u8; 32]) -> impl Future<Output = Result<()>> + Send;
}

/// A store that its owner keeps a handle to, to invalidate and to look at it.
impl<S: CacheStore> CacheStore for Arc<S> {
    type Claim = S::Claim;

    fn get(
        &self,
        key: [u8; 32],
        request: &HeaderMap,
    ) -> impl Future<Output = Result<Option<Arc<CachedAnswer>>>> + Send {
        S::get(self, key, request)
    }
    fn get_or_claim(
        &self,
        key: [u8; 32],
        request: &HeaderMap,
    ) -> impl Future<Output = Result<CacheLookup<Self::Claim>>> + Send {
        S::get_or_claim(self, key, request)
    }
    fn fill(
        &self,
        claim: Self::Claim,
        answer: Arc<CachedAnswer>,
        keep: Duration,
    ) -> impl Future<Output = Result<()>> + Send {
        S::fill(self, claim, answer, keep)
    }
    fn not_kept(&self, claim: Self::Claim) {
        S::not_kept(self, claim);
    }
    fn invalidate(&self, key: [u8; 32]) -> impl Future<Output = Result<()>> + Send {
        S::invalidate(self, key)
    }
}
