//! Circuit breakers and the throttle: a service that fails is left alone, and found again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use seawall_client::{Client, ClientConfig, ErrorKind};
use seawall_guard::{BreakerConfig, RetryConfig, ThrottleConfig};

use crate::support::{Server, at, calm, counted, nobody, text, until};

fn breaking(open_for: Duration) -> BreakerConfig {
    BreakerConfig {
        min_calls: 5,
        open_for,
        max_open_for: open_for,
        jitter_percent: 0,
        probes: 1,
        ..ClientConfig::default().breaker.unwrap()
    }
}

fn no_retry() -> RetryConfig {
    RetryConfig { max: 0, ..RetryConfig::default() }
}

/// Answers with whatever status it is told.
async fn obeying(status: &Arc<AtomicUsize>) -> Server {
    let status = Arc::clone(status);
    Server::start(move |_| {
        let status = u16::try_from(status.load(SeqCst)).unwrap();
        async move { text(status, "") }
    })
    .await
}

#[tokio::test]
async fn it_opens_fails_fast_tries_and_closes() {
    let status = Arc::new(AtomicUsize::new(500));
    let server = obeying(&status).await;
    let breaker = Some(breaking(Duration::from_millis(100)));
    let (client, counts) = counted(ClientConfig { breaker, retry: no_retry(), ..calm() });
    for _ in 0..5 {
        assert_eq!(client.get(server.url("/")).send().await.unwrap().status(), 500);
    }
    let error = client.get(server.url("/")).send().await.unwrap_err();
    assert!(error.is_breaker_open(), "{error}");
    assert!(error.retry_after().is_some());
    assert_eq!(server.requests(), 5, "nothing is sent while it is open");
    assert_eq!(counts.of("seawall_client_breakers_open", &[]), 1);
    // Half open, a failure opens it again.
    assert_eq!(let_through(&client, &server).await, 500);
    assert_eq!(server.requests(), 6);
    assert!(client.get(server.url("/")).send().await.unwrap_err().is_breaker_open());
    // And a success closes it.
    status.store(200, SeqCst);
    assert_eq!(let_through(&client, &server).await, 200);
    for _ in 0..10 {
        assert_eq!(client.get(server.url("/")).send().await.unwrap().status(), 200);
    }
    let transitions = |to| counts.of("seawall_client_breaker_transitions_total", &[("to", to)]);
    assert_eq!((transitions("open"), transitions("half_open"), transitions("closed")), (2, 2, 1));
    assert_eq!(counts.of("seawall_client_breakers_open", &[]), 0);
}

/// Calls until the breaker lets one through, and gives its status.
async fn let_through(client: &Client, server: &Server) -> u16 {
    loop {
        match client.get(server.url("/")).send().await {
            Ok(answer) => return answer.status().as_u16(),
            Err(error) => assert!(error.is_breaker_open(), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn mistakes_of_the_caller_do_not_open_it() {
    for wrong in [404, 429] {
        let server = obeying(&Arc::new(AtomicUsize::new(wrong))).await;
        let breaker = Some(breaking(Duration::from_secs(60)));
        let (client, _) = counted(ClientConfig { breaker, retry: no_retry(), ..calm() });
        for _ in 0..30 {
            assert_eq!(
                usize::from(client.get(server.url("/")).send().await.unwrap().status().as_u16()),
                wrong
            );
        }
    }
}

#[tokio::test]
async fn a_refused_connection_opens_it_at_once() {
    let address = nobody().await;
    let breaker = Some(breaking(Duration::from_secs(60)));
    let (client, counts) = counted(ClientConfig { breaker, ..at(&[address]) });
    let error = client.get("http://svc/").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    for _ in 0..3 {
        assert!(client.get("http://svc/").send().await.unwrap_err().is_breaker_open());
    }
    assert_eq!(counts.of("seawall_client_connects_total", &[("host", "svc")]), 1);
    assert_eq!(counts.of("seawall_client_alerts_total", &[("host", "svc"), ("kind", "refused")]), 1);
    assert_eq!(counts.of("seawall_client_rejected_total", &[("reason", "circuit_open")]), 3);
}

#[tokio::test]
async fn one_open_breaker_leaves_the_other_addresses() {
    let bad = obeying(&Arc::new(AtomicUsize::new(500))).await;
    let good = obeying(&Arc::new(AtomicUsize::new(200))).await;
    let breaker = Some(breaking(Duration::from_secs(60)));
    let config = ClientConfig { breaker, ..at(&[bad.address, good.address]) };
    let (client, counts) = counted(config);
    let calls: Vec<_> = (0..100).map(|_| tokio::spawn(client.get("http://svc/").send())).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    // It has its five failures and a few that were under way.
    let before = bad.requests();
    assert_eq!(counts.of("seawall_client_breakers_open", &[]), 1);
    for _ in 0..50 {
        assert_eq!(client.get("http://svc/").send().await.unwrap().status(), 200);
    }
    assert_eq!(bad.requests(), before);
}

#[tokio::test]
async fn a_call_that_is_given_up_is_no_verdict_and_frees_its_probe() {
    let status = Arc::new(AtomicUsize::new(500));
    let told = Arc::clone(&status);
    let server = Server::start(move |_| {
        let status = told.load(SeqCst);
        async move {
            if status == 0 {
                std::future::pending::<()>().await;
            }
            text(u16::try_from(status).unwrap(), "")
        }
    })
    .await;
    let breaker = Some(breaking(Duration::from_millis(20)));
    let (client, _) = counted(ClientConfig { breaker, retry: no_retry(), ..calm() });
    for _ in 0..5 {
        client.get(server.url("/")).send().await.unwrap();
    }
    assert!(client.get(server.url("/")).send().await.unwrap_err().is_breaker_open());
    tokio::time::sleep(Duration::from_millis(30)).await;
    status.store(0, SeqCst);
    let probe = tokio::spawn(client.get(server.url("/")).send());
    until("the probe is out", || server.requests() == 6).await;
    assert!(client.get(server.url("/")).send().await.unwrap_err().is_breaker_open(), "one probe at a time");
    probe.abort();
    let _ = probe.await;
    status.store(200, SeqCst);
    assert_eq!(client.get(server.url("/")).send().await.unwrap().status(), 200, "its place is free again");
}

#[tokio::test]
async fn a_caller_that_is_mostly_refused_holds_back_by_itself() {
    let status = Arc::new(AtomicUsize::new(503));
    let server = obeying(&status).await;
    let throttle = Some(ThrottleConfig { window: Duration::from_secs(1), ..ThrottleConfig::default() });
    let (client, counts) = counted(ClientConfig { throttle, retry: no_retry(), ..calm() });
    for _ in 0..500 {
        let _ = client.get(server.url("/")).send().await;
    }
    let held = counts.of("seawall_client_rejected_total", &[("reason", "throttled")]);
    assert!(held > 300, "{held} of 500 were held back");
    assert_eq!(usize::try_from(held).unwrap() + server.requests(), 500);
    // Some always pass, so that a service that recovers is noticed.
    status.store(200, SeqCst);
    let mut good = 0;
    while good < 50 {
        good += usize::from(client.get(server.url("/")).send().await.is_ok());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn one_failure_in_a_quiet_time_holds_nothing_back() {
    let status = Arc::new(AtomicUsize::new(503));
    let server = obeying(&status).await;
    let throttle = Some(ThrottleConfig::default());
    let (client, counts) = counted(ClientConfig { throttle, ..calm() });
    assert_eq!(client.get(server.url("/")).send().await.unwrap().attempts(), 3);
    assert_eq!(counts.of("seawall_client_rejected_total", &[]), 0);
}
