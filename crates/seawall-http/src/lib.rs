//! The framework: [`App`], [`Context`], handlers, middleware, and the server.
//!
//! Read in the order of a request: `server/listener.rs` accepts, `server/conn.rs` reads, `service.rs` builds the
//! [`Context`], `router/` finds the chain, `middleware/` runs in the order of registration, `extract/` makes the
//! arguments, the handler answers through `respond/`, and whatever failed becomes an answer in `error/`,
//! and `flight.rs` counts and logs the end, whatever it was.
//!
//! It knows nothing of databases, gateways or monitoring systems; those plug in through public middleware and state.

mod app;
mod body;
mod clock;
mod context;
mod cookie_header;
mod cookies;
mod error;
pub mod extract;
mod flight;
mod handler;
mod head;
mod ids;
mod live_config;
mod measure;
pub mod middleware;
#[cfg(feature = "openapi")]
pub mod openapi;
mod peer;
mod proxies;
mod respond;
mod router;
mod server;
mod service;
mod standing;
pub mod static_files;
mod swap;
pub mod testing;
mod timeout_header;
#[cfg(feature = "tower")]
pub mod tower;
mod trace;
mod validate;
mod values;
#[cfg(feature = "websocket")]
pub mod websocket;

pub use app::{App, Group, RouteInfo, Routes};
pub use body::Body;
pub use context::Context;
#[cfg(feature = "cookies")]
pub use cookies::CookieKeys;
pub use cookies::{SameSite, SetCookie};
pub use error::{BuildError, Error, Field, Result};
pub use extract::{
    Bind, Cookie, Extract, ExtractOptional, Form, Header, Json, Path, Query, State, WholeBody,
};
#[cfg(feature = "multipart")]
pub use extract::{Multipart, MultipartConfig, MultipartForm, MultipartLimits};
pub use handler::{Endpoint, Handler, RouteOptions};
pub use live_config::{AnyLiveConfig, LiveConfig, LiveConfigError};
pub use middleware::{Middleware, Next, after, around, before};
pub use proxies::{ClientHeader, ProxyConfig, TrustedProxies};
#[cfg(feature = "minijinja")]
pub use respond::MiniJinja;
#[cfg(feature = "xml")]
pub use respond::Xml;
pub use respond::{
    BodyWriter, Event, File, Html, IntoError, IntoResponse, NotSent, Pretty, Redirect, Renderer, Response,
    Sse, SseSender, TemplateData,
};
pub use seawall_guard::{AdmissionConfig, Algorithm, LimitConfig, PressureConfig, Priority};
#[cfg(feature = "acme")]
pub use server::{AcmeConfig, LETS_ENCRYPT};
#[cfg(feature = "tls")]
pub use server::{
    ClientAuth, ClientCertificate, Identity, Pem, Tls, TlsConfig, TlsError, TlsInfo, TlsVersion,
};
pub use server::{
    Listen, ListenAddr, Listeners, OverloadConfig, OverloadLimit, OverloadPressure, ProxyProtocol,
    ProxyProtocolConfig, Server, ServerConfig, ShutdownHandle,
};
pub use service::Service;
pub use standing::{RequestHead, Standing};
pub use swap::Swap;
pub use trace::TraceContext;
pub use validate::{Invalid, Valid, Validate};

/// The router alone, for tools: which route would a request find, and why.
pub mod routing {
    pub use crate::router::{AddError, Match, Resolution, RouteTable};
}
