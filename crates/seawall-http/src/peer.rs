//! Who is at the other end of a connection, as its transport says.

use std::fmt;
use std::net::SocketAddr;
#[cfg(feature = "tls")]
use std::sync::Arc;

#[cfg(feature = "tls")]
use crate::server::TlsInfo;

/// The other end of a connection. Cloned for each request: two words and at most one count, which belongs to the
/// connection alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peer {
    pub(crate) address: Address,
    /// What the handshake agreed on; `None` without TLS.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Arc<TlsInfo>>,
}

/// From where it connected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Address {
    /// Nowhere that has a name: there is no connection, or a proxy did not say.
    #[default]
    Unknown,
    Ip(SocketAddr),
    /// A process on this machine, through a unix socket.
    Unix,
}

impl Peer {
    pub(crate) fn addr(&self) -> Option<SocketAddr> {
        match self.address {
            Address::Ip(addr) => Some(addr),
            Address::Unix | Address::Unknown => None,
        }
    }

    /// Whether the client chose HTTP/2 in its TLS handshake; `None` if it chose nothing.
    pub(crate) fn chose_http2(&self) -> Option<bool> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return tls.chose_http2();
        }
        None
    }

    /// The scheme of a request on this connection.
    pub(crate) fn scheme(&self) -> &'static str {
        #[cfg(feature = "tls")]
        if self.tls.is_some() {
            return "https";
        }
        "http"
    }
}

impl From<Option<SocketAddr>> for Peer {
    fn from(addr: Option<SocketAddr>) -> Self {
        Self { address: addr.map_or(Address::Unknown, Address::Ip), ..Self::default() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown"),
            Self::Ip(addr) => addr.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}
