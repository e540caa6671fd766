//! Servers that do as they are told, and what they saw.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use seawall_client::{Address, Client, ClientConfig, HostConfig};
use seawall_core::metrics::{Registry, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// A request as a server saw it.
pub(crate) struct Seen {
    /// From 0, over all connections.
    pub(crate) number: usize,
    /// From 0.
    pub(crate) connection: usize,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub(crate) type Answer = Response<Full<Bytes>>;
type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;
type Handler = Arc<dyn Fn(Seen) -> Answering + Send + Sync>;

/// A server, until it is dropped. With it go its connections.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    task: AbortHandle,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Http {
    One,
    Two,
}

impl Server {
    pub(crate) async fn start<F, A>(handler: F) -> Self
    where
        F: Fn(Seen) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        Self::speaking(Http::One, handler).await
    }

    pub(crate) async fn speaking<F, A>(http: Http, handler: F) -> Self
    where
        F: Fn(Seen) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, http, None, handler)
    }

    pub(crate) fn on<F, A>(
        listener: TcpListener,
        http: Http,
        tls: Option<tokio_rustls::TlsAcceptor>,
        handler: F,
    ) -> Self
    where
        F: Fn(Seen) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |seen| Box::pin(handler(seen)));
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let address = listener.local_addr().unwrap();
        let counts = (Arc::clone(&connections), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            let mut tasks = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let number = counts.0.fetch_add(1, SeqCst);
                let (handler, requests, tls) = (Arc::clone(&handler), Arc::clone(&counts.1), tls.clone());
                tasks.spawn(async move {
                    match tls {
                        None => serve(stream, number, http, handler, requests).await,
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                            let http = if two { Http::Two } else { Http::One };
                            serve(stream, number, http, handler, requests).await;
                        }
                    }
                });
            }
        });
        Self { address, connections, requests, task: task.abort_handle() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) async fn serve<T>(
    stream: T,
    connection: usize,
    http: Http,
    handler: Handler,
    requests: Arc<AtomicUsize>,
) where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (handler, number) = (Arc::clone(&handler), requests.fetch_add(1, SeqCst));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let seen =
                Seen { number, connection, method: head.method, uri: head.uri, headers: head.headers, body };
            Ok::<_, Infallible>(handler(seen).await)
        }
    });
    let io = TokioIo::new(stream);
    let _ = match http {
        Http::One => {
            hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(io, service)
                .await
        }
        Http::Two => {
            hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await
        }
    };
}

/// A server of bytes: each connection is given to `script`.
pub(crate) async fn raw<F, A>(script: F) -> (SocketAddr, Raw)
where
    F: Fn(TcpStream, usize) -> A + Send + Sync + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut tasks = JoinSet::new();
        for number in 0.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            tasks.spawn(script(stream, number));
        }
    });
    (address, Raw(task.abort_handle()))
}

pub(crate) struct Raw(AbortHandle);

impl Drop for Raw {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An address at which nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

pub(crate) fn text(status: u16, body: impl Into<Bytes>) -> Answer {
    Response::builder().status(status).body(Full::new(body.into())).unwrap()
}

pub(crate) fn ok() -> Answer {
    text(200, "ok")
}

/// A configuration under which a test ends soon, and nothing but what it asks for gets in its way.
pub(crate) fn calm() -> ClientConfig {
    ClientConfig { breaker: None, throttle: None, ejection: None, ..ClientConfig::default() }
}

/// The same with a host `svc` at these addresses.
pub(crate) fn at(addresses: &[SocketAddr]) -> ClientConfig {
    let addresses = addresses.iter().copied().map(Address::Tcp).collect();
    ClientConfig { hosts: [("svc".to_owned(), HostConfig { addresses })].into(), ..calm() }
}

pub(crate) fn client(config: ClientConfig) -> Client {
    Client::new(config).unwrap()
}

/// A client, and what it counts.
pub(crate) fn counted(config: ClientConfig) -> (Client, Counts) {
    let registry = Registry::new();
    (Client::with_metrics(config, &registry).unwrap(), Counts(registry))
}

pub(crate) struct Counts(Registry);

impl Counts {
    /// The sum over all series of a metric that have these labels.
    pub(crate) fn of(&self, name: &str, labels: &[(&str, &str)]) -> i64 {
        let families = self.0.snapshot();
        let family = families.iter().find(|family| family.name == name);
        let samples = family.iter().flat_map(|family| &family.samples);
        let fits = samples.filter(|sample| {
            labels
                .iter()
                .all(|wanted| sample.labels.iter().any(|(name, value)| (*name, value.as_str()) == *wanted))
        });
        fits.map(|sample| match &sample.value {
            Value::Counter(count) => i64::try_from(*count).unwrap(),
            Value::Gauge(value) => *value,
            Value::Timer(timer) => i64::try_from(timer.buckets.iter().sum::<u64>()).unwrap(),
        })
        .sum()
    }
}

/// Waits for a condition, with a limit that only a hang reaches.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..3_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain until {what}");
}
