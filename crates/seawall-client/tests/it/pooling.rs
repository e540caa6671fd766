//! Connections: reused, bounded, and closed in time.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use seawall_client::{Client, ClientConfig, ErrorKind, PoolConfig};
use seawall_guard::Rejected;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Notify, Semaphore};

use crate::support::{Server, calm, client, counted, ok, raw, text, until};

fn pooled(pool: PoolConfig) -> Client {
    client(ClientConfig { pool, ..calm() })
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = Server::start(|seen| async move { text(200, seen.connection.to_string()) }).await;
    let client = client(calm());
    for _ in 0..20 {
        assert_eq!(client.get(server.url("/")).text().await.unwrap(), "0");
    }
    assert_eq!(server.connections(), 1);
    // A head alone is a whole answer too.
    for _ in 0..5 {
        client.head(server.url("/")).send().await.unwrap();
    }
    assert_eq!(server.connections(), 1);
    assert_eq!(client.hosts()[0].idle, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_many_threads_too() {
    let server = Server::start(|_| async { ok() }).await;
    let client = client(calm());
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (client, url) = (client.clone(), server.url("/"));
            tokio::spawn(async move {
                for _ in 0..100 {
                    assert_eq!(client.get(&url).bytes().await.unwrap(), "ok");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(server.requests(), 400);
    // A connection may not be back yet when the next request begins, so a few more than tasks.
    assert!(server.connections() < 40, "{}", server.connections());
}

/// Holds requests to `/hold` until it is told to let them go.
async fn holding(room: &Arc<Semaphore>) -> Server {
    let room = Arc::clone(room);
    Server::start(move |seen| {
        let room = Arc::clone(&room);
        async move {
            if seen.uri.path() == "/hold" {
                room.acquire().await.unwrap().forget();
            }
            text(200, seen.connection.to_string())
        }
    })
    .await
}

#[tokio::test]
async fn the_connection_used_last_is_used_next() {
    let room = Arc::new(Semaphore::new(0));
    let server = holding(&room).await;
    let client = client(calm());
    let call = |path: &str| tokio::spawn(client.get(server.url(path)).text());
    let held: Vec<_> = (0..3).map(|_| call("/hold")).collect();
    until("three are open", || server.requests() == 3).await;
    room.add_permits(3);
    let mut last = String::new();
    for task in held {
        last = task.await.unwrap().unwrap();
    }
    until("all are back", || client.hosts()[0].idle == 3).await;
    let next = client.get(server.url("/")).text().await.unwrap();
    for _ in 0..5 {
        assert_eq!(client.get(server.url("/")).text().await.unwrap(), next);
    }
    assert_eq!(server.connections(), 3);
    assert!(["0", "1", "2"].contains(&last.as_str()));
}

#[tokio::test]
async fn beyond_the_cap_calls_wait_and_beyond_that_they_are_refused() {
    let room = Arc::new(Semaphore::new(0));
    let server = holding(&room).await;
    let pool = PoolConfig {
        max_connections: 2,
        max_pending: 1,
        max_wait: Duration::from_secs(30),
        ..PoolConfig::default()
    };
    let client = client(ClientConfig {
        pool,
        attempt_timeout: Duration::from_secs(60),
        timeout: Duration::from_secs(60),
        ..calm()
    });
    let hold: Vec<_> = (0..2).map(|_| tokio::spawn(client.get(server.url("/hold")).text())).collect();
    until("both are at work", || server.requests() == 2).await;
    let waits = tokio::spawn(client.get(server.url("/")).text());
    until("one waits", || client.hosts()[0].waiting == 1).await;
    let error = client.get(server.url("/")).send().await.unwrap_err();
    assert_eq!(error.rejected(), Some(Rejected::QueueFull));
    room.add_permits(2);
    waits.await.unwrap().unwrap();
    for task in hold {
        task.await.unwrap().unwrap();
    }
    assert_eq!(server.connections(), 2);
    assert_eq!(client.hosts()[0].waiting, 0);
}

#[tokio::test]
async fn a_wait_has_an_end() {
    let room = Arc::new(Semaphore::new(0));
    let server = holding(&room).await;
    let max_wait = Duration::from_millis(30);
    let client = pooled(PoolConfig { max_connections: 1, max_wait, ..PoolConfig::default() });
    let _hold = tokio::spawn(client.get(server.url("/hold")).text());
    until("it is at work", || server.requests() == 1).await;
    let error = client.get(server.url("/")).send().await.unwrap_err();
    assert_eq!(error.rejected(), Some(Rejected::WaitedTooLong));
    assert_eq!(client.hosts()[0].waiting, 0);
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_nothing_behind() {
    let room = Arc::new(Semaphore::new(0));
    let server = holding(&room).await;
    let pool = PoolConfig { max_connections: 1, ..PoolConfig::default() };
    let (client, counts) = counted(ClientConfig { pool, ..calm() });
    for _ in 0..3 {
        let call = tokio::spawn(client.get(server.url("/hold")).text());
        let before = server.requests();
        until("it is at work", || server.requests() > before || before > 0).await;
        let waits = tokio::spawn(client.get(server.url("/")).text());
        tokio::task::yield_now().await;
        waits.abort();
        call.abort();
        let _ = (waits.await, call.await);
    }
    let facts = client.hosts().remove(0);
    assert_eq!((facts.connections, facts.waiting, facts.in_flight), (0, 0, 0));
    // And the room is really there.
    assert_eq!(client.get(server.url("/")).text().await.unwrap().len(), 1);
    until("the gauges are down", || {
        counts.of("seawall_client_active_requests", &[]) == 0
            && counts.of("seawall_client_waiters", &[]) == 0
            && counts.of("seawall_client_connections", &[]) == 1
    })
    .await;
    assert!(counts.of("seawall_client_call_duration_seconds", &[("outcome", "cancelled")]) >= 3);
}

#[tokio::test]
async fn an_answer_that_nobody_reads_closes_its_connection() {
    let server = Server::start(|_| async { text(200, vec![b'x'; 10 << 20]) }).await;
    let client = client(calm());
    drop(client.get(server.url("/")).send().await.unwrap());
    assert_eq!(client.hosts()[0].connections, 0);
    let kept = client.get(server.url("/")).send().await.unwrap();
    assert_eq!((client.hosts()[0].connections, client.hosts()[0].in_flight), (1, 1));
    drop(kept);
    assert_eq!((client.hosts()[0].connections, client.hosts()[0].in_flight), (0, 0));
}

#[tokio::test]
async fn of_a_little_the_rest_is_read_and_its_connection_kept() {
    let server = Server::start(|_| async { text(200, vec![b'x'; 60_000]) }).await;
    let client = client(calm());
    for _ in 0..5 {
        assert_eq!(client.get(server.url("/")).send().await.unwrap().status(), 200);
        until("it is back", || client.hosts()[0].idle == 1).await;
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time() {
    let server = Server::start(|_| async { ok() }).await;
    let idle_timeout = Duration::from_millis(50);
    let (client, counts) =
        counted(ClientConfig { pool: PoolConfig { idle_timeout, ..PoolConfig::default() }, ..calm() });
    client.get(server.url("/")).bytes().await.unwrap();
    assert_eq!(client.hosts()[0].idle, 1);
    // Without another call: the connection looks after itself.
    until("it is gone", || client.hosts()[0].connections == 0).await;
    until("its task too", || counts.of("seawall_client_connections", &[]) == 0).await;
}

#[tokio::test]
async fn an_old_connection_gets_no_further_request() {
    let server = Server::start(|_| async { ok() }).await;
    let client = pooled(PoolConfig { max_age: Duration::from_millis(50), ..PoolConfig::default() });
    client.get(server.url("/")).bytes().await.unwrap();
    until("it is gone", || client.hosts()[0].connections == 0).await;
    client.get(server.url("/")).bytes().await.unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn nor_does_one_that_has_had_its_number() {
    let server = Server::start(|seen| async move { text(200, seen.connection.to_string()) }).await;
    let client = pooled(PoolConfig { max_requests: 2, ..PoolConfig::default() });
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(client.get(server.url("/")).text().await.unwrap());
    }
    assert_eq!(seen, ["0", "0", "1", "1", "2"]);
}

#[tokio::test]
async fn a_connection_that_the_server_closes_leaves_at_once() {
    let close = Arc::new(Notify::new());
    let told = Arc::clone(&close);
    let (address, _raw) = raw(move |mut stream, _| {
        let close = Arc::clone(&told);
        async move {
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            close.notified().await;
        }
    })
    .await;
    let client = client(calm());
    client.get(format!("http://{address}/")).bytes().await.unwrap();
    assert_eq!(client.hosts()[0].idle, 1);
    close.notify_one();
    until("it is off the books", || client.hosts()[0].connections == 0).await;
}

/// Answers the first request of a connection, and closes it when the second one comes, without a word. So does a
/// server whose idle time ends at that very moment.
async fn closing_on_the_second() -> (std::net::SocketAddr, crate::support::Raw) {
    raw(|mut stream, connection| async move {
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).await;
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{connection}");
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.read(&mut head).await;
    })
    .await
}

#[tokio::test]
async fn a_stale_connection_is_replaced_for_what_can_be_done_twice() {
    let (address, _raw) = closing_on_the_second().await;
    let url = format!("http://{address}/");
    let (client, counts) = counted(calm());
    assert_eq!(client.get(&url).text().await.unwrap(), "0");
    let answer = client.get(&url).send().await.unwrap();
    assert_eq!(answer.attempts(), 1, "it is no attempt of the retry policy");
    assert_eq!(answer.text().await.unwrap(), "1");
    assert_eq!(counts.of("seawall_client_retries_total", &[("cause", "stale")]), 1);
    assert_eq!(client.put(&url).body("again").text().await.unwrap(), "2");
}

#[tokio::test]
async fn and_not_for_what_cannot() {
    let (address, _raw) = closing_on_the_second().await;
    let url = format!("http://{address}/");
    let client = client(calm());
    assert_eq!(client.post(&url).text().await.unwrap(), "0");
    let error = client.post(&url).body("once").send().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Broken, 1));
    assert_eq!(client.post(&url).text().await.unwrap(), "1");
    // Unless its author says so.
    assert_eq!(client.post(&url).idempotency_key("7").text().await.unwrap(), "2");
    // A stream is gone.
    let stream = Full::new(bytes::Bytes::from("stream"));
    let error = client.put(&url).body_stream(stream).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Broken);
}

#[tokio::test]
async fn an_answer_before_the_body_was_taken_does_not_hang() {
    let (address, _raw) = raw(|mut stream, _| async move {
        let mut head = [0; 1024];
        let _ = stream.read(&mut head).await;
        let _ = stream.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno").await;
        std::future::pending::<()>().await;
    })
    .await;
    let request = client(calm()).post(format!("http://{address}/")).body(vec![b'x'; 64 << 20]);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 413);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "no");
}

#[tokio::test]
async fn when_the_client_is_gone_so_are_its_connections() {
    let server = Server::start(|_| async { ok() }).await;
    let (client, counts) = counted(calm());
    client.get(server.url("/")).bytes().await.unwrap();
    drop(client);
    until("all are closed", || counts.of("seawall_client_connections", &[]) == 0).await;
}

#[tokio::test]
async fn an_answer_outlives_its_client() {
    let server = Server::start(|_| async { text(200, vec![b'x'; 10 << 20]) }).await;
    let answer = {
        let client = client(calm());
        client.get(server.url("/")).max_body(64 << 20).send().await.unwrap()
    };
    assert_eq!(answer.bytes().await.unwrap().len(), 10 << 20);
}
