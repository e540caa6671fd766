//! Which proxies are believed, and what they say about the client.
//!
//! Pure: addresses and headers in, a [`Client`] out. No header is believed unless the peer is in a network that the
//! configuration names. Then the list of hops is walked from its right end, hop by hop, as long as the hop that spoke
//! is trusted: each one vouches for the address that it wrote down. The first address that is not trusted is the
//! client; where the list ends, or is not readable, it is the last address that somebody vouched for.

mod fields;
mod network;

use std::net::IpAddr;
use std::sync::Arc;

use http::uri::Authority;
use http::{HeaderMap, HeaderName, header};
use seawall_core::ConfigError;
use serde::Deserialize;

use fields::{Element, address, from_the_right};
use network::Network;

use crate::peer::Address;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// No honest request has passed more proxies; the rest of a longer list is not looked at.
const MAX_HOPS: usize = 32;
/// The name of whoever comes through a unix socket.
const UNIX: &str = "unix";
/// More networks than any provider publishes.
const MAX_NETWORKS: usize = 1024;
/// The longest host that is taken over: a name of DNS and a port.
const MAX_HOST: usize = 253 + 6;

/// Which proxies are believed, and by which header. Nobody is, by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProxyConfig {
    /// Networks of the proxies in front of this service: `10.0.0.0/8`, `2001:db8::/32`, a single address, `loopback`,
    /// `private` (RFC 1918 and RFC 4193), or `unix`, which is whoever may open our unix sockets. At most 1024.
    /// Default: none.
    pub trusted: Vec<String>,
    /// Where they write the client's address. Default: `X-Forwarded-For`.
    pub client: ClientHeader,
    /// Whether `X-Forwarded-Proto` is believed too; say so only if your proxies set it on every request, because many
    /// hand on what the client sent. Default: no. `Forwarded` has its own `proto`, which is always believed.
    pub forwarded_proto: bool,
    /// The same for `X-Forwarded-Host`. A host that a client can choose ends up in links and caches. Default: no.
    pub forwarded_host: bool,
}

/// The header in which proxies write the client's address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientHeader {
    /// `X-Forwarded-For`: each proxy appends the address that it was called from.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239), with the scheme and the host that the client used.
    Forwarded,
    /// A header with one address, which the proxy sets and never hands on: `CF-Connecting-IP`, `True-Client-IP`.
    Named(String),
}

/// A checked [`ProxyConfig`]. Cloning gives another handle.
#[derive(Debug, Clone)]
pub struct TrustedProxies(Arc<Trusted>);

#[derive(Debug)]
struct Trusted {
    networks: Vec<Network>,
    unix: bool,
    header: Header,
    proto: bool,
    host: bool,
}

#[derive(Debug)]
enum Header {
    XForwardedFor,
    Forwarded,
    Named(HeaderName),
}

/// What the proxies say. `None` where they say nothing that can be believed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) ip: Option<IpAddr>,
    pub(crate) https: Option<bool>,
    pub(crate) host: Option<Box<str>>,
}

impl TrustedProxies {
    /// Checks the configuration.
    ///
    /// # Errors
    /// If a network cannot be read, contains everybody, or there are too many; if the header has no name.
    pub fn new(config: &ProxyConfig) -> Result<Self, ConfigError> {
        let ProxyConfig { trusted, client, forwarded_proto, forwarded_host } = config;
        if trusted.len() > MAX_NETWORKS {
            let allowed = format_args!("at most {MAX_NETWORKS} networks");
            return Err(ConfigError::new("proxies.trusted", trusted.len(), allowed));
        }
        let mut networks = Vec::new();
        for (at, text) in trusted.iter().enumerate() {
            if text == UNIX {
                continue;
            }
            let read = Network::parse(text);
            let wrong = |must_be| ConfigError::new(format!("proxies.trusted[{at}]"), text, must_be);
            networks.extend(read.map_err(wrong)?);
        }
        let header = match client {
            ClientHeader::XForwardedFor => Header::XForwardedFor,
            ClientHeader::Forwarded => Header::Forwarded,
            ClientHeader::Named(name) => Header::Named(
                name.parse().map_err(|_| ConfigError::new("proxies.client", name, "a header's name"))?,
            ),
        };
        let (proto, host) = (*forwarded_proto, *forwarded_host);
        let unix = trusted.iter().any(|text| text == UNIX);
        Ok(Self(Arc::new(Trusted { networks, unix, header, proto, host })))
    }

    /// Whether `address` belongs to a trusted proxy.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.networks.iter().any(|network| network.contains(address))
    }

    /// Whether whoever is at the other end of a connection is one.
    pub(crate) fn trusts(&self, address: Address) -> bool {
        match address {
            Address::Ip(addr) => self.contains(addr.ip().to_canonical()),
            Address::Unix => self.0.unix,
            Address::Unknown => false,
        }
    }

    /// What is known of the client of a request that came from `peer`.
    pub(crate) fn client(&self, peer: Address, headers: &HeaderMap) -> Client {
        let trusted = self.trusts(peer);
        let peer = match peer {
            Address::Ip(addr) => Some(addr.ip().to_canonical()),
            Address::Unix | Address::Unknown => None,
        };
        if !trusted {
            return Client { ip: peer, ..Client::default() };
        }
        let mut client = match &self.0.header {
            Header::XForwardedFor => {
                let hops = from_the_right(headers, &X_FORWARDED_FOR).map(address);
                Client { ip: self.walk(peer, hops), ..Client::default() }
            }
            Header::Named(name) => {
                let mut given = from_the_right(headers, name);
                let only = given.next().filter(|_| given.next().is_none());
                Client { ip: only.and_then(address).or(peer), ..Client::default() }
            }
            Header::Forwarded => return self.forwarded(peer, headers),
        };
        if self.0.proto {
            client.https = from_the_right(headers, &X_FORWARDED_PROTO).next().and_then(is_https);
        }
        if self.0.host {
            client.host = from_the_right(headers, &X_FORWARDED_HOST).next().and_then(host);
        }
        client
    }

    /// The address that the last trusted hop vouches for.
    fn walk(&self, peer: Option<IpAddr>, hops: impl Iterator<Item = Option<IpAddr>>) -> Option<IpAddr> {
        let mut client = peer;
        for hop in hops.take(MAX_HOPS) {
            let Some(hop) = hop else { break };
            client = Some(hop);
            if !self.contains(hop) {
                break;
            }
        }
        client
    }

    /// The same over elements; scheme and host are those of the element that names the client.
    fn forwarded(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Client {
        let mut named = Element::default();
        let elements = from_the_right(headers, &header::FORWARDED).map(Element::parse);
        let hops = elements.map(|element| {
            let element = element.filter(|element| element.client.is_some())?;
            let ip = element.client;
            named = element;
            ip
        });
        let ip = self.walk(peer, hops);
        Client {
            ip,
            https: named.proto.as_deref().and_then(is_https),
            host: named.host.as_deref().and_then(host),
        }
    }
}

fn is_https(proto: &str) -> Option<bool> {
    match () {
        () if proto.eq_ignore_ascii_case("https") => Some(true),
        () if proto.eq_ignore_ascii_case("http") => Some(false),
        () => None,
    }
}

/// A host with or without a port, and nothing else.
fn host(text: &str) -> Option<Box<str>> {
    let authority: Authority = text.parse().ok()?;
    (text.len() <= MAX_HOST && !text.contains('@') && !authority.host().is_empty()).then(|| text.into())
}

#[cfg(test)]
mod tests;
