//! Where a server listens, and what it asks of connections there: plain data, until [`Server`](crate::Server) binds it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::proxy_protocol::ProxyProtocol;
#[cfg(feature = "tls")]
use super::tls::Tls;

/// One place to listen on, with its options.
///
/// ```no_run
/// use seawall_http::{App, Listen};
///
/// let app = App::new().get("/", async || "hello");
/// app.run([Listen::tcp("0.0.0.0:8080"), Listen::unix("/run/shop/http.sock")])?;
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Debug)]
pub struct Listen {
    pub(super) place: Place,
    pub(super) reuse_port: bool,
    pub(super) proxy_protocol: Option<ProxyProtocol>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Tls>,
}

#[derive(Debug)]
pub(super) enum Place {
    Tcp(String),
    Unix { path: PathBuf, mode: u32 },
    Systemd(usize),
    Std(Socket),
    TokioTcp(tokio::net::TcpListener),
    TokioUnix(tokio::net::UnixListener),
}

/// A listening socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Listen {
    fn new(place: Place) -> Self {
        Self {
            place,
            reuse_port: false,
            proxy_protocol: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// An address and a port: `0.0.0.0:8080`, `[::]:8080`, `localhost:8080`. Port 0 takes a free one.
    pub fn tcp(addr: impl Into<String>) -> Self {
        Self::new(Place::Tcp(addr.into()))
    }

    /// A unix socket, which is made at `path` with the mode 0660: its owner and its group may connect. A socket that a
    /// dead process left there is replaced; one that somebody listens on is an error. It is removed at the end.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::unix_with_mode(path, 0o660)
    }

    /// As [`Listen::unix`], with these permissions: `0o600` for the owner alone, `0o666` for everybody.
    pub fn unix_with_mode(path: impl Into<PathBuf>, mode: u32) -> Self {
        Self::new(Place::Unix { path: path.into(), mode })
    }

    /// A socket that systemd listens on and has passed to this process (`LISTEN_FDS`); 0 is the first one of the
    /// `.socket` unit. It stays open between two processes, so that no connection is refused while a service restarts.
    pub fn systemd(number: usize) -> Self {
        Self::new(Place::Systemd(number))
    }

    /// Speaks TLS here, and nothing else.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Takes connections from proxies that announce their client first, and from nobody else. The header comes before
    /// TLS.
    #[must_use]
    pub fn proxy_protocol(self, protocol: ProxyProtocol) -> Self {
        Self { proxy_protocol: Some(protocol), ..self }
    }

    /// Gives each worker a socket of its own with `SO_REUSEPORT`, in place of one that all share: the kernel spreads
    /// connections by chance, each stays where it was accepted, and a second process may listen on the same port.
    /// Cheaper per connection, less even, and what waits at a worker that is busy waits for it. TCP by address only.
    #[must_use]
    pub fn reuse_port(self) -> Self {
        Self { reuse_port: true, ..self }
    }
}

/// The place, as the message of an error names it.
impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp(addr) => f.write_str(addr),
            Place::Unix { path, .. } => write!(f, "unix:{}", path.display()),
            Place::Systemd(number) => write!(f, "systemd's socket {number}"),
            Place::Std(_) | Place::TokioTcp(_) | Place::TokioUnix(_) => f.write_str("the given socket"),
        }
    }
}

impl From<&str> for Listen {
    fn from(addr: &str) -> Self {
        Self::tcp(addr)
    }
}
impl From<&String> for Listen {
    fn from(addr: &String) -> Self {
        Self::tcp(addr)
    }
}
impl From<String> for Listen {
    fn from(addr: String) -> Self {
        Self::tcp(addr)
    }
}
impl From<SocketAddr> for Listen {
    fn from(addr: SocketAddr) -> Self {
        Self::tcp(addr.to_string())
    }
}
impl From<std::net::TcpListener> for Listen {
    fn from(socket: std::net::TcpListener) -> Self {
        Self::new(Place::Std(Socket::Tcp(socket)))
    }
}
impl From<std::os::unix::net::UnixListener> for Listen {
    fn from(socket: std::os::unix::net::UnixListener) -> Self {
        Self::new(Place::Std(Socket::Unix(socket)))
    }
}
impl From<tokio::net::TcpListener> for Listen {
    fn from(socket: tokio::net::TcpListener) -> Self {
        Self::new(Place::TokioTcp(socket))
    }
}
impl From<tokio::net::UnixListener> for Listen {
    fn from(socket: tokio::net::UnixListener) -> Self {
        Self::new(Place::TokioUnix(socket))
    }
}

/// Where a server listens: an address, a socket that is there already, or several [`Listen`]s.
#[derive(Debug)]
pub struct Listeners(pub(super) Vec<Listen>);

macro_rules! one {
    ($($kind:ty),* $(,)?) => {$(
        impl From<$kind> for Listeners {
            fn from(place: $kind) -> Self {
                Self(vec![Listen::from(place)])
            }
        }
    )*};
}
one!(
    &str,
    &String,
    String,
    SocketAddr,
    Listen,
    std::net::TcpListener,
    std::os::unix::net::UnixListener,
    tokio::net::TcpListener,
    tokio::net::UnixListener,
);

impl From<Vec<Listen>> for Listeners {
    fn from(all: Vec<Listen>) -> Self {
        Self(all)
    }
}
impl<const N: usize> From<[Listen; N]> for Listeners {
    fn from(all: [Listen; N]) -> Self {
        Self(all.into())
    }
}

/// An address that a server listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenAddr {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a unix socket; empty for one without a name.
    Unix(PathBuf),
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
