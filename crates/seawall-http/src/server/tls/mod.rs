//! TLS, by rustls; nothing of it shows in the public interface.
//!
//! A [`Tls`] holds what is in force: one pointer, which a reload replaces. A connection takes it when its handshake
//! begins and keeps it, so that a reload drops nothing. A reload that fails changes nothing.
//!
//! A handshake waits for its turn once the client's first message is there, computes, and gives the turn on when its
//! answer is on its way: whoever connects and says nothing, or stops in the middle, takes nobody's turn.

#[cfg(feature = "acme")]
mod acme;
mod config;
mod error;
mod info;
mod load;
mod reload;
mod resolver;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::server::{Acceptor, ProducesTickets};
use seawall_core::ConfigError;
#[cfg(feature = "acme")]
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::yield_now;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;

use super::stream::Stream;
#[cfg(feature = "acme")]
pub use acme::{AcmeConfig, LETS_ENCRYPT};
#[cfg(feature = "acme")]
pub(super) use acme::{Orders, Proven};
pub use config::{ClientAuth, Identity, Pem, TlsConfig};
pub use error::TlsError;
pub use info::{ClientCertificate, TlsInfo, TlsVersion};
use load::{Contents, Fingerprint};
pub(super) use reload::Reloads;

/// A checked [`TlsConfig`], for [`Listen::tls`](crate::Listen::tls). Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    config: TlsConfig,
    ticketer: Arc<dyn ProducesTickets>,
    current: ArcSwap<rustls::ServerConfig>,
    /// What was read last, whether or not it could be used: so that a broken file is reported once.
    seen: Mutex<Fingerprint>,
    #[cfg(feature = "acme")]
    acme: Option<Arc<acme::Acme>>,
}

impl Tls {
    /// Checks the configuration and reads its files. Blocks while it does.
    ///
    /// # Errors
    /// If a field is out of its range, a file cannot be read, or what is in it cannot be used.
    pub fn new(config: &TlsConfig) -> Result<Self, TlsError> {
        check(config)?;
        let contents = Contents::read(config)?;
        let ticketer = load::new_ticketer()?;
        #[cfg(feature = "acme")]
        let acme = config.acme.as_ref().map(acme::Acme::new).transpose()?.map(Arc::new);
        let sources = load::Sources {
            ticketer: &ticketer,
            #[cfg(feature = "acme")]
            acme: acme.as_ref(),
        };
        let current = load::server_config(config, &contents, &sources)?;
        Ok(Self(Arc::new(Shared {
            config: config.clone(),
            ticketer,
            current: ArcSwap::from_pointee(current),
            seen: Mutex::new(contents.fingerprint()),
            #[cfg(feature = "acme")]
            acme,
        })))
    }

