//! A second call when the first takes unusually long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use seawall_client::{ClientConfig, Error};
use seawall_guard::{HedgeConfig, RetryBudgetConfig};

use crate::support::{Server, at, counted, ok, text, until};

fn hedging(addresses: &[std::net::SocketAddr], percent: u32) -> ClientConfig {
    let budget = RetryBudgetConfig { percent, reserve: 1 };
    let hedge = HedgeConfig { min_delay: Duration::from_millis(150), budget };
    ClientConfig { hedge: Some(hedge), ..at(addresses) }
}

/// Two servers; whoever gets the first request after `stuck` was set keeps it for ever.
async fn two(stuck: &Arc<AtomicBool>) -> [Server; 2] {
    let server = || {
        let stuck = Arc::clone(stuck);
        Server::start(move |_| {
            let stuck = stuck.swap(false, SeqCst);
            async move {
                if stuck {
                    std::future::pending::<()>().await;
                }
                ok()
            }
        })
    };
    [server().await, server().await]
}

#[tokio::test]
async fn the_second_answer_counts_when_the_first_does_not_come() {
    let stuck = Arc::new(AtomicBool::new(false));
    let servers = two(&stuck).await;
    let (client, counts) = counted(hedging(&[servers[0].address, servers[1].address], 100));
    // So many that there is a quantile to speak of.
    for _ in 0..64 {
        client.get("http://svc/").bytes().await.unwrap();
    }
    let before = counts.of("seawall_client_hedges_total", &[]);
    stuck.store(true, SeqCst);
    let answer = client.get("http://svc/").timeout(Duration::from_secs(60)).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.attempts()), (200, 2));
    assert_eq!(counts.of("seawall_client_hedges_total", &[]), before + 1);
    assert!(counts.of("seawall_client_hedges_total", &[("winner", "second")]) >= 1);
    assert!(servers.iter().all(|server| server.requests() > 0), "to another address");
    // The one that lost is given up: its connection is closed, its room free.
    until("nothing is in flight", || client.hosts()[0].in_flight <= 1).await;
    answer.bytes().await.unwrap();
    assert_eq!(client.hosts()[0].in_flight, 0);
    assert!(counts.of("seawall_client_attempts_total", &[("outcome", "cancelled")]) >= 1);
}

#[tokio::test]
async fn a_call_that_may_not_be_made_twice_is_not() {
    let stuck = Arc::new(AtomicBool::new(false));
    let servers = two(&stuck).await;
    let (client, counts) = counted(hedging(&[servers[0].address, servers[1].address], 100));
    for _ in 0..64 {
        client.get("http://svc/").bytes().await.unwrap();
    }
    let before = counts.of("seawall_client_hedges_total", &[]);
    for no in [0, 1] {
        stuck.store(true, SeqCst);
        let request = if no == 0 { client.post("http://svc/") } else { client.get("http://svc/").no_hedge() };
        let error: Error = request.no_retry().timeout(Duration::from_millis(500)).send().await.unwrap_err();
        assert!(error.is_timeout());
        assert_eq!(error.attempts(), 1);
    }
    assert_eq!(counts.of("seawall_client_hedges_total", &[]), before);
}

#[tokio::test]
async fn second_calls_have_a_budget() {
    let slow = Arc::new(AtomicBool::new(false));
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = (Arc::clone(&slow), Arc::clone(&requests));
    let server = Server::start(move |_| {
        let slow = seen.0.load(SeqCst);
        seen.1.fetch_add(1, SeqCst);
        async move {
            if slow {
                tokio::time::sleep(Duration::from_millis(600)).await;
            }
            text(200, "")
        }
    })
    .await;
    let (client, _) = counted(hedging(&[server.address], 5));
    for _ in 0..64 {
        client.get("http://svc/").bytes().await.unwrap();
    }
    slow.store(true, SeqCst);
    requests.store(0, SeqCst);
    // All at once, and fewer than it takes for the quantile to learn that all are slow.
    let calls: Vec<_> = (0..20).map(|_| tokio::spawn(client.get("http://svc/").bytes())).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let sent = requests.load(SeqCst);
    assert!((21..=22).contains(&sent), "one of the reserve, and at most one for twenty calls: {sent}");
}
