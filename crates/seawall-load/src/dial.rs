//! Where connections go, and where they come from: addresses of the target, a unix socket, source addresses.
//!
//! Names are looked up once, before the run: a resolver's time belongs into no latency. Left out: proxies.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use seawall_core::ConfigError;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::error::LoadError;
use crate::sys;
use crate::target::Target;

/// Where connections go instead of to the URL's host, and where they come from. The `Host` field, the certificate's
/// name and the request stay those of the URL.
#[derive(Debug, Clone, Default)]
pub struct ConnectConfig {
    /// Connect to this `host:port` instead. Default: the URL's.
    pub to: Option<String>,
    /// Connect to these addresses, in turn, instead of looking the name up; the port stays. Default: the name's first
    /// address.
    pub resolve: Vec<IpAddr>,
    /// Connect to this unix socket instead. Default none.
    pub unix: Option<PathBuf>,
    /// Local addresses for the connections, in turn: each has its own 28,000 or so ports towards one target. Default:
    /// the system's choice.
    pub sources: Vec<IpAddr>,
}

/// Most addresses in one list.
const MAX_ADDRESSES: usize = 1_000;
/// Bytes of a unix socket's path that the kernel takes.
const MAX_UNIX_PATH: usize = 107;

impl ConnectConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let Self { to, resolve, unix, sources } = self;
        let given =
            usize::from(to.is_some()) + usize::from(!resolve.is_empty()) + usize::from(unix.is_some());
        if given > 1 {
            let allowed = "one of another host, addresses and a unix socket";
            return Err(ConfigError::new("load.connect", "several targets", allowed));
        }
        if let Some(to) = to {
            split(to).ok_or_else(|| {
                ConfigError::new(
                    "load.connect.to",
                    format!("`{to}`"),
                    "a host and a port, such as 10.0.0.7:8080",
                )
            })?;
        }
        if let Some(path) = unix {
            let length = path.as_os_str().len();
            if !(1..=MAX_UNIX_PATH).contains(&length) {
                let allowed = format!("a path of 1 to {MAX_UNIX_PATH} bytes");
                return Err(ConfigError::new("load.connect.unix", format!("{length} bytes"), allowed));
            }
            if !sources.is_empty() {
                let allowed = "left out with a unix socket: that has no addresses";
                return Err(ConfigError::new("load.connect.sources", sources[0], allowed));
            }
        }
        for (field, list) in [("load.connect.resolve", resolve), ("load.connect.sources", sources)] {
            if list.len() > MAX_ADDRESSES {
                return Err(ConfigError::new(
                    field,
                    list.len(),
                    format!("at most {MAX_ADDRESSES} addresses"),
                ));
            }
        }
        Ok(())
    }
}

/// `host:port` or `[v6]:port`.
fn split(to: &str) -> Option<(&str, u16)> {
    let (host, port) = to.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    let port = port.parse().ok().filter(|&port| port != 0)?;
    (!host.is_empty()).then_some((host, port))
}

/// Makes the connections of a run. Names are looked up already.
#[derive(Debug, Clone)]
pub(crate) struct Dial {
    to: To,
    sources: Vec<IpAddr>,
}

#[derive(Debug, Clone)]
enum To {
    /// One of these, in turn; never empty.
    Addresses(Vec<SocketAddr>),
    Unix(PathBuf),
}

impl Dial {
    /// Looks the name up, which blocks.
    pub(crate) fn new(config: &ConnectConfig, target: &Target) -> Result<Self, LoadError> {
        let to = match config {
            ConnectConfig { unix: Some(path), .. } => To::Unix(path.clone()),
            ConnectConfig { resolve, .. } if !resolve.is_empty() => {
                To::Addresses(resolve.iter().map(|&ip| SocketAddr::new(ip, target.port)).collect())
            }
            ConnectConfig { to: Some(to), .. } => {
                let (host, port) = split(to).unwrap_or((to, target.port));
                To::Addresses(vec![look_up(host, port)?])
            }
            _ => To::Addresses(vec![look_up(&target.name, target.port)?]),
        };
        Ok(Self { to, sources: config.sources.clone() })
    }

    /// Begins to connect number `number` of the run. An error may also be the kernel's refusal.
    pub(crate) fn connect(&self, number: usize) -> io::Result<Socket> {
        match &self.to {
            To::Addresses(addresses) => {
                let source = (!self.sources.is_empty()).then(|| self.sources[number % self.sources.len()]);
                connect_tcp(addresses[number % addresses.len()], source)
            }
            To::Unix(path) => connect_unix(path),
        }
    }
}

fn look_up(host: &str, port: u16) -> Result<SocketAddr, LoadError> {
    let nothing = || io::Error::new(io::ErrorKind::NotFound, "no address found");
    (host, port)
        .to_socket_addrs()
        .and_then(|mut addresses| addresses.next().ok_or_else(nothing))
        .map_err(|source| LoadError::Resolve { host: host.to_owned(), source })
}

fn connect_tcp(address: SocketAddr, source: Option<IpAddr>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    if let Some(source) = source {
        sys::bind_address_no_port(&socket);
        socket.bind(&SockAddr::from(SocketAddr::new(source, 0)))?;
    }
    begin(socket, &SockAddr::from(address))
}

fn connect_unix(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    begin(socket, &SockAddr::unix(path)?)
}

fn begin(socket: Socket, address: &SockAddr) -> io::Result<Socket> {
    match socket.connect(address) {
        Ok(()) => Ok(socket),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(config: &ConnectConfig, expected: &str) {
        assert_eq!(config.check().unwrap_err().to_string(), expected);
    }

    #[test]
    fn another_host_needs_a_port() {
        for to in ["h", "h:", ":1", "h:0", "h:99999", "::1:80", "[::1"] {
            let expected =
                format!("`load.connect.to` is `{to}`, but must be a host and a port, such as 10.0.0.7:8080");
            check(&ConnectConfig { to: Some(to.to_owned()), ..ConnectConfig::default() }, &expected);
        }
        assert_eq!(split("[::1]:80"), Some(("::1", 80)));
    }

    #[test]
    fn there_is_one_target() {
        let config = ConnectConfig {
            to: Some("h:1".to_owned()),
            unix: Some("/run/x".into()),
            ..ConnectConfig::default()
        };
        check(
            &config,
            "`load.connect` is several targets, but must be one of another host, addresses and a unix socket",
        );
    }

    #[test]
    fn a_path_has_the_kernels_limit() {
        let config = ConnectConfig { unix: Some("x".repeat(108).into()), ..ConnectConfig::default() };
        check(&config, "`load.connect.unix` is 108 bytes, but must be a path of 1 to 107 bytes");
    }
}
