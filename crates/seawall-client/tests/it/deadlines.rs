//! Time that is left, and that only shrinks.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use http::HeaderValue;
use seawall_client::{ClientConfig, Phase};
use seawall_core::Deadline;
use seawall_guard::deadline_from_wire;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Server, at, calm, client, counted, nobody, ok, raw, text};

fn sent(seen: &crate::support::Seen) -> u64 {
    seen.header("seawall-timeout-ms").unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_is_left_is_sent_along() {
    let server = Server::start(|seen| async move { text(200, sent(&seen).to_string()) }).await;
    let client_ = client(ClientConfig { attempt_timeout: Duration::from_secs(4), ..calm() });
    let left = |text: String| text.parse::<u64>().unwrap();
    let request = client_.get(server.url("/")).timeout(Duration::from_secs(3));
    let millis = left(request.text().await.unwrap());
    assert!((500..3_000).contains(&millis), "{millis}");
    // The attempt's own time, if that is shorter.
    let millis = left(client_.get(server.url("/")).text().await.unwrap());
    assert!((500..=4_000).contains(&millis), "{millis}");
    let plain = Server::start(|seen| async move {
        assert_eq!(seen.header("seawall-timeout-ms"), None);
        ok()
    })
    .await;
    let silent = client(ClientConfig { send_deadline: false, ..calm() });
    silent.get(plain.url("/")).bytes().await.unwrap();
}

/// Three hops, each with the time that the one before has left: it never grows, whatever each would like to have.
#[tokio::test]
async fn it_shrinks_with_every_hop() {
    let last = Server::start(|seen| async move { text(200, sent(&seen).to_string()) }).await;
    let hop = |next: String| {
        let client = client(calm());
        Server::start(move |seen| {
            let request = client.get(&next).timeout(Duration::from_secs(60));
            async move {
                let now = tokio::time::Instant::now().into_std();
                let deadline = deadline_from_wire(seen.header("seawall-timeout-ms").unwrap().as_bytes(), now);
                tokio::time::sleep(Duration::from_millis(20)).await;
                let rest = request.deadline(deadline).text().await.unwrap();
                text(200, format!("{} {rest}", sent(&seen)))
            }
        })
    };
    let second = hop(last.url("/")).await;
    let first = hop(second.url("/")).await;
    let request = client(calm()).get(first.url("/")).timeout(Duration::from_secs(5));
    let all = request.text().await.unwrap();
    let millis: Vec<u64> = all.split(' ').map(|millis| millis.parse().unwrap()).collect();
    assert_eq!(millis.len(), 3);
    assert!(millis[0] < 5_000, "{all}");
    assert!(millis[1] + 20 <= millis[0] && millis[2] + 20 <= millis[1], "{all}");
}

#[tokio::test]
async fn a_call_ends_with_its_time_and_says_where_it_was() {
    let server = Server::start(|_| async {
        std::future::pending::<()>().await;
        ok()
    })
    .await;
    let client = client(calm());
    let error = client.get(server.url("/")).timeout(Duration::from_millis(100)).send().await.unwrap_err();
    assert!(error.is_timeout());
    assert_eq!((error.phase(), error.attempts()), (Phase::Send, 1));
    assert!(error.elapsed() >= Duration::from_millis(90));
    assert_eq!(client.hosts()[0].connections, 0, "nobody waits for that answer any more");
    let passed = Deadline::at(tokio::time::Instant::now().into_std());
    let error = client.get(server.url("/")).deadline(passed).send().await.unwrap_err();
    assert!(error.is_timeout());
    assert_eq!((error.phase(), error.attempts()), (Phase::Prepare, 0), "nothing is begun for nobody");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn an_attempt_has_a_time_of_its_own_and_another_one_follows() {
    let server = Server::start(|seen| async move {
        if seen.number == 0 {
            std::future::pending::<()>().await;
        }
        ok()
    })
    .await;
    let (client, counts) = counted(calm());
    let request = client.get(server.url("/")).attempt_timeout(Duration::from_millis(100));
    let answer = request.send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.attempts()), (200, 2));
    assert_eq!(counts.of("seawall_client_attempts_total", &[("outcome", "transient")]), 1);
}

#[tokio::test]
async fn the_answers_body_is_within_it_too() {
    let (address, _raw) = raw(|mut stream, _| async move {
        let mut head = [0; 1024];
        let _ = stream.read(&mut head).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
        std::future::pending::<()>().await;
    })
    .await;
    let client = client(calm());
    let request = client.get(format!("http://{address}/")).timeout(Duration::from_millis(200));
    let mut answer = request.send().await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "half");
    let error = answer.chunk().await.unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(error.phase(), Phase::Body);
    assert!(answer.chunk().await.unwrap().is_none(), "after an error it is at its end");
    assert_eq!(client.hosts()[0].connections, 0);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error() {
    let (address, _raw) = raw(|mut stream, _| async move {
        let mut head = [0; 1024];
        let _ = stream.read(&mut head).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    })
    .await;
    let error = client(calm()).get(format!("http://{address}/")).bytes().await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (seawall_client::ErrorKind::Broken, Phase::Body));
}

#[tokio::test]
async fn every_attempt_is_injected_into_anew() {
    let spans = Arc::new(Mutex::new(Vec::new()));
    let seen_by = Arc::clone(&spans);
    let server = Server::start(move |seen| {
        seen_by.lock().unwrap().push(seen.header("traceparent").unwrap().to_owned());
        async move { if seen.number == 0 { text(502, "") } else { ok() } }
    })
    .await;
    let attempt = std::sync::atomic::AtomicU64::new(1);
    let request = client(calm()).get(server.url("/")).inject(move |headers| {
        let span = attempt.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let value = format!("00-0af7651916cd43dd8448eb211c80319c-{span:016x}-01");
        headers.insert("traceparent", HeaderValue::try_from(value).unwrap());
    });
    request.send().await.unwrap();
    let spans = spans.lock().unwrap();
    assert_eq!(spans.len(), 2);
    assert_ne!(spans[0], spans[1], "the same trace, another span");
    assert_eq!(spans[0][..35], spans[1][..35]);
}

#[tokio::test]
async fn the_wait_for_another_address_is_within_it() {
    let client = client(at(&[nobody().await, nobody().await]));
    let error = client.get("http://svc/").send().await.unwrap_err();
    assert!(error.is_connect());
}