    /// One certificate with its chain, and its key; everything else as [`TlsConfig`] has it by default.
    ///
    /// # Errors
    /// As [`Tls::new`].
    pub fn files(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, TlsError> {
        let identities = vec![Identity::files(certificate, key)];
        Self::new(&TlsConfig { identities, ..TlsConfig::default() })
    }

    /// Reads the files again, and uses what is in them from the next handshake on. Connections stay as they are.
    /// Blocks while it reads.
    ///
    /// # Errors
    /// As [`Tls::new`]; then nothing changes.
    pub fn reload(&self) -> Result<(), TlsError> {
        let contents = Contents::read(&self.0.config)?;
        *self.0.seen.lock() = contents.fingerprint();
        self.install(&contents)
    }

    /// As [`Tls::reload`], if anything has changed since it was read last; whether it had.
    pub(super) fn reload_if_changed(&self) -> Result<bool, TlsError> {
        let contents = Contents::read(&self.0.config)?;
        let now = contents.fingerprint();
        if std::mem::replace(&mut *self.0.seen.lock(), now) == now {
            return Ok(false);
        }
        self.install(&contents).map(|()| true)
    }

    fn install(&self, contents: &Contents) -> Result<(), TlsError> {
        let sources = load::Sources {
            ticketer: &self.0.ticketer,
            #[cfg(feature = "acme")]
            acme: self.0.acme.as_ref(),
        };
        let new = load::server_config(&self.0.config, contents, &sources)?;
        self.0.current.store(Arc::new(new));
        Ok(())
    }

    /// How often files are to be looked at; `None` if there are none, or nobody wants it.
    pub(super) fn reload_every(&self) -> Option<Duration> {
        self.0.config.reload_every.filter(|_| self.0.config.sources().any(Pem::is_file))
    }

    /// Gets certificates by ACME and renews them. Returns at once if nobody wants that, else never.
    #[cfg(feature = "acme")]
    pub(super) async fn renew(self, orders: Orders) {
        if let Some(acme) = &self.0.acme {
            acme.renew(orders).await;
        }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The handshake, which computes when one of the `turns` is its own. The client is told why, if it fails.
    pub(super) async fn accept(&self, stream: Stream, turns: &Semaphore) -> io::Result<(Stream, TlsInfo)> {
        let mut waits = false;
        let handshake = async {
            let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
            waits = true;
            let turn = turns.acquire().await.map_err(io::Error::other)?;
            waits = false;
            #[cfg(feature = "acme")]
            if let Some(acme) = &self.0.acme
                && let Some(challenge) = acme.challenge(&start.client_hello())
            {
                let mut seen = in_turn(|| start.into_stream(challenge), turn).await?;
                let _ = seen.shutdown().await; // the authority has what it came for
                return Err(io::Error::other(Proven));
            }
            in_turn(|| start.into_stream(self.0.current.load_full()), turn).await
        };
        let ended = timeout(self.0.config.handshake_timeout, handshake).await;
        let stream = ended.map_err(|_| if waits { NoTurn::error() } else { late() })??;
        let info = TlsInfo::of(stream.get_ref().1);
        Ok((Stream::Tls(Box::new(stream)), info))
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long")
}

/// A handshake that ended because no turn came in its time: the server's fault, not the client's.
#[derive(Debug)]
pub(super) struct NoTurn;

impl NoTurn {
    fn error() -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, Self)
    }

    pub(super) fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>)
    }
}

impl fmt::Display for NoTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the TLS handshake did not get its turn in time")
    }
}

impl std::error::Error for NoTurn {}

/// Begins a handshake and goes on with it. The turn lasts while it computes: until its first answer is made, and all that
/// was ready beside it has run, so that of all handshakes only so many stand before the next look at the sockets.
async fn in_turn<F: Future>(begin: impl FnOnce() -> F, turn: SemaphorePermit<'_>) -> F::Output {
    let mut handshake = pin!(begin());
    let first = poll_fn(|cx| Poll::Ready(handshake.as_mut().poll(cx))).await;
    yield_now().await;
    drop(turn);
    match first {
        Poll::Ready(done) => done,
        Poll::Pending => handshake.await,
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.0.config).finish()
    }
}

fn check(config: &TlsConfig) -> Result<(), ConfigError> {
    let TlsConfig {
        identities,
        client_auth: _,
        min_version: _,
        http2: _,
        handshake_timeout,
        reload_every,
        #[cfg(feature = "acme")]
        acme,
    } = config;
    #[cfg(feature = "acme")]
    let fewest = usize::from(acme.is_none());
    #[cfg(not(feature = "acme"))]
    let fewest = 1;
    if !(fewest..=1000).contains(&identities.len()) {
        return Err(ConfigError::new("tls.identities", identities.len(), "1 to 1000 of them"));
    }
    if handshake_timeout.is_zero() || *handshake_timeout > Duration::from_secs(300) {
        let value = format!("{handshake_timeout:?}");
        return Err(ConfigError::new("tls.handshake_timeout", value, "more than zero, at most 5 min"));
    }
    let pauses = Duration::from_secs(1)..=Duration::from_secs(86_400);
    if let Some(pause) = reload_every.filter(|pause| !pauses.contains(pause)) {
        return Err(ConfigError::new("tls.reload_every", format!("{pause:?}"), "1 s to 1 day"));
    }
    Ok(())
}
