//! Who sent a request, and to which address, as far as that can be known.

use std::net::IpAddr;

use http::header;

use super::Context;
use crate::proxies::Client;

impl Context {
    /// The address of the client: the peer's, or, where [`App::trust_proxies`](crate::App::trust_proxies) says whom
    /// to believe, the one that the proxies in front vouch for. An IPv4 address that came as IPv6 is IPv4 here.
    /// `None` where there is no peer, in a [`TestClient`](crate::testing::TestClient) without one.
    pub fn client_ip(&self) -> Option<IpAddr> {
        match self.behind_proxies() {
            Some(client) => client.ip,
            None => self.peer().map(|peer| peer.ip().to_canonical()),
        }
    }

    /// The scheme that the client used, `http` or `https`: the connection's, unless a trusted proxy says otherwise.
    /// What the client itself wrote into its target says nothing about that.
    pub fn scheme(&self) -> &'static str {
        match self.behind_proxies().and_then(|client| client.https) {
            Some(true) => "https",
            Some(false) => "http",
            None => self.0.arrival.peer.scheme(),
        }
    }

    /// What the TLS handshake of this connection agreed on; `None` on a connection without TLS, also where a proxy in
    /// front has it.
    #[cfg(feature = "tls")]
    pub fn tls(&self) -> Option<&crate::TlsInfo> {
        self.0.arrival.peer.tls.as_deref()
    }

    /// The host that the client asked for, with its port if it named one: what a trusted proxy says, else the
    /// target's (HTTP/2), else the `Host` header's. `None` if there is none, or more than one.
    ///
    /// It is the client's word: compare it with the names that you know before it ends up in a link.
    pub fn host(&self) -> Option<&str> {
        if let Some(host) = self.behind_proxies().and_then(|client| client.host.as_deref()) {
            return Some(host);
        }
        if let Some(authority) = self.0.head.uri().authority() {
            let named = authority.as_str();
            return Some(named.rsplit_once('@').map_or(named, |(_, host)| host));
        }
        let mut hosts = self.headers().get_all(header::HOST).iter();
        let only = hosts.next().filter(|_| hosts.next().is_none())?;
        only.to_str().ok().filter(|host| !host.is_empty())
    }

    /// What the proxies say, read once; `None` if nobody is believed.
    fn behind_proxies(&self) -> Option<&Client> {
        let proxies = self.shared().settings().proxies.as_ref()?;
        let peer = self.0.arrival.peer.address;
        Some(self.0.client.get_or_init(|| Box::new(proxies.client(peer, self.headers()))))
    }
}
