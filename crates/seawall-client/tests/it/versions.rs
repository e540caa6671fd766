//! HTTP/2, TLS, unix sockets.

use std::sync::Arc;
use std::time::Duration;

use http::Version;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use seawall_client::{Address, ClientConfig, ErrorKind, HostConfig, PoolConfig, Protocol, TlsConfig};
use seawall_guard::BreakerConfig;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::support::{Http, Server, at, calm, client, counted, ok, serve, text, until};

#[tokio::test]
async fn requests_share_a_connection_of_http_2() {
    let room = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&room);
    let server = Server::speaking(Http::Two, move |seen| {
        let room = Arc::clone(&waiting);
        async move {
            assert_eq!(seen.uri.path(), "/x");
            room.acquire().await.unwrap().forget();
            ok()
        }
    })
    .await;
    let client = client(ClientConfig { protocol: Protocol::Http2, ..calm() });
    let calls: Vec<_> = (0..50).map(|_| tokio::spawn(client.get(server.url("/x")).send())).collect();
    until("all are at work", || server.requests() == 50).await;
    assert_eq!(server.connections(), 1, "also those that came while it was being opened");
    room.add_permits(50);
    for call in calls {
        let answer = call.await.unwrap().unwrap();
        assert_eq!(answer.version(), Version::HTTP_2);
        assert_eq!(answer.bytes().await.unwrap(), "ok");
    }
    assert_eq!(client.hosts()[0].idle, 1);
}

#[tokio::test]
async fn beyond_its_streams_another_connection_is_opened() {
    let room = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&room);
    let server = Server::speaking(Http::Two, move |_| {
        let room = Arc::clone(&waiting);
        async move {
            room.acquire().await.unwrap().forget();
            ok()
        }
    })
    .await;
    let pool = PoolConfig { max_streams: 10, ..PoolConfig::default() };
    let client = client(ClientConfig { protocol: Protocol::Http2, pool, ..calm() });
    let calls: Vec<_> = (0..25).map(|_| tokio::spawn(client.get(server.url("/")).bytes())).collect();
    until("all are at work", || server.requests() == 25).await;
    assert_eq!(server.connections(), 3);
    room.add_permits(25);
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_stream_that_is_given_up_leaves_the_others() {
    let server = Server::speaking(Http::Two, |seen| async move {
        if seen.uri.path() == "/hold" {
            std::future::pending::<()>().await;
        }
        ok()
    })
    .await;
    let client = client(ClientConfig { protocol: Protocol::Http2, ..calm() });
    client.get(server.url("/")).bytes().await.unwrap();
    let hold = tokio::spawn(client.get(server.url("/hold")).send());
    until("it is at work", || server.requests() == 2).await;
    hold.abort();
    let _ = hold.await;
    client.get(server.url("/")).bytes().await.unwrap();
    assert_eq!(server.connections(), 1);
    let facts = client.hosts().remove(0);
    assert_eq!((facts.connections, facts.idle, facts.in_flight), (1, 1, 0));
}

#[tokio::test]
async fn a_server_of_http_2_that_restarts_is_found_again() {
    let server = Server::speaking(Http::Two, |_| async { ok() }).await;
    let address = server.address;
    let client = client(ClientConfig { protocol: Protocol::Http2, ..at(&[address]) });
    client.get("http://svc/").bytes().await.unwrap();
    drop(server);
    until("the old connection is gone", || client.hosts()[0].connections == 0).await;
    let listener = TcpListener::bind(address).await.unwrap();
    let _again = Server::on(listener, Http::Two, None, |_| async { ok() });
    assert_eq!(client.get("http://svc/").bytes().await.unwrap(), "ok");
}

/// A certificate for `localhost`, and what serves with it.
fn certificate(protocols: &[&[u8]]) -> (Vec<u8>, TlsAcceptor) {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    (certificate.pem().into_bytes(), TlsAcceptor::from(Arc::new(config)))
}

async fn encrypted(tls: TlsAcceptor) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Server::on(listener, Http::One, Some(tls), |_| async { ok() })
}

fn trusting(ca: Vec<u8>, server: &Server) -> ClientConfig {
    let host = HostConfig { addresses: vec![Address::Tcp(server.address)] };
    ClientConfig {
        tls: TlsConfig { ca: Some(ca), identity: None },
        hosts: [("localhost".to_owned(), host)].into(),
        ..calm()
    }
}

#[tokio::test]
async fn tls_agrees_upon_the_version() {
    for (protocols, version) in [
        (&[&b"h2"[..], b"http/1.1"][..], Version::HTTP_2),
        (&[&b"http/1.1"[..]], Version::HTTP_11),
        (&[], Version::HTTP_11),
    ] {
        let (ca, tls) = certificate(protocols);
        let server = encrypted(tls).await;
        let client = client(trusting(ca, &server));
        let calls: Vec<_> = (0..10).map(|_| tokio::spawn(client.get("https://localhost/").send())).collect();
        for call in calls {
            let answer = call.await.unwrap().unwrap();
            assert_eq!(answer.version(), version);
            answer.bytes().await.unwrap();
        }
        if version == Version::HTTP_2 {
            assert_eq!(server.connections(), 1);
        }
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_an_alert_and_opens_the_breaker() {
    let (_, tls) = certificate(&[]);
    let (another, _) = certificate(&[]);
    let server = encrypted(tls).await;
    let breaker = BreakerConfig { open_for: Duration::from_secs(60), ..BreakerConfig::default() };
    let (client, counts) = counted(ClientConfig { breaker: Some(breaker), ..trusting(another, &server) });
    let error = client.get("https://localhost/").send().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Tls, 1));
    assert!(client.get("https://localhost/").send().await.unwrap_err().is_breaker_open());
    let labels = [("host", "localhost"), ("kind", "tls")];
    assert_eq!(counts.of("seawall_client_alerts_total", &labels), 1);
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_no_good() {
    let (ca, tls) = certificate(&[]);
    let server = encrypted(tls).await;
    let mut config = trusting(ca, &server);
    let host = config.hosts.remove("localhost").unwrap();
    config.hosts.insert("elsewhere".to_owned(), host);
    let error = client(config).get("https://elsewhere/").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
}

#[tokio::test]
async fn a_host_may_be_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let handler = |seen: crate::support::Seen| {
                let answer = text(200, format!("{} {}", seen.header("host").unwrap(), seen.uri));
                Box::pin(std::future::ready(answer)) as _
            };
            tokio::spawn(serve(stream, 0, Http::One, Arc::new(handler), Arc::default()));
        }
    });
    let host = HostConfig { addresses: vec![Address::Unix(path.clone())] };
    let client = client(ClientConfig { hosts: [("orders".to_owned(), host)].into(), ..calm() });
    let answer = client.get("http://orders/7").send().await.unwrap();
    assert_eq!(*answer.address(), Address::Unix(path));
    assert_eq!(answer.text().await.unwrap(), "orders /7");
    task.abort();
}

#[tokio::test]
async fn a_unix_socket_that_is_not_there_is_refused() {
    let host = HostConfig { addresses: vec![Address::Unix("/no/such/socket".into())] };
    let client = client(ClientConfig { hosts: [("orders".to_owned(), host)].into(), ..calm() });
    assert_eq!(client.get("http://orders/").send().await.unwrap_err().kind(), ErrorKind::Refused);
}
