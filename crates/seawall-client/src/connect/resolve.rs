//! Names to addresses. The system's resolver, unless the configuration brings another.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

/// The future of a resolver.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// Finds the addresses of a name: DNS of one's own, or a registry of services.
///
/// It is asked once per name and `dns_ttl`, and has `connect_timeout` to answer. What it does not know is an error or
/// an empty list; both count as a failure of class `system`, unless addresses are known from before.
pub trait Resolver: fmt::Debug + Send + Sync + 'static {
    /// The addresses of `host`, each with `port` or one of its own.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a>;
}

/// The system's resolver: `/etc/hosts`, DNS, whatever `nsswitch.conf` says.
///
/// It runs on a thread for blocking work, which goes on for as long as the system's own limits let it, even if nobody
/// waits any more.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}
