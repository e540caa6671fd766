//! Several addresses of one host: who gets the calls.

use std::time::Duration;

use seawall_client::{ClientConfig, EjectionConfig};

use crate::support::{Server, at, counted, ok, text};

#[tokio::test]
async fn all_get_their_share() {
    let mut servers = Vec::new();
    for _ in 0..4 {
        servers.push(Server::start(|_| async { ok() }).await);
    }
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let (client, _) = counted(at(&addresses));
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    client.get("http://svc/").bytes().await.unwrap();
                }
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    for server in &servers {
        assert!(server.requests() > 20, "{} of 400", server.requests());
    }
}

#[tokio::test]
async fn a_slow_address_gets_few() {
    let slow = Server::start(|_| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        ok()
    })
    .await;
    let quick = [Server::start(|_| async { ok() }).await, Server::start(|_| async { ok() }).await];
    let (client, _) = counted(at(&[slow.address, quick[0].address, quick[1].address]));
    for _ in 0..300 {
        client.get("http://svc/").bytes().await.unwrap();
    }
    assert!(slow.requests() < 30, "{} of 300", slow.requests());
}

#[tokio::test]
async fn one_that_fails_quickly_is_not_taken_for_a_good_one() {
    let bad = Server::start(|_| async { text(500, "") }).await;
    let good = Server::start(|_| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        ok()
    })
    .await;
    let (client, _) = counted(at(&[bad.address, good.address]));
    for _ in 0..200 {
        client.get("http://svc/").no_retry().send().await.unwrap();
    }
    assert!(bad.requests() <= 10, "{} of 200", bad.requests());
}

#[tokio::test]
async fn one_that_fails_is_ejected_and_comes_back() {
    let bad = Server::start(|seen| async move { text(if seen.number < 3 { 500 } else { 200 }, "") }).await;
    let good = [Server::start(|_| async { ok() }).await, Server::start(|_| async { ok() }).await];
    let ejection = EjectionConfig {
        consecutive_failures: 3,
        base_time: Duration::from_millis(300),
        ..EjectionConfig::default()
    };
    let config =
        ClientConfig { ejection: Some(ejection), ..at(&[bad.address, good[0].address, good[1].address]) };
    // Without the penalty and with a quick look again, so that it is the ejection that keeps calls away.
    let mut config = config;
    config.balance.failure_penalty = Duration::ZERO;
    config.balance.explore_after = Duration::from_millis(10);
    let (client, counts) = counted(config);
    while counts.of("seawall_client_ejections_total", &[("cause", "consecutive")]) == 0 {
        client.get("http://svc/").no_retry().send().await.unwrap();
    }
    assert_eq!((bad.requests(), client.hosts()[0].ejected), (3, 1));
    while client.hosts()[0].ejected == 1 {
        client.get("http://svc/").bytes().await.unwrap();
        if client.hosts()[0].ejected == 1 {
            assert_eq!(bad.requests(), 3, "it is left alone");
        }
    }
    while bad.requests() == 3 {
        client.get("http://svc/").bytes().await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn when_all_fail_some_stay() {
    let servers = [
        Server::start(|_| async { text(500, "") }).await,
        Server::start(|_| async { text(500, "") }).await,
        Server::start(|_| async { text(500, "") }).await,
    ];
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let ejection = EjectionConfig { consecutive_failures: 2, max_percent: 100, ..EjectionConfig::default() };
    let (client, _) = counted(ClientConfig { ejection: Some(ejection), ..at(&addresses) });
    for _ in 0..60 {
        assert_eq!(client.get("http://svc/").no_retry().send().await.unwrap().status(), 500);
    }
    assert_eq!(client.hosts()[0].ejected, 2, "one always stays");
}

/// The acceptance row: one of three dies; callers do not notice, and soon it is not asked any more.
#[tokio::test]
async fn one_of_three_dies_and_no_call_fails() {
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(Server::start(|_| async { ok() }).await);
    }
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let config = ClientConfig { hosts: at(&addresses).hosts, ..ClientConfig::default() };
    let (client, counts) = counted(config);
    for _ in 0..30 {
        client.get("http://svc/").bytes().await.unwrap();
    }
    drop(servers.remove(0)); // its connections are cut
    let mut failed = 0;
    for _ in 0..1_000 {
        failed += usize::from(client.get("http://svc/").bytes().await.is_err());
    }
    assert!(failed <= 1, "{failed} of 1,000 failed");
    assert_eq!(counts.of("seawall_client_breakers_open", &[("host", "svc")]), 1);
    assert!(counts.of("seawall_client_connects_total", &[("outcome", "refused")]) <= 3);
}
