//! Turns of handshakes, with a client whose handshake we drive step by step.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use super::*;

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(60);

/// A server with this time limit, and a client that trusts it.
fn pair(handshake_timeout: Duration) -> (Tls, TlsConnector) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["shop.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    let identities = vec![Identity::pem(certificate.pem(), key.serialize_pem())];
    let tls = Tls::new(&TlsConfig { identities, handshake_timeout, ..TlsConfig::default() }).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(certificate.der().to_vec())).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    (tls, TlsConnector::from(Arc::new(config)))
}

fn name() -> ServerName<'static> {
    ServerName::try_from("shop.test").unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn without_a_turn_it_ends_in_time_and_says_why() {
    block_on(async {
        let (tls, connector) = pair(SHORT);
        let (server, client) = UnixStream::pair().unwrap();
        let turns = Semaphore::new(0);
        let (accepted, connected) =
            tokio::join!(tls.accept(Stream::Unix(server), &turns), connector.connect(name(), client));
        let error = accepted.err().unwrap();
        assert!(NoTurn::is(&error), "{error}");
        assert!(connected.is_err());
    });
}

#[test]
fn a_client_that_says_nothing_is_late_by_itself() {
    block_on(async {
        let (tls, _) = pair(SHORT);
        let (server, _client) = UnixStream::pair().unwrap();
        let error = tls.accept(Stream::Unix(server), &Semaphore::new(0)).await.err().unwrap();
        assert!(!NoTurn::is(&error) && error.kind() == io::ErrorKind::TimedOut, "{error}");
    });
}

#[test]
fn who_waits_goes_on_when_a_turn_is_free() {
    block_on(async {
        let (tls, connector) = pair(LONG);
        let turns = Arc::new(Semaphore::new(1));
        let held = turns.acquire().await.unwrap();
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..5 {
            let (server, client) = UnixStream::pair().unwrap();
            let (tls, turns, connector) = (tls.clone(), Arc::clone(&turns), connector.clone());
            all.spawn(async move { tls.accept(Stream::Unix(server), &turns).await.is_ok() });
            all.spawn(async move {
                let Ok(mut stream) = connector.connect(name(), client).await else { return false };
                let _ = stream.read(&mut [0]).await; // it stays until the server has done its part
                true
            });
        }
        for _ in 0..100 {
            yield_now().await;
            assert!(all.try_join_next().is_none(), "nobody goes on without a turn");
        }
        drop(held);
        assert_eq!(all.join_all().await, [true; 10]);
    });
}

/// A turn is for what computes: a client that stops in the middle gives it on.
#[test]
fn whoever_stops_after_the_hello_takes_nobodys_turn() {
    block_on(async {
        let (tls, connector) = pair(LONG);
        let turns = Arc::new(Semaphore::new(1));
        let (server, mut client) = UnixStream::pair().unwrap();
        let (stopping, its_turns) = (tls.clone(), Arc::clone(&turns));
        let stopped =
            tokio::spawn(async move { stopping.accept(Stream::Unix(server), &its_turns).await.is_ok() });
        // Only the first message of a client goes on to the server.
        let (ours, mut wire) = tokio::io::duplex(1 << 16);
        let begun = connector.clone();
        let begun = tokio::spawn(async move { begun.connect(name(), ours).await.is_ok() });
        let mut hello = vec![0; 4096];
        let read = wire.read(&mut hello).await.unwrap();
        client.write_all(&hello[..read]).await.unwrap();
        client.readable().await.unwrap(); // the answer is here
        let (server, other) = UnixStream::pair().unwrap();
        let (accepted, connected) =
            tokio::join!(tls.accept(Stream::Unix(server), &turns), connector.connect(name(), other));
        assert!(accepted.is_ok() && connected.is_ok());
        assert!(!stopped.is_finished() && !begun.is_finished());
    });
}
