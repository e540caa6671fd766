//! Requests and answers, as anybody would use them.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, Full};
use seawall_client::{Client, ClientConfig, ErrorKind, Phase, PoolConfig};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Server, calm, client, counted, ok, raw, text};

#[derive(Debug, Serialize, Deserialize, PartialEq)]
struct Price {
    cents: u64,
}

#[tokio::test]
async fn json_comes_in_one_line() {
    let server = Server::start(|seen| async move {
        assert_eq!(seen.header("accept"), Some("application/json"));
        assert_eq!(seen.header("user-agent").unwrap().split('/').next(), Some("seawall"));
        text(200, r#"{"cents": 250}"#)
    })
    .await;
    let price: Price = client(calm()).get(server.url("/7")).json().await.unwrap();
    assert_eq!(price, Price { cents: 250 });
}

#[tokio::test]
async fn what_is_sent_arrives() {
    let server = Server::start(|seen| async move {
        let line = format!(
            "{} {} {} {} {}",
            seen.method,
            seen.uri,
            seen.header("content-type").unwrap(),
            seen.header("authorization").unwrap(),
            String::from_utf8_lossy(&seen.body)
        );
        text(201, line)
    })
    .await;
    let client = client(calm());
    let request = client.post(server.url("/p?a=1#part")).query(&[("b", "2 3")]).bearer("token");
    let answer = request.json_body(&Price { cents: 1 }).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let expected = r#"POST /p?a=1&b=2+3 application/json Bearer token {"cents":1}"#;
    assert_eq!(answer.text().await.unwrap(), expected);
    let form = client.put(server.url("/f")).basic_auth("u", "p").form_body(&[("k", "v w")]);
    let expected = "PUT /f application/x-www-form-urlencoded Basic dTpw k=v+w";
    assert_eq!(form.text().await.unwrap(), expected);
}

#[tokio::test]
async fn any_status_is_an_answer_but_not_for_those_who_want_a_body() {
    let server = Server::start(|_| async { text(404, "no such price") }).await;
    let client = client(calm());
    let answer = client.get(server.url("/")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(answer.text().await.unwrap(), "no such price");
    let error = client.get(server.url("/")).json::<Price>().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Status(StatusCode::NOT_FOUND), 1));
    assert_eq!(error.status(), Some(StatusCode::NOT_FOUND));
    assert_eq!(error.host(), server.address.to_string());
    assert_eq!(error.address(), Some(server.address.to_string().as_str()));
    let answer = client.get(server.url("/")).send().await.unwrap();
    assert_eq!(answer.error_for_status().unwrap_err().status(), Some(StatusCode::NOT_FOUND));
}

