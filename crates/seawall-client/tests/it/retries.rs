//! What is tried again, when, and how seldom when everything fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, SystemTime};

use http::Response;
use seawall_client::{ClientConfig, ErrorKind};
use seawall_guard::{BackoffConfig, RetryBudgetConfig, RetryConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Answer, Server, at, calm, client, counted, nobody, ok, raw, text};

/// Retries without long waits.
fn quick() -> RetryConfig {
    let backoff = BackoffConfig { base: Duration::from_millis(1), max: Duration::from_millis(2) };
    RetryConfig { backoff, ..RetryConfig::default() }
}

fn retrying() -> ClientConfig {
    ClientConfig { retry: quick(), ..calm() }
}

/// Answers with `status` so many times, then with 200.
async fn failing(times: usize, status: u16) -> Server {
    Server::start(move |seen| async move { if seen.number < times { text(status, "no") } else { ok() } })
        .await
}

#[tokio::test]
async fn a_failure_that_may_pass_is_tried_again() {
    for status in [500, 502, 503, 504, 408, 429] {
        let server = failing(2, status).await;
        let (client, counts) = counted(retrying());
        let answer = client.get(server.url("/")).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.attempts()), (200, 3), "{status}");
        assert_eq!(server.connections(), 1, "the refusals are read, and their connection is used again");
        assert_eq!(counts.of("seawall_client_retries_total", &[]), 2);
    }
}

#[tokio::test]
async fn one_that_will_not_is_not() {
    for status in [400, 401, 404, 422, 501] {
        let server = failing(1, status).await;
        let answer = client(retrying()).get(server.url("/")).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.attempts()), (status, 1));
    }
}

/// With each layer that tries again, what has too much to do would get a multiple of it.
#[tokio::test]
async fn nor_is_one_whose_sender_has_tried_already() {
    let server = Server::start(|_| async {
        let mut answer = text(503, "no");
        answer.headers_mut().insert("x-should-retry", "false".parse().unwrap());
        answer
    })
    .await;
    let answer = client(retrying()).get(server.url("/")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.attempts(), server.requests()), (503, 1, 1));
}

#[tokio::test]
async fn after_the_last_attempt_its_answer_is_handed_on() {
    let server = failing(usize::MAX, 503).await;
    let (client, counts) = counted(retrying());
    let answer = client.get(server.url("/")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.attempts()), (503, 3));
    assert_eq!(answer.text().await.unwrap(), "no");
    assert_eq!(counts.of("seawall_client_retries_denied_total", &[("reason", "attempts")]), 1);
}

#[tokio::test]
async fn a_post_is_tried_again_only_if_nothing_was_done() {
    let attempts = |status: u16, retry_after: Option<&'static str>| async move {
        let server = Server::start(move |seen| async move {
            if seen.number > 0 {
                return ok();
            }
            let mut answer = text(status, "no");
            if let Some(value) = retry_after {
                answer.headers_mut().insert("retry-after", value.parse().unwrap());
            }
            answer
        })
        .await;
        client(retrying()).post(server.url("/")).body("x").send().await.unwrap().attempts()
    };
    assert_eq!(attempts(500, None).await, 1);
    assert_eq!(attempts(503, None).await, 1, "a proxy says so when the service behind it is half done");
    assert_eq!(attempts(503, Some("0")).await, 2);
    assert_eq!(attempts(429, None).await, 2);
}

#[tokio::test]
async fn a_request_may_say_otherwise() {
    let server = failing(1, 500).await;
    let answer = client(retrying()).get(server.url("/")).no_retry().send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.attempts()), (500, 1));
    let server = failing(1, 500).await;
    let answer = client(retrying()).post(server.url("/")).idempotent(true).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.attempts()), (200, 2));
    let server = failing(1, 500).await;
    let answer = client(retrying()).get(server.url("/")).idempotent(false).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.attempts()), (500, 1));
}

#[tokio::test]
async fn a_body_is_sent_again_as_it_was() {
    let bodies = Arc::new(parking_lot());
    let seen_by = Arc::clone(&bodies);
    let server = Server::start(move |seen| {
        seen_by.lock().unwrap().push(seen.body);
        async move { if seen.number == 0 { text(502, "") } else { ok() } }
    })
    .await;
    client(retrying()).put(server.url("/")).body("all of it").send().await.unwrap();
    assert_eq!(*bodies.lock().unwrap(), ["all of it", "all of it"]);
}

fn parking_lot() -> std::sync::Mutex<Vec<bytes::Bytes>> {
    std::sync::Mutex::default()
}

fn refusal(retry_after: String) -> Answer {
    let mut answer: Answer = Response::default();
    *answer.status_mut() = http::StatusCode::from_u16(503).unwrap();
    answer.headers_mut().insert("retry-after", retry_after.parse().unwrap());
    answer
}

/// The time between the first and the second attempt, as the server says when to come back.
async fn waited(value: impl Fn() -> String + Send + Sync + 'static) -> Duration {
    let value = Arc::new(value);
    let server = Server::start(move |seen| {
        let value = Arc::clone(&value);
        async move { if seen.number == 0 { refusal(value()) } else { ok() } }
    })
    .await;
    let started = tokio::time::Instant::now();
    let answer = client(retrying()).get(server.url("/")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.attempts()), (200, 2));
    started.elapsed()
}

#[tokio::test]
async fn when_to_come_back_is_honoured_as_seconds_and_as_a_date() {
    assert!(waited(|| "1".to_owned()).await >= Duration::from_secs(1));
    // Two seconds on, of which the rest of the running one is lost.
    let date = || httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(2));
    assert!(waited(date).await >= Duration::from_secs(1));
}

