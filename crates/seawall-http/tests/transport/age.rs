//! A connection that is old enough ends after the request that it is on.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use seawall_http::{App, Context, ServerConfig};

use crate::live::{Live, read_until};
use crate::{GET, workers};

fn aging() -> ServerConfig {
    ServerConfig { max_connection_age: Some(Duration::from_secs(1)), ..workers(1) }
}

#[test]
fn an_old_connection_ends_although_its_server_runs_on() {
    let server = Live::with(App::new().get("/", async || "hello"), aging());
    let mut stream = server.connect();
    stream.write_all(GET.as_bytes()).unwrap();
    read_until(&mut stream, "hello");
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "it is idle when its time comes");
    let mut next = server.connect();
    next.write_all(GET.as_bytes()).unwrap();
    read_until(&mut next, "hello");
    server.stop();
}

#[test]
fn a_request_under_way_outlives_the_age_of_its_connection() {
    let app = App::new().get("/", async |c: Context| {
        c.stream(200, "text/plain", async |mut out| {
            out.write("one ").await?;
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            out.write("two").await
        })
    });
    let server = Live::with(app, aging());
    let mut stream = server.connect();
    stream.write_all(GET.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains("two"), "{text}");
}
