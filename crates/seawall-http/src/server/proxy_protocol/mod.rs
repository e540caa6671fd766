//! The PROXY protocol: a proxy that hands on bytes says first for whom.
//!
//! Off by default. Where it is on, the header is required, and only from networks that are trusted: whoever else could
//! send one would choose its own address. Nothing is guessed, as the protocol demands.

mod parse;

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::{RecvFlags, recv};
use seawall_core::ConfigError;
use tokio::io::{AsyncReadExt as _, Interest};
use tokio::time::timeout;

use self::parse::{Announced, FIXED, MAX_V1, MAX_V2, Verdict, parse};
use super::stream::Stream;
use crate::peer::Address;
use crate::proxies::{ProxyConfig, TrustedProxies};

/// The PROXY protocol of a listener, versions 1 and 2.
#[derive(Debug, Clone)]
pub struct ProxyProtocolConfig {
    /// Networks of the proxies, as in [`ProxyConfig::trusted`]: `10.0.0.0/8`, a single address, `loopback`, `private`,
    /// `unix`. Connections from elsewhere are closed. At least one, at most 1024. Default: none.
    pub trusted: Vec<String>,
    /// How long a connection may take to send its header. More than zero, at most 5 min. Default 5 s.
    pub timeout: Duration,
}

impl Default for ProxyProtocolConfig {
    fn default() -> Self {
        Self { trusted: Vec::new(), timeout: Duration::from_secs(5) }
    }
}

/// A checked [`ProxyProtocolConfig`], for [`Listen::proxy_protocol`](crate::Listen::proxy_protocol). The address that
/// a proxy announces is [`Context::peer`](crate::Context::peer) then.
#[derive(Debug, Clone)]
pub struct ProxyProtocol {
    trusted: TrustedProxies,
    timeout: Duration,
}

impl ProxyProtocol {
    /// Checks the configuration.
    ///
    /// # Errors
    /// If there is no network or one cannot be read, or the timeout is out of its range.
    pub fn new(config: &ProxyProtocolConfig) -> Result<Self, ConfigError> {
        let ProxyProtocolConfig { trusted, timeout } = config;
        if trusted.is_empty() {
            return Err(ConfigError::new("proxy_protocol.trusted", "empty", "the networks of your proxies"));
        }
        if timeout.is_zero() || *timeout > Duration::from_secs(300) {
            let value = format!("{timeout:?}");
            return Err(ConfigError::new("proxy_protocol.timeout", value, "more than zero, at most 5 min"));
        }
        let trusted =
            TrustedProxies::new(&ProxyConfig { trusted: trusted.clone(), ..ProxyConfig::default() })?;
        Ok(Self { trusted, timeout: *timeout })
    }

    /// Takes the header off the stream; who is at the other end, then.
    pub(super) async fn accept(&self, stream: &mut Stream, address: Address) -> io::Result<Address> {
        if !self.trusted.trusts(address) {
            let problem = "it is not from a proxy that is trusted with the PROXY protocol";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, problem));
        }
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the PROXY header took too long");
        Ok(match timeout(self.timeout, read_header(stream)).await.map_err(late)?? {
            Announced::Proxy => address,
            Announced::Client(addr) => Address::Ip(addr),
            Announced::Unknown => Address::Unknown,
        })
    }
}

/// Reads the header and nothing behind it: TLS begins there, with the bare stream. So it looks at what has come first,
/// and takes it once it knows how much is the header's.
async fn read_header(stream: &mut Stream) -> io::Result<Announced> {
    let mut seen = vec![0; MAX_V1.max(FIXED)];
    let mut taken = 0;
    loop {
        let more = peek(stream, &mut seen[taken..]).await?;
        if more == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let verdict = parse(&seen[..taken + more]);
        let take = match verdict {
            Verdict::Header(len, _) => len - taken,
            Verdict::More => more,
            Verdict::Bad(fault) => return Err(io::Error::new(io::ErrorKind::InvalidData, fault.text())),
        };
        stream.read_exact(&mut seen[taken..taken + take]).await?;
        taken += take;
        if let Verdict::Header(_, announced) = verdict {
            return Ok(announced);
        }
        if taken == seen.len() {
            seen.resize(FIXED + MAX_V2, 0); // version 2, whose length has been found good
        }
    }
}

/// What has come, left where it is.
async fn peek(stream: &Stream, room: &mut [u8]) -> io::Result<usize> {
    fn look(socket: impl AsFd, room: &mut [u8]) -> io::Result<usize> {
        Ok(recv(socket, room, RecvFlags::PEEK)?.1)
    }
    match stream {
        Stream::Tcp(socket) => socket.async_io(Interest::READABLE, || look(socket, room)).await,
        Stream::Unix(socket) => socket.async_io(Interest::READABLE, || look(socket, room)).await,
        #[cfg(feature = "tls")]
        Stream::Tls(_) => Err(io::Error::other("the PROXY header comes before TLS")),
    }
}