#[tokio::test]
async fn who_wants_to_be_left_alone_for_long_is() {
    let server = Server::start(|_| async { refusal("3600".to_owned()) }).await;
    let (client, counts) = counted(retrying());
    let answer = client.get(server.url("/")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.attempts()), (503, 1));
    assert_eq!(counts.of("seawall_client_retries_denied_total", &[("reason", "retry_after")]), 1);
}

#[tokio::test]
async fn no_attempt_is_begun_that_cannot_end_in_time() {
    let server = Server::start(|_| async { refusal("2".to_owned()) }).await;
    let request = client(retrying()).get(server.url("/")).timeout(Duration::from_secs(1));
    let started = tokio::time::Instant::now();
    assert_eq!(request.send().await.unwrap().attempts(), 1);
    assert!(started.elapsed() < Duration::from_millis(900));
}

/// The promise of the budget: load grows by a tenth when everything fails, not by a multiple.
#[tokio::test]
async fn when_everything_fails_there_is_no_storm() {
    let server = failing(usize::MAX, 500).await;
    let retry_budget = RetryBudgetConfig { percent: 10, reserve: 10 };
    let (client, counts) = counted(ClientConfig { retry_budget, ..retrying() });
    const CALLS: usize = 1_000;
    for _ in 0..CALLS {
        assert_eq!(client.get(server.url("/")).send().await.unwrap().status(), 500);
    }
    let most = CALLS + CALLS / 10 + 10;
    assert!(server.requests() <= most, "{} attempts for {CALLS} calls", server.requests());
    assert!(server.requests() >= CALLS + CALLS / 10, "and the budget is used");
    assert!(counts.of("seawall_client_retries_denied_total", &[("reason", "budget")]) > 800);
    assert_eq!(counts.of("seawall_client_retry_budget_tokens", &[]), 0, "it is spent");
}

/// Nor when what fails are connections that close without a word, which the pool would like to replace.
#[tokio::test]
async fn nor_when_connections_die_with_every_second_request() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let (address, _raw) = raw(move |mut stream, _| {
        let requests = Arc::clone(&counted);
        async move {
            let mut head = [0; 4096];
            while let Ok(1..) = stream.read(&mut head).await {
                requests.fetch_add(1, SeqCst);
                if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.is_err() {
                    return;
                }
                if let Ok(1..) = stream.read(&mut head).await {
                    requests.fetch_add(1, SeqCst);
                    return;
                }
            }
        }
    })
    .await;
    let retry_budget = RetryBudgetConfig { percent: 10, reserve: 10 };
    let client = client(ClientConfig { retry_budget, ..retrying() });
    const CALLS: usize = 500;
    let mut failed = 0;
    for _ in 0..CALLS {
        failed += usize::from(client.get(format!("http://{address}/")).send().await.is_err());
    }
    let sent = requests.load(SeqCst);
    assert!(sent <= CALLS + CALLS / 10 + 10, "{sent} requests for {CALLS} calls");
    assert!(failed > 0, "the test must spend the budget");
}

#[tokio::test]
async fn a_retry_goes_to_another_address() {
    let bad = failing(usize::MAX, 500).await;
    let good = Server::start(|_| async { ok() }).await;
    let client = client(ClientConfig { retry: quick(), ..at(&[bad.address, good.address]) });
    for _ in 0..5 {
        let answer = client.get("http://svc/").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.attempts() <= 2);
    }
}

#[tokio::test]
async fn an_address_without_a_server_is_passed_over_within_the_attempt() {
    let good = Server::start(|_| async { ok() }).await;
    let (client, counts) = counted(ClientConfig { retry: quick(), ..at(&[nobody().await, good.address]) });
    for _ in 0..20 {
        let answer = client.post("http://svc/").body("x").send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.attempts()), (200, 1));
    }
    assert!(counts.of("seawall_client_connects_total", &[("outcome", "refused")]) > 0);
    assert_eq!(counts.of("seawall_client_alerts_total", &[]), 0, "somebody answered");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_an_alert_and_no_retry() {
    let (client, counts) = counted(retrying());
    let error = client.get(format!("http://{}/", nobody().await)).send().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Refused, 1));
    assert!(error.is_connect());
    assert_eq!(counts.of("seawall_client_alerts_total", &[("kind", "refused")]), 1);
}

#[tokio::test]
async fn calls_to_a_host_have_a_rate_and_a_bulkhead() {
    use seawall_guard::{RateLimitConfig, Rejected};
    let server = Server::start(|_| async { ok() }).await;
    let rate = RateLimitConfig { interval: Duration::from_secs(60), burst: 2 };
    let client_ = client(ClientConfig { rate: Some(rate), ..calm() });
    for _ in 0..2 {
        client_.get(server.url("/")).send().await.unwrap();
    }
    let error = client_.get(server.url("/")).send().await.unwrap_err();
    assert!(matches!(error.rejected(), Some(Rejected::RateLimited { .. })), "{error}");
    assert!(error.retry_after().is_some());
    assert_eq!(server.requests(), 2, "what is refused is not sent, and not tried again");

    let (client_, counts) = counted(ClientConfig { max_in_flight: 1, ..calm() });
    let big = Server::start(|_| async { text(200, vec![0; 1 << 20]) }).await;
    let unread = client_.get(big.url("/")).send().await.unwrap();
    let error = client_.get(big.url("/")).send().await.unwrap_err();
    assert_eq!(error.rejected(), Some(Rejected::Saturated), "an answer that is being read counts");
    assert_eq!(counts.of("seawall_client_rejected_total", &[("reason", "saturated")]), 1);
    unread.bytes().await.unwrap();
    client_.get(big.url("/")).send().await.unwrap();
}
