//! WebSockets (RFC 6455): a handler asks for a [`WebSocketUpgrade`] and answers with what it makes of it.
//!
//! ```
//! use seawall_http::websocket::{Message, WebSocketUpgrade};
//! use seawall_http::{Response, Result};
//!
//! async fn echo(ws: WebSocketUpgrade) -> Result<Response> {
//!     ws.on_upgrade(async |mut socket| {
//!         while let Some(message) = socket.recv().await {
//!             socket.send(message?).await?;
//!         }
//!         Ok(())
//!     })
//! }
//! ```
//!
//! `handshake.rs` decides, purely, who may upgrade; `driver.rs` moves messages between the connection and its
//! [`WebSocket`], answers pings, and ends the connection in order; `keepalive.rs` says when to ping and when to give up.
//! The frames themselves are tungstenite's. Left out: compression (permessage-deflate) and WebSockets over HTTP/2 (RFC
//! 8441); browsers fall back to plain frames and to HTTP/1.1 by themselves.

mod close;
mod config;
mod driver;
mod handshake;
mod keepalive;
mod message;
mod socket;

use http::{HeaderValue, header};

pub use close::{Close, CloseCode};
pub use config::WsConfig;
use handshake::Origins;
pub use message::{Message, Text, WsError};
pub use socket::{NotSent, WebSocket, WsReceiver, WsSender};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::extract::Extract;
use crate::respond::Response;
use crate::server::Takeover;

/// A request that asks for a WebSocket, and asks right. Taking it as an argument answers any other request: 426 for one
/// that asks for nothing of the kind, 400 with the header's name for one that asks wrong.
///
/// Browsers let any page open a WebSocket to any host and send the user's cookies along, so by default a page of
/// another origin is refused with 403; see [`WebSocketUpgrade::origins`]. Clients that are no browsers send no `Origin`
/// and are not concerned.
#[derive(Debug)]
#[must_use = "the client waits for the answer that `on_upgrade` makes"]
pub struct WebSocketUpgrade {
    c: Context,
    accept: HeaderValue,
    config: WsConfig,
    origins: Origins,
    protocol: Option<HeaderValue>,
}

impl Extract for WebSocketUpgrade {
    async fn extract(c: &Context) -> Result<Self> {
        let accept = handshake::check(c.method(), c.version(), c.headers())?;
        let (config, origins) = (WsConfig::default(), Origins::Same);
        Ok(Self { c: c.clone(), accept, config, origins, protocol: None })
    }
}

impl WebSocketUpgrade {
    /// Limits and timeouts of this socket, in place of the defaults.
    ///
    /// # Errors
    /// 500 naming the field that cannot be used.
    pub fn config(self, config: &WsConfig) -> Result<Self> {
        config.check()?;
        Ok(Self { config: config.clone(), ..self })
    }

    /// Pages of these origins may connect, and of no others, this host's own included: `["https://shop.example"]`.
    pub fn origins<'a>(self, origins: impl IntoIterator<Item = &'a str>) -> Self {
        Self { origins: Origins::Listed(origins.into_iter().map(str::to_owned).collect()), ..self }
    }
    /// Pages of any origin may connect. Right only where the socket does not go by cookies.
    pub fn any_origin(self) -> Self {
        Self { origins: Origins::Any, ..self }
    }

    /// Selects the first of these subprotocols that the client offers; [`WebSocketUpgrade::protocol`] says which. If
    /// it offers none of them, none is selected, and a client that insists closes the connection.
    ///
    /// # Errors
    /// 500 if one is no token and could not stand in the header.
    pub fn protocols<'a>(self, known: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let protocol = handshake::select_protocol(self.c.headers(), known)?;
        Ok(Self { protocol, ..self })
    }
    /// The subprotocol that was selected.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_ref().and_then(|protocol| protocol.to_str().ok())
    }

    /// The answer that makes the connection a WebSocket, which `serve` then has.
    ///
    /// What `serve` returns runs on the connection's task. The socket is closed when all of it is dropped: with 1000
    /// if `serve` ended well, with 1011 if it failed or panicked, which is logged. When the server drains, the client
    /// gets a close frame with 1001 and `recv` returns `None`; the drain waits for `serve` to end, within its limit.
    ///
    /// # Errors
    /// 403 for a page of another origin.
    pub fn on_upgrade<S, Fut>(self, serve: S) -> Result<Response>
    where
        S: FnOnce(WebSocket) -> Fut + Send + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let Self { c, accept, config, origins, protocol } = self;
        if !origins.allow(c.headers()) {
            return Err(Error::forbidden("a page of another origin may not connect"));
        }
        let route = c.route().unwrap_or_default().to_owned();
        drop(c); // or the request would be kept as long as the socket
        let takeover = Takeover::new(move |taken| driver::serve(taken, config, route, serve));
        let response = Response::switching_protocols(takeover)
            .header(header::CONNECTION, HeaderValue::from_static("upgrade"))
            .header(header::UPGRADE, HeaderValue::from_static(handshake::WEBSOCKET))
            .header(header::SEC_WEBSOCKET_ACCEPT, accept);
        Ok(match protocol {
            Some(protocol) => response.header(header::SEC_WEBSOCKET_PROTOCOL, protocol),
            None => response,
        })
    }
}
