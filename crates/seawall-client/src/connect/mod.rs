//! From an address to a connection that takes requests: TCP or a unix socket, TLS, the handshake of HTTP.
//!
//! Which version is spoken is agreed upon by ALPN, unless the configuration says so. Left out: proxies, upgrades.

pub(crate) mod resolve;
#[cfg(feature = "tls")]
pub(crate) mod tls;

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::interval;

use crate::address::Address;
use crate::body::SendBody;
use crate::config::{ClientConfig, Protocol};

/// What a connection runs on.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

type Socket = TokioIo<Box<dyn Io>>;

/// Opens connections to one host.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    timeout: Duration,
    protocol: Protocol,
    max_streams: u32,
    max_head: usize,
    #[cfg(feature = "tls")]
    tls: Option<tls::TlsClient>,
}

/// What requests are given to.
pub(crate) enum Sender {
    H1(http1::SendRequest<SendBody>),
    H2(http2::SendRequest<SendBody>),
}

/// Runs a connection until it ends.
#[expect(clippy::large_enum_variant, reason = "boxed once, by its task")]
pub(crate) enum Driver {
    H1(http1::Connection<Socket, SendBody>),
    H2(http2::Connection<Socket, SendBody, TokioExecutor>),
}

/// Why there is no connection. Not a byte of a request was sent.
#[derive(Debug)]
pub(crate) enum ConnectError {
    /// Nobody listens there, or there is no way.
    Refused(io::Error),
    /// This side could not: no file handle, no port.
    Local(io::Error),
    TimedOut,
    /// The certificate is not right, or the other side does not speak TLS.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "as with the feature"))]
    Tls(io::Error),
    /// It does not speak HTTP.
    Handshake(hyper::Error),
}

impl Connector {
    /// For a host. `tls` is there if its URLs begin with `https`.
    pub(crate) fn new(config: &ClientConfig, #[cfg(feature = "tls")] tls: Option<tls::TlsClient>) -> Self {
        Self {
            timeout: config.connect_timeout,
            protocol: config.protocol,
            max_streams: config.pool.max_streams,
            max_head: config.max_head,
            #[cfg(feature = "tls")]
            tls,
        }
    }

    /// How many requests at once a connection is likely to take, before there was one.
    pub(crate) fn expected_capacity(&self) -> u32 {
        match self.protocol {
            Protocol::Http1 => 1,
            Protocol::Http2 => self.max_streams,
            Protocol::Auto if self.is_secure() => self.max_streams,
            Protocol::Auto => 1,
        }
    }

    /// Opens a connection, within the time that the configuration gives it. Dropped, it is closed.
    pub(crate) async fn connect(&self, address: &Address) -> Result<(Sender, Driver), ConnectError> {
        let opening = self.open(address);
        tokio::time::timeout(self.timeout, opening).await.unwrap_or(Err(ConnectError::TimedOut))
    }

    async fn open(&self, address: &Address) -> Result<(Sender, Driver), ConnectError> {
        let plain: Box<dyn Io> = match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(ConnectError::of)?;
                // A request is written in one piece; waiting for more of it would only delay it.
                stream.set_nodelay(true).map_err(ConnectError::Local)?;
                Box::new(stream)
            }
            Address::Unix(path) => Box::new(UnixStream::connect(path).await.map_err(ConnectError::of)?),
        };
        let (io, agreed) = self.encrypt(plain).await?;
        let http2 = match self.protocol {
            Protocol::Http1 => false,
            Protocol::Http2 => true,
            Protocol::Auto => agreed,
        };
        if http2 { self.http2(TokioIo::new(io)).await } else { self.http1(TokioIo::new(io)).await }
    }

    async fn http1(&self, io: Socket) -> Result<(Sender, Driver), ConnectError> {
        // hyper reads a head into its buffer, which may not be smaller than 8 KiB.
        let mut builder = http1::Builder::new();
        builder.max_buf_size(self.max_head.max(8 * 1024));
        let (sender, driver) = builder.handshake(io).await.map_err(ConnectError::Handshake)?;
        Ok((Sender::H1(sender), Driver::H1(driver)))
    }

    async fn http2(&self, io: Socket) -> Result<(Sender, Driver), ConnectError> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).initial_max_send_streams(0);
        builder.max_header_list_size(u32::try_from(self.max_head).unwrap_or(u32::MAX)).adaptive_window(true);
        // A machine that vanished leaves no trace on a connection; a ping finds out.
        builder.keep_alive_interval(Duration::from_secs(20)).keep_alive_timeout(Duration::from_secs(10));
        let (sender, mut driver) = builder.handshake(io).await.map_err(ConnectError::Handshake)?;
        // Its first frame says how many requests it takes at once (RFC 9113, 3.4). More would be refused, and what is
        // refused then may be a request that cannot be repeated. hyper tells nobody when it has come, so we look.
        let mut looks = interval(Duration::from_millis(1));
        poll_fn(|cx| {
            while looks.poll_tick(cx).is_ready() {}
            match Pin::new(&mut driver).poll(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(ConnectError::Handshake(error))),
                _ if driver.current_max_send_streams() > 0 => Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => {
                    Poll::Ready(Err(ConnectError::Refused(io::ErrorKind::UnexpectedEof.into())))
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await?;
        Ok((Sender::H2(sender), Driver::H2(driver)))
    }

    #[cfg(feature = "tls")]
    fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "as with the feature")]
    fn is_secure(&self) -> bool {
        false
    }

    /// With TLS, if the host wants it. Says whether HTTP/2 was agreed upon.
    #[cfg(feature = "tls")]
    async fn encrypt(&self, plain: Box<dyn Io>) -> Result<(Box<dyn Io>, bool), ConnectError> {
        let Some(tls) = &self.tls else { return Ok((plain, false)) };
        let stream = tls.handshake(plain).await.map_err(ConnectError::Tls)?;
        let agreed = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Box::new(stream), agreed))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_async, clippy::unused_self, reason = "as with the feature")]
    async fn encrypt(&self, plain: Box<dyn Io>) -> Result<(Box<dyn Io>, bool), ConnectError> {
        Ok((plain, false))
    }
}

impl Driver {
    /// How many requests at once the other side takes at this moment.
    pub(crate) fn capacity(&self) -> usize {
        match self {
            Self::H1(_) => 1,
            Self::H2(connection) => connection.current_max_send_streams(),
        }
    }
}

impl Future for Driver {
    type Output = Result<(), hyper::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::H1(connection) => Pin::new(connection).poll(cx),
            Self::H2(connection) => Pin::new(connection).poll(cx),
        }
    }
}

impl ConnectError {
    fn of(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NotFound
            | Kind::PermissionDenied => Self::Refused(error),
            Kind::TimedOut => Self::TimedOut,
            _ => Self::Local(error),
        }
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::H1(_) => "H1",
            Self::H2(_) => "H2",
        })
    }
}
