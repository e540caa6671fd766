#![doc = include_str!("../../../README.md")]
//!
//! # The tour
//!
//! - [`App`], [`Context`], [`Group`]: routes, handlers, groups. Start with [`prelude`].
//! - [`extract`] and [`IntoResponse`]: what handlers take and give.
//! - [`File`], [`Sse`], [`websocket`], [`Renderer`]: answers that are more than a value.
//! - [`middleware`]: before and after the handler; [`around`], [`before`], [`after`] for your own.
//! - [`Server`] and [`ServerConfig`]: limits, timeouts, drain. [`Listen`] and [`Tls`]: where, and how sealed.
//! - [`testing`]: requests without a network. [`routing`]: the router alone, for tools.
//! - [`Client`]: calls to other services, with retries, breakers and deadlines.
//! - [`data`]: embedded SQL, cache, queue. [`guard`]: permits, rate limits, back-off. [`observe`]: metrics, signals,
//!   health, on a listener of their own. [`tasks`]: what goroutines and channels are to a Go service. [`core`]: the words that all share.
//!
//! This crate has no logic of its own.

#[cfg(feature = "client")]
pub use seawall_client::{self as client, Client, ClientConfig};
pub use seawall_core as core;
pub use seawall_data as data;
pub use seawall_guard as guard;
#[cfg(feature = "cookies")]
pub use seawall_http::CookieKeys;
#[cfg(feature = "minijinja")]
pub use seawall_http::MiniJinja;
#[cfg(feature = "xml")]
pub use seawall_http::Xml;
#[cfg(feature = "openapi")]
pub use seawall_http::openapi;
pub use seawall_http::static_files;
#[cfg(feature = "tower")]
pub use seawall_http::tower;
#[cfg(feature = "websocket")]
pub use seawall_http::websocket;
#[cfg(feature = "acme")]
pub use seawall_http::{AcmeConfig, LETS_ENCRYPT};
pub use seawall_http::{
    AdmissionConfig, Algorithm, AnyLiveConfig, LimitConfig, LiveConfig, LiveConfigError, OverloadConfig,
    OverloadLimit, OverloadPressure, PressureConfig, Priority, RequestHead, Standing,
};
pub use seawall_http::{
    App, Bind, Body, BodyWriter, BuildError, ClientHeader, Context, Cookie, Endpoint, Error, Extract,
    ExtractOptional, Field, Form, Group, Handler, Header, Html, IntoError, IntoResponse, Invalid, Json,
    Listen, ListenAddr, Listeners, Middleware, Next, Path, ProxyConfig, ProxyProtocol, ProxyProtocolConfig,
    Query, Redirect, Response, Result, RouteInfo, RouteOptions, Routes, SameSite, Server, ServerConfig,
    Service, SetCookie, ShutdownHandle, State, Swap, TraceContext, TrustedProxies, Valid, Validate,
    WholeBody, after, around, before, extract, middleware, routing, testing,
};
#[cfg(feature = "tls")]
pub use seawall_http::{
    ClientAuth, ClientCertificate, Identity, Pem, Tls, TlsConfig, TlsError, TlsInfo, TlsVersion,
};
pub use seawall_http::{Event, File, NotSent, Pretty, Renderer, Sse, SseSender, TemplateData};
#[cfg(feature = "multipart")]
pub use seawall_http::{Multipart, MultipartConfig, MultipartForm, MultipartLimits};
pub use seawall_observe as observe;
pub use seawall_tasks as tasks;

pub use bytes::Bytes;
pub use http::{self, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
/// Builds a JSON value in place: `json!({"message": "hello"})`.
pub use serde_json::json;

/// What nearly every service needs: `use seawall::prelude::*`.
pub mod prelude {
    #[cfg(feature = "tls")]
    pub use crate::Tls;
    pub use crate::middleware::{AccessLog, BodyLimit, RequestId};
    #[cfg(feature = "websocket")]
    pub use crate::websocket::WebSocketUpgrade;
    pub use crate::{AdmissionConfig, Algorithm, LimitConfig, Priority, RequestHead, Standing};
    pub use crate::{
        App, Bind, Body, Bytes, Context, Cookie, Error, Extract, Form, Group, Header, Html, IntoResponse,
        Json, Listen, Middleware, Next, Path, Query, Redirect, Response, Result, RouteOptions as _,
        ServerConfig, State, StatusCode, Valid, WholeBody, after, around, before, json,
    };
    pub use crate::{Event, Sse};
    #[cfg(feature = "multipart")]
    pub use crate::{Multipart, MultipartForm};
    pub use crate::{SameSite, SetCookie};
}
