//! How a request stands when not all can be served: its class, its tenant, and what its route says of it.

use std::fmt;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use http::Method;
use seawall_guard::Priority;

use crate::head::Head;
use crate::peer::Peer;

/// How a request stands beside others when not all can be served; what [`App::classify`](crate::App::classify) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its class: in an overload the lower ones are shed first.
    pub priority: Priority,
    /// Which part of the users it belongs to, 0 to 127, within its class; larger is shed first. Values above count as
    /// 127. Default 0.
    pub cohort: u8,
    /// Whose turn it uses up; see [`Standing::of_tenant`]. 0, the default, is nobody in particular.
    pub tenant: u64,
    /// How many requests a turn of its tenant lets through. 0 counts as 1. Default 1.
    pub weight: u8,
}

impl Default for Standing {
    fn default() -> Self {
        Self { priority: Priority::default(), cohort: 0, tenant: 0, weight: 1 }
    }
}

impl Standing {
    /// The same, of this tenant. Tenants of one class take turns in the queue. The name is hashed with a seed of this
    /// process, so that nobody can choose one that shares another's turn.
    #[must_use]
    pub fn of_tenant(self, tenant: impl Hash) -> Self {
        static SEED: OnceLock<RandomState> = OnceLock::new();
        let tenant = SEED.get_or_init(RandomState::new).hash_one(tenant);
        Self { tenant, ..self }
    }

    /// The same, of this class.
    #[must_use]
    pub fn of_priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }
}

/// What is known of a request that has to queue: its head, before there is a [`Context`](crate::Context).
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    head: &'a Head,
    peer: &'a Peer,
}

impl<'a> RequestHead<'a> {
    pub(crate) fn new(head: &'a Head, peer: &'a Peer) -> Self {
        Self { head, peer }
    }

    /// The method.
    pub fn method(&self) -> &'a Method {
        self.head.method()
    }
    /// The path as it was sent, not decoded.
    pub fn path(&self) -> &'a str {
        self.head.path()
    }
    /// The first value of the header of this name, in lower case; `None` if it is missing or no UTF-8.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        std::str::from_utf8(self.head.field(name)?).ok()
    }
    /// The other end of the connection, as [`Context::peer`](crate::Context::peer) says it.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer.addr()
    }
}

impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestHead({} {})", self.method(), self.path())
    }
}

/// Says how a request stands.
pub(crate) type Classify = dyn Fn(&RequestHead<'_>) -> Standing + Send + Sync;

/// What a route says of its requests; the innermost word counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RouteGuard {
    pub(crate) priority: Option<Priority>,
    /// In place of the configured deadline.
    pub(crate) deadline: Option<Duration>,
    pub(crate) bypasses: bool,
}

impl RouteGuard {
    /// This, where `inner` says nothing else.
    pub(crate) fn around(self, inner: Self) -> Self {
        Self {
            priority: inner.priority.or(self.priority),
            deadline: inner.deadline.or(self.deadline),
            bypasses: inner.bypasses || self.bypasses,
        }
    }

    /// Whether admission has to know the route.
    pub(crate) fn concerns_admission(self) -> bool {
        self.priority.is_some() || self.bypasses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_one_turn_whatever_its_class() {
        let one = Standing::default().of_tenant("acme");
        assert_eq!(one.tenant, Standing::default().of_priority(Priority::Sheddable).of_tenant("acme").tenant);
        assert_ne!(one.tenant, Standing::default().of_tenant("umbrella").tenant);
    }

    #[test]
    fn the_innermost_word_counts() {
        let second = Some(Duration::from_secs(1));
        let outer = RouteGuard { priority: Some(Priority::Sheddable), deadline: second, bypasses: false };
        let inner = RouteGuard { priority: Some(Priority::CriticalPlus), ..RouteGuard::default() };
        let both = outer.around(inner);
        assert_eq!((both.priority, both.deadline), (Some(Priority::CriticalPlus), second));
        assert!(outer.around(RouteGuard { bypasses: true, ..RouteGuard::default() }).bypasses);
    }
}