#[tokio::test]
async fn what_is_no_such_json_is_an_error_of_its_own() {
    let server = Server::start(|_| async { text(200, r#"{"cents": -1}"#) }).await;
    let error = client(calm()).get(server.url("/")).json::<Price>().await.unwrap_err();
    assert!(error.is_decode());
    assert_eq!(error.phase(), Phase::Decode);
}

#[tokio::test]
async fn an_answer_above_the_cap_is_an_error_and_a_stream_is_none() {
    let server = Server::start(|_| async { text(200, vec![b'x'; 100_000]) }).await;
    let client = client(ClientConfig { max_body: 99_999, ..calm() });
    let error = client.get(server.url("/")).bytes().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(client.get(server.url("/")).max_body(100_000).bytes().await.unwrap().len(), 100_000);
    let mut answer = client.get(server.url("/")).send().await.unwrap();
    let mut length = 0;
    while let Some(piece) = answer.chunk().await.unwrap() {
        length += piece.len();
    }
    assert_eq!(length, 100_000);
    let body = client.get(server.url("/")).send().await.unwrap().into_body();
    assert_eq!(body.collect().await.unwrap().to_bytes().len(), 100_000);
}

#[tokio::test]
async fn a_chunked_answer_above_the_cap_is_an_error_as_soon_as_it_is() {
    let (address, _raw) = raw(|mut stream, _| async move {
        let mut head = [0; 1024];
        let _ = stream.read(&mut head).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        while stream.write_all(b"5\r\nabcde\r\n").await.is_ok() {}
    })
    .await;
    let client = client(ClientConfig { max_body: 1_000, ..calm() });
    let error = client.get(format!("http://{address}/")).bytes().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn a_body_may_be_a_stream_in_both_directions() {
    let server = Server::start(|seen| async move { text(200, seen.body) }).await;
    let request = client(calm()).post(server.url("/")).body_stream(Full::new(Bytes::from("streamed")));
    assert_eq!(request.text().await.unwrap(), "streamed");
}

#[tokio::test]
async fn a_post_without_a_body_says_so() {
    let server = Server::start(|seen| async move {
        let length = seen.header("content-length").unwrap_or("none").to_owned();
        text(200, length)
    })
    .await;
    let client = client(calm());
    assert_eq!(client.post(server.url("/")).text().await.unwrap(), "0");
    assert_eq!(client.post(server.url("/")).body("four").text().await.unwrap(), "4");
    assert_eq!(client.get(server.url("/")).text().await.unwrap(), "none");
}

#[tokio::test]
async fn a_head_above_its_cap_is_no_answer() {
    let (address, _raw) = raw(|mut stream, _| async move {
        let mut head = [0; 1024];
        let _ = stream.read(&mut head).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await;
        while stream.write_all(&[b'x'; 1024]).await.is_ok() {}
    })
    .await;
    let client = client(ClientConfig { max_head: 16 << 10, ..calm() });
    let error = client.get(format!("http://{address}/")).no_retry().send().await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Broken, Phase::Send));
}

#[test]
fn a_client_outlives_the_runtimes_that_it_is_used_on() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = servers.block_on(Server::start(|_| async { ok() }));
    let client = client(calm());
    for _ in 0..3 {
        // Its connections end with the runtime, and the next one finds that out.
        assert_eq!(runtime().block_on(client.get(server.url("/")).bytes()).unwrap(), "ok");
    }
    assert_eq!(server.connections(), 3);
    let (one, two) = (runtime(), runtime());
    one.block_on(client.get(server.url("/")).bytes()).unwrap();
    // That of another runtime that still lives is used, if somebody drives it meanwhile.
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let driving = std::thread::spawn(move || one.block_on(stopped));
    assert_eq!(two.block_on(client.get(server.url("/")).bytes()).unwrap(), "ok");
    assert_eq!(server.connections(), 4);
    stop.send(()).unwrap();
    driving.join().unwrap().unwrap();
}

#[tokio::test]
async fn a_mistake_in_the_request_comes_out_when_it_is_sent() {
    let client = client(calm());
    let kind = |error: seawall_client::Error| error.kind();
    let bad = |url: &str| client.get(url).send();
    assert_eq!(kind(bad("not a url").await.unwrap_err()), ErrorKind::Request);
    assert_eq!(kind(bad("ftp://x/").await.unwrap_err()), ErrorKind::Request);
    let request = client.get("http://127.0.0.1:1/").header("bad name", "x");
    assert_eq!(kind(request.send().await.unwrap_err()), ErrorKind::Request);
    let request = client.get("http://127.0.0.1:1/").header("name", "bad\nvalue");
    assert_eq!(kind(request.send().await.unwrap_err()), ErrorKind::Request);
}

#[tokio::test]
async fn no_secret_is_in_an_error() {
    let server = Server::start(|_| async { text(500, "secret of the answer") }).await;
    let client = client(calm());
    let mut texts = Vec::new();
    let url = format!("http://user:secret@{}/?token=secret", server.address);
    let error = client.get(url).send().await.unwrap_err();
    texts.push(format!("{error} {error:?}"));
    let request = client.get(server.url("/?token=secret")).bearer("secret").header("cookie", "secret");
    texts.push(format!("{request:?}"));
    let error = request.body("secret").no_retry().bytes().await.unwrap_err();
    texts.push(format!("{error} {error:?}"));
    let url = "http://127.0.0.1:1/secret?secret";
    let error = client.get(url).basic_auth("u", "secret").send().await.unwrap_err();
    texts.push(format!("{error} {error:?}"));
    for text in texts {
        assert!(!text.contains("secret"), "{text}");
        assert!(!text.contains("c2Vjcm"), "{text}");
    }
}

#[tokio::test]
async fn hosts_are_remembered_up_to_a_number() {
    let client = client(ClientConfig { max_hosts: 2, ..calm() });
    let mut servers = Vec::new();
    for _ in 0..4 {
        let server = Server::start(|_| async { ok() }).await;
        client.get(server.url("/")).bytes().await.unwrap();
        servers.push(server);
    }
    let known: Vec<_> = client.hosts().into_iter().map(|facts| facts.host).collect();
    assert_eq!(known.len(), 2);
    assert!(known.contains(&servers[3].address.to_string()));
    assert!(known.contains(&servers[2].address.to_string()));
}

#[test]
fn a_wrong_setting_is_named() {
    let refused = |config: ClientConfig| Client::new(config).unwrap_err().to_string();
    let config = ClientConfig { timeout: Duration::ZERO, ..ClientConfig::default() };
    assert_eq!(refused(config), "`client.timeout` is 0ns, but must be 1ms to 86400s");
    let pool = PoolConfig { max_connections: 0, ..PoolConfig::default() };
    let config = ClientConfig { pool, ..ClientConfig::default() };
    assert_eq!(refused(config), "`client.pool.max_connections` is 0, but must be 1 to 65536");
    let mut config = ClientConfig::default();
    config.retry.max = 11;
    assert_eq!(refused(config), "`retry.max` is 11, but must be 0 to 10");
    let mut config = ClientConfig::default();
    config.breaker.as_mut().unwrap().probes = 0;
    assert_eq!(refused(config), "`breaker.probes` is 0, but must be 1 to 1000");
    let mut config = ClientConfig::default();
    config.tls.ca = Some(b"no certificate".to_vec());
    assert!(refused(config).starts_with("`client.tls.ca` is"));
}

#[tokio::test]
async fn a_call_is_counted_with_its_outcome() {
    let server =
        Server::start(|seen| async move { text(if seen.number == 0 { 200 } else { 404 }, "") }).await;
    let (client, counts) = counted(calm());
    client.get(server.url("/")).send().await.unwrap();
    client.get(server.url("/")).send().await.unwrap();
    let calls = |outcome| counts.of("seawall_client_call_duration_seconds", &[("outcome", outcome)]);
    assert_eq!((calls("success"), calls("permanent"), calls("transient")), (1, 1, 0));
    assert_eq!(counts.of("seawall_client_attempts_total", &[("host", "other")]), 2);
    assert_eq!(counts.of("seawall_client_active_requests", &[]), 0);
}
