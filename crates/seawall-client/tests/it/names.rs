//! Names, and the addresses that a resolver finds for them.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use seawall_client::{ClientConfig, ErrorKind, Phase, Resolver, Resolving};
use seawall_guard::BreakerConfig;

use crate::support::{Server, calm, counted, ok, until};

/// Says what it is told to, and counts.
#[derive(Debug, Default)]
struct Told {
    answer: Mutex<Option<Vec<SocketAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Told {
    fn say(&self, addresses: &[SocketAddr]) {
        *self.answer.lock().unwrap() = Some(addresses.to_vec());
    }
    fn fail(&self) {
        *self.answer.lock().unwrap() = None;
    }
    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[derive(Debug)]
struct Handle(Arc<Told>);

impl Resolver for Handle {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        self.0.asked.lock().unwrap().push(format!("{host}:{port}"));
        let answer = self.0.answer.lock().unwrap().clone();
        Box::pin(async move { answer.ok_or_else(|| io::Error::other("no such name")) })
    }
}

fn resolving(told: &Arc<Told>) -> ClientConfig {
    ClientConfig {
        resolver: Arc::new(Handle(Arc::clone(told))),
        dns_ttl: Duration::from_millis(50),
        ..calm()
    }
}

#[tokio::test]
async fn a_name_is_asked_for_once_while_its_answer_is_good() {
    let server = Server::start(|seen| async move {
        assert_eq!(seen.header("host"), Some("prices.internal:8080"));
        ok()
    })
    .await;
    let told = Arc::new(Told::default());
    told.say(&[server.address]);
    let (client, _) = counted(ClientConfig { dns_ttl: Duration::from_secs(60), ..resolving(&told) });
    let calls: Vec<_> =
        (0..10).map(|_| tokio::spawn(client.get("http://Prices.internal:8080/").bytes())).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(*told.asked.lock().unwrap(), ["prices.internal:8080"]);
}

#[tokio::test]
async fn addresses_change_while_calls_go_on() {
    let old = Server::start(|_| async { ok() }).await;
    let new = Server::start(|_| async { ok() }).await;
    let told = Arc::new(Told::default());
    told.say(&[old.address]);
    let (client, _) = counted(resolving(&told));
    client.get("http://svc/").bytes().await.unwrap();
    told.say(&[new.address]);
    while new.requests() == 0 {
        client.get("http://svc/").bytes().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let before = old.requests();
    for _ in 0..20 {
        client.get("http://svc/").bytes().await.unwrap();
    }
    assert_eq!(old.requests(), before);
    until("connections to the old one are closed", || client.hosts()[0].connections == 1).await;
}

#[tokio::test]
async fn old_addresses_serve_on_when_the_resolver_fails() {
    let server = Server::start(|_| async { ok() }).await;
    let told = Arc::new(Told::default());
    told.say(&[server.address]);
    let (client, counts) = counted(resolving(&told));
    client.get("http://svc/").bytes().await.unwrap();
    told.fail();
    while told.asked() == 1 {
        client.get("http://svc/").bytes().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    client.get("http://svc/").bytes().await.unwrap();
    until("somebody is told", || counts.of("seawall_client_alerts_total", &[("kind", "dns")]) > 0).await;
}

#[tokio::test]
async fn a_name_without_address_is_an_alert_and_opens_a_breaker() {
    let told = Arc::new(Told::default());
    let breaker = BreakerConfig { open_for: Duration::from_secs(60), ..BreakerConfig::default() };
    let (client, counts) = counted(ClientConfig { breaker: Some(breaker), ..resolving(&told) });
    let error = client.get("http://svc/").send().await.unwrap_err();
    assert_eq!((error.kind(), error.phase(), error.attempts()), (ErrorKind::Resolve, Phase::Resolve, 1));
    assert_eq!(error.host(), "svc:80");
    assert!(client.get("http://svc/").send().await.unwrap_err().is_breaker_open());
    assert_eq!(told.asked(), 1);
    assert_eq!(counts.of("seawall_client_alerts_total", &[("kind", "dns")]), 1);
}

#[tokio::test]
async fn an_empty_answer_is_a_failure_too() {
    let told = Arc::new(Told::default());
    told.say(&[]);
    let (client, _) = counted(resolving(&told));
    assert_eq!(client.get("http://svc/").send().await.unwrap_err().kind(), ErrorKind::Resolve);
}

#[tokio::test]
async fn the_systems_resolver_knows_this_machine() {
    let server = Server::start(|_| async { ok() }).await;
    let (client, _) = counted(calm());
    let url = format!("http://localhost:{}/", server.address.port());
    for _ in 0..5 {
        assert_eq!(client.get(&url).bytes().await.unwrap(), "ok");
    }
}
