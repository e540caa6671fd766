//! Who the client is, with and without proxies that are believed.

use seawall_http::testing::TestClient;
use seawall_http::{App, ClientHeader, Context, ProxyConfig, TrustedProxies};

use crate::block_on;

fn app() -> App {
    App::new().get("/", async |c: Context| {
        let ip = c.client_ip().map_or("none".to_owned(), |ip| ip.to_string());
        format!("{ip} {} {}", c.scheme(), c.host().unwrap_or("none"))
    })
}
fn behind(client: ClientHeader) -> App {
    let trusted = vec!["loopback".to_owned(), "private".to_owned()];
    let config = ProxyConfig { trusted, client, forwarded_proto: true, forwarded_host: true };
    app().trust_proxies(&TrustedProxies::new(&config).unwrap())
}

#[track_caller]
fn check(app: App, peer: &str, headers: &[(&str, &str)], expected: &str) {
    let client = TestClient::new(app).unwrap().with_peer(peer);
    let request = headers.iter().fold(client.get("/"), |request, (name, value)| request.header(name, value));
    assert_eq!(block_on(async { request.await }).text(), expected);
}

const FORGED: [(&str, &str); 6] = [
    ("host", "a.example:8080"),
    ("x-forwarded-for", "1.2.3.4"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "evil.example"),
    ("forwarded", "for=1.2.3.4;proto=https;host=evil.example"),
    ("cf-connecting-ip", "1.2.3.4"),
];

#[test]
fn by_default_no_header_is_believed() {
    check(app(), "127.0.0.1:1", &FORGED, "127.0.0.1 http a.example:8080");
    check(app(), "[::ffff:192.0.2.1]:1", &[], "192.0.2.1 http none");
}
#[test]
fn a_peer_that_is_not_trusted_is_not_believed() {
    for header in
        [ClientHeader::XForwardedFor, ClientHeader::Forwarded, ClientHeader::Named("cf-connecting-ip".into())]
    {
        check(behind(header), "8.8.8.8:1", &FORGED, "8.8.8.8 http a.example:8080");
    }
}
#[test]
fn a_trusted_proxy_is_believed_by_the_header_that_was_chosen() {
    let both = [
        ("x-forwarded-for", "9.9.9.9"),
        ("forwarded", "for=7.7.7.7;proto=https"),
        ("cf-connecting-ip", "6.6.6.6"),
    ];
    check(behind(ClientHeader::XForwardedFor), "10.0.0.1:1", &both, "9.9.9.9 http none");
    check(behind(ClientHeader::Forwarded), "10.0.0.1:1", &both, "7.7.7.7 https none");
    check(behind(ClientHeader::Named("cf-connecting-ip".into())), "10.0.0.1:1", &both, "6.6.6.6 http none");
}
#[test]
fn scheme_and_host_are_those_of_the_client() {
    let headers = [
        ("host", "inner:8080"),
        ("x-forwarded-for", "9.9.9.9"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "shop.example"),
    ];
    check(behind(ClientHeader::XForwardedFor), "127.0.0.1:1", &headers, "9.9.9.9 https shop.example");
}
#[test]
fn two_hosts_are_none() {
    check(app(), "8.8.8.8:1", &[("host", "a.example"), ("host", "b.example")], "8.8.8.8 http none");
}
#[test]
fn a_target_may_name_the_host_but_not_the_scheme() {
    let client = TestClient::new(app()).unwrap().with_peer("8.8.8.8:1");
    let answer =
        block_on(async { client.get("https://user:pw@a.example:1/").header("host", "b.example").await });
    assert_eq!(answer.text(), "8.8.8.8 http a.example:1");
}
#[test]
fn without_a_peer_there_is_no_client() {
    let client = TestClient::new(behind(ClientHeader::XForwardedFor)).unwrap();
    assert_eq!(
        block_on(async { client.get("/").header("x-forwarded-for", "9.9.9.9").await }).text(),
        "none http none"
    );
}
