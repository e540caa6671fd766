//! Who sent a request, and to which address, as far as it can be known.

use std::net::IpAddr;

use super::Context;

impl Context {
    /// The client's address.
    pub fn client_ip(&self) -> Option<IpAddr> {
        self.peer().map(|peer| peer.ip().to_canonical())
    }
}
